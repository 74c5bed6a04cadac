"""The monitor from call to call."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from skcalib.monitoring import CalibrationMonitor


@pytest.fixture
def stream(tmp_path, monkeypatch):
    """2000 rows; those from 1001 on exaggerate by a temperature of 3."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(2000, 4))
    truth = softmax(logits / np.repeat([[1.0], [3.0]], 1000, axis=0), axis=1)
    y = (truth.cumsum(axis=1) > rng.random((2000, 1))).argmax(axis=1)
    time = np.arange(2000) * 1.5
    route = np.array(["east", "west"])[np.arange(2000) % 2]
    np.savez("all.npz", logits=logits, y=y, time=time, route=route)
    np.savez("calm.npz", logits=logits[:1000], y=y[:1000])
    np.savez("wild.npz", logits=logits[1000:], y=y[1000:])
    shuffled = rng.permutation(2000)
    np.savez("mixed.npz", logits=logits[shuffled], y=y[shuffled], time=time[shuffled])
    return logits, y


def test_an_alarm_is_printed_and_is_the_exit_status(stream, run):
    logits, y = stream
    status, out, err = run("monitor all.npz")
    (alarm,) = CalibrationMonitor().update(y, softmax(logits, axis=1))
    assert (status, err) == (1, "")
    assert 1000 < alarm.row < 1100
    assert f"ALARM {alarm}" in out
    status, out, _ = run("monitor calm.npz")
    assert status == 0
    assert "No alarm." in out
    assert "ALARM" not in out


def test_a_state_goes_on_where_it_was(stream, run):
    assert run("monitor calm.npz --state state.json")[0] == 0
    assert run("monitor wild.npz --state state.json")[0] == 1
    run("monitor all.npz --state whole.json")
    parts, whole = (
        CalibrationMonitor.from_json(Path(f"{n}.json").read_text()) for n in ("state", "whole")
    )
    assert parts.n_rows_ == whole.n_rows_ == 2000
    assert [a.row for a in parts.alarms_] == [a.row for a in whole.alarms_]


def test_an_alarm_stands_until_somebody_restarts(stream, run):
    run("monitor all.npz --state state.json")
    status, out, _ = run("monitor calm.npz --state state.json")
    assert status == 1
    assert "\nALARM" not in out  # it was printed when it was raised
    assert run("monitor calm.npz --state state.json --restart")[0] == 0


def test_rows_are_put_in_order_of_time(stream, run):
    run("monitor all.npz --state straight.json")
    assert run("monitor mixed.npz --time time --state sorted.json")[0] == 1
    first, second = (
        CalibrationMonitor.from_json(Path(f"{n}.json").read_text()) for n in ("straight", "sorted")
    )
    assert second.alarms_ == first.alarms_


def test_figures_go_to_json_lines_and_regimes_have_their_own(stream, run):
    status, out, _ = run("monitor all.npz --regime route --window 500 --jsonl out.jsonl")
    assert status == 1
    assert "east" in out
    lines = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert {line["kind"] for line in lines} == {"figures", "alarm"}
    assert {line["regime"] for line in lines if line["kind"] == "figures"} == {
        "all",
        "east",
        "west",
    }


def test_the_probabilities_that_a_model_serves_are_watched(stream, run):
    run("fit wild.npz -o model.json")
    assert run("monitor wild.npz")[0] == 1
    assert run("monitor wild.npz --model model.json")[0] == 0


def test_a_question_of_another_state_is_refused_and_the_state_stays(stream, run):
    run("monitor calm.npz --state state.json --alpha 0.01")
    before = Path("state.json").read_bytes()
    status, _, err = run("monitor wild.npz --state state.json --alpha 0.1")
    assert status == 2
    assert "--alpha 0.1 is not that of state.json, 0.01" in err
    assert Path("state.json").read_bytes() == before
    assert run("monitor wild.npz --state state.json")[0] == 1


def test_if_one_of_two_files_cannot_be_written_neither_is(stream, run):
    status, _, err = run("monitor calm.npz --state state.json --jsonl nowhere/out.jsonl")
    assert status == 2
    assert err.count("\n") == 1
    assert not Path("state.json").exists()


def test_probabilities_are_not_watched_as_logits(stream, run):
    run("fit wild.npz -o model.json")
    run("apply model.json wild.npz -o served.npy")
    np.save("y.npy", np.load("wild.npz")["y"])
    status, _, err = run("monitor served.npy y.npy --state state.json")
    assert status == 2
    assert "--scores probabilities" in err
    assert not Path("state.json").exists()
    assert run("monitor served.npy y.npy --state state.json --scores probabilities")[0] == 0
    assert "calibrated before?" in run("evaluate served.npy y.npy --model model.json")[2]


def test_a_state_goes_on_with_the_model_it_watches(stream, run):
    run("fit wild.npz -o model.json")
    run("fit calm.npz -o other.json")
    run("monitor wild.npz --model model.json --state state.json")
    before = Path("state.json").read_bytes()
    for other in ("", "--model other.json"):
        status, _, err = run(f"monitor wild.npz --state state.json {other}")
        assert status == 2
        assert "state.json watches model " in err
        assert Path("state.json").read_bytes() == before
    assert run("monitor calm.npz --state state.json --model other.json --restart")[0] == 0
    assert run("monitor calm.npz --state state.json --model other.json")[0] == 0
