"""The rows of a calibration report."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._binning import BinSums
from skcalib._validation import Predictions
from skcalib.metrics._binned import bin_events
from skcalib.metrics._brier import brier_scores
from skcalib.metrics._calibration_error import mean_gaps, squared_errors, undercounted
from skcalib.metrics._decomposition import decomposition_of
from skcalib.metrics._events import Events, events_of, number_that_counts
from skcalib.metrics._interval import error_intervals
from skcalib.metrics._log_loss import log_losses
from skcalib.metrics._proportion import two_sided_quantile, wilson_interval

_FOLDS = 5


class ReportRow(NamedTuple):
    """One figure of a report.

    Parameters
    ----------
    name : str
        What was measured.
    value : float or None
        Its value; None for a debiased error where weights count no rows.
    lower, upper : float or None
        Ends of its confidence interval; None where it has none.
    note : str
        The convention, or the class or group that it is about.
    """

    name: str
    value: float | None
    lower: float | None
    upper: float | None
    note: str


def score_rows(checked: Predictions, confidence: Events, level: float) -> list[ReportRow]:
    """Log loss and Brier score, accuracy and the mean confidence to hold it against."""
    p, correct = confidence.column()
    n = float(len(p) if checked.weight is None else checked.weight.sum())
    accuracy = float(np.average(correct, weights=checked.weight))
    lower, upper = wilson_interval(np.array(accuracy), np.array(n), level)
    mean_p = float(np.average(p.astype(np.float64), weights=checked.weight))
    most = 1.0 if len(checked.classes) == 2 else 2.0
    brier = _mean_row("Brier score", brier_scores(checked), checked.weight, level, f"0 to {most:g}")
    if brier.upper is not None:
        brier = brier._replace(upper=min(brier.upper, most))
    return [
        _mean_row("log loss", log_losses(checked), checked.weight, level, "nats"),
        brier,
        ReportRow("accuracy", accuracy, float(lower), float(upper), "of the likeliest class"),
        ReportRow("mean confidence", mean_p, None, None, "if calibrated, the accuracy"),
    ]


def _mean_row(
    name: str, values: NDArray, weight: NDArray | None, level: float, note: str
) -> ReportRow:
    """A weighted mean with its normal interval; without one where there are not two rows."""
    mean = float(np.average(values, weights=weight))
    n = float(len(values) if weight is None else weight.sum())
    if n < 2:
        return ReportRow(name, mean, None, None, note)
    variance = float(np.average((values - mean) ** 2, weights=weight)) / (n - 1)
    half = two_sided_quantile(level) * variance**0.5
    return ReportRow(name, mean, max(mean - half, 0.0), mean + half, note)


def error_rows(confidence: Events, n_bins: int, level: float) -> list[ReportRow]:
    """Calibration errors of the confidence; the ECE beside what chance alone would make it."""
    sums, _ = bin_events(confidence, n_bins, "uniform", squared_error=True)
    lower, upper = error_intervals(sums, 1, level)[0].tolist()
    note = f"{n_bins} bins of equal width; {_error_by_chance(sums):.2g} by chance alone"
    ece = ReportRow("ECE", float(mean_gaps(sums)[0]), lower, upper, note)
    (squared,), (ends,) = _debiased(confidence, n_bins, level)
    l2 = _debiased_row("L2 calibration error", squared, ends, f"debiased, {n_bins} quantile bins")
    return [ece, l2]


def _error_by_chance(sums: BinSums) -> float:
    """About what the ECE is on average if the probabilities are true.

    The mean distance of a frequency from its expectation: that of a normal variable, but never
    more than `2 p (1 - p)`, which it is for a single row.
    """
    weight, p = sums.weight[0], np.zeros(sums.weight.shape[1])
    np.divide(sums.proba[0], weight, out=p, where=weight > 0)
    variance = np.clip(p * (1 - p), 0, None)
    of_one = 2 * variance
    normal = np.sqrt(2 / np.pi * variance / np.maximum(weight, 1))
    distance = np.where(weight > 1, np.minimum(normal, of_one), of_one)
    return float(np.average(distance, weights=weight))


def decomposition_rows(checked: Predictions) -> list[ReportRow]:
    """MCB, DSC and UNC: of two classes by isotonic recalibration, of more by one temperature."""
    if len(checked.classes) == 2:
        method, how = "corp", "isotonic regression (CORP)"
    else:
        method, how = "calibrator", "one temperature, cross-validated"
    n_counted = number_that_counts(checked)
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
        ReportRow("miscalibration", parts.miscalibration, None, None, f"of Brier, by {how}"),
        ReportRow("discrimination", parts.discrimination, None, None, "of Brier, recalibrated"),
        ReportRow("uncertainty", parts.uncertainty, None, None, "Brier score of the base rate"),
    ]


def class_rows(checked: Predictions, n_bins: int, level: float) -> list[ReportRow]:
    """One row per class; of two, whose errors are the same, for the positive one alone."""
    events = events_of(checked, "positive" if len(checked.classes) == 2 else "class")
    squared, ends = _debiased(events, n_bins, level)
    expected, happened = _rates(events)
    notes = (
        f"predicted {p:.3g}, observed {f:.3g}" for p, f in zip(expected, happened, strict=True)
    )
    return [
        _debiased_row(str(label), *row)
        for label, *row in zip(events.labels, squared, ends, notes, strict=True)
    ]


@np.errstate(under="ignore")
def _rates(events: Events) -> tuple[NDArray, NDArray]:
    """Mean probability and frequency of each column's event, (C,)."""
    weight = np.ones(len(events.proba)) if events.weight is None else events.weight
    columns = np.flatnonzero(events.happened >= 0)
    happened = np.bincount(
        events.happened[columns], weight[columns], minlength=events.proba.shape[1]
    )
    return (weight @ events.proba) / weight.sum(), happened / weight.sum()


def group_rows(
    events: Events, codes: NDArray, groups: NDArray, n_bins: int, level: float
) -> list[ReportRow]:
    """One row per group that has a row that counts, in the order of the codes."""
    counts = np.ones(len(codes), bool) if events.weight is None else events.weight > 0
    order = np.flatnonzero(counts)[np.argsort(codes[counts], kind="stable")]
    present, starts = np.unique(codes[order], return_index=True)
    rows = []
    for of_group in np.split(order, starts[1:]):
        part = _rows_of(events, of_group)
        (squared,), (ends,) = _debiased(part, n_bins, _bonferroni(level, len(present)))
        (confidence,), (accuracy,) = _rates(part)
        size = f"{len(of_group):,} {'row' if len(of_group) == 1 else 'rows'}"
        note = f"{size}, accuracy {accuracy:.3g}, mean confidence {confidence:.3g}"
        rows.append(_debiased_row(str(groups[of_group[0]]), squared, ends, note))
    return rows


def _rows_of(events: Events, rows: NDArray) -> Events:
    weight = None if events.weight is None else events.weight[rows]
    return events._replace(proba=events.proba[rows], happened=events.happened[rows], weight=weight)


def _debiased(events: Events, n_bins: int, level: float) -> tuple[NDArray, NDArray]:
    """Debiased squared errors (C,), and intervals (C, 2) that cover all of them at once.

    Errors are NaN where weights count no rows.
    """
    sums, _ = bin_events(events, n_bins, "quantile", squared_error=True)
    squared = np.where(undercounted(sums), np.nan, squared_errors(sums, debias=True))
    return squared, error_intervals(sums, 2, _bonferroni(level, len(squared)))


def _bonferroni(level: float, n: int) -> float:
    """Level at which all of n intervals cover at once with the given probability."""
    # Between 0 and 1 even where rounding would have it otherwise.
    return min(level + (1 - level) * (n - 1) / n, float(np.nextafter(1, 0)))


def _debiased_row(name: str, squared: float, ends: NDArray, note: str) -> ReportRow:
    lower, upper = ends.tolist()
    value = None if np.isnan(squared) else float(max(squared, 0)) ** 0.5
    return ReportRow(name, value, lower, upper, note)


def worst_row(name: str, rows: list[ReportRow]) -> ReportRow:
    """The row whose interval starts highest, among equals the one that is or may be farthest off.

    The upper end decides where all estimates are 0: the order of classes must not.
    """
    worst = max(rows, key=_ends_and_value)
    return worst._replace(name=name, note=f"{worst.name}: {worst.note}")


def _ends_and_value(row: ReportRow) -> tuple[Any, float, Any]:
    return row.lower, row.value or 0.0, row.upper
