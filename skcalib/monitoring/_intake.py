"""What a monitor takes in, checked whole before any of it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._validation import (
    Predictions,
    check_numeric,
    check_predictions,
    check_probabilities,
    check_unit_interval,
)

# Of such, more than any stream has rows can be added up.
_LARGEST_SCALAR = 1e100

# What is meant as an option of other functions would be kept as a scalar, and have no effect.
_NO_SCALARS = {
    name: f": {way_out}"
    for names, way_out in (
        (("weight", "weights", "sample_weights"), "weights are sample_weight"),
        (("regimes", "group", "groups"), "regime names the regime of each row"),
        (("labels", "classes", "pos_label"), "CalibrationMonitor(labels=[...]) names the classes"),
        (("y", "y_pred", "labels_true"), "true labels are y_true"),
        (("p", "proba", "probabilities", "y_prob", "y_score"), "probabilities are y_proba"),
    )
    for name in names
}


def check_rows(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    sample_weight: ArrayLike | None,
    labels: ArrayLike | None,
    question: str,
) -> Predictions:
    """Labelled rows, with weights that a bet can have."""
    checked = check_predictions(y_true, y_proba, labels=labels)
    if sample_weight is not None and question == "change":
        raise ValueError(
            "question='change' counts rows, and takes no sample_weight: leave it out, or ask "
            "question='level'."
        )
    return checked._replace(weight=_check_shares(sample_weight, len(checked.y_index)))


def check_unlabelled(
    y_proba: ArrayLike, sample_weight: ArrayLike | None, labels: ArrayLike | None
) -> NDArray:
    """Probabilities (n, K) of rows whose labels are late."""
    if sample_weight is not None:
        raise ValueError("sample_weight counts outcomes: pass it with the labels.")
    values = check_numeric(y_proba, "y_proba")
    if values.ndim == 1 or values.shape[1] == 1:
        check_unit_interval(values.reshape(-1, 1), "y_proba")
        values = np.stack([1 - values.ravel(), values.ravel()], axis=1)
    check_probabilities(values, "y_proba")
    n_classes = values.shape[1] if labels is None else len(np.asarray(labels))
    if values.shape[1] != n_classes:
        raise ValueError(
            f"y_proba must have a column for each of {n_classes} classes, got {values.shape[1]}."
        )
    return values


def _check_shares(sample_weight: ArrayLike | None, n_rows: int) -> NDArray | None:
    """Weights (n,) in [0, 1], float64; None where none are given. All of them may be 0."""
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape not in {(), (n_rows,)}:
        raise ValueError(
            f"sample_weight must have shape ({n_rows},), one weight per row, got {weight.shape}."
        )
    weight = np.broadcast_to(weight, n_rows)
    wrong = ~((weight >= 0) & (weight <= 1))  # NaN too
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"sample_weight must be in [0, 1] here, got {weight[row]:g} in row {row}: one row "
            "could raise an alarm alone. For outcomes seen with the probability g pass "
            "g.min() / g."
        )
    return weight


def check_scalars(scalars: dict[str, ArrayLike], n_rows: int) -> dict[str, NDArray]:
    """Named numbers of each row, (n,) float64; one number stands for all rows, NaN for none."""
    checked = {}
    for name, given in scalars.items():
        if name in _NO_SCALARS:
            raise TypeError(f"update has no argument {name!r}{_NO_SCALARS[name]}.")
        try:
            values = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name} must hold numbers, got {given!r:.80}.") from error
        if values.shape not in {(), (n_rows,)}:
            raise ValueError(
                f"{name} must be one number, or {n_rows}, one per row, got shape {values.shape}."
            )
        if (np.abs(values) > _LARGEST_SCALAR).any():
            raise ValueError(
                f"{name} must be NaN where there is none, and at most {_LARGEST_SCALAR:g} "
                f"elsewhere, got {float(np.nanmax(np.abs(values))):g}."
            )
        checked[name] = np.broadcast_to(values, n_rows)
    return checked
