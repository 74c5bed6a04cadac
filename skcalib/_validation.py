"""What users pass in, turned into canonical arrays, or refused.

Every check names the parameter, what was expected, what came, and the way out where there is
one.

This is also the package's only door to private scikit-learn names:

- `BaseScorer`: `check_scoring` and metadata routing pass by a scorer that is not one.
- `Interval`, `Options`, `StrOptions`, `HasMethods`, `validate_parameter_constraints`: tables of
  constraints with scikit-learn's own messages; its public decorator serves functions alone.
- `split_rows`: cuts precomputed kernels by row and column, as every scikit-learn fold loop does.
- `params_of_rows`: cuts row-wise fit parameters to a fold.
- `feature_names_of`, `check_feature_names`: column names, without setting them before `fit` is
  through as `validate_data` does.
- `count_rows`: of lists, data frames and sparse matrices alike.
- `_SigmoidCalibration`: Platt's map, imported when it is fitted.
"""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.metrics._scorer import _BaseScorer as BaseScorer
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.metaestimators import _safe_split as split_rows
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_feature_names as check_feature_names,
    _check_method_params as params_of_rows,
    _get_feature_names as feature_names_of,
    _num_samples as count_rows,
    column_or_1d,
)

from skcalib._kernels._blocks import row_blocks

# How far a row of probabilities may be from summing to one: rounding to three decimals passes, a
# forgotten class or a vector that was never normalised does not.
_SUM_TOLERANCE = 5e-3

# How far beyond 0 and 1 a probability may be, by the bytes of its type: averages over an
# ensemble round to 1.0000000000000002, in float32 to 1.0000001. More is no rounding.
_UNIT_TOLERANCE = {2: 1e-3, 4: 1e-6, 8: 1e-12}

# The least sum of weights, and the inverse of the largest: their squares are still numbers.
_LIGHTEST = 1e-100

# float16 has three digits.
_HALF_SUM_TOLERANCE = 1e-2


class Predictions(NamedTuple):
    """What every metric is computed from."""

    classes: NDArray  # (K,), sorted
    y_index: NDArray  # (n,), intp: column of each row's true class
    proba: NDArray  # (n, K) floating, one column per class
    positive: int  # of two classes, the column that counts as positive
    weight: NDArray | None  # (n,), float64


def platt_calibration() -> Any:
    """scikit-learn's sigmoid map, unfitted. Imported late: its module brings in half of sklearn."""
    from sklearn.calibration import _SigmoidCalibration

    return _SigmoidCalibration()


def check_parameters(estimator: BaseEstimator) -> None:
    """Hold an estimator's parameters against its table of constraints."""
    validate_parameter_constraints(
        estimator._parameter_constraints,
        estimator.get_params(deep=False),
        caller_name=type(estimator).__name__,
    )


def check_options(constraints: dict[str, list[Any]], caller: str, **given: Any) -> None:
    """Hold a function's arguments against a table of constraints."""
    validate_parameter_constraints(constraints, given, caller_name=caller)


def check_labels(y: ArrayLike, name: str = "y", *, estimator: str = "skcalib") -> NDArray:
    """Labels (n,) of a classification problem, as an array of their own type."""
    if y is None:
        raise ValueError(
            f"{estimator} requires {name} to be passed, but the target {name} is None: "
            "calibration compares scores with true labels."
        )
    _refuse_masked_array(y, name)
    shape = np.asarray(y).shape
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError(
            f"{name} should be a 1d array, got an array of shape {shape} instead. For "
            f"one-hot labels pass {name}.argmax(axis=1)."
        )
    labels = column_or_1d(y, warn=True)
    if len(labels) == 0:
        raise ValueError(f"{name} has no rows: at least one labelled row is needed.")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        row = int(np.flatnonzero(~np.isfinite(labels))[0])
        raise ValueError(f"Input {name} contains NaN or infinity: {labels[row]!r} in row {row}.")
    _refuse_mixed_labels(labels, name)
    if labels.dtype.kind not in "biu":  # integers are labels, however many occur only once
        check_classification_targets(labels)
    return labels


def _refuse_mixed_labels(labels: NDArray, name: str) -> None:
    """Labels of Python objects must all be there, and of types that can be ordered."""
    if labels.dtype.kind != "O":
        return
    for row, label in enumerate(labels):
        if _is_missing(label):
            raise ValueError(
                f"Input {name} contains {label!r} in row {row}: every row needs a label."
            )
    types = {type(label).__name__ for label in labels}
    if "str" in types and len(types) > 1:
        raise TypeError(
            f"{name} must hold labels of one type, got {', '.join(sorted(types, reverse=True))}."
        )


def _is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)
    except TypeError:  # pandas.NA answers no comparison
        return True


def _refuse_masked_array(values: Any, name: str) -> None:
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{name} must be a plain array, got a masked one.")


def encode(y: NDArray, classes: NDArray, name: str = "y", of: str = "the classes") -> NDArray:
    """Position of each label in the sorted `classes`."""
    if y.dtype.kind in "iu" and classes.dtype.kind in "iu":
        first, last = classes[0], classes[-1]
        if first == 0 and last == len(classes) - 1 and y.min() >= first and y.max() <= last:
            return y.astype(np.intp, copy=False)  # 0 .. K-1 are their own positions
    try:
        index = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        unknown = np.asarray(classes[index] != y, dtype=bool)
    except TypeError:  # labels and classes that cannot be ordered together
        index, unknown = np.zeros(len(y), dtype=np.intp), np.ones(len(y), dtype=bool)
    if unknown.any():
        row = int(np.flatnonzero(unknown)[0])
        raise ValueError(
            f"{name} has the label {y[row].item() if hasattr(y[row], 'item') else y[row]!r} in "
            f"row {row}, which is not among {of} {_listing(classes)}."
        )
    return index


def check_column_classes(
    classes: ArrayLike | None,
    n_columns: int,
    y: NDArray,
    *,
    name: str = "classes",
    columns_of: str = "X",
) -> NDArray:
    """The class of each column of a score array, in column order.

    Without `classes`: the sorted labels if there is one for each column; else 0 .. K-1 if
    every label is such an integer and 0 occurs (of many classes, a few may never be seen).
    """
    if classes is None:
        seen = np.unique(y)
        if len(seen) == n_columns:
            return seen
        if seen.dtype.kind in "iu" and seen[0] == 0 and seen[-1] < n_columns:
            return np.arange(n_columns)
        raise ValueError(
            f"{columns_of} has {n_columns} columns but y has {len(seen)} distinct labels "
            f"{_listing(seen)}: which column is which class cannot be told. Pass "
            f"{name}=[...] with one label per column."
        )
    named = np.asarray(classes)
    if named.ndim != 1 or len(named) != n_columns:
        raise ValueError(
            f"{name} must hold one label per column of {columns_of}: expected {n_columns}, got "
            f"an array of shape {named.shape}."
        )
    if named.dtype.kind == "f" and not np.isfinite(named).all():
        raise ValueError(f"{name} must hold labels, got {_listing(named)}.")
    _refuse_mixed_labels(named, name)
    if len(np.unique(named, return_index=True)[0]) != n_columns:  # sorts: 80 times faster
        raise ValueError(f"{name} must not repeat a label, got {_listing(named)}.")
    return named


def check_weights(sample_weight: ArrayLike | None, n_rows: int) -> NDArray | None:
    """Weights (n,) as float64, or None for equal ones; finite, not negative, not all zero."""
    if sample_weight is None:
        return None
    _refuse_masked_array(sample_weight, "sample_weight")
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


def _holds_numbers(array: NDArray) -> bool:
    """Real numbers, or Python objects that convert to such; not their names, dates or bytes."""
    if array.dtype.kind == "O":
        try:
            array.astype(np.float64)
        except (TypeError, ValueError):
            return False
        return not any(isinstance(value, str | bytes) for value in array.flat)
    return array.dtype.kind in "biuf"


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


def check_same_length(n_rows: int, y: NDArray, name: str = "X", target: str = "y") -> None:
    """One label per row."""
    if len(y) != n_rows:
        raise ValueError(
            f"{name} and {target} have inconsistent numbers of samples: {n_rows} and {len(y)}."
        )


def check_probabilities(proba: NDArray, name: str) -> NDArray:
    """Probabilities (n, K): inside [0, 1], each row summing to one. Returned as they are."""
    tolerance = _HALF_SUM_TOLERANCE if _is_half(proba) else _SUM_TOLERANCE
    for rows in row_blocks(*proba.shape):
        block = proba[rows]
        check_unit_interval(block, name, rows.start)
        off = np.abs(block.sum(axis=1, dtype=np.float64) - 1)
        if off.max() > tolerance:
            row = int(off.argmax())
            raise ValueError(
                f"{name} must hold probabilities whose rows sum to one (within {tolerance:g}), "
                f"got a sum of {block[row].sum(dtype=np.float64):.6g} in row {rows.start + row}."
            )
    return proba


def _is_half(values: NDArray) -> bool:
    return values.dtype.itemsize == 2


def check_unit_interval(block: NDArray, name: str, start: int = 0) -> None:
    """Raise for the first entry below 0 or above 1 of a block whose first row is row `start`."""
    tolerance = _UNIT_TOLERANCE[block.dtype.itemsize]
    low, high = -tolerance, 1 + tolerance
    # A NaN fails every comparison.
    if not (block.min() >= low and block.max() <= high):
        bad = ~((block >= low) & (block <= high))
        row, column = divmod(int(bad.argmax()), block.shape[1])
        raise ValueError(
            f"{name} must hold probabilities between 0 and 1, got {block[row, column]} in "
            f"row {start + row}, column {column}. Logits are not probabilities; what is off by "
            "rounding alone may be clipped with np.clip."
        )


def look_like_probabilities(values: NDArray) -> bool:
    """Whether every row, (n, K) or one column of two, could be probabilities.

    Logits give themselves away in the first block.
    """
    try:
        if values.ndim == 1 or values.shape[1] == 1:
            check_unit_interval(values.reshape(len(values), 1), "")
        else:
            check_probabilities(values, "")
    except ValueError:
        return False
    return True


def check_log_probabilities(values: NDArray, name: str) -> NDArray:
    """Log-probabilities (n, K) whose exponentials are probabilities."""
    tolerance = _UNIT_TOLERANCE[values.dtype.itemsize]
    sum_tolerance = _HALF_SUM_TOLERANCE if _is_half(values) else _SUM_TOLERANCE
    for rows in row_blocks(*values.shape):
        block = values[rows]
        if not block.max() <= tolerance:
            row, column = (int(i) for i in np.argwhere(~(block <= tolerance))[0])
            raise ValueError(
                f"{name} must hold log-probabilities, at most 0, got {block[row, column]} in "
                f"row {rows.start + row}, column {column}."
            )
        with np.errstate(under="ignore"):
            total = np.exp(block, dtype=np.float64).sum(axis=1)
        off = np.abs(total - 1)
        if off.max() > sum_tolerance:
            row = int(off.argmax())
            raise ValueError(
                f"{name} must hold log-probabilities whose exponentials sum to one, got a sum "
                f"of {total[row]:.6g} in row {rows.start + row}."
            )
    return values


def refuse_bad_logits(
    logits: NDArray,
    name: str,
    y_index: NDArray | None = None,
    weight: NDArray | None = None,
) -> None:
    """Raise for the first row of logits (n, K) that has no softmax, or none at its label.

    Kernels notice such rows in passing; this finds the one to name.
    """
    for rows in row_blocks(*logits.shape):
        block = logits[rows]
        counts = np.ones(len(block), dtype=bool) if weight is None else weight[rows] > 0
        masked = np.isneginf(block)
        faults = {
            "holds NaN": np.isnan(block).any(axis=1),
            "holds +inf": np.isposinf(block).any(axis=1),
            "has every class masked (-inf)": masked.all(axis=1),
        }
        if y_index is not None:
            at_label = masked[np.arange(len(block)), y_index[rows]]
            faults["has its own label's class masked (-inf)"] = at_label
        for fault, found in faults.items():
            if (found & counts).any():
                row = rows.start + int(np.flatnonzero(found & counts)[0])
                raise ValueError(
                    f"{name} must hold finite logits, or -inf for a masked class: row {row} "
                    f"{fault}: {_listing(logits[row])}."
                )


def check_predictions(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: Any = None,
) -> Predictions:
    """Labels and probabilities of any accepted form, as every metric needs them.

    Binary probabilities may have shape (n,) or (n, 1): they are those of `pos_label`, by
    default the greater of {0, 1}, {-1, 1} or {False, True}, or of two `labels`.
    """
    y = check_labels(y_true, "y_true")
    proba = check_numeric(y_proba, "y_proba")
    check_same_length(len(proba), y, "y_proba", "y_true")
    weight = check_weights(sample_weight, len(proba))
    if labels is not None:
        labels = np.asarray(labels)
        if labels.ndim != 1 or not np.array_equal(labels, np.unique(labels)):
            raise ValueError(
                "labels must be sorted and without repeats, as the columns of y_proba are, got "
                f"{_listing(labels)}."
            )
    if proba.ndim == 1 or proba.shape[1] == 1:
        p = proba.reshape(len(proba))
        check_unit_interval(p[:, None], "y_proba")
        classes = _binary_classes(y, labels, pos_label)
        positive = _positive_column(classes, pos_label)
        proba = np.stack([1 - p, p] if positive else [p, 1 - p], axis=1)
    else:
        classes = check_column_classes(
            labels, proba.shape[1], y, name="labels", columns_of="y_proba"
        )
        positive = _positive_column(classes, pos_label)
    y_index = encode(y, classes, "y_true", "the labels")
    check_probabilities(proba, "y_proba")
    return Predictions(classes, y_index, proba, positive, weight)


def _positive_column(classes: NDArray, pos_label: Any) -> int:
    if pos_label is None:
        return 1
    if len(classes) != 2:
        raise ValueError(f"pos_label is for two classes, the labels are {_listing(classes)}.")
    return column_of(pos_label, classes, "pos_label")


def column_of(label: Any, classes: NDArray, name: str) -> int:
    """Position of one label among the sorted classes."""
    if label not in classes.tolist():
        raise ValueError(f"{name}={label!r} is not among the labels {_listing(classes)}.")
    return classes.tolist().index(label)


def _binary_classes(y: NDArray, labels: NDArray | None, pos_label: Any) -> NDArray:
    """Two sorted classes for probabilities that have one column."""
    seen = np.unique(y)
    if labels is not None:
        classes = labels
    elif len(seen) > 2:
        raise ValueError(
            f"y_proba has one column, for two classes, but y_true has {len(seen)} labels "
            f"{_listing(seen)}."
        )
    elif seen.dtype.kind == "b":
        classes = np.array([False, True])
    elif seen.dtype.kind in "iuf" and np.isin(seen, [0, 1]).all():
        classes = np.array([0, 1], dtype=seen.dtype)
    elif seen.dtype.kind in "if" and np.isin(seen, [-1, 1]).all():
        classes = np.array([-1, 1], dtype=seen.dtype)
    elif pos_label is None or len(seen) < 2:
        raise ValueError(
            f"y_proba has one column and y_true the labels {_listing(seen)}: which one the "
            "probabilities are of cannot be told. Pass pos_label, or labels=[other, positive]."
        )
    else:
        classes = seen
    if len(classes) != 2:
        raise ValueError(f"labels must name two classes, got {_listing(classes)}.")
    return classes


def _listing(values: NDArray) -> str:
    return np.array2string(np.asarray(values), threshold=8, edgeitems=3, separator=", ")
