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
        self._first = np.flatnonzero(new)  # of each set of equal scores
        self._values = values[self._order]

    def total(self, k: int, weight: NDArray | None = None) -> NDArray:
        """Sums of the values over the best k, (J,); all candidates where there are fewer.

        `weight` (n,) is how often each candidate is there.
        """
        counts = np.ones(len(self._order)) if weight is None else weight[self._order]
        size = np.add.reduceat(counts, self._first)
        sums = np.add.reduceat(counts[:, None] * self._values, self._first)
        before = np.cumsum(size) - size
        chosen = np.clip(k - before, 0, size)
        share = np.divide(chosen, size, out=np.zeros(len(size)), where=size > 0)
        return share @ sums
