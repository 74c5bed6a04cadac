"""Files that commands read: .npy, .npz, .csv and .parquet, as columns and arrays by name."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Floats above it need not be integers any more.
_EXACT = 2**53

# Among numbers these stand for a missing one. Among words they are words: a class, a country.
_MISSING = {
    "NA",
    "N/A",
    "n/a",
    "<NA>",
    "#N/A",
    "NaN",
    "nan",
    "-NaN",
    "-nan",
    "NULL",
    "null",
    "None",
}

_UNREADABLE = (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class DataFile:
    """What stands in a file: one array, arrays by key, or columns of a table.

    Parameters
    ----------
    path : str
        As the user wrote it, for messages.
    array : ndarray or None
        Of a .npy file, memory-mapped.
    parts : mapping from name to array or None
        Of a .npz file.
    frame : data frame or None
        Of a .csv or .parquet file.
    """

    path: str
    array: NDArray | None = None
    parts: Any = None
    frame: Any = None

    @property
    def names(self) -> list[str]:
        """Of its arrays or columns; none for a .npy file."""
        if self.parts is not None:
            return list(self.parts)
        return [] if self.frame is None else [str(name) for name in self.frame.columns]

    def named(self, name: str) -> Any:
        """One array or column by name; columns as the table keeps them."""
        if name not in self.names:
            raise ValueError(f"{self.path}: has no {name!r}, only {self._listing()}")
        if self.frame is not None:
            return self.frame.iloc[:, self.names.index(name)].array
        try:
            return self.parts[name]
        except _UNREADABLE as error:
            raise ValueError(f"{self.path}: {name} cannot be read ({error})") from error

    def usual(self, usual_names: Sequence[str], option: str) -> Any:
        """The array; or that of a usual name; or the only one there is."""
        if self.array is not None:
            return self.array
        names = self.names
        found = [name for name in usual_names if name in names] or names
        if len(found) != 1 and not (found and found[0] in usual_names):
            raise ValueError(f"{self.path}: has {self._listing()}: name one with {option}")
        return self.named(found[0])

    def _listing(self) -> str:
        few = self.names[:8]
        return ", ".join(few) + (", ..." if len(self.names) > len(few) else "") or "one array"


def open_file(text: str) -> tuple[DataFile, str | None]:
    """The file of ``path`` or ``path:name``, and the name."""
    path, name = _split(text)
    reader = _READERS.get(Path(path).suffix.lower())
    if not os.path.exists(path):
        raise ValueError(f"{path}: no such file")
    if reader is None:
        raise ValueError(f"{path}: is none of {', '.join(_READERS)}")
    try:
        return reader(path), name
    except ImportError:
        raise
    except PermissionError as error:
        raise ValueError(f"{path}: permission denied") from error
    except _UNREADABLE as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error


def column(text: str, beside: DataFile | None, usual_names: Sequence[str], option: str) -> Any:
    """One value for each row: a column of the file beside, or of another: ``path[:name]``."""
    if beside is not None and text in beside.names:
        return flat(beside.named(text), f"{beside.path}:{text}")
    if beside is not None and not os.path.exists(path_of(text)):
        raise ValueError(
            f"{text}: is neither a file nor among {beside._listing()} of {beside.path}"
        )
    file, name = open_file(text)
    values = file.usual(usual_names, f"{text}:NAME") if name is None else file.named(name)
    return flat(values, text)


def flat(values: Any, name: str) -> Any:
    """One dimension: (n,) as it is, (n, 1) without its second."""
    shape = np.shape(values)
    if len(shape) == 2 and shape[1] == 1:
        return values[:, 0]
    if len(shape) != 1:
        raise ValueError(f"{name}: must have one value for each row, has shape {shape}")
    return values


def plain_labels(values: Any) -> NDArray:
    """A column of labels as an array; words in an array of words, whole floats as integers.

    A table has floats where a column of integers went through a missing value or another program;
    the classes they name are 0 and 1, not 0.0 and 1.0.
    """
    array = np.asarray(values)
    if array.dtype.kind == "f":
        wide = array.astype(np.float64)  # half precision ends below the limit
        if (np.abs(wide) < _EXACT).all() and (wide % 1 == 0).all():
            return wide.astype(np.int64)
    if array.dtype.kind == "O" and all(isinstance(label, str) for label in array.tolist()):
        return array.astype(str)
    return array


def import_pandas(why: str) -> Any:
    """pandas, or an error that names the extra."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(f"{why} needs pandas: pip install skcalib[cli]") from error
    return pd


def path_of(text: str) -> str:
    """The path of ``path`` or ``path:name``."""
    return _split(text)[0]


def is_data_file(path: str) -> bool:
    """Whether it is a file that could be read here."""
    return Path(path).suffix.lower() in _READERS and os.path.exists(path)


def _split(text: str) -> tuple[str, str | None]:
    """``path:name`` apart; both may hold colons: the path is then one that exists."""
    if os.path.exists(text):
        return text, None
    ends = [i for i, letter in enumerate(text) if letter == ":" and i + 1 < len(text)]
    ends = [i for i in ends if Path(text[:i]).suffix.lower() in _READERS]
    for i in ends:
        if os.path.exists(text[:i]):
            return text[:i], text[i + 1 :]
    # None exists: what is said to be missing is the longest.
    return (text[: ends[-1]], text[ends[-1] + 1 :]) if ends else (text, None)


def _read_npy(path: str) -> DataFile:
    return DataFile(path, array=np.load(path, mmap_mode="r", allow_pickle=False))


def _read_npz(path: str) -> DataFile:
    parts = np.load(path, allow_pickle=False)
    if not isinstance(parts, np.lib.npyio.NpzFile):
        raise ValueError("it is one array: call it .npy")
    return DataFile(path, parts=parts)


def _read_csv(path: str) -> DataFile:
    pd = import_pandas("reading .csv")
    # Before pandas 3.1 the parser of default is off by a digit here and there.
    is_exact = tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1)
    options = {} if is_exact else {"float_precision": "round_trip"}
    frame = pd.read_csv(path, keep_default_na=False, na_values=[""], **options)
    doubtful = [name for name in frame if _are_words(frame[name]) and _MISSING & set(frame[name])]
    if doubtful:
        missing = ["", *_MISSING]
        again = pd.read_csv(
            path, usecols=doubtful, keep_default_na=False, na_values=missing, **options
        )
        for name in doubtful:
            if again[name].dtype.kind in "iuf" and again[name].notna().any():
                frame[name] = again[name]
    return DataFile(path, frame=frame)


def _are_words(values: Any) -> bool:
    return values.dtype.kind not in "biufcmM"


def _read_parquet(path: str) -> DataFile:
    pd = import_pandas("reading .parquet")
    try:
        return DataFile(path, frame=pd.read_parquet(path))
    except ImportError as error:
        raise ImportError("reading .parquet needs pyarrow: pip install skcalib[cli]") from error


_READERS: dict[str, Callable[[str], DataFile]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
