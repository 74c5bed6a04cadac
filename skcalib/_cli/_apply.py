"""``skcalib apply``: calibrated probabilities of scores, by a model file."""

from __future__ import annotations

import argparse
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import skcalib
from skcalib._cli._errors import OK
from skcalib._cli._files import import_pandas
from skcalib._cli._models import (
    as_the_model_knows,
    ask_for_context,
    calibrated,
    columns_for,
)
from skcalib._cli._rows import add_score_arguments, read_scores
from skcalib._files import written_whole

_EXAMPLE = """examples:
  skcalib apply model.json logits.npy -o calibrated.npy
  skcalib apply model.json scores.csv -o calibrated.parquet"""


def add_to(commands: Any) -> None:
    """Add the command to those of the parser."""
    parser = commands.add_parser(
        "apply",
        help="calibrate scores by a model that was fitted",
        description="Write calibrated probabilities, a column for each class in sorted order. "
        "Large .npy files are read and written block by block.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="the model, .json, that fit wrote")
    add_score_arguments(parser)
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="the probabilities: .npy, .npz (proba, classes), .csv or .parquet",
    )
    parser.set_defaults(run=_apply)


def _apply(options: argparse.Namespace) -> int:
    writer = _WRITERS.get(Path(options.output).suffix.lower())
    if writer is None:
        raise ValueError(f"{options.output}: is none of {', '.join(_WRITERS)}")
    model = skcalib.load_model(options.model)
    ask_for_context(options, model)
    rows = as_the_model_knows(read_scores(options, columns_for(model)), model)
    with written_whole(options.output) as partial:
        writer(partial, calibrated(model, rows, options.quiet), model.classes_, len(rows))
    if not options.quiet:
        print(f"Probabilities of {len(rows):,} rows: {options.output}")
    return OK


def _write_npy(path: Path, blocks: Iterator[NDArray], classes: NDArray, n_rows: int) -> None:
    with path.open("wb") as file:
        _stream(file, blocks, (n_rows, len(classes)))


def _write_npz(path: Path, blocks: Iterator[NDArray], classes: NDArray, n_rows: int) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        # Its size is not known before it is written, and may be beyond 4 GB.
        with archive.open("proba.npy", "w", force_zip64=True) as member:
            _stream(member, blocks, (n_rows, len(classes)))
        names = io.BytesIO()
        np.save(names, classes if classes.dtype.kind != "O" else classes.astype(str))
        archive.writestr("classes.npy", names.getvalue())


def _stream(file: Any, blocks: Iterable[NDArray], shape: tuple[int, int]) -> None:
    """An array in numpy's format, as its rows come."""
    for i, block in enumerate(blocks):
        if i == 0:
            header = {
                "descr": np.lib.format.dtype_to_descr(block.dtype),
                "fortran_order": False,
                "shape": shape,
            }
            np.lib.format.write_array_header_1_0(file, header)
        file.write(np.ascontiguousarray(block).data)


def _write_csv(path: Path, blocks: Iterator[NDArray], classes: NDArray, n_rows: int) -> None:
    pd = import_pandas("writing .csv")
    names = [str(label) for label in classes.tolist()]
    for i, block in enumerate(blocks):
        frame = pd.DataFrame(block, columns=names)
        frame.to_csv(path, mode="a" if i else "w", header=not i, index=False)


def _write_parquet(path: Path, blocks: Iterator[NDArray], classes: NDArray, n_rows: int) -> None:
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter
    except ImportError as error:
        raise ImportError("writing .parquet needs pyarrow: pip install skcalib[cli]") from error
    names = [str(label) for label in classes.tolist()]
    writer = None
    try:
        for block in blocks:
            table = pa.table([pa.array(column) for column in block.T], names=names)
            writer = writer or ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


_WRITERS: dict[str, Callable[[Path, Iterator[NDArray], NDArray, int], None]] = {
    ".npy": _write_npy,
    ".npz": _write_npz,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
