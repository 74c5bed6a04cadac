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

# A sum of costs that meets the budget by definition must not miss it by rounding: that of a million
# equal terms is off by some 1e-11.
_ROUNDING = 1e-10


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
    stage = np.full(len(confidence), len(thresholds))
    for place in reversed(range(len(thresholds))):
        stage[confidence[:, place] >= thresholds[place]] = place
    return stage


@np.errstate(under="ignore")
def best_thresholds(cascade: Cascade, budget: float) -> NDArray:
    """Thresholds (M - 1,) of low mean loss whose mean cost is within the budget.

    0 stops every row that comes there, infinity none. The budget is at least the cost of the first
    stage, and the costs ascend.
    """
    n_free = cascade.confidence.shape[1] - 1
    if n_free == 0:
        return np.zeros(0)
    search = _Search(cascade)
    limit = search.limit_of(budget)
    best, lowest = np.zeros(n_free), np.inf
    prices = _PRICES * np.ptp(cascade.loss) if n_free > 1 else np.zeros(1)
    unlimited = {
        tuple(search.descend(start, price, np.inf).tolist())
        for price in prices
        for start in (np.zeros(n_free), np.full(n_free, np.inf))
    }
    # In an order, or equally good thresholds would be chosen by chance.
    for start in sorted(unlimited):
        found = search.descend(np.array(start), 0.0, limit)
        loss, cost = search.rows.mean(stages(cascade.confidence, found))
        if cost <= limit and loss < lowest:
            best, lowest = found, loss
    return best


class _Search:
    """Rows in the order of each stage's confidence, sorted once for all steps.

    Costs are those beyond the first stage, which every row has, as shares of the largest: beside
    a dear first stage the others would drown in rounding.
    """

    def __init__(self, cascade: Cascade) -> None:
        self.first, self.last = float(cascade.cost[0]), float(cascade.cost[-1])
        cost = (cascade.cost - self.first) / (self.last - self.first)
        self.rows = cascade._replace(cost=cost)
        self.orders = [np.argsort(-c, kind="stable") for c in cascade.confidence.T[:-1]]

    def limit_of(self, budget: float) -> float:
        """The budget in these units, and what the rounding of its sums may add."""
        budget = min(budget, self.last)
        share = (budget - self.first) / (self.last - self.first)
        of_sums = 2 * np.spacing(budget) / (self.last - self.first)
        return float(share * (1 + _ROUNDING) + of_sums)

    def descend(self, thresholds: NDArray, price: float, limit: float) -> NDArray:
        """Set one threshold after the other until none moves."""
        thresholds = thresholds.copy()
        known: dict[tuple[float, ...], float] = {}
        for _ in range(_MOST_SWEEPS):
            before = thresholds.copy()
            for stage in reversed(range(len(thresholds))):
                # What no other threshold has moved since need not be found again.
                others = (stage, *np.delete(thresholds, stage).tolist())
                if others not in known:
                    known[others] = self._best_threshold(thresholds, stage, price, limit)
                thresholds[stage] = known[others]
            if np.array_equal(before, thresholds):
                break
        return thresholds

    def _best_threshold(self, thresholds: NDArray, stage: int, price: float, limit: float) -> float:
        """The best threshold of one stage; of equally good ones that which stops most rows."""
        confidence, loss, cost, weight = self.rows
        without = thresholds.copy()
        without[stage] = np.inf
        onward = stages(confidence, without)
        order = self.orders[stage]
        here = order[onward[order] > stage]
        if len(here) == 0:
            return float(thresholds[stage])
        sure, later, counts = confidence[here, stage], onward[here], weight[here]
        last = np.flatnonzero(np.append(sure[1:] != sure[:-1], True))
        # Nobody stops, then the most confident, and so on to all.
        gained = counts * (loss[here, stage] - loss[here, later])
        mean_loss = np.append(0.0, np.cumsum(gained)[last])
        # What those cost that go on, summed from none: a difference would not be 0 in the end.
        spent = counts * (cost[later] - cost[stage])
        beyond = np.append(np.cumsum(spent[::-1])[::-1], 0.0)[np.append(0, last + 1)]
        mean_cost = weight @ cost[np.minimum(onward, stage)] + beyond
        allowed = mean_cost <= limit
        if not allowed.any():
            return 0.0
        value = np.where(allowed, mean_loss + price * mean_cost, np.inf)
        place = len(value) - 1 - int(value[::-1].argmin())
        if place == len(last):
            return 0.0
        return float(sure[last[place - 1]]) if place else np.inf
