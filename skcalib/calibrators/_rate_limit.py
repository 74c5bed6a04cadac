"""How far a refit may move what is served: temperatures by context, one step at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from skcalib._validation import ColumnName
from skcalib.calibrators._temperature_table import Curve, Effects, TemperatureTable

_NOTHING = Effects({})
_FLAT = Curve((0.0,), (0.0,))


def held_back(
    target: TemperatureTable, served: TemperatureTable, max_change: float
) -> TemperatureTable:
    """The table nearest to `target` whose log T is within `max_change` of what was served.

    With one column of categories every context moves by itself, as far as it may, and from a bound
    if it was held there. With several columns a context's move is the sum of its columns': the base
    goes first, and what is left is shared equally among the columns, so that no combination of
    them moves farther.
    """
    if len(target.effects) <= 1 and not (target.curves or target.score_curves):
        return _each_by_itself(target, served, max_change)
    base = _towards(served.base, target.base, max_change)
    n_columns = len(target.effects) + len(target.curves) + len(target.score_curves)
    room = (max_change - abs(base - served.base)) / n_columns
    return replace(
        target,
        base=base,
        effects={
            name: _effects_towards(served.effects.get(name, _NOTHING), new, room)
            for name, new in target.effects.items()
        },
        curves=_curves_towards(served.curves, target.curves, room),
        score_curves=_curves_towards(served.score_curves, target.score_curves, room),
    )


def _towards(old: float, new: float, room: float) -> float:
    return old + float(np.clip(new - old, -room, room))


def _each_by_itself(
    target: TemperatureTable, served: TemperatureTable, max_change: float
) -> TemperatureTable:
    with np.errstate(divide="ignore"):
        low, high = np.log(target.bounds)

    def moved(new: float, old: float) -> float:
        step = _towards(float(np.clip(old, low, high)), new, max_change)
        return float(np.clip(step, low, high))

    base = moved(target.base, served.base)

    def on_top(of_new: float, of_old: float) -> float:
        """The effect under which a level's total moves as far as it may."""
        return moved(target.base + of_new, served.base + of_old) - base

    effects = {}
    for name, new in target.effects.items():
        old = served.effects.get(name, _NOTHING)
        levels = {level: on_top(effect, old.of(level)) for level, effect in new.of_level.items()}
        effects[name] = Effects(levels, on_top(new.of_others, old.of_others))
    return replace(target, base=base, effects=effects)


def _effects_towards(old: Effects, new: Effects, room: float) -> Effects:
    return Effects(
        {level: _towards(old.of(level), effect, room) for level, effect in new.of_level.items()},
        _towards(old.of_others, new.of_others, room),
    )


def _curves_towards(
    old: dict[ColumnName, Curve], new: dict[ColumnName, Curve], room: float
) -> dict[ColumnName, Curve]:
    return {name: _curve_towards(old.get(name, _FLAT), curve, room) for name, curve in new.items()}


def _curve_towards(old: Curve, new: Curve, room: float) -> Curve:
    """The share of the way to the new curve that leaves no point farther than `room`."""
    knots = np.union1d(old.knots, new.knots)
    before = np.interp(knots, old.knots, old.values)
    move = np.interp(knots, new.knots, new.values) - before
    farthest = np.abs(move).max()
    if farthest <= room:
        return new
    values = before + room / farthest * move
    return Curve(tuple(knots.tolist()), tuple(values.tolist()))
