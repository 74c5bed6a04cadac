"""A monitored stream over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib.display._drawing import COLORS, GREY, MARKERS, require_matplotlib, style_of

# More regimes than there are colours could not be told apart.
_MOST_REGIMES = len(COLORS)

_HEIGHTS = (2, 2, 1.3)
_ALL = "all"
_ALARM = COLORS[1]
# Powers of ten that an axis can hold.
_EVIDENCE = (1e-12, 1e30)
_TICKS = [0.125, 0.25, 0.5, 0.7, 1, 1.4, 2, 4, 8]


class MonitorDisplay:
    """What a calibration monitor saw: temperature, accuracy and evidence over time.

    Made by :meth:`from_monitor`, or from the records of
    :meth:`~skcalib.monitoring.CalibrationMonitor.history`. Rows run from left to right.

    - At the top the temperature that the served probabilities lack, of each piece of rows, with its
      95 % interval: 1 is calibrated, above 1 overconfident.
    - In the middle the accuracy, and the mean confidence that it should be equal to.
    - At the bottom the evidence against the null hypothesis, and the line at which it raises an
      alarm. Alarms are lines across all three; the dashed one before each is where the change
      probably began.

    Parameters
    ----------
    history : list of dict
        Figures over time.
    evidence : list of dict, default=None
        The same in shorter pieces, for the evidence; None draws that of `history`.
    alarms : list of Alarm or of dict, default=()
        What was raised.
    threshold : float, default=None
        The evidence that raises an alarm; None draws no line.

    Attributes
    ----------
    axes_ : ndarray of shape (3,)
        The axes drawn into.
    figure_ : matplotlib Figure
        The figure they are in.

    See Also
    --------
    skcalib.monitoring.CalibrationMonitor : What is drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from skcalib.display import MonitorDisplay
    >>> from skcalib.monitoring import CalibrationMonitor
    >>> rng = np.random.default_rng(0)
    >>> p = rng.random(3000)
    >>> monitor = CalibrationMonitor()
    >>> monitor.update(rng.random(3000) < p, p)
    []
    >>> display = MonitorDisplay.from_monitor(monitor)
    >>> len(display.history)  # pieces of 1000 rows
    3
    """

    def __init__(
        self,
        history: Sequence[Mapping[str, Any]],
        *,
        evidence: Sequence[Mapping[str, Any]] | None = None,
        alarms: Sequence[Any] = (),
        threshold: float | None = None,
    ):
        self.history = history
        self.evidence = evidence
        self.alarms = alarms
        self.threshold = threshold

    @classmethod
    def from_monitor(
        cls, monitor: Any, *, every: int | None = None, regimes: bool = True, axes: Any = None
    ) -> MonitorDisplay:
        """Draw a monitor that has seen rows.

        Parameters
        ----------
        monitor : CalibrationMonitor
            The monitor.
        every : int, default=None
            Rows of each point; None is the monitor's `window`.
        regimes : bool, default=True
            Whether to draw the temperature of each named regime, of up to 6.
        axes : sequence of three matplotlib Axes, default=None
            Axes to draw into, from top to bottom; None makes a new figure.

        Returns
        -------
        display : MonitorDisplay
            The display, drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        display = cls(
            monitor.history(every=every),
            evidence=monitor.history(every=1),
            alarms=list(monitor.alarms_),
            threshold=monitor.report().threshold,
        )
        return display.plot(regimes=regimes, axes=axes)

    def plot(self, *, regimes: bool = True, axes: Any = None) -> MonitorDisplay:
        """Draw it.

        Parameters
        ----------
        regimes : bool, default=True
            Whether to draw the temperature of each named regime, of up to 6.
        axes : sequence of three matplotlib Axes, default=None
            Axes to draw into, from top to bottom; None makes a new figure.

        Returns
        -------
        display : MonitorDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there is nothing to draw, or `axes` are not three.
        ImportError
            If matplotlib is not installed.
        """
        require_matplotlib("MonitorDisplay")
        if not self.history:
            raise ValueError("history holds no records: the monitor has seen no rows.")
        if axes is None:
            axes = _new_axes()
        elif np.shape(axes) != (3,):
            raise ValueError(f"axes must be three, from top to bottom, got {axes!r:.80}.")
        top, middle, bottom = axes
        self.axes_ = np.asarray(axes)
        self.figure_ = top.figure
        self._draw_temperatures(top, regimes)
        self._draw_accuracy(middle)
        self._draw_evidence(bottom)
        for place, alarm in enumerate(self.alarms):
            self._draw_alarm(alarm, is_first=place == 0)
        top.legend(loc="upper left", frameon=False, ncols=3)
        middle.legend(loc="lower left", frameon=False, ncols=2)
        return self

    def _of(self, regime: Any) -> list[Mapping[str, Any]]:
        return [r for r in self.history if r["regime"] == regime and r["temperature"] is not None]

    def _draw_temperatures(self, ax: Any, regimes: bool) -> None:
        from matplotlib.ticker import NullFormatter

        named = dict.fromkeys(r["regime"] for r in self.history)
        named.pop(_ALL, None)
        shown = list(named)[:_MOST_REGIMES] if regimes else []
        for place, regime in enumerate(shown):
            records = self._of(regime)
            look = style_of(place)
            values = _column(records, "temperature")
            ax.plot(_middles(records), values, label=str(regime), lw=1, ms=3, **look)
        records = self._of(_ALL)
        value = _column(records, "temperature")
        ends = np.abs([_column(records, "lower") - value, _column(records, "upper") - value])
        label = "all, with 95 % interval" if shown else "temperature, with 95 % interval"
        ax.errorbar(
            _middles(records), value, ends, color="black", marker="o", ms=4, lw=1.5, capsize=2,
            label=label,
        )  # fmt: skip
        ax.axhline(1, color=GREY, lw=1)
        ax.set_yscale("log")
        ax.set_yticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
        ax.yaxis.set_minor_formatter(NullFormatter())
        drawn = np.concatenate(
            [_column(records, "lower"), _column(records, "upper")]
            + [_column(self._of(regime), "temperature") for regime in shown]
        )
        drawn = drawn[~np.isnan(drawn)]  # an open end of an interval
        low, high = min(drawn.min(initial=1), 0.8), max(drawn.max(initial=1), 1.25)
        ax.set_ylim(max(low, 0.1) / 1.1, min(high, 10) * 1.35)  # room for the legend
        ax.set_ylabel("temperature lacking")
        ax.set_title("Overconfident above 1, calibrated at 1", loc="left", fontsize="medium")

    def _draw_accuracy(self, ax: Any) -> None:
        records = self._of(_ALL)
        x = _middles(records)
        for place, name in enumerate(("accuracy", "confidence")):
            label = name if name == "accuracy" else "mean confidence"
            look = {"color": COLORS[place * 2], "marker": MARKERS[place]}
            ax.plot(x, _column(records, name), label=label, ls="-" if place else "--", ms=4, **look)
        ax.margins(y=0.25)
        ax.set_ylabel("share of rows")

    def _draw_evidence(self, ax: Any) -> None:
        records = [r for r in self.evidence or self.history if r["regime"] == _ALL]
        values = np.clip(_column(records, "evidence"), *_EVIDENCE)
        ax.plot(_column(records, "stop"), values, color="black", lw=1.2)
        ax.set_yscale("log")
        ceiling = 10.0
        if self.threshold is not None:
            ax.axhline(self.threshold, color=_ALARM, lw=1, ls=":")
            note = f"alarm at {self.threshold:g}"
            ax.annotate(note, (0, self.threshold), xycoords=("axes fraction", "data"),
                        xytext=(3, 2), textcoords="offset points", color=_ALARM,
                        fontsize="small")  # fmt: skip
            ceiling = self.threshold * 30
        # What is far above the line says no more than what is above it.
        ax.set_ylim(np.clip(values.min() / 2, 1e-3, 0.5), ceiling)
        ax.set_ylabel("evidence")
        ax.set_xlabel("rows")
        ax.xaxis.set_major_formatter("{x:,.0f}")

    def _draw_alarm(self, alarm: Any, *, is_first: bool) -> None:
        get = alarm.get if isinstance(alarm, Mapping) else lambda name: getattr(alarm, name)
        for ax in self.axes_:
            ax.axvline(get("change_at"), color=_ALARM, lw=0.8, ls="--")
            ax.axvline(get("row"), color=_ALARM, lw=1.2)
        if is_first:
            late = get("row") > self.history[-1]["stop"] / 2
            at = get("change_at") if late else get("row")
            self.axes_[1].annotate(
                get("name"), (at, 1), xycoords=("data", "axes fraction"),
                xytext=(-4 if late else 4, -4), textcoords="offset points", va="top",
                ha="right" if late else "left", color=_ALARM, fontsize="small",
            )  # fmt: skip


def _new_axes() -> Any:
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(
        3, 1, figsize=(9, 7), sharex=True, height_ratios=_HEIGHTS, layout="constrained"
    )
    return axes


def _column(records: Sequence[Mapping[str, Any]], name: str) -> NDArray:
    return np.array([record[name] for record in records], dtype=float)


def _middles(records: Sequence[Mapping[str, Any]]) -> NDArray:
    return (_column(records, "start") + _column(records, "stop")) / 2
