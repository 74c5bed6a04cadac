"""One classifier out of several, at the temperature that their pool needs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skcalib._kernels._mixture import fit_mixture
from skcalib._response import Scores
from skcalib._validation import Interval, StrOptions, check_numeric
from skcalib.calibrators._rows import CalibrationRows
from skcalib.calibrators._temperature import TemperatureMap, fit_scores
from skcalib.decisions._gate import Gate
from skcalib.decisions._member_rows import MemberRows
from skcalib.decisions._members import BaseMembers
from skcalib.decisions._pool_map import PoolMap
from skcalib.decisions._pool_summary import PoolSummary
from skcalib.decisions._probabilities import label_probabilities

# Rows that every member begins with to its name when weights are fitted.
_MEMBER_ROWS = 1.0

# Rows of a context at which its own weights count as much as everyone's.
_GATE_ROWS = 50.0


class TemperaturePool(BaseMembers):
    """Pool the probabilities of several classifiers, and calibrate the pool by temperature.

    The mean of calibrated probabilities is not calibrated: where members differ it is too modest.
    So by default members are pooled as they are and one temperature is fitted to the result.
    Members on very different scales can be given temperatures of their own first.

    Parameters
    ----------
    estimators : list of (name, estimator) tuples, default=None
        The members. They are cross-fitted on the same folds, but for each
        :class:`~sklearn.frozen.FrozenEstimator` among them; if all are frozen, every row passed to
        `fit` is calibration data. With None, X *is* the members' scores, of shape (n_samples,
        n_members, n_classes).
    order : {"pool_first", "calibrate_first", "both"}, default="pool_first"
        Whether the pool gets a temperature, each of its members, or first these and then the pool.
    pooling : {"linear", "geometric"}, default="linear"
        The weighted mean of probabilities, or of their logarithms: the latter gives little to what
        one member gives little. Logits of -inf rule a class out; a probability of 0 is smoothed.
    weights : "auto" or array-like of shape (n_members,), default=None
        None weights members alike. "auto" fits the weights of the linear pool to the log loss of
        held-out rows, by expectation maximisation, as if each member had one row to its name
        already. Numbers are divided by their sum.
    gate : name, position or list of these, default=None
        Columns of X that name the context of a row, as categories: each context gets fitted weights
        of its own, shrunk towards those of all rows, which count as much as 50 of its own rows. A
        context that is missing or was never seen gets the weights of all. Members see these columns
        too. Needs ``weights="auto"``.
    alpha : float, default=1.0
        Precision of the prior on each log T; see :class:`TemperatureScaling`.
    smoothing : "auto" or float, default="auto"
        For probabilities, the share of the uniform distribution mixed in before the logarithm; see
        :class:`TemperatureScaling`. The geometric pool takes logarithms of its members', and
        smooths each of them: with "auto" by the share that is fitted along with a temperature of
        its own, whether that is used or not.
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
    temperature_ : float
        T of the pool; 1 with ``order="calibrate_first"``.
    member_temperatures_ : ndarray of shape (n_members,)
        T of each member; 1 with ``order="pool_first"``.
    weights_ : ndarray of shape (n_members,)
        Weights of the members, which sum to one.
    gate_weights_ : dict
        The same for each context, by the value of the column, or a tuple of several; empty
        without a gate.
    estimators_ : list of estimators
        The members, fitted on all rows. Not with ``estimators=None``.
    named_estimators_ : dict
        The same by name.
    classes_ : ndarray of shape (n_classes,)
        Sorted labels; columns of the probabilities follow them.
    n_members_ : int
        Number of members.
    pool_ : object
        The fitted map from the members' scores to probabilities.
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
        By `fit`, for estimators without distinct names, weights or a gate that go with nothing
        else, folds that overlap, and whatever no calibrator takes.

    Warns
    -----
    ConvergenceWarning
        If the rows do not determine a temperature; only with ``alpha=0`` or at a bound.

    See Also
    --------
    CascadeClassifier : One member answers for each row, the cheapest that is sure.
    skcalib.EnsembleTemperatureScaling : One model, mixed with itself and uniform.

    References
    ----------
    .. [1] Ranjan, Gneiting, "Combining probability forecasts", Journal of the Royal Statistical
       Society B 72 (2010), theorem 1: linear pools of calibrated forecasts are not calibrated.
    .. [2] Rahaman, Thiery, "Uncertainty quantification and deep ensembles", NeurIPS 2021: pool,
       then calibrate.

    Examples
    --------
    Two members know different things, and both are calibrated: of a hundred cases of each kind one
    says 80 % and the other knows nothing. The mean says 65 %, T makes 80 % of it again:

    >>> import numpy as np
    >>> from skcalib.decisions import TemperaturePool
    >>> sure, torn = [0.2, 0.8], [0.5, 0.5]
    >>> X = np.array([[sure, torn]] * 100 + [[torn, sure]] * 100)
    >>> y = np.array(([1] * 80 + [0] * 20) * 2)
    >>> mean = TemperaturePool(order="calibrate_first", smoothing=0, alpha=0)
    >>> mean.fit(X, y).predict_proba(X[:1]).round(2)
    array([[0.35, 0.65]])
    >>> pool = TemperaturePool(smoothing=0, alpha=0).fit(X, y)
    >>> pool.predict_proba(X[:1]).round(2)
    array([[0.2, 0.8]])
    >>> round(pool.temperature_, 3)  # log(0.65 / 0.35) / log(0.8 / 0.2)
    0.447
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMembers._parameter_constraints,
        "order": [StrOptions({"pool_first", "calibrate_first", "both"})],
        "pooling": [StrOptions({"linear", "geometric"})],
        "weights": ["array-like", StrOptions({"auto"}), None],
        "gate": [str, Integral, list, None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "smoothing": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        estimators: list[tuple[str, Any]] | None = None,
        *,
        order: str = "pool_first",
        pooling: str = "linear",
        weights: str | ArrayLike | None = None,
        gate: Any = None,
        alpha: float = 1.0,
        smoothing: float | str = "auto",
        response_method: str = "predict_proba",
        classes: ArrayLike | None = None,
        cv: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimators = estimators
        self.order = order
        self.pooling = pooling
        self.weights = weights
        self.gate = gate
        self.alpha = alpha
        self.smoothing = smoothing
        self.response_method = response_method
        self.classes = classes
        self.cv = cv
        self.n_jobs = n_jobs

    def predict_proba(self, X: Any) -> NDArray:
        """Probabilities of the pool.

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
        scores = [self._member_scores(X, m) for m in range(self.n_members_)]
        return self.pool_.predict_proba(scores, X)

    def summary(self) -> PoolSummary:
        """The members, their weights and temperatures, and what they are worth.

        Returns
        -------
        summary : PoolSummary
            A table with a row for each member and one for the pool. It prints, shows in notebooks,
            and `to_frame()` makes a data frame of it.
        """
        check_is_fitted(self)
        temperatures = [*self.member_temperatures_, self.temperature_]
        return PoolSummary(
            names=[*self._member_names(), "pool"],
            weights=[*self.weights_, 1.0],
            temperatures=[float(t) for t in temperatures],
            log_losses=self.log_losses_,
            n_rows=self.n_calibration_,
        )

    def _check_parameters(self) -> None:
        super()._check_parameters()
        fitted = isinstance(self.weights, str)
        if fitted and self.pooling == "geometric":
            raise ValueError(
                'weights="auto" are those of the linear pool: with pooling="geometric" pass '
                "numbers or None."
            )
        if self.gate is not None and not fitted:
            raise ValueError(
                f'gate fits weights: pass weights="auto" with it, got {self.weights!r}.'
            )
        if self.gate is not None and self.estimators is None:
            raise ValueError("gate names columns of X, and X has none but scores: pass estimators.")

    def _fit_on(self, rows: MemberRows) -> dict[str, Any]:
        labelled = rows.first
        maps = [self._member_map(member) for member in rows.members]
        offsets = self._offsets(rows.members)
        ungated = PoolMap(tuple(maps), self.pooling, np.ones(len(maps)) / len(maps))
        proba = ungated.member_probabilities(rows.scores)
        densities = np.stack([label_probabilities(p, labelled.y_index) for p in proba], axis=1)
        shares = self._shares(densities, labelled.weight)
        gate = None
        if self.gate is not None:
            gate = Gate.fit(self.gate, rows.X, densities, labelled.weight, shares * _GATE_ROWS)
        pool = PoolMap(tuple(maps), self.pooling, shares, gate, offsets=offsets)
        if self.order != "calibrate_first":
            pool = pool.at_temperature(self._map_of(pool.pooled(rows.scores, rows.X), labelled))
        served = label_probabilities(pool.predict_proba(rows.scores, rows.X), labelled.y_index)
        _warn_of_convergence([*maps, pool.final])
        losses = [*(-np.log(densities)).T, -np.log(served)]
        return {
            "pool_": pool,
            "weights_": shares,
            "gate_weights_": {} if gate is None else gate.weights,
            "temperature_": 1.0 if pool.final is None else pool.final.temperature,
            "member_temperatures_": np.array([1.0 if m is None else m.temperature for m in maps]),
            "log_losses_": [float(np.average(loss, weights=labelled.weight)) for loss in losses],
            "n_calibration_": len(labelled.that_count()),
        }

    def _member_map(self, member: CalibrationRows) -> TemperatureMap | None:
        return None if self.order == "pool_first" else self._map_of(member.scores, member)

    def _offsets(self, members: list[CalibrationRows]) -> tuple[float, ...] | None:
        """Smoothing of members that are taken as they are and whose logarithms are pooled.

        Else a zero, which a forest says of what few trees never saw, is e^-708, and the pool's
        temperature has to make up for it.
        """
        if self.order != "pool_first" or self.pooling == "linear" or members[0].scores.are_logits:
            return None
        return tuple(fit_scores(member, self.alpha, self.smoothing)[0] for member in members)

    def _map_of(self, scores: Scores, labelled: CalibrationRows) -> TemperatureMap:
        rows = CalibrationRows(
            scores, labelled.y_index, labelled.classes, labelled.weight, labelled.groups
        )
        offset, fit = fit_scores(rows, self.alpha, self.smoothing)
        return TemperatureMap(fit, offset, rows.n_classes)

    def _shares(self, densities: NDArray, weight: NDArray | None) -> NDArray:
        """Weights of the members, which sum to one."""
        n_members = densities.shape[1]
        if isinstance(self.weights, str):
            return fit_mixture(densities, weight, np.full(n_members, _MEMBER_ROWS)).shares
        if self.weights is None:
            return np.full(n_members, 1 / n_members)
        given = check_numeric(self.weights, "weights").astype(np.float64)
        if given.shape != (n_members,):
            raise ValueError(
                f"weights must hold one number for each member, ({n_members},), got {given.shape}."
            )
        if not (np.isfinite(given).all() and given.min() >= 0 and given.sum() > 0):
            raise ValueError(
                f"weights must be finite, not negative and not all 0, got {given.tolist()}."
            )
        return given / given.sum()


def _warn_of_convergence(maps: Sequence[TemperatureMap | None]) -> None:
    messages = {message for m in maps if m is not None and (message := m.convergence_warning())}
    if messages:
        warnings.warn(" ".join(sorted(messages)), ConvergenceWarning, stacklevel=4)
