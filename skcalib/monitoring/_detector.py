"""The test that runs along a stream: a question, the evidence so far, and where it crosses."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._evidence import (
    Evidence,
    after,
    follow,
    log_value,
    no_evidence,
    shares_of,
)
from skcalib._validation import Predictions
from skcalib.monitoring._questions import Question
from skcalib.monitoring._terms import Outcomes, rows_of


class Crossing(NamedTuple):
    """The evidence reached its threshold."""

    place: int  # of the row in its batch
    change_at: int  # row of the stream, from 1
    alternative: int  # the leading one
    share: float  # of its family
    log_evidence: float


class Run(NamedTuple):
    """What a batch of rows did to the evidence."""

    log_evidence: NDArray  # (n,), after each row
    crossings: list[Crossing]


class Detector:
    """Evidence against a question's null hypothesis, from some row of a stream on.

    Parameters
    ----------
    question : Question
    threshold : float
        The evidence that raises an alarm.
    starts_again : bool
        Whether it begins anew after an alarm, with a stake on every row; else it alarms once.
    n_rows : int
        Rows of the stream before.
    """

    def __init__(
        self, question: Question, threshold: float, starts_again: bool, n_rows: int
    ) -> None:
        self.question = question
        self.threshold = threshold
        self.starts_again = starts_again
        self.n_rows = n_rows
        self.has_alarmed = False
        self.evidence = no_evidence(len(question.log_share))

    @property
    def log_evidence(self) -> float:
        """Where the evidence stands."""
        return log_value(self.evidence, self.question.log_share, self._at_once())

    def run(self, checked: Predictions, outcomes: Outcomes) -> Run:
        """Bet on rows, or, while the question waits, let it learn from them."""
        n_rows = len(outcomes.y_index)
        n_waiting = min(self.question.n_waiting(), n_rows)
        if n_waiting:
            self.question.learn(_rows_of(outcomes, slice(0, n_waiting)))
            self.n_rows += n_waiting
        path = np.full(n_rows, self.log_evidence)
        rest = slice(n_waiting, n_rows)
        bets = rows_of(checked, rest)
        evalues = self.question.log_evalues(bets, _rows_of(outcomes, rest))
        crossings = []
        place = n_waiting
        while place < n_rows:
            n_taken = self._follow(evalues[place - n_waiting :], path[place:])
            place += n_taken
            crossed = path[place - 1] >= np.log(self.threshold)
            if crossed and not self.has_alarmed:
                crossings.append(self._cross(place - 1, path[place - 1]))
        return Run(path, crossings)

    def _follow(self, evalues: NDArray, out: NDArray) -> int:
        """Take rows up to the next crossing, or all of them; their number."""
        path = follow(self.evidence, evalues, self.question.log_share, self._at_once())
        crossed = np.flatnonzero(path.log_value >= np.log(self.threshold))
        stops = len(crossed) and not self.has_alarmed
        n_taken = int(crossed[0]) + 1 if stops else len(evalues)
        out[:n_taken] = path.log_value[:n_taken]
        self.evidence = after(path, n_taken)
        self.n_rows += n_taken
        return n_taken

    def _cross(self, place: int, log_evidence: float) -> Crossing:
        shares = shares_of(self.evidence, self.question.log_share)
        family = self.question.family
        of_family = np.bincount(family, weights=shares)
        lead = int(np.where(family == of_family.argmax(), shares, -1).argmax())
        first = self.n_rows - self.evidence.n_rows  # rows before this test
        crossing = Crossing(
            place,
            first + int(self.evidence.lowest_at[lead]) + 1,
            lead,
            float(of_family.max()),
            float(log_evidence),
        )
        if self.starts_again:
            self.evidence = no_evidence(len(shares))
        else:
            self.has_alarmed = True
        return crossing

    def _at_once(self) -> float | None:
        return None if self.starts_again else self.question.at_once

    def to_dict(self) -> dict[str, Any]:
        """Its memory, for JSON."""
        n_rows, *arrays = self.evidence
        return {
            "n_rows": self.n_rows,
            "has_alarmed": self.has_alarmed,
            # JSON has no infinity: nothing staked yet is None.
            "evidence": [
                n_rows,
                *([None if np.isinf(x) else x for x in a.tolist()] for a in arrays),
            ],
            "question": self.question.to_dict(),
        }

    def restore(self, memory: dict[str, Any]) -> None:
        """The same memory again."""
        self.n_rows = int(memory["n_rows"])
        self.has_alarmed = bool(memory["has_alarmed"])
        n_rows, growth, stake, lowest, lowest_at = memory["evidence"]
        self.evidence = Evidence(
            int(n_rows),
            np.array(growth, dtype=np.float64),
            np.array([-np.inf if x is None else x for x in stake], dtype=np.float64),
            np.array(lowest, dtype=np.float64),
            np.array(lowest_at, dtype=np.int64),
        )
        self.question.restore(memory["question"])


def _rows_of(outcomes: Outcomes, rows: slice) -> Outcomes:
    weight = None if outcomes.weight is None else outcomes.weight[rows]
    return Outcomes(outcomes.y_index[rows], outcomes.confidence[rows], outcomes.miss[rows], weight)
