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


def bin_events(
    events: Events, n_bins: int, strategy: str, *, squared_error: bool = False
) -> tuple[BinSums, NDArray]:
    """Sums (C, B) over the rows of each bin, one line per column, and the edges (B + 1, C)."""
    p, happened, weight, _ = events
    if strategy == "uniform":
        shared = uniform_edges(n_bins)
        edges = np.broadcast_to(shared[:, None], (n_bins + 1, p.shape[1]))
        return bin_sums(p, happened, weight, shared, squared_error=squared_error), edges
    edges = np.stack([quantile_edges(column, weight, n_bins) for column in p.T], axis=1)
    return bin_sums(p, happened, weight, edges, squared_error=squared_error), edges
