"""Calibration slope and intercept."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._kernels._logistic import Estimate, fit_shift, fit_slope
from skcalib._validation import Interval, check_options, check_predictions
from skcalib.metrics._events import KIND_CONSTRAINTS, Events, one_event_of, refuse_class_label
from skcalib.metrics._proportion import two_sided_quantile

_CONSTRAINTS: dict[str, list[Any]] = KIND_CONSTRAINTS | {
    "confidence_level": [Interval(Real, 0, 1, closed="neither")],
}


class CalibrationLine(NamedTuple):
    """A straight line through predicted and observed log-odds.

    Parameters
    ----------
    slope : float
        By how much the observed log-odds rise per unit of the predicted ones. 1 is calibrated;
        below 1 probabilities are too extreme, above 1 not extreme enough.
    intercept : float
        How much higher the observed log-odds are at a slope of 1. 0 is calibrated in the large;
        below 0 probabilities are too high on the whole, above 0 too low.
    slope_interval : tuple of float
        Lower and upper end of the confidence interval for `slope`.
    intercept_interval : tuple of float
        The same for `intercept`.
    """

    slope: float
    intercept: float
    slope_interval: tuple[float, float]
    intercept_interval: tuple[float, float]


def calibration_slope_intercept(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    kind: str = "positive",
    class_label: bool | int | float | str | None = None,
    confidence_level: float = 0.95,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> CalibrationLine:
    """Calibration slope and intercept: a straight line through the log-odds.

    The slope is the b of the most likely ``sigmoid(a + b * logit(p))``: are probabilities too
    extreme? The intercept is the a of the most likely ``sigmoid(a + logit(p))``, with the slope
    held at 1: are they too high? It is not the a that goes with b. Neither fit is penalised.

    The intervals are those of Wald. Their variance is that of the logistic model, or the sandwich
    estimate, which does not suppose that the observed log-odds lie on a line, if that is greater.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities, one column per class in the order of the sorted labels; for two
        classes those of `pos_label` alone will do.
    kind : {"confidence", "class", "positive"}, default="positive"
        Which probabilities are held against which events.

        - "confidence": the largest of each row, against the prediction being correct;
        - "class": those of the class `class_label`, against that class being true;
        - "positive": of two classes, those of the positive one, against it being true.
    class_label : bool, int, float or str, default=None
        The class, for kind "class".
    confidence_level : float, default=0.95
        Coverage of the intervals, between 0 and 1.
    sample_weight : array-like of shape (n_samples,), default=None
        How many rows each row counts for; None is one each. Weights must count rows here: the
        intervals shrink with the root of their sum.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        Of two classes, the positive one: that which `y_proba` of shape (n_samples,) is the
        probability of. None is the greater of {0, 1}, {-1, 1}, {False, True} or two `labels`.

    Returns
    -------
    line : CalibrationLine
        Slope, intercept and their intervals. If one probability divides events from non-events
        the slope is infinite; if all probabilities or all events are equal it is NaN, for nothing
        tells. If all events are equal the intercept is infinite. The interval is then
        ``(-inf, inf)``.

    Raises
    ------
    ValueError
        If a probability is 0 or 1, an option is not among its values, `class_label` is missing or
        unknown, or the arguments do not describe labels and probabilities, as the head of
        :mod:`skcalib.metrics` says.

    References
    ----------
    D. R. Cox, Two further applications of a model for binary regression, Biometrika 45 (1958).

    M. E. Miller, S. L. Hui, W. M. Tierney, Validation techniques for logistic regression models,
    Statistics in Medicine 10 (1991).

    B. van Calster et al., Calibration: the Achilles heel of predictive analytics, BMC Medicine 17
    (2019).

    Examples
    --------
    Log-odds of -ln 4 and ln 4 are predicted; of either four events, three are as predicted, so
    that -ln 3 and ln 3 are observed: the slope is ``ln 3 / ln 4``.

    >>> from skcalib.metrics import calibration_slope_intercept
    >>> y_true, y_proba = [0, 0, 0, 1, 0, 1, 1, 1], [0.2] * 4 + [0.8] * 4
    >>> line = calibration_slope_intercept(y_true, y_proba)
    >>> round(line.slope, 4), round(line.intercept, 4) + 0.0
    (0.7925, 0.0)
    """
    check_options(
        _CONSTRAINTS, "calibration_slope_intercept", kind=kind, confidence_level=confidence_level
    )
    refuse_class_label(kind, class_label)
    checked = check_predictions(
        y_true, y_proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
    )
    x, event, weight = _log_odds(one_event_of(checked, kind, class_label))
    slope, shift = fit_slope(x, event, weight), fit_shift(x, event, weight)
    return CalibrationLine(
        slope.value,
        shift.value,
        _wald_interval(slope, confidence_level),
        _wald_interval(shift, confidence_level),
    )


def _log_odds(events: Events) -> tuple[NDArray, NDArray, NDArray]:
    """Log-odds, events and weights of the rows that count."""
    p, event = events.column()
    weight = np.ones(len(p)) if events.weight is None else events.weight
    counts = weight > 0
    extreme = counts & ~((p > 0) & (p < 1))
    if extreme.any():
        row = int(extreme.argmax())
        raise ValueError(
            f"y_proba must hold probabilities between 0 and 1, got {p[row]} in row {row}: its "
            "logit is infinite. Clip what is 0 or 1 by rounding, as by np.clip(p, 1e-6, 1 - 1e-6), "
            "or calibrate the model with smoothing; that choice decides the slope."
        )
    p = p[counts].astype(np.float64)
    return np.log(p) - np.log1p(-p), event[counts], weight[counts]


def _wald_interval(estimate: Estimate, level: float) -> tuple[float, float]:
    if not np.isfinite(estimate.variance):
        return -np.inf, np.inf
    half = two_sided_quantile(level) * float(estimate.variance) ** 0.5
    return estimate.value - half, estimate.value + half
