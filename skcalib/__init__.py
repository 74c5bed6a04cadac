"""Probability calibration for people who use scikit-learn."""

from skcalib.calibrators import (
    AdaptiveTemperatureScaling,
    CalibratedClassifier,
    EnsembleTemperatureScaling,
    IsotonicCalibration,
    MatrixScaling,
    PriorShift,
    SigmoidCalibration,
    StructuredScaling,
    TemperatureScaling,
    VectorScaling,
    load_model,
    save_model,
)

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
    "__version__",
    "load_model",
    "save_model",
]

__version__ = "0.1.0"
