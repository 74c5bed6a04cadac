"""The pictures of the report, as data that stands in the page itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Panels that still can be told apart on one page.
MOST_PANELS = 12


@dataclass(frozen=True)
class Picture:
    """A picture and what it says to who cannot see it.

    Parameters
    ----------
    source : str, a data: address
    alt : str
    caption : str
    """

    source: str
    alt: str
    caption: str


def reliability(
    y: NDArray, proba: dict[str, NDArray], classes: NDArray, weight: NDArray | None
) -> Picture:
    """Confidence against accuracy before and after, in one diagram."""
    from skcalib.display import ReliabilityDisplay

    def draw(ax: Any) -> None:
        for name, p in proba.items():
            ReliabilityDisplay.from_predictions(
                y, p, labels=classes, sample_weight=weight, name=name, ax=ax
            )

    return Picture(
        _drawn(draw, (5.6, 5.8)),
        "Reliability diagram: share of right answers against stated confidence, in 15 bins, "
        f"{' and '.join(proba)} calibration.",
        "Where a point lies on the diagonal, what the model said is what came true. Below it the "
        "model said too much. Bars are 95\u00a0% intervals; below, how many rows are in each bin.",
    )


def decomposition(
    y: NDArray, proba: dict[str, NDArray], classes: NDArray, weight: NDArray | None
) -> Picture:
    """Miscalibration against discrimination."""
    from skcalib.display import DecompositionDisplay

    method = "corp" if len(classes) == 2 else "calibrator"

    def draw(ax: Any) -> None:
        DecompositionDisplay.from_predictions(
            y, proba, labels=classes, sample_weight=weight, method=method, ax=ax
        )

    return Picture(
        _drawn(draw, (6.4, 5)),
        f"Miscalibration and discrimination of the Brier score, {' and '.join(proba)} calibration.",
        "Calibration moves a model to the left: miscalibration is what recalibration would gain, "
        "discrimination what the model knows, which calibration does not change by much.",
    )


def temperature(
    y: NDArray, scores: Any, classes: NDArray, weight: NDArray | None, where: str
) -> Picture:
    """Log loss against temperature."""
    from skcalib.display import TemperatureDisplay

    def draw(ax: Any) -> None:
        TemperatureDisplay.from_predictions(
            y,
            scores.values,
            response_method=scores.method,
            labels=classes,
            sample_weight=weight,
            ax=ax,
        )

    return Picture(
        _drawn(draw, (6.4, 4.4)),
        "Log loss of the uncalibrated scores against the temperature that they are divided by.",
        f"The log loss at every temperature, on {where}. The lowest point is the one temperature "
        "that calibrates them best; the band is its 95\u00a0% interval.",
    )


def groups(
    y: NDArray,
    proba: NDArray,
    classes: NDArray,
    weight: NDArray | None,
    of_row: NDArray,
    when: str,
) -> Picture:
    """A reliability diagram for each group."""
    from matplotlib import pyplot as plt

    from skcalib.display import ReliabilityDisplay

    display = ReliabilityDisplay.from_predictions(
        y,
        proba,
        labels=classes,
        sample_weight=weight,
        groups=np.array([literal(name) for name in of_row.tolist()]),
        max_panels=MOST_PANELS,
        n_bins=10,
    )
    plt.close(display.figure_)  # pyplot keeps figures that it made
    return Picture(
        _source(display.figure_),
        f"Reliability diagrams {when} calibration, one for each group.",
        f"The same {when} calibration, for each group by itself"
        + (f"; of {len(np.unique(of_row))} groups the largest." if display.left_out_ else "."),
    )


def of_display(display: Any, alt: str, caption: str) -> Picture:
    """A picture that a display drew into a figure of its own."""
    from matplotlib import pyplot as plt

    plt.close(display.figure_)
    return Picture(_source(display.figure_), alt, caption)


def literal(name: Any) -> Any:
    """A name as matplotlib shows it and does not typeset it; what is no word stays as it is."""
    return name.replace("$", r"\$") if isinstance(name, str) else name


def _drawn(draw: Callable[[Any], None], size: tuple[float, float]) -> str:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("the report needs matplotlib: pip install skcalib[cli]") from error
    figure: Any = Figure(figsize=size, layout="constrained")
    draw(figure.subplots())
    return _source(figure)


def _source(figure: Any) -> str:
    """A figure as a data: address of SVG, the same for the same figure."""
    from matplotlib import rc_context

    written = io.BytesIO()
    with rc_context({"svg.hashsalt": "skcalib"}):
        figure.savefig(written, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(written.getvalue()).decode("ascii")
