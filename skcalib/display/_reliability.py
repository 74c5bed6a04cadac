"""Reliability diagrams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skcalib._response import read_probabilities
from skcalib._validation import check_options, check_predictions
from skcalib.display._drawing import (
    GREY,
    n_drawn,
    name_of,
    new_axes,
    refuse_line_properties,
    require_matplotlib,
    style_of,
)
from skcalib.metrics._events import events_of
from skcalib.metrics._reliability import CURVE_CONSTRAINTS, ReliabilityCurve, curves_of

# A legend of more curves than this would hide some: it goes beside the axes of a new figure.
_FEW_CURVES = 5

# The panel of counts takes this share of the axes' height, below the frequency 0.
_PANEL = 0.2
_PANEL_LABEL = "counts of a reliability diagram"
_DIAGONAL = "Perfectly calibrated"
_CURVE = "reliability curve"


class ReliabilityDisplay:
    """Reliability diagram: observed frequency against predicted probability.

    Made by :meth:`from_estimator` or :meth:`from_predictions`, or from curves at hand. Each point
    is a bin, at the mean of its probabilities and the frequency of what they predict, with the
    Wilson interval of that frequency. On the diagonal probabilities mean what they say; below it
    they promise too much. A panel at the foot of the axes shows how many rows are in each bin.

    Several displays may be drawn into the same axes, to compare models.

    Parameters
    ----------
    curves : list of ReliabilityCurve
        What to draw, from :func:`~skcalib.metrics.reliability_curve`.
    name : str, default=None
        Name of the model, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn into.
    counts_ax_ : matplotlib Axes or None
        The panel of counts inside `ax_`.
    figure_ : matplotlib Figure
        The figure they are in.
    line_ : matplotlib Line2D or list of them
        The curve, or one per class.

    See Also
    --------
    skcalib.metrics.reliability_curve : The numbers behind the picture.

    Examples
    --------
    >>> from skcalib.display import ReliabilityDisplay
    >>> from skcalib.metrics import reliability_curve
    >>> curve = reliability_curve([0, 1, 1, 1], [0.2, 0.4, 0.7, 0.9], kind="positive", n_bins=2)
    >>> ReliabilityDisplay([curve], name="forecast").curves[0].frequency
    array([0.5, 1. ])
    """

    def __init__(self, curves: Sequence[ReliabilityCurve], *, name: str | None = None):
        self.curves = curves
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        kind: str = "confidence",
        class_labels: Sequence[Any] | None = None,
        n_bins: int = 15,
        strategy: str = "uniform",
        confidence_level: float = 0.95,
        sample_weight: ArrayLike | None = None,
        pos_label: bool | int | float | str | None = None,
        name: str | None = None,
        ax: Any = None,
        intervals: bool = True,
        counts: bool = True,
        **kwargs: Any,
    ) -> ReliabilityDisplay:
        """Draw the diagram of a fitted classifier's `predict_proba` on data.

        Parameters
        ----------
        estimator : estimator instance
            A fitted classifier with `predict_proba`, or a pipeline that ends in one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict, best not those the classifier was fitted on.
        y : array-like of shape (n_samples,)
            Their true labels.
        kind : {"confidence", "class", "positive"}, default="confidence"
            What is drawn; see :meth:`from_predictions`, as for all that follow.
        class_labels : list of labels, default=None
            For kind "class", the classes to draw; None draws all.
        n_bins : int, default=15
            Number of bins.
        strategy : {"uniform", "quantile"}, default="uniform"
            Bins of equal width, or of equally many rows.
        confidence_level : float, default=0.95
            Coverage of the intervals, between 0 and 1.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each row counts for; None is one each.
        pos_label : bool, int, float or str, default=None
            For kind "positive", the positive class; None is the second of `classes_`.
        name : str, default=None
            Name of the model, for the legend; None is the estimator's class.
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        intervals : bool, default=True
            Whether to draw the intervals.
        counts : bool, default=True
            Whether to draw the panel of counts.
        **kwargs : dict
            Passed to matplotlib's `plot` for the curves.

        Returns
        -------
        display : ReliabilityDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no `predict_proba`.
        ValueError
            As :meth:`from_predictions`.
        ImportError
            If matplotlib is not installed.
        """
        return cls.from_predictions(
            y,
            read_probabilities(estimator, X),
            kind=kind,
            class_labels=class_labels,
            n_bins=n_bins,
            strategy=strategy,
            confidence_level=confidence_level,
            sample_weight=sample_weight,
            labels=estimator.classes_,
            pos_label=pos_label,
            name=name_of(estimator, name),
            ax=ax,
            intervals=intervals,
            counts=counts,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_proba: ArrayLike,
        *,
        kind: str = "confidence",
        class_labels: Sequence[Any] | None = None,
        n_bins: int = 15,
        strategy: str = "uniform",
        confidence_level: float = 0.95,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        pos_label: bool | int | float | str | None = None,
        name: str | None = None,
        ax: Any = None,
        intervals: bool = True,
        counts: bool = True,
        **kwargs: Any,
    ) -> ReliabilityDisplay:
        """Draw the diagram of predicted probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels.
        y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
            Predicted probabilities, one column per class in the order of the sorted labels; for
            two classes those of `pos_label` alone will do.
        kind : {"confidence", "class", "positive"}, default="confidence"
            What is drawn.

            - "confidence": the largest probability of each row, against the prediction being
              correct;
            - "class": a curve per class, its probability against that class being true;
            - "positive": of two classes, the probability of the positive one, against it being
              true.
        class_labels : list of labels, default=None
            For kind "class", the classes to draw; None draws all.
        n_bins : int, default=15
            Number of bins.
        strategy : {"uniform", "quantile"}, default="uniform"
            Bins of equal width, or of equally many rows.
        confidence_level : float, default=0.95
            Coverage of the intervals, between 0 and 1.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each row counts for; None is one each.
        labels : array-like of shape (n_classes,), default=None
            The sorted labels, one per column. Needed where some do not occur in `y_true`.
        pos_label : bool, int, float or str, default=None
            Of two classes, the positive one.
        name : str, default=None
            Name of the model, for the legend.
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        intervals : bool, default=True
            Whether to draw the intervals.
        counts : bool, default=True
            Whether to draw the panel of counts.
        **kwargs : dict
            Passed to matplotlib's `plot` for the curves.

        Returns
        -------
        display : ReliabilityDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If an option is not among its values, a label is unknown, or the arguments do not
            describe labels and probabilities, as the head of :mod:`skcalib.metrics` says.
        ImportError
            If matplotlib is not installed.
        """
        check_options(
            CURVE_CONSTRAINTS,
            "ReliabilityDisplay",
            kind=kind,
            n_bins=n_bins,
            strategy=strategy,
            confidence_level=confidence_level,
        )
        if class_labels is not None and (kind != "class" or len(class_labels) == 0):
            raise ValueError(
                "class_labels must name at least one class, for kind='class' alone, got "
                f"{class_labels!r} and kind={kind!r}."
            )
        checked = check_predictions(
            y_true, y_proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
        )
        curves = curves_of(
            events_of(checked, kind, None if class_labels is None else list(class_labels)),
            kind=kind,
            n_bins=n_bins,
            strategy=strategy,
            confidence_level=confidence_level,
        )
        return cls(curves, name=name).plot(ax=ax, intervals=intervals, counts=counts, **kwargs)

    def plot(
        self,
        *,
        ax: Any = None,
        name: str | None = None,
        intervals: bool = True,
        counts: bool = True,
        **kwargs: Any,
    ) -> ReliabilityDisplay:
        """Draw the diagram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into, and nowhere else; None makes a new figure.
        name : str, default=None
            Name of the model, for the legend; None is that of the display.
        intervals : bool, default=True
            Whether to draw the intervals.
        counts : bool, default=True
            Whether to draw the panel of counts.
        **kwargs : dict
            Passed to matplotlib's `plot` for the curves.

        Returns
        -------
        display : ReliabilityDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        require_matplotlib("ReliabilityDisplay")
        refuse_line_properties(**kwargs)
        legend: dict[str, Any] = {"loc": "upper left"}
        if ax is None:
            crowded = len(self.curves) > _FEW_CURVES
            if crowded:
                legend["bbox_to_anchor"] = (1.14, 1)
            ax = new_axes((7.2 if crowded else 5.5, 6))
        name = self.name if name is None else name

        if not any(line.get_label() == _DIAGONAL for line in ax.lines):
            ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label=_DIAGONAL)
        panel = _counts_panel(ax) if counts else None
        lines = []
        for curve in self.curves:
            lines.append(_draw_curve(ax, curve, _legend_entry(curve, name), kwargs))
            if intervals:
                _draw_intervals(ax, curve, lines[-1].get_color())
            if panel is not None:
                _draw_counts(panel, curve, lines[-1].get_color())
        _describe(ax, self.curves[0], intervals)
        ax.legend(framealpha=0.8, edgecolor="none", fontsize="small", **legend)

        self.ax_, self.figure_, self.counts_ax_ = ax, ax.figure, panel
        self.line_ = lines[0] if len(lines) == 1 else lines
        return self


def _panels(ax: Any) -> list[Any]:
    return [child for child in ax.child_axes if child.get_label() == _PANEL_LABEL]


def _counts_panel(ax: Any) -> Any:
    """The panel of counts at the foot of the axes: made once, then shared."""
    if not _panels(ax):
        panel = ax.inset_axes((0, 0, 1, _PANEL), sharex=ax, label=_PANEL_LABEL)
        panel.tick_params(axis="x", labelbottom=False, length=0)
        panel.yaxis.tick_right()
        panel.yaxis.set_label_position("right")
        panel.set_facecolor("none")
    return _panels(ax)[0]


def _draw_curve(ax: Any, curve: ReliabilityCurve, label: str, kwargs: dict[str, Any]) -> Any:
    style = style_of(n_drawn(ax, _CURVE)) | {"markersize": 5, "label": label, "gid": _CURVE}
    return ax.plot(curve.mean_proba, curve.frequency, **(style | kwargs))[0]


def _draw_intervals(ax: Any, curve: ReliabilityCurve, color: Any) -> None:
    ends = np.abs([curve.lower - curve.frequency, curve.upper - curve.frequency])
    style = {"fmt": "none", "ecolor": color, "elinewidth": 1, "capsize": 2, "alpha": 0.6}
    ax.errorbar(curve.mean_proba, curve.frequency, ends, **style)


def _draw_counts(panel: Any, curve: ReliabilityCurve, color: Any) -> None:
    panel.vlines(curve.mean_proba, 0, curve.weight, colors=color, linewidth=4, alpha=0.6)
    weighted = not np.array_equal(curve.weight, curve.n_effective)
    panel.set_ylabel("Weight" if weighted else "Rows")
    highest = panel.dataLim.ymax
    panel.set_ylim(0, 1.1 * highest)
    panel.set_yticks([0, highest], ["0", f"{highest:,.0f}" if highest >= 10 else f"{highest:.2g}"])


def _legend_entry(curve: ReliabilityCurve, name: str | None) -> str:
    of_class = [str(curve.class_label)] if curve.kind == "class" else []
    title = ", ".join([name, *of_class] if name is not None else of_class)
    error = f"ECE {curve.calibration_error:.3f}"
    return f"{title} ({error})" if title else error


def _describe(ax: Any, curve: ReliabilityCurve, intervals: bool) -> None:
    """Limits, and labels that say what was binned, and how."""
    predicted, observed = {
        "confidence": ("Mean confidence", "Share of correct predictions"),
        "class": ("Mean predicted probability", "Frequency of the class"),
        "positive": (
            f"Mean predicted probability of {curve.class_label}",
            f"Frequency of {curve.class_label}",
        ),
    }[curve.kind]
    width = "equal width" if curve.strategy == "uniform" else "equally many rows"
    level = f"\n{100 * curve.confidence_level:g} % Wilson intervals" if intervals else ""
    foot = _PANEL if _panels(ax) else 0
    ax.set_xlabel(f"{predicted}\n{curve.n_bins} bins (a, b] of {width}")
    ax.set_ylabel(f"{observed}{level}", y=(1 + foot) / 2)
    margin = 0.02
    ax.set(
        xlim=(-margin, 1 + margin),
        ylim=(-margin - (1 + 2 * margin) * foot / (1 - foot), 1 + margin),
        yticks=np.linspace(0, 1, 6),
    )
