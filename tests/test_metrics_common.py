"""What every metric must do, whatever it measures. A new metric joins by a line in `METRICS`."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from skcalib.metrics import (
    brier_score,
    calibration_error,
    expected_calibration_error,
    maximum_calibration_error,
    reliability_curve,
)
from skcalib.metrics._log_loss import log_loss


def curve_points(*args, **kwargs):
    """The part of a curve that weights and repetition agree on, as one array."""
    curve = reliability_curve(*args, **kwargs)
    return np.concatenate([curve.mean_proba, curve.frequency, curve.weight / curve.weight.sum()])


METRICS = {
    "ECE": expected_calibration_error,
    "MCE": maximum_calibration_error,
    "quantile ECE": partial(expected_calibration_error, strategy="quantile"),
    "L2 error": partial(calibration_error, norm=2, n_bins=7),
    "debiased L2 error": partial(
        calibration_error, norm=2, n_bins=5, debias=True, strategy="quantile"
    ),
    "mean class-wise ECE": partial(expected_calibration_error, kind="class"),
    "sum of class-wise ECE": partial(expected_calibration_error, kind="class", average="sum"),
    "class-wise ECE by prevalence": partial(
        expected_calibration_error, kind="class", average="prevalence", strategy="quantile"
    ),
    "class-wise L2 error": partial(calibration_error, kind="class", norm=2),
    "class-wise MCE": partial(maximum_calibration_error, kind="class", n_bins=4),
    "Brier score": brier_score,
    "log loss": log_loss,
    "reliability curve": curve_points,
    "quantile reliability curve": partial(curve_points, strategy="quantile"),
}
# Of these, binary probabilities may come as one column, with `pos_label`.
BINARY = {name: metric for name, metric in METRICS.items() if metric is not log_loss} | {
    "ECE of the positive class": partial(expected_calibration_error, kind="positive"),
    "reliability of the positive class": partial(curve_points, kind="positive"),
}

every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
every_binary_metric = pytest.mark.parametrize("metric", BINARY.values(), ids=BINARY)


def problem(n_classes=3, n=120):
    """Labels and probabilities that are multiples of 1/1024, the largest of a row alone."""
    rng = np.random.default_rng(n_classes)
    truth = rng.dirichlet(np.full(n_classes, 0.5), 3 * n)
    counts = rng.multinomial(1024, 0.8 * truth + 0.2 / n_classes)
    ordered = np.sort(counts, axis=1)
    chosen = np.flatnonzero((ordered[:, -1] > ordered[:, -2]) & (ordered[:, 0] > 0))[:n]
    y = (rng.random((n, 1)) > truth[chosen].cumsum(axis=1)[:, :-1]).sum(axis=1)
    return y, counts[chosen] / 1024


def equal(found, expected, tolerance=1e-12):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", [name for name in METRICS if "curve" not in name])
def test_a_number_is_a_python_float(name):
    assert type(METRICS[name](*problem())) is float


@every_metric
def test_the_order_of_rows_does_not_matter(metric):
    y, proba = problem()
    shuffled = np.random.default_rng(0).permutation(len(y))
    equal(metric(y[shuffled], proba[shuffled]), metric(y, proba))


@every_metric
def test_a_weight_is_repetition(metric):
    y, proba = problem()
    weight = np.random.default_rng(0).integers(0, 4, len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    equal(metric(y, proba, sample_weight=weight), metric(y[rows], proba[rows]))


@every_metric
def test_weights_of_one_are_no_weights(metric):
    y, proba = problem()
    for ones in (np.ones(len(y)), [1] * len(y), np.ones(len(y), dtype=bool), 1.0):
        equal(metric(y, proba, sample_weight=ones), metric(y, proba))


@every_metric
def test_float32_gives_what_float64_gives(metric):
    # The probabilities are exact in both; scikit-learn takes the logarithm in float32.
    y, proba = problem()
    tolerance = 1e-6 if metric is log_loss else 1e-12
    equal(metric(y, proba.astype(np.float32)), metric(y, proba), tolerance)


@every_metric
def test_the_order_of_classes_does_not_matter(metric):
    y, proba = problem()
    new_place = np.array([2, 0, 1])
    permuted = np.empty_like(proba)
    permuted[:, new_place] = proba
    equal(metric(new_place[y], permuted), metric(y, proba))


@every_metric
@pytest.mark.parametrize(
    "names",
    [
        np.array(["ant", "bee", "cat"]),
        np.array(["ant", "bee", "cat"], dtype=object),
        np.array([-7, 0, 100_000]),
        np.array([1.0, 2.0, 3.0]),
    ],
    ids=["strings", "objects", "integers", "floats"],
)
def test_labels_may_be_of_any_type(metric, names):
    y, proba = problem()
    equal(metric(names[y], proba), metric(y, proba))
    equal(metric(names[y], proba, labels=names), metric(y, proba))
    equal(metric(names[y].tolist(), proba, labels=names.tolist()), metric(y, proba))


@every_metric
def test_lists_data_frames_and_memory_orders_do_not_matter(metric, tmp_path):
    y, proba = problem()
    expected = metric(y, proba)
    index = np.arange(len(y))[::-1] + 1000
    equal(metric(y.tolist(), proba.tolist()), expected)
    equal(metric(pd.Series(y, index=index), pd.DataFrame(proba, index=index)), expected)
    equal(metric(y, np.asfortranarray(proba)), expected)
    equal(metric(y[::-1], proba[::-1]), expected)
    np.save(tmp_path / "proba.npy", proba)
    equal(metric(y, np.load(tmp_path / "proba.npy", mmap_mode="r")), expected)


@every_metric
def test_inputs_are_left_as_they_are(metric):
    y, proba = problem()
    weight = np.random.default_rng(0).random(len(y))
    for array in (y, proba, weight):
        array.flags.writeable = False
    metric(y, proba, sample_weight=weight, labels=np.arange(3))


@every_metric
def test_a_class_may_be_absent(metric):
    y, proba = problem()
    kept = y != 1
    found = metric(y[kept], proba[kept], labels=[0, 1, 2])
    # The rows of class 1 are there, and count for nothing.
    equal(found, metric(y, proba, sample_weight=kept))
    named = np.array(["ant", "bee", "cat"])
    equal(metric(named[y[kept]], proba[kept], labels=named), found)


@every_binary_metric
def test_one_column_is_two(metric):
    y, proba = problem(2)
    expected = metric(y, proba)
    equal(metric(y, proba[:, 1]), expected)
    equal(metric(y, proba[:, [1]]), expected)
    equal(metric(y, proba[:, 1].tolist()), expected)


@every_binary_metric
def test_minus_one_and_false_are_what_zero_is(metric):
    y, proba = problem(2)
    expected = metric(y, proba[:, 1])
    equal(metric(2 * y - 1, proba[:, 1]), expected)
    equal(metric(y.astype(bool), proba[:, 1]), expected)
    equal(metric(y.astype(float), proba[:, 1]), expected)
    equal(metric(np.array(["no", "yes"])[y], proba[:, 1], pos_label="yes"), expected)
    equal(metric(np.array(["no", "yes"])[y], proba[:, 1], labels=["no", "yes"]), expected)


@every_binary_metric
def test_one_column_may_be_of_the_first_class(metric):
    y, proba = problem(2)
    equal(metric(y, proba[:, 0], pos_label=0), metric(y, proba, pos_label=0))


BAD_PREDICTIONS = {
    "NaN": ([0.5, np.nan, 0.5], r"between 0 and 1, got nan in row 1, column 1"),
    "above one": ([1.2, -0.1, -0.1], r"between 0 and 1, got 1\.2 in row 1, column 0"),
    "below zero": ([-0.1, 0.6, 0.5], r"between 0 and 1, got -0\.1 in row 1, column 0"),
    "infinity": ([0.0, 0.0, np.inf], r"between 0 and 1, got inf in row 1, column 2"),
    "sum of .9": ([0.3, 0.3, 0.3], r"rows sum to one .*, got a sum of 0\.9 in row 1"),
    "logits": ([3.0, -1.0, 0.2], r"between 0 and 1, got 3\.0 in row 1"),
}


@every_metric
@pytest.mark.parametrize(("row", "message"), BAD_PREDICTIONS.values(), ids=BAD_PREDICTIONS)
def test_what_is_no_probability_is_refused_and_the_row_named(metric, row, message):
    y, proba = problem()
    proba[1] = row
    with pytest.raises(ValueError, match=message):
        metric(y, proba)


@every_binary_metric
@pytest.mark.parametrize("p", [np.nan, 1.2, -0.1])
def test_one_column_of_what_is_no_probability_is_refused(metric, p):
    with pytest.raises(ValueError, match=rf"between 0 and 1, got {p} in row 1"):
        metric([0, 1], [0.5, p])


BAD_LABELS = {
    "unknown": ([0, 1, 7], {"labels": [0, 1, 2]}, r"y_true has the label 7 in row 2"),
    "of another type": (["0", "1", "2"], {"labels": [0, 1, 2]}, r"y_true has the label '0'"),
    "minus one": ([0, 1, -1], {"labels": [0, 1, 2]}, r"y_true has the label -1 in row 2"),
    "too few": ([1, 2, 2], {}, r"3 columns but y has 2 distinct labels .* Pass labels="),
    "too many": ([0, 1, 5], {"labels": [0, 1]}, r"labels must hold one label per column"),
    "unsorted": ([0, 1, 2], {"labels": [2, 1, 0]}, r"labels must be sorted"),
    "repeated": ([0, 1, 2], {"labels": [0, 0, 1]}, r"labels must be sorted and without repeats"),
    "NaN": ([0, 1, np.nan], {}, r"Input y_true contains NaN"),
    "continuous": ([0.1, 0.2, 0.7], {}, r"Unknown label type"),
    "none": (None, {}, r"target y_true is None"),
}


@every_metric
@pytest.mark.parametrize(("y", "options", "message"), BAD_LABELS.values(), ids=BAD_LABELS)
def test_labels_that_do_not_fit_are_refused(metric, y, options, message):
    with pytest.raises(ValueError, match=message):
        metric(y, np.full((3, 3), 1 / 3), **options)


BAD_WEIGHTS = {
    "negative": ([1, -1, 1], r"not negative, got -1\.0 in row 1"),
    "NaN": ([1, 1, np.nan], r"sample_weight must be finite .* got nan in row 2"),
    "infinite": ([1, 1, np.inf], r"sample_weight must be finite .* got inf in row 2"),
    "all zero": ([0, 0, 0], r"sample_weight is zero for every row"),
    "too short": ([1, 1], r"sample_weight must have shape \(3,\)"),
    "a matrix": ([[1], [1], [1]], r"sample_weight must have shape \(3,\)"),
}


@every_metric
@pytest.mark.parametrize(("weight", "message"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_weights_that_do_not_fit_are_refused(metric, weight, message):
    with pytest.raises(ValueError, match=message):
        metric([0, 1, 2], np.full((3, 3), 1 / 3), sample_weight=weight)


@every_metric
def test_lengths_that_differ_are_refused(metric):
    y, proba = problem()
    with pytest.raises(ValueError, match="y_proba and y_true have inconsistent numbers"):
        metric(y[:-1], proba)


@every_metric
def test_nothing_is_not_measured(metric):
    with pytest.raises(ValueError, match="y_true has no rows"):
        metric([], np.empty((0, 3)))


@every_metric
def test_three_dimensions_are_refused(metric):
    with pytest.raises(ValueError, match=r"y_proba must have shape .* got \(3, 1, 3\)"):
        metric([0, 1, 2], np.full((3, 1, 3), 1 / 3))


@every_binary_metric
def test_labels_of_which_neither_is_positive_ask_for_it(metric):
    with pytest.raises(ValueError, match=r"Pass pos_label, or labels=\[other, positive\]"):
        metric(["no", "yes"], [0.2, 0.7])


@every_binary_metric
def test_one_column_for_three_labels_is_refused(metric):
    with pytest.raises(ValueError, match="y_proba has one column, for two classes"):
        metric([0, 1, 2], [0.2, 0.7, 0.1])
