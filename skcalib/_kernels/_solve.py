"""Safeguarded Newton searches in one and in a few unknowns."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# The unknowns are logarithms. A longer step leaves the region where an expansion means
# something, and could jump over the nearest minimum.
LONGEST_STEP = 2.0

_MAX_EVALUATIONS = 200

# Steps are shortened until the value falls by this share of what the slope promises.
_ARMIJO_SHARE = 1e-4
_MAX_HALVINGS = 30

# Close to the minimum the value no longer shows a descent that the gradient still does.
_ROUNDING = 1e-13


class Slope(NamedTuple):
    """Derivatives of a function of one unknown."""

    first: float
    second: float
    third: float
    positive: float  # stands in for `second` where that is not positive


class Expansion(NamedTuple):
    """Value and derivatives of a function of d unknowns."""

    value: float
    gradient: NDArray  # (d,)
    hessian: NDArray  # (d, d)
    positive: NDArray  # (d, d), positive semidefinite; stands in for `hessian` where that is not


def minimize_scalar(
    evaluate: Callable[[float], Slope],
    start: float,
    *,
    bounds: tuple[float, float],
    step_tolerance: float,
) -> tuple[float, int]:
    """The minimum that lies downhill of `start`, and how often `evaluate` was called for it.

    Steps are Halley's, so they converge cubically: one shorter than `step_tolerance` is taken
    and is the last, and leaves an error of about its third power. The signs of the slope keep
    a bracket; steps that would leave it, or do not shrink inside it, become bisections. NaN
    slopes end the search where it stands.
    """
    below, above = bounds
    x, last_step = float(np.clip(start, below, above)), np.inf
    bracketed = {-1: False, 1: False}
    for n_evaluations in range(1, _MAX_EVALUATIONS + 1):
        slope = evaluate(x)
        if slope.first == 0 or not np.isfinite(slope.first):
            return x, n_evaluations
        if slope.first > 0:
            above, bracketed[1] = x, True
        else:
            below, bracketed[-1] = x, True
        step, is_newton = _step(slope)
        closed = all(bracketed.values())
        if closed and (not below < x + step < above or abs(step) > 0.75 * last_step):
            step, is_newton = (below + above) / 2 - x, False
        target = float(np.clip(x + step, below, above))
        if target == x or (is_newton and abs(step) <= step_tolerance):
            return target, n_evaluations
        x, last_step = target, abs(step)
    return x, n_evaluations


def _step(slope: Slope) -> tuple[float, bool]:
    """A step downhill, and whether it is a Newton or Halley step that says how far it is."""
    if slope.second > 0:
        newton = -slope.first / slope.second
        if abs(newton) <= LONGEST_STEP:
            correction = 1 + newton * slope.third / (2 * slope.second)
            return (newton / correction if 0.5 < correction < 2 else newton), True
    elif slope.positive > 0:
        newton = -slope.first / slope.positive
    else:
        newton = -np.copysign(np.inf, slope.first)
    return float(np.clip(newton, -LONGEST_STEP, LONGEST_STEP)), False


def minimize_newton(
    evaluate: Callable[[NDArray], Expansion],
    start: NDArray,
    *,
    bounds: NDArray,
    gradient_tolerance: float,
) -> tuple[NDArray, Expansion, int]:
    """Damped Newton for a few unknowns inside a box.

    Parameters
    ----------
    evaluate : callable
        Maps (d,) to an `Expansion`.
    start : ndarray of shape (d,)
    bounds : ndarray of shape (d, 2)
    gradient_tolerance : float
        Once every free component of the gradient is this small, one more full step is taken.

    Returns
    -------
    x : ndarray of shape (d,)
    expansion : Expansion
        At `x`.
    n_evaluations : int
    """
    lower, upper = bounds.T
    x = np.clip(start, lower, upper)
    at, n_evaluations = evaluate(x), 1
    while n_evaluations < _MAX_EVALUATIONS and np.isfinite(at.value):
        # An unknown at its bound whose slope points outwards stays there.
        held = ((x <= lower) & (at.gradient >= 0)) | ((x >= upper) & (at.gradient <= 0))
        if held.all():
            break
        step = _newton_step(at, ~held)
        last = np.abs(at.gradient[~held]).max() <= gradient_tolerance
        for _ in range(_MAX_HALVINGS):
            trial = np.clip(x + step, lower, upper)
            there = evaluate(trial)
            n_evaluations += 1
            allowed = _ARMIJO_SHARE * at.gradient @ (trial - x) + _ROUNDING * abs(at.value)
            if last or there.value <= at.value + allowed:
                break
            step = step / 2
        else:
            break
        x, at = trial, there
        if last:
            break
    return x, at, n_evaluations


def _newton_step(at: Expansion, free: NDArray) -> NDArray:
    """Newton step in the free unknowns, no component longer than `LONGEST_STEP`."""
    square = np.ix_(free, free)
    curvature = at.hessian[square]
    if np.linalg.eigvalsh(curvature)[0] <= 0:
        curvature = at.positive[square]
    step = np.zeros(len(free))
    step[free] = -np.linalg.lstsq(curvature, at.gradient[free], rcond=None)[0]
    return step * min(1.0, LONGEST_STEP / max(np.abs(step).max(), LONGEST_STEP))
