"""What a monitor may be asked, as bets against its null hypothesis.

A question turns rows into log e-values (n, J), one column per alternative, and says in words what
each alternative is and what to do if it leads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import row_blocks
from skcalib._kernels._change_bets import (
    CHANGES,
    N_CHANGE_BETS,
    Counts,
    add_counts,
    change_bets,
    confidence_bins,
    no_counts,
    odds_of_bets,
)
from skcalib._kernels._evidence import capped
from skcalib._kernels._level_bets import (
    NOISES,
    TEMPERATURES,
    level_bets,
    level_shares,
    n_level_bets,
)
from skcalib._validation import Predictions, plain_value
from skcalib.monitoring._terms import Outcomes, log_probabilities

# Every third reference row places bets; the others are what the stream is compared with.
_BETTING = 3

_REFIT = "refit the temperature on rows since then"
_LOOK_FIRST = "look at the labels and at confident errors, then refit the temperature"
_LABELS = "look at the labels and at confident errors: a temperature does not mend this"
_CLASSES = "compare class frequencies: PriorShift, or a calibrator with class offsets"


class Question(ABC):
    """A null hypothesis and the bets against it."""

    log_share: NDArray  # (J,), logarithms of the alternatives' weights
    family: NDArray  # (J,), codes: alternatives of one family say the same, more or less boldly
    at_once: float  # share of the stake that is on a change before the first row

    @abstractmethod
    def n_waiting(self) -> int:
        """How many rows it needs before it can bet."""

    @abstractmethod
    def log_evalues(self, checked: Predictions, outcomes: Outcomes) -> NDArray:
        """Log e-values (n, J) of rows in order, and a memory of them."""

    @abstractmethod
    def learn(self, outcomes: Outcomes) -> None:
        """Take rows as the reference."""

    @abstractmethod
    def name_of(self, alternative: int) -> str:
        """What the alternative says."""

    @abstractmethod
    def advice(self, alternative: int, lacks_temperature: bool) -> str:
        """What to do if it leads, by whether the rows since then say that T is not 1."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Its memory, for JSON."""

    @abstractmethod
    def restore(self, memory: dict[str, Any]) -> None:
        """Its memory again."""


class LevelQuestion(Question):
    """Whether the probabilities are calibrated, up to a temperature within the tolerance."""

    at_once = 0.25

    def __init__(self, classes: NDArray, tolerance: float) -> None:
        self.classes = classes
        self.tolerance = tolerance
        self.log_share = np.log(level_shares(len(classes)))
        n_others = len(self.log_share) - len(TEMPERATURES) - len(NOISES)
        above = np.array(TEMPERATURES) > 1
        noise = np.full(len(NOISES), 2)
        self.family = np.concatenate([above.astype(int), noise, 3 + np.arange(n_others)])

    def n_waiting(self) -> int:
        """It needs none."""
        return 0

    def learn(self, outcomes: Outcomes) -> None:
        """It has no reference."""

    def log_evalues(self, checked: Predictions, outcomes: Outcomes) -> NDArray:
        """Log e-values (n, J)."""
        n_rows, n_classes = checked.proba.shape
        out = np.empty((n_rows, n_level_bets(n_classes)))
        with np.errstate(all="ignore"):
            for rows in row_blocks(n_rows, n_classes):
                logs = log_probabilities(checked.proba, rows)
                out[rows] = level_bets(logs, checked.y_index[rows], self.tolerance)
        return capped(out, outcomes.weight)

    def name_of(self, alternative: int) -> str:
        """What the alternative says."""
        n_temperatures = len(TEMPERATURES)
        if alternative < n_temperatures:
            t = TEMPERATURES[alternative]
            return f"{'over' if t > 1 else 'under'}confident, about temperature {t:g}"
        if alternative < n_temperatures + len(NOISES):
            share = NOISES[alternative - n_temperatures]
            return f"{share:.0%} of the labels unlike the predictions"
        place, less = divmod(alternative - n_temperatures - len(NOISES), 2)
        label = plain_value(self.classes[place])
        return f"class {label!r} {'less' if less else 'more'} often than predicted"

    def advice(self, alternative: int, lacks_temperature: bool) -> str:
        """What to do if it leads."""
        if alternative < len(TEMPERATURES):
            return _REFIT
        if alternative >= len(TEMPERATURES) + len(NOISES):
            return _CLASSES
        return _LOOK_FIRST if lacks_temperature else _LABELS

    def to_dict(self) -> dict[str, Any]:
        """It has no memory."""
        return {}

    def restore(self, memory: dict[str, Any]) -> None:
        """It has no memory."""


class ChangeQuestion(Question):
    """Whether the model errs as often, at each confidence, as on the reference rows."""

    at_once = 0.0

    def __init__(self, n_reference: int, random_state: np.random.RandomState) -> None:
        self.n_reference = n_reference
        self.random_state = random_state
        self.log_share = np.full(N_CHANGE_BETS, -np.log(N_CHANGE_BETS))
        self.family = np.array([_direction(kind, by) for kind, by in CHANGES])
        self.n_learned = 0
        self.betting = no_counts()
        self.counting = no_counts()  # at the end of the reference
        self.counts = no_counts()  # running

    def n_waiting(self) -> int:
        """Rows that the reference still needs."""
        return max(self.n_reference - self.n_learned, 0)

    def learn(self, outcomes: Outcomes) -> None:
        """Count rows of the reference."""
        bins = confidence_bins(outcomes.confidence)
        bets = (self.n_learned + np.arange(len(bins))) % _BETTING == 0
        self.betting = add_counts(self.betting, bins[bets], outcomes.miss[bets])
        self.counting = add_counts(self.counting, bins[~bets], outcomes.miss[~bets])
        self.counts = self.counting
        self.n_learned += len(bins)

    def log_evalues(self, checked: Predictions, outcomes: Outcomes) -> NDArray:
        """Log e-values (n, J); counts the rows."""
        bins = confidence_bins(outcomes.confidence)
        odds = odds_of_bets(self.betting, self.counting)
        uniform = self.random_state.random_sample(len(bins))
        bets = change_bets(self.counts, bins, outcomes.miss, uniform, odds)
        self.counts = add_counts(self.counts, bins, outcomes.miss)
        return capped(bets, None)

    def name_of(self, alternative: int) -> str:
        """What the alternative says."""
        return _DIRECTIONS[self.family[alternative]]

    def advice(self, alternative: int, lacks_temperature: bool) -> str:
        """What to do: hits and misses alone do not tell, probabilities do."""
        return _LOOK_FIRST if lacks_temperature else _LABELS

    def to_dict(self) -> dict[str, Any]:
        """Counts, and the state of the random numbers."""
        counts = {
            name: [part.tolist() for part in getattr(self, name)]
            for name in ("betting", "counting", "counts")
        }
        kind, keys, *rest = self.random_state.get_state(legacy=True)
        random = [kind, np.asarray(keys).tolist(), *rest]
        return {"n_learned": self.n_learned, **counts, "random": random}

    def restore(self, memory: dict[str, Any]) -> None:
        """The same counts and random numbers again."""
        self.n_learned = int(memory["n_learned"])
        for name in ("betting", "counting", "counts"):
            setattr(self, name, Counts(*np.array(memory[name], dtype=np.int64)))
        kind, keys, *rest = memory["random"]
        self.random_state.set_state((kind, np.array(keys, dtype=np.uint32), *rest))


# What became of misses, in families of alternatives.
_DIRECTIONS = (
    "fewer misses than on the reference",
    "more misses than on the reference",
    "more misses than on the reference where the model is confident, fewer where it is not",
    "fewer misses than on the reference where the model is confident, more where it is not",
)


def _direction(kind: str, by: float) -> int:
    """Place in `_DIRECTIONS` of one of `CHANGES`."""
    if kind == "power":  # of odds that are below 1 where the model is confident
        return 2 if by < 1 else 3
    return int(by > 0)
