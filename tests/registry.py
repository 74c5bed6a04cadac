"""Every public calibrator: what the wrapper promises is tested on each, new ones too."""

import skcalib
from skcalib.calibrators._base import BaseCalibrator

_PUBLIC = [getattr(skcalib, name) for name in skcalib.__all__]
CALIBRATORS = [c for c in _PUBLIC if isinstance(c, type) and issubclass(c, BaseCalibrator)]
