"""softmax, log-softmax and entropy of each row at a temperature.

Scores come as a source (see `_blocks`) of n rows and K classes, temperatures as one positive
number or one per row (n,). The row's largest score is subtracted *before* the division, so no
scale of scores overflows, and -inf entries (masked classes) come out as probability 0.

A row that has no softmax (it holds a NaN or +inf, or nothing but -inf) comes out as NaN in
every column: the caller looks at the first column and raises.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import (
    FEW_CLASSES,
    Source,
    block_buffer,
    quiet_arithmetic,
    row_blocks,
    row_dot,
    row_sum,
)

Temperature = float | NDArray

# Where at most one class in this many is not masked, as after top-k, entropies are worked out from
# these classes alone; in rows so long that it pays.
_SPARSE = 8
_LONG_ROW = 2**12


# Of so many classes one is looked at for masks: most ways of masking show there.
_GLANCE = 64


def softmax(source: Source, temperature: Temperature = 1.0, out: NDArray | None = None) -> NDArray:
    """Probabilities `exp(z / T) / sum(exp(z / T))`, (n, K); written to `out` if given."""
    out = _output(source, out)
    with quiet_arithmetic(source.shape[1]):
        for rows, scaled in _scaled_blocks(source, temperature, out):
            np.exp(scaled, out=scaled)
            np.multiply(scaled, _column(1 / row_sum(scaled), scaled), out=scaled)
            _deliver(scaled, out, rows)
    return out


def log_softmax(
    source: Source, temperature: Temperature = 1.0, out: NDArray | None = None
) -> NDArray:
    """Log-probabilities `z / T - log(sum(exp(z / T)))`, (n, K); written to `out` if given."""
    out = _output(source, out)
    exponentials = block_buffer(source.shape, source.dtype)
    with quiet_arithmetic(source.shape[1]):
        for rows, scaled in _scaled_blocks(source, temperature, out):
            total = row_sum(np.exp(scaled, out=exponentials[: len(scaled)]))
            np.subtract(scaled, _column(np.log(total), scaled), out=scaled)
            _deliver(scaled, out, rows)
    return out


def entropy(
    source: Source,
    temperature: Temperature = 1.0,
    out: NDArray | None = None,
    candidates: NDArray | None = None,
) -> NDArray:
    """Entropy `-sum(q log q)` in nats of each row's softmax, (n,); between 0 and log(K).

    `candidates`, if given, receives the number of classes of each row that are not masked, (n,).
    """
    out = np.empty(source.shape[0], dtype=source.dtype) if out is None else out
    exponentials = block_buffer(source.shape, source.dtype)
    with quiet_arithmetic(source.shape[1]):
        for rows, scaled in _scaled_blocks(source, temperature, None):
            weights = exponentials[: len(scaled)]
            count: Any = source.shape[1]
            found = None
            if scaled[:, ::_GLANCE].min() > -np.inf:
                found = _entropy_of(scaled, weights)
            # Masks that a glance missed show as 0 * -inf.
            if found is not None and not np.isnan(found).any():
                out[rows] = found
            else:
                is_candidate = source.read(rows, weights) != -np.inf
                count = _count(is_candidate)
                out[rows] = _masked_entropy(scaled, weights, is_candidate, count)
            if candidates is not None:
                candidates[rows] = count
    return out


def _entropy_of(scaled: NDArray, weights: NDArray) -> NDArray:
    """Entropies (m,) of a block of scores whose largest is 0; `weights` is room for it."""
    total = row_sum(np.exp(scaled, out=weights))
    # log(total) >= mean of scaled, but rounding may put a one-hot row below 0.
    return np.maximum(np.log(total) - row_dot(weights, scaled) / total, 0)


def _masked_entropy(
    scaled: NDArray, weights: NDArray, is_candidate: NDArray, count: NDArray
) -> NDArray:
    """The same where some scores are -inf; overwrites them."""
    n_rows, n_columns = scaled.shape
    few = (count * _SPARSE <= n_columns) & (n_columns >= _LONG_ROW) & (count > 0)
    out = np.empty(n_rows)
    for row in np.flatnonzero(few):
        kept = np.maximum(scaled[row][is_candidate[row]], _lowest(scaled))[None]
        out[row] = _entropy_of(kept, np.empty_like(kept))[0]
    if not few.all():
        # 0 * -inf: a masked class has weight 0 and must add 0.
        np.clip(scaled, _lowest(scaled), 0, out=scaled)
        out[~few] = _entropy_of(scaled, weights)[~few]
    return out


def _lowest(like: NDArray) -> np.floating:
    return np.finfo(like.dtype).min


def _count(is_candidate: NDArray) -> NDArray:
    """Candidates of each row."""
    if is_candidate.shape[1] <= FEW_CLASSES:
        return is_candidate.sum(axis=1)
    # Within rows numpy counts fast, along an axis 20 times slower.
    return np.array([np.count_nonzero(row) for row in is_candidate])


def _output(source: Source, out: NDArray | None) -> NDArray:
    return np.empty(source.shape, dtype=source.dtype) if out is None else out


def _deliver(block: NDArray, out: NDArray, rows: slice) -> None:
    """Copy a finished block to its place, unless it was worked out there."""
    if not np.may_share_memory(block, out):
        np.copyto(out[rows], block)


def _column(per_row: NDArray, like: NDArray) -> NDArray:
    return per_row.astype(like.dtype)[:, None]


def _scaled_blocks(
    source: Source, temperature: Temperature, out: NDArray | None
) -> Iterator[tuple[slice, NDArray]]:
    """Blocks of `(z - max z) / T`, to be overwritten at will; in `out` where its layout fits."""
    n_rows, n_columns = source.shape
    inverse = np.reciprocal(np.asarray(temperature, dtype=np.float64)).astype(source.dtype)
    buffer = block_buffer(source.shape, source.dtype)
    in_place = (
        out is not None
        and out.dtype == buffer.dtype
        and out.flags.c_contiguous
        and buffer.flags.c_contiguous
    )
    for rows in row_blocks(n_rows, n_columns):
        work = buffer[: rows.stop - rows.start]
        block = source.read(rows, work)
        if in_place and out is not None:
            work = out[rows]
        np.subtract(block, block.max(axis=1, keepdims=True), out=work)
        if inverse.ndim:
            np.multiply(work, inverse[rows, None], out=work)
        elif inverse != 1:
            np.multiply(work, inverse, out=work)
        yield rows, work
