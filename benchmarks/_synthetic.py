"""Logits of any size with a known temperature, the exact answer, and the least possible work."""

import numpy as np
from numpy.typing import DTypeLike, NDArray

from skcalib.datasets import make_miscalibrated_logits

TEMPERATURE = 1.7

# Elements drawn at once, and elements of a block of exponentials, which must stay in the cache.
_DRAWN_ELEMENTS = 2**22
_CACHED_ELEMENTS = 2**16

# The oracle's steps of beta end at these relative sizes. Newton's error is about the square of
# its last step: the first gets into range, the second to the end of extended precision.
_STEPS = {np.float64: 1e-5, np.longdouble: 1e-8}


def draw(n_rows: int, n_classes: int) -> tuple[NDArray, NDArray]:
    """Logits (n, K) in float32 that `TEMPERATURE` calibrates, and labels (n,)."""
    logits = np.empty((n_rows, n_classes), dtype=np.float32)
    y = np.empty(n_rows, dtype=np.intp)
    for seed, rows in enumerate(_blocks(n_rows, n_classes, _DRAWN_ELEMENTS)):
        logits[rows], y[rows] = make_miscalibrated_logits(
            rows.stop - rows.start, n_classes, temperature=TEMPERATURE, random_state=seed
        )
    return logits, y


def exp_pass(logits: NDArray) -> None:
    """Take every score's exponential and throw it away."""
    flat = logits.reshape(-1)
    buffer = np.empty(_CACHED_ELEMENTS, dtype=logits.dtype)
    for start in range(0, len(flat), len(buffer)):
        block = flat[start : start + len(buffer)]
        np.exp(block, out=buffer[: len(block)])


def exact_temperature(logits: NDArray, y: NDArray) -> float:
    """The T of least log loss, by Newton's method from the T that the data were drawn with."""
    beta = 1 / TEMPERATURE
    for dtype, tolerance in _STEPS.items():
        step = np.inf
        while abs(step) > tolerance * beta:
            slope, curvature = _derivatives(logits, y, beta, dtype)
            step = slope / curvature
            beta = beta - step
    return float(1 / beta)


def _derivatives(
    logits: NDArray, y: NDArray, beta: float, dtype: DTypeLike
) -> tuple[np.floating, np.floating]:
    """First and second derivative of the log loss in beta: the plain formulas, no shortcut."""
    slope = curvature = dtype(0)
    for rows in _blocks(*logits.shape, _CACHED_ELEMENTS):
        z = logits[rows].astype(dtype)
        z -= z.max(axis=1, keepdims=True)
        q = np.exp(beta * z)
        q /= q.sum(axis=1, keepdims=True)
        mean = (q * z).sum(axis=1, keepdims=True)
        slope += (mean[:, 0] - z[np.arange(len(z)), y[rows]]).sum()
        curvature += (q * (z - mean) ** 2).sum()
    return slope, curvature


def _blocks(n_rows: int, n_columns: int, n_elements: int) -> list[slice]:
    step = max(1, n_elements // n_columns)
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
