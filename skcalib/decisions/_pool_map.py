"""From the scores of several members to the probabilities of their pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from skcalib._kernels._pooling import geometric_pool, linear_pool
from skcalib._kernels._softmax import log_softmax, softmax
from skcalib._response import Scores
from skcalib.calibrators._map import refuse_nan_rows
from skcalib.calibrators._temperature import TemperatureMap
from skcalib.decisions._gate import Gate
from skcalib.decisions._probabilities import probabilities_of


@dataclass(frozen=True)
class PoolMap:
    """What a fitted pool serves with. Immutable, picklable, safe to use from several threads.

    Parameters
    ----------
    members : tuple of TemperatureMap, None for a member that is taken as it is
    pooling : "linear" or "geometric"
    shares : ndarray of shape (M,)
    gate : Gate or None
        Shares by context, for the linear pool.
    final : TemperatureMap or None
    offsets : tuple of float, or None for none
        What is added to the probabilities of members without a temperature before the logarithm
        that the geometric pool takes.
    """

    members: tuple[TemperatureMap | None, ...]
    pooling: str
    shares: NDArray
    gate: Gate | None = None
    final: TemperatureMap | None = None
    offsets: tuple[float, ...] | None = None

    def at_temperature(self, final: TemperatureMap) -> PoolMap:
        """The same pool, its temperature fitted."""
        return replace(self, final=final)

    def member_probabilities(self, scores: Sequence[Scores]) -> list[NDArray]:
        """Of each member, (n, K), at its temperature if it has one."""
        return [
            refuse_nan_rows(probabilities_of(s) if m is None else m.predict_proba(s), s)
            for m, s in zip(self.members, scores, strict=True)
        ]

    def pooled(self, scores: Sequence[Scores], X: Any) -> Scores:
        """What the pool says before its temperature: probabilities, or geometric pools' logits."""
        if self.pooling == "geometric":
            offsets = self.offsets or (0.0,) * len(self.members)
            logs = [
                refuse_nan_rows(
                    log_softmax(s.source(c)) if m is None else m.predict_log_proba(s), s
                )
                for m, s, c in zip(self.members, scores, offsets, strict=True)
            ]
            logits = geometric_pool(logs, self.shares)
            return Scores(logits, "decision_function", "the geometric pool")
        shares = self.shares if self.gate is None else self.gate.shares(X, self.shares)
        proba = linear_pool(self.member_probabilities(scores), shares)
        return Scores(proba, "predict_proba", "the linear pool")

    def predict_proba(self, scores: Sequence[Scores], X: Any) -> NDArray:
        """Probabilities (n, K)."""
        pooled = self.pooled(scores, X)
        if self.final is not None:
            return refuse_nan_rows(self.final.predict_proba(pooled), pooled)
        if pooled.are_logits:
            return refuse_nan_rows(softmax(pooled.source()), pooled)
        return pooled.values
