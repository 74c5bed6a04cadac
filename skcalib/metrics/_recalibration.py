"""Scores of probabilities recalibrated by a calibrator that was fitted on other rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from skcalib._kernels._blocks import SmoothedProbabilities
from skcalib._kernels._smoothing import fit_smoothing
from skcalib._kernels._softmax import softmax
from skcalib._kernels._temperature import spread_rows
from skcalib._response import classes_of, read_scores
from skcalib._validation import Predictions

# The default of TemperatureScaling: log T ~ N(0, 1).
_PRIOR_PRECISION = 1.0

# One temperature is as good fitted on so many rows as on more: what they leave open of it costs
# less than 1e-5 of log loss.
_ENOUGH = 100_000


def held_out_scores(
    checked: Predictions, row_scores: Callable[[Predictions], NDArray], calibrator: Any, cv: Any
) -> NDArray:
    """Score of each row recalibrated, the mean over the times it was held out; (n,)."""
    rows = np.arange(len(checked.proba))
    counted = np.ones(len(rows), bool) if checked.weight is None else checked.weight > 0
    total, times = np.zeros(len(rows)), np.zeros(len(rows))
    for split in cv.split(checked.proba, checked.classes[checked.y_index]):
        train, test = (rows[part][counted[rows[part]]] for part in split)
        if len(train) == 0:
            raise ValueError("cv leaves no row of positive weight to fit the calibrator on.")
        if len(test):
            proba = _recalibrated(calibrator, checked, train, test)
            at_test = checked._replace(proba=proba, y_index=checked.y_index[test])
            total[test] += row_scores(at_test)
            times[test] += 1
    missed = np.flatnonzero(counted & (times == 0))
    if len(missed):
        raise ValueError(f"cv must hold out every row at least once, row {missed[0]} never is.")
    return total / np.maximum(times, 1)


def _recalibrated(calibrator: Any, checked: Predictions, train: NDArray, test: NDArray) -> NDArray:
    """Probabilities (n_test, K) by a calibrator fitted on other rows."""
    if calibrator is None and len(train) > _ENOUGH:
        train = train[spread_rows(len(train), _ENOUGH)]
    weight = None if checked.weight is None else checked.weight[train]
    if calibrator is None:
        p = checked.proba[train].astype(np.float64)
        fit = fit_smoothing(p, checked.y_index[train], weight, _PRIOR_PRECISION, is_log=False)
        source = SmoothedProbabilities(checked.proba[test].astype(np.float64), fit.offset)
        return softmax(source, float(np.exp(-fit.temperature.log_beta)))
    fit_params = {} if weight is None else {"sample_weight": weight}
    if weight is not None and not has_fit_parameter(calibrator, "sample_weight"):
        raise ValueError(
            f"sample_weight is given, but the fit of calibrator {type(calibrator).__name__} takes "
            "none."
        )
    y = checked.classes[checked.y_index]
    fitted = clone(calibrator).fit(checked.proba[train], y[train], **fit_params)
    known = classes_of(fitted, just_fitted=True)
    unseen = ~np.isin(y[test], known)
    if unseen.any():
        raise ValueError(
            f"The rows of a fold lack the class {y[test][unseen].tolist()[0]!r}: the calibrator "
            "fitted on them gives it no probability, and rows that have it are held out. Pass "
            "fewer or stratified folds (cv), or calibrator=None."
        )
    return read_scores(fitted, checked.proba[test], "predict_proba", checked.classes).values
