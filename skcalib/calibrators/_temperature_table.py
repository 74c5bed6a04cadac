"""Temperatures by context as a table: what is served, in microseconds and as JSON."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._score_features import SCORE_FEATURES
from skcalib._validation import ColumnName, is_missing, plain_or_none
from skcalib.calibrators._context import Context

FORMAT = "skcalib temperature table"
VERSION = 1


@dataclass(frozen=True)
class Effects:
    """What a column of categories adds to log T.

    Parameters
    ----------
    of_level : dict from level to its effect
    of_others : float
        For a missing value, and for a level that is not in `of_level`.
    """

    of_level: dict[Any, float]
    of_others: float = 0.0

    def of(self, value: Any) -> float:
        """Of one value, whatever it is."""
        try:
            return self.of_level.get(value, self.of_others)
        except TypeError:  # a list or the like: no level is one
            return self.of_others


@dataclass(frozen=True)
class Curve:
    """What a number adds to log T: straight between knots, flat outside; nothing if missing.

    Parameters
    ----------
    knots : tuple of floats, ascending
    values : tuple of floats, what is added at each
    """

    knots: tuple[float, ...]
    values: tuple[float, ...]

    def of(self, value: float) -> float:
        """Of one value."""
        if value != value:
            return 0.0
        knots, values = self.knots, self.values
        if value <= knots[0]:
            return values[0]
        if value >= knots[-1]:
            return values[-1]
        right = bisect_right(knots, value)
        x, y = knots[right - 1], values[right - 1]
        return y + (value - x) / (knots[right] - x) * (values[right] - y)

    def of_all(self, values: NDArray) -> NDArray:
        """Of many, (n,)."""
        return np.where(np.isnan(values), 0.0, np.interp(values, self.knots, self.values))


@dataclass(frozen=True)
class TemperatureTable:
    """log T of a row: a base, and what each column of its context adds.

    Parameters
    ----------
    base : float, log T of a row whose context adds nothing
    effects : dict from column of categories to Effects
    curves : dict from column of numbers to Curve
    score_curves : Curve of each score feature, by its name
    score_temperature : float, that score features are taken at
    bounds : pair of temperatures, 0 and inf for none
    function : callable or None, and how far it is trusted
        A rule that no table can hold; its log T counts `trust` times.
    """

    base: float
    effects: dict[ColumnName, Effects] = field(default_factory=dict)
    curves: dict[ColumnName, Curve] = field(default_factory=dict)
    score_curves: dict[ColumnName, Curve] = field(default_factory=dict)
    score_temperature: float = 1.0
    bounds: tuple[float, float] = (0.0, math.inf)
    function: Callable[[Mapping[ColumnName, Any]], float] | None = None
    trust: float = 0.0

    def of_row(self, row: Mapping[ColumnName, Any]) -> float:
        """T of one row, from a mapping of column to value."""
        low, high = self.bounds
        return float(min(max(math.exp(min(self.log_target(row), _LARGEST)), low), high))

    def log_target(self, row: Mapping[ColumnName, Any]) -> float:
        """Log T of one row before bounds, without what its scores add."""
        log_temperature = self.base
        try:
            for name, effects in self.effects.items():
                log_temperature += effects.of(row[name])
            for name, curve in self.curves.items():
                value = row[name]
                log_temperature += 0.0 if value is None else curve.of(float(value))
        except KeyError as error:
            raise ValueError(
                f"the context must have a value for each of {self.columns}, got "
                f"{dict(row)}. None stands for an unknown value."
            ) from error
        except (TypeError, ValueError) as error:
            if is_missing(value):  # pandas' NA is no float
                return self.log_target({**row, name: None})
            raise ValueError(
                f"column {name!r} of the context must hold a number, got {value!r}."
            ) from error
        if self.function is not None:
            known = {name: plain_or_none(row[name]) for name in self.columns or row}
            log_temperature += self.trust * self.function(known)
        return log_temperature

    def of_rows(self, context: Context, score_features: NDArray | None) -> NDArray:
        """T of n rows, (n,)."""
        with np.errstate(over="ignore", under="ignore"):
            temperature = np.exp(self.log_targets(context, score_features))
        return np.clip(temperature, *self.bounds)

    def log_targets(self, context: Context, score_features: NDArray | None = None) -> NDArray:
        """Log T of n rows before bounds, (n,)."""
        total = np.full(context.n_rows, self.base)
        for name, effects in self.effects.items():
            values = context.categories[name].tolist()
            total += [effects.of_level.get(value, effects.of_others) for value in values]
        for name, curve in self.curves.items():
            total += curve.of_all(context.numbers[name])
        if score_features is not None:
            total += self._of_scores(score_features)
        if self.function is not None:
            rules = [self.function(context.row(i)) for i in range(context.n_rows)]
            total += self.trust * np.array(rules)
        return total

    def with_scores(self, log_temperature: NDArray, score_features: NDArray) -> NDArray:
        """T of n rows, (n,), from what their contexts say of log T and from their scores."""
        total = log_temperature + self._of_scores(score_features)
        with np.errstate(over="ignore", under="ignore"):
            return np.clip(np.exp(total), *self.bounds)

    def _of_scores(self, score_features: NDArray) -> NDArray:
        total = np.zeros(len(score_features))
        for name, curve in self.score_curves.items():
            total += curve.of_all(score_features[:, SCORE_FEATURES.index(name)])
        return total

    @property
    def columns(self) -> list[ColumnName]:
        """What a row's context must have values of."""
        return [*self.effects, *self.curves]

    @property
    def needs_scores(self) -> bool:
        """Whether T depends on the row's own scores."""
        return bool(self.score_curves)

    def unbounded(self) -> TemperatureTable:
        """What would be served without bounds."""
        return replace(self, bounds=(0.0, math.inf))

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dicts, strings and numbers, for JSON."""
        if self.function is not None:
            raise ValueError(
                "a prior that is a function cannot be written to a table. Pass rules as a dict, "
                "{column: {category: temperature}}."
            )
        for name, effects in self.effects.items():
            odd = [level for level in effects.of_level if not _is_writable(level)]
            if odd:
                raise ValueError(
                    "categories must be strings, finite numbers or booleans to be written to a "
                    f"table, got {odd[0]!r} in column {name!r}."
                )
        low, high = self.bounds
        return {
            "format": FORMAT,
            "version": VERSION,
            "log_temperature": self.base,
            "categories": [
                {
                    "column": name,
                    "levels": [[level, effect] for level, effect in effects.of_level.items()],
                    "others": effects.of_others,
                }
                for name, effects in self.effects.items()
            ],
            "numbers": [_curve_to_dict(*item) for item in self.curves.items()],
            "score_features": [_curve_to_dict(*item) for item in self.score_curves.items()],
            "score_temperature": self.score_temperature,
            "bounds": [float(low), None if math.isinf(high) else float(high)],
        }

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> TemperatureTable:
        """Inverse of `to_dict`."""
        if not isinstance(table, Mapping) or table.get("format") != FORMAT:
            raise ValueError(f"table must be a dict made by to_table, got {table!r}.")
        if table.get("version") != VERSION:
            raise ValueError(
                f"table has version {table.get('version')!r}; this version of skcalib reads "
                f"{VERSION}."
            )
        try:
            return cls._of_parts(table)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"table is damaged: {error!r} in {table!r}.") from error

    @classmethod
    def _of_parts(cls, table: Mapping[str, Any]) -> TemperatureTable:
        return cls(
            base=_finite(table["log_temperature"]),
            effects={
                part["column"]: Effects(
                    {level: _finite(effect) for level, effect in part["levels"]},
                    _finite(part["others"]),
                )
                for part in table["categories"]
            },
            curves={part["column"]: _curve_of(part) for part in table["numbers"]},
            score_curves={
                _score_feature(part["column"]): _curve_of(part) for part in table["score_features"]
            },
            score_temperature=_finite(table["score_temperature"]),
            bounds=_bounds_of(table),
        )


# exp of more is no number.
_LARGEST = 700.0


def _curve_to_dict(name: ColumnName, curve: Curve) -> dict[str, Any]:
    return {"column": name, "knots": list(curve.knots), "values": list(curve.values)}


def _curve_of(part: Mapping[str, Any]) -> Curve:
    knots, values = (tuple(map(_finite, part[key])) for key in ("knots", "values"))
    if not knots or len(knots) != len(values) or list(knots) != sorted(knots):
        raise ValueError("knots must ascend, with a value each")
    return Curve(knots, values)


def _bounds_of(table: Mapping[str, Any]) -> tuple[float, float]:
    low, high = table["bounds"]
    bounds = _finite(low), math.inf if high is None else _finite(high)
    if not 0 <= bounds[0] < bounds[1]:
        raise ValueError("bounds must be 0 <= low < high")
    return bounds


def _score_feature(name: Any) -> str:
    if name not in SCORE_FEATURES:
        raise ValueError(f"{name!r} is none of the score features {SCORE_FEATURES}")
    return str(name)


def _finite(number: Any) -> float:
    """A number as it stands in a table, where words and NaN do not."""
    if not isinstance(number, int | float) or not math.isfinite(number):
        raise ValueError(f"{number!r} is no finite number")
    return float(number)


def _is_writable(level: Any) -> bool:
    """Whether JSON has this category."""
    return isinstance(level, str | int) or (isinstance(level, float) and math.isfinite(level))
