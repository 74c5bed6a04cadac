"""Scores split into miscalibration, discrimination and uncertainty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy
from sklearn.model_selection import KFold

from skcalib._kernels._binning import bin_index, quantile_edges, uniform_edges
from skcalib._kernels._isotonic import isotonic
from skcalib._validation import (
    HasMethods,
    Interval,
    Predictions,
    StrOptions,
    check_options,
    check_predictions,
)
from skcalib.metrics._binned import BINNING_CONSTRAINTS
from skcalib.metrics._brier import brier_scores
from skcalib.metrics._events import events_of, rows_that_count
from skcalib.metrics._log_loss import log_losses
from skcalib.metrics._recalibration import held_out_scores

DECOMPOSITION_CONSTRAINTS: dict[str, list[Any]] = BINNING_CONSTRAINTS | {
    "score": [StrOptions({"brier", "log_loss"})],
    "method": [StrOptions({"corp", "calibrator", "murphy"})],
    "calibrator": [HasMethods(["fit", "predict_proba"]), None],
    "cv": [Interval(Integral, 2, None, closed="left"), HasMethods(["split"])],
    "random_state": ["random_state"],
}

# Scores that differ by less are equal.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class ScoreDecomposition:
    """A mean score and its parts.

    ``score = miscalibration - discrimination + uncertainty + within_bin``, but for rounding.

    Parameters
    ----------
    score : float
        The mean Brier score or log loss.
    miscalibration : float
        What recalibration would save. Smaller is better.
    discrimination : float
        What the recalibrated probabilities save against the base rate. Greater is better.
    uncertainty : float
        Score of the base rate, which no model changes; of kind "confidence" the base rate is the
        accuracy.
    within_bin : float, default=0.0
        What the probabilities' differences within bins add; for method "murphy" alone.
    scoring : {"brier", "log_loss"}, default="brier"
        The score.
    method : {"corp", "calibrator", "murphy"}, default="corp"
        How the probabilities were recalibrated.
    kind : {"class", "confidence", "positive"}, default="class"
        Which probabilities were held against which events.
    """

    score: float
    miscalibration: float
    discrimination: float
    uncertainty: float
    within_bin: float = 0.0
    scoring: str = "brier"
    method: str = "corp"
    kind: str = "class"

    @property
    def refinement(self) -> float:
        """Score after recalibration, ``uncertainty - discrimination``."""
        return self.uncertainty - self.discrimination


def score_decomposition(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    score: str = "brier",
    method: str = "corp",
    kind: str = "class",
    n_bins: int = 15,
    strategy: str = "uniform",
    calibrator: Any = None,
    cv: Any = 5,
    random_state: Any = 0,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> ScoreDecomposition:
    """Split a score into miscalibration, discrimination and uncertainty.

    ``score = miscalibration - discrimination + uncertainty``: the score of the probabilities, less
    what recalibrating them would save, is the score of the recalibrated ones; less what those save
    against the base rate, that of the base rate. Miscalibration can be mended after training,
    discrimination cannot. The methods differ in how they recalibrate.

    - "corp": by isotonic regression, on the same rows. No option decides the result, and neither
      part is negative, but for rows that do not quite sum to one. Of few rows both come out too
      large, since the recalibration fits their noise too.
    - "calibrator": by a calibrator of the whole vectors of probabilities, on rows it was not
      fitted on. The one to report for more than two classes. Miscalibration is negative where
      recalibration does harm, as it may where there is nothing to mend; so is discrimination
      where the recalibrated probabilities are worse than the base rate.
    - "murphy": by the frequency in each bin. Miscalibration is the reliability of the bins' mean
      probabilities, discrimination their resolution. What probabilities differ within bins is a
      part of its own, `within_bin`; of the Brier score it is the within-bin variance less twice
      the within-bin covariance.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities, one column per class in the order of the sorted labels; for two
        classes those of `pos_label` alone will do.
    score : {"brier", "log_loss"}, default="brier"
        The score, a mean over rows; the log loss is in nats. A probability of 0 for what happened
        makes log loss and miscalibration, of bins `within_bin`, infinite; but method "calibrator"
        takes it for 2**-52, as :func:`sklearn.metrics.log_loss` does.
    method : {"corp", "calibrator", "murphy"}, default="corp"
        How the probabilities are recalibrated.
    kind : {"class", "confidence", "positive"}, default="class"
        Which probabilities are held against which events.

        - "class": those of each class, against that class being true; the parts are summed over
          classes. Of two classes it is "positive". The Brier score is that of
          :func:`brier_score`. The log loss of more than two classes is the sum of those of each
          class against the rest, and greater than the usual one.
        - "confidence": the largest of each row, against the prediction being correct;
        - "positive": of two classes, those of the positive one, against it being true.

        Method "calibrator" has the usual scores of whole vectors instead; leave "class".
    n_bins : int, default=15
        Number of bins. For method "murphy"; others ignore it.
    strategy : {"uniform", "quantile"}, default="uniform"
        Bins of equal width, or of equally many rows. For method "murphy"; others ignore it.
    calibrator : estimator, default=None
        For method "calibrator", a classifier that takes probabilities as its X, of shape
        (n_samples, n_classes); a clone is fitted for each fold. None is one temperature, with
        fitted smoothing, for all rows.
    cv : int or cross-validation generator, default=5
        How rows are held out from the calibrator: a number of shuffled folds, or an object with
        `split`. Each row must be held out at least once; more often, its mean score counts. For
        method "calibrator"; others ignore it.
    random_state : int, RandomState instance or None, default=0
        How the folds are shuffled, where `cv` is a number.
    sample_weight : array-like of shape (n_samples,), default=None
        How many rows each row counts for; None is one each. Folds split rows, whatever their
        weight.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        Of two classes, the positive one: that which `y_proba` of shape (n_samples,) is the
        probability of. None is the greater of {0, 1}, {-1, 1}, {False, True} or two `labels`.

    Returns
    -------
    decomposition : ScoreDecomposition
        The score and its parts.

    Raises
    ------
    ValueError
        If an option is not among its values, if `calibrator` or `kind` does not go with the
        method, if the folds do not fit the rows or the calibrator a fold, or if the arguments do
        not describe labels and probabilities, as the head of :mod:`skcalib.metrics` says.

    See Also
    --------
    skcalib.display.DecompositionDisplay : Draws the parts of several models.

    References
    ----------
    T. Dimitriadis, T. Gneiting, A. I. Jordan, Stable reliability diagrams for probabilistic
    classifiers, PNAS 118 (2021) ("corp").

    E. Berta, D. Holzmüller, M. I. Jordan, F. Bach, Rethinking early stopping: refine, then
    calibrate, 2025 ("calibrator").

    D. B. Stephenson, C. A. S. Coelho, I. T. Jolliffe, Two extra components in the Brier score
    decomposition, Weather and Forecasting 23 (2008) ("murphy").

    Examples
    --------
    Isotonic regression pools the middle rows, whose frequency falls: 0, 1/2, 1/2, 1. That leaves
    ``2 * .25 / 4`` of the score ``(.04 + .16 + .36 + .04) / 4`` and of the uncertainty ``.5 * .5``.

    >>> from skcalib.metrics import score_decomposition
    >>> parts = score_decomposition([0, 1, 0, 1], [0.2, 0.6, 0.6, 0.8])
    >>> parts.score, parts.miscalibration, parts.discrimination, parts.uncertainty
    (0.15, 0.025, 0.125, 0.25)
    >>> parts.refinement
    0.125
    """
    options = {
        "score": score,
        "method": method,
        "kind": kind,
        "n_bins": n_bins,
        "strategy": strategy,
        "calibrator": calibrator,
        "cv": cv,
        "random_state": random_state,
    }
    check_decomposition_options("score_decomposition", options)
    checked = check_predictions(
        y_true, y_proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
    )
    return decomposition_of(checked, **options)


def check_decomposition_options(caller: str, options: dict[str, Any]) -> None:
    """Hold the options of `decomposition_of` against their table, and against each other."""
    check_options(DECOMPOSITION_CONSTRAINTS, caller, **options)
    method, kind = options["method"], options["kind"]
    if method == "calibrator" and kind != "class":
        raise ValueError(
            "method='calibrator' scores whole vectors of probabilities: leave kind='class', got "
            f"kind={kind!r}. Use method='corp' for other kinds."
        )
    if method != "calibrator" and options["calibrator"] is not None:
        raise ValueError(f"calibrator is for method='calibrator', got method={method!r}.")


def decomposition_of(
    checked: Predictions,
    *,
    score: str,
    method: str,
    kind: str,
    n_bins: int,
    strategy: str,
    calibrator: Any,
    cv: Any,
    random_state: Any,
) -> ScoreDecomposition:
    """`score_decomposition` of predictions at hand."""
    if method == "calibrator":
        total = np.array(_parts_by_calibrator(checked, score, calibrator, cv, random_state))
    else:
        total = np.zeros(5)
        for column in _columns(rows_that_count(checked), kind):
            if method == "corp":
                total += _parts_by_isotonic(column, score)
            else:
                total += _parts_by_bins(column, score, n_bins, strategy)
    of_given, miscalibration, discrimination, uncertainty, within_bin = total.tolist()
    return ScoreDecomposition(
        score=of_given,
        miscalibration=miscalibration,
        discrimination=discrimination,
        uncertainty=uncertainty,
        within_bin=within_bin,
        scoring=score,
        method=method,
        kind=kind,
    )


class _Column(NamedTuple):
    """Probabilities of one event, and whether it happened."""

    proba: NDArray  # (n,), contiguous
    chance: NDArray  # (n,), the same in float64, what rounding put beyond 0 and 1 put back
    rest: NDArray  # (n,), 1 - chance; of two classes the other one's, which 1 - 1 = 0 would lose
    happened: NDArray  # (n,), bool
    weight: NDArray | None  # (n,)

    @np.errstate(divide="ignore")
    def losses(self, score: str) -> NDArray:
        """Score of each row, (n,)."""
        if score == "brier":
            error, of_rest = self.chance - self.happened, self.rest - ~self.happened
            return (error**2 + of_rest**2) / 2
        return -np.log(np.where(self.happened, self.chance, self.rest))


def _columns(checked: Predictions, kind: str) -> Iterator[_Column]:
    """The events of one kind, one column after the other; two classes are one event."""
    two_classes = kind != "confidence" and len(checked.classes) == 2
    events = events_of(checked, "positive" if two_classes else kind)
    for c in range(events.proba.shape[1]):
        p, happened = events.column(c)
        p = np.ascontiguousarray(p)  # ten times faster to put into bins
        chance = p.astype(np.float64).clip(0, 1)
        rest = 1 - chance
        if two_classes:
            rest = checked.proba[:, 1 - checked.positive].astype(np.float64).clip(0, 1)
        yield _Column(p, chance, rest, happened, checked.weight)


def _group_losses(
    chance: NDArray, rest: NDArray, events: NDArray, others: NDArray, score: str
) -> NDArray:
    """Summed score of groups of rows that share a probability `chance`, and `rest` = 1 - chance.

    `events` and `others` are the weights of rows whose event happened and did not.
    """
    if score == "brier":
        return events * rest**2 + others * chance**2
    return -xlogy(events, chance) - xlogy(others, rest)


def _frequency_losses(weight: NDArray, events: NDArray, score: str) -> NDArray:
    """Summed score of groups whose probability is the frequency of their events."""
    others = weight - events
    return _group_losses(events / weight, others / weight, events, others, score)


def _saved(before: float, after: float) -> float:
    """What the score fell by; it does not rise, but for rounding."""
    return 0.0 if 0 < after - before < _ROUNDING else before - after


@np.errstate(under="ignore")
def _parts_by_isotonic(column: _Column, score: str) -> list[float]:
    """Fields of `ScoreDecomposition` for one column, by CORP."""
    fit = isotonic(column.chance, column.happened, column.weight)
    total = fit.block_weight.sum()
    original = np.average(column.losses(score), weights=column.weight)
    recalibrated = _frequency_losses(fit.block_weight, fit.block_events, score).sum() / total
    base = _frequency_losses(total, fit.block_events.sum(), score) / total
    return [original, _saved(original, recalibrated), _saved(base, recalibrated), base, 0]


@np.errstate(under="ignore")
def _parts_by_bins(column: _Column, score: str, n_bins: int, strategy: str) -> list[float]:
    """Fields of `ScoreDecomposition` for one column, by the frequencies of bins."""
    edges = uniform_edges(n_bins)
    if strategy == "quantile":
        edges = quantile_edges(column.proba, column.weight, n_bins)
    index = bin_index(column.proba[:, None], edges)[:, 0]
    w = np.ones(len(index)) if column.weight is None else column.weight
    # The rest is not 1 less the mean: that may round to 0 where no probability is 1.
    each = [w, w * column.happened, w * column.chance, w * column.rest, w * column.losses(score)]
    sums = np.stack([np.bincount(index, values, n_bins) for values in each])
    in_bin, events, chance, rest, losses = sums[:, sums[0] > 0]

    of_means = _group_losses(chance / in_bin, rest / in_bin, events, in_bin - events, score)
    of_frequencies = _frequency_losses(in_bin, events, score).sum()
    total = in_bin.sum()
    base = _frequency_losses(total, events.sum(), score)
    # A bin whose mean has an infinite loss holds nothing but zeros, or nothing but ones.
    within = np.subtract(losses, of_means, out=np.zeros_like(losses), where=of_means < np.inf)
    return [
        losses.sum() / total,
        _saved(of_means.sum() / total, of_frequencies / total),
        _saved(base / total, of_frequencies / total),
        base / total,
        within.sum() / total,
    ]


def _parts_by_calibrator(
    checked: Predictions, score: str, calibrator: Any, cv: Any, random_state: Any
) -> list[float]:
    """Fields of `ScoreDecomposition`, by recalibration of rows held out."""
    if isinstance(cv, Integral):
        cv, checked = int(cv), rows_that_count(checked)
        if cv > len(checked.proba):
            raise ValueError(
                f"cv={cv} folds need at least {cv} rows that count, got {len(checked.proba)}. Pass "
                "a smaller cv."
            )
        cv = KFold(cv, shuffle=True, random_state=random_state)
    row_scores = brier_scores if score == "brier" else log_losses
    frequency = np.bincount(checked.y_index, checked.weight, len(checked.classes))
    base_rates = np.broadcast_to(frequency / frequency.sum(), checked.proba.shape)
    original, refinement, base = (
        float(np.average(scores, weights=checked.weight))
        for scores in (
            row_scores(checked),
            held_out_scores(checked, row_scores, calibrator, cv),
            row_scores(checked._replace(proba=base_rates)),
        )
    )
    return [original, original - refinement, base - refinement, base, 0]
