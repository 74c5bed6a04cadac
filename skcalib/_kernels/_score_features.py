"""What a row's own scores say of how sure its model is."""

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

# The columns of what `score_features` returns.
SCORE_FEATURES = ("log entropy", "margin", "spread")

# Entropies below this many nats are as good as none.
_LEAST_ENTROPY = 1e-6


def score_features(source: Source, temperature: float) -> NDArray:
    """Log entropy, margin and spread of each row's softmax at a temperature, (n, 3).

    The entropy is in nats. The margin is the difference of the two largest log-probabilities, the
    spread the standard deviation of those of all classes that are not masked. None of them knows
    what the classes are, or what is added to all scores of a row. A row with one class left has no
    margin: NaN.
    """
    n_rows, n_columns = source.shape
    features = np.full((n_rows, 3), np.nan)
    buffer = block_buffer(source.shape, source.dtype)
    with quiet_arithmetic(n_columns):
        for rows in row_blocks(n_rows, n_columns):
            block = source.read(rows, buffer[: rows.stop - rows.start])
            z = (block - block.max(axis=1, keepdims=True)) / source.dtype.type(temperature)
            features[rows] = np.stack(_features(z), axis=1)
    return features


def _features(z: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    weights = np.exp(z)
    masked = np.isneginf(z)
    n_open = z.shape[1] - masked.sum(axis=1)
    z = np.where(masked, 0, z)
    total = row_sum(weights)
    entropy = np.log(total) - row_dot(weights, z) / total
    # In units of the lowest score, which is below 0: squares of scores overflow.
    unit = np.maximum(-z.min(axis=1), np.finfo(z.dtype).tiny)
    relative = z / unit[:, None]
    mean = row_sum(relative) / n_open
    variance = np.maximum(row_dot(relative, relative) / n_open - mean**2, 0)
    spread = unit * np.sqrt(variance)
    if z.shape[1] < 2:
        margin = np.full(len(z), np.nan)
    else:
        second = np.partition(np.where(masked, -np.inf, z), -2, axis=1)[:, -2]
        margin = np.where(n_open > 1, -second.astype(np.float64), np.nan)
    return np.log(np.maximum(entropy, _LEAST_ENTROPY)), margin, spread
