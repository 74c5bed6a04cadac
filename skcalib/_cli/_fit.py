"""``skcalib fit``: a calibrator from scores and labels, as a JSON file."""

from __future__ import annotations

import argparse
from typing import Any

import skcalib
from skcalib._cli._errors import OK
from skcalib._cli._models import add_method_arguments, fitted
from skcalib._cli._rows import add_label_arguments, add_score_arguments, read_labelled

_EXAMPLE = """examples:
  skcalib fit logits.npy labels.npy -o model.json
  skcalib fit scores.csv --label-column truth --context language -o model.json
  skcalib fit logits.npy labels.npy --method structured --parameter accuracy_preserving=true \\
      -o model.json"""


def add_to(commands: Any) -> None:
    """Add the command to those of the parser."""
    parser = commands.add_parser(
        "fit",
        help="fit a calibrator on scores and labels",
        description="Fit a calibrator on scores of rows that the model was not trained on, and "
        "write it as JSON, which people can read and programs load without running anything.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_score_arguments(parser)
    add_label_arguments(parser, clusters="--groups")
    add_method_arguments(parser)
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the model, .json")
    parser.set_defaults(run=_fit)


def _fit(options: argparse.Namespace) -> int:
    rows = read_labelled(options)
    model = fitted(options, rows)
    skcalib.save_model(model, options.output)
    if not options.quiet:
        print(described(model, len(rows)))
        print(f"Model: {options.output}")
    return OK


def described(model: Any, n_rows: int) -> str:
    """What was fitted, in a sentence or a table."""
    text = f"{type(model).__name__}: {n_rows:,} rows of {len(model.classes_):,} classes"
    if hasattr(model, "summary"):
        return f"{text}\n{model.summary()}"
    if hasattr(model, "temperature_interval_"):
        low, high = model.temperature_interval_
        text += f", temperature {model.temperature_:.4g} [{low:.4g}, {high:.4g}]"
    if hasattr(model, "log_loss_before_"):
        text += f", log loss {model.log_loss_before_:.4g} -> {model.log_loss_after_:.4g}"
    return text
