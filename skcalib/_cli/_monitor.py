"""``skcalib monitor``: labelled rows of a stream, watched from call to call."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from contextlib import ExitStack
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import skcalib
from skcalib._cli._errors import ALARM, OK
from skcalib._cli._evaluate import before_and_after
from skcalib._cli._models import with_progress
from skcalib._cli._rows import add_label_arguments, add_score_arguments
from skcalib._files import written_whole
from skcalib.monitoring import Alarm, CalibrationMonitor

_EXAMPLE = """examples:
  skcalib monitor today.csv --label-column truth --model model.json --state state.json
  skcalib monitor logits.npy labels.npy --question change --jsonl figures.jsonl

exit status: 0 no alarm; 1 these rows raised one, or an earlier one stands, until --restart;
2 an error"""

# So many rows are taken in at a time, between which the bar moves.
_BATCH = 10_000

# What the state says beside the monitor's own.
_SERVED_BY = "served_by"

# What a monitor is asked, if the options do not say; one that was begun knows.
QUESTION = {
    "question": "level",
    "alpha": 0.05,
    "arl": None,
    "window": 1000,
    "tolerance": 0.0,
    "n_reference": 1000,
}


def add_to(commands: Any) -> None:
    """Add the command to those of the parser."""
    parser = commands.add_parser(
        "monitor",
        help="watch a stream: figures, and an alarm that may be looked at after every row",
        description="Feed labelled rows, in the order they came, to a monitor of the probabilities "
        "that were served; print its figures and alarms. With --state it goes on from where the "
        "last call ended.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_score_arguments(parser)
    add_label_arguments(parser)
    parser.add_argument("--model", metavar="FILE", help="the model that serves, that fit wrote")
    parser.add_argument(
        "--state", metavar="FILE", help="where the monitor is kept: read if it exists, and written"
    )
    add_monitor_arguments(parser)
    parser.add_argument(
        "--regime", metavar="COLUMN", help="a route, customer or version to keep figures of"
    )
    parser.add_argument(
        "--restart",
        action="store_true",
        help="begin a new test, as after a refit; figures and the list of alarms are kept",
    )
    parser.add_argument(
        "--jsonl", metavar="FILE", help="write figures over time and alarms, a JSON object a line"
    )
    parser.set_defaults(run=_monitor)


def add_monitor_arguments(parser: Any) -> None:
    """What the monitor is asked, and in which order rows came."""
    parser.add_argument("--time", metavar="COLUMN", help="put the rows in this order first")
    parser.add_argument(
        "--question",
        choices=("level", "change"),
        help="alarm when probabilities are not calibrated, or when the model errs otherwise than "
        "on its first rows (default: level)",
    )
    for name, kind, text in (
        ("alpha", float, "share of faultless streams that ever raise an alarm, at most"),
        ("arl", float, "instead: rows from one false alarm to the next, on average at least"),
        ("window", int, "rows of the figures"),
        ("tolerance", float, "how far log T may be from 0 without being called a fault"),
        ("n-reference", int, "for change: how many rows are taken for right"),
    ):
        default = QUESTION[name.replace("-", "_")]
        said = "" if default is None else f" (default: {default})"
        parser.add_argument(f"--{name}", type=kind, metavar="NUMBER", help=f"{text}{said}")


def _monitor(options: argparse.Namespace) -> int:
    model = None if options.model is None else skcalib.load_model(options.model)
    rows, proba, classes = before_and_after(options, model, also=("regime", "time"))
    if rows.weight is not None and rows.weight.max() > 1:
        raise ValueError("--weights must be in [0, 1]: see CalibrationMonitor")
    state = _state_of(options.state)
    monitor = begun(options, classes, state)
    _refuse_another_server(options, state)
    if options.restart and hasattr(monitor, "alarms_"):
        monitor.restart()
    served = list(proba.values())[-1]
    order = in_time(rows.others["time"], len(rows))
    regime = rows.others["regime"]
    raised = watch(monitor, rows.y, served, regime, rows.weight, order, quiet=options.quiet)
    _write(options, monitor, state)
    if not options.quiet:
        print(monitor.report())
        for alarm in raised:
            print(f"ALARM {alarm}")
    # With --arl a new test begins by itself.
    return ALARM if raised or monitor.has_alarmed_ else OK


def _state_of(path: str | None) -> bytes | None:
    """What the state file holds; None if there is none yet."""
    if path is None or not os.path.exists(path):
        return None
    return Path(path).read_bytes()


def begun(
    options: argparse.Namespace, classes: Any, state: bytes | None = None
) -> CalibrationMonitor:
    """The monitor of a state, or a new one."""
    asked = {name: getattr(options, name) for name in QUESTION}
    asked = {name: value for name, value in asked.items() if value is not None}
    if state is None:
        return CalibrationMonitor(**asked, labels=classes)
    try:
        monitor = CalibrationMonitor.from_json(state.decode("utf-8"))
    except ValueError as error:
        raise ValueError(f"{options.state}: {error}") from error
    for name, value in asked.items():
        if value != getattr(monitor, name):
            raise ValueError(
                f"--{name.replace('_', '-')} {value} is not that of {options.state}, "
                f"{getattr(monitor, name)}: leave it out, or begin a new state"
            )
    return monitor


def _server(options: argparse.Namespace) -> str:
    """What made the probabilities: a test is of one model, or of scores of one kind."""
    if options.model is None:
        return f"{options.kind or 'logits'} without a model"
    return f"model {hashlib.sha256(Path(options.model).read_bytes()).hexdigest()[:16]}"


def _refuse_another_server(options: argparse.Namespace, state: bytes | None) -> None:
    known = None if state is None else json.loads(state).get(_SERVED_BY)
    if known not in {None, _server(options)} and not options.restart:
        raise ValueError(
            f"{options.state} watches {known}, not {_server(options)}: pass the same --model and "
            "--scores, begin a new test with --restart, or a new state"
        )


def watch(
    monitor: CalibrationMonitor,
    y: Any,
    proba: Any,
    regime: Any,
    weight: Any,
    order: Any,
    *,
    quiet: bool,
) -> list[Alarm]:
    """Feed rows in their order; the alarms that they raised."""
    raised: list[Alarm] = []
    batches = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]
    for some in with_progress(batches, "rows", quiet):
        raised += monitor.update(
            y[some],
            proba[some],
            regime=None if regime is None else regime[some],
            sample_weight=None if weight is None else weight[some],
        )
    return raised


def in_time(time: Any, n_rows: int) -> Any:
    """Rows by time, those of the same time as they stand; as they stand without one."""
    if time is None:
        return np.arange(n_rows)
    values = np.asarray(time)
    if values.dtype.kind not in "biufM":
        return _by_instant(values.tolist())
    unknown = np.isnat(values) if values.dtype.kind == "M" else values != values
    if unknown.any():
        raise ValueError(f"--time: row {int(unknown.argmax())} has none")
    return np.argsort(values, kind="stable")


def _by_instant(values: list[Any]) -> NDArray:
    """Order of dates and times; words as ISO 8601, since 12/31/2023 would be sorted as a word."""
    instants = [_instant(value, row) for row, value in enumerate(values)]
    try:
        return np.array(sorted(range(len(values)), key=instants.__getitem__), dtype=np.intp)
    except TypeError as error:
        raise ValueError("--time: some have a time zone and some have none") from error


def _instant(value: Any, row: int) -> datetime:
    if isinstance(value, datetime) and value == value:  # NaT is one, too
        return value
    if isinstance(value, date) and value == value:
        return datetime(value.year, value.month, value.day)
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"--time: {value!r} in row {row} is neither a number nor a time of ISO 8601, "
            "such as 2023-12-31T23:59"
        ) from error


def _state_text(options: argparse.Namespace, monitor: CalibrationMonitor) -> str:
    """Readable by `CalibrationMonitor.from_json` too."""
    return json.dumps({_SERVED_BY: _server(options), **json.loads(monitor.to_json())})


def _write(options: argparse.Namespace, monitor: CalibrationMonitor, read: bytes | None) -> None:
    """Figures and state, both whole before either takes its place.

    The state, entered last, is replaced first: if another call was quicker, neither is.
    """
    lines = (f"{line}\n" for line in monitor.to_json_lines())
    unchanged = partial(_refuse_other_state, options.state, read)
    with ExitStack() as files:
        if options.jsonl is not None:
            figures = files.enter_context(written_whole(options.jsonl))
            figures.write_text("".join(lines), encoding="utf-8")
        if options.state is not None:
            state = files.enter_context(written_whole(options.state, unchanged))
            state.write_text(_state_text(options, monitor), encoding="utf-8")


def _refuse_other_state(path: str, read: bytes | None) -> None:
    """Rows that another call has taken in meanwhile must not be lost."""
    if _state_of(path) != read:
        raise ValueError(f"{path}: was changed by another call since it was read: call again")
