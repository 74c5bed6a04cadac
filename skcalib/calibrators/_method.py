"""Any calibrator, chosen by a parameter."""

from __future__ import annotations

from typing import Any, ClassVar

from numpy.typing import ArrayLike, NDArray

from skcalib._validation import StrOptions
from skcalib.calibrators._base import BaseCalibrator
from skcalib.calibrators._classical import IsotonicCalibration, SigmoidCalibration
from skcalib.calibrators._context import ContextReader
from skcalib.calibrators._ensemble_temperature import EnsembleTemperatureScaling
from skcalib.calibrators._linear import MatrixScaling, VectorScaling
from skcalib.calibrators._map import CalibrationMap
from skcalib.calibrators._reading import ScoreReader
from skcalib.calibrators._rows import CalibrationRows
from skcalib.calibrators._structured import StructuredScaling
from skcalib.calibrators._temperature import TemperatureScaling

_METHODS: dict[str, type[BaseCalibrator]] = {
    "structured": StructuredScaling,
    "temperature": TemperatureScaling,
    "ensemble_temperature": EnsembleTemperatureScaling,
    "vector": VectorScaling,
    "matrix": MatrixScaling,
    "sigmoid": SigmoidCalibration,
    "isotonic": IsotonicCalibration,
}


# What else the literature calls them.
_OTHER_NAMES = {
    "platt": " Platt's method is 'sigmoid'.",
    "beta": " Beta calibration is 'vector' for two classes.",
    "dirichlet": " 'matrix' is the same linear map with shrinkage.",
    "prior_shift": " It needs a prior: pass PriorShift(target_prior=...).",
}


class CalibratedClassifier(BaseCalibrator):
    """Calibrate a classifier by the method named, so that the method can be searched over.

    ``GridSearchCV(CalibratedClassifier(model), {"method": ["temperature", "sigmoid"]})`` finds
    the better of the two.

    Parameters
    ----------
    estimator : estimator, default=None
        The classifier to calibrate, or None if X is its scores.
        See :class:`TemperatureScaling` for this and the other parameters without a note.
    method : {"structured", "temperature", "ensemble_temperature", "vector", "matrix", \
            "sigmoid", "isotonic"} or calibrator, default="structured"
        A name stands for that calibrator with its default parameters. A calibrator, such as
        ``TemperatureScaling(alpha=0)``, gives its own; what concerns the wrapping (estimator,
        scores, classes, folds) is set here, not there. The default is the one of the lowest mean
        log loss on the score sets of the user guide, which says where it loses; where the
        predicted class must stay take "temperature", "ensemble_temperature" or
        ``StructuredScaling(accuracy_preserving=True)``.
    response_method : {"auto", "decision_function", "predict_proba", "predict_log_proba"}, \
            default="auto"
        What the scores are.
    classes : array-like of shape (n_classes,), default=None
        Without an estimator: the label of each column of X.
    cv : int, cross-validation generator or iterable, default=None
        How rows are held out; None means 5 stratified folds.
    ensemble : bool or "auto", default=False
        Whether to average a pair of estimator and calibrator for each fold.
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

    Notes
    -----
    What the chosen calibrator shows of its fit, such as `temperature_`, is an attribute here too.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skcalib import CalibratedClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> search = GridSearchCV(
    ...     CalibratedClassifier(GaussianNB()),
    ...     {"method": ["temperature", "sigmoid", "isotonic"]},
    ...     scoring="neg_log_loss",
    ... ).fit(X, y)
    >>> search.best_params_["method"] in {"temperature", "sigmoid", "isotonic"}
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseCalibrator._parameter_constraints,
        "method": [StrOptions(set(_METHODS)), BaseCalibrator],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        method: str | BaseCalibrator = "structured",
        response_method: str = "auto",
        classes: ArrayLike | None = None,
        cv: Any = None,
        ensemble: bool | str = False,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.response_method = response_method
        self.classes = classes
        self.cv = cv
        self.ensemble = ensemble
        self.n_jobs = n_jobs

    def _check_parameters(self) -> None:
        if not isinstance(self.method, BaseCalibrator) and self.method not in _METHODS:
            raise _unknown_method(self.method)
        super()._check_parameters()
        if isinstance(self.method, BaseCalibrator):
            self.method._check_parameters()
            _refuse_wrapping_parameters(self.method)

    def _check_groups(self, groups: ArrayLike | None, wrapper: BaseCalibrator) -> None:
        self._chosen()._check_groups(groups, wrapper)

    def _check_classes(self, classes: NDArray) -> None:
        self._chosen()._check_classes(classes)

    def _reader(self, X: Any, labels: NDArray | None, wrapper: ScoreReader) -> ContextReader:
        return self._chosen()._reader(X, labels, wrapper)

    def _fit_map(self, rows: CalibrationRows) -> CalibrationMap:
        return self._chosen()._fit_map(rows)

    def _chosen(self) -> BaseCalibrator:
        """The calibrator that `method` stands for."""
        return _METHODS[self.method]() if isinstance(self.method, str) else self.method


def _unknown_method(method: Any) -> ValueError | TypeError:
    """The error for a method that is neither a name nor a calibrator."""
    expected = (
        f"method must be one of {sorted(_METHODS)} or a calibrator such as "
        "TemperatureScaling(alpha=0), got "
    )
    if isinstance(method, type):
        return TypeError(f"{expected}the class {method.__name__}: pass {method.__name__}().")
    if not isinstance(method, str):
        return TypeError(f"{expected}{method!r}.")
    hint = _OTHER_NAMES.get(method, "")
    return ValueError(f"{expected}{method!r}.{hint}")


def _refuse_wrapping_parameters(method: BaseCalibrator) -> None:
    """A calibrator that is only a method must not say how to wrap: nobody would listen."""
    given, default = method.get_params(deep=False), type(method)().get_params(deep=False)
    for name in BaseCalibrator._parameter_constraints:
        same = type(given[name]) is type(default[name]) and given[name] == default[name]
        if not same:
            raise ValueError(
                f"method={method!r} sets {name}, which belongs to the wrapper: pass {name} to "
                "CalibratedClassifier instead."
            )
