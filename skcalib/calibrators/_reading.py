"""Where a calibrator's scores come from: X itself, or an estimator and X.

Scores of X come with the context of its rows, and with what reading them teaches: classes, the
order of columns, names.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator

from skcalib._response import (
    RESPONSE_METHODS,
    Scores,
    choose_method,
    classes_of,
    read_scores,
    score_columns,
)
from skcalib._validation import (
    check_column_classes,
    check_feature_names,
    check_groups,
    check_labels,
    check_numeric,
    check_same_length,
    check_weights,
    count_rows,
    encode,
    feature_names_of,
    look_like_probabilities,
)
from skcalib.calibrators._context import NO_CONTEXT, ContextReader
from skcalib.calibrators._rows import CalibrationRows


class ScoreReader:
    """The part of a calibrator that reads scores, where no folds are needed for it."""

    estimator: Any
    response_method: str
    classes: ArrayLike | None

    # Learned by `fit`.
    classes_: NDArray
    response_method_: str
    n_features_in_: int
    column_order_: NDArray

    def _check_classes(self, classes: NDArray) -> None:
        """Refuse classes (K,), sorted, that no map can be fitted for, before anything is."""

    def _reader(self, X: Any, labels: NDArray | None, wrapper: ScoreReader) -> ContextReader:
        """What `wrapper`, whose map this makes, is to take from X besides scores."""
        return NO_CONTEXT

    def _needs_no_folds(self) -> bool:
        """Whether every row passed to `fit` is calibration data."""
        return self.estimator is None or isinstance(self.estimator, FrozenEstimator)

    def _read_rows(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        groups: ArrayLike | None,
        params: dict[str, Any],
        columns: ArrayLike | None,
    ) -> tuple[CalibrationRows, dict[str, Any]]:
        """Rows to calibrate on where there are no folds, and what `fit` learns in reading them."""
        if params:
            why = (
                "there is no estimator to pass them to (estimator=None)"
                if self.estimator is None
                else "a frozen estimator is not fitted: there is nobody to pass them to"
            )
            raise TypeError(f"fit got {sorted(params)}, but {why}.")
        labels = check_labels(y, estimator=type(self).__name__)
        if self.estimator is None:
            scores, fitted = self._read_columns(X, labels, columns)
            y_index = encode(labels, fitted["classes_"])
        elif self.classes is not None:
            raise classes_beside_estimator(self.classes)
        else:
            check_same_length(count_rows(X), labels)
            scores, fitted = self._read_frozen(X, labels)
            of = "the classes the estimator was trained on,"
            y_index = encode(labels, fitted["classes_"], of=of)
        weight = check_weights(sample_weight, len(labels))
        clusters = check_groups(groups, len(labels))
        return CalibrationRows(scores, y_index, fitted["classes_"], weight, clusters), fitted

    def _read_columns(
        self, X: Any, labels: NDArray, given_classes: ArrayLike | None
    ) -> tuple[Scores, dict[str, Any]]:
        """Scores that X holds itself."""
        reader = self._reader(X, labels, self)
        given = reader.scores_of(X)
        method = RESPONSE_METHODS[0] if self.response_method == "auto" else self.response_method
        values = score_columns(given, method, "X")
        check_same_length(len(values), labels)
        columns = check_column_classes(given_classes, values.shape[1], labels)
        if given_classes is None and reader.is_category:
            _warn_of_unseen_classes(columns, labels)
        names = feature_names_of(given)
        if given_classes is None and names is not None:
            _refuse_reordered_names(names, columns)
        classes, order = np.unique(columns, return_index=True)
        self._check_classes(classes)
        scores = Scores(_reordered(values, order), method, "X")
        fitted = {
            "classes_": classes,
            "response_method_": method,
            "n_features_in_": np.shape(X)[1] if np.ndim(X) == 2 else 1,
            "column_order_": order,
            **reader.fitted_attributes(),
        }
        names = feature_names_of(X)
        if names is not None:
            fitted["feature_names_in_"] = names
        return reader.with_context(scores, X), fitted

    def _read_frozen(self, X: Any, labels: NDArray) -> tuple[Scores, dict[str, Any]]:
        """Scores by a fitted estimator, whose classes are taken."""
        method = choose_method(self.estimator, self.response_method)
        classes = np.unique(classes_of(self.estimator))
        self._check_classes(classes)
        reader = self._reader(X, labels, self)
        seen = reader.for_estimator(X)
        scores = read_scores(self.estimator, seen, method, classes)
        fitted = {
            "classes_": classes,
            "estimator_": self.estimator,
            "response_method_": method,
            **features_of(self.estimator, reader, X),
            **reader.fitted_attributes(),
        }
        return reader.with_context(scores, X), fitted

    def _warn_of_probabilities(self, X: Any, fitted: dict[str, Any]) -> None:
        """Scores of no estimator that nobody said to be logits, but may be probabilities."""
        if self.estimator is not None or self.response_method != "auto":
            return
        given = fitted.get("context_reader_", NO_CONTEXT).scores_of(X)
        if look_like_probabilities(check_numeric(given, "X")):
            warnings.warn(
                "every row of X looks like probabilities, but X is read as logits. If it holds "
                "probabilities, pass response_method='predict_proba'; if it does hold logits, "
                "response_method='decision_function' says so.",
                UserWarning,
                stacklevel=3,
            )

    def _scores(self, X: Any) -> Scores:
        """Scores of X for the one map of a calibrator that is no ensemble."""
        reader: ContextReader = getattr(self, "context_reader_", NO_CONTEXT)
        if hasattr(self, "estimator_"):
            seen = reader.for_estimator(X)
            scores = read_scores(self.estimator_, seen, self.response_method_, self.classes_)
            return reader.with_context(scores, X)
        check_feature_names(self, X, reset=False)
        n_columns = np.shape(X)[1] if np.ndim(X) == 2 else 1
        if n_columns != self.n_features_in_:
            raise ValueError(
                f"X has {n_columns} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input."
                + (" For one row pass X.reshape(1, -1)." if np.ndim(X) == 1 else "")
            )
        values = score_columns(reader.scores_of(X), self.response_method_, "X")
        scores = Scores(_reordered(values, self.column_order_), self.response_method_, "X")
        return reader.with_context(scores, X)


def _reordered(values: NDArray, order: NDArray) -> NDArray:
    """Columns in another order; the array itself, uncopied, where that is the same."""
    return values if np.array_equal(order, np.arange(len(order))) else values[:, order]


def _warn_of_unseen_classes(columns: NDArray, labels: NDArray) -> None:
    """Beside a context a column may stand among the scores that is none."""
    n_seen = len(np.unique(labels))
    if n_seen < len(columns):
        warnings.warn(
            f"X has {len(columns)} columns beside the context, read as scores of the classes 0 to "
            f"{len(columns) - 1}, but y shows {n_seen} of them. If one is no score, name it in "
            f"context or drop it; if all are, say so: classes=range({len(columns)}).",
            UserWarning,
            stacklevel=5,
        )


def _refuse_reordered_names(names: NDArray, columns: NDArray) -> None:
    """A data frame whose columns carry the class names in another order is not read by place."""
    classes = [str(label) for label in columns]
    if sorted(classes) == sorted(names) and classes != list(names):
        raise ValueError(
            f"X's columns are named after the classes but in the order {list(names)}, not "
            f"{classes}. Pass classes=list(X.columns), or reorder the columns."
        )


def features_of(estimator: Any, reader: ContextReader, X: Any) -> dict[str, Any]:
    """What the estimator says of X's columns, or X itself where it sees only some of them."""
    if not reader.in_estimator:
        names = feature_names_of(X)
        count = {"n_features_in_": np.shape(X)[1]}
        return count if names is None else count | {"feature_names_in_": names}
    names = ("n_features_in_", "feature_names_in_")
    return {name: getattr(estimator, name) for name in names if hasattr(estimator, name)}


def classes_beside_estimator(classes: ArrayLike) -> ValueError:
    return ValueError(
        "classes names the columns of X when X holds scores (estimator=None); with an "
        f"estimator it must be None, got {classes!r}."
    )
