"""Binned calibration errors."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._kernels._binning import BinSums
from skcalib._validation import Options, StrOptions, check_options, check_predictions
from skcalib.metrics._binned import BINNING_CONSTRAINTS, bin_events
from skcalib.metrics._events import (
    KIND_AVERAGE_CONSTRAINTS,
    Events,
    average_over_classes,
    events_of,
)

_CONSTRAINTS: dict[str, list[Any]] = (
    BINNING_CONSTRAINTS
    | KIND_AVERAGE_CONSTRAINTS
    | {
        "norm": [Options(Integral, {1, 2}), StrOptions({"max"})],
        "debias": ["boolean"],
    }
)


# Weights that were divided by their sum may add up to a little more than one.
_ROUNDING = 1e-9

# Effective rows from which on a bin holds more than one.
_ONE_ROW = 1.5


def calibration_error(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    kind: str = "confidence",
    norm: int | str = 1,
    n_bins: int = 15,
    strategy: str = "uniform",
    debias: bool = False,
    average: str = "mean",
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> float:
    """Distance between predicted probabilities and observed frequencies, bin by bin.

    The gap of a bin is the distance between its mean probability and the frequency with which the
    predicted event happened in it. The error is a norm of the gaps, each bin counting by its rows.
    Smaller is better; 0 is calibrated, and only a sum over classes can exceed 1.

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
        - "class": those of each class, against that class being true, combined by `average`;
        - "positive": of two classes, those of the positive one, against it being true.

        Libraries differ in what they call the error of a binary classifier: see the examples.
    norm : {1, 2, "max"}, default=1
        The mean gap, the root mean square gap, or the largest gap. "max" is taken over the bins of
        all classes and needs no `average`.
    n_bins : int, default=15
        Number of bins.
    strategy : {"uniform", "quantile"}, default="uniform"
        Bins of equal width, or of equally many rows.
    debias : bool, default=False
        Subtract from each squared gap what chance alone puts there; for ``norm=2``. The sum is
        raised to 0 if it comes out negative. A bin of one row says nothing and adds nothing; so
        weights must count rows here, and those of several rows that sum to one are refused.
    average : {"mean", "sum", "prevalence"}, default="mean"
        How the errors of kind "class" are combined, for ``norm=2`` before the root is taken: their
        mean, their sum, or their mean weighted by how often each class is true. With many classes
        most probabilities are close to 0, and so is the mean.
    sample_weight : array-like of shape (n_samples,), default=None
        How many rows each row counts for; None is one each.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        Of two classes, the positive one: that which `y_proba` of shape (n_samples,) is the
        probability of. None is the greater of {0, 1}, {-1, 1}, {False, True} or two `labels`.

    Returns
    -------
    error : float
        The calibration error.

    Raises
    ------
    ValueError
        If an option is not among its values, or the arguments do not describe labels and
        probabilities, as the head of :mod:`skcalib.metrics` says.

    References
    ----------
    C. Guo et al., On calibration of modern neural networks, ICML 2017, equations 3 and 5.
    A. Kumar, P. Liang, T. Ma, Verified uncertainty calibration, NeurIPS 2019, definition 4.1
    (`debias`).

    Examples
    --------
    The positive class is held against ``(.2 + .4 - 1) / 2`` in the lower bin and
    ``(.7 + .9 - 2) / 2`` in the upper one. All confidences, .8, .6, .7 and .9, lie in the upper
    one: their sum is 3, and 3 of the 4 predictions are correct.

    >>> from skcalib.metrics import calibration_error
    >>> y_true, y_proba = [0, 1, 1, 1], [0.2, 0.4, 0.7, 0.9]
    >>> calibration_error(y_true, y_proba, kind="positive", n_bins=2)
    0.2
    >>> calibration_error(y_true, y_proba, kind="confidence", n_bins=2)
    0.0
    """
    check_options(
        _CONSTRAINTS,
        "calibration_error",
        kind=kind,
        norm=norm,
        n_bins=n_bins,
        strategy=strategy,
        debias=debias,
        average=average,
    )
    if debias and norm != 2:
        raise ValueError(f"debias=True is for norm=2, got norm={norm!r}.")
    checked = check_predictions(
        y_true, y_proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
    )
    return error_of(
        events_of(checked, kind),
        norm=norm,
        n_bins=n_bins,
        strategy=strategy,
        debias=debias,
        average=average,
    )


def error_of(
    events: Events,
    *,
    norm: int | str = 1,
    n_bins: int = 15,
    strategy: str = "uniform",
    debias: bool = False,
    average: str = "mean",
) -> float:
    """`calibration_error` of events at hand; a single column is its own average."""
    sums, _ = bin_events(events, n_bins, strategy)
    if debias and undercounted(sums).any():
        total = sums.weight[0].sum()
        raise ValueError(
            f"sample_weight sums to {total:.6g}, which leaves most bins with a weight of at most "
            "1: with debias=True a weight counts rows. Multiply the weights, so that they sum to "
            "the number of rows."
        )
    if norm == "max":
        return float(_gaps(sums).max())
    errors = squared_errors(sums, debias) if norm == 2 else mean_gaps(sums)
    error = errors[0] if len(errors) == 1 else average_over_classes(errors, events, average)
    return float(np.sqrt(max(error, 0)) if norm == 2 else error)


def expected_calibration_error(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    kind: str = "confidence",
    n_bins: int = 15,
    strategy: str = "uniform",
    average: str = "mean",
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> float:
    """Mean distance between predicted probabilities and observed frequencies (ECE).

    :func:`calibration_error` with ``norm=1``. Smaller is better. Even true probabilities have an
    expectation above 0, the more so the fewer the rows and the more the bins: compare it between
    models on the same rows only.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities; see :func:`calibration_error`, as for all that follow.
    kind : {"confidence", "class", "positive"}, default="confidence"
        Which probabilities are held against which events.
    n_bins : int, default=15
        Number of bins.
    strategy : {"uniform", "quantile"}, default="uniform"
        Bins of equal width, or of equally many rows.
    average : {"mean", "sum", "prevalence"}, default="mean"
        How the errors of kind "class" are combined.
    sample_weight : array-like of shape (n_samples,), default=None
        How many rows each row counts for; None is one each.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        Of two classes, the positive one.

    Returns
    -------
    error : float
        The expected calibration error, between 0 and 1; for ``average="sum"`` up to 2.

    Raises
    ------
    ValueError
        As :func:`calibration_error`.

    Examples
    --------
    Confidences .55, .55 and .6 fall into the bin (1/3, 2/3], .9 into (2/3, 1]; the last two
    predictions are correct: ``(|1.7 - 1| + |.9 - 1|) / 4``.

    >>> from skcalib.metrics import expected_calibration_error
    >>> y_proba = [[0.25, 0.2, 0.55], [0.55, 0.05, 0.4], [0.1, 0.3, 0.6], [0.9, 0.05, 0.05]]
    >>> expected_calibration_error(["a", "b", "c", "a"], y_proba, n_bins=3)
    0.2
    """
    return calibration_error(
        y_true,
        y_proba,
        kind=kind,
        n_bins=n_bins,
        strategy=strategy,
        average=average,
        sample_weight=sample_weight,
        labels=labels,
        pos_label=pos_label,
    )


def maximum_calibration_error(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    kind: str = "confidence",
    n_bins: int = 15,
    strategy: str = "uniform",
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> float:
    """Largest distance between predicted probabilities and observed frequencies (MCE).

    :func:`calibration_error` with ``norm="max"``: over all bins that hold a row, and for kind
    "class" over all classes. Smaller is better. A single row alone in its bin may decide it; bins
    of equally many rows, ``strategy="quantile"``, prevent that.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities; see :func:`calibration_error`, as for all that follow.
    kind : {"confidence", "class", "positive"}, default="confidence"
        Which probabilities are held against which events.
    n_bins : int, default=15
        Number of bins.
    strategy : {"uniform", "quantile"}, default="uniform"
        Bins of equal width, or of equally many rows.
    sample_weight : array-like of shape (n_samples,), default=None
        How many rows each row counts for; None is one each.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        Of two classes, the positive one.

    Returns
    -------
    error : float
        The maximum calibration error, between 0 and 1.

    Raises
    ------
    ValueError
        As :func:`calibration_error`.

    Examples
    --------
    The lower bin's gap is ``|.1 - 0|``, the upper one's ``|.6 + .8 - 1| / 2``:

    >>> from skcalib.metrics import maximum_calibration_error
    >>> maximum_calibration_error([0, 0, 1], [0.1, 0.6, 0.8], kind="positive", n_bins=2)
    0.2
    """
    return calibration_error(
        y_true,
        y_proba,
        kind=kind,
        norm="max",
        n_bins=n_bins,
        strategy=strategy,
        sample_weight=sample_weight,
        labels=labels,
        pos_label=pos_label,
    )


@np.errstate(under="ignore")
def _gaps(sums: BinSums) -> NDArray:
    """Distance between mean probability and frequency in each bin, 0 in empty ones, (C, B)."""
    gap = np.abs(sums.proba - sums.events)
    return np.divide(gap, sums.weight, out=np.zeros_like(gap), where=sums.weight > 0)


def mean_gaps(sums: BinSums) -> NDArray:
    """Mean gap of each column, (C,)."""
    return np.abs(sums.proba - sums.events).sum(axis=1) / sums.weight.sum(axis=1)


@np.errstate(under="ignore")
def squared_errors(sums: BinSums, debias: bool) -> NDArray:
    """Mean squared gap of each column, (C,); with `debias` it may be negative."""
    squared = _gaps(sums) ** 2
    if debias:
        # The unbiased variance of the mean of W_b events, f (1 - f) / (W_b - 1).
        enough = sums.weight > 1
        weight = np.where(enough, sums.weight, 2)
        frequency = sums.events / weight
        # Of weights that are no counts, a bin of 1.01 has no variance a hundred times too large.
        others = np.maximum(weight - 1, 1)
        squared = np.where(enough, squared - frequency * (1 - frequency) / others, 0)
    return (sums.weight * squared).sum(axis=1) / sums.weight.sum(axis=1)


def undercounted(sums: BinSums) -> NDArray:
    """Columns (C,) whose rows mostly share bins of a weight of at most 1: no count of rows."""
    several = sums.weight**2 > _ONE_ROW * sums.squared_weight
    shared = np.where(several & (sums.weight <= 1 + _ROUNDING), sums.weight, 0).sum(axis=1)
    return shared > sums.weight.sum(axis=1) / 2
