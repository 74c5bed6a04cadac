"""What thresholds would answer, and at which risk, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skcalib._kernels._risk_path import RiskPath
from skcalib._table import Table


@dataclass(frozen=True, eq=False, repr=False)
class SelectiveSummary(Table):
    """Thresholds on the calibration rows of a :class:`SelectiveClassifier`.

    Parameters
    ----------
    path : object
        Arrays `threshold`, `kept`, `wrong` and `bound` of the prefixes of rows.
    total_weight : float
        Number of all rows.
    chosen : float
        The threshold that is served.
    confidence : float
        Probability with which each bound holds.
    """

    path: RiskPath
    total_weight: float
    chosen: float
    confidence: float

    @property
    def title(self) -> str:
        """What the table is about."""
        return f"Answers by threshold: {self.total_weight:,.0f} calibration rows"

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return ["threshold", "coverage", "risk", f"{100 * self.confidence:g} % bound", "answered"]

    @property
    def records(self) -> list[tuple[Any, ...]]:
        """One tuple per threshold, from the highest down."""
        threshold, kept, wrong, bound = self.path
        coverage, risk = kept / self.total_weight, wrong / kept
        bounds = [None if np.isnan(b) else float(b) for b in bound]
        answered = (threshold >= self.chosen).tolist()
        columns = (threshold.tolist(), coverage.tolist(), risk.tolist(), bounds, answered)
        return list(zip(*columns, strict=True))

    @property
    def footnote(self) -> str:
        """What is served."""
        if self.chosen == np.inf:
            return "No row is answered."
        return f"Rows of a confidence of {self.chosen:.4g} or more are answered."
