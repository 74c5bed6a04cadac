"""What a fitted calibrator serves with: a map from scores to probabilities."""

from abc import ABCMeta, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib._response import Scores, read_scores
from skcalib.calibrators._context import NO_CONTEXT, ContextReader


class CalibrationMap(metaclass=ABCMeta):
    """From scores to probabilities: what a calibrator has learned, and nothing else.

    Immutable, picklable, and safe to use from several threads. Where a row of scores has no
    probabilities (NaN, +inf, every class masked), all of the row's are NaN.
    """

    @property
    def keeps_argmax(self) -> bool:
        """Whether the class with the largest score stays the likeliest, in every row."""
        return False

    @abstractmethod
    def predict_proba(self, scores: Scores) -> NDArray:
        """Probabilities (n, K)."""

    def predict_log_proba(self, scores: Scores) -> NDArray:
        """Log-probabilities (n, K)."""
        return log(self.predict_proba(scores))

    def fitted_attributes(self) -> dict[str, Any]:
        """What the calibrator shows of the map under names that end in an underscore."""
        return {}

    def convergence_warning(self) -> str | None:
        """What is wrong with the fit and what to do about it, if something is."""
        return None


@dataclass(frozen=True)
class CalibratedPair:
    """An estimator and the map fitted on its scores of held-out rows.

    Attributes
    ----------
    estimator : estimator
        Fitted.
    calibrator : CalibrationMap
    response_method : str
        The method of `estimator` that the map reads.
    classes_ : ndarray of shape (K,)
    context_reader : ContextReader
    """

    estimator: Any
    calibrator: CalibrationMap
    response_method: str
    classes_: NDArray
    context_reader: ContextReader = NO_CONTEXT

    def scores(self, X: Any) -> Scores:
        """What the map reads: one column per class, and the context."""
        reader = self.context_reader
        seen = reader.for_estimator(X)
        scores = read_scores(self.estimator, seen, self.response_method, self.classes_)
        return reader.with_context(scores, X)

    def predict_proba(self, X: Any) -> NDArray:
        """Calibrated probabilities (n, K) of this pair alone."""
        scores = self.scores(X)
        return refuse_nan_rows(self.calibrator.predict_proba(scores), scores)


def log(proba: NDArray) -> NDArray:
    """Logarithm with -inf at 0, silently."""
    with np.errstate(divide="ignore"):
        return np.log(proba)


def refuse_nan_rows(values: NDArray, scores: Scores) -> NDArray:
    """Raise for the row of scores behind the first row of NaN, if there is one."""
    if np.isnan(values[:, 0]).any():
        scores.refuse_bad_rows()
    return values
