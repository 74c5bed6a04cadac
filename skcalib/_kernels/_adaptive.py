"""A temperature for each row from the row's features, by shrunk maximum likelihood.

`u = log beta = -log T` of a row is `phi . theta`; the first feature is what a rule says, and its
coefficient the trust in it. Rows are made to count less where their losses vary more than the
model allows (overdispersion), coefficients are shrunk as far as the evidence says, and both are
found together by Fisher scoring: its matrix is positive semidefinite wherever the search is.

All that is needed of rows are sums, `Statistics`. Those of rows that came before are kept and
fade, which makes the online fit.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import Source
from skcalib._kernels._design import Design, Prior
from skcalib._kernels._moments import row_moments, small_sample_correction, work_arrays
from skcalib._kernels._scaled import RowScaledLogits
from skcalib._kernels._shrinkage import Shrunk, loose_precision, shrink
from skcalib._kernels._temperature import LOG_BETA_BOUND

_MOST_PASSES = 50
_STEP_TOLERANCE = 1e-4
_LONGEST_STEP = 1.5  # of a row, in log T
_DAMPING = 0.6  # of a step back that is nearly as long as the one before
_RECOVERY = 1.5  # of a step on

# Rows of the overdispersion's prior: c is 1 until more rows than these say otherwise.
_DISPERSION_ROWS = 5.0


class Rows(NamedTuple):
    """Rows to fit on.

    Parameters
    ----------
    source : Source of n rows and K classes
    y_index : ndarray of shape (n,), column of each row's true class
    weight : ndarray of shape (n,), float64, positive
    groups : ndarray of shape (n,), intp codes of what belongs together, or None
    """

    source: Source
    y_index: NDArray
    weight: NDArray
    groups: NDArray | None


class Statistics(NamedTuple):
    """Sums over rows: the quadratic that their log loss is near the thetas they were taken at."""

    A: NDArray  # (p, p), sum w v phi phi^T, v the second derivative in u
    b: NDArray  # (p,), sum w phi (v u - g), g the first derivative
    meat: NDArray  # (p, p), sum over rows or clusters of the outer products of w g phi
    squares: float  # sum over rows or clusters of (w g)^2, w^2 being w for rows
    curvature: float  # sum w v
    weight: float  # sum w
    loss: float  # sum w * log loss
    features: NDArray  # (p,), sum w phi
    log_beta: float  # sum w u

    def seen_at(self, theta: NDArray) -> "Statistics":
        """With slopes as large as they would be at other thetas: they grow with beta."""
        moved = self.features @ theta - self.log_beta
        growth = float(np.exp(2 * moved / self.weight)) if self.weight > 0 else 1.0
        return self._replace(
            meat=growth * self.meat,
            squares=growth * self.squares,
            log_beta=float(self.features @ theta),
        )

    def faded(self, share: float) -> "Statistics":
        """What rows of so much weight would have left."""
        parts: Any = (share * part for part in self)
        return Statistics(*parts)

    def plus(self, other: "Statistics") -> "Statistics":
        """Of both sets of rows."""
        pairs: Any = zip(self, other, strict=True)
        return Statistics(*(one + two for one, two in pairs))

    @property
    def overdispersion(self) -> float:
        """c, how much more slopes vary than the model says, at least 1."""
        return max(1.0, (self.squares + _DISPERSION_ROWS) / (self.curvature + _DISPERSION_ROWS))


class AdaptiveFit(NamedTuple):
    """What a fit found."""

    theta: NDArray  # (p,)
    covariances: NDArray  # (3, p, p): a variance is the largest that one of them says
    spreads: NDArray  # of each block
    opinions: NDArray  # shares of the rule as it is, up to a factor, and of none
    overdispersion: float
    statistics: Statistics
    n_iter: int

    @property
    def finite(self) -> bool:
        """False if a row has no log loss: then the figures mean nothing."""
        return bool(np.isfinite(self.statistics.loss) and np.isfinite(self.theta).all())


@np.errstate(all="ignore")
def fit_adaptive(
    rows: Rows,
    design: Design,
    prior: Prior,
    log_beta: float,
    *,
    past: Statistics | None = None,
    start: NDArray | None = None,
) -> AdaptiveFit:
    """Fit `theta` to rows, and to what is left of those that came before.

    Parameters
    ----------
    rows : Rows
    design : Design of the same rows
    prior : Prior
    log_beta : float
        That of one temperature for all rows, where the search starts.
    past : Statistics or None
        Of rows that came before.
    start : ndarray of shape (p,) or None
        A better place to start.
    """
    work = work_arrays(rows.source)
    theta = np.zeros(design.centring.shape[1]) if start is None else start
    if start is None:
        theta[1] = log_beta
    last, damping = np.zeros(len(rows.y_index)), 1.0
    # Contexts that coincide with clusters would absorb them, and each fit confirm itself: clusters
    # vary by no less than they do at one temperature. Of rows, contexts absorb next to nothing.
    least_squares = 0.0
    n_iter = 0
    while n_iter < _MOST_PASSES:
        n_iter += 1
        statistics = statistics_at(rows, design, theta, work)
        if rows.groups is not None and past is None:
            least_squares = statistics.squares if n_iter == 1 else least_squares
            statistics = statistics._replace(squares=max(statistics.squares, least_squares))
        if past is not None:
            statistics = statistics.plus(past.seen_at(theta))
        c = statistics.overdispersion
        if not _usable(statistics):
            return _no_fit(theta, statistics, prior, n_iter)
        shrunk = _shrink(statistics, c, prior, with_covariance=False)
        step = shrunk.theta - theta
        move = design.predict(step)
        length = float(np.abs(move).max())
        if length <= _STEP_TOLERANCE:
            break
        # Lengths alone would not do: those of steps cut short do not fall.
        overshot = move @ last < 0 and length >= np.abs(last).max() / 2
        damping = damping * _DAMPING if overshot else min(1.0, damping * _RECOVERY)
        last = move
        theta = theta + step * min(damping, _LONGEST_STEP / length)
        theta[1] = np.clip(theta[1], -LOG_BETA_BOUND, LOG_BETA_BOUND)
    return _finished(theta, statistics, c, prior, n_iter)


def _usable(statistics: Statistics) -> bool:
    """False where a row has no log loss, or scores are so large that their squares overflow."""
    # Squares are squared once more, by overdispersion's part in the covariance.
    sums = statistics.A, statistics.b, statistics.meat, np.square(statistics.squares)
    return bool(np.isfinite(statistics.loss) and all(np.isfinite(part).all() for part in sums))


def _shrink(statistics: Statistics, c: float, prior: Prior, *, with_covariance: bool) -> Shrunk:
    A, b = statistics.A / c, statistics.b / c
    return shrink(A, b, statistics.weight, c, prior, with_covariance=with_covariance)


def _no_fit(theta: NDArray, statistics: Statistics, prior: Prior, n_iter: int) -> AdaptiveFit:
    unknown, covariances = np.full(len(theta), np.nan), np.full((3, len(theta), len(theta)), np.nan)
    spreads, opinions = np.full(prior.n_blocks, np.nan), np.full(1, np.nan)
    return AdaptiveFit(unknown, covariances, spreads, opinions, np.nan, statistics, n_iter)


def statistics_at(
    rows: Rows, design: Design, theta: NDArray, work: tuple[NDArray, NDArray] | None = None
) -> Statistics:
    """Sums over rows, at these coefficients."""
    u = design.predict(theta)
    beta = np.exp(np.clip(u, -LOG_BETA_BOUND, LOG_BETA_BOUND))
    scaled = RowScaledLogits(rows.source, beta)
    losses, g, v = row_moments(scaled, rows.y_index, None, 1.0, work=work)
    w, groups = rows.weight, rows.groups
    if groups is None:
        squares = float(w @ g**2)
        meat = small_sample_correction(w.sum()) * design.gram(w * g**2)
    else:
        squares = float((np.bincount(groups, w * g) ** 2).sum())
        correction = small_sample_correction(len(np.unique(groups)))
        meat = correction * design.clustered_gram(w * g, groups)
    return Statistics(
        A=design.gram(w * v),
        b=design.total(w * (v * u - g)),
        meat=meat,
        squares=squares,
        curvature=float(w @ v),
        weight=float(w.sum()),
        loss=float(w @ losses),
        features=design.total(w),
        log_beta=float(w @ u),
    )


def _finished(
    theta: NDArray, statistics: Statistics, c: float, prior: Prior, n_iter: int
) -> AdaptiveFit:
    """With three estimates of the covariance: averaged, hardly shrunk, and robust (sandwich).

    What shrinkage moved counts as error in the last two. A context that differs far more than the
    others is shrunk too much while it has few rows, and its interval must say so.
    """
    shrunk = _shrink(statistics, c, prior, with_covariance=True)
    A, b = statistics.A / c, statistics.b / c
    loose = np.diag(loose_precision(prior, c))
    unshrunk = np.linalg.inv(A[1:, 1:] + loose)
    moved = theta[1:] - unshrunk @ (b[1:] - theta[0] * A[0, 1:])
    sandwich = unshrunk @ (statistics.meat[1:, 1:] / c**2 + loose) @ unshrunk
    robust = [np.pad(part + np.outer(moved, moved), (1, 0)) for part in (unshrunk, sandwich)]
    return AdaptiveFit(
        theta=theta,
        covariances=np.array([shrunk.covariance, *robust]),
        spreads=shrunk.spreads,
        opinions=shrunk.opinions,
        overdispersion=c,
        statistics=statistics,
        n_iter=n_iter,
    )
