"""What every calibrator is fitted on: scored rows whose classes are known."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import RowSubset, Source
from skcalib._response import Scores


@dataclass(frozen=True)
class CalibrationRows:
    """Rows to calibrate on: n of them, of which some may be at hand and the others held out.

    Parameters
    ----------
    scores : Scores of n rows and K classes
    y_index : ndarray of shape (n,), columns of the true classes
    classes : ndarray of shape (K,), sorted labels
    weight : ndarray of shape (n,) or None for ones
    groups : ndarray of shape (n,) or None
        Codes from 0 on; rows of one group are not independent.
    originals : ndarray of shape (n,) or None
        Which row of X each stands for, where several models were held out from the same one. None
        if all are different.
    index : ndarray of shape (m,) or None
        The rows at hand; None for all.
    """

    scores: Scores
    y_index: NDArray
    classes: NDArray
    weight: NDArray | None = None
    groups: NDArray | None = None
    originals: NDArray | None = None
    index: NDArray | None = None

    def that_count(self) -> "CalibrationRows":
        """All but those of weight 0."""
        weights = self.weights
        return self if weights is None or (weights > 0).all() else self.at(weights > 0)

    def at(self, chosen: NDArray) -> "CalibrationRows":
        """Some of those at hand, by position or mask."""
        index = np.arange(len(self.y_index)) if self.index is None else self.index
        return replace(self, index=index[chosen])

    def of(self, values: NDArray) -> NDArray:
        """Entries (m, ...) of the rows at hand, of an array for all n rows."""
        return values if self.index is None else values[self.index]

    def __len__(self) -> int:
        return len(self.y_index if self.index is None else self.index)

    @property
    def n_classes(self) -> int:
        """K."""
        return self.scores.values.shape[1]

    @property
    def labels(self) -> NDArray:
        """(m,) columns of the true classes."""
        return self.of(self.y_index)

    @property
    def weights(self) -> NDArray | None:
        """(m,), or None for ones."""
        return None if self.weight is None else self.of(self.weight)

    @property
    def total_weight(self) -> float:
        """N, the number of rows that these stand for."""
        weights = self.weights
        return float(len(self)) if weights is None else float(weights.sum())

    def source(self, offset: float = 0.0) -> Source:
        """Logits of the rows at hand."""
        source = self.scores.source(offset)
        return source if self.index is None else RowSubset(source, self.index)
