"""Calibrators: classifiers that serve calibrated probabilities of others."""

from skcalib.calibrators._adaptive import AdaptiveTemperatureScaling
from skcalib.calibrators._classical import IsotonicCalibration, SigmoidCalibration
from skcalib.calibrators._ensemble_temperature import EnsembleTemperatureScaling
from skcalib.calibrators._linear import MatrixScaling, VectorScaling
from skcalib.calibrators._method import CalibratedClassifier
from skcalib.calibrators._model_file import load_model, save_model
from skcalib.calibrators._prior_shift import PriorShift
from skcalib.calibrators._structured import StructuredScaling
from skcalib.calibrators._temperature import TemperatureScaling

__all__ = [
    "AdaptiveTemperatureScaling",
    "CalibratedClassifier",
    "EnsembleTemperatureScaling",
    "IsotonicCalibration",
    "MatrixScaling",
    "PriorShift",
    "SigmoidCalibration",
    "StructuredScaling",
    "TemperatureScaling",
    "VectorScaling",
    "load_model",
    "save_model",
]
