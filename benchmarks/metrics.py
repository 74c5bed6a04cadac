"""CPU time of every metric, as a multiple of scikit-learn's log loss on the same predictions.

Metric and log loss are measured in turn, each held to one thread; figures are medians of the
ratios. scikit-learn's own Brier score stands beside them.
"""

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss, log_loss

from benchmarks._report import print_conditions, print_table
from benchmarks._timing import interleaved, one_thread
from skcalib import metrics

Metric = Callable[..., object]

# Closed-form metrics and those behind scorers; then what resamples, cross-validates or tabulates.
METRICS: dict[str, Metric] = {
    "ECE": metrics.expected_calibration_error,
    "ECE, quantile bins": partial(metrics.expected_calibration_error, strategy="quantile"),
    "MCE": metrics.maximum_calibration_error,
    "L2 error, debiased": partial(
        metrics.calibration_error, norm=2, debias=True, strategy="quantile"
    ),
    "class-wise ECE": partial(metrics.expected_calibration_error, kind="class"),
    "smooth ECE": metrics.smooth_calibration_error,
    "calibration error interval": metrics.calibration_error_interval,
    "Brier score": metrics.brier_score,
    "Brier skill score": metrics.brier_skill_score,
    "log loss skill score": metrics.log_loss_skill_score,
    "Spiegelhalter's Z": metrics.spiegelhalter_z,
    "calibration slope": partial(metrics.calibration_slope_intercept, kind="confidence"),
    "AURC": metrics.aurc,
    "AUGRC": metrics.augrc,
    "reliability curve": metrics.reliability_curve,
    "risk bands": partial(metrics.risk_bands, kind="confidence"),
    "CORP, top label": partial(metrics.score_decomposition, kind="confidence"),
    "Murphy, top label": partial(metrics.score_decomposition, method="murphy", kind="confidence"),
}
SLOW_METRICS: dict[str, Metric] = {
    "class-wise ECE, quantile bins": partial(
        metrics.expected_calibration_error, kind="class", strategy="quantile"
    ),
    "class-wise smooth ECE": partial(metrics.smooth_calibration_error, kind="class"),
    "CORP, by class": metrics.score_decomposition,
    "refinement by temperature": partial(metrics.score_decomposition, method="calibrator"),
    "calibration report": metrics.calibration_report,
}


def main() -> None:
    arguments = _parse_arguments()
    print_conditions()
    y, proba = draw(*arguments.shape)
    chosen = METRICS if arguments.quick else METRICS | SLOW_METRICS
    calls: dict[str, Callable[[], object]] = {
        "scikit-learn's Brier score": partial(brier_score_loss, y, proba)
    }
    calls |= {name: partial(metric, y, proba) for name, metric in chosen.items()}
    with one_thread():
        seconds, ratios = interleaved(partial(log_loss, y, proba), calls, arguments.repeats)
    n_rows, n_classes = arguments.shape
    print_table(
        f"{n_rows} x {n_classes}: CPU time over that of sklearn.metrics.log_loss, "
        f"{1000 * seconds:.0f} ms",
        ["", "ratio"],
        [[name, r if isinstance(r, str) else f"{r:.2f}"] for name, r in ratios.items()],
    )


def draw(n_rows: int, n_classes: int) -> tuple[NDArray, NDArray]:
    """Labels, and probabilities that are somewhat too bold."""
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((n_rows, n_classes))
    proba = np.exp(logits)
    proba /= proba.sum(axis=1, keepdims=True)
    y = (logits / 1.5 + rng.gumbel(size=logits.shape)).argmax(axis=1)
    return y, proba


def _shape(text: str) -> tuple[int, int]:
    n_rows, n_classes = text.lower().split("x")
    return int(n_rows), int(n_classes)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument(
        "--shape", type=_shape, default=(1_000_000, 10), metavar="NxK", help="rows x classes"
    )
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each metric (3)")
    parser.add_argument("--quick", action="store_true", help="leave out what is no closed form")
    return parser.parse_args()


if __name__ == "__main__":
    main()
