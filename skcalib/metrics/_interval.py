"""Intervals for calibration errors.

A percentile bootstrap would not do: chance alone makes every resampled error larger, and for a
calibrated model the interval never reaches down to the truth. These start from the bins, whose
gaps are means and so nearly normal.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._kernels._binning import BinSums
from skcalib._validation import Interval, Options, check_options, check_predictions
from skcalib.metrics._binned import BINNING_CONSTRAINTS, bin_events
from skcalib.metrics._events import one_event_of, refuse_class_label
from skcalib.metrics._proportion import two_sided_quantile, wilson_interval

_CONSTRAINTS: dict[str, list[Any]] = BINNING_CONSTRAINTS | {
    "norm": [Options(Integral, {1, 2})],
    "confidence_level": [Interval(Real, 0, 1, closed="neither")],
}


def calibration_error_interval(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    kind: str = "confidence",
    class_label: bool | int | float | str | None = None,
    norm: int = 2,
    n_bins: int = 15,
    strategy: str = "quantile",
    confidence_level: float = 0.95,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> NDArray:
    r"""Confidence interval for a calibration error.

    Which interval goes with which error:

    - ``calibration_error_interval(y, p)`` with
      ``calibration_error(y, p, norm=2, debias=True, strategy="quantile")``;
    - ``calibration_error_interval(y, p, norm=1, strategy="uniform")`` with
      ``expected_calibration_error(y, p)``.

    It is for the error that infinitely many rows would show in the same bins. Chance puts the
    number computed from few rows above that, and sometimes above the interval.

    Of ``norm=2`` its ends are the roots of those for the debiased squared error. Of ``norm=1`` it
    allows for the largest bias that chance can have, and is conservative: the closer to calibrated,
    the more. A lower end of 0 means that the rows do not tell the predictions from calibrated ones.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities, one column per class in the order of the sorted labels; for two
        classes those of `pos_label` alone will do.
    kind : {"confidence", "class", "positive"}, default="confidence"
        Which probabilities are held against which events; see :func:`calibration_error`.
    class_label : bool, int, float or str, default=None
        The class, for kind "class".
    norm : {1, 2}, default=2
        The mean gap, or the root mean square gap.
    n_bins : int, default=15
        Number of bins. Use so few that each holds twenty rows.
    strategy : {"uniform", "quantile"}, default="quantile"
        Bins of equal width, or of equally many rows: of those none is nearly empty.
    confidence_level : float, default=0.95
        Coverage, between 0 and 1.
    sample_weight : array-like of shape (n_samples,), default=None
        How many rows each row counts for; None is one each. Weights that sum to one count as one
        row: the interval is then [0, 1].
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        Of two classes, the positive one: that which `y_proba` of shape (n_samples,) is the
        probability of. None is the greater of {0, 1}, {-1, 1}, {False, True} or two `labels`.

    Returns
    -------
    interval : ndarray of shape (2,)
        Its ends, between 0 and 1.

    Raises
    ------
    ValueError
        If an option is not among its values, `class_label` is missing or unknown, or the arguments
        do not describe labels and probabilities, as the head of :mod:`skcalib.metrics` says.

    Notes
    -----
    With :math:`D_b` the mean of y - p over the :math:`n_b` rows of bin b, :math:`s_b^2` its
    variance and :math:`w_b` the bin's share of the rows, the debiased squared error is
    :math:`\sum w_b (D_b^2 - s_b^2 / n_b)`. Its variance :math:`\sum w_b^2 [4 \max(D_b^2 -
    s_b^2 / n_b, 0) s_b^2 / n_b + 2 s_b^4 / (n_b (n_b - 1))]` gives the lower end. For the upper end
    it would be too small wherever chance has made the error too small. The root of
    :math:`R = \sum w_b D_b^2` has a variance that does not depend on the error, :math:`v = \sum
    v_b w_b s_b^2 / n_b` with importances :math:`v_b \propto w_b (D_b^2 + s_b^2 / n_b)`; the upper
    end is :math:`(\sqrt R + z \sqrt v)^2 - \sum w_b s_b^2 / n_b + v`, or :math:`z^2 v` if that is
    more.

    Of ``norm=1``, :math:`\sum w_b |D_b|` has a variance of at most :math:`\sum w_b^2 s_b^2 / n_b`,
    and a mean that is above the truth by at most
    :math:`\sqrt{2 / \pi} \sum w_b s_b / \sqrt{n_b}`.

    Where few events happened, or few failed to, :math:`s_b / \sqrt{n_b}` is no measure of what
    chance may have done: on either side the distance to the end of Wilson's interval counts, if
    that is larger. A bin of a single row widens the interval by all that it could hide.

    In simulations of eight kinds of predictions in 15 bins, and of few bins and values, with 40 to
    5000 rows, intervals of 95 % covered the error in 93 to 100 % of cases: see the user guide.

    References
    ----------
    A. Kumar, P. Liang, T. Ma, Verified uncertainty calibration, NeurIPS 2019 (debiasing).
    Y. Sun, P. Chaudhari, I. J. Barnett, E. Dobriban, A confidence interval for the l2 expected
    calibration error, 2024 (distribution of the debiased error).

    Examples
    --------
    Of 400 predictions made with confidence .9, 300 are correct. The gap is .15, and the upper end
    that of Wilson's interval for 300 in 400, which begins at .705.

    >>> from skcalib.metrics import calibration_error_interval
    >>> y_true = [1] * 300 + [0] * 100
    >>> calibration_error_interval(y_true, [0.9] * 400).round(2)
    array([0.1 , 0.19])
    """
    check_options(
        _CONSTRAINTS,
        "calibration_error_interval",
        kind=kind,
        norm=norm,
        n_bins=n_bins,
        strategy=strategy,
        confidence_level=confidence_level,
    )
    refuse_class_label(kind, class_label)
    checked = check_predictions(
        y_true, y_proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
    )
    events = one_event_of(checked, kind, class_label)
    sums, _ = bin_events(events, n_bins, strategy, squared_error=True)
    return error_intervals(sums, norm, confidence_level)[0]


def error_intervals(sums: BinSums, norm: int, level: float) -> NDArray:
    """Ends (C, 2) of the interval of each column's error, from sums with squared errors."""
    with np.errstate(under="ignore"):
        gaps = _gaps_of(sums, level)
        ends = _mean_gap_interval(gaps) if norm == 1 else _root_mean_square_interval(gaps)
    return np.stack(ends, axis=1)


class _Gaps(NamedTuple):
    """The gap of each bin and what is known of it, (C, B) each; 0 in bins of at most one row."""

    share: NDArray  # of the rows
    n: NDArray  # rows, above 1
    mean: NDArray  # of y - p
    bias: NDArray  # of the squared mean: the variance of the mean
    towards: NDArray  # by how much chance may have made the gap too large, at the given level
    away: NDArray  # or too small
    hidden: NDArray  # (C,), share of the rows that are alone in their bins: a gap of up to 1
    z: float  # the normal quantile of the level


def _gaps_of(sums: BinSums, level: float) -> _Gaps:
    enough = sums.weight > 1
    n = np.where(enough, sums.weight, 2.0)
    share = sums.weight / sums.weight.sum(axis=1, keepdims=True)
    frequency = np.clip(np.where(enough, sums.events / n, 0), 0, 1)
    mean = np.where(enough, (sums.events - sums.proba) / n, 0)
    spread = np.where(enough, np.maximum(sums.squared_error / n - mean**2, 0) * n / (n - 1), 0)
    # Wilson's ends know that a frequency near 0 may be far too low but hardly too high. Where
    # the probabilities within a bin explain part of its spread, they are as much closer.
    lower, upper = wilson_interval(frequency, n, level)
    binomial = frequency * (1 - frequency)
    explained = np.divide(spread, binomial, out=np.ones_like(spread), where=binomial > 0)
    scale = np.where(enough, np.sqrt(np.minimum(explained, 1)), 0)
    z = two_sided_quantile(level)
    normal = z * np.sqrt(spread / n)
    below, above = (np.maximum(scale * w, normal) for w in (frequency - lower, upper - frequency))
    towards = np.where(mean < 0, above, below)
    # A small gap may also have grown on the other side of 0.
    away = np.maximum(np.where(mean < 0, below, above), towards - 2 * np.abs(mean))
    return _Gaps(
        share=share,
        n=n,
        mean=mean,
        bias=spread / n,
        towards=towards,
        away=away,
        hidden=np.where(enough, 0, share).sum(axis=1),
        z=z,
    )


def _mean_gap_interval(gaps: _Gaps) -> tuple[NDArray, NDArray]:
    error = (gaps.share * np.abs(gaps.mean)).sum(axis=1)
    deviation = (gaps.towards + gaps.away) / (2 * gaps.z)
    bias = np.sqrt(2 / np.pi) * (gaps.share * deviation).sum(axis=1)
    towards = np.sqrt((gaps.share**2 * gaps.towards**2).sum(axis=1))
    away = np.sqrt((gaps.share**2 * gaps.away**2).sum(axis=1))
    return np.maximum(error - bias - towards, 0), np.minimum(error + away + gaps.hidden, 1)


def _root_mean_square_interval(gaps: _Gaps) -> tuple[NDArray, NDArray]:
    squared = gaps.mean**2 - gaps.bias
    error = (gaps.share * squared).sum(axis=1)
    # The square of a gap that is nothing but chance.
    half = np.maximum(gaps.towards, gaps.away)
    of_chance = 2 * (half**2 / gaps.z) ** 2 * gaps.n / (gaps.n - 1)
    of_gap = 4 * np.maximum(squared, 0) * gaps.towards**2
    towards = np.sqrt((gaps.share**2 * (of_gap + of_chance)).sum(axis=1))
    lower = np.sqrt(np.maximum(error - towards, 0))
    return lower, np.sqrt(np.clip(_upper_square(gaps, half) + gaps.hidden, 0, 1))


def _upper_square(gaps: _Gaps, half: NDArray) -> NDArray:
    """Upper end of the squared error, from the root of the plain one.

    Around a squared error that is too small by chance the normal interval is too narrow, for its
    variance is too small as well. The root has the variance `sum w^2 D^2 s^2 / n` over the error
    whatever the gaps are. What chance adds to the plain error counts less the fewer bins there are.
    """
    plain = (gaps.share * gaps.mean**2).sum(axis=1)
    importance = gaps.share * (gaps.mean**2 + (half / gaps.z) ** 2)
    total = importance.sum(axis=1, keepdims=True)
    importance = np.divide(importance, total, out=np.zeros_like(importance), where=total > 0)
    away = np.sqrt((importance * gaps.share * gaps.away**2).sum(axis=1))
    added = (gaps.share * gaps.bias).sum(axis=1)
    kept = (importance * gaps.share * gaps.bias).sum(axis=1)
    return np.maximum((np.sqrt(plain) + away) ** 2 - added + kept, away**2)
