"""Intervals for the mean of rows: of a fixed sample, and of one that is looked at while it grows.

`MeanMoments` says what a sample knows of its mean, from rows, weighted rows or clusters. Ends for
a fixed sample are Student's; ends that hold at every moment are those of the mixture of t-tests
(Lindon et al., which for many rows is the asymptotic confidence sequence of Waudby-Smith et al.).
Of skewed rows both miss on one side more often than they should: either end is therefore taken as
the farther one of the plain interval and of Hall's, which is corrected for skewness. For n rows
of skewness g, with T the deviation of their mean in standard deviations of a row, Hall's

    h(T) = T + a T^2 + a^2 T^3 / 3 + g / (6 n),  a = g / 3,

is nearer to normal than T, rises everywhere, and is inverted by a cube root.

`exact_ends` needs bounded rows and asks nothing else of them: an empirical Bernstein bound.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import gammainc, gammaln, lambertw, stdtrit

Ends = tuple[float, float]

_UNKNOWN: Ends = (-np.inf, np.inf)

# Below this the cube root loses digits that the skewness is too small to need.
_NOT_SKEWED = 1e-6


# Share of the mean that rounding may make equal rows differ by.
_ALIKE = 1e-12


class MeanMoments(NamedTuple):
    """A mean and what it is an average of.

    Parameters
    ----------
    mean : float
    n : float
        Rows: their number, the sum of weights that count repetitions, or the number of clusters.
    deviation : float
        Standard deviation of one of them; 0 where n <= 1.
    skewness : float
        Third standardised moment.
    """

    mean: float
    n: float
    deviation: float
    skewness: float


@np.errstate(under="ignore")
def moments_of(
    values: NDArray, weight: NDArray | None = None, clusters: NDArray | None = None
) -> MeanMoments:
    """Moments of `values` (n,); of cluster totals where `clusters` (n,) has codes of them.

    The weighted mean is as good as its clusters' totals `sum w (x - mean)` are small: taken in
    units of the mean cluster's weight, they stand for independent rows.
    """
    if weight is not None:
        counts = weight > 0
        values, weight = values[counts], weight[counts]
        clusters = None if clusters is None else clusters[counts]
    w = np.ones(len(values)) if weight is None else weight
    mean = float(np.average(values, weights=w))
    if clusters is None:
        return _moments_about(mean, values - mean, w)
    present, codes = np.unique(clusters, return_inverse=True)
    totals = np.bincount(codes, w * (values - mean), len(present))
    return _moments_about(mean, totals * (len(present) / w.sum()), np.ones(len(present)))


def _moments_about(mean: float, residual: NDArray, weight: NDArray) -> MeanMoments:
    n, largest = float(weight.sum()), float(np.abs(residual).max())
    if n <= 1 or largest == 0:
        return MeanMoments(mean, n, 0.0, 0.0)
    unit = residual / largest  # whose squares and cubes are numbers
    deviation = float(np.sqrt(weight @ unit**2 / (n - 1)))
    skewness = float(weight @ (unit / deviation) ** 3) / n
    return MeanMoments(mean, n, largest * deviation, skewness)


def fixed_ends(moments: MeanMoments, level: float, n_effective: float = np.inf) -> Ends:
    """Interval that covers with probability `level`, for a sample whose size was not chosen by it.

    Student's t or, at either end, Hall's if that is farther. Where a few rows weigh most, they are
    what the deviation is known from: `n_effective` says how many.
    """
    freedom = min(moments.n, n_effective) - 1
    if freedom <= 0:
        return _UNKNOWN
    return _ends(moments, -float(stdtrit(freedom, (1 - level) / 2)))


def anytime_ends(moments: MeanMoments, level: float, n_expected: float) -> Ends:
    """Interval of a sequence that covers at every n at once, with about probability `level`.

    Narrowest, for its level, at `n_expected` rows; unbounded while rows are too few, or all alike:
    no row has shown yet by how much others may differ.
    """
    if moments.deviation <= _ALIKE * abs(moments.mean):
        return _UNKNOWN
    critical = _anytime_critical(moments.n, 1 - level, n_expected)
    return _UNKNOWN if np.isinf(critical) else _ends(moments, critical)


def _anytime_critical(n: float, alpha: float, n_expected: float) -> float:
    """How many standard errors the mean may be from the truth, ever.

    With a prior N(0, s^2 / g) on the mean, s^2 mixed over by its right Haar prior, the likelihood
    ratio of n rows to those of mean m is a martingale from m on: it exceeds 1 / alpha with
    probability alpha at most. With r = g / (g + n) that happens where
    t^2 > (n - 1) (1 - b) / (b - r), b = (alpha^2 r)^(1 / n).
    """
    if n <= 1:
        return np.inf
    # The width at n rows is least for n / g = -1 - W(-alpha^2 / e), on the lower branch.
    g = n_expected / (-1 - float(lambertw(-(alpha**2) / np.e, -1).real))
    r = g / (g + n)
    log_b = (2 * np.log(alpha) + np.log(r)) / n
    b = np.exp(log_b)
    return float(np.sqrt((n - 1) * -np.expm1(log_b) / (b - r))) if b > r else np.inf


def _ends(moments: MeanMoments, critical: float) -> Ends:
    mean, n, deviation, skewness = moments
    plain = critical / n**0.5
    below, above = (_unskewed(x, skewness, n) for x in (plain, -plain))
    return mean - deviation * max(plain, below), mean + deviation * max(plain, -above)


def _unskewed(x: float, skewness: float, n: float) -> float:
    """The T whose h(T) is x."""
    shifted = x - skewness / (6 * n)
    if abs(skewness) < _NOT_SKEWED:
        return shifted
    return float(np.cbrt(1 + skewness * shifted) - 1) * 3 / skewness


@np.errstate(under="ignore")
def exact_ends(values: NDArray, bound: float, level: float) -> Ends:
    """Interval for the mean expectation of rows, each given those before it; at every n at once.

    `values` (n,) lie within [-bound, bound] and stand in the order in which they arrived; they
    may depend on each other, and their expectation may drift. In time V, the sum of squared
    distances of each row from the mean of the earlier ones, their sum is no farther from that of
    the expectations than the gamma-exponential boundary.
    """
    count = np.arange(1, len(values) + 1)
    # One row of 0 before the first: a forecast of the next row must lie within the bounds.
    earlier = (np.cumsum(values) - values) / count
    mean = float(values.mean())
    half = _boundary(float(((values - earlier) ** 2).sum()) / bound**2, (1 - level) / 2)
    half *= bound / len(values)
    return max(mean - half, -bound), min(mean + half, bound)


def _boundary(v: float, alpha: float) -> float:
    """Sum that is exceeded with probability alpha, ever, by rows within [-1, 1] in their time v."""
    threshold = -np.log(alpha)
    high = 1.0
    while _log_mixture(high, v) < threshold:
        high *= 2
    return float(brentq(lambda s: _log_mixture(s, v) - threshold, 0, high))


# Rows within [-1, 1] have a range of 2, the scale c of their sub-exponential cumulant.
_SCALE = 2.0
# Time v at which the boundary is about tightest. Score differences are small beside their bound:
# of 1000 with a deviation of a thirtieth of it, v is 1.
_RHO = 1.0


def _log_mixture(s: float, v: float) -> float:
    """Log of the mixture supermartingale of a sum s at time v (Howard et al., proposition 9)."""
    start = _RHO / _SCALE**2
    time = (v + _RHO) / _SCALE**2
    reached = time + s / _SCALE
    return float(
        start * np.log(start)
        - gammaln(start)
        - np.log(gammainc(start, start))
        + gammaln(time)
        + np.log(gammainc(time, reached))
        - time * np.log(reached)
        + reached
        - start
    )
