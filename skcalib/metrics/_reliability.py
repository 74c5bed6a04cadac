"""Reliability curves: observed frequencies against predicted probabilities."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from numpy.random import RandomState
from numpy.typing import ArrayLike

from skcalib._validation import Interval, StrOptions, check_options, check_predictions
from skcalib.metrics._binned import BINNING_CONSTRAINTS
from skcalib.metrics._curves import ReliabilityCurve, curves_of
from skcalib.metrics._events import one_event_of, refuse_class_label

CURVE_CONSTRAINTS: dict[str, list[Any]] = BINNING_CONSTRAINTS | {
    "strategy": [StrOptions({"uniform", "quantile", "isotonic"})],
    "confidence_level": [Interval(Real, 0, 1, closed="neither")],
    "n_resamples": [Interval(Integral, 0, None, closed="left")],
    "random_state": ["random_state"],
}


def reliability_curve(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    kind: str = "confidence",
    class_label: bool | int | float | str | None = None,
    n_bins: int = 15,
    strategy: str = "uniform",
    confidence_level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int | RandomState | None = 0,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> ReliabilityCurve:
    """Observed frequency against mean predicted probability in each bin.

    Where the two are equal the probabilities mean what they say. Two things tell chance from a
    fault:

    - around each frequency its Wilson interval, which stays inside [0, 1] and is meaningful for
      few rows, and for frequencies of 0 and 1;
    - around the diagonal the consistency band: where the curve would lie if the probabilities were
      calibrated. At each place by itself it holds at least `confidence_level`.

    With weights both are those of the effective number of rows.

    With ``strategy="isotonic"`` there is no number of bins to choose: the frequencies are the
    events recalibrated to rise with the probability, and the bins are the blocks in which they are
    constant (the CORP curve). As the events chose the blocks, Wilson intervals would promise too
    much: there are none.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities, one column per class in the order of the sorted labels; for two
        classes those of `pos_label` alone will do.
    kind : {"confidence", "class", "positive"}, default="confidence"
        Which probabilities are held against which events.

        - "confidence": the largest of each row, against the prediction being correct;
        - "class": those of the class `class_label`, against that class being true;
        - "positive": of two classes, those of the positive one, against it being true.
    class_label : bool, int, float or str, default=None
        The class, for kind "class".
    n_bins : int, default=15
        Number of bins; of strategy "isotonic" the data choose it.
    strategy : {"uniform", "quantile", "isotonic"}, default="uniform"
        Bins of equal width, of equally many rows, or blocks of the isotonic curve. Rare events put
        nearly all rows into the first of the bins of equal width: use one of the latter two.
    confidence_level : float, default=0.95
        Coverage of the intervals and of the band, between 0 and 1.
    n_resamples : int, default=1000
        For strategy "isotonic", how often the events are drawn from the probabilities to find the
        band: at least ``2 / (1 - confidence_level)`` or it is [0, 1]; 0 leaves it out. The bands
        of other strategies need no draws.
    random_state : int, RandomState instance or None, default=0
        Seed or generator of these draws; None draws another band each time.
    sample_weight : array-like of shape (n_samples,), default=None
        How many rows each row counts for; None is one each.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        Of two classes, the positive one: that which `y_proba` of shape (n_samples,) is the
        probability of. None is the greater of {0, 1}, {-1, 1}, {False, True} or two `labels`.

    Returns
    -------
    curve : ReliabilityCurve
        Means, frequencies, intervals, weights and edges of the bins that hold a row, and the
        consistency band.

    Raises
    ------
    ValueError
        If an option is not among its values, `class_label` is missing or unknown, or the arguments
        do not describe labels and probabilities, as the head of :mod:`skcalib.metrics` says.

    Notes
    -----
    In bins the events do not move, a calibrated frequency is a mean of independent draws, and the
    band is the range of the binomial with the bin's mean probability. Draws of several
    probabilities spread less (Hoeffding 1956): in wide bins the band is somewhat too wide, never
    too narrow. So it is where rows do not weigh alike, at one effective row farther out. The
    isotonic curve has no such form; its band is the range of the curves of resampled events, ranked
    so that its coverage holds for any number of resamples.

    References
    ----------
    E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal of
    the American Statistical Association 22 (1927).
    J. Bröcker, L. A. Smith, Increasing the reliability of reliability diagrams, Weather and
    Forecasting 22 (2007) (consistency bars).
    T. Dimitriadis, T. Gneiting, A. I. Jordan, Stable reliability diagrams for probabilistic
    classifiers, PNAS 118 (2021) (the isotonic curve and its band).

    Examples
    --------
    >>> from skcalib.metrics import reliability_curve
    >>> curve = reliability_curve([0, 1, 1, 1], [0.2, 0.4, 0.7, 0.9], kind="positive", n_bins=2)
    >>> curve.mean_proba, curve.frequency
    (array([0.3, 0.8]), array([0.5, 1. ]))

    The frequencies 1, 0 and 1 of the first three rows fall once: the first two rows become a
    block.

    >>> curve = reliability_curve(
    ...     [1, 0, 1, 1], [0.2, 0.4, 0.7, 0.9], kind="positive", strategy="isotonic"
    ... )
    >>> curve.edges.tolist(), curve.frequency
    ([[0.2, 0.4], [0.7, 0.9]], array([0.5, 1. ]))
    """
    check_options(
        CURVE_CONSTRAINTS,
        "reliability_curve",
        kind=kind,
        n_bins=n_bins,
        strategy=strategy,
        confidence_level=confidence_level,
        n_resamples=n_resamples,
        random_state=random_state,
    )
    refuse_class_label(kind, class_label)
    checked = check_predictions(
        y_true, y_proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
    )
    (curve,) = curves_of(
        one_event_of(checked, kind, class_label),
        kind=kind,
        n_bins=n_bins,
        strategy=strategy,
        confidence_level=confidence_level,
        n_resamples=n_resamples,
        random_state=random_state,
    )
    return curve
