"""Columns of X by name or position: the ones that hold numbers, the ones that hold categories."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from skcalib._validation._arrays import listing
from skcalib._validation._sklearn import feature_names_of, take_columns

ColumnName = str | int

# Values of these types are what they say; of others some stand for missing ones.
_NEVER_MISSING = {str, int, bool, type(None)}


def check_columns(columns: Any, name: str) -> tuple[ColumnName, ...]:
    """Names or positions as a tuple: one alone, or a list of them; each once."""
    given = [columns] if isinstance(columns, str | int | np.integer) else columns
    if not isinstance(given, Sequence | np.ndarray) or not all(
        isinstance(column, str | int | np.integer) and not isinstance(column, bool)
        for column in given
    ):
        raise TypeError(f"{name} must be names or positions of columns of X, got {columns!r}.")
    plain = tuple(c if isinstance(c, str) else int(c) for c in given)
    if len(set(plain)) < len(plain):
        raise ValueError(f"{name} must name each column once, got {list(plain)}.")
    return plain


def column_places(X: Any, columns: Sequence[ColumnName], name: str) -> list[int]:
    """Position of each column in X, or an error that says which are missing."""
    shape = np.shape(_with_columns(X))
    if len(shape) != 2:
        raise ValueError(
            f"{name}={list(columns)} names columns of X, so X must have two dimensions, got "
            f"shape {shape}."
        )
    found = feature_names_of(X)
    known = {} if found is None else {label: place for place, label in enumerate(found)}
    by_name = [column for column in columns if isinstance(column, str)]
    if by_name and not known:
        raise ValueError(
            f"{name}={list(columns)} names columns, but X is a {type(X).__name__} without column "
            "names. Pass a data frame, or positions of columns."
        )
    missing = [
        column
        for column in columns
        if (column not in known if isinstance(column, str) else not -shape[1] <= column < shape[1])
    ]
    if missing:
        there = f"{shape[1]} columns" + (f", {listing(found)}" if found is not None else "")
        raise ValueError(f"{name} names columns {missing} that X does not have: it has {there}.")
    places = [known[c] if isinstance(c, str) else c % shape[1] for c in columns]
    if len(set(places)) < len(places):
        raise ValueError(f"{name} must name each column once, got {list(columns)}.")
    return places


def column_values(X: Any, place: int) -> Any:
    """One column of X, as X keeps it; a plain array of a sparse matrix."""
    if scipy.sparse.issparse(X):  # of which scipy 1.13 has no column but as a matrix
        return take_columns(X, [place], axis=1).toarray().ravel()
    return take_columns(_with_columns(X), place, axis=1)


def without_columns(X: Any, places: Sequence[int]) -> Any:
    """X without some of its columns; a view of an array where the others stand together."""
    gone = set(places)
    n_columns = np.shape(_with_columns(X))[1]
    kept = [place for place in range(n_columns) if place not in gone]
    if kept and kept[-1] - kept[0] == len(kept) - 1:
        return take_columns(_with_columns(X), slice(kept[0], kept[-1] + 1), axis=1)
    return take_columns(_with_columns(X), kept, axis=1)


def _with_columns(X: Any) -> Any:
    """Lists of rows as an array of what they hold."""
    return X if hasattr(X, "shape") else np.array(X, dtype=object)


def holds_categories(values: Any, name: str) -> bool:
    """Whether a column's type says that it holds categories: strings, booleans, "category".

    A column of Python objects holds categories unless all that are not missing are numbers.
    """
    if getattr(getattr(values, "dtype", None), "name", "") == "category":
        return True
    array = np.asarray(values)
    if array.dtype.kind == "O":
        known = [value for value in array.ravel().tolist() if not is_missing(value)]
        return not known or not all(_is_number(value) for value in known)
    if array.dtype.kind not in "biufUS":
        raise TypeError(
            f"column {name!r} of X must hold numbers or categories, got dtype {array.dtype}. "
            "Convert it to numbers, or to strings."
        )
    return array.dtype.kind in "bUS"


def check_categories(values: Any, name: str) -> NDArray:
    """A column of categories as Python objects, None where a value is missing, (n,)."""
    array = np.asarray(values).ravel()
    plain = array.tolist()
    if array.dtype.kind == "f":
        for row in np.flatnonzero(np.isnan(array)):
            plain[row] = None
    elif array.dtype.kind not in "biuUS" and not set(map(type, plain)) <= _NEVER_MISSING:
        odd = next((value for value in plain if type(value).__hash__ is None), None)
        if odd is not None:
            raise TypeError(f"column {name!r} of X must hold categories, got {odd!r}: use strings.")
        plain = [plain_or_none(value) for value in plain]
    categories = np.empty(len(plain), dtype=object)
    categories[:] = plain
    return categories


def check_numbers(values: Any, name: str) -> NDArray:
    """A column of numbers as float64, NaN where a value is missing, (n,)."""
    try:
        return np.asarray(values, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        plain = np.asarray(values, dtype=object).ravel().tolist()
    try:
        return np.array([np.nan if is_missing(value) else float(value) for value in plain])
    except (TypeError, ValueError):
        wrong = next(v for v in plain if not (_is_number(v) or is_missing(v)))
        raise ValueError(
            f"column {name!r} of X must hold numbers, got {wrong!r}. Categories are named in "
            "categorical_features, or told by their type when fit is called."
        ) from None


def plain_or_none(value: Any) -> Any:
    """A value as plain Python has it, None for a missing one."""
    return None if is_missing(value) else plain_value(value)


def is_missing(value: Any) -> bool:
    """None, NaN, NaT and pandas' NA."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return True


def plain_value(value: Any) -> Any:
    """A numpy scalar as the Python object that JSON and dictionaries know."""
    return value.item() if isinstance(value, np.generic) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
