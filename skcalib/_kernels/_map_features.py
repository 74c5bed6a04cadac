"""What a linear map reads of a row: calibrated log-probabilities, and features all classes share.

A map starts from probabilities that are calibrated as far as one temperature goes,

    p = (1 - e) softmax(s / T) + e / K,    z = log p,

and its shared features are z, p, log(p + 1/(10 K)) and H z, with H the row's entropy, each divided
by its standard deviation over all entries. A class that is masked in a row (a logit of -inf) stays
so and adds nothing to them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import (
    Source,
    block_buffer,
    quiet_arithmetic,
    row_blocks,
    row_dot,
    row_sum,
)
from skcalib._kernels._start import Start

N_SHARED = 4

# A feature that varies less, beside its size, is constant but for rounding (3e-4 in float32), and
# not divided by its spread.
_NO_SPREAD = 1e-3

# What a probability of 0 counts as, masked or where e underflows: the smallest normal float32.
_LEAST = 1.2e-38

# The third feature stops caring about a class at this fraction of its uniform share.
_UNIFORM_FRACTION = 0.1

# Features of so many scores are worked out once, in float64; of more in the scores' own precision,
# and anew for each evaluation where they take more memory than this.
_KEPT_ENTRIES = 2**22
_KEPT_BYTES = 5 * 2**26


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
    uniform_share = p.dtype.type(start.uniform_share)
    p *= ((1 - uniform_share) / row_sum(p)).astype(p.dtype)[:, None]
    p += np.reshape(uniform_share / n_open, (-1, 1)).astype(p.dtype)
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
            row_weight = weight_of(block, weight)
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


def weight_of(block: Block, weight: NDArray | None) -> NDArray:
    return np.ones(len(block.base)) if weight is None else weight[block.rows]


def _n_open(block: Block) -> NDArray:
    if block.base is block.z:
        return np.full(len(block.z), float(block.z.shape[1]))
    return np.isfinite(block.base).sum(axis=1).astype(np.float64)
