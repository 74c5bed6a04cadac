"""Risk-coverage diagrams."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from skcalib.display._placing import place_legend
from skcalib.metrics._proportion import wilson_interval
from skcalib.metrics._risk_coverage import RiskCoverageCurve, risk_coverage_of

_CONSTRAINTS = {
    "confidence_level": [Interval(Real, 0, 1, closed="neither")],
    "max_risk": [Interval(Real, 0, 1, closed="both"), None],
}

# A risk among fewer rows than this says little: its Wilson interval is wider than .15, and one
# error more or less moves it by .05.
_FEW_ROWS = 20

# More steps than this cannot be told apart in a picture.
_STEPS = 1000

# Height of the axes where no prediction is wrong and no interval is drawn.
_LEAST_HEIGHT = 0.01
_MARGIN = 0.02
_THIN = 0.7  # points

_LINES = ["-", "--", "-.", ":", (0, (7, 2, 1, 2, 1, 2))]
_CURVE = "risk-coverage curve"
_MARK = "threshold chosen by its risk"
_BEST = "Thin: best possible order"
_TITLE = "AURC: area under the curve (lower is better)"

# As many digits tell any two floats apart.
_MOST_DIGITS = 17


class RiskCoverageDisplay:
    """Risk-coverage diagram: error rate among the rows answered against the share answered.

    Made by :meth:`from_estimator` or :meth:`from_predictions`, or from a curve at hand. From left
    to right ever less confident rows are answered; the marker at the right end is the error rate
    of answering all. A curve that rises to it has its errors where the model is least confident; a
    flat one has a confidence that tells nothing. The thin line is the best there could be at that
    error rate: all errors last.

    The curve is drawn in steps, as its area (AURC) is measured: to answer a little more, all rows
    of the next confidence must be. Its left end rests on few rows: steps on fewer than 20 are
    drawn thin and without an interval, and may leave the axes, whose height is that of the rest.
    The intervals hold at each threshold by itself, if it was chosen before these rows were seen.

    To choose a threshold, give `max_risk`, the error rate that is allowed: the hollow marker shows
    how many rows can be answered at it, and the legend from which confidence on. Chosen on these
    rows, it looks a little better on them than it will on new ones.

    Several models are compared by one call with a dict, or by several displays drawn into the same
    axes.

    Parameters
    ----------
    curve : RiskCoverageCurve or dict of str to RiskCoverageCurve
        What to draw, from :func:`~skcalib.metrics.risk_coverage_curve`: of one model, or of several
        by their names.
    name : str, default=None
        Name of a single model, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn into.
    figure_ : matplotlib Figure
        The figure they are in.
    line_ : matplotlib Line2D or list of them
        The curve, without its left end; of a dict one per model.

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

    def __init__(
        self,
        curve: RiskCoverageCurve | Mapping[str, RiskCoverageCurve],
        *,
        name: str | None = None,
    ):
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
        max_risk: float | None = None,
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
        estimator : estimator instance or dict of str to estimator
            A fitted classifier with `predict_proba`, or a pipeline that ends in one; or several by
            their names.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict, best not those the classifier was fitted on.
        y : array-like of shape (n_samples,)
            Their true labels.
        confidence : array-like of shape (n_samples,), default=None
            Score by which rows are answered, the higher the sooner. None is the largest
            probability of each row. Of a single model.
        confidence_level : float, default=0.95
            Coverage of the intervals, between 0 and 1.
        max_risk : float, default=None
            The largest error rate allowed among the rows answered, between 0 and 1: the largest
            coverage that keeps it is marked, and its threshold written into the legend.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each row counts for; None is one each.
        name : str, default=None
            Name of a single model, for the legend; None is the estimator's class.
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
        look: dict[str, Any] = {"confidence_level": confidence_level, "max_risk": max_risk}
        check_options(_CONSTRAINTS, "RiskCoverageDisplay", **look)
        _refuse_shared_confidence(estimator, confidence)

        def curve(model: Any) -> RiskCoverageCurve:
            proba = read_probabilities(model, X)
            checked = check_predictions(
                y, proba, sample_weight=sample_weight, labels=model.classes_
            )
            return risk_coverage_of(checked, confidence)

        look |= {"ax": ax, "intervals": intervals, "best": best}
        if isinstance(estimator, Mapping):
            several = {key: curve(model) for key, model in estimator.items()}
            return cls(several, name=name).plot(**look, **kwargs)
        name = name_of(estimator, name)
        return cls(curve(estimator), name=name).plot(**look, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_proba: ArrayLike | Mapping[str, ArrayLike],
        *,
        confidence: ArrayLike | None = None,
        confidence_level: float = 0.95,
        max_risk: float | None = None,
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
        y_proba : array-like of shape (n_samples, n_classes) or (n_samples,), or dict of such
            Predicted probabilities, one column per class in the order of the sorted labels; for
            two classes those of `pos_label` alone will do. Or those of several models by their
            names.
        confidence : array-like of shape (n_samples,), default=None
            Score by which rows are answered, the higher the sooner: any finite numbers. None is
            the largest probability of each row. Of a single model.
        confidence_level : float, default=0.95
            Coverage of the intervals, between 0 and 1.
        max_risk : float, default=None
            The largest error rate allowed among the rows answered, between 0 and 1: the largest
            coverage that keeps it is marked, and its threshold written into the legend.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each row counts for; None is one each.
        labels : array-like of shape (n_classes,), default=None
            The sorted labels, one per column. Needed where some do not occur in `y_true`.
        pos_label : bool, int, float or str, default=None
            Of two classes, the one that `y_proba` of shape (n_samples,) is the probability of.
        name : str, default=None
            Name of a single model, for the legend.
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
            If `confidence_level` or `max_risk` is not between 0 and 1, `confidence` is not one
            finite number per row or is given for several models, or the arguments do not describe
            labels and probabilities, as the head of :mod:`skcalib.metrics` says.
        ImportError
            If matplotlib is not installed.
        """
        look: dict[str, Any] = {"confidence_level": confidence_level, "max_risk": max_risk}
        check_options(_CONSTRAINTS, "RiskCoverageDisplay", **look)
        _refuse_shared_confidence(y_proba, confidence)

        def curve(proba: ArrayLike) -> RiskCoverageCurve:
            checked = check_predictions(
                y_true, proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
            )
            return risk_coverage_of(checked, confidence)

        look |= {"ax": ax, "intervals": intervals, "best": best}
        if isinstance(y_proba, Mapping):
            several = {key: curve(proba) for key, proba in y_proba.items()}
            return cls(several, name=name).plot(**look, **kwargs)
        return cls(curve(y_proba), name=name).plot(**look, **kwargs)

    def plot(
        self,
        *,
        ax: Any = None,
        name: str | None = None,
        confidence_level: float = 0.95,
        max_risk: float | None = None,
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
            Name of a single model, for the legend; None is that of the display.
        confidence_level : float, default=0.95
            Coverage of the intervals, between 0 and 1.
        max_risk : float, default=None
            The largest error rate allowed among the rows answered, between 0 and 1: the largest
            coverage that keeps it is marked, and its threshold written into the legend.
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
            If `confidence_level` or `max_risk` is not between 0 and 1; if there is no model, or
            `name` is given for several.
        ImportError
            If matplotlib is not installed.
        """
        look: dict[str, Any] = {"confidence_level": confidence_level, "max_risk": max_risk}
        check_options(_CONSTRAINTS, "RiskCoverageDisplay", **look)
        require_matplotlib("RiskCoverageDisplay")
        refuse_line_properties(**kwargs)
        models = self._models(self.name if name is None else name)
        ax = new_axes((6.4, 4.8)) if ax is None else ax

        if best and all(line.get_label() != _BEST for line in ax.lines):
            ax.plot([], [], color=GREY, linewidth=_THIN, label=_BEST)
        level = confidence_level if intervals else None
        lines = []
        for of_model, curve in models:
            line = _draw_model(ax, of_model, curve, level, kwargs)
            if best:
                _draw_best_order(ax, curve.accuracy, line.get_color())
            if max_risk is not None:
                _draw_threshold(ax, curve, max_risk, line)
            lines.append(line)
        _describe(ax, level)

        self.ax_, self.figure_ = ax, ax.figure
        self.line_ = lines if isinstance(self.curve, Mapping) else lines[0]
        return self

    def _models(self, name: str | None) -> list[tuple[str | None, RiskCoverageCurve]]:
        if not isinstance(self.curve, Mapping):
            return [(name, self.curve)]
        if name is not None:
            raise ValueError(f"name is for a single model, a dict names its own; got {name!r}.")
        if not self.curve:
            raise ValueError("There is no model to draw: the dict is empty.")
        return list(self.curve.items())


def _refuse_shared_confidence(models: Any, confidence: ArrayLike | None) -> None:
    if isinstance(models, Mapping) and confidence is not None:
        raise ValueError(
            "confidence is for a single model, got a dict of several. Draw one after the other, "
            "each with its own confidence, into the same axes (ax=display.ax_)."
        )


def _draw_model(
    ax: Any,
    name: str | None,
    curve: RiskCoverageCurve,
    confidence_level: float | None,
    kwargs: dict[str, Any],
) -> Any:
    """The curve of one model with its intervals, in axes high enough for it."""
    highest = ax.get_ylim()[1] if n_drawn(ax, _CURVE) else _LEAST_HEIGHT
    edges, risk, n = _steps(curve)
    # At least the last step is drawn in full: the error rate of all rows.
    sure = min([*np.flatnonzero(n >= _FEW_ROWS)[:1], len(n) - 1])
    line = _draw_curve(ax, edges[sure:], risk[sure:], _legend_entry(curve, name), kwargs)
    highest = max(highest, 1.15 * risk[sure:].max())
    if sure > 0:
        _draw_left_end(ax, edges[: sure + 1], risk[: sure + 1], line.get_color())
    if confidence_level is not None:
        lower, upper = wilson_interval(risk[sure:], n[sure:], confidence_level)
        _draw_intervals(ax, edges[sure:], lower, upper, line.get_color())
        highest = max(highest, 1.05 * upper[-1])
    ax.set(xlim=(0, 1 + _MARGIN), ylim=(-_MARGIN * highest, highest))
    return line


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


def _draw_best_order(ax: Any, accuracy: float, color: Any) -> None:
    """Risk of the best order: 0 up to the share of correct rows, then the errors."""
    coverage = np.linspace(accuracy, 1, 100)
    correct = np.divide(accuracy, coverage, out=np.zeros(100), where=coverage > 0)
    style = {"color": color, "linewidth": _THIN, "gid": _BEST}
    ax.plot(np.append(0, coverage), np.append(0, 1 - correct), **style)


def _draw_threshold(ax: Any, curve: RiskCoverageCurve, max_risk: float, line: Any) -> None:
    """The largest coverage at a risk allowed, led to both axes; or that there is none."""
    coverage, threshold = curve.coverage_at_risk(max_risk), curve.threshold_at_risk(max_risk)
    style = {"color": line.get_color(), "gid": _MARK}
    if coverage == 0:
        text = f"no threshold keeps the risk at {max_risk:g}"
        ax.plot([], [], linestyle="none", marker="x", label=text, **style)
        return
    point = int(np.flatnonzero(curve.threshold == threshold)[0])
    risk = curve.risk[point]
    style |= {"linestyle": ":", "linewidth": 1, "marker": line.get_marker(), "markevery": [1]}
    style |= {"markersize": 1.8 * line.get_markersize(), "markerfacecolor": "none"}
    style["label"] = _answer_where(curve, point)
    ax.plot([0, coverage, coverage], [risk, risk, 0], **style)


def _answer_where(curve: RiskCoverageCurve, point: int) -> str:
    """In words, the rows answered at one point of the curve."""
    risk, n = curve.risk[point], curve.n_effective[point]
    if point == len(curve.coverage) - 1:
        return f"answer all rows: risk {risk:.3g}"
    share = _shortest(100 * curve.coverage[point], lambda rounded: rounded < 100)
    # The same rows are at or above the rounded threshold.
    least, next_lower = curve.threshold[point], curve.threshold[point + 1]
    threshold = _shortest(least, lambda rounded: next_lower < rounded <= least)
    few = f" ({n:.0f} rows)" if n < _FEW_ROWS else ""
    return f"answer where confidence >= {threshold}:\n{share} % of rows{few}, risk {risk:.3g}"


def _shortest(value: float, fits: Callable[[float], bool]) -> str:
    """A number with as few digits as are enough, and no fewer than three."""
    texts = (f"{value:.{digits}g}" for digits in range(3, _MOST_DIGITS))
    return next((text for text in texts if fits(float(text))), f"{value:.{_MOST_DIGITS}g}")


def _draw_steps(ax: Any, edges: NDArray, values: NDArray, **style: Any) -> Any:
    return ax.plot(edges, np.append(values[0], values), **({"drawstyle": "steps-pre"} | style))[0]


def _draw_curve(ax: Any, edges: NDArray, risk: NDArray, label: str, kwargs: dict[str, Any]) -> Any:
    place = n_drawn(ax, _CURVE)
    look = style_of(place) | {"linestyle": _LINES[place % len(_LINES)], "markevery": [len(risk)]}
    return _draw_steps(ax, edges, risk, **(look | {"label": label, "gid": _CURVE} | kwargs))


def _draw_left_end(ax: Any, edges: NDArray, risk: NDArray, color: Any) -> None:
    """The steps on few rows, down or up to the first of the others."""
    _draw_steps(ax, np.append(edges, edges[-1]), risk, color=color, linewidth=_THIN, alpha=0.6)


def _draw_intervals(ax: Any, edges: NDArray, lower: NDArray, upper: NDArray, color: Any) -> None:
    ends = np.append(lower[0], lower), np.append(upper[0], upper)
    ax.fill_between(edges, *ends, step="pre", color=color, alpha=0.15, linewidth=0)


def _describe(ax: Any, confidence_level: float | None) -> None:
    level = f"\npointwise {100 * confidence_level:g} % Wilson intervals" if confidence_level else ""
    ax.set_xlabel("Coverage: share of rows answered, the most confident first")
    ax.set_ylabel(f"Selective risk: error rate of the rows answered{level}")
    main = [line for line in ax.lines if line.get_gid() in (_CURVE, _MARK)]
    rest = [line for line in ax.lines if line not in main]
    title = {"title": _TITLE, "title_fontsize": "small", "alignment": "left"}
    place_legend(ax, main, rather_not=[*rest, *ax.collections], **title)
