"""The Brier score of each row."""

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import block_buffer, quiet_arithmetic, row_blocks, row_dot


def squared_error(proba: NDArray, y_index: NDArray) -> NDArray:
    """Sum over classes of `(p - [true class])^2`, float64 (n,); between 0 and 2."""
    error = np.empty(len(proba))
    buffer = block_buffer(proba.shape, np.float64)
    with quiet_arithmetic(proba.shape[1]):
        for rows in row_blocks(*proba.shape):
            difference = buffer[: rows.stop - rows.start]
            np.copyto(difference, proba[rows])
            difference[np.arange(len(difference)), y_index[rows]] -= 1
            error[rows] = row_dot(difference, difference)
    return error
