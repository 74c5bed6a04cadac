"""Probabilities and their entropy at a temperature, greedy and uniform included."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._kernels import _softmax as kernels
from skcalib._kernels._blocks import Logits, row_blocks
from skcalib.decoding._checks import check_logits, check_temperature, refuse_bad_rows

# Temperatures whose inverse is a number too, by the bytes of the result. Scores at which anything
# beyond these makes a difference are none.
_DIVISORS = {4: (1e-37, 1e37), 8: (1e-300, 1e300)}


def softmax(logits: ArrayLike, temperature: float | ArrayLike = 1.0) -> NDArray:
    """Probabilities ``softmax(logits / T)``.

    Parameters
    ----------
    logits : array-like of shape (n_rows, n_classes) or (n_classes,)
        Scores of any size; -inf for a masked class.
    temperature : float or array-like of shape (n_rows,), default=1.0
        T, from 0 to inf, rows of all kinds together. 0 gives probability 1 to the largest score,
        the first on ties; inf the same probability to all candidates.

    Returns
    -------
    proba : ndarray of the shape of `logits`
        Between 0 and 1, rows sum to one; float32 for scores of float16 and float32.

    Raises
    ------
    ValueError
        If a temperature is negative or NaN, or a row holds NaN or +inf or is masked throughout.

    Examples
    --------
    Odds 1 : 4 : 16 become 1 : 2 : 4 at T = 2:

    >>> import numpy as np
    >>> from skcalib.decoding import softmax
    >>> logits = np.log([1.0, 4.0, 16.0])
    >>> softmax(logits, 2.0) * 7
    array([1., 2., 4.])
    >>> softmax(logits, 0.0)
    array([0., 0., 1.])
    """
    values, single = check_logits(logits)
    t = check_temperature(temperature, len(values))
    source = Logits(values)
    proba = kernels.softmax(source, _divisors(t, source.dtype))
    refuse_bad_rows(values, proba[:, 0])
    for rows in row_blocks(*values.shape):
        _set_limits(proba[rows], values[rows], t[rows])
    return proba[0] if single else proba


def entropy(logits: ArrayLike, temperature: float | ArrayLike = 1.0) -> float | NDArray:
    """Entropy of ``softmax(logits / T)`` in nats.

    0 if one class has all probability, the log of the number of candidates if they share it
    equally. Its exponential is the number of classes that might as well be drawn from.

    Parameters
    ----------
    logits : array-like of shape (n_rows, n_classes) or (n_classes,)
        Scores of any size; -inf for a masked class.
    temperature : float or array-like of shape (n_rows,), default=1.0
        T, from 0 to inf. At 0 the entropy is 0, ties or not.

    Returns
    -------
    entropy : ndarray of shape (n_rows,), or float for a single row
        Between 0 and log(n_classes), float64.

    Raises
    ------
    ValueError
        As :func:`softmax`.

    Examples
    --------
    >>> import numpy as np
    >>> from skcalib.decoding import entropy
    >>> np.exp(entropy(np.zeros((2, 8)), [1.0, 0.0]))
    array([8., 1.])
    """
    values, single = check_logits(logits)
    t = check_temperature(temperature, len(values))
    source = Logits(values)
    found, candidates = np.empty((2, len(values)))
    kernels.entropy(source, _divisors(t, source.dtype), out=found, candidates=candidates)
    refuse_bad_rows(values, found)
    found[t == 0] = 0
    found[np.isinf(t)] = np.log(candidates[np.isinf(t)])
    return float(found[0]) if single else found


def _divisors(temperature: NDArray, dtype: np.dtype) -> NDArray | float:
    """Temperatures for the kernels: positive, and one for all rows if they are equal."""
    divisors = np.clip(temperature, *_DIVISORS[dtype.itemsize])
    return float(divisors[0]) if (divisors == divisors[0]).all() else divisors


def _set_limits(proba: NDArray, logits: NDArray, temperature: NDArray) -> None:
    """Probabilities of the rows of a block whose temperature is 0 or inf."""
    greedy = np.flatnonzero(temperature == 0)
    if len(greedy):
        proba[greedy] = 0
        proba[greedy, logits[greedy].argmax(axis=1)] = 1
    uniform = np.flatnonzero(np.isinf(temperature))
    if len(uniform):
        candidates = logits[uniform] != -np.inf
        proba[uniform] = candidates / candidates.sum(axis=1, keepdims=True)
