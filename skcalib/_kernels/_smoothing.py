"""One temperature and one smoothing for probabilities, fitted together.

Served is `q_k ~ (p_k + c)^(1/T)`, that is the softmax of `z / T` with `z = log(p + c)` and
`c = e^s / K`. An exact zero of a forest is an estimate from few trees, not a fact, and any
small constant put in its place decides the temperature; so the constant is fitted too.

The objective is `J(u, s) = sum w NLL + alpha u^2 / 2 + (s - m)^2 / 8`, `u = -log T`: a Gaussian
prior on s of standard deviation 2 around m, which says that c is of the order of the grain d of
the probabilities, `m = log(K d) + 2`, within [-6, 0]. Votes of 50 trees come in steps of 1/50 and
need a c of that order; a network's probabilities have no grain and need next to none. d is the
lower quartile over rows of each row's smallest positive probability. A fixed mean of -2 lost 2 %
more log loss on networks and boosted trees, 1 % more on forests and neighbours, at 60 rows.

With `beta = e^u`, `r = c / (p + c)` = dz/ds, and q the softmax of a row, its loss has the
derivatives

    u:  beta (E_q z - z_y)              uu:  beta^2 Var_q z + beta (E_q z - z_y)
    s:  beta (E_q r - r_y)              ss:  beta^2 Var_q r + beta (E_q r(1-r) - r_y(1-r_y))
                                        us:  beta^2 Cov_q(z, r) + beta (E_q r - r_y)
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import SmoothedProbabilities, block_buffer, row_blocks, row_dot
from skcalib._kernels._moments import (
    clustered_outer,
    log_loss_sum,
    small_sample_correction,
)
from skcalib._kernels._solve import Expansion, minimize_newton
from skcalib._kernels._temperature import (
    CONSTANT,
    FLAT,
    NO_FIT,
    OUT_OF_RANGE,
    TemperatureFit,
    fit_temperature,
    likelihood_obstacle,
    scattered_rows,
)

_PRIOR_PRECISION = 0.25
_PRIOR_MEAN_RANGE = -6.0, 0.0
_PRIOR_MEAN_ABOVE_GRAIN = 2.0
_GRAIN_QUANTILE = 0.25
_BOUNDS = np.array([[-5.0, 5.0], [-20.0, 8.0]])  # of u and of s

# Share of the weight of rows; the prior counts as one more row.
_GRADIENT_TOLERANCE = 1e-10


class SmoothingFit(NamedTuple):
    """What a fit of a temperature and a smoothing found."""

    temperature: TemperatureFit
    offset: float  # c, added to every probability


class _Sums(NamedTuple):
    weight: float
    loss: float
    gradient: NDArray  # (2,)
    hessian: NDArray  # (2, 2)
    positive: NDArray  # (2, 2), the terms of the Hessian that are quadratic in beta
    outer: NDArray  # (2, 2), sum of w g g^T over rows


_GRADIENT = slice(2, 4)  # where the rows of `_row_terms` hold g


def offset_of(smoothing: float, n_classes: int) -> float:
    """The constant c that mixes a share `smoothing` of the uniform distribution into p."""
    return smoothing / (1 - smoothing) / n_classes


def smoothing_of(offset: float, n_classes: int) -> float:
    """The share of the uniform distribution that adding `offset` amounts to."""
    return offset * n_classes / (1 + offset * n_classes)


@np.errstate(all="ignore")
def fit_smoothing(
    values: NDArray,
    y_index: NDArray,
    weight: NDArray | None,
    alpha: float,
    *,
    is_log: bool,
    groups: NDArray | None = None,
) -> SmoothingFit:
    """Fit `(log_beta, s)` on probabilities (n, K), or on their logarithms.

    `groups` are the clusters of the standard error, as in `fit_temperature`.
    """
    unsmoothed = SmoothedProbabilities(values, 0.0, is_log)
    loss_before = log_loss_sum(unsmoothed, y_index, weight, 1.0, np.float64)
    if not np.isfinite(loss_before):
        return SmoothingFit(NO_FIT, np.nan)

    prior = _Prior(alpha, _prior_mean(values, weight, is_log))
    start = np.array([0.0, prior.mean])
    index = scattered_rows(*values.shape)
    if index is not None:
        rows = values[index], y_index[index], None if weight is None else weight[index]
        start, _, _ = _minimize(*rows, prior, is_log, start)
    (u, s), at, n_iter = _minimize(values, y_index, weight, prior, is_log, start)
    sums = _sums(values, y_index, weight, u, s, is_log)
    if groups is None:
        outer, correction = sums.outer, small_sample_correction(sums.weight)
    else:
        gradients = _row_gradients(values, y_index, weight, u, s, is_log)
        outer, correction = clustered_outer(gradients, weight, groups)
    standard_error = _standard_error(correction * outer, at.hessian, prior)
    obstacle = OUT_OF_RANGE if np.abs(u) >= _BOUNDS[0, 1] else None
    # Without a prior the loss of perfect rows is flat long before a bound.
    if alpha == 0 and (obstacle or standard_error > _BOUNDS[0, 1]):
        obstacle = likelihood_obstacle(unsmoothed, y_index, weight) or obstacle or FLAT
        u = 0.0 if obstacle == CONSTANT else u
    temperature = TemperatureFit(
        log_beta=float(u),
        standard_error=standard_error,
        n_iter=n_iter + 1,
        loss_before=loss_before / sums.weight,
        loss_after=sums.loss / sums.weight,
        weight=sums.weight,
        curvature=float(at.positive[0, 0] - alpha),
        squares=float(correction * outer[0, 0]),
        obstacle=obstacle,
    )
    return SmoothingFit(temperature, float(np.exp(s)) / values.shape[1])


@np.errstate(all="ignore")
def fit_probabilities(
    values: NDArray,
    y_index: NDArray,
    weight: NDArray | None,
    alpha: float,
    smoothing: float | None,
    *,
    is_log: bool,
    groups: NDArray | None = None,
) -> SmoothingFit:
    """Fit the temperature, with a share `smoothing` of uniform or, if None, along with it."""
    if smoothing is None:
        return fit_smoothing(values, y_index, weight, alpha, is_log=is_log, groups=groups)
    offset = offset_of(smoothing, values.shape[1])
    source = SmoothedProbabilities(values, offset, is_log)
    fit = fit_temperature(source, y_index, weight, alpha, groups)
    unsmoothed = SmoothedProbabilities(values, 0.0, is_log)
    total = len(y_index) if weight is None else weight.sum()
    loss_before = log_loss_sum(unsmoothed, y_index, weight, dtype=np.float64) / total
    return SmoothingFit(fit._replace(loss_before=float(loss_before)), offset)


class _Prior(NamedTuple):
    alpha: float  # precision of u, around 0
    mean: float  # of s

    @property
    def precision(self) -> NDArray:
        return np.diag([self.alpha, _PRIOR_PRECISION])


def _prior_mean(values: NDArray, weight: NDArray | None, is_log: bool) -> float:
    """Where s is expected: a little above the grain of the probabilities."""
    smallest = np.empty(len(values))
    with np.errstate(all="ignore"):
        for rows in row_blocks(*values.shape):
            p = values[rows].astype(np.float64)
            p = np.exp(p) if is_log else p
            smallest[rows] = np.where(p > 0, p, 1).min(axis=1)
        grain = np.quantile(smallest, _GRAIN_QUANTILE, weights=weight, method="inverted_cdf")
        mean = np.log(values.shape[1] * grain) + _PRIOR_MEAN_ABOVE_GRAIN
    return float(np.clip(mean, *_PRIOR_MEAN_RANGE))


def _minimize(
    values: NDArray,
    y_index: NDArray,
    weight: NDArray | None,
    prior: _Prior,
    is_log: bool,
    start: NDArray,
) -> tuple[NDArray, Expansion, int]:
    def evaluate(x: NDArray) -> Expansion:
        sums = _sums(values, y_index, weight, x[0], x[1], is_log)
        deviation = x - [0, prior.mean]
        return Expansion(
            value=sums.loss + deviation @ prior.precision @ deviation / 2,
            gradient=sums.gradient + prior.precision @ deviation,
            hessian=sums.hessian + prior.precision,
            positive=sums.positive + prior.precision,
        )

    total_weight = len(y_index) if weight is None else weight.sum()
    tolerance = _GRADIENT_TOLERANCE * (total_weight + 1)
    return minimize_newton(evaluate, start, bounds=_BOUNDS, gradient_tolerance=tolerance)


def _sums(
    values: NDArray, y_index: NDArray, weight: NDArray | None, u: float, s: float, is_log: bool
) -> _Sums:
    """Log loss and its derivatives in (u, s), summed over rows in blocks of float64."""
    beta, offset = np.exp(u), np.exp(s) / values.shape[1]
    source = SmoothedProbabilities(values, offset, is_log)
    total = np.zeros(13)
    buffer = block_buffer(values.shape, np.float64)
    with np.errstate(all="ignore"):
        for rows in row_blocks(*values.shape):
            z = source.read(rows, buffer[: rows.stop - rows.start])
            terms = _row_terms(z, y_index[rows], beta, offset)
            if weight is None:
                total += terms.sum(axis=1)
            else:
                # A row of weight 0 is as if it were not there, whatever it holds.
                kept = weight[rows] > 0
                total += terms[:, kept] @ weight[rows][kept]
    n, loss, *rest = total.tolist()
    g_u, g_s, uu, us, ss, uu_pos, us_pos, ss_pos, out_uu, out_us, out_ss = rest
    return _Sums(
        weight=n,
        loss=loss,
        gradient=np.array([g_u, g_s]),
        hessian=np.array([[uu, us], [us, ss]]),
        positive=np.array([[uu_pos, us_pos], [us_pos, ss_pos]]),
        outer=np.array([[out_uu, out_us], [out_us, out_ss]]),
    )


def _row_gradients(
    values: NDArray, y_index: NDArray, weight: NDArray | None, u: float, s: float, is_log: bool
) -> NDArray:
    """Each row's derivatives in (u, s), (2, n) float64; 0 for rows of weight 0."""
    beta, offset = np.exp(u), np.exp(s) / values.shape[1]
    source = SmoothedProbabilities(values, offset, is_log)
    gradients = np.empty((2, len(y_index)))
    buffer = block_buffer(values.shape, np.float64)
    for rows in row_blocks(*values.shape):
        z = source.read(rows, buffer[: rows.stop - rows.start])
        gradients[:, rows] = _row_terms(z, y_index[rows], beta, offset)[_GRADIENT]
    return gradients if weight is None else np.where(weight > 0, gradients, 0)


def _row_terms(z: NDArray, label: NDArray, beta: float, offset: float) -> NDArray:
    """Everything `_Sums` sums, for each row: (13, rows)."""
    r = np.exp(np.log(offset) - z)
    top = z.max(axis=1)
    q = np.exp(beta * (z - top[:, None]))
    total = q.sum(axis=1)
    q /= total[:, None]
    at_label = np.arange(len(z)), label
    z_y, r_y = z[at_label], r[at_label]
    mean_z, mean_r = row_dot(q, z), row_dot(q, r)
    # Centred first: z reaches -20 - log K where the variance may be tiny.
    dz, dr = z - mean_z[:, None], r - mean_r[:, None]
    q_dz, q_dr = q * dz, q * dr
    var_z, var_r, cov = row_dot(q_dz, dz), row_dot(q_dr, dr), row_dot(q_dz, dr)
    mean_r_rest = mean_r * (1 - mean_r) - var_r
    g_u, g_s = beta * (mean_z - z_y), beta * (mean_r - r_y)
    uu, us, ss = beta**2 * var_z, beta**2 * cov, beta**2 * var_r
    return np.stack(
        [
            np.ones(len(z)),
            np.log(total) + beta * (top - z_y),
            g_u,
            g_s,
            uu + g_u,
            us + g_s,
            ss + beta * (mean_r_rest - r_y * (1 - r_y)),
            uu,
            us,
            ss,
            g_u * g_u,
            g_u * g_s,
            g_s * g_s,
        ]
    )


def _standard_error(outer: NDArray, hessian: NDArray, prior: _Prior) -> float:
    """Standard error of u: the larger of sandwich and inverse curvature, s fitted alongside."""
    if np.linalg.eigvalsh(hessian)[0] <= 0:
        return np.inf
    inverse = np.linalg.inv(hessian)
    meat = outer + prior.precision
    return float(np.sqrt(max((inverse @ meat @ inverse)[0, 0], inverse[0, 0])))
