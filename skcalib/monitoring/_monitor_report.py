"""How a stream stands: one row for all of it, and one for each regime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skcalib._table import Table
from skcalib.monitoring._alarm import Alarm
from skcalib.monitoring._history import Block
from skcalib.monitoring._regimes import ALL
from skcalib.monitoring._terms import figures_of

_FIGURES = {
    "rows": "n_rows",
    "log loss": "log_loss",
    "Brier": "brier",
    "accuracy": "accuracy",
    "confidence": "confidence",
    "temperature": "temperature",
    "95 % lower": "lower",
    "95 % upper": "upper",
}
_WAITING = {"unlabelled": "n_unlabelled", "expected accuracy": "expected_accuracy"}


@dataclass(frozen=True, eq=False, repr=False)
class MonitorReport(Table):
    """Figures of the last rows of one stream, or of several, with the evidence against them.

    Prints as a table, shows as one in notebooks, and `to_frame()` makes a data frame of it.

    Parameters
    ----------
    rows : list of dict
        Figures of all rows (``regime`` "all") and, where regimes are named, of each.
    n_rows : int
        Labelled rows since the beginning.
    evidence : float
        Against the null hypothesis; 1 at the beginning.
    threshold : float
        The evidence that raises an alarm.
    alarms : list of Alarm
        Those raised so far.
    """

    rows: list[dict[str, Any]]
    n_rows: int
    evidence: float
    threshold: float
    alarms: list[Alarm]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def is_alarmed(self) -> bool:
        """Whether an alarm was raised, or the evidence stands above the threshold now."""
        return bool(self.alarms) or self.evidence >= self.threshold

    @property
    def title(self) -> str:
        """What the table is about."""
        seen = self.rows[0]["n_rows"]
        return f"The last {seen:,} of {self.n_rows:,} rows"

    @property
    def columns(self) -> list[str]:
        """Names of the columns of the table."""
        return ["regime", *self._figures(), *self._scalars()]

    @property
    def records(self) -> list[tuple[Any, ...]]:
        """One tuple per row, a value for each column."""
        keys = list(self._figures().values())
        return [
            (str(row["regime"]), *(row[k] for k in keys), *map(row["scalars"].get, self._scalars()))
            for row in self.rows
        ]

    @property
    def footnote(self) -> str:
        """The evidence, and the last alarm."""
        stands = f"Evidence {self.evidence:.3g}; an alarm at {self.threshold:g}."
        return f"{stands}\n{self.alarms[-1]}" if self.alarms else f"{stands} No alarm."

    def _figures(self) -> dict[str, str]:
        return _FIGURES | _WAITING if any(r["n_unlabelled"] for r in self.rows) else _FIGURES

    def _scalars(self) -> list[str]:
        names = dict.fromkeys(name for row in self.rows for name in row["scalars"])
        return list(names)


def regime_rows(block: Block) -> list[dict[str, Any]]:
    """Figures of a block, of all its rows and of each named regime."""
    regimes = block.regimes()
    rows = [{"regime": ALL} | figures_of(block.total()) | _means(block, regimes)]
    return rows + [
        {"regime": regime} | figures_of(block.sums[regime]) | _means(block, [regime])
        for regime in regimes
        if regime is not None
    ]


def _means(block: Block, regimes: Sequence[Any]) -> dict[str, Any]:
    names = sorted({name for _, name in block.scalars})
    means = {}
    for name in names:
        found = [block.scalars[r, name] for r in regimes if (r, name) in block.scalars]
        if found:
            n, total = np.sum(found, axis=0)
            means[name] = float(total / n)
    return {"scalars": means}
