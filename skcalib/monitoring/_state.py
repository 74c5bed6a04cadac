"""A monitor's state as JSON and back: floats are written so that they read back the same."""

from __future__ import annotations

import json
from numbers import Integral
from typing import Any

import numpy as np

from skcalib._validation import check_parameters, plain_value
from skcalib.monitoring._alarm import Alarm
from skcalib.monitoring._history import Block, History

_FORMAT = "skcalib monitor"
_VERSION = 1


def state_of(monitor: Any) -> dict[str, Any]:
    """Everything that a fresh process needs to go on."""
    parameters = monitor.get_params(deep=False)
    seed = parameters["random_state"]
    if not (seed is None or isinstance(seed, Integral)):
        raise TypeError(f"to_json needs random_state to be an integer or None, got {seed!r}.")
    labels = parameters.pop("labels")
    state: dict[str, Any] = {
        "format": _FORMAT,
        "version": _VERSION,
        "parameters": {name: plain_value(value) for name, value in parameters.items()},
        "labels": None if labels is None else _labels(np.asarray(labels)),
    }
    if hasattr(monitor, "_history"):
        state["history"] = _of_history(monitor._history)
        state["alarms"] = [alarm.to_dict() for alarm in monitor.alarms_]
    if hasattr(monitor, "_detector"):
        state["classes"] = _labels(monitor.classes_)
        state["asked"] = {name: plain_value(value) for name, value in monitor._asked.items()}
        state["detector"] = monitor._detector.to_dict()
    return state


def read_state(kind: Any, text: str) -> Any:
    """The monitor whose state `text` is; `kind` is its class."""
    if not isinstance(text, str | bytes):
        raise TypeError(f"text must be what to_json wrote, got {text!r:.80}.")
    try:
        state = json.loads(text)
    except ValueError as error:
        raise ValueError(f"text must be what to_json wrote, got {text!r:.80}: {error}.") from error
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise ValueError(
            f"text must be what to_json of a CalibrationMonitor wrote, got {text!r:.80}."
        )
    if state.get("version") != _VERSION:
        raise ValueError(
            f"text has the format {state.get('version')!r}, this version reads {_VERSION}: "
            "read it with the version of skcalib that wrote it."
        )
    try:
        return _restored(kind, state)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"text is damaged: {type(error).__name__}: {error}.") from error


def _restored(kind: Any, state: dict[str, Any]) -> Any:
    if ("detector" in state or "alarms" in state) and "history" not in state:
        raise KeyError("history")
    labels = state["labels"]
    monitor = kind(**state["parameters"], labels=None if labels is None else _array(labels))
    check_parameters(monitor)
    if "history" in state:
        monitor._start(None)
        monitor._history = _history(state["history"])
        monitor.alarms_ = [Alarm.from_dict(fields) for fields in state["alarms"]]
    if "detector" in state:
        monitor.classes_ = _array(state["classes"])
        monitor._ask(state["asked"])
        monitor._detector.restore(state["detector"])
    return monitor


def _labels(labels: np.ndarray) -> dict[str, Any]:
    return {"dtype": labels.dtype.str, "values": [_plain(label) for label in labels.tolist()]}


def _array(labels: dict[str, Any]) -> np.ndarray:
    return np.array(labels["values"], dtype=labels["dtype"])


def _of_history(history: History) -> dict[str, Any]:
    return {
        "window": history.window,
        "stride": history.stride,
        "old": [_of_block(block) for block in history.old],
        "recent": [_of_block(block) for block in history.recent],
    }


def _history(state: dict[str, Any]) -> History:
    history = History(int(state["window"]))
    history.stride = int(state["stride"])
    history.old = [_block(fields) for fields in state["old"]]
    history.recent = [_block(fields) for fields in state["recent"]]
    return history


def _of_block(block: Block) -> dict[str, Any]:
    stands = block.log_evidence
    return {
        "start": block.start,
        "stop": block.stop,
        "n_unlabelled": block.n_unlabelled,
        "log_evidence": stands if np.isfinite(stands) else None,
        "sums": [[_plain(regime), block.sums[regime].tolist()] for regime in block.regimes()],
        "scalars": [
            [regime, name, block.scalars[regime, name].tolist()]
            for regime in block.regimes()
            for name in sorted(name for r, name in block.scalars if r == regime)
        ],
    }


def _block(fields: dict[str, Any]) -> Block:
    stands = fields["log_evidence"]
    return Block(
        int(fields["start"]),
        int(fields["stop"]),
        {regime: np.array(sums, dtype=float) for regime, sums in fields["sums"]},
        {(r, name): np.array(sums, dtype=float) for r, name, sums in fields["scalars"]},
        int(fields["n_unlabelled"]),
        -np.inf if stands is None else stands,
    )


def _plain(label: Any) -> Any:
    """A label that JSON gives back as it was."""
    if label is None or isinstance(label, str | bool | int | float):
        return label
    raise TypeError(f"to_json writes strings, numbers and booleans, got the label {label!r}.")
