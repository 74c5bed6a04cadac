"""An alarm: when, since when, what, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import inf, isinf
from typing import Any


@dataclass(frozen=True)
class Alarm:
    """What a :class:`CalibrationMonitor` says when the evidence suffices.

    Parameters
    ----------
    row : int
        The labelled row that raised it, counted from 1.
    change_at : int
        Where the leading alternative began to win: an estimate of the first row after the change.
    name : str
        What the leading alternative says.
    share : float
        What it and its like have of all that the alternatives have won, between 0 and 1.
    evidence : float
        What was reached: at most `alpha` of calibrated streams ever reach ``1 / alpha``.
    since : int
        The first of the rows that the temperature is of: next to `change_at`, to one block.
    n_since : int
        How many rows those are.
    temperature : float
        The T that the probabilities of these rows lack, from 1/8 to 8; above 1 they are
        overconfident.
    interval : tuple of float
        Its 95 % interval, of a T that was not picked by the alarm: the rows that raise an alarm
        lie on the far side of the truth.
    advice : str
        What to do.
    """

    row: int
    change_at: int
    name: str
    share: float
    evidence: float
    since: int
    n_since: int
    temperature: float
    interval: tuple[float, float]
    advice: str

    def __str__(self) -> str:
        lower, upper = self.interval
        return (
            f"Row {self.row:,}: {self.name} ({self.share:.0%} of the evidence), since about row "
            f"{self.change_at:,}. Temperature of the {self.n_since:,} rows since row "
            f"{self.since:,}: {self.temperature:.3g} [{lower:.3g}, {upper:.3g}]. "
            f"What to do: {self.advice}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, as JSON takes them: an open end of the interval is None.

        Returns
        -------
        fields : dict
        """
        ends = [None if isinf(end) else end for end in self.interval]
        return asdict(self) | {"interval": ends}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Alarm:
        """The alarm whose fields `to_dict` wrote.

        Parameters
        ----------
        fields : dict

        Returns
        -------
        alarm : Alarm
        """
        lower, upper = (inf if end is None else float(end) for end in fields["interval"])
        return cls(**fields | {"interval": (lower, upper)})
