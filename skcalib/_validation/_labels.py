"""Labels of any type, and the class of each column."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from skcalib._validation._arrays import listing, refuse_masked_array


def check_labels(y: ArrayLike, name: str = "y", *, estimator: str = "skcalib") -> NDArray:
    """Labels (n,) of a classification problem, as an array of their own type."""
    if y is None:
        raise ValueError(
            f"{estimator} requires {name} to be passed, but the target {name} is None: "
            "calibration compares scores with true labels."
        )
    refuse_masked_array(y, name)
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


def check_groups(groups: ArrayLike | None, n_rows: int, name: str = "groups") -> NDArray | None:
    """The group of each row as a code from 0 on, (n,) intp; None where no groups are named."""
    if groups is None:
        return None
    refuse_masked_array(groups, name)
    labels = np.asarray(groups)
    if labels.shape != (n_rows,):
        raise ValueError(
            f"{name} must have shape ({n_rows},), one label per row, got {labels.shape}."
        )
    if labels.dtype.kind != "O":
        missing = labels != labels  # NaN and NaT
        codes = np.unique(labels, return_inverse=True)[1]
    else:
        missing = np.array([_is_missing(label) for label in labels])
        codes = _codes_of_objects(labels, name)
    if missing.any():
        row = int(missing.argmax())
        raise ValueError(
            f"{name} must name a group for every row, got {labels[row]} in row {row}. A row that "
            "stands alone is a group of its own."
        )
    return codes


def check_named_groups(groups: Any) -> tuple[list[Any], NDArray]:
    """The groups in order, and which of them each row is of (n,).

    Categories of pandas have an order of their own, and may be anything, such as intervals; other
    groups are sorted.
    """
    if getattr(getattr(groups, "dtype", None), "name", None) != "category":
        names, group_of_row = np.unique(check_labels(groups, "groups"), return_inverse=True)
        return names.tolist(), group_of_row
    group_of_row = np.asarray(getattr(groups, "cat", groups).codes)
    if (group_of_row < 0).any():
        row = int(np.flatnonzero(group_of_row < 0)[0])
        raise ValueError(f"Input groups contains NaN in row {row}: every row needs a group.")
    return groups.dtype.categories.tolist(), group_of_row


def _codes_of_objects(labels: NDArray, name: str) -> NDArray:
    """Codes in order of appearance: labels of several types cannot be sorted."""
    code: dict[Any, int] = {}
    try:
        return np.array([code.setdefault(label, len(code)) for label in labels], dtype=np.intp)
    except TypeError as error:  # a list has no hash
        raise TypeError(f"{name} must hold labels such as strings or numbers: {error}.") from error


def _is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)
    except TypeError:  # pandas.NA answers no comparison
        return True


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
            f"row {row}, which is not among {of} {listing(classes)}."
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
            f"{listing(seen)}: which column is which class cannot be told. Pass "
            f"{name}=[...] with one label per column."
        )
    named = np.asarray(classes)
    if named.ndim != 1 or len(named) != n_columns:
        raise ValueError(
            f"{name} must hold one label per column of {columns_of}: expected {n_columns}, got "
            f"an array of shape {named.shape}."
        )
    if named.dtype.kind == "f" and not np.isfinite(named).all():
        raise ValueError(f"{name} must hold labels, got {listing(named)}.")
    _refuse_mixed_labels(named, name)
    if len(np.unique(named, return_index=True)[0]) != n_columns:  # sorts: 80 times faster
        raise ValueError(f"{name} must not repeat a label, got {listing(named)}.")
    return named


def column_of(label: Any, classes: NDArray, name: str) -> int:
    """Position of one label among the sorted classes."""
    if label not in classes.tolist():
        raise ValueError(f"{name}={label!r} is not among the labels {listing(classes)}.")
    return classes.tolist().index(label)
