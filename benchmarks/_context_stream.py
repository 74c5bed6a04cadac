"""Temperatures that go on learning: from a stream whose temperature changes, and beside `fit`.

In a stream each batch is judged at the temperature served before its labels were seen.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._contexts import (
    BY_GROUP,
    ContextSet,
    adaptive,
    log_losses,
    of_rows,
    scalar,
    temperature_by_level,
    with_columns,
)
from benchmarks._report import print_table
from skcalib import TemperatureScaling

# The simulated stream: its temperatures one after the other, and rows that come before it.
TEMPERATURES = (1.0, 2.0, 0.7)
ROWS_OF_EACH, FIRST_ROWS = 2000, 300
SCALE, CLASSES, SEEDS = 4.0, 10, 10
STREAM_FORGETS = (0.98, 0.99, 0.995, 1.0)
STREAM_BATCH = 10  # one at a time gives the same to .05 %

REAL_STREAM, REAL_BATCH = "charlm_stream_drift", 20
REAL_FORGETS = (1.0, 0.999, 0.998, 0.995)

BATCHES = (1, 25, 300)
# Long enough to leave behind the rows that are kept, short enough for one row a call.
AGREEMENT_ROWS = 1000
_MOST_CLASSES = 1000


class Stream(NamedTuple):
    """Rows in order, their true temperatures, and earlier ones to begin with."""

    logits: NDArray
    y: NDArray
    temperature: NDArray
    first: tuple[NDArray, NDArray]


def online(sets: list[ContextSet]) -> None:
    _print_simulated()
    for data in sets:
        if data.name == REAL_STREAM:
            _print_real(data)
    print_table(
        f"partial_fit of {AGREEMENT_ROWS} rows, or all of fewer, beside fit of them, nothing "
        "forgotten: distance of log T over the half width of its interval; mean (worst) over "
        "contexts",
        ["set", "order", "temperature", *(f"{size} at a time" for size in BATCHES)],
        [row for data in sets for row in _agreement_rows(data)],
    )


def _print_simulated() -> None:
    table = []
    for forget in STREAM_FORGETS:
        losses = np.array([_stream_losses(seed, forget) for seed in range(SEEDS)])
        online, static, oracle = losses.mean(axis=0)
        over, below = online / oracle - 1, 1 - online / static
        worst = (losses[:, 0] / losses[:, 2]).max() - 1
        figures = f"{online:.4f}", f"{static:.4f}", f"{oracle:.4f}"
        table.append([forget, *figures, f"{over:.2%} ({worst:.2%})", f"{below:.1%}"])
    print_table(
        f"online: log loss of streams of {ROWS_OF_EACH} rows at each of T = {TEMPERATURES}, "
        f"{CLASSES} classes, logits / T of sd {SCALE:.0f}, {STREAM_BATCH} at a time; mean of "
        f"{SEEDS} (worst)",
        ["forget", "online", "not updated", "true T", "over true T", "below not updated"],
        table,
    )


def _stream_losses(seed: int, forget: float) -> tuple[float, float, float]:
    s = _stream(seed)
    model = TemperatureScaling(classes=range(CLASSES), forget=forget).fit(*s.first)
    static = model.temperature_
    served = np.empty(len(s.y))
    for rows in _batches(np.arange(len(s.y)), STREAM_BATCH):
        served[rows] = model.temperature_
        model.partial_fit(s.logits[rows], s.y[rows])
    losses = [log_losses(s.logits, s.y, t).mean() for t in (served, static, s.temperature)]
    return float(losses[0]), float(losses[1]), float(losses[2])


def _stream(seed: int) -> Stream:
    rng = np.random.default_rng(seed)
    n_rows = FIRST_ROWS + ROWS_OF_EACH * len(TEMPERATURES)
    temperature = np.concatenate(
        [np.repeat(TEMPERATURES[:1], FIRST_ROWS), np.repeat(TEMPERATURES, ROWS_OF_EACH)]
    )
    true = SCALE * rng.standard_normal((n_rows, CLASSES))
    y = (true + rng.gumbel(size=true.shape)).argmax(axis=1)
    z = true * temperature[:, None]
    z -= z.max(axis=1, keepdims=True)
    n = FIRST_ROWS
    return Stream(z[n:], y[n:], temperature[n:], (z[:n], y[:n]))


def _print_real(data: ContextSet) -> None:
    """Rows of the set are in the order of time."""
    by_source = temperature_by_level(data, data.test, alpha=0)
    known = data.log_loss(data.test, of_rows(data, data.test, by_source))
    table = []
    for forget in (None, *REAL_FORGETS):
        name = "not updated" if forget is None else f"{forget:g}"
        losses = [_real_loss(data, by_context, forget) for by_context in (False, True)]
        table.append([name, *(f"{loss:.4f}" for loss in losses)])
    print_table(
        f"{data.name}: log loss in order of time, {REAL_BATCH} at a time; one T per source in "
        f"hindsight gives {known:.4f}",
        ["forget", "one T", "by source"],
        table,
    )


def _real_loss(data: ContextSet, by_context: bool, forget: float | None) -> float:
    """Without updating for None."""
    X = with_columns(data) if by_context else data.logits
    make = adaptive if by_context else scalar
    model = make(data, forget=forget or 1.0).fit(X[data.calibration], data.y[data.calibration])
    served = np.empty(len(data.y))
    for rows in _batches(data.test, REAL_BATCH):
        served[rows] = model.predict_temperature(X[rows]) if by_context else model.temperature_
        if forget is not None:
            model.partial_fit(X[rows], data.y[rows])
    return data.log_loss(data.test, served[data.test])


def _agreement_rows(data: ContextSet) -> Iterator[list[str]]:
    if data.n_classes > _MOST_CLASSES:
        return
    n = min(AGREEMENT_ROWS, len(data.calibration))
    mixed = np.random.default_rng(0).permutation(data.calibration)[:n]
    for order, rows in (("random", mixed), ("as stored", np.sort(mixed))):
        for name, by_context in (("one T", False), ("by group", True)):
            distances = [_distance(data, rows, by_context, size) for size in BATCHES]
            yield [data.name, order, name, *distances]


def _distance(data: ContextSet, rows: NDArray, by_context: bool, size: int) -> str:
    X = with_columns(data) if by_context else data.logits
    make = adaptive if by_context else scalar
    whole = make(data).fit(X[rows], data.y[rows])
    bit_by_bit = make(data)
    for batch in _batches(rows, size):
        bit_by_bit.partial_fit(X[batch], data.y[batch], classes=range(data.n_classes))
    (one, interval), (other, _) = (_served(m, data, rows) for m in (whole, bit_by_bit))
    half_width = np.log(interval[:, 1] / interval[:, 0]) / 2
    distance = np.abs(np.log(other / one)) / half_width
    return f"{distance.mean():.3f} ({distance.max():.3f})"


def _served(model: Any, data: ContextSet, rows: NDArray) -> tuple[NDArray, NDArray]:
    """Temperatures and intervals, of each context that had rows or of the one."""
    if isinstance(model, TemperatureScaling):
        return np.array([model.temperature_]), model.temperature_interval_[None]
    _, first = np.unique(data.group[rows], return_index=True)
    X = with_columns(data, BY_GROUP)[rows[first]]
    return model.predict_temperature(X), model.predict_temperature_interval(X)


def _batches(rows: NDArray, size: int) -> Iterator[NDArray]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
