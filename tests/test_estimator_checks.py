"""scikit-learn's own checks, on every public estimator around a LogisticRegression."""

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import estimator_checks_generator

from skcalib import (
    CalibratedClassifier,
    IsotonicCalibration,
    SigmoidCalibration,
    TemperatureScaling,
)

CALIBRATORS = [CalibratedClassifier, IsotonicCalibration, SigmoidCalibration, TemperatureScaling]
CASES = [
    pytest.param(estimator, check, id=f"{calibrator.__name__}-{ensemble}-{check.func.__name__}")
    for calibrator in CALIBRATORS
    for ensemble in (False, True)
    for estimator, check in estimator_checks_generator(
        calibrator(LogisticRegression(), ensemble=ensemble)
    )
]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("estimator", "check"), CASES)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
