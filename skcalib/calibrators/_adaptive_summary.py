"""What an adaptive calibrator serves, context by context, for somebody who must sign it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skcalib._table import Table
from skcalib._validation import ColumnName
from skcalib.calibrators._adaptive_map import AdaptiveMap, unknown_row
from skcalib.calibrators._context import Context
from skcalib.calibrators._encoder import CategoryColumn

# How far apart two temperatures must be for the table to tell them apart, in log T.
_TOLERANCE = 1e-9


@dataclass(frozen=True, repr=False)
class TemperatureSummary(Table):
    """Temperatures by context, one row for each level of each column.

    A row's other columns are those of the average row. `temperature` is what is served, `lower`
    and `upper` are the ends of a 95 % interval for what the rows ask for, `rows` the weight of
    the rows seen, `rule` what the prior says, and `note` what is not as the data would have it.
    """

    heading: str
    rows: tuple[tuple[Any, ...], ...]
    footing: str

    @property
    def title(self) -> str:
        """What the table is about."""
        return self.heading

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return ["context", "temperature", "95 % lower", "95 % upper", "rows", "rule", "note"]

    @property
    def records(self) -> list[tuple[Any, ...]]:
        """One tuple per context."""
        return list(self.rows)

    @property
    def footnote(self) -> str:
        """How the rows were read."""
        return self.footing


def summary_of(a_map: AdaptiveMap) -> TemperatureSummary:
    """The summary of a fitted map."""
    a_map = a_map.averaged()
    total = a_map.fit.statistics.weight
    records = [_record(a_map, "any other", unknown_row(a_map.encoder), total)]
    for column in a_map.encoder.categories:
        records += _records_of_levels(a_map, column)
    records += _records_of_numbers(a_map)
    before, after = a_map.log_losses
    footing = [
        f"Log loss {before:.4f} at T = 1, {after:.4f} as served; a row counts "
        f"{1 / a_map.fit.overdispersion:.2f} (overdispersion)."
    ]
    if a_map.rules:
        footing.append(f"Rules are trusted {a_map.fit.theta[0]:.0%}.")
    heading = f"Temperature by context: {total:,.6g} rows, {a_map.n_classes} classes"
    return TemperatureSummary(heading, tuple(records), " ".join(footing))


def _records_of_levels(a_map: AdaptiveMap, column: CategoryColumn) -> list[tuple[Any, ...]]:
    ruled = a_map.rules.by_level.get(column.name, {})
    records = []
    for level in [*column.levels, *(level for level in ruled if level not in column.levels)]:
        place = column.levels.get(level)
        n_rows = 0.0 if place is None else float(column.weight[place])
        value = np.array([level], dtype=object)
        context = _with(unknown_row(a_map.encoder), column.name, value)
        records.append(_record(a_map, f"{column.name} = {level}", context, n_rows, level in ruled))
    return records


def _records_of_numbers(a_map: AdaptiveMap) -> list[tuple[Any, ...]]:
    records = []
    for name, curve in a_map.target.curves.items():
        for end, value in (("lowest", curve.knots[0]), ("highest", curve.knots[-1])):
            context = _with(unknown_row(a_map.encoder), name, np.array([value]))
            records.append(_record(a_map, f"{name} = {value:.4g} ({end})", context, None))
    return records


def _with(context: Context, name: ColumnName, value: Any) -> Context:
    """The context with one column's value set."""
    if name in context.categories:
        return replace(context, categories=context.categories | {name: value})
    return replace(context, numbers=context.numbers | {name: value})


def _record(
    a_map: AdaptiveMap,
    label: str,
    context: Context,
    n_rows: float | None,
    has_rule: bool | None = None,
) -> tuple[Any, ...]:
    features = np.full((1, 3), np.nan) if a_map.table.needs_scores else None
    served = float(a_map.table.of_rows(context, features)[0])
    allowed = float(a_map.target.of_rows(context, features)[0])
    wanted = float(a_map.target.unbounded().of_rows(context, features)[0])
    lower, upper = a_map.intervals(context, features)[0].tolist()
    rule = None
    if has_rule or (has_rule is None and a_map.rules and not a_map.rules.function):
        rule = float(np.exp(a_map.rules.log_temperatures(context)[0]))
    notes = []
    if _differ(allowed, wanted):
        notes.append(f"clipped by bounds from {wanted:.4g}")
    if _differ(served, allowed):
        notes.append(f"held back by max_change, target {allowed:.4g}")
    if n_rows == 0 and has_rule:
        notes.append("no rows: the rule")
    return label, served, lower, upper, n_rows, rule, "; ".join(notes)


def _differ(one: float, other: float) -> bool:
    return abs(np.log(one / other)) > _TOLERANCE
