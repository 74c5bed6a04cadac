"""What a reliability diagram is made of: lines, intervals, bands, counts, limits and labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._binning import bin_index
from skcalib.display._drawing import GREY, n_drawn, style_of
from skcalib.metrics._reliability import ReliabilityCurve

# The panel of counts takes this share of the axes' height, below the frequency 0.
_PANEL = 0.2
_PANEL_LABEL = "counts of a reliability diagram"
_DIAGONAL = "Perfectly calibrated"
_CURVE = "reliability curve"
_MARGIN = 0.02

_LINE_STYLES: list[Any] = ["-", (0, (6, 1)), "-.", ":", (0, (3, 1, 1, 1, 1, 1))]
# Bars of the histogram below an isotonic curve.
_N_BARS = 40
# Axes end at the first of these that is large enough, ...
_LIMITS = [1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001]
_ROUNDING = 1e-9
# ... whatever the frequency of an isotonic block with less than this share of the rows.
_FEW_ROWS = 0.01
# Where the points of no curve come near this corner (share of the axes), the legend does.
_LEGEND_CORNER = (0.5, 0.7)


def intervals_of(curve: ReliabilityCurve, intervals: bool | str) -> str | None:
    """Which intervals are drawn with a curve: "wilson", "consistency" or None; or raise."""
    isotonic = curve.strategy == "isotonic"
    if intervals is True:
        intervals = "consistency" if isotonic else "wilson"
    if intervals == "wilson" and isotonic:
        raise ValueError(
            "intervals='wilson' is not for strategy='isotonic', whose blocks the events chose. Use "
            "'consistency'."
        )
    if intervals == "consistency" and curve.band_lower is None:
        raise ValueError(
            "The curve has no consistency band, since n_resamples was 0. Pass intervals=False, or "
            "make it with n_resamples=1000."
        )
    return intervals or None


def draw_diagonal(ax: Any) -> None:
    """The diagonal, unless another display has drawn it."""
    if not any(line.get_label() == _DIAGONAL for line in ax.lines):
        ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label=_DIAGONAL)


def draw_curve(
    ax: Any, curve: ReliabilityCurve, label: str, intervals: bool | str, kwargs: dict[str, Any]
) -> Any:
    """The line of a curve with its intervals or its band, in the next look of the axes."""
    place = n_drawn(ax, _CURVE)
    style = style_of(place) | {"markersize": 5, "label": label, "gid": _CURVE}
    x, y = curve.mean_proba, curve.frequency
    if curve.strategy == "isotonic":
        # The recalibrated probabilities, joined: level in a block, straight from one to the next.
        # Markers would look like bins: the kind of line tells models apart in grey.
        x, y = curve.edges.ravel(), np.repeat(y, 2)
        style |= {"marker": "", "linestyle": _LINE_STYLES[place % len(_LINE_STYLES)]}
    line = ax.plot(x, y, **(style | kwargs))[0]
    drawn = intervals_of(curve, intervals)
    if drawn == "wilson":
        _draw_wilson_intervals(ax, curve, line.get_color())
    elif drawn == "consistency":
        _draw_band(ax, curve, line.get_color())
    return line


def _draw_wilson_intervals(ax: Any, curve: ReliabilityCurve, color: Any) -> None:
    ends = np.abs([curve.lower - curve.frequency, curve.upper - curve.frequency])
    style = {"fmt": "none", "ecolor": color, "elinewidth": 1, "capsize": 2, "alpha": 0.6}
    ax.errorbar(curve.mean_proba, curve.frequency, ends, **style)


def _draw_band(ax: Any, curve: ReliabilityCurve, color: Any) -> None:
    """A shade around the diagonal: level across a bin, straight between places."""
    x, ends = curve.band_proba, np.array([curve.band_lower, curve.band_upper])
    if curve.strategy != "isotonic":
        # Nothing is shaded over empty bins.
        x = np.column_stack([curve.edges, np.full(len(curve.edges), np.nan)]).ravel()
        ends = np.repeat(ends, 3, axis=1)
    shade = {"facecolor": color, "alpha": 0.15, "linewidth": 0, "zorder": 0.6}
    outline = {
        "facecolor": "none",
        "edgecolor": color,
        "alpha": 0.5,
        "linewidth": 0.6,
        "zorder": 0.7,
    }
    for style in (shade, outline):
        ax.fill_between(x, *ends, **style)


def counts_panel(ax: Any) -> Any:
    """The panel of counts at the foot of the axes: made once, then shared."""
    if not _panels(ax):
        panel = ax.inset_axes((0, 0, 1, _PANEL), sharex=ax, label=_PANEL_LABEL)
        panel.tick_params(axis="x", labelbottom=False, length=0)
        panel.yaxis.tick_right()
        panel.yaxis.set_label_position("right")
        panel.set_facecolor("none")
    return _panels(ax)[0]


def _panels(ax: Any) -> list[Any]:
    return [child for child in ax.child_axes if child.get_label() == _PANEL_LABEL]


def draw_counts(panel: Any, curve: ReliabilityCurve, color: Any, limit: float) -> None:
    """Rows in each bin, at its mean; of an isotonic curve a histogram up to the limit."""
    if curve.strategy == "isotonic":
        edges = np.linspace(0, limit, _N_BARS + 1)
        bar = bin_index(curve.band_proba[:, None], edges).ravel()
        rows = np.bincount(bar, curve.band_weight, _N_BARS)
        panel.stairs(rows, edges, fill=True, color=color, alpha=0.4)
        panel.stairs(rows, edges, color=color, linewidth=0.8)
    else:
        panel.vlines(curve.mean_proba, 0, curve.weight, colors=color, linewidth=4, alpha=0.6)
    panel.set_ylabel("Weight" if is_weighted(curve) else "Rows")
    highest = panel.dataLim.ymax
    panel.set_ylim(0, 1.1 * highest)
    panel.set_yticks([0, highest], ["0", count_text(highest)])


def is_weighted(curve: ReliabilityCurve) -> bool:
    """Whether rows have weights that are not all alike."""
    return not np.array_equal(curve.weight, curve.n_effective)


def count_text(count: float) -> str:
    """A number of rows or a weight, short."""
    return f"{count:,.0f}" if count >= 10 or count == int(count) else f"{count:.2g}"


def error_text(curve: ReliabilityCurve) -> str:
    """The number that sums a curve up."""
    if curve.miscalibration is not None:
        return f"MCB {curve.miscalibration:.2g}"
    return f"ECE {curve.calibration_error:.3f}"


def limit_of(curves: Sequence[ReliabilityCurve], ax: Any = None) -> float:
    """1, or a round number above all points of these curves and those in the axes before.

    A block of few rows may lie above, and its line leave the axes: chance decides its frequency.
    """
    highest = 0.0 if ax is None or not n_drawn(ax, _CURVE) else ax.get_xlim()[1] / (1 + _MARGIN)
    for curve in curves:
        proba, frequency = curve.mean_proba, curve.frequency
        if curve.strategy == "isotonic":
            proba = curve.edges
            frequency = frequency[curve.weight >= _FEW_ROWS * curve.weight.sum()]
        highest = max(highest, proba.max(), frequency.max(initial=0))
    return min(limit for limit in _LIMITS if highest <= limit * (1 + _ROUNDING))


def set_limits(ax: Any, limit: float, n_ticks: int) -> None:
    """Show 0 to the limit on either axis, and room for the panel of counts."""
    foot = _PANEL if _panels(ax) else 0
    margin = _MARGIN * limit
    ticks = np.linspace(0, limit, n_ticks)
    below = (limit + 2 * margin) * foot / (1 - foot)
    ax.set(
        xlim=(-margin, limit + margin),
        ylim=(-margin - below, limit + margin),
        xticks=ticks,
        yticks=ticks,
    )


def axis_texts(curve: ReliabilityCurve, intervals: bool | str) -> tuple[list[str], list[str]]:
    """What stands on the axes, and by which convention: lines of either label."""
    predicted, observed = {
        "confidence": ("confidence", "Share of correct predictions"),
        "class": ("predicted probability", "Frequency of the class"),
        "positive": (
            f"predicted probability of {curve.class_label}",
            f"Frequency of {curve.class_label}",
        ),
    }[curve.kind]
    if curve.strategy == "isotonic":
        x_texts = [predicted.capitalize(), "isotonic recalibration (CORP)"]
    else:
        width = "equal width" if curve.strategy == "uniform" else "equally many rows"
        x_texts = [f"Mean {predicted}", f"{curve.n_bins} bins (a, b] of {width}"]
    level = f"{100 * curve.confidence_level:g} %"
    interval_text = {
        "wilson": [f"{level} Wilson intervals"],
        "consistency": [f"shaded: {level} consistency band"],
        None: [],
    }[intervals_of(curve, intervals)]
    return x_texts, [observed, *interval_text]


def label_axes(ax: Any, x_texts: list[str], y_texts: list[str]) -> None:
    """Write both labels; the conventions of curves drawn before stay."""
    if n_drawn(ax, _CURVE) > 1:
        x_texts = _and_before(x_texts, ax.get_xlabel())
        y_texts = _and_before(y_texts, ax.get_ylabel())
    foot = _PANEL if _panels(ax) else 0
    ax.set_xlabel("\n".join(x_texts))
    ax.set_ylabel("\n".join(y_texts), y=(1 + foot) / 2)


def _and_before(texts: list[str], label: str) -> list[str]:
    return [texts[0], *dict.fromkeys([*label.split("\n")[1:], *texts[1:]])]


def place_legend(ax: Any, limit: float, **beside: Any) -> None:
    """A legend beside the axes, or in that corner of them which the curves leave free."""
    from matplotlib.transforms import Bbox

    style = {"framealpha": 0.8, "edgecolor": "none", "fontsize": "small"}
    where: dict[str, Any] = {"loc": "upper left"}
    width, bottom = (limit * share for share in _LEGEND_CORNER)
    corner = Bbox([[0, bottom], [width, limit]])
    across = Bbox([[limit - width, 0], [limit, limit - bottom]])
    curves = [line.get_path() for line in ax.lines if line.get_gid() == _CURVE]
    if any(path.intersects_bbox(corner, filled=False) for path in curves) and not any(
        path.intersects_bbox(across, filled=False) for path in curves
    ):
        where = {"loc": "lower right", "bbox_to_anchor": (1, _PANEL if _panels(ax) else 0)}
    ax.legend(**(style | where | beside))


def as_array(lines: list[Any]) -> NDArray:
    """Artists as an array of objects, which numpy would otherwise look into."""
    array = np.empty(len(lines), dtype=object)
    array[:] = lines
    return array
