"""What a temperature by context gains, what it costs if there is nothing in it, and what rules do.

Rows are drawn without replacement from a set's calibration rows, the same for all that is
compared, and test rows are judged.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._contexts import (
    BY_BOTH,
    BY_FEATURES,
    BY_GROUP,
    Columns,
    ContextSet,
    adaptive,
    best_by_level,
    draws,
    of_rows,
    scalar_temperature,
    sizes_of,
    temperature_by_level,
    with_columns,
)
from benchmarks._report import print_table, rst_table

REPEATS = 10
SHUFFLES = 20

CONTEXT_SIZES = (60, 250)
SHUFFLE_SIZES = (30, 60, 120, 250, 500, 1000, 2000)
RULE_SIZES = (30, 60, 120, 250, 500, 1000, 2000)

NO_RULES = "none"
RULES = ("good", "x 1.6", "x 0.5", "permuted", "inverted")

CONTEXT_COLUMNS = [
    "set",
    "context",
    *(f"{size}: {what}" for size in ("60", "250", "all") for what in ("one T", "ours", "apart")),
    "in hindsight",
]

CONTEXT_TITLE = (
    "Held-out log loss by number of calibration rows: one T for all, AdaptiveTemperatureScaling "
    "(ours), and one T per group fitted apart"
)

_HEAD = ".. Made by python -m benchmarks.adaptive contexts --rst: edits are lost.\n\n"

_NOTE = f"""
Means of {REPEATS} draws of the calibration rows; *all* is all of them, once. *In hindsight* is one
T per group fitted to the test rows. Calibration rows know one of six groups of ``mnist_cnn_shift``
and two of four of ``charlm_stream_drift``: of the others nothing can be learned from them.
"""


def contexts(sets: list[ContextSet], path: Path | None = None) -> None:
    """Printed, and written for the user guide if there is a path."""
    rows = _context_rows(sets)
    print_table(f"contexts: {CONTEXT_TITLE}", CONTEXT_COLUMNS, rows)
    if path:
        path.write_text(_HEAD + rst_table(CONTEXT_TITLE, CONTEXT_COLUMNS, rows) + _NOTE)


def _context_rows(sets: list[ContextSet]) -> list[list[str]]:
    """One row for each set and context."""
    return [
        _context_row(data, columns)
        for data in sets
        for columns in (BY_GROUP, BY_FEATURES, BY_BOTH)
        if data.features.shape[1] or not columns.features
    ]


def _context_row(data: ContextSet, columns: Columns) -> list[str]:
    n_all = len(data.calibration)
    cells = [data.name, columns.name(data)]
    for n in (*CONTEXT_SIZES, n_all):
        if n > n_all:
            cells += ["-"] * 3
        else:
            repeats = REPEATS if n < n_all else 1
            losses = [
                _context_losses(data, columns, r) for _, r in draws(data.calibration, n, repeats)
            ]
            cells += [f"{loss:.4f}" for loss in np.mean(losses, axis=0)]
    hindsight = temperature_by_level(data, data.test, alpha=0)
    best = data.log_loss(data.test, of_rows(data, data.test, hindsight))
    return [*cells, f"{best:.4f}"]


def _context_losses(data: ContextSet, columns: Columns, rows: NDArray) -> tuple[float, ...]:
    apart = temperature_by_level(data, rows)
    X = with_columns(data, columns)
    temperatures = (
        scalar_temperature(data, rows),
        adaptive(data, columns).fit(X[rows], data.y[rows]).predict_temperature(X[data.test]),
        of_rows(data, data.test, apart),
    )
    return tuple(data.log_loss(data.test, t) for t in temperatures)


def shuffled(sets: list[ContextSet]) -> None:
    rows = []
    for data in sets:
        cells = {n: _cost_of_shuffled(data, n) for n in sizes_of(data.calibration, SHUFFLE_SIZES)}
        last = cells.pop(len(data.calibration))
        rows.append([data.name, *(cells.get(n, "-") for n in SHUFFLE_SIZES), last])
    print_table(
        f"shuffled: log loss of ours over that of one T, less 1, with shuffled groups; mean "
        f"(worst) of {SHUFFLES} draws",
        ["set", *map(str, SHUFFLE_SIZES), "all"],
        rows,
    )


def _cost_of_shuffled(data: ContextSet, n: int) -> str:
    costs = []
    for rng, rows in draws(data.calibration, n, SHUFFLES):
        mixed = data._replace(group=rng.permutation(data.group))
        X = with_columns(mixed)
        ours = adaptive(mixed).fit(X[rows], data.y[rows]).predict_temperature(X[data.test])
        one = data.log_loss(data.test, scalar_temperature(data, rows))
        costs.append(data.log_loss(data.test, ours) / one - 1)
    return f"{np.mean(costs):+.2%} ({np.max(costs):+.2%})"


def rules(sets: list[ContextSet]) -> None:
    """Sets whose calibration rows know one level learn nothing about the others: left out."""
    table: list[list[str]] = []
    ratios: dict[int, list[Ratio]] = {}
    for data in sets:
        if len(np.unique(data.group[data.calibration])) > 1:
            table += _rules_rows(data, ratios)
    print_table(
        f"rules: log loss of the rules alone; of data alone, of rules and data, and the latter "
        f"over the better of the two; means of {REPEATS} draws",
        ["set", "rules", "alone", *(f"n = {n}" for n in RULE_SIZES)],
        table,
    )
    print_table(
        "rules and data over the better of the two alone: mean over sets and rules, the same "
        "where the better is picked draw by draw, the worst; and the mean by rules",
        ["n", "mean", "by draw", "worst", *RULES],
        [[n, *_summed_up(of_n)] for n, of_n in sorted(ratios.items())],
    )


class Ratio(NamedTuple):
    """Log loss of rules and data over the better of the two alone, less 1."""

    rule: str
    of_means: float
    by_draw: float


def rules_of(best: NDArray) -> dict[str, NDArray]:
    """As good as rules can be, known but for a factor, and wrong."""
    log_best = np.log(best)
    inverted = np.exp(2 * log_best.mean() - log_best)
    return dict(
        zip(RULES, (best, 1.6 * best, 0.5 * best, np.roll(best, -1), inverted), strict=True)
    )


def as_prior(rule: NDArray) -> dict[int, float]:
    """For a column that holds the level's number."""
    return dict(enumerate(rule.tolist()))


def _rules_rows(data: ContextSet, ratios: dict[int, list[Ratio]]) -> list[list[str]]:
    """Of one set; what is summed up is added to `ratios`, by number of rows."""
    by_name = rules_of(best_by_level(data))
    alone = {
        name: data.log_loss(data.test, of_rows(data, data.test, rule))
        for name, rule in by_name.items()
    }
    rows = {name: [data.name, name, f"{loss:.4f}"] for name, loss in alone.items()}
    for n in RULE_SIZES:
        enough = n <= len(data.calibration)
        losses = _losses_with_rules(data, by_name, n) if enough else {}
        for name, row in rows.items():
            if not enough:
                row.append("-")
                continue
            without, both = losses[NO_RULES], losses[name]
            of_means = both.mean() / min(without.mean(), alone[name]) - 1
            by_draw = (both / np.minimum(without, alone[name])).mean() - 1
            ratios.setdefault(n, []).append(Ratio(name, of_means, by_draw))
            row.append(f"{without.mean():.4f} {both.mean():.4f} {of_means:+.1%}")
    return list(rows.values())


def _losses_with_rules(data: ContextSet, by_name: dict[str, NDArray], n: int) -> dict[str, NDArray]:
    """Log loss of each draw without rules and with each of them."""
    X = with_columns(data)
    models = {NO_RULES: adaptive(data)}
    models |= {name: adaptive(data, prior=as_prior(rule)) for name, rule in by_name.items()}
    losses: dict[str, list[float]] = {name: [] for name in models}
    for _, rows in draws(data.calibration, n, REPEATS):
        for name, model in models.items():
            served = model.fit(X[rows], data.y[rows]).predict_temperature(X[data.test])
            losses[name].append(data.log_loss(data.test, served))
    return {name: np.array(values) for name, values in losses.items()}


def _summed_up(of_n: list[Ratio]) -> Iterator[str]:
    yield f"{np.mean([ratio.of_means for ratio in of_n]):+.2%}"
    yield f"{np.mean([ratio.by_draw for ratio in of_n]):+.2%}"
    yield f"{max(ratio.of_means for ratio in of_n):+.2%}"
    for name in RULES:
        yield f"{np.mean([ratio.of_means for ratio in of_n if ratio.rule == name]):+.2%}"
