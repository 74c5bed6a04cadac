"""Where a linear map starts: a temperature, and a little of uniform mixed in.

    p = (1 - e) softmax(s / T) + e / K

T is fitted as it is served here. Of `softmax(s / T)` alone, a few rows whose labels the model rules
out would decide the temperature of all; what these can cost here ends at log(K / e).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import RowSubset, Source, block_buffer, row_blocks
from skcalib._kernels._moments import row_losses, row_moments, work_arrays
from skcalib._kernels._solve import Slope, minimize_scalar
from skcalib._kernels._temperature import scattered_rows

# In log T. Newton's steps converge quadratically: one this short leaves an error of its square.
_STEP_TOLERANCE = 1e-5

# Where to look for the lowest minimum: from the temperature of the softmax alone, which is too high
# where some labels are ruled out, down to a 25 000th of it, in strides of log T.
_STRIDE = 0.7
_STRIDES = 16
_BOUNDS = -20.0, 20.0


class Start(NamedTuple):
    """Where a map starts."""

    temperature: float
    uniform_share: float  # e, mixed in after the temperature


@np.errstate(all="ignore")
def fit_start(
    source: Source,
    y_index: NDArray,
    weight: NDArray | None,
    alpha: float,
    uniform_share: float,
    temperature: float,
) -> Start:
    """The T that minimises the log loss of p plus `alpha log(T)^2 / 2`.

    Parameters
    ----------
    source : Source of n rows and K classes
    y_index : ndarray of shape (n,)
    weight : ndarray of shape (n,) or None
    alpha : float, not negative
    uniform_share : float, e
    temperature : float
        That of the softmax alone, which is never too low.
    """
    objective = sample = _Objective(source, y_index, weight, alpha, uniform_share)
    index = scattered_rows(*source.shape)
    if index is not None:
        some = None if weight is None else weight[index]
        sample = _Objective(RowSubset(source, index), y_index[index], some, alpha, uniform_share)
    u = objective.minimize(_lowest_minimum(sample, -np.log(temperature)))
    return Start(float(np.exp(-u)), uniform_share)


def _lowest_minimum(objective: "_Objective", u: float) -> float:
    """The lowest minimum from the u given upwards, of those that wide strides see."""
    tried = np.minimum(u + _STRIDE * np.arange(_STRIDES), _BOUNDS[1])
    values = np.array([np.inf, *(objective.value(u) for u in tried), np.inf])
    valleys = (values[1:-1] <= values[:-2]) & (values[1:-1] <= values[2:])
    minima = [objective.minimize(u) for u in np.unique(tried[valleys])] or [u]
    return min(minima, key=objective.value)


class _Objective:
    """Log loss of p and the prior, as a function of `u = -log T`."""

    def __init__(
        self,
        source: Source,
        y_index: NDArray,
        weight: NDArray | None,
        alpha: float,
        uniform_share: float,
    ) -> None:
        self.rows = source, y_index
        self.weight = np.ones(len(y_index)) if weight is None else weight
        self.alpha = alpha
        self.softmax_share = 1 - uniform_share
        self.floor = uniform_share / _n_open(source)  # what p is at least, (n,)
        self.work = work_arrays(source)

    def value(self, u: float) -> float:
        q = self.softmax_share * np.exp(-row_losses(*self.rows, np.exp(u)))
        return -float(self.weight @ np.log(q + self.floor)) + self.alpha * u**2 / 2

    def minimize(self, start: float) -> float:
        u, _ = minimize_scalar(self.slope, start, bounds=_BOUNDS, step_tolerance=_STEP_TOLERANCE)
        return u

    def slope(self, u: float) -> Slope:
        beta = np.exp(u)
        loss, first, curvature = row_moments(*self.rows, None, beta, work=self.work)
        slope, curvature = beta * first, beta**2 * curvature
        q = self.softmax_share * np.exp(-loss)
        by_uniform = self.floor / (q + self.floor)  # how far it explains the row's label
        weight = self.weight * (1 - by_uniform)
        return Slope(
            first=float(weight @ slope) + self.alpha * u,
            second=float(weight @ (curvature + slope - by_uniform * slope**2)) + self.alpha,
            third=0.0,
            positive=float(weight @ curvature) + self.alpha,
        )


def _n_open(source: Source) -> NDArray:
    """How many classes each row leaves open, (n,)."""
    n_open = np.empty(source.shape[0])
    buffer = block_buffer(source.shape, source.dtype)
    for rows in row_blocks(*source.shape):
        block = source.read(rows, buffer[: rows.stop - rows.start])
        n_open[rows] = block.shape[1] - np.isneginf(block).sum(axis=1)
    return n_open
