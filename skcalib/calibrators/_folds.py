"""Scores of rows that the model which made them was not trained on."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils.parallel import Parallel, delayed

from skcalib._response import Scores, classes_of, read_scores
from skcalib._validation import params_of_rows, split_rows
from skcalib.calibrators._context import Context
from skcalib.calibrators._rows import CalibrationRows

_DEFAULT_FOLDS = 5


@dataclass(frozen=True)
class HeldOut:
    """A fold's estimator and what it says about rows it has not seen.

    Rows of a class that it has not seen either are left out: no score of theirs is right.
    """

    estimator: Any
    positions: NDArray  # (m,), in X
    scores: Scores  # of these rows
    n_left_out: int


def cross_fit(
    estimator: Any,
    X: Any,
    y: NDArray,
    classes: NDArray,
    weight: NDArray | None,
    *,
    method: str,
    cv: Any,
    fit_params: dict[str, Any],
    split_params: dict[str, Any],
    n_jobs: int | None,
) -> list[HeldOut]:
    """Fit a clone of `estimator` for each fold and read its scores of the rest.

    Folds are those of `cv` that have a usable row: one of positive weight and known class.
    """
    with warnings.catch_warnings():
        # A class rarer than the folds is in order here: what it costs is counted at the end.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        splitter = check_cv(_DEFAULT_FOLDS if cv is None else cv, y, classifier=True)
        if cv is None or isinstance(cv, Integral):
            splitter = _fitting_splitter(splitter, y)
        splits = list(splitter.split(X, y, **split_params))
    folds: list[HeldOut] = Parallel(n_jobs=n_jobs)(
        delayed(_fit_fold)(clone(estimator), X, y, classes, train, test, method, fit_params)
        for train, test in splits
    )
    n_left_out = sum(fold.n_left_out for fold in folds)
    folds = [
        fold
        for fold in folds
        if len(fold.positions) and (weight is None or weight[fold.positions].any())
    ]
    if not folds:
        raise ValueError(
            "cv holds out no row that has a positive weight and a class its fold's model has "
            f"seen: nothing to calibrate on. Got {len(splits)} folds of {len(y)} rows."
        )
    if n_left_out:
        warnings.warn(
            f"{n_left_out} held-out rows belong to classes absent from the rows their fold's "
            "model was trained on; they are left out of the calibration. Fewer or stratified "
            "folds (cv) keep them.",
            UserWarning,
            stacklevel=4,
        )
    return folds


def pool(
    folds: Sequence[HeldOut],
    y_index: NDArray,
    classes: NDArray,
    weight: NDArray | None,
    groups: NDArray | None,
    context: Context | None,
) -> CalibrationRows:
    """All held-out rows of some folds, in the order of X.

    A row held out k times counts with 1/k of its weight each time.
    """
    positions = np.concatenate([fold.positions for fold in folds])
    order = np.argsort(positions, kind="stable")
    values = np.concatenate([fold.scores.values for fold in folds])[order]
    positions = positions[order]
    pooled_weight = None if weight is None else weight[positions]
    times = np.bincount(positions, minlength=len(y_index))[positions]
    repeated = times.max() > 1
    if repeated:
        pooled_weight = (1.0 if pooled_weight is None else pooled_weight) / times
    return CalibrationRows(
        replace(
            folds[0].scores,
            values=values,
            context=None if context is None else context.at(positions),
        ),
        y_index[positions],
        classes,
        pooled_weight,
        None if groups is None else groups[positions],
        positions if repeated else None,
    )


def _fitting_splitter(splitter: Any, y: NDArray) -> Any:
    """The default splitter, with no more folds than the commonest class has rows."""
    n_splits = splitter.get_n_splits()
    commonest = int(np.unique(y, return_counts=True)[1].max())
    if commonest >= n_splits or not isinstance(splitter, StratifiedKFold):
        return splitter
    if commonest < 2:
        raise ValueError(
            f"Every class has 1 sample (n_samples={len(y)}): a row held out would be of a class "
            "its model has not seen. Pass a fitted model as FrozenEstimator(model) instead."
        )
    return StratifiedKFold(commonest)


def _fit_fold(
    estimator: Any,
    X: Any,
    y: NDArray,
    classes: NDArray,
    train: NDArray,
    test: NDArray,
    method: str,
    fit_params: dict[str, Any],
) -> HeldOut:
    train, test = np.arange(len(y))[train], np.arange(len(y))[test]  # masks become positions
    X_train, y_train = split_rows(estimator, X, y, train)
    estimator.fit(X_train, y_train, **params_of_rows(X, params=fit_params, indices=train))
    positions = test[np.isin(y[test], classes_of(estimator, just_fitted=True))]
    X_rows, _ = split_rows(estimator, X, y, positions, train)
    if len(positions):
        scores = read_scores(estimator, X_rows, method, classes)
    else:
        scores = Scores(np.empty((0, len(classes))), method, method)
    return HeldOut(estimator, positions, scores, len(test) - len(positions))
