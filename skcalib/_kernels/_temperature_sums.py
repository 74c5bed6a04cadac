"""What must be kept of rows to find their temperature later: sums at thirteen temperatures.

Sums of the slope and the curvature of the log loss in `beta = 1 / T`, at betas half an octave apart
from 1/8 to 8, are added up over rows, blocks and machines; between two betas the slope is a cubic.
The temperature found so is within 1e-3 of that of the rows themselves.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import row_dot, row_sum
from skcalib._kernels._moments import small_sample_correction
from skcalib._kernels._temperature import standard_error_of

BETAS = 2.0 ** (np.arange(-6, 7) / 2)

# Slopes, curvatures and squared slopes at each beta.
N_SUMS = 3 * len(BETAS)

_LOG_BETAS = np.log(BETAS)
# A label that was thought impossible counts as this probable, as in the log loss.
_LEAST_PROBABILITY = 2.0**-52


class FoundTemperature(NamedTuple):
    """A temperature from sums."""

    log_beta: float
    standard_error: float  # of log_beta
    beyond: bool  # whether the best one lies outside the betas


def sums_of_rows(log_proba: NDArray, y_index: NDArray) -> NDArray:
    """Terms (n, N_SUMS) of rows whose log-probabilities are `log_proba` (n, K).

    A class of probability 0 keeps it at every temperature; where it is the label, it counts as
    2**-52.
    """
    finite = np.where(np.isneginf(log_proba), 0, log_proba)
    squared = finite * finite
    of_label = log_proba[np.arange(len(y_index)), y_index]
    of_label = np.maximum(of_label, np.log(_LEAST_PROBABILITY))
    out = np.empty((len(y_index), 3, len(BETAS)))
    # Powers of q: two exponentials, the others are their squares.
    for start in (0, 1):
        power = np.exp(log_proba * BETAS[start])
        for node in range(start, len(BETAS), 2):
            if node > start:
                power *= power
            total = row_sum(power)
            mean = row_dot(power, finite) / total
            out[:, 0, node] = mean - of_label
            out[:, 1, node] = np.maximum(row_dot(power, squared) / total - mean * mean, 0)
    np.square(out[:, 0], out=out[:, 2])
    return out.reshape(len(y_index), N_SUMS)


def temperature_of_sums(
    slopes: NDArray, curvatures: NDArray, squares: NDArray, weight: float, alpha: float
) -> FoundTemperature:
    """The `log_beta` that minimises `sum w NLL + alpha log_beta^2 / 2`.

    Parameters
    ----------
    slopes, curvatures : ndarray of shape (13,)
        Weighted sums.
    squares : ndarray of shape (13,)
        Sums of squared weights times squared slopes.
    weight : float
        Sum of the weights.
    alpha : float
        Precision of the prior, positive.
    """
    slope = BETAS * slopes + alpha * _LOG_BETAS
    second = BETAS**2 * curvatures + BETAS * slopes + alpha
    crossings = np.flatnonzero((slope[:-1] <= 0) & (slope[1:] > 0))
    beyond = not len(crossings)
    if beyond:
        node = 0 if slope[0] > 0 else len(BETAS) - 1
        u = _LOG_BETAS[node]
        place = float(node)
    else:  # of several, that next to T = 1
        node = crossings[np.abs(_LOG_BETAS[crossings]).argmin()]
        fraction = _root_of_cubic(*slope[node : node + 2], *second[node : node + 2])
        place = node + fraction
        u = float(_LOG_BETAS[0] + place * (_LOG_BETAS[1] - _LOG_BETAS[0]))
    nodes = np.arange(len(BETAS))
    curvature = np.interp(place, nodes, BETAS**2 * curvatures)
    spread = np.interp(place, nodes, BETAS**2 * squares)
    error = standard_error_of(
        small_sample_correction(weight) * float(spread), alpha, float(curvature) + alpha
    )
    return FoundTemperature(float(u), error, beyond)


def _root_of_cubic(left: float, right: float, left_slope: float, right_slope: float) -> float:
    """Where the cubic with these values and derivatives at two neighbouring nodes is 0, in [0, 1].

    By halving: it need not be monotone.
    """
    step = _LOG_BETAS[1] - _LOG_BETAS[0]
    a, b = left_slope * step, right_slope * step
    c2, c3 = 3 * (right - left) - 2 * a - b, 2 * (left - right) + a + b
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if left + middle * (a + middle * (c2 + middle * c3)) <= 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
