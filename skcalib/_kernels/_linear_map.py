"""A shrunken linear map of calibrated logits: the one objective of all linear calibrators.

To the log-probabilities z and probabilities p that a temperature leaves it adds what the labels
call for:

    L = z + sum_m a_m f_m + v * z + b + C p + M z.

`f_m` are the features that all classes share, v stretches each class and b shifts it. `C_kl` reads
"add this to the logit of class k as far as the model believes l": bounded, however far out a row
lies. M, with a zero diagonal, does the same in the logarithm.

The objective is the log loss summed over rows, plus the squares of each block times its penalty,

    J = sum w NLL(L) + r_a |a|^2 + r_v |v|^2 + r_b |b|^2 + r_C |C|^2 + r_M |M|^2,

which is convex. The penalties are data: an infinite one leaves its block out, and each linear
calibrator is a choice of them. Those of v, b and M alone are structured matrix scaling (Berta,
Holzmueller, Jordan, Bach 2025); v and b for two classes are beta calibration (Kull, Silva Filho,
Flach 2017).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from skcalib._kernels._blocks import FEW_CLASSES, quiet_arithmetic, row_dot, row_sum
from skcalib._kernels._coefficients import Coefficients, Penalties
from skcalib._kernels._map_features import N_SHARED, Block, Features, weight_of

_CORRECTIONS = 10  # that L-BFGS remembers


class Search(NamedTuple):
    """When L-BFGS stops; tolerances are of J / N, in units in which its curvature is about 1."""

    max_iter: int
    value_tolerance: float
    gradient_tolerance: float
    may_end_early: bool = False  # whether `max_iter` steps will do


# Coefficients to four digits, for those who look at them.
THOROUGH = Search(500, 1e-10, 1e-6)
# Enough for a mixture: 40 and 100 steps served the same log loss to three digits on 33 score sets.
QUICK = Search(40, 1e-6, 1e-3, may_end_early=True)


class LinearFit(NamedTuple):
    """A fitted map."""

    coefficients: Coefficients
    n_iter: int  # steps of L-BFGS


@np.errstate(all="ignore")
def fit_linear_map(
    features: Features,
    spreads: NDArray,
    y_index: NDArray,
    weight: NDArray | None,
    penalties: Penalties,
    *,
    guess: Coefficients | None = None,
    monotone: bool = False,
    search: Search = THOROUGH,
) -> LinearFit:
    """The coefficients that minimise J.

    Parameters
    ----------
    features : Features of n rows and K classes
    spreads : ndarray of shape (4,), what the shared features are divided by
    y_index : ndarray of shape (n,)
    weight : ndarray of shape (n,) or None
    penalties : Penalties
    guess : Coefficients to begin the search at if they are of the same blocks, else zeros
    monotone : whether the shared features may only add to what the row says already
    search : Search, when to stop
    """
    n_classes = features.source.shape[1]
    if not penalties.n_coefficients(n_classes):
        return LinearFit(Coefficients(), 0)
    # Weights are read in the precision of the scores, which knows no 1e50.
    unit = 1.0 if weight is None else float(weight.max())
    weight = None if weight is None else weight / unit
    total = len(y_index) if weight is None else float(weight.sum())
    penalty = penalties.per_coefficient(n_classes, unit)
    scale = _preconditioner(features, spreads, weight, total, penalties, penalty)

    def objective(scaled: NDArray) -> tuple[float, NDArray]:
        theta = scaled * scale
        coefficients = penalties.unpack(theta, n_classes)
        loss, gradient = _loss(features, spreads, y_index, weight, coefficients)
        value = loss + penalty @ theta**2
        slope = (gradient.pack() + 2 * penalty * theta) * scale
        return value / total, slope / total

    theta = np.zeros(len(scale))
    if guess is not None and guess.shapes() == penalties.shapes(n_classes):
        theta = guess.pack() / scale
    bounds = None
    if monotone:
        shared = N_SHARED * (penalties.shared < np.inf)
        bounds = [(0, None)] * shared + [(None, None)] * (len(theta) - shared)
    found = minimize(
        objective,
        theta,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={
            "maxcor": _CORRECTIONS,
            "maxiter": search.max_iter,
            "ftol": search.value_tolerance,
            "gtol": search.gradient_tolerance,
        },
    )
    return LinearFit(penalties.unpack(found.x * scale, n_classes), int(found.nit))


def map_probabilities(block: Block, spreads: NDArray, coefficients: Coefficients) -> NDArray:
    """Probabilities of a block of rows, (n, K)."""
    exponentials = _mapped(block, spreads, coefficients)
    exponentials -= exponentials.max(axis=1, keepdims=True)
    np.exp(exponentials, out=exponentials)
    exponentials *= (1 / row_sum(exponentials)).astype(exponentials.dtype)[:, None]
    return exponentials


def _mapped(block: Block, spreads: NDArray, coefficients: Coefficients) -> NDArray:
    """The logits L of a block."""
    shared, stretch, bias, belief, matrix = coefficients
    z, dtype = block.z, block.z.dtype
    logits = np.ones_like(z)
    if shared is not None:
        a = shared / spreads
        logits += (a[0] + a[3] * block.entropy).astype(dtype)[:, None]
    if stretch is not None:
        logits += stretch.astype(dtype)
    logits *= z  # everything that multiplies z, in one pass
    if shared is not None:
        logits += dtype.type(a[1]) * block.p
        logits += dtype.type(a[2]) * block.smooth
    if bias is not None:
        logits += bias.astype(dtype)
    if belief is not None:
        logits += _times(block.p, belief)
    if matrix is not None:
        logits += _times(z, matrix)
    if block.base is not z:
        np.copyto(logits, -np.inf, where=np.isneginf(block.base))
    return logits


def _times(rows: NDArray, matrix: NDArray) -> NDArray:
    """`rows @ matrix.T`, laid out as the rows are."""
    matrix = matrix.astype(rows.dtype)
    return (matrix @ rows.T).T if rows.shape[1] <= FEW_CLASSES else rows @ matrix.T


def _loss(
    features: Features,
    spreads: NDArray,
    y_index: NDArray,
    weight: NDArray | None,
    coefficients: Coefficients,
) -> tuple[float, Coefficients]:
    """Log loss summed over rows, and its gradient."""
    loss, gradient = 0.0, [None if c is None else np.zeros(c.shape) for c in coefficients]
    with quiet_arithmetic(features.source.shape[1]):
        for block in features.blocks():
            row_weight = weight_of(block, weight)
            label = np.arange(len(block.z)), y_index[block.rows]
            logits = _mapped(block, spreads, coefficients)
            top = logits.max(axis=1)
            logits -= top[:, None]
            at_label = logits[label]
            np.exp(logits, out=logits)
            sums = row_sum(logits)
            loss += float(row_weight @ (np.log(sums) - at_label))
            # What is left of the logits becomes w (q - [k = y]).
            logits *= (row_weight / sums).astype(logits.dtype)[:, None]
            logits[label] -= row_weight.astype(logits.dtype)
            _add_gradient(gradient, block, spreads, logits)
    if gradient[4] is not None:
        np.fill_diagonal(gradient[4], 0)
    return loss, Coefficients(*gradient)


def _add_gradient(
    gradient: list[NDArray | None], block: Block, spreads: NDArray, error: NDArray
) -> None:
    """Add a block's share; `error` is w (q - [k = y])."""
    shared, stretch, bias, belief, matrix = gradient
    if shared is not None or stretch is not None:
        error_z = error * block.z
        if shared is not None:
            along_rows = row_sum(error_z)
            shared += [
                along_rows.sum() / spreads[0],
                float(row_dot(error, block.p).sum()) / spreads[1],
                float(row_dot(error, block.smooth).sum()) / spreads[2],
                block.entropy @ along_rows / spreads[3],
            ]
        if stretch is not None:
            stretch += _column_sums(error_z)
    if bias is not None:
        bias += _column_sums(error)
    if belief is not None:
        belief += error.T @ block.p
    if matrix is not None:
        matrix += error.T @ block.z


def _column_sums(block: NDArray) -> NDArray:
    # Cast by itself: within `quiet_arithmetic` a ufunc that casts goes through a tiny buffer.
    return block.sum(axis=0).astype(np.float64)


def _preconditioner(
    features: Features,
    spreads: NDArray,
    weight: NDArray | None,
    total: float,
    penalties: Penalties,
    penalty: NDArray,
) -> NDArray:
    """One over the root of each coefficient's own curvature of J / N at the start.

    In units of it the curvature of J / N is about 1 whatever N is, and so is what the tolerance of
    the gradient means.
    """
    n_classes = features.source.shape[1]
    curvature = penalties.unpack(np.zeros(len(penalty)), n_classes)
    shared, stretch, bias, belief, matrix = curvature
    with quiet_arithmetic(n_classes):
        for block in features.blocks():
            row_weight = weight_of(block, weight).astype(block.p.dtype)
            variance = block.p * (1 - block.p) * row_weight[:, None]
            if shared is not None:
                rows = row_dot(variance, block.z**2)
                shared += 0.5 * np.array(
                    [
                        rows.sum(),
                        float(row_dot(variance, block.p**2).sum()),
                        float(row_dot(variance, block.smooth**2).sum()),
                        block.entropy**2 @ rows,
                    ]
                )
            if stretch is not None:
                stretch += _column_sums(variance * block.z**2)
            if bias is not None:
                bias += _column_sums(variance)
            if belief is not None:
                belief += variance.T @ block.p**2
            if matrix is not None:
                matrix += variance.T @ block.z**2
    if shared is not None:
        shared /= spreads**2
    return np.sqrt(total / (curvature.pack() + 2 * penalty))
