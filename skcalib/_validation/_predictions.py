"""Labels and predicted probabilities, as every metric needs them."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._validation._arrays import check_numeric, check_same_length, check_weights, listing
from skcalib._validation._labels import check_column_classes, check_labels, column_of, encode
from skcalib._validation._scores import check_probabilities, check_unit_interval


class Predictions(NamedTuple):
    """What every metric is computed from."""

    classes: NDArray  # (K,), sorted
    y_index: NDArray  # (n,), intp: column of each row's true class
    proba: NDArray  # (n, K) floating, one column per class
    positive: int  # of two classes, the column that counts as positive
    weight: NDArray | None  # (n,), float64


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
                f"{listing(labels)}."
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
        _refuse_reordered_columns(y_proba, classes)
        positive = _positive_column(classes, pos_label)
    y_index = encode(y, classes, "y_true", "the labels")
    check_probabilities(proba, "y_proba")
    return Predictions(classes, y_index, proba, positive, weight)


def _refuse_reordered_columns(y_proba: Any, classes: NDArray) -> None:
    """A data frame whose columns are named after the classes must have them in sorted order."""
    if not hasattr(y_proba, "columns"):
        return
    names, expected = list(y_proba.columns), classes.tolist()
    try:
        reordered = names != expected and set(names) == set(expected)
    except TypeError:  # columns that are no names, as those of some tables are
        return
    if reordered:
        raise ValueError(
            f"y_proba has the columns {names}, but columns are read in the order of the sorted "
            f"labels. Pass y_proba[{expected}]."
        )


def _positive_column(classes: NDArray, pos_label: Any) -> int:
    if pos_label is None:
        return 1
    if len(classes) != 2:
        raise ValueError(f"pos_label is for two classes, the labels are {listing(classes)}.")
    return column_of(pos_label, classes, "pos_label")


def _binary_classes(y: NDArray, labels: NDArray | None, pos_label: Any) -> NDArray:
    """Two sorted classes for probabilities that have one column."""
    seen = np.unique(y)
    if labels is not None:
        classes = labels
    elif len(seen) > 2:
        raise ValueError(
            f"y_proba has one column, for two classes, but y_true has {len(seen)} labels "
            f"{listing(seen)}."
        )
    elif seen.dtype.kind == "b":
        classes = np.array([False, True])
    elif seen.dtype.kind in "iuf" and np.isin(seen, [0, 1]).all():
        classes = np.array([0, 1], dtype=seen.dtype)
    elif seen.dtype.kind in "if" and np.isin(seen, [-1, 1]).all():
        classes = np.array([-1, 1], dtype=seen.dtype)
    elif pos_label is None or len(seen) < 2:
        raise ValueError(
            f"y_proba has one column and y_true the labels {listing(seen)}: which one the "
            "probabilities are of cannot be told. Pass pos_label, or labels=[other, positive]."
        )
    else:
        classes = seen
    if len(classes) != 2:
        raise ValueError(f"labels must name two classes, got {listing(classes)}.")
    return classes
