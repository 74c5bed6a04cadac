"""Whether comparisons of forecasts and values of policies cover what they say, and what is learned.

Data are drawn again and again from known distributions: forecasts that differ in nothing but
chance, and logs of temperatures whose best use is known.
"""

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, stdtrit
from sklearn.linear_model import RidgeCV

from benchmarks._report import print_table
from skcalib.monitoring import TemperaturePolicy, policy_value
from skcalib.monitoring._mean_intervals import anytime_ends, exact_ends, fixed_ends, moments_of

# Differences of scores with mean zero, of some shape (draws, rows).
Draw = Callable[[np.random.Generator, tuple[int, int]], NDArray]


def main() -> None:
    draws = _parse_arguments().draws
    print_table(
        f"Gains missed above and below by {draws} intervals of 95 %, in %",
        ["differences", "rows", "Student", "fixed", "anytime"],
        [
            [name, n, *_misses(d, n, draws)]
            for name, d in DRAWS.items()
            for n in (30, 100, 300, 2000)
        ],
    )
    print_table(
        f"False promotions in {draws // 4} streams, looked at every 100 rows up to 10 000, in %",
        ["differences", "fixed", "asymptotic", "from row 500 on", "exact, every 1000"],
        [[name, *_promotions(name, draws // 4)] for name in DRAWS],
    )
    print_table(
        "Half width in thousandths, of differences with a deviation of .05",
        ["rows", "fixed", "asymptotic", "exact, bound 1", "exact, bound 4.6"],
        [[n, *_widths(n)] for n in (100, 300, 1000, 3000, 10_000, 100_000)],
    )
    print_table(
        f"Policy values covered by {draws // 3} intervals of 95 % (mean width)",
        ["log", "rewards", "rows", "DR", "IPS", "self-normalised IPS", "ESS"],
        [
            [log, rewards, n, *_coverage(World(log, rewards), n, draws // 3)]
            for log in LOGS
            for rewards in REWARDS
            for n in (200, 500, 2000)
        ],
    )
    print_table(
        "Share learned of what lies between the best fixed temperature and the best of each row, %",
        [
            "log",
            "rewards",
            "rows",
            "TemperaturePolicy",
            "a ridge for each",
            "the best fixed by IPS",
        ],
        [
            [log, rewards, n, *_learned(World(log, rewards), n)]
            for log in LOGS
            for rewards in REWARDS
            for n in (200, 1000, 5000)
        ],
    )


def _log_losses(logit: NDArray, y: NDArray) -> NDArray:
    return np.logaddexp(0, np.where(y, -logit, logit))


def _of_noise(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray:
    logit = 2 * rng.standard_normal(shape)
    y = rng.random(shape) < expit(logit)
    p, q = (logit + 0.3 * rng.standard_normal(shape) for _ in range(2))
    return _log_losses(p, y) - _log_losses(q, y)


def _equally_wrong() -> float:
    """The slope above 1 whose log loss is that of .6, of logits N(0, 4)."""
    grid, share = np.polynomial.hermite_e.hermegauss(101)
    logit, share = 2 * grid, share / share.sum()

    def loss(slope: float) -> float:
        p = expit(logit)
        terms = p * np.logaddexp(0, -slope * logit) + (1 - p) * np.logaddexp(0, slope * logit)
        return float(share @ terms)

    return float(brentq(lambda slope: loss(slope) - loss(0.6), 1.001, 5))


_BOLD = _equally_wrong()


def _of_temperature(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray:
    logit = 2 * rng.standard_normal(shape)
    y = rng.random(shape) < expit(logit)
    return _log_losses(0.6 * logit, y) - _log_losses(_BOLD * logit, y)


def _rare(share: float) -> Draw:
    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray:
        gains = rng.uniform(0, 2 * share / (1 - share), shape)
        return np.where(rng.random(shape) < share, -1.0, gains)

    return draw


DRAWS: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "two noisy forecasts": _of_noise,
    "too modest against too bold": _of_temperature,
    "t with 3 degrees of freedom": lambda rng, shape: rng.standard_t(3, shape),
    "1 - exponential": lambda rng, shape: 1 - rng.exponential(size=shape),
    "a large loss in 5 % of rows": _rare(0.05),
    "a large loss in 1 % of rows": _rare(0.01),
}


def _misses(draw: Draw, n: int, n_draws: int) -> list[str]:
    rng, counts = np.random.default_rng(0), np.zeros((3, 2))
    for values in draw(rng, (n_draws, n)):
        moments = moments_of(values)
        half = -stdtrit(n - 1, 0.025) * moments.deviation / n**0.5
        ends = [
            (moments.mean - half, moments.mean + half),
            fixed_ends(moments, 0.95),
            anytime_ends(moments, 0.95, 1000),
        ]
        counts += [[low > 0, high < 0] for low, high in ends]
    return [f"{100 * a:.1f} + {100 * b:.1f}" for a, b in counts / n_draws]


def _promotions(name: str, n_streams: int) -> list[str]:
    rng, looks = np.random.default_rng(1), range(100, 10_001, 100)
    bounded = name.startswith("a large loss")  # of at most 1
    promoted = []
    for _ in range(n_streams):
        values = DRAWS[name](rng, (1, 10_000))[0]
        lower = []
        for n in looks:
            moments = moments_of(values[:n])
            anytime = anytime_ends(moments, 0.95, 1000)[0]
            exact = bounded and n % 1000 == 0
            lower.append(
                [
                    fixed_ends(moments, 0.95)[0],
                    anytime,
                    anytime if n >= 500 else -np.inf,
                    exact_ends(values[:n], 1.0, 0.95)[0] if exact else -np.inf,
                ]
            )
        promoted.append((np.array(lower) > 0).any(axis=0))
    shares = [f"{100 * share:.1f}" for share in np.mean(promoted, axis=0)]
    return shares if bounded else [*shares[:-1], "-"]


def _widths(n: int) -> list[str]:
    values = 0.05 * np.random.default_rng(2).standard_normal(n)
    moments = moments_of(values)
    ends = [
        fixed_ends(moments, 0.95),
        anytime_ends(moments, 0.95, 1000),
        exact_ends(values, 1.0, 0.95),
        exact_ends(values, 4.6, 0.95),
    ]
    return [f"{500 * (high - low):.1f}" for low, high in ends]


TEMPERATURES = np.array([0.0, 0.3, 0.7, 1.0])
LOGS = ["uniform", "down to .05"]
REWARDS = ["linear", "curved", "of categories"]
_SLOPES = np.array([[0.0, 0.3, 0.1, -0.2], [0.5, 0.2, -0.3, 0.1], [-0.5, 0.0, 0.4, 0.8]])
_LARGE = 200_000


class World(NamedTuple):
    """Where rewards come from."""

    log: str
    rewards: str

    def contexts(self, rng: np.random.Generator, n: int) -> NDArray:
        if self.rewards == "of categories":
            return np.array(list("abcdef"))[rng.integers(0, 6, (n, 2))]
        return rng.standard_normal((n, 3))

    def means(self, X: NDArray) -> NDArray:
        """Mean reward of each temperature, (n, 4)."""
        if self.rewards == "of categories":
            effects = 0.1 * np.random.default_rng(9).standard_normal((2, 6, 4))
            first, second = (np.searchsorted(list("abcdef"), X[:, c]) for c in range(2))
            return 0.5 + effects[0, first] + 0.3 * effects[1, second]
        linear = X @ _SLOPES + [0.0, 0.2, 0.1, -0.1]
        if self.rewards == "linear":
            return linear
        step = (X[:, :1] > 0) * [1.5, 0.5, -0.5, -1.5]
        return np.sin(2 * linear) + step + 0.5 * X[:, 1:2] ** 2

    def _cell(self, X: NDArray) -> NDArray:
        """A split of the contexts in four."""
        if self.rewards == "of categories":
            return 2 * (X[:, 0] < "d") + (X[:, 1] < "d")
        return 2 * (X[:, 0] > 0) + (X[:, 1] > 0)

    def wanted(self, X: NDArray) -> NDArray:
        """Probabilities of a policy that often wants what the log rarely did."""
        return 0.025 + 0.9 * np.eye(4)[(3 * self._cell(X) + 1) % 4]

    def logs(self, rng: np.random.Generator, n: int) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        X = self.contexts(rng, n)
        often = 0.05 + 0.8 * np.eye(4)[self._cell(X)]
        proba = np.full((n, 4), 0.25) if self.log == "uniform" else often
        action = (rng.random((n, 1)) > proba.cumsum(axis=1)[:, :-1]).sum(axis=1)
        mean = self.means(X)[np.arange(n), action]
        if self.rewards == "of categories":  # rated or not
            reward = (rng.random(n) < mean).astype(float)
        else:
            reward = mean + rng.standard_normal(n)
        return X, TEMPERATURES[action], reward, proba[np.arange(n), action]


def _coverage(world: World, n: int, n_draws: int) -> list[str]:
    rng = np.random.default_rng(3)
    X = world.contexts(rng, _LARGE)
    truth = (world.wanted(X) * world.means(X)).sum(axis=1).mean()
    hits, widths, sizes = [], [], []
    for _ in range(n_draws):
        logs = world.logs(rng, n)
        found = policy_value(*logs, world.wanted, temperatures=TEMPERATURES)
        ends = found.rows[:3]
        hits.append([row.lower <= truth <= row.upper for row in ends])
        widths.append([row.upper - row.lower for row in ends])
        sizes.append(found.effective_sample_size)
    pairs = zip(np.mean(hits, axis=0), np.mean(widths, axis=0), strict=True)
    return [*(f"{hit:.3f} ({width:.2f})" for hit, width in pairs), f"{np.mean(sizes):.0f}"]


def _learned(world: World, n: int) -> list[str]:
    rng = np.random.default_rng(4)
    new = world.contexts(rng, 20_000)
    means = world.means(new)
    fixed, best = means.mean(axis=0).max(), means.max(axis=1).mean()
    shares = []
    for _ in range(20):
        X, temperature, reward, propensity = world.logs(rng, n)
        policy = TemperaturePolicy()
        policy.fit(X, reward, temperature=temperature, propensity=propensity)
        place = np.searchsorted(TEMPERATURES, temperature)
        encoded = [policy.encoder_.transform(of) for of in (X, new)]
        choices = [
            np.searchsorted(TEMPERATURES, policy.predict(new)),
            _by_regressions(*encoded, place, reward),
            np.full(len(new), np.bincount(place, reward / propensity).argmax()),
        ]
        shares.append([means[np.arange(len(new)), chosen].mean() for chosen in choices])
    return [f"{100 * (mean - fixed) / (best - fixed):.0f}" for mean in np.mean(shares, axis=0)]


def _by_regressions(X: NDArray, new: NDArray, place: NDArray, reward: NDArray) -> NDArray:
    """The best temperature by a ridge regression for each, on the rows that had it."""
    models = [
        RidgeCV(np.logspace(-1, 5, 13)).fit(X[place == a], reward[place == a]) for a in range(4)
    ]
    return np.column_stack([model.predict(new) for model in models]).argmax(axis=1)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparisons", description=__doc__)
    parser.add_argument("--draws", type=int, default=1200, help="data sets of each kind (1200)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
