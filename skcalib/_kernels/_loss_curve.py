"""The mean log loss as a function of the temperature, from a few passes over the rows."""

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BPoly

from skcalib._kernels._blocks import Source
from skcalib._kernels._moments import loss_moments, work_arrays

# Knots this far apart in log T: quintic pieces between them are right to six digits.
_KNOT_DISTANCE = 0.3
_FEWEST_KNOTS = 5


@np.errstate(all="ignore")
def loss_curve(
    source: Source, y_index: NDArray, weight: NDArray | None, temperatures: NDArray
) -> NDArray:
    """Mean log loss of `softmax(z / T)` at each temperature, float64.

    One pass yields the loss and two derivatives. Between the few temperatures where passes are
    made the loss is the polynomial in log T that meets them.

    Parameters
    ----------
    source : Source of n rows and K classes
    y_index : ndarray of shape (n,), column of each row's true class
    weight : ndarray of shape (n,), float64, or None for ones
    temperatures : ndarray of shape (m,), positive, not all equal
    """
    u = -np.log(temperatures)
    n_knots = max(_FEWEST_KNOTS, int(np.ceil(np.ptp(u) / _KNOT_DISTANCE)) + 1)
    knots = np.linspace(u.min(), u.max(), n_knots)
    work = work_arrays(source)
    at_knots = []
    for beta in np.exp(knots):
        moments = loss_moments(source, y_index, weight, beta, work=work)
        first = beta * moments.slope
        second = beta**2 * moments.curvature + first
        at_knots.append(np.array([moments.loss, first, second]) / moments.weight)
    return BPoly.from_derivatives(knots, np.array(at_knots))(u)
