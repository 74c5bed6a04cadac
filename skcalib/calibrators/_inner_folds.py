"""Rows held out from the maps of a mixture, to find how much each is to be trusted."""

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from skcalib._kernels._blocks import RowSubset, quiet_arithmetic, row_blocks
from skcalib._kernels._moments import mean_gaps, row_losses
from skcalib._kernels._path import member_densities
from skcalib._kernels._softmax import softmax
from skcalib.calibrators._path_fitter import PathFitter
from skcalib.calibrators._rows import CalibrationRows

# Folds, by what a fit costs: n K^2 up to the first number.
_FOLDS = (1e6, 10), (5e6, 5), (np.inf, 3)
FEWEST_ROWS = 10

# Losses that differ by less are equal but for rounding.
_SAME_LOSS = 1e-6

# Of the largest gap between scores: what is left of sums in another order.
_GAP_DIGITS = 9

# Of the shuffle that makes folds. Any number will do, as long as it stays.
_SHUFFLE = 0


def cost(rows: CalibrationRows) -> float:
    """`n K^2`, what coefficients between pairs of classes cost to fit."""
    return float(len(rows)) * rows.n_classes**2


def number_of_folds(rows: CalibrationRows, *, whole_groups: bool = False) -> int:
    """By cost, and no more than there are groups; 0 where rows are too few to hold some out."""
    if rows.n_distinct < FEWEST_ROWS:
        return 0
    n_folds = next(folds for most, folds in _FOLDS if cost(rows) <= most)
    n_groups = n_folds
    if whole_groups and rows.groups is not None:
        n_groups = len(np.unique(rows.groups))
    return min(n_folds, n_groups) if n_groups > 1 else 0


def held_out_densities(
    rows: CalibrationRows, fit: PathFitter, n_folds: int, *, whole_groups: bool = False
) -> NDArray:
    """What members fitted on the other folds say of each row's label, (n, 2 + maps) float64.

    Everything is fitted anew in each fold: what was fitted on all rows knows the labels of those
    held out. Without folds there are no rows.
    """
    n_members = 2 + len(fit.penalties)
    if not n_folds:
        return np.empty((0, n_members))
    densities = np.empty((len(rows), n_members))
    folds = _whole_groups(rows, n_folds) if whole_groups else _dealt(rows, n_folds)
    for k in range(n_folds):
        held_out = folds == k
        offset, path, _ = fit(rows.at(~held_out))
        others = rows.at(held_out)
        sources = others.source(), others.source(offset)
        densities[held_out] = member_densities(*sources, path, others.y_index)
    return densities


@np.errstate(under="ignore")
def mixture_densities(densities: NDArray, shares: NDArray) -> NDArray:
    """What the mixture says of each row's label, (n,)."""
    return densities @ shares


def mean_losses(densities: NDArray, weight: NDArray | None) -> NDArray:
    """Mean log loss (...) of densities (n, ...), in nats; NaN without rows."""
    if not len(densities):
        return np.full(densities.shape[1:], np.nan)
    with np.errstate(divide="ignore", under="ignore"):
        return -np.average(np.log(densities), axis=0, weights=weight)


def deal(y_index: NDArray, loss: NDArray, gap: NDArray, n_folds: int) -> NDArray:
    """Folds (n,), 0 .. n_folds - 1, each with its share of every class.

    Rows are shuffled, the same way each time, after they were put in an order of their own: by
    class, classes by their total loss, and by loss within them, then by gap. So neither the order
    of the rows matters nor that of the classes. Dealt out in the order of loss itself, rows held
    out would be more like the others than new ones are, and weak maps would look better than they
    are: their held-out loss was 2 % too low instead of 1 %.
    """
    in_order = np.lexsort((loss, y_index))  # sums of equal losses come out equal to the last bit
    total = np.bincount(y_index[in_order], loss[in_order])[y_index]
    in_order = np.lexsort((gap, loss, y_index, total))
    key = np.empty(len(y_index))
    key[in_order] = np.random.default_rng(_SHUFFLE).random(len(y_index))
    folds = np.empty(len(y_index), dtype=np.intp)
    folds[np.lexsort((key, y_index, total))] = np.arange(len(y_index)) % n_folds
    return folds


def _whole_groups(rows: CalibrationRows, n_folds: int) -> NDArray:
    """Folds (n,) of whole groups, about as many rows in each."""
    folds = np.empty(len(rows), dtype=np.intp)
    splits = GroupKFold(n_folds).split(rows.groups, groups=rows.groups)
    for k, (_, held_out) in enumerate(splits):
        folds[held_out] = k
    return folds


def _dealt(rows: CalibrationRows, n_folds: int) -> NDArray:
    """Folds (n,); what several models say of one row goes together."""
    loss, gap = _distinct_losses(rows), _rounded_gaps(rows)
    if rows.originals is None:
        return deal(rows.y_index, loss, gap, n_folds)
    _, first, copy_of = np.unique(rows.originals, return_index=True, return_inverse=True)
    loss, gap = (np.bincount(copy_of, key) / np.bincount(copy_of) for key in (loss, gap))
    return deal(rows.y_index[first], loss, gap, n_folds)[copy_of]


def _distinct_losses(rows: CalibrationRows) -> NDArray:
    """Losses (n,), a little larger in rows that give more to the classes of large total loss.

    A forest of ten trees gives many rows the same loss. Which of them is dealt out first must
    depend neither on their order nor on that of the classes.
    """
    source = rows.source()
    loss = row_losses(source, rows.y_index)
    by_class = np.bincount(rows.y_index, loss, minlength=rows.n_classes)
    at_stake = np.empty(len(rows))
    with quiet_arithmetic(rows.n_classes):
        for block in row_blocks(*source.shape):
            proba = softmax(RowSubset(source, np.arange(block.start, block.stop)))
            at_stake[block] = proba @ by_class
        at_stake /= max(by_class.max(), _SAME_LOSS)  # at most 1
    return _SAME_LOSS * (np.round(loss / _SAME_LOSS) + at_stake / 2)


def _rounded_gaps(rows: CalibrationRows) -> NDArray:
    """How far the largest score of each row is above the mean of those open, (n,).

    It tells rows apart of which the model is so certain that all their losses are 0.
    """
    gaps = mean_gaps(rows.source())
    return np.round(gaps, _GAP_DIGITS - int(np.log10(max(gaps.max(), _SAME_LOSS))))
