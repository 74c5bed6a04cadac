"""Errors among the most confident rows, and how many of these rows a bound on the risk allows.

The rows of a prefix are those of at least some confidence, so equal confidences enter together.
Of m independent rows with k errors, Clopper and Pearson's upper bound on the risk is the
`1 - delta` quantile of `Beta(k + 1, m - k)`: it lies below the true risk with probability at most
`delta`. Prefixes are tested from the shortest on, and the first that fails ends it: of hypotheses
in a fixed order, each is tested at the whole `delta` (Bauer 1991; Angelopoulos et al. 2021).

Let the risk not rise with confidence, let t* be the lowest threshold whose risk is allowed, and k
the number of rows above it. Given k, their errors are Binomial(k, risk), and every further row is
wrong at least as often. So in the first prefix that reaches below t* there are no fewer errors than
Binomial(m, risk), stochastically, although its size was read off these rows: it passes with
probability at most `delta`, and no later one is tested unless it does.
"""

from math import ceil, isfinite, log, log1p
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

# So many prefixes at most follow the first: more would stop at a chance failure all the sooner.
_N_STEPS = 50

# A prefix that passes by definition must not fail by rounding.
_ROUNDING = 1e-12


class RiskPath(NamedTuple):
    """What each prefix holds, from the shortest on, and what that says of the risk."""

    threshold: NDArray  # (J,), the least confidence in it, descending
    kept: NDArray  # (J,), weight of its rows
    wrong: NDArray  # (J,), weight of those that are wrong
    bound: NDArray  # (J,), upper bound on its risk


def fewest_rows(risk: float, delta: float) -> int | None:
    """Rows that must be right, all of them, to show that the risk is no more than this.

    None if no number of rows does.
    """
    rows = log(delta) / log1p(-risk) * (1 - _ROUNDING)  # log(1 - risk) is 0 from 1e-16 down
    return max(1, ceil(rows)) if isfinite(rows) else None


def prefix_sizes(n_rows: int, first: int | None = None) -> NDArray:
    """Sizes to test: the first, by default a step, then evenly on, and all rows, (J,)."""
    step = max(1, n_rows // _N_STEPS)
    start = step if first is None else first
    if start > n_rows:  # perhaps by more than an integer of numpy holds
        return np.empty(0, dtype=np.intp)
    return np.union1d(np.arange(start, n_rows + 1, step), [n_rows])


def risk_path(
    confidence: NDArray, correct: NDArray, weight: NDArray | None, sizes: NDArray, delta: float
) -> RiskPath:
    """Prefixes of at least these sizes, (J,) or fewer where ties make them one.

    Parameters
    ----------
    confidence : ndarray of shape (n,)
    correct : ndarray of shape (n,), bool
    weight : ndarray of shape (n,) or None
        None for independent rows that count alike. Weighted rows have no bound: NaN.
    sizes : ndarray of shape (J,), ascending, from 1 to n
    delta : float, between 0 and 1
    """
    order = np.argsort(-confidence, kind="stable")
    descending = confidence[order]
    threshold = np.unique(descending[sizes - 1])[::-1]
    last = np.searchsorted(-descending, -threshold, side="right") - 1
    counts = np.ones(len(order)) if weight is None else weight[order]
    kept, wrong = (np.cumsum(c)[last] for c in (counts, counts * ~correct[order]))
    if weight is not None:
        return RiskPath(threshold, kept, wrong, np.full(len(last), np.nan))
    return RiskPath(threshold, kept, wrong, upper_bound(wrong, kept, delta))


def upper_bound(wrong: NDArray, kept: NDArray, delta: float) -> NDArray:
    """Clopper and Pearson's; 1 where no row is right, or there is none."""
    right = kept - wrong
    with np.errstate(under="ignore"):
        bound = betaincinv(wrong + 1, np.where(right > 0, right, 1), 1 - delta)
    return np.where(right > 0, bound, 1.0)


def n_passing(bound: NDArray, risk: float) -> int:
    """How many prefixes come before the first whose bound is above the risk allowed."""
    failed = bound > risk * (1 + _ROUNDING)
    return int(failed.argmax()) if failed.any() else len(failed)


def threshold_of_share(confidence: NDArray, weight: NDArray | None, share: float) -> float:
    """The highest threshold that a further row reaches with at least this probability.

    Among n + 1 exchangeable rows the last is below the k-th smallest of the others with
    probability at most `k / (n + 1)`: k is the largest for which that is at most `1 - share`.

    Weights that are no whole numbers count no rows, and one row more has no weight among them.
    Their threshold is the highest that at least this share of the weight reaches.
    """
    order = np.argsort(confidence, kind="stable")
    counts = np.ones(len(order)) if weight is None else weight[order]
    below = np.cumsum(counts)
    if weight is None or (counts == np.floor(counts)).all():
        k = np.floor((below[-1] + 1) * (1 - share) * (1 + _ROUNDING))
    else:  # in doubt a row more
        k = below[-1] * (1 - share) * (1 - _ROUNDING)
    if k <= 0:
        return 0.0
    return float(confidence[order][min(int(np.searchsorted(below, k)), len(order) - 1)])
