"""Features of rows as a matrix, of categories sparse, centred without being made dense.

A column of categories is stored as one 1 per row. What is fitted are its centred columns, one-hot
minus the level's share of the rows, so that the intercept belongs to the average row. Centring
is linear, so sums over rows are taken of the raw matrix and centred afterwards. Where most of it
are numbers it is an array, for which BLAS is much faster than sparse products.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from skcalib._kernels._blocks import row_blocks


@dataclass(frozen=True)
class Prior:
    """What coefficients are shrunk by.

    The first two columns of a design are the rule, whose coefficient is the trust in it, and the
    intercept; the others come in blocks that share one spread.

    Parameters
    ----------
    block : ndarray of shape (p - 2,), intp
        Codes from 0 on.
    unit_precision : ndarray of shape (p - 2,)
        Precision of each coefficient at spread 1: 1 for a level of a category, k for each of k
        numbers, so that together they move a row by about as much as a level does.
    alpha : float, positive
        Precision of the intercept, in rows.
    has_rule : bool
    """

    block: NDArray
    unit_precision: NDArray
    alpha: float
    has_rule: bool

    @property
    def n_blocks(self) -> int:
        return int(self.block.max(initial=-1)) + 1


@dataclass(frozen=True)
class Design:
    """Features `raw @ centring` of n rows: p columns, the first two the rule and the intercept.

    Parameters
    ----------
    raw : csr_array or ndarray of shape (n, m)
    centring : csr_array of shape (m, p)
    """

    raw: csr_array | NDArray
    centring: csr_array

    def predict(self, theta: NDArray) -> NDArray:
        """`phi @ theta`, (n,)."""
        return self.raw @ (self.centring @ theta)

    def gram(self, weight: NDArray) -> NDArray:
        """`phi^T diag(weight) phi`, (p, p)."""
        raw = self.raw
        if isinstance(raw, np.ndarray):
            sums = raw.T @ (raw * weight[:, None])
        else:
            scaled = raw.data * np.repeat(weight, np.diff(raw.indptr))
            weighted = csr_array((scaled, raw.indices, raw.indptr), shape=raw.shape)
            sums = (raw.T @ weighted).toarray()
        return self.centring.T @ (self.centring.T @ sums).T

    def total(self, per_row: NDArray) -> NDArray:
        """`phi^T per_row`, (p,)."""
        return self.centring.T @ (self.raw.T @ per_row)

    def clustered_gram(self, per_row: NDArray, groups: NDArray) -> NDArray:
        """Sum over clusters of `t t^T`, t the cluster's sum of `phi * per_row`, (p, p)."""
        place = groups, np.arange(len(groups))
        members = csr_array((per_row, place), shape=(int(groups.max()) + 1, len(groups)))
        totals = members @ self.raw  # sparse if raw is: a cluster has few of many levels
        squares = totals.T @ totals
        dense = squares if isinstance(squares, np.ndarray) else squares.toarray()
        return self.centring.T @ (self.centring.T @ dense).T

    def variance(self, covariance: NDArray) -> NDArray:
        """`phi covariance phi^T` of each row, (n,)."""
        raw_covariance = self.centring @ (self.centring @ covariance).T
        if isinstance(self.raw, np.ndarray):
            return np.vecdot(self.raw, self.raw @ raw_covariance)
        variance = np.empty(self.raw.shape[0])
        for rows in row_blocks(*self.raw.shape):  # no matrix of all rows, which would be dense
            raw = self.raw[rows]
            variance[rows] = np.asarray(raw.multiply(raw @ raw_covariance).sum(axis=1)).ravel()
        return variance
