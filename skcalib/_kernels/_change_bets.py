"""Bets against "the model errs as often as it did", whatever its calibration was.

The null: within each bin of confidence, hits and misses of the reference and of the stream are
exchangeable. Then the rank of a row's outcome among all outcomes of its bin up to now, ties broken
at random, is uniform whatever came before (a conformal p-value, Vovk 2003): small where a miss is
rare. Bets are on what its distribution would be if misses were more, or less, frequent than `r`:
knees at r, a guess from the rows of the reference that only place bets. They never see the running
counts; the p-values would no longer be independent of them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Bins of confidence (a, b]: most models have rows, and errors, in each.
CUTS = (0.5, 0.8, 0.95)

# Misses per row that four rows of prior belief say.
_PRIOR_MISSES = np.array([0.6, 0.35, 0.12, 0.01])
_PRIOR_ROWS = 4.0

# Where the knee may stand, in standard errors of the guess; bets average over them.
_KNEES = np.array([-1.6, -0.8, 0.0, 0.8, 1.6])

# What frequencies of misses may turn into: by log-odds, by sharpening them, by adding to them.
_SHIFTS = (-0.7, 0.7, 1.5)
_POWERS = (0.5, 0.7, 0.85, 1.2, 1.6)
_ADDED = (0.02, 0.06, 0.2)
CHANGES = (
    *(("shift", by) for by in _SHIFTS),
    *(("power", by) for by in _POWERS),
    *(("added", by) for by in _ADDED),
)
N_CHANGE_BETS = len(CHANGES)


class Counts(NamedTuple):
    """Rows and misses in each bin, int64 (4,) each."""

    rows: NDArray
    misses: NDArray


def no_counts() -> Counts:
    """Before the first row."""
    return Counts(*np.zeros((2, len(CUTS) + 1), np.int64))


def confidence_bins(confidence: NDArray) -> NDArray:
    """Bin of each row, (n,)."""
    return np.searchsorted(np.array(CUTS, dtype=confidence.dtype), confidence, side="left")


def add_counts(counts: Counts, bins: NDArray, miss: NDArray) -> Counts:
    """The counts and these rows."""
    n_bins = len(CUTS) + 1
    return Counts(
        counts.rows + np.bincount(bins, minlength=n_bins),
        counts.misses + np.bincount(bins[miss], minlength=n_bins),
    )


def odds_of_bets(betting: Counts, counting: Counts) -> tuple[NDArray, NDArray, NDArray]:
    """Knees (4, 5) and log e-values below and above them, (4, 5, 11) each.

    Parameters
    ----------
    betting, counting : Counts
        The reference rows that only place bets, and those that start the running counts.
    """
    n = betting.rows + _PRIOR_ROWS
    r = (betting.misses + _PRIOR_ROWS * _PRIOR_MISSES) / n
    sd = np.sqrt((1 / n + 1 / (counting.rows + _PRIOR_ROWS)) / (r * (1 - r)))
    knees = _expit(_logit(r)[:, None] + _KNEES * sd[:, None])
    odds = _logit(knees)
    rival = np.stack(
        [_expit(odds + by) for by in _SHIFTS]
        + [_expit(odds * by) for by in _POWERS]
        + [knees + by * (1 - knees) for by in _ADDED],
        axis=-1,
    )
    below = rival / knees[..., None]
    above = (1 - rival) / (1 - knees[..., None])
    return knees, below, above


def p_values(counts: Counts, bins: NDArray, miss: NDArray, uniform: NDArray) -> NDArray:
    """Ranks of the outcomes, misses first, divided by the number of rows."""
    n, m = np.empty((2, len(bins)))
    for place in range(len(CUTS) + 1):
        here = np.flatnonzero(bins == place)
        n[here] = counts.rows[place] + np.arange(len(here))
        seen = np.cumsum(miss[here])
        m[here] = counts.misses[place] + seen - miss[here]
    return np.where(miss, uniform * (m + 1), m + uniform * (n - m + 1)) / (n + 1)


def change_bets(
    counts: Counts,
    bins: NDArray,
    miss: NDArray,
    uniform: NDArray,
    odds: tuple[NDArray, NDArray, NDArray],
) -> NDArray:
    """Log e-values (n, 11) of rows that are counted one after the other, from `counts` on."""
    p = p_values(counts, bins, miss, uniform)
    knees, below, above = odds
    under = p[:, None] <= knees[bins]
    evalues = np.zeros((len(p), N_CHANGE_BETS))
    for knee in range(len(_KNEES)):
        evalues += np.where(under[:, knee, None], below[bins, knee], above[bins, knee])
    return np.log(evalues / len(_KNEES))


def _logit(p: NDArray) -> NDArray:
    return np.log(p / (1 - p))


def _expit(x: NDArray) -> NDArray:
    return 1 / (1 + np.exp(-x))
