"""What acting on probabilities is worth, and whether its promises are kept.

    risks      how often SelectiveClassifier exceeds the risk it was given
    cascade    a cheap model, then a dear one: against each alone, and chance, at equal cost
    pools      log loss of the orders in which models are pooled and calibrated
    ranking    regret of the best candidates by raw and by calibrated probabilities

All, or those that are named. Risks are of real classifiers' scores: the test rows of a set are a
population whose risk is known exactly, and the rows that choose a threshold are drawn from it, one
by one with replacement. The temperature was fitted on the other rows of the set. The rest is of
scikit-learn's models, split again and again into rows to train on, to decide on, and to test on.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._report import print_conditions, print_table
from benchmarks._score_sets import SMALLEST, ScoreSet, packaged_sets, sets_in
from benchmarks._timing import one_thread
from skcalib import TemperatureScaling
from skcalib.datasets import load_logits
from skcalib.decisions import (
    CascadeClassifier,
    SelectiveClassifier,
    TemperaturePool,
    rank_candidates,
)

RISKS = (0.01, 0.02, 0.05, 0.1)
DELTA = 0.1

# Sets of fewer test rows are no population for rows to be drawn from.
_POPULATION = 1000

N_TRAIN, N_DECIDE = 600, 600


def main() -> None:
    arguments = _parse_arguments()
    sets = sets_in(arguments.sets) if arguments.sets else packaged_sets()
    print_conditions()
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in arguments.studies or STUDIES:
            start = time.process_time()
            STUDIES[name](sets, arguments)
            seconds = time.process_time() - start
            print(f"{name}: {seconds:.0f} s of CPU", file=sys.stderr, flush=True)


# Risks


def risks(sets: list[ScoreSet], arguments: argparse.Namespace) -> None:
    for n in arguments.rows:
        rows = [
            [s.name, *(_violations(proba, y, risk, n, arguments.draws) for risk in RISKS)]
            for s, proba, y in _populations(sets)
        ]
        print_table(
            f"{n} rows, {arguments.draws} draws: risk exceeded in per cent of draws, at most "
            f"{100 * DELTA:g} allowed (mean coverage where it answers; always abstains)",
            ["set", *(f"risk {100 * risk:g} %" for risk in RISKS)],
            rows,
        )


def _populations(sets: list[ScoreSet]) -> Iterator[tuple[ScoreSet, NDArray, NDArray]]:
    for s in sets:
        if len(s.test) >= _POPULATION:
            scaling = TemperatureScaling(classes=range(s.n_classes))
            scaling.fit(s.logits[s.calibration], s.y[s.calibration])
            yield s, scaling.predict_proba(s.logits[s.test]), s.y[s.test]


def _violations(proba: NDArray, y: NDArray, risk: float, n: int, n_draws: int) -> str:
    top, wrong = proba.max(axis=1), proba.argmax(axis=1) != y
    exceeded, coverage = 0, []
    for seed in range(n_draws):
        rows = np.random.default_rng(seed).integers(0, len(y), n)
        model = SelectiveClassifier(
            max_risk=risk, confidence=1 - DELTA, classes=range(proba.shape[1])
        )
        threshold = model.fit(proba[rows], y[rows]).threshold_
        if threshold < np.inf:
            answered = top >= threshold
            coverage.append(answered.mean())
            exceeded += wrong[answered].mean() > risk
    abstains = 1 - len(coverage) / n_draws
    covered = f"{np.mean(coverage):.2f}" if coverage else "-"
    return f"{100 * exceeded / n_draws:.1f} ({covered}; {100 * abstains:.0f} %)"


# Models on the same rows


class Split(NamedTuple):
    """Rows to train on, to decide on and to test on."""

    X: list[NDArray]
    y: list[NDArray]


def _splits(n_splits: int) -> dict[str, list[Split]]:
    digits, labels = load_digits(return_X_y=True)
    noise = np.random.default_rng(0).normal(0, 4, digits.shape)
    made = make_classification(
        6000, 30, n_informative=12, n_redundant=6, n_classes=8, flip_y=0.05, random_state=0
    )
    sets = {"noisy digits": (digits + noise, labels), "made up": made}
    return {name: [_split(X, y, seed) for seed in range(n_splits)] for name, (X, y) in sets.items()}


def _split(X: NDArray, y: NDArray, seed: int) -> Split:
    order = np.random.default_rng(seed).permutation(len(y))
    parts = np.split(order, [N_TRAIN, N_TRAIN + N_DECIDE])
    return Split([X[part] for part in parts], [y[part] for part in parts])


def _network(units: int, seed: int) -> Any:
    return make_pipeline(
        StandardScaler(), MLPClassifier(units, alpha=1e-5, max_iter=300, random_state=seed)
    )


NETWORKS = [_network(units, seed) for seed, units in enumerate((16, 24, 32, 48, 64, 96))]
KINDS = [
    _network(48, 0),
    make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    RandomForestClassifier(50, random_state=0),
    ExtraTreesClassifier(20, random_state=0),
    GaussianNB(),
    KNeighborsClassifier(7),
]


def _blocks(members: list[Any], split: Split) -> list[NDArray]:
    """Probabilities (n, M, K) of the rows to decide on and of those to test on."""
    fitted = [clone(member).fit(split.X[0], split.y[0]) for member in members]
    return [np.stack([m.predict_proba(X) for m in fitted], axis=1) for X in split.X[1:]]


def _log_loss(y: NDArray, proba: NDArray) -> float:
    return float(-np.log(np.clip(proba[np.arange(len(y)), y], SMALLEST, 1)).mean())


def _error(y: NDArray, proba: NDArray) -> float:
    return float((proba.argmax(axis=1) != y).mean())


def _means(values: NDArray) -> list[str]:
    """Means over splits (splits, M), and by how much they differ from the first."""
    mean, off = values.mean(axis=0), values - values[:, :1]
    se = off.std(axis=0, ddof=1) / len(values) ** 0.5
    return [
        f"{m:.4f}" + (f" ({d:+.4f} +- {s:.4f})" if i else "")
        for i, (m, d, s) in enumerate(zip(mean, off.mean(axis=0), se, strict=True))
    ]


# Pools


POOLS: dict[str, Callable[[], TemperaturePool]] = {
    "pool, then calibrate": TemperaturePool,
    "calibrate, then pool": lambda: TemperaturePool(order="calibrate_first"),
    "both": lambda: TemperaturePool(order="both"),
    "pool, then calibrate; fitted weights": lambda: TemperaturePool(weights="auto"),
    "both; fitted weights": lambda: TemperaturePool(order="both", weights="auto"),
    "both; geometric": lambda: TemperaturePool(order="both", pooling="geometric"),
}


def pools(sets: list[ScoreSet], arguments: argparse.Namespace) -> None:
    columns, cells = [], []
    for name, splits in _splits(arguments.splits).items():
        for kind, members in (("six networks", NETWORKS), ("six kinds of model", KINDS)):
            columns.append(f"{name}, {kind}")
            cells.append(_means(np.array([_pool_losses(members, split) for split in splits])))
    names = [*POOLS, "raw mean", "best member, calibrated"]
    print_table(
        f"Log loss over {arguments.splits} splits, {N_DECIDE} rows to calibrate on (and off the "
        "first line, +- standard error)",
        ["", *columns],
        [[name, *row] for name, row in zip(names, zip(*cells, strict=True), strict=True)],
    )


def _pool_losses(members: list[Any], split: Split) -> list[float]:
    decide, test = _blocks(members, split)
    y, y_test = split.y[1:]
    losses = [
        _log_loss(y_test, make().fit(decide, y).predict_proba(test)) for make in POOLS.values()
    ]
    alone = [_calibrated(decide[:, m], y) for m in range(len(members))]
    best = int(np.argmin([model.log_loss_after_ for model in alone]))
    losses.append(_log_loss(y_test, test.mean(axis=1)))
    return [*losses, _log_loss(y_test, alone[best].predict_proba(test[:, best]))]


def _calibrated(proba: NDArray, y: NDArray) -> TemperatureScaling:
    return TemperatureScaling(response_method="predict_proba").fit(proba, y)


# Cascades


CHEAP = make_pipeline(
    StandardScaler(), PCA(8, svd_solver="full"), LogisticRegression(max_iter=1000)
)
COSTS = (1.0, 10.0)
BUDGETS = (1.0, 2.0, 3.0, 5.0, 8.0, 11.0)


def cascade(sets: list[ScoreSet], arguments: argparse.Namespace) -> None:
    members = [CHEAP, RandomForestClassifier(100, random_state=0)]
    for name, splits in _splits(arguments.splits).items():
        found = np.array([_cascade_figures(members, split) for split in splits])
        for place, measure in enumerate(("log loss", "error")):
            rows = [
                [
                    f"{budget:g}",
                    *_means(found[:, b, :, place])[:4],
                    f"{found[:, b, 0, 2].mean():.2f}",
                ]
                for b, budget in enumerate(BUDGETS)
            ]
            print_table(
                f"{name}: {measure} of a cascade, costs {COSTS[0]:g} and {COSTS[1]:g}, over "
                f"{arguments.splits} splits (and off the first column, +- standard error)",
                [
                    "budget",
                    "calibrated members",
                    "raw members",
                    "coin, same cost",
                    "dear one alone, cost 10",
                    "mean cost met",
                ],
                rows,
            )


def _cascade_figures(members: list[Any], split: Split) -> list[list[tuple[float, float, float]]]:
    """For each budget and way to spend it: log loss, error and mean cost of test rows."""
    decide, test = _blocks(members, split)
    y, y_test = split.y[1:]
    # One half fits temperatures and the other chooses thresholds, for both kinds alike.
    half = len(y) // 2
    scalings = [_calibrated(decide[:half, m], y[:half]) for m in range(2)]

    def scaled(blocks: NDArray) -> NDArray:
        columns = [s.predict_proba(blocks[:, m]) for m, s in enumerate(scalings)]
        return np.stack(columns, axis=1)

    both = {"calibrated": (scaled(decide), scaled(test)), "raw": (decide, test)}
    dear = _figures(y_test, both["calibrated"][1][:, 1], COSTS[1])
    rows = []
    for budget in BUDGETS:
        spent = []
        for fitted_on, tested_on in both.values():
            model = CascadeClassifier(costs=COSTS, budget=budget).fit(fitted_on[half:], y[half:])
            cost = model.stage_costs_[model.predict_stage(tested_on)].mean()
            spent.append(_figures(y_test, model.predict_proba(tested_on), cost))
        coin = np.random.default_rng(0).random(len(y_test)) < (spent[0][2] - COSTS[0]) / COSTS[1]
        cheap_or_dear = np.where(coin[:, None], *both["calibrated"][1].transpose(1, 0, 2)[::-1])
        rows.append([*spent, _figures(y_test, cheap_or_dear, spent[0][2]), dear])
    return rows


def _figures(y: NDArray, proba: NDArray, cost: float) -> tuple[float, float, float]:
    return _log_loss(y, proba), _error(y, proba), cost


# Ranking


def ranking(sets: list[ScoreSet], arguments: argparse.Namespace) -> None:
    """Answers are the candidates, and whether they are right is the outcome."""
    rows = []
    for name in ("mcq_smollm2_a", "spambase_svm", "letter_random_forest", "mnist_cnn_shift"):
        data = load_logits(name)
        cal, test = data.calibration, ~data.calibration
        both = {
            label: model.predict_proba(data.logits[test])
            for label, model in (
                ("raw", _identity(data.logits[cal], data.target[cal])),
                ("T", TemperatureScaling().fit(data.logits[cal], data.target[cal])),
            )
        }
        hit = (both["raw"].argmax(axis=1) == data.target[test]).astype(int)
        top = {label: proba.max(axis=1).astype(np.float64) for label, proba in both.items()}
        for k, utilities in ((len(hit) // 10, (0, 1)), (None, (-4, 1))):
            found = rank_candidates(top, utilities=utilities, k=k, y_true=hit, random_state=0)
            raw, tempered, change = found["raw"], found["T"], found["T less raw"]
            rows.append(
                [
                    f"{name}, {'a tenth' if k else 'where worth it'}",
                    *(f"{r.promised:.3f} / {r.got:.3f} / {r.regret:.4f}" for r in (raw, tempered)),
                    f"{change.regret:+.4f} ({change.lower:+.4f} to {change.upper:+.4f})",
                ]
            )
    print_table(
        "Answers to keep: a tenth, worth 1 if right; or where worth it, 1 if right and -4 if wrong "
        "(promised / got / regret)",
        ["", "raw", "one temperature", "change of regret, 95 %"],
        rows,
    )


def _identity(logits: NDArray, y: NDArray) -> SelectiveClassifier:
    """The model as it is."""
    return SelectiveClassifier(threshold=0, response_method="decision_function").fit(logits, y)


STUDIES: dict[str, Callable[[list[ScoreSet], argparse.Namespace], None]] = {
    study.__name__: study for study in (risks, cascade, pools, ranking)
}


def _study(text: str) -> str:
    if text not in STUDIES:
        raise argparse.ArgumentTypeError(f"one of {', '.join(STUDIES)}, not {text}")
    return text


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decisions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("studies", nargs="*", type=_study, metavar="STUDY", help="all by default")
    parser.add_argument("--sets", type=Path, metavar="FOLDER", help="other score sets (.npz)")
    parser.add_argument("--draws", type=int, default=300, help="draws of each risk (300)")
    parser.add_argument("--rows", type=int, nargs="+", default=[500, 2000], help="rows of a draw")
    parser.add_argument("--splits", type=int, default=20, help="splits of models' data (20)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
