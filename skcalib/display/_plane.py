"""The plane of miscalibration and discrimination: points, lines of equal score, labels."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib.display._drawing import GREY, n_drawn, style_of
from skcalib.display._placing import box, places_of
from skcalib.metrics._decomposition import ScoreDecomposition

_POINT = "model in the plane of miscalibration and discrimination"
_LABEL = "its name and score"
_ISOLINE = "line of equal score"

# About as many lines of equal score as can be told apart, and labelled, in a small figure.
_ISOLINES = 8

# The view ends this share of the models' spread, or of their largest part, beyond them.
_BEYOND_SPREAD = 0.25
_BEYOND_LARGEST = 0.15
_BELOW_ZERO = 0.03
# Of a single model, or of equal ones.
_BEYOND_ONE = 0.6
# The view starts at 0 unless all models would stand beyond this share of it.
_FAR_FROM_ZERO_X, _FAR_FROM_ZERO_Y = 0.75, 0.5

# A marker whose middle is in an earlier one's goes around it, hollow and so many points larger.
_SIZE, _LARGER = 8, 6

# Uncertainties that differ by a larger share are not those of the same rows.
_SAME = 1e-6

# Labels stay this far, in points, from the edge of the view.
_EDGE = 4

# Longer names, and lines below the axis, are broken.
_NAME_WIDTH, _LINE_WIDTH = 24, 52

_SCORES = {"brier": "Brier score", "log_loss": "log loss"}
_METHODS = {
    "corp": "isotonic recalibration (CORP)",
    "calibrator": "recalibration of held-out rows",
    "murphy": "bins; lines leave out within-bin terms",
}
_KINDS = {"confidence": " of the confidence", "positive": " of the positive class"}
_SUM = {
    "brier": ", summed over classes",
    "log_loss": ", summed over classes, each against the rest",
}


def points_in(ax: Any) -> list[Any]:
    return [line for line in ax.lines if line.get_gid() == _POINT]


def refuse_what_cannot_be_compared(
    drawn: Sequence[ScoreDecomposition], models: Sequence[tuple[str | None, ScoreDecomposition]]
) -> None:
    """Raise unless every model has a place in one plane, before there is a figure."""
    if not models:
        raise ValueError("There is no model to draw: the dict is empty.")
    for name, parts in models:
        if not math.isfinite(parts.score):
            of_name = "" if name is None else f" of {name!r}"
            raise ValueError(
                f"The score{of_name} is infinite, and has no place in the plane: a probability of "
                "0 was given to what happened. Use score='brier', or method='calibrator'."
            )
    first, *others = [*drawn, *(parts for _, parts in models)]
    for other in others:
        asked, also = ((p.scoring, p.method, p.kind) for p in (first, other))
        if asked != also:
            raise ValueError(
                "Models in one plane must be of one score, method and kind, got "
                f"{', '.join(asked)} and {', '.join(also)}. Draw into other axes."
            )
        if not math.isclose(first.uncertainty, other.uncertainty, rel_tol=_SAME, abs_tol=_SAME):
            why = "each accuracy has its own" if first.kind == "confidence" else "of the same rows"
            raise ValueError(
                f"Models in one plane must be of one uncertainty ({why}), got "
                f"{first.uncertainty:.6g} and {other.uncertainty:.6g}. Draw into other axes."
            )


def draw_point(
    ax: Any,
    name: str | None,
    parts: ScoreDecomposition,
    n_classes: int | None,
    kwargs: dict[str, Any],
) -> Any:
    score = f"{parts.score:#.4g}"
    unnamed = _capitalized(f"{_SCORES[parts.scoring]} {score}")
    style = style_of(n_drawn(ax, _POINT)) | {
        "linestyle": "none",
        "markersize": _SIZE,
        "markeredgecolor": "white",
        "zorder": 3,
        "label": unnamed if name is None else f"{name} ({score})",
    }
    style |= kwargs | {"gid": _POINT}
    (line,) = ax.plot([parts.miscalibration], [parts.discrimination], **style)
    # What is drawn later into these axes is held against it, or moves it.
    line.decomposition, line.n_classes, line.named = parts, n_classes, name is not None
    line.look = {
        part: getattr(line, f"get_{part}")()
        for part in ("markersize", "markerfacecolor", "markeredgecolor", "markeredgewidth")
    }
    return line


def describe(ax: Any) -> None:
    """Labels that say which score was split, and how."""
    points = points_in(ax)
    parts = points[0].decomposition
    score = _SCORES[parts.scoring]
    of_what = _of_what(parts, [p.n_classes for p in points])
    split = _capitalized(f"{score}{of_what},"), f"by {_METHODS[parts.method]}"
    between = " " if len(" ".join(split)) <= _LINE_WIDTH else "\n"
    in_parentheses = "; the score in parentheses" if any(p.named for p in points) else ""
    ax.set_xlabel(
        "Miscalibration (smaller is better)\n"
        f"{between.join(split)}\n"
        f"dashed: equal {score}{in_parentheses}\n"
        f"uncertainty (score of the base rate): {parts.uncertainty:#.4g}"
    )
    ax.set_ylabel("Discrimination (greater is better)")


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _of_what(parts: ScoreDecomposition, n_classes: Sequence[int | None]) -> str:
    """Of which events a score is, where more than one is called by its name."""
    if parts.method == "calibrator":
        return ""
    if parts.kind in _KINDS:
        return _KINDS[parts.kind]
    known = [n for n in n_classes if n is not None]
    if not known:
        return f" (of more than two classes{_SUM[parts.scoring]})"
    return _SUM[parts.scoring] if max(known) > 2 else ""


def set_view(ax: Any) -> None:
    """Limits that hold every model in the axes; 0 too, unless that is far off."""
    parts = [line.decomposition for line in points_in(ax)]
    smallest = 0.01 * (parts[0].uncertainty or 1)
    ax.set_xlim(_limits([p.miscalibration for p in parts], smallest, _FAR_FROM_ZERO_X))
    ax.set_ylim(_limits([p.discrimination for p in parts], smallest, _FAR_FROM_ZERO_Y))


def _limits(values: Sequence[float], smallest: float, far: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    largest = max(abs(low), abs(high))
    beyond = _BEYOND_ONE if low == high else _BEYOND_LARGEST
    room = max(_BEYOND_SPREAD * (high - low), beyond * largest, smallest)
    from_zero = low >= 0 and (low < far * high or low == high)
    return -_BELOW_ZERO * (high + room) if from_zero else low - room, high + room


def _remove(ax: Any, gid: str) -> None:
    for artist in [child for child in ax.get_children() if child.get_gid() == gid]:
        artist.remove()


def draw_isolines(ax: Any) -> None:
    """Lines of equal score across the view, each with its score where it leaves it."""
    from matplotlib.ticker import MaxNLocator

    _remove(ax, _ISOLINE)
    uncertainty = points_in(ax)[0].decomposition.uncertainty
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    # No score is below 0, wherever the view goes on.
    lowest, highest = max(0, uncertainty + left - top), uncertainty + right - bottom
    ticks = MaxNLocator(_ISOLINES, steps=[1, 2, 2.5, 5, 10]).tick_values(lowest, highest)
    scores = [score for score in np.round(ticks, 12) if lowest <= score < highest]
    texts = [np.format_float_positional(score, trim="-") for score in scores]
    decimals = max(len(text.partition(".")[2]) for text in texts)
    for score in scores:
        line = {"color": GREY, "linestyle": "--", "linewidth": 0.8, "zorder": 1, "gid": _ISOLINE}
        ax.axline((0, uncertainty - score), slope=1, **line)
        text = {"color": GREY, "fontsize": "x-small", "gid": _ISOLINE}
        x = top - uncertainty + score
        if x < right:
            place = {"transform": ax.get_xaxis_transform(), "ha": "center", "va": "bottom"}
            ax.text(x, 1.01, f"{score:.{decimals}f}", **(place | text))
        else:
            place = {"transform": ax.get_yaxis_transform(), "ha": "left", "va": "center"}
            ax.text(1.01, right + uncertainty - score, f"{score:.{decimals}f}", **(place | text))


def draw_labels(ax: Any) -> None:
    """The label of each model beside its marker, where it covers no marker and no other label."""
    _remove(ax, _LABEL)
    figure = ax.figure.canvas.figure
    figure.draw_without_rendering()  # settles the layout, and with it where markers are
    pixels = figure.dpi / 72  # of a point, the unit of sizes
    together = _nest_markers(ax, pixels)
    paper = {"boxstyle": "square,pad=0.1", "facecolor": ax.get_facecolor(), "linewidth": 0}
    style: dict[str, Any] = {"fontsize": "small", "gid": _LABEL, "zorder": 2}
    style["bbox"] = paper | {"alpha": 0.85}
    points = points_in(ax)
    texts = [
        textwrap.fill(line.get_label(), _NAME_WIDTH, break_long_words=False) for line in points
    ]
    centers = [ax.transData.transform(line.get_xydata()[0]) for line in points]
    sizes = [_size_of(ax, text, style) for text in texts]
    reach = [pixels * line.get_markersize() / 2 for line in points]
    markers = [box(c - r, np.array([2 * r, 2 * r])) for c, r in zip(centers, reach, strict=True)]
    view = ax.bbox.padded(-_EDGE * pixels)
    places = places_of(view.extents, np.array(markers), np.array(centers), sizes, pixels)

    for line, text, center, (corner, led) in zip(points, texts, centers, places, strict=True):
        # Of markers in one place a frame tells whose label it is.
        frame = {"edgecolor": line.get_color(), "linewidth": 1} if line in together else {}
        leader = {"arrowstyle": "-", "color": line.get_color(), "linewidth": 0.8, "shrinkA": 0}
        ax.annotate(
            text,
            line.get_xydata()[0],
            xytext=(corner - center) / pixels,
            textcoords="offset points",
            arrowprops=leader | {"shrinkB": line.get_markersize() / 2} if led else None,
            **(style | {"bbox": style["bbox"] | frame}),
        ).set_in_layout(False)


def _nest_markers(ax: Any, pixels: float) -> list[Any]:
    """Make markers that stand in one place visible, one around the other; return these."""
    points = points_in(ax)
    centers = [ax.transData.transform(line.get_xydata()[0]) for line in points]
    levels: list[int] = []
    together = []
    for line, center in zip(points, centers, strict=True):
        line.set(**line.look)
        inside = [
            i
            for i, other in enumerate(centers[: len(levels)])
            if np.hypot(*(center - other)) < pixels * points[i].look["markersize"] / 2
        ]
        levels.append(1 + max((levels[i] for i in inside), default=-1))
        if inside:
            size = line.look["markersize"] + _LARGER * levels[-1]
            line.set(markersize=size, markerfacecolor="none", markeredgewidth=1.5)
            line.set(markeredgecolor=line.get_color())
            together += [line, *(points[i] for i in inside)]
    return together


def _size_of(ax: Any, text: str, style: dict[str, Any]) -> NDArray:
    """Width and height of a text, in pixels."""
    trial = ax.text(0, 0, text, **style)
    size = trial.get_window_extent().size
    trial.remove()
    return size
