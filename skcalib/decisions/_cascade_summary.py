"""Stages of a cascade as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skcalib._table import Table


@dataclass(frozen=True, eq=False, repr=False)
class CascadeSummary(Table):
    """Members of a :class:`CascadeClassifier`, in the order in which they are asked.

    Parameters
    ----------
    names : list of str
        The members' names; likewise the others.
    thresholds : list of float or None
        The least confidence with which each answers; None for the last.
    shares : list of float
        Share of the calibration rows that each answers.
    costs : list of float
        What such a row has cost, earlier members included.
    mean_cost : float
        Mean cost of a calibration row.
    log_loss : float
        Mean log loss of the calibration rows.
    n_rows : int
        Number of calibration rows.
    """

    names: list[str]
    thresholds: list[float | None]
    shares: list[float]
    costs: list[float]
    mean_cost: float
    log_loss: float
    n_rows: int

    @property
    def title(self) -> str:
        """What the table is about."""
        return f"Stages of a cascade: {self.n_rows:,} calibration rows"

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return ["member", "answers from", "share of rows", "cost of a row"]

    @property
    def records(self) -> list[tuple[Any, ...]]:
        """One tuple per member."""
        return list(zip(self.names, self.thresholds, self.shares, self.costs, strict=True))

    @property
    def footnote(self) -> str:
        """What the cascade as a whole comes to."""
        return f"Mean cost {self.mean_cost:.4g}, log loss {self.log_loss:.4g}."
