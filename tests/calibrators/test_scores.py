"""Calibrators without an estimator: X is the scores, in whatever form they come."""

import copy
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from oracles import best_temperature
from registry import CALIBRATORS
from scipy.special import log_softmax, softmax

from skcalib import (
    TemperatureScaling,
)
from skcalib.datasets import load_logits, make_miscalibrated_logits


def scores_and_labels(n_classes=4, n_rows=120):
    """Logits rounded to eighths below 64, exact in float16 and wider, and labels."""
    logits, y = make_miscalibrated_logits(n_rows, n_classes, temperature=2, random_state=0)
    return np.round(logits * 8) / 8, y


# Shapes.


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_two_classes_come_as_decisions_or_as_their_two_logits(calibrator):
    logits, y = scores_and_labels(2)
    decision = logits[:, 1] - logits[:, 0]
    expected = calibrator().fit(logits, y).predict_proba(logits)
    for X in (decision, decision[:, None], np.stack([-decision / 2, decision / 2], axis=1)):
        model = calibrator().fit(X, y)
        np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-12)
        assert model.predict_log_proba(X).shape == (120, 2)
        assert model.decision_function(X).shape == (120,)
        assert model.n_features_in_ == (1 if X.ndim == 1 else X.shape[1])


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_two_classes_come_as_one_probability_or_as_both(calibrator):
    logits, y = scores_and_labels(2)
    both = softmax(logits, axis=1)
    declared = {"response_method": "predict_proba"}
    expected = calibrator(**declared).fit(both, y).predict_proba(both)
    for X in (both[:, 1], both[:, 1:]):
        proba = calibrator(**declared).fit(X, y).predict_proba(X)
        # 1 - (1 - p) is off by an ulp of 1, which PriorShift hides behind no smoothing.
        np.testing.assert_allclose(proba, expected, rtol=1e-9, atol=1e-15)


def test_a_decision_fitted_flat_is_served_as_a_column_and_back():
    logits, y = scores_and_labels(2)
    decision = logits[:, 1] - logits[:, 0]
    flat, column = (TemperatureScaling().fit(X, y) for X in (decision, decision[:, None]))
    np.testing.assert_array_equal(
        flat.predict_proba(decision[:, None]), column.predict_proba(decision)
    )


def test_one_log_probability_column_is_refused():
    with pytest.raises(ValueError, match=r"X must have one column per class, got shape \(2,\)"):
        TemperatureScaling(response_method="predict_log_proba").fit([-0.5, -1.0], [0, 1])


# Classes.


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize(
    "names",
    [
        ["a", "b", "c", "d"],
        [100_000, 200_000, 300_000, 400_000],
        [-2, -1, 1, 2],
        [0.0, 1.0, 2.0, 3.0],
    ],
)
def test_columns_are_the_sorted_labels_if_there_is_one_for_each(calibrator, names):
    logits, y = scores_and_labels()
    coded, named = calibrator().fit(logits, y), calibrator().fit(logits, np.array(names)[y])
    np.testing.assert_array_equal(named.classes_, names)
    np.testing.assert_array_equal(named.predict_proba(logits), coded.predict_proba(logits))
    np.testing.assert_array_equal(named.predict(logits), np.array(names)[coded.predict(logits)])


def test_columns_are_0_to_k_if_labels_are_such_integers_and_0_occurs():
    logits, y = scores_and_labels()
    rows = y != 2
    model = TemperatureScaling().fit(logits[rows], y[rows])
    np.testing.assert_array_equal(model.classes_, [0, 1, 2, 3])
    assert model.predict_proba(logits).shape == (120, 4)
    assert model.temperature_ == pytest.approx(
        best_temperature(logits[rows], y[rows], alpha=1), rel=1e-9
    )


@pytest.mark.parametrize(
    ("labels", "seen"),
    [
        ([1, 2, 3], r"3 distinct labels \[1, 2, 3\]"),
        ([0, 1, 4], r"3 distinct labels \[0, 1, 4\]"),
        ([-1, 0, 1], r"3 distinct labels \[-1,  0,  1\]"),
        (["a", "b", "c"], r"3 distinct labels \['a', 'b', 'c'\]"),
        ([0, 1, 2, 3, 4], r"5 distinct labels"),
        ([False, True], r"2 distinct labels \[False,  True\]"),
        ([0.0, 1.0], r"2 distinct labels"),
    ],
)
def test_columns_that_cannot_be_told_are_asked_for(labels, seen):
    logits, _ = scores_and_labels()
    y = np.array(labels)[np.arange(120) % len(labels)]
    with pytest.raises(ValueError, match=f"X has 4 columns but y has {seen}.*Pass classes="):
        TemperatureScaling().fit(logits, y)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_classes_name_columns_in_any_order_and_outputs_are_sorted(calibrator):
    logits, y = scores_and_labels()
    names = np.array(["delta", "alpha", "gamma", "beta"])
    model = calibrator(classes=names).fit(logits, names[y])
    np.testing.assert_array_equal(model.classes_, ["alpha", "beta", "delta", "gamma"])
    plain = calibrator(classes=[0, 1, 2, 3]).fit(logits, y).predict_proba(logits)
    # alpha is column 1, beta 3, delta 0, gamma 2.
    expected = plain[:, [1, 3, 0, 2]]
    np.testing.assert_allclose(model.predict_proba(logits), expected, rtol=1e-9)
    best = model.predict_proba(logits).argmax(axis=1)
    np.testing.assert_array_equal(model.predict(logits), model.classes_[best])


def test_classes_in_reverse_turn_a_decision_around():
    logits, y = scores_and_labels(2)
    decision = logits[:, 1] - logits[:, 0]
    plain = TemperatureScaling(classes=[0, 1]).fit(decision, y)
    turned = TemperatureScaling(classes=[1, 0]).fit(-decision, y)
    np.testing.assert_array_equal(turned.classes_, [0, 1])
    assert turned.temperature_ == pytest.approx(plain.temperature_, rel=1e-12)
    np.testing.assert_allclose(
        turned.predict_proba(-decision), plain.predict_proba(decision), rtol=1e-12
    )


def test_classes_never_seen_keep_their_columns():
    logits, _ = scores_and_labels()
    model = TemperatureScaling(classes=["a", "b", "c", "d"]).fit(logits, np.full(120, "b"))
    np.testing.assert_array_equal(model.classes_, ["a", "b", "c", "d"])
    assert set(model.predict(logits)) == {"a", "b", "c", "d"}


# Data frames.


def test_a_frame_leaves_its_names_and_its_columns_are_read_by_place():
    logits, y = scores_and_labels()
    frame = pd.DataFrame(logits, columns=["w", "x", "y", "z"])
    model = TemperatureScaling().fit(frame, y)
    np.testing.assert_array_equal(model.feature_names_in_, ["w", "x", "y", "z"])
    assert model.n_features_in_ == 4
    plain = TemperatureScaling().fit(logits, y)
    assert not hasattr(plain, "feature_names_in_")
    np.testing.assert_array_equal(model.predict_proba(frame), plain.predict_proba(logits))


def test_a_frame_with_other_names_is_refused_when_served():
    logits, y = scores_and_labels()
    frame = pd.DataFrame(logits, columns=["w", "x", "y", "z"])
    model = TemperatureScaling().fit(frame, y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict_proba(frame[["x", "w", "y", "z"]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict_proba(logits)


def test_a_frame_named_after_the_classes_in_another_order_is_not_read_by_place():
    logits, y = scores_and_labels()
    labels = np.array(["a", "b", "c", "d"])[y]
    frame = pd.DataFrame(logits, columns=["a", "b", "c", "d"])
    expected = TemperatureScaling().fit(frame, labels)
    shuffled = frame[["c", "a", "d", "b"]]
    with pytest.raises(
        ValueError, match=r"order \['c', 'a', 'd', 'b'\].*classes=list\(X.columns\)"
    ):
        TemperatureScaling().fit(shuffled, labels)
    model = TemperatureScaling(classes=list(shuffled.columns)).fit(shuffled, labels)
    assert model.temperature_ == pytest.approx(expected.temperature_, rel=1e-12)
    np.testing.assert_allclose(
        model.predict_proba(shuffled), expected.predict_proba(frame), rtol=1e-12
    )


# Types and layouts.


def strided(x):
    room = np.full((2 * x.shape[0], 3 * x.shape[1]), np.nan, dtype=x.dtype)
    room[::2, 1::3] = x
    return room[::2, 1::3]


def reversed_view(x):
    return np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS = {
    "list": lambda x: x.tolist(),
    "tuple of rows": lambda x: tuple(map(tuple, x.tolist())),
    "fortran": np.asfortranarray,
    "strided": strided,
    "reversed": reversed_view,
    "read-only": read_only,
    "big-endian": lambda x: x.astype(">f8"),
    "long double": lambda x: x.astype(np.longdouble),
    "object": lambda x: x.astype(object),
    "frame": pd.DataFrame,
    "nullable frame": lambda x: pd.DataFrame(x).astype("Float64"),
}


@pytest.mark.parametrize("n_classes", [2, 4, 40])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_layout_changes_the_answer_or_is_written_to(layout, n_classes):
    logits, y = scores_and_labels(n_classes)
    expected = TemperatureScaling(classes=range(n_classes)).fit(logits, y)
    X = LAYOUTS[layout](logits)
    before = copy.deepcopy(X)
    model = TemperatureScaling(classes=range(n_classes)).fit(X, y)
    assert model.temperature_ == pytest.approx(expected.temperature_, rel=1e-12)
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(logits), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), expected.predict(logits))
    np.testing.assert_array_equal(np.asarray(X), np.asarray(before))


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", "<f2", np.longdouble])
def test_every_float_type_is_read_exactly(calibrator, dtype):
    logits, y = scores_and_labels()
    expected = calibrator().fit(logits, y).predict_proba(logits)
    X = logits.astype(dtype)
    proba = calibrator().fit(X, y).predict_proba(X)
    narrow = np.dtype(dtype).itemsize <= 4
    assert proba.dtype == (np.float32 if narrow else np.float64)
    np.testing.assert_allclose(proba, expected, rtol=0, atol=1e-6 if narrow else 1e-12)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint8, bool])
def test_integers_are_read_as_float64(calibrator, dtype):
    logits, y = scores_and_labels()
    whole = np.abs(np.round(logits)).astype(dtype)
    model, expected = (
        calibrator(response_method="decision_function").fit(X, y)
        for X in (whole, whole.astype(np.float64))
    )
    np.testing.assert_array_equal(model.predict_proba(whole), expected.predict_proba(whole))


def test_float16_gives_what_its_float32_gives():
    scores = load_logits("wordnet_lexname_mlp")
    rows, n_classes = scores.calibration, scores.logits.shape[1]
    half = scores.logits[rows]
    assert half.dtype == np.float16
    fitted = [
        TemperatureScaling(classes=range(n_classes)).fit(X, scores.target[rows])
        for X in (half, half.astype(np.float32))
    ]
    assert fitted[0].temperature_ == fitted[1].temperature_
    np.testing.assert_array_equal(
        fitted[0].predict_proba(half), fitted[1].predict_proba(half.astype(np.float32))
    )


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("mode", ["r", "c"])
def test_a_memory_map_is_read_and_left_as_it_is(tmp_path, calibrator, mode):
    logits, y = scores_and_labels()
    np.save(tmp_path / "logits.npy", logits.astype(np.float32))
    mapped = np.load(tmp_path / "logits.npy", mmap_mode=mode)
    model = calibrator().fit(mapped, y)
    expected = calibrator().fit(logits.astype(np.float32), y)
    np.testing.assert_array_equal(model.predict_proba(mapped), expected.predict_proba(mapped))
    assert not np.isnan(model.predict_proba(mapped)).any()
    np.testing.assert_array_equal(mapped, logits)
    np.testing.assert_array_equal(np.load(tmp_path / "logits.npy"), logits)


@pytest.mark.parametrize("method", ["decision_function", "predict_proba"])
def test_a_memory_map_is_never_copied_whole(tmp_path, method):
    logits, y = make_miscalibrated_logits(100_000, 50, random_state=0)
    X = logits if method == "decision_function" else softmax(logits, axis=1)
    np.save(tmp_path / "scores.npy", X.astype(np.float32))  # 20 MB
    mapped = np.load(tmp_path / "scores.npy", mmap_mode="r")
    model = TemperatureScaling(response_method=method)
    tracemalloc.start()
    try:
        model.fit(mapped, y)
        model.predict(mapped)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < mapped.nbytes * 0.6


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("method", ["decision_function", "predict_proba", "predict_log_proba"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_inputs_are_never_written_to(calibrator, method, dtype):
    logits, y = scores_and_labels()
    log_proba = log_softmax(logits, axis=1)
    X = {
        "decision_function": logits,
        "predict_proba": np.exp(log_proba),
        "predict_log_proba": log_proba,
    }[method].astype(dtype)
    weight = np.linspace(0.5, 1, 120)
    given = [read_only(X), read_only(y), read_only(weight)]
    model = calibrator(response_method=method).fit(given[0], given[1], sample_weight=given[2])
    for serve in (model.predict, model.predict_proba, model.decision_function):
        serve(given[0])
    for array, original in zip(given, (X, y, weight), strict=True):
        np.testing.assert_array_equal(array, original)


# What X is, is declared.


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("shape", ["(n, K)", "(n, 2)", "(n, 1)", "(n,)"])
def test_what_looks_like_probabilities_is_read_as_logits_with_one_warning(calibrator, shape):
    logits, y = scores_and_labels(4 if shape == "(n, K)" else 2)
    X = softmax(logits, axis=1)
    X = {"(n, K)": X, "(n, 2)": X, "(n, 1)": X[:, 1:], "(n,)": X[:, 1]}[shape]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = calibrator().fit(X, y)
        proba = model.predict_proba(X)
    assert [w.category for w in caught] == [UserWarning]
    assert "looks like probabilities" in str(caught[0].message)
    assert "response_method='predict_proba'" in str(caught[0].message)
    assert caught[0].filename == __file__
    declared = calibrator(response_method="decision_function").fit(X, y)
    np.testing.assert_array_equal(proba, declared.predict_proba(X))


def test_one_row_that_is_no_probability_ends_the_suspicion():
    logits, y = scores_and_labels()
    X = softmax(logits, axis=1)
    X[17] *= 2
    TemperatureScaling().fit(X, y)


def test_what_looks_like_probabilities_is_fitted_as_declared():
    logits, y = scores_and_labels()
    X = softmax(logits, axis=1)
    model = TemperatureScaling(response_method="decision_function").fit(X, y)
    assert model.temperature_ == pytest.approx(best_temperature(X, y, alpha=1), rel=1e-9)
    assert model.response_method_ == "decision_function"


@pytest.mark.parametrize("method", ["decision_function", "predict_proba", "predict_log_proba"])
def test_a_declared_method_is_kept_for_prediction(method):
    logits, y = scores_and_labels()
    log_proba = log_softmax(logits, axis=1)
    X = {
        "decision_function": logits,
        "predict_proba": np.exp(log_proba),
        "predict_log_proba": log_proba,
    }
    model = TemperatureScaling(response_method=method, smoothing=0).fit(X[method], y)
    # Without smoothing all three are the same scores but for row constants.
    expected = best_temperature(logits, y, alpha=1)
    assert model.temperature_ == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(
        model.predict_proba(X[method]), softmax(logits / expected, axis=1), rtol=1e-8
    )


# Masks.


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("n_classes", [2, 4, 12])
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_a_masked_class_has_probability_exactly_zero(calibrator, n_classes, dtype):
    logits, y = scores_and_labels(n_classes)
    logits = logits.astype(dtype)
    masked = np.random.default_rng(0).random(logits.shape) < 0.3
    masked[np.arange(120), y] = False
    logits[masked] = -np.inf
    model = calibrator(classes=range(n_classes)).fit(logits, y)
    proba = model.predict_proba(logits)
    np.testing.assert_array_equal(proba[masked], 0)
    assert (proba[~masked] > 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(np.isneginf(model.predict_log_proba(logits)), masked)
    assert not masked[np.arange(120), model.predict(logits)].any()


def test_masked_classes_are_out_of_the_sums():
    logits, y = scores_and_labels(3)
    masked = np.random.default_rng(0).random(logits.shape) < 0.2
    masked[np.arange(120), y] = False
    logits[masked] = -np.inf
    model = TemperatureScaling().fit(logits, y)
    assert model.temperature_ == pytest.approx(best_temperature(logits, y, alpha=1), rel=1e-9)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ([np.nan, 0, 1, 2], "row 17 holds NaN"),
        ([0, 1, np.nan, -np.inf], "row 17 holds NaN"),
        ([0, 1, np.inf, 2], r"row 17 holds \+inf"),
        ([-np.inf] * 4, r"row 17 has every class masked \(-inf\)"),
    ],
)
def test_rows_without_probabilities_are_named_in_fit_and_in_every_prediction(
    calibrator, row, fault
):
    logits, y = scores_and_labels()
    model = calibrator().fit(logits, y)
    spoilt = logits.copy()
    spoilt[17] = row
    with pytest.raises(ValueError, match=f"X must hold finite logits.*{fault}"):
        calibrator().fit(spoilt, y)
    for serve in (
        model.predict,
        model.predict_proba,
        model.predict_log_proba,
        model.decision_function,
    ):
        with pytest.raises(ValueError, match=f"X must hold finite logits.*{fault}"):
            serve(spoilt)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_an_infinite_decision_masks_nothing(calibrator, value):
    logits, y = scores_and_labels(2)
    decision = logits[:, 1] - logits[:, 0]
    model = calibrator().fit(decision, y)
    decision[17] = value
    for call in (lambda: calibrator().fit(decision, y), lambda: model.predict_proba(decision)):
        with pytest.raises(ValueError, match=r"X must hold finite .*row 17"):
            call()


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_a_masked_label_is_named(calibrator):
    logits, y = scores_and_labels()
    logits[17, y[17]] = -np.inf
    with pytest.raises(ValueError, match=r"row 17 has its own label's class masked \(-inf\)"):
        calibrator().fit(logits, y)
    assert np.isfinite(calibrator().fit(logits[:17], y[:17]).predict_proba(logits)).all()


def test_a_faulty_row_of_a_large_set_is_found():
    logits, y = make_miscalibrated_logits(40_000, 10, random_state=0)
    model = TemperatureScaling().fit(logits, y)
    logits[31_234, 3] = np.nan
    with pytest.raises(ValueError, match="row 31234 holds NaN"):
        model.fit(logits, y)
    with pytest.raises(ValueError, match="row 31234 holds NaN"):
        model.predict_proba(logits)
    with pytest.raises(ValueError, match="row 31234 holds NaN"):
        model.predict(logits)
