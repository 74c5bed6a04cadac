"""The command line: ``skcalib demo``, ``fit``, ``apply``, ``evaluate``, ``report``, ``monitor``."""

from skcalib._cli._main import main

__all__ = ["main"]
