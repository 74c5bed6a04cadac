"""fit, apply and evaluate: what they write is what Python makes of the same rows."""

import json
import tracemalloc
import zipfile

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from skcalib import (
    AdaptiveTemperatureScaling,
    PriorShift,
    StructuredScaling,
    TemperatureScaling,
    load_model,
)
from skcalib._cli._files import open_file
from skcalib._cli._models import METHODS

READERS = {
    "npy": np.load,
    "npz": lambda path: np.load(path)["proba"],
    "csv": lambda path: np.loadtxt(path, delimiter=",", skiprows=1).astype(np.float32),
    "parquet": lambda path: pd.read_parquet(path).to_numpy(),
}


@pytest.mark.parametrize("kind", READERS)
def test_fit_and_apply_give_what_python_gives(kind, folder, run, mcq):
    status, out, err = run("fit logits.npy labels.npy -o model.json")
    assert (status, err) == (0, "")
    model = TemperatureScaling().fit(mcq.logits, mcq.target)
    assert f"temperature {model.temperature_:.4g}" in out
    assert "1,350 rows of 4 classes" in out
    assert run(f"apply model.json logits.npy -o proba.{kind}")[0] == 0
    proba = READERS[kind](f"proba.{kind}")
    assert proba.dtype == np.float32
    np.testing.assert_array_equal(proba, model.predict_proba(mcq.logits))


@pytest.mark.parametrize(
    "source",
    [
        "logits.npy labels.npy",
        "all.npz",
        "all.npz -",
        "all.npz:logits all.npz:y",
        "rows.csv --label-column truth",
        "rows.parquet --label-column truth --score-columns A,B,C,D",
        "logits.npy rows.csv --label-column truth",
        "logits.npy rows.parquet:truth",
        "logits.npy letters.npy --classes A,B,C,D",
    ],
)
def test_rows_of_every_kind_of_file_give_the_same_fit(source, folder, run, mcq):
    assert run(f"fit {source} -o model.json")[0] == 0
    expected = TemperatureScaling().fit(mcq.logits, mcq.target).temperature_
    # float64 of a table against float16: the same numbers, summed in other blocks.
    assert load_model("model.json").temperature_ == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"adaptive", "prior-shift"}))
def test_every_method_can_be_named(method, folder, run, mcq):
    assert run(f"fit logits.npy labels.npy --method {method} -o model.json")[0] == 0
    expected = METHODS[method]().fit(mcq.logits, mcq.target).predict_proba(mcq.logits)
    np.testing.assert_array_equal(load_model("model.json").predict_proba(mcq.logits), expected)


def test_parameters_are_json_or_words(folder, run, mcq):
    command = "fit logits.npy labels.npy -o model.json --method"
    parameters = "--parameter accuracy_preserving=true --parameter smoothing=auto"
    assert run(f"{command} structured {parameters}")[0] == 0
    made = load_model("model.json").get_params()
    assert made == StructuredScaling(accuracy_preserving=True).get_params()
    assert run(f"{command} prior-shift --parameter target_prior=[0.4,0.2,0.2,0.2]")[0] == 0
    expected = PriorShift(target_prior=[0.4, 0.2, 0.2, 0.2]).fit(mcq.logits, mcq.target)
    np.testing.assert_array_equal(
        load_model("model.json").predict_proba(mcq.logits), expected.predict_proba(mcq.logits)
    )


@pytest.mark.parametrize(
    ("fit", "apply"),
    [
        ("all.npz --context domain", "all.npz"),
        ("rows.csv --label-column truth --context domain", "rows.csv"),
        ("logits.npy labels.npy --context all.npz:domain", "logits.npy --context rows.csv:domain"),
    ],
)
def test_a_context_comes_from_wherever_it_is(fit, apply, folder, run, mcq):
    status, out, _ = run(f"fit {fit} -o model.json")
    assert status == 0
    assert "domain = antonym" in out
    assert run(f"apply model.json {apply} -o proba.npy")[0] == 0
    X = pd.DataFrame(mcq.logits.astype(float)).rename(columns=str).assign(domain=mcq.groups)
    model = AdaptiveTemperatureScaling(context="domain").fit(X, mcq.target)
    np.testing.assert_allclose(np.load("proba.npy"), model.predict_proba(X), rtol=2e-6)


def test_weights_and_groups_of_a_fit_are_those_of_python(folder, run, mcq):
    weight = np.arange(1350) % 3
    np.save("weights.npy", weight)
    options = "--weights weights.npy --groups all.npz:domain"
    assert run(f"fit logits.npy labels.npy {options} -o model.json")[0] == 0
    model = TemperatureScaling().fit(mcq.logits, mcq.target, weight, mcq.groups)
    np.testing.assert_array_equal(
        load_model("model.json").temperature_interval_, model.temperature_interval_
    )


@pytest.mark.parametrize("kind", ["probabilities", "log-probabilities"])
def test_what_scores_are_is_said_not_guessed(kind, folder, run):
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]])
    np.save("p.npy", p if kind == "probabilities" else np.log(p))
    np.save("y.npy", np.array([0, 1, 1, 0]))
    assert run(f"fit p.npy y.npy --scores {kind} -o model.json") == (0, *run_out(run, kind))
    status, out, _ = run(f"evaluate p.npy y.npy --scores {kind} --json")
    rows = {row["name"]: row for row in json.loads(out)["before"]["rows"]}
    expected = -(np.log(0.9) + np.log(0.8) + np.log(0.3) + np.log(0.6)) / 4
    assert status == 0
    assert rows["log loss"]["value"] == pytest.approx(expected, rel=1e-12)
    assert rows["accuracy"]["value"] == 0.75


def run_out(run, kind):
    return run(f"fit p.npy y.npy --scores {kind} -o again.json")[1].replace("again", "model"), ""


def test_what_looks_like_probabilities_is_warned_of_in_one_line(folder, run):
    np.save("p.npy", np.array([[0.9, 0.1], [0.2, 0.8]] * 9))
    np.save("y.npy", np.array([0, 1] * 8 + [1, 0]))
    status, _, err = run("fit p.npy y.npy -o model.json")
    assert status == 0
    assert err.startswith("skcalib fit: warning: every row of X looks like probabilities")
    assert err.count("\n") == 1
    assert run("fit p.npy y.npy -o model.json --quiet") == (0, "", "")


def test_one_column_of_two_classes_is_read_as_a_margin(folder, run):
    np.save("d.npy", np.array([-2.0, -1.0, 1.0, 2.0] * 5))
    np.save("y.npy", np.array(["no", "no", "yes", "no"] * 5))
    assert run("fit d.npy y.npy -o model.json")[0] == 0
    run("apply model.json d.npy -o proba.csv")
    frame = pd.read_csv("proba.csv")
    assert list(frame) == ["no", "yes"]
    t = load_model("model.json").temperature_
    np.testing.assert_allclose(frame["yes"][:2], 1 / (1 + np.exp([2 / t, 1 / t])), rtol=1e-12)


def test_classes_may_be_a_range_or_a_file(folder, run):
    rng = np.random.default_rng(0)
    np.save("wide.npy", rng.normal(size=(50, 12)))
    np.save("y.npy", rng.integers(1, 9, 50))
    status, _, err = run("fit wide.npy y.npy -o model.json")
    assert status == 2
    assert "12 columns but y has 8 distinct labels" in err
    for classes in ("0..11", "names.csv"):
        pd.Series(range(12), name="name").to_csv("names.csv", index=False)
        assert run(f"fit wide.npy y.npy --classes {classes} -o model.json")[0] == 0
        assert load_model("model.json").classes_.tolist() == list(range(12))


def test_columns_of_a_table_follow_their_names_not_their_place(folder, run, mcq):
    frame = pd.read_csv("rows.csv", dtype=str)  # digits as they are
    frame[["domain", "C", "truth", "A", "D", "B"]].to_csv("mixed.csv", index=False)
    run("fit rows.csv --label-column truth -o model.json")
    run("apply model.json rows.csv -o straight.npy")
    assert run("apply model.json mixed.csv -o mixed.npy")[0] == 0
    np.testing.assert_array_equal(np.load("mixed.npy"), np.load("straight.npy"))


def test_a_number_that_is_no_score_is_not_taken_for_one(folder, run):
    """An identifier beside the scores, where four columns of five bear the labels' names."""
    pd.read_csv("rows.csv", dtype=str).assign(id=range(1350)).to_csv("ids.csv", index=False)
    for name in ("rows", "ids"):
        assert run(f"fit {name}.csv --label-column truth -o {name}.json")[0] == 0
    assert load_model("ids.json").n_features_in_ == 4
    assert load_model("ids.json").temperature_ == load_model("rows.json").temperature_
    frame = pd.DataFrame({"id": range(4), "margin": [-1.0, 2.0, 1.0, 3.0], "y": [0, 1, 1, 0]})
    frame.to_csv("margin.csv", index=False)
    status, _, err = run("fit margin.csv -o model.json")
    assert status == 2
    assert "no columns bear the classes' names: name those of the scores" in err
    assert run("fit margin.csv --score-columns margin -o model.json")[0] == 0
    assert load_model("model.json").n_features_in_ == 1


def test_columns_of_scores_may_be_named_by_a_pattern(folder, run, mcq):
    frame = pd.DataFrame(mcq.logits.astype(float)).add_prefix("logit_").assign(y=mcq.target)
    frame.to_csv("wide.csv", index=False)
    assert run("fit wide.csv --score-columns logit_* -o model.json")[0] == 0
    assert load_model("model.json").feature_names_in_.tolist() == list(frame)[:4]
    assert run("apply model.json wide.csv -o proba.npy")[0] == 0


def test_a_model_of_an_array_reads_the_columns_of_its_classes(folder, run):
    run("fit logits.npy letters.npy --classes A,B,C,D -o model.json")
    run("apply model.json logits.npy -o array.npy")
    pd.read_csv("rows.csv", dtype=str)[["C", "A", "D", "B"]].to_csv("turned.csv", index=False)
    assert run("apply model.json turned.csv -o table.npy")[0] == 0
    np.testing.assert_allclose(np.load("table.npy"), np.load("array.npy"), rtol=2e-6)


def test_numbers_of_a_csv_are_read_to_the_last_bit(folder):
    numbers = np.random.default_rng(0).standard_normal((2000, 2)) * 10.0 ** np.arange(-30, 30, 30)
    pd.DataFrame(numbers, columns=["a", "b"]).to_csv("numbers.csv", index=False)
    file, _ = open_file("numbers.csv")
    np.testing.assert_array_equal(file.frame.to_numpy(), numbers)


def test_a_large_file_is_read_and_written_block_by_block(folder, run):
    logits = np.random.default_rng(0).standard_normal((60_000, 200), dtype=np.float32)  # 48 MB
    np.save("large.npy", logits)
    np.save("y.npy", logits[:, :20].argmax(axis=1))
    run("fit large.npy y.npy --classes 0..199 -o model.json")
    tracemalloc.start()
    assert run("apply model.json large.npy -o large_proba.npy")[0] == 0
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * 2**20  # a block of 17 MB of probabilities, and what it is made with
    expected = load_model("model.json").predict_proba(logits)
    np.testing.assert_array_equal(np.load("large_proba.npy"), expected)


def test_a_bad_row_is_named_as_in_the_file(folder, run, monkeypatch):
    logits = np.load("logits.npy")
    logits[1234, 2] = np.nan
    np.save("bad.npy", logits)
    run("fit logits.npy labels.npy -o model.json")
    monkeypatch.setattr("skcalib._cli._models._BLOCK", 400)  # 100 rows
    status, out, err = run("apply model.json bad.npy -o proba.npy")
    assert (status, out) == (2, "")
    assert "row 1234 holds NaN" in err


def test_an_npz_names_its_classes(folder, run):
    run("fit rows.csv --label-column truth -o model.json")
    run("apply model.json rows.csv -o proba.npz")
    with zipfile.ZipFile("proba.npz") as archive:
        assert archive.testzip() is None
    assert np.load("proba.npz")["classes"].tolist() == ["A", "B", "C", "D"]


# evaluate


def test_evaluate_prints_the_report_before_and_after(folder, run, mcq):
    run("fit logits.npy labels.npy -o model.json")
    status, out, _ = run("evaluate all.npz --model model.json --groups domain")
    assert status == 0
    before, after = out.split("After calibration")
    assert "Before calibration\nCalibration of 1,350 predictions of 4 classes" in before
    assert "arithmetic: 260 rows, accuracy 0.308" in before
    proba = TemperatureScaling().fit(mcq.logits, mcq.target).predict_proba(mcq.logits)
    loss = log_loss(mcq.target, proba.astype(float) / proba.sum(1, keepdims=True, dtype=float))
    assert float(after.split("log loss")[1].split()[0]) == pytest.approx(loss, abs=5e-4)


def test_evaluate_speaks_json_to_machines(folder, run):
    run("fit rows.csv --label-column truth -o model.json")
    command = "evaluate rows.csv --label-column truth --model model.json --groups domain --json"
    status, out, _ = run(command)
    reports = json.loads(out)
    assert status == 0
    assert set(reports) == {"before", "after"}
    assert reports["after"]["n_samples"] == 1350
    assert [row["name"] for row in reports["after"]["classes"]] == ["A", "B", "C", "D"]
    assert len(reports["after"]["groups"]) == 5
    values = {row["name"]: row["value"] for row in reports["before"]["rows"]}
    assert values["accuracy"] == pytest.approx(847 / 1350)  # hits, counted below
    logits = pd.read_csv("rows.csv")
    hits = logits[list("ABCD")].idxmax(axis=1) == logits["truth"]
    assert hits.sum() == 847
