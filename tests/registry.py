"""Every public calibrator: what the wrapper promises is tested on each. New ones join here."""

from skcalib import (
    CalibratedClassifier,
    EnsembleTemperatureScaling,
    IsotonicCalibration,
    MatrixScaling,
    PriorShift,
    SigmoidCalibration,
    StructuredScaling,
    TemperatureScaling,
    VectorScaling,
)

CALIBRATORS = [
    CalibratedClassifier,
    EnsembleTemperatureScaling,
    IsotonicCalibration,
    MatrixScaling,
    PriorShift,
    SigmoidCalibration,
    StructuredScaling,
    TemperatureScaling,
    VectorScaling,
]
