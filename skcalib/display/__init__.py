"""Pictures of calibration, drawn with matplotlib: ``pip install skcalib[plot]``."""

from skcalib.display._reliability import ReliabilityDisplay

__all__ = ["ReliabilityDisplay"]
