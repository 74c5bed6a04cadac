"""One temperature for all rows, by penalised maximum likelihood in `log_beta = -log T`.

The objective is `J(u) = sum w [lse(beta z) - beta z_y] + alpha u^2 / 2`, `beta = e^u`: the log
loss plus a Gaussian prior on log T of precision `alpha`. In beta the loss is convex; in u it
is quasi-convex, and with the prior it can have two minima when rows are few.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import RowSubset, Source
from skcalib._kernels._moments import (
    Edges,
    Moments,
    clustered_outer,
    loss_edges,
    loss_moments,
    row_moments,
    small_sample_correction,
    work_arrays,
)
from skcalib._kernels._solve import Slope, minimize_scalar

# The search ends here: T between 1.9e-22 and 5.2e21. Scores times beta stay finite in float32.
LOG_BETA_BOUND = 50.0

# A search on scattered rows finds the start of the search on all of them.
_SAMPLE_ELEMENTS = 2**19
_SAMPLE_ROWS = 50

# Up to this many scores everything is computed in float64.
_FEW_SCORES = 2**14
_SAMPLE_SHARE = 0.25  # a larger share of the rows would not be worth it

# Of fewer rows a second minimum is always looked for; of more only where the prior has more say
# than they have (scores on a scale far too small, whose loss is flat around T = 1).
_FEW_ROWS = 200

# Accepted steps converge cubically: these leave errors far below rounding of the sums.
_STEP_TOLERANCE = {np.dtype(np.float64): 1e-5, np.dtype(np.float32): 3e-4}


# Half the width of a 95 % interval, in standard errors.
NORMAL_QUANTILE = 1.959963984540054

# What keeps rows from determining T, and how far log_beta goes then.
CONSTANT = "constant"  # no row's loss depends on T
PERFECT = "perfect"  # every label has its row's largest score: T = 0 is best
UNINFORMATIVE = "uninformative"  # no T does better than equal probabilities: T = inf is best
FLAT = "flat"  # the loss hardly depends on T
OUT_OF_RANGE = "out of range"  # the best T lies beyond the bounds
_LOG_BETA_OF = {CONSTANT: 0.0, PERFECT: LOG_BETA_BOUND, UNINFORMATIVE: -LOG_BETA_BOUND}


class TemperatureFit(NamedTuple):
    """What a fit of one temperature found."""

    log_beta: float
    standard_error: float  # of log_beta; inf where the rows say nothing
    n_iter: int  # passes over all rows
    loss_before: float  # weighted mean log loss at T = 1
    loss_after: float
    weight: float  # of the rows
    curvature: float  # sum w beta^2 Var_q z: how firmly the rows hold log_beta
    squares: float  # sum of squared slopes in log_beta, of rows or of clusters
    obstacle: str | None  # why the rows do not determine T, one of the names above

    @property
    def temperature(self) -> float:
        """T, positive."""
        return float(np.exp(-self.log_beta))

    @property
    def interval(self) -> NDArray:
        """95 % interval for T, (2,): symmetric in log T."""
        half = NORMAL_QUANTILE * self.standard_error
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(-self.log_beta + np.array([-half, half]))

    @property
    def finite(self) -> bool:
        """False if a row has no log loss: then the figures mean nothing."""
        return bool(np.isfinite(self.loss_before) and np.isfinite(self.loss_after))


NO_FIT = TemperatureFit(np.nan, np.nan, 0, np.nan, np.nan, np.nan, np.nan, np.nan, None)


@np.errstate(all="ignore")
def fit_temperature(
    source: Source,
    y_index: NDArray,
    weight: NDArray | None,
    alpha: float,
    groups: NDArray | None = None,
) -> TemperatureFit:
    """Fit `log_beta`; `alpha = 0` is maximum likelihood.

    Parameters
    ----------
    source : Source of n rows and K classes
    y_index : ndarray of shape (n,), column of each row's true class
    weight : ndarray of shape (n,), float64, or None for ones
    alpha : float, not negative
    groups : ndarray of shape (n,), intp codes of the clusters of the standard error, or None
        where every row stands alone; they cost one more pass
    """
    objective = _Objective(source, y_index, weight, alpha)
    obstacle = likelihood_obstacle(*objective.rows) if alpha == 0 else None
    if obstacle is not None:
        u = _LOG_BETA_OF[obstacle]
        objective(u)
    else:
        u = _minimize_from_sample(objective)
        if alpha > 0 and (objective.total_weight < _FEW_ROWS or objective.prior_rules()):
            u = _minimize_from_other_end(objective, u)
    if obstacle is None and abs(u) >= LOG_BETA_BOUND:
        obstacle = OUT_OF_RANGE
    if not objective.moments.finite:
        return NO_FIT
    moments, beta, distance = objective.moments, np.exp(objective.u), np.exp(u - objective.u) - 1
    squares = beta**2 * objective.squared_slope(groups)
    return TemperatureFit(
        log_beta=u,
        standard_error=standard_error_of(squares, alpha, objective.slope(objective.u).second),
        n_iter=objective.n_passes,
        loss_before=objective.loss_at_one / moments.weight,
        loss_after=_loss_nearby(moments, beta * distance) / moments.weight,
        weight=moments.weight,
        curvature=float(beta**2 * moments.curvature),
        squares=float(squares),
        obstacle=obstacle,
    )


class _Objective:
    """J on given rows: evaluates its slope, remembers the last moments, counts its passes."""

    def __init__(
        self, source: Source, y_index: NDArray, weight: NDArray | None, alpha: float
    ) -> None:
        self.rows = source, y_index, weight
        self.alpha = alpha
        self.total_weight = len(y_index) if weight is None else float(weight.sum())
        # So few scores cost next to nothing in float64, and every digit of T is right.
        self.dtype = np.dtype(np.float64) if _size(source) <= _FEW_SCORES else source.dtype
        self.work = work_arrays(source, self.dtype)
        self.n_passes = 0
        self.loss_at_one = np.nan

    def __call__(self, u: float) -> Slope:
        first = self.n_passes == 0
        self.u = u
        self.moments = loss_moments(
            *self.rows, np.exp(u), self.dtype, at_one=first and u != 0, work=self.work
        )
        if first:
            self.loss_at_one = self.moments.loss if u == 0 else self.moments.loss_at_one
        self.n_passes += 1
        if self.dtype == np.float32 and not np.isfinite(self.moments.skewness):
            self.dtype = np.dtype(np.float64)  # cubes of scores overflow float32
            self.work = work_arrays(self.rows[0], self.dtype)
            self.n_passes = 0
            return self(u)
        return self.slope(u)

    def slope(self, u: float) -> Slope:
        """Derivatives of J in u from the last moments: the chain rule for `beta = e^u`."""
        beta = np.exp(u)
        slope = beta * self.moments.slope
        curvature = beta**2 * self.moments.curvature
        third = beta**3 * self.moments.skewness
        return Slope(
            first=slope + self.alpha * u,
            second=curvature + slope + self.alpha,
            third=third + 3 * curvature + slope,
            positive=curvature + self.alpha,
        )

    def squared_slope(self, groups: NDArray | None) -> float:
        """Squared slopes in beta where J was last evaluated, of rows or of clusters."""
        if groups is None:
            return small_sample_correction(self.moments.weight) * self.moments.squared_slope
        moments = row_moments(*self.rows, np.exp(self.u), self.dtype, work=self.work)
        outer, correction = clustered_outer(moments[1:2], self.rows[2], groups)
        return correction * float(outer[0, 0])

    def value(self, u: float) -> float:
        self(u)
        return self.moments.loss + self.alpha * u**2 / 2

    def prior_rules(self) -> bool:
        """Whether the prior outweighs the rows where J was last evaluated."""
        return bool(self.slope(self.u).second < 2 * self.alpha)

    def minimize(self, start: float) -> float:
        u, _ = minimize_scalar(
            self,
            start,
            bounds=(-LOG_BETA_BOUND, LOG_BETA_BOUND),
            step_tolerance=_STEP_TOLERANCE[self.dtype],
        )
        return u


def _size(source: Source) -> int:
    return source.shape[0] * source.shape[1]


Rows = tuple[Source, NDArray, NDArray | None]


def likelihood_obstacle(source: Source, y_index: NDArray, weight: NDArray | None) -> str | None:
    """What keeps the log loss alone from having a minimum, from a sample where that settles it.

    A mistake in the sample is a mistake in all rows, so T = 0 is not best. Whether T = inf is,
    the sample says only most likely; the search ends at the bound where the sample misled.
    """
    rows = source, y_index, weight
    index = scattered_rows(*source.shape)
    if index is not None and _obstacle(loss_edges(*rows_at(rows, index))) is None:
        return None
    return _obstacle(loss_edges(*rows))


def _obstacle(edges: Edges) -> str | None:
    if edges.constant:
        return CONSTANT
    if edges.slope_at_infinity <= 0:
        return PERFECT
    if edges.slope_at_zero >= 0:
        return UNINFORMATIVE
    return None


def rows_at(rows: Rows, index: NDArray) -> Rows:
    source, y_index, weight = rows
    return RowSubset(source, index), y_index[index], None if weight is None else weight[index]


def _minimize_from_sample(objective: _Objective) -> float:
    """Search on all rows, from where a search on scattered rows ended."""
    index = scattered_rows(*objective.rows[0].shape)
    if index is None:
        return objective.minimize(0.0)
    # A sample may be separable: a prior, even where all rows have none, keeps its minimum in a
    # region from which the search on all rows is short.
    sample = _Objective(*rows_at(objective.rows, index), max(objective.alpha, 1.0))
    return objective.minimize(sample.minimize(0.0))


def _minimize_from_other_end(objective: _Objective, found: float) -> float:
    """The lower of the minimum found and the one downhill of the maximum of the likelihood."""
    obstacle = likelihood_obstacle(*objective.rows)
    if obstacle is None:
        maximum = _minimize_from_sample(_Objective(*objective.rows, 0.0))
    else:
        maximum = _LOG_BETA_OF[obstacle]
    candidates = {found, objective.minimize(maximum)}
    best = min(sorted(candidates), key=objective.value)
    objective(best)
    return best


def scattered_rows(n_rows: int, n_columns: int) -> NDArray | None:
    """Indices of a small sample spread over all rows, whatever order these are in.

    None where a sample would not be small.
    """
    n_sample = max(_SAMPLE_ELEMENTS // n_columns, _SAMPLE_ROWS)
    return None if n_sample > _SAMPLE_SHARE * n_rows else spread_rows(n_rows, n_sample)


def spread_rows(n_rows: int, n_sample: int) -> NDArray:
    """About `n_sample` ascending row indices: multiples of the golden ratio have no period."""
    golden = (np.sqrt(5) - 1) / 2
    return np.unique((np.arange(n_sample) * golden % 1 * n_rows).astype(np.intp))


def _loss_nearby(moments: Moments, distance: float) -> float:
    """Loss at `beta + distance`, by the expansion that the search itself steps by."""
    terms = moments.slope, moments.curvature / 2, moments.skewness / 6
    return moments.loss + distance * (terms[0] + distance * (terms[1] + distance * terms[2]))


def standard_error_of(squares: float, alpha: float, second: float) -> float:
    """Standard error of u: the larger of the sandwich estimate and the inverse curvature.

    The sandwich holds when the model is misspecified, as softmax(z / T) always is, but says
    "known exactly" for a few rows without a mistake; the curvature does not. The prior counts
    as one row, and as one cluster.
    """
    if not second > 0:
        return np.inf
    error = float(np.sqrt(max((squares + alpha) / second**2, 1 / second)))
    return np.inf if np.isnan(error) else error  # squares of scores overflow
