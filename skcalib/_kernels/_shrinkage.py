"""How far contexts may differ, decided by the data: ridge regression averaged over its strength.

The log loss of rows with features phi is, near the best coefficients, a quadratic with matrix A
and vector b. Coefficients of a block have a prior N(0, s^2 / unit precision); its spread s is not
chosen but averaged over a grid, by the evidence of the rows (MacKay 1992). So are three opinions
of the rule that stands in the first column.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import logsumexp

from skcalib._kernels._design import Prior

# Standard deviations of a block in log T, from none to speak of to a factor of two, and the scale
# of their exponential prior: contexts that do not matter are the rule.
SPREADS = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.8])
_SPREAD_SCALE = 0.3

# With several blocks each is averaged with the others at their geometric means.
_SWEEPS = 3

# Evidence counts in full only of many rows: this many halve it.
_HALF_BELIEVED = 60.0


class _Member(NamedTuple):
    """An opinion of the rule: how far it is trusted, and how firmly up to a factor of 1."""

    trust: float
    precision: float


_NO_RULE = (_Member(0.0, 1.0),)
# Right as it is, but for 5 %; right up to a factor; of no use.
_OPINIONS = (_Member(1.0, 400.0), _Member(1.0, 1.0), _Member(0.0, 1.0))


class Shrunk(NamedTuple):
    """Coefficients averaged over spreads and opinions."""

    theta: NDArray  # (p,)
    covariance: NDArray | None  # (p, p), if it was asked for
    spreads: NDArray  # of each block, the geometric mean
    opinions: NDArray  # shares of the rule as it is, up to a factor, and of none; or of none alone


class _Solution(NamedTuple):
    theta: NDArray
    covariance: NDArray | None
    log_evidence: float  # up to what does not depend on the prior


def shrink(
    A: NDArray,
    b: NDArray,
    n_rows: float,
    c: float,
    prior: Prior,
    *,
    with_covariance: bool = True,
) -> Shrunk:
    """Minimise `theta' A theta / 2 - b' theta` plus the priors, averaged.

    Parameters
    ----------
    A : ndarray of shape (p, p), positive semidefinite
    b : ndarray of shape (p,)
    n_rows : float, how many rows these are of
    c : float, overdispersion: 1 / c of a row counts, in A and b already
    prior : Prior
    with_covariance : bool
        Whether the covariance is worked out, which takes most of the time.
    """
    members = _OPINIONS if prior.has_rule else _NO_RULE
    found = [_shrink_trusting(A, b, c, prior, member, with_covariance) for member in members]
    evidence = np.array([solution.log_evidence for solution, _ in found])
    share = _shares(evidence / (1 + _HALF_BELIEVED / n_rows))
    theta, covariance = _mixture([solution for solution, _ in found], share)
    spreads = np.exp(share @ [np.log(spreads) for _, spreads in found])
    return Shrunk(theta, covariance, spreads, share)


def loose_precision(prior: Prior, c: float) -> NDArray:
    """Diagonal of the prior's precision at the largest spread, the rule left out, (p - 1,)."""
    return _precision(np.full(prior.n_blocks, SPREADS[-1]), prior, prior.alpha / c)


def _shrink_trusting(
    A: NDArray, b: NDArray, c: float, prior: Prior, member: _Member, with_covariance: bool
) -> tuple[_Solution, NDArray]:
    """Of one member: its average over spreads, and their geometric means."""
    trust = member.trust
    rest = b[1:] - trust * A[0, 1:]
    of_rule = trust * b[0] - trust**2 * A[0, 0] / 2

    def solve(spreads: NDArray, with_covariance: bool = False) -> _Solution:
        precision = _precision(spreads, prior, member.precision * prior.alpha / c)
        theta, covariance, log_evidence = _ridge(A[1:, 1:], rest, precision, with_covariance)
        return _Solution(
            np.concatenate([[trust], theta]),
            None if covariance is None else np.pad(covariance, (1, 0)),  # the trust is known
            log_evidence + of_rule - spreads.sum() / _SPREAD_SCALE,
        )

    spreads = np.full(prior.n_blocks, np.exp(np.log(SPREADS).mean()))
    if not prior.n_blocks:
        return solve(spreads, with_covariance), spreads
    n_sweeps = _SWEEPS if prior.n_blocks > 1 else 1
    for sweep in range(1, n_sweeps + 1):
        last = with_covariance and sweep == n_sweeps
        grids = [
            [solve(_with(spreads, k, s), last) for s in SPREADS] for k in range(prior.n_blocks)
        ]
        shares = [_shares(np.array([x.log_evidence for x in grid])) for grid in grids]
        spreads = np.exp([share @ np.log(SPREADS) for share in shares])
    averages = [
        _Solution(*_mixture(grid, share), float(logsumexp([x.log_evidence for x in grid])))
        for grid, share in zip(grids, shares, strict=True)
    ]
    return _mean(averages), spreads


def _mean(solutions: list[_Solution]) -> _Solution:
    theta = np.mean([x.theta for x in solutions], axis=0)
    covariances = [x.covariance for x in solutions if x.covariance is not None]
    covariance = np.mean(covariances, axis=0) if covariances else None
    return _Solution(theta, covariance, float(np.mean([x.log_evidence for x in solutions])))


def _precision(spreads: NDArray, prior: Prior, intercept: float) -> NDArray:
    return np.concatenate([[intercept], prior.unit_precision / spreads[prior.block] ** 2])


def _ridge(A: NDArray, b: NDArray, precision: NDArray, with_covariance: bool) -> _Solution:
    factor = cho_factor(A + np.diag(precision), lower=True, check_finite=False)
    theta = cho_solve(factor, b, check_finite=False)
    covariance = None
    if with_covariance:
        covariance = cho_solve(factor, np.eye(len(b)), check_finite=False)
    half_log_det = np.log(np.diag(factor[0])).sum()
    log_evidence = b @ theta / 2 - half_log_det + np.log(precision).sum() / 2
    return _Solution(theta, covariance, float(log_evidence))


def _mixture(solutions: list[_Solution], share: NDArray) -> tuple[NDArray, NDArray | None]:
    """Mean and covariance of a mixture."""
    thetas = np.array([x.theta for x in solutions])
    mean = share @ thetas
    covariances = [x.covariance for x in solutions if x.covariance is not None]
    if not covariances:
        return mean, None
    within = np.tensordot(share, covariances, axes=1)
    return mean, within + (thetas - mean).T * share @ (thetas - mean)


def _shares(log_evidence: NDArray) -> NDArray:
    return np.exp(log_evidence - logsumexp(log_evidence))


def _with(spreads: NDArray, k: int, value: float) -> NDArray:
    changed = spreads.copy()
    changed[k] = value
    return changed
