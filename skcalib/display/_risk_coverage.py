"""Risk-coverage diagrams."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._response import read_probabilities
from skcalib._validation import Interval, check_options, check_predictions
from skcalib.display._drawing import (
    GREY,
    n_drawn,
    name_of,
    new_axes,
    refuse_line_properties,
    require_matplotlib,
    style_of,
)
from skcalib.metrics._proportion import wilson_interval
from skcalib.metrics._risk_coverage import RiskCoverageCurve, risk_coverage_of

_CONSTRAINTS = {"confidence_level": [Interval(Real, 0, 1, closed="neither")]}

# A risk among fewer rows than this says little: its Wilson interval is wider than .15, and one
# error more or less moves it by .05.
_FEW_ROWS = 20

# More steps than this cannot be told apart in a picture.
_STEPS = 1000

# Height of the axes where no prediction is wrong and no interval is drawn.
_LEAST_HEIGHT = 0.01
_MARGIN = 0.02

_LINES = ["-", "--", "-.", ":", (0, (7, 2, 1, 2, 1, 2))]
_CURVE = "risk-coverage curve"
_BEST = "Best possible order"


class RiskCoverageDisplay:
    """Risk-coverage diagram: error rate among the rows answered against the share answered.

    Made by :meth:`from_estimator` or :meth:`from_predictions`, or from a curve at hand. From left
    to right ever less confident rows are answered; the marker at the right end is the error rate
    of answering all. A curve that rises to it has its errors where the model is least confident; a
    flat one has a confidence that tells nothing. The grey line is the best there could be at that
    error rate: all errors last.

    The curve is drawn in steps, as its area (AURC) is measured: to answer a little more, all rows
    of the next confidence must be. Its left end rests on few rows: steps on fewer than 20 are
    drawn thin and without an interval, and may leave the axes, whose height is that of the rest.
    The intervals hold at each threshold by itself, if it was chosen before these rows were seen.

    Several displays may be drawn into the same axes, to compare models.

    Parameters
    ----------
    curve : RiskCoverageCurve
        What to draw, from :func:`~skcalib.metrics.risk_coverage_curve`.
    name : str, default=None
        Name of the model, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn into.
    figure_ : matplotlib Figure
        The figure they are in.
    line_ : matplotlib Line2D
        The curve, without its left end.

    See Also
    --------
    skcalib.metrics.risk_coverage_curve : The numbers behind the picture.

    Examples
    --------
    >>> from skcalib.display import RiskCoverageDisplay
    >>> from skcalib.metrics import risk_coverage_curve
    >>> curve = risk_coverage_curve([1, 0, 1, 1], [0.9, 0.8, 0.8, 0.6])
    >>> RiskCoverageDisplay(curve, name="forecast").curve.error
    0.25
    """

    def __init__(self, curve: RiskCoverageCurve, *, name: str | None = None):
        self.curve = curve
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        confidence: ArrayLike | None = None,
        confidence_level: float = 0.95,
        sample_weight: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        intervals: bool = True,
        best: bool = True,
        **kwargs: Any,
    ) -> RiskCoverageDisplay:
        """Draw the diagram of a fitted classifier's `predict_proba` on data.

        Parameters
        ----------
        estimator : estimator instance
            A fitted classifier with `predict_proba`, or a pipeline that ends in one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict, best not those the classifier was fitted on.
        y : array-like of shape (n_samples,)
            Their true labels.
        confidence : array-like of shape (n_samples,), default=None
            Score by which rows are answered, the higher the sooner. None is the largest
            probability of each row.
        confidence_level : float, default=0.95
            Coverage of the intervals, between 0 and 1.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each row counts for; None is one each.
        name : str, default=None
            Name of the model, for the legend; None is the estimator's class.
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        intervals : bool, default=True
            Whether to draw the intervals.
        best : bool, default=True
            Whether to draw the curve of the best order.
        **kwargs : dict
            Passed to matplotlib's `plot` for the curve.

        Returns
        -------
        display : RiskCoverageDisplay
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
            confidence=confidence,
            confidence_level=confidence_level,
            sample_weight=sample_weight,
            labels=estimator.classes_,
            name=name_of(estimator, name),
            ax=ax,
            intervals=intervals,
            best=best,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_proba: ArrayLike,
        *,
        confidence: ArrayLike | None = None,
        confidence_level: float = 0.95,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        pos_label: bool | int | float | str | None = None,
        name: str | None = None,
        ax: Any = None,
        intervals: bool = True,
        best: bool = True,
        **kwargs: Any,
    ) -> RiskCoverageDisplay:
        """Draw the diagram of predicted probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels.
        y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
            Predicted probabilities, one column per class in the order of the sorted labels; for
            two classes those of `pos_label` alone will do.
        confidence : array-like of shape (n_samples,), default=None
            Score by which rows are answered, the higher the sooner: any finite numbers. None is
            the largest probability of each row.
        confidence_level : float, default=0.95
            Coverage of the intervals, between 0 and 1.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each row counts for; None is one each.
        labels : array-like of shape (n_classes,), default=None
            The sorted labels, one per column. Needed where some do not occur in `y_true`.
        pos_label : bool, int, float or str, default=None
            Of two classes, the one that `y_proba` of shape (n_samples,) is the probability of.
        name : str, default=None
            Name of the model, for the legend.
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        intervals : bool, default=True
            Whether to draw the intervals.
        best : bool, default=True
            Whether to draw the curve of the best order.
        **kwargs : dict
            Passed to matplotlib's `plot` for the curve.

        Returns
        -------
        display : RiskCoverageDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If `confidence_level` is not between 0 and 1, `confidence` is not one finite number
            per row, or the arguments do not describe labels and probabilities, as the head of
            :mod:`skcalib.metrics` says.
        ImportError
            If matplotlib is not installed.
        """
        checked = check_predictions(
            y_true, y_proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
        )
        return cls(risk_coverage_of(checked, confidence), name=name).plot(
            ax=ax,
            confidence_level=confidence_level,
            intervals=intervals,
            best=best,
            **kwargs,
        )

    def plot(
        self,
        *,
        ax: Any = None,
        name: str | None = None,
        confidence_level: float = 0.95,
        intervals: bool = True,
        best: bool = True,
        **kwargs: Any,
    ) -> RiskCoverageDisplay:
        """Draw the diagram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into, and nowhere else; None makes a new figure.
        name : str, default=None
            Name of the model, for the legend; None is that of the display.
        confidence_level : float, default=0.95
            Coverage of the intervals, between 0 and 1.
        intervals : bool, default=True
            Whether to draw the intervals.
        best : bool, default=True
            Whether to draw the curve of the best order.
        **kwargs : dict
            Passed to matplotlib's `plot` for the curve.

        Returns
        -------
        display : RiskCoverageDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `confidence_level` is not between 0 and 1.
        ImportError
            If matplotlib is not installed.
        """
        check_options(_CONSTRAINTS, "RiskCoverageDisplay", confidence_level=confidence_level)
        require_matplotlib("RiskCoverageDisplay")
        refuse_line_properties(**kwargs)
        ax = new_axes((6.4, 4.8)) if ax is None else ax
        name = self.name if name is None else name

        if best:
            _draw_best_order(ax, self.curve.accuracy)
        highest = ax.get_ylim()[1] if n_drawn(ax, _CURVE) else _LEAST_HEIGHT
        edges, risk, n = _steps(self.curve)
        # At least the last step is drawn in full: the error rate of all rows.
        sure = min([*np.flatnonzero(n >= _FEW_ROWS)[:1], len(n) - 1])
        line = _draw_curve(ax, edges[sure:], risk[sure:], _legend_entry(self.curve, name), kwargs)
        highest = max(highest, 1.15 * risk[sure:].max())
        if sure > 0:
            _draw_left_end(ax, edges[: sure + 1], risk[: sure + 1], line.get_color())
        if intervals:
            lower, upper = wilson_interval(risk[sure:], n[sure:], confidence_level)
            _draw_intervals(ax, edges[sure:], lower, upper, line.get_color())
            highest = max(highest, 1.05 * upper[-1])
        ax.set(xlim=(0, 1 + _MARGIN), ylim=(-_MARGIN * highest, highest))
        _describe(ax, confidence_level if intervals else None)

        self.ax_, self.figure_, self.line_ = ax, ax.figure, line
        return self


def _legend_entry(curve: RiskCoverageCurve, name: str | None) -> str:
    area = f"AURC {curve.aurc:.4f}"
    return area if name is None else f"{name} ({area})"


def _steps(curve: RiskCoverageCurve) -> tuple[NDArray, NDArray, NDArray]:
    """Edges (m + 1,) of the steps, their risks (m,) and how many rows each rests on (m,).

    Of very many steps those that hold a multiple of 1 / `_STEPS` of the rows.
    """
    point = np.arange(len(curve.coverage))
    if len(point) > _STEPS:
        share = np.arange(1, _STEPS + 1) / _STEPS
        point = np.unique(np.searchsorted(curve.coverage, share))
    return np.append(0, curve.coverage[point]), curve.risk[point], curve.n_effective[point]


def _draw_best_order(ax: Any, accuracy: float) -> None:
    """Risk of the best order: 0 up to the share of correct rows, then the errors."""
    coverage = np.linspace(accuracy, 1, 100)
    correct = np.divide(accuracy, coverage, out=np.zeros(100), where=coverage > 0)
    first = all(line.get_label() != _BEST for line in ax.lines)
    style = {"color": GREY, "linewidth": 0.8, "label": _BEST if first else None}
    ax.plot(np.append(0, coverage), np.append(0, 1 - correct), **style)


def _draw_steps(ax: Any, edges: NDArray, values: NDArray, **style: Any) -> Any:
    return ax.plot(edges, np.append(values[0], values), **({"drawstyle": "steps-pre"} | style))[0]


def _draw_curve(ax: Any, edges: NDArray, risk: NDArray, label: str, kwargs: dict[str, Any]) -> Any:
    place = n_drawn(ax, _CURVE)
    look = style_of(place) | {"linestyle": _LINES[place % len(_LINES)], "markevery": [len(risk)]}
    return _draw_steps(ax, edges, risk, **(look | {"label": label, "gid": _CURVE} | kwargs))


def _draw_left_end(ax: Any, edges: NDArray, risk: NDArray, color: Any) -> None:
    """The steps on few rows, down or up to the first of the others."""
    _draw_steps(ax, np.append(edges, edges[-1]), risk, color=color, linewidth=0.7, alpha=0.6)


def _draw_intervals(ax: Any, edges: NDArray, lower: NDArray, upper: NDArray, color: Any) -> None:
    ends = np.append(lower[0], lower), np.append(upper[0], upper)
    ax.fill_between(edges, *ends, step="pre", color=color, alpha=0.15, linewidth=0)


def _describe(ax: Any, confidence_level: float | None) -> None:
    level = f"\npointwise {100 * confidence_level:g} % Wilson intervals" if confidence_level else ""
    ax.set_xlabel("Coverage: share of rows answered, the most confident first")
    ax.set_ylabel(f"Selective risk: error rate of the rows answered{level}")
    ax.legend(framealpha=0.8, edgecolor="none", fontsize="small", loc="upper left")
