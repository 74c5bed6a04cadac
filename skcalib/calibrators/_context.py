"""What is known of a row besides its scores: columns of X that a temperature may depend on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer

from skcalib._response import Scores
from skcalib._validation import (
    ColumnName,
    check_categories,
    check_columns,
    check_numbers,
    column_places,
    column_values,
    count_rows,
    holds_categories,
    plain_or_none,
    without_columns,
)


@dataclass(frozen=True)
class Context:
    """Columns of n rows: categories as Python objects (None if missing), numbers as float64."""

    categories: dict[ColumnName, NDArray]
    numbers: dict[ColumnName, NDArray]
    n_rows: int

    def at(self, index: NDArray) -> Context:
        """Some of the rows."""
        return Context(
            {name: values[index] for name, values in self.categories.items()},
            {name: values[index] for name, values in self.numbers.items()},
            len(np.arange(self.n_rows)[index]),
        )

    def followed_by(self, other: Context) -> Context:
        """These rows, then others."""
        both = [
            {name: np.concatenate([values, theirs[name]]) for name, values in ours.items()}
            for ours, theirs in (
                (self.categories, other.categories),
                (self.numbers, other.numbers),
            )
        ]
        return Context(both[0], both[1], self.n_rows + other.n_rows)

    def row(self, i: int) -> dict[ColumnName, Any]:
        """One row's values by column, as plain Python has them; None where one is missing."""
        columns = self.categories | self.numbers
        return {name: plain_or_none(values[i]) for name, values in columns.items()}


@dataclass(frozen=True)
class ContextReader:
    """Where in X the context stands, and how to read it.

    Parameters
    ----------
    columns : names or positions; empty for none
    is_category : which of the columns, or of the transformer's output, hold categories
    transformer : fitted, or None: what makes the context out of X
    in_estimator : whether a wrapped estimator gets the context too
    """

    columns: tuple[ColumnName, ...] = ()
    is_category: dict[ColumnName, bool] | None = None
    transformer: Any = None
    in_estimator: bool = True

    def context(self, X: Any) -> Context:
        """The context of each row of X."""
        columns = self._columns_of(X)
        kinds = self.is_category or {}
        return Context(
            {name: check_categories(v, str(name)) for name, v in columns.items() if kinds[name]},
            {name: check_numbers(v, str(name)) for name, v in columns.items() if not kinds[name]},
            count_rows(X),
        )

    def scores_of(self, X: Any) -> Any:
        """X without the context: what is left are scores."""
        if not self.columns:
            return X
        places = column_places(X, self.columns, "context")
        if len(places) == np.shape(X)[1]:
            raise ValueError(
                f"context={list(self.columns)} names every column of X: none is left for scores, "
                "or for an estimator that must not see the context."
            )
        return without_columns(X, places)

    def with_context(self, scores: Scores, X: Any) -> Scores:
        """Scores of X with what else is known of its rows, if that is anything."""
        return replace(scores, context=self.context_or_none(X))

    def context_or_none(self, X: Any) -> Context | None:
        """The context, if there is any."""
        return self.context(X) if self.is_category else None

    def fitted_attributes(self) -> dict[str, ContextReader]:
        """What a calibrator keeps to read rows with."""
        return {"context_reader_": self} if self.is_category else {}

    def for_estimator(self, X: Any) -> Any:
        """What a wrapped estimator gets to see."""
        return X if self.in_estimator else self.scores_of(X)

    def _columns_of(self, X: Any) -> dict[ColumnName, Any]:
        if self.transformer is not None:
            return _columns_of_output(self.transformer, self.transformer.transform(X))
        return _named_columns(X, self.columns)


NO_CONTEXT = ContextReader()


def fit_reader(
    context: Any,
    categorical_features: Any,
    X: Any,
    y: Any,
    *,
    on_scores: bool,
    in_estimator: bool,
) -> ContextReader:
    """Find the context in X, and tell numbers from categories by type."""
    if context is None:
        return NO_CONTEXT
    transformer = None
    if hasattr(context, "transform"):
        columns = _columns_read_by(context, on_scores or not in_estimator)
        transformer = clone(context)
        output = transformer.fit_transform(X, y)
        values = _columns_of_output(transformer, output)
    else:
        columns = check_columns(context, "context")
        values = _named_columns(X, columns)
    if isinstance(categorical_features, str) and categorical_features == "from_dtype":
        kinds = {name: holds_categories(v, str(name)) for name, v in values.items()}
    else:
        declared = check_columns(categorical_features, "categorical_features")
        unknown = [name for name in declared if name not in values]
        if unknown:
            raise ValueError(
                "categorical_features must be 'from_dtype' or among the columns of the context, "
                f"{list(values)}, got {unknown}."
            )
        kinds = {name: name in declared for name in values}
    return ContextReader(columns, kinds, transformer, in_estimator)


def context_of(scores: Scores) -> Context:
    """The context that came with scores."""
    return Context({}, {}, len(scores)) if scores.context is None else scores.context


def _named_columns(X: Any, columns: tuple[ColumnName, ...]) -> dict[ColumnName, Any]:
    if not columns:
        return {}
    places = column_places(X, columns, "context")
    return {name: column_values(X, place) for name, place in zip(columns, places, strict=True)}


def _columns_read_by(transformer: Any, must_know: bool) -> tuple[ColumnName, ...]:
    """Which columns of X a transformer takes for context, where the others are scores."""
    if not must_know:
        return ()
    if not isinstance(transformer, ColumnTransformer):
        raise TypeError(
            "context must say which columns of X it reads, for the others are what scores are "
            "read from: pass names, positions or a ColumnTransformer, not a "
            f"{type(transformer).__name__}."
        )
    columns: list[ColumnName] = []
    for _, _, part in transformer.transformers:
        columns += [c for c in check_columns(part, "context") if c not in columns]
    return tuple(columns)


def _columns_of_output(transformer: Any, output: Any) -> dict[ColumnName, Any]:
    """Columns of what a transformer made, by their names if it has any."""
    if issparse(output):
        output = output.toarray()
    try:
        names = [str(name) for name in transformer.get_feature_names_out()]
    except (AttributeError, ValueError):
        names = []
    n_columns = np.shape(output)[1]
    if len(names) != n_columns:
        names = [f"context{i}" for i in range(n_columns)]
    return {name: column_values(output, i) for i, name in enumerate(names)}
