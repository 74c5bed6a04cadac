"""Weights of a mixture of given distributions, by expectation maximisation.

A row's density under the mixture is `sum_m w_m d_im`. The weights that maximise
`sum_i c_i log sum_m w_m d_im + sum_m a_m log w_m` are found by dividing each row among the members
in proportion to `w_m d_im`, and counting (Dempster, Laird, Rubin 1977, section 4.3). The `a_m` are
pseudo-counts: a Dirichlet prior in which a member begins with `a_m` rows already to its name.

The same steps find the class frequencies of unlabelled rows (Saerens, Latinne, Decaestecker 2002,
equation 2.9), members being classes.
"""

import numpy as np
from numpy.typing import NDArray

_MAX_STEPS = 1000

# Largest change of a weight at which the search ends. Steps shrink by a constant factor that is
# close to 1 where members are alike, and then it matters little which of them has the weight.
_TOLERANCE = 1e-7


@np.errstate(under="ignore")
def fit_mixture(
    densities: NDArray,
    weight: NDArray | None,
    pseudo_counts: NDArray,
    start: NDArray | None = None,
) -> NDArray:
    """Weights of the members, (M,), which sum to one.

    Parameters
    ----------
    densities : ndarray of shape (n, M)
        What each member says of what happened in each row; at least one is positive.
    weight : ndarray of shape (n,) or None
    pseudo_counts : ndarray of shape (M,), at least 0
    start : ndarray of shape (M,), default: in proportion to the pseudo-counts
    """
    total = (len(densities) if weight is None else weight.sum()) + pseudo_counts.sum()
    shares = pseudo_counts / pseudo_counts.sum() if start is None else start
    for _ in range(_MAX_STEPS):
        row_shares = 1 / (densities @ shares)
        if weight is not None:
            row_shares *= weight
        updated = (shares * (row_shares @ densities) + pseudo_counts) / total
        change = np.abs(updated - shares).max()
        shares = updated / updated.sum()
        if change <= _TOLERANCE:
            break
    return shares
