"""What benchmarks print: the conditions they ran under, and tables."""

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from textwrap import indent

from tabulate import tabulate

from benchmarks._methods import PACKAGES


def conditions() -> list[str]:
    """Machine and versions, and which packages are missing: what is not compared is said."""
    machine = f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} CPUs"
    return [machine, *(f"{name} {_version(name)}" for name in ("numpy", "scipy", *PACKAGES))]


def print_conditions() -> None:
    print("\n- ".join(conditions()))


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """In Markdown. Cells are numbers already rounded to what they are good for, or text."""
    print(f"\n{title}\n\n{_table(columns, rows, 'pipe')}", flush=True)


def rst_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """The same for the documentation."""
    return f".. table:: {title}\n\n{indent(_table(columns, rows, 'rst'), '   ')}\n"


def _table(columns: Iterable[str], rows: Iterable[Iterable[object]], style: str) -> str:
    header = list(columns)
    align = ["left"] + ["right"] * (len(header) - 1)
    lines = [[str(cell) for cell in row] for row in rows]
    return tabulate(lines, header, tablefmt=style, disable_numparse=True, colalign=align)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed: not compared)"
