"""A policy and its guards, through one conversation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._validation import check_options
from skcalib.decoding._guard import GUARD_CONSTRAINTS, Guarded, check_bounds, guard


class Session:
    """The temperatures of one conversation: a policy, guards, and the temperature before.

    ``session(logits, *, step=0, context=None, flags=())`` asks the policy and returns what the
    guards let through, a float or an array (n,) as the policy does. Raised `flags` bring down
    their caps at once; after the last of them is lowered, T rises again as `max_change` and
    `smoothing` allow.

    A session remembers the temperatures it served last and nothing else. Conversations that go on
    at the same time need one each; the rows of one call are taken to be the rows of the next.

    Parameters
    ----------
    policy : Policy
        What is asked, or any function that is called as one.
    bounds : tuple of two floats, default=(0.0, inf)
        Lowest and highest temperature; see :func:`guard`, as for the next two.
    max_change : float, default=None
        Largest change in log T from one call to the next.
    smoothing : float, default=0.0
        Share of the previous log T that is kept.
    caps : mapping of str to float, default=None
        Flags, and the temperature that each of them caps: ``{"safety": 0.3}``. Of several raised
        flags the lowest cap holds.

    Attributes
    ----------
    last : Guarded or None
        Outcome of the last call: temperature, target and active guards. None before the first.
    reads_logits : bool
        Whether the policy depends on the scores.

    Raises
    ------
    ValueError
        If a parameter is out of its range; when called, if a flag has no cap or the number of rows
        has changed.

    Examples
    --------
    >>> from skcalib.decoding import AnnealingPolicy, Session
    >>> session = Session(AnnealingPolicy(1.0, 0.5, 10), caps={"safety": 0.3})
    >>> session([0.0, 1.0], step=5)
    0.75
    >>> session([0.0, 1.0], step=6, flags=["safety"])
    0.3
    >>> session.last
    Guarded(temperature=0.3, target=0.7, active=('cap',))
    """

    def __init__(
        self,
        policy: Callable[..., float | NDArray],
        *,
        bounds: tuple[float, float] = (0.0, np.inf),
        max_change: float | None = None,
        smoothing: float = 0.0,
        caps: Mapping[str, float] | None = None,
    ) -> None:
        if not callable(policy):
            raise TypeError(
                f"policy must be a Policy, got {policy!r}. For a number use ConstantPolicy."
            )
        check_options(GUARD_CONSTRAINTS, "Session", max_change=max_change, smoothing=smoothing)
        self.policy = policy
        self.bounds = check_bounds(bounds)
        self.max_change = max_change
        self.smoothing = smoothing
        self.caps = _check_caps(caps)
        self.last: Guarded | None = None

    @property
    def reads_logits(self) -> bool:
        """Whether the policy depends on the scores."""
        return getattr(self.policy, "reads_logits", True)

    def __call__(
        self,
        logits: ArrayLike,
        *,
        step: int | ArrayLike = 0,
        context: Any = None,
        flags: Collection[str] = (),
    ) -> float | NDArray:
        cap = self._cap_of(flags)
        target = self.policy(logits, step=step, context=context)
        self.last = guard(
            target,
            previous=self._previous(target),
            bounds=self.bounds,
            max_change=self.max_change,
            smoothing=self.smoothing,
            cap=cap,
        )
        return self.last.temperature

    def reset(self) -> None:
        """Forget the temperatures served: the next call is the first of a conversation."""
        self.last = None

    def _cap_of(self, flags: Collection[str]) -> float | None:
        if isinstance(flags, str):
            raise TypeError(f"flags must be a collection of names, got {flags!r}: use [{flags!r}].")
        unknown = set(flags) - set(self.caps)
        if unknown:
            raise ValueError(
                f"flags must be among those that have caps, {sorted(self.caps)}, got "
                f"{sorted(unknown, key=repr)}."
            )
        return min((self.caps[flag] for flag in flags), default=None)

    def _previous(self, target: float | NDArray) -> float | NDArray | None:
        if self.last is None:
            return None
        previous = self.last.temperature
        if np.shape(previous) != np.shape(target):
            raise ValueError(
                f"A session must see the same rows in every call: temperatures were of shape "
                f"{np.shape(previous)}, and now are of shape {np.shape(target)}. Call reset() for "
                "a new conversation, or use one session for each."
            )
        return previous


def _check_caps(caps: Mapping[str, float] | None) -> dict[str, float]:
    if caps is None:
        return {}
    if not isinstance(caps, Mapping):
        raise TypeError(f"caps must map flags to temperatures, got {caps!r}.")
    for flag, cap in caps.items():
        number = np.asarray(cap)
        if number.shape != () or number.dtype.kind not in "biuf" or not number >= 0:
            raise ValueError(f"caps must be temperatures, at least 0, got {cap!r} for {flag!r}.")
    return dict(caps)
