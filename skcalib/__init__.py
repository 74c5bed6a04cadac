"""Probability calibration for people who use scikit-learn."""

from skcalib.calibrators import (
    CalibratedClassifier,
    IsotonicCalibration,
    SigmoidCalibration,
    TemperatureScaling,
)

__all__ = [
    "CalibratedClassifier",
    "IsotonicCalibration",
    "SigmoidCalibration",
    "TemperatureScaling",
    "__version__",
]

__version__ = "0.1.0"
