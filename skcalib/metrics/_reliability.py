"""Reliability curves: observed frequencies against predicted probabilities, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from skcalib._validation import Interval, check_options, check_predictions
from skcalib.metrics._binned import BINNING_CONSTRAINTS, bin_events
from skcalib.metrics._events import Events, one_event_of, refuse_class_label

CURVE_CONSTRAINTS: dict[str, list[Any]] = BINNING_CONSTRAINTS | {
    "confidence_level": [Interval(Real, 0, 1, closed="neither")],
}


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """What was predicted and what happened, bin by bin; bins without a row are left out.

    Parameters
    ----------
    mean_proba : ndarray of shape (n_filled,)
        Mean predicted probability in each bin that holds a row.
    frequency : ndarray of shape (n_filled,)
        Share of its rows in which the predicted event happened.
    lower, upper : ndarray of shape (n_filled,)
        Ends of the Wilson interval for that frequency.
    weight : ndarray of shape (n_filled,)
        Number of rows in each bin, or their total weight.
    n_effective : ndarray of shape (n_filled,)
        Number of equally weighted rows that would tell as much, ``(sum w)**2 / sum w**2``.
    edges : ndarray of shape (n_filled, 2)
        Left and right edge of each bin ``(a, b]``; the first bin holds 0 too.
    kind : {"confidence", "class", "positive"}
        Which probabilities are held against which events.
    class_label : bool, int, float, str or None
        The class whose probability it is; None for the confidence.
    n_bins : int
        Number of bins, empty ones included.
    strategy : {"uniform", "quantile"}
        Bins of equal width, or of equally many rows.
    confidence_level : float
        Coverage of the intervals.
    """

    mean_proba: NDArray
    frequency: NDArray
    lower: NDArray
    upper: NDArray
    weight: NDArray
    n_effective: NDArray
    edges: NDArray
    kind: str
    class_label: bool | int | float | str | None
    n_bins: int
    strategy: str
    confidence_level: float

    @property
    def calibration_error(self) -> float:
        """Mean gap between the two, each bin counting by its weight: the ECE of these bins."""
        return float(np.average(np.abs(self.mean_proba - self.frequency), weights=self.weight))


def reliability_curve(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    kind: str = "confidence",
    class_label: bool | int | float | str | None = None,
    n_bins: int = 15,
    strategy: str = "uniform",
    confidence_level: float = 0.95,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> ReliabilityCurve:
    """Observed frequency against mean predicted probability in each bin.

    Where the two are equal the probabilities mean what they say. Each frequency comes with its
    Wilson interval, which stays inside [0, 1] and is meaningful for few rows, and for frequencies
    of 0 and 1. With weights it is that of the effective number of rows.

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
        Number of bins.
    strategy : {"uniform", "quantile"}, default="uniform"
        Bins of equal width, or of equally many rows.
    confidence_level : float, default=0.95
        Coverage of the intervals, between 0 and 1.
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
        Means, frequencies, intervals, weights and edges of the bins that hold a row.

    Raises
    ------
    ValueError
        If an option is not among its values, `class_label` is missing or unknown, or the arguments
        do not describe labels and probabilities, as the head of :mod:`skcalib.metrics` says.

    References
    ----------
    E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal of
    the American Statistical Association 22 (1927).

    Examples
    --------
    >>> from skcalib.metrics import reliability_curve
    >>> curve = reliability_curve([0, 1, 1, 1], [0.2, 0.4, 0.7, 0.9], kind="positive", n_bins=2)
    >>> curve.mean_proba, curve.frequency
    (array([0.3, 0.8]), array([0.5, 1. ]))
    """
    check_options(
        CURVE_CONSTRAINTS,
        "reliability_curve",
        kind=kind,
        n_bins=n_bins,
        strategy=strategy,
        confidence_level=confidence_level,
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
    )
    return curve


def curves_of(
    events: Events, *, kind: str, n_bins: int, strategy: str, confidence_level: float
) -> list[ReliabilityCurve]:
    """One curve per column of the events."""
    sums, edges = bin_events(events, n_bins, strategy)
    curves = []
    for line, class_label in enumerate(events.labels):
        filled = sums.weight[line] > 0
        weight, squared_weight, proba, events = (field[line, filled] for field in sums)
        frequency = events / weight
        # The square of a tiny weight may be 0: the bin then counts as one row.
        one_row = np.ones_like(weight)
        n_effective = np.divide(weight**2, squared_weight, out=one_row, where=squared_weight > 0)
        lower, upper = _wilson_interval(frequency, n_effective, confidence_level)
        curves.append(
            ReliabilityCurve(
                mean_proba=proba / weight,
                frequency=frequency,
                lower=lower,
                upper=upper,
                weight=weight,
                n_effective=n_effective,
                edges=np.column_stack([edges[:-1, line], edges[1:, line]])[filled],
                kind=kind,
                class_label=class_label,
                n_bins=n_bins,
                strategy=strategy,
                confidence_level=confidence_level,
            )
        )
    return curves


def _wilson_interval(frequency: NDArray, n: NDArray, level: float) -> tuple[NDArray, NDArray]:
    """Frequencies q that n rows would not reject: ``|f - q| <= z sqrt(q (1 - q) / n)``."""
    z = ndtri((1 + level) / 2)
    center = (frequency + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(frequency * (1 - frequency) / n + (z / (2 * n)) ** 2) / (1 + z**2 / n)
    # Exactly the frequency where that is 0 or 1, which rounding would miss.
    lower = np.where(frequency == 0, 0, center - half)
    upper = np.where(frequency == 1, 1, center + half)
    return lower, upper
