"""Logits, temperatures and steps as this room takes them."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._validation import check_numeric, refuse_bad_logits


def check_logits(logits: ArrayLike) -> tuple[NDArray, bool]:
    """Logits (n, K), and whether they came as a single row (K,). Values are not looked at."""
    if np.ndim(logits) not in (1, 2):
        raise ValueError(
            "logits must have shape (n_rows, n_classes), or (n_classes,) for a single row, got "
            f"{np.shape(logits)}."
        )
    values = check_numeric(logits, "logits")
    return (values[None], True) if values.ndim == 1 else (values, False)


def refuse_bad_rows(logits: NDArray, per_row: NDArray) -> None:
    """Raise if a kernel's number for each row says that one of them has no softmax."""
    if np.isnan(per_row).any():
        refuse_bad_logits(logits, "logits")


def check_temperature(temperature: Any, n_rows: int, name: str = "temperature") -> NDArray:
    """Temperatures (n,) as float64, between 0 and inf. Not to be written to."""
    values = np.asarray(temperature)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be a number, or one per row, got {temperature!r}.")
    if values.shape not in ((), (n_rows,)):
        raise ValueError(
            f"{name} must be a number, or one per row, ({n_rows},), got shape {values.shape}."
        )
    if not values.min() >= 0:  # NaN neither
        row = int(np.flatnonzero(~(values >= 0))[0])
        where = f" in row {row}" if values.ndim else ""
        raise ValueError(
            f"{name} must be positive, or 0 for greedy decoding, got {values.flat[row]}{where}."
        )
    return per_row(values.astype(np.float64, copy=False), n_rows)


def check_step(step: Any, n_rows: int) -> NDArray:
    """Steps (n,) as integers, at least 0. Not to be written to."""
    values = np.asarray(step)
    if values.dtype.kind not in "iu":
        raise TypeError(f"step must be an integer, or one per row, got {step!r}.")
    if values.shape not in ((), (n_rows,)):
        raise ValueError(
            f"step must be an integer, or one per row, ({n_rows},), got shape {values.shape}."
        )
    if values.min() < 0:
        raise ValueError(f"step must be at least 0, got {values.min()}: it counts tokens.")
    return per_row(values, n_rows)


def per_row(values: NDArray, n_rows: int) -> NDArray:
    """A number, or one per row, as one per row (n,). Not to be written to."""
    if values.ndim:
        return values
    return values[None] if n_rows == 1 else np.broadcast_to(values, (n_rows,))
