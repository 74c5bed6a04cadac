"""Isotonic recalibration: the frequencies of an event that rise with its predicted probability.

Rows of equal probability are pooled before anything else, so that they share one value and their
order does not matter. Of all values that do not fall as the probability rises, those of `Isotonic`
have the best score, by the Brier score, the log loss and every other proper score at once: they
are the frequencies of neighbouring rows pooled until none falls (pool adjacent violators).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression


class Isotonic(NamedTuple):
    """Recalibrated probabilities, m distinct ones in B blocks that share a frequency; float64."""

    proba: NDArray  # (m,), ascending; those of weight 0 are left out
    weight: NDArray  # (m,), of the rows that have this probability
    events: NDArray  # (m,), of those of them whose event happened
    frequency: NDArray  # (m,), what the probability is recalibrated to
    block_weight: NDArray  # (B,)
    block_events: NDArray  # (B,)


def isotonic(p: NDArray, happened: NDArray, weight: NDArray | None) -> Isotonic:
    """Recalibrate probabilities p (n,) of an event that `happened` (n,) or did not."""
    with np.errstate(under="ignore"):
        proba, total, events = _pool_equal(p.astype(np.float64), happened, weight)
        starts = isotonic_regression(events / total, weights=total).blocks[:-1]
        # Sums added in one order: exactly 0 or 1 where no row had the event, or every one.
        block_weight, block_events = (np.add.reduceat(sums, starts) for sums in (total, events))
        # Blocks whose frequencies are equal but for rounding may have been left apart.
        rising = np.maximum.accumulate(block_events / block_weight)
    frequency = np.repeat(rising, np.diff(starts, append=len(proba)))
    return Isotonic(proba, total, events, frequency, block_weight, block_events)


def _pool_equal(
    p: NDArray, happened: NDArray, weight: NDArray | None
) -> tuple[NDArray, NDArray, NDArray]:
    """Distinct p, ascending, with the weight and the events of each, (m,)."""
    if weight is None:
        # Two sorts without an index cost a third of one with it.
        ordered = np.sort(p)
        starts = _starts(ordered)
        proba = ordered[starts]
        places = np.searchsorted(proba, np.sort(p[happened]))
        total = np.diff(starts, append=len(p)).astype(np.float64)
        return proba, total, np.bincount(places, minlength=len(proba)).astype(np.float64)
    counted = weight > 0
    if not counted.all():
        p, happened, weight = p[counted], happened[counted], weight[counted]
    order = np.argsort(p)
    ordered, weight = p[order], weight[order]
    starts = _starts(ordered)
    events = np.add.reduceat(weight * happened[order], starts)
    return ordered[starts], np.add.reduceat(weight, starts), events


def _starts(ordered: NDArray) -> NDArray:
    """First place of each run of equal values."""
    return np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
