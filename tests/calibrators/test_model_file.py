"""Fitted calibrators as JSON: nothing lost, nothing run."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from contexts import draw, frame
from registry import CALIBRATORS
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.preprocessing import OneHotEncoder

import skcalib
from skcalib import (
    AdaptiveTemperatureScaling,
    CalibratedClassifier,
    IsotonicCalibration,
    MatrixScaling,
    PriorShift,
    StructuredScaling,
    TemperatureScaling,
    VectorScaling,
    load_model,
    save_model,
)
from skcalib.datasets import load_logits

MCQ = load_logits("mcq_smollm2_a")
LOGITS, Y = MCQ.logits, MCQ.target


def round_trip(model, folder):
    save_model(model, folder / "model.json")
    return load_model(folder / "model.json")


def assert_same(loaded, model, X):
    """Predictions bit for bit, and every array or number that is shown."""
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        before, after = getattr(model, method)(X), getattr(loaded, method)(X)
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(after, before)
    assert set(vars(loaded)) == set(vars(model))
    for name, value in vars(model).items():
        if name.endswith("_") and isinstance(value, float | int | np.ndarray | list | dict):
            assert type(getattr(loaded, name)) is type(value), name
            np.testing.assert_equal(getattr(loaded, name), value, err_msg=name)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_a_loaded_calibrator_predicts_the_same_bits(calibrator, dtype, tmp_path):
    logits = LOGITS.astype(dtype)
    model = calibrator().fit(logits[:600], Y[:600])
    assert_same(round_trip(model, tmp_path), model, logits[600:])


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_two_classes_of_strings_and_probabilities_come_back(calibrator, tmp_path):
    data = load_logits("spambase_svm")
    proba = 1 / (1 + np.exp(-data.decision))
    y = np.array(["ham", "spam"])[data.target]
    model = calibrator(response_method="predict_proba").fit(proba[:500], y[:500])
    loaded = round_trip(model, tmp_path)
    assert loaded.classes_.tolist() == ["ham", "spam"]
    assert_same(loaded, model, proba[500:])


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_what_was_pickled_and_what_was_saved_are_the_same(calibrator, tmp_path):
    model = pickle.loads(pickle.dumps(calibrator().fit(LOGITS[:300], Y[:300])))
    assert_same(round_trip(model, tmp_path), model, LOGITS[300:])


@pytest.mark.parametrize(
    "model",
    [
        TemperatureScaling(alpha=np.float64(0.5), classes=["a", "b", "c", "d"], n_jobs=1),
        VectorScaling(penalty="cv", alpha=np.inf),
        MatrixScaling(penalty=0.1),
        StructuredScaling(accuracy_preserving=True),
        PriorShift(target_prior={0: 0.7, 1: 0.1, 2: 0.1, 3: 0.1}),
        PriorShift(target_prior=pd.Series([0.7, 0.1, 0.1, 0.1])),
        CalibratedClassifier(method="vector"),
        CalibratedClassifier(method=TemperatureScaling(alpha=0)),
        TemperatureScaling(classes=range(4)),
        TemperatureScaling(classes=pd.Index([3, 1, 2, 0])),
    ],
    ids=repr,
)
def test_parameters_come_back(model, tmp_path):
    y = np.array(["a", "b", "c", "d"])[Y] if isinstance(model.classes, list) else Y
    model.fit(LOGITS, y)
    loaded = round_trip(model, tmp_path)
    assert_same(loaded, model, LOGITS)
    again = loaded.fit(LOGITS, y)
    np.testing.assert_array_equal(again.predict_proba(LOGITS), model.predict_proba(LOGITS))


@pytest.mark.parametrize(
    "labels",
    [
        np.array([-7, 0, 3, 12], dtype=np.int16),
        np.array(["low", "mid", "high", "vast"]),
        np.array(["low", "mid", "high", "vast"], dtype=object),
    ],
)
def test_labels_of_any_type_come_back(labels, tmp_path):
    model = TemperatureScaling().fit(LOGITS, labels[Y])
    assert_same(round_trip(model, tmp_path), model, LOGITS)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"prior": {"cool": 0.7, "hot": 3.0}, "max_change": 0.2},
        {"score_features": True, "bounds": (0.5, None)},
        {"prior": 2.0, "forget": 0.99},
    ],
)
def test_contexts_come_back_with_their_summary(parameters, tmp_path):
    logits, y, kind = draw(1500, 0)
    X = frame(logits, kind=kind, length=np.arange(1500.0))
    context = ["kind"] if "prior" in parameters else ["kind", "length"]
    model = AdaptiveTemperatureScaling(context=context, **parameters)
    X = X[[*X.columns[:5], *context]]
    model.fit(X.iloc[:1000], y[:1000])
    loaded = round_trip(model, tmp_path)
    X.loc[1400:, "kind"] = "unheard of"
    assert_same(loaded, model, X)
    assert str(loaded.summary()) == str(model.summary())
    interval = model.predict_temperature_interval(X)
    np.testing.assert_array_equal(loaded.predict_temperature_interval(X), interval)
    for one in (model, loaded):
        one.partial_fit(X.iloc[1000:], y[1000:])
    assert_same(loaded, model, X)


def test_levels_of_several_types_come_back(tmp_path):
    X = pd.DataFrame({"no": 0.0, "yes": np.linspace(-2, 2, 400)})
    X["kind"] = np.array([1, "1", True, None], dtype=object)[np.arange(400) % 4]
    model = AdaptiveTemperatureScaling(context="kind", categorical_features="kind", classes=[0, 1])
    model.fit(X, np.arange(400) % 3 == 0)
    assert_same(round_trip(model, tmp_path), model, X)


@pytest.mark.parametrize("n_rows", [40, 400])
def test_a_loaded_calibrator_goes_on_learning(n_rows, tmp_path):
    """Of 40 rows all are kept, of 400 only sums."""
    model = TemperatureScaling(forget=0.99, classes=range(4)).partial_fit(
        LOGITS[:n_rows], Y[:n_rows]
    )
    loaded = round_trip(model, tmp_path)
    for rows in (slice(400, 500), slice(500, 900)):
        for one in (model, loaded):
            one.partial_fit(LOGITS[rows], Y[rows])
    assert_same(loaded, model, LOGITS)


def test_a_reloaded_prior_shift_adapts(tmp_path):
    model = PriorShift().fit(LOGITS[:500], Y[:500])
    loaded = round_trip(model, tmp_path).adapt(LOGITS[500:])
    np.testing.assert_array_equal(loaded.target_prior_, model.adapt(LOGITS[500:]).target_prior_)


def test_the_names_of_columns_come_back(tmp_path):
    X = pd.DataFrame(LOGITS, columns=["z0", "z1", "z2", "z3"])
    loaded = round_trip(TemperatureScaling().fit(X, Y), tmp_path)
    assert loaded.feature_names_in_.tolist() == ["z0", "z1", "z2", "z3"]
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict_proba(X[["z1", "z0", "z2", "z3"]])


def test_steps_of_isotonic_functions_survive_ties(tmp_path):
    """The points of a function are fitted again: that must not move one of them."""
    rng = np.random.default_rng(0)
    for n in (2, 3, 10, 500):
        x = rng.choice(rng.normal(size=n), 3 * n)
        y = rng.random(3 * n) < 1 / (1 + np.exp(-x))
        y[:2] = [True, False]
        weight = rng.integers(0, 4, 3 * n) + (np.arange(3 * n) < 2)
        model = IsotonicCalibration().fit(x, y, sample_weight=weight)
        assert_same(round_trip(model, tmp_path), model, np.linspace(-4, 4, 1001))


def test_a_hundred_thousand_classes_come_back(tmp_path):
    logits = np.random.default_rng(0).standard_normal((30, 100_000), dtype=np.float32)
    model = VectorScaling(classes=np.arange(100_000)).fit(logits, np.arange(30))
    assert_same(round_trip(model, tmp_path), model, logits[:3])


def test_the_file_is_read_by_people(tmp_path):
    model = TemperatureScaling().fit(LOGITS, Y)
    save_model(model, tmp_path / "model.json")
    text = (tmp_path / "model.json").read_text()
    document = json.loads(text, parse_constant=pytest.fail)
    assert document["format"] == "skcalib model"
    assert document["skcalib"] == skcalib.__version__
    assert document["calibrator"] == "TemperatureScaling"
    assert document["parameters"]["alpha"] == 1.0
    assert (
        document["shown"]["temperature_"] == {"scalar": "float64", "value": model.temperature_}
        or document["shown"]["temperature_"] == model.temperature_
    )
    assert document["fitted"]["classes_"] == {"dtype": "int32", "shape": [4], "data": [0, 1, 2, 3]}
    assert max(map(len, text.splitlines())) < 120


def test_save_and_load_change_no_state_and_raise_no_arithmetic_error(tmp_path):
    with np.errstate(all="raise"):
        model = StructuredScaling().fit(LOGITS, Y)
        before = pickle.dumps(model)
        loaded = round_trip(model, tmp_path)
        loaded.predict_proba(LOGITS)
    assert pickle.dumps(model) == before


# What cannot be saved


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (TemperatureScaling(LogisticRegression()), "wraps a LogisticRegression.*joblib"),
        (
            AdaptiveTemperatureScaling(context=[3], prior=lambda row: 2.0, classes=[0, 1, 2]),
            "prior=.*Rules can be given as a dict",
        ),
        (
            AdaptiveTemperatureScaling(
                context=make_column_transformer((OneHotEncoder(), [3])), classes=[0, 1, 2]
            ),
            "context=ColumnTransformer",
        ),
        (TemperatureScaling(cv=KFold(3)), "cv=KFold"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_a_way_out(model, says, tmp_path):
    model.fit(LOGITS, np.minimum(Y, 2) if hasattr(model, "context") else Y)
    with pytest.raises(TypeError, match=says):
        save_model(model, tmp_path / "model.json")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_fitted_or_no_calibrator_is_refused(tmp_path):
    with pytest.raises(NotFittedError):
        save_model(TemperatureScaling(), tmp_path / "model.json")
    with pytest.raises(TypeError, match=r"calibrator must be one of .* got LogisticRegression"):
        save_model(LogisticRegression(), tmp_path / "model.json")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "model.json"
    save_model(TemperatureScaling().fit(LOGITS, Y), path)
    old = path.read_bytes()

    def full(*arguments, **options):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(OSError, match="disk full"):
        save_model(VectorScaling().fit(LOGITS, Y), path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_through_a_link_the_file_it_points_to_is_replaced(tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "model.json")
    save_model(TemperatureScaling().fit(LOGITS, Y), tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert load_model(tmp_path / "model.json").temperature_ > 4


# What cannot be loaded


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.json"
    save_model(CalibratedClassifier(method="temperature").fit(LOGITS, Y), path)
    return path


def test_every_part_of_a_file_is_refused(saved):
    text = saved.read_bytes()
    for end in range(0, len(text) - 2, 37):
        saved.write_bytes(text[:end])
        with pytest.raises(ValueError, match="is no model of skcalib"):
            load_model(saved)


def paths(node, way=()):
    """Ways to everything in a document."""
    yield way
    items = (
        node.items() if isinstance(node, dict) else enumerate(node) if type(node) is list else ()
    )
    for key, value in items:
        yield from paths(value, (*way, key))


def changed(text, way, value):
    document = node = json.loads(text)
    for key in way[:-1]:
        node = node[key]
    node[way[-1]] = value
    return json.dumps(document)


@pytest.mark.parametrize("wrong", ["os.system", [], {}, {"class": "Popen", "fields": {}}])
@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_no_wrong_value_in_a_file_does_anything_but_raise_value_error(calibrator, wrong, tmp_path):
    """Wherever it stands it is refused, or is as good as what was there."""
    path = tmp_path / "model.json"
    save_model(calibrator().fit(LOGITS[:50], Y[:50]), path)
    text = path.read_text()
    ways = [way for way in paths(json.loads(text)) if way and way[0] != "shown"]
    refused = 0
    for way in ways[:: max(1, len(ways) // 200)]:
        path.write_text(changed(text, way, wrong))
        try:
            load_model(path).predict_proba(LOGITS[:2])
        except ValueError as error:
            refused += "model.json" in str(error)
    assert refused > 0.8 * min(len(ways), 200)


@pytest.mark.parametrize(
    ("way", "value", "says"),
    [
        (("format",), "pickle", "its format is not 'skcalib model'"),
        (("version",), 2, "has version 2 of the format, and this skcalib reads 1"),
        (("calibrator",), "LogisticRegression", "there is no calibrator 'LogisticRegression'"),
        (("parameters", "cv"), -1.5, "cv"),
        (("parameters", "colour"), "red", "colour"),
        (("fitted", "classes_", "shape"), [5], "shape"),
        (("fitted", "calibrator_", "class"), "Popen", "'Popen' is none that models are made of"),
        (("fitted", "calibrator_", "fields", "offset"), "x", "offset of TemperatureMap is not"),
        (("fitted", "predict_proba"), 1, "something in it that no fit leaves"),
        (("fitted", "column_order_", "data"), [0, 0, 1, 2], "not what a fit leaves"),
        (("fitted", "column_order_", "data"), [0.5, 1, 2, 3], "int64 holds something else"),
        (("fitted", "_private_"), 1, "something in it that no fit leaves"),
        (("fitted", "n_features_in_"), 7, "7 columns are not those of 4 classes"),
    ],
)
def test_a_damaged_file_says_what_is_wrong(saved, way, value, says):
    saved.write_text(changed(saved.read_text(), way, value))
    with pytest.raises(ValueError, match=says):
        load_model(saved)


def test_deep_nesting_and_constants_that_are_no_json_are_refused(saved):
    for text in ("[" * 100_000, '{"format": NaN}', "\xff\xfe", ""):
        saved.write_text(text, encoding="latin-1")
        with pytest.raises(ValueError, match="is no model of skcalib"):
            load_model(saved)


def test_a_missing_file_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "missing.json")
