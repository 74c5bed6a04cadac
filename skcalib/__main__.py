"""``python -m skcalib``."""

import sys

from skcalib._cli import main

sys.exit(main())
