"""Smoothed residuals of predicted probabilities, and the scale that is their own mean size.

The residuals `w (p - [happened])` are point masses on [0, 1]. Smoothing spreads each by the
Gaussian of standard deviation s, reflected at 0 and 1, which is diagonal in cosines:

    k_s(t, p) = 1 + 2 sum_j cos(pi j t) cos(pi j p) exp(-(pi j s)^2 / 2).

So the masses go onto the midpoints of equal cells, each divided between two neighbours; one
cosine transform gives their coefficients, and for any s another gives the smoothed residual at
every midpoint. To divide a mass between neighbours h apart is to interpolate k_s linearly: the
integral of the absolute value is off by at most `h^2 / 8` times the integral of |k_s''|, which is
`.97 / s^2`, times the mean absolute residual A. The midpoint rule adds as much at most.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.optimize import brentq

from skcalib._kernels._blocks import row_blocks

# The grid is so fine that the errors above, `h^2 A / (4 s^2)` together, stay below this. They
# mostly cancel: a hundredth of it is usual.
ACCURACY = 1e-6

# Cells of the first grid, and of the finest. At A = 1/3 the latter does for scales down to .0022,
# which true probabilities reach with some 3 million rows.
_FIRST_CELLS, _MOST_CELLS = 2**12, 2**17

# Frequencies damped below the rounding of the others, exp(-9^2 / 2) = 3e-18, are left out.
_NEGLIGIBLE = 9.0

# The root is found far beyond that accuracy: a loose one would depend on the order of the rows.
_ROOT_TOLERANCE = 1e-13

# On a finer grid the root is first sought this close to that of the coarser one.
_NEAR = 0.001


def smooth_error(
    p: NDArray, happened: NDArray, weight: NDArray | None, accuracy: float = ACCURACY
) -> float:
    """The scale s at which the absolute smoothed residual has an integral of s.

    There is one: the integral falls as s grows. It is 0 if all residuals are.

    Parameters
    ----------
    p : ndarray of shape (n,), probabilities; beyond 0 and 1 by rounding at most
    happened : ndarray of shape (n,), bool
    weight : ndarray of shape (n,), float64, or None for ones
    accuracy : float, most by which the result may be off
    """
    scale, n_cells, needed = 0.0, 0, _FIRST_CELLS
    while needed > n_cells:
        n_cells = needed
        masses, size = _residual_masses(p, happened, weight, n_cells)
        scale = _fixed_point(masses, scale)
        needed = _cells_for(scale, size, accuracy)
    return scale


def smooth_error_at(p: NDArray, happened: NDArray, weight: NDArray | None, scale: float) -> float:
    """Integral of the absolute residual smoothed at one positive scale; see `smooth_error`."""
    n_cells = _cells_for(scale, 1, ACCURACY)
    masses, _ = _residual_masses(p, happened, weight, n_cells)
    return _integral(_coefficients(masses), scale)


def _cells_for(scale: float, size: float, accuracy: float) -> int:
    """Cells of the grid, a power of two, for residuals of mean absolute value `size`."""
    n_cells = _FIRST_CELLS
    while n_cells < _MOST_CELLS and size > 4 * accuracy * (n_cells * scale) ** 2:
        n_cells *= 2
    return n_cells


@np.errstate(under="ignore")
def _residual_masses(
    p: NDArray, happened: NDArray, weight: NDArray | None, n_cells: int
) -> tuple[NDArray, float]:
    """Residuals on the midpoints of a grid (n_cells,), and their mean absolute value.

    Each row is a share of the total weight.
    """
    # A midpoint more at either end, for what is reflected there.
    masses, size = np.zeros(n_cells + 2), 0.0
    for rows in row_blocks(len(p), 1):
        place = p[rows].astype(np.float64).clip(0, 1)
        residual = place - happened[rows]
        if weight is not None:
            residual *= weight[rows]
        size += float(np.abs(residual).sum())
        place *= n_cells
        place += 0.5
        left = place.astype(np.intp)
        place -= left
        to_right = residual * place
        masses[1:] += np.bincount(left, to_right, n_cells + 1)
        masses[:-1] += np.bincount(left, residual - to_right, n_cells + 1)
    masses[[1, -2]] += masses[[0, -1]]
    total = len(p) if weight is None else weight.sum()
    return masses[1:-1] / total, size / total


@np.errstate(under="ignore")
def _integral(coefficients: NDArray, scale: float) -> float:
    """Integral of the absolute smoothed residual, by the midpoint rule."""
    n_cells = len(coefficients)
    kept = n_cells
    if np.pi * scale * n_cells > _NEGLIGIBLE:
        kept = int(_NEGLIGIBLE / (np.pi * scale)) + 1
    damping = np.exp(-((np.pi * scale * np.arange(kept)) ** 2) / 2)
    return float(np.abs(dct(coefficients[:kept] * damping, type=3, n=n_cells)).mean())


@np.errstate(under="ignore")
def _coefficients(masses: NDArray) -> NDArray:
    """Sums over the midpoints t of the masses times `cos(pi j t)`, j = 0, 1, ...; (n_cells,)."""
    return dct(masses, type=2) / 2


def _fixed_point(masses: NDArray, guess: float) -> float:
    """The scale that is its own integral."""
    coefficients = _coefficients(masses)

    def excess(scale: float) -> float:
        return _integral(coefficients, scale) - scale

    # Smoothing lets residuals cancel: no integral exceeds their absolute sum, but by rounding.
    below, above = 0.0, 2 * float(np.abs(masses).sum())
    if above == 0:
        return 0.0
    near = ((1 - _NEAR) * guess, (1 + _NEAR) * guess)
    if guess and excess(near[0]) > 0 > excess(near[1]):
        below, above = near
    return brentq(excess, below, above, xtol=_ROOT_TOLERANCE, rtol=4 * np.finfo(float).eps)
