"""The map that a linear calibrator serves: linear maps, mixed with what was there before."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from skcalib._kernels._path import Path, mixture_probabilities
from skcalib._kernels._smoothing import smoothing_of
from skcalib._response import Scores
from skcalib.calibrators._map import CalibrationMap


@dataclass(frozen=True)
class MixtureMap(CalibrationMap):
    """A mixture of uniform, the model's own probabilities, and linear maps of its scores."""

    path: Path
    offset: float  # added to probabilities, where scores are those
    shares: NDArray  # (2 + maps,): of uniform, of the model's own, of each map
    n_classes: int
    keeps_order: bool  # whether every member leaves the order of classes within a row
    obstacle: str | None  # what is wrong with the fit, if something is
    shown: dict[str, Any]  # what the calibrator that made the map has to say of it

    @property
    def temperature(self) -> float:
        """T, that the maps start from."""
        return self.path.start.temperature

    @property
    def keeps_argmax(self) -> bool:
        """Whether every member leaves the likeliest class the likeliest."""
        return self.keeps_order

    def predict_proba(self, scores: Scores) -> NDArray:
        """Probabilities (n, K)."""
        given, source = scores.source(), scores.source(self.offset)
        return mixture_probabilities(given, source, self.path, self.shares)

    def convergence_warning(self) -> str | None:
        """What is wrong with the fit, and what to do."""
        return self.obstacle

    def fitted_attributes(self) -> dict[str, Any]:
        """What the calibrator that made the map has to say of it, and the start."""
        # Copies: whoever changes what is shown must not change what is served.
        return {name: deepcopy(value) for name, value in self.shown.items()} | {
            "temperature_": self.path.start.temperature,
            "smoothing_": smoothing_of(self.offset, self.n_classes),
        }
