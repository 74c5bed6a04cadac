"""What the report says, and what it shows."""

from __future__ import annotations

import argparse
import platform
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import skcalib
from skcalib._cli import _report_pictures as pictures
from skcalib._cli._models import (
    all_calibrated,
    as_the_model_knows,
    probabilities,
    with_progress,
)
from skcalib._cli._monitor import begun, in_time, watch
from skcalib._cli._report_rows import Parts
from skcalib._cli._report_tables import (
    Evaluation,
    classes_table,
    groups_table,
    scores_table,
    sentences,
    table_of,
)
from skcalib._response import Scores

# A longer list of classes nobody reads.
_FEW_CLASSES = 20


def content_of(options: argparse.Namespace, parts: Parts) -> dict[str, Any]:
    """Everything that the template shows."""
    known = as_the_model_knows(parts.rows.scores, parts.model)
    scores = parts.model._scores(known.at(slice(None)))
    shown = parts.shown
    weight, groups = (
        None if v is None else v[shown] for v in (parts.rows.weight, parts.rows.groups)
    )
    # Pictures refuse numbers that are not whole as groups, which are names here.
    if groups is not None and groups.dtype.kind == "f" and np.isfinite(groups).all():
        groups = groups.astype(str)
    before = probabilities(Scores(scores.values[shown], scores.method, "SCORES"))
    after = all_calibrated(parts.model, _some(known, shown))
    data = Evaluation(
        parts.rows.y[shown],
        {"before": before, "after": after},
        parts.model.classes_,
        weight,
        groups,
    )
    reports = data.reports()
    drawn = _pictures(options, parts, data, scores)
    return {
        "title": options.title,
        "subject": f"{Path(options.scores).name}: {len(shown):,} rows of "
        f"{len(data.classes):,} classes",
        "when": datetime.now().astimezone().strftime("%d %B %Y, %H:%M %Z"),
        "summary": list(sentences(data, reports)),
        "done": _done(options, parts),
        "scores": scores_table(reports),
        "classes": classes_table(data, reports),
        "groups": None if groups is None else groups_table(data, reports),
        "temperature": _temperature(parts.model),
        "contexts": table_of(parts.model.summary()) if hasattr(parts.model, "summary") else None,
        "pictures": drawn,
        "parameters": _parameters(parts.model),
        "versions": _versions(),
        "drift": _drift(options, parts, data) if options.monitor else None,
    }


def _some(rows: Any, index: NDArray) -> Any:
    context = {name: known[index] for name, known in rows.context.items()}
    return type(rows)(rows.values[index], rows.names, context)


def _pictures(
    options: argparse.Namespace, parts: Parts, data: Evaluation, scores: Scores
) -> dict[str, pictures.Picture]:
    fit = parts.shown if parts.fitted_on is None else parts.fitted_on
    weight = None if parts.rows.weight is None else parts.rows.weight[fit]
    of_fit = Scores(scores.values[fit], scores.method, "SCORES")
    where = "these rows" if parts.fitted_on is None else "the rows that it was fitted on"
    shared = (data.y, dict(data.proba), data.classes, data.weight)
    draw: dict[str, Any] = {
        "reliability": lambda: pictures.reliability(*shared),
        "decomposition": lambda: pictures.decomposition(*shared),
        "temperature": lambda: pictures.temperature(
            parts.rows.y[fit], of_fit, data.classes, weight, where
        ),
    }
    if data.groups is not None:
        for when, proba in data.proba.items():
            draw[f"groups {when}"] = lambda when=when, proba=proba: pictures.groups(
                data.y, proba, data.classes, data.weight, data.groups, when
            )
    names = list(draw)
    return {name: draw[name]() for name in with_progress(names, "pictures", options.quiet)}


def _drift(options: argparse.Namespace, parts: Parts, data: Evaluation) -> dict[str, Any]:
    """What a monitor says of the calibrated probabilities, in the order of time."""
    from skcalib.display import MonitorDisplay

    time = parts.rows.others["time"]
    order = in_time(None if time is None else time[parts.shown], len(data.y))
    monitor = begun(options, data.classes)
    regime, weight = data.groups, data.weight
    watch(monitor, data.y, data.proba["after"], regime, weight, order, quiet=True)
    by = "as they stand in the file" if options.time is None else f"by {options.time}"
    alarms = [str(alarm) for alarm in monitor.alarms_] or ["The monitor raised no alarm."]
    report = monitor.report()
    display = MonitorDisplay(
        [r | {"regime": pictures.literal(r["regime"])} for r in monitor.history()],
        evidence=monitor.history(every=1),
        alarms=list(monitor.alarms_),
        threshold=report.threshold,
    )
    return {
        "sentences": [
            f"The {len(data.y):,} rows shown, after calibration, {by}, counted from 1.",
            *alarms,
            f"Evidence against the model after the last row: {report.evidence:.3g}; an alarm is "
            f"raised at {report.threshold:g}.",
        ],
        "picture": pictures.of_display(
            display.plot(),
            "Figures of the calibrated probabilities over time, and alarms.",
            "What the calibrated probabilities lack over time; an alarm may be trusted at any row.",
        ),
        "table": replace(table_of(report), note=""),
    }


def _done(options: argparse.Namespace, parts: Parts) -> list[str]:
    name = type(parts.model).__name__
    n, n_shown = len(parts.rows), len(parts.shown)
    read = f"Scores and labels were read from {options.scores}: {n:,} rows."
    if options.labels != "-":
        read = f"Scores were read from {options.scores}, labels from {options.labels}: {n:,} rows."
    if parts.fitted_on is None:
        return [
            read,
            f"{name} was fitted earlier and read from {options.model}; all {n:,} rows are shown. "
            "The file does not say which rows it was fitted on: if these are among them, what is "
            "said here of after is too good.",
        ]
    return [
        read,
        f"{name} was fitted on {len(parts.fitted_on):,} rows, {parts.how}. All that is said of "
        f"before and after is of the other {n_shown:,} rows, which the fit has not seen.",
    ]


def _temperature(model: Any) -> str:
    if not hasattr(model, "temperature_"):
        return f"{type(model).__name__} has no single temperature."
    text = f"Scores are divided by {model.temperature_:.3g}"
    if hasattr(model, "temperature_interval_"):
        low, high = model.temperature_interval_
        text += f" (95 % interval {low:.3g} to {high:.3g})"
    reading = "overconfident" if model.temperature_ > 1 else "underconfident"
    text += f". At 1 they would stay as they are; a model that needs this is {reading}."
    if type(model).__name__ == "AdaptiveTemperatureScaling":
        return f"{text} That is the average row's: the table has each context's."
    if type(model).__name__ != "TemperatureScaling":
        return f"{text} {type(model).__name__} starts from there and does more than divide."
    return text


def _parameters(model: Any) -> list[tuple[str, str]]:
    kept = {key: value for key, value in model.get_params(deep=False).items() if value is not None}
    if len(model.classes_) > _FEW_CLASSES and "classes" in kept:
        kept["classes"] = f"{len(model.classes_):,} labels"
    return [("calibrator", type(model).__name__), *((k, str(v)) for k, v in kept.items())]


def _versions() -> list[tuple[str, str]]:
    packages = ("scikit-learn", "numpy", "scipy", "matplotlib")
    return [
        ("skcalib", skcalib.__version__),
        *((name, version(name)) for name in packages),
        ("Python", platform.python_version()),
    ]
