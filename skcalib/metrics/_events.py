"""Predicted probabilities of events, and which events happened.

Whatever a metric of calibration measures, it compares probabilities with events of one kind:

- "confidence": the largest probability of each row; that this prediction is correct;
- "class": the probability of each class, one column each; that this class is true;
- "positive": of two classes, the probability of the positive one; that it is true.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._binning import top_label
from skcalib._validation import Predictions, StrOptions, column_of

KIND_CONSTRAINTS: dict[str, list[Any]] = {"kind": [StrOptions({"confidence", "class", "positive"})]}

KIND_AVERAGE_CONSTRAINTS: dict[str, list[Any]] = KIND_CONSTRAINTS | {
    "average": [StrOptions({"mean", "sum", "prevalence"})]
}


class Events(NamedTuple):
    """Probabilities of C kinds of events; in each row at most one of them happens."""

    proba: NDArray  # (n, C)
    happened: NDArray  # (n,), the column whose event happened, or -1
    weight: NDArray | None  # (n,), float64
    labels: list[Any]  # (C,), the class of each column; None for the confidence

    def column(self, c: int = 0) -> tuple[NDArray, NDArray]:
        """Probabilities (n,) of one column's event, and whether it happened (n,)."""
        return self.proba[:, c], self.happened == c


def events_of(checked: Predictions, kind: str, class_labels: list[Any] | None = None) -> Events:
    """The events of one kind; of kind "class", of all classes or of those named."""
    classes = checked.classes.tolist()
    if kind == "confidence":
        p, correct = top_label(checked.proba, checked.y_index)
        return Events(p[:, None], np.where(correct, 0, -1), checked.weight, [None])
    if kind == "positive":
        if len(classes) != 2:
            raise ValueError(
                f"kind='positive' is for two classes, there are {len(classes)}. Use "
                "kind='class' or kind='confidence'."
            )
        columns = [checked.positive]
    elif class_labels is None:
        return Events(checked.proba, checked.y_index, checked.weight, classes)
    else:
        columns = [column_of(label, checked.classes, "class_label") for label in class_labels]
    place = np.full(len(classes), -1)
    place[columns] = np.arange(len(columns))
    return Events(
        checked.proba[:, columns],
        place[checked.y_index],
        checked.weight,
        [classes[column] for column in columns],
    )


def rows_that_count(checked: Predictions) -> Predictions:
    """Without the rows of weight 0: a label may be impossible there, and its loss infinite."""
    if checked.weight is None or checked.weight.all():
        return checked
    kept = checked.weight > 0
    return checked._replace(
        y_index=checked.y_index[kept], proba=checked.proba[kept], weight=checked.weight[kept]
    )


def number_that_counts(checked: Predictions) -> int:
    """How many rows have a weight above 0."""
    weight = checked.weight
    return len(checked.y_index) if weight is None else int(np.count_nonzero(weight))


def one_event_of(checked: Predictions, kind: str, class_label: Any) -> Events:
    """The events of one kind where they have one column: of kind "class", of `class_label`."""
    refuse_class_label(kind, class_label)
    return events_of(checked, kind, None if class_label is None else [class_label])


def refuse_class_label(kind: str, class_label: Any) -> None:
    """Raise unless `class_label` is given for kind "class", and for it alone."""
    if (class_label is not None) != (kind == "class"):
        raise ValueError(
            f"kind='class' needs a class_label and no other kind takes one, got kind={kind!r} and "
            f"class_label={class_label!r}."
        )


def average_over_classes(values: NDArray, events: Events, average: str) -> float:
    """Combine one value per column: their mean, sum, or mean by how often each class is true."""
    if average == "sum":
        return float(values.sum())
    prevalence = None
    if average == "prevalence":
        prevalence = np.bincount(events.happened, events.weight, minlength=len(values))
    return float(np.average(values, weights=prevalence))
