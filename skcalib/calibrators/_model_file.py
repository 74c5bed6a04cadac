"""Fitted calibrators in files that people can read and that run nothing when loaded."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from os import PathLike
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skcalib._files import written_whole
from skcalib._kernels._adaptive import AdaptiveFit, Statistics
from skcalib._kernels._coefficients import Coefficients
from skcalib._kernels._path import Path
from skcalib._kernels._start import Start
from skcalib._kernels._temperature import TemperatureFit
from skcalib._response import RESPONSE_METHODS, Scores
from skcalib.calibrators._adaptive import AdaptiveTemperatureScaling
from skcalib.calibrators._adaptive_map import AdaptiveMap, unknown_row
from skcalib.calibrators._base import BaseCalibrator
from skcalib.calibrators._classical import (
    IsotonicCalibration,
    IsotonicMap,
    SigmoidCalibration,
    SigmoidMap,
)
from skcalib.calibrators._context import Context, ContextReader
from skcalib.calibrators._encoder import CategoryColumn, Encoder, NumberBlock
from skcalib.calibrators._ensemble_temperature import EnsembleTemperatureScaling
from skcalib.calibrators._linear import MatrixScaling, VectorScaling
from skcalib.calibrators._map import CalibrationMap
from skcalib.calibrators._method import CalibratedClassifier
from skcalib.calibrators._mixture_map import MixtureMap
from skcalib.calibrators._plain import Plain
from skcalib.calibrators._prior_shift import PriorShift, PriorShiftMap
from skcalib.calibrators._rows import CalibrationRows
from skcalib.calibrators._rules import Rules
from skcalib.calibrators._structured import StructuredScaling
from skcalib.calibrators._temperature import TemperatureMap, TemperatureScaling
from skcalib.calibrators._temperature_table import Curve, Effects, TemperatureTable

_FORMAT = "skcalib model"
_VERSION = 1

_CALIBRATORS: dict[str, type[BaseCalibrator]] = {
    made.__name__: made
    for made in (
        AdaptiveTemperatureScaling,
        CalibratedClassifier,
        EnsembleTemperatureScaling,
        IsotonicCalibration,
        MatrixScaling,
        PriorShift,
        SigmoidCalibration,
        StructuredScaling,
        TemperatureScaling,
        VectorScaling,
    )
}

# All that a fitted map is made of. What is not among these is neither written nor read.
_PLAIN = Plain(
    {
        made.__name__: made
        for made in (
            AdaptiveFit,
            AdaptiveMap,
            CalibrationRows,
            CategoryColumn,
            Coefficients,
            Context,
            ContextReader,
            Curve,
            Effects,
            Encoder,
            IsotonicMap,
            MixtureMap,
            NumberBlock,
            Path,
            PriorShiftMap,
            Rules,
            Scores,
            SigmoidMap,
            Start,
            Statistics,
            TemperatureFit,
            TemperatureMap,
            TemperatureTable,
        )
    }
)

_LINE = 88

# Larger arrays tell a reader nothing.
_FEW = 100

_OTHER_WAYS = "joblib.dump keeps any object; skops.io does so without running code when it is read."


def save_model(calibrator: Any, path: str | PathLike[str]) -> None:
    """Write a fitted calibrator of scores as JSON.

    The file can be read by people: the calibrator's name and parameters, what it shows of its fit,
    and the numbers it serves with. Reading it executes nothing. It holds every number in full, so
    that what :func:`load_model` returns predicts the same bits and goes on learning from where
    this one stands. A file of that name is replaced only when all is written.

    Parameters
    ----------
    calibrator : estimator
        Any fitted calibrator of this package that was given scores (``estimator=None``).
    path : str or path
        The file, by custom ``.json``. The largest are the maps of :class:`MatrixScaling`, about
        40 bytes for each pair of classes.

    Raises
    ------
    NotFittedError
        Before `fit`.
    TypeError
        If there is something in it that JSON cannot hold: a wrapped estimator, a rule that is a
        function, a context that a transformer makes, a splitter.
    OSError
        If the file cannot be written.

    See Also
    --------
    load_model : Its inverse.

    Examples
    --------
    >>> import tempfile
    >>> from skcalib import TemperatureScaling, load_model, save_model
    >>> from skcalib.datasets import load_logits
    >>> data = load_logits("mcq_smollm2_a")
    >>> model = TemperatureScaling().fit(data.logits, data.target)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(model, f"{folder}/model.json")
    ...     loaded = load_model(f"{folder}/model.json")
    >>> loaded.temperature_ == model.temperature_
    True
    """
    text = _layout(_document(calibrator)) + "\n"
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def load_model(path: str | PathLike[str]) -> Any:
    """Read a calibrator that :func:`save_model` wrote.

    Nothing is executed: the file names classes of a closed list and holds numbers. It is tried on
    a row of equal scores before it is returned.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    calibrator : estimator
        Fitted; it predicts what the one that was saved predicts.

    Raises
    ------
    ValueError
        If the file is no model, is damaged, or was written in a format that is newer than this
        version of the package.
    OSError
        If the file cannot be read.

    See Also
    --------
    save_model : Its inverse.

    Examples
    --------
    >>> import tempfile
    >>> from skcalib import load_model
    >>> with tempfile.NamedTemporaryFile(suffix=".json") as empty:
    ...     load_model(empty.name)
    Traceback (most recent call last):
        ...
    ValueError: ... is no model of skcalib, or a part of one: it is not JSON.
    """
    text = FilePath(path).read_bytes()
    try:
        document = json.loads(text.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is no model of skcalib, or a part of one: it is not JSON."
        ) from error
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise ValueError(f"{path} is no model of skcalib: its format is not {_FORMAT!r}.")
    version = document.get("version")
    if version != _VERSION:
        raise ValueError(
            f"{path} has version {version!r} of the format, and this skcalib reads {_VERSION}. "
            f"It was written by skcalib {document.get('skcalib')}: use that one or a newer one."
        )
    try:
        return _calibrator(document)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error!r}.") from error
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _document(calibrator: Any) -> dict[str, Any]:
    name = type(calibrator).__name__
    if _CALIBRATORS.get(name) is not type(calibrator):
        raise TypeError(f"calibrator must be one of {sorted(_CALIBRATORS)}, got {name}.")
    check_is_fitted(calibrator)
    if calibrator.estimator is not None:
        raise TypeError(
            f"calibrator wraps a {type(calibrator.estimator).__name__}, which JSON cannot hold. "
            f"{_OTHER_WAYS} Or calibrate its scores, with estimator=None."
        )
    a_map: CalibrationMap = calibrator.calibrator_
    shown = a_map.fitted_attributes()
    fitted = {
        key: value
        for key, value in vars(calibrator).items()
        if key.endswith("_") and key not in shown
    }
    try:
        return {
            "format": _FORMAT,
            "version": _VERSION,
            # The package itself, which is above this room.
            "skcalib": sys.modules["skcalib"].__version__,
            "calibrator": name,
            "parameters": _parameters_to_json(calibrator),
            # For the reader: it follows from what is fitted.
            "shown": {
                key: _PLAIN.to_json(value, key)
                for key, value in shown.items()
                if np.size(value) <= _FEW
            },
            "fitted": {key: _PLAIN.to_json(value, key) for key, value in fitted.items()},
        }
    except TypeError as error:
        raise TypeError(
            f"{error}. Rules can be given as a dict, a context as columns of X. {_OTHER_WAYS}"
        ) from error


def _parameters_to_json(calibrator: BaseCalibrator) -> dict[str, Any]:
    parameters = calibrator.get_params(deep=False)
    return {key: _parameter_to_json(value, key) for key, value in parameters.items()}


def _parameter_to_json(value: Any, name: str) -> Any:
    if isinstance(value, BaseCalibrator) and type(value) in _CALIBRATORS.values():
        return {"calibrator": type(value).__name__, "parameters": _parameters_to_json(value)}
    if name != "classes" and hasattr(value, "to_dict"):  # a Series by label
        value = value.to_dict()
    elif isinstance(value, range) or (hasattr(value, "__array__") and not np.isscalar(value)):
        value = np.asarray(value)
    return _PLAIN.to_json(value, name)


def _calibrator(document: dict[str, Any]) -> BaseCalibrator:
    calibrator = _unfitted(document)
    calibrator._check_parameters()
    fitted = {key: _PLAIN.from_json(node) for key, node in document["fitted"].items()}
    if (
        not all(key.endswith("_") and key[0] != "_" for key in fitted)
        or calibrator.estimator is not None
    ):
        raise ValueError("there is something in it that no fit leaves.")
    _refuse_odd_parts(fitted)
    calibrator._replace_fitted(fitted | fitted["calibrator_"].fitted_attributes())
    _try_on_one_row(calibrator)
    return calibrator


def _unfitted(node: Mapping[str, Any]) -> BaseCalibrator:
    parameters = {
        key: _unfitted(value)
        if isinstance(value, dict) and "calibrator" in value
        else _PLAIN.from_json(value)
        for key, value in node["parameters"].items()
    }
    if node["calibrator"] not in _CALIBRATORS:
        raise ValueError(f"there is no calibrator {node['calibrator']!r}.")
    return _CALIBRATORS[node["calibrator"]](**parameters)


def _refuse_odd_parts(fitted: dict[str, Any]) -> None:
    """What every fit on scores leaves must be there, and of its kind."""
    classes, order, columns = (
        fitted[key] for key in ("classes_", "column_order_", "n_features_in_")
    )
    if (
        not isinstance(fitted["calibrator_"], CalibrationMap)
        or not isinstance(fitted.get("context_reader_", ContextReader()), ContextReader)
        or fitted["response_method_"] not in RESPONSE_METHODS
        or type(columns) is not int
        or not np.array_equal(np.sort(order), np.arange(len(classes)))
        or not np.array_equal(classes, np.unique(classes))
    ):
        raise ValueError("its parts are not what a fit leaves.")
    reader: ContextReader = fitted.get("context_reader_", ContextReader())
    widths = {len(classes), 1} if len(classes) == 2 else {len(classes)}
    if columns - len(reader.columns) not in widths:
        raise ValueError(f"{columns} columns are not those of {len(classes)} classes.")


def _try_on_one_row(calibrator: BaseCalibrator) -> None:
    """Parts that do not go together fail here rather than in service."""
    n_classes = len(calibrator.classes_)
    row = np.full((1, n_classes), 1 / n_classes)
    if calibrator.response_method_ == "predict_log_proba":
        row = np.log(row)
    a_map = calibrator.calibrator_
    context = unknown_row(a_map.encoder) if isinstance(a_map, AdaptiveMap) else None
    proba = a_map.predict_proba(Scores(row, calibrator.response_method_, "X", context))
    if proba.shape != (1, n_classes) or not np.isclose(proba.sum(), 1, rtol=0, atol=1e-6):
        raise ValueError("it gives one row of equal scores no probabilities.")


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _layout(node: Any, indent: str = "") -> str:
    """JSON with a line for each field of what is large, and for each array."""
    if isinstance(node, dict) and not _is_short(node):
        deeper = indent + "  "
        lines = [f"{deeper}{json.dumps(k)}: {_layout(v, deeper)}" for k, v in node.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(node, list) and any(isinstance(item, dict) for item in node):
        deeper = indent + "  "
        return "[\n" + ",\n".join(deeper + _layout(v, deeper) for v in node) + f"\n{indent}]"
    return json.dumps(node, allow_nan=False)


def _is_short(node: dict[str, Any]) -> bool:
    if any(isinstance(v, dict) or (isinstance(v, list) and len(v) > _LINE) for v in node.values()):
        return False
    return len(json.dumps(node)) <= _LINE
