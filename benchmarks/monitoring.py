"""What a calibration monitor's alarm is worth: false alarms, faults found, delays, time per row.

    python -m benchmarks.monitoring alarms      beside river's ADWIN, in one table
    python -m benchmarks.monitoring fitted      at a temperature fitted on 500 rows
    python -m benchmarks.monitoring speed       microseconds per row, and the size of the state

Streams are of 3000 rows of 10 classes whose labels are drawn from the served probabilities, and of
which the rows from 501 on have a fault:

- T: labels are drawn at that temperature of the served probabilities;
- prior shift: the odds of five of the classes double; one class: those of one class triple;
- confident errors: of rows with confidence above .9, 5 % get another label.

Question "change" first sees 1000 rows more, its reference. ADWIN is fed misses, as is usual, and,
as the calibration of each row, its miss minus the expected one.
"""

import argparse
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from benchmarks._report import print_conditions, print_table, rst_table
from benchmarks._timing import cpu_seconds, one_thread
from skcalib import TemperatureScaling
from skcalib.datasets import load_logits
from skcalib.monitoring import CalibrationMonitor

N_ROWS, N_BEFORE, N_REFERENCE, N_CLASSES = 3000, 500, 1000, 10
FAULTS = ("none", "T 1.3", "T 1.6", "T 2", "T .6", "prior shift", "confident errors", "one class")

_TABLE = Path("doc/user_guide/_alarms.inc")
_HEAD = ".. Made by python -m benchmarks.monitoring alarms --rst: edits are lost.\n\n"

Table = tuple[str, list[str], list[list[Any]]]
Draw = Callable[[np.random.Generator, int], NDArray]


def main() -> None:
    arguments = _parse_arguments()
    print_conditions()
    with one_thread():
        for name in arguments.studies or STUDIES:
            tables = STUDIES[name](arguments.streams)
            for table in tables:
                print_table(*table)
            if name == "alarms" and arguments.rst:
                text = "\n".join(rst_table(*table) for table in tables)
                arguments.rst.write_text(_HEAD + text)


# Populations of served log-probabilities, (n, 10).


def _normal(rng: np.random.Generator, n: int) -> NDArray:
    return log_softmax(rng.normal(scale=3, size=(n, N_CLASSES)), axis=1)


def _classes(rng: np.random.Generator, n: int) -> NDArray:
    """Ten Gaussian classes 2.75 apart from the origin: right in 86 % of rows."""
    x = rng.normal(size=(n, N_CLASSES))
    x[np.arange(n), rng.integers(0, N_CLASSES, n)] += 2.75
    return log_softmax(2.75 * x, axis=1)


def _peaked(rng: np.random.Generator, n: int) -> NDArray:
    """One likely class, the others about equal: right in 97 % of rows."""
    logits = rng.normal(scale=0.5, size=(n, N_CLASSES))
    logits[np.arange(n), rng.integers(0, N_CLASSES, n)] += rng.normal(7, 1.5, n)
    return log_softmax(logits, axis=1)


def _network(logits: NDArray, rng: np.random.Generator, n: int) -> NDArray:
    return log_softmax(logits[rng.integers(0, len(logits), n)], axis=1)


def populations() -> dict[str, Draw]:
    data = load_logits("mnist_cnn_shift")
    scaling = TemperatureScaling().fit(data.logits, data.target)
    logits = data.logits.astype(float) / scaling.temperature_
    return {
        "normal logits of sd 3": _normal,
        "Gaussian classes, 86 % right": _classes,
        "one likely class, 97 % right": _peaked,
        "scores of mnist_cnn_shift at their temperature": partial(_network, logits),
    }


def _labels(rng: np.random.Generator, proba: NDArray) -> NDArray:
    return (proba.cumsum(axis=1) > rng.random((len(proba), 1))).argmax(axis=1)


def stream(
    rng: np.random.Generator, draw: Draw, fault: str, before: int
) -> tuple[NDArray, NDArray]:
    """Labels and served probabilities; the fault begins after `before` rows."""
    n = before - N_BEFORE + N_ROWS
    logs = draw(rng, n)
    served = np.exp(logs)
    truth = served.copy()
    faulty = slice(before, None)
    if fault.startswith("T"):
        truth[faulty] = softmax(logs[faulty] / float(fault[2:]), axis=1)
    elif fault in {"prior shift", "one class"}:
        odds = np.ones(N_CLASSES)
        odds[: 5 if fault == "prior shift" else 1] = 2 if fault == "prior shift" else 3
        truth[faulty] *= odds
    y = _labels(rng, truth / truth.sum(axis=1, keepdims=True))
    if fault == "confident errors":
        wrong = (served.max(axis=1) > 0.9) & (rng.random(n) < 0.05) & (np.arange(n) >= before)
        best = served.argmax(axis=1)
        y[wrong] = (best[wrong] + rng.integers(1, N_CLASSES, wrong.sum())) % N_CLASSES
    return y, served


# Watchers: the row of the first alarm, or None.


def _level(y: NDArray, served: NDArray, **options: Any) -> int | None:
    alarms = CalibrationMonitor(labels=range(served.shape[1]), **options).update(y, served)
    return alarms[0].row if alarms else None


def _change(y: NDArray, served: NDArray) -> int | None:
    return _level(y, served, question="change", n_reference=N_REFERENCE)


def _adwin(signal: str, y: NDArray, served: NDArray) -> int | None:
    from river.drift import ADWIN

    values = (served.argmax(axis=1) != y).astype(float)
    if signal == "gap":
        values -= 1 - served.max(axis=1)
    detector = ADWIN()
    for row, value in enumerate(values.tolist(), start=1):
        detector.update(value)
        if detector.drift_detected:
            return row
    return None


def alarms(n_streams: int) -> list[Table]:
    watchers = {
        "level": (_level, N_BEFORE),
        "change": (_change, N_BEFORE + N_REFERENCE),
        "ADWIN of misses": (partial(_adwin, "miss"), N_BEFORE),
        "ADWIN of miss - expected": (partial(_adwin, "gap"), N_BEFORE),
    }
    tables = []
    for name, draw in populations().items():
        rows = []
        for fault in FAULTS:
            cells = [_cell(watch, draw, fault, at, n_streams) for watch, at in watchers.values()]
            rows.append([fault, *cells])
        title = f"{name}: share of {n_streams} streams that alarm / median delay in rows"
        tables.append((title, ["fault from row 501 on", *watchers], rows))
    return tables


def _cell(watch: Any, draw: Draw, fault: str, before: int, n_streams: int) -> str:
    """Without a fault, alarms of the whole stream; else those after it, and early ones apart."""
    rows = []
    for seed in range(n_streams):
        y, served = stream(np.random.default_rng(seed), draw, fault, before)
        rows.append(watch(y, served))
    raised = np.array([row for row in rows if row is not None])
    if fault == "none":
        return f"{len(raised) / n_streams:.3f}"
    late = raised[raised > before] - before
    n_possible = n_streams - (len(raised) - len(late))
    median = f" / {np.median(late):.0f}" if len(late) else ""
    return f"{len(late) / n_possible:.2f}{median}"


def fitted(n_streams: int) -> list[Table]:
    """A temperature is fitted on 500 rows and served: exact or with the tolerance for it."""
    rows = []
    for T in (1.0, 1.3, 1.6, 2.0):
        exact, tolerant = [], []
        for seed in range(n_streams):
            rng = np.random.default_rng(seed)
            logs = _normal(rng, 500 + N_ROWS)
            truth = softmax(logs / np.where(np.arange(len(logs)) < 1000, 1, T)[:, None], axis=1)
            y = _labels(rng, truth)
            scaling = TemperatureScaling().fit(logs[:500], y[:500])
            served = scaling.predict_proba(logs[500:])
            error = np.log(scaling.temperature_interval_[1] / scaling.temperature_) / 1.96
            exact.append(_level(y[500:], served))
            tolerant.append(_level(y[500:], served, tolerance=2 * error))
        rows.append([f"{T:g}", *(_summary(some, T == 1) for some in (exact, tolerant))])
    title = (
        f"T fitted on 500 rows, then {N_ROWS} served rows, T changed at 501: {n_streams} streams"
    )
    return [(title, ["true T", "tolerance 0", "tolerance 2 se"], rows)]


def _summary(rows: list[int | None], is_null: bool) -> str:
    raised = np.array([row for row in rows if row is not None])
    if is_null:
        return f"{len(raised) / len(rows):.3f}"
    late = raised[raised > N_BEFORE] - N_BEFORE
    early = len(raised) - len(late)
    return f"{len(late) / len(rows):.2f} / {np.median(late):.0f} (early {early / len(rows):.2f})"


def speed(_: int) -> list[Table]:
    """Updates in batches, and what a monitor weighs after a hundred thousand rows."""
    rows = []
    for n_classes, batch in ((2, 1000), (10, 1000), (10, 100), (10, 1), (100, 1000), (1000, 1000)):
        rng = np.random.default_rng(0)
        logs = log_softmax(rng.normal(scale=3, size=(batch, n_classes)), axis=1)
        served = np.exp(logs)
        y = _labels(rng, served)
        cells = []
        for question in ("level", "change"):
            monitor = CalibrationMonitor(question, labels=range(n_classes))
            for _ in range(1100 // batch + 1):
                monitor.update(y, served)
            call = partial(monitor.update, y, served)
            seconds = np.median([cpu_seconds(call, 5) for _ in range(21)])
            cells.append(f"{seconds / batch * 1e6:.2f}")
        rows.append([n_classes, batch, *cells])
    costs = ("microseconds of CPU per row", ["classes", "batch", "level", "change"], rows)
    rows = []
    for n_regimes in (1, 5):
        monitor = CalibrationMonitor(labels=range(10))
        rng = np.random.default_rng(0)
        for _ in range(100):
            served = np.exp(_normal(rng, 1000))
            regime = rng.integers(0, n_regimes, 1000)
            monitor.update(_labels(rng, served), served, regime=regime)
        sizes = (len(pickle.dumps(monitor)), len(monitor.to_json()))
        rows.append([n_regimes, *(f"{size / 1e3:.0f}" for size in sizes)])
    return [costs, ("kB of state after 100 000 rows", ["regimes", "pickle", "JSON"], rows)]


STUDIES = {"alarms": alarms, "fitted": fitted, "speed": speed}


def _study(text: str) -> str:
    if text not in STUDIES:
        raise argparse.ArgumentTypeError(f"one of {', '.join(STUDIES)}, not {text}")
    return text


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.monitoring",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("studies", nargs="*", type=_study, metavar="STUDY", help="all by default")
    parser.add_argument("--streams", type=int, default=200, help="of each kind (%(default)s)")
    parser.add_argument(
        "--rst",
        nargs="?",
        type=Path,
        const=_TABLE,
        metavar="FILE",
        help=f"write the tables of alarms for the user guide too ({_TABLE})",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
