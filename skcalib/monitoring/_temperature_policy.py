"""Which temperature in which context, learned from logs of rewards."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skcalib._validation import (
    HasMethods,
    Interval,
    check_parameters,
    feature_names_of,
)
from skcalib.monitoring._logs import Logs, check_logs
from skcalib.monitoring._outcome_model import (
    as_features,
    context_encoder,
    cross_fitted_rewards,
    doubly_robust_scores,
)
from skcalib.monitoring._ridge import fit_ridge


class TemperaturePolicy(BaseEstimator):
    """Choose one of a few temperatures by context, for the largest reward: a contextual bandit.

    For goals that are not labels: ratings, resolved tickets, answers that compile. Each logged row
    has tried one temperature, with a known probability. `fit` estimates for every row what each
    of the temperatures would have earned (the doubly robust scores of :func:`policy_value`) and
    regresses how much better or worse than the mean of them each is on the context. The ridge
    penalty is the one that predicts rows left out best: where the context tells nothing, the
    policy is the best fixed temperature.

    `predict` says the best temperature; `sample` draws one with some exploration and returns its
    propensity, which belongs in the log: the next `fit` and :func:`policy_value` need it. Logs of
    several policies can be fitted together, each row with the propensity it had.

    Everything rests on the propensities, and on rows that are all there. Leaving out rows for what
    came of them, such as answers that nobody rated or that timed out, biases what is learned: give
    them a reward, or decide beforehand which rows count.

    Parameters
    ----------
    temperatures : sequence of float, default=(0.0, 0.3, 0.7, 1.0)
        The temperatures to choose from, at least 0; 0 is greedy. Each needs logged rows.
    exploration : float, default=0.1
        Share of rows whose temperature is drawn uniformly, in [0, 1]: every propensity is at
        least ``exploration / n_temperatures``. 0 leaves logs that nothing can be learned from.
    encoder : transformer, default=None
        Makes numbers of the context. None: categories (strings, booleans, pandas' categories) one
        column for each, numbers standardised. The regression is linear in what it makes: for
        interactions or curves, pass it polynomials or splines; X may then be anything that it
        takes, such as texts.
    outcome_model : regressor, default=None
        Predicts rewards at each temperature for the doubly robust scores; see
        :func:`policy_value`.
    cv : int, default=5
        Folds of the outcome model.
    random_state : int, RandomState instance or None, default=0
        How rows are put into folds.

    Attributes
    ----------
    temperatures_ : ndarray of shape (n_temperatures,)
        The temperatures, ascending.
    coef_ : ndarray of shape (n_features_encoded, n_temperatures)
        Advantage over the mean of all temperatures, for each column of the encoded context.
    intercept_ : ndarray of shape (n_temperatures,)
        The same where these are 0.
    encoder_ : transformer
        The fitted encoder.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if they all are strings.

    See Also
    --------
    policy_value : What a policy would have earned; on rows it was not learned from.
    skcalib.decoding.Policy : Takes the temperature of `predict` into generation.

    Notes
    -----
    The encoder takes some milliseconds, of one row or of thousands. Where contexts are few, look
    them up instead: ``table = dict(zip(contexts, policy.predict(contexts)))``.

    A few hundred rows of four temperatures, some of them rarely tried, choose hardly better than
    chance; see how :func:`policy_value` rates the policy on rows that it was not learned from
    before it serves.

    References
    ----------
    M. Dudik, D. Erhan, J. Langford, L. Li, Doubly robust policy evaluation and optimization,
    Statistical Science 29 (2014).

    Examples
    --------
    Facts want T = 0, stories T = 1; the log tossed a coin:

    >>> import numpy as np
    >>> from skcalib.monitoring import TemperaturePolicy
    >>> X = np.array([["fact"], ["fact"], ["story"], ["story"]] * 50)
    >>> temperature = np.array([0.0, 1.0] * 100)
    >>> reward = (temperature == (X[:, 0] == "story")).astype(float)
    >>> policy = TemperaturePolicy(temperatures=(0, 1), exploration=0.2)
    >>> policy = policy.fit(X, reward, temperature=temperature, propensity=np.full(200, 0.5))
    >>> policy.predict([["fact"], ["story"]])
    array([0., 1.])
    >>> policy.predict_proba([["fact"], ["story"]])
    array([[0.9, 0.1],
           [0.1, 0.9]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "temperatures": ["array-like"],
        "exploration": [Interval(Real, 0, 1, closed="both")],
        "encoder": [HasMethods(["fit", "transform"]), None],
        "outcome_model": [HasMethods(["fit", "predict"]), None],
        "cv": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        temperatures: Sequence[float] = (0.0, 0.3, 0.7, 1.0),
        *,
        exploration: float = 0.1,
        encoder: Any = None,
        outcome_model: Any = None,
        cv: int = 5,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.temperatures = temperatures
        self.exploration = exploration
        self.encoder = encoder
        self.outcome_model = outcome_model
        self.cv = cv
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        temperature: ArrayLike,
        propensity: ArrayLike,
        clusters: ArrayLike | None = None,
    ) -> Self:
        """Learn which temperature earns most in which context.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            What was known of each row before its temperature was chosen.
        y : array-like of shape (n_samples,)
            Rewards; larger is better.
        temperature : array-like of shape (n_samples,)
            The temperature that each row had, one of `temperatures`.
        propensity : array-like of shape (n_samples,)
            The probability with which it was chosen for this row, above 0.
        clusters : array-like of shape (n_samples,), default=None
            Which rows belong together, such as turns of a conversation: they share a fold.

        Returns
        -------
        self : TemperaturePolicy
            If `fit` fails it is left as it was before.

        Raises
        ------
        ValueError
            If a propensity is missing, zero, NaN or above 1, a temperature is not among
            `temperatures` or none of them was logged, or a reward is missing. Errors name the row.
        """
        check_parameters(self)
        logs = check_logs(
            X,
            temperature,
            y,
            propensity,
            temperatures=self.temperatures,
            clusters=clusters,
            reward_name="y",
        )
        _refuse_untried(logs)
        encoder = context_encoder(X) if self.encoder is None else clone(self.encoder)
        features = as_features(encoder.fit_transform(X))
        outcomes = features if self.outcome_model is None and self.encoder is not None else X
        folds = check_random_state(self.random_state)
        expected = cross_fitted_rewards(self.outcome_model, outcomes, logs, self.cv, folds)
        scores = doubly_robust_scores(logs, expected)
        advantage = scores - scores.mean(axis=1, keepdims=True)
        self.coef_, self.intercept_ = fit_ridge(features, advantage)
        self.encoder_ = encoder
        self.temperatures_ = logs.temperatures
        self._set_columns(X)
        return self

    def _set_columns(self, X: Any) -> None:
        for name in ("n_features_in_", "feature_names_in_"):  # of an earlier fit
            if hasattr(self, name):
                delattr(self, name)
        shape = np.shape(X)
        if len(shape) == 2:  # texts have no columns
            self.n_features_in_ = int(shape[1])
        names = feature_names_of(X)
        if names is not None:
            self.feature_names_in_ = names

    def advantage(self, X: Any) -> NDArray:
        """How much more each temperature is expected to earn than the mean of all of them.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Contexts.

        Returns
        -------
        advantage : ndarray of shape (n_samples, n_temperatures)
            In units of the reward; each row sums to zero.
        """
        check_is_fitted(self)
        features = as_features(self.encoder_.transform(X))
        # BLAS would round a row by how many others come with it, and ties be decided by that.
        return np.einsum("np,pa->na", features, self.coef_) + self.intercept_

    def predict(self, X: Any) -> NDArray:
        """The temperature that is expected to earn most, without exploration.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Contexts.

        Returns
        -------
        temperature : ndarray of shape (n_samples,)
            One of `temperatures_`, the lowest among equals.
        """
        best = self.advantage(X).argmax(axis=1)
        return self.temperatures_[best]

    def predict_proba(self, X: Any) -> NDArray:
        """The probability with which `sample` draws each temperature.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Contexts.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_temperatures)
            ``1 - exploration`` for the best one, and ``exploration / n_temperatures`` for each.
        """
        check_parameters(self)  # what may have been set since fit would be no probability
        best = self.advantage(X).argmax(axis=1)
        n_actions = len(self.temperatures_)
        greedy = np.eye(n_actions)[best]
        return (1 - self.exploration) * greedy + self.exploration / n_actions

    def sample(
        self, X: Any, random_state: int | np.random.RandomState | None = None
    ) -> tuple[NDArray, NDArray]:
        """Draw a temperature for each row, and say with which probability: log both.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Contexts.
        random_state : int, RandomState instance or None, default=None
            Of the draws. An integer draws the same at every call: in service leave it None, or
            keep one RandomState.

        Returns
        -------
        temperature : ndarray of shape (n_samples,)
            One of `temperatures_` for each row.
        propensity : ndarray of shape (n_samples,)
            Its probability.
        """
        proba = self.predict_proba(X)
        u = check_random_state(random_state).uniform(size=(len(proba), 1))
        action = (u >= proba.cumsum(axis=1)[:, :-1]).sum(axis=1)
        return self.temperatures_[action], proba[np.arange(len(proba)), action]


def _refuse_untried(logs: Logs) -> None:
    tried = np.bincount(logs.action, minlength=len(logs.temperatures)) > 0
    if not tried.all():
        raise ValueError(
            f"temperatures {logs.temperatures[~tried].tolist()} were never logged: their rewards "
            "are unknown. Log some rows at them first, or leave them out."
        )
