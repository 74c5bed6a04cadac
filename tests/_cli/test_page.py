"""The user guide's page: its commands do what it says."""

import doctest
import re
from pathlib import Path

import numpy as np
import pytest

import skcalib

PAGE = Path(skcalib.__file__).parents[1] / "doc" / "user_guide" / "command_line.rst"

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")


def expected():
    """(command, what it prints) in order."""
    blocks = re.findall(r"^\.\. code-block:: console\n\n((?: {4}.*\n|\n)+)", PAGE.read_text(), re.M)
    for block in blocks:
        text = re.sub(r"^ {4}", "", block, flags=re.M)
        for part in text.split("$ skcalib ")[1:]:
            command, _, output = part.partition("\n")
            yield command, output.strip() + "\n"


@pytest.mark.skipif(not PAGE.exists(), reason="the guide is not installed")
def test_the_commands_of_the_page_print_what_it_says(tmp_path, monkeypatch, run, mcq):
    monkeypatch.chdir(tmp_path)
    for name, rows in ("fit", mcq.calibration), ("new", ~mcq.calibration):
        np.savez(name, logits=mcq.logits[rows], y=mcq.target[rows], domain=mcq.groups[rows])
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    page = list(expected())
    assert len(page) == 8
    for command, output in page:
        status, out, err = run(command)
        assert status == (2 if "nowhere" in command else 0), err
        assert doctest.OutputChecker().check_output(output, out + err, flags), (command, out, err)
