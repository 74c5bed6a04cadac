"""``skcalib evaluate``: a table of how good probabilities are, before and after a model."""

from __future__ import annotations

import argparse
import json
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

import skcalib
from skcalib._cli._errors import OK
from skcalib._cli._models import (
    RESPONSE_METHODS,
    all_calibrated,
    as_the_model_knows,
    ask_for_context,
    columns_for,
    probabilities,
    uncalibrated,
)
from skcalib._cli._rows import LabelledRows, add_label_arguments, add_score_arguments, read_labelled
from skcalib._validation import look_like_probabilities
from skcalib.metrics import CalibrationReport, ReportRow, calibration_report

_EXAMPLE = """examples:
  skcalib evaluate logits.npy labels.npy
  skcalib evaluate scores.csv --label-column truth --groups site --model model.json --json"""


def add_to(commands: Any) -> None:
    """Add the command to those of the parser."""
    parser = commands.add_parser(
        "evaluate",
        help="print log loss, accuracy and calibration errors, with intervals",
        description="Print how good probabilities are, and with --model how good they are after "
        "calibration. Rows that the model was fitted on flatter it.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_score_arguments(parser)
    add_label_arguments(parser, groups="--groups")
    parser.add_argument("--model", metavar="FILE", help="a model that fit wrote")
    parser.add_argument("--json", action="store_true", help="print JSON, for machines")
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    model = None if options.model is None else skcalib.load_model(options.model)
    rows, proba, classes = before_and_after(options, model)
    reports = {
        when: calibration_report(
            rows.y, p, groups=rows.groups, sample_weight=rows.weight, labels=classes
        )
        for when, p in proba.items()
    }
    if options.json:
        print(json.dumps({when: _plain(report) for when, report in reports.items()}, indent=2))
        return OK
    for when, report in reports.items():
        if len(reports) > 1:
            print(f"{when.capitalize()} calibration")
        print(report, end="\n\n" if when != list(reports)[-1] else "\n")
    return OK


def before_and_after(
    options: argparse.Namespace, model: Any, also: tuple[str, ...] = ()
) -> tuple[LabelledRows, dict[str, NDArray], NDArray]:
    """Rows, their probabilities before and, with a model, after it, and the sorted classes."""
    if model is None:
        rows = read_labelled(options, also=also)
        scores, classes = uncalibrated(rows, options.kind)
        if options.kind is None and look_like_probabilities(scores.values):
            raise ValueError(
                f"every row of {options.scores} looks like probabilities, but scores are read as "
                "logits: say --scores probabilities, or --scores logits if they do hold logits"
            )
        return rows, {"before": probabilities(scores)}, classes
    rows = read_for(model, options, also)
    known = as_the_model_knows(rows.scores, model)
    values = rows.scores.values
    if model.response_method_ == RESPONSE_METHODS["logits"] and look_like_probabilities(values):
        warnings.warn(
            f"every row of {options.scores} looks like probabilities, but the model reads logits: "
            "were they calibrated before?",
            UserWarning,
            stacklevel=2,
        )
    proba = {
        "before": probabilities(model._scores(known.at(slice(None)))),
        "after": all_calibrated(model, known),
    }
    return rows, proba, model.classes_


def read_for(model: Any, options: argparse.Namespace, also: tuple[str, ...]) -> LabelledRows:
    """Labelled rows of scores that a model was fitted to read."""
    for option, value in (("--scores", options.kind), ("--classes", options.classes)):
        if value is not None:
            raise ValueError(f"{option} was said when the model was fitted: leave it out")
    ask_for_context(options, model)
    rows = read_labelled(options, columns_for(model), also)
    unknown = np.setdiff1d(rows.y, model.classes_)
    if len(unknown):
        raise ValueError(f"the label {unknown[0]} is not among the model's classes")
    return rows


def _plain(report: CalibrationReport) -> dict[str, Any]:
    return {
        "n_samples": report.n_samples,
        "n_classes": report.n_classes,
        "confidence_level": report.confidence_level,
        "rows": _records(report.rows),
        "classes": _records(report.classes),
        "groups": _records(report.groups),
    }


def _records(rows: list[ReportRow]) -> list[dict[str, Any]]:
    return [row._asdict() for row in rows]
