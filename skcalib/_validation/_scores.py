"""Scores held against what they are declared to be: probabilities, their logarithms, logits."""

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import row_blocks
from skcalib._validation._arrays import listing

# How far a row of probabilities may be from summing to one: rounding to three decimals passes, a
# forgotten class or a vector that was never normalised does not.
_SUM_TOLERANCE = 5e-3

# How far beyond 0 and 1 a probability may be, by the bytes of its type: averages over an
# ensemble round to 1.0000000000000002, in float32 to 1.0000001. More is no rounding.
_UNIT_TOLERANCE = {2: 1e-3, 4: 1e-6, 8: 1e-12}

# float16 has three digits.
_HALF_SUM_TOLERANCE = 1e-2


def check_probabilities(proba: NDArray, name: str) -> NDArray:
    """Probabilities (n, K): inside [0, 1], each row summing to one. Returned as they are."""
    tolerance = _HALF_SUM_TOLERANCE if _is_half(proba) else _SUM_TOLERANCE
    for rows in row_blocks(*proba.shape):
        block = proba[rows]
        check_unit_interval(block, name, rows.start)
        off = np.abs(block.sum(axis=1, dtype=np.float64) - 1)
        if off.max() > tolerance:
            row = int(off.argmax())
            raise ValueError(
                f"{name} must hold probabilities whose rows sum to one (within {tolerance:g}), "
                f"got a sum of {block[row].sum(dtype=np.float64):.6g} in row {rows.start + row}."
            )
    return proba


def _is_half(values: NDArray) -> bool:
    return values.dtype.itemsize == 2


def check_unit_interval(block: NDArray, name: str, start: int = 0) -> None:
    """Raise for the first entry below 0 or above 1 of a block whose first row is row `start`."""
    tolerance = _UNIT_TOLERANCE[block.dtype.itemsize]
    low, high = -tolerance, 1 + tolerance
    # A NaN fails every comparison.
    if not (block.min() >= low and block.max() <= high):
        bad = ~((block >= low) & (block <= high))
        row, column = divmod(int(bad.argmax()), block.shape[1])
        raise ValueError(
            f"{name} must hold probabilities between 0 and 1, got {block[row, column]} in "
            f"row {start + row}, column {column}. Logits are not probabilities; what is off by "
            "rounding alone may be clipped with np.clip."
        )


def look_like_probabilities(values: NDArray) -> bool:
    """Whether every row, (n, K) or one column of two, could be probabilities.

    Logits give themselves away in the first block.
    """
    try:
        if values.ndim == 1 or values.shape[1] == 1:
            check_unit_interval(values.reshape(len(values), 1), "")
        else:
            check_probabilities(values, "")
    except ValueError:
        return False
    return True


def check_log_probabilities(values: NDArray, name: str) -> NDArray:
    """Log-probabilities (n, K) whose exponentials are probabilities."""
    tolerance = _UNIT_TOLERANCE[values.dtype.itemsize]
    sum_tolerance = _HALF_SUM_TOLERANCE if _is_half(values) else _SUM_TOLERANCE
    for rows in row_blocks(*values.shape):
        block = values[rows]
        if not block.max() <= tolerance:
            row, column = (int(i) for i in np.argwhere(~(block <= tolerance))[0])
            raise ValueError(
                f"{name} must hold log-probabilities, at most 0, got {block[row, column]} in "
                f"row {rows.start + row}, column {column}."
            )
        with np.errstate(under="ignore"):
            total = np.exp(block, dtype=np.float64).sum(axis=1)
        off = np.abs(total - 1)
        if off.max() > sum_tolerance:
            row = int(off.argmax())
            raise ValueError(
                f"{name} must hold log-probabilities whose exponentials sum to one, got a sum "
                f"of {total[row]:.6g} in row {rows.start + row}."
            )
    return values


def refuse_bad_logits(
    logits: NDArray,
    name: str,
    y_index: NDArray | None = None,
    weight: NDArray | None = None,
) -> None:
    """Raise for the first row of logits (n, K) that has no softmax, or none at its label.

    Kernels notice such rows in passing; this finds the one to name.
    """
    for rows in row_blocks(*logits.shape):
        block = logits[rows]
        counts = np.ones(len(block), dtype=bool) if weight is None else weight[rows] > 0
        masked = np.isneginf(block)
        faults = {
            "holds NaN": np.isnan(block).any(axis=1),
            "holds +inf": np.isposinf(block).any(axis=1),
            "has every class masked (-inf)": masked.all(axis=1),
        }
        if y_index is not None:
            at_label = masked[np.arange(len(block)), y_index[rows]]
            faults["has its own label's class masked (-inf)"] = at_label
        for fault, found in faults.items():
            if (found & counts).any():
                row = rows.start + int(np.flatnonzero(found & counts)[0])
                raise ValueError(
                    f"{name} must hold finite logits, or -inf for a masked class: row {row} "
                    f"{fault}: {listing(logits[row])}."
                )
