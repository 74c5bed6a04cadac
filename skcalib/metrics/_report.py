"""One table of what a paper or a review asks about a model's probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skcalib._table import Table
from skcalib._validation import Interval, check_groups, check_options, check_predictions
from skcalib.metrics._events import events_of, number_that_counts
from skcalib.metrics._report_rows import (
    ReportRow,
    class_rows,
    decomposition_rows,
    error_rows,
    group_rows,
    score_rows,
    worst_row,
)

_CONSTRAINTS: dict[str, list[Any]] = {
    "n_bins": [Interval(Integral, 1, None, closed="left")],
    "confidence_level": [Interval(Real, 0, 1, closed="neither")],
}

# Of the largest number in a row.
_DIGITS = 4


@dataclass(frozen=True, eq=False, repr=False)
class CalibrationReport(Table):
    """Log loss, accuracy and calibration of some predictions, with intervals.

    Prints as a table, shows as one in notebooks, and `to_frame()` makes a data frame of it.
    ``report["log loss"]`` is one row; the report is also a sequence of its rows.

    Parameters
    ----------
    rows : list of ReportRow
        The figures.
    classes : list of ReportRow
        The debiased L2 error of each class; of two classes that of the positive one alone.
    groups : list of ReportRow
        The same of the confidences of each group; empty without groups.
    n_samples : int
        Number of predictions whose weight is not 0.
    n_classes : int
        Number of classes.
    confidence_level : float
        Coverage of the intervals.
    """

    rows: list[ReportRow]
    classes: list[ReportRow]
    groups: list[ReportRow]
    n_samples: int
    n_classes: int
    confidence_level: float

    def __getitem__(self, key: str | int) -> ReportRow:
        if not isinstance(key, str):
            return self.rows[key]
        for row in self.rows:
            if row.name == key:
                return row
        raise KeyError(f"{key!r} is not among {[row.name for row in self.rows]}.")

    def __contains__(self, key: object) -> bool:
        return key in self.rows or key in [row.name for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[ReportRow]:
        return iter(self.rows)

    @property
    def title(self) -> str:
        """What the table is about."""
        predictions = "prediction" if self.n_samples == 1 else "predictions"
        return f"Calibration of {self.n_samples:,} {predictions} of {self.n_classes:,} classes"

    @property
    def columns(self) -> list[str]:
        """Names of the columns of the table."""
        level = f"{100 * self.confidence_level:g} %"
        return ["measure", "value", f"{level} lower", f"{level} upper", "note"]

    @property
    def records(self) -> list[tuple[Any, ...]]:
        """One tuple per row, a value for each column."""
        return [tuple(row) for row in self.rows]

    @property
    def footnote(self) -> str:
        """What the intervals of errors mean."""
        return "An error whose interval begins at 0 may be chance."

    def _cells(self, row: tuple[Any, ...]) -> list[str]:
        """A value and its interval with as many decimals."""
        name, *numbers, note = row
        largest = max(abs(x) for x in numbers if x is not None)
        decimals = int(np.clip(_DIGITS - np.ceil(np.log10(largest or 1)), 0, _DIGITS + 2))
        shown = ("" if x is None else f"{x:z,.{decimals}f}" for x in numbers)
        return [name, *shown, note]


def calibration_report(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    n_bins: int = 15,
    confidence_level: float = 0.95,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> CalibrationReport:
    """What a paper or a review asks about a model's probabilities, in one table.

    ====================  =========================================================================
    log loss              the mean, natural logarithm; the score to choose models by
    Brier score           as :func:`brier_score`; the other one
    accuracy              share of rows whose likeliest class is the true one
    mean confidence       mean probability of the likeliest class: the accuracy, if calibrated
    ECE                   :func:`expected_calibration_error`, and what chance alone would make it
    L2 calibration error  of the confidence too, debiased, in bins of equally many rows
    miscalibration        what recalibration would gain in Brier score: MCB of
                          :func:`score_decomposition`
    discrimination        what the recalibrated model gains on the base rate: DSC
    uncertainty           Brier score of the base rate: UNC
    worst class           debiased L2 error of the class whose interval begins highest; of two
                          classes the positive one, for the other is off by as much
    worst group           debiased L2 error of the confidences of a group, picked in the same way
    ====================  =========================================================================

    Intervals of the scores are normal, that of the accuracy is Wilson's, those of calibration
    errors are as of :func:`calibration_error_interval`. Those of classes and groups are wider, for
    the worst is picked among many: they cover all at once (Bonferroni). `classes` and `groups` of
    the report have a row for each.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities, one column per class in the order of the sorted labels; for two
        classes those of `pos_label` alone will do.
    n_bins : int, default=15
        Number of bins of the calibration errors.
    confidence_level : float, default=0.95
        Coverage of the intervals, between 0 and 1.
    groups : array-like of shape (n_samples,), default=None
        The group of each row: a hospital, a language, a year. None leaves out the worst group.
    sample_weight : array-like of shape (n_samples,), default=None
        How many rows each row counts for; None is one each. Intervals are those of that many
        rows: weights that sum to one make them as wide as they can be.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        The class that `y_proba` of shape (n_samples,) is the probability of; None is the greater
        of {0, 1}, {-1, 1}, {False, True} or two `labels`.

    Returns
    -------
    report : CalibrationReport
        The table.

    Raises
    ------
    ValueError
        If an option is not among its values, `groups` is not one group per row, or the arguments
        do not describe labels and probabilities, as the head of :mod:`skcalib.metrics` says.

    Examples
    --------
    >>> import numpy as np
    >>> from skcalib.metrics import calibration_report
    >>> rng = np.random.default_rng(0)
    >>> p = rng.random(2000)
    >>> y = rng.random(2000) < 0.25 + 0.5 * p  # bolder than it should be
    >>> report = calibration_report(y, p)
    >>> report["ECE"].lower > 0.05
    True
    """
    check_options(
        _CONSTRAINTS, "calibration_report", n_bins=n_bins, confidence_level=confidence_level
    )
    checked = check_predictions(
        y_true, y_proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
    )
    codes = check_groups(groups, len(checked.y_index))
    options = (n_bins, confidence_level)
    of_classes = class_rows(checked, *options)
    confidence = events_of(checked, "confidence")
    of_groups = [] if codes is None else group_rows(confidence, codes, np.asarray(groups), *options)
    rows = [
        *score_rows(checked, confidence, confidence_level),
        *error_rows(confidence, *options),
        *decomposition_rows(checked),
        worst_row("worst class" if len(of_classes) > 1 else "positive class", of_classes),
    ]
    if of_groups:
        rows.append(worst_row("worst group", of_groups))
    return CalibrationReport(
        rows=rows,
        classes=of_classes,
        groups=of_groups,
        n_samples=number_that_counts(checked),
        n_classes=len(checked.classes),
        confidence_level=confidence_level,
    )
