"""Bets against "these probabilities are calibrated", row by row.

The null: the true class of a row is drawn from `q^(1 / T0)`, normalised, with some T0 of the row
within `e^(+-tolerance)`; at tolerance 0 from q itself. Each bet is an e-value: of all T0 allowed it
has the largest mean at `q+ = q^(e^-tolerance)` or at `q- = q^(e^tolerance)`, and there it is 1.

- temperature T': `log e = (1/T' - 1) log f_y - log sum_k b_k f_k^(1/T' - 1)`, with b = q+ where
  T' > 1 and q- where T' < 1, and f the same floored at 1e-4 / K;
- noise eps: `e = 1 - eps + eps / (K f_y)`, f of q+: labels that are any class at random;
- class j more or less often than predicted, s = +-1: `log e = s 1{y = j} - log(1 + (e^s - 1) m)`,
  with m the largest (s = 1) or the least (s = -1) probability of j that the null allows.
"""

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import FEW_CLASSES, quiet_arithmetic, row_sum

# Rival temperatures and shares of noisy labels, spread over what drifting models show.
TEMPERATURES = (0.5, 0.7, 0.85, 1.2, 1.5, 2.2)
NOISES = (0.02, 0.1, 0.3)

# Above this many classes each would get too small a share of the stake to be worth its bet.
MOST_CLASSES = FEW_CLASSES

# Floors probabilities of e-values at this share of uniform: one label that was thought impossible
# is no proof.
_FLOOR = 1e-4


def n_level_bets(n_classes: int) -> int:
    """How many alternatives there are."""
    of_classes = 2 * n_classes if n_classes <= MOST_CLASSES else 0
    return len(TEMPERATURES) + len(NOISES) + of_classes


def level_shares(n_classes: int) -> NDArray:
    """Weights of the alternatives, in the order of `level_bets`, adding up to 1."""
    families = [len(TEMPERATURES), len(NOISES)]
    parts = [2 / 3, 1 / 3]
    if n_classes <= MOST_CLASSES:
        families.append(2 * n_classes)
        parts = [1 / 2, 1 / 4, 1 / 4]
    return np.concatenate([np.full(n, part / n) for n, part in zip(families, parts, strict=True)])


def level_bets(log_proba: NDArray, y_index: NDArray, tolerance: float) -> NDArray:
    """Log e-values (n, J) of rows whose log-probabilities are `log_proba` (n, K).

    Columns: `TEMPERATURES`, `NOISES`, then class 0 more often, class 0 less often, class 1, ...
    """
    n_rows, n_classes = log_proba.shape
    out = np.empty((n_rows, n_level_bets(n_classes)))
    with quiet_arithmetic(n_classes):
        flatter = _scaled(log_proba, np.exp(-tolerance))
        sharper = _scaled(log_proba, np.exp(tolerance)) if tolerance else flatter
        for bet, noise in enumerate(NOISES, start=len(TEMPERATURES)):
            of_label = np.maximum(_of(flatter, y_index), np.log(_FLOOR / n_classes))
            out[:, bet] = np.log(1 - noise + noise * np.exp(-of_label) / n_classes)
        _bet_on_temperatures(flatter, sharper, y_index, out)
        if n_classes <= MOST_CLASSES:
            start = len(TEMPERATURES) + len(NOISES)
            _bet_on_classes(log_proba, flatter, sharper, y_index, tolerance, out[:, start:])
    return out


def _scaled(log_proba: NDArray, power: float) -> NDArray:
    """Log of `q^power`, normalised."""
    scaled = log_proba * power
    if power == 1:
        return scaled
    scaled -= scaled.max(axis=1, keepdims=True)
    return scaled - np.log(row_sum(np.exp(scaled)))[:, None]


def _of(values: NDArray, y_index: NDArray) -> NDArray:
    return values[np.arange(len(values)), y_index]


def _bet_on_temperatures(
    flatter: NDArray, sharper: NDArray, y_index: NDArray, out: NDArray
) -> None:
    for bases, above in ((flatter, True), (sharper, False)):
        weights = np.exp(bases)
        floored = np.maximum(bases, np.log(_FLOOR / bases.shape[1]))
        of_label = _of(floored, y_index)
        for bet, temperature in enumerate(TEMPERATURES):
            if (temperature > 1) != above:
                continue
            power = 1 / temperature - 1
            terms = np.exp(power * floored)
            terms *= weights
            out[:, bet] = power * of_label - np.log(row_sum(terms))


def _bet_on_classes(
    log_proba: NDArray,
    flatter: NDArray,
    sharper: NDArray,
    y_index: NDArray,
    tolerance: float,
    out: NDArray,
) -> None:
    more, less = out[:, 0::2], out[:, 1::2]
    least = np.exp(np.minimum(flatter, sharper))
    most = _most_likely(log_proba, flatter, sharper, tolerance) if tolerance else least
    more[:] = -np.log1p(np.expm1(1.0) * most)
    less[:] = -np.log1p(np.expm1(-1.0) * least)
    rows = np.arange(len(y_index))
    more[rows, y_index] += 1
    less[rows, y_index] -= 1


def _most_likely(
    log_proba: NDArray, flatter: NDArray, sharper: NDArray, tolerance: float
) -> NDArray:
    """Upper bounds (n, K) of each class's probability over the temperatures allowed.

    Its logarithm has the derivative `log q_j - E_beta log q` in beta = 1 / T0, which falls with
    beta: from either end it rises at most along its tangent there, over a distance of
    `e^tolerance - e^-tolerance` at most.
    """
    distance = np.exp(tolerance) - np.exp(-tolerance)
    finite = np.where(np.isneginf(log_proba), 0, log_proba)
    up = log_proba - row_sum(np.exp(flatter) * finite)[:, None]
    down = row_sum(np.exp(sharper) * finite)[:, None] - log_proba
    bound = np.minimum(
        flatter + distance * np.maximum(up, 0), sharper + distance * np.maximum(down, 0)
    )
    return np.exp(np.minimum(np.where(np.isneginf(log_proba), -np.inf, bound), 0))
