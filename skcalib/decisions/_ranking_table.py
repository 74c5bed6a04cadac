"""What `rank_candidates` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from skcalib._table import Table


class RankingRow(NamedTuple):
    """Figures of one set of probabilities, or the difference of two in regret.

    Parameters
    ----------
    name : str
        Name of the probabilities.
    promised : float or None
        Mean expected utility of what they choose; None for a difference, like the next two.
    got : float or None
        Mean utility that it turned out to have.
    best : float or None
        Mean utility of the best choice in hindsight.
    regret : float
        The latter less the former.
    lower, upper : float
        Ends of the interval for the regret.
    """

    name: str
    promised: float | None
    got: float | None
    best: float | None
    regret: float
    lower: float
    upper: float


@dataclass(frozen=True, eq=False, repr=False)
class CandidateRanking(Table):
    """Candidates in the order of their expected utility, and what the order costs.

    Prints as a table, shows as one in notebooks, and `to_frame()` makes a data frame of it.
    ``ranking["raw"]`` is one row of the table.

    Parameters
    ----------
    rows : list of RankingRow
        Figures of each set of probabilities, then differences to the first; empty where outcomes
        are not known.
    utility : dict of ndarrays of shape (n_samples,)
        Expected utility of each candidate, by the name of the probabilities.
    order : dict of ndarrays of shape (n_samples,)
        Candidates from the best to the worst; of equal ones the first of them first.
    by_group : dict of dicts
        The regret of each group, by the name of the probabilities; empty without groups.
    k : int or None
        How many are chosen; None for all that promise a gain.
    n_samples : int
        Number of candidates.
    n_groups : int
        Number of groups; 0 without groups.
    confidence_level : float
        Coverage of the intervals.
    """

    rows: list[RankingRow]
    utility: dict[str, NDArray]
    order: dict[str, NDArray]
    by_group: dict[Any, dict[str, float]]
    k: int | None
    n_samples: int
    n_groups: int
    confidence_level: float

    def __getitem__(self, name: str) -> RankingRow:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"{name!r} is not among {[row.name for row in self.rows]}.")

    @property
    def title(self) -> str:
        """What the table is about."""
        chosen = "Candidates that promise a gain" if self.k is None else f"The best {self.k:,}"
        of = f"{chosen} of {self.n_samples:,} candidates"
        groups = "1 group" if self.n_groups == 1 else f"{self.n_groups:,} groups"
        return f"{of} in {groups}" if self.n_groups else of

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        level = f"{100 * self.confidence_level:g} %"
        return [
            "probabilities",
            "promised",
            "got",
            "best",
            "regret",
            f"{level} lower",
            f"{level} upper",
        ]

    @property
    def records(self) -> list[tuple[Any, ...]]:
        """One tuple per row."""
        return [tuple(row) for row in self.rows]
