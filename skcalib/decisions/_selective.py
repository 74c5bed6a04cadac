"""Selective classification: answer the sure rows, abstain from the others."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from skcalib._kernels._binning import top_label
from skcalib._kernels._risk_path import (
    RiskPath,
    fewest_rows,
    n_passing,
    prefix_sizes,
    risk_path,
    threshold_of_share,
)
from skcalib._response import RESPONSE_METHODS, Scores
from skcalib._validation import (
    Interval,
    StrOptions,
    check_labels,
    check_same_length,
    check_weights,
)
from skcalib.calibrators._base import BaseCalibrator
from skcalib.calibrators._map import CalibrationMap
from skcalib.calibrators._rows import CalibrationRows
from skcalib.decisions._answers import abstention_of, refuse_other_labels, with_abstention
from skcalib.decisions._probabilities import probabilities_of
from skcalib.decisions._selective_summary import SelectiveSummary

_MODES = ("threshold", "max_risk", "coverage")


@dataclass(frozen=True)
class SelectiveMap(CalibrationMap):
    """The probabilities as they are, and which confidence is enough.

    Parameters
    ----------
    threshold : float
        Infinity to abstain always.
    at_threshold : RiskPath of one prefix, or none if no calibration row is that sure
    path : RiskPath
        All prefixes that were looked at.
    n_rows : int
    total_weight : float
    abstain_label : object
    fewest_rows : int or None
        Rows that a bound takes at least, where one is asked for.
    """

    threshold: float
    at_threshold: RiskPath
    path: RiskPath
    n_rows: int
    total_weight: float
    abstain_label: Any
    fewest_rows: int | None

    @property
    def keeps_argmax(self) -> bool:
        """Nothing is changed."""
        return True

    def predict_proba(self, scores: Scores) -> NDArray:
        """Probabilities (n, K)."""
        return probabilities_of(scores)

    def fitted_attributes(self) -> dict[str, Any]:
        """See `SelectiveClassifier`."""
        here = self.at_threshold
        answered = len(here.kept) > 0
        return {
            "threshold_": self.threshold,
            "coverage_": float(here.kept[0] / self.total_weight) if answered else 0.0,
            "risk_": float(here.wrong[0] / here.kept[0]) if answered else np.nan,
            "risk_bound_": float(here.bound[0]) if answered else 1.0,
            "n_calibration_": self.n_rows,
            "abstain_label_": self.abstain_label,
        }


class SelectiveClassifier(BaseCalibrator):
    """Predict where the classifier is sure enough, and abstain from the other rows.

    A row is answered if its confidence, the largest of its probabilities, reaches a threshold.
    The threshold is given, or chosen on rows that the classifier was not fitted on: for a share of
    rows to be answered, or as low as a bound on the share of wrong answers permits.

    Parameters
    ----------
    estimator : estimator, default=None
        The classifier, best a calibrated one. It is cross-fitted, unless it is a
        :class:`~sklearn.frozen.FrozenEstimator`: then every row passed to `fit` chooses the
        threshold. With None, X *is* the probabilities of some model.
    threshold : float, default=None
        The least confidence that is answered, between 0 and 1. Exactly one of this and the next
        two is to be given.
    max_risk : float, default=None
        The largest share of wrong answers among all answers, between 0 and 1. The threshold is
        then the lowest that shows a risk of no more than this; it holds with probability
        `confidence`. Where none does, every row is abstained from, with a warning. Without an
        error ``log(1 - confidence) / log(1 - max_risk)`` rows are needed: 230 for 1 % at .9.
    coverage : float, default=None
        The share of rows to be answered, above 0 and at most 1. A further row is, with at least
        this probability: the threshold is the k-th smallest of n confidences,
        ``k = floor((n + 1) (1 - coverage))``. Of rows with weights that are no whole numbers at
        least this share of the weight is answered. No labels are looked at for it.
    confidence : float, default=0.9
        Probability, over the rows that choose the threshold, with which `risk_bound_` holds.
    abstain_label : object, default=None
        What `predict` returns where it abstains; none of the classes. None is "abstain" for
        strings, NaN for floats, and for integers and booleans the integer below all of them and
        0: that is -1, for the classes -1 and 1 it is -2.
    response_method : {"predict_proba", "decision_function", "predict_log_proba"}, \
            default="predict_proba"
        What the scores are. The others become probabilities by a softmax.
    classes : array-like of shape (n_classes,), default=None
        Without an estimator: the label of each column of X; see :class:`TemperatureScaling`.
    cv : int, cross-validation generator or iterable, default=None
        How rows are held out from the estimator; None means 5 stratified folds.
    n_jobs : int, default=None
        Folds fitted in parallel, by joblib.

    Attributes
    ----------
    threshold_ : float
        Rows of at least this confidence are answered; infinity if none are to be.
    coverage_ : float
        Share of the calibration rows that are answered.
    risk_ : float
        Share of wrong answers among them; NaN if there are none.
    risk_bound_ : float
        Upper bound on the risk at the threshold, by Clopper and Pearson: of new rows that are
        answered no larger share is wrong, with probability `confidence`. 1 if no calibration row
        is answered, NaN for weighted rows.
    n_calibration_ : int
        Number of calibration rows of positive weight.
    abstain_label_ : object
        What `predict` returns where it abstains.
    classes_ : ndarray of shape (n_classes,)
        Sorted labels, without that of abstention.
    estimator_ : estimator
        The wrapped estimator, fitted on all rows. Not with ``estimator=None``.
    calibrator_ : object
        The fitted threshold and what it was chosen from.
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
        By `fit`, unless exactly one of `threshold`, `max_risk` and `coverage` is given; if
        `abstain_label` is a class; with `max_risk`, for weights that differ, for a `cv` that holds
        rows out more than once, and for a risk so small that no number of rows shows it; and for
        whatever no calibrator takes.

    Warns
    -----
    UserWarning
        If no threshold shows a risk of at most `max_risk`, so that every row is abstained from.

    See Also
    --------
    CascadeClassifier : Let another classifier answer instead.
    skcalib.metrics.risk_coverage_curve : What each threshold would have kept.

    Notes
    -----
    With `max_risk`, prefixes of the calibration rows, the most confident first, are tested in a
    fixed order: the shortest that can pass, then every n / 50 rows, until one fails. Equal
    confidences enter together. The bound of the last that passes is `risk_bound_`.

    For a frozen estimator the guarantee is exact where the risk does not rise with confidence.
    Where it does, each single test is exact but the sizes of the prefixes are read off the same
    rows; simulations and real scores show fewer violations than are allowed all the same. Around an
    estimator that is cross-fitted the guarantee is approximate: the confidences are those of the
    folds' models, which saw fewer rows than the one that answers.

    The rows must be independent, and like those to come. Where rows belong together (pages of a
    document, images of a patient) the bound is too low, whatever the folds: calibrate on one row of
    each group. A weighted row is no number of independent ones: there is no valid bound, and
    `max_risk` refuses weights that differ, but for those of 0.

    References
    ----------
    .. [1] Geifman, El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017.
    .. [2] Angelopoulos, Bates, Candes, Jordan, Lei, "Learn then Test", 2021, section 2.3.
    .. [3] Clopper, Pearson, "The use of confidence or fiducial limits illustrated in the case of
       the binomial", Biometrika 26 (1934).

    Examples
    --------
    Of a hundred rows at 90 % none is wrong, of a hundred at 60 % every other. A bound of 5 % needs
    45 of the former, ``log(0.1) / log(0.95) = 44.9``:

    >>> import numpy as np
    >>> from skcalib.decisions import SelectiveClassifier
    >>> proba = np.repeat([[0.1, 0.9], [0.4, 0.6]], 100, axis=0)
    >>> y = np.array([1] * 100 + [0, 1] * 50)
    >>> selective = SelectiveClassifier(max_risk=0.05).fit(proba, y)
    >>> selective.threshold_, selective.coverage_
    (0.9, 0.5)
    >>> round(selective.risk_bound_, 4)  # 1 - 0.1 ** (1 / 100)
    0.0228
    >>> selective.predict([[0.05, 0.95], [0.3, 0.7]])
    array([ 1, -1])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseCalibrator._parameter_constraints,
        "threshold": [Interval(Real, 0, 1, closed="both"), None],
        "max_risk": [Interval(Real, 0, 1, closed="neither"), None],
        "coverage": [Interval(Real, 0, 1, closed="right"), None],
        "confidence": [Interval(Real, 0, 1, closed="neither")],
        "response_method": [StrOptions(set(RESPONSE_METHODS))],
    }

    # One threshold for one model: an average of models would need a threshold of its own.
    ensemble = False

    def __init__(
        self,
        estimator: Any = None,
        *,
        threshold: float | None = None,
        max_risk: float | None = None,
        coverage: float | None = None,
        confidence: float = 0.9,
        abstain_label: Any = None,
        response_method: str = "predict_proba",
        classes: ArrayLike | None = None,
        cv: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.threshold = threshold
        self.max_risk = max_risk
        self.coverage = coverage
        self.confidence = confidence
        self.abstain_label = abstain_label
        self.response_method = response_method
        self.classes = classes
        self.cv = cv
        self.n_jobs = n_jobs

    def predict(self, X: Any) -> NDArray:
        """Labels of the likeliest classes, and `abstain_label_` where the threshold is not reached.

        The type of the array does not depend on whether a row is abstained from. It is that of
        the classes where that can hold `abstain_label_` too, else object.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame
            As in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        proba = self.predict_proba(X)
        labels = with_abstention(self.classes_, self.abstain_label_)
        return labels[np.where(self._reach(proba), proba.argmax(axis=1), len(self.classes_))]

    def accepts(self, X: Any) -> NDArray:
        """Which rows are answered.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame
            As in `fit`.

        Returns
        -------
        accepted : ndarray of shape (n_samples,), bool
        """
        return self._reach(self.predict_proba(X))

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Share of all rows that are answered, and rightly.

        An abstention counts as an answer that is not right, as in the accuracy of `predict`: of two
        models that keep the same `max_risk` the one that answers more scores higher.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame
            As in `fit`.
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each row counts for.

        Returns
        -------
        score : float
            Between 0 and 1.

        Raises
        ------
        ValueError
            If there is not one label for each row.
        TypeError
            If the labels are strings and the classes numbers, or the other way round.
        """
        proba = self.predict_proba(X)
        labels = check_labels(y)
        check_same_length(len(proba), labels)
        refuse_other_labels(labels, self.classes_)
        right = self._reach(proba) & (self.classes_[proba.argmax(axis=1)] == labels)
        return float(np.average(right, weights=check_weights(sample_weight, len(labels))))

    def summary(self) -> SelectiveSummary:
        """What thresholds on the calibration rows would answer, and at which risk.

        Returns
        -------
        summary : SelectiveSummary
            A table of the prefixes of calibration rows that were looked at. It prints, shows in
            notebooks, and `to_frame()` makes a data frame of it.
        """
        check_is_fitted(self)
        fitted: SelectiveMap = self.calibrator_
        return SelectiveSummary(fitted.path, fitted.total_weight, fitted.threshold, self.confidence)

    def _reach(self, proba: NDArray) -> NDArray:
        return proba.max(axis=1) >= self.threshold_

    def _check_parameters(self) -> None:
        super()._check_parameters()
        given = [name for name in _MODES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"exactly one of {', '.join(_MODES)} must be given, got "
                f"{' and '.join(given) or 'none of them'}."
            )
        if self.max_risk is not None and self._fewest_rows() is None:
            raise ValueError(
                f"max_risk must be a risk that rows can show: for {self.max_risk:g} it would take "
                "more than can be counted. Allow more."
            )

    def _fewest_rows(self) -> int | None:
        """Rows that a bound takes at least, where one is asked for."""
        return None if self.max_risk is None else fewest_rows(self.max_risk, 1 - self.confidence)

    def _fit_map(self, rows: CalibrationRows) -> SelectiveMap:
        label = abstention_of(rows.classes, self.abstain_label)
        if self.max_risk is not None:
            _refuse_dependent_rows(rows)
        rows.refuse_bad_rows()
        rows = rows.that_count()
        alike = rows.weight is None or self.max_risk is not None or (rows.weight == 1).all()
        weight = None if alike else rows.weight
        top, correct = top_label(probabilities_of(rows.scores)[_index(rows)], rows.y_index)
        delta = 1 - self.confidence
        fewest = self._fewest_rows()
        path = risk_path(top, correct, weight, prefix_sizes(len(top), fewest), delta)
        threshold = self._chosen_threshold(path, top, weight)
        # A prefix of its own: a threshold that is given lies between those of the path.
        size = np.array([np.count_nonzero(top >= threshold)])
        return SelectiveMap(
            threshold,
            risk_path(top, correct, weight, size[size > 0], delta),
            path,
            rows.n_distinct,
            float(len(rows)) if weight is None else rows.total_weight,
            label,
            fewest,
        )

    def _chosen_threshold(self, path: RiskPath, top: NDArray, weight: NDArray | None) -> float:
        if self.max_risk is not None:
            return _lowest_shown(path, self.max_risk)
        if self.coverage is not None:
            return threshold_of_share(top, weight, self.coverage)
        return float(self.threshold or 0)

    def _replace_fitted(self, fitted: dict[str, Any]) -> None:
        if fitted["threshold_"] == np.inf:
            warnings.warn(_why_never(fitted["calibrator_"], self.max_risk), UserWarning, 3)
        super()._replace_fitted(fitted)


def _lowest_shown(path: RiskPath, max_risk: float) -> float:
    """The lowest threshold that shows a risk of no more than this; infinity if none does."""
    passing = n_passing(path.bound, max_risk)
    if passing == 0:
        return np.inf
    # The last prefix holds all rows: it says of any row, however unsure, what may be answered.
    return 0.0 if passing == len(path.bound) else float(path.threshold[passing - 1])


def _index(rows: CalibrationRows) -> slice | NDArray:
    return slice(None) if rows.index is None else rows.index


def _refuse_dependent_rows(rows: CalibrationRows) -> None:
    """Raise if rows are no independent ones that count alike."""
    if rows.originals is not None:
        raise ValueError(
            "cv holds rows out more than once, and max_risk needs independent ones: pass a cv "
            "whose folds do not overlap, such as cv=5."
        )
    counts = rows.that_count().weight
    if counts is not None and not (counts == counts[0]).all():
        raise ValueError(
            "sample_weight must be one number or 0 with max_risk: weighted rows have no exact "
            "bound. Fit the weighted model first and pass it as FrozenEstimator(model), with rows "
            "of the population to come; or choose the threshold by coverage."
        )


def _why_never(fitted: SelectiveMap, max_risk: float | None) -> str:
    """What kept every threshold from showing the risk, and what to do about it."""
    too_few = fitted.fewest_rows is not None and fitted.n_rows < fitted.fewest_rows
    why = (
        f"{fitted.n_rows} calibration rows are too few, {fitted.fewest_rows:.15g} without an error "
        "are needed. Pass more rows, or allow more risk."
        if too_few
        else "the most confident rows are wrong too often. Allow more risk, or use a better model."
    )
    return (
        f"No threshold shows a risk of at most {max_risk:g}, so every row is abstained from: {why}"
    )
