"""The plane of miscalibration and discrimination."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import ArrayLike

from skcalib._response import read_probabilities
from skcalib._validation import check_predictions
from skcalib.display._drawing import (
    name_of,
    new_axes,
    refuse_line_properties,
    require_matplotlib,
)
from skcalib.display._plane import (
    describe,
    draw_isolines,
    draw_labels,
    draw_point,
    points_in,
    refuse_what_cannot_be_compared,
    set_view,
)
from skcalib.metrics._decomposition import (
    ScoreDecomposition,
    check_decomposition_options,
    decomposition_of,
)


class DecompositionDisplay:
    """Models in the plane of miscalibration and discrimination.

    Made by :meth:`from_estimator` or :meth:`from_predictions`, or from decompositions at hand.
    Each model is a point: the less miscalibration, to the left, and the more discrimination, up,
    the better. Along a dashed line the score is the same, ``uncertainty + miscalibration -
    discrimination``; it is written at the line's end. So the picture tells which of two models of
    like score needs recalibration, and which better features. Parts of method "murphy" leave the
    within-bin terms out of the lines, not of the scores next to the names. Points in one place are
    drawn one around the other, and their labels framed in their colours.

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
        self._n_classes: int | None = None  # for the words on the axis; not known of parts alone

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

        n_classes: list[int] = []

        def decomposition(model: Any) -> ScoreDecomposition:
            proba = read_probabilities(model, X)
            checked = check_predictions(
                y, proba, sample_weight=sample_weight, labels=model.classes_, pos_label=pos_label
            )
            n_classes.append(len(checked.classes))
            return decomposition_of(checked, **options)

        if isinstance(estimator, Mapping):
            several = {key: decomposition(model) for key, model in estimator.items()}
            return cls(several, name=name)._plot(ax, n_classes, kwargs)
        name = name_of(estimator, name)
        return cls(decomposition(estimator), name=name)._plot(ax, n_classes, kwargs)

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

        n_classes: list[int] = []

        def decomposition(proba: ArrayLike) -> ScoreDecomposition:
            checked = check_predictions(
                y_true, proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
            )
            n_classes.append(len(checked.classes))
            return decomposition_of(checked, **options)

        if isinstance(y_proba, Mapping):
            several = {key: decomposition(proba) for key, proba in y_proba.items()}
            return cls(several, name=name)._plot(ax, n_classes, kwargs)
        return cls(decomposition(y_proba), name=name)._plot(ax, n_classes, kwargs)

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
        drawn = [] if ax is None else [line.decomposition for line in points_in(ax)]
        refuse_what_cannot_be_compared(drawn, models)
        ax = new_axes((6.4, 5.2)) if ax is None else ax

        self.points_ = [draw_point(ax, *model, self._n_classes, kwargs) for model in models]
        describe(ax)
        set_view(ax)
        draw_isolines(ax)
        draw_labels(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _plot(self, ax: Any, n_classes: list[int], kwargs: dict[str, Any]) -> DecompositionDisplay:
        self._n_classes = max(n_classes, default=None)
        return self.plot(ax=ax, **kwargs)

    def _models(self, name: str | None) -> list[tuple[str | None, ScoreDecomposition]]:
        if not isinstance(self.decompositions, Mapping):
            return [(name, self.decompositions)]
        if name is not None:
            raise ValueError(f"name is for a single model, a dict names its own; got {name!r}.")
        return list(self.decompositions.items())
