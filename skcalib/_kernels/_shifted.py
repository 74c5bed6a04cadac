"""Scores with a number added for each class: Bayes' rule, on the scale of logits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import Source


@dataclass(frozen=True)
class ShiftedLogits:
    """Another source's logits with a number added for each class.

    A shift of -inf masks its class, except in rows that leave no other class open: these stay as
    they are.

    Parameters
    ----------
    source : Source of n rows and K classes
    shift : ndarray of shape (K,), finite or -inf
    """

    source: Source
    shift: NDArray

    @property
    def shape(self) -> tuple[int, int]:
        return self.source.shape

    @property
    def dtype(self) -> np.dtype:
        return self.source.dtype

    def read(self, rows: slice | NDArray, buffer: NDArray) -> NDArray:
        block = self.source.read(rows, buffer)
        shift, possible = self.shift.astype(buffer.dtype), np.isfinite(self.shift)
        # Beside large scores a shift would be lost in rounding.
        if possible.all():
            np.subtract(block, block.max(axis=1, keepdims=True), out=buffer)
            return np.add(buffer, shift, out=buffer)
        # And beside those of a masked class, scores would be.
        highest = block[:, possible].max(axis=1, keepdims=True, initial=-np.inf)
        shut = np.isneginf(highest)
        np.copyto(highest, block.max(axis=1, keepdims=True), where=shut)
        usable = block < np.inf  # neither NaN nor +inf, which leave a row without probabilities
        np.subtract(block, highest, out=buffer)
        np.add(buffer, shift, out=buffer, where=~shut)
        np.copyto(buffer, -np.inf, where=~shut & ~possible & usable)
        return buffer
