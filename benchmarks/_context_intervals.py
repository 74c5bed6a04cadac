"""Whether intervals for a context's temperature contain it, and contexts made of few recordings."""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._context_studies import as_prior, rules_of
from benchmarks._contexts import (
    ContextSet,
    adaptive,
    best_by_level,
    scalar_temperature,
    with_columns,
)
from benchmarks._report import print_table

COVERAGE_DRAWS = 200
COVERAGE_SIZES = (60, 120, 250, 500, 1000, 2000)
RULED_SIZES = (120, 500)
RULED = ("good", "permuted")

# More classes than that take too long for so many draws, and have too few rows to tell.
_MOST_CLASSES = 1000

SEEDS = 20
LEVELS = np.array(["a", "b", "c", "d"])


def coverage(sets: list[ContextSet]) -> None:
    """Draws are made with replacement from all rows, whose temperature is then the truth."""
    small = [data for data in sets if data.n_classes <= _MOST_CLASSES]
    without = {(data.name, n): _coverage(data, n) for data in small for n in COVERAGE_SIZES}
    head = f"{COVERAGE_DRAWS} intervals of 95 % that contain the context's temperature"
    print_table(
        f"coverage: share of {head}, of contexts that had rows; mean over contexts (the worst)",
        ["set", *map(str, COVERAGE_SIZES)],
        [[data.name, *(without[data.name, n] for n in COVERAGE_SIZES)] for data in small],
    )
    print_table(
        f"coverage with rules: share of {head}",
        ["set", "n", "no rules", *RULED],
        [
            [data.name, n, without[data.name, n], *_coverage_with_rules(data, n)]
            for data, n in product(small, RULED_SIZES)
        ],
    )


def _coverage_with_rules(data: ContextSet, n: int) -> list[str]:
    rules = rules_of(best_by_level(data))
    return [_coverage(data, n, prior=as_prior(rules[name])) for name in RULED]


def _coverage(data: ContextSet, n: int, **parameters: Any) -> str:
    """Not of sets that hardly have more rows than that: draws would repeat them."""
    if 2 * n > len(data.y):
        return "-"
    X, true = with_columns(data), best_by_level(data)
    one_each = np.zeros((data.n_levels, X.shape[1]))
    one_each[:, -1] = np.arange(data.n_levels)
    hits = []
    for i in range(COVERAGE_DRAWS):
        rows = np.random.default_rng([n, i]).integers(0, len(X), n)
        model = adaptive(data, **parameters).fit(X[rows], data.y[rows])
        low, high = model.predict_temperature_interval(one_each).T
        seen = np.isin(one_each[:, -1], data.group[rows])
        hits.append(np.where(seen, (low <= true) & (true <= high), np.nan))
    by_level = np.nanmean(hits, axis=0)
    return f"{by_level.mean():.3f} ({by_level.min():.3f})"


def clusters(sets: list[ContextSet]) -> None:
    """Recordings have temperatures of their own; contexts have none, but share recordings."""
    table = []
    for k, (recordings, n_each), spread in product(
        (5, 20), ((6, 40), (12, 60), (30, 40), (60, 20)), (0.2, 0.5)
    ):
        costs = [_cost_of_clusters(s, k, recordings, n_each, spread) for s in range(SEEDS)]
        means, worst = np.mean(costs, axis=0), np.max(costs, axis=0)
        cells = [f"{mean:+.2%} ({most:+.2%})" for mean, most in zip(means, worst, strict=True)]
        table.append([k, f"{recordings} x {n_each}", spread, *cells])
    print_table(
        "clusters: log loss on new recordings over that of one T, less 1, with contexts that "
        f"coincide with recordings and carry nothing; mean (worst) of {SEEDS} draws",
        ["classes", "recordings x rows", "sd of their log T", "not named", "named in groups"],
        table,
    )


def _cost_of_clusters(
    seed: int, n_classes: int, recordings: int, n_each: int, spread: float
) -> tuple[float, float]:
    rng = np.random.default_rng([seed, n_classes, recordings, n_each])
    data, recording = _recordings(rng, n_classes, (recordings, 200), (n_each, 20), spread)
    rows, X = data.calibration, with_columns(data)
    one = data.log_loss(data.test, scalar_temperature(data, rows))
    losses = [
        data.log_loss(data.test, model.predict_temperature(X[data.test]))
        for groups in (None, recording[rows])
        for model in [adaptive(data).fit(X[rows], data.y[rows], groups=groups)]
    ]
    return losses[0] / one - 1, losses[1] / one - 1


def _recordings(
    rng: np.random.Generator,
    n_classes: int,
    counts: tuple[int, int],
    n_each: tuple[int, int],
    spread: float,
) -> tuple[ContextSet, NDArray]:
    """Some to fit on and others to judge; and which recording each row belongs to."""
    recording = np.repeat(np.arange(sum(counts)), np.repeat(n_each, counts))
    log_temperature = np.log(1.8) + spread * rng.standard_normal(sum(counts))
    true = 2.5 * rng.standard_normal((len(recording), n_classes))
    y = (true + rng.gumbel(size=true.shape)).argmax(axis=1)
    z = true * np.exp(log_temperature)[recording, None]
    z -= z.max(axis=1, keepdims=True)
    rows = np.flatnonzero(recording < counts[0]), np.flatnonzero(recording >= counts[0])
    group = (recording % len(LEVELS)).astype(float)
    return ContextSet(
        "recordings", z, y, *rows, group, LEVELS.tolist(), np.empty((len(y), 0))
    ), recording
