"""The words and tables of the report, from labels and probabilities before and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib._validation import check_predictions
from skcalib.metrics import CalibrationReport, ReportRow, calibration_report
from skcalib.metrics._log_loss import log_losses

# A longer table is not read: the worst rows are shown, and how many there are.
MOST_ROWS = 25


@dataclass(frozen=True)
class Shown:
    """A table of the page.

    Parameters
    ----------
    columns : list of str
    rows : list of lists of str
    note : str, what to know of it, or of what it leaves out
    """

    columns: list[str]
    rows: list[list[str]]
    note: str = ""


@dataclass(frozen=True)
class Evaluation:
    """Rows that no calibrator of the report was fitted on, and what was said of them.

    Parameters
    ----------
    y : ndarray of shape (n,)
    proba : dict from "before", "after" to probabilities (n, K)
    classes : ndarray of shape (K,), sorted
    weight, groups : ndarray of shape (n,) or None
    """

    y: NDArray
    proba: Mapping[str, NDArray]
    classes: NDArray
    weight: NDArray | None
    groups: NDArray | None

    def reports(self) -> dict[str, CalibrationReport]:
        """Of before and after."""
        return {
            when: calibration_report(
                self.y,
                proba,
                groups=self.groups,
                sample_weight=self.weight,
                labels=self.classes,
            )
            for when, proba in self.proba.items()
        }

    def mean(self, values: NDArray, rows: Any = slice(None)) -> Any:
        """Weighted mean over some of the rows."""
        weight = None if self.weight is None else self.weight[rows]
        return np.average(values[rows], axis=0, weights=weight)


def sentences(data: Evaluation, reports: Mapping[str, CalibrationReport]) -> Iterator[str]:
    """What a reviewer should know, in words."""
    before, after = reports["before"], reports["after"]
    yield f"Before calibration {_said_and_right(before)}"
    yield f"After calibration {_said_and_right(after)}"
    losses = [report["log loss"].value for report in (before, after)]
    briers = [report["Brier score"].value for report in (before, after)]
    yield (
        f"The mean log loss {_moved(*losses)}, the Brier score {_moved(*briers)}. Both count every "
        "error of the probabilities; smaller is better."
    )
    changed = int((data.proba["before"].argmax(1) != data.proba["after"].argmax(1)).sum())
    yield (
        f"The likeliest class is another one in {changed:,} of {len(data.y):,} rows."
        if changed
        else "The likeliest class is the same in every row."
    )
    error = after["L2 calibration error"]
    left = f"What is left of the calibration error, {_percent(error.value)},"
    yield (
        f"{left} may be chance: its interval reaches 0."
        if not error.lower
        else f"{left} is more than chance: its interval is {_interval(error)}."
    )
    if "worst group" in after:
        row = after["worst group"]
        may = " This may be chance." if not row.lower else ""
        yield f"After calibration the group that is off the most is {row.note}.{may}"
    yield (
        "This holds for rows like these. Other groups, other frequencies of the classes or a later "
        "time may differ: watch what comes in, and fit again when it has moved."
    )


def scores_table(reports: Mapping[str, CalibrationReport]) -> Shown:
    """Every figure of the reports, before beside after."""
    columns = ["measure"]
    for when in reports:
        columns += [when, "95 % interval"]
    rows = []
    first, *others = reports.values()
    for row in first:
        cells = [row.name]
        notes = []
        for report in (first, *others):
            if row.name not in report:
                continue
            _, value, lower, upper, note = report._cells(tuple(report[row.name]))
            cells += [value, f"{lower} to {upper}" if lower else ""]
            notes.append(note)
        about = notes[0] if len(set(notes)) == 1 else "; then: ".join(notes)
        rows.append([*cells, about])
    return Shown([*columns, "note"], rows, first.footnote)


def classes_table(data: Evaluation, reports: Mapping[str, CalibrationReport]) -> Shown:
    """How often each class was predicted and came true; the worst of many."""
    of_before = {row.name: row for row in reports["before"].classes}
    place = {str(label): k for k, label in enumerate(data.classes.tolist())}
    rows = []
    for row in _worst(reports["after"].classes):
        k = place[row.name]
        is_class = data.y == data.classes[k]
        said = [_share(data.mean(proba[:, k])) for proba in data.proba.values()]
        errors = [_share(of_before[row.name].value), _share(row.value)]
        happened = [f"{int(is_class.sum()):,}", _share(data.mean(is_class))]
        rows.append([row.name, *happened, *said, *errors, _interval(row, percent=False)])
    columns = ["class", "rows", "came true", "said before", "said after"]
    columns += ["error before", "error after", "interval"]
    return Shown(columns, rows, _about(len(reports["after"].classes), "classes"))


def groups_table(data: Evaluation, reports: Mapping[str, CalibrationReport]) -> Shown:
    """What the model said of each group, and what came true."""
    if data.groups is None:
        raise ValueError("groups: none were named, so there is no table of them")
    names = data.groups.astype(str)
    losses = {
        when: log_losses(check_predictions(data.y, proba, labels=data.classes))
        for when, proba in data.proba.items()
    }
    confidence = {when: proba.max(axis=1) for when, proba in data.proba.items()}
    right = data.classes[data.proba["after"].argmax(axis=1)] == data.y
    rows = []
    for row in _worst(reports["after"].groups):
        of = names == row.name
        said = [_share(data.mean(p, of)) for p in confidence.values()]
        loss = [f"{data.mean(values, of):.3f}" for values in losses.values()]
        rows.append(
            [
                row.name,
                f"{int(of.sum()):,}",
                _share(data.mean(right, of)),
                *said,
                *loss,
                _share(row.value),
                _interval(row, percent=False),
            ]
        )
    columns = ["group", "rows", "accuracy", "said before", "said after", "log loss before"]
    columns += ["log loss after", "error after", "interval"]
    return Shown(columns, rows, _about(len(reports["after"].groups), "groups"))


def table_of(table: Any) -> Shown:
    """One of the package's own tables."""
    return Shown(table.columns, [table._cells(row) for row in table.records], table.footnote)


def _worst(rows: list[ReportRow]) -> list[ReportRow]:
    """All of few, in their order; of many those whose intervals begin highest."""
    if len(rows) <= MOST_ROWS:
        return rows
    return sorted(rows, key=lambda row: (row.lower or 0, row.value or 0), reverse=True)[:MOST_ROWS]


def _about(n: int, what: str) -> str:
    text = (
        "The error is the L2 calibration error, debiased; its intervals, of after, are wide enough "
        "to cover all at once, and one that begins at 0 may be chance."
    )
    if n > MOST_ROWS:
        text = (
            f"The {MOST_ROWS} of {n:,} {what} whose error after calibration is surest: its "
            f"interval begins highest. {text}"
        )
    return text


def _said_and_right(report: CalibrationReport) -> str:
    accuracy, said = report["accuracy"], report["mean confidence"].value
    text = (
        f"the model gave its answer {_percent(said)} on average and was right in "
        f"{_percent(accuracy.value)} of the rows ({_interval(accuracy)})"
    )
    if accuracy.lower is None or accuracy.upper is None or said is None:
        return f"{text}."
    points = f"{100 * abs(said - (accuracy.value or 0)):.1f} points"
    if said > accuracy.upper:
        return f"{text}: it was overconfident by {points}."
    if said < accuracy.lower:
        return f"{text}: it was underconfident by {points}."
    return f"{text}: on average it knew how often it was right."


def _moved(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return "cannot be told"
    word = "stayed at" if f"{before:.4g}" == f"{after:.4g}" else None
    word = word or ("fell from" if after < before else "rose from")
    return f"{word} {before:.4g}" + (f" to {after:.4g}" if "from" in word else "")


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.1f}\u00a0%"


def _share(share: Any) -> str:
    return "" if share is None else f"{share:.3f}"


def _interval(row: ReportRow, *, percent: bool = True) -> str:
    if row.lower is None or row.upper is None:
        return ""
    if percent:
        return f"{100 * row.lower:.1f} to {100 * row.upper:.1f}\u00a0%"
    return f"{row.lower:.3f} to {row.upper:.3f}"
