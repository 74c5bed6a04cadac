"""Reliability curves of events: in bins, and isotonic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from skcalib._kernels._binning import BinSums
from skcalib._kernels._isotonic import Isotonic, isotonic
from skcalib.metrics._binned import bin_events
from skcalib.metrics._consistency import binomial_band, effective_rows, isotonic_band, places_of
from skcalib.metrics._events import Events
from skcalib.metrics._proportion import wilson_interval

# Blocks whose frequencies differ by less than rounding are one.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class ReliabilityCurve:
    """What was predicted and what happened, bin by bin; bins without a row are left out.

    Of strategy "isotonic" a bin is a block of the isotonic curve.

    Parameters
    ----------
    mean_proba : ndarray of shape (n_filled,)
        Mean predicted probability in each bin that holds a row.
    frequency : ndarray of shape (n_filled,)
        Share of its rows in which the predicted event happened.
    lower, upper : ndarray of shape (n_filled,) or None
        Ends of the Wilson interval for that frequency; None of strategy "isotonic".
    weight : ndarray of shape (n_filled,)
        Number of rows in each bin, or their total weight.
    n_effective : ndarray of shape (n_filled,)
        Number of equally weighted rows that would tell as much, ``(sum w)**2 / sum w**2``.
    edges : ndarray of shape (n_filled, 2)
        Left and right edge of each bin ``(a, b]``; the first bin holds 0 too. Of strategy
        "isotonic" the smallest and the largest probability in each block.
    kind : {"confidence", "class", "positive"}
        Which probabilities are held against which events.
    class_label : bool, int, float, str or None
        The class whose probability it is; None for the confidence.
    n_bins : int
        Number of bins, empty ones included.
    strategy : {"uniform", "quantile", "isotonic"}
        Bins of equal width, of equally many rows, or as the isotonic curve chooses them.
    confidence_level : float
        Coverage of the intervals and of the band.
    band_proba : ndarray of shape (n_places,)
        Where the consistency band is known: at `mean_proba`; of strategy "isotonic" at the
        probabilities predicted, close ones taken together.
    band_weight : ndarray of shape (n_places,)
        Number of rows there, or their total weight.
    band_lower, band_upper : ndarray of shape (n_places,) or None
        Where the curve would lie there if the probabilities were calibrated, each place by itself;
        None if nothing was resampled.
    miscalibration : float or None
        Of strategy "isotonic" the Brier score less that of the recalibrated probabilities (MCB),
        otherwise None.
    """

    mean_proba: NDArray
    frequency: NDArray
    lower: NDArray | None
    upper: NDArray | None
    weight: NDArray
    n_effective: NDArray
    edges: NDArray
    kind: str
    class_label: bool | int | float | str | None
    n_bins: int
    strategy: str
    confidence_level: float
    band_proba: NDArray
    band_weight: NDArray
    band_lower: NDArray | None
    band_upper: NDArray | None
    miscalibration: float | None

    def __repr__(self) -> str:
        """What it is of and its error: the arrays would fill the screen."""
        if self.miscalibration is None:
            error = f"calibration_error={self.calibration_error:.4g}"
        else:
            error = f"miscalibration={self.miscalibration:.4g}"
        return (
            f"ReliabilityCurve(kind={self.kind!r}, class_label={self.class_label!r}, "
            f"strategy={self.strategy!r}, n_bins={self.n_bins}, n_filled={len(self.weight)}, "
            f"{error})"
        )

    @property
    def calibration_error(self) -> float | None:
        """Mean gap between the two, each bin counting by its weight: the ECE of these bins.

        None of strategy "isotonic": blocks that the events chose make chance look like a gap.
        """
        if self.strategy == "isotonic":
            return None
        return float(np.average(np.abs(self.mean_proba - self.frequency), weights=self.weight))


def curves_of(
    events: Events,
    *,
    kind: str,
    n_bins: int,
    strategy: str,
    confidence_level: float,
    n_resamples: int = 1000,
    random_state: int | RandomState | None = 0,
) -> list[ReliabilityCurve]:
    """One curve per column of the events."""
    if strategy == "isotonic":
        generator = check_random_state(random_state)
        fields = [
            _isotonic_fields(
                *events.column(c), events.weight, confidence_level, n_resamples, generator
            )
            for c in range(len(events.labels))
        ]
    else:
        sums, edges = bin_events(events, n_bins, strategy)
        alike = _weigh_alike(events.weight)
        fields = [
            _binned_fields(BinSums(*sums_of_column), edges_of_column, confidence_level, alike)
            for *sums_of_column, edges_of_column in zip(*sums, edges.T, strict=True)
        ]
    return [
        ReliabilityCurve(
            kind=kind,
            class_label=class_label,
            strategy=strategy,
            confidence_level=confidence_level,
            **curve,
        )
        for class_label, curve in zip(events.labels, fields, strict=True)
    ]


def _weigh_alike(weight: NDArray | None) -> bool:
    return weight is None or bool((weight[weight > 0] == weight.max()).all())


def _binned_fields(sums: BinSums, edges: NDArray, level: float, alike: bool) -> dict[str, Any]:
    """What a curve says of its bins: sums (B,), edges (B + 1,)."""
    filled = sums.weight > 0
    weight, squared_weight, proba, events, _ = (field[filled] for field in sums)
    with np.errstate(under="ignore"):
        mean_proba, frequency = np.minimum(proba / weight, 1), events / weight
    n_effective = effective_rows(weight, squared_weight)
    lower, upper = wilson_interval(frequency, n_effective, level)
    band_lower, band_upper = binomial_band(mean_proba, n_effective, level, alike=alike)
    return {
        "mean_proba": mean_proba,
        "frequency": frequency,
        "lower": lower,
        "upper": upper,
        "weight": weight,
        "n_effective": n_effective,
        "edges": np.column_stack([edges[:-1], edges[1:]])[filled],
        "n_bins": len(filled),
        "band_proba": mean_proba,
        "band_weight": weight,
        "band_lower": band_lower,
        "band_upper": band_upper,
        "miscalibration": None,
    }


def _isotonic_fields(
    p: NDArray,
    happened: NDArray,
    weight: NDArray | None,
    level: float,
    n_resamples: int,
    generator: RandomState,
) -> dict[str, Any]:
    """What a curve says of the blocks of p (n,), and of its band."""
    fit = isotonic(p, happened, weight)
    squared_weight = _squared_weight(fit, p, weight)
    rising = fit.frequency[1:] > fit.frequency[:-1] * (1 + _ROUNDING)
    first = np.flatnonzero(np.concatenate([[True], rising]))
    last = np.append(first[1:], len(fit.proba)) - 1
    with np.errstate(under="ignore"):
        weights, proba, squares = (
            np.add.reduceat(x, first) for x in (fit.weight, fit.weight * fit.proba, squared_weight)
        )
        mean_proba = np.clip(proba / weights, fit.proba[first], fit.proba[last])
    places = places_of(fit.proba, fit.weight, squared_weight)
    band = isotonic_band(places, level, n_resamples, generator) if n_resamples else (None, None)
    return {
        "mean_proba": mean_proba,
        "frequency": fit.frequency[first],
        "lower": None,
        "upper": None,
        "weight": weights,
        "n_effective": effective_rows(weights, squares),
        "edges": np.column_stack([fit.proba[first], fit.proba[last]]),
        "n_bins": len(first),
        "band_proba": places.proba,
        "band_weight": places.weight,
        "band_lower": band[0],
        "band_upper": band[1],
        "miscalibration": _miscalibration(fit),
    }


def _squared_weight(fit: Isotonic, p: NDArray, weight: NDArray | None) -> NDArray:
    """Sum of the squared weights of the rows at each distinct probability (m,)."""
    if weight is None:
        return fit.weight
    counted = weight > 0
    place = np.searchsorted(fit.proba, p[counted].astype(np.float64))
    with np.errstate(under="ignore"):
        return np.bincount(place, weight[counted] ** 2, len(fit.proba))


def _miscalibration(fit: Isotonic) -> float:
    """Brier score of the probabilities less that of the recalibrated ones."""
    p, q = fit.proba, fit.frequency
    with np.errstate(under="ignore"):
        # (p - y)^2 - (q - y)^2 = (p - q) (p + q - 2 y)
        excess = (p - q) * (fit.weight * (p + q) - 2 * fit.events)
        return max(float(excess.sum() / fit.weight.sum()), 0.0)
