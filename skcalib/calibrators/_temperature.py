"""Temperature scaling: one positive number for all rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar

from numpy.typing import ArrayLike, NDArray

from skcalib._kernels._online_temperature import update_temperature
from skcalib._kernels._smoothing import fit_probabilities, smoothing_of
from skcalib._kernels._softmax import log_softmax, softmax
from skcalib._kernels._temperature import (
    CONSTANT,
    FLAT,
    OUT_OF_RANGE,
    PERFECT,
    UNINFORMATIVE,
    TemperatureFit,
    fit_temperature,
)
from skcalib._response import Scores
from skcalib._validation import Interval, StrOptions
from skcalib.calibrators._map import CalibrationMap
from skcalib.calibrators._online import OnlineCalibrator
from skcalib.calibrators._rows import CalibrationRows

_MORE = "Use more calibration rows, or a prior (alpha=1)."
_OBSTACLES = {
    CONSTANT: "the scores of every row are equal. Check them, or use a prior (alpha=1).",
    PERFECT: f"none of them is misclassified. {_MORE}",
    UNINFORMATIVE: f"their scores say nothing about their labels. {_MORE}",
    FLAT: f"their log loss hardly depends on it. {_MORE}",
    OUT_OF_RANGE: "the best one lies beyond the bounds. Check what the scores are, and their "
    "scale.",
}


@dataclass(frozen=True)
class TemperatureMap(CalibrationMap):
    """`softmax(z / T)`; for probabilities p, `z = log(p + offset)`."""

    fit: TemperatureFit
    offset: float
    n_classes: int
    recent: CalibrationRows | None = None  # kept while they are too few to go without

    @property
    def keeps_argmax(self) -> bool:
        """One temperature changes the order of no two scores."""
        return True

    @property
    def temperature(self) -> float:
        """T, positive."""
        return self.fit.temperature

    @property
    def interval(self) -> NDArray:
        """95 % interval for T, (2,): symmetric in log T."""
        return self.fit.interval

    def predict_proba(self, scores: Scores) -> NDArray:
        """Probabilities (n, K)."""
        return softmax(scores.source(self.offset), self.temperature)

    def predict_log_proba(self, scores: Scores) -> NDArray:
        """Log-probabilities (n, K)."""
        return log_softmax(scores.source(self.offset), self.temperature)

    def fitted_attributes(self) -> dict[str, Any]:
        """See `TemperatureScaling`."""
        return {
            "temperature_": self.temperature,
            "temperature_interval_": self.interval,
            "smoothing_": smoothing_of(self.offset, self.n_classes),
            "n_iter_": self.fit.n_iter,
            "log_loss_before_": self.fit.loss_before,
            "log_loss_after_": self.fit.loss_after,
        }

    def convergence_warning(self) -> str | None:
        """Why the calibration rows do not determine a temperature, and what to do."""
        return why_undetermined(self.fit, self.temperature)


def why_undetermined(fit: TemperatureFit, temperature: float) -> str | None:
    """Why the calibration rows do not determine a temperature, and what to do; None if they do.

    `temperature` is the one that is taken all the same.
    """
    if fit.obstacle is None:
        return None
    return (
        f"The calibration rows do not determine a temperature: {_OBSTACLES[fit.obstacle]} "
        f"temperature_ is {temperature:.3g}."
    )


class TemperatureScaling(OnlineCalibrator):
    """Calibrate a classifier by dividing its scores by one fitted temperature.

    Probabilities are ``softmax(z / T)`` of the scores z, with T fitted on held-out rows by log
    loss. T above 1 means that the model was overconfident, below 1 underconfident. The order of
    the classes within a row stays, and so does the predicted class; the order of confidences
    *across* rows may change when there are more than two classes.

    T minimises ``sum(w * log_loss) + alpha * log(T)**2 / 2``: maximum likelihood with a prior
    ``log T ~ N(0, 1 / alpha)``, which counts for little beyond a few dozen rows and keeps T
    finite when few rows without a mistake would ask for T = 0.

    Parameters
    ----------
    estimator : estimator, default=None
        The classifier to calibrate. It is cross-fitted, unless it is a
        :class:`~sklearn.frozen.FrozenEstimator`: then every row passed to `fit` is calibration
        data. With None, X *is* the scores of some model.
    response_method : {"auto", "decision_function", "predict_proba", "predict_log_proba"}, \
            default="auto"
        What the scores are; never guessed from their values. "auto" takes the estimator's
        `decision_function` if it has one, else its `predict_proba`; without an estimator X is
        read as logits. A binary decision value d stands for the logits ``(-d/2, d/2)``. A logit
        of -inf masks its class: probability 0.
    classes : array-like of shape (n_classes,), default=None
        Without an estimator: the label of each column of X, in any order. None takes the sorted
        labels if there is one for each column, else 0 .. K-1 if the labels are such integers.
    alpha : float, default=1.0
        Precision of the prior on log T, at least 0; 0 is maximum likelihood. Weights that sum
        to one instead of the number of rows leave the prior in charge.
    smoothing : "auto" or float, default="auto"
        For probabilities, the share eps of the uniform distribution mixed in before the
        logarithm, ``z = log(p + c)``, ``c = eps / (1 - eps) / K``, in [0, 1). An exact zero of
        a forest would decide T otherwise. "auto" fits eps along with T; 0 takes probabilities
        as they are, and log-probabilities with all that they keep of what would round to 0.
        Logits are never smoothed.
    forget : float, default=1.0
        For `partial_fit`: how much a row counts beside the next one, above 0 and at most 1. With
        0.99 the last hundred rows or so decide T, with 1 all of them alike.
    cv : int, cross-validation generator or iterable, default=None
        How rows are held out from the estimator; None means 5 stratified folds.
    ensemble : bool or "auto", default=False
        False fits one T on all held-out scores and the estimator on all rows. True keeps a pair
        of estimator and T for each fold and averages their probabilities; each T is in
        ``calibrated_classifiers_[i].calibrator.temperature``. "auto" is True unless the
        estimator is frozen, as in scikit-learn. Without folds it has no effect.
    n_jobs : int, default=None
        Folds fitted in parallel, by joblib.

    Attributes
    ----------
    temperature_ : float
        T, between 1.9e-22 and 5.2e21 (for probabilities with fitted smoothing between 0.0067
        and 148). This and the attributes up to `log_loss_after_`, and `estimator_`, exist
        unless an ensemble was fitted.
    temperature_interval_ : ndarray of shape (2,)
        95 % interval for T: the wider of the sandwich estimate and the inverse curvature. Where
        `fit` is given `groups` the sandwich sums its scores within each of them, as it must where
        rows of a group are alike; some tens of groups make it reliable, a handful too narrow.
    smoothing_ : float
        The share eps; 0 for logits.
    n_iter_ : int
        Evaluations of the objective on all calibration rows, in the search that found T.
    log_loss_before_, log_loss_after_ : float
        Mean log loss of the calibration rows at T = 1 without smoothing, and as served; after
        `partial_fit` of the rows of the last call.
    classes_ : ndarray of shape (n_classes,)
        Sorted labels; columns of the probabilities follow them.
    estimator_ : estimator
        The wrapped estimator, fitted on all rows. Not with ``estimator=None``.
    calibrator_ : object
        The fitted map from scores to probabilities.
    calibrated_classifiers_ : list
        The pairs of an ensemble, instead of the above.
    response_method_ : str
        The method whose output is read.
    column_order_ : ndarray of shape (n_classes,)
        Without an estimator: the column of X that each of `classes_` stands in.
    n_features_in_ : int
        Number of features, if the estimator says it; of columns of X without an estimator.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if they all are strings.

    Raises
    ------
    ValueError, TypeError
        By `fit` and the predicting methods, for input that cannot be right: NaN, +inf, rows of
        probabilities that do not sum to one, unknown or masked labels, wrong shapes or weights.

    Warns
    -----
    ConvergenceWarning
        If the rows ask for T = 0 or T = inf, or do not depend on T; only with ``alpha=0`` or at
        a bound.

    See Also
    --------
    AdaptiveTemperatureScaling : A temperature for each context.
    CalibratedClassifier : Any of the calibrators, chosen by a parameter.
    SigmoidCalibration : One sigmoid per class; may change the predicted class.
    IsotonicCalibration : One monotone step function per class, for many rows.

    References
    ----------
    .. [1] Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
       section 4.2.

    Examples
    --------
    Logits of a model that is right four times in five but says 98 %:

    >>> import numpy as np
    >>> from skcalib import TemperatureScaling
    >>> decision = np.array([4.0, 4.0, 4.0, 4.0, -4.0] * 20)
    >>> y = np.ones(100, dtype=int)
    >>> calibrated = TemperatureScaling(classes=[0, 1], alpha=0).fit(decision, y)
    >>> round(calibrated.temperature_, 3)  # 4 / T = log(0.8 / 0.2)
    2.885
    >>> calibrated.predict_proba(decision[:1]).round(3)
    array([[0.2, 0.8]])

    Around an estimator, as a step of a pipeline or a grid search:

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_iris(return_X_y=True)
    >>> model = TemperatureScaling(GaussianNB()).fit(X, y)
    >>> bool(model.log_loss_after_ < model.log_loss_before_)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **OnlineCalibrator._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="left")],
        "smoothing": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        response_method: str = "auto",
        classes: ArrayLike | None = None,
        alpha: float = 1.0,
        smoothing: float | str = "auto",
        forget: float = 1.0,
        cv: Any = None,
        ensemble: bool | str = False,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.response_method = response_method
        self.classes = classes
        self.alpha = alpha
        self.smoothing = smoothing
        self.forget = forget
        self.cv = cv
        self.ensemble = ensemble
        self.n_jobs = n_jobs

    def _fit_map(self, rows: CalibrationRows) -> TemperatureMap:
        offset, fit = fit_scores(rows, self.alpha, self.smoothing)
        return TemperatureMap(fit, offset, rows.n_classes)

    def _update_map(
        self, served: TemperatureMap, rows: CalibrationRows, keep: float
    ) -> TemperatureMap:
        source = rows.source(served.offset)
        fit = update_temperature(
            served.fit,
            source,
            rows.y_index,
            rows.weight,
            self.alpha,
            keep=keep,
            groups=rows.groups,
        )
        refuse_endless_loss(fit, rows)
        return replace(served, fit=fit)


def fit_scores(
    rows: CalibrationRows, alpha: float, smoothing: float | str
) -> tuple[float, TemperatureFit]:
    """Offset of probabilities and temperature: the smoothing rule of every calibrator."""
    scores, labelled = rows.scores, (rows.y_index, rows.weight)
    if scores.are_logits:
        fit, offset = fit_temperature(rows.source(), *labelled, alpha, rows.groups), 0.0
    else:
        share = None if smoothing == "auto" else float(smoothing)
        is_log = scores.method == "predict_log_proba"
        fit, offset = fit_probabilities(
            rows.values, *labelled, alpha, share, is_log=is_log, groups=rows.groups
        )
    refuse_endless_loss(fit, rows)
    return offset, fit


def refuse_endless_loss(fit: TemperatureFit, rows: CalibrationRows) -> None:
    """Raise for the row that has no log loss, if one has none."""
    if not fit.finite:
        rows.refuse_bad_rows()
        raise ValueError(
            f"The log loss of {rows.scores.name} overflows: its largest scores are too far apart."
        )
