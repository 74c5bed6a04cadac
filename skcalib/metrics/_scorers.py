"""Scorers of predicted probabilities, for scikit-learn's model selection."""

import copy
from collections.abc import Callable
from typing import Any

from numpy.typing import ArrayLike
from sklearn import metrics

from skcalib._response import read_probabilities
from skcalib._validation import BaseScorer
from skcalib.metrics._brier import brier_score
from skcalib.metrics._calibration_error import (
    calibration_error,
    expected_calibration_error,
    maximum_calibration_error,
)
from skcalib.metrics._log_loss import log_loss
from skcalib.metrics._risk_coverage import augrc, aurc
from skcalib.metrics._skill import brier_skill_score, log_loss_skill_score
from skcalib.metrics._smooth_calibration_error import smooth_calibration_error


class ProbabilityScorer(BaseScorer):
    """Score an estimator by a metric of its predicted probabilities.

    Called as ``scorer(estimator, X, y, sample_weight=None)`` it gives the metric every column of
    the estimator's `predict_proba` and its `classes_` as `labels`. So a fold in which a class does
    not occur is scored like any other, and binary metrics see both columns; a scorer of
    :func:`sklearn.metrics.make_scorer` does neither.

    Greater is better, as scikit-learn's model selection expects: errors come out negated.

    Parameters
    ----------
    score_func : callable
        The metric, called as
        ``score_func(y_true, y_proba, labels=classes, sample_weight=weights, **kwargs)``,
        `sample_weight` only where there is one.
    greater_is_better : bool, default=False
        Whether a greater value of the metric is better. If not, the score is its negative.
    **kwargs : dict
        Further arguments of the metric.

    Notes
    -----
    With metadata routing, ask for weights by ``scorer.set_score_request(sample_weight=True)``.
    That changes the scorer itself: take a copy from :func:`get_scorer` rather than a shared object.

    scikit-learn's cache of several scorers' predictions keeps one column of two, and which one
    depends on the scorer that came first. So each of these scorers calls `predict_proba` itself.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from skcalib.metrics import ProbabilityScorer, calibration_error
    >>> scorer = ProbabilityScorer(calibration_error, norm="max")
    >>> X, y = [[0], [0], [0], [0]], ["a", "a", "a", "b"]
    >>> scorer(DummyClassifier(strategy="prior").fit(X, y), X[2:], y[2:])
    -0.25
    """

    def __init__(
        self,
        score_func: Callable[..., float],
        *,
        greater_is_better: bool = False,
        **kwargs: Any,
    ):
        super().__init__(score_func, 1 if greater_is_better else -1, kwargs, "predict_proba")

    def __repr__(self) -> str:
        name = getattr(self._score_func, "__name__", repr(self._score_func))
        greater = ["greater_is_better=True"] if self._sign > 0 else []
        settings = [f"{key}={value!r}" for key, value in self._kwargs.items()]
        return f"ProbabilityScorer({', '.join([name, *greater, *settings])})"

    def _score(
        self, method_caller: Any, estimator: Any, X: Any, y_true: ArrayLike, **kwargs: Any
    ) -> float:
        self._warn_overlap(
            message="These arguments are set in the scorer and were passed as metadata too; the "
            "metadata count.",
            kwargs=kwargs,
        )
        y_proba = read_probabilities(estimator, X)
        arguments = {"labels": estimator.classes_} | self._kwargs | kwargs
        return self._sign * self._score_func(y_true, y_proba, **arguments)


aurc_scorer = ProbabilityScorer(aurc)
augrc_scorer = ProbabilityScorer(augrc)
brier_scorer = ProbabilityScorer(brier_score)
brier_skill_scorer = ProbabilityScorer(brier_skill_score, greater_is_better=True)
classwise_ece_scorer = ProbabilityScorer(expected_calibration_error, kind="class")
ece_scorer = ProbabilityScorer(expected_calibration_error)
l2_calibration_error_scorer = ProbabilityScorer(
    calibration_error, norm=2, debias=True, strategy="quantile"
)
log_loss_scorer = ProbabilityScorer(log_loss)
log_loss_skill_scorer = ProbabilityScorer(log_loss_skill_score, greater_is_better=True)
mce_scorer = ProbabilityScorer(maximum_calibration_error)
smooth_ece_scorer = ProbabilityScorer(smooth_calibration_error)

_SCORERS = {
    "augrc": augrc_scorer,
    "aurc": aurc_scorer,
    "brier": brier_scorer,
    "brier_skill": brier_skill_scorer,
    "classwise_ece": classwise_ece_scorer,
    "ece": ece_scorer,
    "l2_calibration_error": l2_calibration_error_scorer,
    "log_loss": log_loss_scorer,
    "log_loss_skill": log_loss_skill_scorer,
    "mce": mce_scorer,
    "neg_expected_calibration_error": ece_scorer,
    "smooth_ece": smooth_ece_scorer,
}


def get_scorer(scoring: str | Callable | None) -> Callable | None:
    """Scorer of a name, skcalib's or scikit-learn's.

    skcalib's are "log_loss", "brier", their skill scores "log_loss_skill" and "brier_skill", the
    calibration errors "ece" (or "neg_expected_calibration_error"), "classwise_ece", "mce",
    "l2_calibration_error" and "smooth_ece", and "aurc" and "augrc". Every other name is
    scikit-learn's: "neg_brier_score" and "neg_log_loss" stay its own scorers, which fail on a fold
    that lacks a class.

    Parameters
    ----------
    scoring : str, callable or None
        The name. A callable or None is returned as it is.

    Returns
    -------
    scorer : callable
        A copy of the scorer, to be called as ``scorer(estimator, X, y)``; greater is better.

    Raises
    ------
    ValueError
        If no scorer has that name.

    Examples
    --------
    >>> from skcalib.metrics import get_scorer
    >>> get_scorer("ece")
    ProbabilityScorer(expected_calibration_error)
    """
    if isinstance(scoring, str) and scoring in _SCORERS:
        return copy.deepcopy(_SCORERS[scoring])
    try:
        return metrics.get_scorer(scoring)
    except ValueError as error:
        raise ValueError(
            f"scoring must be one of {sorted(_SCORERS)}, a name from "
            f"sklearn.metrics.get_scorer_names(), or a callable, got {scoring!r}."
        ) from error


def get_scorer_names() -> list[str]:
    """Names that :func:`get_scorer` knows, skcalib's and scikit-learn's, sorted.

    Returns
    -------
    names : list of str
        The names.

    Examples
    --------
    >>> from skcalib.metrics import get_scorer_names
    >>> [name for name in get_scorer_names() if name in ("ece", "log_loss", "neg_log_loss")]
    ['ece', 'log_loss', 'neg_log_loss']
    """
    return sorted([*_SCORERS, *metrics.get_scorer_names()])
