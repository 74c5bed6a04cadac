"""One table of what a paper or a review asks about a model's probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._validation import (
    Interval,
    Predictions,
    check_groups,
    check_options,
    check_predictions,
)
from skcalib.metrics._binned import bin_events
from skcalib.metrics._brier import brier_scores
from skcalib.metrics._calibration_error import error_of, squared_errors
from skcalib.metrics._decomposition import decomposition_of
from skcalib.metrics._events import Events, events_of
from skcalib.metrics._interval import error_intervals
from skcalib.metrics._log_loss import log_losses
from skcalib.metrics._proportion import two_sided_quantile, wilson_interval
from skcalib.metrics._table import Table

_CONSTRAINTS: dict[str, list[Any]] = {
    "n_bins": [Interval(Integral, 1, None, closed="left")],
    "confidence_level": [Interval(Real, 0, 1, closed="neither")],
}

_FOLDS = 5


class ReportRow(NamedTuple):
    """One figure of a report.

    Parameters
    ----------
    name : str
        What was measured.
    value : float
        Its value.
    lower, upper : float or None
        Ends of its confidence interval; None where it has none.
    note : str
        The convention, or the class or group that it is about.
    """

    name: str
    value: float
    lower: float | None
    upper: float | None
    note: str


@dataclass(frozen=True, eq=False, repr=False)
class CalibrationReport(Table):
    """Log loss, accuracy and calibration of some predictions, with intervals.

    Prints as a table, shows as one in notebooks, and `to_frame()` makes a data frame of it.
    ``report["log loss"]`` is one row.

    Parameters
    ----------
    rows : list of ReportRow
        The figures.
    n_samples : int
        Number of predictions.
    n_classes : int
        Number of classes.
    confidence_level : float
        Coverage of the intervals.
    """

    rows: list[ReportRow]
    n_samples: int
    n_classes: int
    confidence_level: float

    def __getitem__(self, name: str) -> ReportRow:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"{name!r} is not among {[row.name for row in self.rows]}.")

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
    accuracy              of the likeliest class, beside it the mean confidence, which it should be
    ECE                   :func:`expected_calibration_error`: chance alone puts it above 0
    L2 calibration error  debiased, bins of equally many rows
    miscalibration        what recalibration would gain in Brier score: MCB of
                          :func:`score_decomposition`
    discrimination        what the recalibrated model gains on the base rate: DSC
    uncertainty           Brier score of the base rate: UNC
    worst class           the class whose probabilities are surest to be off, with its L2 error; of
                          two classes the positive one, for the other is off by as much
    worst group           the same of `groups`
    ====================  =========================================================================

    Intervals of the scores are normal, that of the accuracy is Wilson's, those of calibration
    errors are as of :func:`calibration_error_interval`: where they begin at 0, the rows do not tell
    the predictions from calibrated ones. Those of the worst class and group are wider, for
    they were picked among many (Bonferroni).

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
    rows = [
        *_score_rows(checked, confidence_level),
        *_error_rows(checked, n_bins, confidence_level),
        *_decomposition_rows(checked),
        _class_row(checked, n_bins, confidence_level),
    ]
    if codes is not None:
        names = np.asarray(groups)
        rows.append(_worst_group(checked, codes, names, n_bins, confidence_level))
    return CalibrationReport(
        rows=rows,
        n_samples=len(checked.y_index),
        n_classes=len(checked.classes),
        confidence_level=confidence_level,
    )


def _score_rows(checked: Predictions, level: float) -> list[ReportRow]:
    p, correct = events_of(checked, "confidence").column()
    n = float(len(p) if checked.weight is None else checked.weight.sum())
    accuracy = float(np.average(correct, weights=checked.weight))
    lower, upper = wilson_interval(np.array(accuracy), np.array(n), level)
    confidence = float(np.average(p.astype(np.float64), weights=checked.weight))
    log_loss = _mean_row("log loss", log_losses(checked), checked.weight, level)
    brier = _mean_row("Brier score", brier_scores(checked), checked.weight, level)
    most = 1.0 if len(checked.classes) == 2 else 2.0
    if brier.upper is not None:
        brier = brier._replace(upper=min(brier.upper, most))
    return [
        log_loss._replace(note="nats"),
        brier._replace(note=f"0 to {most:g}"),
        ReportRow(
            "accuracy", accuracy, float(lower), float(upper), f"mean confidence {confidence:.4g}"
        ),
    ]


def _mean_row(name: str, values: NDArray, weight: NDArray | None, level: float) -> ReportRow:
    """A weighted mean with its normal interval; without one where there are not two rows."""
    mean = float(np.average(values, weights=weight))
    n = float(len(values) if weight is None else weight.sum())
    if n < 2:
        return ReportRow(name, mean, None, None, "")
    variance = float(np.average((values - mean) ** 2, weights=weight)) / (n - 1)
    half = two_sided_quantile(level) * variance**0.5
    return ReportRow(name, mean, max(mean - half, 0.0), mean + half, "")


def _error_rows(checked: Predictions, n_bins: int, level: float) -> list[ReportRow]:
    events = events_of(checked, "confidence")
    rows = []
    for name, norm, strategy, note in (
        ("ECE", 1, "uniform", f"confidence, {n_bins} bins of equal width"),
        ("L2 calibration error", 2, "quantile", f"debiased, {n_bins} bins of equally many rows"),
    ):
        error = error_of(events, norm=norm, n_bins=n_bins, strategy=strategy, debias=norm == 2)
        sums, _ = bin_events(events, n_bins, strategy, squared_error=True)
        lower, upper = error_intervals(sums, norm, level)[0].tolist()
        rows.append(ReportRow(name, error, lower, upper, note))
    return rows


def _decomposition_rows(checked: Predictions) -> list[ReportRow]:
    """MCB, DSC and UNC: of two classes by isotonic recalibration, of more by one temperature."""
    if len(checked.classes) == 2:
        method, how = "corp", "by isotonic regression (CORP)"
    else:
        method, how = "calibrator", "by one temperature, cross-validated"
    weight = checked.weight
    n_counted = len(checked.y_index) if weight is None else np.count_nonzero(weight)
    if method == "calibrator" and n_counted < 2:
        return []  # no row is left to recalibrate by
    parts = decomposition_of(
        checked,
        score="brier",
        method=method,
        kind="class",
        n_bins=1,
        strategy="uniform",
        calibrator=None,
        cv=min(_FOLDS, n_counted),
        random_state=0,
    )
    return [
        ReportRow("miscalibration", parts.miscalibration, None, None, f"MCB of Brier, {how}"),
        ReportRow("discrimination", parts.discrimination, None, None, "DSC"),
        ReportRow("uncertainty", parts.uncertainty, None, None, "UNC"),
    ]


def _class_row(checked: Predictions, n_bins: int, level: float) -> ReportRow:
    """The worst class; of two, whose errors are the same, the positive one."""
    binary = len(checked.classes) == 2
    events = events_of(checked, "positive" if binary else "class")
    sums, _ = bin_events(events, n_bins, "quantile", squared_error=True)
    squared = squared_errors(sums, debias=True)
    ends = error_intervals(sums, 2, _bonferroni(level, len(squared)))
    worst = _worst(squared, ends)
    name = "positive class" if binary else "worst class"
    return _debiased_row(name, events.labels[worst], squared[worst], ends[worst])


def _worst_group(
    checked: Predictions, codes: NDArray, groups: NDArray, n_bins: int, level: float
) -> ReportRow:
    events = events_of(checked, "confidence")
    if events.weight is not None:  # a group without a counted row is as if it were not there
        groups, codes = groups[events.weight > 0], codes[events.weight > 0]
        events = _rows_of(events, events.weight > 0)
    present, first = np.unique(codes, return_index=True)
    level = _bonferroni(level, len(present))
    squared, ends = np.empty(len(present)), np.empty((len(present), 2))
    order = np.argsort(codes, kind="stable")
    for place, rows in enumerate(np.split(order, np.searchsorted(codes[order], present[1:]))):
        sums, _ = bin_events(_rows_of(events, rows), n_bins, "quantile", squared_error=True)
        squared[place] = squared_errors(sums, debias=True)[0]
        ends[place] = error_intervals(sums, 2, level)[0]
    worst = _worst(squared, ends)
    return _debiased_row("worst group", groups[first[worst]], squared[worst], ends[worst])


def _rows_of(events: Events, rows: NDArray) -> Events:
    weight = None if events.weight is None else events.weight[rows]
    return events._replace(proba=events.proba[rows], happened=events.happened[rows], weight=weight)


def _bonferroni(level: float, n: int) -> float:
    """Level at which all of n intervals cover at once with the given probability."""
    # Between 0 and 1 even where rounding would have it otherwise.
    return min(level + (1 - level) * (n - 1) / n, float(np.nextafter(1, 0)))


def _worst(squared: NDArray, ends: NDArray) -> int:
    """The one whose error is surest to be large, among equals the one whose estimate is."""
    return int(np.lexsort((squared, ends[:, 0]))[-1])


def _debiased_row(name: str, label: Any, squared: float, ends: NDArray) -> ReportRow:
    lower, upper = ends.tolist()
    return ReportRow(name, float(max(squared, 0)) ** 0.5, lower, upper, f"{label}: L2, debiased")
