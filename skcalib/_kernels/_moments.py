"""The log loss of `softmax(beta z)` and its derivatives in beta, summed block by block.

`beta = 1 / T`. With q the softmax of a row, the row's loss is `lse(beta z) - beta z_y`, its
derivatives in beta are the cumulants of z under q: mean minus `z_y`, variance, third central
moment. One exponential per score yields all of them through `S_k = sum exp(beta z) z^k`.

Nothing is checked beforehand. A row with a NaN, with +inf or with nothing but -inf makes the
sums NaN, a label whose score is -inf makes them infinite: `Moments.finite` says so and the
caller looks for the row. Rows of weight 0 are as if they were not there.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from skcalib._kernels._blocks import (
    FEW_CLASSES,
    Source,
    block_buffer,
    quiet_arithmetic,
    row_blocks,
    row_dot,
    row_sum,
)

# Without subtracting the row's largest score, `S_0` must stay in this range for float32 sums
# to be as good as with it; and from this many classes on one dominant class spoils them.
_UNSHIFTED_SUMS = (2.0**-60, 2.0**90)
_UNSHIFTED_CLASSES = 3000

# Nor may the mean be large against the variance: rounding of one would show in the other, and in
# beta with this many float32 roundings.
_UNSHIFTED_MEAN = 5.0


class Moments(NamedTuple):
    """Weighted sums over rows at one beta."""

    weight: float  # sum of weights
    loss: float  # sum w [lse(beta z) - beta z_y]
    slope: float  # sum w (E_q z - z_y), first derivative in beta
    curvature: float  # sum w Var_q z, second derivative in beta
    skewness: float  # sum w E_q (z - E_q z)^3, third derivative in beta
    squared_slope: float  # sum w (E_q z - z_y)^2
    loss_at_one: float  # sum w [lse(z) - z_y], the loss at beta = 1; NaN unless asked for

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.loss) and np.isfinite(self.slope))


_LOSS_TO_CURVATURE = slice(Moments._fields.index("loss"), Moments._fields.index("skewness"))


class Edges(NamedTuple):
    """What the loss does as beta goes to 0 and to infinity, for all finite rows."""

    constant: bool  # every row's unmasked scores are equal: the loss does not depend on beta
    slope_at_zero: float  # sum w (mean z - z_y): >= 0 means the loss is least at beta = 0
    slope_at_infinity: float  # sum w (max z - z_y): 0 means the loss falls for ever


def loss_moments(
    source: Source,
    y_index: NDArray,
    weight: NDArray | None,
    beta: float,
    dtype: DTypeLike | None = None,
    *,
    at_one: bool = False,
    work: "Work | None" = None,
) -> Moments:
    """Log loss and its first three derivatives in beta.

    Parameters
    ----------
    source : Source of n rows and K classes
    y_index : ndarray of shape (n,), column of each row's true class
    weight : ndarray of shape (n,), float64, or None for ones
    beta : float, positive
    dtype : what exponentials are computed in, the source's own by default; sums are float64
    at_one : whether to sum the loss at beta = 1 too, while the scores are at hand
    work : what `work_arrays` made for this source, to be used again by many calls
    """
    work = work_arrays(source, dtype) if work is None else work
    total = np.zeros(len(Moments._fields))
    with quiet_arithmetic(source.shape[1]):
        for _, block, label, w, arrays in _weighted_blocks(source, y_index, weight, work):
            at_beta_one = _row_losses(block, label, 1.0, arrays) if at_one else None
            terms = _row_terms(block, label, beta, arrays, at_beta_one)
            total += terms.sum(axis=1) if w is None else terms @ w
    return Moments(*total.tolist())


def log_loss_sum(
    source: Source,
    y_index: NDArray,
    weight: NDArray | None,
    beta: float = 1.0,
    dtype: DTypeLike | None = None,
) -> float:
    """Sum of `w [lse(beta z) - beta z_y]` alone, at about half the cost of `loss_moments`."""
    work = work_arrays(source, dtype)
    total = 0.0
    with quiet_arithmetic(source.shape[1]):
        for _, block, label, w, arrays in _weighted_blocks(source, y_index, weight, work):
            loss = _row_losses(block, label, beta, arrays)
            total += float(loss.sum() if w is None else loss @ w)
    return total


def row_losses(
    source: Source, y_index: NDArray, beta: float = 1.0, *, work: "Work | None" = None
) -> NDArray:
    """Each row's `lse(beta z) - beta z_y`, (n,) float64."""
    work = work_arrays(source) if work is None else work
    losses = np.empty(len(y_index))
    with quiet_arithmetic(source.shape[1]):
        for rows, block, label, _, arrays in _weighted_blocks(source, y_index, None, work):
            losses[rows] = _row_losses(block, label, beta, arrays)
    return losses


def row_moments(
    source: Source,
    y_index: NDArray,
    weight: NDArray | None,
    beta: float,
    dtype: DTypeLike | None = None,
    *,
    work: "Work | None" = None,
) -> NDArray:
    """Each row's loss, slope and curvature: terms of `Moments` without weights, (3, n) float64.

    Rows of weight 0 have zeros. The arguments are those of `loss_moments`.
    """
    work = work_arrays(source, dtype) if work is None else work
    moments = np.zeros((3, len(y_index)))
    with quiet_arithmetic(source.shape[1]):
        for rows, block, label, _, arrays in _weighted_blocks(source, y_index, weight, work):
            moments[:, rows] = _row_terms(block, label, beta, arrays, None)[_LOSS_TO_CURVATURE]
    return moments


def clustered_outer(
    slopes: NDArray, weight: NDArray | None, groups: NDArray
) -> tuple[NDArray, float]:
    """Sum over clusters of `(sum w g) (sum w g)^T`, and its correction for few clusters.

    Rows of one cluster are not independent: what varies from sample to sample is their sum. With
    G > 2 clusters that hold weight the correction is `G / (G - 1)`, as for G rows.

    Parameters
    ----------
    slopes : ndarray of shape (m, n), each row's derivatives g in m parameters
    weight : ndarray of shape (n,), float64, or None for ones
    groups : ndarray of shape (n,), intp: the cluster of each row, codes from 0 on

    Returns
    -------
    outer : ndarray of shape (m, m)
    correction : float
    """
    present = np.bincount(groups if weight is None else groups[weight > 0]) > 0
    weighted = slopes if weight is None else slopes * weight
    totals = np.stack([np.bincount(groups, row, len(present))[: len(present)] for row in weighted])
    return totals @ totals.T, small_sample_correction(int(present.sum()))


def small_sample_correction(n: float) -> float:
    """`n / (n - 1)` for an n that allows it."""
    return n / (n - 1) if n > 2 else 1.0


def loss_edges(source: Source, y_index: NDArray, weight: NDArray | None) -> Edges:
    """Whether a beta in (0, inf) minimises the log loss; exact in float64, without an exp."""
    constant, at_zero, at_infinity = True, 0.0, 0.0
    work = work_arrays(source, np.float64)
    with quiet_arithmetic(source.shape[1]):
        for _, block, label, w, _ in _weighted_blocks(source, y_index, weight, work):
            gaps = block.max(axis=1, keepdims=True) - block
            label_gap = _label_scores(gaps, label)
            mean_gap = _mean_of_open(gaps)
            constant &= not gaps.any()
            w = np.ones(len(block)) if w is None else w
            at_zero += float(w @ (label_gap - mean_gap))
            at_infinity += float(w @ label_gap)
    return Edges(constant, at_zero, at_infinity)


def mean_gaps(source: Source) -> NDArray:
    """How far the largest score of each row is above the mean of those not masked, (n,)."""
    mean_gap = np.empty(source.shape[0])
    with quiet_arithmetic(source.shape[1]):
        for rows, block, *_ in _weighted_blocks(source, mean_gap, None, work_arrays(source)):
            mean_gap[rows] = _mean_of_open(block.max(axis=1, keepdims=True) - block)
    return mean_gap


def _mean_of_open(gaps: NDArray) -> NDArray:
    """Mean of each row's gaps but those of masked classes, which are inf. These become 0."""
    n_open = np.full(len(gaps), gaps.shape[1])
    masked = np.isposinf(gaps)
    if masked.any():
        np.copyto(gaps, 0, where=masked)
        n_open -= masked.sum(axis=1)
    return row_sum(gaps) / n_open


Work = tuple[NDArray, NDArray]


def work_arrays(source: Source, dtype: DTypeLike | None = None) -> Work:
    """Two block buffers: fresh memory costs a page fault every 4 KiB, so passes share them."""
    dtype = source.dtype if dtype is None else np.dtype(dtype)
    return block_buffer(source.shape, dtype), block_buffer(source.shape, dtype)


def _weighted_blocks(
    source: Source, y_index: NDArray, weight: NDArray | None, work: Work
) -> Iterator[tuple[slice | NDArray, NDArray, NDArray, NDArray | None, Work]]:
    """Blocks: rows, logits, labels, weights and two work arrays; rows of weight 0 left out.

    The block may lie in the first work array, or be the source's own memory.
    """
    for rows in row_blocks(*source.shape):
        block = source.read(rows, work[0][: rows.stop - rows.start])
        label, w = y_index[rows], None if weight is None else weight[rows]
        place: slice | NDArray = rows
        if w is not None and not w.all():
            kept = np.flatnonzero(w)
            place, block, label, w = rows.start + kept, block[kept], label[kept], w[kept]
            if not len(w):
                continue
        yield place, block, label, w, (work[0][: len(block)], work[1][: len(block)])


def _exponential_sums(
    block: NDArray, beta: float, work: Work, *, shift: bool = False
) -> tuple[NDArray, NDArray]:
    """Scores z, shifted row by row or not, and the row sums of `exp(beta z)`.

    The exponentials are left in the second work array. Subtracting each row's largest score
    takes two more passes over the block, so it is done only where float32 needs it.
    """
    e = work[1]
    many = FEW_CLASSES < block.shape[1] < _UNSHIFTED_CLASSES
    if block.dtype == np.float32 and many and not shift:
        s0 = _exponentials(block, beta, e)
        low, high = _UNSHIFTED_SUMS
        if s0.min() > low and s0.max() < high:
            return block, s0
    z = np.subtract(block, block.max(axis=1, keepdims=True), out=work[0])
    return z, _exponentials(z, beta, e)


def _exponentials(z: NDArray, beta: float, out: NDArray) -> NDArray:
    scaled = z if beta == 1 else np.multiply(z, z.dtype.type(beta), out=out)
    return row_sum(np.exp(scaled, out=out))


def _label_scores(z: NDArray, label: NDArray) -> NDArray:
    return z[np.arange(len(z)), label].astype(np.float64)


def _row_losses(block: NDArray, label: NDArray, beta: float, work: Work) -> NDArray:
    z, s0 = _exponential_sums(block, beta, work)
    return np.log(s0) - beta * _label_scores(z, label)


def _row_terms(
    block: NDArray,
    label: NDArray,
    beta: float,
    work: Work,
    loss_at_one: NDArray | None,
    *,
    shift: bool = False,
) -> NDArray:
    """The fields of `Moments` for each row, (7, rows)."""
    z, s0 = _exponential_sums(block, beta, work, shift=shift)
    e, z_label = work[1], _label_scores(z, label)
    s1 = row_dot(e, z)
    if np.isnan(s1).any():
        # A masked class has e = 0 and z = -inf, and must add 0. A row that is NaN stays so.
        z = _without_masks(z, work[0])
        s1 = row_dot(e, z)
    s2 = row_dot(np.multiply(e, z, out=e), z)
    s3 = row_dot(np.multiply(e, z, out=e), z)

    mean, square, cube = s1 / s0, s2 / s0, s3 / s0
    variance = np.maximum(square - mean**2, 0)
    if z is block and np.abs(mean).mean() > _UNSHIFTED_MEAN * beta * variance.mean():
        return _row_terms(block, label, beta, work, loss_at_one, shift=True)
    residual = mean - z_label
    return np.stack(
        [
            np.ones(len(z)),
            np.log(s0) - beta * z_label,
            residual,
            variance,
            cube - mean * (3 * square - 2 * mean**2),
            residual**2,
            np.full(len(z), np.nan) if loss_at_one is None else loss_at_one,
        ]
    )


def _without_masks(z: NDArray, out: NDArray) -> NDArray:
    np.copyto(out, z)
    np.copyto(out, 0, where=np.isneginf(out))
    return out
