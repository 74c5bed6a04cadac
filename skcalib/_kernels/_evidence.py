"""Evidence against a null hypothesis that may be looked at after every row.

Each row gives one e-value for every alternative: a bet that, whatever came before, multiplies its
stake by 1 on average while the null holds. Winnings of bets begun at different rows are added up:

    A_j <- (A_j + p_t) e_j        M_t = sum_j w_j A_j + r_t

`p_t` is the stake put on a change at row t and `r_t` the stake not yet placed. `M` starts at 1 and
stays 1 on average, so it ever reaches 1 / alpha with probability alpha at most (Ville 1939). The
recursion is run on logarithms, `S = cumsum log e` and `log A = S + a` with
`a = logaddexp.accumulate(log p_t - S_(t - 1))`, from where the rows before left it: however rows
are cut into batches, the additions are the same ones in the same order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Half of the stake that waits for a change is placed within this many rows.
_HALF_PLACED = 1000.0

# An e-value counts as at most e^4: without the largest ones its mean is below 1 all the same, and
# one row alone cannot raise an alarm at alpha = .01.
MOST_LOG_EVALUE = 4.0


class Evidence(NamedTuple):
    """Where the recursion stands, for J alternatives."""

    n_rows: int
    log_growth: NDArray  # (J,), S
    log_stake: NDArray  # (J,), a
    lowest: NDArray  # (J,), the least S so far, S = 0 before the first row included
    lowest_at: NDArray  # (J,), int64: after how many rows


class EvidencePath(NamedTuple):
    """The recursion along n rows."""

    log_value: NDArray  # (n,), log M after each row
    log_growth: NDArray  # (n, J)
    log_stake: NDArray  # (n, J)
    before: Evidence


def no_evidence(n_alternatives: int) -> Evidence:
    """Before the first row."""
    zero = np.zeros(n_alternatives)
    nothing_staked = np.full(n_alternatives, -np.inf)
    return Evidence(0, zero, nothing_staked, zero, np.zeros(n_alternatives, np.int64))


@np.errstate(all="ignore")
def follow(
    before: Evidence, log_evalues: NDArray, log_share: NDArray, at_once: float | None
) -> EvidencePath:
    """Run the recursion over the log e-values (n, J) of n rows.

    Parameters
    ----------
    before : Evidence
    log_evalues : ndarray of shape (n, J)
    log_share : ndarray of shape (J,)
        Logarithms of the alternatives' weights.
    at_once : float or None
        Share of the stake put on the first row; the rest waits. With None a whole stake is put on
        every row: `M - t` then has mean 0, and the mean number of rows to reach c is at least c.
    """
    first = np.concatenate([before.log_growth[None], log_evalues])
    growth = np.add.accumulate(first, axis=0)
    t = before.n_rows + np.arange(1, len(log_evalues) + 1)
    stakes, waiting = _log_stakes(t, at_once)
    added = np.concatenate([before.log_stake[None], stakes[:, None] - growth[:-1]])
    stake = np.logaddexp.accumulate(added, axis=0)
    growth, stake = growth[1:], stake[1:]
    won = _log_sum(growth + stake + log_share)
    return EvidencePath(np.logaddexp(won, waiting), growth, stake, before)


@np.errstate(all="ignore")
def after(path: EvidencePath, n_rows: int) -> Evidence:
    """Where the recursion stands after the first `n_rows` rows of the path."""
    if n_rows == 0:
        return path.before
    growth = path.log_growth[:n_rows]
    at = growth.argmin(axis=0)
    least = growth[at, np.arange(growth.shape[1])]
    lower = least < path.before.lowest
    return Evidence(
        path.before.n_rows + n_rows,
        growth[-1].copy(),
        path.log_stake[n_rows - 1].copy(),
        np.where(lower, least, path.before.lowest),
        np.where(lower, path.before.n_rows + at + 1, path.before.lowest_at),
    )


@np.errstate(all="ignore")
def shares_of(state: Evidence, log_share: NDArray) -> NDArray:
    """What each alternative has of all that was won, (J,), adding up to 1."""
    log_won = state.log_growth + state.log_stake + log_share
    won = np.exp(log_won - log_won.max())
    return won / won.sum()


def log_value(state: Evidence, log_share: NDArray, at_once: float | None) -> float:
    """Log M where the recursion stands."""
    if state.n_rows == 0:
        return 0.0 if at_once is not None else -np.inf
    with np.errstate(all="ignore"):
        _, waiting = _log_stakes(np.array([state.n_rows]), at_once)
        won = _log_sum((state.log_growth + state.log_stake + log_share)[None])
        return float(np.logaddexp(won, waiting)[0])


def capped(log_evalues: NDArray, weight: NDArray | None) -> NDArray:
    """Log e-values (n, J) cut above; those of rows that count less are moved towards 1.

    `1 + w (e - 1)` has mean 1 wherever e has, if w in [0, 1] was known before the label.
    """
    cut = np.minimum(log_evalues, MOST_LOG_EVALUE)
    if weight is None:
        return cut
    with np.errstate(all="ignore"):
        return np.log1p(weight[:, None] * np.expm1(cut))


def _log_stakes(t: NDArray, at_once: float | None) -> tuple[NDArray, NDArray]:
    """Logarithms of the stake put on rows t, (n,), and of what waits after them, (n,)."""
    if at_once is None:
        return np.zeros(len(t)), np.full(len(t), -np.inf)
    half = _HALF_PLACED
    placed = (1 - at_once) * half / ((t + half - 1) * (t + half)) + at_once * (t == 1)
    return np.log(placed), np.log((1 - at_once) * half / (t + half))


def _log_sum(values: NDArray) -> NDArray:
    """Log of the sum of exponentials within each row of (n, J), one column after the other."""
    largest = values.max(axis=1)
    terms = np.exp(values - largest[:, None])
    total = np.zeros(len(values))
    for j in range(values.shape[1]):
        total += terms[:, j]
    return np.log(total) + largest
