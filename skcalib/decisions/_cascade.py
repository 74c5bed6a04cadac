"""A cheap classifier first, dearer ones for the rows that stay unsure."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import indexable
from sklearn.utils.validation import check_is_fitted

from skcalib._kernels._cascade import Cascade, best_thresholds, stages
from skcalib._validation import Interval, check_numeric, count_rows, take_rows
from skcalib.calibrators._map import refuse_nan_rows
from skcalib.decisions._cascade_summary import CascadeSummary
from skcalib.decisions._member_rows import MemberRows
from skcalib.decisions._members import BaseMembers
from skcalib.decisions._probabilities import label_probabilities, probabilities_of


class CascadeClassifier(BaseMembers):
    """Ask the first classifier, and the next ones only about rows that stay unsure.

    A row is answered by the first member whose confidence in it, the largest of its probabilities,
    reaches that member's threshold, and by the last one in any case. Every member is asked about
    the rows that come to it, and no others.

    Thresholds are given, or chosen on rows that the members were not fitted on: the lowest log loss
    at a mean cost within the budget, which need not be used up. Calibrate the members: log loss
    compares what they say, and a dear one that is too modest is asked too rarely. Their thresholds
    are then probabilities that one can read, and set by hand.

    Parameters
    ----------
    estimators : list of (name, estimator) tuples, default=None
        The members, in the order in which they are asked. They are cross-fitted on the same folds,
        but for each :class:`~sklearn.frozen.FrozenEstimator` among them; if all are frozen, every
        row passed to `fit` chooses thresholds. With None, X *is* the members' probabilities, of
        shape (n_samples, n_members, n_classes).
    costs : array-like of shape (n_members,), default=None
        What it costs to ask each member about one row: money, milliseconds, flops. A row that the
        second answers has cost the first too. Needed in `fit`.
    budget : float, default=None
        The largest mean cost of a calibration row, at least the cost of the first member. Exactly
        one of this and `thresholds` is to be given.
    thresholds : array-like of shape (n_members - 1,), default=None
        The least confidence with which each member but the last answers.
    response_method : {"predict_proba", "decision_function", "predict_log_proba"}, \
            default="predict_proba"
        What the members' scores are. The others become probabilities by a softmax.
    classes : array-like of shape (n_classes,), default=None
        Without estimators: the label of each column of the members' scores.
    cv : int, cross-validation generator or iterable, default=None
        How rows are held out from the members, each once; None means 5 stratified folds.
    n_jobs : int, default=None
        Folds fitted in parallel, by joblib.

    Attributes
    ----------
    thresholds_ : ndarray of shape (n_members - 1,)
        The least confidence with which each member but the last answers; 0 if it answers all that
        comes to it, infinity if nothing.
    mean_cost_ : float
        Mean cost of a calibration row. That of further rows varies around it.
    stage_costs_ : ndarray of shape (n_members,)
        What a row has cost that each member answers: the sum of `costs` up to there.
    stage_shares_ : ndarray of shape (n_members,)
        Share of the calibration rows that each member answers.
    log_loss_ : float
        Mean log loss of the calibration rows.
    n_calibration_ : int
        Number of calibration rows of positive weight.
    estimators_ : list of estimators
        The members, fitted on all rows. Not with ``estimators=None``.
    named_estimators_ : dict
        The same by name.
    classes_ : ndarray of shape (n_classes,)
        Sorted labels; columns of the probabilities follow them.
    n_members_ : int
        Number of members.
    response_methods_ : list of str
        The method of each member whose output is read.
    column_order_ : ndarray of shape (n_classes,)
        Without estimators: the column that each of `classes_` stands in.
    n_features_in_ : int
        Number of features, if the first member says it.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if the first member says them.

    Raises
    ------
    ValueError, TypeError
        By `fit`, unless there is a positive cost for each member and exactly one of `budget` and
        `thresholds`; for a cost that is lost in the sum of those before it; for a budget that the
        first member alone exceeds; for folds that overlap; and for whatever no calibrator takes.

    See Also
    --------
    SelectiveClassifier : Abstain instead; around a frozen cascade, abstain in the end.
    TemperaturePool : Ask all members about every row.

    Notes
    -----
    Of two members every threshold is tried. Of more, thresholds are set one after the other from
    several starts, which does not always find the best of all.

    References
    ----------
    .. [1] Viola, Jones, "Robust real-time face detection", International Journal of Computer Vision
       57 (2004).
    .. [2] Jitkrittum et al., "When does confidence-based cascade deferral suffice?", NeurIPS 2023.

    Examples
    --------
    The small model is right where it says 90 % and tosses a coin where it says 60 %. The large one
    costs ten times as much. With a budget of 6, half of the rows can go on, ``1 + 10 / 2``:

    >>> import numpy as np
    >>> from skcalib.decisions import CascadeClassifier
    >>> small = np.repeat([[0.1, 0.9], [0.4, 0.6]], 50, axis=0)
    >>> large = np.array([[0.05, 0.95]] * 75 + [[0.95, 0.05]] * 25)
    >>> y = np.array([1] * 75 + [0] * 25)
    >>> X = np.stack([small, large], axis=1)
    >>> cascade = CascadeClassifier(costs=[1, 10], budget=6).fit(X, y)
    >>> cascade.thresholds_, cascade.mean_cost_
    (array([0.9]), 6.0)
    >>> cascade.predict_stage(X[[0, 99]]), cascade.predict(X[[0, 99]])
    (array([0, 1]), array([1, 0]))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMembers._parameter_constraints,
        "costs": ["array-like", None],
        "budget": [Interval(Real, 0, None, closed="neither"), None],
        "thresholds": ["array-like", None],
    }

    def __init__(
        self,
        estimators: list[tuple[str, Any]] | None = None,
        *,
        costs: ArrayLike | None = None,
        budget: float | None = None,
        thresholds: ArrayLike | None = None,
        response_method: str = "predict_proba",
        classes: ArrayLike | None = None,
        cv: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimators = estimators
        self.costs = costs
        self.budget = budget
        self.thresholds = thresholds
        self.response_method = response_method
        self.classes = classes
        self.cv = cv
        self.n_jobs = n_jobs

    def predict_proba(self, X: Any) -> NDArray:
        """Probabilities by the member that answers.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame
            As in `fit`.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns follow `classes_`.
        """
        check_is_fitted(self)
        proba = np.empty((count_rows(X), len(self.classes_)), dtype=self.dtype_)
        for _, rows, answers in self._answers(X):
            proba[rows] = answers
        return proba

    def predict_stage(self, X: Any) -> NDArray:
        """Which member answers each row, 0 for the first.

        ``stage_costs_[stage]`` is what the rows cost.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame
            As in `fit`.

        Returns
        -------
        stage : ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        stage = np.empty(count_rows(X), dtype=np.intp)
        for place, rows, _ in self._answers(X):
            stage[rows] = place
        return stage

    def summary(self) -> CascadeSummary:
        """Who answers how many rows, at which cost.

        Returns
        -------
        summary : CascadeSummary
            A table with a row for each member. It prints, shows in notebooks, and `to_frame()`
            makes a data frame of it.
        """
        check_is_fitted(self)
        return CascadeSummary(
            names=self._member_names(),
            thresholds=[*self.thresholds_.tolist(), None],
            shares=self.stage_shares_.tolist(),
            costs=self.stage_costs_.tolist(),
            mean_cost=self.mean_cost_,
            log_loss=self.log_loss_,
            n_rows=self.n_calibration_,
        )

    def _answers(self, X: Any) -> Iterator[tuple[int, NDArray, NDArray]]:
        """For each stage that is reached: which rows it answers, and their probabilities."""
        (here,) = indexable(X)
        waiting = np.arange(count_rows(here))
        for place in range(self.n_members_):
            scores = self._member_scores(here, place)
            proba = refuse_nan_rows(probabilities_of(scores), scores)
            if place < len(self.thresholds_):
                stops = proba.max(axis=1) >= float(self.thresholds_[place])
            else:
                stops = np.ones(len(proba), dtype=bool)
            yield place, waiting[stops], proba[stops]
            if stops.all():
                return
            if stops.any():
                waiting, here = waiting[~stops], take_rows(here, np.flatnonzero(~stops))

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if (self.budget is None) == (self.thresholds is None):
            got = "neither" if self.budget is None else "both"
            raise ValueError(f"exactly one of budget and thresholds must be given, got {got}.")
        if self.costs is None:
            raise ValueError("costs must be given: what it costs to ask each member about a row.")

    def _fit_on(self, rows: MemberRows) -> dict[str, Any]:
        costs = self._check_costs(len(rows.members))
        counting = [member.that_count() for member in rows.members]
        labelled = counting[0]
        here = slice(None) if labelled.index is None else labelled.index
        proba = [probabilities_of(member.scores)[here] for member in counting]
        weight = np.ones(len(labelled)) if labelled.weight is None else labelled.weight
        losses = [-np.log(label_probabilities(p, labelled.y_index)) for p in proba]
        cascade = Cascade(
            np.stack([p.max(axis=1) for p in proba], axis=1),
            np.stack(losses, axis=1),
            costs,
            weight / weight.sum(),
        )
        if self.thresholds is None:
            thresholds = best_thresholds(cascade, float(self.budget or 0))
        else:
            thresholds = self._check_thresholds(len(proba) - 1)
        # As they compare with each member's confidences: float32's .9 reaches .9.
        reached = [p.dtype.type(t) for p, t in zip(proba, thresholds, strict=False)]
        stage = stages(cascade.confidence, np.array(reached, dtype=np.float64))
        loss, cost = cascade.mean(stage)
        return {
            "thresholds_": thresholds,
            "mean_cost_": cost,
            "stage_costs_": costs,
            "stage_shares_": np.bincount(stage, cascade.weight, minlength=len(costs)),
            "log_loss_": loss,
            "n_calibration_": len(labelled),
            "dtype_": np.result_type(*proba),
        }

    def _check_costs(self, n_members: int) -> NDArray:
        """What a row has cost at each stage."""
        costs = check_numeric(self.costs, "costs").astype(np.float64)
        if costs.shape != (n_members,):
            raise ValueError(
                f"costs must hold one number for each member, ({n_members},), got {costs.shape}."
            )
        if not (np.isfinite(costs).all() and costs.min() > 0):
            raise ValueError(f"costs must be finite and positive, got {costs.tolist()}.")
        with np.errstate(over="ignore"):
            total = np.cumsum(costs)
        if not np.isfinite(total[-1]) or (np.diff(total) <= 0).any():
            raise ValueError(
                f"costs must add up to more and more, got {costs.tolist()}: sums of so different "
                "or so large numbers are rounded. Count in another unit, or leave out the member "
                "that costs next to nothing."
            )
        if self.budget is not None and self.budget < total[0]:
            raise ValueError(
                f"budget must be at least the cost of the first member, {total[0]:g}, which is "
                f"asked about every row; got {self.budget:g}."
            )
        return total

    def _check_thresholds(self, n_free: int) -> NDArray:
        given = check_numeric(self.thresholds, "thresholds").astype(np.float64)
        if given.shape != (n_free,) or not ((given >= 0) & (given <= 1)).all():
            raise ValueError(
                "thresholds must hold a number between 0 and 1 for each member but the last, "
                f"({n_free},), got {given.tolist()}."
            )
        return given
