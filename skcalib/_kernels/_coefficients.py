"""Coefficients of a linear map: the blocks they come in, and the vector that a search moves."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._map_features import N_SHARED

# Over a tiny unit of weight a finite penalty would become infinite, and so leave its block out.
_LARGEST_FINITE = 1e300


class Coefficients(NamedTuple):
    """The blocks of a map; None for those left out."""

    shared: NDArray | None = None  # a, (4,)
    stretch: NDArray | None = None  # v, (K,)
    bias: NDArray | None = None  # b, (K,)
    belief: NDArray | None = None  # C, (K, K)
    matrix: NDArray | None = None  # M, (K, K), zero diagonal

    def pack(self) -> NDArray:
        """One vector of all of them."""
        return np.concatenate([block.ravel() for block in self if block is not None])

    def shapes(self) -> list[tuple[int, ...] | None]:
        """Of each block."""
        return [None if block is None else block.shape for block in self]


class Penalties(NamedTuple):
    """What the sum of squares of each block is multiplied by; inf leaves the block out."""

    shared: float = np.inf
    stretch: float = np.inf
    bias: float = np.inf
    belief: float = np.inf
    matrix: float = np.inf

    def shapes(self, n_classes: int) -> list[tuple[int, ...] | None]:
        """Of each block."""
        square = n_classes, n_classes
        shapes = (N_SHARED,), (n_classes,), (n_classes,), square, square
        return [s if r < np.inf else None for s, r in zip(shapes, self, strict=True)]

    def n_coefficients(self, n_classes: int) -> int:
        """How many are left."""
        return sum(int(np.prod(s)) for s in self.shapes(n_classes) if s is not None)

    def unpack(self, theta: NDArray, n_classes: int) -> Coefficients:
        """Blocks of a vector of coefficients, as views."""
        blocks: list[NDArray | None] = []
        at = 0
        for shape in self.shapes(n_classes):
            if shape is None:
                blocks.append(None)
            else:
                size = int(np.prod(shape))
                blocks.append(theta[at : at + size].reshape(shape))
                at += size
        return Coefficients(*blocks)

    def per_coefficient(self, n_classes: int, unit: float) -> NDArray:
        """Each coefficient's penalty, in units of so much weight."""
        shapes = self.shapes(n_classes)
        sizes = [0 if shape is None else int(np.prod(shape)) for shape in shapes]
        return np.repeat([min(r / unit, _LARGEST_FINITE) for r in self], sizes)
