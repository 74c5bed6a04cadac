"""What goes wrong is one line on stderr, status 2, and no file."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import skcalib
from skcalib._cli import main

COMMANDS = ["demo", "fit", "apply", "evaluate", "report", "monitor"]


@pytest.fixture
def broken(folder):
    """Files that cannot be what they are called."""
    logits = np.load("logits.npy")
    whole = Path("logits.npy").read_bytes()
    Path("truncated.npy").write_bytes(whole[:-100])
    Path("empty.npy").write_bytes(b"")
    Path("text.npy").write_text("not an array")
    Path("truncated.npz").write_bytes(Path("all.npz").read_bytes()[:-500])
    if Path("rows.parquet").exists():
        Path("truncated.parquet").write_bytes(Path("rows.parquet").read_bytes()[:-500])
    Path("empty.csv").write_text("")
    Path("binary.csv").write_bytes(bytes(range(128, 256)))
    Path("folder.npy").mkdir()
    Path("folder.json").mkdir()
    Path("logits.txt").write_text("1 2")
    Path("broken.json").write_text('{"format": "skcalib model", "ver')
    np.save("objects.npy", np.array([{}, None]), allow_pickle=True)
    np.save("cube.npy", np.zeros((3, 4, 5)))
    np.save("short.npy", np.load("labels.npy")[:-1])
    np.save("nan.npy", np.where(np.arange(1350)[:, None] == 17, np.nan, logits))
    np.save("words.npy", np.array([["a", "b"]] * 1350))
    np.save("wide.npy", np.zeros((1350, 7)))
    np.save("negative.npy", -np.ones(1350))
    missing = pd.read_csv("rows.csv")
    missing.loc[5, "truth"] = None
    missing.to_csv("missing.csv", index=False)
    main(["fit", "logits.npy", "labels.npy", "-o", "model.json", "--quiet"])
    main(["fit", "all.npz", "--context", "domain", "-o", "context.json", "--quiet"])
    return folder


BAD = [
    ("fit nowhere.npy labels.npy", "nowhere.npy: no such file"),
    ("fit logits.npy nowhere.npy", "nowhere.npy: no such file"),
    ("fit truncated.npy labels.npy", "truncated.npy: cannot be read"),
    ("fit empty.npy labels.npy", "empty.npy: cannot be read"),
    ("fit text.npy labels.npy", "text.npy: cannot be read"),
    ("fit truncated.npz", "truncated.npz: cannot be read"),
    ("fit truncated.parquet", "truncated.parquet: cannot be read"),
    ("fit empty.csv", "empty.csv: cannot be read"),
    ("fit binary.csv", "binary.csv: cannot be read"),
    ("fit folder.npy labels.npy", "folder.npy: "),
    ("fit logits.txt labels.npy", "logits.txt: is none of .npy, .npz, .csv, .parquet"),
    ("fit objects.npy labels.npy", "objects.npy: cannot be read"),
    ("fit cube.npy labels.npy", "cube.npy: scores of shape (3, 4, 5)"),
    ("fit words.npy labels.npy", "words.npy: scores must be numbers"),
    ("fit logits.npy short.npy", "logits.npy: has 1350 rows, but there are 1349 labels"),
    ("fit logits.npy logits.npy", "logits.npy: must have one value for each row"),
    ("fit nan.npy labels.npy", "row 17 holds NaN"),
    ("fit missing.csv --label-column truth", "row 5"),
    ("fit rows.csv", "rows.csv: has no column y, target, label, labels, y_true"),
    ("fit rows.csv --label-column nothing", "rows.csv: has no 'nothing', only A, B, C, D, truth"),
    ("fit rows.csv --label-column truth --score-columns A,E", "has no column of scores E"),
    ("fit all.npz:nothing", "all.npz: has no 'nothing'"),
    ("fit logits.npy all.npz:nothing", "all.npz: has no 'nothing'"),
    ("fit logits.npy labels.npy --groups nowhere", "nowhere: is neither a file nor"),
    ("fit logits.npy labels.npy --weights short.npy", "there are 1349 weights"),
    ("fit logits.npy labels.npy --weights negative.npy", "sample_weight must be finite"),
    ("fit logits.npy labels.npy --classes A,B,C,D", "the labels are integers, the classes A"),
    ("fit logits.npy labels.npy --classes 0,1", "classes must hold one label per column"),
    ("fit logits.npy labels.npy --method vector --context all.npz:domain", "--context is for"),
    ("fit logits.npy labels.npy --method prior", "argument --method: invalid choice"),
    ("fit logits.npy labels.npy --parameter alpha", "--parameter must be NAME=VALUE"),
    ("fit logits.npy labels.npy --parameter colour=1", "TemperatureScaling has no parameter"),
    ("fit logits.npy labels.npy --parameter alpha=-1", "'alpha' parameter"),
    ("apply nowhere.json logits.npy", "nowhere.json: no such file"),
    ("apply broken.json logits.npy", "broken.json is no model of skcalib"),
    ("apply logits.npy logits.npy", "logits.npy is no model of skcalib"),
    ("apply model.json wide.npy", "X has 7 features"),
    ("apply model.json nan.npy", "row 17 holds NaN"),
    ("apply context.json logits.npy", "domain: is neither a file nor"),
    ("apply context.json all.npz --context domain --context half", "the model reads 1 columns"),
    ("evaluate logits.npy short.npy", "there are 1349 labels"),
    ("evaluate wide.npy letters.npy", "7 columns"),
    ("evaluate logits.npy labels.npy --model broken.json", "broken.json is no model"),
    ("evaluate logits.npy letters.npy --model model.json", "the label A is not among"),
    ("evaluate logits.npy labels.npy --model model.json --scores logits", "--scores was said"),
    ("report logits.npy labels.npy --calibration 1.5", "a share between 0 and 1, got 1.5"),
    ("report logits.npy labels.npy --calibration labels.npy", "must be true or false"),
    ("report logits.npy labels.npy --model model.json --method vector", "--method is for a fit"),
    ("report logits.npy labels.npy --alpha 0.1", "--alpha is for the monitor: add --monitor"),
    ("report logits.npy letters.npy --model model.json", "the label A is not among"),
    ("monitor logits.npy labels.npy --alpha 2", "'alpha' parameter"),
    ("monitor logits.npy labels.npy --weights negative.npy", "sample_weight"),
    ("monitor logits.npy labels.npy --state broken.json", "broken.json"),
]
OUTPUT = {
    "fit": "-o out.json",
    "apply": "-o out.npy",
    "report": "-o out.html",
    "monitor": "--jsonl out",
}


@pytest.mark.parametrize(("command", "says"), BAD)
def test_what_is_wrong_is_one_line_and_no_file(command, says, broken, run):
    name = command.split()[0]
    before = sorted(broken.iterdir())
    status, out, err = run(f"{command} {OUTPUT.get(name, '')}")
    assert status == 2, out
    assert err.startswith(f"skcalib {name}: ")
    assert says in err
    assert err.count("\n") == 1
    assert sorted(broken.iterdir()) == before


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("fit logits.npy labels.npy -o nowhere/model.json", "no such file"),
        ("fit logits.npy labels.npy -o folder.json", "is no file that could be replaced"),
        ("apply model.json logits.npy -o proba.txt", "proba.txt: is none of .npy, .npz"),
        ("apply model.json logits.npy -o nowhere/proba.npy", "no such file"),
    ],
)
def test_an_output_that_cannot_be_written_is_one_line(command, says, broken, run):
    status, _, err = run(command)
    assert status == 2
    assert says in err
    assert err.count("\n") == 1


def test_an_output_is_replaced_whole_or_stays(broken, run):
    Path("out.npy").write_bytes(b"precious")
    assert run("apply model.json nan.npy -o out.npy")[0] == 2
    assert Path("out.npy").read_bytes() == b"precious"
    assert run("apply model.json logits.npy -o out.npy")[0] == 0
    assert np.load("out.npy").shape == (1350, 4)
    assert [path.name for path in broken.iterdir() if "partial" in path.name] == []


@pytest.mark.parametrize("kind", ["npy", "npz", "csv", "parquet"])
def test_ctrl_c_leaves_nothing_behind_and_is_status_130(kind, broken, run, monkeypatch):
    """The second block never comes."""
    monkeypatch.setattr("skcalib._cli._models._BLOCK", 400)
    predict = skcalib.TemperatureScaling.predict_proba
    calls = []

    def interrupted(self, X):
        calls.append(len(X))
        if len(calls) > 1:
            raise KeyboardInterrupt
        return predict(self, X)

    monkeypatch.setattr(skcalib.TemperatureScaling, "predict_proba", interrupted)
    before = sorted(broken.iterdir())
    assert run(f"apply model.json logits.npy -o out.{kind}") == (
        130,
        "",
        "skcalib apply: interrupted\n",
    )
    assert calls == [100, 100]
    assert sorted(broken.iterdir()) == before


@pytest.mark.slow
def test_a_signal_from_outside_ends_a_command_the_same_way(folder):
    code = """
import os, signal, sys, threading, skcalib
from skcalib._cli import main
def wait(self, X, *arguments, **options):
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait(30)
# Whoever is started in the background of a shell inherits that it is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
skcalib.TemperatureScaling.fit = wait
sys.exit(main("fit logits.npy labels.npy -o out.json".split()))
"""
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "skcalib fit: interrupted\n")
    assert time.monotonic() - begin < 25
    assert not os.path.exists("out.json")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example(command, run):
    status, out, _ = run(f"{command} --help")
    assert status == 0
    assert f"skcalib {command} " in out.split("example")[1]


@pytest.mark.parametrize(
    ("missing", "command"),
    [
        ("pandas", "apply model.json rows.csv -o out.npy"),
        ("pyarrow.parquet", "apply model.json logits.npy -o out.parquet"),
        ("pandas", "apply model.json logits.npy -o out.csv"),
        ("jinja2", "report logits.npy labels.npy -o out.html"),
        ("matplotlib.figure", "report logits.npy labels.npy -o out.html"),
    ],
)
def test_a_missing_package_names_the_extra(missing, command, broken, run, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    status, _, err = run(command)
    assert status == 2
    assert "pip install skcalib[cli]" in err
    assert err.count("\n") == 1
    assert not list(broken.glob("out*"))


def test_the_command_line_needs_no_extra_for_arrays(broken):
    code = """
import sys
class Absent:
    def find_spec(name, path=None, target=None):
        if name in ("pandas", "pyarrow", "jinja2", "tqdm", "matplotlib"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent)
from skcalib._cli import main
for command in (
    "fit logits.npy labels.npy -o bare.json",
    "apply bare.json logits.npy -o bare.npz",
    "evaluate all.npz --model bare.json",
    "monitor all.npz --model bare.json --state state.json",
):
    assert main(command.split()) in (0, 1), command
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0


def test_a_reader_that_has_enough_is_no_error(folder):
    command = (
        f"{sys.executable} -m skcalib evaluate all.npz --json | head -n 1; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == "{"
