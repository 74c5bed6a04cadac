"""Small multiples of a reliability diagram: a panel per group or per class, on shared axes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from math import ceil, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from skcalib._validation import check_named_groups, check_same_length
from skcalib.display._reliability_drawing import count_text, is_weighted
from skcalib.display._reliability_labels import error_text
from skcalib.metrics._events import Events
from skcalib.metrics._reliability import ReliabilityCurve, curves_of

# Letters of small print in an inch, to break lines by.
_LETTERS_PER_INCH = 13
_LETTERS_OF_TITLE = 34
_LINES_OF_NAMES = 2


class Panel(NamedTuple):
    """What one panel shows."""

    name: str
    curves: list[ReliabilityCurve]
    size: float  # rows of the group, or rows of which the class is true; or their weight
    is_class: bool

    def title(self) -> str:
        """The name, how many rows there are, and what a single curve's error is."""
        curve = self.curves[0]
        weighted = is_weighted(curve)
        count = f"weight {count_text(self.size)}" if weighted else count_text(self.size)
        if self.is_class:
            count = f"true in {count} of {count_text(float(curve.weight.sum()))}"
        texts = [count if weighted else f"{count} rows"]
        if len(self.curves) == 1:
            texts.append(error_text(curve))
        line = ", ".join(texts)
        return "\n".join([self.name, *([line] if len(line) <= _LETTERS_OF_TITLE else texts)])


def curves_of_groups(
    events: Events, groups: ArrayLike, options: dict[str, Any]
) -> tuple[list[ReliabilityCurve], list[Any]]:
    """Curves of the rows of each group, in order, and the group of each curve."""
    names, group_of_row = check_named_groups(groups)
    check_same_length(len(events.proba), group_of_row, "y_proba", "groups")
    counted = group_of_row if events.weight is None else group_of_row[events.weight > 0]
    # One generator for all: an integer would give every group the same draws.
    options = options | {"random_state": check_random_state(options["random_state"])}
    curves, group_of_curve = [], []
    for group in np.unique(counted).tolist():
        rows = group_of_row == group
        weight = None if events.weight is None else events.weight[rows]
        of_group = Events(events.proba[rows], events.happened[rows], weight, events.labels)
        curves += curves_of(of_group, **options)
        group_of_curve += [names[group]] * len(events.labels)
    return curves, group_of_curve


def panels_of(curves: Sequence[ReliabilityCurve], groups: Sequence[Any] | None) -> list[Panel]:
    """A panel per group, in the order of its first curve; without groups one per class."""
    if groups is None:
        return [
            Panel(
                str(curve.class_label), [curve], float((curve.frequency * curve.weight).sum()), True
            )
            for curve in curves
        ]
    of_group: dict[Any, list[ReliabilityCurve]] = {}
    for group, curve in zip(groups, curves, strict=True):
        of_group.setdefault(group, []).append(curve)
    return [
        Panel(str(group), of_one, float(of_one[0].weight.sum()), False)
        for group, of_one in of_group.items()
    ]


def largest_panels(panels: list[Panel], n_most: int) -> tuple[list[Panel], list[Panel]]:
    """The `n_most` largest in their own order, and the others, the largest first."""
    by_size = sorted(range(len(panels)), key=lambda place: -panels[place].size)
    kept = sorted(by_size[:n_most])
    return [panels[place] for place in kept], [panels[place] for place in by_size[n_most:]]


def panel_axes(n_panels: int) -> list[Any]:
    """Axes of a new figure in rows, each as wide as high, with ticks at the outer ones alone."""
    import matplotlib.pyplot as plt

    square = ceil(sqrt(n_panels))
    # Nearly a square, with few empty places.
    n_columns = n_panels if n_panels <= 3 else min(square, square + 1, key=lambda n: -n_panels % n)
    n_rows = ceil(n_panels / n_columns)
    _, axes = plt.subplots(
        n_rows,
        n_columns,
        sharex=True,
        sharey=True,
        squeeze=False,
        figsize=(1.4 + 2.5 * n_columns, 1.4 + 2.8 * n_rows),
        layout="constrained",
    )
    for ax in axes.flat[n_panels:]:
        ax.remove()
    if n_rows > 1:
        # Above an empty place the outer axes are those of the row before.
        for ax in axes[-2, n_columns - (n_rows * n_columns - n_panels) :]:
            ax.tick_params(axis="x", labelbottom=True)
    return list(axes.flat[:n_panels])


def is_last_of_row(ax: Any, axes: list[Any]) -> bool:
    """Whether no panel stands to the right of this one."""
    place = axes.index(ax)
    return ax.get_subplotspec().is_last_col() or place == len(axes) - 1


def left_out_text(left_out: list[Panel], n_panels: int, figure: Any) -> list[str]:
    """Lines that name the panels left out, as many as fit."""
    if not left_out:
        return []
    names = ", ".join(f"{panel.name} ({count_text(panel.size)})" for panel in left_out)
    of_all = f"{len(left_out)} of {len(left_out) + n_panels}"
    text = f"Smallest {of_all} left out (max_panels={n_panels}): {names}"
    width = int(_LETTERS_PER_INCH * figure.get_figwidth())
    return textwrap.wrap(
        text, width, max_lines=_LINES_OF_NAMES, placeholder=" ...", break_on_hyphens=False
    )
