"""Temperatures for generation: what to divide the next scores by, and drawing from them.

A *policy* answers with one temperature for each row of logits: from the scores themselves, from the
step of the generation, from what the conversation is about. Policies are immutable, do not depend
on the other rows, and multiply: ``EntropyPolicy(0.8, spread=0.4) * ConstantPolicy(1.3)``. A
`guard` keeps what they ask for within bounds and from jumping, a `Session` does so through one
conversation, and a `TemperatureProcessor` stands where a generation loop takes logits processors.

Everything here reads its arguments in the same way:

- `logits` has one row per sequence and one column per class (token), (n, K); a single row (K,) is
  answered with a number instead of an array. -inf masks a class: it has probability 0. NaN, +inf
  and a row that is masked throughout are refused where the scores are read.
- A temperature is a number from 0 to inf, or one for each row. 0 is greedy: the largest score, the
  first of them on ties, has probability 1. At inf all classes that are not masked are alike.
- A class that is not masked is a *candidate*.

These temperatures are chosen for behaviour: how safe, how varied. None of them makes probabilities
true; that is what the calibrators of :mod:`skcalib.calibrators` fit theirs for.
"""

from skcalib.decoding._annealing import AnnealingPolicy
from skcalib.decoding._context import ContextPolicy
from skcalib.decoding._entropy import EntropyPolicy, temperature_for_entropy
from skcalib.decoding._guard import Guarded, guard
from skcalib.decoding._policy import ConstantPolicy, Policy
from skcalib.decoding._processor import TemperatureProcessor
from skcalib.decoding._sampling import sample
from skcalib.decoding._session import Session
from skcalib.decoding._softmax import entropy, softmax
from skcalib.decoding._truncation import truncate

__all__ = [
    "AnnealingPolicy",
    "ConstantPolicy",
    "ContextPolicy",
    "EntropyPolicy",
    "Guarded",
    "Policy",
    "Session",
    "TemperatureProcessor",
    "entropy",
    "guard",
    "sample",
    "softmax",
    "temperature_for_entropy",
    "truncate",
]
