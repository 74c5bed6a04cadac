"""Regret of choices among candidates, with intervals."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from skcalib._kernels._top_k import TopK
from skcalib.decisions._ranking_table import RankingRow

# Columns of what `_Candidates.figures` works out.
_GOT, _BEST = 1, 2


class RegretDraws:
    """Figures of several scores on the same lists, and on the same resamples of them."""

    def __init__(
        self,
        reward: NDArray,
        lists: list[NDArray],
        k: int | None,
        n_resamples: int,
        confidence_level: float,
        random_state: int | RandomState | None,
    ) -> None:
        self.reward, self.lists, self.k = reward, lists, k
        self.n_resamples = n_resamples
        self.seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        tail = (1 - confidence_level) / 2
        self.tails = [tail, 1 - tail]

    def rows(self, utility: dict[str, NDArray]) -> list[RankingRow]:
        """One for each score, then one for each difference to the first."""
        resampled = self._resampled(list(utility.values()))
        rows, differences = [], []
        for (name, expected), draws in zip(utility.items(), resampled.T, strict=True):
            promised, got, best = self._of_lists(expected).mean(axis=0).tolist()
            rows.append(RankingRow(name, promised, got, best, best - got, *self._interval(draws)))
            if len(rows) > 1:
                label, change = f"{name} less {rows[0].name}", best - got - rows[0].regret
                interval = self._interval(draws - resampled[:, 0])
                differences.append(RankingRow(label, None, None, None, change, *interval))
        return rows + differences

    def regrets(self, expected: NDArray) -> NDArray:
        """Of each list."""
        figures = self._of_lists(expected)
        return figures[:, _BEST] - figures[:, _GOT]

    def _of_lists(self, expected: NDArray) -> NDArray:
        """What was promised, got and best in each list, (L, 3)."""
        return np.array(
            [
                _Candidates(expected[rows], self.reward[rows], self.k).figures()
                for rows in self.lists
            ]
        )

    def _resampled(self, utilities: list[NDArray]) -> NDArray:
        """Regrets of resamples, (B, S) of S scores: of the same resamples for each."""
        if len(self.lists) > 1:
            of_groups = np.stack([self.regrets(expected) for expected in utilities], axis=1)
            return np.array([counts @ of_groups / len(of_groups) for counts in self._counts()])
        candidates = [_Candidates(expected, self.reward, self.k) for expected in utilities]
        return np.array([[c.regret(counts) for c in candidates] for counts in self._counts()])

    def _counts(self) -> Iterator[NDArray]:
        """How often each row, or each group, is in a resample."""
        generator = RandomState(self.seed)
        n_units = len(self.reward) if len(self.lists) == 1 else len(self.lists)
        for _ in range(self.n_resamples):
            drawn = generator.randint(n_units, size=n_units)
            yield np.bincount(drawn, minlength=n_units).astype(np.float64)

    def _interval(self, resampled: NDArray) -> tuple[float, float]:
        low, high = np.quantile(resampled, self.tails)
        return float(low), float(high)


class _Candidates:
    """One list to choose from."""

    def __init__(self, expected: NDArray, reward: NDArray, k: int | None) -> None:
        self.k, self.n_rows = k, len(reward)
        if k is None:
            chosen = expected > 0
            gain = np.maximum(reward, 0)
            self.per_row = np.stack([expected * chosen, reward * chosen, gain], axis=1)
        else:
            self.by_promise = TopK(expected, np.stack([expected, reward], axis=1))
            self.by_hindsight = TopK(reward, reward[:, None])

    def figures(self, weight: NDArray | None = None) -> NDArray:
        """Means of what was promised, got and best, (3,)."""
        if self.k is None:
            counts = np.ones(self.n_rows) if weight is None else weight
            return counts @ self.per_row / self.n_rows
        totals = [top.total(self.k, weight) for top in (self.by_promise, self.by_hindsight)]
        return np.concatenate(totals) / min(self.k, self.n_rows)

    def regret(self, weight: NDArray) -> float:
        """Of rows that are there so often."""
        _, got, best = self.figures(weight).tolist()
        return best - got
