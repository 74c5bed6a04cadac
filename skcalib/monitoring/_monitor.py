"""Watching the calibration of a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from skcalib._validation import (
    Interval,
    Predictions,
    StrOptions,
    check_options,
    check_parameters,
)
from skcalib.monitoring._alarm import Alarm
from skcalib.monitoring._detector import Crossing, Detector
from skcalib.monitoring._history import History
from skcalib.monitoring._intake import check_rows, check_scalars, check_unlabelled
from skcalib.monitoring._monitor_report import MonitorReport, regime_rows
from skcalib.monitoring._questions import ChangeQuestion, LevelQuestion, Question
from skcalib.monitoring._regimes import check_regimes
from skcalib.monitoring._state import read_state, state_of
from skcalib.monitoring._terms import (
    WEIGHT,
    outcomes_of,
    rows_of,
    temperature_interval,
    temperature_of,
    terms_of_rows,
    terms_without_labels,
)

_COUNT = Interval(Integral, 1, None, closed="left")

# Parameters that a test keeps as they were when it began.
_OF_THE_TEST = ("question", "alpha", "arl", "tolerance", "n_reference", "random_state")

# Rows that are taken in together: what is computed of them fits into memory.
_ROWS_AT_ONCE = 4096

# With an arl they come again and again.
_MOST_ALARMS = 100

# Evidence beyond e^700 says no more.
_LARGEST_LOG = 700.0


class CalibrationMonitor(BaseEstimator):
    r"""Watch the probabilities a model serves: figures, the temperature they lack, and an alarm.

    Feed it the labels and the probabilities that were served, in batches of any size, as the
    labels arrive:

    - question "level" asks whether the probabilities are calibrated. It alarms when they are not,
      from the first row or since some later one;
    - question "change" asks whether the model still errs as often, at each confidence, as on the
      first `n_reference` rows, calibrated or not.

    The alarm may be looked at after every row: of streams on which nothing is wrong, at most a
    share of `alpha` ever raise it, however long they run. The evidence that reaches
    ``1 / alpha`` is what bets against the null hypothesis have won. (An alarm on a windowed ECE has
    no such promise: chance alone makes the ECE of few rows large.)

    Its state is small (some dozen kilobytes for each regime, however many rows came), can be
    pickled or written as JSON, and goes on with the same alarms to the last bit; cutting rows into
    other batches changes nothing either.

    Parameters
    ----------
    question : {"level", "change"}, default="level"
        What the alarm is about.
    alpha : float, default=0.05
        Share of streams without a fault that ever raise a false alarm, at most.
    arl : float, default=None
        Instead of `alpha`, for streams without an end: the monitor starts anew after each alarm,
        and a stream without a fault raises one every `arl` rows on average, or less often.
    window : int, default=1000
        Rows of the figures in `report`, to one block of a twentieth of it.
    tolerance : float, default=0.0
        For question "level": how far log T of a row may be from 0 without being called a fault. A
        temperature that was fitted on a few hundred rows is not exactly right, and an exact test
        finds out: give twice the standard error of its logarithm (a quarter of the width of
        log `temperature_interval_` is nearly that error).
    n_reference : int, default=1000
        For question "change": how many rows come first that nothing is said about. With fewer, the
        alarm is as safe, but later.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column; needed where the first batch may lack some.
    random_state : int, RandomState instance or None, default=0
        For question "change": breaks ties between equal outcomes.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_rows_ : int
        Labelled rows so far.
    alarms_ : list of Alarm
        What was raised so far, of many the last 100.
    has_alarmed_ : bool
        Whether the present test has raised its alarm; with `arl` never, for a new one begins.
    evidence_ : float
        Where the evidence stands: 1 at the beginning, an alarm at ``1 / alpha``. With `arl` it
        begins at 0, grows by 1 with each row on average, and raises the alarm at `arl`.
    temperature_ : float
        Temperature that the probabilities of the last `window` rows lack: 1 if they are calibrated,
        above 1 if they are overconfident. It is looked for between 1/8 and 8; the interval is open
        on the side on which it lies beyond. NaN without labelled rows.
    temperature_interval_ : ndarray of shape (2,)
        Its 95 % interval.

    Notes
    -----
    *Labels that come late* may be fed in the order they arrive, with the probabilities that were
    served, or after a fixed time; until then ``update(None, proba)`` keeps the expected accuracy.
    Where it depends on the outcome which labels arrive, or when, no alarm is valid.

    *Outcomes seen of some rows only*, with a known probability g given before the outcome: give
    the weights ``g.min() / g`` (a bound known beforehand serves for the minimum). Weights have to
    be in [0, 1], and known before the label. Question "change" takes none.

    *Several monitors*, one for each worker or regime, alarm falsely in a share of `alpha` each:
    give each `alpha` divided by their number, or look at :func:`merge_monitors` alone.

    *With* `arl` the reference of question "change" is kept through alarms, and rows go on being
    counted. A call to `restart` begins with a new one.

    *Question "change"* compares within four bins of confidence. Confidence that drifts inside a
    bin, of a model that is as good as before, can raise it.

    "level": each row is bet on with e-values against "the label is drawn from ``q^(1 / T0)``,
    normalised, log T0 of the row within the tolerance": six other temperatures, labels that are
    noise in part, and, of up to 32 classes, each class more and less often than predicted.
    "change": conformal p-values of hits and misses within bins of confidence (.5, .8, .95), bet on
    with other frequencies of misses. Won stakes are added up over all rows at which the change may
    have come.

    Examples
    --------
    A model that exaggerates from row 1001 on: its labels are drawn at temperature 2.

    >>> import numpy as np
    >>> from scipy.special import softmax
    >>> from skcalib.monitoring import CalibrationMonitor
    >>> rng = np.random.default_rng(0)
    >>> logits = rng.normal(scale=3, size=(2000, 4))
    >>> truth = softmax(logits / np.repeat([[1.0], [2.0]], 1000, axis=0), axis=1)
    >>> y = (truth.cumsum(axis=1) > rng.random((2000, 1))).argmax(axis=1)
    >>> monitor = CalibrationMonitor()
    >>> (alarm,) = monitor.update(y, softmax(logits, axis=1))
    >>> 1000 < alarm.row < 1100
    True
    >>> lower, upper = alarm.interval  # of the temperature since then
    >>> 1 < lower < 2 < upper
    True

    References
    ----------
    J. Shin, A. Ramdas, A. Rinaldo, E-detectors: a nonparametric framework for sequential change
    detection, 2022 (sums of bets begun at every row).
    V. Vovk, I. Nouretdinov, A. Gammerman, Testing exchangeability on-line, ICML 2003 (conformal
    p-values).
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "question": [StrOptions({"level", "change"})],
        "alpha": [Interval(Real, 0, 1, closed="neither")],
        "arl": [Interval(Real, 1, None, closed="neither"), None],
        "window": [_COUNT],
        "tolerance": [Interval(Real, 0, 2, closed="both")],
        "n_reference": [_COUNT],
        "labels": ["array-like", None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        question: str = "level",
        *,
        alpha: float = 0.05,
        arl: float | None = None,
        window: int = 1000,
        tolerance: float = 0.0,
        n_reference: int = 1000,
        labels: ArrayLike | None = None,
        random_state: Any = 0,
    ) -> None:
        self.question = question
        self.alpha = alpha
        self.arl = arl
        self.window = window
        self.tolerance = tolerance
        self.n_reference = n_reference
        self.labels = labels
        self.random_state = random_state

    def update(
        self,
        y_true: ArrayLike | None,
        y_proba: ArrayLike,
        *,
        regime: Any = None,
        sample_weight: ArrayLike | None = None,
        **scalars: ArrayLike,
    ) -> list[Alarm]:
        """Take in rows, in the order they came.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or None
            True labels; None while they are late. Rows that are fed again with their labels are
            counted among both.
        y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
            The probabilities that were served; for two classes those of the second will do.
        regime : str, int or array-like of shape (n_samples,), default=None
            The regime of all rows or of each: a route, a customer, a version. Figures are kept of
            each, the alarm is about all rows together.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights in [0, 1] that were known before the labels.
        **scalars : float or array-like of shape (n_samples,)
            Other numbers to keep the mean of: latency, escalations, satisfaction; NaN where there
            is none.

        Returns
        -------
        alarms : list of Alarm
            Those that these rows raised; mostly empty.

        Raises
        ------
        ValueError
            If rows are wrong, in which case none of them is taken in.
        """
        if not hasattr(self, "_history"):
            check_parameters(self)
        labels = getattr(self, "classes_", self.labels)
        if y_true is None:
            proba = check_unlabelled(y_proba, sample_weight, labels)
            self._take_unlabelled(proba, regime, scalars)
            return []
        if np.shape(y_true) == (0,) and np.shape(y_proba)[:1] == (0,):  # an hour without labels
            return []
        asked = self._asked["question"] if hasattr(self, "_asked") else self.question
        checked = check_rows(y_true, y_proba, sample_weight, labels, asked)
        n_rows = len(checked.y_index)
        names, codes = check_regimes(regime, n_rows)
        numbers = check_scalars(scalars, n_rows)
        self._start(checked.classes)
        raised: list[Alarm] = []
        for start in range(0, n_rows, _ROWS_AT_ONCE):
            rows = slice(start, min(start + _ROWS_AT_ONCE, n_rows))
            some = {name: values[rows] for name, values in numbers.items()}
            raised += self._take(rows_of(checked, rows), names, codes[rows], some)
        return raised

    def restart(self) -> Self:
        """Begin a new test, as after a refit: the evidence, and the reference, are forgotten.

        Figures and alarms are kept. Each test has its own `alpha`. Parameters changed since the
        last one are taken up, such as the `tolerance` of a new temperature; not `window` and
        `labels`.

        Returns
        -------
        self : CalibrationMonitor
        """
        self._check_started()
        check_parameters(self)
        if hasattr(self, "_detector"):
            self._ask(self.get_params(deep=False))
        return self

    def log_evidence(self) -> float:
        """Logarithm of `evidence_`, which may be too large for a number.

        Returns
        -------
        log_evidence : float
        """
        self._check_started()
        if hasattr(self, "_detector"):
            return self._detector.log_evidence
        return 0.0 if self.arl is None else -np.inf

    def report(self) -> MonitorReport:
        """Figures of the last `window` rows, of all and of each regime, and the evidence.

        Returns
        -------
        report : MonitorReport
        """
        self._check_started()
        return MonitorReport(
            rows=regime_rows(self._history.in_window()),
            n_rows=self.n_rows_,
            evidence=self.evidence_,
            threshold=self._threshold(),
            alarms=list(self.alarms_),
        )

    def history(self, *, every: int | None = None) -> list[dict[str, Any]]:
        """The same figures over time, in pieces of some rows.

        Parameters
        ----------
        every : int, default=None
            Rows of a piece, at least 1; None is `window`. Rows are kept in blocks of a twentieth of
            it, those before the window in longer ones, so that the state stays small: pieces are
            whole blocks.

        Returns
        -------
        records : list of dict
            For each piece and regime ("all" first) the rows `start` < row <= `stop`, ``regime``,
            ``n_rows``, ``log_loss``, ``brier``, ``accuracy``, ``confidence``, ``temperature`` with
            ``lower`` and ``upper``, ``n_unlabelled``, ``expected_accuracy``, ``evidence`` after
            its last row, and ``scalars``, means by name. What is not known is None.
        """
        self._check_started()
        if every is not None:
            check_options({"every": [_COUNT]}, "history", every=every)
        records = []
        for block in self._history.over_time(every or self.window):
            place = {"start": block.start, "stop": block.stop}
            evidence = {"evidence": finite_exp(block.log_evidence)}
            records += [place | row | evidence for row in regime_rows(block)]
        return records

    def to_json_lines(self) -> Iterator[str]:
        """`history` and the alarms for a dashboard: one JSON object per line.

        Yields
        ------
        line : str
            ``{"kind": "figures", ...}`` or ``{"kind": "alarm", ...}``, without the line's end.
        """
        for record in self.history():
            yield json.dumps({"kind": "figures", **record}, allow_nan=False)
        for alarm in self.alarms_:
            yield json.dumps({"kind": "alarm", **alarm.to_dict()}, allow_nan=False)

    def to_json(self) -> str:
        """All of its state, to go on from elsewhere with the same alarms to the last bit.

        Returns
        -------
        text : str

        Raises
        ------
        TypeError
            If `random_state` is an object, or a label or regime is no string, number or boolean.
        """
        return json.dumps(state_of(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The monitor that `to_json` wrote.

        Parameters
        ----------
        text : str

        Returns
        -------
        monitor : CalibrationMonitor

        Raises
        ------
        ValueError
            If the text is no JSON, or is damaged.
        """
        return read_state(cls, text)

    @property
    def n_rows_(self) -> int:
        """Labelled rows so far."""
        self._check_started()
        return self._history.n_rows

    @property
    def has_alarmed_(self) -> bool:
        """Whether the present test has raised its alarm."""
        self._check_started()
        return hasattr(self, "_detector") and self._detector.has_alarmed

    @property
    def evidence_(self) -> float:
        """Where the evidence stands."""
        self._check_started()
        return finite_exp(self.log_evidence())

    @property
    def temperature_(self) -> float:
        """Temperature that the last rows lack."""
        return self._recent_temperature()[0]

    @property
    def temperature_interval_(self) -> NDArray:
        """Its 95 % interval, (2,)."""
        return np.array(self._recent_temperature()[1:])

    def _start(self, classes: NDArray | None) -> None:
        """Make what the first rows need: the figures, and with labels the test."""
        if not hasattr(self, "_history"):
            self._history = History(self.window)
            self.alarms_: list[Alarm] = []
        if classes is not None and not hasattr(self, "_detector"):
            self.classes_ = classes
            self._ask(self.get_params(deep=False))

    def _ask(self, parameters: dict[str, Any]) -> None:
        """Begin a test with these parameters, and keep them: those of the object may change."""
        self._asked = {name: parameters[name] for name in _OF_THE_TEST}
        question: Question
        if parameters["question"] == "level":
            question = LevelQuestion(self.classes_, parameters["tolerance"])
        else:
            question = ChangeQuestion(parameters["n_reference"], _own(parameters["random_state"]))
        arl = parameters["arl"]
        threshold = 1 / parameters["alpha"] if arl is None else arl
        self._detector = Detector(question, threshold, arl is not None, self._history.n_rows)

    def _threshold(self) -> float:
        if hasattr(self, "_detector"):
            return self._detector.threshold
        return 1 / self.alpha if self.arl is None else self.arl

    def _take(
        self, checked: Predictions, names: list[Any], codes: NDArray, scalars: dict[str, NDArray]
    ) -> list[Alarm]:
        """Take in rows that are known to be right; the alarms that they raise."""
        outcomes = outcomes_of(checked)
        terms = terms_of_rows(checked, outcomes)
        log_evidence, crossings = self._detector.run(checked, outcomes)
        raised = []
        ends = {crossing.place + 1: crossing for crossing in crossings}
        for rows in self._history.pieces(len(codes), list(ends)):
            some = {name: values[rows] for name, values in scalars.items()}
            stands = float(log_evidence[rows.stop - 1])
            self._history.add(names, codes[rows], terms[rows], some, stands)
            if rows.stop in ends:
                raised.append(self._alarm(ends[rows.stop]))
        self.alarms_ = (self.alarms_ + raised)[-_MOST_ALARMS:]
        return raised

    def _recent_temperature(self) -> tuple[float, float, float]:
        self._check_started()
        sums = self._history.in_window().total()
        if not sums[WEIGHT] > 0:
            return np.nan, np.nan, np.nan
        return temperature_interval(temperature_of(sums))

    def _alarm(self, crossing: Crossing) -> Alarm:
        """An alarm at the row that was added last."""
        block = self._history.since(crossing.change_at)
        temperature, lower, upper = temperature_interval(temperature_of(block.total()))
        question, lead = self._detector.question, crossing.alternative
        return Alarm(
            row=block.stop,
            change_at=crossing.change_at,
            name=question.name_of(lead),
            share=crossing.share,
            evidence=finite_exp(crossing.log_evidence),
            since=block.start + 1,
            n_since=block.stop - block.start,
            temperature=temperature,
            interval=(lower, upper),
            advice=question.advice(lead, not lower <= 1 <= upper),
        )

    def _check_started(self) -> None:
        if not hasattr(self, "_history"):
            raise NotFittedError("This CalibrationMonitor has seen no rows: call update first.")

    def _take_unlabelled(self, proba: NDArray, regime: Any, scalars: dict[str, ArrayLike]) -> None:
        names, codes = check_regimes(regime, len(proba))
        numbers = check_scalars(scalars, len(proba))
        self._start(None)
        terms = terms_without_labels(proba)
        for rows in self._history.pieces(len(codes)):
            some = {name: values[rows] for name, values in numbers.items()}
            self._history.add(names, codes[rows], terms[rows], some, self.log_evidence())


def _own(random_state: Any) -> np.random.RandomState:
    """Random numbers of the monitor's own: nobody else's draws are used up, or foretold."""
    if random_state is None:
        return np.random.RandomState()
    return deepcopy(check_random_state(random_state))


def finite_exp(log_evidence: float) -> float:
    """Evidence as a finite number, as JSON takes it."""
    if log_evidence < -_LARGEST_LOG:
        return 0.0
    return float(np.exp(min(log_evidence, _LARGEST_LOG)))
