"""Ensemble temperature scaling: temperature, the model's own probabilities, and uniform, mixed."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from skcalib._kernels._coefficients import Penalties
from skcalib._kernels._mixture import fit_mixture
from skcalib._kernels._path import member_densities
from skcalib._validation import Interval, StrOptions
from skcalib.calibrators._base import BaseCalibrator
from skcalib.calibrators._mixture_map import MixtureMap
from skcalib.calibrators._path_fitter import PathFitter
from skcalib.calibrators._rows import CalibrationRows

# Rows that uniform, the model's own probabilities and the temperature begin with to their names.
_PSEUDO_COUNTS = np.array([0.1, 0.2, 0.5])


class EnsembleTemperatureScaling(BaseCalibrator):
    """Calibrate a classifier by a mixture of tempered, own and uniform probabilities.

    Probabilities are ``w_0 / K + w_1 softmax(z) + w_2 ((1 - e) softmax(z / T) + e / K)``, with
    ``e = 1 / (n + 1)``, n being the sum of the weights. Where a single temperature must make all
    rows modest because a few are very wrong, the mixture does not: rows that are wrong whatever the
    model says are uniform's. The order of classes within a row stays, and so
    does the predicted class.

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
    alpha : float, default=1.0
        Precision of the prior on log T, at least 0.
    smoothing : "auto" or float, default="auto"
        For probabilities, the share of the uniform distribution mixed in before the logarithm.
    cv : int, cross-validation generator or iterable, default=None
        How rows are held out from the estimator; None means 5 stratified folds.
    ensemble : bool or "auto", default=False
        Whether to average a pair of estimator and mixture for each fold.
    n_jobs : int, default=None
        Folds fitted in parallel.

    Attributes
    ----------
    weights_ : ndarray of shape (3,)
        Shares of the mixture: w_0 of uniform, w_1 of the model's own probabilities, w_2 of
        temperature's. These attributes, `calibrator_` and `estimator_` exist unless an ensemble
        was fitted.
    temperature_ : float
        T, fitted before the shares are.
    smoothing_ : float
        The share of the uniform distribution mixed into probabilities; 0 for logits.
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
    TemperatureScaling : The temperature alone, with an interval for it.
    StructuredScaling : The same mixture with linear maps in it.

    Notes
    -----
    T is fitted by log loss of temperature's probabilities as they stand above, e / K included, with
    a prior: a few labels that the model rules out raise it less than that of
    :class:`TemperatureScaling`. Then the shares are those of the highest likelihood, with
    pseudo-counts of 0.1, 0.2 and 0.5 rows. Let weights sum to the number of rows, not to one.

    References
    ----------
    .. [1] Zhang, Kailkhura, Han, "Mix-n-Match: Ensemble and Compositional Methods for Uncertainty
       Calibration in Deep Learning", ICML 2020, section 4.1.

    Examples
    --------
    >>> from skcalib import EnsembleTemperatureScaling
    >>> from skcalib.datasets import load_logits
    >>> data = load_logits("mcq_smollm2_a")
    >>> cal = data.calibration
    >>> model = EnsembleTemperatureScaling().fit(data.logits[cal], data.target[cal])
    >>> model.weights_.round(1)
    array([0.1, 0.4, 0.4])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseCalibrator._parameter_constraints,
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
        cv: Any = None,
        ensemble: bool | str = False,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.response_method = response_method
        self.classes = classes
        self.alpha = alpha
        self.smoothing = smoothing
        self.cv = cv
        self.ensemble = ensemble
        self.n_jobs = n_jobs

    def _fit_map(self, rows: CalibrationRows) -> MixtureMap:
        rows = rows.that_count()
        offset, path, obstacle = PathFitter((Penalties(),), self.alpha, self.smoothing)(rows)
        # Three numbers of all rows: no need to hold any out.
        densities = member_densities(rows.source(), rows.source(offset), path, rows.y_index)
        shares = fit_mixture(densities, rows.weight, _PSEUDO_COUNTS).shares
        shown = {"weights_": shares}
        return MixtureMap(path, offset, shares, rows.n_classes, True, obstacle, shown)
