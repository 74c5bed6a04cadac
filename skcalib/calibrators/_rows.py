"""What every calibrator is fitted on: scored rows whose classes are known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import RowSubset, Source
from skcalib._response import Scores
from skcalib.calibrators._context import Context, context_of


@dataclass(frozen=True)
class CalibrationRows:
    """Rows to calibrate on: all that were scored, or some of them while others are held out.

    Parameters
    ----------
    scores : Scores of all rows and K classes
    y_index : ndarray of shape (n,), columns of the true classes
    classes : ndarray of shape (K,), sorted labels
    weight : ndarray of shape (n,) or None for ones
    groups : ndarray of shape (n,) or None
        Codes from 0 on; rows of one group are not independent.
    originals : ndarray of shape (n,) or None
        Which row of X each stands for, where several models were held out from the same one. None
        if all are different.
    index : ndarray of shape (n,) or None
        Which of the scored rows these are; None for all.
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
        if self.weight is None or (self.weight > 0).all():
            return self
        return self.at(self.weight > 0)

    def at(self, chosen: NDArray) -> "CalibrationRows":
        """Some of them, by position or mask."""
        index = np.arange(len(self)) if self.index is None else self.index
        return CalibrationRows(
            self.scores,
            self.y_index[chosen],
            self.classes,
            _at(chosen, self.weight),
            _at(chosen, self.groups),
            _at(chosen, self.originals),
            index[chosen],
        )

    def __len__(self) -> int:
        return len(self.y_index)

    @property
    def n_classes(self) -> int:
        """K."""
        return self.scores.values.shape[1]

    @property
    def n_distinct(self) -> int:
        """How many rows of X they stand for."""
        return len(self) if self.originals is None else len(np.unique(self.originals))

    @property
    def total_weight(self) -> float:
        """N, the number of rows that these stand for."""
        return float(len(self)) if self.weight is None else float(self.weight.sum())

    @property
    def values(self) -> NDArray:
        """Scores (n, K) as they are."""
        return self.scores.values if self.index is None else self.scores.values[self.index]

    @property
    def context(self) -> Context:
        """What is known of these rows besides their scores."""
        context = context_of(self.scores)
        return context if self.index is None else context.at(self.index)

    def source(self, offset: float = 0.0) -> Source:
        """Logits."""
        source = self.scores.source(offset)
        return source if self.index is None else RowSubset(source, self.index)

    def refuse_bad_rows(self) -> None:
        """Raise ValueError for the first row without a softmax, or with a masked label."""
        if self.index is None:
            self.scores.refuse_bad_rows(self.y_index, self.weight)
            return
        # Rows are named by where they were scored; the others are as if absent.
        y_index, weight = np.zeros(len(self.scores), dtype=np.intp), np.zeros(len(self.scores))
        y_index[self.index] = self.y_index
        weight[self.index] = 1.0 if self.weight is None else self.weight
        self.scores.refuse_bad_rows(y_index, weight)


def _at(chosen: NDArray, values: NDArray | None) -> NDArray | None:
    return None if values is None else values[chosen]
