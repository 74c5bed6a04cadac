"""scikit-learn's own maps in this package's wrapper: sigmoid and isotonic, one class at a time.

Both are one-vs-rest: a map for each class (for two classes one, of the second), whose results
are normalised. One class may overtake another on the way: the predicted class can change.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from skcalib._kernels._smoothing import offset_of, smoothing_of
from skcalib._response import Scores
from skcalib._validation import Interval, StrOptions, platt_calibration
from skcalib.calibrators._base import BaseCalibrator
from skcalib.calibrators._map import CalibrationMap
from skcalib.calibrators._rows import CalibrationRows
from skcalib.calibrators._temperature import fit_scores

_SMALL_SCORES = 1e-3


class _OneVsRestMap(CalibrationMap):
    """A map for each class, the results normalised; a masked class keeps probability 0."""

    @abstractmethod
    def _features(self, scores: Scores) -> NDArray:
        """What the classes' maps read, one column each, (n, K) or (n, 1)."""

    @abstractmethod
    def _class_probabilities(self, features: NDArray) -> NDArray:
        """Probability of each class against the rest, not normalised, of the features' shape."""

    def predict_proba(self, scores: Scores) -> NDArray:
        """Probabilities (n, K)."""
        open_ = _open_classes(scores)
        features = self._features(scores)
        proba = self._class_probabilities(np.where(np.isfinite(features), features, 0))
        if proba.shape[1] == 1:
            proba = np.concatenate([1 - proba, proba], axis=1)
        proba = np.where(open_, proba, 0)
        total = proba.sum(axis=1, keepdims=True)
        n_open = open_.sum(axis=1, keepdims=True)
        with np.errstate(all="ignore"):
            proba = np.where(total > 0, proba / total, open_ / n_open)
        # The largest score is NaN, +inf or, where every class is masked, -inf.
        proba[~np.isfinite(scores.values.max(axis=1))] = np.nan
        return proba.astype(scores.source().dtype)


def _open_classes(scores: Scores) -> NDArray:
    """Which entries are not masked, (n, K)."""
    if scores.are_logits:
        return ~np.isneginf(scores.values)
    return np.ones(scores.values.shape, dtype=bool)


def _one_column_of_two(logits: NDArray) -> NDArray:
    """Logits as they are; of two classes their difference, (n, 1)."""
    if logits.shape[1] != 2:
        return logits
    largest = np.sqrt(np.finfo(np.float64).max)  # far apart, and safe to add up
    with np.errstate(invalid="ignore", over="ignore"):
        return np.clip(logits[:, 1:] - logits[:, :1], -largest, largest)


def _probabilities(scores: Scores) -> NDArray:
    """Probabilities in [0, 1], float64; of two classes those of the second, (n, 1)."""
    values = scores.values.astype(np.float64, copy=False)
    if scores.method == "predict_log_proba":
        with np.errstate(under="ignore"):
            values = np.exp(values)
    return np.clip(values[:, 1:] if values.shape[1] == 2 else values, 0, 1)


def _fit_each_class(
    rows: CalibrationRows,
    features: NDArray,
    fit_one: Callable[[NDArray, NDArray, NDArray], Any],
) -> list[Any]:
    """`fit_one(x, is_class, weight)` for each column of features, over its unmasked rows."""
    rows.refuse_bad_rows()
    open_ = _open_classes(rows.scores)
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight
    n_classes = open_.shape[1]
    first = n_classes - features.shape[1]  # for two classes the one map is of the second
    usable = open_ if first == 0 else np.logical_and.reduce(open_, axis=1, keepdims=True)
    maps = []
    for column, k in enumerate(range(first, n_classes)):
        used = (weight > 0) & usable[:, column]
        x = features[used, column].astype(np.float64)
        maps.append(fit_one(x, (rows.y_index[used] == k).astype(np.float64), weight[used]))
    return maps


@dataclass(frozen=True)
class SigmoidMap(_OneVsRestMap):
    """`1 / (1 + exp(a x + b))` for each class, x its logit or log-odds."""

    slope: NDArray  # a, (K,) or (1,)
    intercept: NDArray  # b, likewise
    offset: float
    n_classes: int

    def _features(self, scores: Scores) -> NDArray:
        return log_odds(scores, self.offset)

    def _class_probabilities(self, features: NDArray) -> NDArray:
        return expit(-(self.slope * features + self.intercept))

    def fitted_attributes(self) -> dict[str, Any]:
        """See `SigmoidCalibration`."""
        return {
            "slope_": self.slope,
            "intercept_": self.intercept,
            "smoothing_": smoothing_of(self.offset, self.n_classes),
        }


def log_odds(scores: Scores, offset: float) -> NDArray:
    """What a sigmoid reads: logits as they are, probabilities as `log((p + c) / (1 - p + c))`.

    Two classes have one column: the difference of their logits.
    """
    if scores.are_logits:
        return _one_column_of_two(scores.values.astype(np.float64, copy=False))
    p = _probabilities(scores)
    smallest = max(offset, float(np.finfo(np.float64).tiny))
    return np.log(p + smallest) - np.log(1 - p + smallest)


def _fit_sigmoid(x: NDArray, is_class: NDArray, weight: NDArray) -> tuple[float, float]:
    if not len(x):
        return 0.0, np.inf  # a class masked in every row has probability 0
    # Its optimizer stops at a slope of fixed size, which much smaller scores have at the start.
    scale = _power_of_two(x) if np.abs(x).max() < _SMALL_SCORES else 1.0
    platt = platt_calibration().fit(x / scale, is_class, weight)
    return platt.a_ / scale, platt.b_


class SigmoidCalibration(BaseCalibrator):
    """Calibrate a classifier with a sigmoid for each class, as Platt did.

    The map is scikit-learn's own, ``1 / (1 + exp(a x + b))``, fitted to targets that are moved
    a little towards the middle. It reads logits as they are (for two classes their difference)
    and probabilities as log-odds. The predicted class can change.

    Parameters
    ----------
    estimator : estimator, default=None
        The classifier to calibrate, or None if X is its scores.
        See :class:`TemperatureScaling` for this and the other parameters without a note.
    response_method : {"auto", "decision_function", "predict_proba", "predict_log_proba"}, \
            default="auto"
        What the scores are.
    classes : array-like of shape (n_classes,), default=None
        Without an estimator: the label of each column of X.
    smoothing : "auto" or float, default="auto"
        For probabilities, the share of the uniform distribution mixed in before the logarithm.
    cv : int, cross-validation generator or iterable, default=None
        How rows are held out; None means 5 stratified folds.
    ensemble : bool or "auto", default=False
        Whether to average a pair of estimator and sigmoids for each fold.
    n_jobs : int, default=None
        Folds fitted in parallel.

    Attributes
    ----------
    slope_, intercept_ : ndarray of shape (n_classes,), or (1,) for two classes
        a and b of each class. These, `smoothing_`, `calibrator_` and `estimator_` exist unless an
        ensemble was fitted.
    smoothing_ : float
        The share of the uniform distribution mixed in; 0 for logits.
    classes_ : ndarray of shape (n_classes,)
        Sorted labels.
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

    See Also
    --------
    sklearn.calibration.CalibratedClassifierCV : The same map in scikit-learn's wrapper.

    References
    ----------
    .. [1] Platt, "Probabilistic Outputs for Support Vector Machines", 1999.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.svm import LinearSVC
    >>> from skcalib import SigmoidCalibration
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = SigmoidCalibration(LinearSVC(random_state=0)).fit(X, y)
    >>> model.predict_proba(X[:1]).shape
    (1, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseCalibrator._parameter_constraints,
        "smoothing": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        response_method: str = "auto",
        classes: ArrayLike | None = None,
        smoothing: float | str = "auto",
        cv: Any = None,
        ensemble: bool | str = False,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.response_method = response_method
        self.classes = classes
        self.smoothing = smoothing
        self.cv = cv
        self.ensemble = ensemble
        self.n_jobs = n_jobs

    def _fit_map(self, rows: CalibrationRows) -> SigmoidMap:
        if rows.scores.are_logits:
            offset = 0.0
        elif self.smoothing == "auto":
            offset, _ = fit_scores(rows, 1.0, "auto")
        else:
            offset = offset_of(float(self.smoothing), rows.n_classes)
        pairs = _fit_each_class(rows, log_odds(rows.scores, offset), _fit_sigmoid)
        slope, intercept = np.array(pairs).T
        return SigmoidMap(slope, intercept, offset, rows.n_classes)


@dataclass(frozen=True)
class IsotonicMap(_OneVsRestMap):
    """A monotone step-and-slope function for each class, mixed with a little of uniform."""

    functions: tuple[tuple[IsotonicRegression, float] | None, ...]  # and the unit of its scores
    uniform_share: float  # 1 / (n + 1)

    def _features(self, scores: Scores) -> NDArray:
        return _monotone_scores(scores)

    def _class_probabilities(self, features: NDArray) -> NDArray:
        proba = np.zeros(features.shape)
        for k, fitted in enumerate(self.functions):
            if fitted is not None:
                function, scale = fitted
                proba[:, k] = function.predict(features[:, k] / scale)
        return proba

    def predict_proba(self, scores: Scores) -> NDArray:
        """Probabilities (n, K), no class that is not masked below `uniform_share / K`."""
        proba = super().predict_proba(scores)
        open_ = _open_classes(scores)
        share = proba.dtype.type(self.uniform_share)
        uniform = open_ / np.maximum(open_.sum(axis=1, keepdims=True), 1)
        return (1 - share) * proba + share * uniform.astype(proba.dtype)


def _monotone_scores(scores: Scores) -> NDArray:
    """What isotonic regression reads: logits or probabilities themselves, one column for two."""
    if scores.are_logits:
        return _one_column_of_two(scores.values.astype(np.float64, copy=False))
    return _probabilities(scores)


def _fit_isotonic(
    x: NDArray, is_class: NDArray, weight: NDArray
) -> tuple[IsotonicRegression, float] | None:
    if not len(x):
        return None  # a class masked in every row
    scale = _power_of_two(x)  # it takes scores closer than 1e-15 for equal
    return IsotonicRegression(out_of_bounds="clip").fit(x / scale, is_class, weight), scale


def _power_of_two(x: NDArray) -> float:
    """The power of two at the largest size among x: dividing by it rounds nothing."""
    return float(np.ldexp(1.0, np.frexp(np.abs(x).max())[1])) or 1.0


class IsotonicCalibration(BaseCalibrator):
    """Calibrate a classifier with an isotonic regression for each class.

    The map is scikit-learn's own: the monotone function of the score that fits the labels best.
    It can mend any monotone distortion but needs rows, about a thousand. Its exact zeros would
    make the log loss infinite, so a share ``1 / (n + 1)`` of the uniform distribution is mixed
    in, n being the sum of the weights: let them sum to the number of rows, not to one. The
    predicted class can change.

    Parameters
    ----------
    estimator : estimator, default=None
        The classifier to calibrate, or None if X is its scores.
        See :class:`TemperatureScaling` for this and the other parameters without a note.
    response_method : {"auto", "decision_function", "predict_proba", "predict_log_proba"}, \
            default="auto"
        What the scores are.
    classes : array-like of shape (n_classes,), default=None
        Without an estimator: the label of each column of X.
    cv : int, cross-validation generator or iterable, default=None
        How rows are held out; None means 5 stratified folds.
    ensemble : bool or "auto", default=False
        Whether to average a pair of estimator and functions for each fold.
    n_jobs : int, default=None
        Folds fitted in parallel.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted labels.
    estimator_ : estimator
        The wrapped estimator, fitted on all rows. Not with ``estimator=None`` or an ensemble.
    calibrator_ : object
        The fitted map from scores to probabilities. Not with an ensemble.
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

    See Also
    --------
    sklearn.calibration.CalibratedClassifierCV : The same map in scikit-learn's wrapper.

    References
    ----------
    .. [1] Zadrozny, Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability
       Estimates", KDD 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from skcalib import IsotonicCalibration
    >>> decision, y = np.array([-1.0, -1.0, 1.0, 1.0]), np.array([0, 0, 0, 1])
    >>> model = IsotonicCalibration().fit(decision, y)
    >>> model.predict_proba(decision[2:3])  # half of them are 1
    array([[0.5, 0.5]])
    >>> model.predict_proba(decision[:1])  # 0 mixed with 1/5 of 1/2
    array([[0.9, 0.1]])
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        response_method: str = "auto",
        classes: ArrayLike | None = None,
        cv: Any = None,
        ensemble: bool | str = False,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.response_method = response_method
        self.classes = classes
        self.cv = cv
        self.ensemble = ensemble
        self.n_jobs = n_jobs

    def _fit_map(self, rows: CalibrationRows) -> IsotonicMap:
        functions = _fit_each_class(rows, _monotone_scores(rows.scores), _fit_isotonic)
        return IsotonicMap(tuple(functions), 1 / (rows.total_weight + 1))
