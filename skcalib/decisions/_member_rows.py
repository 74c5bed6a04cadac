"""Scores of several members on the same rows: of held-out folds, or of blocks in an array."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import check_cv

from skcalib._response import Scores, classes_of, read_scores, score_columns
from skcalib._validation import encode, take_rows
from skcalib.calibrators._folds import cross_fit
from skcalib.calibrators._rows import CalibrationRows


@dataclass(frozen=True)
class MemberRows:
    """Rows that no member was fitted on, as each of them scores them.

    Parameters
    ----------
    members : list of CalibrationRows, one per member, of the same n rows
    X : what the rows are, as it was passed in
    """

    members: list[CalibrationRows]
    X: Any

    @property
    def first(self) -> CalibrationRows:
        """Labels and weights, which all members share."""
        return self.members[0]

    @property
    def scores(self) -> list[Scores]:
        """One for each member."""
        return [rows.scores for rows in self.members]


@dataclass(frozen=True)
class Labelled:
    """What is known of all rows.

    Parameters
    ----------
    X : what the members take
    labels : ndarray of shape (n,)
    weight : ndarray of shape (n,) or None
    clusters : ndarray of shape (n,) or None
        Codes of the groups.
    """

    X: Any
    labels: NDArray
    weight: NDArray | None
    clusters: NDArray | None

    def rows(
        self, scores: Scores, positions: NDArray, classes: NDArray, of: str
    ) -> CalibrationRows:
        """Some of the rows as one member scores them."""
        return CalibrationRows(
            scores,
            encode(self.labels, classes, of=of)[positions],
            classes,
            None if self.weight is None else self.weight[positions],
            None if self.clusters is None else self.clusters[positions],
        )


def rows_of_members(
    members: list[Any],
    methods: list[str],
    fit_params: list[dict[str, Any]],
    labelled: Labelled,
    *,
    cv: Any,
    split_params: dict[str, Any],
    n_jobs: int | None,
) -> MemberRows:
    """Rows that every member can score without having been fitted on them."""
    classes, of = _classes_of_all(members, labelled.labels)
    splits = _same_splits(cv, labelled, split_params)
    options = {"cv": splits, "split_params": split_params, "n_jobs": n_jobs}
    found = [
        _held_out(member, labelled, classes, method=method, fit_params=member_params, **options)
        for member, method, member_params in zip(members, methods, fit_params, strict=True)
    ]
    positions = reduce(np.intersect1d, [at for at, _ in found])
    rows = []
    for at, scores in found:
        values = scores.values[np.searchsorted(at, positions)]
        scores = Scores(values, scores.method, scores.name)
        rows.append(labelled.rows(scores, positions, classes, of))
    everything = len(positions) == len(labelled.labels)
    return MemberRows(rows, labelled.X if everything else take_rows(labelled.X, positions))


def rows_of_blocks(
    blocks: NDArray, labelled: Labelled, columns: NDArray, method: str
) -> tuple[MemberRows, NDArray]:
    """The same of scores in an array (n, M, K), and the column of each of the sorted classes."""
    classes, order = np.unique(columns, return_index=True)
    every = np.arange(len(blocks))
    rows = [
        labelled.rows(block_scores(blocks, m, method, order), every, classes, "the classes")
        for m in range(blocks.shape[1])
    ]
    return MemberRows(rows, blocks), order


def check_blocks(X: ArrayLike) -> NDArray:
    """Scores (n, M, K)."""
    blocks = np.asarray(X)
    if blocks.ndim != 3 or 0 in blocks.shape:
        raise ValueError(
            "X must hold scores of shape (n_samples, n_members, n_classes) with estimators=None, "
            f"got {blocks.shape}."
        )
    return blocks


def block_scores(blocks: NDArray, place: int, method: str, order: NDArray) -> Scores:
    """Those of one member, columns in the order of the sorted classes."""
    name = f"X[:, {place}]"
    values = score_columns(blocks[:, place], method, name)
    if not np.array_equal(order, np.arange(len(order))):
        values = values[:, order]
    return Scores(values, method, name)


def is_frozen(member: Any) -> bool:
    """Whether every row is new to it."""
    return isinstance(member, FrozenEstimator)


def _classes_of_all(members: list[Any], labels: NDArray) -> tuple[NDArray, str]:
    """Sorted classes, and what to call them: those of frozen members, and of the labels."""
    known = [classes_of(member) for member in members if is_frozen(member)]
    if len(known) == len(members):
        of = "the classes the estimators were trained on,"
        return np.unique(np.concatenate(known)), of
    return np.unique(np.concatenate([labels, *known])), "the classes"


def _same_splits(cv: Any, labelled: Labelled, split_params: dict[str, Any]) -> Any:
    """A cv that splits alike each time: a shuffling splitter is asked but once."""
    if cv is None or isinstance(cv, Integral):
        return cv
    splitter = check_cv(cv, labelled.labels, classifier=True)
    return list(splitter.split(labelled.X, labelled.labels, **split_params))


def _held_out(
    member: Any, labelled: Labelled, classes: NDArray, **options: Any
) -> tuple[NDArray, Scores]:
    """Rows that a member was not fitted on, ascending, and its scores of them."""
    X, labels = labelled.X, labelled.labels
    if is_frozen(member):
        return np.arange(len(labels)), read_scores(member, X, options["method"], classes)
    folds = cross_fit(member, X, labels, classes, labelled.weight, **options)
    positions = np.concatenate([fold.positions for fold in folds])
    order = np.argsort(positions, kind="stable")
    positions = positions[order]
    if (positions[1:] == positions[:-1]).any():
        raise ValueError(
            "cv holds rows out more than once: pass a cv whose folds do not overlap, such as cv=5."
        )
    values = np.concatenate([fold.scores.values for fold in folds])[order]
    return positions, Scores(values, folds[0].scores.method, folds[0].scores.name)
