"""Temperatures from the entropy of the scores, and for an entropy."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._kernels import _entropy as kernels
from skcalib._kernels._blocks import Logits
from skcalib._kernels._softmax import entropy
from skcalib._validation import Interval, check_options
from skcalib.decoding._checks import check_logits, per_row, refuse_bad_rows
from skcalib.decoding._policy import Policy

_CONSTRAINTS: dict[str, list[Any]] = {
    "temperature": [Interval(Real, 0, np.inf, closed="left")],
    "spread": [Interval(Real, 0, np.inf, closed="left")],
    "exponent": [Interval(Real, 0, np.inf, closed="neither")],
}


@dataclass(frozen=True)
class EntropyPolicy(Policy):
    r"""Cooler where the model is sure, warmer where it is not: llama.cpp's dynatemp.

    .. math::

        T = lo + (hi - lo) \, (H / H_{max})^{exponent}, \quad
        lo = \max(0, temperature - spread), \quad hi = temperature + spread

    where H is the entropy of ``softmax(logits)``, as they come in, and :math:`H_{max}` the log of
    the number of candidates, the classes that are not masked. A row with one candidate has T =
    `temperature`.

    What comes before matters: after top-k or top-p there are fewer candidates, and H is compared
    with less. llama.cpp applies temperature last, to the truncated candidates; transformers
    first, to all of them.

    This is a rule of thumb for variety, no calibrator: it knows nothing of how often the model is
    right.

    Parameters
    ----------
    temperature : float, default=0.8
        The middle of the temperatures, at least 0.
    spread : float, default=0.0
        How far T moves to either side, at least 0 (`range` in llama.cpp).
    exponent : float, default=1.0
        Above 1 most rows are cool and only the least sure are warm; between 0 and 1 it is the
        other way round.

    Raises
    ------
    ValueError
        If a parameter is out of its range; when called, if a row holds NaN or +inf or is masked
        throughout.

    See Also
    --------
    temperature_for_entropy : T at which a row has a given entropy.

    Examples
    --------
    Of four classes, two share all probability: H is log 2, half of log 4, and T halfway.

    >>> import numpy as np
    >>> from skcalib.decoding import EntropyPolicy
    >>> policy = EntropyPolicy(1.0, spread=0.5)
    >>> policy([[0, 0, 0, 0], [0, 0, -99, -99], [0, -99, -99, -99]]).round(3)
    array([1.5, 1. , 0.5])

    With the other two masked, there are two candidates and H is all that it can be:

    >>> policy([0.0, 0.0, -np.inf, -np.inf])
    1.5
    """

    temperature: float = 0.8
    spread: float = field(default=0.0, kw_only=True)
    exponent: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        check_options(_CONSTRAINTS, "EntropyPolicy", **vars(self))

    def _temperatures(self, logits: NDArray, step: NDArray, context: Any) -> NDArray:
        found, candidates = np.empty((2, len(logits)))
        entropy(Logits(logits), out=found, candidates=candidates)
        refuse_bad_rows(logits, found)
        low, high = max(0.0, self.temperature - self.spread), self.temperature + self.spread
        with np.errstate(all="ignore"):  # 0 / 0 for one candidate
            # Rounding may put the entropy of equal scores above its maximum.
            share = np.minimum(found / np.log(candidates), 1)
            temperature = low + (high - low) * share**self.exponent
        return np.where(candidates > 1, temperature, self.temperature)


def temperature_for_entropy(logits: ArrayLike, target: ArrayLike) -> float | NDArray:
    """The temperature at which the entropy of ``softmax(logits / T)`` is `target`.

    Entropy rises with T, from the log of the number of ties at the largest score to the log of the
    number of candidates, so there is one such temperature, or none: a target at or below the range
    of a row gives 0, one at or above it inf. (A row that is masked to few candidates cannot have
    the entropy of many, and one such step should not end a generation. A `guard` with bounds makes
    the temperature finite.)

    Parameters
    ----------
    logits : array-like of shape (n_rows, n_classes) or (n_classes,)
        Scores; -inf for a masked class.
    target : float or array-like of shape (n_rows,)
        Entropy in nats, between 0 and log(n_classes).

    Returns
    -------
    temperature : ndarray of shape (n_rows,), or float for a single row
        Between 0 and inf; solved for in float64, to about 1e-10 of itself. Very close to either
        end of the range the entropy hardly depends on T, and says less about it.

    Raises
    ------
    ValueError
        If a target is not between 0 and log(n_classes), or a row holds NaN or +inf or is masked
        throughout.

    Examples
    --------
    Odds of 1 : 9 become 1 : 3 at T = 2, and the entropy of 1/4, 3/4 is .5623:

    >>> import numpy as np
    >>> from skcalib.decoding import temperature_for_entropy
    >>> target = -(np.log(1 / 4) / 4 + np.log(3 / 4) * 3 / 4)
    >>> round(temperature_for_entropy(np.log([1.0, 9.0]), target), 6)
    2.0
    """
    values, single = check_logits(logits)
    temperature = kernels.temperature_for_entropy(Logits(values), _check_target(target, values))
    refuse_bad_rows(values, temperature)
    return float(temperature[0]) if single else temperature


def _check_target(target: ArrayLike, logits: NDArray) -> NDArray:
    """Targets (n,), between 0 and log K."""
    n_rows, n_classes = logits.shape
    values = np.asarray(target)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"target must be a number, or one per row, got {target!r}.")
    if values.shape not in ((), (n_rows,)):
        raise ValueError(
            f"target must be a number, or one per row, ({n_rows},), got shape {values.shape}."
        )
    wrong = ~((values >= 0) & (values <= np.log(n_classes)))
    if wrong.any():
        raise ValueError(
            f"target must be an entropy between 0 and log({n_classes}) = {np.log(n_classes):.6g} "
            f"nats, got {values[wrong].flat[0]}."
        )
    return per_row(values.astype(np.float64, copy=False), n_rows)
