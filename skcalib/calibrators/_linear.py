"""Vector and matrix scaling: one linear map of the logits, at one strength."""

from __future__ import annotations

from abc import abstractmethod
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._kernels._coefficients import Penalties
from skcalib._validation import Interval, StrOptions
from skcalib.calibrators._base import BaseCalibrator
from skcalib.calibrators._inner_folds import held_out_densities, mean_losses, number_of_folds
from skcalib.calibrators._mixture_map import MixtureMap
from skcalib.calibrators._path_fitter import MOST_COEFFICIENTS, PathFitter
from skcalib.calibrators._rows import CalibrationRows
from skcalib.calibrators._threads import one_blas_thread

# What penalty="cv" chooses from: strong first, each search starts where the last one ended.
_PENALTIES = (100.0, 10.0, 1.0, 0.1, 0.01)
_DEFAULT_PENALTY = 1.0

# Times K^2 it is still finite; an infinite penalty leaves its coefficients out.
_LARGEST_PENALTY = 1e100

_MOST_CLASSES = int(np.sqrt(MOST_COEFFICIENTS))

# Shares of the mixture that serves: neither uniform nor the model's own, the map alone.
_MAP_ALONE = np.array([0.0, 0.0, 1.0])


class _LinearScaling(BaseCalibrator):
    """One linear map of the logits that a temperature left."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseCalibrator._parameter_constraints,
        "penalty": [StrOptions({"cv"}), Interval(Real, 0, _LARGEST_PENALTY, closed="right")],
        "alpha": [Interval(Real, 0, None, closed="both")],  # inf included
        "smoothing": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
    }

    penalty: float | str
    alpha: float
    smoothing: float | str

    @abstractmethod
    def _penalties(self, penalty: float, n_classes: int) -> Penalties:
        """Of each block of coefficients."""

    @abstractmethod
    def _shown(self, fitted: dict[str, NDArray]) -> dict[str, Any]:
        """The coefficients as attributes."""

    def _fit_map(self, rows: CalibrationRows) -> MixtureMap:
        rows = rows.that_count()
        shown: dict[str, Any] = {}
        with one_blas_thread:
            if self.penalty == "cv":
                penalty, losses = self._choose_penalty(rows)
                shown = {"penalties_": np.array(_PENALTIES), "cv_losses_": losses}
            else:
                penalty = float(self.penalty)
            offset, path, obstacle = self._fitter((penalty,), rows.n_classes)(rows)
        fitted = {name: c for name, c in path.maps[0]._asdict().items() if c is not None}
        shown |= {"penalty_": penalty, "n_iter_": path.n_iter[0], **self._shown(fitted)}
        return MixtureMap(path, offset, _MAP_ALONE, rows.n_classes, False, obstacle, shown)

    def _fitter(self, penalties: tuple[float, ...], n_classes: int) -> PathFitter:
        blocks = tuple(self._penalties(penalty, n_classes) for penalty in penalties)
        return PathFitter(blocks, self.alpha, self.smoothing)

    def _choose_penalty(self, rows: CalibrationRows) -> tuple[float, NDArray]:
        """The penalty of the lowest held-out log loss, and the losses of all."""
        fit = self._fitter(_PENALTIES, rows.n_classes)
        densities = held_out_densities(rows, fit, number_of_folds(rows))[:, 2:]
        losses = mean_losses(densities, rows.weight)
        if not len(densities):
            return _DEFAULT_PENALTY, losses
        return _PENALTIES[int(losses.argmin())], losses


class VectorScaling(_LinearScaling):
    """Calibrate a classifier by a stretch and a bias for the logit of each class.

    Probabilities are ``softmax(a_k z_k + b_k)``, with ``z = log((1 - e) softmax(s / T) + e / K)``
    of the scores s. The share ``e = 1 / (n + 1)``, n being the sum of the weights, keeps z bounded:
    let weights sum to the number of rows, not to one. Stretches shrink to 1 and biases to 0, by a
    penalty that many rows outweigh. Classes that are predicted too often or too rarely are mended;
    the predicted class can change.

    For two classes this is beta calibration, with shrinkage and of probabilities with that share
    mixed in; with ``alpha=np.inf`` no temperature comes first.

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
    penalty : float or "cv", default=1.0
        r in the objective ``sum(w * log_loss) + r * K * (sum((a - 1)**2) + sum(b**2))``, positive
        and at most 1e100. "cv" takes that of 100, 10, 1, 0.1 and 0.01 with the lowest log loss on
        rows held out, in 10, 5 or 3 folds by cost; groups are not kept whole.
    alpha : float, default=1.0
        Precision of the prior on log T of the temperature that comes first, at least 0; with
        ``np.inf`` T is 1.
    smoothing : "auto" or float, default="auto"
        For probabilities, the share of the uniform distribution mixed in before the logarithm.
    cv : int, cross-validation generator or iterable, default=None
        How rows are held out from the estimator; None means 5 stratified folds.
    ensemble : bool or "auto", default=False
        Whether to average a pair of estimator and map for each fold.
    n_jobs : int, default=None
        Folds fitted in parallel.

    Attributes
    ----------
    stretch_ : ndarray of shape (n_classes,)
        a. This and the attributes up to `cv_losses_`, `calibrator_` and `estimator_` exist unless
        an ensemble was fitted.
    bias_ : ndarray of shape (n_classes,)
        b.
    temperature_ : float
        T, fitted with the share e mixed in: a few labels that the model rules out raise it less
        than that of :class:`TemperatureScaling`.
    smoothing_ : float
        The share of the uniform distribution mixed into probabilities; 0 for logits.
    penalty_ : float
        r.
    n_iter_ : int
        Steps of the search for the coefficients.
    penalties_, cv_losses_ : ndarray of shape (5,)
        What "cv" chose from, and the mean log loss of each on rows held out, in nats; NaN for
        fewer than ten rows, which are fitted with 1. Only with ``penalty="cv"``.
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

    Warns
    -----
    ConvergenceWarning
        By `fit`, if the search for the coefficients did not end within 500 steps; and if the rows
        do not determine T, as none does with ``alpha=0`` and no mistake among them.

    See Also
    --------
    StructuredScaling : Linear maps of several strengths, pooled: better than one strength.
    MatrixScaling : The same with coefficients between classes.

    References
    ----------
    .. [1] Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
       section 4.2.
    .. [2] Berta, Holzmueller, Jordan, Bach, "Structured Matrix Scaling for Multi-Class
       Calibration", 2025: the penalty.
    .. [3] Kull, Silva Filho, Flach, "Beta calibration", AISTATS 2017.

    Examples
    --------
    A model whose scores know nothing of the base rate, 80 % of class 1:

    >>> import numpy as np
    >>> from skcalib import VectorScaling
    >>> decision, y = np.array([-1.0, 1.0] * 500), np.array([0, 1, 1, 1, 1] * 200)
    >>> model = VectorScaling(penalty=0.01).fit(decision, y)
    >>> model.predict_proba([[1.0]]).round(2)
    array([[0.2, 0.8]])
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        response_method: str = "auto",
        classes: ArrayLike | None = None,
        penalty: float | str = 1.0,
        alpha: float = 1.0,
        smoothing: float | str = "auto",
        cv: Any = None,
        ensemble: bool | str = False,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.response_method = response_method
        self.classes = classes
        self.penalty = penalty
        self.alpha = alpha
        self.smoothing = smoothing
        self.cv = cv
        self.ensemble = ensemble
        self.n_jobs = n_jobs

    def _penalties(self, penalty: float, n_classes: int) -> Penalties:
        return Penalties(stretch=penalty * n_classes, bias=penalty * n_classes)

    def _shown(self, fitted: dict[str, NDArray]) -> dict[str, Any]:
        return {"stretch_": 1 + fitted["stretch"], "bias_": fitted["bias"]}


class MatrixScaling(_LinearScaling):
    """Calibrate a classifier by a matrix and a bias for its logits.

    Probabilities are ``softmax(A z + b)``, with ``z = log((1 - e) softmax(s / T) + e / K)`` of the
    scores s. The share ``e = 1 / (n + 1)``, n being the sum of the weights, keeps z bounded: let
    weights sum to the number of rows, not to one. A shrinks to the identity and b to 0, off the
    diagonal by as much more as there are more coefficients: structured matrix scaling. The
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
    penalty : float or "cv", default=1.0
        r in the objective ``sum(w * log_loss) + r * K * (sum((diag(A) - 1)**2) + sum(b**2)) +
        r * K * (K - 1) * sum(off_diag(A)**2)``, in (0, 1e100]. "cv" takes that of 100, 10, 1, 0.1
        and 0.01 with the lowest log loss on rows held out, in 10, 5 or 3 folds by cost; groups
        are not kept whole.
    alpha : float, default=1.0
        Precision of the prior on log T of the temperature that comes first, at least 0; with
        ``np.inf`` T is 1.
    smoothing : "auto" or float, default="auto"
        For probabilities, the share of the uniform distribution mixed in before the logarithm.
    cv : int, cross-validation generator or iterable, default=None
        How rows are held out from the estimator; None means 5 stratified folds.
    ensemble : bool or "auto", default=False
        Whether to average a pair of estimator and map for each fold.
    n_jobs : int, default=None
        Folds fitted in parallel.

    Attributes
    ----------
    matrix_ : ndarray of shape (n_classes, n_classes)
        A. This and the attributes up to `cv_losses_`, `calibrator_` and `estimator_` exist unless
        an ensemble was fitted.
    bias_ : ndarray of shape (n_classes,)
        b.
    temperature_ : float
        T, fitted with the share e mixed in: a few labels that the model rules out raise it less
        than that of :class:`TemperatureScaling`.
    smoothing_ : float
        The share of the uniform distribution mixed into probabilities; 0 for logits.
    penalty_ : float
        r.
    n_iter_ : int
        Steps of the search for the coefficients.
    penalties_, cv_losses_ : ndarray of shape (5,)
        What "cv" chose from, and the mean log loss of each on rows held out, in nats; NaN for
        fewer than ten rows, which are fitted with 1. Only with ``penalty="cv"``.
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

    Raises
    ------
    ValueError
        By `fit`, besides what :class:`TemperatureScaling` raises: for more than 1448 classes,
        whose search would take more than 720 MB.

    Warns
    -----
    ConvergenceWarning
        By `fit`, if the search for the coefficients did not end within 500 steps; and if the rows
        do not determine T, as none does with ``alpha=0`` and no mistake among them.

    See Also
    --------
    StructuredScaling : Linear maps of several strengths, pooled: better than one strength.
    VectorScaling : The same without coefficients between classes.

    References
    ----------
    .. [1] Berta, Holzmueller, Jordan, Bach, "Structured Matrix Scaling for Multi-Class
       Calibration", 2025.

    Examples
    --------
    >>> from skcalib import MatrixScaling
    >>> from skcalib.datasets import load_logits
    >>> data = load_logits("letter_random_forest")
    >>> model = MatrixScaling().fit(data.logits[data.calibration], data.target[data.calibration])
    >>> model.matrix_.shape
    (26, 26)
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        response_method: str = "auto",
        classes: ArrayLike | None = None,
        penalty: float | str = 1.0,
        alpha: float = 1.0,
        smoothing: float | str = "auto",
        cv: Any = None,
        ensemble: bool | str = False,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.response_method = response_method
        self.classes = classes
        self.penalty = penalty
        self.alpha = alpha
        self.smoothing = smoothing
        self.cv = cv
        self.ensemble = ensemble
        self.n_jobs = n_jobs

    def _check_classes(self, classes: NDArray) -> None:
        if len(classes) > _MOST_CLASSES:
            raise ValueError(
                f"MatrixScaling fits a coefficient for each pair of classes, of at most "
                f"{_MOST_CLASSES} classes, got {len(classes)}. Take VectorScaling or "
                "StructuredScaling."
            )

    def _penalties(self, penalty: float, n_classes: int) -> Penalties:
        each = penalty * n_classes
        return Penalties(stretch=each, bias=each, matrix=each * (n_classes - 1))

    def _shown(self, fitted: dict[str, NDArray]) -> dict[str, Any]:
        matrix = np.diag(1 + fitted["stretch"]) + fitted["matrix"]
        return {"matrix_": matrix, "bias_": fitted["bias"]}
