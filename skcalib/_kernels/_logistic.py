"""Unpenalised logistic regression on one feature."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

# A step is halved until the loss falls by this share of what its slope promises.
_ARMIJO_SHARE = 1e-4
_MAX_HALVINGS = 60
_MAX_STEPS = 200

# A step that promises to lower the loss by this share of it at most is the last: it squares what
# is left of the distance to the minimum.
_LAST_DECREASE = 1e-12

# Relative, and near 0 absolute: rounding of the sums allows no more.
_ROOT_TOLERANCE = 1e-14

# Curvatures divide.
_TINY = np.finfo(np.float64).tiny

# Close to the minimum the loss no longer shows a descent that its slope still does.
_ROUNDING = 1e-14


class Estimate(NamedTuple):
    """A maximum likelihood estimate and its variance."""

    value: float
    variance: float  # inf where there is no finite estimate


def fit_shift(x: NDArray, event: NDArray, weight: NDArray) -> Estimate:
    """The a for which `sigmoid(x + a)` has the mean of the events, `x` an offset.

    It is -inf where no event happened, inf where all did.

    Parameters
    ----------
    x : ndarray of shape (n,), finite
    event : ndarray of shape (n,), bool
    weight : ndarray of shape (n,), float64, positive
    """
    share = weight / weight.sum()
    if event.all() or not event.any():
        return Estimate(np.inf if event[0] else -np.inf, np.inf)
    frequency, logit = float(share @ event), np.empty_like(x)

    def excess(shift: float) -> float:
        np.add(x, shift, out=logit)
        return float(share @ expit(logit, out=logit)) - frequency

    center = np.log(frequency) - np.log(float(share @ ~event))
    with np.errstate(under="ignore"):
        # All sigmoid(x + a) are below the frequency at the one end, above it at the other.
        ends = center - x.max() - 1, center - x.min() + 1
        shift = brentq(excess, *ends, xtol=_ROOT_TOLERANCE, rtol=_ROOT_TOLERANCE)
        at = _expansion(x, event, share, shift, 1.0)
        return Estimate(
            shift, _variance(at.curvature, share @ at.error**2, weight.sum(), n_unknowns=1)
        )


def fit_slope(x: NDArray, event: NDArray, weight: NDArray) -> Estimate:
    """The b of the most likely `sigmoid(a + b x)`.

    It is inf where some x divides events from non-events, -inf where it does so the other way
    round, and NaN where nothing tells: of events or non-events alone, and if all x are equal.

    Parameters
    ----------
    x : ndarray of shape (n,), finite
    event : ndarray of shape (n,), bool
    weight : ndarray of shape (n,), float64, positive
    """
    if event.all() or not event.any() or x.min() == x.max():
        return Estimate(np.nan, np.inf)
    if x[~event].max() <= x[event].min():
        return Estimate(np.inf, np.inf)
    if x[event].max() <= x[~event].min():
        return Estimate(-np.inf, np.inf)
    share = weight / weight.sum()
    with np.errstate(under="ignore"):
        at, slope = _minimize(x, event, share)
        squared_score = share @ (at.error * (x - at.center)) ** 2
        return Estimate(
            slope, _variance(at.slope_curvature, squared_score, weight.sum(), n_unknowns=2)
        )


class _Expansion(NamedTuple):
    """Mean loss and derivatives in a and b, b's along the line where a is best."""

    loss: float
    error: NDArray  # (n,), sigmoid(a + b x) - [event]
    gradient: float
    curvature: float
    center: float  # mean of x, each row weighted by its share of the curvature
    slope_gradient: float
    slope_curvature: float


def _expansion(x: NDArray, event: NDArray, share: NDArray, a: float, b: float) -> _Expansion:
    sign = np.where(event, 1.0, -1.0)
    margin = (a + b * x) * sign
    odds = np.exp(-np.abs(margin))  # of what the model believes less, exact however unlikely
    more = 1 + odds
    loss = np.log1p(odds) - np.minimum(margin, 0)
    error = np.where(margin > 0, odds, 1) / more * -sign
    bend = share * odds / more**2
    curvature = max(float(bend.sum()), _TINY)
    center = float(bend @ x) / curvature
    deviation = x - center
    weighted = share * error
    return _Expansion(
        loss=float(share @ loss),
        error=error,
        gradient=float(weighted.sum()),
        curvature=curvature,
        center=center,
        slope_gradient=float(weighted @ deviation),
        slope_curvature=max(float(bend @ deviation**2), _TINY),
    )


def _minimize(x: NDArray, event: NDArray, share: NDArray) -> tuple[_Expansion, float]:
    """Damped Newton; the loss is convex. What is known at the minimum, and its b."""
    a, b = float(np.log(share @ event) - np.log(share @ ~event)), 0.0
    at = _expansion(x, event, share, a, b)
    for _ in range(_MAX_STEPS):
        step_b = -at.slope_gradient / at.slope_curvature
        step_a = -at.gradient / at.curvature - step_b * at.center
        slope = -(at.gradient**2) / at.curvature - at.slope_gradient**2 / at.slope_curvature
        last = -slope <= _LAST_DECREASE * at.loss
        for _ in range(_MAX_HALVINGS):
            there = _expansion(x, event, share, a + step_a, b + step_b)
            if last or there.loss <= at.loss * (1 + _ROUNDING) + _ARMIJO_SHARE * slope:
                break
            step_a, step_b, slope = step_a / 2, step_b / 2, slope / 2
        else:
            break
        a, b, at = a + step_a, b + step_b, there
        if last:
            break
    return at, b


def _variance(curvature: float, squared_score: float, n: float, n_unknowns: int) -> float:
    """Variance of an estimate from n rows; both arguments are means over rows.

    The inverse information, or what the scores of the rows say if that is more: the former is
    right if the fitted probabilities are the true ones, the latter without that, but too small
    for few rows.
    """
    correction = n / (n - n_unknowns) if n >= n_unknowns + 1 else 1.0
    return max(1 / curvature, correction * squared_score / curvature**2) / n
