"""The table that a comparison of two forecasts comes in, and what it decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skcalib._table import Table

_NAMES = {"log_loss": "Log loss", "brier": "Brier score"}


class ComparisonRow(NamedTuple):
    """Two forecasts on all rows, or on those of a group.

    Parameters
    ----------
    name : str
        "all rows", or the group.
    n_rows : int
        Number of rows whose weight is not 0.
    score_p, score_q : float
        Mean score of either forecast; smaller is better.
    gain : float
        ``score_p - score_q``; positive where q is better.
    lower, upper : float
        Interval of the gain for a number of rows that was fixed beforehand.
    anytime_lower, anytime_upper : float
        Interval of the gain that may be looked at as often as one likes.
    """

    name: str
    n_rows: int
    score_p: float
    score_q: float
    gain: float
    lower: float
    upper: float
    anytime_lower: float
    anytime_upper: float


@dataclass(frozen=True, eq=False, repr=False)
class ForecastComparison(Table):
    """By how much forecast q scores better than p, with intervals, and what to do about it.

    Prints as a table, shows as one in notebooks, and `to_frame()` makes a data frame of it.

    Parameters
    ----------
    overall : ComparisonRow
        All rows.
    groups : list of ComparisonRow
        Those of each group, sorted; empty without groups.
    score : {"log_loss", "brier"}
        What was compared.
    anytime : {"asymptotic", "exact"}
        What the anytime intervals rest on.
    min_gain : float
        The gain that q has to show.
    max_group_loss : float or None
        What q may lose in a group; None where groups have no say.
    confidence_level : float
        Coverage of the intervals of all rows; those of groups together have it too.
    """

    overall: ComparisonRow
    groups: list[ComparisonRow]
    score: str
    anytime: str
    min_gain: float
    max_group_loss: float | None
    confidence_level: float

    @property
    def decision(self) -> str:
        """What the anytime intervals say: "promote", "keep" or "undecided".

        "promote" if q gains more than `min_gain`, and loses less than `max_group_loss` in every
        group; "keep" if it does not gain as much, or loses more in some group; "undecided" if the
        rows cannot tell yet.
        """
        least = np.inf if self.max_group_loss is None else self.max_group_loss
        if self.overall.anytime_upper < self.min_gain or any(
            group.anytime_upper < -least for group in self.groups
        ):
            return "keep"
        # A group of too few rows may lose anything.
        harmless = least == np.inf or all(group.anytime_lower > -least for group in self.groups)
        return "promote" if self.overall.anytime_lower > self.min_gain and harmless else "undecided"

    @property
    def title(self) -> str:
        """What the table is about."""
        n = self.overall.n_rows
        rows = f"{n:,} {'row' if n == 1 else 'rows'}"
        return f"{_NAMES[self.score]} of p and q, {rows}; a positive gain is one of q"

    @property
    def columns(self) -> list[str]:
        """Names of the columns of the table."""
        level = f"{100 * self.confidence_level:g} %"
        ends = [f"{level} lower", f"{level} upper", "anytime lower", "anytime upper"]
        return ["rows", "n", "p", "q", "gain", *ends]

    @property
    def records(self) -> list[tuple[Any, ...]]:
        """One tuple per row, a value for each column."""
        return [tuple(row) for row in (self.overall, *self.groups)]

    @property
    def footnote(self) -> str:
        """The decision, and what the intervals of groups mean."""
        groups = " Intervals of groups hold all at once." if self.groups else ""
        return f"Decision: {self.decision}.{groups}"
