"""What a temperature policy would have earned, from the logs of another."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skcalib._table import Table
from skcalib._validation import HasMethods, Interval, check_numeric, check_options
from skcalib.monitoring._logs import Logs, check_logs, place_of
from skcalib.monitoring._mean_intervals import fixed_ends, moments_of
from skcalib.monitoring._outcome_model import (
    as_features,
    cross_fitted_rewards,
    doubly_robust_scores,
)

_CONSTRAINTS: dict[str, list[Any]] = {
    "outcome_model": [HasMethods(["fit", "predict"]), None],
    "cv": [Interval(Integral, 2, None, closed="left")],
    "confidence_level": [Interval(Real, 0, 1, closed="neither")],
    "random_state": ["random_state"],
}

# A sum of probabilities that is off by more is not one of rounding.
_SUM_TOLERANCE = 1e-3

# Fewer, by their weights, do not say how far rows are apart.
_FEWEST_ROWS = 2

# Standard errors by which the mean weight may miss 1 before the propensities are doubted.
_DOUBTFUL = 4


class PolicyEstimate(NamedTuple):
    """The value of a policy by one estimator.

    Parameters
    ----------
    name : str
        The estimator.
    value : float
        Mean reward; nan for a self-normalised one if the policy never does what was logged.
    lower, upper : float or None
        Ends of its confidence interval; None where none would be honest.
    """

    name: str
    value: float
    lower: float | None
    upper: float | None


@dataclass(frozen=True, eq=False, repr=False)
class PolicyValue(Table):
    """What a policy would have earned, by several estimators, and how far the log supports it.

    Prints as a table, shows as one in notebooks, and `to_frame()` makes a data frame of it.
    ``result["doubly robust"]`` is one row.

    Parameters
    ----------
    rows : list of PolicyEstimate
        One for each estimator, then that of the log itself and the gain on it.
    row_values : ndarray of shape (n_samples,)
        Doubly robust value of each row, whose mean is the estimate. The difference of two
        policies' `row_values` compares them in pairs.
    effective_sample_size : float
        Number of rows that would tell as much if all of them had followed the policy,
        ``(sum w)**2 / sum w**2`` with the weights ``w = policy's probability / propensity``, added
        up within clusters.
    mean_weight : float
        Mean of w; about 1 if the propensities are right.
    mean_weight_error : float
        Standard error of `mean_weight`.
    largest_weight : float
        The largest w: what one row's reward counts for.
    confidence_level : float
        Coverage of the intervals.
    """

    rows: list[PolicyEstimate]
    row_values: NDArray
    effective_sample_size: float
    mean_weight: float
    mean_weight_error: float
    largest_weight: float
    confidence_level: float

    def __getitem__(self, name: str) -> PolicyEstimate:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"{name!r} is not among {[row.name for row in self.rows]}.")

    @property
    def value(self) -> float:
        """The doubly robust estimate."""
        return self.rows[0].value

    @property
    def title(self) -> str:
        """What the table is about."""
        return f"Mean reward of a policy, from {len(self.row_values):,} logged rows"

    @property
    def columns(self) -> list[str]:
        """Names of the columns of the table."""
        level = f"{100 * self.confidence_level:g} %"
        return ["estimate", "value", f"{level} lower", f"{level} upper"]

    @property
    def records(self) -> list[tuple[Any, ...]]:
        """One tuple per row, a value for each column."""
        return [tuple(row) for row in self.rows]

    @property
    def footnote(self) -> str:
        """How far the log supports the policy."""
        text = (
            f"As much as {self.effective_sample_size:,.0f} rows of the policy itself; largest "
            f"weight {self.largest_weight:.3g}."
        )
        if abs(self.mean_weight - 1) > _DOUBTFUL * self.mean_weight_error + 1e-9:
            text += (
                f" Weights have mean {self.mean_weight:.3g} instead of 1: the propensities are "
                "wrong, or rows were left out."
            )
        return text


def policy_value(
    X: Any,
    temperature: ArrayLike,
    reward: ArrayLike,
    propensity: ArrayLike,
    policy: Any,
    *,
    temperatures: ArrayLike | None = None,
    outcome_model: Any = None,
    cv: int = 5,
    clusters: ArrayLike | None = None,
    confidence_level: float = 0.95,
    random_state: int | np.random.RandomState | None = 0,
) -> PolicyValue:
    r"""What a temperature policy would have earned, from logs of another one.

    The log holds, for each row, what was known of it (`X`), the temperature that was drawn, with
    which probability, and what came of it: a rating, a resolved ticket, the cost of an answer.
    Rewards of the temperatures that were not drawn are unknown; where the draw was random with
    known probabilities they can be estimated all the same.

    The *doubly robust* estimate predicts the reward at every temperature by a regression of other
    rows, and corrects it by what the row's own temperature earned beyond that, weighted by
    :math:`w = \pi(t \mid x) / g`. It needs no good regression to be right, and is the more
    precise the better that is. *IPS* is the mean of :math:`w r`; *self-normalised IPS* divides by
    the mean weight; the *direct method* trusts the regression alone, so that no interval would
    cover its bias.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, n_features)
        What was known of each row before its temperature was chosen.
    temperature : array-like of shape (n_samples,)
        The temperature that was used, out of a few discrete ones.
    reward : array-like of shape (n_samples,)
        What came of it; larger is better.
    propensity : array-like of shape (n_samples,)
        The probability with which this temperature was chosen for this row, above 0: logged when
        it was chosen, not estimated later.
    policy : TemperaturePolicy, callable, array-like or float
        The policy to be evaluated, not learned from these rows: probabilities of the temperatures
        (n_samples, n_temperatures) in ascending order of them, or one temperature for each row
        (n_samples,), or for all; a function from X to one of these; or a fitted
        :class:`TemperaturePolicy`, with the exploration it has.
    temperatures : array-like of shape (n_temperatures,), default=None
        The temperatures there are. None: those of a TemperaturePolicy, else those that were
        logged.
    outcome_model : regressor, default=None
        Predicts rewards; fitted for each temperature, without the rows it predicts. None is a
        ridge regression of the columns of X, categories as one column for each.
    cv : int, default=5
        Number of folds.
    clusters : array-like of shape (n_samples,), default=None
        Which rows belong together, such as turns of a conversation. None: every row alone.
    confidence_level : float, default=0.95
        Coverage of the intervals, between 0 and 1.
    random_state : int, RandomState instance or None, default=0
        How rows are put into folds.

    Returns
    -------
    value : PolicyValue
        The estimates with their intervals, the mean reward of the log and the gain on it, and how
        far the log supports the policy. A small `effective_sample_size` says that the log has
        hardly done what the policy would do.

    Raises
    ------
    ValueError
        If a propensity is missing, zero, NaN or above 1; a temperature is not among
        `temperatures`; the policy uses one that was never logged; probabilities are none; or rows
        or options are not as described. Errors name the row.

    Notes
    -----
    Everything rests on the propensities, and on rows that are all there: leaving out those that
    nobody rated, or that failed, biases every estimate. The reward of a row may depend on its own
    temperature alone, not on that of other rows, unless they are of its cluster and the policy
    is evaluated row by row.

    Intervals are Student's, with the degrees of freedom of the effective sample size, or, at either
    end, Hall's if that is farther, as in :func:`compare_forecasts`. In simulations of 200 to 2000
    rows, logged uniformly or with propensities down to .05 (effective sample sizes from 12 on),
    with regressions that were right and that were not, intervals of 95 % of the doubly robust
    estimate covered in 93 to 96 % of cases: see ``benchmarks/comparisons.py``.

    References
    ----------
    M. Dudik, D. Erhan, J. Langford, L. Li, Doubly robust policy evaluation and optimization,
    Statistical Science 29 (2014), equation 3.
    V. Chernozhukov et al., Double/debiased machine learning for treatment and structural
    parameters, Econometrics Journal 21 (2018) (cross-fitting).
    A. Swaminathan, T. Joachims, The self-normalized estimator for counterfactual learning,
    NeurIPS 2015.

    Examples
    --------
    Temperature 0 or 1 by the toss of a coin; rewards are 1 where it fits the task:

    >>> import numpy as np
    >>> from skcalib.monitoring import policy_value
    >>> creative = np.tile([0, 0, 1, 1], 50)
    >>> temperature = np.tile([0.0, 1.0], 100)
    >>> reward = (temperature == creative).astype(float)
    >>> X = creative[:, None]
    >>> result = policy_value(X, temperature, reward, np.full(200, 0.5), policy=creative)
    >>> float(round(result["IPS"].value, 3)), result["logged"].value
    (1.0, 0.5)
    """
    check_options(
        _CONSTRAINTS,
        "policy_value",
        outcome_model=outcome_model,
        cv=cv,
        confidence_level=confidence_level,
        random_state=random_state,
    )
    if hasattr(policy, "predict_proba") and hasattr(policy, "temperatures"):
        check_is_fitted(policy)
    if temperatures is None:
        temperatures = getattr(policy, "temperatures_", None)
    logs = check_logs(
        X, temperature, reward, propensity, temperatures=temperatures, clusters=clusters
    )
    proba = _probabilities(policy, X, logs)
    _refuse_unlogged(proba, logs)
    context = X
    if outcome_model is None and getattr(policy, "encoder", None) is not None:
        # It reads what the default model cannot, such as texts.
        context = as_features(policy.encoder_.transform(X))
    order = check_random_state(random_state)
    expected = cross_fitted_rewards(outcome_model, context, logs, cv, order)
    return _evaluated(logs, proba, expected, confidence_level)


def _probabilities(policy: Any, X: Any, logs: Logs) -> NDArray:
    """Probability of each temperature in each row under the policy, (n, A)."""
    n_rows, n_actions = len(logs.reward), len(logs.temperatures)
    if policy is None:
        raise ValueError(
            "policy must be one of temperatures, probabilities or a function, got None."
        )
    if hasattr(policy, "predict_proba") and hasattr(policy, "temperatures"):
        if not np.array_equal(policy.temperatures_, logs.temperatures):
            raise ValueError(
                f"policy chooses among {policy.temperatures_.tolist()}, but temperatures are "
                f"{logs.temperatures.tolist()}."
            )
        policy = policy.predict_proba(X)
    elif callable(policy):
        policy = policy(X)
    answer = np.full(n_rows, policy) if np.ndim(policy) == 0 else policy
    values = check_numeric(answer, "policy").astype(np.float64)
    if values.shape == (n_rows,):
        return np.eye(n_actions)[place_of(values, logs.temperatures, "policy")]
    if values.shape != (n_rows, n_actions):
        raise ValueError(
            f"policy must give probabilities of shape {(n_rows, n_actions)}, for the temperatures "
            f"{logs.temperatures.tolist()}, or temperatures of shape ({n_rows},), got shape "
            f"{values.shape}."
        )
    wrong = ~((values >= 0).all(axis=1) & (np.abs(values.sum(axis=1) - 1) <= _SUM_TOLERANCE))
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            "policy must give probabilities that are not negative and sum to one, got "
            f"{values[row].tolist()} in row {row}."
        )
    return values / values.sum(axis=1, keepdims=True)


def _refuse_unlogged(proba: NDArray, logs: Logs) -> None:
    logged = np.bincount(logs.action, minlength=len(logs.temperatures)) > 0
    missing = logs.temperatures[~logged & (proba > 0).any(axis=0)]
    if len(missing):
        raise ValueError(
            f"policy uses the temperatures {missing.tolist()}, which no row was logged at: their "
            "rewards are unknown. Log some rows at them first."
        )


@np.errstate(under="ignore")
def _evaluated(logs: Logs, proba: NDArray, expected: NDArray, level: float) -> PolicyValue:
    rows, reward = np.arange(len(logs.reward)), logs.reward
    weight = proba[rows, logs.action] / logs.propensity
    robust = (proba * doubly_robust_scores(logs, expected)).sum(axis=1)
    of_weight = moments_of(weight, clusters=logs.clusters)
    effective = _effective_sample_size(weight, logs)
    return PolicyValue(
        rows=[
            _estimate("doubly robust", robust, logs, level, effective),
            _estimate("IPS", weight * reward, logs, level, effective),
            _self_normalised(weight, logs, level, effective),
            PolicyEstimate(
                "direct method", float((proba * expected).sum(axis=1).mean()), None, None
            ),
            _estimate("logged", reward, logs, level),
            _estimate("gain on logged", robust - reward, logs, level, effective),
        ],
        row_values=robust,
        effective_sample_size=effective,
        mean_weight=of_weight.mean,
        mean_weight_error=of_weight.deviation / of_weight.n**0.5,
        largest_weight=float(weight.max()),
        confidence_level=float(level),
    )


def _estimate(
    name: str, values: NDArray, logs: Logs, level: float, n_effective: float = np.inf
) -> PolicyEstimate:
    moments = moments_of(values, clusters=logs.clusters)
    if min(moments.n, n_effective) < _FEWEST_ROWS:
        return PolicyEstimate(name, moments.mean, None, None)
    return PolicyEstimate(name, moments.mean, *fixed_ends(moments, level, n_effective))


def _effective_sample_size(weight: NDArray, logs: Logs) -> float:
    """Rows, or clusters, of one weight that would vary as much."""
    if not weight.any():
        return 0.0
    total = weight if logs.clusters is None else np.bincount(logs.clusters, weight)
    return float(total.sum() ** 2 / (total @ total))


def _self_normalised(
    weight: NDArray, logs: Logs, level: float, n_effective: float
) -> PolicyEstimate:
    """The ratio of two means varies, to first order, like the mean of `w (r - ratio) / mean w`."""
    name = "self-normalised IPS"
    if not weight.any():
        return PolicyEstimate(name, np.nan, None, None)
    ratio = float(np.average(logs.reward, weights=weight))
    moved = ratio + weight * (logs.reward - ratio) / weight.mean()
    return _estimate(name, moved, logs, level, n_effective)
