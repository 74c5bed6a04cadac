"""Score sets with true labels: real ones, and one drawn with a known temperature."""

from skcalib.datasets._generate import make_miscalibrated_logits
from skcalib.datasets._logits import load_logits

__all__ = ["load_logits", "make_miscalibrated_logits"]
