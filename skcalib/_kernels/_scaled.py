"""Logits times one number per row: softmax at a temperature of each row's own."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import Source


@dataclass(frozen=True)
class RowScaledLogits:
    """Logits `beta_i (z_i - max z_i)` of a source, one positive beta for each row.

    Subtracting the largest score first, no scale of scores overflows. Derivatives in beta at
    beta = 1 are then those in `log beta` at each row's own.
    """

    source: Source
    beta: NDArray  # (n,)

    @property
    def shape(self) -> tuple[int, int]:
        return self.source.shape

    @property
    def dtype(self) -> np.dtype:
        return self.source.dtype

    def read(self, rows: slice | NDArray, buffer: NDArray) -> NDArray:
        block = self.source.read(rows, buffer)
        np.subtract(block, block.max(axis=1, keepdims=True), out=buffer)
        return np.multiply(buffer, self.beta[rows, None].astype(buffer.dtype), out=buffer)
