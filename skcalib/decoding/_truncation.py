"""Leaving out unlikely classes."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._kernels._blocks import Logits, row_blocks
from skcalib._kernels._softmax import softmax
from skcalib._validation import Interval, check_options
from skcalib.decoding._checks import check_logits, refuse_bad_rows

_CONSTRAINTS: dict[str, list[Any]] = {
    "top_k": [Interval(Integral, 1, None, closed="left"), None],
    "top_p": [Interval(Real, 0, 1, closed="both"), None],
    "min_p": [Interval(Real, 0, 1, closed="both"), None],
}


def truncate(
    logits: ArrayLike,
    *,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
) -> NDArray:
    """Mask all but the likeliest classes of each row.

    The three are applied in this order, each to what the one before left, as transformers does.
    Each keeps at least one class.

    They read the probabilities ``softmax(logits)``. To apply temperature first, as transformers
    does, truncate ``logits / T``; llama.cpp truncates first and applies temperature last. Top-k
    does not depend on T, the other two do.

    Parameters
    ----------
    logits : array-like of shape (n_rows, n_classes) or (n_classes,)
        Scores; -inf for a masked class.
    top_k : int, default=None
        Keep the k largest scores, and all that tie with the last of them.
    top_p : float, default=None
        Keep the fewest likeliest classes whose probabilities sum to at least this, between 0 and 1.
        Of ties the first ones are kept. 1 keeps all.
    min_p : float, default=None
        Keep classes at least this many times as likely as the likeliest, between 0 and 1.

    Returns
    -------
    truncated : ndarray of the shape of `logits`
        A copy with -inf for what is left out, of the dtype of `logits`.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or a row holds NaN or +inf or is masked throughout.

    Examples
    --------
    >>> import numpy as np
    >>> from skcalib.decoding import softmax, truncate
    >>> logits = np.log([0.1, 0.2, 0.3, 0.4])
    >>> softmax(truncate(logits, top_k=2)) * 7
    array([0., 0., 3., 4.])
    >>> np.isfinite(truncate(logits, top_p=0.8))
    array([False,  True,  True,  True])
    >>> np.isfinite(truncate(logits, min_p=0.6))
    array([False, False,  True,  True])
    """
    check_options(_CONSTRAINTS, "truncate", top_k=top_k, top_p=top_p, min_p=min_p)
    values, single = check_logits(logits)
    out = np.array(values)
    with np.errstate(all="ignore"):
        for rows in row_blocks(*values.shape):
            block = out[rows]
            top = block.max(axis=1)
            refuse_bad_rows(values, top - top)
            if top_k is not None:
                block[~_among_top_k(block, top_k)] = -np.inf
            if top_p is not None:
                block[~_among_top_p(block, top_p)] = -np.inf
            if min_p is not None:
                block[~_above_min_p(block, min_p)] = -np.inf
    return out[0] if single else out


def _among_top_k(block: NDArray, k: int) -> NDArray:
    last = max(0, block.shape[1] - k)
    return block >= np.partition(block, last, axis=1)[:, last, None]


def _among_top_p(block: NDArray, share: float) -> NDArray:
    if share == 1:  # a sum of all but the least likely classes may round to 1
        return np.ones(block.shape, dtype=bool)
    scores = block.astype(np.float64)
    order = np.argsort(-scores, axis=1, kind="stable")
    proba = np.take_along_axis(softmax(Logits(scores)), order, axis=1)
    # A class is needed if those before it do not suffice.
    needed = np.ones(block.shape, dtype=bool)
    np.less(proba.cumsum(axis=1)[:, :-1], share, out=needed[:, 1:])
    kept = np.empty_like(needed)
    np.put_along_axis(kept, order, needed, axis=1)
    return kept


def _above_min_p(block: NDArray, ratio: float) -> NDArray:
    scores = block.astype(np.float64)
    return np.exp(scores - scores.max(axis=1, keepdims=True)) >= ratio
