"""Thresholds of a cascade: which rows stop at which stage, at what loss and what cost.

A row stops at the first stage whose confidence in it reaches that stage's threshold, and at the
last stage in any case. It has cost what all stages up to there do.

With the other thresholds as they are, every threshold of one stage is tried in one pass over the
rows sorted by that stage's confidence. With two stages that is all there is. With more, loss plus
`price` times cost is brought down stage by stage for a row of prices, and from each result the
budget is used up in the same way. That finds no worse than the best of those, not always the best
of all.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Prices of a unit of cost to start from, in units of what losses and costs span.
_PRICES = np.concatenate([np.geomspace(10, 1e-3, 24), [0.0]])

# Sweeps over the stages; two or three are enough for most.
_MOST_SWEEPS = 20

# A sum of costs that meets the budget by definition must not miss it by rounding.
_ROUNDING = 1e-12


class Cascade(NamedTuple):
    """Rows as the M stages see them, (n, M) each but the costs."""

    confidence: NDArray
    loss: NDArray
    cost: NDArray  # (M,), of coming as far as each stage
    weight: NDArray  # (n,), which sum to one

    def mean(self, stage: NDArray) -> tuple[float, float]:
        """Mean loss and mean cost of rows that stop at these stages, (n,)."""
        loss = self.loss[np.arange(len(stage)), stage]
        return float(self.weight @ loss), float(self.weight @ self.cost[stage])


def stages(confidence: NDArray, thresholds: NDArray) -> NDArray:
    """Stage at which each row stops, (n,); confidences (n, M), thresholds (M - 1,)."""
    stops = np.ones(confidence.shape, dtype=bool)
    np.greater_equal(confidence[:, :-1], thresholds, out=stops[:, :-1])
    return stops.argmax(axis=1)


def best_thresholds(cascade: Cascade, budget: float) -> NDArray:
    """Thresholds (M - 1,) of low mean loss whose mean cost is within the budget.

    0 stops every row that comes there, infinity none. The budget is at least the cost of the first
    stage.
    """
    first = cascade.cost[0]
    limit = first + (budget - first) * (1 + _ROUNDING)
    n_free = cascade.confidence.shape[1] - 1
    best, lowest = np.zeros(n_free), np.inf
    prices = np.zeros(1)
    if n_free > 1:
        prices = _PRICES * np.ptp(cascade.loss) / np.ptp(cascade.cost)
    for price in prices:
        for start in (np.zeros(n_free), np.full(n_free, np.inf)):
            found = _descend(cascade, _descend(cascade, start, price, np.inf), 0.0, limit)
            loss, cost = cascade.mean(stages(cascade.confidence, found))
            if cost <= limit and loss < lowest:
                best, lowest = found, loss
    return best


def _descend(cascade: Cascade, thresholds: NDArray, price: float, limit: float) -> NDArray:
    """Set one threshold after the other until none moves."""
    thresholds = thresholds.copy()
    for _ in range(_MOST_SWEEPS):
        before = thresholds.copy()
        for stage in reversed(range(len(thresholds))):
            thresholds[stage] = _best_threshold(cascade, thresholds, stage, price, limit)
        if np.array_equal(before, thresholds):
            break
    return thresholds


def _best_threshold(
    cascade: Cascade, thresholds: NDArray, stage: int, price: float, limit: float
) -> float:
    """The best threshold of one stage; of equally good ones that which stops most rows."""
    without = thresholds.copy()
    without[stage] = np.inf
    onward = stages(cascade.confidence, without)
    here = np.flatnonzero(onward > stage)
    if len(here) == 0:
        return float(thresholds[stage])
    here = here[np.argsort(-cascade.confidence[here, stage], kind="stable")]
    confidence, later = cascade.confidence[here, stage], onward[here]
    last = np.flatnonzero(np.append(confidence[1:] != confidence[:-1], True))
    weight = cascade.weight[here]
    gained = weight * (cascade.loss[here, stage] - cascade.loss[here, later])
    saved = weight * (cascade.cost[later] - cascade.cost[stage])
    # Nobody stops, then the most confident, and so on to all.
    all_loss, all_cost = cascade.mean(onward)
    loss = all_loss + np.append(0.0, np.cumsum(gained)[last])
    cost = all_cost - np.append(0.0, np.cumsum(saved)[last])
    allowed = cost <= limit
    if not allowed.any():
        return 0.0
    value = np.where(allowed, loss + price * cost, np.inf)
    place = len(value) - 1 - int(value[::-1].argmin())
    if place == len(last):
        return 0.0
    return float(confidence[last[place - 1]]) if place else np.inf
