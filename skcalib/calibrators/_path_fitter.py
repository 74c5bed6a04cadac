"""How linear maps are fitted on whichever rows: temperature first, then the maps from there."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from skcalib._kernels._coefficients import Penalties
from skcalib._kernels._linear_map import QUICK, THOROUGH, Search
from skcalib._kernels._pool import Path, fit_path
from skcalib._kernels._start import Start, fit_start
from skcalib.calibrators._rows import CalibrationRows
from skcalib.calibrators._temperature import fit_scores, why_undetermined

# A search keeps some forty vectors of the coefficients: 720 MB of them.
MOST_COEFFICIENTS = 2**21


class MapFit(NamedTuple):
    """Maps fitted on some rows."""

    offset: float  # added to probabilities
    path: Path
    obstacle: str | None  # what is wrong with the fit, if something is


@dataclass(frozen=True)
class PathFitter:
    """How maps are fitted, from nothing, on whichever rows.

    They start from a temperature and Laplace's share of uniform: of N rows the next one is of a
    kind not seen among them with probability 1 / (N + 1).
    """

    penalties: tuple[Penalties, ...]
    alpha: float  # precision of the temperature's prior; inf for T = 1
    smoothing: float | str
    monotone: bool = False
    search: Search = THOROUGH

    def __call__(self, rows: CalibrationRows) -> MapFit:
        tempered = np.isfinite(self.alpha)
        ungrouped = replace(rows, groups=None)  # nobody asks for an interval
        offset, fit = fit_scores(ungrouped, self.alpha if tempered else 1.0, self.smoothing)
        source, share = rows.source(offset), 1 / (rows.total_weight + 1)
        start = Start(1.0, share)
        if tempered:
            labelled = source, rows.labels, rows.weights
            start = fit_start(*labelled, self.alpha, share, fit.temperature)
        path = fit_path(
            source,
            rows.labels,
            rows.weights,
            start,
            self.penalties,
            monotone=self.monotone,
            search=self.search,
        )
        obstacles = [
            why_undetermined(fit, start.temperature) if tempered else None,
            self._why_unfinished(path),
        ]
        return MapFit(offset, path, " ".join(filter(None, obstacles)) or None)

    def _why_unfinished(self, path: Path) -> str | None:
        """That a search was cut short which should have found the minimum, and what to do."""
        if self.search is QUICK or max(path.n_iter) < self.search.max_iter:
            return None
        return (
            f"The search for the linear map did not end within {self.search.max_iter} steps: "
            "raise the penalty."
        )
