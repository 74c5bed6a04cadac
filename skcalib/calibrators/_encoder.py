"""From the context of rows to the features that a temperature is fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.sparse import csr_array, hstack

from skcalib._kernels._design import Design, Prior
from skcalib._kernels._score_features import SCORE_FEATURES
from skcalib._validation import ColumnName
from skcalib.calibrators._context import Context

# Coefficients beyond this make a fit slow and say little: of a category's levels the rarest are
# then served like unknown ones.
MOST_LEVELS = 500

# With a larger share of its entries not 0 a matrix is an array.
_DENSE = 0.2


@dataclass(frozen=True)
class CategoryColumn:
    """A column of categories: one coefficient for each level that rows were seen of.

    Parameters
    ----------
    name : name or position of the column
    levels : dict from level to place
    share : ndarray of shape (L,)
        Share of the known rows that each level had; 0 for those that came later, whose
        coefficient is not centred.
    weight : ndarray of shape (L,), how many rows were seen of each
    """

    name: ColumnName
    levels: dict[Any, int]
    share: NDArray
    weight: NDArray

    def codes(self, values: NDArray) -> NDArray:
        """Place of each row's level, -1 for a missing or unknown one."""
        place = self.levels
        return np.array([place.get(value, -1) for value in values.tolist()], dtype=np.intp)

    def seeing(self, values: NDArray, weight: NDArray, keep: float) -> CategoryColumn:
        """With more rows seen, what was seen before fading to a share of itself."""
        levels = dict(self.levels)
        for value in values.tolist():
            if value is not None and value not in levels and len(levels) < MOST_LEVELS:
                levels[value] = len(levels)
        n_new = len(levels) - len(self.levels)
        grown = replace(self, levels=levels, share=np.pad(self.share, (0, n_new)))
        codes = grown.codes(values)
        known = codes >= 0
        counts = np.bincount(codes[known], weight[known], minlength=len(levels))
        return replace(grown, weight=keep * np.pad(self.weight, (0, n_new)) + counts)

    @property
    def labels(self) -> list[tuple[ColumnName, Any]]:
        """What each coefficient is of."""
        return [(self.name, level) for level in self.levels]

    def raw(self, values: NDArray) -> csr_array:
        """Whether the level is centred, then one-hot, (n, 1 + L)."""
        codes = self.codes(values)
        rows = np.flatnonzero(codes >= 0)
        centred = rows[self.share[codes[rows]] > 0]
        row = np.concatenate([centred, rows])
        column = np.concatenate([np.zeros(len(centred), dtype=np.intp), 1 + codes[rows]])
        shape = (len(codes), 1 + len(self.levels))
        return csr_array((np.ones(len(row)), (row, column)), shape=shape)

    def centring(self) -> NDArray:
        """From the coefficients of centred columns to those of `raw`, (1 + L, L)."""
        return np.vstack([-self.share, np.eye(len(self.levels))])


@dataclass(frozen=True)
class NumberBlock:
    """Numbers that are shrunk together: standardised, clipped to the range they were seen in.

    A column that has not varied yet has scale 0, and counts for nothing until it does.
    """

    names: tuple[ColumnName, ...]
    mean: NDArray
    scale: NDArray
    low: NDArray
    high: NDArray
    of_scores: bool = False

    @property
    def labels(self) -> list[tuple[ColumnName, Any]]:
        """What each coefficient is of."""
        kind = "scores" if self.of_scores else "number"
        return [(name, kind) for name in self.names]

    def values(self, context: Context, score_features: NDArray | None) -> NDArray:
        """The numbers of each row, (n, k)."""
        if self.of_scores:
            assert score_features is not None
            return score_features[:, [SCORE_FEATURES.index(str(name)) for name in self.names]]
        return np.stack([context.numbers[name] for name in self.names], axis=1)

    @property
    def n_varying(self) -> int:
        """How many of them have varied."""
        return int((self.scale > 0).sum())

    def seeing(self, values: NDArray, weight: NDArray) -> NumberBlock:
        """With the range of more rows, and a scale for those that begin to vary.

        The mean stays: at it, a column that had not varied said nothing of the rows before.
        """
        new = _fit_numbers(self.names, values, weight)
        low, high = np.minimum(self.low, new.low), np.maximum(self.high, new.high)
        mean = np.where(np.isfinite(self.low), self.mean, new.mean)
        began = (self.scale == 0) & (high > low)
        # About the old mean, the mean square is the variance and the square of how far it moved.
        spread = np.hypot(new.scale, new.mean - mean)
        return replace(
            self, mean=mean, scale=np.where(began, spread, self.scale), low=low, high=high
        )

    def standardised(self, values: NDArray) -> NDArray:
        """(n, k); 0, the average row's, where a value is missing."""
        counts = (self.scale > 0) & ~np.isnan(values)
        deviation = np.clip(values, self.low, self.high) - self.mean
        return np.divide(deviation, self.scale, out=np.zeros(values.shape), where=counts)


@dataclass(frozen=True)
class Encoder:
    """Features: the rule, the intercept, centred levels of each category, numbers.

    Parameters
    ----------
    categories : one for each column of categories
    numbers : of the context, and of the rows' own scores: none, one or both
    """

    categories: tuple[CategoryColumn, ...]
    numbers: tuple[NumberBlock, ...]

    @property
    def parts(self) -> list[CategoryColumn | NumberBlock]:
        """What has coefficients, in their order."""
        parts: list[CategoryColumn | NumberBlock] = [*self.categories, *self.numbers]
        return [part for part in parts if part.labels]

    def design(self, context: Context, score_features: NDArray | None, rule: NDArray) -> Design:
        """Features of rows.

        Parameters
        ----------
        context : Context of n rows
        score_features : ndarray of shape (n, 3) or None
        rule : ndarray of shape (n,), log beta that the rules say
        """
        raw = [csr_array(np.stack([rule, np.ones(len(rule))], axis=1))]
        centring = [np.eye(2)]
        for part in self.parts:
            if isinstance(part, CategoryColumn):
                raw.append(part.raw(context.categories[part.name]))
                centring.append(part.centring())
            else:
                raw.append(csr_array(part.standardised(part.values(context, score_features))))
                centring.append(np.eye(len(part.labels)))
        joined = hstack(raw, format="csr")
        dense = joined.nnz > _DENSE * np.prod(joined.shape)
        return Design(joined.toarray() if dense else joined, csr_array(block_diag(*centring)))

    def prior(self, alpha: float, has_rule: bool) -> Prior:
        """What the coefficients are shrunk by."""
        sizes = [len(part.labels) for part in self.parts]
        units = [
            max(part.n_varying, 1) if isinstance(part, NumberBlock) else 1 for part in self.parts
        ]
        return Prior(
            np.repeat(np.arange(len(sizes)), sizes),
            np.repeat(np.array(units, dtype=np.float64), sizes),
            alpha,
            has_rule,
        )

    @property
    def labels(self) -> list[tuple[ColumnName, Any]]:
        """What each coefficient but the first two is of."""
        return [label for part in self.parts for label in part.labels]

    def coefficients(self, theta: NDArray) -> list[tuple[CategoryColumn | NumberBlock, NDArray]]:
        """Each part with its share of theta."""
        ends = 2 + np.cumsum([len(part.labels) for part in self.parts])
        return [
            (part, theta[end - len(part.labels) : end])
            for part, end in zip(self.parts, ends.tolist(), strict=True)
        ]

    def seeing(
        self, context: Context, score_features: NDArray | None, weight: NDArray, keep: float
    ) -> Encoder:
        """With the levels and the ranges of more rows."""
        categories = [c.seeing(context.categories[c.name], weight, keep) for c in self.categories]
        numbers = [n.seeing(n.values(context, score_features), weight) for n in self.numbers]
        return Encoder(tuple(categories), tuple(numbers))

    def places_in(self, grown: Encoder) -> NDArray:
        """Where each coefficient of this encoder stands in one that has seen more, (p,)."""
        place = {label: 2 + i for i, label in enumerate(grown.labels)}
        return np.array([0, 1, *(place[label] for label in self.labels)], dtype=np.intp)


def fit_encoder(context: Context, score_features: NDArray | None, weight: NDArray) -> Encoder:
    """Levels, shares, means and ranges of rows of positive weight."""
    categories = [
        _fit_category(name, values, weight) for name, values in context.categories.items()
    ]
    blocks = []
    if context.numbers:
        values = np.stack(list(context.numbers.values()), axis=1)
        blocks.append(_fit_numbers(tuple(context.numbers), values, weight))
    if score_features is not None:
        block = _fit_numbers(SCORE_FEATURES, score_features, weight)
        blocks.append(replace(block, of_scores=True))
    return Encoder(tuple(categories), tuple(block for block in blocks if block.names))


def _fit_category(name: ColumnName, values: NDArray, weight: NDArray) -> CategoryColumn:
    total: dict[Any, float] = {}
    for value, w in zip(values.tolist(), weight.tolist(), strict=True):
        if value is not None:
            total[value] = total.get(value, 0.0) + w
    # The commonest, whatever order rows come in; ties by what the levels look like.
    kept = sorted(total, key=lambda level: (-total[level], str(level)))[:MOST_LEVELS]
    kept = sorted(kept, key=str)
    counts = np.array([total[level] for level in kept])
    levels = {level: place for place, level in enumerate(kept)}
    return CategoryColumn(name, levels, counts / max(counts.sum(), 1e-300), counts)


def _fit_numbers(names: Sequence[ColumnName], values: NDArray, weight: NDArray) -> NumberBlock:
    """Means, scales (0 where all are the same) and ranges of columns (n, k)."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    unit = np.maximum(np.abs(filled).max(axis=0, initial=0.0), np.finfo(np.float64).tiny)
    filled = filled / unit  # squares of very large numbers overflow
    weights = known * weight[:, None]
    total = np.maximum(weights.sum(axis=0), np.finfo(np.float64).tiny)
    mean = (weights * filled).sum(axis=0) / total
    scale = np.sqrt((weights * (filled - mean) ** 2).sum(axis=0) / total)
    mean, scale = mean * unit, scale * unit
    low = np.where(known, values, np.inf).min(axis=0)
    high = np.where(known, values, -np.inf).max(axis=0)
    scale = np.where(high > low, scale, 0.0)
    return NumberBlock(tuple(names), mean, scale, low, high)
