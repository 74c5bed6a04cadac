"""CPU time and memory of fitting a temperature and of serving probabilities, in float32.

For every shape a data set is drawn whose temperature is known. Every method is fitted on it and
asked for the probabilities of the same rows. Printed are:

- ours, in milliseconds of CPU and in exp passes: one np.exp over the data in blocks that stay in
  the cache, about the least that looking at every score can cost;
- others' CPU time as a multiple of ours: above 1 we are faster. scikit-learn stands there twice,
  as its public class and as the bare model inside it: quote the smaller of the two;
- memory allocated beyond the input and the returned array, as far as tracemalloc sees it (it
  does not see torch's);
- the relative error of the fitted temperature against a fit in extended precision; alpha=1, the
  default, means to differ a little.

Every library is held to one thread. Calls are measured in turn (ours, theirs, ours, theirs ...);
figures are medians.
"""

import argparse
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special
from sklearn.utils import extmath

from benchmarks._methods import Calibrator, Method, methods
from benchmarks._report import print_conditions, print_table
from benchmarks._synthetic import TEMPERATURE, draw, exact_temperature, exp_pass
from benchmarks._timing import Call, extra_mib, failure, interleaved, one_thread

SHAPES = (
    (10_000, 10),
    (100_000, 10),
    (1_000_000, 2),
    (50_000, 1_000),
    (1_000, 50_257),
    (500, 128_000),
)
QUICK_SHAPES = ((10_000, 10), (100_000, 10), (2_000, 1_000))

EXAMPLES = """examples:
  python -m benchmarks.speed                              some twenty minutes
  python -m benchmarks.speed --quick                      under a minute
  python -m benchmarks.speed --shapes 50000x1000 --repeats 9
  python -m benchmarks.speed --only skcalib scikit-learn
  python -m benchmarks.speed --family isotonic --shapes 10000x10 100000x2
"""

Column = dict[str, float | str]  # what one shape gave, by row of the table; or why nothing


class Results(NamedTuple):
    """One column for each of the tables."""

    fit: Column
    predict: Column
    fit_memory: Column
    predict_memory: Column
    error: Column


def main() -> None:
    arguments = _parse_arguments()
    shapes = arguments.shapes or (QUICK_SHAPES if arguments.quick else SHAPES)
    repeats = arguments.repeats or (3 if arguments.quick else 5)
    candidates = methods(arguments.only and ["skcalib", *arguments.only], arguments.family)
    print_conditions()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = [_measure(shape, candidates, repeats) for shape in shapes]

    titles = Results(
        "fit: CPU time, others' as a multiple of ours",
        "predict_proba: CPU time, others' as a multiple of ours",
        "fit: extra memory, MiB",
        "predict_proba: extra memory, MiB",
        "temperature: relative distance from the exact maximum likelihood (with the prior that "
        "alpha=1 stands for, most of it is meant)",
    )
    for title, columns in zip(titles, zip(*results, strict=True), strict=True):
        rows = list(dict.fromkeys(name for column in columns for name in column))
        if rows:
            cells = [[name, *(_cell(c.get(name, "-")) for c in columns)] for name in rows]
            print_table(title, ["", *(f"{n} x {k}" for n, k in shapes)], cells)


def _measure(shape: tuple[int, int], candidates: list[Method], repeats: int) -> Results:
    """All that is asked of one shape; the first of the candidates is the reference."""
    print("measuring {} x {} ...".format(*shape), file=sys.stderr, flush=True)
    logits, y = draw(*shape)
    entered, absent = _enter(candidates, logits)
    fits = {name: partial(model.fit, scores, y) for name, (model, scores) in entered.items()}
    with one_thread():
        fit_times = _compare(fits, logits, repeats)
        absent |= {name: why for name, why in fit_times.items() if isinstance(why, str)}
        fitted = [name for name in fits if name not in absent]
        serve = {name: partial(entered[name][0].predict_proba, entered[name][1]) for name in fitted}
        traced = [m.name for m in candidates if m.traced and m.name in fitted]
        return Results(
            fit=fit_times | absent,
            predict=_compare(serve | _plain_softmaxes(logits), logits, repeats) | absent,
            fit_memory={name: extra_mib(fits[name]) for name in traced},
            predict_memory={name: extra_mib(serve[name]) for name in traced},
            error=_errors({name: entered[name][0] for name in fitted}, logits, y),
        )


def _enter(
    candidates: list[Method], logits: NDArray
) -> tuple[dict[str, tuple[Calibrator, Any]], Column]:
    """Unfitted calibrators with the scores as they take them; and why others are left out."""
    entered, absent = {}, {}
    for method in candidates:
        if logits.size > method.max_elements:
            absent[method.name] = "not tried"
            continue
        try:
            model = method.make(logits.shape[1])
            entered[method.name] = model, model.prepare(logits)
        except Exception as error:
            absent[method.name] = failure(error)
    return entered, absent


def _compare(calls: dict[str, Call], logits: NDArray, repeats: int) -> Column:
    """Ours in milliseconds and in exp passes, and the ratio of every other call to ours."""
    ours, *names = calls
    others = {"exp pass": partial(exp_pass, logits)} | {name: calls[name] for name in names}
    seconds, ratios = interleaved(calls[ours], others, repeats)
    passes = 1 / ratios.pop("exp pass")
    return {f"{ours}, ms": 1000 * seconds, f"{ours}, exp passes": passes} | ratios


def _plain_softmaxes(logits: NDArray) -> dict[str, Callable[[], NDArray]]:
    """What one would write by hand to serve softmax(z / T)."""
    temperature = np.float32(TEMPERATURE)
    return {
        "scipy.special.softmax": lambda: special.softmax(logits / temperature, axis=1),
        "sklearn.utils.extmath.softmax": lambda: extmath.softmax(logits / temperature, copy=False),
    }


def _errors(models: dict[str, Calibrator], logits: NDArray, y: NDArray) -> Column:
    """Relative errors of the temperatures fitted by maximum likelihood, if there are any."""
    found = {name: model.temperature for name, model in models.items() if model.temperature}
    if not found:
        return {}
    exact = exact_temperature(logits, y)
    return {name: f"{abs(temperature / exact - 1):.0e}" for name, temperature in found.items()}


def _cell(value: float | str) -> str:
    """Three digits, and no exponent."""
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _shape(text: str) -> tuple[int, int]:
    n_rows, n_classes = text.lower().split("x")
    return int(n_rows), int(n_classes)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--shapes", nargs="+", type=_shape, metavar="NxK", help="rows x classes")
    parser.add_argument("--repeats", type=int, help="measurements of each method (5)")
    parser.add_argument("--quick", action="store_true", help="small shapes, 3 measurements")
    parser.add_argument(
        "--family",
        choices=("temperature", "sigmoid", "isotonic"),
        default="temperature",
        help="which methods, that do the same thing (temperature)",
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="methods whose name begins so")
    return parser.parse_args()


if __name__ == "__main__":
    main()
