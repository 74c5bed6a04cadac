"""Selective prediction: how wrong the answers are when the least confident rows are left out."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlog1py

from skcalib._kernels._binning import top_label
from skcalib._validation import (
    Interval,
    Predictions,
    check_confidence,
    check_options,
    check_predictions,
)
from skcalib.metrics._consistency import effective_rows

_RISK_CONSTRAINTS = {"risk": [Interval(Real, 0, 1, closed="both")]}


@dataclass(frozen=True, eq=False, repr=False)
class RiskCoverageCurve:
    """What is left wrong when only rows of enough confidence are answered, at every threshold.

    One point per distinct confidence, from the highest down: the rows kept are those whose
    confidence is at least the threshold, so that equal confidences are kept together or not at
    all.

    Parameters
    ----------
    coverage : ndarray of shape (n_thresholds,)
        Share of the rows kept, ascending to 1.
    risk : ndarray of shape (n_thresholds,)
        Selective risk: share of wrong predictions among the rows kept.
    generalized_risk : ndarray of shape (n_thresholds,)
        Share of the rows that are kept and wrong, among all rows.
    threshold : ndarray of shape (n_thresholds,)
        The least confidence that is kept, descending.
    n_effective : ndarray of shape (n_thresholds,)
        Number of rows kept; with weights, of equally weighted rows that would tell as much,
        ``(sum w)**2 / sum w**2``.
    """

    coverage: NDArray
    risk: NDArray
    generalized_risk: NDArray
    threshold: NDArray
    n_effective: NDArray

    def __repr__(self) -> str:
        areas = f"error={self.error:.4g}, aurc={self.aurc:.4g}"
        return f"{type(self).__name__}(n_thresholds={len(self.threshold)}, {areas})"

    @property
    def error(self) -> float:
        """Share of wrong predictions when every row is answered."""
        return float(self.risk[-1])

    @property
    def accuracy(self) -> float:
        """Share of correct predictions when every row is answered."""
        return 1 - self.error

    @property
    def aurc(self) -> float:
        """Area under the steps of the selective risk; see :func:`aurc`."""
        return float(np.diff(self.coverage, prepend=0) @ self.risk)

    @property
    def excess_aurc(self) -> float:
        """What `aurc` exceeds that of the best order by, whose errors all come last (E-AURC)."""
        return self.aurc - float(self.error + xlog1py(self.accuracy, -self.error))

    @property
    def augrc(self) -> float:
        """Area under the generalized risk, straight between points; see :func:`augrc`."""
        before = np.append(0, self.generalized_risk[:-1])
        return float(np.diff(self.coverage, prepend=0) @ (before + self.generalized_risk)) / 2

    def coverage_at_risk(self, risk: float) -> float:
        """The largest share of rows that can be answered at no more than this selective risk.

        On the rows of the curve. Chosen with hindsight, the threshold looks a little better on
        them than it will on new ones.

        Parameters
        ----------
        risk : float
            The largest share of wrong answers allowed, between 0 and 1.

        Returns
        -------
        coverage : float
            The share of rows, 0 if no threshold will do.
        """
        return self._most_kept_within(risk)[0]

    def threshold_at_risk(self, risk: float) -> float:
        """The lowest threshold that keeps the selective risk at no more than this.

        Parameters
        ----------
        risk : float
            The largest share of wrong answers allowed, between 0 and 1.

        Returns
        -------
        threshold : float
            Rows of at least this confidence are answered; infinity if no threshold will do.
        """
        return self._most_kept_within(risk)[1]

    def _most_kept_within(self, risk: float) -> tuple[float, float]:
        """Coverage and threshold of the last point whose risk is allowed."""
        check_options(_RISK_CONSTRAINTS, "RiskCoverageCurve", risk=risk)
        allowed = np.flatnonzero(self.risk <= risk)
        if len(allowed) == 0:
            return 0.0, np.inf
        return float(self.coverage[allowed[-1]]), float(self.threshold[allowed[-1]])


def risk_coverage_curve(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    confidence: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> RiskCoverageCurve:
    """Share of wrong predictions among the most confident rows, for every share of rows kept.

    A classifier that may decline to answer keeps the rows of enough confidence. What it predicts
    is the class of the largest probability, the first of equal ones. The curve shows what each
    threshold on the confidence would keep, and how much of that would be wrong.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities, one column per class in the order of the sorted labels; for two
        classes those of `pos_label` alone will do.
    confidence : array-like of shape (n_samples,), default=None
        Score by which rows are kept, the higher the sooner: any finite numbers. None is the
        largest probability of each row.
    sample_weight : array-like of shape (n_samples,), default=None
        How many rows each row counts for; None is one each.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        Of two classes, the one that `y_proba` of shape (n_samples,) is the probability of. None is
        the greater of {0, 1}, {-1, 1}, {False, True} or two `labels`.

    Returns
    -------
    curve : RiskCoverageCurve
        Coverages, risks and thresholds, and the areas under the curve.

    Raises
    ------
    ValueError
        If `confidence` is not one finite number per row, or the arguments do not describe labels
        and probabilities, as the head of :mod:`skcalib.metrics` says.

    References
    ----------
    R. El-Yaniv, Y. Wiener, On the foundations of noise-free selective classification, Journal of
    Machine Learning Research 11 (2010).

    Examples
    --------
    The second row is wrong. Its confidence, .8, is also that of the third, so that no threshold
    keeps two rows:

    >>> from skcalib.metrics import risk_coverage_curve
    >>> curve = risk_coverage_curve([1, 0, 1, 1], [0.9, 0.8, 0.8, 0.6])
    >>> curve.threshold, curve.coverage
    (array([0.9, 0.8, 0.6]), array([0.25, 0.75, 1.  ]))
    >>> curve.risk, curve.generalized_risk
    (array([0.        , 0.33333333, 0.25      ]), array([0.  , 0.25, 0.25]))
    >>> curve
    RiskCoverageCurve(n_thresholds=3, error=0.25, aurc=0.2292)
    >>> curve.coverage_at_risk(0.3), curve.threshold_at_risk(0.3)
    (1.0, 0.6)
    """
    checked = check_predictions(
        y_true, y_proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
    )
    return risk_coverage_of(checked, confidence)


def risk_coverage_of(
    checked: Predictions, confidence: ArrayLike | None = None
) -> RiskCoverageCurve:
    """`risk_coverage_curve` of predictions at hand."""
    top, correct = top_label(checked.proba, checked.y_index)
    score = top if confidence is None else check_confidence(confidence, len(top))
    weight = np.ones(len(score)) if checked.weight is None else checked.weight
    order = np.argsort(score)[::-1]
    order = order[weight[order] > 0]
    score, weight, correct = score[order], weight[order], correct[order]
    with np.errstate(under="ignore"):
        # Sums over the rows kept, read off at the last row of each confidence.
        last = np.flatnonzero(np.append(score[1:] != score[:-1], True))
        kept, wrong, squared_weight = (
            np.cumsum(values)[last] for values in (weight, weight * ~correct, weight**2)
        )
        return RiskCoverageCurve(
            coverage=kept / kept[-1],
            risk=wrong / kept,
            generalized_risk=wrong / kept[-1],
            threshold=score[last],
            n_effective=effective_rows(kept, squared_weight),
        )


def aurc(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    confidence: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> float:
    """Area under the risk-coverage curve (AURC): mean selective risk over all coverages.

    The mean over rows of the share of wrong predictions among all rows at least as confident.
    Smaller is better: few errors, and those among the least confident. It lies between 0 and 1;
    confidences that tell nothing give, on average, the error rate.

    An error among the most confident rows counts in every share of wrong predictions that
    follows: of n rows, an error in the first adds about ``log(n) / n``, one in the middle
    ``log(2) / n``. So the value may hang on one or two rows, where :func:`augrc` does not.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities; see :func:`risk_coverage_curve`, as for all that follow.
    confidence : array-like of shape (n_samples,), default=None
        Score by which rows are kept. None is the largest probability of each row.
    sample_weight : array-like of shape (n_samples,), default=None
        How many rows each row counts for; None is one each.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        Of two classes, the one that `y_proba` of shape (n_samples,) is the probability of.

    Returns
    -------
    area : float
        The area under the curve, between 0 and 1.

    Raises
    ------
    ValueError
        As :func:`risk_coverage_curve`.

    Notes
    -----
    Libraries differ in what they do between the points of the curve, and with ties. Here the risk
    is a step: to answer at least a given share of rows, all rows of the next confidence must be
    kept. That is the definition of Geifman et al., whose thresholds are the confidences of the
    rows, and the plug-in estimate of what Zhou et al. define for the population. It does not
    depend on the order of rows; taking tied rows one by one does. Where risk rises, a trapezoid
    through the points promises less between them than any rule can keep, tossing coins included:
    rounding good confidences would seem to improve them. The examples have all three.

    References
    ----------
    Y. Geifman, G. Uziel, R. El-Yaniv, Bias-reduced uncertainty estimation for deep neural
    classifiers, ICLR 2019.
    H. Zhou et al., A novel characterization of the population area under the risk coverage curve
    (AURC) and rates of finite sample estimators, ICML 2025.

    Examples
    --------
    The second row is wrong, and as confident as the third. The shares of wrong predictions are 0
    for the first row, 1/3 for the two of confidence .8, and 1/4 for the last. Their mean:

    >>> from skcalib.metrics import aurc
    >>> aurc([1, 0, 1, 1], [0.9, 0.8, 0.8, 0.6])
    0.2291...

    Row by row it would be ``(0 + 1/2 + 1/3 + 1/4) / 4 = 0.2708`` or, with the second and third
    row exchanged, ``(0 + 0 + 1/3 + 1/4) / 4 = 0.1458``. The trapezoid through the points, with the
    first risk continued to coverage 0, has ``(1/2 * 1/3 + 1/4 * (1/3 + 1/4)) / 2 = 0.1563``.
    """
    checked = check_predictions(
        y_true, y_proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
    )
    return risk_coverage_of(checked, confidence).aurc


def augrc(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    confidence: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> float:
    """Area under the generalized risk-coverage curve (AUGRC): mean risk of an undetected error.

    How often a prediction is wrong and yet more confident than that of another row, both drawn
    at random; of equal confidences half is counted. Smaller is better. Of a given error rate it
    is ``error**2 / 2`` for the best order and ``error / 2`` for confidences that tell nothing.

    With AUROC the area under the ROC curve of the confidence as a score for correct predictions,
    it is ``(1 - AUROC) * accuracy * error + error**2 / 2``: so, unlike AUROC, it ranks models of
    different accuracy. Every error counts by the share of rows it outranks, and the few most
    confident rows decide less than in :func:`aurc`.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities; see :func:`risk_coverage_curve`, as for all that follow.
    confidence : array-like of shape (n_samples,), default=None
        Score by which rows are kept. None is the largest probability of each row.
    sample_weight : array-like of shape (n_samples,), default=None
        How many rows each row counts for; None is one each.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        Of two classes, the one that `y_proba` of shape (n_samples,) is the probability of.

    Returns
    -------
    area : float
        The area under the curve, between 0 and 1/2.

    Raises
    ------
    ValueError
        As :func:`risk_coverage_curve`.

    References
    ----------
    J. Traub et al., Overcoming common flaws in the evaluation of selective classification
    systems, NeurIPS 2024.

    Examples
    --------
    The second row is wrong. It is more confident than the last, and as confident as itself and
    the third: ``(1 + 1/2 + 1/2) / 4**2``.

    >>> from skcalib.metrics import augrc
    >>> augrc([1, 0, 1, 1], [0.9, 0.8, 0.8, 0.6])
    0.125
    """
    checked = check_predictions(
        y_true, y_proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
    )
    return risk_coverage_of(checked, confidence).augrc
