"""Drawing classes."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from skcalib._kernels._blocks import row_blocks
from skcalib.decoding._checks import check_logits, check_temperature, refuse_bad_rows


def sample(
    logits: ArrayLike,
    temperature: float | ArrayLike = 1.0,
    *,
    random_state: int | RandomState | None = None,
) -> int | NDArray:
    """Draw one class for each row from ``softmax(logits / T)``.

    By the Gumbel-max trick: the largest of ``logits + T * g``, with g independent draws of the
    standard Gumbel distribution, is distributed as wanted, and at T = 0 is the largest score.
    Probabilities are never worked out. Masked classes are never drawn, and draw no random number;
    neither do greedy rows.

    Parameters
    ----------
    logits : array-like of shape (n_rows, n_classes) or (n_classes,)
        Scores of any size; -inf for a masked class.
    temperature : float or array-like of shape (n_rows,), default=1.0
        T, from 0 to inf. 0 takes the largest score, the first on ties.
    random_state : int, RandomState instance or None, default=None
        Where the random numbers come from. An integer gives the same ones in every call: within a
        loop pass an instance, ``numpy.random.RandomState(0)``.

    Returns
    -------
    token : ndarray of shape (n_rows,), or int for a single row
        Column of the class drawn.

    Raises
    ------
    ValueError
        If a temperature is negative or NaN, or a row holds NaN or +inf or is masked throughout.

    References
    ----------
    C. J. Maddison, D. Tarlow, T. Minka, A* sampling, NeurIPS 2014, section 2.

    Examples
    --------
    At T = 1/2, odds of 1 : 2 become 1 : 4, so that of 10000 draws some 8000 are of class 1:

    >>> import numpy as np
    >>> from skcalib.decoding import sample
    >>> tokens = sample(np.log([[1.0, 2.0]] * 10000), 0.5, random_state=0)
    >>> bool(abs(tokens.mean() - 0.8) < 0.01)
    True
    >>> sample([1.0, 3.0, 3.0], 0.0)
    1
    """
    values, single = check_logits(logits)
    t = check_temperature(temperature, len(values))
    random = check_random_state(random_state)
    tokens = np.empty(len(values), dtype=np.intp)
    with np.errstate(all="ignore"):
        for rows in row_blocks(*values.shape):
            top = values[rows].max(axis=1, keepdims=True)
            refuse_bad_rows(values, top - top)
            scores = values[rows].astype(np.float64) - top
            tokens[rows] = _perturbed(scores, t[rows], random).argmax(axis=1)
    return int(tokens[0]) if single else tokens


def _perturbed(scores: NDArray, temperature: NDArray, random: RandomState) -> NDArray:
    """Scores (m, K) plus T times Gumbel noise, in place; of candidates in rows not greedy."""
    uniform = np.isinf(temperature)[:, None]
    np.copyto(scores, 0, where=uniform & (scores != -np.inf))
    scale = np.where(uniform, 1, temperature[:, None])
    drawn = (scores != -np.inf) & (scale > 0)
    scales = np.broadcast_to(scale, scores.shape)[drawn]
    scores[drawn] += scales * random.gumbel(size=len(scales))
    return scores
