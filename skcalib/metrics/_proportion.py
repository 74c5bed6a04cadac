"""Intervals for the frequency of an event."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, erfinv


def two_sided_quantile(level: float) -> float:
    """The z that a standard normal lies within, on both sides, with this probability.

    Neither 0 nor infinite for any level between 0 and 1, as ``ndtri((1 + level) / 2)`` may be.
    """
    return float(erfinv(level)) * 2**0.5


def wilson_interval(frequency: NDArray, n: NDArray, level: float) -> tuple[NDArray, NDArray]:
    """Frequencies q that n rows would not reject: ``|f - q| <= z sqrt(q (1 - q) / n)``."""
    z = two_sided_quantile(level)
    with np.errstate(under="ignore"):
        center = (frequency + z**2 / (2 * n)) / (1 + z**2 / n)
        spread = np.sqrt(frequency * (1 - frequency) / n + (z / (2 * n)) ** 2)
        half = z * spread / (1 + z**2 / n)
    # Rounding may put an end beyond 0, 1 or the frequency itself.
    return np.clip(center - half, 0, frequency), np.clip(center + half, frequency, 1)


def exact_interval(events: NDArray, n: NDArray, level: float) -> tuple[NDArray, NDArray]:
    """Clopper and Pearson's interval, which covers at least its level however rare the event."""
    tail = (1 - level) / 2
    none, all_ = events <= 0, events >= n
    with np.errstate(under="ignore"):
        lower = betaincinv(np.where(none, 1, events), n - np.where(none, 0, events) + 1, tail)
        upper = betaincinv(events + 1, np.where(all_, 1, n - events), 1 - tail)
    # Of more than some 10**10 rows betaincinv may fail; Wilson's interval is as good there.
    frequency = events / n
    rough_lower, rough_upper = wilson_interval(frequency, n, level)
    lower = np.where(np.isnan(lower), rough_lower, lower)
    upper = np.where(np.isnan(upper), rough_upper, upper)
    return np.clip(lower, 0, frequency), np.clip(upper, frequency, 1)
