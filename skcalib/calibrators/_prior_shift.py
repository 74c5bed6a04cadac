"""Prior shift: the same model where classes are more or less frequent than they were."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from skcalib._kernels._blocks import Source
from skcalib._kernels._mixture import fit_mixture
from skcalib._kernels._softmax import log_softmax, softmax
from skcalib._response import Scores
from skcalib._validation import Interval
from skcalib.calibrators._base import BaseCalibrator
from skcalib.calibrators._map import CalibrationMap, refuse_nan_rows
from skcalib.calibrators._threads import one_blas_thread

# How far frequencies may be from summing to one: float32 passes, a forgotten class does not.
_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class ShiftedLogits:
    """Another source's logits with a number added for each class.

    A shift of -inf masks its class, except in rows that leave no other class open.

    Parameters
    ----------
    source : Source of n rows and K classes
    shift : ndarray of shape (K,), finite or -inf
    """

    source: Source
    shift: NDArray

    @property
    def shape(self) -> tuple[int, int]:
        return self.source.shape

    @property
    def dtype(self) -> np.dtype:
        return self.source.dtype

    def read(self, rows: slice | NDArray, buffer: NDArray) -> NDArray:
        block = self.source.read(rows, buffer)
        shift, possible = self.shift.astype(buffer.dtype), np.isfinite(self.shift)
        # Beside large scores a shift would be lost in rounding.
        np.subtract(block, block.max(axis=1, keepdims=True), out=buffer)
        if possible.all():
            return np.add(buffer, shift, out=buffer)
        shut = np.isneginf(buffer[:, possible]).all(axis=1, keepdims=True)
        return np.add(buffer, shift, out=buffer, where=~shut)


@dataclass(frozen=True)
class PriorShiftMap(CalibrationMap):
    """`q_k pi'_k / pi_k`, normalised: Bayes' rule with other class frequencies."""

    source_prior: NDArray  # pi, (K,)
    target_prior: NDArray  # pi', (K,), zero wherever pi is

    @property
    def keeps_argmax(self) -> bool:
        """Only if there is no shift."""
        same = np.array_equal(self.source_prior, self.target_prior)
        return same and bool((self.source_prior > 0).all())

    def predict_proba(self, scores: Scores) -> NDArray:
        """Probabilities (n, K)."""
        return softmax(self._shifted(scores))

    def predict_log_proba(self, scores: Scores) -> NDArray:
        """Log-probabilities (n, K)."""
        return log_softmax(self._shifted(scores))

    def likeliest_target_prior(self, scores: Scores, prior_rows: float) -> NDArray:
        """The pi' of unlabelled rows, (K,): see `PriorShift.adapt`."""
        shift = _log_ratio(np.ones(len(self.source_prior)), self.source_prior)
        # In float64 whatever the scores are: the search would convert them at each of its steps.
        densities = np.empty(scores.values.shape)
        softmax(ShiftedLogits(scores.source(), shift), out=densities)
        _refuse_impossible_rows(refuse_nan_rows(densities, scores), self.source_prior, scores.name)
        pseudo_counts = prior_rows * len(shift) * self.source_prior
        with one_blas_thread:
            return fit_mixture(densities, None, pseudo_counts, start=self.source_prior)

    def fitted_attributes(self) -> dict[str, Any]:
        """See `PriorShift`."""
        return {"source_prior_": self.source_prior, "target_prior_": self.target_prior}

    def _shifted(self, scores: Scores) -> ShiftedLogits:
        return ShiftedLogits(scores.source(), _log_ratio(self.target_prior, self.source_prior))


def _log_ratio(target: NDArray, source: NDArray) -> NDArray:
    """`log(target / source)`; -inf where either is 0."""
    log_ratio = np.full(len(source), -np.inf)
    both = (target > 0) & (source > 0)
    log_ratio[both] = np.log(target[both]) - np.log(source[both])
    return log_ratio


def _refuse_impossible_rows(densities: NDArray, source_prior: NDArray, name: str) -> None:
    """A row that leaves only classes open which do not occur is no row of any mixture."""
    impossible = densities[:, source_prior == 0].any(axis=1)
    if impossible.any():
        raise ValueError(
            f"{name} leaves in row {int(impossible.argmax())} only classes open whose source_prior "
            "is 0. Leave the row out, or fit with a positive source_prior for them."
        )


class PriorShift(BaseCalibrator):
    """Carry a calibrated classifier over to other class frequencies.

    Where classes are more or less frequent than they were for the model, but look the same,
    probabilities become ``q_k * target_k / source_k``, normalised: Bayes' rule. Take it for

    - a deployment whose class frequencies are known: ``target_prior``;
    - one whose frequencies are unknown: :meth:`adapt` estimates them from rows without labels;
    - a model trained on balanced or resampled rows: ``PriorShift(FrozenEstimator(model),
      source_prior=[0.5, 0.5])``, fitted on rows as they occur, takes their frequencies for the
      target.

    It corrects frequencies and nothing else: calibrate first, then shift, as in
    ``PriorShift(FrozenEstimator(calibrated))``. The predicted class can change.

    Parameters
    ----------
    estimator : estimator, default=None
        The classifier whose probabilities to shift, or None if X is its scores. Of the rows passed
        to `fit` only the labels are used, so that folds would be fitted for little: pass a fitted
        model as :class:`~sklearn.frozen.FrozenEstimator`.
        See :class:`TemperatureScaling` for this and the other parameters without a note.
    source_prior : array-like of shape (n_classes,), default=None
        Class frequencies that the model's probabilities assume, in the order of `classes_`, that
        is of the sorted labels, whatever the order of X's columns. None takes those of the rows
        passed to `fit`, of an ensemble's pair those it was not trained on.
    target_prior : array-like of shape (n_classes,), default=None
        Class frequencies to serve, in the same order; a class of frequency 0 has probability 0.
        It must be 0 wherever `source_prior` is. None takes those of the rows passed to `fit`.
        With neither prior, probabilities stay as they are until `adapt`.
    prior_rows : float, default=1.0
        How far `adapt` trusts few rows: the source prior counts for so many rows for each class.
        0 is maximum likelihood, which gives up on a class that a few dozen rows do not show.
    response_method : {"auto", "decision_function", "predict_proba", "predict_log_proba"}, \
            default="auto"
        What the scores are.
    classes : array-like of shape (n_classes,), default=None
        Without an estimator: the label of each column of X.
    cv : int, cross-validation generator or iterable, default=None
        How rows are held out; None means 5 stratified folds.
    ensemble : bool or "auto", default=False
        Whether to average a pair of estimator and shift for each fold.
    n_jobs : int, default=None
        Folds fitted in parallel.

    Attributes
    ----------
    source_prior_, target_prior_ : ndarray of shape (n_classes,)
        Class frequencies divided by and multiplied with. These, `calibrator_` and `estimator_`
        exist unless an ensemble was fitted; after `adapt` its `target_prior_` does.
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
    ValueError, TypeError
        By `fit`, besides what :class:`TemperatureScaling` raises: for a prior that is no array of
        one frequency for each class, that is negative or does not sum to one, and for a source
        prior of 0 where the target's is positive.

    See Also
    --------
    StructuredScaling : Learns from labelled rows of the deployment what the shift is.

    Notes
    -----
    Frequencies of the rows passed to `fit` are the sums of weights of the classes. If a class has
    none, one more row is shared equally among all classes, so that no class is ruled out: let the
    weights sum to the number of rows, not to one.

    An exact 0 among probabilities is an estimate, and counts as the smallest number there is. A
    masked logit (-inf) is a fact: its class keeps probability 0, and where a row masks every class
    of positive target, the row's probabilities stay as they are.

    References
    ----------
    .. [1] Saerens, Latinne, Decaestecker, "Adjusting the Outputs of a Classifier to New a Priori
       Probabilities: A Simple Procedure", Neural Computation 14, 2002, equations 2.4 and 2.9.
    .. [2] Alexandari, Kundaje, Shrikumar, "Maximum Likelihood with Bias-Corrected Calibration is
       Hard-To-Beat at Label Shift Adaptation", ICML 2020: calibrate first.

    Examples
    --------
    A test for a disease was calibrated where one in two was ill. Where one in ten is:

    >>> import numpy as np
    >>> from skcalib import PriorShift
    >>> proba, y = np.array([[0.5, 0.5], [0.25, 0.75]]), [0, 1]
    >>> model = PriorShift(
    ...     response_method="predict_proba", source_prior=[0.5, 0.5], target_prior=[0.9, 0.1]
    ... ).fit(proba, y)
    >>> model.predict_proba(proba)  # 0.25 * 0.9 / 0.5 : 0.75 * 0.1 / 0.5 is 3 : 1
    array([[0.9 , 0.1 ],
           [0.75, 0.25]])

    Where nobody knows how many are, from tests alone: 700 certain of health, 300 of illness.

    >>> model = PriorShift(response_method="predict_proba").fit(proba, y)
    >>> tests = np.repeat([[1.0, 0.0], [0.0, 1.0]], [700, 300], axis=0)
    >>> model.adapt(tests).target_prior_.round(2)
    array([0.7, 0.3])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseCalibrator._parameter_constraints,
        "source_prior": ["array-like", None],
        "target_prior": ["array-like", None],
        "prior_rows": [Interval(Real, 0, np.inf, closed="left")],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        source_prior: ArrayLike | None = None,
        target_prior: ArrayLike | None = None,
        prior_rows: float = 1.0,
        response_method: str = "auto",
        classes: ArrayLike | None = None,
        cv: Any = None,
        ensemble: bool | str = False,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.source_prior = source_prior
        self.target_prior = target_prior
        self.prior_rows = prior_rows
        self.response_method = response_method
        self.classes = classes
        self.cv = cv
        self.ensemble = ensemble
        self.n_jobs = n_jobs

    def adapt(self, X: Any) -> Self:
        """Estimate the target prior from rows of the deployment, without their labels.

        It is the prior under which the model's probabilities make these rows likeliest, found by
        expectation maximisation [1]_, and drawn towards the source prior as `prior_rows` says. Some
        hundred rows, for many classes some dozen each, make it worth having; the model must be
        calibrated for the source prior. What an earlier `adapt` or `target_prior` said is
        replaced. Memory is that of one float64 for each row and class.

        An ensemble's pairs each make an estimate, and all serve the mean.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame
            As in `fit`.

        Returns
        -------
        self : object
            Serving the new `target_prior_`. If `adapt` fails it is left as it was before.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For rows that have no probabilities, as in the predicting methods, and for a row whose
            logits mask every class of positive source prior.
        """
        check_is_fitted(self)
        self._check_parameters()
        adapted: dict[str, Any]
        if hasattr(self, "calibrated_classifiers_"):
            pairs = self.calibrated_classifiers_
            estimates = [
                p.calibrator.likeliest_target_prior(p.scores(X), self.prior_rows) for p in pairs
            ]
            target = np.mean(estimates, axis=0)
            maps = [replace(pair.calibrator, target_prior=target) for pair in pairs]
            pairs = [replace(p, calibrator=m) for p, m in zip(pairs, maps, strict=True)]
            adapted = {"calibrated_classifiers_": pairs, "target_prior_": target}
        else:
            target = self.calibrator_.likeliest_target_prior(self._scores(X), self.prior_rows)
            calibrator = replace(self.calibrator_, target_prior=target)
            adapted = {"calibrator_": calibrator, **calibrator.fitted_attributes()}
        self.__dict__ = vars(self) | adapted
        return self

    def _check_parameters(self) -> None:
        super()._check_parameters()
        _check_prior(self.source_prior, "source_prior")
        _check_prior(self.target_prior, "target_prior")

    def _fit_map(
        self,
        scores: Scores,
        y_index: NDArray,
        sample_weight: NDArray | None,
        groups: NDArray | None,
    ) -> PriorShiftMap:
        scores.refuse_bad_rows(y_index, sample_weight)
        observed = _frequencies(y_index, sample_weight, scores.values.shape[1])
        source = _prior_or(observed, self.source_prior, "source_prior")
        target = _prior_or(observed, self.target_prior, "target_prior")
        excluded = (target > 0) & (source == 0)
        if excluded.any():
            k = int(excluded.argmax())
            raise ValueError(
                "source_prior must be positive wherever the target prior is, got 0 for number "
                f"{k} of the sorted classes, whose target is {target[k]:.6g}. Give the class a "
                "positive source_prior, or a target_prior of 0."
            )
        return PriorShiftMap(source, target)


def _check_prior(prior: Any, name: str) -> NDArray | None:
    """Frequencies (K,) that sum to one, or None if none are given."""
    if prior is None:
        return None
    if isinstance(prior, dict) or hasattr(prior, "iloc"):  # frequencies by label, in any order
        raise TypeError(
            f"{name} is read by position, in the order of the sorted labels, got a "
            f"{type(prior).__name__}. Pass [{name}[label] for label in sorted({name}.keys())]."
        )
    values = np.asarray(prior)
    if isinstance(prior, np.ma.MaskedArray) or values.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be an array of numbers, got {prior!r}.")
    if values.ndim != 1:
        raise ValueError(f"{name} must have shape (n_classes,), got {values.shape}.")
    values = values.astype(np.float64)
    wrong = ~(np.isfinite(values) & (values >= 0))
    if wrong.any():
        k = int(wrong.argmax())
        raise ValueError(
            f"{name} must be finite and not negative, got {values[k]} at position {k}."
        )
    with np.errstate(over="ignore"):
        total = values.sum()
    if not abs(total - 1) <= _SUM_TOLERANCE:
        raise ValueError(
            f"{name} must sum to one (within {_SUM_TOLERANCE:g}), got a sum of {total:.9g}. "
            "Divide by the sum."
        )
    return values / total


def _prior_or(observed: NDArray, prior: Any, name: str) -> NDArray:
    """The prior given, one frequency for each class, or what was observed."""
    values = _check_prior(prior, name)
    if values is None:
        return observed
    if len(values) != len(observed):
        raise ValueError(
            f"{name} must hold one frequency per class, in the order of the sorted labels: "
            f"expected {len(observed)}, got {len(values)}."
        )
    return values


@np.errstate(under="ignore")
def _frequencies(y_index: NDArray, weight: NDArray | None, n_classes: int) -> NDArray:
    """Class frequencies (K,); all positive, at the price of one more row if one is not."""
    counts = np.bincount(y_index, weight, minlength=n_classes).astype(np.float64)
    if not counts.all():
        counts += 1 / n_classes
    return counts / counts.sum()
