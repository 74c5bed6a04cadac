"""Probabilities of scores, as they are."""

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import result_dtype
from skcalib._kernels._softmax import softmax
from skcalib._response import Scores


def probabilities_of(scores: Scores) -> NDArray:
    """What the scores say without any calibration, (n, K): a copy, in float32 or float64."""
    if scores.method == "predict_proba":
        return scores.values.astype(result_dtype(scores.values.dtype))
    return softmax(scores.source())


def label_probabilities(proba: NDArray, y_index: NDArray) -> NDArray:
    """Probability of each row's true class, (n,) float64, never quite 0."""
    of_label = proba[np.arange(len(y_index)), y_index].astype(np.float64)
    return np.maximum(of_label, np.finfo(np.float64).tiny)
