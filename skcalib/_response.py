"""From an estimator and X, or from X alone, to scores with one column per class.

Nothing else in the package calls `decision_function` or `predict_proba` on a user's estimator,
and nothing guesses from values what scores are: the method that made them says so.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skcalib._kernels._blocks import Logits, SmoothedProbabilities, Source, row_blocks
from skcalib._validation import (
    check_log_probabilities,
    check_numeric,
    check_probabilities,
    check_unit_interval,
    refuse_bad_logits,
)

RESPONSE_METHODS = ("decision_function", "predict_proba", "predict_log_proba")


@dataclass(frozen=True)
class Scores:
    """Scores of n rows for K classes, in the order of sorted classes.

    Parameters
    ----------
    values : ndarray of shape (n, K), floating
        Logits, probabilities or log-probabilities. Logits are not looked at yet: kernels
        notice a row they cannot use in passing, and `refuse_bad_rows` names it.
    method : one of `RESPONSE_METHODS`
        Whose output they are.
    name : str
        What to call them in an error message.
    context : object or None
        What else is known of the rows, for the calibrators that read it.
    """

    values: NDArray
    method: str
    name: str
    context: Any = None

    @property
    def are_logits(self) -> bool:
        return self.method == "decision_function"

    def __len__(self) -> int:
        return len(self.values)

    def source(self, offset: float = 0.0) -> Source:
        """Logits for the kernels: as they are, or `log(p + offset)`."""
        if self.are_logits:
            return Logits(self.values)
        return SmoothedProbabilities(self.values, offset, self.method == "predict_log_proba")

    def argmax(self) -> NDArray:
        """Column of each row's largest score, the first on ties, (n,)."""
        best = np.empty(len(self), dtype=np.intp)
        for rows in row_blocks(*self.values.shape):
            block = self.values[rows]
            best[rows] = block.argmax(axis=1)
            if not np.isfinite(block[np.arange(len(block)), best[rows]]).all():
                self.refuse_bad_rows()
        return best

    def refuse_bad_rows(
        self, y_index: NDArray | None = None, weight: NDArray | None = None
    ) -> None:
        """Raise ValueError for the first row without a softmax, or with a masked label."""
        if self.are_logits:
            refuse_bad_logits(self.values, self.name, y_index, weight)


def choose_method(estimator: Any, response_method: str) -> str:
    """The method to call: the one asked for; with "auto" the first that gives usable scores."""
    if response_method == "auto":
        for method in RESPONSE_METHODS[:2]:
            if hasattr(estimator, method):
                return method
        raise TypeError(
            "estimator must have a decision_function or a predict_proba, "
            f"{_model_name(estimator)} has neither."
        )
    if not hasattr(estimator, response_method):
        raise TypeError(
            f"response_method={response_method!r}, but {_model_name(estimator)} has no such method."
        )
    return response_method


def read_scores(estimator: Any, X: Any, method: str, classes: NDArray) -> Scores:
    """Call `method` of a fitted estimator; columns follow the sorted `classes`.

    A class the estimator never saw keeps its column: its logit is -inf, its probability 0.
    """
    name = f"the {method} of {_model_name(estimator)}"
    known = classes_of(estimator)
    _refuse_pairwise_scores(estimator, method, len(known))
    output = getattr(estimator, method)(X)
    if len(known) == 1:  # certain of its one class, however it says so
        certain = 1.0 if method == "predict_proba" else 0.0
        values = np.full((len(output), 1), certain)
    else:
        values = score_columns(output, method, name)
    if values.shape[1] != len(known):
        raise ValueError(
            f"{name} must have one column per class, {len(known)}, got {values.shape[1]}. A "
            "support vector machine needs decision_function_shape='ovr'."
        )
    if not np.array_equal(known, classes):
        absent = 0.0 if method == "predict_proba" else -np.inf
        full = np.full((len(values), len(classes)), absent, dtype=values.dtype)
        full[:, np.searchsorted(classes, known)] = values
        values = full
    return Scores(values, method, name)


def score_columns(output: ArrayLike, method: str, name: str) -> NDArray:
    """Output of a response method as (n, K) scores, held against what `method` promises.

    Two classes may come as one column: a decision value d stands for the logits `(0, d)`, the
    same as `(-d/2, d/2)` without rounding, so that `p = sigmoid(d / T)`; a probability p for
    `(1 - p, p)`.
    """
    values = check_numeric(output, name)
    if values.ndim == 1 or values.shape[1] == 1:
        column = values.reshape(len(values))
        if method == "decision_function":
            if np.isneginf(column).any():
                raise ValueError(
                    f"{name} must hold finite decision values, got -inf in row "
                    f"{int(np.isneginf(column).argmax())}. To mask a class pass two columns."
                )
            return np.stack([np.zeros_like(column), column], axis=1)
        if method == "predict_log_proba":
            raise ValueError(f"{name} must have one column per class, got shape {values.shape}.")
        check_unit_interval(column[:, None], name)
        values = np.stack([1 - column, column], axis=1)
    if method == "predict_proba":
        check_probabilities(values, name)
    elif method == "predict_log_proba":
        check_log_probabilities(values, name)
    return values


def read_probabilities(estimator: Any, X: Any) -> NDArray:
    """Checked `predict_proba` of a fitted estimator, (n, K) in the order of its `classes_`."""
    choose_method(estimator, "predict_proba")
    return read_scores(estimator, X, "predict_proba", classes_of(estimator)).values


def classes_of(estimator: Any, *, just_fitted: bool = False) -> NDArray:
    """`classes_` of a fitted classifier."""
    if not hasattr(estimator, "classes_"):
        if not just_fitted:
            check_is_fitted(_thawed(estimator))
        raise TypeError(
            f"estimator must be a classifier: {_model_name(estimator)} has no classes_ after fit."
        )
    return np.asarray(estimator.classes_)


def _thawed(estimator: Any) -> Any:
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def _model_name(estimator: Any) -> str:
    return type(_thawed(estimator)).__name__


def _refuse_pairwise_scores(estimator: Any, method: str, n_classes: int) -> None:
    """Three classes have three pairs, so the shape of one-vs-one scores does not give them away."""
    final = estimator
    while True:
        if hasattr(final, "steps"):
            final = final.steps[-1][1]
        elif hasattr(final, "best_estimator_"):
            final = final.best_estimator_
        elif isinstance(final, FrozenEstimator):
            final = final.estimator
        else:
            break
    pairwise = getattr(final, "decision_function_shape", None) == "ovo"
    if method == "decision_function" and pairwise and n_classes > 2:
        raise ValueError(
            f"the decision_function of {type(final).__name__} scores pairs of classes, not "
            "classes. Set decision_function_shape='ovr', or response_method='predict_proba'."
        )
