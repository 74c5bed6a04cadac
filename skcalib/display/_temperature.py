"""Diagrams of the log loss against the temperature."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._kernels._loss_curve import loss_curve
from skcalib._kernels._smoothing import smoothing_of
from skcalib._kernels._temperature import (
    OUT_OF_RANGE,
    PERFECT,
    UNINFORMATIVE,
    TemperatureFit,
)
from skcalib._response import (
    RESPONSE_METHODS,
    Scores,
    choose_method,
    classes_of,
    read_scores,
    score_columns,
)
from skcalib._validation import (
    Interval,
    StrOptions,
    check_column_classes,
    check_groups,
    check_labels,
    check_numeric,
    check_options,
    check_same_length,
    check_weights,
    encode,
    look_like_probabilities,
)
from skcalib.calibrators._rows import CalibrationRows
from skcalib.calibrators._temperature import fit_scores
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

_CONSTRAINTS = {
    "response_method": [StrOptions({"auto", *RESPONSE_METHODS})],
    "smoothing": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
}

_N_POINTS = 200

# The curve is the log loss alone, and its lowest point the temperature to mark.
_NO_PRIOR = 0.0

# An end of the interval farther than this factor from both T = 1 and the optimum is not shown, nor
# is an optimum of 0 or infinity: the picture ends as far from T = 1.
_FAR = 5.0
_FAR_FROM_ONE = 30.0
_MARGIN = 0.08  # of the picture's width, on either side
_LEAST_MARGIN = np.log(1.2)

_TICKS = [(12, (1, 1.5, 2, 3, 5, 7)), (1000, (1, 2, 5)), (np.inf, (1,))]

# From here on numbers have no decimals. A marker this little above the curve is not.
_LARGE = 1000.0
_ROUNDING = 1e-6

# Smoothing by a smaller share goes unsaid, unless it moves T = 1 by a larger part of the picture.
_SMALL_SHARE = 1e-3
_SMALL_MOVE = 0.01

_LINES = ["-", "--", "-.", ":"]
_CURVE = "temperature curve"
_ONE = "T = 1"


class TemperatureDisplay:
    """Diagram of the mean log loss of `softmax(z / T)` against the temperature T.

    Made by :meth:`from_estimator` or :meth:`from_predictions`, or from numbers at hand. The filled
    marker at the lowest point is the temperature that fits these rows best, the shaded band its
    95 % interval; the hollow marker at T = 1 is the loss of the model as it is.

    Of logits, and of probabilities with `smoothing=0`, the hollow marker is a point of the curve,
    and the distance between the heights of the two is what one temperature would gain on these
    rows. A band to the right of 1 means that the model is overconfident, to the left of 1
    underconfident; one that contains 1, that the rows do not tell.

    Probabilities are smoothed otherwise, by a share fitted along with T, and the curve is that of
    the smoothed ones; the legend says how much was mixed in, unless it is too little to see. The
    hollow marker is without it, and so not on the curve but above or below it. The distance
    between the heights is then what smoothing and temperature gain together, and the band is to be
    read for the smoothed probabilities: much smoothing makes them timid, and asks for a T below 1
    of a model that may be overconfident.

    Several displays may be drawn into the same axes, to compare models.

    Parameters
    ----------
    temperatures : array-like of shape (n_temperatures,)
        Where the curve is drawn: positive, rising.
    losses : array-like of shape (n_temperatures,)
        Mean log loss at each of them.
    temperature : float
        The best T; 0 or infinity where the loss falls for ever that way.
    interval : array-like of shape (2,)
        Ends of its 95 % interval; not drawn for a best T of 0 or infinity.
    loss_before : float, default=None
        Mean log loss of the model as it is; None is the curve's at T = 1.
    smoothing : float, default=0.0
        Share of the uniform distribution mixed into the probabilities before the curve was drawn,
        for the legend.
    name : str, default=None
        Name of the model, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn into.
    figure_ : matplotlib Figure
        The figure they are in.
    line_ : matplotlib Line2D
        The curve.
    band_ : matplotlib patch or None
        The shaded interval.

    See Also
    --------
    skcalib.TemperatureScaling : Serves probabilities at the best temperature.

    Examples
    --------
    A model that is right four times in five but says 98 %:

    >>> import numpy as np
    >>> from skcalib.display import TemperatureDisplay
    >>> decision = np.array([4.0, 4.0, 4.0, 4.0, -4.0] * 20)
    >>> display = TemperatureDisplay.from_predictions([1] * 100, decision, labels=[0, 1])
    >>> round(display.temperature, 3)  # 4 / T = log(0.8 / 0.2)
    2.885
    """

    def __init__(
        self,
        temperatures: ArrayLike,
        losses: ArrayLike,
        *,
        temperature: float,
        interval: ArrayLike,
        loss_before: float | None = None,
        smoothing: float = 0.0,
        name: str | None = None,
    ):
        self.temperatures = temperatures
        self.losses = losses
        self.temperature = temperature
        self.interval = interval
        self.loss_before = loss_before
        self.smoothing = smoothing
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        response_method: str = "auto",
        smoothing: float | str = "auto",
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> TemperatureDisplay:
        """Draw which temperature would calibrate a fitted classifier on the rows given.

        Of a fitted :class:`~skcalib.TemperatureScaling` the answer should be about 1 on new rows:
        a band that leaves 1 out says that a new fit is due.

        Parameters
        ----------
        estimator : estimator instance
            A fitted classifier, or a pipeline that ends in one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict, not those the classifier was fitted on.
        y : array-like of shape (n_samples,)
            Their true labels.
        response_method : {"auto", "decision_function", "predict_proba", "predict_log_proba"}, \
                default="auto"
            What to read the scores from; "auto" takes the `decision_function` if there is one,
            else `predict_proba`.
        smoothing : "auto" or float, default="auto"
            Of probabilities; see :meth:`from_predictions`, as for all that follow.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each row counts for; None is one each.
        groups : array-like of shape (n_samples,), default=None
            Which rows belong together.
        name : str, default=None
            Name of the model, for the legend; None is the estimator's class.
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        **kwargs : dict
            Passed to matplotlib's `plot` for the curve.

        Returns
        -------
        display : TemperatureDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no scores of that kind.
        ValueError
            As :meth:`from_predictions`.
        ImportError
            If matplotlib is not installed.
        """
        _check(response_method, smoothing)
        labels = check_labels(y)
        method = choose_method(estimator, response_method)
        classes = np.unique(classes_of(estimator))
        y_index = encode(labels, classes, of="the classes the estimator was trained on,")
        scores = read_scores(estimator, X, method, classes)
        check_same_length(len(scores), labels)
        display = cls._of_scores(scores, y_index, smoothing, sample_weight, groups)
        return display.plot(ax=ax, name=name_of(estimator, name), **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        scores: ArrayLike,
        *,
        response_method: str = "auto",
        smoothing: float | str = "auto",
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> TemperatureDisplay:
        """Draw the diagram of logits or probabilities.

        The best temperature is that of maximum likelihood, the lowest point of the curve, without
        the prior that :class:`~skcalib.TemperatureScaling` has by default: of few rows the two
        differ.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels.
        scores : array-like of shape (n_samples, n_classes) or (n_samples,)
            Scores, one column per class in the order of the sorted labels. For two classes one
            column will do: decision values, or probabilities, of the second.
        response_method : {"auto", "decision_function", "predict_proba", "predict_log_proba"}, \
                default="auto"
            What the scores are, never guessed from their values; "auto" reads them as logits.
        smoothing : "auto" or float, default="auto"
            For probabilities, the share of the uniform distribution mixed in before the
            logarithm, for the whole curve; "auto" fits it along with T, as
            :class:`~skcalib.TemperatureScaling` does, and the legend says what it is. The hollow
            marker is the model without it, above or below the curve; an arrow says that it is
            farther up than the curve goes. The best T is that of the smoothed probabilities: much
            smoothing asks for a T below 1. With 0 exact zeros count as the smallest normal float64
            and decide the best T.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each row counts for; None is one each.
        groups : array-like of shape (n_samples,), default=None
            Which rows belong together: the interval takes those of one group for dependent.
        labels : array-like of shape (n_classes,), default=None
            The sorted labels, one per column. Needed where some do not occur in `y_true`.
        name : str, default=None
            Name of the model, for the legend.
        ax : matplotlib Axes, default=None
            Axes to draw into; None makes a new figure.
        **kwargs : dict
            Passed to matplotlib's `plot` for the curve.

        Returns
        -------
        display : TemperatureDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If an option is not among its values, a label is unknown, or the scores are not what
            `response_method` says.
        ImportError
            If matplotlib is not installed.
        """
        _check(response_method, smoothing)
        y = check_labels(y_true, "y_true")
        method = RESPONSE_METHODS[0] if response_method == "auto" else response_method
        values = score_columns(scores, method, "scores")
        check_same_length(len(values), y, "scores", "y_true")
        classes = check_column_classes(
            labels, values.shape[1], y, name="labels", columns_of="scores"
        )
        if not np.array_equal(classes, np.unique(classes)):
            raise ValueError(
                "labels must be sorted, as the columns of scores are, got "
                f"{np.asarray(labels).tolist()}."
            )
        y_index = encode(y, classes, "y_true", "the labels")
        display = cls._of_scores(
            Scores(values, method, "scores"), y_index, smoothing, sample_weight, groups
        )
        if response_method == "auto" and look_like_probabilities(check_numeric(scores, "scores")):
            warnings.warn(
                "every row of scores looks like probabilities, but they are read as logits. If "
                "they are probabilities, pass response_method='predict_proba'; if not, "
                "response_method='decision_function' says so.",
                UserWarning,
                stacklevel=2,
            )
        return display.plot(ax=ax, name=name, **kwargs)

    @classmethod
    def _of_scores(
        cls,
        scores: Scores,
        y_index: NDArray,
        smoothing: float | str,
        sample_weight: ArrayLike | None,
        groups: ArrayLike | None,
    ) -> TemperatureDisplay:
        """The best temperature, and the curve around it."""
        weight = check_weights(sample_weight, len(y_index))
        codes = check_groups(groups, len(y_index))
        columns = np.arange(scores.values.shape[1])
        rows = CalibrationRows(scores, y_index, columns, weight, codes)
        offset, fit = fit_scores(rows, _NO_PRIOR, smoothing)
        temperature, interval = _best_temperature(fit)
        temperatures = _range_of(temperature, interval)
        return cls(
            temperatures,
            loss_curve(scores.source(offset), y_index, weight, temperatures),
            temperature=temperature,
            interval=interval,
            loss_before=fit.loss_before,
            smoothing=smoothing_of(offset, rows.n_classes),
        )

    def plot(self, *, ax: Any = None, name: str | None = None, **kwargs: Any) -> TemperatureDisplay:
        """Draw the diagram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into, and nowhere else; None makes a new figure.
        name : str, default=None
            Name of the model, for the legend; None is that of the display.
        **kwargs : dict
            Passed to matplotlib's `plot` for the curve.

        Returns
        -------
        display : TemperatureDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        require_matplotlib("TemperatureDisplay")
        refuse_line_properties(**kwargs)
        ax = new_axes((6, 4.5)) if ax is None else ax
        if not any(line.get_label() == _ONE for line in ax.lines):
            ax.axvline(1, color=GREY, linestyle=":", linewidth=1, label=_ONE)
        ax.set_xscale("log")
        self._draw(ax, self.name if name is None else name, kwargs)
        _label_ticks(ax)
        ax.set_xlabel("Temperature T (log scale)\nshaded: 95 % interval of the best T")
        ax.set_ylabel("Mean log loss (nats)")
        one = [line for line in ax.lines if line.get_label() == _ONE]
        drawn = [line for line in ax.lines if line not in one]
        place_legend(ax, [*drawn, *ax.patches], rather_not=one)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw(self, ax: Any, name: str | None, kwargs: dict[str, Any]) -> None:
        place, best = n_drawn(ax, _CURVE), float(self.temperature)
        drawn, losses = np.asarray(self.temperatures, float), np.asarray(self.losses, float)
        ends = np.clip(np.asarray(self.interval, float), drawn[0], drawn[-1])

        def loss_at(temperature: float | NDArray) -> Any:
            return np.interp(np.log(temperature), np.log(drawn), losses)

        at_one = float(loss_at(1.0))
        before = at_one if self.loss_before is None else float(self.loss_before)
        after = float(loss_at(best)) if drawn[0] <= best <= drawn[-1] else None
        moved = abs(before - at_one) > _SMALL_MOVE * np.ptp(losses)
        smoothed = bool(self.smoothing > 0 and (moved or self.smoothing >= _SMALL_SHARE))
        temperatures = drawn if after is None else np.union1d(drawn, best)
        style = style_of(place) | {"linestyle": _LINES[place % len(_LINES)], "markersize": 6}
        style |= {"markevery": np.flatnonzero(temperatures == best), "gid": _CURVE}
        style["label"] = _legend_entry(self, name, ends, after, smoothed)
        line = ax.plot(temperatures, loss_at(temperatures), **(style | kwargs))[0]
        _draw_as_it_is(ax, line, before, losses.max())
        self.line_, self.band_ = line, None
        if 0 < best < np.inf:
            self.band_ = ax.axvspan(*ends, color=line.get_color(), alpha=0.15, linewidth=0)


def _draw_as_it_is(ax: Any, line: Any, loss: float, highest: float) -> None:
    """A hollow marker at T = 1; an arrow where it would be above all of the curve."""
    inside = bool(loss <= highest * (1 + _ROUNDING))
    look = {
        "color": line.get_color(),
        "marker": line.get_marker() if inside else r"$\uparrow$",
        "markersize": line.get_markersize() * (1 if inside else 2),
        "markerfacecolor": "white" if inside else line.get_color(),
    }
    label = f"model as it is: loss {_loss(loss)}" + " (farther up)" * (not inside)
    ax.plot([1], [loss if inside else highest], linestyle="none", label=label, **look)


def _check(response_method: str, smoothing: float | str) -> None:
    given = {"response_method": response_method, "smoothing": smoothing}
    check_options(_CONSTRAINTS, "TemperatureDisplay", **given)


def _best_temperature(fit: TemperatureFit) -> tuple[float, NDArray]:
    """T and its interval; 0 or infinity, and any T, where the search ended at a bound."""
    if fit.obstacle in (PERFECT, UNINFORMATIVE, OUT_OF_RANGE):
        return 0.0 if fit.log_beta > 0 else np.inf, np.array([0.0, np.inf])
    return fit.temperature, fit.interval


def _range_of(temperature: float, interval: NDArray) -> NDArray:
    """Temperatures to draw: from below to above T = 1, the best T and its interval."""
    shown = float(np.clip(temperature, 1 / _FAR_FROM_ONE, _FAR_FROM_ONE))
    shown = temperature if 0 < temperature < np.inf else shown
    low, high = min(1.0, shown), max(1.0, shown)
    low = max(min(low, interval[0]), low / _FAR)
    high = min(max(high, interval[1]), high * _FAR)
    margin = max(_MARGIN * np.log(high / low), _LEAST_MARGIN)
    drawn = np.exp(np.linspace(np.log(low) - margin, np.log(high) + margin, _N_POINTS))
    return np.union1d(drawn, [1.0, shown])


def _legend_entry(
    display: TemperatureDisplay,
    name: str | None,
    ends: NDArray,
    after: float | None,
    smoothed: bool,
) -> str:
    """The best T with its interval and its loss, and what the curve is."""
    best, interval = float(display.temperature), np.asarray(display.interval, float)
    low, high = (
        _number(end) if end == shown or end in (0, np.inf) else f"{sign}{_number(shown)}"
        for end, shown, sign in zip(interval, ends, "<>", strict=True)
    )
    entry = f"best T {_number(best)}" + f" ({low} to {high})" * (0 < best < np.inf)
    lines = [entry if after is None else f"{entry}: loss {_loss(after)}"]
    if smoothed:
        share = display.smoothing
        percent = share >= _SMALL_SHARE
        text = f"{100 * share:.2g} %" if percent else f"{share:.2g}"
        lines.append(f"curve: {text} of uniform mixed in first")
    return "\n".join(lines if name is None else [name, *lines])


def _number(value: float) -> str:
    if np.isinf(value):
        return "\N{INFINITY}"
    return f"{value:,.0f}" if _LARGE <= value < _LARGE**2 else f"{value:.3g}"


def _loss(value: float) -> str:
    return f"{value:.3f}" if value < _LARGE else _number(value)


def _label_ticks(ax: Any) -> None:
    """Plain numbers, more of each decade the fewer there are."""
    from matplotlib.ticker import LogLocator, NullLocator

    low, high = ax.get_xlim()
    subs = next(subs for ratio, subs in _TICKS if high / low < ratio)
    ax.xaxis.set_major_locator(LogLocator(subs=subs))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
