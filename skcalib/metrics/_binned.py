"""Events in bins of their probability: what calibration errors and curves are both made of."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._binning import BinSums, bin_sums, quantile_edges, uniform_edges
from skcalib._validation import Interval, StrOptions
from skcalib.metrics._events import KIND_CONSTRAINTS, Events

BINNING_CONSTRAINTS: dict[str, list[Any]] = KIND_CONSTRAINTS | {
    "n_bins": [Interval(Integral, 1, None, closed="left")],
    "strategy": [StrOptions({"uniform", "quantile"})],
}


def bin_events(events: Events, n_bins: int, strategy: str) -> tuple[BinSums, NDArray]:
    """Sums (C, B) over the rows of each bin, one line per column, and the edges (B + 1, C)."""
    if strategy == "uniform":
        shared = uniform_edges(n_bins)
        sums = bin_sums(events.proba, events.happened, events.weight, shared)
        return sums, np.broadcast_to(shared[:, None], (n_bins + 1, events.proba.shape[1]))
    edges = np.stack([quantile_edges(p, events.weight, n_bins) for p in events.proba.T], axis=1)
    return bin_sums(events.proba, events.happened, events.weight, edges), edges
