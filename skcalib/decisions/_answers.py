"""The label of an answer that is not given."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Kinds of arrays that hold one another's values as they are.
_NUMBERS, _STRINGS = "biuf", "U"


def abstention_of(classes: NDArray, given: Any) -> Any:
    """The label of abstention: the one given, or the one its classes have by rule."""
    if given is None:
        if classes.dtype.kind in "US" or isinstance(classes[0], str):
            given = "abstain"
        elif classes.dtype.kind == "f":
            return np.nan
        elif classes.dtype.kind in "biu":
            return min(int(classes[0]), 0) - 1
        else:
            raise TypeError(
                f"abstain_label must be given for classes such as {classes[0]!r}: there is no rule."
            )
    if np.ndim(given) > 0:
        raise TypeError(f"abstain_label must be one label, got {given!r}.")
    if given in classes.tolist():
        raise ValueError(
            f"abstain_label must not be one of the classes, and {given!r} is: pass another."
        )
    return given


def with_abstention(classes: NDArray, label: Any) -> NDArray:
    """The classes and the label of abstention after them, (K + 1,)."""
    kinds = classes.dtype.kind, np.asarray(label).dtype.kind
    alike = any(set(kinds) <= set(family) for family in (_NUMBERS, _STRINGS))
    if alike:
        labels = _as_one(classes, label, np.result_type(classes, np.asarray(label)))
        # Floats hold no integers beyond 2**53, and integers of 64 bits meet in floats.
        if labels[:-1].tolist() == classes.tolist() and _same(labels[-1], label):
            return labels
    return _as_one(classes, label, np.dtype(object))


def refuse_other_labels(labels: NDArray, classes: NDArray) -> None:
    """Raise if labels are numbers and the classes strings, or the other way round."""
    if _are_strings(labels) != _are_strings(classes):
        raise TypeError(
            f"y must hold labels of the type of the classes, such as {classes[:1].tolist()[0]!r}, "
            f"got {labels[:1].tolist()[0]!r}."
        )


def _as_one(classes: NDArray, label: Any, dtype: np.dtype) -> NDArray:
    labels = np.empty(len(classes) + 1, dtype=dtype)
    labels[:-1] = classes
    labels[-1] = label
    return labels


def _same(held: Any, label: Any) -> bool:
    """Equal, or NaN both."""
    return bool(held.item() == label or (held != held and label != label))


def _are_strings(labels: NDArray) -> bool:
    return labels.dtype.kind in "US" or isinstance(labels[0], str | bytes)
