"""Totals over the best of some candidates.

Candidates of equal score are chosen in equal parts: what is summed is what a random order among
them yields on average, so that it does not depend on the order of rows.
"""

import numpy as np
from numpy.typing import NDArray


class TopK:
    """Candidates in the order of their scores, ready for totals under many weights.

    Parameters
    ----------
    score : ndarray of shape (n,)
    values : ndarray of shape (n, J)
        What is summed over the candidates that are chosen.
    """

    def __init__(self, score: NDArray, values: NDArray) -> None:
        self._order = np.argsort(-score, kind="stable")
        descending = score[self._order]
        new = np.append(True, descending[1:] != descending[:-1])
        self._first = np.append(np.flatnonzero(new), len(score))  # of each set of equal scores
        self._values = values[self._order]

    def total(self, k: int, weight: NDArray | None = None) -> NDArray:
        """Sums of the values over the best k, (J,); all candidates where there are fewer.

        `weight` (n,) is how often each candidate is there.
        """
        counts = self._counts_of_best(k, weight)
        first = self._first[: np.searchsorted(self._first, len(counts))]
        size = np.add.reduceat(counts, first)
        sums = np.add.reduceat(counts[:, None] * self._values[: len(counts)], first)
        before = np.cumsum(size) - size
        chosen = np.clip(k - before, 0, size)
        share = np.divide(chosen, size, out=np.zeros(len(size)), where=size > 0)
        return share @ sums

    def _counts_of_best(self, k: int, weight: NDArray | None) -> NDArray:
        """How often the first sets of equal scores are there, until k are: often few of many."""
        n_rows, stop = len(self._order), k
        while True:
            end = int(self._first[np.searchsorted(self._first, min(stop, n_rows))])
            counts = np.ones(end) if weight is None else weight[self._order[:end]]
            if end == n_rows or counts.sum() >= k:
                return counts
            stop = 2 * end
