"""How linear maps are fitted on whichever rows: temperature first, then the maps from there."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from skcalib._kernels._coefficients import Penalties
from skcalib._kernels._linear_map import THOROUGH, Search
from skcalib._kernels._path import Path, fit_path
from skcalib._kernels._start import Start, fit_start
from skcalib._kernels._temperature import (
    CONSTANT,
    LOG_BETA_BOUND,
    OUT_OF_RANGE,
    PERFECT,
    TemperatureFit,
)
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
        # With T = 1 this still finds the smoothing, and rows that have no log loss.
        offset, fit = fit_scores(ungrouped, self.alpha if tempered else 1.0, self.smoothing)
        labelled = rows.source(offset), rows.y_index, rows.weight
        start = Start(1.0, 1 / (rows.total_weight + 1))
        if tempered:
            start = fit_start(*labelled, self.alpha, start.uniform_share, fit.temperature)
        path = fit_path(
            *labelled, start, self.penalties, monotone=self.monotone, search=self.search
        )
        undetermined = _why_undetermined(fit, start) if tempered else None
        obstacles = filter(None, [undetermined, self._why_unfinished(path)])
        return MapFit(offset, path, " ".join(obstacles) or None)

    def _why_unfinished(self, path: Path) -> str | None:
        """That a search was cut short which should have found the minimum, and what to do."""
        if self.search.may_end_early or max(path.n_iter) < self.search.max_iter:
            return None
        return (
            f"The search for the linear map did not end within {self.search.max_iter} steps, and "
            "its coefficients are not the best: pass a larger penalty."
        )


def _why_undetermined(fit: TemperatureFit, start: Start) -> str | None:
    """Why rows do not determine the temperature of a start, and what to do.

    What only raises that of the softmax alone, such as labels that it rules out, may leave it
    determined.
    """
    for_any_mixture = fit.obstacle in (CONSTANT, PERFECT, OUT_OF_RANGE)
    at_bound = abs(np.log(start.temperature)) >= LOG_BETA_BOUND
    return why_undetermined(fit, start.temperature) if for_any_mixture or at_bound else None
