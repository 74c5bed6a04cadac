"""Slow, plain answers for temperatures by context: dense features, one row after the other."""

from typing import NamedTuple

import numpy as np
from scipy.integrate import quad
from scipy.sparse import csr_array
from scipy.special import logsumexp

from skcalib._kernels._blocks import Logits
from skcalib._kernels._design import Design, Prior

SPREADS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
SPREAD_SCALE = 0.3


class Problem(NamedTuple):
    """Rows of some contexts, each with a temperature of its own, and what they are fitted by."""

    z: np.ndarray  # (n, K)
    y: np.ndarray  # (n,)
    level: np.ndarray  # (n,), codes of the context
    u: np.ndarray  # log beta of each level, that makes the scores true
    phi: np.ndarray  # (n, p), dense: rule, intercept, level centred
    design: Design
    prior: Prior

    @property
    def source(self):
        return Logits(self.z)


def problem(seed, n, n_classes=5, n_levels=4, spread=0.5, mean=0.5, rule=None, sharpness=2.0):
    """Scores too sharp by a factor of e^mean, and by more or less in some contexts.

    `rule` is what is said of each level, as log beta; or an offset from the truth.
    """
    rng = np.random.default_rng(seed)
    level = rng.integers(0, n_levels, n)
    u = -mean + spread * rng.standard_normal(n_levels)
    z = sharpness * rng.standard_normal((n, n_classes))
    y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    said = None if rule is None else (u + rule if np.ndim(rule) == 0 else rule)
    return arranged(z * np.exp(-u[level])[:, None], y, level, u, said)


def arranged(z, y, level, u, said=None, weight=None):
    """Features of rows whose contexts are given: `Problem`."""
    n, n_levels = len(level), len(u)
    rule = np.zeros(n) if said is None else said[level]
    one_hot = np.eye(n_levels)[level]
    share = np.average(one_hot, axis=0, weights=weight)
    phi = np.column_stack([rule, np.ones(n), one_hot - share])
    # The same as a sparse matrix: rule, 1, whether the level is centred, one-hot.
    raw = np.column_stack([rule, np.ones(n), np.ones(n), one_hot])
    centring = np.zeros((3 + n_levels, 2 + n_levels))
    centring[[0, 1], [0, 1]] = 1
    centring[2, 2:] = -share
    centring[3:, 2:] = np.eye(n_levels)
    design = Design(csr_array(raw), csr_array(centring))
    prior = Prior(np.zeros(n_levels, dtype=np.intp), np.ones(n_levels), 1.0, said is not None)
    return Problem(z, y, level, u, phi, design, prior)


def row_loss(z, y, u):
    """-log softmax(e^u z)_y of each row, (n,); u a number or one for each row."""
    scaled = np.exp(np.broadcast_to(u, len(z)))[:, None] * z
    return logsumexp(scaled, axis=1) - scaled[np.arange(len(z)), y]


def row_slope(z, y, u, step=1e-5):
    """Its derivative in u, by central differences."""
    return (row_loss(z, y, u + step) - row_loss(z, y, u - step)) / (2 * step)


def row_curvature(z, u):
    """`beta^2 Var_q z` of each row, by its definition."""
    variances = []
    for row, log_beta in zip(z, np.broadcast_to(u, len(z)), strict=True):
        scores = np.exp(log_beta) * row[~np.isneginf(row)]
        q = np.exp(scores - logsumexp(scores))
        variances.append(q @ (scores - q @ scores) ** 2)
    return np.array(variances)


def penalised_loss(problem, theta, precision, weight=None, c=1.0):
    """`sum w loss / c + theta' diag(precision) theta / 2`."""
    weight = np.ones(len(problem.y)) if weight is None else weight
    loss = weight @ row_loss(problem.z, problem.y, problem.phi @ theta)
    return loss / c + precision @ theta**2 / 2


def intercept_and_level(A, b, precision_of, scale=SPREAD_SCALE):
    """Two coefficients averaged over the spread of the second, by integrals.

    The posterior is `exp(b't - t'At/2)` times independent normal priors of precisions
    `precision_of(s)`, s of probability proportional to `exp(-s / scale)` on the grid.
    Returns its mean (2,), covariance (2, 2), and the posterior probability of each s.
    """
    moments = []
    for s in SPREADS:
        precision = precision_of(s)
        matrix = A + np.diag(precision)
        centre = np.linalg.solve(matrix, b)
        reach = 10 * np.sqrt(np.diag(np.linalg.inv(matrix)))
        # Sums on a grid are exact for what is smooth and vanishes at the ends.
        axes = [m + r * np.linspace(-1, 1, 401) for m, r in zip(centre, reach, strict=True)]
        t0, t1 = np.meshgrid(*axes, indexing="ij")
        square = A[0, 0] * t0**2 + 2 * A[0, 1] * t0 * t1 + A[1, 1] * t1**2
        log_density = b[0] * t0 + b[1] * t1 - square / 2
        log_density -= (precision[0] * t0**2 + precision[1] * t1**2) / 2
        density = np.exp(log_density) * np.sqrt(precision.prod()) / (2 * np.pi)
        density *= reach.prod() / 200**2
        of = [np.ones_like(t0), t0, t1, t0 * t0, t0 * t1, t1 * t1]
        moments.append([(f * density).sum() for f in of])
    weight = np.exp(-np.array(SPREADS) / scale)
    total, *rest = weight @ np.array(moments)
    m0, m1, m00, m01, m11 = np.array(rest) / total
    covariance = [[m00 - m0 * m0, m01 - m0 * m1], [m01 - m0 * m1, m11 - m1 * m1]]
    return np.array([m0, m1]), np.array(covariance), weight * np.array(moments)[:, 0] / total


def intercept_evidence(a, b, precision):
    """Integral of `exp(b t - a t^2 / 2)` under N(0, 1 / precision), with mean and variance."""

    def density(t):
        return np.sqrt(precision / (2 * np.pi)) * np.exp(b * t - (a + precision) * t * t / 2)

    centre, reach = b / (a + precision), 12 / np.sqrt(a + precision)
    zero, one, two = (
        quad(lambda t, k=k: t**k * density(t), centre - reach, centre + reach, epsabs=0)[0]
        for k in range(3)
    )
    return zero, one / zero, two / zero - (one / zero) ** 2


def score_features(row, temperature):
    """Log entropy, margin, spread of one row of scores, by their definitions."""
    scores = sorted(float(s) / temperature for s in row if s > -np.inf)
    log_total = float(logsumexp(scores))
    log_q = [s - log_total for s in scores]
    entropy = -sum(np.exp(x) * x for x in log_q)
    mean = sum(log_q) / len(log_q)
    spread = (sum((x - mean) ** 2 for x in log_q) / len(log_q)) ** 0.5
    margin = log_q[-1] - log_q[-2] if len(log_q) > 1 else np.nan
    return [np.log(max(entropy, 1e-6)), margin, spread]
