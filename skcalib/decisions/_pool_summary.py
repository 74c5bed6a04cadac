"""Members of a pool as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skcalib._table import Table


@dataclass(frozen=True, eq=False, repr=False)
class PoolSummary(Table):
    """Members of a :class:`TemperaturePool`, and the pool.

    Parameters
    ----------
    names : list of str
        The members' names, then "pool"; likewise the others.
    weights : list of float
        Weights in the pool.
    temperatures : list of float
        Temperatures; 1 where none is fitted.
    log_losses : list of float
        Log loss on held-out rows at that temperature.
    n_rows : int
        Number of these rows.
    """

    names: list[str]
    weights: list[float]
    temperatures: list[float]
    log_losses: list[float]
    n_rows: int

    @property
    def title(self) -> str:
        """What the table is about."""
        return f"Members of a pool: {self.n_rows:,} calibration rows"

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return ["member", "weight", "temperature", "log loss"]

    @property
    def records(self) -> list[tuple[Any, ...]]:
        """One tuple per member, and one for the pool."""
        columns = (self.names, self.weights, self.temperatures, self.log_losses)
        return list(zip(*columns, strict=True))
