"""What is written beside a reliability diagram: labels of the axes, and a legend."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from skcalib.display._reliability_drawing import FEW_ROWS_KEY, curves_in, foot_of
from skcalib.metrics._reliability import ReliabilityCurve

# Text that is too long becomes smaller; a second line may fall off the figure.
_SMALLER = ["small", "x-small"]
# The legend keeps so many points away from what is drawn: half a marker, and what the layout of
# the figure moves later.
_LEGEND_MARGIN = 8
# What stands below or above the axes may be wider than they are: labels stand at either side.
_WIDER = 1.1
_SPACE = "space of a legend"
_POINTS_PER_INCH = 72


def error_text(curve: ReliabilityCurve) -> str:
    """The number that sums a curve up."""
    if curve.miscalibration is not None:
        return f"miscalibration {curve.miscalibration:.2g}"
    return f"ECE {curve.calibration_error:.3f}"


def axis_texts(drawn: Sequence[tuple[ReliabilityCurve, str | None]]) -> tuple[str, str]:
    """What stands on either axis, and by which conventions: of curves and their intervals."""
    curve = drawn[-1][0]
    binned = [curve for curve, _ in drawn if curve.strategy != "isotonic"]
    return _predicted_text(curve, binned), "\n".join(
        [_observed_text(curve, len(binned), len(drawn)), *_interval_texts(drawn)]
    )


def _predicted_text(curve: ReliabilityCurve, binned: Sequence[ReliabilityCurve]) -> str:
    predicted = "Confidence" if curve.kind == "confidence" else "Predicted probability"
    of_class = f" of {curve.class_label}" if curve.kind == "positive" else ""
    if not binned:
        return predicted + of_class
    if of_class:
        predicted = "probability"  # with both the line would be too long
    bins = "; ".join(dict.fromkeys(_bins_text(curve) for curve in binned))
    return f"Mean {predicted.lower()}{of_class}, {bins}"


def _bins_text(curve: ReliabilityCurve) -> str:
    width = "equal width" if curve.strategy == "uniform" else "equally many rows"
    return f"{curve.n_bins} bins (a, b] of {width}"


def _observed_text(curve: ReliabilityCurve, n_binned: int, n_curves: int) -> str:
    observed = {
        "confidence": "Share of correct predictions",
        "class": "Frequency of the class",
        "positive": f"Frequency of {curve.class_label}",
    }[curve.kind]
    if n_binned == n_curves:
        return observed
    return f"{observed}, {'in bins or ' if n_binned else ''}isotonic fit (CORP)"


def _interval_texts(drawn: Sequence[tuple[ReliabilityCurve, str | None]]) -> list[str]:
    """One line, or none."""
    bands = [curve for curve, intervals in drawn if intervals == "consistency"]
    shown, s = ("shaded, outlined", "s") if len(bands) > 1 else ("shaded", "")
    texts = []
    for curve, intervals in drawn:
        level = f"{100 * curve.confidence_level:g} %"
        if intervals == "wilson":
            texts.append(f"{level} Wilson intervals")
        elif intervals == "consistency":
            texts.append(f"{shown}: {level} band{s} if calibrated")
    return ["; ".join(dict.fromkeys(texts))] if texts else []


def label_axes(ax: Any) -> None:
    """Write both labels, with the conventions of all curves in the axes."""
    x_text, y_text = axis_texts(curves_in(ax))
    box = ax.get_window_extent()
    shrink(ax.set_xlabel(x_text), width=_WIDER * box.width)
    shrink(ax.set_ylabel(y_text, y=(1 + foot_of(ax)) / 2), height=box.height)


def shrink(text: Any, **room: float) -> None:
    """Make a text smaller if its width or height, in pixels, is more than there is room for."""
    for size in _SMALLER:
        extent = text.get_window_extent()
        if all(getattr(extent, side) <= pixels for side, pixels in room.items()):
            return
        text.set_fontsize(size)


def legend_entries(axes: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """Artists and texts of a legend for several axes, each text once, the key of few rows last."""
    entries: dict[str, Any] = {}
    for ax in axes:
        for handle, text in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(text, handle)
    texts = sorted(entries, key=lambda text: entries[text].get_gid() == FEW_ROWS_KEY)
    return [entries[text] for text in texts], texts


def place_legend(ax: Any, **beside: Any) -> None:
    """A legend beside the axes, or in a corner of them that is free, or else above them."""
    for child in ax.child_axes[:]:
        if child.get_label() == _SPACE:
            child.remove()
    entries = legend_entries([ax])
    style = {"framealpha": 0.8, "edgecolor": "none", "fontsize": "small"}
    if beside:
        ax.legend(*entries, **(style | beside))
        return
    at_bottom = {"loc": "lower right", "bbox_to_anchor": (1, foot_of(ax))}
    for where in ({"loc": "upper left"}, at_bottom):
        if not _hides_something(ax.legend(*entries, **style, **where), ax):
            return
    _place_legend_above(ax, entries, style)


def _place_legend_above(
    ax: Any, entries: tuple[list[Any], list[str]], style: dict[str, Any]
) -> None:
    """A legend above the axes, in as few rows as there is room for."""
    box, top = ax.get_window_extent(), ax.get_figure().bbox.y1
    where = {"loc": "lower center", "bbox_to_anchor": (0.5, 1), "borderaxespad": 0.2}
    for size, n_columns in product(_SMALLER, range(len(entries[0]), 0, -1)):
        legend = ax.legend(*entries, ncols=n_columns, **(style | where | {"fontsize": size}))
        extent = legend.get_window_extent()
        if extent.width <= _WIDER * box.width and extent.y1 <= top:
            break
    # A title keeps above other axes inside these, not above a legend.
    space = ax.inset_axes((0, 1, 1, (extent.y1 - box.y1) / box.height), label=_SPACE)
    space.set_axis_off()
    space.set_navigate(False)


def _hides_something(legend: Any, ax: Any) -> bool:
    """Whether lines, intervals or bands come near a legend."""
    margin = _LEGEND_MARGIN / _POINTS_PER_INCH * legend.get_figure().dpi
    box = legend.get_window_extent().padded(margin)
    for line in ax.lines:
        path = line.get_transform().transform_path(line.get_path())
        joined = line.get_linestyle() not in ("None", "none", " ", "")
        inside = (path.vertices > box.min) & (path.vertices < box.max)
        if inside.all(axis=1).any() or (joined and path.intersects_bbox(box, filled=False)):
            return True
    return any(
        path.transformed(drawn.get_transform()).intersects_bbox(box, filled=True)
        for drawn in ax.collections
        for path in drawn.get_paths()
    )
