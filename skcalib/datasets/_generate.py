"""Logits whose temperature is known by construction."""

from __future__ import annotations

from math import isfinite
from numbers import Integral, Real

from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.utils import check_random_state, check_scalar


def make_miscalibrated_logits(
    n_samples: int = 1000,
    n_classes: int = 10,
    *,
    temperature: float = 1.0,
    sharpness: float = 3.0,
    random_state: int | RandomState | None = None,
) -> tuple[NDArray, NDArray]:
    """Draw logits and labels that one temperature calibrates.

    True logits are Gaussian, labels are drawn from their softmax, and what is returned are the
    true logits times `temperature`. So ``softmax(logits / temperature)`` is exactly the
    distribution the labels were drawn from: above 1 the logits are overconfident, below 1
    underconfident. Under the same `random_state` the labels do not depend on `temperature`.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows, at least 1.
    n_classes : int, default=10
        Number of columns, at least 2. With few rows some classes may not occur.
    temperature : float, default=1.0
        The temperature that calibrates the logits, positive.
    sharpness : float, default=3.0
        Standard deviation of the true logits, in nats, at least 0. At 0 the labels are pure
        chance; the larger, the more they are settled by the logits.
    random_state : int, RandomState instance or None, default=None
        Seed or generator of the draws; an int makes them reproducible.

    Returns
    -------
    logits : ndarray of shape (n_samples, n_classes)
        Raw scores, off by `temperature`.
    y : ndarray of shape (n_samples,)
        The labels, each a column of `logits`.

    Raises
    ------
    TypeError
        If a parameter is not a number.
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from skcalib.datasets import make_miscalibrated_logits
    >>> logits, y = make_miscalibrated_logits(4, 3, temperature=2, random_state=0)
    >>> logits.shape, y.shape
    ((4, 3), (4,))
    """
    check_scalar(n_samples, "n_samples", Integral, min_val=1)
    check_scalar(n_classes, "n_classes", Integral, min_val=2)
    check_scalar(temperature, "temperature", Real, min_val=0, include_boundaries="neither")
    check_scalar(sharpness, "sharpness", Real, min_val=0)
    for name, value in (("temperature", temperature), ("sharpness", sharpness)):
        if not isfinite(value):
            raise ValueError(f"{name} == {value}, must be finite.")
    generator = check_random_state(random_state)
    true_logits = sharpness * generator.standard_normal((n_samples, n_classes))
    # The argmax of logits plus standard Gumbel noise is a draw from their softmax.
    y = (true_logits + generator.gumbel(size=true_logits.shape)).argmax(axis=1)
    return temperature * true_logits, y
