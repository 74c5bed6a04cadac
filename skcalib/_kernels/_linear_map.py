"""A shrunken linear map of calibrated logits: the one objective of all linear calibrators.

The map starts from probabilities that are calibrated as far as one temperature goes,

    p = (1 - e) softmax(s / T) + e / K,    z = log p,

and adds to their logits what the labels call for:

    L = z + sum_m a_m f_m + v * z + b + C p + M z.

`f_m` are features that all classes share: z, p, log(p + 1/(10 K)) and H z, with H the row's
entropy, each divided by its standard deviation over all entries. v stretches each class and b
shifts it. `C_kl` reads "add this to the logit of class k as far as the model believes l": bounded,
however far out a row lies. M, with a zero diagonal, does the same in the logarithm.

The objective is the log loss summed over rows, plus the squares of each block times its penalty,

    J = sum w NLL(L) + r_a |a|^2 + r_v |v|^2 + r_b |b|^2 + r_C |C|^2 + r_M |M|^2,

which is convex. The penalties are data: an infinite one leaves its block out, and each linear
calibrator is a choice of them. Those of v, b and M alone are structured matrix scaling (Berta,
Holzmueller, Jordan, Bach 2025); v and b for two classes are beta calibration (Kull, Silva Filho,
Flach 2017).

A class that is masked in a row (a logit of -inf) stays so and adds nothing to the row's features.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from skcalib._kernels._blocks import (
    FEW_CLASSES,
    Source,
    block_buffer,
    quiet_arithmetic,
    row_blocks,
    row_dot,
    row_sum,
)

N_SHARED = 4

_CORRECTIONS = 10  # that L-BFGS remembers

# A feature that varies less, beside its size, is constant but for rounding (3e-4 in float32), and
# not divided by its spread.
_NO_SPREAD = 1e-3

# What a probability of 0 counts as where nothing is mixed in: the smallest normal float32.
_LEAST = 1.2e-38

# The third feature stops caring about a class at this fraction of its uniform share.
_UNIFORM_FRACTION = 0.1

# Features of so many scores are worked out once, in float64; of more in the scores' own precision,
# and anew for each evaluation where they take more memory than this.
_KEPT_ENTRIES = 2**22
_KEPT_BYTES = 5 * 2**26


class Search(NamedTuple):
    """When L-BFGS stops; tolerances are of J / N, in units in which its curvature is about 1."""

    max_iter: int
    value_tolerance: float
    gradient_tolerance: float


# Coefficients to four digits, for those who look at them.
THOROUGH = Search(500, 1e-10, 1e-6)
# Enough for a mixture: 40 and 100 steps served the same log loss to three digits on 33 score sets.
QUICK = Search(40, 1e-6, 1e-3)


class Penalties(NamedTuple):
    """What the sum of squares of each block is multiplied by; inf leaves the block out."""

    shared: float = np.inf  # a, (4,)
    stretch: float = np.inf  # v, (K,)
    bias: float = np.inf  # b, (K,)
    belief: float = np.inf  # C, (K, K)
    matrix: float = np.inf  # M, (K, K), zero diagonal


class Coefficients(NamedTuple):
    """The blocks of a map; None for those left out."""

    shared: NDArray | None
    stretch: NDArray | None
    bias: NDArray | None
    belief: NDArray | None
    matrix: NDArray | None


class Start(NamedTuple):
    """Where a map starts."""

    temperature: float
    uniform_share: float  # e, mixed in after the temperature


class Block(NamedTuple):
    """Features of some rows. Masked entries are 0 in z, p and smooth, and -inf in base."""

    rows: slice
    base: NDArray  # (n, K)
    z: NDArray  # (n, K)
    p: NDArray  # (n, K)
    smooth: NDArray  # log(p + 1/(10 K)), (n, K)
    entropy: NDArray  # H, (n,)


@dataclass(frozen=True)
class Features:
    """What a map reads of the rows of a source, block by block."""

    source: Source
    start: Start
    kept: tuple[Block, ...] | None = None

    def blocks(self) -> Iterator[Block]:
        """Every block once, in order."""
        return iter(self.kept) if self.kept is not None else self._worked_out(self.source.dtype)

    def keep(self) -> "Features":
        """The same, remembered if they are not too many."""
        n_entries = self.source.shape[0] * self.source.shape[1]
        dtype = np.dtype(np.float64) if n_entries <= _KEPT_ENTRIES else self.source.dtype
        if 3 * n_entries * dtype.itemsize > _KEPT_BYTES:
            return self
        with quiet_arithmetic(self.source.shape[1]):
            return Features(self.source, self.start, tuple(self._worked_out(dtype)))

    def _worked_out(self, dtype: np.dtype) -> Iterator[Block]:
        buffer = block_buffer(self.source.shape, dtype)
        for rows in row_blocks(*self.source.shape):
            scores = self.source.read(rows, buffer[: rows.stop - rows.start])
            yield _block(rows, scores, self.start)


def _block(rows: slice, scores: NDArray, start: Start) -> Block:
    masked = np.isneginf(scores)
    any_masked = bool(masked.any())
    p = scores - scores.max(axis=1, keepdims=True)
    p *= 1 / start.temperature
    np.exp(p, out=p)
    n_open = (p.shape[1] - masked.sum(axis=1)).astype(p.dtype) if any_masked else p.shape[1]
    share = p.dtype.type(start.uniform_share)
    p *= ((1 - share) / row_sum(p)).astype(p.dtype)[:, None]
    p += np.reshape(share / n_open, (-1, 1)).astype(p.dtype)
    if any_masked:
        np.copyto(p, 0, where=masked)
    z = np.log(np.maximum(p, _LEAST))
    smooth = np.log(p + p.dtype.type(_UNIFORM_FRACTION / p.shape[1]))
    base = z
    if any_masked:
        base = np.where(masked, -np.inf, z)
        np.copyto(z, 0, where=masked)
        np.copyto(smooth, 0, where=masked)
    return Block(rows, base, z, p, smooth, -row_dot(p, z))


def shared_spreads(features: Features, weight: NDArray | None) -> NDArray:
    """Standard deviation of each shared feature over all entries, (4,); 1 where constant."""
    total, first, second = 0.0, np.zeros(N_SHARED), np.zeros(N_SHARED)
    with quiet_arithmetic(features.source.shape[1]):
        for block in features.blocks():
            row_weight = _weight_of(block, weight)
            total += float(row_weight @ _n_open(block))
            for m, feature in enumerate((block.z, block.p, block.smooth)):
                first[m] += row_weight @ row_sum(feature)
                second[m] += row_weight @ row_dot(feature, feature)
            z_sum, z_square = row_sum(block.z), row_dot(block.z, block.z)
            first[3] += (row_weight * block.entropy) @ z_sum
            second[3] += (row_weight * block.entropy**2) @ z_square
    square = second / total
    spreads = np.sqrt(np.maximum(square - (first / total) ** 2, 0))
    return np.where(spreads <= _NO_SPREAD * np.sqrt(square), 1.0, spreads)


def _weight_of(block: Block, weight: NDArray | None) -> NDArray:
    return np.ones(len(block.base)) if weight is None else weight[block.rows]


def _n_open(block: Block) -> NDArray:
    if block.base is block.z:
        return np.full(len(block.z), float(block.z.shape[1]))
    return np.isfinite(block.base).sum(axis=1).astype(np.float64)


class LinearFit(NamedTuple):
    """A fitted map."""

    coefficients: Coefficients
    objective: float  # J at the minimum
    n_iter: int


@np.errstate(all="ignore")
def fit_linear_map(
    features: Features,
    spreads: NDArray,
    y_index: NDArray,
    weight: NDArray | None,
    penalties: Penalties,
    *,
    start: Coefficients | None = None,
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
    start : Coefficients to start the search at if they are of the same blocks, else zeros
    monotone : whether the shared features may only add to what the row says already
    search : Search, when to stop
    """
    n_classes = features.source.shape[1]
    total = len(y_index) if weight is None else float(weight.sum())
    if not _n_coefficients(penalties, n_classes):
        return LinearFit(Coefficients(None, None, None, None, None), np.nan, 0)
    scale = _preconditioner(features, spreads, weight, total, penalties)
    penalty = _per_coefficient(penalties, n_classes)

    def objective(scaled: NDArray) -> tuple[float, NDArray]:
        theta = scaled * scale
        coefficients = _unpack(theta, penalties, n_classes)
        loss, gradient = _loss(features, spreads, y_index, weight, coefficients)
        value = loss + penalty @ theta**2
        slope = (_pack(gradient) + 2 * penalty * theta) * scale
        return value / total, slope / total

    theta = np.zeros(len(scale))
    if start is not None and _shape_of(start) == _shapes(penalties, n_classes):
        theta = _pack(start) / scale
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
    coefficients = _unpack(found.x * scale, penalties, n_classes)
    return LinearFit(coefficients, float(found.fun) * total, int(found.nit))


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
            row_weight = _weight_of(block, weight)
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
) -> NDArray:
    """One over the root of each coefficient's own curvature of J / N at the start.

    In units of it the curvature of J / N is about 1 whatever N is, and so is what the tolerance of
    the gradient means.
    """
    n_classes = features.source.shape[1]
    zeros = _unpack(np.zeros(_n_coefficients(penalties, n_classes)), penalties, n_classes)
    shared, stretch, bias, belief, matrix = zeros
    with quiet_arithmetic(n_classes):
        for block in features.blocks():
            row_weight = _weight_of(block, weight).astype(block.p.dtype)
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
    curvature = _pack(zeros) + 2 * _per_coefficient(penalties, n_classes)
    return np.sqrt(total / curvature)


def _shapes(penalties: Penalties, n_classes: int) -> list[tuple[int, ...] | None]:
    square = n_classes, n_classes
    shapes = (N_SHARED,), (n_classes,), (n_classes,), square, square
    return [s if r < np.inf else None for s, r in zip(shapes, penalties, strict=True)]


def _shape_of(coefficients: Coefficients) -> list[tuple[int, ...] | None]:
    return [None if c is None else c.shape for c in coefficients]


def _n_coefficients(penalties: Penalties, n_classes: int) -> int:
    return sum(int(np.prod(s)) for s in _shapes(penalties, n_classes) if s is not None)


def _unpack(theta: NDArray, penalties: Penalties, n_classes: int) -> Coefficients:
    """Blocks of a vector of coefficients, as views."""
    blocks: list[NDArray | None] = []
    at = 0
    for shape in _shapes(penalties, n_classes):
        if shape is None:
            blocks.append(None)
        else:
            size = int(np.prod(shape))
            blocks.append(theta[at : at + size].reshape(shape))
            at += size
    return Coefficients(*blocks)


def _pack(coefficients: Coefficients) -> NDArray:
    return np.concatenate([c.ravel() for c in coefficients if c is not None])


def _per_coefficient(penalties: Penalties, n_classes: int) -> NDArray:
    """Each coefficient's penalty."""
    shapes = _shapes(penalties, n_classes)
    parts = [np.full(s, r) for s, r in zip(shapes, penalties, strict=True) if s is not None]
    return np.concatenate([part.ravel() for part in parts])
