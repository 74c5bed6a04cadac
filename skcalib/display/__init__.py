"""Pictures of calibration, drawn with matplotlib: ``pip install skcalib[plot]``."""

from skcalib.display._decomposition import DecompositionDisplay
from skcalib.display._monitor import MonitorDisplay
from skcalib.display._reliability import ReliabilityDisplay
from skcalib.display._risk_coverage import RiskCoverageDisplay
from skcalib.display._temperature import TemperatureDisplay

__all__ = [
    "DecompositionDisplay",
    "MonitorDisplay",
    "ReliabilityDisplay",
    "RiskCoverageDisplay",
    "TemperatureDisplay",
]
