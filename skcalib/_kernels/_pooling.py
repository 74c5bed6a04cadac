"""Probabilities of several sources made one, by weights that sum to one.

The linear pool is `sum_m w_m p_m` (Stone 1961), the geometric one proportional to
`prod_m p_m^w_m`, whose logits are `sum_m w_m log p_m` (Genest and Zidek 1986).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def linear_pool(proba: Sequence[NDArray], weights: NDArray) -> NDArray:
    """Probabilities (n, K).

    Parameters
    ----------
    proba : sequence of M ndarrays of shape (n, K)
    weights : ndarray of shape (M,), or (n, M) for each row's own
    """
    dtype = np.result_type(*proba)
    pooled = np.zeros(proba[0].shape, dtype=dtype)
    with np.errstate(under="ignore"):
        for m, p in enumerate(proba):
            pooled += p * weights[..., m, None].astype(dtype)
    return pooled


def geometric_pool(log_proba: Sequence[NDArray], weights: NDArray) -> NDArray:
    """Logits (n, K): -inf where one source of positive weight says so.

    Parameters
    ----------
    log_proba : sequence of M ndarrays of shape (n, K)
    weights : ndarray of shape (M,)
    """
    dtype = np.result_type(*log_proba)
    logits = np.zeros(log_proba[0].shape, dtype=dtype)
    with np.errstate(under="ignore"):
        for weight, log_p in zip(weights.astype(dtype), log_proba, strict=True):
            if weight > 0:  # 0 times -inf
                logits += weight * log_p
    return logits
