"""Reliability diagrams put together: in one pair of axes, or in a panel per group or class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from skcalib.display._drawing import new_axes
from skcalib.display._reliability_drawing import (
    counts_panel,
    curves_in,
    draw_counts,
    draw_curve,
    draw_diagonal,
    limit_of,
    set_limits,
)
from skcalib.display._reliability_labels import (
    axis_texts,
    error_text,
    label_axes,
    legend_entries,
    place_legend,
    shrink,
)
from skcalib.display._small_multiples import (
    is_last_of_row,
    largest_panels,
    left_out_text,
    panel_axes,
    panels_of,
)
from skcalib.metrics._reliability import ReliabilityCurve

# More curves than this cannot be told apart in one pair of axes, and their legend would hide some:
# it goes beside the axes of a new figure.
FEW_CURVES = 5
_N_TICKS, _N_TICKS_OF_PANEL = 6, 3


class Look(NamedTuple):
    """What is drawn, and how."""

    intervals: bool | str
    counts: bool
    line_properties: dict[str, Any]


class Drawn(NamedTuple):
    """What has been drawn."""

    axes: list[Any]
    lines: list[Any]
    feet: list[Any]  # panels of counts, or None
    left_out: list[str]  # names of panels not drawn, the largest first


def draw_together(
    curves: Sequence[ReliabilityCurve], ax: Any, name: str | None, look: Look
) -> Drawn:
    """All curves in one pair of axes, new ones if there are none."""
    beside: dict[str, Any] = {}
    if ax is None:
        crowded = len(curves) > FEW_CURVES
        if crowded:
            beside = {"loc": "upper left", "bbox_to_anchor": (1.14, 1)}
        ax = new_axes((7.2 if crowded else 5.5, 6))
    limit = limit_of(curves, ax)
    entries = [_entry(curve, name, error_text(curve)) for curve in curves]
    lines = _draw_lines(ax, curves, entries, look)
    foot = _draw_foot(ax, curves, lines, limit) if look.counts else None
    label_axes(ax)
    set_limits(ax, limit, _N_TICKS)
    place_legend(ax, **beside)
    return Drawn([ax], lines, [foot], [])


def draw_panels(
    curves: Sequence[ReliabilityCurve],
    groups: Sequence[Any] | None,
    name: str | None,
    max_panels: int,
    look: Look,
) -> Drawn:
    """A panel per group, or without groups per curve, in a new figure."""
    shown, left_out = largest_panels(panels_of(curves, groups), max_panels)
    axes, lines, feet = panel_axes(len(shown)), [], []
    limit = limit_of([curve for panel in shown for curve in panel.curves])
    for ax, panel in zip(axes, shown, strict=True):
        several = len(panel.curves) > 1
        entries = [_entry(curve, name) if several else name or "_" for curve in panel.curves]
        of_panel = _draw_lines(ax, panel.curves, entries, look)
        foot = _draw_foot(ax, panel.curves, of_panel, limit) if look.counts else None
        if foot is not None:
            foot.tick_params(labelsize="small")
            if not is_last_of_row(ax, axes):
                foot.set_ylabel("")
        ax.set_title(panel.title(), fontsize="small")
        set_limits(ax, limit, _N_TICKS_OF_PANEL)
        lines += of_panel
        feet.append(foot)
    _label_figure(axes, left_out_text(left_out, len(shown), axes[0].figure))
    return Drawn(axes, lines, feet, [panel.name for panel in left_out])


def _label_figure(axes: list[Any], notes: list[str]) -> None:
    """One label for all x-axes, one for all y-axes, and one legend above the panels."""
    figure = axes[0].figure
    x_text, y_text = axis_texts(curves_in(axes[0]))
    x_label = figure.supxlabel(x_text, fontsize="medium")
    shrink(x_label, width=figure.bbox.width)
    x_label.set_text("\n".join([x_text, *notes]))
    shrink(figure.supylabel(y_text, fontsize="medium"), height=figure.bbox.height)
    handles, entries = legend_entries(axes)
    style = {"loc": "outside upper center", "fontsize": "small", "frameon": False}
    n_columns = axes[0].get_subplotspec().get_gridspec().ncols
    figure.legend(handles, entries, ncols=min(len(handles), 2 * n_columns), **style)


def _draw_lines(
    ax: Any, curves: Sequence[ReliabilityCurve], entries: list[str], look: Look
) -> list[Any]:
    draw_diagonal(ax)
    return [
        draw_curve(ax, curve, entry, look.intervals, look.line_properties)
        for curve, entry in zip(curves, entries, strict=True)
    ]


def _draw_foot(ax: Any, curves: Sequence[ReliabilityCurve], lines: list[Any], limit: float) -> Any:
    foot = counts_panel(ax)
    for curve, line in zip(curves, lines, strict=True):
        draw_counts(foot, curve, line.get_color(), limit)
    return foot


def _entry(curve: ReliabilityCurve, name: str | None, error: str = "") -> str:
    """What the legend calls a curve: model, class and error, as far as there are any."""
    of_class = [str(curve.class_label)] if curve.kind == "class" else []
    title = ", ".join([name, *of_class] if name is not None else of_class)
    return f"{title} ({error})" if title and error else title or error
