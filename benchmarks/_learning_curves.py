"""Log loss against the number of calibration rows, drawn."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from benchmarks._draws import Pair, Results
from benchmarks._methods import BASELINE
from benchmarks._summary import compare

CURVE_SIZES = (20, 50, 100, 200, 500, 1000)

# Sets with fewer calibration rows are not in the figure: each point is of the same sets.
LEAST_ROWS = 1000

# Okabe and Ito's colours, told apart by colour-blind readers; yellow is too light for a line.
_BLUE, _ORANGE, _GREEN, _PURPLE, _SKY, _AMBER = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
)
_GREY = "#777777"

# Methods that do about the same thing have one colour, left and right. Isotonic and sigmoid are
# above the panel, but for their last points.
_PANELS = {
    "skcalib": {
        "skcalib: structured": ("structured", _ORANGE),
        "skcalib: structured, order kept": ("structured, order kept", _AMBER),
        "skcalib: matrix": ("matrix", _GREEN),
        "skcalib: vector": ("vector", _SKY),
        "skcalib: ensemble temperature": ("ensemble temperature", _PURPLE),
        "skcalib: temperature": ("temperature", _BLUE),
        "skcalib: sigmoid": ("sigmoid", _GREY),
        "skcalib: isotonic": ("isotonic", _GREY),
    },
    "others": {
        "skcalib: structured": ("skcalib: structured", _ORANGE),
        "probmetrics: SMS": ("probmetrics SMS", _GREEN),
        "probmetrics: SVS": ("probmetrics SVS", _SKY),
        "probmetrics: ETS": ("probmetrics ETS", _PURPLE),
        "probmetrics: ts-mix": ("probmetrics ts-mix", _BLUE),
        "scikit-learn: temperature, bare": ("scikit-learn temperature", _GREY),
    },
}

_RANGE = 0.45, 1.3  # of the ratio; what is worse leaves the panel
_LABEL_SPACING = 0.036  # between labels, in units of the ratio


def curve_sets(results: Results) -> list[str]:
    """Sets that the figure is of."""
    return [name for name, counts in results.sets.items() if counts["calibration"] >= LEAST_ROWS]


def draw_learning_curves(results: Results, path: Path) -> None:
    """Geometric means over sets of log loss over the uncalibrated model's."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    look = {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.hashsalt": "learning curves",  # the same numbers make the same file
    }
    with mpl.rc_context(look):
        figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), sharey=True, layout="constrained")
        for ax, (title, methods) in zip(axes, _PANELS.items(), strict=True):
            _prepare(ax, title)
            _draw_curves(ax, results, methods)
        axes[0].set_ylabel("log loss, uncalibrated = 1")
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def _prepare(ax: Any, title: str) -> None:
    ax.set(title=title, xlabel="calibration rows", xscale="log", ylim=_RANGE)
    ax.set_xlim(CURVE_SIZES[0] * 0.9, CURVE_SIZES[-1] * 9)  # room for the names
    ax.set_xticks(CURVE_SIZES, [str(n) for n in CURVE_SIZES])
    ax.minorticks_off()
    ax.spines["bottom"].set_bounds(CURVE_SIZES[0], CURVE_SIZES[-1])
    ax.plot([CURVE_SIZES[0], CURVE_SIZES[-1]], [1, 1], color="black", lw=0.8, ls=":")


def _draw_curves(ax: Any, results: Results, methods: dict[str, tuple[str, str]]) -> None:
    ends, names, colours = [], [], []
    for method, (name, colour) in methods.items():
        curve = _curve(results, method)
        if curve is None:
            continue
        front = method == "skcalib: structured"
        ax.plot(CURVE_SIZES, curve, color=colour, lw=2.4 if front else 1.4, zorder=2 + front)
        ends.append(curve[-1])
        names.append(name)
        colours.append(colour)
    if names:
        _label(ax, np.array(ends), names, colours)


def _curve(results: Results, method: str) -> NDArray | None:
    """One number for each size; None if the method has not all of them on all sets."""
    comparisons = [
        compare(results, method, BASELINE, [Pair(name, n) for name in curve_sets(results)])
        for n in CURVE_SIZES
    ]
    if any(len(c.pairs) < len(curve_sets(results)) for c in comparisons):
        return None
    return np.array([c.geometric_mean for c in comparisons])


def _label(ax: Any, ends: NDArray, names: list[str], colours: list[str]) -> None:
    """Names at the ends of their curves, moved apart where they would overlap."""
    x = CURVE_SIZES[-1]
    ends = np.minimum(ends, _RANGE[1])
    for i, height in zip(np.argsort(ends), _apart(np.sort(ends)), strict=True):
        ax.plot([x, 1.25 * x], [ends[i], height], color=colours[i], lw=0.6, clip_on=False)
        ax.text(1.3 * x, height, names[i], color=colours[i], va="center")


def _apart(heights: NDArray) -> NDArray:
    """Ascending heights with enough space between them, moved as little as that takes."""
    steps = _LABEL_SPACING * np.arange(len(heights))
    return isotonic_regression(heights - steps).x + steps
