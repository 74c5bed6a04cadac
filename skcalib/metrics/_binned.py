"""Predictions in bins: what calibration errors and reliability curves are both made of.

The three kinds differ in the probability that is binned and in the event it is held against:

- "confidence": the largest probability of each row; that this prediction is correct;
- "class": the probability of each class, one column each; that this class is true;
- "positive": of two classes, the probability of the positive one; that it is true.
"""

from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._binning import (
    BinSums,
    bin_sums,
    quantile_edges,
    top_label,
    uniform_edges,
)
from skcalib._validation import Interval, Predictions, StrOptions

BINNING_CONSTRAINTS = {
    "kind": [StrOptions({"confidence", "class", "positive"})],
    "n_bins": [Interval(Integral, 1, None, closed="left")],
    "strategy": [StrOptions({"uniform", "quantile"})],
}


def bin_predictions(
    checked: Predictions,
    kind: str,
    n_bins: int,
    strategy: str,
    columns: list[int] | None = None,
) -> tuple[BinSums, NDArray]:
    """Sums (C, B) over the rows of each bin, and the bins' edges (B + 1, C).

    Of kind "class" there is one line per class, or per class named by `columns`; of the other
    kinds there is one.
    """
    if kind == "positive":
        if len(checked.classes) != 2:
            raise ValueError(
                f"kind='positive' is for two classes, there are {len(checked.classes)}. Use "
                "kind='class' or kind='confidence'."
            )
        columns = [checked.positive]
    if kind == "confidence":
        p, correct = top_label(checked.proba, checked.y_index)
        p, event = p[:, None], np.where(correct, 0, -1)
    elif columns is None:
        p, event = checked.proba, checked.y_index
    else:
        place = np.full(len(checked.classes), -1)
        place[columns] = np.arange(len(columns))
        p, event = checked.proba[:, columns], place[checked.y_index]

    if strategy == "uniform":
        edges = uniform_edges(n_bins)
        sums = bin_sums(p, event, checked.weight, edges)
        return sums, np.broadcast_to(edges[:, None], (n_bins + 1, p.shape[1]))
    edges = np.stack([quantile_edges(column, checked.weight, n_bins) for column in p.T], axis=1)
    return bin_sums(p, event, checked.weight, edges), edges
