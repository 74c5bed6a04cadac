"""Intervals for the frequency of an event."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtri


def wilson_interval(frequency: NDArray, n: NDArray, level: float) -> tuple[NDArray, NDArray]:
    """Frequencies q that n rows would not reject: ``|f - q| <= z sqrt(q (1 - q) / n)``."""
    z = ndtri((1 + level) / 2)
    center = (frequency + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(frequency * (1 - frequency) / n + (z / (2 * n)) ** 2) / (1 + z**2 / n)
    # Exactly the frequency where that is 0 or 1, which rounding would miss.
    lower = np.where(frequency == 0, 0, center - half)
    upper = np.where(frequency == 1, 1, center + half)
    return lower, upper


def exact_interval(events: NDArray, n: NDArray, level: float) -> tuple[NDArray, NDArray]:
    """Clopper and Pearson's interval, which covers at least its level however rare the event."""
    tail = (1 - level) / 2
    none, all_ = events <= 0, events >= n
    with np.errstate(under="ignore"):
        lower = betaincinv(np.where(none, 1, events), n - np.where(none, 0, events) + 1, tail)
        upper = betaincinv(events + 1, np.where(all_, 1, n - events), 1 - tail)
    return np.where(none, 0, lower), np.where(all_, 1, upper)
