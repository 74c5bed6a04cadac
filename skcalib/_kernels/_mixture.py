"""Shares of a mixture of given distributions.

A row's density under the mixture is `sum_m w_m d_im`. The shares w that maximise
`sum_i c_i log sum_m w_m d_im + sum_m a_m log w_m` are fixed points of expectation maximisation
(Dempster, Laird, Rubin 1977, section 4.3): divide each row among the members in proportion to
`w_m d_im`, and count. The `a_m` are pseudo-counts: a Dirichlet prior in which a member begins with
`a_m` rows already to its name. With classes for members, these are the class frequencies of
unlabelled rows (Saerens, Latinne, Decaestecker 2002, equation 2.9).

Such steps shrink by a constant factor, close to 1 where members are alike. So only the first is
one; the others are Newton's, whose errors shrink quadratically (Kim, Carbonetto, Stephens,
Anitescu 2020 on mixtures), with conjugate gradients for their equations. Expectation maximisation
gives these their metric: in it no eigenvalue is above 1.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import row_blocks

# A step that changes every share by less than this part of it is the last: what is left is about
# its square. A share of no more than the second number is as good as none.
_TOLERANCE = 1e-8
_NO_SHARE = 1e-14

# A gradient below this part of every share is rounding, which where members are all but the same
# would keep their shares moving.
_NO_SLOPE = 1e-13

# About 10 are enough for most problems. Where so many are not, but a row's mean log-likelihood can
# rise by no more than this, members are all but the same.
_MAX_STEPS = 100
_NO_GAIN = 1e-8

# Pseudo-counts, as parts of all rows, shared among the members that have next to none. No share
# gets to 0, and of several maxima one near the start is found.
_TRACE = 1e-30

# What a step leaves of a share at least: if it were to become negative, it does not make the others
# wait. Nor does a share grow by more than the inverse where the rows set it no limit.
_SMALLEST_PART = 0.01

# Up to this many members second derivatives are worked out once for each step. That costs as much
# as products with them for a sixteenth as many vectors, and 5 to 200 are needed.
_FEW_MEMBERS = 512

# Conjugate gradients end when the first part of the squared gradient is left, or near the maximum
# the second; or after so many products, since a step leads uphill wherever they end.
_ROUGHLY = 1e-4
_FINELY = 1e-16
_MAX_PRODUCTS = 200

# Close to the maximum the objective no longer shows an ascent that the gradient still does.
_ROUNDING = 1e-13
_SHORTER = 0.25
_SHORTEST = 1e-10


class Mixture(NamedTuple):
    """Shares (M,), which sum to one, and whether the search for them came to its end."""

    shares: NDArray
    converged: bool


@np.errstate(under="ignore")
def fit_mixture(
    densities: NDArray,
    weight: NDArray | None,
    pseudo_counts: NDArray,
    start: NDArray | None = None,
) -> Mixture:
    """Search for the shares of the members.

    Parameters
    ----------
    densities : ndarray of shape (n, M)
        What each member says of what happened in each row; at least one is positive.
    weight : ndarray of shape (n,) or None
    pseudo_counts : ndarray of shape (M,), at least 0
    start : ndarray of shape (M,), default: in proportion to the pseudo-counts
        A share of 0 stays 0 if its pseudo-count is 0 too.
    """
    start = pseudo_counts / pseudo_counts.sum() if start is None else start
    objective = _Objective.of(densities, weight, pseudo_counts, start)
    here = objective.at(start)
    here = objective.at((here.rows + objective.pseudo_counts) / objective.total)
    for _ in range(_MAX_STEPS):
        if (np.abs(here.gradient) <= _NO_SLOPE * here.shares).all():
            return _normalised(here.shares, True)
        last, (here, whole) = here.shares, _climb(objective, here, _direction(objective, here))
        small = np.abs(here.shares - last) <= _TOLERANCE * here.shares + _NO_SHARE
        if whole and small.all():
            return _normalised(here.shares, True)
    # Then rounding decides between members, and it no longer matters which of them has the rows.
    return _normalised(here.shares, _most_to_gain(objective, here) <= _NO_GAIN)


def _most_to_gain(objective: "_Objective", here: "_Point") -> float:
    """How much higher a row's mean objective can be at most.

    A concave function lies below its tangent, which over the simplex is highest at a corner.
    """
    open_ = here.shares > 0
    counted = np.where(objective.pseudo_counts > _NO_SHARE, objective.pseudo_counts, 0)
    slope = (here.rows + counted)[open_] / here.shares[open_] - objective.total
    return float(slope.max() - here.gradient.sum())


def _normalised(shares: NDArray, converged: bool) -> Mixture:
    return Mixture(shares / shares.sum(), converged)


class _Point(NamedTuple):
    """Shares w, the objective there, and its derivatives by the logarithms of w."""

    shares: NDArray
    mixture: NDArray  # sum_m w_m d_im, (n,)
    rows: NDArray  # w_m sum_i c_i d_im / mixture_i: what a member has of the rows, (M,)
    gradient: NDArray  # (M,)
    value: float


class _Objective(NamedTuple):
    """`sum c log(D w) + sum a log w - total sum w`, where `total` is `sum c + sum a`.

    The last term stands for the constraint: along a ray the maximum is where w sums to one.
    """

    densities: NDArray  # D, (n, M)
    counts: NDArray  # c, (n,)
    pseudo_counts: NDArray  # a, (M,)
    total: float

    @classmethod
    def of(
        cls, densities: NDArray, weight: NDArray | None, pseudo_counts: NDArray, start: NDArray
    ) -> "_Objective":
        """Counts as parts of all rows."""
        weight = np.ones(len(densities)) if weight is None else weight
        all_rows = weight.sum() + pseudo_counts.sum()
        counts = weight / all_rows
        trace = np.where(start > 0, np.maximum(_TRACE * start, np.finfo(np.float64).tiny), 0)
        pseudo_counts = np.maximum(pseudo_counts / all_rows, trace)
        return cls(densities, counts, pseudo_counts, counts.sum() + pseudo_counts.sum())

    def at(self, shares: NDArray) -> _Point:
        """Everything about these shares."""
        mixture = self.densities @ shares
        rows = shares * ((self.counts / mixture) @ self.densities)
        gradient = rows + self.pseudo_counts - self.total * shares
        logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
        value = self.counts @ np.log(mixture) + self.pseudo_counts @ logs
        return _Point(shares, mixture, rows, gradient, value - self.total * shares.sum())


def _direction(objective: _Objective, here: _Point) -> NDArray:
    """Newton's step, as the part of itself that each share changes by, (M,).

    By the logarithms of w, second derivatives are those of `- W D' C D W - diag(total w - rows)`,
    C being `c / mixture**2`. At the maximum the diagonal part is a. Where it is less, or negative,
    a stands in for it, or a part of its size: the step leads uphill, and not out of sight.
    """
    excess = objective.total * here.shares - here.rows
    diagonal = np.maximum(np.maximum(excess, -_SMALLEST_PART * excess), objective.pseudo_counts)
    multiply = _overlap(objective, here)
    # Rows of the other part sum to `rows`, of which none is negative.
    metric = here.rows + diagonal
    metric[metric == 0] = 1
    return _conjugate_gradients(lambda v: multiply(v) + diagonal * v, here.gradient, metric)


def _overlap(objective: _Objective, here: _Point) -> Callable[[NDArray], NDArray]:
    """Products with `W D' C D W`: what members share of rows."""
    densities, counts, shares = objective.densities, objective.counts, here.shares
    n_rows, n_members = densities.shape
    if n_members > _FEW_MEMBERS:
        per_row = counts / here.mixture
        return lambda v: (
            shares * ((per_row * (densities @ (shares * v) / here.mixture)) @ densities)
        )
    matrix = np.zeros((n_members, n_members))
    for rows in row_blocks(n_rows, n_members):
        parts = densities[rows] * shares
        parts /= here.mixture[rows, None]
        parts *= np.sqrt(counts[rows, None])
        matrix += parts.T @ parts
    return lambda v: matrix @ v


def _conjugate_gradients(
    multiply: Callable[[NDArray], NDArray], gradient: NDArray, metric: NDArray
) -> NDArray:
    """Solve for a step until the gradient left is small beside the one there was."""
    step, left = np.zeros_like(gradient), gradient
    towards = scaled = left / metric
    size = left @ scaled
    # The closer the maximum, the better the solution: errors shrink as in Newton's own steps.
    goal = size * min(max(_FINELY, size), _ROUGHLY)
    for _ in range(_MAX_PRODUCTS):
        if size <= goal:
            break
        product = multiply(towards)
        curvature = towards @ product
        if curvature == 0:  # underflow
            break
        length = size / curvature
        step = step + length * towards
        left = left - length * product
        scaled = left / metric
        size, last = left @ scaled, size
        towards = scaled + size / last * towards
    return step


def _climb(objective: _Objective, here: _Point, direction: NDArray) -> tuple[_Point, bool]:
    """Follow a direction as far as it leads uphill; whether to its end."""
    length, least = 1.0, here.value - _ROUNDING * (1 + abs(here.value))
    lowest = objective.pseudo_counts / objective.total  # as if a member had no part of any row
    while length > _SHORTEST:
        changed = here.shares * np.maximum(1 + length * direction, _SMALLEST_PART)
        there = objective.at(np.maximum(changed, lowest))
        if there.value >= least:
            return there, length == 1
        length *= _SHORTER
    return here, False
