"""Where a linear map starts: a temperature, and a little of uniform mixed in.

    p = (1 - e) softmax(s / T) + e / K,    K the classes that the row leaves open.

T is fitted as it is served here. Of `softmax(s / T)` alone, a few rows whose labels the model rules
out would decide the temperature of all; what these can cost here ends at log(K / e).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import Source, block_buffer, row_blocks
from skcalib._kernels._moments import row_losses, row_moments, work_arrays
from skcalib._kernels._solve import Slope, minimize_scalar
from skcalib._kernels._temperature import LOG_BETA_BOUND, Rows, rows_at, scattered_rows

# In log T. Newton's steps converge quadratically: one this short leaves an error of its square.
_STEP_TOLERANCE = 1e-5

# The objective can have several minima. They are looked for in strides of log T, from the
# temperature of the softmax alone, too high where labels are ruled out, down to one at which all
# but few rows are certain: their largest score is so many nats above the next.
_STRIDE = 0.7
_CERTAIN = 50.0
_FEW = 0.05


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
        That of the softmax alone: too high where labels are ruled out, and a little too low where
        a prior decides.
    """
    rows = source, y_index, weight
    objective = sample = _Objective(rows, alpha, uniform_share)
    index = scattered_rows(*source.shape)
    if index is not None:
        sample = _Objective(rows_at(rows, index), alpha, uniform_share)
    u = objective.minimize(_lowest_minimum(sample, -np.log(temperature)))
    return Start(float(np.exp(-u)), uniform_share)


def _lowest_minimum(objective: "_Objective", u: float) -> float:
    """The lowest minimum from the u given upwards, of those that strides see."""
    last = min(np.log(_CERTAIN) - np.log(_small_gap(objective.rows[0])), LOG_BETA_BOUND)
    tried = np.arange(u, max(last, u) + _STRIDE, _STRIDE)
    values = np.array([np.inf, *(objective.value(u) for u in tried), np.inf])
    valleys = (values[1:-1] <= values[:-2]) & (values[1:-1] <= values[2:])
    minima = [objective.minimize(u) for u in tried[valleys]] or [u]
    return min(minima, key=objective.value)


class _Objective:
    """Log loss of p and the prior, as a function of `u = -log T`."""

    def __init__(self, rows: Rows, alpha: float, uniform_share: float) -> None:
        source, y_index, weight = rows
        self.rows = source, y_index
        self.weight = np.ones(len(y_index)) if weight is None else weight
        self.alpha = alpha
        self.softmax_share = 1 - uniform_share
        self.floor = uniform_share / _n_open(source)  # what p is at least, (n,)
        self.work = work_arrays(source)

    def value(self, u: float) -> float:
        q = self.softmax_share * np.exp(-row_losses(*self.rows, np.exp(u), work=self.work))
        return -float(self.weight @ np.log(q + self.floor)) + self.alpha * u**2 / 2

    def minimize(self, start: float) -> float:
        bounds = -LOG_BETA_BOUND, LOG_BETA_BOUND
        return minimize_scalar(self.slope, start, bounds=bounds, step_tolerance=_STEP_TOLERANCE)[0]

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


def _blocks(source: Source) -> Iterator[tuple[slice, NDArray]]:
    buffer = block_buffer(source.shape, source.dtype)
    for rows in row_blocks(*source.shape):
        yield rows, source.read(rows, buffer[: rows.stop - rows.start])


def _n_open(source: Source) -> NDArray:
    """How many classes each row leaves open, (n,)."""
    n_open = np.empty(source.shape[0])
    for rows, block in _blocks(source):
        n_open[rows] = block.shape[1] - np.isneginf(block).sum(axis=1)
    return n_open


def _small_gap(source: Source) -> float:
    """Only few rows have a largest score that is above the next, but by less than this."""
    if source.shape[1] < 2:
        return 1.0
    gaps = np.empty(source.shape[0])
    for rows, block in _blocks(source):
        second, first = np.partition(block, (-2, -1), axis=1)[:, -2:].T
        gaps[rows] = first - second
    gaps = gaps[(gaps > 0) & (gaps < np.inf)]
    return float(np.quantile(gaps, _FEW)) if len(gaps) else 1.0
