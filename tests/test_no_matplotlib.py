"""Everything but drawing works without matplotlib."""

import subprocess
import sys
from pathlib import Path

import skcalib

WITHOUT = "import sys; sys.modules['matplotlib'] = None; "


def run(code):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT + code],
        cwd=Path(skcalib.__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_every_room_is_imported_without_matplotlib():
    rooms = ("metrics", "datasets", "decoding", "decisions", "display", "monitoring")
    assert run(f"import {', '.join(f'skcalib.{room}' for room in rooms)}") == ""


def test_a_display_is_made_without_matplotlib_and_says_how_to_draw_it():
    code = """
from skcalib.display import ReliabilityDisplay
from skcalib.metrics import reliability_curve
display = ReliabilityDisplay([reliability_curve([0, 1], [0.2, 0.7])])
try:
    display.plot()
except ImportError as error:
    print(error)
"""
    assert run(code) == "ReliabilityDisplay.plot needs matplotlib: pip install skcalib[plot]\n"
