"""The log loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._validation import Predictions, check_predictions

# A probability of 0 counts as this much, as in scikit-learn; in float32 too, whose own epsilon
# of 1e-7 would decide the score.
_LEAST_PROBABILITY = 2.0**-52


def log_loss(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
) -> float:
    """:func:`sklearn.metrics.log_loss`, of labels and probabilities of any form metrics take.

    Given all columns, scikit-learn would warn of sums that are one to three decimals only.
    """
    checked = check_predictions(y_true, y_proba, sample_weight=sample_weight, labels=labels)
    return float(np.average(log_losses(checked), weights=checked.weight))


def log_losses(checked: Predictions) -> NDArray:
    """Negative logarithm of the probability of each row's true class, (n,) float64."""
    of_true_class = checked.proba[np.arange(len(checked.y_index)), checked.y_index]
    return -np.log(of_true_class.astype(np.float64).clip(_LEAST_PROBABILITY, 1))
