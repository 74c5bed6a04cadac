"""Policies where a generation loop takes logits processors."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib._validation import Interval, check_numeric, check_options, refuse_bad_logits
from skcalib.decoding._checks import check_temperature

_CONSTRAINTS: dict[str, list[Any]] = {
    "prompt_length": [Interval(Integral, 0, None, closed="left")],
}

# Divisors that are numbers in float32, and so are their inverses.
_SMALLEST, _LARGEST = 1e-37, 1e37


class TemperatureProcessor:
    """Divides scores by a policy's temperatures: a logits processor for generation loops.

    ``processor(input_ids, scores)`` returns ``scores / T`` as an array of the same kind, dtype and
    device: PyTorch tensors, bfloat16 too, and numpy arrays. The step is the number of ids less
    `prompt_length`. Put it into transformers' ``LogitsProcessorList``, in place of
    ``generate(temperature=...)``; with one temperature the result is the same to the last bit.

    A masked score (-inf) stays masked. A temperature of 0 leaves the largest score, the first on
    ties, at 0 and masks all others: sampling then is greedy. Where scores are so large or T so
    small that the quotient overflows, the row's largest score is subtracted first.

    Where it stands among the processors matters. transformers applies its own temperature before
    top-k and top-p, and so may this; behind them a policy sees the truncated scores, as in
    llama.cpp.

    Parameters
    ----------
    policy : Policy or Session
        Where the temperatures come from. A policy serves any number of generations at once, a
        session one.
    context : mapping or sequence of mappings, default=None
        Passed on to the policy: for all rows, or one for each.
    prompt_length : int, default=0
        Number of ids that were not generated.

    Raises
    ------
    ValueError
        When called, if a row holds NaN or +inf or is masked throughout.

    Examples
    --------
    >>> import numpy as np
    >>> from skcalib.decoding import AnnealingPolicy, TemperatureProcessor
    >>> processor = TemperatureProcessor(AnnealingPolicy(2.0, 0.5, 2), prompt_length=3)
    >>> prompt = np.array([[7, 1, 4]])
    >>> processor(prompt, np.array([[1.0, 2.0]]))  # step 0, T = 2
    array([[0.5, 1. ]])
    >>> processor(np.array([[7, 1, 4, 0, 1]]), np.array([[1.0, 2.0]]))  # step 2, T = 0.5
    array([[2., 4.]])
    """

    def __init__(
        self,
        policy: Callable[..., float | NDArray],
        *,
        context: Any = None,
        prompt_length: int = 0,
    ) -> None:
        if not callable(policy):
            raise TypeError(
                f"policy must be a Policy or a Session, got {policy!r}. For a number use "
                "ConstantPolicy."
            )
        check_options(_CONSTRAINTS, "TemperatureProcessor", prompt_length=prompt_length)
        self.policy = policy
        self.context = context
        self.prompt_length = prompt_length

    def __repr__(self) -> str:
        return (
            f"TemperatureProcessor({self.policy!r}, context={self.context!r}, "
            f"prompt_length={self.prompt_length})"
        )

    # A third argument would make transformers pass keyword arguments that nobody has.
    def __call__(self, input_ids: Any, scores: Any) -> Any:
        if not _is_tensor(scores):
            scores = check_numeric(scores, "scores")
        if len(scores.shape) != 2:
            raise ValueError(f"scores must have shape (n, n_classes), got {tuple(scores.shape)}.")
        step = max(0, int(np.shape(input_ids)[-1]) - self.prompt_length)
        seen = _as_numpy(scores) if getattr(self.policy, "reads_logits", True) else _blank(scores)
        answer = self.policy(seen, step=step, context=self.context)
        return _divide(scores, check_temperature(answer, len(scores), "the policy's temperature"))


def _is_tensor(scores: Any) -> bool:
    """Whether these are a PyTorch tensor, or something that behaves as one."""
    return hasattr(scores, "detach") and hasattr(scores, "new_tensor")


def _as_numpy(scores: Any) -> NDArray:
    if not _is_tensor(scores):
        return scores
    values = scores.detach().cpu()
    # numpy has no bfloat16; float32 holds all of its numbers.
    return (values.float() if values.element_size() < 4 else values).numpy()


def _blank(scores: Any) -> NDArray:
    """Logits of the right shape for a policy that does not read them, in no memory."""
    return np.broadcast_to(np.float32(0), tuple(scores.shape))


def _divide(scores: Any, temperature: NDArray) -> Any:
    """Scores (n, K) over temperatures (n,), in the kind, dtype and device of the scores.

    What is used of the array works on tensors and numpy arrays alike.
    """
    greedy = temperature == 0
    divisor = np.where(greedy, 1, np.clip(temperature, _SMALLEST, _LARGEST))
    with np.errstate(all="ignore"):
        out = _quotient(scores, divisor)
        top = _as_numpy(out.amax(-1) if _is_tensor(out) else out.max(-1))
        overflown = ~np.isfinite(top)
        for row in np.flatnonzero(overflown & ~greedy):
            shifted = scores[row : row + 1] - scores[row].max()
            out[row] = _quotient(shifted, divisor[row : row + 1])[0]
        for row in np.flatnonzero(greedy):
            best = int(scores[row].argmax())
            out[row] = -np.inf
            out[row, best] = 0
    if overflown.any():
        refuse_bad_logits(_as_numpy(scores), "scores")
    return out


def _quotient(scores: Any, divisor: NDArray) -> Any:
    """The plain quotient, of half precision worked out in float32 as PyTorch does."""
    same = float(divisor[0]) if (divisor == divisor[0]).all() else None
    if _is_tensor(scores):
        if same is not None:
            return scores / same
        wide = scores.float() if scores.element_size() < 4 else scores
        return (wide / wide.new_tensor(divisor.tolist())[:, None]).to(scores.dtype)
    wide = scores.astype(np.float32) if scores.itemsize < 4 else scores
    return (wide / divisor.astype(wide.dtype)[:, None]).astype(scores.dtype, copy=False)
