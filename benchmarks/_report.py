"""What both benchmarks print: the conditions they ran under, and tables in Markdown."""

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from tabulate import tabulate

from benchmarks._methods import PACKAGES


def print_conditions() -> None:
    """Versions, and which packages are missing: what is not compared is said."""
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} CPUs")
    for name in ("numpy", "scipy", *PACKAGES):
        print(f"- {name} {_version(name)}")


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Cells are numbers already rounded to what they are good for, or text."""
    header = list(columns)
    align = ["left"] + ["right"] * (len(header) - 1)
    lines = [[str(cell) for cell in row] for row in rows]
    print(f"\n{title}\n")
    print(
        tabulate(lines, header, tablefmt="pipe", disable_numparse=True, colalign=align), flush=True
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed: not compared)"
