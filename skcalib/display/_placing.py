"""Where labels go: near their markers, and over no marker, label or line to a label.

All is in pixels. Boxes are arrays (..., 4): lower left corner, upper right corner.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

# Where labels are tried, in points from the middle of the marker.
_NEAR, _STEP, _STEPS = 6, 12, 8

# So many dots stand for the line that leads to a label far away.
_DOTS = 40


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
