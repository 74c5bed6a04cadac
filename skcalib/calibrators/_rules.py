"""Rules: temperatures that somebody knows before there are data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib._validation import ColumnName, is_missing, plain_value
from skcalib.calibrators._context import Context

_EXPECTED = (
    "prior must be a positive temperature, a dict of them by category, "
    "{column: {category: temperature}}, or a function of a row's context"
)


@dataclass(frozen=True)
class Rules:
    """The temperature of each row before any data: a product of what applies to it.

    Parameters
    ----------
    log_temperature : float, for every row
    by_level : dict from column to dict from level to log T
        A level without a rule takes the mean of the column's: the geometric mean of its T.
    function : callable or None
        From a row's context, a dict by column, to T.
    """

    log_temperature: float = 0.0
    by_level: dict[ColumnName, dict[Any, float]] = field(default_factory=dict)
    function: Callable[[Mapping[ColumnName, Any]], float] | None = None

    def __bool__(self) -> bool:
        return bool(self.log_temperature or self.by_level or self.function)

    def log_temperatures(self, context: Context) -> NDArray:
        """Log T of each row, (n,)."""
        total = np.full(context.n_rows, self.log_temperature)
        for name, rules in self.by_level.items():
            otherwise = mean_rule(rules)
            values = context.categories[name].tolist()
            total += [rules.get(value, otherwise) for value in values]
        if self.function is not None:
            total += [self.of_row(context.row(i)) for i in range(context.n_rows)]
        return total

    def averaged(self, context: Context, weight: NDArray) -> Rules:
        """With what a function says of these rows on average in its place.

        It may know nothing to say of a row of which nothing is known.
        """
        if self.function is None:
            return self
        said = [self.of_row(context.row(i)) for i in range(context.n_rows)]
        mean = float(np.average(said, weights=weight))
        return replace(self, function=None, log_temperature=self.log_temperature + mean)

    def of_row(self, row: Mapping[ColumnName, Any]) -> float:
        """Log T that the function says of one row."""
        if self.function is None:
            return 0.0
        try:
            temperature = self.function(row)
        except Exception as error:
            raise ValueError(f"prior failed for the context {dict(row)}: {error!r}.") from error
        if not _is_temperature(temperature):
            raise ValueError(
                "prior must return a positive finite temperature, got "
                f"{temperature!r} for the context {dict(row)}."
            )
        return float(np.log(float(temperature)))

    def refuse_unknown_columns(self, categories: Sequence[ColumnName]) -> None:
        """Rules by category need their column among the categories of the context."""
        unknown = [name for name in self.by_level if name not in categories]
        if unknown:
            raise ValueError(
                f"prior has rules for the columns {unknown}, but the categories of the context "
                f"are {list(categories)}. Name the column in context; if it holds numbers that "
                "are categories, in categorical_features too."
            )


def mean_rule(rules: Mapping[Any, float]) -> float:
    """Log of the geometric mean temperature: what applies where no rule does."""
    return float(np.mean(list(rules.values()))) if rules else 0.0


def check_rules(prior: Any, categories: Sequence[ColumnName] | None) -> Rules:
    """What users pass as `prior`, read.

    Parameters
    ----------
    prior : float, dict, pandas Series or callable
    categories : columns of categories of the context, or None where they are not known yet
    """
    if isinstance(prior, Real | bool):
        return Rules(_checked(prior, "prior"))
    if not isinstance(prior, Mapping) and hasattr(prior, "to_dict"):
        prior = prior.to_dict()
    if isinstance(prior, Mapping):
        rules = Rules(by_level=_by_level(prior, categories))
        if categories is not None:
            rules.refuse_unknown_columns(categories)
        return rules
    if callable(prior):
        return Rules(function=prior)
    raise TypeError(f"{_EXPECTED}, got {prior!r}.")


def _by_level(
    prior: Mapping[Any, Any], categories: Sequence[ColumnName] | None
) -> dict[ColumnName, dict[Any, float]]:
    nested = [isinstance(value, Mapping) for value in prior.values()]
    if any(nested) and not all(nested):
        raise TypeError(f"{_EXPECTED}, got a dict that mixes temperatures and dicts: {prior!r}.")
    if not any(nested):
        if categories is None or len(categories) != 1:
            found = "a transformer makes it" if categories is None else list(categories)
            raise ValueError(
                "prior gives temperatures by category, which is clear only for a context of one "
                f"column of categories; of this one: {found}. Pass "
                "{column: {category: temperature}}."
            )
        prior = {categories[0]: prior}
    for rules in prior.values():
        if any(is_missing(level) for level in rules):
            raise ValueError(
                "prior has a rule for a missing category. Categories that are missing get the "
                "mean rule; give the missing ones a name, in X too."
            )
    return {
        column: {
            plain_value(level): _checked(value, f"prior for the category {level!r}")
            for level, value in rules.items()
        }
        for column, rules in prior.items()
    }


def _checked(temperature: Any, name: str) -> float:
    """Log T of a temperature that can be one."""
    if not _is_temperature(temperature):
        number = isinstance(temperature, Real) and not isinstance(temperature, bool)
        raise (ValueError if number else TypeError)(
            f"{name} must be a positive finite temperature, got {temperature!r}."
        )
    return float(np.log(float(temperature)))


def _is_temperature(value: Any) -> bool:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return 0 < float(value) < np.inf
