"""How far probabilities are from what happens: metrics, curves and scorers.

Every metric takes the true labels `y_true` and the predicted probabilities `y_proba`, and reads
them in the same way:

- `y_proba` has one column per class, in the order of the sorted labels; its rows sum to one. For
  two classes it may be the probabilities of `pos_label` alone, of shape (n,).
- Labels are strings, integers or booleans. A class that does not occur in `y_true` still has a
  column: `labels` then names them all.
- `sample_weight` counts a row as that many rows. A row of weight 0, once it is checked,
  might as well not be there.
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
from skcalib.metrics._calibration_test import CalibrationTest, calibration_test
from skcalib.metrics._decomposition import ScoreDecomposition, score_decomposition
from skcalib.metrics._interval import calibration_error_interval
from skcalib.metrics._reliability import ReliabilityCurve, reliability_curve
from skcalib.metrics._report import CalibrationReport, calibration_report
from skcalib.metrics._report_rows import ReportRow
from skcalib.metrics._risk_bands import RiskBands, risk_bands
from skcalib.metrics._risk_coverage import (
    RiskCoverageCurve,
    augrc,
    aurc,
    risk_coverage_curve,
)
from skcalib.metrics._scorers import (
    ProbabilityScorer,
    augrc_scorer,
    aurc_scorer,
    brier_scorer,
    brier_skill_scorer,
    classwise_ece_scorer,
    ece_scorer,
    get_scorer,
    get_scorer_names,
    l2_calibration_error_scorer,
    log_loss_scorer,
    log_loss_skill_scorer,
    mce_scorer,
    smooth_ece_scorer,
)
from skcalib.metrics._skill import brier_skill_score, log_loss_skill_score
from skcalib.metrics._slope import CalibrationLine, calibration_slope_intercept
from skcalib.metrics._smooth_calibration_error import smooth_calibration_error
from skcalib.metrics._spiegelhalter import SpiegelhalterTest, spiegelhalter_z

__all__ = [
    "CalibrationLine",
    "CalibrationReport",
    "CalibrationTest",
    "ProbabilityScorer",
    "ReliabilityCurve",
    "ReportRow",
    "RiskBands",
    "RiskCoverageCurve",
    "ScoreDecomposition",
    "SpiegelhalterTest",
    "augrc",
    "augrc_scorer",
    "aurc",
    "aurc_scorer",
    "brier_score",
    "brier_scorer",
    "brier_skill_score",
    "brier_skill_scorer",
    "calibration_error",
    "calibration_error_interval",
    "calibration_report",
    "calibration_slope_intercept",
    "calibration_test",
    "classwise_ece_scorer",
    "ece_scorer",
    "expected_calibration_error",
    "get_scorer",
    "get_scorer_names",
    "l2_calibration_error_scorer",
    "log_loss_scorer",
    "log_loss_skill_score",
    "log_loss_skill_scorer",
    "maximum_calibration_error",
    "mce_scorer",
    "reliability_curve",
    "risk_bands",
    "risk_coverage_curve",
    "score_decomposition",
    "smooth_calibration_error",
    "smooth_ece_scorer",
    "spiegelhalter_z",
]
