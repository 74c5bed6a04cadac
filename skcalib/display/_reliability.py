"""Reliability diagrams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

from numpy.random import RandomState
from numpy.typing import ArrayLike

from skcalib._response import read_probabilities
from skcalib._validation import Interval, StrOptions, check_options, check_predictions
from skcalib.display._drawing import name_of, refuse_line_properties, require_matplotlib
from skcalib.display._reliability_drawing import as_array, intervals_of
from skcalib.display._reliability_layout import FEW_CURVES, Look, draw_panels, draw_together
from skcalib.display._small_multiples import curves_of_groups
from skcalib.metrics._events import events_of
from skcalib.metrics._reliability import CURVE_CONSTRAINTS, ReliabilityCurve, curves_of

_PLOT_CONSTRAINTS: dict[str, list[Any]] = {
    "subplots": ["boolean", None],
    "max_panels": [Interval(Integral, 1, None, closed="left")],
    "intervals": ["boolean", StrOptions({"wilson", "consistency"})],
    "counts": ["boolean"],
}


class ReliabilityDisplay:
    """Reliability diagram: observed frequency against predicted probability.

    Made by :meth:`from_estimator` or :meth:`from_predictions`, or from curves at hand. Each point
    is a bin, at the mean of its probabilities and the frequency of what they predict, with the
    Wilson interval of that frequency. On the diagonal probabilities mean what they say; below it
    they promise too much. A panel at the foot of the axes shows how many rows are in each bin.
    Bins of fewer than ten rows (effective rows, if weighted) are hollow and joined by a faint line:
    where they lie is chance.

    The isotonic curve joins the recalibrated probabilities; a shade around the diagonal shows
    where it would lie if the probabilities were calibrated, and the panel a histogram of them.

    Several displays may be drawn into the same axes, to compare models; of their bands the first is
    shaded, the others are outlined. Groups of rows, and more than five classes, have a panel each.
    Axes end at 1, or at .5, .2, .1 and so on if that is enough: rare events would fill a corner
    otherwise. They put nearly all rows into the first of the bins of equal width, too: take
    ``strategy="quantile"`` or ``"isotonic"`` for them.

    Parameters
    ----------
    curves : list of ReliabilityCurve
        What to draw, from :func:`~skcalib.metrics.reliability_curve`.
    name : str, default=None
        Name of the model, for the legend.
    groups : list of labels, default=None
        The group of each curve.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn into; of several panels the first.
    axes_ : ndarray of matplotlib Axes
        All panels, here `ax_` alone where there is one.
    counts_ax_ : matplotlib Axes or None
        The panel of counts inside `ax_`.
    figure_ : matplotlib Figure
        The figure they are in.
    line_ : matplotlib Line2D or list of them
        The curve, or one per curve drawn; in its data bins of few rows are masked.
    left_out_ : list of str
        Groups or classes beyond `max_panels`, the largest first.

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

    def __init__(
        self,
        curves: Sequence[ReliabilityCurve],
        *,
        name: str | None = None,
        groups: Sequence[Any] | None = None,
    ):
        self.curves = curves
        self.name = name
        self.groups = groups

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        kind: str = "confidence",
        class_labels: Any = None,
        n_bins: int = 15,
        strategy: str = "uniform",
        confidence_level: float = 0.95,
        n_resamples: int = 1000,
        random_state: int | RandomState | None = 0,
        sample_weight: ArrayLike | None = None,
        pos_label: bool | int | float | str | None = None,
        groups: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        subplots: bool | None = None,
        max_panels: int = 12,
        intervals: bool | str = True,
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
        class_labels : label or list of labels, default=None
            For kind "class", the classes to draw; None draws all.
        n_bins : int, default=15
            Number of bins; of strategy "isotonic" the data choose it.
        strategy : {"uniform", "quantile", "isotonic"}, default="uniform"
            Bins of equal width, of equally many rows, or blocks of the isotonic curve (CORP). Rare
            events need one of the latter two.
        confidence_level : float, default=0.95
            Coverage of the intervals or bands, between 0 and 1.
        n_resamples : int, default=1000
            For strategy "isotonic", how many draws of the events the band is found by.
        random_state : int, RandomState instance or None, default=0
            Seed or generator of these draws; None draws another band each time.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each row counts for; None is one each.
        pos_label : bool, int, float or str, default=None
            For kind "positive", the positive class; None is the second of `classes_`.
        groups : array-like of shape (n_samples,), default=None
            The group of each row: a panel per group, sorted, or in the order of the categories of
            a pandas Categorical.
        name : str, default=None
            Name of the model, for the legend; None is the estimator's class.
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        subplots : bool, default=None
            For kind "class", whether each class has a panel of its own; None is where there are
            more than five and no `ax`. Groups always have.
        max_panels : int, default=12
            The most panels drawn. The largest are: the figure names those left out.
        intervals : bool or {"wilson", "consistency"}, default=True
            What shows chance: the Wilson intervals of the frequencies, or a band around the
            diagonal in which the curve would lie if the probabilities were calibrated. True is
            "wilson" for bins and "consistency" for the isotonic curve, False is neither.
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
            If the estimator has no `predict_proba`, or is a dict of several.
        ValueError
            As :meth:`from_predictions`.
        ImportError
            If matplotlib is not installed.
        """
        _refuse_dict("estimator", estimator)
        return cls.from_predictions(
            y,
            read_probabilities(estimator, X),
            kind=kind,
            class_labels=class_labels,
            n_bins=n_bins,
            strategy=strategy,
            confidence_level=confidence_level,
            n_resamples=n_resamples,
            random_state=random_state,
            sample_weight=sample_weight,
            labels=estimator.classes_,
            pos_label=pos_label,
            groups=groups,
            name=name_of(estimator, name),
            ax=ax,
            subplots=subplots,
            max_panels=max_panels,
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
        class_labels: Any = None,
        n_bins: int = 15,
        strategy: str = "uniform",
        confidence_level: float = 0.95,
        n_resamples: int = 1000,
        random_state: int | RandomState | None = 0,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        pos_label: bool | int | float | str | None = None,
        groups: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        subplots: bool | None = None,
        max_panels: int = 12,
        intervals: bool | str = True,
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
        class_labels : label or list of labels, default=None
            For kind "class", the classes to draw; None draws all.
        n_bins : int, default=15
            Number of bins; of strategy "isotonic" the data choose it.
        strategy : {"uniform", "quantile", "isotonic"}, default="uniform"
            Bins of equal width, of equally many rows, or blocks of the isotonic curve (CORP). Rare
            events need one of the latter two.
        confidence_level : float, default=0.95
            Coverage of the intervals or bands, between 0 and 1.
        n_resamples : int, default=1000
            For strategy "isotonic", how many draws of the events the band is found by.
        random_state : int, RandomState instance or None, default=0
            Seed or generator of these draws; None draws another band each time.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each row counts for; None is one each.
        labels : array-like of shape (n_classes,), default=None
            The sorted labels, one per column. Needed where some do not occur in `y_true`.
        pos_label : bool, int, float or str, default=None
            Of two classes, the positive one.
        groups : array-like of shape (n_samples,), default=None
            The group of each row: a panel per group, sorted, or in the order of the categories of
            a pandas Categorical.
        name : str, default=None
            Name of the model, for the legend.
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        subplots : bool, default=None
            For kind "class", whether each class has a panel of its own; None is where there are
            more than five and no `ax`. Groups always have.
        max_panels : int, default=12
            The most panels drawn. The largest are: the figure names those left out.
        intervals : bool or {"wilson", "consistency"}, default=True
            What shows chance: the Wilson intervals of the frequencies, or a band around the
            diagonal in which the curve would lie if the probabilities were calibrated. True is
            "wilson" for bins and "consistency" for the isotonic curve, False is neither.
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
            If `y_proba` is a dict, of several models; or for `class_label`, which is
            `class_labels` here.
        ValueError
            If an option is not among its values, a label is unknown, or the arguments do not
            describe labels and probabilities, as the head of :mod:`skcalib.metrics` says.
        ImportError
            If matplotlib is not installed.
        """
        options: dict[str, Any] = {
            "kind": kind,
            "n_bins": n_bins,
            "strategy": strategy,
            "confidence_level": confidence_level,
            "n_resamples": n_resamples,
            "random_state": random_state,
        }
        check_options(CURVE_CONSTRAINTS, "ReliabilityDisplay", **options)
        _refuse_dict("y_proba", y_proba)
        _refuse_class_label(kwargs)
        chosen = _list_of_labels(class_labels, kind)
        checked = check_predictions(
            y_true, y_proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
        )
        events = events_of(checked, kind, chosen)
        if groups is None:
            display = cls(curves_of(events, **options), name=name)
        else:
            curves, group_of_curve = curves_of_groups(events, groups, options)
            display = cls(curves, name=name, groups=group_of_curve)
        return display.plot(
            ax=ax,
            subplots=subplots,
            max_panels=max_panels,
            intervals=intervals,
            counts=counts,
            **kwargs,
        )

    def plot(
        self,
        *,
        ax: Any = None,
        name: str | None = None,
        subplots: bool | None = None,
        max_panels: int = 12,
        intervals: bool | str = True,
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
        subplots : bool, default=None
            For kind "class", whether each class has a panel of its own; None is where there are
            more than five and no `ax`. Groups always have.
        max_panels : int, default=12
            The most panels drawn. The largest are: the figure names those left out.
        intervals : bool or {"wilson", "consistency"}, default=True
            What shows chance: the Wilson intervals of the frequencies, or a band around the
            diagonal in which the curve would lie if the probabilities were calibrated. True is
            "wilson" for bins and "consistency" for the isotonic curve, False is neither.
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
        ValueError
            If an option is not among its values or does not fit the curves, or panels are to be
            drawn into given axes.
        ImportError
            If matplotlib is not installed.
        """
        require_matplotlib("ReliabilityDisplay")
        _refuse_class_label(kwargs)
        refuse_line_properties(**kwargs)
        check_options(
            _PLOT_CONSTRAINTS,
            "ReliabilityDisplay.plot",
            subplots=subplots,
            max_panels=max_panels,
            intervals=intervals,
            counts=counts,
        )
        for curve in self.curves:
            intervals_of(curve, intervals)
        panels = self._needs_panels(ax, subplots)
        name = self.name if name is None else name
        look = Look(intervals, counts, kwargs)
        if panels:
            drawn = draw_panels(self.curves, self.groups, name, max_panels, look)
        else:
            drawn = draw_together(self.curves, ax, name, look)
        self.ax_, self.figure_, self.counts_ax_ = drawn.axes[0], drawn.axes[0].figure, drawn.feet[0]
        self.line_ = drawn.lines[0] if len(drawn.lines) == 1 else drawn.lines
        self.axes_, self.left_out_ = as_array(drawn.axes), drawn.left_out
        return self

    def _needs_panels(self, ax: Any, subplots: bool | None) -> bool:
        """Whether each group or class has a panel; or raise where that cannot be as asked."""
        kind = self.curves[0].kind
        if self.groups is not None:
            if subplots is False:
                raise ValueError("groups have a panel each: leave out subplots=False, or groups.")
            subplots = True
        elif subplots and kind != "class":
            raise ValueError(f"subplots=True is for kind='class', got kind={kind!r}.")
        elif subplots is None:
            subplots = ax is None and kind == "class" and len(self.curves) > FEW_CURVES
        if ax is not None and subplots:
            raise ValueError(
                "ax is for one diagram, and a panel per group or class makes a figure of its own. "
                "Leave out ax, or draw each group or class into axes of your own."
            )
        return subplots


def _list_of_labels(class_labels: Any, kind: str) -> list[Any] | None:
    """The classes to draw, in a list where one is given by itself; or raise."""
    if class_labels is None:
        return None
    one = isinstance(class_labels, str) or not hasattr(class_labels, "__len__")
    chosen = [class_labels] if one else list(class_labels)
    if kind != "class" or not chosen:
        raise ValueError(
            "class_labels must name at least one class, for kind='class' alone, got "
            f"{class_labels!r} and kind={kind!r}."
        )
    return chosen


def _refuse_class_label(kwargs: dict[str, Any]) -> None:
    """Metrics measure one class, and name it so."""
    if "class_label" in kwargs:
        raise TypeError(
            "ReliabilityDisplay draws one class or several and takes no class_label: pass "
            f"kind='class' and class_labels=[{kwargs['class_label']!r}] to from_estimator or "
            "from_predictions."
        )


def _refuse_dict(name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        of = {"estimator": "from_estimator(model, X, y", "y_proba": "from_predictions(y, proba"}
        raise TypeError(
            f"{name} must be of one model, got a dict of {len(value)}. Draw each model into the "
            f"same ax: for each, ReliabilityDisplay.{of[name]}, name=name, ax=ax)."
        )
