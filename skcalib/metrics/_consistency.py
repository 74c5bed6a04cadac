"""Where a reliability curve would lie if the probabilities were calibrated: consistency bands.

Bins that do not depend on the events have a frequency that is a sum of draws, and a band in closed
form. The isotonic curve chooses its blocks by the events: for its band the events are drawn again
and again from the probabilities, and the curve is made of each draw.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.special import bdtrik

# Beyond these no number of rows tells an event from a sure one, and `bdtrik` loses itself.
_SURE = (1e-12, 1 - 1e-12)
# A place at which the isotonic curve is redrawn is at most this narrow, ...
_NARROWEST = 1 / 512
# ... holds at most this share of the distinct probabilities, ...
_LARGEST_SHARE = 1 / 256
# ... and a single one at either end, where the curve hangs on few rows; two of them this far in.
_ALONE = 20


class Places(NamedTuple):
    """Probabilities, ascending, close ones taken together; all (m,) float64."""

    proba: NDArray  # mean
    weight: NDArray
    n_effective: NDArray


def binomial_band(
    proba: NDArray, n: NDArray, level: float, *, alike: bool = True
) -> tuple[NDArray, NDArray]:
    """Central range of the frequency in n rows, not necessarily whole, of mean probability (B,).

    The sum of events of different probabilities spreads less than the binomial of their mean
    (Hoeffding 1956): the range holds at least the level, hardly more where a bin is narrow. Of rows
    that do not weigh alike the frequencies lie between those of n rows, and may be more skew: both
    ends are then one row farther out, without which rare events are covered at .90 instead of .95.
    """
    inside = np.clip(proba, *_SURE)
    tails = (1 - level) / 2, (1 + level) / 2
    with np.errstate(all="ignore"):
        fewest, most = (np.ceil(bdtrik(tail, n, inside)) for tail in tails)
    step = 0 if alike else 1
    return np.clip((fewest - step) / n, 0, 1), np.clip((most + step) / n, 0, 1)


def isotonic_band(
    places: Places, level: float, n_resamples: int, random_state: RandomState
) -> tuple[NDArray, NDArray]:
    """Central range of the isotonic curve at each place (m,), over draws of the events.

    A new curve is one more such draw. So it falls below the k-th smallest of B draws with
    probability k / (B + 1) at most: the range holds at least the level. Where B is too small for
    that, the range is [0, 1].
    """
    outside = int((n_resamples + 1) * (1 - level) / 2 * (1 + 1e-12))
    if outside == 0:
        return np.zeros_like(places.proba), np.ones_like(places.proba)
    rows = np.maximum(np.rint(places.n_effective), 1).astype(np.int64)
    draws = random_state.binomial(rows, places.proba, (n_resamples, len(rows))) / rows
    for draw in draws:
        draw[:] = isotonic_regression(draw, weights=places.weight).x
    ranks = [outside - 1, n_resamples - outside]
    lower, upper = np.partition(draws, ranks, axis=0)[ranks]
    return np.clip(lower, 0, 1), np.clip(upper, 0, 1)


def places_of(proba: NDArray, weight: NDArray, squared_weight: NDArray) -> Places:
    """Take close ones of the distinct probabilities (m,), ascending, together.

    A curve of a million rows is drawn at some thousand places: beyond some hundred rows the cost of
    a band hardly grows.
    """
    before = np.arange(len(proba))
    scale = proba / _NARROWEST + before / len(proba) / _LARGEST_SHARE
    scale += _ALONE * (np.log1p(before / _ALONE) - np.log1p(before[::-1] / _ALONE))
    starts = np.flatnonzero(np.diff(np.floor(scale), prepend=-np.inf))
    with np.errstate(under="ignore"):
        weights, weighted, squared = (
            np.add.reduceat(x, starts) for x in (weight, weight * proba, squared_weight)
        )
        mean = np.clip(weighted / weights, 0, 1)
        return Places(mean, weights, effective_rows(weights, squared))


def effective_rows(weight: NDArray, squared_weight: NDArray) -> NDArray:
    """Equally weighted rows that would tell as much; one where the square of a weight is 0."""
    one_row = np.ones_like(weight)
    with np.errstate(under="ignore"):
        return np.divide(weight**2, squared_weight, out=one_row, where=squared_weight > 0)
