"""Policies: functions from logits, step and context to one temperature per row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import reduce
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._validation import Interval, check_options
from skcalib.decoding._checks import check_logits, check_step, check_temperature


class Policy(ABC):
    """What every policy is: a function from logits, step and context to temperatures.

    ``policy(logits, *, step=0, context=None)`` returns an array (n,) of float64 for logits (n, K),
    and a float for a single row (K,). `step` counts the tokens generated before this one: an
    integer, or one for each row (n,). `context` is for policies that read it: a mapping
    ``{column: value}``, or a sequence of n of them; the others ignore it.

    ``a * b`` multiplies the temperatures of two policies, or of a policy and a number: where one of
    them leaves T at 1, the other decides. 0 is greedy whatever it is multiplied with.

    A subclass defines ``_temperatures(logits, step, context)``, which gets logits (n, K) and steps
    (n,) and returns n temperatures between 0 and inf, or one for all rows; each from its own row
    alone. Make it immutable: the same policy may serve many conversations at once.

    Attributes
    ----------
    reads_logits : bool
        Whether the temperatures depend on the scores. If not, scores on another device need not
        be fetched from there.

    See Also
    --------
    ConstantPolicy, AnnealingPolicy, EntropyPolicy : The policies of this package.
    Session : A policy and its guards, through one conversation.

    Examples
    --------
    EDT, cooler the lower the entropy H is, ``T = T0 * 0.8 ** (theta / H)``:

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from skcalib.decoding import Policy, entropy
    >>> @dataclass(frozen=True)
    ... class EDT(Policy):
    ...     start: float
    ...     theta: float
    ...
    ...     def _temperatures(self, logits, step, context):
    ...         return self.start * 0.8 ** (self.theta / np.maximum(entropy(logits), 1e-3))
    >>> policy = EDT(1.0, theta=np.log(2))
    >>> policy(np.zeros((1, 2)))  # H = log 2, T = 0.8
    array([0.8])
    >>> (0.5 * policy)(np.zeros(2))
    0.4
    """

    # numpy numbers and arrays leave multiplication to this class.
    __array_ufunc__: ClassVar[None] = None

    @property
    def reads_logits(self) -> bool:
        """Whether the temperatures depend on the scores."""
        return True

    def __call__(
        self, logits: ArrayLike, *, step: int | ArrayLike = 0, context: Any = None
    ) -> float | NDArray:
        values, single = check_logits(logits)
        steps = check_step(step, len(values))
        answer = self._temperatures(values, steps, context)
        name = f"the temperature of {type(self).__name__}"
        temperature = check_temperature(answer, len(values), name)
        return float(temperature[0]) if single else temperature.copy()

    def __mul__(self, other: Policy | float) -> Policy:
        return _product(self, other)

    def __rmul__(self, other: float) -> Policy:
        return _product(other, self)

    @abstractmethod
    def _temperatures(self, logits: NDArray, step: NDArray, context: Any) -> ArrayLike:
        """Temperatures (n,), or one for all rows, of logits (n, K) at steps (n,)."""


@dataclass(frozen=True)
class ConstantPolicy(Policy):
    """The same temperature for every row.

    Parameters
    ----------
    temperature : float
        T, at least 0; 0 is greedy.

    Examples
    --------
    >>> from skcalib.decoding import ConstantPolicy
    >>> ConstantPolicy(0.7)([[1.0, 2.0], [3.0, 4.0]])
    array([0.7, 0.7])
    """

    temperature: float

    def __post_init__(self) -> None:
        check_options(_CONSTRAINTS, "ConstantPolicy", temperature=self.temperature)

    @property
    def reads_logits(self) -> bool:
        """No."""
        return False

    def _temperatures(self, logits: NDArray, step: NDArray, context: Any) -> float:
        return self.temperature


@dataclass(frozen=True, repr=False)
class _Product(Policy):
    """Policies that are multiplied; none of them a product itself."""

    factors: tuple[Policy, ...]

    @property
    def reads_logits(self) -> bool:
        return any(factor.reads_logits for factor in self.factors)

    def __repr__(self) -> str:
        return " * ".join(map(repr, self.factors))

    def _temperatures(self, logits: NDArray, step: NDArray, context: Any) -> NDArray:
        answers = [np.asarray(f._temperatures(logits, step, context)) for f in self.factors]
        return reduce(_multiply, answers)


_CONSTRAINTS: dict[str, list[Any]] = {"temperature": [Interval(Real, 0, np.inf, closed="both")]}


def _product(*factors: Policy | float) -> Policy:
    """A product of policies and numbers, flat; NotImplemented if there is something else."""
    flat: list[Policy] = []
    for factor in factors:
        if isinstance(factor, _Product):
            flat.extend(factor.factors)
        elif isinstance(factor, Policy):
            flat.append(factor)
        elif isinstance(factor, int | float | np.integer | np.floating):
            flat.append(ConstantPolicy(float(factor)))
        else:
            return NotImplemented
    return _Product(tuple(flat))


def _multiply(a: NDArray, b: NDArray) -> NDArray:
    with np.errstate(all="ignore"):  # 0 * inf, and products beyond the floats
        return np.where((a == 0) | (b == 0), 0, np.multiply(a, b, dtype=np.float64))
