"""Ridge regression whose penalty is the one that predicts left-out rows best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Of standardised columns: from hardly any shrinkage to none of the columns at all.
_PENALTIES = np.append(np.logspace(-1, 5, 13), np.inf)

# A row's own share of its fitted value is never quite 1: a penalty is at work.
_MOST_LEVERAGE = 1 - 1e-6


@np.errstate(under="ignore")
def fit_ridge(X: NDArray, y: NDArray, weight: NDArray | None = None) -> tuple[NDArray, NDArray]:
    """Coefficients (p, k) and intercepts (k,) for rows X (n, p) and targets y (n, k).

    Intercepts are not penalised; targets share the penalty with the least sum of squared errors
    of rows left out one by one, which are `(y - f) / (1 - h)` with the leverages h.
    """
    w = np.ones(len(y)) if weight is None else weight / weight.mean()
    center, level = w @ X / w.sum(), w @ y / w.sum()
    root = np.sqrt(w)[:, None]
    u, s, vt = np.linalg.svd((X - center) * root, full_matrices=False)
    target = (y - level) * root
    explained = u.T @ target
    kept = s**2 / (s**2 + _PENALTIES[:, None])  # (L, p), of what least squares would explain
    leverage = np.minimum(kept @ (u**2).T + w / w.sum(), _MOST_LEVERAGE)
    errors = [
        (((target - u @ (k[:, None] * explained)) / (1 - h)[:, None]) ** 2).sum()
        for k, h in zip(kept, leverage, strict=True)
    ]
    best = _PENALTIES[int(np.argmin(errors))]
    coefficients = vt.T @ ((s / (s**2 + best))[:, None] * explained)
    return coefficients, level - center @ coefficients
