"""Two forecasts of the same rows: which scores better, and whether to change over."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._validation import (
    Interval,
    Predictions,
    StrOptions,
    check_groups,
    check_options,
)
from skcalib.metrics._brier import brier_scores
from skcalib.metrics._log_loss import log_losses
from skcalib.monitoring._checks import check_clusters, check_forecast
from skcalib.monitoring._comparison_table import ComparisonRow, ForecastComparison
from skcalib.monitoring._mean_intervals import (
    Ends,
    MeanMoments,
    anytime_ends,
    exact_ends,
    fixed_ends,
    moments_of,
)

ALL_ROWS = "all rows"

_CONSTRAINTS: dict[str, list[Any]] = {
    "score": [StrOptions({"log_loss", "brier"})],
    "anytime": [StrOptions({"asymptotic", "exact"})],
    "bound": [Interval(Real, 0, None, closed="neither"), None],
    "min_gain": [Interval(Real, None, None, closed="neither")],
    "max_group_loss": [Interval(Real, 0, None, closed="left"), None],
    "n_expected": [Interval(Real, 1, None, closed="left")],
    "confidence_level": [Interval(Real, 0.5, 1, closed="left")],
}

# By how much a difference may exceed its bound, of float32 probabilities floored at its edge.
_ROUNDING = 1e-6

# From differences in order of arrival, their moments and a level to the ends of an interval.
_Sequence = Callable[[NDArray, MeanMoments, float], Ends]


def compare_forecasts(
    y_true: ArrayLike,
    p: ArrayLike,
    q: ArrayLike,
    *,
    score: str = "log_loss",
    groups: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    anytime: str = "asymptotic",
    bound: float | None = None,
    min_gain: float = 0.0,
    max_group_loss: float | None = None,
    n_expected: float = 1000,
    confidence_level: float = 0.95,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> ForecastComparison:
    r"""Whether forecast q scores better than p on the same rows, and whether to change over.

    The gain is the mean score of p less that of q: **positive where q is better**. Rows are
    paired, so that what is hard for both forecasts cancels. This is the ablation of a fixed
    against an adaptive temperature, the readout of an A/B test in which both models scored every
    row, and the gate before a refit: p serves, q waits, and `decision` is "promote", "keep" (p
    stays) or "undecided".

    Each gain has two intervals. The fixed one is for a number of rows that was settled before any
    was seen. The *anytime* interval covers at every number of rows at once: call this function
    again with all rows so far, every hundred rows or every hour, and act the first time the
    decision is made. With the fixed interval that would promote a worthless q one time in five.
    Rows must be new to both models, and in the order of arrival.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    p, q : array-like of shape (n_samples, n_classes) or (n_samples,)
        Probabilities of the two forecasts, one column per class in the order of the sorted
        labels; for two classes those of `pos_label` alone will do.
    score : {"log_loss", "brier"}, default="log_loss"
        What is compared, in nats or as :func:`~skcalib.metrics.brier_score`, halved for two
        classes.
    groups : array-like of shape (n_samples,), default=None
        The group of each row, for a gain of each. Their intervals hold all at once (Bonferroni).
    clusters : array-like of shape (n_samples,), default=None
        Which rows belong together: turns of a conversation, questions of a user. Then clusters
        are what is counted, and should arrive one after the other. None: every row alone.
    anytime : {"asymptotic", "exact"}, default="asymptotic"
        What anytime intervals rest on; see Notes. "exact" needs bounded differences and takes
        neither weights nor clusters.
    bound : float, default=None
        For "exact": what no row's difference can exceed, settled beforehand. None is 1 for the
        Brier score of two classes and 2 for that of more. For the log loss of probabilities
        that are all floored at f it is ``-log(f)``.
    min_gain : float, default=0.0
        The gain that q has to exceed to be promoted.
    max_group_loss : float, default=None
        With `groups`: q is promoted only if every group's interval shows that it loses less than
        this there, at least 0. None: groups have no say.
    n_expected : float, default=1000
        About how many rows (clusters) the decision will take: the asymptotic interval is then
        narrowest. Settled beforehand and the same at every look; a wrong guess by a factor of ten
        widens it by a third.
    confidence_level : float, default=0.95
        Coverage of the intervals, at least 0.5. A false promotion has at most half of what is
        left, .025.
    sample_weight : array-like of shape (n_samples,), default=None
        How many rows each row counts for; None is one each. Of weights that do not count rows,
        such as ``1 / propensity``, each row must be a cluster: ``clusters=range(n_samples)``.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        The class that probabilities of shape (n_samples,) are of; None is the greater of {0, 1},
        {-1, 1}, {False, True} or two `labels`.

    Returns
    -------
    comparison : ForecastComparison
        The table; `overall`, `groups` and `decision`.

    Raises
    ------
    ValueError
        If a forecast gives the probability 0 to what happened, and so has an infinite log loss;
        if a difference exceeds `bound`; if an option is not among its values or `max_group_loss`
        has no groups; or if the arguments do not describe labels and probabilities, as the head
        of :mod:`skcalib.metrics` says.

    Notes
    -----
    *Fixed*: Student's interval or, at either end, Hall's [1]_ if that reaches farther. Hall's is
    corrected for the skewness that log losses have when one forecast is the sharper: of 100 such
    rows Student's interval alone missed on one side in 7 % of cases instead of 2.5 %.

    *Asymptotic*: the mixture of t-tests of [2]_, exact at every number of rows for independent
    normal differences and, for others of finite variance, the asymptotic confidence sequence of
    [3]_; skewness is allowed for as above. The guarantee is in the limit of late first looks. It
    rests on a variance that the rows have shown: if q loses a hundred times what it usually gains
    in one row of a hundred, then until some rows have shown it nothing warns of it. First look
    when several such rows are to be expected.

    *Exact*: the empirical Bernstein sequence of [4]_ and [5]_ with its gamma-exponential bound.
    It covers the mean of the expected gains, each given the past, at every number of rows and
    whatever the rows: dependent, drifting, rare. The price is width, about ``8 * bound / n`` where
    differences are far below the bound: of 10 000 rows with deviation .05 and bound 1 it is 1.6
    times as wide as the asymptotic one, of 1000 rows 2.5 times.

    With no difference between p and q, and looks every 100 rows up to 10 000, 1 to 3 % of
    asymptotic intervals promoted q at some look, 15 to 23 % of fixed ones; where q lost much in
    1 % of the rows, 1 to 2 % of asymptotic intervals if the first look was at row 500, a third of
    them if it was at row 100: see ``benchmarks/comparisons.py``.

    References
    ----------
    .. [1] P. Hall, On the removal of skewness by transformation, Journal of the Royal Statistical
       Society B 54 (1992).
    .. [2] M. Lindon, D. W. Ham, M. Tingley, I. Bojinov, Anytime-valid linear models and
       regression adjusted causal inference in randomized experiments, 2022.
    .. [3] I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy, A. Ramdas, Time-uniform central
       limit theory and asymptotic confidence sequences, Annals of Statistics 52 (2024).
    .. [4] Y. J. Choe, A. Ramdas, Comparing sequential forecasters, Operations Research 72 (2024).
    .. [5] S. R. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, Time-uniform, nonparametric,
       nonasymptotic confidence sequences, Annals of Statistics 49 (2021), theorem 4.

    Examples
    --------
    Three in four of 400 rows happen. p says .5, q says .75: a gain of
    ``log 2 + .75 log .75 + .25 log .25 = .131`` nats.

    >>> from skcalib.monitoring import compare_forecasts
    >>> y = [1, 1, 1, 0] * 100
    >>> result = compare_forecasts(y, [0.5] * 400, [0.75] * 400)
    >>> round(result.overall.gain, 3)
    0.131
    >>> result.decision
    'promote'
    """
    check_options(
        _CONSTRAINTS,
        "compare_forecasts",
        score=score,
        anytime=anytime,
        bound=bound,
        min_gain=min_gain,
        max_group_loss=max_group_loss,
        n_expected=n_expected,
        confidence_level=confidence_level,
    )
    if max_group_loss is not None and groups is None:
        raise ValueError("max_group_loss is what q may lose in a group, but groups is None.")
    if bound is not None and anytime != "exact":
        raise ValueError(f"bound={bound:g} is for anytime='exact', got anytime={anytime!r}.")
    options: dict[str, Any] = {
        "sample_weight": sample_weight,
        "labels": labels,
        "pos_label": pos_label,
    }
    of_p, of_q = (check_forecast(y_true, f, name, **options) for name, f in (("p", p), ("q", q)))
    n_rows, n_classes = len(of_p.y_index), len(of_p.classes)
    _refuse_other_classes(of_p.classes, of_q.classes)
    by_group, by_cluster = check_groups(groups, n_rows), check_clusters(clusters, n_rows)
    rows = Scored(*_scores(of_p, of_q, score), of_p.weight, by_cluster)
    sequence: _Sequence = partial(_asymptotic, n_expected)
    if anytime == "exact":
        sequence = partial(_exact, _checked_bound(rows, score, bound, n_classes))
    return ForecastComparison(
        overall=_row(ALL_ROWS, rows, confidence_level, sequence),
        groups=_group_rows(rows, by_group, groups, confidence_level, sequence),
        score=score,
        anytime=anytime,
        min_gain=float(min_gain),
        max_group_loss=None if max_group_loss is None else float(max_group_loss),
        confidence_level=float(confidence_level),
    )


class Scored(NamedTuple):
    """Scores of both forecasts, (n,) each, in order of arrival."""

    p: NDArray
    q: NDArray
    weight: NDArray | None
    clusters: NDArray | None  # codes

    def take(self, rows: NDArray) -> Scored:
        """Those of some rows."""
        weight, clusters = (None if x is None else x[rows] for x in (self.weight, self.clusters))
        return Scored(self.p[rows], self.q[rows], weight, clusters)


def _refuse_other_classes(of_p: NDArray, of_q: NDArray) -> None:
    if not np.array_equal(of_p, of_q):
        raise ValueError(
            f"p and q must be of the same classes, got columns of {len(of_p)} and {len(of_q)}: "
            "give both one column per class."
        )


def _scores(p: Predictions, q: Predictions, score: str) -> tuple[NDArray, NDArray]:
    """Score of each row of both forecasts, (n,) each."""
    if score == "brier":
        return brier_scores(p), brier_scores(q)
    for checked, name in ((p, "p"), (q, "q")):
        _refuse_infinite_loss(checked, name)
    return log_losses(p), log_losses(q)


def _refuse_infinite_loss(checked: Predictions, name: str) -> None:
    """One row would decide, or a floor nobody chose would: neither is a comparison."""
    infinite = checked.proba[np.arange(len(checked.y_index)), checked.y_index] == 0
    if checked.weight is not None:
        infinite &= checked.weight > 0
    if infinite.any():
        row = int(infinite.argmax())
        label = checked.classes[checked.y_index[row]]
        raise ValueError(
            f"{name} gives the label {label} of row {row} the probability 0: its log loss is "
            f"infinite. Mix in a uniform share, (1 - s) * {name} + s / n_classes, or use "
            'score="brier".'
        )


def _checked_bound(rows: Scored, score: str, bound: float | None, n_classes: int) -> float:
    """What no difference exceeds, for the exact interval."""
    if rows.weight is not None or rows.clusters is not None:
        raise ValueError(
            'anytime="exact" counts rows one by one, without sample_weight and clusters. Use '
            'anytime="asymptotic".'
        )
    if bound is None and score == "log_loss":
        raise ValueError(
            'anytime="exact" needs bounded differences, and those of the log loss are not. Floor '
            'the probabilities at f and pass bound=-log(f), or use score="brier".'
        )
    if bound is None:
        return 1.0 if n_classes == 2 else 2.0
    beyond = np.abs(rows.p - rows.q) > bound * (1 + _ROUNDING)
    if beyond.any():
        row = int(beyond.argmax())
        raise ValueError(
            f"bound must exceed every difference of scores, got bound={bound} and "
            f"{rows.p[row] - rows.q[row]:.6g} in row {row}. Choose it by what probabilities can "
            "be, not by these rows."
        )
    return float(bound)


def _asymptotic(n_expected: float, gain: NDArray, moments: MeanMoments, level: float) -> Ends:
    return anytime_ends(moments, level, n_expected)


def _exact(bound: float, gain: NDArray, moments: MeanMoments, level: float) -> Ends:
    return exact_ends(gain.clip(-bound, bound), bound, level)


def _row(name: str, rows: Scored, level: float, sequence: _Sequence) -> ComparisonRow:
    gain = rows.p - rows.q
    moments = moments_of(gain, rows.weight, rows.clusters)
    lower, upper = fixed_ends(moments, level)
    anytime_lower, anytime_upper = sequence(gain, moments, level)
    return ComparisonRow(
        name=name,
        n_rows=len(gain) if rows.weight is None else int(np.count_nonzero(rows.weight)),
        score_p=float(np.average(rows.p, weights=rows.weight)),
        score_q=float(np.average(rows.q, weights=rows.weight)),
        gain=moments.mean,
        lower=lower,
        upper=upper,
        anytime_lower=anytime_lower,
        anytime_upper=anytime_upper,
    )


def _group_rows(
    rows: Scored,
    codes: NDArray | None,
    groups: ArrayLike | None,
    level: float,
    sequence: _Sequence,
) -> list[ComparisonRow]:
    """One row for each group that has a row that counts; all hold at once."""
    if codes is None:
        return []
    counts = np.ones(len(codes), bool) if rows.weight is None else rows.weight > 0
    # Stable: within a group rows stay in the order of arrival.
    order = np.flatnonzero(counts)[np.argsort(codes[counts], kind="stable")]
    present, starts = np.unique(codes[order], return_index=True)
    # 1 - level is kept above 0, where many groups and a high level would round it away.
    each = min(1 - (1 - level) / len(present), float(np.nextafter(1, 0)))
    names = np.asarray(groups)
    members = np.split(order, starts[1:])
    return [_row(str(names[of[0]]), rows.take(of), each, sequence) for of in members]
