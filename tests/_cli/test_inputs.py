"""What stands in files is read as what it says, and no file is lost."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skcalib import load_model
from skcalib._cli._files import open_file, plain_labels
from skcalib._cli._monitor import in_time
from skcalib.monitoring import CalibrationMonitor


def test_na_among_words_is_a_word_and_among_numbers_a_missing_one(folder):
    Path("t.csv").write_text("word,number,gap\nNA,1.5,a\nNone,NA,\nnull,2,b\n")
    frame = open_file("t.csv")[0].frame
    assert frame["word"].tolist() == ["NA", "None", "null"]
    assert frame["number"].isna().tolist() == [False, True, False]
    assert frame["gap"].isna().tolist() == [False, True, False]


def test_a_class_that_no_label_names_is_warned_of(folder, run):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(40, 3)), columns=list("abc"))
    frame.assign(y=np.array(["a", "b"])[rng.integers(0, 2, 40)]).to_csv("t.csv", index=False)
    status, _, err = run("fit t.csv -o m.json")
    assert status == 0
    assert "warning: t.csv: c hold numbers, but no label is called so" in err
    for way_out in ("--classes a,b,c", "--score-columns a,b"):
        assert run(f"fit t.csv {way_out} -o m.json")[2] == ""
    run("fit t.csv --classes a,b,c -o m.json")
    assert load_model("m.json").classes_.tolist() == ["a", "b", "c"]


def test_labels_that_are_whole_floats_name_columns_of_integers(folder, run):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=["0", "1", "2"])
    frame.assign(y=rng.integers(0, 3, 60).astype(float)).to_csv("t.csv", index=False)
    assert run("fit t.csv -o m.json")[0] == 0
    assert load_model("m.json").classes_.tolist() == [0, 1, 2]
    assert plain_labels([0.5, 1.0]).tolist() == [0.5, 1.0]
    with np.errstate(all="raise"):
        assert plain_labels(np.array([2, 1], np.float16)).dtype == np.int64
        assert np.isnan(plain_labels(np.array([np.nan, 1], np.float32))).tolist() == [True, False]


def test_time_is_numbers_or_iso_8601_and_nothing_else():
    assert in_time(np.array([3.0, 1.0, 2.0]), 3).tolist() == [1, 2, 0]
    iso = np.array(["2024-01-02", "2023-12-31T23:59", "2024-01-01T00:00:00.5"])
    assert in_time(iso, 3).tolist() == [1, 2, 0]
    assert in_time(iso[:2].astype("M8[ns]"), 2).tolist() == [1, 0]
    with pytest.raises(ValueError, match="'12/31/2023' in row 1 is neither a number nor"):
        in_time(np.array(["2023-12-31", "12/31/2023"]), 2)
    with pytest.raises(ValueError, match="some have a time zone"):
        in_time(np.array(["2023-12-31T00:00Z", "2023-12-31"]), 2)
    with pytest.raises(ValueError, match="row 1 has none"):
        in_time(np.array([0.0, np.nan]), 2)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("fit logits.npy labels.npy -o labels.npy", "labels.npy: must end in .json"),
        ("report all.npz -o all.npz", "all.npz: must end in .html"),
        ("monitor all.npz --jsonl all.npz", "--jsonl all.npz would write over all.npz"),
        ("monitor all.npz --state ./all.npz", "would write over all.npz"),
        ("monitor all.npz --state s --jsonl ./s", "--jsonl and --state are both ./s"),
        ("monitor logits.npy labels.npy --model m.json --jsonl m.json", "would write over m.json"),
    ],
)
def test_no_output_is_an_input_or_another_output(command, says, folder, run):
    run("fit all.npz -o m.json")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    status, _, err = run(command)
    assert (status, err.count("\n")) == (2, 1)
    assert says in err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_scores_may_be_calibrated_in_place(folder, run):
    run("fit all.npz -o m.json")
    run("apply m.json logits.npy -o apart.npy")
    assert run("apply m.json logits.npy -o logits.npy")[0] == 0
    np.testing.assert_array_equal(np.load("logits.npy"), np.load("apart.npy"))


def test_of_two_calls_at_once_the_second_does_not_lose_the_rows_of_the_first(
    folder, run, monkeypatch
):
    assert run("monitor all.npz --state s.json --quiet")[0] in (0, 1)
    report = CalibrationMonitor.to_json_lines

    def meanwhile(self):
        Path("s.json").write_text("of another call")
        return report(self)

    monkeypatch.setattr(CalibrationMonitor, "to_json_lines", meanwhile)
    status, _, err = run("monitor all.npz --state s.json --jsonl f.jsonl")
    assert status == 2
    assert "s.json: was changed by another call since it was read" in err
    assert Path("s.json").read_text() == "of another call"
    assert not Path("f.jsonl").exists()


def test_many_names_are_no_file_name(folder, run):
    rng = np.random.default_rng(0)
    names = [f"class-{k:04}" for k in range(60)]
    np.save("wide.npy", rng.normal(size=(90, 60)))
    np.save("y.npy", rng.choice(names, 90))
    assert run(f"fit wide.npy y.npy --classes {','.join(names)} -o m.json")[0] == 0


def test_a_path_ends_at_the_first_colon_after_a_file(folder):
    Path("colon.csv").write_text("ns:label,x.csv:y\n1,2\n")
    assert open_file("colon.csv:ns:label")[1] == "ns:label"
    assert open_file("colon.csv:x.csv:y")[1] == "x.csv:y"
    Path("a:b.csv").write_text("n\n1\n")
    assert open_file("a:b.csv:n")[1] == "n"


def test_names_of_groups_are_neither_typeset_nor_numbers(folder, run, mcq):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    for values in (np.array([r"$\frac$", "b"]), np.array([0.5, 1.5])):
        group = values[np.arange(1350) % 2]
        np.savez("g.npz", logits=mcq.logits, y=mcq.target, g=group)
        status, _, err = run("report g.npz --groups g --monitor -o r.html")
        assert (status, err) == (0, "")
        assert str(values[0]) in Path("r.html").read_text()


@pytest.mark.slow
def test_sigterm_leaves_nothing_behind_and_is_status_143(folder):
    code = """
import os, signal, sys, threading, skcalib
from skcalib._cli import main
main("fit logits.npy labels.npy -o m.json --quiet".split())
def wait(self, X):
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(30)
skcalib.TemperatureScaling.predict_proba = wait
sys.exit(main("apply m.json logits.npy -o out.npy".split()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "skcalib apply: terminated\n")
    assert not [name for name in os.listdir() if "out" in name or "partial" in name]


def test_a_file_cannot_ask_for_wide_words_and_may_begin_with_a_mark(folder, run):
    run("fit logits.npy letters.npy --classes A,B,C,D -o m.json")
    text = Path("m.json").read_text()
    Path("m.json").write_text(text.replace('"<U1"', '"<U999999"'), encoding="utf-8-sig")
    assert load_model("m.json").classes_.dtype == np.dtype("<U1")


def test_score_columns_named_after_the_classes_in_another_order_are_refused(folder, run):
    rows = ["p_no,p_yes,truth", *["0.9,0.1,no"] * 30, *["0.2,0.8,yes"] * 30, *["0.3,0.7,no"] * 5]
    Path("named.csv").write_text("\n".join(rows))
    said = "evaluate named.csv --label-column truth --scores probabilities --json --score-columns"
    status, _, err = run(f"{said} p_yes,p_no")
    assert status == 2
    assert "--classes yes,no" in err
    right, named = (run(f"{said} {c}")[1] for c in ("p_no,p_yes", "p_yes,p_no --classes yes,no"))
    assert right == named
    assert '"value": 0.923' in right  # accuracy: 60 of 65
