"""Test scores of calibrated probabilities, on real classifiers' outputs.

Every method is fitted on n of a set's calibration rows, drawn without replacement and the same for
all methods, and judged on all test rows: log loss (nats), Brier score (summed over classes),
top-label calibration error in 15 bins and accuracy, each by one function for all; and CPU seconds
of the fit stand beside them. Figures are means over draws; "all" is all calibration rows, once.
Scores are given in float64, without weights. The log loss takes a probability below 2.2e-16 for
that much, as scikit-learn's does: a class that a method calls impossible costs 36 nats, and one
such row in a hundred .36. Without that rule some methods' mean would be infinite.

The tables that follow sum up over pairs of a set and a size: ratios of log loss to the
uncalibrated model's and to other packages', how often the smaller is ours, the worst case, losses
of those whom calibration harmed, accuracy, and seconds. A set whose calibration rows know one
degree of shift of several (`mnist_cnn_shift`) is also judged degree by degree.

A method that raises shows as "fails" with the error's name. What is compared with it is then
counted over the pairs where both have a number, and their number is said. Judge by log loss or
Brier score: predicting the base rate has no calibration error and no skill.

The tables and the figure of the user guide are made by

    python -m benchmarks.quality --data path/to/npz --repeats 10 --output draws.json --rst

in half an hour. With `--from draws.json --rst` they are made again without fitting anything.
"""

import argparse
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._documents import write_documents
from benchmarks._draws import SECONDS, WHOLE, Results
from benchmarks._learning_curves import CURVE_SIZES, LEAST_ROWS
from benchmarks._methods import BASELINE, Method, methods
from benchmarks._report import conditions
from benchmarks._score_sets import ScoreSet, judge, packaged_sets, sets_in
from benchmarks._summary import print_set, print_summary
from benchmarks._timing import failure, one_thread

SIZES = ("50", "100", "500", "2000", "all")

# Where the tables and the figure belong.
_GUIDE = Path("doc/user_guide")

EXAMPLES = """examples:
  python -m benchmarks.quality                        five sets
  python -m benchmarks.quality --data path/to/npz     every .npz with logits, y and split
  python -m benchmarks.quality --only skcalib scikit-learn --sizes 100 all --repeats 20
  python -m benchmarks.quality --from draws.json      the tables alone
"""


class Case(NamedTuple):
    """Calibration rows of one size, and every draw of them."""

    n: int
    draws: list[NDArray]


def main() -> None:
    arguments = _parse_arguments()
    results = Results.load(arguments.load) if arguments.load else _measure_all(arguments)
    print("\n- ".join(results.conditions))
    for name in results.sets:
        print_set(results, name, arguments.sizes)
    print_summary(results, arguments.sizes, arguments.without)
    if arguments.rst:
        write_documents(results, arguments.sizes, arguments.without, arguments.rst)


def _measure_all(arguments: argparse.Namespace) -> Results:
    sets = sets_in(arguments.data) if arguments.data else packaged_sets()
    if not sets:
        raise SystemExit(f"There is no .npz file in {arguments.data}.")
    candidates = methods(arguments.only and [BASELINE, *arguments.only])
    results = Results(conditions(), {}, [])
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _warm_up(candidates)
        for score_set in sets:
            results.sets[score_set.name] = _counts(score_set)
            for method in candidates:
                results.draws += _measure(method, score_set, arguments)
                if arguments.output:
                    results.save(arguments.output)
            _say(f"{score_set.name}: {time.process_time():.0f} s of CPU so far")
    return results


def _counts(score_set: ScoreSet) -> dict[str, int]:
    rows = {"calibration": len(score_set.calibration), "test": len(score_set.test)}
    return {"classes": score_set.n_classes, **rows}


def _warm_up(candidates: list[Method]) -> None:
    """What a package imports or compiles at its first fit is not the first set's cost."""
    rng = np.random.default_rng(0)
    logits, y = rng.standard_normal((60, 2)), np.arange(60) % 2
    for method in candidates:
        with suppress(Exception):  # shows where it is measured
            model = method.make(2)
            scores = model.prepare(logits)
            model.fit(scores, y)
            model.predict_proba(scores)


def _cases(score_set: ScoreSet, arguments: argparse.Namespace) -> list[Case]:
    """Draws of calibration rows, small sizes first; none for a size that a set does not have."""
    n_rows = len(score_set.calibration)
    sizes = {n_rows if size == "all" else int(size) for size in arguments.sizes}
    if arguments.rst and n_rows >= LEAST_ROWS:
        sizes |= set(CURVE_SIZES)
    cases = []
    for n in sorted(size for size in sizes if size <= n_rows):
        seeds = [[arguments.seed, n, i] for i in range(arguments.repeats)]
        if n == n_rows:
            draws = [score_set.calibration]
        else:
            rngs = map(np.random.default_rng, seeds)
            draws = [rng.choice(score_set.calibration, n, replace=False) for rng in rngs]
        cases.append(Case(n, draws))
    return cases


def _measure(
    method: Method, score_set: ScoreSet, arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """Scores of every draw; larger sizes are not tried once one took too long."""
    draws: list[dict[str, Any]] = []
    label = {"set": score_set.name, "method": method.name, "part": WHOLE}
    why = "" if score_set.n_classes <= method.max_classes else f"K > {method.max_classes}"
    for n, draws_of_rows in _cases(score_set, arguments):
        if why:
            draws.append({**label, "n": n, "repeat": 0, "failure": why})
            continue
        start = time.process_time()
        for repeat, rows in enumerate(draws_of_rows):
            for scores in _scores(method, score_set, rows):
                draws.append({**label, "n": n, "repeat": repeat, **scores})
        seconds = (time.process_time() - start) / len(draws_of_rows)
        why = "too slow" if seconds > arguments.patience else ""
        if seconds > 1:
            _say(f"{score_set.name}, {method.name}, n = {n}: {seconds:.1f} s a draw")
    return draws


def _scores(method: Method, score_set: ScoreSet, rows: NDArray) -> list[dict[str, Any]]:
    """Of all test rows, and of each degree of shift."""
    try:
        model = method.make(score_set.n_classes)
        scores = model.prepare(score_set.logits[rows])
        start = time.process_time()
        model.fit(scores, score_set.y[rows])
        seconds = time.process_time() - start
        proba = model.predict_proba(model.prepare(score_set.logits[score_set.test]))
        y = score_set.y[score_set.test]
        parts = [(WHOLE, np.ones(len(y), dtype=bool))]
        if score_set.shift is not None:
            shift = score_set.shift[score_set.test]
            parts += [(str(degree), shift == degree) for degree in np.unique(shift)]
        return [{"part": p, SECONDS: seconds, **judge(y[of], proba[of])} for p, of in parts]
    except Exception as error:
        return [{"failure": failure(error)}]


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


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
    parser.add_argument(
        "--without",
        default="langid_udhr",
        metavar="NAME",
        help="a set so far from calibrated that means are also shown without it (langid_udhr)",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="keep every draw here (.json)")
    parser.add_argument(
        "--from", nargs="+", type=Path, dest="load", metavar="FILE", help="tables of such files"
    )
    parser.add_argument(
        "--rst",
        nargs="?",
        type=Path,
        const=_GUIDE,
        metavar="DIR",
        help=f"fit the sizes of learning curves too, and write tables and figure ({_GUIDE})",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
