"""The temperature at which a row's softmax has a given entropy.

Entropy rises with the temperature, from the log of the number of ties at the largest score to
the log of the number of candidates (classes that are not masked). The root is looked for in
`u = log T`, by Newton steps within a bracket, in float64. Rows are solved together, but each
stops on its own: its result does not depend on the others.
"""

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import (
    Source,
    block_buffer,
    quiet_arithmetic,
    row_blocks,
    row_dot,
    row_sum,
)

# exp of this is 0 in float64, and so is its product with it.
_NOTHING = -1000.0

# Steps this small in log T end the search of a row. Newton's error after a step is about the square
# of the step; smaller ones are lost in rounding. Halving a bracket leaves an error like the step.
_NEWTON_TOLERANCE = 1e-6
_HALVING_TOLERANCE = 1e-12

# Halving a bracket of any two float64 numbers down to the tolerance takes 50 steps.
_MOST_STEPS = 100


def temperature_for_entropy(source: Source, target: NDArray) -> NDArray:
    """Temperatures (n,) at which the entropies are `target` (n,); 0 and inf where out of reach.

    A row without a softmax comes out as NaN.
    """
    out = np.empty(source.shape[0])
    buffer = block_buffer(source.shape, np.float64)
    with quiet_arithmetic(source.shape[1]):
        for rows in row_blocks(*source.shape):
            work = buffer[: rows.stop - rows.start]
            block = source.read(rows, work)
            # Of halves, for the distance between two finite scores may not be finite.
            half = np.multiply(block, 0.5, out=work)
            half -= half.max(axis=1, keepdims=True)
            out[rows] = 2 * _solve_rows(half, target[rows])
    return out


def _solve_rows(scores: NDArray, target: NDArray) -> NDArray:
    """Temperatures (m,) for scores (m, K) whose largest is 0; overwrites the scores."""
    masked = np.isneginf(scores)
    spread = -np.where(masked, 0, scores).min(axis=1)
    scores /= np.where(spread > 0, spread, 1)[:, None]
    lowest = np.log(np.count_nonzero(scores == 0, axis=1))
    highest = np.log(np.count_nonzero(~masked, axis=1))
    temperature = np.where(target <= lowest, 0, np.where(target >= highest, np.inf, np.nan))
    inside = np.flatnonzero((target > lowest) & (target < highest) & ~np.isnan(spread))
    log_temperature = _search(scores[inside], target[inside], lowest[inside], highest[inside])
    temperature[inside] = spread[inside] * np.exp(log_temperature)
    return np.where(np.isnan(spread), np.nan, temperature)


def _search(scores: NDArray, target: NDArray, lowest: NDArray, highest: NDArray) -> NDArray:
    """`u = log T` (m,) for scores between -1 and 0 whose entropy is strictly between its limits."""
    gap = -np.where(scores < 0, scores, -np.inf).max(axis=1)
    # Below the lower end all but the ties have weight 0. At T the entropy is at least
    # `highest - 1 / T`, as no score is further than 1 / T from another.
    low, high = np.log(gap / -_NOTHING), -np.log(highest - target)
    u = (low + high) / 2
    active = np.arange(len(u))
    for _ in range(_MOST_STEPS):
        rows = scores if len(active) == len(scores) else scores[active]
        entropy, slope = _entropy_and_slope(rows, u[active])
        below = entropy < target[active]
        low[active[below]], high[active[~below]] = u[active[below]], u[active[~below]]
        step = _newton_step(entropy, slope, target[active], lowest[active], highest[active])
        proposed = u[active] + step
        inside = (proposed > low[active]) & (proposed < high[active])
        middle = (low[active] + high[active]) / 2
        proposed = np.where(inside, proposed, middle)
        tolerance = np.where(inside, _NEWTON_TOLERANCE, _HALVING_TOLERANCE)
        moved = np.abs(proposed - u[active]) > tolerance
        u[active] = proposed
        active = active[moved]
        if not len(active):
            break
    return u


def _entropy_and_slope(scores: NDArray, u: NDArray) -> tuple[NDArray, NDArray]:
    """Entropy and its derivative in u, which is the variance of the scaled scores."""
    scaled = np.maximum(scores * np.exp(-u)[:, None], _NOTHING)
    weights = np.exp(scaled)
    total = row_sum(weights)
    mean = row_dot(weights, scaled) / total
    square = row_dot(weights, scaled * scaled) / total
    return np.log(total) - mean, square - mean**2


def _newton_step(
    entropy: NDArray, slope: NDArray, target: NDArray, lowest: NDArray, highest: NDArray
) -> NDArray:
    """A step on the log odds of the entropy between its limits: straighter than the entropy."""
    above, under = entropy - lowest, highest - entropy
    wanted = np.log((target - lowest) / (highest - target))
    return (wanted - np.log(above / under)) / (slope * (1 / above + 1 / under))
