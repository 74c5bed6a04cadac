"""Which regime each row is of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib._validation import check_groups, plain_value

# What all regimes together are called wherever figures are shown.
ALL = "all"


def check_regimes(regime: Any, n_rows: int) -> tuple[list[Any], NDArray]:
    """Names of the regimes, and which of them each row is of (n,); None where they have no name."""
    if regime is None:
        return [None], np.zeros(n_rows, np.intp)
    if isinstance(regime, str) or np.ndim(regime) == 0:
        return [_plain_name(regime)], np.zeros(n_rows, np.intp)
    given = np.asarray(check_groups(regime, n_rows, "regime"))
    _, first, codes = np.unique(given, return_index=True, return_inverse=True)
    labels = np.asarray(regime)
    return [_plain_name(labels[row]) for row in first], codes


def _plain_name(label: Any) -> Any:
    """A name that can be told from others, sorted and written as JSON."""
    name = plain_value(label)
    if not isinstance(name, str | bool | int | float) or name != name or name in _INFINITE:
        raise ValueError(
            f"regime must be a string, a boolean or a finite number, got {label!r}: "
            "str(...) makes it one."
        )
    if name == ALL:
        raise ValueError(f"regime {ALL!r} is what all regimes together are called: name it else.")
    return name


_INFINITE = (np.inf, -np.inf)
