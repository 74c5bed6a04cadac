"""Small tables of results that print, show in notebooks and turn into data frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any
from xml.etree import ElementTree

import numpy as np


class Table(ABC):
    """Rows of a result, in the same words wherever they are shown."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What the table is about."""

    @property
    @abstractmethod
    def columns(self) -> list[str]:
        """Names of the columns; the first names the rows."""

    @property
    @abstractmethod
    def records(self) -> list[tuple[Any, ...]]:
        """One tuple per row, a value for each column; None where there is none."""

    @property
    def footnote(self) -> str:
        """What a reader should know of every row; empty where nothing."""
        return ""

    def to_frame(self) -> Any:
        """The table as a pandas DataFrame, indexed by its first column.

        Returns
        -------
        frame : pandas.DataFrame

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_frame needs pandas: pip install pandas") from error
        return pd.DataFrame(self.records, columns=self.columns).set_index(self.columns[0])

    def __str__(self) -> str:
        lines = [self.columns, *map(self._cells, self.records)]
        padded = []
        for cells, words in zip(zip(*lines, strict=True), self._hold_words(), strict=True):
            width = max(len(cell) for cell in cells)
            padded.append([cell.ljust(width) if words else cell.rjust(width) for cell in cells])
        text = [self.title, *("  ".join(line).rstrip() for line in zip(*padded, strict=True))]
        return "\n".join([*text, self.footnote] if self.footnote else text)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        table = ElementTree.Element("table")
        ElementTree.SubElement(table, "caption").text = self.title
        words = self._hold_words()
        head = ElementTree.SubElement(table, "thead")
        _add_row(head, ["th"] * len(words), self.columns, words)
        body = ElementTree.SubElement(table, "tbody")
        for row in self.records:
            _add_row(body, ["th", *["td"] * (len(row) - 1)], self._cells(row), words)
        if self.footnote:
            _add_row(ElementTree.SubElement(table, "tfoot"), ["td"], [self.footnote], [True])
            table[-1][0][0].set("colspan", str(len(words)))
        return ElementTree.tostring(table, encoding="unicode", method="html")

    def _hold_words(self) -> list[bool]:
        """Whether each column holds words, which begin at its left."""
        records = self.records
        return [
            any(isinstance(row[place], str) for row in records)
            for place in range(len(self.columns))
        ]

    def _cells(self, row: tuple[Any, ...]) -> list[str]:
        """The values of one row as they are shown."""
        return [shown(value) for value in row]


def _add_row(
    parent: ElementTree.Element, tags: list[str], cells: list[str], words: list[bool]
) -> None:
    row = ElementTree.SubElement(parent, "tr")
    for tag, cell, is_words in zip(tags, cells, words, strict=True):
        added = ElementTree.SubElement(row, tag)
        added.text = cell
        if is_words:  # notebooks set numbers and words alike to the right
            added.set("style", "text-align: left")


def shown(value: Any) -> str:
    """A value as a reader wants it: four digits, thousands set apart, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        number = float(value)
        return f"{number:,.0f}" if 1e4 <= abs(number) < np.inf else f"{number:.4g}"
    return f"{value:,}" if isinstance(value, int | np.integer) else str(value)
