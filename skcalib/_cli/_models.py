"""Calibrators as commands make, load and apply them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import skcalib
from skcalib._cli._rows import RESPONSE_METHODS, LabelledRows, ScoreRows
from skcalib._kernels._softmax import softmax
from skcalib._response import Scores

METHODS = {
    "temperature": skcalib.TemperatureScaling,
    "adaptive": skcalib.AdaptiveTemperatureScaling,
    "structured": skcalib.StructuredScaling,
    "ensemble-temperature": skcalib.EnsembleTemperatureScaling,
    "vector": skcalib.VectorScaling,
    "matrix": skcalib.MatrixScaling,
    "sigmoid": skcalib.SigmoidCalibration,
    "isotonic": skcalib.IsotonicCalibration,
    "prior-shift": skcalib.PriorShift,
}

# So many probabilities are worked on at a time: 32 MB in float64.
_BLOCK = 2**22

# A bar for less than so many blocks would be gone before it is read.
_FEW_BLOCKS = 4


def add_method_arguments(parser: Any) -> None:
    """Which calibrator, with what parameters."""
    parser.add_argument(
        "--method",
        choices=METHODS,
        help="the calibrator (default: temperature; with --context adaptive)",
    )
    parser.add_argument(
        "--parameter",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a parameter of the calibrator, its value as JSON or a word; may be repeated",
    )


def fitted(options: Any, rows: LabelledRows, some: Any = slice(None)) -> Any:
    """The calibrator asked for, fitted on some of the rows."""
    method = options.method or ("adaptive" if rows.scores.context else "temperature")
    parameters = dict(map(_parameter, options.parameter))
    if options.kind is not None:
        parameters["response_method"] = RESPONSE_METHODS[options.kind]
    if rows.classes is not None:
        parameters["classes"] = rows.classes
    if rows.scores.context:
        if method != "adaptive":
            raise ValueError(f"--context is for --method adaptive, not {method}")
        parameters["context"] = list(rows.scores.context)
    made = METHODS[method]
    unknown = sorted(set(parameters) - set(made().get_params()))
    if unknown:
        raise ValueError(f"{made.__name__} has no parameter {', '.join(unknown)}")
    weight, clusters = (None if v is None else v[some] for v in (rows.weight, rows.clusters))
    return made(**parameters).fit(
        rows.scores.at(some), rows.y[some], sample_weight=weight, groups=clusters
    )


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--parameter must be NAME=VALUE, got {text}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def score_names(model: Any) -> list[str] | None:
    """Names of the columns of scores that a model was fitted on; None if they had none."""
    if not hasattr(model, "feature_names_in_"):
        return None
    context = context_names(model)
    return [name for name in model.feature_names_in_.tolist() if name not in context]


def columns_for(model: Any) -> list[str]:
    """Columns of a table that hold the scores of a model: as it knows them, or by its classes."""
    in_order = model.classes_[np.argsort(model.column_order_)]
    return score_names(model) or [str(label) for label in in_order.tolist()]


def context_names(model: Any) -> list[str]:
    """Columns of the context that a model reads."""
    reader = getattr(model, "context_reader_", None)
    return [] if reader is None else list(reader.columns)


def ask_for_context(options: Any, model: Any) -> None:
    """Have the context read that a model needs, by its names where no option says where from."""
    wanted = context_names(model)
    if not options.context:
        options.context = list(wanted)
    if len(options.context) != len(wanted):
        raise ValueError(
            f"the model reads {len(wanted)} columns of context ({', '.join(wanted)}), --context "
            f"names {len(options.context)}"
        )


def as_the_model_knows(rows: ScoreRows, model: Any) -> ScoreRows:
    """The same rows under the names that the model was fitted with."""
    context = dict(zip(context_names(model), rows.context.values(), strict=True))
    names = score_names(model)
    width = 1 if rows.values.ndim == 1 else rows.values.shape[1]
    if names is not None and len(names) != width:
        raise ValueError(f"the model was fitted on {len(names)} columns of scores, not {width}")
    return ScoreRows(rows.values, names, context)


def calibrated(model: Any, rows: ScoreRows, quiet: bool) -> Iterator[NDArray]:
    """Probabilities of the model, block by block; a bad row is named as in the file."""
    size = max(1, _BLOCK // max(1, len(model.classes_)))
    blocks = [slice(start, start + size) for start in range(0, len(rows), size)]
    for block in with_progress(blocks, "rows", quiet):
        try:
            yield model.predict_proba(rows.at(block))
        except ValueError:
            if len(blocks) > 1:
                model._scores(rows.at(slice(None))).refuse_bad_rows()
            raise


def all_calibrated(model: Any, rows: ScoreRows) -> NDArray:
    """Probabilities of the model, (n, K)."""
    return np.concatenate(list(calibrated(model, rows, quiet=True)))


def probabilities(scores: Scores) -> NDArray:
    """What the model says before calibration, (n, K)."""
    scores.refuse_bad_rows()
    if scores.are_logits:
        return softmax(scores.source(), 1.0)
    return np.exp(scores.values) if scores.method == "predict_log_proba" else scores.values


def uncalibrated(rows: LabelledRows, kind: str | None) -> tuple[Scores, NDArray]:
    """Scores where there is no model that knows how to read them, and their sorted classes."""
    method = RESPONSE_METHODS[kind or "logits"]
    reader = skcalib.TemperatureScaling(response_method=method, classes=rows.classes)
    values = ScoreRows(rows.scores.values).at(slice(None))
    read, learned = reader._read_rows(values, rows.y, None, None, {}, rows.classes)
    return read.scores, learned["classes_"]


def with_progress(items: list[Any], unit: str, quiet: bool) -> Any:
    """The same, with a bar on stderr where somebody is looking."""
    if quiet or len(items) < _FEW_BLOCKS or not sys.stderr.isatty():
        return items
    try:
        from tqdm import tqdm
    except ImportError:  # a bar is no reason to stop
        return items
    return tqdm(items, unit=f" blocks of {unit}", leave=False)
