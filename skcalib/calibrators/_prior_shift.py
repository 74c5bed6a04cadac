"""Prior shift: the same model where classes are more or less frequent than they were."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skcalib._kernels._mixture import Mixture, fit_mixture
from skcalib._kernels._shifted import ShiftedLogits
from skcalib._kernels._softmax import log_softmax, softmax
from skcalib._response import Scores
from skcalib._validation import Interval, check_prior, check_weights, refuse_excluded_classes
from skcalib.calibrators._base import BaseCalibrator
from skcalib.calibrators._map import CalibrationMap
from skcalib.calibrators._rows import CalibrationRows
from skcalib.calibrators._threads import one_blas_thread

_NOT_CONVERGED = (
    "The search for the target prior ended before the likelihood's maximum: to the model some "
    "classes are all but the same in these rows. The last estimate is served. Raise prior_rows, "
    "or pass a target_prior."
)


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

    @np.errstate(under="ignore")
    def likeliest_target_prior(
        self, scores: Scores, sample_weight: ArrayLike | None, prior_rows: float
    ) -> Mixture:
        """The pi' of unlabelled rows, (K,): see `PriorShift.adapt`."""
        weight = check_weights(sample_weight, len(scores))
        shift = _log_ratio(np.ones(len(self.source_prior)), self.source_prior)
        # In float64 whatever the scores are: the search would convert them at each of its steps.
        densities = np.empty(scores.values.shape)
        softmax(ShiftedLogits(scores.source(), shift), out=densities)
        if np.isnan(densities[:, 0]).any():
            scores.refuse_bad_rows(weight=weight)
        if weight is not None:
            densities[weight == 0] = self.source_prior > 0  # whatever they are, nothing counts them
        _refuse_impossible_rows(densities, self.source_prior, scores.name)
        pseudo_counts = prior_rows * len(shift) * self.source_prior
        with one_blas_thread:
            return fit_mixture(densities, weight, pseudo_counts, start=self.source_prior)

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
    source_prior : array-like of shape (n_classes,) or dict, default=None
        Class frequencies that the model's probabilities assume. A dict or a pandas Series holds
        them by label, every class once; an array in the order of `classes_`, that is of the sorted
        labels, whatever the order of X's columns. None takes those of the rows passed to `fit`,
        of an ensemble's pair those it was not trained on.
    target_prior : array-like of shape (n_classes,) or dict, default=None
        Class frequencies to serve, by label or in the same order; a class of frequency 0 has
        probability 0. It must be 0 wherever `source_prior` is. None takes those of the rows passed
        to `fit`. With neither prior, probabilities stay as they are until `adapt`.
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
        By `fit`, besides what :class:`TemperatureScaling` raises: for a prior that does not hold
        one frequency for each class, that is negative, does not sum to one or is positive but
        below 4.5e-308, and for a source prior of 0 where the target's is positive. Before an
        estimator is fitted; only the last waits for the rows where a prior is left out.

    See Also
    --------
    StructuredScaling : Learns from labelled rows of the deployment what the shift is.

    Notes
    -----
    Frequencies of the rows passed to `fit` are the sums of weights of the classes. If a class has
    none, one more row is shared equally among all classes, so that no class is ruled out: let the
    weights sum to the number of rows, not to one.

    What `adapt` maximises is concave. Newton's steps find the maximum to at least six digits of
    every frequency, as far as the rows determine it; where they do not, one near the source prior.
    With ``prior_rows=0`` frequencies whose best value is 0 come out next to it, so that no class is
    ruled out for good. Steps are few however alike the classes are; if 100 do not suffice, a
    :class:`~sklearn.exceptions.ConvergenceWarning` says so.

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
        "source_prior": ["array-like", dict, None],
        "target_prior": ["array-like", dict, None],
        "prior_rows": [Interval(Real, 0, np.inf, closed="left")],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        source_prior: ArrayLike | dict[Any, float] | None = None,
        target_prior: ArrayLike | dict[Any, float] | None = None,
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

    def adapt(self, X: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Estimate the target prior from rows of the deployment, without their labels.

        It is the prior under which the model's probabilities make these rows likeliest [1]_, drawn
        towards the source prior as `prior_rows` says. Some hundred rows, for many classes some
        dozen each, make it worth having; the model must be calibrated for the source prior. What
        an earlier `adapt` or `target_prior` said is replaced. Memory is that of one float64 for
        each row and class.

        An ensemble's pairs each make an estimate, and all serve the mean.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame
            As in `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight counts as that many repetitions of its row, 0 as if it were absent.

        Returns
        -------
        self : object
            Serving the new `target_prior_`. If `adapt` fails it is left as it was before.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For rows that have no probabilities, as in the predicting methods, for a row whose
            logits mask every class of positive source prior, and for weights that are negative,
            not finite, all zero, or not one for each row.
        TypeError
            For weights that are no numbers.

        Warns
        -----
        ConvergenceWarning
            If the search did not reach the maximum: see Notes of the class.
        """
        check_is_fitted(self)
        self._check_parameters()
        pairs = getattr(self, "calibrated_classifiers_", [])
        readers = [(p.calibrator, p.scores) for p in pairs] or [(self.calibrator_, self._scores)]
        estimates = [
            a_map.likeliest_target_prior(read(X), sample_weight, self.prior_rows)
            for a_map, read in readers
        ]
        if not all(estimate.converged for estimate in estimates):
            warnings.warn(_NOT_CONVERGED, ConvergenceWarning, stacklevel=2)
        with np.errstate(under="ignore"):
            target = np.mean([estimate.shares for estimate in estimates], axis=0)
        maps = [replace(a_map, target_prior=target) for a_map, _ in readers]
        adapted: dict[str, Any]
        if pairs:
            pairs = [replace(p, calibrator=m) for p, m in zip(pairs, maps, strict=True)]
            adapted = {"calibrated_classifiers_": pairs, "target_prior_": target}
        else:
            adapted = {"calibrator_": maps[0], **maps[0].fitted_attributes()}
        self.__dict__ = vars(self) | adapted
        return self

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._priors()

    def _check_classes(self, classes: NDArray) -> None:
        source, target = self._priors(classes)
        if source is not None and target is not None:
            refuse_excluded_classes(source, target, classes)

    def _priors(self, classes: NDArray | None = None) -> tuple[NDArray | None, NDArray | None]:
        """The two priors as they were given, in order of the classes."""
        return (
            check_prior(self.source_prior, "source_prior", classes),
            check_prior(self.target_prior, "target_prior", classes),
        )

    def _fit_map(self, rows: CalibrationRows) -> PriorShiftMap:
        rows.refuse_bad_rows()
        observed = _frequencies(rows.y_index, rows.weight, rows.n_classes)
        source, target = (
            observed if given is None else given for given in self._priors(rows.classes)
        )
        refuse_excluded_classes(source, target, rows.classes)
        return PriorShiftMap(source, target)


@np.errstate(under="ignore")
def _frequencies(y_index: NDArray, weight: NDArray | None, n_classes: int) -> NDArray:
    """Class frequencies (K,); all positive, at the price of one more row if one is not."""
    counts = np.bincount(y_index, weight, minlength=n_classes).astype(np.float64)
    if (counts / counts.sum() < np.finfo(np.float64).tiny).any():  # 1e-300 of 1e20 is none
        counts += 1 / n_classes
    return counts / counts.sum()
