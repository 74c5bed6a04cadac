"""Files of scores and labels, and the command line called as a shell would."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from skcalib._cli import main
from skcalib.datasets import load_logits


@pytest.fixture(scope="session")
def mcq():
    return load_logits("mcq_smollm2_a")


@pytest.fixture
def folder(tmp_path, monkeypatch, mcq):
    """A folder to work in, with the same rows in every kind of file."""
    monkeypatch.chdir(tmp_path)
    letters = np.array(list("ABCD"))[mcq.target]
    np.save("logits.npy", mcq.logits)
    np.save("labels.npy", mcq.target)
    np.save("letters.npy", letters)
    np.savez("all.npz", logits=mcq.logits, y=mcq.target, domain=mcq.groups, half=mcq.calibration)
    frame = pd.DataFrame(mcq.logits.astype(float), columns=list("ABCD"))
    frame = frame.assign(truth=letters, domain=mcq.groups)
    frame.to_csv("rows.csv", index=False)
    if find_spec("pyarrow"):
        frame.to_parquet("rows.parquet")
    return tmp_path


@pytest.fixture(autouse=True)
def pyarrow_if_needed(request):
    if "parquet" in request.node.name:
        pytest.importorskip("pyarrow")


@pytest.fixture
def run(capsys):
    """Exit status, stdout and stderr of a command."""

    def call(command):
        try:
            status = main(command.split())
        except SystemExit as stop:  # argparse's own way out
            status = stop.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call
