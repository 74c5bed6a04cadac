"""Sums of a stream over time: short blocks lately, longer ones further back.

Blocks are additive, and bounded in number: the last `window` rows are kept in blocks of a twentieth
of it, older ones in at most 64 longer blocks, whose length doubles whenever there are more. A block
is full when it has so many rows with labels, or so many without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib.monitoring._terms import N_TERMS, ROWS

# Blocks in a window: it moves on in steps this much shorter than itself.
_BLOCKS = 20
_MOST_OLD_BLOCKS = 64

Regime = Any  # a plain label; None where regimes are not named


@dataclass
class Block:
    """Consecutive rows, of labelled ones `start < row <= stop`, and what they add up to."""

    start: int
    stop: int
    sums: dict[Regime, NDArray] = field(default_factory=dict)  # (N_TERMS,) each
    scalars: dict[tuple[Regime, str], NDArray] = field(default_factory=dict)  # number, sum
    n_unlabelled: int = 0
    log_evidence: float = 0.0  # after the last row

    def absorb(self, later: Block) -> None:
        """Add the rows that follow."""
        self.stop = max(self.stop, later.stop)
        self.n_unlabelled += later.n_unlabelled
        self.log_evidence = later.log_evidence
        for mine, theirs in ((self.sums, later.sums), (self.scalars, later.scalars)):
            for key, values in theirs.items():
                mine[key] = mine[key] + values if key in mine else values.copy()

    def total(self) -> NDArray:
        """Sums over all regimes, in an order that does not depend on who came first."""
        return np.sum([np.zeros(N_TERMS), *(self.sums[r] for r in self.regimes())], axis=0)

    @property
    def size(self) -> int:
        """Rows with labels, or without: of which there are more."""
        return max(self.stop - self.start, self.n_unlabelled)

    def regimes(self) -> list[Regime]:
        """Those that have rows here, in order: None first, numbers before words."""
        named = [regime for regime in self.sums if regime is not None]
        order = sorted(named, key=lambda regime: (isinstance(regime, str), regime))
        return [None, *order] if None in self.sums else order


class History:
    """The blocks of one stream."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.length = -(-window // _BLOCKS)  # rows of a short block
        self.stride = 1  # short blocks in an old one
        self.old: list[Block] = []
        self.recent: list[Block] = [Block(0, 0)]  # the last one is open

    @property
    def n_rows(self) -> int:
        """Labelled rows so far."""
        return self.recent[-1].stop

    def pieces(self, n_rows: int, ends: Sequence[int] = ()) -> Iterator[slice]:
        """The next rows, cut at `ends` and where blocks end; `add` each before the next is made.

        All of them have labels, or none.
        """
        done = 0
        for end in (*ends, n_rows):
            while done < end:
                if self.recent[-1].size >= self.length:
                    self._open_block()
                room = self.length - self.recent[-1].size
                piece = slice(done, min(done + room, end))
                yield piece
                done = piece.stop

    def add(
        self,
        names: list[Regime],
        codes: NDArray,
        terms: NDArray,
        scalars: dict[str, NDArray],
        log_evidence: float,
    ) -> None:
        """Add rows of regimes `names[codes]` to the open block, one after the other."""
        block = self.recent[-1]
        n_labelled = int(np.count_nonzero(terms[:, ROWS]))
        block.stop += n_labelled
        block.n_unlabelled += len(terms) - n_labelled
        block.log_evidence = log_evidence
        for code in np.unique(codes):
            here = np.flatnonzero(codes == code)
            name = names[code]
            # From where the rows before left it: however rows are cut into batches, the
            # additions are the same.
            before = block.sums.get(name, np.zeros(N_TERMS))
            block.sums[name] = _added(before, terms[here])
            for scalar, values in scalars.items():
                some = values[here]
                some = some[~np.isnan(some)]
                if len(some):
                    powers = np.stack([np.ones_like(some), some], axis=1)
                    before = block.scalars.get((name, scalar), np.zeros(2))
                    block.scalars[name, scalar] = _added(before, powers)

    def in_window(self) -> Block:
        """The last `window` rows, or up to one short block more."""
        return merged(self.recent)

    def since(self, row: int) -> Block:
        """The blocks from the one on that begins next to `row`; the open one at least."""
        blocks = [*self.old, *self.recent]
        later = [b for b in blocks if b.start >= row - 1 - self.length // 2]
        return merged(later or blocks[-1:])

    def over_time(self, n_rows: int) -> list[Block]:
        """The whole stream in pieces of so many rows, or of one block if that is longer."""
        pieces: list[Block] = []
        for block in [*self.old, *self.recent]:
            if block.size == 0:
                continue
            if not pieces or pieces[-1].size >= n_rows:
                pieces.append(merged([block]))
            else:
                pieces[-1].absorb(block)
        return pieces

    def _open_block(self) -> None:
        self.recent.append(Block(self.n_rows, self.n_rows))
        if len(self.recent) > _BLOCKS + 1:
            self._keep(self.recent.pop(0))
            while len(self.old) > _MOST_OLD_BLOCKS:
                self.stride *= 2
                blocks, self.old = self.old, []
                for block in blocks:
                    self._keep(block)

    def _keep(self, block: Block) -> None:
        last = self.old[-1] if self.old else None
        if last is not None and last.size + block.size <= self.stride * self.length:
            last.absorb(block)
        else:
            self.old.append(block)


def merged(blocks: Iterable[Block]) -> Block:
    """All rows of some blocks, consecutive or of several streams."""
    first, *others = blocks
    total = Block(first.start, first.start)
    for block in (first, *others):
        total.absorb(block)
    return total


def _added(before: NDArray, rows: NDArray) -> NDArray:
    return np.add.accumulate(np.concatenate([before[None], rows]), axis=0)[-1]
