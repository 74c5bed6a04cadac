"""Test scores of calibrated probabilities, on real classifiers' outputs.

Every method is fitted on n of a set's calibration rows, drawn without replacement and the same for
all methods, and judged on all test rows: log loss (nats), Brier score (summed over classes) and
top-label calibration error in 15 bins, each by one function for all, smaller is better. Figures
are means over draws; "all" is all calibration rows, once. Scores are given in float64, without
weights. The last tables sum up over sets: the geometric mean of a method's log loss over the
uncalibrated one, and its largest excess over it on any set.

A method that raises shows as "fails" with the error's name, and in the summary with the number of
sets it was left with. Judge by log loss or Brier score: predicting the base rate has no
calibration error and no skill.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._methods import BASELINE, Method, methods
from benchmarks._report import print_conditions, print_table
from benchmarks._score_sets import METRICS, ScoreSet, judge, packaged_sets, sets_in
from benchmarks._timing import failure, one_thread

SIZES = ("50", "100", "500", "2000", "all")

EXAMPLES = """examples:
  python -m benchmarks.quality                        five sets
  python -m benchmarks.quality --data path/to/npz     every .npz with logits, y and split
  python -m benchmarks.quality --only skcalib scikit-learn --sizes 100 all --repeats 20
"""

Cell = dict[str, float] | str  # means by metric, or why there are none
Results = dict[str, dict[str, dict[str, Cell]]]  # by set, method, and size
Summary = Callable[[NDArray, NDArray], float]


class Case(NamedTuple):
    """Calibration rows of one size, and every draw of them."""

    size: str
    draws: list[NDArray]


def main() -> None:
    arguments = _parse_arguments()
    sets = sets_in(arguments.data) if arguments.data else packaged_sets()
    if not sets:
        raise SystemExit(f"There is no .npz file in {arguments.data}.")
    candidates = methods(arguments.only and [BASELINE, *arguments.only])
    print_conditions()
    results = {}
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for score_set in sets:
            cases = _cases(score_set, arguments.sizes, arguments.repeats, arguments.seed)
            cells = {
                method.name: _measure(method, score_set, cases, arguments.patience)
                for method in candidates
            }
            results[score_set.name] = cells
            _print_set(score_set, arguments.sizes, cells)
    _print_summary(results, arguments.sizes)


def _cases(score_set: ScoreSet, sizes: list[str], repeats: int, seed: int) -> list[Case]:
    """Draws of calibration rows; none for a size that a set does not have."""
    cases = []
    for size in sizes:
        if size == "all":
            cases.append(Case(size, [score_set.calibration]))
        elif int(size) < len(score_set.calibration):
            generators = [np.random.default_rng([seed, int(size), i]) for i in range(repeats)]
            draws = [g.choice(score_set.calibration, int(size), replace=False) for g in generators]
            cases.append(Case(size, draws))
    return cases


def _measure(
    method: Method, score_set: ScoreSet, cases: list[Case], patience: float
) -> dict[str, Cell]:
    """Mean scores for each size; larger sizes are not tried once one took too long."""
    if score_set.n_classes > method.max_classes:
        return {case.size: f"K > {method.max_classes}" for case in cases}
    cells: dict[str, Cell] = {}
    for case in cases:
        start = time.process_time()
        cells[case.size] = _mean_scores(method, score_set, case.draws)
        if time.process_time() - start > patience * len(case.draws):
            break
    return {case.size: cells.get(case.size, "too slow") for case in cases}


def _mean_scores(method: Method, score_set: ScoreSet, draws: list[NDArray]) -> Cell:
    """One draw that fails fails them all: a mean over the others would flatter."""
    scores, failures = [], []
    for rows in draws:
        try:
            scores.append(_scores(method, score_set, rows))
        except Exception as error:
            failures.append(failure(error))
    if failures:
        often = f" ({len(failures)} of {len(draws)})" if scores else ""
        return failures[0] + often
    return {metric: float(np.mean([s[metric] for s in scores])) for metric in METRICS}


def _scores(method: Method, score_set: ScoreSet, rows: NDArray) -> dict[str, float]:
    model = method.make(score_set.n_classes)
    model.fit(model.prepare(score_set.logits[rows]), score_set.y[rows])
    proba = model.predict_proba(model.prepare(score_set.logits[score_set.test]))
    return judge(score_set.y[score_set.test], proba)


def _print_set(score_set: ScoreSet, sizes: list[str], cells: dict[str, dict[str, Cell]]) -> None:
    counts = f"{len(score_set.calibration)} calibration and {len(score_set.test)} test rows"
    print(f"\n## {score_set.name}: {score_set.n_classes} classes, {counts}")
    for metric in METRICS:
        rows = [
            [name, *(_text(of_size.get(size, "-"), metric) for size in sizes)]
            for name, of_size in cells.items()
        ]
        print_table(metric, ["", *(f"n = {size}" for size in sizes)], rows)


def _text(cell: Cell, metric: str) -> str:
    return cell if isinstance(cell, str) else f"{cell[metric]:.4f}"


def _print_summary(results: Results, sizes: list[str]) -> None:
    """What the sets say together, of those that have so many rows."""
    print(f"\n## {len(results)} sets together")
    names = list(next(iter(results.values())))
    summaries = {
        f"log loss over that of {BASELINE}, geometric mean": _geometric_mean_ratio,
        f"largest excess of log loss over that of {BASELINE}, nats": _largest_excess,
    }
    for title, summary in summaries.items():
        rows = [
            [name, *(_over_sets(results, name, size, summary) for size in sizes)] for name in names
        ]
        print_table(title, ["", *(_sets_that_have(size, results) for size in sizes)], rows)


def _sets_that_have(size: str, results: Results) -> str:
    tried = sum(size in cells[BASELINE] for cells in results.values())
    few = "" if tried == len(results) else f" ({tried} of {len(results)} sets)"
    return f"n = {size}{few}"


def _over_sets(results: Results, name: str, size: str, summary: Summary) -> str:
    """A method's summary, with the number of sets it is of where it is not of all."""
    tried = [cells for cells in results.values() if size in cells[BASELINE]]
    usable = [cells for cells in tried if isinstance(cells[name][size], dict)]
    few = "" if len(usable) == len(tried) else f" ({len(usable)} of {len(tried)})"
    if not usable:
        return f"-{few}"
    loss, base = (np.array([c[of][size]["log loss"] for c in usable]) for of in (name, BASELINE))
    return f"{summary(loss, base):.3f}{few}"


def _geometric_mean_ratio(loss: NDArray, base: NDArray) -> float:
    return float(np.exp(np.log(loss / base).mean()))


def _largest_excess(loss: NDArray, base: NDArray) -> float:
    return float((loss - base).max())


def _size(text: str) -> str:
    if text != "all" and not (text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"a positive number or all, not {text}")
    return text


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of .npz files")
    parser.add_argument("--sizes", nargs="+", type=_size, default=SIZES, help="n (50 ... all)")
    parser.add_argument("--repeats", type=int, default=5, help="draws of each size (5)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (0)")
    parser.add_argument(
        "--patience", type=float, default=60, help="CPU seconds a method may take for a draw (60)"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="methods whose name begins so")
    return parser.parse_args()


if __name__ == "__main__":
    main()
