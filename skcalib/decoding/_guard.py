"""Keeping temperatures within bounds, and from jumping."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._validation import Interval, check_options
from skcalib.decoding._checks import check_temperature

GUARD_CONSTRAINTS: dict[str, list[Any]] = {
    "max_change": [Interval(Real, 0, None, closed="neither"), None],
    "smoothing": [Interval(Real, 0, 1, closed="left")],
}
_CONSTRAINTS = GUARD_CONSTRAINTS | {"cap": [Interval(Real, 0, None, closed="left"), None]}


@dataclass(frozen=True, eq=False)
class Guarded:
    """A temperature, what was asked for, and which guards stand between the two.

    Parameters
    ----------
    temperature : float or ndarray of shape (n_rows,)
        What to serve.
    target : float or ndarray of shape (n_rows,)
        What the policy asked for.
    active : tuple of str, or tuple of n_rows such tuples
        The guards that changed the value, in the order they did: "bounds", "smoothing",
        "max_change", "bounds" (again, where the ones before left them), "cap". Empty if none did.
    """

    temperature: float | NDArray
    target: float | NDArray
    active: tuple


def guard(
    target: float | ArrayLike,
    *,
    previous: float | ArrayLike | None = None,
    bounds: tuple[float, float] = (0.0, np.inf),
    max_change: float | None = None,
    smoothing: float = 0.0,
    cap: float | None = None,
) -> Guarded:
    """Hold a temperature back: bounds, smoothing, limited change and a hard cap, in this order.

    1. `bounds` clip the target.
    2. `smoothing`: log T becomes a mean, ``smoothing * log(previous) + (1 - smoothing) * log(T)``;
       call after call an exponential moving average.
    3. `max_change` keeps log T this close to the log of the previous temperature.
    4. `bounds` once more, for a previous temperature outside of them.
    5. `cap` is an upper limit above all others. It holds at once: nothing delays it, neither the
       limited change nor a lower bound.

    From and to 0 or inf there is no change in log T. Such a move is a switch, neither smoothed nor
    limited: greedy decoding starts and ends at once.

    Parameters
    ----------
    target : float or array-like of shape (n_rows,)
        The temperature asked for, from 0 to inf.
    previous : float or array-like of shape (n_rows,), default=None
        The temperature served before; None at the start, when there is nothing to move from.
    bounds : tuple of two floats, default=(0.0, inf)
        Lowest and highest temperature. A lowest one above 0 rules out greedy decoding.
    max_change : float, default=None
        Largest change in log T, above 0: log(2) for at most a doubling or halving.
    smoothing : float, default=0.0
        Share of the previous value that is kept, at least 0 and less than 1.
    cap : float, default=None
        Hard upper limit, at least 0.

    Returns
    -------
    guarded : Guarded
        Temperature, target, and the names of the guards that were active.

    Raises
    ------
    ValueError
        If an argument is out of its range, or `previous` has another shape than `target`.

    See Also
    --------
    Session : Remembers the previous temperature of one conversation.

    Examples
    --------
    Halfway in log T from 0.5 to 2 is 1:

    >>> from skcalib.decoding import guard
    >>> guard(2.0, previous=0.5, smoothing=0.5)
    Guarded(temperature=1.0, target=2.0, active=('smoothing',))

    A safety cap does not wait for the limited change:

    >>> guard(1.0, previous=1.0, max_change=0.1, cap=0.3)
    Guarded(temperature=0.3, target=1.0, active=('cap',))
    """
    check_options(_CONSTRAINTS, "guard", max_change=max_change, smoothing=smoothing, cap=cap)
    low, high = check_bounds(bounds)
    single = np.ndim(target) == 0
    n_rows = 1 if single else len(np.asarray(target))
    wanted = check_temperature(target, n_rows, "target")
    before = None if previous is None else check_temperature(previous, n_rows, "previous")
    steps = _steps(wanted, before, low, high, max_change, smoothing, cap)
    return _report(wanted, steps, single)


def check_bounds(bounds: Any) -> tuple[float, float]:
    """Lowest and highest temperature, the first not above the second."""
    pair = np.asarray(bounds)
    if pair.shape != (2,) or pair.dtype.kind not in "biuf":
        raise TypeError(f"bounds must be two numbers, (lowest, highest), got {bounds!r}.")
    low, high = (float(bound) for bound in pair)
    if not (0 <= low <= high and high > 0):
        raise ValueError(
            f"bounds must be 0 <= lowest <= highest with highest above 0, got {bounds!r}. "
            "For greedy decoding use cap=0."
        )
    return low, high


def _steps(
    wanted: NDArray,
    before: NDArray | None,
    low: float,
    high: float,
    max_change: float | None,
    smoothing: float,
    cap: float | None,
) -> list[tuple[str, NDArray]]:
    """Name and outcome (n,) of one guard after the other."""
    steps = [("bounds", np.clip(wanted, low, high))]
    if before is not None:
        moves = _has_log(before) & _has_log(steps[-1][1])
        steps.append(("smoothing", _smoothed(steps[-1][1], before, smoothing, moves)))
        steps.append(("max_change", _limited(steps[-1][1], before, max_change, moves)))
        steps.append(("bounds", np.clip(steps[-1][1], low, high)))
    if cap is not None:
        steps.append(("cap", np.minimum(steps[-1][1], cap)))
    return steps


def _has_log(temperature: NDArray) -> NDArray:
    return (temperature > 0) & np.isfinite(temperature)


def _smoothed(t: NDArray, before: NDArray, smoothing: float, moves: NDArray) -> NDArray:
    out = t.copy()
    mean = smoothing * np.log(before[moves]) + (1 - smoothing) * np.log(t[moves])
    # What stands still, or is not smoothed, is not rounded either.
    changed = (before[moves] != t[moves]) & (smoothing > 0)
    out[moves] = np.where(changed, np.exp(mean), t[moves])
    return out


def _limited(t: NDArray, before: NDArray, max_change: float | None, moves: NDArray) -> NDArray:
    out = t.copy()
    if max_change is not None:
        with np.errstate(over="ignore", under="ignore"):
            factor = np.exp(max_change)
            out[moves] = np.clip(t[moves], before[moves] / factor, before[moves] * factor)
    return out


def _report(wanted: NDArray, steps: list[tuple[str, NDArray]], single: bool) -> Guarded:
    """The last outcome, and for each row the names of the guards that changed it."""
    outcomes = [wanted, *(outcome for _, outcome in steps)]
    changes = [
        (name, outcome != before)
        for before, (name, outcome) in zip(outcomes[:-1], steps, strict=True)
    ]
    active = tuple(
        tuple(name for name, changed in changes if changed[row]) for row in range(len(wanted))
    )
    served = outcomes[-1]
    if single:
        return Guarded(float(served[0]), float(wanted[0]), active[0])
    return Guarded(served, wanted.copy(), active)
