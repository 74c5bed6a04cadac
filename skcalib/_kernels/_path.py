"""Linear maps of several strengths, mixed with the scores as they are and with uniform.

Strong shrinkage is right for few rows and weak for many, the scores themselves are right where
they were calibrated already, and uniform where they mislead. What is served is the mixture

    P = w_0 uniform + w_1 softmax(s) + sum_t w_t softmax(L_t),

and held-out rows say how much of each. A mixture does better than the best of its members, and
does not jump from one to another as rows come in.

Members stand in this order everywhere: uniform, as given, then the maps.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import RowSubset, Source, quiet_arithmetic
from skcalib._kernels._coefficients import Coefficients, Penalties
from skcalib._kernels._linear_map import (
    THOROUGH,
    LinearFit,
    Search,
    fit_linear_map,
    map_probabilities,
)
from skcalib._kernels._map_features import N_SHARED, Block, Features, shared_spreads
from skcalib._kernels._softmax import softmax
from skcalib._kernels._start import Start


class Path(NamedTuple):
    """Maps from one start, each with other penalties."""

    start: Start
    spreads: NDArray  # (4,), what the shared features are divided by
    maps: tuple[Coefficients, ...]
    n_iter: tuple[int, ...]  # steps that each search took


def fit_path(
    source: Source,
    y_index: NDArray,
    weight: NDArray | None,
    start: Start,
    penalties: Sequence[Penalties],
    *,
    monotone: bool = False,
    search: Search = THOROUGH,
) -> Path:
    """Fit a map for each of the penalties; a search starts where the one before it ended."""
    features = Features(source, start)
    if any(each.n_coefficients(source.shape[1]) for each in penalties):
        features = features.keep()
    bends = any(each.shared < np.inf for each in penalties)
    spreads = shared_spreads(features, weight) if bends else np.ones(N_SHARED)
    fits: list[LinearFit] = []
    for each in penalties:
        fit = fit_linear_map(
            features,
            spreads,
            y_index,
            weight,
            each,
            guess=fits[-1].coefficients if fits else None,
            monotone=monotone,
            search=search,
        )
        fits.append(fit)
    maps, n_iter = zip(*fits, strict=True)
    return Path(start, spreads, maps, n_iter)


def mixture_probabilities(given: Source, source: Source, path: Path, shares: NDArray) -> NDArray:
    """The mixture's probabilities, (n, K).

    Parameters
    ----------
    given : Source, the scores whose softmax is what the model itself says
    source : Source, of the same rows: the scores that the path was fitted on
    path : Path
    shares : ndarray of shape (2 + maps,), summing to one; a member of share 0 costs nothing
    """
    out = np.empty(given.shape, given.dtype)
    used = np.flatnonzero(shares).tolist()
    with quiet_arithmetic(given.shape[1]):
        for block in Features(source, path.start).blocks():
            total = out[block.rows]
            for i, member in enumerate(used):
                proba = _member(member, given, block, path)
                share = proba.dtype.type(shares[member])
                if i == 0:
                    np.multiply(proba, share, out=total)
                else:
                    total += share * proba
    return out


def member_densities(given: Source, source: Source, path: Path, y_index: NDArray) -> NDArray:
    """What each member says of the true class, (n, 2 + maps) float64."""
    densities = np.empty((given.shape[0], 2 + len(path.maps)))
    with quiet_arithmetic(given.shape[1]):
        for block in Features(source, path.start).blocks():
            at_label = np.arange(len(block.z)), y_index[block.rows]
            for member in range(densities.shape[1]):
                proba = _member(member, given, block, path)
                densities[block.rows, member] = proba[at_label]
    return densities


def _member(member: int, given: Source, block: Block, path: Path) -> NDArray:
    """Probabilities of a block of rows by one member."""
    if member == 0:
        open_ = ~np.isneginf(block.base)
        return open_ / open_.sum(axis=1, keepdims=True).astype(block.z.dtype)
    if member == 1:
        return softmax(RowSubset(given, np.arange(block.rows.start, block.rows.stop)))
    return map_probabilities(block, path.spreads, path.maps[member - 2])
