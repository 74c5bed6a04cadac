"""CPU time of temperatures by context: to fit, to serve, to learn one more row.

Called in turn with it is the same with one temperature for all rows, or a softmax of the rows.
"""

from functools import partial

import numpy as np

from benchmarks._contexts import ContextSet
from benchmarks._report import print_table
from benchmarks._synthetic import TEMPERATURE, draw
from benchmarks._timing import Call, interleaved
from skcalib import AdaptiveTemperatureScaling, TemperatureScaling
from skcalib._kernels._blocks import Logits
from skcalib._kernels._softmax import softmax

CLASSES = 10
FIT_ROWS, LEVELS = (1_000, 10_000, 100_000), (5, 50, 500)
SERVED_ROWS = 100_000
FIRST_ROWS = 1_000
REPEATS = 7


def speed(sets: list[ContextSet]) -> None:
    print_table(
        f"speed of fit, {CLASSES} classes, float32: one T, ms; ours as a multiple of it",
        ["rows", "one T, ms", *(f"{n} levels" for n in LEVELS)],
        [_fit_row(n) for n in FIT_ROWS],
    )
    print_table(
        f"speed of serving {SERVED_ROWS} rows: a softmax at one T, ms; predictions by context, and "
        "predict_proba at one T, as multiples of it; one row's temperature from a mapping, us",
        ["levels", "softmax, ms", "predict_temperature", "predict_proba", "one T", "mapping, us"],
        [_serving_row(n) for n in LEVELS],
    )
    print_table(
        f"speed of partial_fit of one row after {FIRST_ROWS}: one T, us; ours as a multiple",
        ["levels", "one T, us", "by context"],
        [_update_row(n) for n in LEVELS],
    )


def _problem(n_rows: int, n_levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and the level's number in one array, and labels."""
    logits, y = draw(n_rows, CLASSES)
    level = np.random.default_rng(n_levels).integers(0, n_levels, n_rows)
    return np.column_stack([logits, level.astype(np.float32)]), y


def _adaptive() -> AdaptiveTemperatureScaling:
    return AdaptiveTemperatureScaling(
        context=CLASSES, categorical_features=CLASSES, classes=range(CLASSES)
    )


def _fit_row(n_rows: int) -> list[str]:
    problems = {f"{n} levels": _problem(n_rows, n) for n in LEVELS}
    logits, y = draw(n_rows, CLASSES)
    calls: dict[str, Call] = {
        name: partial(_adaptive().fit, X, y) for name, (X, _) in problems.items()
    }
    one = partial(TemperatureScaling(classes=range(CLASSES)).fit, logits, y)
    seconds, ratios = interleaved(one, calls, REPEATS)
    return [f"{n_rows}", f"{1e3 * seconds:.3g}", *(f"{ratios[name]:.3g}" for name in calls)]


def _serving_row(n_levels: int) -> list[str]:
    X, y = _problem(SERVED_ROWS, n_levels)
    model = _adaptive().fit(X[:FIRST_ROWS], y[:FIRST_ROWS])
    one = TemperatureScaling(classes=range(CLASSES)).fit(X[:FIRST_ROWS, :-1], y[:FIRST_ROWS])
    logits = np.ascontiguousarray(X[:, :-1])
    calls: dict[str, Call] = {
        "temperature": partial(model.predict_temperature, X),
        "proba": partial(model.predict_proba, X),
        "one": partial(one.predict_proba, logits),
    }
    seconds, ratios = interleaved(partial(softmax, Logits(logits), TEMPERATURE), calls, REPEATS)
    mapping = partial(model.predict_temperature, {CLASSES: 1.0})
    one_row, _ = interleaved(mapping, {"again": mapping}, REPEATS)
    times = (f"{ratios[name]:.3g}" for name in calls)
    return [f"{n_levels}", f"{1e3 * seconds:.3g}", *times, f"{1e6 * one_row:.3g}"]


def _update_row(n_levels: int) -> list[str]:
    X, y = _problem(FIRST_ROWS, n_levels)
    ours = _adaptive().fit(X, y)
    one = TemperatureScaling(classes=range(CLASSES)).fit(X[:, :-1], y)
    seconds, ratios = interleaved(
        partial(one.partial_fit, X[:1, :-1], y[:1]),
        {"ours": partial(ours.partial_fit, X[:1], y[:1])},
        REPEATS,
    )
    return [f"{n_levels}", f"{1e6 * seconds:.3g}", f"{ratios['ours']:.3g}"]
