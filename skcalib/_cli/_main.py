"""``skcalib COMMAND``: which there are, and how they are called."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import skcalib
from skcalib._cli import _apply, _demo, _evaluate, _fit, _monitor, _report
from skcalib._cli._errors import Parser, run_safely
from skcalib._cli._outputs import check_outputs

_COMMANDS = (_demo, _fit, _apply, _evaluate, _report, _monitor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0; 1 if a monitor raised an alarm; 2 for what is wrong with the arguments or files, said in
    one line; 130 if interrupted, 143 if terminated. No output file is left half written.
    """
    options = _parser().parse_args(arguments)
    return run_safely(_run, options)


def _run(options: argparse.Namespace) -> int:
    check_outputs(options)
    status: int = options.run(options)
    return status


def _parser() -> Parser:
    parser = Parser(
        prog="skcalib",
        description="Probability calibration for people who use scikit-learn.",
        epilog="Each command has an example: skcalib COMMAND --help",
    )
    parser.add_argument("--version", action="version", version=f"skcalib {skcalib.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for command in _COMMANDS:
        command.add_to(commands)
    return parser
