"""Linear maps of several strengths, pooled with the scores as they are and with uniform.

Strong shrinkage is right for few rows and weak for many, the scores themselves are right where
they were calibrated already, and uniform where they mislead. The pool is the mixture

    P = w_0 uniform + w_1 softmax(s) + sum_t w_t softmax(L_t),

and held-out rows say how much of each. A mixture does better than the best of its members, and
does not jump from one to another as rows come in.

Members stand in this order everywhere: uniform, as given, then the maps.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import RowSubset, Source, quiet_arithmetic
from skcalib._kernels._linear_map import (
    THOROUGH,
    Block,
    Coefficients,
    Features,
    Penalties,
    Search,
    Start,
    fit_linear_map,
    map_probabilities,
    shared_spreads,
)
from skcalib._kernels._softmax import softmax

# Of the shuffle that makes folds. Any number will do, as long as it stays.
_SHUFFLE = 0


class Path(NamedTuple):
    """Maps from one start, each with other penalties."""

    start: Start
    spreads: NDArray  # (4,), what the shared features are divided by
    maps: tuple[Coefficients, ...]


def fit_path(
    source: Source,
    y_index: NDArray,
    weight: NDArray | None,
    start: Start,
    penalties: Sequence[Penalties],
    *,
    monotone: bool = False,
    search: Search = THOROUGH,
) -> Path:
    """Fit a map for each of the penalties; a search starts where the one before it ended."""
    features = Features(source, start).keep()
    spreads = shared_spreads(features, weight)
    maps: list[Coefficients] = []
    for each in penalties:
        last = maps[-1] if maps else None
        fit = fit_linear_map(
            features,
            spreads,
            y_index,
            weight,
            each,
            start=last,
            monotone=monotone,
            search=search,
        )
        maps.append(fit.coefficients)
    return Path(start, spreads, tuple(maps))


def pool_probabilities(given: Source, source: Source, path: Path, shares: NDArray) -> NDArray:
    """The mixture's probabilities, (n, K).

    Parameters
    ----------
    given : Source, the scores whose softmax is what the model itself says
    source : Source, of the same rows: the scores that the path was fitted on
    path : Path
    shares : ndarray of shape (2 + maps,), summing to one; a member of share 0 costs nothing
    """
    out = np.empty(given.shape, given.dtype)
    used = np.flatnonzero(shares).tolist()
    with quiet_arithmetic(given.shape[1]):
        for block in Features(source, path.start).blocks():
            total = out[block.rows]
            for i, member in enumerate(used):
                proba = _member(member, given, block, path)
                share = proba.dtype.type(shares[member])
                if i == 0:
                    np.multiply(proba, share, out=total)
                else:
                    total += share * proba
    return out


def member_densities(given: Source, source: Source, path: Path, y_index: NDArray) -> NDArray:
    """What each member says of the true class, (n, 2 + maps) float64."""
    densities = np.empty((given.shape[0], 2 + len(path.maps)))
    with quiet_arithmetic(given.shape[1]):
        for block in Features(source, path.start).blocks():
            at_label = np.arange(len(block.z)), y_index[block.rows]
            for member in range(densities.shape[1]):
                proba = _member(member, given, block, path)
                densities[block.rows, member] = proba[at_label]
    return densities


def _member(member: int, given: Source, block: Block, path: Path) -> NDArray:
    """Probabilities of a block of rows by one member."""
    if member == 0:
        open_ = ~np.isneginf(block.base)
        return open_ / open_.sum(axis=1, keepdims=True).astype(block.z.dtype)
    if member == 1:
        return softmax(RowSubset(given, np.arange(block.rows.start, block.rows.stop)))
    return map_probabilities(block, path.spreads, path.maps[member - 2])


def deal(y_index: NDArray, loss: NDArray, n_folds: int) -> NDArray:
    """Folds (n,), 0 .. n_folds - 1, each with its share of every class.

    Rows are shuffled, the same way each time, after they were put in an order of their own: by
    class, classes by their total loss, and by loss within them. So neither the order of the rows
    matters nor that of the classes. Dealt out in the order of loss itself, rows held out would be
    more like the others than new ones are, and weak maps would look better than they are: their
    held-out loss was 2 % too low instead of 1 %.
    """
    in_order = np.lexsort((loss, y_index))  # sums of equal losses come out equal to the last bit
    total = np.bincount(y_index[in_order], loss[in_order])[y_index]
    in_order = np.lexsort((loss, y_index, total))
    key = np.empty(len(y_index))
    key[in_order] = np.random.default_rng(_SHUFFLE).random(len(y_index))
    folds = np.empty(len(y_index), dtype=np.intp)
    folds[np.lexsort((key, y_index, total))] = np.arange(len(y_index)) % n_folds
    return folds
