"""scikit-learn's own checks, on every public estimator around a LogisticRegression."""

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from skcalib import (
    CalibratedClassifier,
    IsotonicCalibration,
    SigmoidCalibration,
    TemperatureScaling,
)

CALIBRATORS = [CalibratedClassifier, IsotonicCalibration, SigmoidCalibration, TemperatureScaling]


@parametrize_with_checks(
    [
        calibrator(LogisticRegression(), ensemble=ensemble)
        for calibrator in CALIBRATORS
        for ensemble in (False, True)
    ]
)
@pytest.mark.filterwarnings("default")
def test_scikit_learn_checks(estimator, check):
    check(estimator)
