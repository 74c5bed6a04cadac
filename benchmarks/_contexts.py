"""Real classifiers' scores with the context of each row, and temperatures fitted to them.

Everything that is compared ends as one temperature per row, and one function judges them all,
which shares nothing with the package under test.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib import AdaptiveTemperatureScaling, TemperatureScaling
from skcalib.datasets import load_logits

PACKAGED = ("mcq_smollm2_a", "mnist_cnn_shift", "wordnet_lexname_mlp")


class ContextSet(NamedTuple):
    """One data set; rows are fitted on if they are calibration rows, and judged if not."""

    name: str
    logits: NDArray  # (n, K) float64, less the largest of each row
    y: NDArray  # (n,)
    calibration: NDArray  # indices of rows
    test: NDArray  # indices of rows
    group: NDArray  # (n,) float64, the number of the row's level
    levels: list[str]
    features: NDArray  # (n, q), often q = 0
    feature_name: str = ""  # of the one there is, or how many there are

    @property
    def n_classes(self) -> int:
        return self.logits.shape[1]

    @property
    def n_levels(self) -> int:
        return len(self.levels)

    def log_loss(self, rows: NDArray, temperature: ArrayLike) -> float:
        """Mean of some rows (nats) at a temperature, or at one for each of the rows."""
        return float(log_losses(self.logits[rows], self.y[rows], temperature).mean())


class Columns(NamedTuple):
    """What a context consists of."""

    group: bool
    features: bool

    def name(self, data: ContextSet) -> str:
        return ", ".join(["group"] * self.group + [data.feature_name] * self.features)


BY_GROUP, BY_FEATURES, BY_BOTH = Columns(True, False), Columns(False, True), Columns(True, True)


def context_sets(folder: Path | None) -> list[ContextSet]:
    """Those of the package, and every other .npz of a folder whose rows have a `group`."""
    sets = [_packaged(name) for name in PACKAGED]
    for path in sorted(folder.glob("*.npz")) if folder else []:
        with np.load(path, allow_pickle=False) as archive:
            if "group" in archive and path.stem not in PACKAGED:
                sets.append(_read(path.stem, archive))
    return sets


def _packaged(name: str) -> ContextSet:
    s = load_logits(name)
    return _context_set(name, s.logits, s.target, s.calibration, s.groups)


def _read(name: str, archive: Mapping[str, NDArray]) -> ContextSet:
    logits, y, split, group = (archive[key] for key in ("logits", "y", "split", "group"))
    data = _context_set(name, logits, y, split == 0, group)
    if "features" not in archive:
        return data
    names = archive["feature_names"]
    feature_name = str(names[0]) if len(names) == 1 else f"{len(names)} numbers"
    features = archive["features"].astype(np.float64)
    return data._replace(features=features, feature_name=feature_name)


def _context_set(
    name: str, logits: NDArray, y: NDArray, calibration: NDArray, group: NDArray
) -> ContextSet:
    z = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    names, code = np.unique(group, return_inverse=True)
    rows = np.flatnonzero(calibration), np.flatnonzero(~calibration)
    levels = [str(level) for level in names]
    no_features = np.empty((len(z), 0))
    return ContextSet(
        name, z, y.astype(np.intp), *rows, code.astype(np.float64), levels, no_features
    )


def with_columns(data: ContextSet, columns: Columns = BY_GROUP) -> NDArray:
    """Scores, then the context: by position, as a frame of 16384 columns would be slow."""
    parts = [data.logits]
    parts += [data.group[:, None]] if columns.group else []
    parts += [data.features] if columns.features else []
    return np.hstack(parts)


def adaptive(
    data: ContextSet, columns: Columns = BY_GROUP, **parameters: Any
) -> AdaptiveTemperatureScaling:
    """Not fitted, for the array that `with_columns` makes."""
    k = data.n_classes
    n_columns = columns.group + data.features.shape[1] * columns.features
    return AdaptiveTemperatureScaling(
        context=list(range(k, k + n_columns)),
        categorical_features=[k] if columns.group else [],
        classes=range(k),
        **parameters,
    )


def scalar(data: ContextSet, **parameters: Any) -> TemperatureScaling:
    """Not fitted, for the scores alone."""
    return TemperatureScaling(classes=range(data.n_classes), **parameters)


def scalar_temperature(data: ContextSet, rows: NDArray, **parameters: Any) -> float:
    """One T for all, of some rows."""
    return scalar(data, **parameters).fit(data.logits[rows], data.y[rows]).temperature_


def temperature_by_level(data: ContextSet, rows: NDArray, **parameters: Any) -> NDArray:
    """One T per level, (n_levels,), each of its own rows alone; all rows' T where it has none."""
    temperature = np.full(data.n_levels, scalar_temperature(data, rows, **parameters))
    for level in np.unique(data.group[rows]).astype(int):
        own = rows[data.group[rows] == level]
        temperature[level] = scalar_temperature(data, own, **parameters)
    return temperature


def best_by_level(data: ContextSet) -> NDArray:
    """What each level's T would be if all rows were known, (n_levels,)."""
    return temperature_by_level(data, np.arange(len(data.y)), alpha=0)


def of_rows(data: ContextSet, rows: NDArray, by_level: NDArray) -> NDArray:
    """Each row's, from each level's."""
    return by_level[data.group[rows].astype(int)]


def log_losses(logits: NDArray, y: NDArray, temperature: ArrayLike) -> NDArray:
    """Of each row, (n,), nats; logits less the largest of each row."""
    z = logits / np.broadcast_to(temperature, len(y))[:, None]
    return np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]


def draws(rows: NDArray, n: int, repeats: int) -> Iterator[tuple[np.random.Generator, NDArray]]:
    """n of the rows without replacement, all if n is that many, and a generator to go on with."""
    for i in range(repeats):
        rng = np.random.default_rng([n, i])
        yield rng, rng.choice(rows, n, replace=False) if n < len(rows) else rows


def sizes_of(rows: NDArray, sizes: tuple[int, ...]) -> list[int]:
    """Those that there are rows for, and all of them."""
    return [n for n in sizes if n < len(rows)] + [len(rows)]


Study = Callable[[list[ContextSet]], None]
