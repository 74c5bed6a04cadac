"""Tests of the hypothesis that predicted probabilities are the true ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from skcalib._kernels._binning import bin_index, bin_sums, uniform_edges
from skcalib._validation import (
    Interval,
    Predictions,
    StrOptions,
    check_options,
    check_predictions,
)
from skcalib.metrics._brier import brier_scores
from skcalib.metrics._events import KIND_CONSTRAINTS, Events, events_of, rows_that_count
from skcalib.metrics._log_loss import log_losses
from skcalib.metrics._smooth_calibration_error import smooth_error_of

# Equal-width bins of the binned statistics, as by default in `calibration_error`.
_N_BINS = 15

# A resampled statistic this little below the observed one, relatively, equals it: the same sum,
# added up in another order, would otherwise make a p-value too small.
_TIE = 1e-12

# Accuracy of the smooth calibration error, observed and resampled: a tenth of the time.
_SMOOTH_ACCURACY = 1e-4


@dataclass(frozen=True, eq=False)
class CalibrationTest:
    """Outcome of a test whether predicted probabilities are the true ones.

    Parameters
    ----------
    statistic : float
        The statistic of the labels at hand.
    p_value : float
        Share of label sets, the one at hand included, whose statistic is at least as large. If the
        probabilities are true it is at most alpha with a probability of at most alpha.
    n_resamples : int
        Number of label sets that were drawn.
    resampled : ndarray of shape (n_resamples,)
        Their statistics: what to expect of true probabilities.
    """

    statistic: float
    p_value: float
    n_resamples: int
    resampled: NDArray = field(repr=False)

    @property
    def expected(self) -> float:
        """What the statistic is on average if the probabilities are true."""
        return float(self.resampled.mean())


def calibration_test(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    statistic: str | Callable[..., float] = "ece",
    kind: str = "confidence",
    n_resamples: int = 999,
    random_state: int | np.random.RandomState | None = 0,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> CalibrationTest:
    """Test whether predicted probabilities are the true ones, by consistency resampling.

    A calibration error is above 0 for true probabilities too. How far above is found out by
    drawing labels from the probabilities themselves, again and again, and taking the statistic of
    each set. The p-value is ``(1 + b) / (1 + n_resamples)``, where b sets have a statistic not
    below that of the labels at hand. That makes the test exact: with true probabilities p <= alpha
    has a probability of at most alpha, and alpha itself where ``alpha * (1 + n_resamples)`` is an
    integer and no two statistics are equal, for any statistic and any number of rows and classes.

    Rows are drawn independently of each other, and given their probabilities: rows that depend on
    one another, such as several of one person, make p-values too small.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities, one column per class in the order of the sorted labels; for two
        classes those of `pos_label` alone will do. Where a row does not quite sum to one, labels
        are drawn from its normalised probabilities.
    statistic : {"ece", "l2", "mce", "smooth_ece", "brier", "log_loss"} or callable, default="ece"
        What is large where probabilities are wrong, of the events of `kind`.

        - "ece", "l2", "mce": mean, root mean square and largest gap in 15 bins of equal width,
          :func:`calibration_error` with a `norm` of 1, 2 and "max"; bins of few rows decide the
          last, which finds little;
        - "smooth_ece": :func:`smooth_calibration_error`, accurate to 1e-4;
        - "brier", "log_loss": the scores of the events. Overconfident probabilities raise them,
          underconfident ones lower them: the test is one-sided.

        A callable is called as ``statistic(y_true, y_proba, labels=labels,
        sample_weight=sample_weight)`` with all columns, labels drawn from them, and `sample_weight`
        None if there is none. `kind` is ignored.
    kind : {"confidence", "class", "positive"}, default="confidence"
        Which probabilities are held against which events.

        - "confidence": the largest of each row, against the prediction being correct;
        - "class": those of each class, against that class being true; the mean over classes, for
          "mce" the maximum;
        - "positive": of two classes, those of the positive one, against it being true.
    n_resamples : int, default=999
        Number of label sets to draw. No p-value is below ``1 / (1 + n_resamples)``.
    random_state : int, RandomState instance or None, default=0
        What labels are drawn with; an integer gives the same p-value every time.
    sample_weight : array-like of shape (n_samples,), default=None
        How much each row counts for in the statistic; None is one each. Here a weight is not
        repetition: a row of weight 3 is one label that counts three times, not three labels.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        Of two classes, the positive one: that which `y_proba` of shape (n_samples,) is the
        probability of. None is the greater of {0, 1}, {-1, 1}, {False, True} or two `labels`.

    Returns
    -------
    test : CalibrationTest
        The statistic, its p-value, and the statistics of the labels drawn.

    Raises
    ------
    ValueError
        If an option is not among its values, a callable returns NaN, or the arguments do not
        describe labels and probabilities, as the head of :mod:`skcalib.metrics` says.

    References
    ----------
    J. Broecker, L. A. Smith, Increasing the reliability of reliability diagrams, Weather and
    Forecasting 22 (2007).

    Examples
    --------
    Ten events of probability .9, none of which happens: labels drawn from .9 are never as far off.

    >>> from skcalib.metrics import calibration_test
    >>> test = calibration_test([0] * 10, [0.9] * 10, n_resamples=99, random_state=0)
    >>> test.statistic, test.p_value
    (0.9, 0.01)
    """
    check_options(
        _CONSTRAINTS,
        "calibration_test",
        statistic=statistic,
        kind=kind,
        n_resamples=n_resamples,
        random_state=random_state,
    )
    checked = check_predictions(
        y_true, y_proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
    )
    checked = rows_that_count(checked)
    if callable(statistic):
        events, measure = events_of(checked, "class"), _of_labels(statistic, checked)
    else:
        events = events_of(checked, kind)
        measure = _STATISTICS[statistic](events)
    random, cumulative = check_random_state(random_state), _cumulative(checked, events)
    observed = measure(events.happened)
    resampled = np.array([measure(_draw(cumulative, random)) for _ in range(n_resamples)])
    tied = observed - _TIE * abs(observed) if np.isfinite(observed) else observed
    b = int(np.count_nonzero(resampled >= tied))
    return CalibrationTest(observed, (1 + b) / (1 + n_resamples), n_resamples, resampled)


@np.errstate(under="ignore")
def _cumulative(checked: Predictions, events: Events) -> NDArray:
    """In each row, the chance that the event of this column or of one before it happens, (C, n)."""
    total = np.maximum(checked.proba, 0).sum(axis=1, dtype=np.float64)
    cumulative = np.maximum(events.proba.T, 0).astype(np.float64).cumsum(axis=0)
    # Of all columns the last is 1 exactly: nothing is drawn beyond it, nor with probability 0.
    total = cumulative[-1] if len(cumulative) == len(checked.classes) else total
    return cumulative / total


def _draw(cumulative: NDArray, random: np.random.RandomState) -> NDArray:
    """The column of each row's event, or -1, drawn anew; (n,)."""
    n_columns, n_rows = cumulative.shape
    uniform = random.random_sample(n_rows)
    column = np.zeros(n_rows, dtype=np.intp)
    beyond = np.empty(n_rows, dtype=bool)
    for chance in cumulative:
        np.less_equal(chance, uniform, out=beyond)
        np.add(column, beyond.view(np.uint8), out=column)
    column[column == n_columns] = -1
    return column


def _of_labels(statistic: Callable[..., float], checked: Predictions) -> Callable:
    """A user's statistic of labels, as one of class numbers."""

    def measure(y_index: NDArray) -> float:
        value = float(
            statistic(
                checked.classes[y_index],
                checked.proba,
                labels=checked.classes,
                sample_weight=checked.weight,
            )
        )
        if np.isnan(value):
            raise ValueError("statistic must return a number for any labels, got nan.")
        return value

    return measure


def _of_gaps(norm: Callable[[NDArray, NDArray], float]) -> Callable:
    """A norm of the gaps of bins, which change with the events only: rows are binned once."""

    def of_events(events: Events) -> Callable:
        edges = uniform_edges(_N_BINS)
        place = bin_index(events.proba, edges)
        sums = bin_sums(events.proba, events.happened, events.weight, edges)
        filled = sums.weight > 0

        def measure(happened: NDArray) -> float:
            rows = np.flatnonzero(happened >= 0)
            cell = place[rows, happened[rows]] + _N_BINS * happened[rows]
            weight = None if events.weight is None else events.weight[rows]
            hits = np.bincount(cell, weight, filled.size).reshape(filled.shape)
            return float(norm(np.abs(sums.proba - hits)[filled], sums.weight[filled]))

        return measure

    return of_events


def _of_scores(scores: Callable[[Predictions], NDArray]) -> Callable:
    """A mean score of the events; whether a single one happens is a matter of two outcomes."""

    def of_events(events: Events) -> Callable:
        p = events.proba
        outcomes = p if p.shape[1] > 1 else np.concatenate([p, 1 - p], axis=1)
        n_outcomes = outcomes.shape[1]

        def measure(happened: NDArray) -> float:
            given = Predictions(
                np.arange(n_outcomes), happened % n_outcomes, outcomes, 0, events.weight
            )
            return float(np.average(scores(given), weights=events.weight))

        return measure

    return of_events


def _of_smooth_error(events: Events) -> Callable:
    """The smooth calibration error, in haste."""

    def measure(happened: NDArray) -> float:
        return smooth_error_of(events._replace(happened=happened), accuracy=_SMOOTH_ACCURACY)

    return measure


# Each takes events and returns a function of what happened instead.
_STATISTICS: dict[str, Callable[[Events], Callable[[NDArray], float]]] = {
    "ece": _of_gaps(lambda gap, weight: gap.sum() / weight.sum()),
    "l2": _of_gaps(lambda gap, weight: np.average((gap / weight) ** 2, weights=weight) ** 0.5),
    "mce": _of_gaps(lambda gap, weight: (gap / weight).max()),
    "smooth_ece": _of_smooth_error,
    "brier": _of_scores(brier_scores),
    "log_loss": _of_scores(log_losses),
}

_CONSTRAINTS: dict[str, list[Any]] = KIND_CONSTRAINTS | {
    "statistic": [StrOptions(set(_STATISTICS)), callable],
    "n_resamples": [Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
}
