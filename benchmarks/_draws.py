"""What `benchmarks.quality` measured, draw by draw, and the file that keeps it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks._score_sets import METRICS

WHOLE = ""  # the part of the test rows that is all of them
SECONDS = "seconds"  # CPU time of the fit

Cell = dict[str, float] | str  # means by metric and of the seconds, or why there are none


class Pair(NamedTuple):
    """What a method is judged on as often as anything: one data set at one number of rows."""

    data_set: str
    n: int


class Results:
    """Scores of every method on every draw.

    Parameters
    ----------
    conditions : list of str, versions
    sets : dict, by name of a set the counts `classes`, `calibration` and `test`
    draws : list of dict: `set`, `n`, `repeat`, `method`, `part`; and the seconds and every metric,
        or `failure`
    """

    def __init__(
        self, conditions: list[str], sets: dict[str, dict[str, int]], draws: list[dict[str, Any]]
    ) -> None:
        self.conditions, self.sets, self.draws = conditions, sets, draws
        self._groups: dict[tuple[Pair, str, str], list[dict[str, Any]]] = {}
        self._n_grouped = 0

    def methods(self) -> list[str]:
        return list(dict.fromkeys(draw["method"] for draw in self.draws))

    def parts(self, data_set: str) -> list[str]:
        """Degrees of shift of a set's test rows; empty if it has none."""
        found = {draw["part"] for draw in self.draws if draw["set"] == data_set}
        return sorted(found - {WHOLE}, key=int)

    def pairs(self, size: str) -> list[Pair]:
        """Every set that has so many rows, or all of its rows."""
        sizes = {name: self._rows(name) if size == "all" else int(size) for name in self.sets}
        measured = {Pair(draw["set"], draw["n"]) for draw in self.draws}
        return [Pair(*item) for item in sizes.items() if Pair(*item) in measured]

    def pairs_of(self, sizes: Iterable[str]) -> list[Pair]:
        """Those of all sizes, each once: a set may have 2000 rows altogether."""
        return list(dict.fromkeys(pair for size in sizes for pair in self.pairs(size)))

    def cell(self, pair: Pair, method: str, part: str = WHOLE) -> Cell:
        """One draw that fails fails them all: a mean over the others would flatter."""
        draws = self._grouped().get((pair, method, part), [])
        failures = [draw["failure"] for draw in draws if "failure" in draw]
        if failures or not draws:
            often = f" ({len(failures)} of {len(draws)})" if len(failures) < len(draws) else ""
            return failures[0] + often if failures else "-"
        return {key: float(np.mean([d[key] for d in draws])) for key in (*METRICS, SECONDS)}

    def save(self, path: Path) -> None:
        path.write_text(
            json.dumps({"conditions": self.conditions, "sets": self.sets, "draws": self.draws})
        )

    @classmethod
    def load(cls, paths: Iterable[Path]) -> "Results":
        """Of one file or of several: sets may have been measured one by one."""
        results = cls([], {}, [])
        for path in paths:
            loaded = json.loads(path.read_text())
            results.conditions = loaded["conditions"]
            results.sets |= loaded["sets"]
            results.draws += loaded["draws"]
        return results

    def _rows(self, data_set: str) -> int:
        return self.sets[data_set]["calibration"]

    def _grouped(self) -> dict[tuple[Pair, str, str], list[dict[str, Any]]]:
        for draw in self.draws[self._n_grouped :]:
            key = Pair(draw["set"], draw["n"]), draw["method"], draw["part"]
            self._groups.setdefault(key, []).append(draw)
        self._n_grouped = len(self.draws)
        return self._groups
