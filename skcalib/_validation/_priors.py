"""Class frequencies: by position, or by label."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib._validation._arrays import listing

# How far frequencies may be from summing to one: float32 passes, a forgotten class does not.
_SUM_TOLERANCE = 1e-6

# Smaller numbers than half of this, as dividing by the sum may leave them, have lost digits, and
# their inverse may be no number.
_LEAST = 2 * float(np.finfo(np.float64).tiny)

# Labels that a message lists at most.
_FEW_LABELS = 5


def check_prior(prior: Any, name: str, classes: NDArray | None = None) -> NDArray | None:
    """Frequencies (K,) that sum to one, in order of the sorted `classes`; None if none are given.

    They may come as a dict or a pandas Series by label, in any order; an array goes by position.
    Without `classes` only the frequencies are looked at.
    """
    if prior is None:
        return None
    labels = _labels_of(prior)
    values = np.asarray(list(prior.values()) if isinstance(prior, Mapping) else prior)
    if isinstance(prior, np.ma.MaskedArray) or values.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be an array of numbers, got {prior!r}.")
    if values.ndim != 1:
        raise ValueError(f"{name} must have shape (n_classes,), got {values.shape}.")
    if classes is not None:
        values = _in_order(values, labels, classes, name)
        labels = classes.tolist()
    return _normalised(values.astype(np.float64), labels, name)


def refuse_excluded_classes(source: NDArray, target: NDArray, classes: NDArray) -> None:
    """What does not occur at the source says nothing of how it would look at the target."""
    excluded = (target > 0) & (source == 0)
    if excluded.any():
        k = int(excluded.argmax())
        raise ValueError(
            "source_prior must be positive wherever the target prior is, got 0 at position "
            f"{k}, label {_named(classes[k : k + 1].tolist())}, whose target is {target[k]:.6g}. "
            "Give the class a positive source_prior, or a target_prior of 0."
        )


def _labels_of(prior: Any) -> list[Any] | None:
    """Labels of a dict or Series; None for what goes by position."""
    if isinstance(prior, Mapping):
        return list(prior)
    if hasattr(prior, "iloc") and np.ndim(prior) == 1:
        return list(prior.index)
    return None


def _in_order(values: NDArray, labels: list[Any] | None, classes: NDArray, name: str) -> NDArray:
    """One frequency for each class, in their order."""
    if labels is None:
        if len(values) != len(classes):
            raise ValueError(
                f"{name} must hold one frequency per class, in the order {listing(classes)}: "
                f"expected {len(classes)}, got {len(values)}."
            )
        return values
    place, known = {label: i for i, label in enumerate(labels)}, classes.tolist()
    all_known = set(known)
    faults = {
        "no frequency for": [label for label in known if label not in place],
        "unknown": [label for label in place if label not in all_known],
        "more than one for": [label for i, label in enumerate(labels) if place[label] != i],
    }
    found = [f"{fault} {_named(which)}" for fault, which in faults.items() if which]
    if found:
        raise ValueError(
            f"{name} is read by label and must name each of the classes {listing(classes)} once, "
            f"got {'; '.join(found)}. For frequencies in the order of the classes pass an array."
        )
    return values[[place[label] for label in known]]


def _normalised(values: NDArray, labels: list[Any] | None, name: str) -> NDArray:
    """Frequencies divided by their sum, which must be one but for rounding."""
    usable = np.isfinite(values) & (values >= 0)
    if not usable.all():
        raise ValueError(
            f"{name} must be finite and not negative, got {_first(~usable, values, labels)}."
        )
    vanishing = (values > 0) & (values < _LEAST)
    if vanishing.any():
        raise ValueError(
            f"{name} must be 0 or at least {_LEAST:.2g}, got {_first(vanishing, values, labels)}. "
            "Pass 0 for a class that does not occur."
        )
    with np.errstate(over="ignore"):
        total = values.sum()
    if not abs(total - 1) <= _SUM_TOLERANCE:
        raise ValueError(
            f"{name} must sum to one (within {_SUM_TOLERANCE:g}), got a sum of {total:.9g}. "
            "Divide by the sum."
        )
    return values / total


def _first(wrong: NDArray, values: NDArray, labels: list[Any] | None) -> str:
    """The first value that is wrong, and where."""
    k = int(wrong.argmax())
    return f"{values[k]} at position {k}" + (
        "" if labels is None else f", label {_named(labels[k : k + 1])}"
    )


def _named(labels: Sequence[Any]) -> str:
    """Labels for a message, as Python writes them."""
    plain = [label.item() if isinstance(label, np.generic) else label for label in labels]
    names = ", ".join(map(repr, plain[:_FEW_LABELS]))
    return names + (f" and {len(plain) - _FEW_LABELS} more" if len(plain) > _FEW_LABELS else "")
