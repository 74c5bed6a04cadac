"""Probability bins: the one edge rule, and weighted sums over the rows of each bin.

Bins are `(a, b]`, and 0 lies in the first. A row's bin is therefore the number of interior
edges below its probability. Edges are cast to the probabilities' own dtype before they are
compared: float32 .3 lies on the edge .3, in the bin that ends there.

Arrays of n rows and C columns are binned column by column: C is the number of classes, or 1 for
the confidence of each row. In each row at most one column's *event* happens: the class that is
true, or the prediction that is correct.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import row_blocks

# Columns summed at once. The sums of a block have a cell for every column and bin; in narrower
# pieces a block has many rows for each of them, however many classes there are.
_COLUMNS = 1024

# Cumulative weights that fall short of a share by this much, relatively, reach it.
_ROUNDING = 1e-12


class BinSums(NamedTuple):
    """Sums over the rows of each bin, one line per column: all (C, B) float64."""

    weight: NDArray  # sum w
    squared_weight: NDArray  # sum w^2
    proba: NDArray  # sum w p
    events: NDArray  # sum w over rows whose event happened
    squared_error: NDArray  # sum w (p - [happened])^2; NaN unless asked for


def uniform_edges(n_bins: int) -> NDArray:
    """Edges (B + 1,) of bins of equal width: j / B, which `np.linspace` may miss by rounding."""
    return np.arange(n_bins + 1) / n_bins


def quantile_edges(p: NDArray, weight: NDArray | None, n_bins: int) -> NDArray:
    """Edges (B + 1,) of bins of equal weight, cut at observed probabilities.

    Interior edge j is the smallest p (n,) with at least a share j / B of the weight at or below it:
    numpy's weighted quantile "inverted_cdf", the one for which a weight equals repetition. Edges
    that coincide enclose an empty bin.
    """
    share = np.arange(1, n_bins) / n_bins
    if weight is None:
        ordered = np.sort(p)
        # The exact ceiling of n j / B: the rounded product may fall on its other side.
        rank = -(-len(p) * np.arange(1, n_bins) // n_bins) - 1
    else:
        order = np.argsort(p)
        ordered, cumulative = p[order], weight[order].cumsum()
        # Sums of equal weights may fall short of a share by rounding alone.
        rank = np.searchsorted(cumulative, share * cumulative[-1] * (1 - _ROUNDING), "left")
    return np.concatenate([[0.0], ordered[rank], [1.0]])


def bin_index(p: NDArray, edges: NDArray) -> NDArray:
    """Bin of each probability p (n, C), as the smallest unsigned type that holds B.

    `edges` are (B + 1,), or (B + 1, C) for edges of each column's own. Up to some hundred bins
    a comparison with every edge is several times faster than a binary search.
    """
    interior = edges[1:-1].astype(p.dtype)
    index = np.zeros(p.shape, dtype=np.min_scalar_type(len(edges)))
    above = np.empty(p.shape, dtype=bool)
    for edge in interior:
        np.greater(p, edge, out=above)
        np.add(index, above.view(np.uint8), out=index)
    return index


def bin_sums(
    p: NDArray,
    event: NDArray,
    weight: NDArray | None,
    edges: NDArray,
    *,
    squared_error: bool = False,
) -> BinSums:
    """Weighted sums over the rows of each bin.

    Parameters
    ----------
    p : ndarray of shape (n, C), probabilities
    event : ndarray of shape (n,), the column whose event happened, or -1
    weight : ndarray of shape (n,), float64, or None for ones
    edges : ndarray of shape (B + 1,), or (B + 1, C) for edges of each column's own
    squared_error : bool, whether to sum the squared errors too
    """
    n_columns, n_bins = p.shape[1], len(edges) - 1
    sums = np.zeros((len(BinSums._fields), n_columns, n_bins))
    for start in range(0, n_columns, _COLUMNS):
        columns = slice(start, min(start + _COLUMNS, n_columns))
        piece_edges = edges if edges.ndim == 1 else edges[:, columns]
        for rows in row_blocks(len(p), columns.stop - start):
            w = None if weight is None else weight[rows]
            block = p[rows, columns], event[rows] - start, w, piece_edges
            sums[:, columns] += _block_sums(*block, squared_error)
    return BinSums(*sums)


@np.errstate(under="ignore")
def _block_sums(
    p: NDArray, event: NDArray, weight: NDArray | None, edges: NDArray, squared_error: bool
) -> NDArray:
    """The fields of `BinSums` for one block, (5, C, B)."""
    n_columns, n_bins = p.shape[1], len(edges) - 1
    cell = bin_index(p, edges) + n_bins * np.arange(n_columns)

    def total(at: NDArray, values: NDArray | None) -> NDArray:
        return np.bincount(at.ravel(), values, n_columns * n_bins)

    happened = np.flatnonzero((event >= 0) & (event < n_columns))
    event_cell = cell[happened, event[happened]]
    if weight is None:
        rows = total(cell, None)
        sums = [rows, rows, total(cell, p.ravel()), total(event_cell, None)]
    else:
        of_rows = np.repeat(weight, n_columns)
        weights = [of_rows, of_rows**2, of_rows * p.ravel()]
        sums = [total(cell, w) for w in weights] + [total(event_cell, weight[happened])]
    if squared_error:
        error = p.astype(np.float64)
        error[happened, event[happened]] -= 1
        error *= error if weight is None else error * weight[:, None]
        sums.append(total(cell, error.ravel()))
    else:
        sums.append(np.full(n_columns * n_bins, np.nan))
    return np.stack(sums).reshape(-1, n_columns, n_bins)


def top_label(proba: NDArray, y_index: NDArray) -> tuple[NDArray, NDArray]:
    """Each row's largest probability (n,), and whether the first column that has it is true."""
    confidence = np.empty(len(proba), dtype=proba.dtype)
    correct = np.empty(len(proba), dtype=bool)
    for rows in row_blocks(*proba.shape):
        block = proba[rows]
        top = block.argmax(axis=1)
        confidence[rows] = block[np.arange(len(block)), top]
        correct[rows] = top == y_index[rows]
    return confidence, correct
