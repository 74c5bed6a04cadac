"""How far probabilities are from what happens: metrics, curves and scorers.

Every metric takes the true labels `y_true` and the predicted probabilities `y_proba`, and reads
them in the same way:

- `y_proba` has one column per class, in the order of the sorted labels; its rows sum to one. For
  two classes it may be the probabilities of `pos_label` alone, of shape (n,).
- Labels are strings, integers or booleans. A class that does not occur in `y_true` still has a
  column: `labels` then names them all.
- `sample_weight` counts a row as that many rows. A row of weight 0 might as well not be there.
- Probabilities are put into bins `(a, b]`, 0 into the first. Bins of strategy "uniform" are equally
  wide; those of "quantile" hold, as far as ties permit, equally many rows.
- What is wrong is refused: NaN, a probability outside [0, 1], a row that does not sum to one, an
  unknown label.

A calibration error is not a proper score: predicting every class at its base rate has none, and
no skill. Choose between models by log loss or Brier score.
"""

from skcalib.metrics._brier import brier_score
from skcalib.metrics._calibration_error import (
    calibration_error,
    expected_calibration_error,
    maximum_calibration_error,
)
from skcalib.metrics._reliability import ReliabilityCurve, reliability_curve
from skcalib.metrics._scorers import (
    ProbabilityScorer,
    brier_scorer,
    ece_scorer,
    get_scorer,
    get_scorer_names,
    log_loss_scorer,
)

__all__ = [
    "ProbabilityScorer",
    "ReliabilityCurve",
    "brier_score",
    "brier_scorer",
    "calibration_error",
    "ece_scorer",
    "expected_calibration_error",
    "get_scorer",
    "get_scorer_names",
    "log_loss_scorer",
    "maximum_calibration_error",
    "reliability_curve",
]
