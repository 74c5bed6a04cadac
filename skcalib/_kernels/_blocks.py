"""Row blocks over score arrays: the only place that decides how scores are walked.

Every kernel of this room reads its scores through a *source*: an object with a `shape`
(n, K), the `dtype` results come out in, and `read(rows, buffer)`, which returns the logits of
a slice of rows. A block fits into the cache and is the only temporary: no kernel ever makes an
(n, K) array besides its output, so arrays larger than memory can be mapped and passed as they
are.

Blocks of few classes are laid out class by class (Fortran order): numpy reduces along a short
last axis 10 to 100 times slower than along a short first one. The ufuncs need not know:
only the strides differ.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

# Elements in a block. Three float32 buffers of this size stay inside a 2 MiB cache, and the
# interpreter's cost per block disappears behind the arithmetic.
BLOCK_ELEMENTS = 2**17

# Up to this many classes a block is laid out class by class.
FEW_CLASSES = 32

# Columns a dot product takes at once. OpenBLAS starts threads above 10 000 elements, which is
# many times slower on a busy machine; and the longer a float32 sum, the larger its error.
DOT_COLUMNS = 1024


# Operations between a block and one number per row go through numpy's ufunc buffer unless that
# is shorter than a row: of this many columns, that costs more than it saves.
_LONG_ROW = 512
_SMALLEST_UFUNC_BUFFER = 16


@contextmanager
def quiet_arithmetic(n_columns: int) -> Iterator[None]:
    """Kernel arithmetic on rows of this length: no floating-point warnings, no needless buffers."""
    with np.errstate(all="ignore"):  # on leaving it undoes the buffer size too, in this thread
        if n_columns >= _LONG_ROW:
            np.setbufsize(_SMALLEST_UFUNC_BUFFER)
        yield


class Source(Protocol):
    """What a kernel needs of a set of scores."""

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def read(self, rows: slice | NDArray, buffer: NDArray) -> NDArray:
        """Logits of `rows`: a view of the source, or `buffer` filled. Never to be written to."""
        ...


def result_dtype(dtype: DTypeLike) -> np.dtype:
    """float32 for float16 and float32 scores, float64 for everything else."""
    narrow = np.issubdtype(dtype, np.floating) and np.dtype(dtype).itemsize <= 4
    return np.dtype(np.float32 if narrow else np.float64)


@dataclass(frozen=True)
class Logits:
    """Logits as they stand in an array (n, K) of any real dtype, order, stride or byte order."""

    values: NDArray

    @property
    def shape(self) -> tuple[int, int]:
        return self.values.shape

    @property
    def dtype(self) -> np.dtype:
        return result_dtype(self.values.dtype)

    def read(self, rows: slice | NDArray, buffer: NDArray) -> NDArray:
        block = self.values[rows]
        if block.dtype == buffer.dtype and block.flags.c_contiguous and buffer.flags.c_contiguous:
            return block
        np.copyto(buffer, block)
        return buffer


@dataclass(frozen=True)
class SmoothedProbabilities:
    """Logits `log(p + offset)` of probabilities p (n, K), or of their logarithms.

    Parameters
    ----------
    values : ndarray of shape (n, K)
        Probabilities; with `is_log`, log-probabilities.
    offset : float
        What is added to every probability. 0 keeps them as they are; an exact zero then counts
        as the smallest normal float64, or as the row's smallest entry if that is smaller.
    is_log : bool
    """

    values: NDArray
    offset: float
    is_log: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        return self.values.shape

    @property
    def dtype(self) -> np.dtype:
        return result_dtype(self.values.dtype)

    def read(self, rows: slice | NDArray, buffer: NDArray) -> NDArray:
        np.copyto(buffer, self.values[rows])
        if not self.is_log:
            np.maximum(buffer, 0, out=buffer)  # a sum of probabilities may round below 0
        if self.offset > 0:
            if self.is_log:
                np.exp(buffer, out=buffer)
            np.add(buffer, buffer.dtype.type(self.offset), out=buffer)
            return np.log(buffer, out=buffer)
        if not self.is_log:
            np.log(buffer, out=buffer)
        return _floor_zeros(buffer)


@dataclass(frozen=True)
class RowSubset:
    """Some rows of a source, gathered block by block."""

    source: Source
    index: NDArray

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.index), self.source.shape[1]

    @property
    def dtype(self) -> np.dtype:
        return self.source.dtype

    def read(self, rows: slice | NDArray, buffer: NDArray) -> NDArray:
        return self.source.read(self.index[rows], buffer)


def _floor_zeros(log_proba: NDArray) -> NDArray:
    """Replace -inf in place by log of the smallest normal float64, below the rest of its row."""
    zero = np.isneginf(log_proba)
    if zero.any():
        smallest = np.where(zero, 0, log_proba).min(axis=1, keepdims=True)
        floor = np.minimum(np.log(np.finfo(np.float64).tiny), smallest)
        np.copyto(log_proba, floor.astype(log_proba.dtype), where=zero)
    return log_proba


def row_blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Slices of consecutive rows, about `BLOCK_ELEMENTS` elements each, at least one row."""
    step = max(1, BLOCK_ELEMENTS // n_columns)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def block_buffer(shape: tuple[int, int], dtype: DTypeLike) -> NDArray:
    """Room for the largest block of an (n, K) source; slice it to the rows at hand."""
    n_rows, n_columns = shape
    rows = min(n_rows, max(1, BLOCK_ELEMENTS // n_columns))
    return np.empty((rows, n_columns), dtype, order="F" if n_columns <= FEW_CLASSES else "C")


def row_dot(a: NDArray, b: NDArray) -> NDArray:
    """Sum of `a * b` within each row, both (n, K), as float64 (n,)."""
    if a.shape[1] <= FEW_CLASSES:
        # One class after the other: the order of additions, and so the last bit, does not
        # depend on how many rows there are.
        total = a[:, 0] * b[:, 0]
        product = np.empty_like(total)
        for k in range(1, a.shape[1]):
            total += np.multiply(a[:, k], b[:, k], out=product)
        return total.astype(np.float64)
    return _sum_of_dots(a, b)


def row_sum(a: NDArray) -> NDArray:
    """Sum within each row of an (n, K) array, as float64 (n,)."""
    if a.shape[1] > FEW_CLASSES:
        return _sum_of_pieces(a)
    # In pairs: added one after the other, equal terms would round the same way each time.
    while (n_columns := a.shape[1]) > 1:
        half = n_columns // 2
        pairs = a[:, :half] + a[:, half : 2 * half]
        if n_columns % 2:
            pairs[:, 0] += a[:, -1]
        a = pairs
    return a[:, 0].astype(np.float64)


def _sum_of_pieces(a: NDArray) -> NDArray:
    """Sums by dot products with ones: no more of them than a piece is long are made."""
    whole = a.shape[1] // DOT_COLUMNS * DOT_COLUMNS
    ones = np.ones(min(DOT_COLUMNS, a.shape[1]), dtype=a.dtype)
    total = np.vecdot(a[:, whole:], ones[: a.shape[1] - whole]).astype(np.float64)
    if whole:
        pieces = a[:, :whole].reshape(len(a), -1, DOT_COLUMNS)
        total += np.vecdot(pieces, ones).sum(axis=1, dtype=np.float64)
    return total


def _sum_of_dots(a: NDArray, b: NDArray) -> NDArray:
    """Dot products of pieces of each row, added up in float64."""
    whole = a.shape[1] // DOT_COLUMNS * DOT_COLUMNS
    total = np.vecdot(a[:, whole:], b[:, whole:]).astype(np.float64)
    if whole:
        a_pieces, b_pieces = (x[:, :whole].reshape(len(x), -1, DOT_COLUMNS) for x in (a, b))
        total += np.vecdot(a_pieces, b_pieces).sum(axis=1, dtype=np.float64)
    return total
