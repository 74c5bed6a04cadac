"""The tables and the figure of the user guide, written from the draws of `benchmarks.quality`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks._draws import Pair, Results
from benchmarks._learning_curves import CURVE_SIZES, curve_sets, draw_learning_curves
from benchmarks._methods import BASELINE
from benchmarks._report import rst_table
from benchmarks._summary import (
    CLIP_NOTE,
    LOSS,
    compare,
    harm_cell,
    of_pairs,
    pairs_by_band,
    pairs_by_size,
    ratio_cell,
    seconds_cell,
    shift_table,
)

_BEST = "skcalib: structured"

# All find the same maximum as scikit-learn's bare temperature, which stands for them.
_REPEATED = (
    "skcalib: temperature, alpha=0",
    "probmetrics: temp-scaling",
    "netcal: temperature",
)

_HEAD = ".. Made by python -m benchmarks.quality: edits are lost.\n\n"

_FIGURE = """.. figure:: learning_curves.svg
   :alt: Log loss over the uncalibrated model's falls with the number of calibration rows.

   Log loss against the number of calibration rows, geometric mean over the {} sets that have
   {} or more: {}.

"""


def write_documents(results: Results, sizes: Sequence[str], without: str, folder: Path) -> None:
    """`_quality.inc`, `_shift.inc` and `learning_curves.svg`."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [_by_size(results, sizes)]
    if all(results.pairs(str(n)) for n in CURVE_SIZES):
        draw_learning_curves(results, folder / "learning_curves.svg")
        names = curve_sets(results)
        parts.append(_FIGURE.format(len(names), CURVE_SIZES[-1], ", ".join(sorted(names))))
    for band, pairs in pairs_by_band(results, sizes).items():
        parts.append(_of_band(results, band, pairs, without))
    (folder / "_quality.inc").write_text(_HEAD + "\n".join(parts) + "\n" + _conditions(results))
    (folder / "_shift.inc").write_text(_HEAD + "\n".join(_by_shift(results)))


def _methods(results: Results) -> list[str]:
    return [name for name in results.methods() if name not in _REPEATED]


def _by_size(results: Results, sizes: Sequence[str]) -> str:
    columns = pairs_by_size(results, sizes)
    rows = [
        [
            m,
            *(
                ratio_cell(compare(results, m, BASELINE, pairs), pairs)
                for pairs in columns.values()
            ),
        ]
        for m in _methods(results)
        if m != BASELINE
    ]
    title = f"{LOSS} over that of the {BASELINE} model, geometric mean over sets"
    return rst_table(title, ["", *columns], rows)


def _of_band(results: Results, band: str, pairs: list[Pair], without: str) -> str:
    columns = [
        "",
        "mean",
        f"without {without}",
        "median",
        "worst",
        "harmed",
        "structured over it; wins",
        "CPU s",
    ]
    rows = [
        [m, *_band_cells(results, m, pairs, without)]
        for m in _methods(results)
        if compare(results, m, BASELINE, pairs).pairs
    ]
    return rst_table(f"{band}, {len(pairs)} pairs of a set and a size", columns, rows)


def _band_cells(results: Results, name: str, pairs: list[Pair], without: str) -> list[str]:
    base = compare(results, name, BASELINE, pairs)
    rest = base.without(without)
    best = compare(results, _BEST, name, pairs)
    return [
        ratio_cell(base, pairs),
        f"{rest.geometric_mean:.3f}" if rest.pairs else "-",
        f"{np.median(base.ratios):.3f}",
        base.worst,
        harm_cell(results, name, pairs),
        "" if name == _BEST else f"{best.geometric_mean:.3f}; {best.wins} of {len(best.pairs)}",
        seconds_cell(results, name, pairs).removesuffix(of_pairs(len(base.pairs), pairs)),
    ]


def _conditions(results: Results) -> str:
    draws = max(draw["repeat"] for draw in results.draws) + 1
    return (
        f"Means of {draws} draws of the calibration rows; *all* is all of them, once. Ratios are "
        "to the uncalibrated model's log loss; *harmed* are pairs where it is exceeded by more "
        "than 1 % and .01 nats, with the largest excess in nats. Numbers in brackets are pairs "
        "where a method did not fail, if not all: their means are of other pairs than those of the "
        "rest, and only *structured over it* compares like with like. Its wins are pairs where "
        f"structured scaling has the lower log loss. {CLIP_NOTE.capitalize()}. CPU seconds are of "
        f"one fit, one thread. The sets: {', '.join(results.sets)}. "
        f"{'; '.join(results.conditions)}.\n"
    )


def _by_shift(results: Results) -> list[str]:
    tables = []
    for name in results.sets:
        if results.parts(name):
            for pair in (*results.pairs("all"), *results.pairs("100")):
                if pair.data_set == name:
                    tables += [_shifted(results, pair, key) for key in (LOSS, "ECE15")]
    return tables


def _shifted(results: Results, pair: Pair, key: str) -> str:
    columns, rows = shift_table(results, pair, key)
    title = f"{pair.data_set}: {key} by degree of shift, fitted on {pair.n} rows of degree 0"
    return rst_table(title, columns, [row for row in rows if row[0] not in _REPEATED])
