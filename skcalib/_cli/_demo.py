"""``skcalib demo``: two real models before and after."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

import skcalib
from skcalib._files import written_whole

# Of both the table and the pictures, so that they say the same.
_N_BINS = 10


class _Comparison(NamedTuple):
    """A model before and after calibration, on rows neither fit has seen."""

    name: str
    calibrated: skcalib.TemperatureScaling
    y: NDArray
    before: NDArray  # (n, K)
    after: NDArray  # (n, K)


def add_to(commands: Any) -> None:
    """Add the command to those of the parser."""
    demo = commands.add_parser(
        "demo",
        help="calibrate two real models and draw what changed",
        description="Calibrate a language model's multiple-choice answers and a random forest; "
        "print how good the probabilities of held-out rows are before and after, and draw both.",
        epilog="example: skcalib demo --output picture.png",
    )
    demo.add_argument(
        "--output",
        type=Path,
        default=Path("skcalib_demo.png"),
        help="where to write the reliability diagrams (default: %(default)s)",
    )
    demo.set_defaults(run=_demo, quiet=False)


def _demo(options: argparse.Namespace) -> int:
    comparisons = [_language_model(), _random_forest()]
    print("\n".join(_table(comparisons)))
    try:
        _draw(comparisons, options.output)
    except ImportError as error:
        print(f"\nNo picture: {error}", file=sys.stderr)
        return 0
    except (OSError, ValueError) as error:
        print(f"skcalib demo: cannot write {options.output}: {error}", file=sys.stderr)
        return 2
    print(f"\nReliability diagrams: {options.output.resolve()}")
    return 0


def _language_model() -> _Comparison:
    """Saved logits, no estimator: calibrate on one half, look at the other."""
    from scipy.special import softmax

    from skcalib.datasets import load_logits

    data = load_logits("mcq_smollm2_a")
    held_in, held_out = data.calibration, ~data.calibration
    calibrated = skcalib.TemperatureScaling().fit(data.logits[held_in], data.target[held_in])
    test = data.logits[held_out]
    return _Comparison(
        "SmolLM2-135M, multiple choice",
        calibrated,
        data.target[held_out],
        softmax(test.astype(float), axis=1),
        calibrated.predict_proba(test),
    )


def _random_forest() -> _Comparison:
    """A classifier, cross-fitted: no rows are set aside for its calibration."""
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import train_test_split

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    forest = RandomForestClassifier(100, random_state=0)
    calibrated = skcalib.TemperatureScaling(forest).fit(X_train, y_train)
    return _Comparison(
        "random forest, digits",
        calibrated,
        y_test,
        calibrated.estimator_.predict_proba(X_test),
        calibrated.predict_proba(X_test),
    )


def _table(comparisons: Sequence[_Comparison]) -> Iterator[str]:
    from sklearn.metrics import log_loss

    from skcalib.metrics import brier_score, expected_calibration_error

    columns = {
        "log loss": log_loss,
        "Brier": brier_score,
        "ECE": partial(expected_calibration_error, n_bins=_N_BINS),
    }
    yield f"{'held-out rows':<31}{'':>8}{''.join(f'{name:>10}' for name in columns)}    temperature"
    for comparison in comparisons:
        low, high = comparison.calibrated.temperature_interval_
        fitted = f"{comparison.calibrated.temperature_:.2f} [{low:.2f}, {high:.2f}]"
        rows: dict[str, tuple[str, NDArray, str]] = {
            "before": (comparison.name, comparison.before, "1"),
            "after": (f"  {len(comparison.y)} rows", comparison.after, fitted),
        }
        for when, (title, proba, temperature) in rows.items():
            figures = "".join(f"{score(comparison.y, proba):10.3f}" for score in columns.values())
            yield f"{title:<31}{when:>8}{figures}    {temperature}"


def _draw(comparisons: Sequence[_Comparison], path: Path) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("drawing needs matplotlib: pip install skcalib[plot]") from error
    from skcalib.display import ReliabilityDisplay

    figure: Any = Figure(figsize=(11, 6), layout="constrained")
    for ax, comparison in zip(figure.subplots(1, 2), comparisons, strict=True):
        for name, proba in (("before", comparison.before), ("after", comparison.after)):
            ReliabilityDisplay.from_predictions(
                comparison.y, proba, n_bins=_N_BINS, name=name, ax=ax
            )
        ax.set_title(comparison.name)
    with written_whole(path) as written:
        figure.savefig(written, dpi=120, format=path.suffix[1:] or "png")
