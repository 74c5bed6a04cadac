"""How often intervals for a calibration error contain it, and what a bootstrap would do.

Predictions of known quality are drawn again and again. The truth is the error that the true
probabilities of the events show in the same bins, with the sample's shares of rows.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from benchmarks._report import print_table
from skcalib.metrics import (
    calibration_error_interval,
    expected_calibration_error,
    reliability_curve,
)

N_BINS = 15
_LARGE = 100_000

# What is predicted and how likely the event is, for one draw of the cases.
Forecast = Callable[[np.random.Generator, int], tuple[NDArray, NDArray]]


def _of_logit(slope: float, shift: float = 0.0, center: float = 0.0) -> Forecast:
    def draw(rng: np.random.Generator, n: int) -> tuple[NDArray, NDArray]:
        logit = center + 1.5 * rng.standard_normal(n)
        return expit(slope * logit + shift), expit(logit)

    return draw


def _near_one(predicted: float, true: float) -> Forecast:
    def draw(rng: np.random.Generator, n: int) -> tuple[NDArray, NDArray]:
        u = rng.random(n)
        return 1 - predicted * u, 1 - true * u

    return draw


FORECASTS: dict[str, Forecast] = {
    "calibrated": _of_logit(1),
    "slightly too bold": _of_logit(1.15),
    "too bold": _of_logit(2),
    "too modest": _of_logit(0.5),
    "shifted": _of_logit(1, 0.5, -1),
    "sure, wrongly": _near_one(0.001, 0.02),
    "sure, rightly": _near_one(0.01, 0.01),
}


def main() -> None:
    arguments = _parse_arguments()
    rows = [
        [name, n, *_coverage(forecast, n, arguments.draws)]
        for name, forecast in FORECASTS.items()
        for n in (200, 1000, 5000)
    ]
    kinds = [f"norm={norm}, {strategy}" for norm, strategy in _kinds()]
    print_table(
        f"Share of {arguments.draws} intervals of 95 % that contain the error (mean width)",
        ["predictions", "rows", *kinds, "percentile bootstrap of ECE"],
        rows,
    )


def _kinds() -> Iterator[tuple[int, str]]:
    for norm in (1, 2):
        for strategy in ("uniform", "quantile"):
            yield norm, strategy


def _coverage(forecast: Forecast, n: int, n_draws: int) -> list[str]:
    rng = np.random.default_rng(0)
    population = forecast(rng, _LARGE)
    hits: list[list[bool]] = []
    widths: list[list[float]] = []
    for _ in range(n_draws):
        p, chance = forecast(rng, n)
        y = rng.random(n) < chance
        intervals = [
            calibration_error_interval(y, p, kind="positive", norm=norm, strategy=strategy)
            for norm, strategy in _kinds()
        ]
        truths = [_truth(y, p, population, norm, strategy) for norm, strategy in _kinds()]
        intervals.append(_bootstrap(y, p, rng))
        truths.append(truths[0])
        hits.append([low <= t <= high for (low, high), t in zip(intervals, truths, strict=True)])
        widths.append([high - low for low, high in intervals])
    means = zip(np.mean(hits, axis=0), np.mean(widths, axis=0), strict=True)
    return [f"{hit:.3f} ({width:.3f})" for hit, width in means]


def _truth(
    y: NDArray, p: NDArray, population: tuple[NDArray, NDArray], norm: int, strategy: str
) -> float:
    """Error of the population in the bins of a sample."""
    curve = reliability_curve(y, p, kind="positive", n_bins=N_BINS, strategy=strategy)
    predicted, chance = population
    place = np.searchsorted(curve.edges[:-1, 1], predicted, "left")
    size = np.bincount(place, minlength=len(curve.edges))
    gap = np.bincount(place, chance - predicted, len(curve.edges)) / np.maximum(size, 1)
    share = curve.weight / curve.weight.sum()
    return float((share * np.abs(gap) ** norm).sum() ** (1 / norm))


def _bootstrap(y: NDArray, p: NDArray, rng: np.random.Generator) -> tuple[float, float]:
    """What not to do: percentiles of the ECE of resampled rows."""
    errors = []
    for _ in range(100):
        rows = rng.integers(0, len(y), len(y))
        errors.append(expected_calibration_error(y[rows], p[rows], kind="positive"))
    low, high = np.quantile(errors, [0.025, 0.975])
    return float(low), float(high)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("--draws", type=int, default=300, help="data sets of each kind (300)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
