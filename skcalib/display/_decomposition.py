"""The plane of miscalibration and discrimination."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._response import read_probabilities
from skcalib._validation import check_predictions
from skcalib.display._drawing import (
    GREY,
    n_drawn,
    name_of,
    new_axes,
    refuse_line_properties,
    require_matplotlib,
    style_of,
)
from skcalib.display._placing import box, places_of
from skcalib.metrics._decomposition import (
    ScoreDecomposition,
    check_decomposition_options,
    decomposition_of,
)

_POINT = "model in the plane of miscalibration and discrimination"
_LABEL = "its name and score"
_ISOLINE = "line of equal score"

# About as many lines of equal score as can be told apart, and labelled, in a small figure.
_ISOLINES = 8

# The view ends this share of the models' spread, or of their largest part, beyond them.
_BEYOND_SPREAD = 0.25
_BEYOND_LARGEST = 0.15
_BELOW_ZERO = 0.03

# Uncertainties that differ by a larger share are not those of the same rows.
_SAME = 1e-6

# Labels stay this far, in points, from the edge of the view.
_EDGE = 4

# Longer names are broken into lines.
_NAME_WIDTH = 24

_SCORES = {"brier": "Brier score", "log_loss": "Log loss"}
_METHODS = {
    "corp": "isotonic recalibration (CORP)",
    "calibrator": "recalibration of held-out rows",
    "murphy": "bins; lines leave out within-bin terms",
}
_KINDS = {"class": "each class", "confidence": "confidence", "positive": "positive class"}


class DecompositionDisplay:
    """Models in the plane of miscalibration and discrimination.

    Made by :meth:`from_estimator` or :meth:`from_predictions`, or from decompositions at hand.
    Each model is a point: the less miscalibration, to the left, and the more discrimination, up,
    the better. Along a dashed line the score is the same, ``uncertainty + miscalibration -
    discrimination``; it is written at the line's end. So the picture tells which of two models of
    like score needs recalibration, and which better features. Parts of method "murphy" leave the
    within-bin terms out of the lines, not of the scores next to the names.

    Several models are compared by one call with a dict, or by several displays drawn into the same
    axes: the view and its lines then follow all that is there.

    Parameters
    ----------
    decompositions : ScoreDecomposition or dict of str to ScoreDecomposition
        What to draw, from :func:`~skcalib.metrics.score_decomposition`: of one model, or of several
        by their names.
    name : str, default=None
        Name of a single model.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn into.
    figure_ : matplotlib Figure
        The figure they are in.
    points_ : list of matplotlib Line2D
        The marker of each model of this display.

    See Also
    --------
    skcalib.metrics.score_decomposition : The numbers behind the picture.

    References
    ----------
    T. Dimitriadis, T. Gneiting, A. I. Jordan, P. Vogel, Evaluating probabilistic classifiers: the
    triptych, International Journal of Forecasting 40 (2024).

    Examples
    --------
    >>> from skcalib.display import DecompositionDisplay
    >>> from skcalib.metrics import score_decomposition
    >>> parts = score_decomposition([0, 1, 0, 1], [0.2, 0.6, 0.6, 0.8])
    >>> DecompositionDisplay({"forecast": parts}).decompositions["forecast"].miscalibration
    0.025
    """

    def __init__(
        self,
        decompositions: ScoreDecomposition | Mapping[str, ScoreDecomposition],
        *,
        name: str | None = None,
    ):
        self.decompositions = decompositions
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        score: str = "brier",
        method: str = "corp",
        kind: str = "class",
        n_bins: int = 15,
        strategy: str = "uniform",
        calibrator: Any = None,
        cv: Any = 5,
        random_state: Any = 0,
        sample_weight: ArrayLike | None = None,
        pos_label: bool | int | float | str | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> DecompositionDisplay:
        """Draw where fitted classifiers stand, by their `predict_proba` on data.

        Parameters
        ----------
        estimator : estimator instance or dict of str to estimator
            A fitted classifier with `predict_proba`, or several by their names.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict, best not those the classifier was fitted on.
        y : array-like of shape (n_samples,)
            Their true labels.
        score : {"brier", "log_loss"}, default="brier"
            The score; see :func:`~skcalib.metrics.score_decomposition`, as for all up to
            `pos_label`.
        method : {"corp", "calibrator", "murphy"}, default="corp"
            How the probabilities are recalibrated.
        kind : {"class", "confidence", "positive"}, default="class"
            Which probabilities are held against which events.
        n_bins : int, default=15
            Number of bins, for method "murphy".
        strategy : {"uniform", "quantile"}, default="uniform"
            Bins of equal width, or of equally many rows.
        calibrator : estimator, default=None
            For method "calibrator"; None is one temperature.
        cv : int or cross-validation generator, default=5
            How rows are held out from the calibrator.
        random_state : int, RandomState instance or None, default=0
            How the folds are shuffled.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each row counts for; None is one each.
        pos_label : bool, int, float or str, default=None
            Of two classes, the positive one; None is the second of `classes_`.
        name : str, default=None
            Name of a single model; None is the estimator's class.
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        **kwargs : dict
            Passed to matplotlib's `plot` for the markers.

        Returns
        -------
        display : DecompositionDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If an estimator has no `predict_proba`.
        ValueError
            As :meth:`from_predictions`.
        ImportError
            If matplotlib is not installed.
        """
        options = {
            "score": score,
            "method": method,
            "kind": kind,
            "n_bins": n_bins,
            "strategy": strategy,
            "calibrator": calibrator,
            "cv": cv,
            "random_state": random_state,
        }
        check_decomposition_options("DecompositionDisplay", options)

        def decomposition(model: Any) -> ScoreDecomposition:
            proba = read_probabilities(model, X)
            checked = check_predictions(
                y, proba, sample_weight=sample_weight, labels=model.classes_, pos_label=pos_label
            )
            return decomposition_of(checked, **options)

        if isinstance(estimator, Mapping):
            several = {key: decomposition(model) for key, model in estimator.items()}
            return cls(several, name=name).plot(ax=ax, **kwargs)
        name = name_of(estimator, name)
        return cls(decomposition(estimator), name=name).plot(ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_proba: ArrayLike | Mapping[str, ArrayLike],
        *,
        score: str = "brier",
        method: str = "corp",
        kind: str = "class",
        n_bins: int = 15,
        strategy: str = "uniform",
        calibrator: Any = None,
        cv: Any = 5,
        random_state: Any = 0,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        pos_label: bool | int | float | str | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> DecompositionDisplay:
        """Draw where predicted probabilities stand.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels.
        y_proba : array-like of shape (n_samples, n_classes) or (n_samples,), or dict of such
            Predicted probabilities, or those of several models by their names.
        score : {"brier", "log_loss"}, default="brier"
            The score; see :func:`~skcalib.metrics.score_decomposition`, as for all up to
            `pos_label`.
        method : {"corp", "calibrator", "murphy"}, default="corp"
            How the probabilities are recalibrated.
        kind : {"class", "confidence", "positive"}, default="class"
            Which probabilities are held against which events. Of kind "confidence" the
            uncertainty depends on the accuracy, so that models are not compared in one picture.
        n_bins : int, default=15
            Number of bins, for method "murphy".
        strategy : {"uniform", "quantile"}, default="uniform"
            Bins of equal width, or of equally many rows.
        calibrator : estimator, default=None
            For method "calibrator"; None is one temperature.
        cv : int or cross-validation generator, default=5
            How rows are held out from the calibrator.
        random_state : int, RandomState instance or None, default=0
            How the folds are shuffled.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each row counts for; None is one each.
        labels : array-like of shape (n_classes,), default=None
            The sorted labels, one per column. Needed where some do not occur in `y_true`.
        pos_label : bool, int, float or str, default=None
            Of two classes, the positive one.
        name : str, default=None
            Name of a single model.
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        **kwargs : dict
            Passed to matplotlib's `plot` for the markers.

        Returns
        -------
        display : DecompositionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            As :func:`~skcalib.metrics.score_decomposition` and :meth:`plot`.
        ImportError
            If matplotlib is not installed.
        """
        options = {
            "score": score,
            "method": method,
            "kind": kind,
            "n_bins": n_bins,
            "strategy": strategy,
            "calibrator": calibrator,
            "cv": cv,
            "random_state": random_state,
        }
        check_decomposition_options("DecompositionDisplay", options)

        def decomposition(proba: ArrayLike) -> ScoreDecomposition:
            checked = check_predictions(
                y_true, proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
            )
            return decomposition_of(checked, **options)

        if isinstance(y_proba, Mapping):
            several = {key: decomposition(proba) for key, proba in y_proba.items()}
            return cls(several, name=name).plot(ax=ax, **kwargs)
        return cls(decomposition(y_proba), name=name).plot(ax=ax, **kwargs)

    def plot(
        self, *, ax: Any = None, name: str | None = None, **kwargs: Any
    ) -> DecompositionDisplay:
        """Draw the models.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into, and nowhere else; None makes a new figure.
        name : str, default=None
            Name of a single model; None is that of the display.
        **kwargs : dict
            Passed to matplotlib's `plot` for the markers.

        Returns
        -------
        display : DecompositionDisplay
            The display itself.

        Raises
        ------
        ValueError
            If models are of different scores, methods, kinds or uncertainties, here or in the axes
            already; if there is no model, or one whose log loss is infinite; or if `name` is given
            for several.
        ImportError
            If matplotlib is not installed.
        """
        require_matplotlib("DecompositionDisplay")
        refuse_line_properties(**kwargs)
        models = self._models(self.name if name is None else name)
        drawn = [] if ax is None else [line.decomposition for line in _points(ax)]
        _refuse_what_cannot_be_compared(drawn, models)
        ax = new_axes((6.4, 5.2)) if ax is None else ax

        self.points_ = [_draw_point(ax, *model, kwargs) for model in models]
        _describe(ax)
        _set_view(ax)
        _draw_isolines(ax)
        _draw_labels(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _models(self, name: str | None) -> list[tuple[str | None, ScoreDecomposition]]:
        if not isinstance(self.decompositions, Mapping):
            return [(name, self.decompositions)]
        if name is not None:
            raise ValueError(f"name is for a single model, a dict names its own; got {name!r}.")
        return list(self.decompositions.items())


def _points(ax: Any) -> list[Any]:
    return [line for line in ax.lines if line.get_gid() == _POINT]


def _refuse_what_cannot_be_compared(
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


def _draw_point(
    ax: Any, name: str | None, parts: ScoreDecomposition, kwargs: dict[str, Any]
) -> Any:
    score = f"{parts.score:#.4g}"
    style = style_of(n_drawn(ax, _POINT)) | {
        "linestyle": "none",
        "markersize": 8,
        "markeredgecolor": "white",
        "zorder": 3,
        "label": score if name is None else f"{name} ({score})",
    }
    style |= kwargs | {"gid": _POINT}
    (line,) = ax.plot([parts.miscalibration], [parts.discrimination], **style)
    line.decomposition = parts  # what is drawn later into these axes is held against it
    return line


def _describe(ax: Any) -> None:
    """Labels that say which score was split, and how."""
    parts = _points(ax)[0].decomposition
    score = _SCORES[parts.scoring]
    of_kind = "" if parts.method == "calibrator" else f" of {_KINDS[parts.kind]}"
    ax.set_xlabel(
        f"Miscalibration (smaller is better)\n{score}{of_kind} (dashed lines and brackets),\n"
        f"by {_METHODS[parts.method]}"
    )
    ax.set_ylabel(
        f"Discrimination (greater is better)\nUncertainty: {score} {parts.uncertainty:#.4g}"
    )


def _set_view(ax: Any) -> None:
    """Limits that hold every model in the axes; 0 too, unless that is far off."""
    parts = [line.decomposition for line in _points(ax)]
    smallest = 0.01 * (parts[0].uncertainty or 1)
    ax.set_xlim(_limits([p.miscalibration for p in parts], smallest))
    ax.set_ylim(_limits([p.discrimination for p in parts], smallest))


def _limits(values: Sequence[float], smallest: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    largest = max(abs(low), abs(high))
    room = max(_BEYOND_SPREAD * (high - low), _BEYOND_LARGEST * largest, smallest)
    from_zero = low >= 0 and (low < high / 2 or low == high)
    return -_BELOW_ZERO * (high + room) if from_zero else low - room, high + room


def _remove(ax: Any, gid: str) -> None:
    for artist in [child for child in ax.get_children() if child.get_gid() == gid]:
        artist.remove()


def _draw_isolines(ax: Any) -> None:
    """Lines of equal score across the view, each with its score where it leaves it."""
    from matplotlib.ticker import MaxNLocator

    _remove(ax, _ISOLINE)
    uncertainty = _points(ax)[0].decomposition.uncertainty
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    lowest, highest = uncertainty + left - top, uncertainty + right - bottom
    ticks = MaxNLocator(_ISOLINES, steps=[1, 2, 2.5, 5, 10]).tick_values(lowest, highest)
    scores = [score for score in np.round(ticks, 12) if lowest < score < highest]
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


def _draw_labels(ax: Any) -> None:
    """The label of each model beside its marker, where it covers no marker and no other label."""
    _remove(ax, _LABEL)
    figure = ax.figure.canvas.figure
    figure.draw_without_rendering()  # settles the layout, and with it where markers are
    pixels = figure.dpi / 72  # of a point, the unit of sizes
    paper = {"boxstyle": "square,pad=0.1", "facecolor": ax.get_facecolor(), "linewidth": 0}
    style = {"fontsize": "small", "gid": _LABEL, "zorder": 2, "bbox": paper | {"alpha": 0.85}}
    points = _points(ax)
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
        leader = {"arrowstyle": "-", "color": line.get_color(), "linewidth": 0.8, "shrinkA": 0}
        ax.annotate(
            text,
            line.get_xydata()[0],
            xytext=(corner - center) / pixels,
            textcoords="offset points",
            arrowprops=leader | {"shrinkB": line.get_markersize() / 2} if led else None,
            **style,
        ).set_in_layout(False)


def _size_of(ax: Any, text: str, style: dict[str, Any]) -> NDArray:
    """Width and height of a text, in pixels."""
    trial = ax.text(0, 0, text, **style)
    size = trial.get_window_extent().size
    trial.remove()
    return size
