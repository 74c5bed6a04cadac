"""Weights of the members of a pool, by the context of a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._mixture import fit_mixture
from skcalib._validation import (
    ColumnName,
    check_categories,
    check_columns,
    column_places,
    column_values,
)


@dataclass(frozen=True)
class Gate:
    """Which columns of X name the context, and the shares of each that was seen.

    Parameters
    ----------
    columns : names or positions
    weights : dict from context to ndarray of shape (M,)
        A context is the value of the column, or the tuple of several.
    """

    columns: tuple[ColumnName, ...]
    weights: dict[Any, NDArray]

    @classmethod
    def fit(
        cls,
        columns: Any,
        X: Any,
        densities: NDArray,
        weight: NDArray | None,
        pseudo_counts: NDArray,
    ) -> Gate:
        """Shares of each context, shrunk towards those that the pseudo-counts (M,) have."""
        named = check_columns(columns, "gate")
        contexts = _contexts_of(X, named)
        rows_of: dict[Any, list[int]] = {}
        for row, context in enumerate(contexts):
            if context is not None:
                rows_of.setdefault(context, []).append(row)
        return cls(
            named,
            {
                context: fit_mixture(
                    densities[rows], None if weight is None else weight[rows], pseudo_counts
                ).shares
                for context, rows in rows_of.items()
                if weight is None or weight[rows].any()
            },
        )

    def shares(self, X: Any, of_all: NDArray) -> NDArray:
        """Shares of each row, (n, M): those of its context, or of all rows."""
        contexts = _contexts_of(X, self.columns)
        return np.array([self.weights.get(context, of_all) for context in contexts])


def _contexts_of(X: Any, columns: tuple[ColumnName, ...]) -> list[Any]:
    """Each row's context, (n,); None where a part of it is missing."""
    values = [
        check_categories(column_values(X, place), str(name)).tolist()
        for name, place in zip(columns, column_places(X, columns, "gate"), strict=True)
    ]
    if len(values) == 1:
        return values[0]
    return [None if None in context else context for context in zip(*values, strict=True)]
