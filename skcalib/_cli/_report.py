"""``skcalib report``: one page for somebody who must sign it."""

from __future__ import annotations

import argparse
from importlib import resources
from pathlib import Path
from typing import Any

from skcalib._cli._errors import OK
from skcalib._cli._models import add_method_arguments
from skcalib._cli._monitor import QUESTION, add_monitor_arguments
from skcalib._cli._report_content import content_of
from skcalib._cli._report_rows import read_parts
from skcalib._cli._rows import add_label_arguments, add_score_arguments
from skcalib._files import written_whole

_EXAMPLE = """examples:
  skcalib report logits.npy labels.npy -o report.html
  skcalib report scores.csv --label-column truth --groups site --calibration 0.3 -o report.html
  skcalib report logits.npy labels.npy --model model.json -o report.html"""


def add_to(commands: Any) -> None:
    """Add the command to those of the parser."""
    parser = commands.add_parser(
        "report",
        help="write one HTML page: before, after, classes, groups",
        description="Write one HTML page that needs nothing else: what the model said and what "
        "came true, before and after calibration. Without --model a random half of the rows fits "
        "the calibrator and the other half is shown.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_score_arguments(parser)
    add_label_arguments(parser, groups="--groups", clusters="--clusters")
    parser.add_argument("--model", metavar="FILE", help="a model that fit wrote, on other rows")
    add_method_arguments(parser)
    parser.add_argument(
        "--calibration",
        metavar="SHARE|COLUMN",
        help="which rows fit the calibrator: a share, drawn at random, or a column that is true "
        "for them (default: 0.5)",
    )
    parser.add_argument(
        "--random-state", type=int, default=0, help="seed of that draw (default: %(default)s)"
    )
    parser.add_argument(
        "--monitor",
        action="store_true",
        help="watch the calibrated probabilities over time, too: see skcalib monitor",
    )
    add_monitor_arguments(parser)
    parser.add_argument("--title", default="Calibration report", help="title of the page")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the page, .html")
    parser.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> int:
    idle = [name for name in ("time", *QUESTION) if getattr(options, name) is not None]
    if idle and not options.monitor:
        raise ValueError(f"--{idle[0].replace('_', '-')} is for the monitor: add --monitor")
    page = _page(content_of(options, read_parts(options)))
    with written_whole(options.output) as partial:
        partial.write_text(page, encoding="utf-8")
    if not options.quiet:
        print(f"Report: {Path(options.output).resolve()}")
    return OK


def _page(content: dict[str, Any]) -> str:
    try:
        import jinja2
    except ImportError as error:
        raise ImportError("the report needs jinja2: pip install skcalib[cli]") from error
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = resources.files("skcalib._cli").joinpath("report.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(content).lstrip()
