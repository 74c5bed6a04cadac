"""Candidates in the order of what they promise, and what that order costs."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray

from skcalib._response import score_columns
from skcalib._validation import (
    Interval,
    check_labels,
    check_named_groups,
    check_numeric,
    check_options,
    check_predictions,
    check_same_length,
)
from skcalib.decisions._ranking_table import CandidateRanking
from skcalib.decisions._regret import RegretDraws

# Differences of differences of sums, and some rounding.
_HEADROOM = 8

_CONSTRAINTS: dict[str, list[Any]] = {
    "k": [Interval(Integral, 1, None, closed="left"), None],
    "n_resamples": [Interval(Integral, 1, None, closed="left")],
    "confidence_level": [Interval(Real, 0, 1, closed="neither")],
}


def rank_candidates(
    y_proba: ArrayLike | Mapping[str, ArrayLike],
    *,
    utilities: ArrayLike | None = None,
    k: int | None = None,
    y_true: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
    n_resamples: int = 1000,
    confidence_level: float = 0.95,
    random_state: int | RandomState | None = None,
) -> CandidateRanking:
    """Rank candidates by expected utility, and say what the order costs where outcomes are known.

    A candidate (an answer, an experiment, a loan) is a row, its outcome a class, and each outcome
    is worth something: the expected utility of a row is the mean of `utilities` under its
    probabilities. The best k are chosen, or all that promise a gain.

    *Regret* is what the choice leaves lying: the mean utility of the best choice in hindsight less
    that of the one made. It is never negative, and smaller is better. Beside it stands what the
    probabilities *promised*: overconfident ones promise more than they get. Probabilities of
    several models, or raw and calibrated ones, are compared on the same rows.

    Parameters
    ----------
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,), or a mapping of these
        Predicted probabilities; several under their names. Names after the first are compared
        with it.
    utilities : array-like of shape (n_classes,) or (n_samples, n_classes), default=None
        What it is worth to choose a row of each class, for all rows or for each; costs are
        negative, and not to choose a row is worth 0. None is 1 for the positive of two classes and
        0 for the other.
    k : int, default=None
        How many are chosen, of each group if there are groups. None chooses every row of positive
        expected utility.
    y_true : array-like of shape (n_samples,), default=None
        What became of the rows. None ranks, and knows no regret.
    groups : array-like of shape (n_samples,), default=None
        Lists to choose from one by one: the question that an answer belongs to, the site of an
        application. None is one list.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        The class that probabilities of shape (n_samples,) are of; see :mod:`skcalib.metrics`.
        Without `y_true` it needs `labels`.
    n_resamples : int, default=1000
        Bootstrap samples for the intervals: of rows, or of whole groups where there are several.
    confidence_level : float, default=0.95
        Coverage of the intervals, between 0 and 1.
    random_state : int, RandomState instance or None, default=None
        Seed or generator of the bootstrap.

    Returns
    -------
    ranking : CandidateRanking
        The order, and a table of what was promised, got, and best, with the regret.

    Raises
    ------
    ValueError
        If no utilities are given for more than two classes; if `k` is None and no outcome is a
        loss, so that nothing is to be decided; for utilities so large that sums overflow, and a
        name that is that of a difference; or if the arguments do not describe labels and
        probabilities, as the head of :mod:`skcalib.metrics` says.

    Notes
    -----
    Means are taken over the rows that are chosen with `k`, over all rows without, and over groups.
    Rows of equal expected utility are chosen in equal parts.

    What a temperature changes: of two classes it leaves the order as it is, and so what the best k
    are; it changes what they promise, and which rows promise a gain. Of more classes, or with a
    temperature for each context, it changes the order as well.

    The interval is the bootstrap's percentiles. It speaks of new lists like this one, of as many
    rows; with groups, of new groups. Of a single group its rows are resampled.

    References
    ----------
    A. N. Elmachtoub, P. Grigas, Smart "predict, then optimize", Management Science 68 (2022),
    section 3: regret of a decision is the SPO loss, here with the best k for the decisions.
    J. E. Smith, R. L. Winkler, The optimizer's curse, Management Science 52 (2006): why the best of
    many get less than they promise.

    Examples
    --------
    Two of four loans can be granted. A loan that is repaid is worth 1, one that is not costs 5:

    >>> from skcalib.decisions import rank_candidates
    >>> repaid = [1, 0, 1, 1]
    >>> p = [0.95, 0.9, 0.85, 0.3]
    >>> ranking = rank_candidates(p, utilities=[-5, 1], k=2, y_true=repaid, random_state=0)
    >>> ranking.order["scores"]
    array([0, 1, 2, 3])
    >>> row = ranking["scores"]
    >>> round(row.promised, 2)  # the mean of .95 - 5 * .05 and .9 - 5 * .1
    0.55
    >>> row.got, row.best, row.regret  # 1 and -5; 1 and 1
    (-2.0, 1.0, 3.0)
    """
    check_options(
        _CONSTRAINTS,
        "rank_candidates",
        k=k,
        n_resamples=n_resamples,
        confidence_level=confidence_level,
    )
    arrays, y_index, positive = _check_scores(y_proba, y_true, labels, pos_label)
    shape = next(iter(arrays.values())).shape
    worth = _check_utilities(utilities, shape, positive)
    _refuse_names_of_differences(list(arrays))
    if k is None and not (worth < 0).any():
        raise ValueError(
            "k must be given where no outcome is a loss: every row promises a gain. Pass how many "
            "to choose, or utilities below 0 for what goes wrong."
        )
    groups_named, lists = _lists(groups, shape[0])
    with np.errstate(under="ignore"):
        utility = {name: (p * worth).sum(axis=1, dtype=np.float64) for name, p in arrays.items()}
        rows, by_group = [], {}
        if y_index is not None:
            reward = np.broadcast_to(worth, shape)[np.arange(shape[0]), y_index]
            draws = RegretDraws(reward, lists, k, n_resamples, confidence_level, random_state)
            rows = draws.rows(utility)
            regrets = {name: draws.regrets(u).tolist() for name, u in utility.items()}
            by_group = {
                group: {name: regret[place] for name, regret in regrets.items()}
                for place, group in enumerate(groups_named)
            }
    return CandidateRanking(
        rows=rows,
        utility=utility,
        order={name: np.argsort(-u, kind="stable") for name, u in utility.items()},
        by_group=by_group,
        k=k,
        n_samples=shape[0],
        n_groups=len(groups_named),
        confidence_level=confidence_level,
    )


def _lists(groups: ArrayLike | None, n_rows: int) -> tuple[list[Any], list[NDArray]]:
    """Names of the groups, none without them, and the rows of each list to choose from."""
    if groups is None:
        return [], [np.arange(n_rows)]
    names, code = check_named_groups(groups)
    check_same_length(n_rows, code, "y_proba", "groups")
    ends = np.cumsum(np.bincount(code, minlength=len(names)))[:-1]
    lists = np.split(np.argsort(code, kind="stable"), ends)
    filled = [place for place, rows in enumerate(lists) if len(rows)]  # categories may be empty
    return [names[place] for place in filled], [lists[place] for place in filled]


def _check_scores(
    y_proba: ArrayLike | Mapping[str, ArrayLike],
    y_true: ArrayLike | None,
    labels: ArrayLike | None,
    pos_label: Any,
) -> tuple[dict[str, NDArray], NDArray | None, int]:
    """Probabilities (n, K) by name, columns of the true classes, and which of two is positive."""
    named = dict(y_proba) if isinstance(y_proba, Mapping) else {"scores": y_proba}
    if not named:
        raise ValueError("y_proba must name at least one array of probabilities, got none.")
    arrays, y_index, positive = {}, None, 1
    for name, proba in named.items():
        if y_true is None and labels is None:
            _refuse_label_alone(pos_label)
            arrays[name] = score_columns(proba, "predict_proba", f"y_proba[{name!r}]")
            continue
        outcomes = y_true
        if outcomes is None:  # any label will do to settle which column is which class
            some = check_labels(np.asarray(labels), "labels")[:1]
            outcomes = np.broadcast_to(some, len(check_numeric(proba, f"y_proba[{name!r}]")))
        checked = check_predictions(outcomes, proba, labels=labels, pos_label=pos_label)
        arrays[name], positive = checked.proba, checked.positive
        y_index = None if y_true is None else checked.y_index
    shapes = {name: proba.shape for name, proba in arrays.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"y_proba must hold arrays of one shape, got {shapes}.")
    return arrays, y_index, positive


def _refuse_label_alone(pos_label: Any) -> None:
    if pos_label is not None:
        raise ValueError(
            f"pos_label={pos_label!r} is one of two classes, and without y_true nothing says which "
            "the other is: pass labels too, sorted."
        )


def _refuse_names_of_differences(names: list[Any]) -> None:
    """Raise if a row of the table would have the name of another."""
    taken = {f"{name} less {names[0]}" for name in names[1:]} & set(names)
    if taken:
        raise ValueError(
            f"y_proba must not name scores {min(taken)!r}: that is the difference of two others. "
            "Pass another name."
        )


def _check_utilities(utilities: ArrayLike | None, shape: tuple[int, ...], positive: int) -> NDArray:
    """What each outcome is worth, (K,) or (n, K)."""
    if utilities is None:
        if shape[1] != 2:
            raise ValueError(
                f"utilities must be given for {shape[1]} classes: what each is worth, such as "
                f"{list(range(shape[1]))}."
            )
        return np.eye(2)[positive]
    worth = check_numeric(utilities, "utilities").astype(np.float64)
    if worth.shape not in (shape, shape[1:]):
        raise ValueError(
            f"utilities must have shape {shape[1:]}, one number per class, or {shape}, got "
            f"{worth.shape}."
        )
    if not np.isfinite(worth).all():
        raise ValueError("utilities must be finite numbers.")
    most = np.finfo(np.float64).max / _HEADROOM / shape[0]
    if np.abs(worth).max() > most:
        raise ValueError(
            f"utilities must be no larger than {most:.3g}, or sums over {shape[0]:,} rows "
            f"overflow, got {worth.flat[np.abs(worth).argmax()]:.3g}. Count in another unit."
        )
    return worth
