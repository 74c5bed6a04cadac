"""What every metric must do, whatever it measures. A new metric joins by a line in the tables."""

import inspect

import numpy as np
import pandas as pd
import pytest

import skcalib.metrics
from skcalib.metrics import (
    augrc,
    aurc,
    brier_score,
    brier_skill_score,
    calibration_error,
    calibration_error_interval,
    calibration_report,
    calibration_slope_intercept,
    calibration_test,
    expected_calibration_error,
    log_loss_skill_score,
    maximum_calibration_error,
    reliability_curve,
    risk_bands,
    risk_coverage_curve,
    score_decomposition,
    smooth_calibration_error,
    spiegelhalter_z,
)
from skcalib.metrics._log_loss import log_loss


def of(function, take=None, *, tolerance=1e-12, **options):
    """A metric with these options; of a result of several numbers `take` makes an array.

    The tolerance is greater where a solver or a search stops before the last digit.
    """

    def metric(*args, **kwargs):
        result = function(*args, **options, **kwargs)
        return result if take is None else take(result)

    metric.function, metric.tolerance = function, tolerance
    return metric


def points(curve):
    """What weights and repetition agree on; the effective number of rows is another."""
    return np.concatenate([curve.mean_proba, curve.frequency, curve.weight / curve.weight.sum()])


def selective(curve):
    return np.stack([curve.coverage, curve.risk, curve.generalized_risk, curve.threshold])


def parts(split):
    fields = split.score, split.miscalibration, split.discrimination, split.uncertainty
    return np.array([*fields, split.within_bin])


def bands(table):
    ends = table.lower, table.upper
    return np.column_stack([table.edges, table.weight, table.expected, table.observed, *ends])


def rows(report):
    """All that is not cross-validated, values and the ends that there are."""
    left_out = ["miscalibration", "discrimination"] if report.n_classes > 2 else []
    kept = [row for row in report.rows if row.name not in left_out]
    return np.array([number for row in kept for number in row[1:4] if number is not None])


def statistic(test):
    return test.statistic


NUMBERS = {
    "ECE": of(expected_calibration_error),
    "MCE": of(maximum_calibration_error),
    "quantile ECE": of(expected_calibration_error, strategy="quantile"),
    "L2 error": of(calibration_error, norm=2, n_bins=7),
    "debiased L2 error": of(calibration_error, norm=2, n_bins=5, debias=True, strategy="quantile"),
    "mean class-wise ECE": of(expected_calibration_error, kind="class"),
    "sum of class-wise ECE": of(expected_calibration_error, kind="class", average="sum"),
    "class-wise ECE by prevalence": of(
        expected_calibration_error, kind="class", average="prevalence", strategy="quantile"
    ),
    "class-wise L2 error": of(calibration_error, kind="class", norm=2),
    "class-wise MCE": of(maximum_calibration_error, kind="class", n_bins=4),
    "smooth ECE": of(smooth_calibration_error),
    "class-wise smooth ECE": of(smooth_calibration_error, kind="class", average="prevalence"),
    "Brier score": of(brier_score),
    "log loss": of(log_loss),
    "Brier skill": of(brier_skill_score),
    "log loss skill": of(log_loss_skill_score),
    "AURC": of(aurc),
    "AUGRC": of(augrc),
    "tested ECE": of(calibration_test, statistic, n_resamples=1, random_state=0),
    "tested log loss": of(
        calibration_test,
        statistic,
        statistic="log_loss",
        kind="class",
        n_resamples=1,
        random_state=0,
    ),
}
ARRAYS = {
    "reliability curve": of(reliability_curve, points),
    "quantile reliability curve": of(reliability_curve, points, strategy="quantile"),
    "isotonic reliability curve": of(reliability_curve, points, strategy="isotonic", n_resamples=0),
    "risk-coverage curve": of(risk_coverage_curve, selective),
    "CORP decomposition": of(score_decomposition, parts),
    "CORP decomposition of the confidence": of(
        score_decomposition, parts, kind="confidence", score="log_loss"
    ),
    "Murphy decomposition": of(score_decomposition, parts, method="murphy", n_bins=6),
    "decomposition by a calibrator": of(
        score_decomposition, parts, method="calibrator", tolerance=1e-9
    ),
    "L2 interval": of(calibration_error_interval),
    "ECE interval": of(calibration_error_interval, norm=1, n_bins=7, strategy="uniform"),
    "risk bands": of(risk_bands, bands, kind="confidence"),
    "slope and intercept": of(
        calibration_slope_intercept, np.hstack, kind="confidence", tolerance=1e-9
    ),
    "Spiegelhalter's z": of(spiegelhalter_z, np.array),
    "report": of(calibration_report, rows),
}
METRICS = NUMBERS | ARRAYS
# Of these, binary probabilities may come as one column, with `pos_label`.
BINARY = {name: metric for name, metric in METRICS.items() if name != "log loss"} | {
    "ECE of the positive class": of(expected_calibration_error, kind="positive"),
    "smooth ECE of the positive class": of(smooth_calibration_error, kind="positive"),
    "reliability of the positive class": of(reliability_curve, points, kind="positive"),
    "interval of the positive class": of(calibration_error_interval, kind="positive"),
    "decomposition of the positive class": of(score_decomposition, parts, kind="positive"),
    "risk bands of the positive class": of(risk_bands, bands),
    "slope and intercept of the positive class": of(
        calibration_slope_intercept, np.hstack, tolerance=1e-9
    ),
}

# What a metric cannot have, and why.
ORDER_MATTERS = {"decomposition by a calibrator": "folds are cut from rows as they come"}
WEIGHT_IS_NOT_REPETITION = {
    "decomposition by a calibrator": "folds split rows, whatever their weight"
}


def every(metrics, but=()):
    chosen = {name: metric for name, metric in metrics.items() if name not in but}
    return pytest.mark.parametrize("metric", chosen.values(), ids=chosen)


every_metric, every_binary_metric = every(METRICS), every(BINARY)


def problem(n_classes=3, n=120, grain=1024):
    """Labels and probabilities that are multiples of 1 / grain, the largest of a row alone."""
    rng = np.random.default_rng(n_classes)
    truth = rng.dirichlet(np.full(n_classes, 0.5), 5 * n)
    counts = rng.multinomial(grain, 0.8 * truth + 0.2 / n_classes)
    ordered = np.sort(counts, axis=1)
    chosen = np.flatnonzero((ordered[:, -1] > ordered[:, -2]) & (ordered[:, 0] > 0))[:n]
    y = (rng.random((n, 1)) > truth[chosen].cumsum(axis=1)[:, :-1]).sum(axis=1)
    return y, counts[chosen] / grain


def equal(metric, found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=metric.tolerance)


def test_every_public_metric_is_in_the_tables():
    public = {
        function
        for _, function in inspect.getmembers(skcalib.metrics, inspect.isfunction)
        if {"y_true", "y_proba"} <= inspect.signature(function).parameters.keys()
    }
    assert public == {metric.function for metric in METRICS.values()} - {log_loss}


def test_an_exception_is_made_for_metrics_that_exist():
    assert {*ORDER_MATTERS, *WEIGHT_IS_NOT_REPETITION} <= METRICS.keys()


@every(NUMBERS)
def test_a_number_is_a_python_float(metric):
    assert type(metric(*problem())) is float


@every(METRICS, but=ORDER_MATTERS)
def test_the_order_of_rows_does_not_matter(metric):
    y, proba = problem()
    shuffled = np.random.default_rng(0).permutation(len(y))
    equal(metric, metric(y[shuffled], proba[shuffled]), metric(y, proba))


@every(METRICS, but=WEIGHT_IS_NOT_REPETITION)
def test_a_weight_is_repetition(metric):
    y, proba = problem()
    weight = np.random.default_rng(0).integers(0, 4, len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    equal(metric, metric(y, proba, sample_weight=weight), metric(y[rows], proba[rows]))


@every_metric
def test_weights_of_one_are_no_weights(metric):
    y, proba = problem()
    for ones in (np.ones(len(y)), [1] * len(y), np.ones(len(y), dtype=bool), 1.0):
        equal(metric, metric(y, proba, sample_weight=ones), metric(y, proba))


@every_metric
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.longdouble])
def test_any_precision_gives_what_float64_gives(metric, dtype):
    # Multiples of 1/64 are exact in all of them, and no bin's edge is rounded onto one.
    y, proba = problem(grain=64)
    equal(metric, metric(y, proba.astype(dtype)), metric(y, proba))


@every_metric
def test_integers_are_probabilities_too(metric):
    y, certain = problem()[0], np.eye(3)
    if metric.function is calibration_slope_intercept:  # certainty has no slope
        with pytest.raises(ValueError, match="its logit is infinite"):
            metric(y, certain[(y + 1) % 3].astype(int))
    else:
        proba = certain[(y + np.arange(len(y)) % 4 // 3) % 3]
        equal(metric, metric(y, proba.astype(int)), metric(y, proba))


@every_metric
def test_the_order_of_classes_does_not_matter(metric):
    y, proba = problem()
    new_place = np.array([2, 0, 1])
    permuted = np.empty_like(proba)
    permuted[:, new_place] = proba
    equal(metric, metric(new_place[y], permuted), metric(y, proba))


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
    equal(metric, metric(names[y], proba), metric(y, proba))
    equal(metric, metric(names[y], proba, labels=names), metric(y, proba))
    equal(metric, metric(names[y].tolist(), proba, labels=names.tolist()), metric(y, proba))


@every_metric
def test_lists_and_data_frames_are_taken(metric):
    y, proba = problem()
    weight = np.arange(len(y)) % 3
    expected = metric(y, proba, sample_weight=weight)
    index = np.arange(len(y))[::-1] + 1000
    found = metric(y.tolist(), proba.tolist(), sample_weight=weight.tolist())
    equal(metric, found, expected)
    series, frame = pd.Series(y, index=index), pd.DataFrame(proba, index=index, columns=[*"xyz"])
    equal(metric, metric(series, frame, sample_weight=pd.Series(weight)), expected)
    equal(metric, metric(series.astype("category"), frame, sample_weight=weight), expected)
    equal(metric, metric(series.astype("Int64"), frame, sample_weight=weight), expected)


@every_metric
def test_memory_orders_and_strides_do_not_matter(metric):
    y, proba = problem()
    expected = metric(y, proba)
    equal(metric, metric(y, np.asfortranarray(proba)), expected)
    equal(metric, metric(np.repeat(y, 2)[::2], np.repeat(proba, 2, axis=0)[::2]), expected)
    equal(metric, metric(y[::-1].copy()[::-1], proba[::-1].copy()[::-1]), expected)
    equal(metric, metric(y, proba[:, ::-1].copy()[:, ::-1]), expected)
    equal(metric, metric(y.astype(np.int8), proba.astype(">f8")), expected)


@every_metric
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_maps_are_read(metric, dtype, tmp_path):
    y, proba = problem()
    np.save(tmp_path / "y.npy", y)
    np.save(tmp_path / "proba.npy", proba.astype(dtype))
    mapped = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("y", "proba"))
    equal(metric, metric(*mapped), metric(y, proba.astype(dtype)))


@every_metric
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_are_left_as_they_are(metric, dtype):
    y, proba = problem()
    given = y, proba.astype(dtype), np.random.default_rng(0).random(len(y)), np.arange(3)
    copies = [array.copy() for array in given]
    y, proba, weight, labels = given
    metric(y, proba, sample_weight=weight, labels=labels)
    for array, copy in zip(given, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
        array.flags.writeable = False
    metric(y, proba, sample_weight=weight, labels=labels)


@every_metric
@pytest.mark.parametrize("weighted", [False, True])
def test_no_rounding_is_complained_of_even_where_numpy_raises(metric, weighted):
    for y, proba in (problem(), (problem()[0], np.full((120, 3), 1 / 3))):
        weight = 10 ** np.random.default_rng(0).uniform(-30, 0, len(y)) if weighted else None
        with np.errstate(all="raise"):
            assert np.isfinite(np.asarray(metric(y, proba, sample_weight=weight))).any()


@every_metric
def test_probabilities_too_small_to_square_are_no_trouble(metric):
    # Of 1e-200 the square is 0. No row is of the last class, nor is its probability ever more.
    y, proba = problem(2)
    proba = np.column_stack([proba, np.full(len(y), 1e-200)])
    with np.errstate(all="raise"):
        found = metric(y, proba, labels=[0, 1, 2])
    assert not np.isnan(found).any()


@every_metric
def test_a_class_may_be_absent(metric):
    y, proba = problem()
    kept = y != 1
    found = metric(y[kept], proba[kept], labels=[0, 1, 2])
    # The rows of class 1 are there, and count for nothing.
    equal(metric, found, metric(y, proba, sample_weight=kept))
    named = np.array(["ant", "bee", "cat"])
    equal(metric, metric(named[y[kept]], proba[kept], labels=named), found)


@every_binary_metric
def test_one_column_is_two(metric):
    y, proba = problem(2)
    expected = metric(y, proba)
    equal(metric, metric(y, proba[:, 1]), expected)
    equal(metric, metric(y, proba[:, [1]]), expected)
    equal(metric, metric(y, proba[:, 1].tolist()), expected)


@every_binary_metric
def test_minus_one_and_false_are_what_zero_is(metric):
    y, proba = problem(2)
    expected = metric(y, proba[:, 1])
    equal(metric, metric(2 * y - 1, proba[:, 1]), expected)
    equal(metric, metric(y.astype(bool), proba[:, 1]), expected)
    equal(metric, metric(y.astype(float), proba[:, 1]), expected)
    equal(metric, metric(np.array(["no", "yes"])[y], proba[:, 1], pos_label="yes"), expected)
    equal(metric, metric(np.array(["no", "yes"])[y], proba[:, 1], labels=["no", "yes"]), expected)
    equal(metric, metric(2 * y - 1, proba), expected)
    equal(metric, metric(2 * y - 1, proba[:, 1], pos_label=1), expected)


@every_binary_metric
def test_of_minus_one_and_one_the_positive_class_may_be_either(metric):
    y, proba = problem(2)
    expected = metric(y, proba, pos_label=0)
    equal(metric, metric(2 * y - 1, proba[:, 0], pos_label=-1), expected)
    equal(metric, metric(2 * y - 1, proba, pos_label=-1), expected)


@every_binary_metric
def test_one_column_may_be_of_the_first_class(metric):
    y, proba = problem(2)
    equal(metric, metric(y, proba[:, 0], pos_label=0), metric(y, proba, pos_label=0))


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
    for labels in ([1, 2], [-1, 0], [0, 2], [-2, 2]):
        with pytest.raises(ValueError, match=r"Pass pos_label, or labels=\[other, positive\]"):
            metric(labels, [0.2, 0.7])


@every_binary_metric
def test_a_positive_label_that_does_not_occur_is_refused(metric):
    for y, pos_label in (([0, 1], 2), ([-1, 1], 0), (["no", "yes"], "maybe")):
        with pytest.raises(ValueError, match=f"pos_label={pos_label!r} is not among the labels"):
            metric(y, [[0.8, 0.2], [0.3, 0.7]], pos_label=pos_label)


@every_binary_metric
def test_more_than_two_classes_have_no_positive_label(metric):
    y, proba = problem()
    with pytest.raises(ValueError, match="pos_label is for two classes"):
        metric(y, proba, pos_label=1)


@every_binary_metric
def test_one_column_for_three_labels_is_refused(metric):
    with pytest.raises(ValueError, match="y_proba has one column, for two classes"):
        metric([0, 1, 2], [0.2, 0.7, 0.1])
