"""What every display draws with: colours and marks that survive grey print, and axes."""

from __future__ import annotations

from typing import Any

# The palette of Okabe and Ito without yellow and black, told apart by the colour-blind; shapes
# tell them apart in grey.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"]
MARKERS = ["o", "s", "^", "D", "v"]
GREY = "0.45"


def require_matplotlib(display: str) -> None:
    """Raise ImportError, naming the display and the way out, where matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{display}.plot needs matplotlib: pip install skcalib[plot]") from error


def refuse_line_properties(**kwargs: Any) -> None:
    """Raise for what is no property of a line, before there is a figure."""
    from matplotlib.lines import Line2D

    Line2D([], [], **kwargs)


def new_axes(figsize: tuple[float, float]) -> Any:
    """Axes of a new figure."""
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=figsize, layout="constrained")
    return ax


def n_drawn(ax: Any, gid: str) -> int:
    """How many lines of a display's own are in the axes already: the next takes the next look."""
    return sum(line.get_gid() == gid for line in ax.lines)


def style_of(place: int) -> dict[str, Any]:
    """Colour and marker of the model drawn as number `place`."""
    return {"color": COLORS[place % len(COLORS)], "marker": MARKERS[place % len(MARKERS)]}


def name_of(estimator: Any, name: str | None) -> str:
    """Name of a model in a legend: the one given, or the estimator's class."""
    return type(estimator).__name__ if name is None else name
