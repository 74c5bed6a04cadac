"""Calibrators: classifiers that serve calibrated probabilities of others."""

from skcalib.calibrators._classical import IsotonicCalibration, SigmoidCalibration
from skcalib.calibrators._method import CalibratedClassifier
from skcalib.calibrators._temperature import TemperatureScaling

__all__ = [
    "CalibratedClassifier",
    "IsotonicCalibration",
    "SigmoidCalibration",
    "TemperatureScaling",
]
