"""A temperature that moves with the step."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib._validation import Interval, StrOptions, check_options
from skcalib.decoding._policy import Policy

# The share of `start` that is left after the share f of the steps.
_WEIGHTS = {
    "linear": lambda f: 1 - f,
    "cosine": lambda f: (1 + np.cos(np.pi * f)) / 2,
    "exponential": lambda f: 1 - f,  # of its logarithm
}
_CONSTRAINTS: dict[str, list[Any]] = {
    "start": [Interval(Real, 0, np.inf, closed="left")],
    "end": [Interval(Real, 0, np.inf, closed="left")],
    "n_steps": [Interval(Integral, 1, None, closed="left")],
    "shape": [StrOptions(set(_WEIGHTS))],
}


@dataclass(frozen=True)
class AnnealingPolicy(Policy):
    r"""From one temperature to another, within so many steps.

    T is `start` at step 0 and `end` at step `n_steps` and after. In between, with the share
    :math:`f = \min(step / n\_steps, 1)` of the way gone,

    - "linear": :math:`T = (1 - f) \, start + f \, end`;
    - "cosine": :math:`T = w \, start + (1 - w) \, end` with :math:`w = (1 + \cos \pi f) / 2`, slow
      at both ends;
    - "exponential": :math:`T = start^{1 - f} \, end^f`, linear in log T: equal factors in equal
      times.

    A generation often starts varied and ends safe, or is safe first and free later: both ways are
    allowed.

    Parameters
    ----------
    start, end : float
        Temperatures, at least 0, finite; above 0 for shape "exponential".
    n_steps : int
        Steps from `start` to `end`, at least 1.
    shape : {"linear", "cosine", "exponential"}, default="linear"
        The way between them.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    References
    ----------
    C. Yang et al., Exploratory Annealed Decoding, arXiv 2510.05251 (annealing from varied to safe).

    Examples
    --------
    >>> from skcalib.decoding import AnnealingPolicy
    >>> policy = AnnealingPolicy(1.6, 0.4, 4)
    >>> [round(policy([0.0, 1.0], step=step), 2) for step in range(6)]
    [1.6, 1.3, 1.0, 0.7, 0.4, 0.4]

    From 1.6 to 0.4 is a factor of 1/4, so half of the way is 1/2:

    >>> round(AnnealingPolicy(1.6, 0.4, 4, shape="exponential")([0.0, 1.0], step=2), 2)
    0.8
    """

    start: float
    end: float
    n_steps: int
    shape: str = field(default="linear", kw_only=True)

    def __post_init__(self) -> None:
        check_options(_CONSTRAINTS, "AnnealingPolicy", **vars(self))
        if self.shape == "exponential" and not min(self.start, self.end) > 0:
            raise ValueError(
                "AnnealingPolicy of shape='exponential' must have start and end above 0, got "
                f"{self.start} and {self.end}: log T has no way to 0. Use shape='linear'."
            )

    @property
    def reads_logits(self) -> bool:
        """No."""
        return False

    def _temperatures(self, logits: NDArray, step: NDArray, context: Any) -> NDArray:
        weight = _WEIGHTS[self.shape](np.minimum(step / self.n_steps, 1))
        # Both forms give `start` and `end` exactly at the ends.
        with np.errstate(under="ignore"):
            if self.shape == "exponential":
                return self.start**weight * self.end ** (1 - weight)
            return weight * self.start + (1 - weight) * self.end
