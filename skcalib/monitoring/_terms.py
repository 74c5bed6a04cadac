"""What a monitor keeps of a row: numbers that are added up."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import FEW_CLASSES, quiet_arithmetic, row_blocks, row_sum
from skcalib._kernels._brier import squared_error
from skcalib._kernels._temperature_sums import (
    BETAS,
    N_SUMS,
    FoundTemperature,
    sums_of_rows,
    temperature_of_sums,
)
from skcalib._validation import Predictions
from skcalib.metrics._log_loss import log_losses

# Columns of the sums; behind them stand those that the temperature is found by.
ROWS, WEIGHT, LOSS, BRIER, HITS, CONFIDENCE, UNLABELLED, EXPECTED = range(8)
_OF_TEMPERATURE = 8
N_TERMS = _OF_TEMPERATURE + N_SUMS

# Of the normal prior on log T, as in TemperatureScaling: few rows leave T near 1.
_ALPHA = 1.0
_NORMAL_QUANTILE = 1.959963984540054


class Outcomes(NamedTuple):
    """How the predictions of n rows came out."""

    y_index: NDArray  # (n,)
    confidence: NDArray  # (n,), in its own precision: float32's .8 is on the edge .8
    miss: NDArray  # (n,), bool: the likeliest class, the first on ties, was not the true one
    weight: NDArray | None  # (n,), float64


def outcomes_of(checked: Predictions) -> Outcomes:
    """Confidences and misses of labelled rows."""
    best = checked.proba.argmax(axis=1)
    confidence = checked.proba[np.arange(len(best)), best]
    return Outcomes(checked.y_index, confidence, best != checked.y_index, checked.weight)


def rows_of(checked: Predictions, rows: slice) -> Predictions:
    """Some of the rows."""
    weight = None if checked.weight is None else checked.weight[rows]
    return checked._replace(y_index=checked.y_index[rows], proba=checked.proba[rows], weight=weight)


def log_probabilities(proba: NDArray, rows: slice) -> NDArray:
    """Logarithms of some rows, laid out as kernels want them; -inf for 0.

    Rows that sum to one but for rounding are made to: bets against 999 in 1000 would win by that
    alone, row after row.
    """
    block = proba[rows].astype(np.float64, order="F" if proba.shape[1] <= FEW_CLASSES else "C")
    np.maximum(block, 0, out=block)
    block /= row_sum(block)[:, None]
    return np.log(block, out=block)


def terms_of_rows(checked: Predictions, outcomes: Outcomes) -> NDArray:
    """Terms (n, N_TERMS) of labelled rows, as they are added up."""
    n_rows, n_classes = checked.proba.shape
    terms = np.zeros((n_rows, N_TERMS))
    terms[:, [ROWS, WEIGHT]] = 1
    terms[:, LOSS] = log_losses(checked)
    terms[:, BRIER] = squared_error(checked.proba, checked.y_index)
    terms[:, HITS] = ~outcomes.miss
    terms[:, CONFIDENCE] = outcomes.confidence
    with quiet_arithmetic(n_classes):
        for rows in row_blocks(n_rows, n_classes):
            logs = log_probabilities(checked.proba, rows)
            terms[rows, _OF_TEMPERATURE:] = sums_of_rows(logs, checked.y_index[rows])
    if outcomes.weight is not None:
        terms[:, WEIGHT:] *= outcomes.weight[:, None]
        terms[:, -len(BETAS) :] *= outcomes.weight[:, None]  # squares of slopes
    return terms


def terms_without_labels(proba: NDArray) -> NDArray:
    """Terms (n, N_TERMS) of rows whose labels are not known yet."""
    terms = np.zeros((len(proba), N_TERMS))
    terms[:, UNLABELLED] = 1
    terms[:, EXPECTED] = proba.max(axis=1)
    return terms


def temperature_of(sums: NDArray) -> FoundTemperature:
    """Where the log loss of the rows behind the sums (N_TERMS,) is least."""
    slopes, curvatures, squares = sums[_OF_TEMPERATURE:].reshape(3, len(BETAS))
    return temperature_of_sums(slopes, curvatures, squares, float(sums[WEIGHT]), _ALPHA)


def temperature_interval(found: FoundTemperature) -> tuple[float, float, float]:
    """T and the ends of its 95 % interval; open where T lies beyond 1/8 or 8."""
    half = _NORMAL_QUANTILE * found.standard_error
    with np.errstate(over="ignore", under="ignore"):
        t, lower, upper = np.exp(-found.log_beta + np.array([0, -half, half])).tolist()
    if found.beyond:
        return (t, lower, np.inf) if t > 1 else (t, 0.0, upper)
    return t, lower, upper


def figures_of(sums: NDArray) -> dict[str, Any]:
    """Means of the rows behind the sums (N_TERMS,), by name; None where there is no row."""
    weight = sums[WEIGHT]
    means = sums[[LOSS, BRIER, HITS, CONFIDENCE]] / weight if weight > 0 else [None] * 4
    names = ("log_loss", "brier", "accuracy", "confidence")
    figures: dict[str, Any] = {"n_rows": int(sums[ROWS])}
    figures |= {
        name: value if value is None else float(value)
        for name, value in zip(names, means, strict=True)
    }
    found = temperature_interval(temperature_of(sums)) if weight > 0 else (None, None, None)
    # JSON has no infinity.
    plain = (None if end is None or np.isinf(end) else end for end in found)
    figures |= dict(zip(("temperature", "lower", "upper"), plain, strict=True))
    waiting = int(sums[UNLABELLED])
    figures["n_unlabelled"] = waiting
    figures["expected_accuracy"] = float(sums[EXPECTED]) / waiting if waiting else None
    return figures
