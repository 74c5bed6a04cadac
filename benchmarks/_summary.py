"""What the draws of `benchmarks.quality` say together: ratios, wins, worst cases, costs."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._draws import SECONDS, Pair, Results
from benchmarks._methods import BASELINE
from benchmarks._report import print_table
from benchmarks._score_sets import METRICS, SMALLEST

LOSS = "log loss"

# Others that ours are compared with, pair by pair. Bare temperature scaling does not fail.
REFERENCES = (
    BASELINE,
    "scikit-learn: temperature, bare",
    "probmetrics: ts-mix",
    "probmetrics: SVS",
    "probmetrics: SMS",
    "probmetrics: ETS",
)

# Ours that are compared with them.
COMPARED = (
    "skcalib: structured",
    "skcalib: structured, order kept",
    "skcalib: matrix",
    "skcalib: vector",
    "skcalib: ensemble temperature",
    "skcalib: temperature",
)

# Numbers of rows that are summed up together.
BANDS: dict[str, Callable[[int], bool]] = {
    "n >= 500": lambda n: n >= 500,
    "n <= 100": lambda n: n <= 100,
}

# Harm is an excess of log loss over the uncalibrated one by more than both: a share, and nats.
_HARM_SHARE, _HARM_NATS = 0.01, 0.01

CLIP_NOTE = f"probabilities below {SMALLEST:.1e} count as that"


class Comparison(NamedTuple):
    """A method's log loss over another's, over the pairs where both have a number."""

    ratios: NDArray
    pairs: list[Pair]

    @property
    def geometric_mean(self) -> float:
        return float(np.exp(np.log(self.ratios).mean()))

    @property
    def wins(self) -> int:
        return int((self.ratios < 1).sum())

    @property
    def worst(self) -> str:
        pair = self.pairs[int(self.ratios.argmax())]
        return f"{self.ratios.max():.3f} ({pair.data_set}, {pair.n})"

    def without(self, data_set: str) -> "Comparison":
        kept = [i for i, pair in enumerate(self.pairs) if pair.data_set != data_set]
        return Comparison(self.ratios[kept], [self.pairs[i] for i in kept])


def compare(results: Results, name: str, reference: str, pairs: list[Pair]) -> Comparison:
    values, usable = values_of(results, (name, reference), pairs, LOSS)
    return Comparison(values[:, 0] / values[:, 1], usable)


def values_of(
    results: Results, names: Sequence[str], pairs: list[Pair], key: str
) -> tuple[NDArray, list[Pair]]:
    """Array (n_pairs, n_names) of the pairs where all of them have a number."""
    rows, usable = [], []
    for pair in pairs:
        cells = [results.cell(pair, name) for name in names]
        if all(isinstance(cell, dict) for cell in cells):
            rows.append([cell[key] for cell in cells])  # type: ignore[index]
            usable.append(pair)
    return np.array(rows).reshape(-1, len(names)), usable


def of_pairs(n_usable: int, pairs: list[Pair]) -> str:
    """The number of pairs a figure is of, where it is not of all."""
    return "" if n_usable == len(pairs) else f" ({n_usable} of {len(pairs)})"


def ratio_cell(comparison: Comparison, pairs: list[Pair]) -> str:
    few = of_pairs(len(comparison.pairs), pairs)
    return f"{comparison.geometric_mean:.3f}{few}" if comparison.pairs else "-"


def pairs_by_size(results: Results, sizes: Sequence[str]) -> dict[str, list[Pair]]:
    """Pairs of every size, with the heading of their column."""
    columns = {}
    for size in sizes:
        pairs = results.pairs(size)
        few = of_pairs(len(pairs), pairs if size == "all" else results.pairs("all"))
        columns[f"n = {size}{few.replace(')', ' sets)')}"] = pairs
    return columns


def pairs_by_band(results: Results, sizes: Sequence[str]) -> dict[str, list[Pair]]:
    pairs = results.pairs_of(sizes)
    bands = {band: [pair for pair in pairs if holds(pair.n)] for band, holds in BANDS.items()}
    return {band: pairs for band, pairs in bands.items() if pairs}


def print_set(results: Results, name: str, sizes: Sequence[str]) -> None:
    """Means over draws, and the same by degree of shift."""
    counts = results.sets[name]
    rows = f"{counts['calibration']} calibration and {counts['test']} test rows"
    print(f"\n## {name}: {counts['classes']} classes, {rows}")
    pairs = {size: [p for p in results.pairs(size) if p.data_set == name] for size in sizes}
    pairs = {f"n = {size}": found for size, found in pairs.items() if found}
    for key in (*METRICS, SECONDS):
        print_table(
            key if key != LOSS else f"{LOSS} ({CLIP_NOTE})",
            ["", *pairs],
            [
                [m, *(_text(results, pair, m, key) for (pair,) in pairs.values())]
                for m in results.methods()
            ],
        )
    for heading, (pair,) in pairs.items():
        for key in (LOSS, "ECE15"):
            if results.parts(name):
                print_table(
                    f"{heading}: {key} by degree of shift", *shift_table(results, pair, key)
                )


def shift_table(results: Results, pair: Pair, key: str) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: a metric of every method by degree of shift."""
    parts = results.parts(pair.data_set)
    rows = [
        [m, *(_text(results, pair, m, key, part) for part in parts)]
        for m in results.methods()
        if isinstance(results.cell(pair, m), dict)
    ]
    return ["", *parts], rows


def _text(results: Results, pair: Pair, method: str, key: str, part: str = "") -> str:
    cell = results.cell(pair, method, part)
    return cell if isinstance(cell, str) else f"{cell[key]:.4f}"


def print_summary(results: Results, sizes: Sequence[str], without: str) -> None:
    """What the sets say together, of those that have so many rows."""
    print(f"\n## {len(results.sets)} sets together")
    by_size = pairs_by_size(results, sizes)
    groups = {**pairs_by_band(results, sizes), **by_size}
    _print_by(results, f"{LOSS} over that of {BASELINE}, geometric mean", by_size, ratio_cell)
    if without in results.sets:
        _print_by(
            results,
            f"the same without {without}",
            by_size,
            lambda comparison, pairs: ratio_cell(
                comparison.without(without), [pair for pair in pairs if pair.data_set != without]
            ),
        )
    _print_by(results, f"the same, median of all; worst ({CLIP_NOTE})", by_size, _median_and_worst)
    _print_harm(results, by_size)
    _print_change(results, by_size)
    _print_seconds(results, by_size)
    for name in COMPARED:
        if name in results.methods():
            _print_against(results, name, groups, without)


def _print_by(
    results: Results,
    title: str,
    columns: dict[str, list[Pair]],
    cell: Callable[[Comparison, list[Pair]], str],
) -> None:
    """A summary of every method against the uncalibrated model."""
    rows = [
        [
            name,
            *(cell(compare(results, name, BASELINE, pairs), pairs) for pairs in columns.values()),
        ]
        for name in results.methods()
    ]
    print_table(title, ["", *columns], rows)


def _median_and_worst(comparison: Comparison, pairs: list[Pair]) -> str:
    if not comparison.pairs:
        return "-"
    return f"{np.median(comparison.ratios):.3f}; {comparison.worst}"


def _print_harm(results: Results, columns: dict[str, list[Pair]]) -> None:
    title = (
        f"sets where {LOSS} is above that of {BASELINE} by more than {_HARM_SHARE:.0%} and "
        f"{_HARM_NATS} nats; the most, in nats"
    )
    rows = [
        [name, *(harm_cell(results, name, pairs) for pairs in columns.values())]
        for name in results.methods()
    ]
    print_table(title, ["", *columns], rows)


def harm_cell(results: Results, name: str, pairs: list[Pair]) -> str:
    values, usable = values_of(results, (name, BASELINE), pairs, LOSS)
    if not usable:
        return "-"
    excess = values[:, 0] - values[:, 1]
    harmed = excess > np.maximum(_HARM_SHARE * values[:, 1], _HARM_NATS)
    worst = f"; {excess.max():.3f}" if harmed.any() else ""
    return f"{harmed.sum()} of {len(usable)}{worst}"


def _print_change(results: Results, columns: dict[str, list[Pair]]) -> None:
    rows = [
        [name, *(_change_cell(results, name, pairs) for pairs in columns.values())]
        for name in results.methods()
    ]
    print_table(f"accuracy less that of {BASELINE}, points, mean", ["", *columns], rows)


def _change_cell(results: Results, name: str, pairs: list[Pair]) -> str:
    values, usable = values_of(results, (name, BASELINE), pairs, "accuracy")
    few = of_pairs(len(usable), pairs)
    return f"{100 * (values[:, 0] - values[:, 1]).mean():+.2f}{few}" if usable else "-"


def _print_seconds(results: Results, columns: dict[str, list[Pair]]) -> None:
    rows = [
        [name, *(seconds_cell(results, name, pairs) for pairs in columns.values())]
        for name in results.methods()
    ]
    print_table("CPU seconds of a fit, mean over sets", ["", *columns], rows)
    all_rows = results.pairs("all")
    rows = [[m, *(seconds_cell(results, m, [p]) for p in all_rows)] for m in results.methods()]
    print_table("CPU seconds of a fit on all rows", ["", *(p.data_set for p in all_rows)], rows)


def seconds_cell(results: Results, name: str, pairs: list[Pair]) -> str:
    values, usable = values_of(results, (name,), pairs, SECONDS)
    return f"{values.mean():.3f}{of_pairs(len(usable), pairs)}" if usable else "-"


def _print_against(
    results: Results, name: str, groups: dict[str, list[Pair]], without: str
) -> None:
    """One of ours against each of the others, pair by pair."""
    columns = ["against", "pairs", "geometric mean", f"without {without}", "median", "wins"]
    rows = []
    for reference in REFERENCES:
        for group, pairs in groups.items():
            comparison = compare(results, name, reference, pairs)
            if comparison.pairs:
                rows.append([reference, group, *_comparison_cells(comparison, without)])
    columns = ["against", "", "mean", f"without {without}", "median", "wins", "worst"]
    print_table(f"{LOSS} of {name} over that of others", columns, rows)


def _comparison_cells(comparison: Comparison, without: str) -> list[str]:
    rest = comparison.without(without)
    return [
        f"{comparison.geometric_mean:.3f}",
        f"{rest.geometric_mean:.3f}" if rest.pairs else "-",
        f"{np.median(comparison.ratios):.3f}",
        f"{comparison.wins} of {len(comparison.pairs)}",
        comparison.worst,
    ]
