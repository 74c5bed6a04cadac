"""Logs of temperatures that were tried: what each row holds, and what cannot be evaluated."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._validation import check_numeric, count_rows
from skcalib.monitoring._checks import check_clusters

# Temperatures that went through float32 or a text file are still the same.
_ROUNDING = 1e-6

# One row of less would outweigh a log of any length.
_LEAST_PROPENSITY = 1e-9


class Logs(NamedTuple):
    """Rows of a log, n of them, of A temperatures."""

    action: NDArray  # (n,) intp, place of the temperature among those sorted
    reward: NDArray  # (n,) float64
    propensity: NDArray  # (n,) float64, of the temperature that was used
    temperatures: NDArray  # (A,) float64, ascending
    clusters: NDArray | None  # (n,) intp codes


def check_logs(
    X: Any,
    temperature: ArrayLike,
    reward: ArrayLike,
    propensity: ArrayLike,
    *,
    temperatures: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    reward_name: str = "reward",
) -> Logs:
    """A log whose every row can be evaluated, or an error that names the row which cannot."""
    n_rows = count_rows(X)
    used = check_column(temperature, "temperature", n_rows)
    paid = check_column(reward, reward_name, n_rows)
    known = np.unique(used) if temperatures is None else check_temperatures(temperatures)
    action = place_of(used, known, "temperature")
    return Logs(
        action, paid, _check_propensity(propensity, n_rows), known, check_clusters(clusters, n_rows)
    )


def check_column(values: ArrayLike, name: str, n_rows: int) -> NDArray:
    """One finite number per row of X, (n,) float64."""
    if values is None:
        raise ValueError(f"{name} must be one number per row of X, got None.")
    column = check_numeric(values, name)
    if column.shape != (n_rows,):
        raise ValueError(
            f"{name} must have shape ({n_rows},), one number per row of X, got {column.shape}."
        )
    if not np.isfinite(column).all():
        row = int(np.flatnonzero(~np.isfinite(column))[0])
        raise ValueError(f"{name} must be finite, got {column[row]} in row {row}.")
    return column.astype(np.float64)


def check_temperatures(temperatures: ArrayLike) -> NDArray:
    """The temperatures to choose from, ascending."""
    known = np.asarray(temperatures, dtype=np.float64)
    valid = known.ndim == 1 and len(known) and np.isfinite(known).all() and (known >= 0).all()
    if not valid or np.isclose(np.diff(np.sort(known)), 0, rtol=0, atol=_ROUNDING).any():
        raise ValueError(
            "temperatures must be distinct finite numbers, at least 0, got "
            f"{np.asarray(temperatures).tolist()}."
        )
    return np.sort(known)


def place_of(used: NDArray, known: NDArray, name: str) -> NDArray:
    """Place of each temperature among those known, (n,) intp."""
    place = np.abs(used[:, None] - known).argmin(axis=1)
    near = _ROUNDING * np.maximum(known[place], 1)
    unknown = ~(np.abs(used - known[place]) <= near)  # NaN too
    if unknown.any():
        row = int(unknown.argmax())
        raise ValueError(
            f"{name} must be one of {known.tolist()}, got {used[row]} in row {row}. List every "
            "temperature that was used in temperatures."
        )
    return place


def _check_propensity(propensity: ArrayLike, n_rows: int) -> NDArray:
    if propensity is None:
        raise ValueError(
            "propensity is missing: the probability with which each row's temperature was chosen. "
            "Log it when it is chosen; if every row had the same temperature, nothing can be "
            "learned of the others."
        )
    known = check_numeric(propensity, "propensity").astype(np.float64)
    if known.shape != (n_rows,):
        raise ValueError(
            f"propensity must have shape ({n_rows},), the probability of the temperature that "
            f"each row had, got {known.shape}."
        )
    wrong = ~((known >= _LEAST_PROPENSITY) & (known <= 1))  # NaN too
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"propensity must be above 0 (at least {_LEAST_PROPENSITY:g}) and at most 1, got "
            f"{known[row]} in row {row}: it is the "
            "probability with which that row's temperature was chosen. Do not fill in what was "
            "not logged, and do not drop rows for what came of them."
        )
    return known
