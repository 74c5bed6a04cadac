"""What calibrators by linear maps share: rows, the start of a map, folds, the pool that serves."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from skcalib._kernels._blocks import RowSubset, Source, quiet_arithmetic, row_blocks
from skcalib._kernels._linear_map import THOROUGH, Penalties, Search, Start
from skcalib._kernels._moments import row_losses
from skcalib._kernels._pool import Path, deal, fit_path, member_densities, pool_probabilities
from skcalib._kernels._smoothing import smoothing_of
from skcalib._kernels._softmax import softmax
from skcalib._response import Scores
from skcalib.calibrators._map import CalibrationMap
from skcalib.calibrators._temperature import fit_scores, why_undetermined

# Folds, by what a fit costs: n K^2 up to the first number.
_FOLDS = (1e6, 10), (5e6, 5), (np.inf, 3)
FEWEST_ROWS = 10

# A search keeps some forty vectors of the coefficients: 720 MB of them.
MOST_COEFFICIENTS = 2**21

# Losses that differ by less are equal but for rounding.
_SAME_LOSS = 1e-6


@dataclass(frozen=True)
class PooledMap(CalibrationMap):
    """A mixture of uniform, the model's own probabilities, and linear maps of its scores."""

    path: Path
    offset: float  # added to probabilities, where scores are those
    shares: NDArray  # (2 + maps,): of uniform, of the model's own, of each map
    n_classes: int
    keeps_order: bool  # whether every member leaves the order of classes within a row
    obstacle: str | None  # why the rows do not determine the temperature
    shown: dict[str, Any]

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
        return pool_probabilities(given, source, self.path, self.shares)

    def convergence_warning(self) -> str | None:
        """Why the calibration rows do not determine the temperature, and what to do."""
        return self.obstacle

    def fitted_attributes(self) -> dict[str, Any]:
        """What the calibrator that made the map has to say of it, and the start."""
        # Copies: whoever changes what is shown must not change what is served.
        return {name: deepcopy(value) for name, value in self.shown.items()} | {
            "temperature_": self.path.start.temperature,
            "smoothing_": smoothing_of(self.offset, self.n_classes),
        }


@dataclass(frozen=True)
class CalibrationRows:
    """Rows to calibrate on, all of positive weight.

    Parameters
    ----------
    scores : Scores of n rows
    index : ndarray of shape (m,), the rows at hand
    y_index : ndarray of shape (n,)
    weight : ndarray of shape (n,) or None
    """

    scores: Scores
    index: NDArray
    y_index: NDArray
    weight: NDArray | None

    @classmethod
    def that_count(
        cls, scores: Scores, y_index: NDArray, weight: NDArray | None
    ) -> "CalibrationRows":
        """All but those of weight 0."""
        index = np.arange(len(y_index)) if weight is None else np.flatnonzero(weight > 0)
        return cls(scores, index, y_index, weight)

    def at(self, chosen: NDArray) -> "CalibrationRows":
        """Some of them, by position or mask."""
        return CalibrationRows(self.scores, self.index[chosen], self.y_index, self.weight)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def n_classes(self) -> int:
        """K."""
        return self.scores.values.shape[1]

    @property
    def labels(self) -> NDArray:
        """(m,) columns of the true classes."""
        return self.y_index[self.index]

    @property
    def weights(self) -> NDArray | None:
        """(m,), or None for ones."""
        return None if self.weight is None else self.weight[self.index]

    @property
    def total_weight(self) -> float:
        """N, the number of rows that these stand for."""
        return float(len(self)) if self.weight is None else float(self.weight[self.index].sum())

    @property
    def cost(self) -> float:
        """`m K^2`, what coefficients between pairs of classes cost to fit."""
        return float(len(self)) * self.n_classes**2

    def source(self, offset: float = 0.0) -> Source:
        """Logits of the rows at hand."""
        source = self.scores.source(offset)
        return source if len(self) == len(self.scores) else RowSubset(source, self.index)


class MapFit(NamedTuple):
    """Maps fitted on some rows."""

    offset: float  # added to probabilities
    path: Path
    obstacle: str | None  # why the rows do not determine the temperature


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
        index = None if len(rows) == len(rows.scores) else rows.index
        alpha = self.alpha if np.isfinite(self.alpha) else 1.0
        offset, fit = fit_scores(
            rows.scores, rows.y_index, rows.weight, alpha, self.smoothing, index=index
        )
        temperature = fit.temperature if np.isfinite(self.alpha) else 1.0
        path = fit_path(
            rows.source(offset),
            rows.labels,
            rows.weights,
            Start(temperature, 1 / (rows.total_weight + 1)),
            self.penalties,
            monotone=self.monotone,
            search=self.search,
        )
        return MapFit(offset, path, why_undetermined(fit) if np.isfinite(self.alpha) else None)


def number_of_folds(rows: CalibrationRows, groups: NDArray | None = None) -> int:
    """By cost, and no more than there are groups; 0 where rows are too few to hold some out."""
    if len(rows) < FEWEST_ROWS:
        return 0
    n_folds = next(folds for cost, folds in _FOLDS if rows.cost <= cost)
    n_groups = n_folds if groups is None else len(np.unique(groups))
    return min(n_folds, n_groups) if n_groups > 1 else 0


def held_out_densities(
    rows: CalibrationRows, fit: PathFitter, n_folds: int, groups: NDArray | None = None
) -> NDArray:
    """What members fitted on the other folds say of each row's label, (m, 2 + maps) float64.

    Everything is fitted anew in each fold: what was fitted on all rows knows the labels of those
    held out. Without folds there are no rows.
    """
    densities = np.empty((len(rows) if n_folds else 0, 2 + len(fit.penalties)))
    for held_out in _folds(rows, groups, n_folds):
        offset, path, _ = fit(rows.at(~held_out))
        others = rows.at(held_out)
        sources = others.source(), others.source(offset)
        densities[held_out] = member_densities(*sources, path, others.labels)
    return densities


@np.errstate(under="ignore")
def mixed(densities: NDArray, shares: NDArray) -> NDArray:
    """What the mixture says of each row's label, (m,)."""
    return densities @ shares


def mean_losses(densities: NDArray, weight: NDArray | None) -> NDArray:
    """Mean log loss (...) of densities (m, ...), in nats; NaN without rows."""
    if not len(densities):
        return np.full(densities.shape[1:], np.nan)
    with np.errstate(divide="ignore", under="ignore"):
        return -np.average(np.log(densities), axis=0, weights=weight)


def _folds(rows: CalibrationRows, groups: NDArray | None, n_folds: int) -> Iterator[NDArray]:
    """Masks of the rows held out, (m,) each; of whole groups where these are given."""
    if not n_folds:
        return
    if groups is not None:
        for _, held_out in GroupKFold(n_folds).split(groups, groups=groups):
            yield np.isin(np.arange(len(rows)), held_out)
        return
    folds = deal(rows.labels, _distinct_losses(rows), n_folds)
    for k in range(n_folds):
        yield folds == k


def _distinct_losses(rows: CalibrationRows) -> NDArray:
    """Losses (m,), a little larger in rows that give more to the classes of large total loss.

    A forest of ten trees gives many rows the same loss. Which of them is dealt out first must
    depend neither on their order nor on that of the classes.
    """
    source = rows.source()
    loss = row_losses(source, rows.labels)
    by_class = np.bincount(rows.labels, loss, minlength=rows.n_classes)
    at_stake = np.empty(len(rows))
    with quiet_arithmetic(rows.n_classes):
        for block in row_blocks(*source.shape):
            proba = softmax(RowSubset(source, np.arange(block.start, block.stop)))
            at_stake[block] = proba @ by_class
        at_stake /= max(by_class.max(), _SAME_LOSS)  # at most 1
    return _SAME_LOSS * (np.round(loss / _SAME_LOSS) + at_stake / 2)
