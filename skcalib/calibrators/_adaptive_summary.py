"""What an adaptive calibrator serves, context by context, for somebody who must sign it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skcalib._table import Table
from skcalib._validation import ColumnName
from skcalib.calibrators._adaptive_map import AdaptiveMap, no_features, unknown_row
from skcalib.calibrators._context import Context
from skcalib.calibrators._encoder import CategoryColumn
from skcalib.calibrators._temperature_table import TemperatureTable

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
    entries = [_Entry("any other", {}, total, None)]
    for column in a_map.encoder.categories:
        entries += _entries_of_levels(a_map, column)
    entries += _entries_of_numbers(a_map.target)
    before, after = a_map.log_losses
    footing = [
        f"Log loss {before:.4f} at T = 1, {after:.4f} as served; a row counts "
        f"{1 / a_map.fit.overdispersion:.2f} (overdispersion)."
    ]
    if a_map.rules:
        as_they_are, up_to_a_factor, _ = a_map.fit.opinions
        footing.append(
            f"Rules: right as they are {as_they_are:.0%}, up to a factor {up_to_a_factor:.0%}."
        )
    heading = f"Temperature by context: {total:,.6g} rows, {a_map.n_classes} classes"
    return TemperatureSummary(heading, _records(a_map, entries), " ".join(footing))


def summary_of_rules(table: TemperatureTable) -> TemperatureSummary:
    """The summary of rules that serve without rows."""
    unknown = dict.fromkeys(table.columns)
    known = [
        (f"{name} = {level}", {name: level})
        for name, effects in table.effects.items()
        for level in effects.of_level
    ]
    records = []
    for label, values in [("any other", {}), *known]:
        rule = float(replace(table, bounds=(0.0, np.inf)).of_row(unknown | values))
        served = table.of_row(unknown | values)
        note = f"clipped by bounds from {rule:.4g}" if _differ(served, rule) else "the rule"
        records.append((label, served, None, None, 0.0, rule, note))
    return TemperatureSummary("Temperature by context: rules, no rows", tuple(records), "")


@dataclass(frozen=True)
class _Entry:
    """A context to report on: the values that are known, rows seen, whether it has a rule."""

    label: str
    values: dict[ColumnName, Any]
    n_rows: float | None
    has_rule: bool | None


def _entries_of_levels(a_map: AdaptiveMap, column: CategoryColumn) -> list[_Entry]:
    ruled = a_map.rules.by_level.get(column.name, {})
    entries = []
    for level in [*column.levels, *(level for level in ruled if level not in column.levels)]:
        place = column.levels.get(level)
        n_rows = 0.0 if place is None else float(column.weight[place])
        label = f"{column.name} = {level}"
        entries.append(_Entry(label, {column.name: level}, n_rows, level in ruled))
    return entries


def _entries_of_numbers(table: TemperatureTable) -> list[_Entry]:
    return [
        _Entry(f"{name} = {value:.4g} ({end})", {name: value}, None, None)
        for name, curve in table.curves.items()
        for end, value in (("lowest", curve.knots[0]), ("highest", curve.knots[-1]))
        if len(curve.knots) > 1
    ]


def _context_of(a_map: AdaptiveMap, entries: list[_Entry]) -> Context:
    """One row for each entry; what it does not say is unknown."""
    unknown = unknown_row(a_map.encoder)
    categories = {name: np.full(len(entries), None, dtype=object) for name in unknown.categories}
    numbers = {name: np.full(len(entries), np.nan) for name in unknown.numbers}
    for row, entry in enumerate(entries):
        for name, value in entry.values.items():
            (categories if name in categories else numbers)[name][row] = value
    return Context(categories, numbers, len(entries))


def _records(a_map: AdaptiveMap, entries: list[_Entry]) -> tuple[tuple[Any, ...], ...]:
    context = _context_of(a_map, entries)
    features = no_features(a_map.encoder, len(entries))
    served = a_map.table.of_rows(context, features)
    allowed = a_map.target.of_rows(context, features)
    wanted = a_map.target.unbounded().of_rows(context, features)
    intervals = a_map.intervals(context, features)
    rules = np.exp(a_map.rules.log_temperatures(context))
    records = []
    for i, entry in enumerate(entries):
        implied = entry.has_rule is None and a_map.rules
        rule = float(rules[i]) if entry.has_rule or implied else None
        notes = []
        if _differ(allowed[i], wanted[i]):
            notes.append(f"clipped by bounds from {wanted[i]:.4g}")
        if _differ(served[i], allowed[i]):
            notes.append(f"held back by max_change, target {allowed[i]:.4g}")
        if entry.n_rows == 0 and entry.has_rule:
            notes.append("no rows: the rule")
        low, high = intervals[i].tolist()
        records.append(
            (entry.label, float(served[i]), low, high, entry.n_rows, rule, "; ".join(notes))
        )
    return tuple(records)


def _differ(one: float, other: float) -> bool:
    return bool(abs(np.log(one / other)) > _TOLERANCE)
