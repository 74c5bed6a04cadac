"""The rows of the report: which fit the calibrator, and which are shown."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import skcalib
from skcalib._cli._evaluate import read_for
from skcalib._cli._models import fitted
from skcalib._cli._rows import LabelledRows, read_labelled
from skcalib._validation import check_column_classes

_HALF = 0.5


@dataclass(frozen=True)
class Parts:
    """A model and the rows that it is shown on.

    Parameters
    ----------
    model : calibrator
    rows : all rows
    shown : ndarray, positions of those that are shown
    fitted_on : ndarray or None, positions of those it was fitted on; None if that was elsewhere
    how : str, in which way these were chosen
    """

    model: Any
    rows: LabelledRows
    shown: NDArray
    fitted_on: NDArray | None
    how: str


def read_parts(options: argparse.Namespace) -> Parts:
    """A model of a file and all rows; or one fitted on some of them, and the others."""
    if options.model is not None:
        return _with_a_model(options)
    share, also = _share(options)
    rows = _with_classes(read_labelled(options, also=also))
    held_in = _named(rows) if share is None else _drawn(rows, share, options.random_state)
    if not held_in.any() or held_in.all():
        raise ValueError("--calibration must leave rows to fit on and rows to show")
    how = f"drawn at random (seed {options.random_state})" if share else "named by the file"
    fit = np.flatnonzero(held_in)
    return Parts(fitted(options, rows, fit), rows, np.flatnonzero(~held_in), fit, how)


def _with_a_model(options: argparse.Namespace) -> Parts:
    for option, value in (
        ("--calibration", options.calibration),
        ("--method", options.method),
        ("--parameter", options.parameter),
        ("--clusters", options.clusters),
    ):
        if value:
            raise ValueError(f"{option} is for a fit; --model was fitted already")
    model = skcalib.load_model(options.model)
    rows = read_for(model, options, also=("time",))
    return Parts(model, rows, np.arange(len(rows)), None, f"by {options.model}")


def _share(options: argparse.Namespace) -> tuple[float | None, tuple[str, ...]]:
    """The share of rows to fit on, or None for a column that names them; and columns to read."""
    try:
        share = _HALF if options.calibration is None else float(options.calibration)
    except ValueError:
        return None, ("time", "calibration")
    if not 0 < share < 1:
        raise ValueError(f"--calibration must be a share between 0 and 1, got {share:g}")
    return share, ("time",)


def _with_classes(rows: LabelledRows) -> LabelledRows:
    """With the classes that all labels say: some of the rows may lack one."""
    if rows.classes is not None:
        return rows
    width = 1 if rows.scores.values.ndim == 1 else rows.scores.values.shape[1]
    classes = check_column_classes(None, max(width, 2), rows.y)
    return replace(rows, classes=classes.tolist())


def _named(rows: LabelledRows) -> NDArray:
    """True for the rows that the column says are to fit."""
    mask = np.asarray(rows.others["calibration"])
    if not np.isin(mask, [0, 1]).all():
        raise ValueError("--calibration must be true or false, or 1 or 0, for each row")
    return mask.astype(bool)


def _drawn(rows: LabelledRows, share: float, seed: int) -> NDArray:
    """True for a random share of the rows; those of a cluster stay together."""
    alone = np.arange(len(rows))
    of_row = alone if rows.clusters is None else np.unique(rows.clusters, return_inverse=True)[1]
    order = np.random.RandomState(seed).permutation(of_row.max() + 1)
    return np.isin(of_row, order[: round(share * len(order))])
