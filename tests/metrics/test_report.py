import re
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, log_loss

from skcalib.metrics import (
    CalibrationReport,
    ReportRow,
    brier_score,
    calibration_error,
    calibration_error_interval,
    calibration_report,
    expected_calibration_error,
    score_decomposition,
)

PARTS = ["miscalibration", "discrimination", "uncertainty"]
Z = 1.959963984540054


def problem(n_classes=3, n=300, boldness=1.5):
    """Labels, bolder probabilities that are multiples of 1/1024 and not 0, and weights."""
    rng = np.random.default_rng(n_classes)
    truth = rng.dirichlet(np.ones(n_classes), n)
    bold = truth**boldness / (truth**boldness).sum(axis=1, keepdims=True)
    counts = 1 + rng.multinomial(1024 - n_classes, bold)
    y = (rng.random((n, 1)) > truth.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return y, counts / 1024, rng.integers(0, 4, n)


def numbers(report, without=()):
    """Values and ends of all rows, as one array; NaN for None."""
    rows = [row for row in report.rows if row.name not in without]
    return np.array([[row.value, row.lower, row.upper] for row in rows], dtype=float)


def notes(report):
    return [(row.name, row.note) for row in report.rows]


def equal(found, expected, tolerance=1e-12):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def same(found, expected, without=()):
    assert [row.name for row in found.rows] == [row.name for row in expected.rows]
    equal(numbers(found, without), numbers(expected, without))


@pytest.mark.parametrize("n_classes", [2, 3, 50])
@pytest.mark.parametrize("weighted", [False, True])
def test_each_row_is_what_the_function_of_its_name_gives(n_classes, weighted):
    y, proba, weight = problem(n_classes)
    labels = {"labels": np.arange(n_classes)}
    options = labels | ({"sample_weight": weight} if weighted else {})
    report = calibration_report(y, proba, n_bins=9, confidence_level=0.9, **options)
    assert report["log loss"].value == pytest.approx(log_loss(y, proba, **options), rel=1e-12)
    assert report["Brier score"].value == pytest.approx(brier_score(y, proba, **options), rel=1e-12)
    found = accuracy_score(y, proba.argmax(axis=1), sample_weight=options.get("sample_weight"))
    assert report["accuracy"].value == pytest.approx(found, rel=1e-12)
    ece = expected_calibration_error(y, proba, n_bins=9, **options)
    assert report["ECE"].value == pytest.approx(ece, abs=1e-14)
    l2 = {"norm": 2, "strategy": "quantile", "n_bins": 9}
    error = calibration_error(y, proba, debias=True, **l2, **options)
    assert report["L2 calibration error"].value == pytest.approx(error, abs=1e-14)
    ends = {"ECE": {"norm": 1, "strategy": "uniform", "n_bins": 9}, "L2 calibration error": l2}
    for name, settings in ends.items():
        interval = calibration_error_interval(y, proba, confidence_level=0.9, **settings, **options)
        equal(report[name][2:4], interval, 1e-14)
    method = "corp" if n_classes == 2 else "calibrator"
    parts = score_decomposition(y, proba, method=method, **options)
    for name in PARTS:
        assert report[name].value == pytest.approx(getattr(parts, name), abs=1e-14)
        assert report[name][2:4] == (None, None)


def test_the_parts_are_those_of_the_brier_score_above_them():
    for n_classes in (2, 3):
        report = calibration_report(*problem(n_classes)[:2])
        score, mcb, dsc, unc = (report[name].value for name in ("Brier score", *PARTS))
        assert score == pytest.approx(mcb - dsc + unc, rel=1e-12)


def test_intervals_of_scores_by_hand():
    # The mean of the squared errors is .1125.
    y, p = [0, 1, 0, 1], [0.1, 0.8, 0.6, 0.8]
    squared = np.array([0.01, 0.04, 0.36, 0.04])
    half = Z * (((squared - 0.1125) ** 2).sum() / 3 / 4) ** 0.5
    row = calibration_report(y, p)["Brier score"]
    assert row.value == pytest.approx(0.1125)
    equal([row.lower, row.upper], [max(0.1125 - half, 0), 0.1125 + half])

    losses = -np.log([0.9, 0.8, 0.4, 0.8])
    row = calibration_report(y, p, confidence_level=0.5)["log loss"]
    half = 0.6744897501960817 * np.std(losses, ddof=1) / 2
    equal(row[1:4], [losses.mean(), losses.mean() - half, losses.mean() + half])


def test_the_interval_of_the_accuracy_is_wilsons_beside_the_mean_confidence():
    y, p = [1] * 7 + [0] * 3, [0.8] * 5 + [0.6] * 5
    row = calibration_report(y, p)["accuracy"]
    ends = binomtest(7, 10).proportion_ci(method="wilson")
    equal(row[1:4], [0.7, *ends])
    assert row.note == "mean confidence 0.7"


def test_no_end_lies_beyond_what_the_score_can_be():
    # One row of two as wrong as can be: the mean and 1.96 deviations are .5 and .98.
    binary = calibration_report([0, 1], [0.0, 0.0])
    assert binary["Brier score"][1:4] == (0.5, 0, 1)
    three = calibration_report([0, 1], np.eye(3)[[0, 2]], labels=[0, 1, 2])
    assert three["Brier score"][1:4] == (1, 0, 2)
    assert (binary["Brier score"].note, three["Brier score"].note) == ("0 to 1", "0 to 2")
    assert binary["log loss"].lower == 0


def test_names_and_order_of_the_rows():
    names = ["log loss", "Brier score", "accuracy", "ECE", "L2 calibration error", *PARTS]
    y, proba, _ = problem(2)
    groups = np.arange(300) % 3
    assert [row.name for row in calibration_report(y, proba).rows] == [*names, "positive class"]
    y, proba, _ = problem(3)
    report = calibration_report(y, proba, groups=groups)
    assert [row.name for row in report.rows] == [*names, "worst class", "worst group"]
    assert all(isinstance(row, ReportRow) for row in report.rows)
    assert isinstance(report, CalibrationReport)
    assert (report.n_samples, report.n_classes, report.confidence_level) == (300, 3, 0.95)


@pytest.mark.parametrize("n_classes", [3, 4])
def test_the_worst_class_is_the_one_that_is_off(n_classes):
    # A third of what is called class 1 is class 0 or 2: both are off by half of it, 1 by all.
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.full(n_classes, 2), 2000)
    true = proba.copy()
    true[:, 1] *= 2 / 3
    true[:, 0] += proba[:, 1] / 6
    true[:, 2] += proba[:, 1] / 6
    y = (rng.random((2000, 1)) > true.cumsum(axis=1)[:, :-1]).sum(axis=1)
    names = np.array(["ant", "bee", "cat", "dog"])[:n_classes]
    report = calibration_report(names[y], proba, confidence_level=0.9)
    row = report["worst class"]
    assert row.note == "bee: L2, debiased"
    options = {"norm": 2, "strategy": "quantile"}
    error = calibration_error(y == 1, proba[:, 1], kind="positive", debias=True, **options)
    assert row.value == pytest.approx(error, abs=1e-14)
    # Picked among all classes: 10 % are shared out.
    level = 1 - 0.1 / n_classes
    interval = calibration_error_interval(
        y, proba, kind="class", class_label=1, confidence_level=level, **options
    )
    equal([row.lower, row.upper], interval)


def test_of_two_classes_it_is_the_positive_one_at_the_full_level():
    y, proba, _ = problem(2)
    names = np.array(["no", "yes"])
    for pos_label, k in (("yes", 1), ("no", 0)):
        row = calibration_report(names[y], proba, pos_label=pos_label)["positive class"]
        assert row.note == f"{pos_label}: L2, debiased"
        options = {"kind": "positive", "norm": 2, "strategy": "quantile"}
        interval = calibration_error_interval(y, proba, pos_label=k, **options)
        equal([row.lower, row.upper], interval)


def grouped(n=4000):
    """Predictions of which those of one group in four promise too much, and groups to shuffle."""
    rng = np.random.default_rng(0)
    p, group = rng.uniform(0.55, 0.95, n), rng.integers(0, 4, n)
    y = rng.random(n) < np.where(group == 2, p - 0.2, p)
    return y, p, group


GROUPS = {
    "strings": np.array(["east", "north", "south", "west"]),
    "objects": np.array(["east", 1, ("south", "pole"), None.__class__], dtype=object),
    "integers": np.array([-3, 0, 17, 100_000]),
    "floats": np.array([0.5, 1.5, 2.5, 3.5]),
    "days": np.array(["2020-01-01", "2021-01-01", "2022-01-01", "2023-01-01"], dtype="M8[D]"),
}


@pytest.mark.parametrize("names", GROUPS.values(), ids=GROUPS)
def test_the_worst_group_is_the_one_that_is_off(names):
    y, p, group = grouped()
    labelled = np.empty(len(group), dtype=names.dtype)
    for k in range(4):
        labelled[group == k] = names[k : k + 1]
    row = calibration_report(y, p, groups=labelled, confidence_level=0.9)["worst group"]
    assert row.note == f"{names[2]}: L2, debiased"
    rows, options = group == 2, {"norm": 2, "strategy": "quantile"}
    error = calibration_error(y[rows], p[rows], debias=True, **options)
    assert row.value == pytest.approx(error, abs=1e-14)
    level = 1 - 0.1 / 4
    interval = calibration_error_interval(y[rows], p[rows], confidence_level=level, **options)
    equal([row.lower, row.upper], interval)


def test_groups_may_be_lists_or_of_pandas():
    y, p, group = grouped(400)
    expected = calibration_report(y, p, groups=group)
    index = np.arange(400)[::-1]
    for groups in (
        group.tolist(),
        pd.Series(group, index=index),
        pd.Series(group, index=index, dtype="Int64"),
        pd.Series(group, index=index).astype("category"),
        pd.Index(group),
    ):
        found = calibration_report(y, p, groups=groups)
        assert notes(found) == notes(expected)
        equal(numbers(found), numbers(expected))


def test_a_tiny_group_far_off_by_chance_is_not_put_before_a_big_one_that_surely_is():
    # Of five rows of .9 two are right: a gap of .5, give or take as much.
    y, p, group = grouped()
    y, p, group = np.r_[y, 1, 1, 0, 0, 0], np.r_[p, [0.9] * 5], np.r_[group, [7] * 5]
    tiny, big = (
        calibration_error(y[group == g], p[group == g], norm=2, debias=True, strategy="quantile")
        for g in (7, 2)
    )
    assert tiny > 0.4 > 0.25 > big
    row = calibration_report(y, p, groups=group)["worst group"]
    assert row.note == "2: L2, debiased"
    assert row.value == pytest.approx(big, abs=1e-14)


def test_among_groups_none_of_which_is_surely_off_the_greatest_estimate_decides():
    # Ten rows of .7 each, seven right in one group and nine in the other.
    y, p = [1] * 7 + [0] * 3 + [1] * 9 + [0], [0.7] * 20
    for groups in (["a"] * 10 + ["b"] * 10, ["z"] * 10 + ["b"] * 10):
        row = calibration_report(y, p, groups=groups)["worst group"]
        assert (row.lower, row.note) == (0, "b: L2, debiased")


def test_a_group_of_one_row_tells_nothing():
    y, p, group = grouped()
    group = np.where(np.arange(len(group)) < 50, np.arange(len(group)) + 10, group)
    assert calibration_report(y, p, groups=group)["worst group"].note == "2: L2, debiased"
    alone = calibration_report([0, 1], [0.9, 0.8], groups=["a", "b"])["worst group"]
    assert alone[1:4] == (0, 0, 1)


def test_many_groups_widen_the_interval():
    y, p, group = grouped()
    extra = np.where(np.arange(len(group)) < 60, np.arange(len(group)) // 2 + 10, group)
    few, many = (calibration_report(y, p, groups=g)["worst group"] for g in (group, extra))
    assert few.lower > many.lower > 0


def test_a_group_without_weight_is_as_if_it_were_not_there():
    y, p, group = grouped(1000)
    weight = (group != 2).astype(float)
    kept = group != 2
    found = calibration_report(y, p, groups=group, sample_weight=weight)
    expected = calibration_report(y[kept], p[kept], groups=group[kept])
    same(found, expected)
    assert found["worst group"].note == expected["worst group"].note


def test_a_single_group_is_all_rows():
    y, p, _ = grouped(500)
    report = calibration_report(y, p, groups=["all"] * 500)
    assert report["worst group"].note == "all: L2, debiased"
    equal(report["worst group"][1:4], report["L2 calibration error"][1:4])


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([1, 2], r"groups must have shape \(3,\), one label per row, got \(2,\)"),
        ([[1], [2], [3]], r"groups must have shape \(3,\), one label per row, got \(3, 1\)"),
        ("abc", r"groups must have shape \(3,\), one label per row, got \(\)"),
        ([1, np.nan, 2], r"groups must name a group for every row, got nan in row 1"),
        (["a", "b", None], r"groups must name a group for every row, got None in row 2"),
        (np.array([pd.NA, 1, 2], dtype=object), r"got <NA> in row 0"),
    ],
)
def test_groups_that_do_not_fit_are_refused(groups, message):
    with pytest.raises(ValueError, match=message):
        calibration_report([0, 1, 1], [0.2, 0.7, 0.9], groups=groups)


def test_a_row_is_found_by_name():
    report = calibration_report(*problem()[:2])
    assert report["ECE"] is report.rows[3]
    with pytest.raises(KeyError, match=r"'ece' is not among \['log loss', 'Brier score', .*\]"):
        report["ece"]
    with pytest.raises(KeyError, match="'worst group' is not among"):
        report["worst group"]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("grouped_rows", [False, True])
def test_a_weight_is_repetition_but_for_what_is_cross_validated(n_classes, grouped_rows):
    y, proba, weight = problem(n_classes)
    rows = np.repeat(np.arange(len(y)), weight)
    groups = np.arange(len(y)) % 3
    of = (lambda r: {"groups": groups[r]}) if grouped_rows else (lambda r: {})
    found = calibration_report(y, proba, sample_weight=weight, **of(np.arange(len(y))))
    expected = calibration_report(y[rows], proba[rows], **of(rows))
    # Folds split rows, whatever their weight. The base rate does not depend on folds.
    cross_validated = () if n_classes == 2 else ("miscalibration", "discrimination")
    same(found, expected, without=cross_validated)
    assert notes(found) == notes(expected)


def test_rows_without_weight_are_as_if_they_were_not_there_in_folds_too():
    y, proba, weight = problem()
    kept = weight > 0
    found = calibration_report(y, proba, sample_weight=weight)
    same(found, calibration_report(y[kept], proba[kept], sample_weight=weight[kept]))


@pytest.mark.parametrize("n_classes", [2, 3, 50])
def test_float32_gives_what_float64_gives(n_classes):
    y, proba, _ = problem(n_classes)
    labels = np.arange(n_classes)
    found = calibration_report(y, proba.astype(np.float32), labels=labels)
    same(found, calibration_report(y, proba, labels=labels))


@pytest.mark.parametrize("n_classes", [2, 3, 50])
def test_a_single_row_is_reported(n_classes):
    proba = np.full((1, n_classes), 1 / 64)
    proba[0, 0] = 1 - (n_classes - 1) / 64
    with np.errstate(all="raise"):
        report = calibration_report([0], proba, labels=np.arange(n_classes))
    assert report["log loss"][1:4] == (pytest.approx(-np.log(proba[0, 0])), None, None)
    assert report["Brier score"][2:4] == (None, None)
    equal(report["ECE"][1:4], [1 - proba[0, 0], 0, 1])
    # The debiased error of one row is not known; neither is any gap.
    equal(report["L2 calibration error"][1:4], [0, 0, 1])
    equal(report["accuracy"][1:4], [1, *binomtest(1, 1).proportion_ci(method="wilson")])
    assert report.title == f"Calibration of 1 prediction of {n_classes} classes"
    if n_classes > 2:  # nothing is left to recalibrate by
        assert not set(PARTS) & {row.name for row in report.rows}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("label", [0, 1])
def test_labels_may_all_be_of_one_class(n_classes, label):
    _, proba, _ = problem(n_classes, n=40)
    with np.errstate(all="raise"):
        report = calibration_report([label] * 40, proba, labels=np.arange(n_classes))
    assert report["uncertainty"].value == 0
    assert np.isfinite([row.value for row in report.rows]).all()


def test_weights_that_sum_to_one_make_intervals_as_wide_as_can_be():
    y, proba, _ = problem()
    report = calibration_report(y, proba, sample_weight=np.full(len(y), 1 / len(y)))
    assert report["log loss"][2:4] == (None, None)
    for name in ("ECE", "L2 calibration error", "worst class"):
        equal(report[name][2:4], [0, 1])


@pytest.mark.parametrize("level", [1e-300, 1e-17, 1 - 1e-15, np.nextafter(1, 0)])
@pytest.mark.parametrize("n_classes", [2, 50])
def test_any_level_between_0_and_1_will_do(level, n_classes):
    y, proba, _ = problem(n_classes)
    with np.errstate(all="raise"):
        report = calibration_report(
            y, proba, confidence_level=level, labels=np.arange(n_classes), groups=y % 7
        )
    for row in report.rows:
        assert row.lower is None or 0 <= row.lower <= row.upper


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_bins": 0}, "The 'n_bins' parameter of calibration_report must be"),
        ({"n_bins": "ten"}, "The 'n_bins' parameter of calibration_report must be"),
        ({"confidence_level": 95}, "The 'confidence_level' parameter of calibration_report must"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        calibration_report([0, 1], [0.2, 0.7], **options)


def test_the_table_in_words():
    y, proba, _ = problem()
    report = calibration_report(y, proba, confidence_level=0.9)
    lines = str(report).split("\n")
    assert lines[0] == "Calibration of 300 predictions of 3 classes"
    assert re.split(r"\s{2,}", lines[1]) == ["measure", "value", "90 % lower", "90 % upper", "note"]
    assert len(lines) == 2 + len(report.rows)
    for line, row in zip(lines[2:], report.rows, strict=True):
        cells = re.split(r"\s{2,}", line)
        assert (cells[0], cells[-1]) == (row.name, row.note)
        assert cells[1] == f"{row.value:.4g}"
    assert repr(report) == str(report)


def test_where_there_is_no_end_the_cell_is_empty():
    line = str(calibration_report(*problem(2)[:2])).split("\n")[8]
    assert re.fullmatch(r"discrimination +0\.\d+ {10,}DSC", line)


def test_thousands_are_set_apart():
    report = calibration_report([0, 1] * 1000, [0.3, 0.6] * 1000)
    assert report.title == "Calibration of 2,000 predictions of 2 classes"


def test_the_frame_is_the_table():
    report = calibration_report(*problem()[:2])
    frame = report.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert frame.index.name == "measure"
    assert frame.index.tolist() == [row.name for row in report.rows]
    assert frame.columns.tolist() == ["value", "95 % lower", "95 % upper", "note"]
    assert frame["value"].dtype == frame["95 % lower"].dtype == float
    equal(frame.iloc[:, :3].to_numpy(dtype=float), numbers(report))


def test_without_pandas_all_but_the_frame_is_there(monkeypatch):
    report = calibration_report(*problem()[:2])
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert "ECE" in str(report)
    assert "ECE" in report._repr_html_()
    with pytest.raises(ImportError, match="to_frame needs pandas: pip install pandas"):
        report.to_frame()


def test_html_shows_a_class_called_b_as_it_is():
    y, proba, _ = problem()
    names = np.array(["&amp;", "<b>", "<script>"])
    groups = np.array(["<i>x</i>", "</table>"])[np.arange(300) % 2]
    html = calibration_report(names[y], proba, groups=groups)._repr_html_()
    tags = set(re.findall(r"</?(\w+)", html))
    assert tags == {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    worst = calibration_report(names[y], proba, groups=groups)["worst class"].note
    escaped = worst.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f"<td>{escaped}</td>" in html


def test_a_report_is_not_to_be_changed_and_compared_by_identity():
    make = partial(calibration_report, *problem(2)[:2])
    report = make()
    with pytest.raises(AttributeError):
        report.rows = []
    assert report != make()


def test_extreme_weights_give_numbers():
    y, proba, _ = problem(2)
    rng = np.random.default_rng(0)
    for exponent in ((-60, 60), (-20, 0), (30, 31), (-90, -80)):
        weight = 10 ** rng.uniform(*exponent, len(y))
        report = calibration_report(y, proba, sample_weight=weight, groups=y)
        for row in report.rows:
            assert np.isfinite(row.value)
            assert row.lower is None or 0 <= row.lower <= row.upper


@pytest.mark.slow
def test_intervals_of_worst_class_and_group_cover_in_spite_of_the_choice():
    # Calibrated: an interval misses where it does not reach 0.
    misses = {"worst class": 0, "worst group": 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        proba = rng.dirichlet(np.ones(5), 1000)
        y = (rng.random((1000, 1)) > proba.cumsum(axis=1)[:, :-1]).sum(axis=1)
        report = calibration_report(
            y, proba, groups=rng.integers(0, 8, 1000), labels=range(5), confidence_level=0.9
        )
        for name in misses:
            misses[name] += report[name].lower > 0
    # Of 200 with a chance of .1 each, more than 33 come once in a thousand times.
    assert max(misses.values()) <= 33, misses
