"""Where labels and legends go.

Labels go near their markers, and over no marker, label or line to a label; legends over no line
and no shade. All is in pixels. Boxes are arrays (..., 4): lower left corner, upper right corner.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Where labels are tried, in points from the middle of the marker.
_NEAR, _STEP, _STEPS = 6, 12, 8

# So many dots stand for the line that leads to a label far away.
_DOTS = 40

# Where a legend is tried, and how far it stays from what is drawn, in points.
_PLACES = {
    "upper left": "NW",
    "upper right": "NE",
    "lower right": "SE",
    "lower left": "SW",
    "upper center": "N",
    "lower center": "S",
    "center left": "W",
    "center right": "E",
    "center": "C",
}
_CLEAR = 5
_LEGEND = {"framealpha": 0.8, "edgecolor": "none", "fontsize": "small"}
# A legend above the axes has as many columns as fit, and smaller type where it would take more
# than this share of their height.
_ABOVE = {"loc": "lower left", "borderaxespad": 0.2, "columnspacing": 1}
_COLUMNS = [(3, "small"), (2, "small"), (1, "small"), (2, "x-small"), (1, "x-small")]
_TOO_HIGH = 0.3


def places_of(
    view: NDArray, markers: NDArray, centers: NDArray, sizes: Sequence[NDArray], pixels: float
) -> list[tuple[NDArray, bool]]:
    """Lower left corner of each label, and whether a line leads to it; in pixels.

    Each in turn takes its best place; of several orders that is done in, the best.
    """
    found = []
    for axis, sign in itertools.product((0, 1), (1, -1)):
        taken, total, places = markers, 0.0, {}
        for i in np.argsort(sign * centers[:, axis], kind="stable"):
            cost, corner, led, boxes = _best_place(view, centers[i], sizes[i], pixels, taken)
            taken = np.concatenate([taken, boxes])
            total += cost
            places[i] = corner, led
        found.append((total, [places[i] for i in range(len(centers))]))
    return min(found, key=lambda of_order: of_order[0])[1]


def _best_place(
    view: NDArray, center: NDArray, size: NDArray, pixels: float, taken: NDArray
) -> tuple[float, NDArray, bool, NDArray]:
    """The place for a label that covers least, the nearest of such.

    What it costs, its corner, whether it is so far away that a line must lead to it, and the boxes
    that it and this line take.
    """
    found = []
    for step, corner in _corners(center, size, pixels):
        inside = np.maximum(np.minimum(corner, view[2:] - size), view[:2])
        boxes = box(inside, size)[None]
        if step:
            dots = np.linspace(center, inside + size / 2, _DOTS)
            beyond = np.hypot(*(dots - center).T) > _NEAR * pixels
            boxes = np.concatenate([boxes, box(dots[beyond], np.ones_like(dots[beyond]))])
        covered = _common_area(boxes, taken) / pixels**2
        # To be moved into the view costs as much as to be far away.
        moved = _STEPS * (not np.allclose(corner, inside))
        found.append((covered + step + moved, inside, step > 0, boxes))
        if covered + moved == 0:
            break  # all others are farther away
    return min(found, key=lambda place: place[0])


def _corners(center: NDArray, size: NDArray, pixels: float) -> Iterator[tuple[int, NDArray]]:
    """Lower left corners of boxes around a marker, in steps ever farther away."""
    halves = [(x, y) for x in (1, -1, 0.5, -0.5) for y in (1, -1, 0.5, -0.5) if abs(x) + abs(y) > 1]
    for step in range(_STEPS):
        for direction in [(1, 0), (-1, 0), (0, 1), (0, -1), *halves]:
            way = np.array(direction)
            gap = pixels * (_NEAR + _STEP * step) * way / np.hypot(*way)
            yield step, center + gap + (way - 1) * size / 2


def box(corner: NDArray, size: NDArray) -> NDArray:
    """Lower left and upper right corner of a box or several, (..., 4)."""
    return np.concatenate([corner, corner + size], axis=-1)


def _common_area(boxes: NDArray, others: NDArray) -> float:
    """Area that two sets of boxes, (m, 4) and (n, 4), have in common."""
    lower = np.maximum(boxes[:, None, :2], others[None, :, :2])
    upper = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return float((upper - lower).clip(0).prod(axis=-1).sum())


def place_legend(
    ax: Any, drawn: Sequence[Any], *, rather_not: Sequence[Any] = (), **style: Any
) -> None:
    """A legend that covers nothing that is `drawn` and, if it can be helped, not the rest.

    Where no place in the axes is free it goes above them, if the layout makes room for it and
    there is no title; else where matplotlib thinks best.
    """
    style = _LEGEND | style
    if ax.get_legend() is not None:
        ax.get_legend().remove()
    figure = ax.figure.canvas.figure
    figure.draw_without_rendering()  # settles the layout, and with it where everything is
    gap = _CLEAR * figure.dpi / 72
    size = ax.legend(loc="center", **style).get_window_extent()
    for avoided, place in itertools.product(([*drawn, *rather_not], drawn), _PLACES):
        box = size.anchored(_PLACES[place], container=ax.bbox.padded(-gap))
        if not any(_covers(box.padded(gap), artist) for artist in avoided):
            ax.legend(loc=place, **style)
            return
    if figure.get_layout_engine() is None or ax.get_title():
        ax.legend(loc="best", **style)
        return
    _place_above(ax, style)


def _place_above(ax: Any, style: dict[str, Any]) -> None:
    """A legend above the axes, and no wider than they are with their labels."""
    left = ax.get_tightbbox().x0
    anchor = ((left - ax.bbox.x0) / ax.bbox.width, 1)
    width, enough = ax.bbox.x1 - left, _TOO_HIGH * ax.bbox.height
    found = []
    for n_columns, size in _COLUMNS:
        look = {"bbox_to_anchor": anchor, "ncols": n_columns, "fontsize": size}
        box = ax.legend(**(style | _ABOVE | look)).get_window_extent()
        if box.width <= width:
            found.append((max(box.height, enough), look))
    if found:
        look = min(found, key=lambda place: place[0])[1]
        ax.legend(**(style | _ABOVE | look))


def _covers(box: Any, artist: Any) -> bool:
    """Whether a box covers a part of a line or its markers, of a patch or of a collection."""
    is_line = hasattr(artist, "get_marker")
    paths = artist.get_paths() if hasattr(artist, "get_paths") else [artist.get_path()]
    for path in map(artist.get_transform().transform_path, paths):
        if path.intersects_bbox(box, filled=not is_line):
            return True
        if is_line and np.any(box.count_contains(path.vertices)):
            return True
    return False
