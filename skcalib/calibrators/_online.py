"""Calibrators that go on learning from rows that arrive later."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skcalib._validation import (
    Interval,
    check_groups,
    check_labels,
    check_same_length,
    check_weights,
    encode,
    feature_names_of,
)
from skcalib.calibrators._base import BaseCalibrator, warn_of_convergence
from skcalib.calibrators._context import Context
from skcalib.calibrators._map import CalibrationMap
from skcalib.calibrators._rows import CalibrationRows

# So many rows are kept and fitted again with those that arrive: sums taken at a temperature that
# few rows determine would be those of another one. Of many classes fewer are.
_KEPT_ROWS = 250
_KEPT_SCORES = 2**20


def _serves_one_map(calibrator: BaseCalibrator) -> bool:
    """Whether there is one map to update: for `available_if`."""
    if calibrator._needs_no_folds() or not calibrator.ensemble:
        return True
    raise AttributeError(
        "partial_fit needs one map to update, but an ensemble has one for each fold. Set "
        "ensemble=False."
    )


class OnlineCalibrator(BaseCalibrator):
    """A calibrator with `partial_fit`."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseCalibrator._parameter_constraints,
        "forget": [Interval(Real, 0, 1, closed="right")],
    }

    forget: float

    @abstractmethod
    def _update_map(self, served: Any, rows: CalibrationRows, keep: float) -> CalibrationMap:
        """The map that has seen more rows; what it had seen before counts `keep` times."""

    @available_if(_serves_one_map)
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Learn from more rows, in the order in which they arrived.

        After `fit` they are added to what it has learned; the calibrator alone learns, so that
        they must be rows that the estimator was not trained on. Without `fit` they begin a new
        one. With ``estimator=None`` or a frozen estimator its first 250 rows (fewer where they
        have more than a million scores) are kept in the object and fitted together with those
        that arrive, after which sums are all that is kept; any other estimator is fitted on the
        first call, as in `fit`, and not again.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame
            As in `fit`.
        y : array-like of shape (n_samples,)
            True labels, among the classes of the first call.
        classes : array-like, default=None
            All labels that can occur, sorted, as scikit-learn's `partial_fit` takes them. Without
            an estimator, and if the constructor was not told, the first call takes them for the
            labels of the columns.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight counts as that many repetitions of its row, 0 as if it were absent.
        groups : array-like of shape (n_samples,), default=None
            Which rows of this call belong together.

        Returns
        -------
        self : object
            If `partial_fit` fails it is left as it was before. Calls must come one at a time;
            predictions may be made meanwhile.

        Notes
        -----
        The log loss of earlier rows is kept as the parabola that it was near the temperature of
        that time. As long as new rows resemble the old ones the result is that of one fit of all,
        within a small part of its interval; after a drift use ``forget`` below 1.
        """
        self._check_parameters()
        self._check_groups(groups, self)
        if not hasattr(self, "classes_"):
            return self._begin(X, y, classes, sample_weight, groups)
        require_one_map(self)
        if classes is not None:
            _refuse_new_classes(classes, self.classes_)
        self._refuse_changes()
        labels = check_labels(y, estimator=type(self).__name__)
        scores = self._scores(X)
        check_same_length(len(scores), labels)
        y_index = encode(labels, self.classes_)
        weight = check_weights(sample_weight, len(labels))
        clusters = check_groups(groups, len(labels))
        rows = CalibrationRows(scores, y_index, self.classes_, weight, clusters)
        rows.refuse_bad_rows()  # here, where they are counted as in X
        rows, keep = faded(rows, self.forget)
        served = self.calibrator_
        if served.recent is None:
            updated = self._update_map(served, rows, keep)
        else:
            updated = self._fit_again(_joined(served.recent, rows, keep))
        self.__dict__ = vars(self) | {"calibrator_": updated} | updated.fitted_attributes()
        return self

    def _begin(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None,
        sample_weight: ArrayLike | None,
        groups: ArrayLike | None,
    ) -> Self:
        """The first rows, where nothing was fitted."""
        if not self._needs_no_folds():
            return self.fit(X, y, sample_weight, groups)
        columns = self.classes
        if columns is None and classes is not None and self.estimator is None:
            columns = _sorted_classes(classes, X)
        rows, fitted = self._read_rows(X, y, sample_weight, groups, {}, columns)
        rows, _ = faded(rows, self.forget)
        a_map = self._fit_again(rows)
        fitted |= {"calibrator_": a_map} | a_map.fitted_attributes()
        self._warn_of_probabilities(X, fitted)
        warn_of_convergence(fitted)
        self._replace_fitted(fitted)
        return self

    def _refuse_changes(self) -> None:
        """Raise for parameters that are not what the fit began with, and cannot change now."""

    def _fit_again(self, rows: CalibrationRows) -> Any:
        """A fit on all rows so far, which are kept if they are still few."""
        fitted: Any = self._fit_map(rows)
        few = len(rows) <= _KEPT_ROWS and rows.values.size <= _KEPT_SCORES
        return replace(fitted, recent=_copied(rows) if few else None)


def _sorted_classes(classes: ArrayLike, X: Any) -> NDArray:
    """The labels of X's columns, as callers of scikit-learn's `partial_fit` give them."""
    given, names = np.asarray(classes), feature_names_of(X)
    in_order = np.array_equal(given, np.unique(given))
    if not in_order or (
        names is not None
        and sorted(map(str, given)) == sorted(names)
        and [str(label) for label in given] != list(names)
    ):
        raise ValueError(
            "classes of partial_fit must be sorted, as the columns of X then are, got "
            f"{list(given)}. For columns in another order pass classes to the constructor."
        )
    return given


def _refuse_new_classes(classes: ArrayLike, known: NDArray) -> None:
    new = np.setdiff1d(np.asarray(classes), known)
    if len(new):
        raise ValueError(
            f"classes has the label {new[0]!r}, which is not among those of the first call, "
            f"{known}. A new class needs a new fit."
        )


def _copied(rows: CalibrationRows) -> CalibrationRows:
    """Rows to keep: whoever passed them may fill the same memory with the next."""
    context = rows.scores.context
    if context is not None:
        context = context.at(np.arange(len(rows)))
    scores = replace(rows.scores, values=rows.values.copy(), context=context)
    return replace(rows, scores=scores)


def faded(rows: CalibrationRows, forget: float) -> tuple[CalibrationRows, float]:
    """Rows weighted by their age within the batch, and what earlier ones are to count.

    A row's age is the weight of the rows after it, so that rows of weight 0 age nobody, and
    weights go on standing for repetitions.
    """
    if forget == 1:
        return rows, 1.0
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight
    age = weight[::-1].cumsum()[::-1] - weight
    with np.errstate(under="ignore"):
        return replace(rows, weight=weight * forget**age), float(forget ** weight.sum())


def _joined(old: CalibrationRows, new: CalibrationRows, keep: float) -> CalibrationRows:
    """Rows one after the other. Groups of different calls are different groups."""
    parts = (old.scores, new.scores)
    contexts: list[Context] = [part.context for part in parts if part.context is not None]
    scores = replace(
        old.scores,
        values=np.concatenate([part.values for part in parts]),
        context=contexts[0].followed_by(contexts[1]) if contexts else None,
    )
    weights = [np.ones(len(r)) if r.weight is None else r.weight for r in (old, new)]
    return CalibrationRows(
        scores,
        np.concatenate([old.y_index, new.y_index]),
        old.classes,
        np.concatenate([keep * weights[0], weights[1]]),
        _joined_groups(old, new),
    )


def _joined_groups(old: CalibrationRows, new: CalibrationRows) -> NDArray | None:
    if old.groups is None and new.groups is None:
        return None
    first, second = (np.arange(len(r)) if r.groups is None else r.groups for r in (old, new))
    return np.concatenate([first, second + first.max() + 1])


def require_one_map(calibrator: BaseCalibrator) -> None:
    """Raise where there is no single map to ask: not fitted, or an ensemble."""
    if hasattr(calibrator, "calibrated_classifiers_"):
        raise ValueError(
            "an ensemble was fitted, whose pairs have a temperature each: ask their calibrators, "
            "or fit with ensemble=False."
        )
    if not hasattr(calibrator, "calibrator_"):
        # Only here: check_is_fitted alone takes longer than a prediction may.
        check_is_fitted(calibrator)
