"""Arrays of numbers, weights, and how values are shown in messages."""

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

# The least sum of weights, and the inverse of the largest: their squares are still numbers.
_LIGHTEST = 1e-100


def check_numeric(values: Any, name: str) -> NDArray:
    """A real array (n,) or (n, K) of floating type, not copied where it already is one.

    Values are not looked at: an array mapped from a file is not read.
    """
    if scipy.sparse.issparse(values):
        raise TypeError(
            f"{name} must be a dense array, got a sparse {type(values).__name__}. "
            f"Use {name}.toarray()."
        )
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(
            f"{name} must be a plain array, got a masked one. For masked classes of logits "
            f"pass {name}.filled(-np.inf)."
        )
    array = np.asarray(values)
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {array.dtype}.")
    if not _holds_numbers(array):
        raise ValueError(f"{name} must hold numbers, got an array of dtype {array.dtype}.")
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if array.ndim not in (1, 2):
        raise ValueError(
            f"{name} must have shape (n_samples, n_classes), or (n_samples,) for two classes, "
            f"got {array.shape}. Reshape your data."
        )
    if array.shape[0] == 0:
        raise ValueError(f"{name} has no rows (0 sample(s)), shape {array.shape}.")
    if array.ndim == 2 and array.shape[1] == 0:
        raise ValueError(f"{name} has no columns, shape {array.shape}.")
    return array


def check_weights(sample_weight: ArrayLike | None, n_rows: int) -> NDArray | None:
    """Weights (n,) as float64, or None for equal ones; finite, not negative, not all zero."""
    if sample_weight is None:
        return None
    refuse_masked_array(sample_weight, "sample_weight")
    weight = np.asarray(sample_weight)
    if not _holds_numbers(weight):
        raise TypeError(f"sample_weight must hold numbers, got an array of dtype {weight.dtype}.")
    if weight.ndim == 0:
        weight = np.full(n_rows, weight)  # scikit-learn takes one number for all rows
    if weight.shape != (n_rows,):
        raise ValueError(
            f"sample_weight must have shape ({n_rows},), one weight per row, got {weight.shape}."
        )
    weight = weight.astype(np.float64)
    wrong = ~(np.isfinite(weight) & (weight >= 0))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"sample_weight must be finite and not negative, got {weight[row]} in row {row}."
        )
    if not weight.any():
        raise ValueError("sample_weight is zero for every row: at least one must count.")
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not _LIGHTEST <= total <= 1 / _LIGHTEST:
        raise ValueError(
            f"sample_weight must have a sum between {_LIGHTEST} and {1 / _LIGHTEST:g}, got "
            f"{total}: multiply the weights by a constant."
        )
    return weight


def check_confidence(confidence: ArrayLike, n_rows: int) -> NDArray:
    """One finite number per row, in its own precision: equal scores stay equal, others do not."""
    score = check_numeric(confidence, "confidence")
    if score.shape != (n_rows,):
        raise ValueError(
            f"confidence must have shape ({n_rows},), one score per row, got {score.shape}."
        )
    if not np.isfinite(score).all():
        row = int(np.flatnonzero(~np.isfinite(score))[0])
        raise ValueError(f"confidence must hold finite numbers, got {score[row]} in row {row}.")
    return score


def check_same_length(n_rows: int, y: NDArray, name: str = "X", target: str = "y") -> None:
    """One label per row."""
    if len(y) != n_rows:
        raise ValueError(
            f"{name} and {target} have inconsistent numbers of samples: {n_rows} and {len(y)}."
        )


def _holds_numbers(array: NDArray) -> bool:
    """Real numbers, or Python objects that convert to such; not their names, dates or bytes."""
    if array.dtype.kind == "O":
        try:
            array.astype(np.float64)
        except (TypeError, ValueError):
            return False
        return not any(issubclass(kind, str | bytes) for kind in set(map(type, array.flat)))
    return array.dtype.kind in "biuf"


def refuse_masked_array(values: Any, name: str) -> None:
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{name} must be a plain array, got a masked one.")


def listing(values: NDArray) -> str:
    return np.array2string(np.asarray(values), threshold=8, edgeitems=3, separator=", ")
