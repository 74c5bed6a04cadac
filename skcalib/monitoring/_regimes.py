"""Which regime each row is of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib._validation import check_groups, plain_value


def check_regimes(regime: Any, n_rows: int) -> tuple[list[Any], NDArray]:
    """Names of the regimes, and which of them each row is of (n,); None where they have no name."""
    if regime is None:
        return [None], np.zeros(n_rows, np.intp)
    if isinstance(regime, str) or np.ndim(regime) == 0:
        return [plain_value(regime)], np.zeros(n_rows, np.intp)
    try:
        given = check_groups(regime, n_rows)
    except ValueError as error:
        raise ValueError(f"regime must be one label, or one per row: {error}") from error
    _, first, codes = np.unique(np.asarray(given), return_index=True, return_inverse=True)
    labels = np.asarray(regime)
    return [plain_value(labels[row]) for row in first], codes
