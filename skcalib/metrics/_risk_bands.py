"""Predicted against observed risk in bands of probability, as medicine and credit read it."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._kernels._binning import bin_sums
from skcalib._table import Table
from skcalib._validation import Interval, check_numeric, check_options, check_predictions
from skcalib.metrics._events import KIND_CONSTRAINTS, one_event_of, refuse_class_label
from skcalib.metrics._proportion import exact_interval

_CONSTRAINTS: dict[str, list[Any]] = KIND_CONSTRAINTS | {
    "edges": ["array-like"],
    "confidence_level": [Interval(Real, 0, 1, closed="neither")],
}

_EDGES = (0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)


@dataclass(frozen=True, eq=False, repr=False)
class RiskBands(Table):
    """How often events happened in bands of their predicted probability; empty bands left out.

    Prints as a table, shows as one in notebooks, and `to_frame()` makes a data frame of it.

    Parameters
    ----------
    edges : ndarray of shape (n_filled, 2)
        Ends of each band ``(a, b]``; the first holds 0 too.
    weight : ndarray of shape (n_filled,)
        Number of rows in each band, or their total weight.
    expected : ndarray of shape (n_filled,)
        Number of events that the probabilities promise: their sum.
    observed : ndarray of shape (n_filled,)
        Number of events.
    lower, upper : ndarray of shape (n_filled,)
        Ends of the exact (Clopper-Pearson) interval for the frequency of the event.
    kind : {"confidence", "class", "positive"}
        Which probabilities are held against which events.
    class_label : bool, int, float, str or None
        The class whose probability it is; None for the confidence.
    confidence_level : float
        Coverage of the intervals.
    """

    edges: NDArray
    weight: NDArray
    expected: NDArray
    observed: NDArray
    lower: NDArray
    upper: NDArray
    kind: str
    class_label: bool | int | float | str | None
    confidence_level: float

    @property
    def mean_proba(self) -> NDArray:
        """Mean predicted probability in each band, (n_filled,)."""
        return np.clip(self.expected / self.weight, 0, 1)

    @property
    def frequency(self) -> NDArray:
        """Share of the rows in which the event happened, (n_filled,)."""
        return self.observed / self.weight

    @property
    def consistent(self) -> NDArray:
        """Whether the mean prediction lies inside the interval of the frequency, (n_filled,)."""
        return (self.lower <= self.mean_proba) & (self.mean_proba <= self.upper)

    @property
    def title(self) -> str:
        """What the table is about."""
        if self.kind == "confidence":
            return "Correct predictions by band of confidence"
        return f"Risk of {self.class_label} by band of predicted probability"

    @property
    def columns(self) -> list[str]:
        """Names of the columns of the table."""
        level = f"{100 * self.confidence_level:g} %"
        return [
            "band",
            "rows",
            "expected",
            "observed",
            "mean risk",
            "rate",
            f"{level} lower",
            f"{level} upper",
            "consistent",
        ]

    @property
    def records(self) -> list[tuple[Any, ...]]:
        """One row per band, a value for each column."""
        bands = [f"{'[' if a == 0 else '('}{a:.10g}, {b:.10g}]" for a, b in self.edges]
        numbers = [
            self.weight,
            self.expected,
            self.observed,
            self.mean_proba,
            self.frequency,
            self.lower,
            self.upper,
            self.consistent,
        ]
        return list(zip(bands, *(values.tolist() for values in numbers), strict=True))


def risk_bands(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    kind: str = "positive",
    class_label: bool | int | float | str | None = None,
    edges: ArrayLike = _EDGES,
    confidence_level: float = 0.95,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> RiskBands:
    """Predicted against observed frequency in bands of probability, low ones above all.

    Is "1 % risk of default" 1 %? Fifteen bins of equal width put every answer below 6.7 % into
    one; here the bands grow by factors. Each observed frequency has its exact interval, which
    holds however few events there are: where it holds the mean prediction too, the rows do not
    contradict it.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities, one column per class in the order of the sorted labels; for two
        classes those of `pos_label` alone will do.
    kind : {"confidence", "class", "positive"}, default="positive"
        Which probabilities are held against which events.

        - "confidence": the largest of each row, against the prediction being correct;
        - "class": those of the class `class_label`, against that class being true;
        - "positive": of two classes, those of the positive one, against it being true.
    class_label : bool, int, float or str, default=None
        The class, for kind "class".
    edges : array-like of shape (n_bands + 1,), \
            default=(0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
        Where the bands ``(a, b]`` begin and end, ascending from 0 to 1.
    confidence_level : float, default=0.95
        Coverage of each interval, between 0 and 1. Of 20 bands of a calibrated model one lies
        outside its interval of 95 %.
    sample_weight : array-like of shape (n_samples,), default=None
        How many rows each row counts for; None is one each.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        Of two classes, the positive one: that which `y_proba` of shape (n_samples,) is the
        probability of. None is the greater of {0, 1}, {-1, 1}, {False, True} or two `labels`.

    Returns
    -------
    bands : RiskBands
        The bands that hold a row. It prints as a table.

    Raises
    ------
    ValueError
        If an option is not among its values, the edges do not ascend from 0 to 1, `class_label` is
        missing or unknown, or the arguments do not describe labels and probabilities, as the head
        of :mod:`skcalib.metrics` says.

    References
    ----------
    C. J. Clopper, E. S. Pearson, The use of confidence or fiducial limits illustrated in the case
    of the binomial, Biometrika 26 (1934).

    Examples
    --------
    A hundred loans at 1 % risk of which three default, and fifty at 10 % of which five do:

    >>> from skcalib.metrics import risk_bands
    >>> y_true = [1] * 3 + [0] * 97 + [1] * 5 + [0] * 45
    >>> bands = risk_bands(y_true, [0.01] * 100 + [0.1] * 50)
    >>> print(bands)
    Risk of 1 by band of predicted probability
    band           rows  expected  observed  mean risk  rate  95 % lower  95 % upper  consistent
    (0.005, 0.01]   100         1         3       0.01  0.03     0.00623     0.08518         yes
    (0.05, 0.1]      50         5         5        0.1   0.1     0.03328      0.2181         yes
    """
    check_options(
        _CONSTRAINTS, "risk_bands", kind=kind, edges=edges, confidence_level=confidence_level
    )
    refuse_class_label(kind, class_label)
    limits = _check_edges(edges)
    checked = check_predictions(
        y_true, y_proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
    )
    events = one_event_of(checked, kind, class_label)
    sums = bin_sums(events.proba, events.happened, events.weight, limits)
    filled = sums.weight[0] > 0
    weight, expected, observed = (
        field[0, filled] for field in (sums.weight, sums.proba, sums.events)
    )
    lower, upper = exact_interval(observed, weight, confidence_level)
    return RiskBands(
        edges=np.column_stack([limits[:-1], limits[1:]])[filled],
        weight=weight,
        expected=expected,
        observed=observed,
        lower=lower,
        upper=upper,
        kind=kind,
        class_label=events.labels[0],
        confidence_level=confidence_level,
    )


def _check_edges(edges: ArrayLike) -> NDArray:
    limits = check_numeric(edges, "edges").astype(np.float64)
    ascends = limits.ndim == 1 and len(limits) > 1 and (np.diff(limits) > 0).all()
    if not (ascends and limits[0] == 0 and limits[-1] == 1):
        raise ValueError(f"edges must begin at 0, ascend, and end at 1, got {limits}.")
    return limits
