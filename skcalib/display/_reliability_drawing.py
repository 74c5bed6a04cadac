"""What a reliability diagram is made of: lines, intervals, bands, counts and limits."""

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
# Of the panel's own height this share stands filled below the zero of every bin that holds a row:
# a bar of 1 row beside one of 1000 would be thinner than a pixel.
_BASE = 0.05
_PANEL_LABEL = "counts of a reliability diagram"
_DIAGONAL = "Perfectly calibrated"
_CURVE = "reliability curve"
_MARGIN = 0.02

# Bins of fewer (effective) rows are drawn hollow: their interval is wider than .5 in the middle.
FEW_ROWS = 10
FEW_ROWS_KEY = "key of few rows"
_FAINT = 0.3

_LINE_STYLES: list[Any] = ["-", (0, (6, 1)), "-.", ":", (0, (3, 1, 1, 1, 1, 1))]
# Bars of the histogram below an isotonic curve.
_N_BARS = 40
# Axes end at the first of these that is large enough, ...
_LIMITS = [1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001]
_ROUNDING = 1e-9
# ... whatever the frequency of an isotonic block with less than this share of the rows.
_SMALL_BLOCK = 0.01


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
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    place, drawn = n_drawn(ax, _CURVE), intervals_of(curve, intervals)
    style = style_of(place) | {"markersize": 5, "label": label, "gid": _CURVE}
    asked = normalize_kwargs(kwargs, Line2D)  # c and color are one
    if curve.strategy == "isotonic":
        # Markers would look like bins: the kind of line tells models apart in grey.
        style |= {"marker": "", "linestyle": _LINE_STYLES[place % len(_LINE_STYLES)]}
        line = _draw_blocks(ax, curve, style | asked)
    else:
        line = _draw_bins(ax, curve, style | asked)
    if drawn == "wilson":
        _draw_wilson_intervals(ax, curve, line.get_color())
    elif drawn == "consistency":
        is_first = all(other != "consistency" for _, other in curves_in(ax))
        _draw_band(ax, curve, line.get_color(), is_filled=is_first)
    line.drawn_curve = curve, drawn
    return line


def curves_in(ax: Any) -> list[tuple[ReliabilityCurve, str | None]]:
    """The curves drawn into the axes, by whichever display, and the intervals of each."""
    return [line.drawn_curve for line in ax.lines if hasattr(line, "drawn_curve")]


def _draw_blocks(ax: Any, curve: ReliabilityCurve, style: dict[str, Any]) -> Any:
    """The recalibrated probabilities, joined: level in a block, straight from one to the next."""
    return ax.plot(curve.edges.ravel(), np.repeat(curve.frequency, 2), **style)[0]


def _draw_bins(ax: Any, curve: ReliabilityCurve, style: dict[str, Any]) -> Any:
    """The bins, joined; those of few rows hollow, and the line to and from them faint."""
    from matplotlib.colors import to_rgba

    few = has_few_rows(curve)
    if not few.any():
        return ax.plot(curve.mean_proba, curve.frequency, **style)[0]
    line = ax.plot(curve.mean_proba, np.ma.masked_array(curve.frequency, few), **style)[0]
    color, alpha = line.get_color(), line.get_alpha()
    hollow = {
        "color": to_rgba(color, _FAINT),
        "markeredgecolor": to_rgba(color, alpha),
        "markerfacecolor": ax.get_facecolor(),
        "markevery": np.flatnonzero(few).tolist(),
        "label": "_",
        "gid": None,
        "alpha": None,
    }
    ax.plot(curve.mean_proba, curve.frequency, **(style | hollow))
    if not any(line.get_gid() == FEW_ROWS_KEY for line in ax.lines):
        _draw_key_of_few_rows(ax, "effective rows" if is_weighted(curve) else "rows")
    return line


def has_few_rows(curve: ReliabilityCurve) -> NDArray:
    """Which bins chance decides, (n_filled,)."""
    return curve.n_effective < FEW_ROWS * (1 - _ROUNDING)


def _draw_key_of_few_rows(ax: Any, rows: str) -> None:
    """An entry of the legend, and nothing in the axes."""
    style = {"linestyle": "none", "marker": "o", "markersize": 5, "color": GREY}
    hollow = {"markerfacecolor": ax.get_facecolor(), "gid": FEW_ROWS_KEY}
    ax.plot([], [], label=f"Fewer than {FEW_ROWS} {rows}", **style, **hollow)


def _draw_wilson_intervals(ax: Any, curve: ReliabilityCurve, color: Any) -> None:
    ends = np.abs([curve.lower - curve.frequency, curve.upper - curve.frequency])
    style = {"fmt": "none", "ecolor": color, "elinewidth": 1, "capsize": 2, "alpha": 0.6}
    ax.errorbar(curve.mean_proba, curve.frequency, ends, **style)


def _draw_band(ax: Any, curve: ReliabilityCurve, color: Any, *, is_filled: bool) -> None:
    """A band around the diagonal: level across a bin, straight between places.

    One alone is filled: shades upon shades cannot be told apart.
    """
    x, ends = curve.band_proba, np.array([curve.band_lower, curve.band_upper])
    if curve.strategy != "isotonic":
        # Nothing is shaded over empty bins.
        x = np.column_stack([curve.edges, np.full(len(curve.edges), np.nan)]).ravel()
        ends = np.repeat(ends, 3, axis=1)
    if is_filled:
        ax.fill_between(x, *ends, facecolor=color, alpha=0.15, linewidth=0, zorder=0.6)
    outline = {"facecolor": "none", "edgecolor": color, "alpha": 0.5, "zorder": 0.7}
    ax.fill_between(x, *ends, linewidth=0.6 if is_filled else 1, **outline)


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
        _draw_bases(panel, edges[:-1][rows > 0], edges[1:][rows > 0], color=color, alpha=0.4)
    else:
        bars = {"colors": color, "linewidth": 4, "alpha": 0.6}
        panel.vlines(curve.mean_proba, 0, curve.weight, **bars)
        _draw_bases(panel, curve.mean_proba, curve.mean_proba, **bars)
    panel.set_ylabel("Weight" if is_weighted(curve) else "Rows")
    highest = panel.dataLim.ymax
    panel.set_ylim(-1.1 * highest * _BASE / (1 - _BASE), 1.1 * highest)
    panel.set_yticks([0, highest], ["0", count_text(highest)])


def _draw_bases(panel: Any, left: NDArray, right: NDArray, **style: Any) -> None:
    """What stands below the zero of bars between these places, or on them if they are one."""
    from matplotlib.collections import LineCollection, PolyCollection

    across = panel.get_xaxis_transform()  # heights in shares of the panel
    bottom, top = np.zeros_like(left), np.full_like(left, _BASE)
    if left is right:
        ends = np.stack([np.column_stack([left, bottom]), np.column_stack([left, top])], axis=1)
        bases: Any = LineCollection(list(ends), transform=across, **style)
    else:
        corners = [(left, bottom), (left, top), (right, top), (right, bottom)]
        boxes = np.stack([np.column_stack(corner) for corner in corners], axis=1)
        bases = PolyCollection(list(boxes), transform=across, linewidth=0, **style)
    panel.add_collection(bases, autolim=False)


def is_weighted(curve: ReliabilityCurve) -> bool:
    """Whether rows have weights that are not all alike."""
    return not np.array_equal(curve.weight, curve.n_effective)


def count_text(count: float) -> str:
    """A number of rows or a weight, short."""
    return f"{count:,.0f}" if count >= 10 or count == int(count) else f"{count:.2g}"


def foot_of(ax: Any) -> float:
    """Share of the axes' height that the panel of counts takes."""
    return _PANEL if _panels(ax) else 0


def limit_of(curves: Sequence[ReliabilityCurve], ax: Any = None) -> float:
    """1, or a round number above all points of these curves and those in the axes before.

    A block of few rows may lie above, and its line leave the axes: chance decides its frequency.
    """
    highest = 0.0 if ax is None or not n_drawn(ax, _CURVE) else ax.get_xlim()[1] / (1 + _MARGIN)
    for curve in curves:
        proba, frequency = curve.mean_proba, curve.frequency
        if curve.strategy == "isotonic":
            proba = curve.edges
            frequency = frequency[curve.weight >= _SMALL_BLOCK * curve.weight.sum()]
        highest = max(highest, proba.max(), frequency.max(initial=0))
    return min(limit for limit in _LIMITS if highest <= limit * (1 + _ROUNDING))


def set_limits(ax: Any, limit: float, n_ticks: int) -> None:
    """Show 0 to the limit on either axis, and room for the panel of counts."""
    foot = foot_of(ax)
    margin = _MARGIN * limit
    ticks = np.linspace(0, limit, n_ticks)
    below = (limit + 2 * margin) * foot / (1 - foot)
    ax.set(
        xlim=(-margin, limit + margin),
        ylim=(-margin - below, limit + margin),
        xticks=ticks,
        yticks=ticks,
    )


def as_array(lines: list[Any]) -> NDArray:
    """Artists as an array of objects, which numpy would otherwise look into."""
    array = np.empty(len(lines), dtype=object)
    array[:] = lines
    return array
