import re
import sys
from functools import partial
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, binomtest
from sklearn.metrics import accuracy_score, log_loss

from skcalib.metrics import (
    CalibrationReport,
    ReportRow,
    brier_score,
    calibration_error,
    calibration_error_interval,
    calibration_report,
    calibration_test,
    expected_calibration_error,
    score_decomposition,
)
from skcalib.metrics._binned import bin_events
from skcalib.metrics._events import Events
from skcalib.metrics._report_rows import _error_by_chance

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


def of_class(label, p, happened, weight=None):
    predicted, observed = (np.average(values, weights=weight) for values in (p, happened))
    return f"{label}: predicted {predicted:.3g}, observed {observed:.3g}"


def of_group(label, y, p):
    accuracy, confidence = np.mean(y == (p > 0.5)), np.maximum(p, 1 - p).mean()
    return f"{label}: {len(y):,} rows, accuracy {accuracy:.3g}, mean confidence {confidence:.3g}"


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
    confidence = np.average(proba.max(axis=1), weights=options.get("sample_weight"))
    assert report["mean confidence"].value == pytest.approx(confidence, rel=1e-12)
    assert report["mean confidence"][2:4] == (None, None)
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
    # Five confidences of .8 and five of .6.
    y, p = [1] * 7 + [0] * 3, [0.8] * 5 + [0.6] * 5
    report = calibration_report(y, p)
    ends = binomtest(7, 10).proportion_ci(method="wilson")
    equal(report["accuracy"][1:4], [0.7, *ends])
    row = report["mean confidence"]
    assert row == ("mean confidence", pytest.approx(0.7), None, None, "if calibrated, the accuracy")
    # Of which class the likeliest is does not matter.
    again = calibration_report([1 - label for label in y], [1 - value for value in p])
    assert again["mean confidence"].value == pytest.approx(0.7)


def test_what_the_notes_say():
    y, proba, _ = problem(2)
    found = dict(notes(calibration_report(y, proba, n_bins=9)))
    assert re.fullmatch(r"9 bins of equal width; 0\.\d+ by chance alone", found.pop("ECE"))
    assert found == {
        "log loss": "nats",
        "Brier score": "0 to 1",
        "accuracy": "of the likeliest class",
        "mean confidence": "if calibrated, the accuracy",
        "L2 calibration error": "debiased, 9 quantile bins",
        "miscalibration": "of Brier, by isotonic regression (CORP)",
        "discrimination": "of Brier, recalibrated",
        "uncertainty": "Brier score of the base rate",
        "positive class": of_class(1, proba[:, 1], y == 1),
    }
    found = dict(notes(calibration_report(*problem(3)[:2])))
    assert found["miscalibration"] == "of Brier, by one temperature, cross-validated"


# What chance would make of the ECE.


def by_chance(p, weight, n_bins):
    events = Events(p[:, None], np.full(len(p), -1), weight, [None])
    return _error_by_chance(bin_events(events, n_bins, "uniform")[0])


def exactly_by_chance(p, repeats, n_bins):
    """Mean ECE of events drawn from p: the distribution of each bin's count, row by row."""
    place, total = np.searchsorted(np.arange(1, n_bins) / n_bins, p, side="left"), 0
    for b in range(n_bins):
        chance = np.ones(1)
        inside = np.repeat(p[place == b], repeats[place == b])
        for q in inside:
            chance = np.convolve(chance, [1 - q, q])
        total += chance @ np.abs(np.arange(len(chance)) - inside.sum())
    return total / repeats.sum()


CALIBRATED = {
    "spread out": lambda rng, n: rng.uniform(0.5, 1, n),
    "of three classes": lambda rng, n: rng.dirichlet(np.ones(3), n).max(axis=1),
    "of ten classes": lambda rng, n: rng.dirichlet(np.full(10, 5), n).max(axis=1),
    "sure": lambda rng, n: 1 - 10 ** rng.uniform(-4, -1, n),
    "one error in a hundred": lambda rng, n: 1 - 0.02 * rng.random(n),
    "one error in a thousand": lambda rng, n: 1 - 0.002 * rng.random(n),
    "all the same": lambda rng, n: np.full(n, 0.9),
}


@pytest.mark.parametrize("draw", CALIBRATED.values(), ids=CALIBRATED)
@pytest.mark.parametrize("n", [20, 50, 200, 1000])
def test_what_chance_makes_of_the_ece_is_about_right(draw, n):
    p = draw(np.random.default_rng(0), n)
    found = by_chance(p, None, 15)
    assert found == pytest.approx(exactly_by_chance(p, np.ones(n, int), 15), rel=0.1)


@pytest.mark.parametrize("draw", CALIBRATED.values(), ids=CALIBRATED)
def test_to_chance_a_weight_is_repetition(draw):
    rng = np.random.default_rng(1)
    p, weight = draw(rng, 200), rng.integers(0, 4, 200)
    found = by_chance(p, weight.astype(float), 15)
    assert found == pytest.approx(by_chance(np.repeat(p, weight), None, 15), rel=1e-12)
    assert found == pytest.approx(exactly_by_chance(p, weight, 15), rel=0.1)


def test_of_rows_alone_in_their_bins_chance_makes_two_p_times_one_less_p():
    # Off by 1 - p with chance p, by p with chance 1 - p.
    p = np.array([0.55, 0.65, 0.75, 0.95])
    equal(by_chance(p, None, 10), 2 * (p * (1 - p)).mean())
    assert by_chance(np.array([0.0, 1.0]), None, 10) == 0


def test_of_one_probability_chance_is_never_off_by_more_than_a_fifth():
    for n in (1, 2, 3, 5, 10, 30, 100, 300):
        for p in (1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9, 0.99, 0.999):
            k = np.arange(n + 1)
            exact = binom.pmf(k, n, p) @ np.abs(k / n - p)
            assert by_chance(np.full(n, p), None, 1) == pytest.approx(exact, rel=0.2)


@pytest.mark.parametrize("n_classes", [2, 3, 50])
@pytest.mark.parametrize("n", [60, 600])
def test_the_note_tells_the_mean_ece_of_labels_drawn_from_the_probabilities(n_classes, n):
    y, proba, _ = problem(n_classes, n)
    options = {"labels": np.arange(n_classes)}
    note = calibration_report(y, proba, **options)["ECE"].note
    told = float(re.fullmatch(r"15 bins of equal width; (\S+) by chance alone", note)[1])
    rng, draws = np.random.default_rng(0), []
    for _ in range(300):
        drawn = (rng.random((n, 1)) > proba.cumsum(axis=1)[:, :-1]).sum(axis=1)
        draws.append(expected_calibration_error(drawn, proba, **options))
    assert told == pytest.approx(np.mean(draws), rel=0.1)
    test = calibration_test(y, proba, n_resamples=300, **options)
    assert told == pytest.approx(test.expected, rel=0.1)


def test_what_chance_makes_of_the_ece_does_not_depend_on_the_labels():
    y, proba, _ = problem(3)
    told = {
        calibration_report(labels, proba, labels=[0, 1, 2])["ECE"].note
        for labels in (y, 2 - y, np.zeros(300, int))
    }
    assert len(told) == 1


def test_no_end_lies_beyond_what_the_score_can_be():
    # One row of two as wrong as can be: the mean and 1.96 deviations are .5 and .98.
    binary = calibration_report([0, 1], [0.0, 0.0])
    assert binary["Brier score"][1:4] == (0.5, 0, 1)
    three = calibration_report([0, 1], np.eye(3)[[0, 2]], labels=[0, 1, 2])
    assert three["Brier score"][1:4] == (1, 0, 2)
    assert (binary["Brier score"].note, three["Brier score"].note) == ("0 to 1", "0 to 2")
    assert binary["log loss"].lower == 0


def test_names_and_order_of_the_rows():
    scores = ["log loss", "Brier score", "accuracy", "mean confidence"]
    names = [*scores, "ECE", "L2 calibration error", *PARTS]
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
    assert row.note == of_class("bee", proba[:, 1], y == 1)
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
        assert row.note == of_class(pos_label, proba[:, k], y == k)
        options = {"kind": "positive", "norm": 2, "strategy": "quantile"}
        interval = calibration_error_interval(y, proba, pos_label=k, **options)
        equal([row.lower, row.upper], interval)


@pytest.mark.parametrize("weighted", [False, True])
def test_there_is_a_row_for_each_class(weighted):
    y, proba, weight = problem(4)
    names = np.array(["ant", "bee", "cat", "dog"])
    options = {"sample_weight": weight if weighted else None}
    report = calibration_report(names[y], proba, n_bins=9, confidence_level=0.9, **options)
    assert [row.name for row in report.classes] == names.tolist()
    shared = {"norm": 2, "strategy": "quantile", "n_bins": 9, **options}
    for k, row in enumerate(report.classes):
        of_one = y == k, proba[:, k]
        error = calibration_error(*of_one, kind="positive", debias=True, **shared)
        interval = calibration_error_interval(
            *of_one, kind="positive", confidence_level=1 - 0.1 / 4, **shared
        )
        equal(row[1:4], [error, *interval])
        assert f"{names[k]}: {row.note}" == of_class(
            names[k], *of_one[::-1], options["sample_weight"]
        )
        assert isinstance(row, ReportRow)
    assert report.groups == []


@pytest.mark.parametrize(
    ("names", "pos_label"), [([0, 1], None), ([False, True], None), ([5, 7], 5)]
)
def test_of_two_classes_the_positive_one_has_the_only_row(names, pos_label):
    y, proba, _ = problem(2)
    report = calibration_report(np.array(names)[y], proba, pos_label=pos_label)
    (row,) = report.classes
    assert row.name == str(names[1] if pos_label is None else pos_label)
    worst = report["positive class"]
    assert worst[1:4] == row[1:4]
    assert worst.note == f"{row.name}: {row.note}"


def test_the_worst_rows_are_among_the_rows_of_classes_and_groups():
    y, proba, _ = problem(4)
    groups = np.array(["x", "y", "z"])[np.arange(300) % 3]
    report = calibration_report(y, proba, groups=groups)
    for name, rows in (("worst class", report.classes), ("worst group", report.groups)):
        worst = report[name]
        (row,) = [row for row in rows if f"{row.name}: {row.note}" == worst.note]
        assert row[1:4] == worst[1:4]
        assert worst.lower == max(row.lower for row in rows)
        assert worst.value >= max(row.value for row in rows if row.lower == worst.lower)


def test_which_class_is_the_worst_does_not_depend_on_their_order():
    # No class is any farther off than by chance: all estimates are 0, and one may be farthest off.
    p = np.tile([[0.6, 0.3, 0.1]], (100, 1))
    y = np.repeat([0, 1, 2], [60, 30, 10])
    seen = set()
    for order in permutations(range(3)):
        names = np.array(["ant", "bee", "cat"])[list(order)]
        place = np.argsort(names)
        report = calibration_report(names[y], p[:, place])
        assert [row[1:3] for row in report.classes] == [(0, 0)] * 3
        # Of frequencies .6, .3 and .1 the first varies most.
        assert report["worst class"].note == f"{names[0]}: predicted 0.6, observed 0.6"
        seen.add(report["worst class"][1:4])
    assert np.ptp(list(seen), axis=0).max() < 1e-12


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
    rows, options = group == 2, {"norm": 2, "strategy": "quantile"}
    assert row.note == of_group(names[2], y[rows], p[rows])
    error = calibration_error(y[rows], p[rows], debias=True, **options)
    assert row.value == pytest.approx(error, abs=1e-14)
    level = 1 - 0.1 / 4
    interval = calibration_error_interval(y[rows], p[rows], confidence_level=level, **options)
    equal([row.lower, row.upper], interval)


@pytest.mark.parametrize("names", GROUPS.values(), ids=GROUPS)
def test_there_is_a_row_for_each_group(names):
    y, p, group = grouped(800)
    labelled = np.empty(len(group), dtype=names.dtype)
    for k in range(4):
        labelled[group == k] = names[k : k + 1]
    report = calibration_report(y, p, groups=labelled, n_bins=5, confidence_level=0.9)
    assert sorted(row.name for row in report.groups) == sorted(str(name) for name in names)
    options = {"norm": 2, "strategy": "quantile", "n_bins": 5}
    for row in report.groups:
        rows = np.array([str(label) for label in labelled]) == row.name
        error = calibration_error(y[rows], p[rows], debias=True, **options)
        level = 1 - 0.1 / 4
        interval = calibration_error_interval(y[rows], p[rows], confidence_level=level, **options)
        equal(row[1:4], [error, *interval])
        assert f"{row.name}: {row.note}" == of_group(row.name, y[rows], p[rows])
    # In sorted order where they can be sorted, else as they come.
    in_order = names if names.dtype != object else dict.fromkeys(labelled.tolist())
    assert [row.name for row in report.groups] == [str(name) for name in in_order]


def test_the_note_of_a_group_counts_its_rows_and_weighs_its_accuracy():
    # Right are the rows of weight 1 and 2 of four that count: 3 / 8. Confidences .9, .8, .7, .6.
    y, p = [1, 1, 0, 0, 1], [0.9, 0.8, 0.7, 0.6, 0.55]
    weight, groups = [1, 2, 2, 3, 0], ["a"] * 5
    (row,) = calibration_report(y, p, sample_weight=weight, groups=groups).groups
    # (.9 + 1.6 + 1.4 + 1.8) / 8 = .7125
    assert re.fullmatch(r"4 rows, accuracy 0\.375, mean confidence 0\.71[23]", row.note)
    y, p, _ = grouped(4000)
    (row,) = calibration_report(y, p, groups=["all"] * 4000).groups
    assert row.note.startswith("4,000 rows, accuracy 0.")


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
    assert row.note == of_group(2, y[group == 2], p[group == 2])
    assert row.value == pytest.approx(big, abs=1e-14)


def test_among_groups_none_of_which_is_surely_off_the_greatest_estimate_decides():
    # Ten rows of .7 each, seven right in one group and nine in the other.
    y, p = [1] * 7 + [0] * 3 + [1] * 9 + [0], [0.7] * 20
    for groups in (["a"] * 10 + ["b"] * 10, ["z"] * 10 + ["b"] * 10):
        row = calibration_report(y, p, groups=groups)["worst group"]
        assert row.lower == 0
        assert row.note == "b: 10 rows, accuracy 0.9, mean confidence 0.7"


def test_a_group_of_one_row_tells_nothing():
    y, p, group = grouped()
    group = np.where(np.arange(len(group)) < 50, np.arange(len(group)) + 10, group)
    worst = calibration_report(y, p, groups=group)["worst group"]
    assert worst.note == of_group(2, y[group == 2], p[group == 2])
    alone = calibration_report([0, 1], [0.9, 0.8], groups=["a", "b"])
    assert alone["worst group"][1:4] == (0, 0, 1)
    assert [row[1:] for row in alone.groups] == [
        (0, 0, 1, "1 row, accuracy 0, mean confidence 0.9"),
        (0, 0, 1, "1 row, accuracy 1, mean confidence 0.8"),
    ]


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
    assert notes(found) == notes(expected)
    assert [row.name for row in found.groups] == ["0", "1", "3"]
    assert found.groups == expected.groups
    assert (found.n_samples, found.title) == (expected.n_samples, expected.title)


def test_a_single_group_is_all_rows():
    y, p, _ = grouped(500)
    report = calibration_report(y, p, groups=["all"] * 500)
    accuracy, confidence = report["accuracy"].value, report["mean confidence"].value
    told = f"500 rows, accuracy {accuracy:.3g}, mean confidence {confidence:.3g}"
    assert report["worst group"].note == f"all: {told}"
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
    assert report["ECE"] is report.rows[4]
    with pytest.raises(KeyError, match=r"'ece' is not among \['log loss', 'Brier score', .*\]"):
        report["ece"]
    with pytest.raises(KeyError, match="'worst group' is not among"):
        report["worst group"]


def test_a_report_is_a_sequence_of_its_rows():
    report = calibration_report(*problem()[:2])
    assert len(report) == len(report.rows) == 10
    assert list(report) == report.rows
    assert report[0] is report["log loss"]
    assert report[-1] is report[np.int64(9)] is report["worst class"]
    assert report[:2] == report.rows[:2]
    assert {name: value for name, value, *_ in report}["accuracy"] == report["accuracy"].value
    with pytest.raises(IndexError):
        report[10]


def test_rows_that_count_are_counted():
    y, proba, weight = problem()
    report = calibration_report(y, proba, sample_weight=weight)
    n = np.count_nonzero(weight)
    assert 0 < n < 300
    assert report.n_samples == n
    assert report.title == f"Calibration of {n} predictions of 3 classes"
    assert calibration_report(y, proba, sample_weight=np.full(300, 0.5)).n_samples == 300
    one = calibration_report([0, 1, 1], [0.2, 0.7, 0.9], sample_weight=[0, 2, 0])
    assert one.title == "Calibration of 1 prediction of 2 classes"


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
    for rows_found, rows_expected in (
        (found.rows, expected.rows),
        (found.classes, expected.classes),
        (found.groups, expected.groups),
    ):
        # Rows are counted as they came; all else that is told is weighed.
        told = [
            [re.sub(r"[\d,]+ rows", "rows", r.note) for r in rows]
            for rows in (rows_found, rows_expected)
        ]
        assert told[0] == told[1]
        assert [row.name for row in rows_found] == [row.name for row in rows_expected]


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
    assert lines[-1] == "An error whose interval begins at 0 may be chance." == report.footnote
    assert len(lines) == 3 + len(report.rows)
    for line, row in zip(lines[2:-1], report.rows, strict=True):
        cells = re.split(r"\s{2,}", line)
        assert (cells[0], cells[-1]) == (row.name, row.note)
        for cell, number in zip(cells[1:-1], [x for x in row[1:4] if x is not None], strict=True):
            decimals = len(cell.partition(".")[2])
            assert cell == f"{number:.{decimals}f}"
    assert repr(report) == str(report)


@pytest.mark.parametrize(
    ("numbers", "cells"),
    [
        # Four digits of the largest number of the row; all of the row have as many decimals.
        ((0.5, 0.45, 0.55), ["0.5000", "0.4500", "0.5500"]),
        ((0.02, 0.0, 0.08173), ["0.02000", "0.00000", "0.08173"]),
        ((0.98, 0.7, 1.0), ["0.9800", "0.7000", "1.0000"]),
        ((0.9, 0.8, 1.012345), ["0.900", "0.800", "1.012"]),
        ((9.5, 8.25, 12.5), ["9.50", "8.25", "12.50"]),
        ((12345.678, 9876.5, None), ["12,346", "9,876", ""]),
        ((0.5, None, None), ["0.5000", "", ""]),
        ((0.0, 0.0, 0.0), ["0.0000", "0.0000", "0.0000"]),
        # Six decimals are enough.
        ((1.23456e-4, None, None), ["0.000123", "", ""]),
        ((1e-300, None, None), ["0.000000", "", ""]),
        ((-0.0031416, None, None), ["-0.003142", "", ""]),
        # There is no negative nothing.
        ((-1e-12, None, None), ["0.000000", "", ""]),
        ((-0.0, None, None), ["0.0000", "", ""]),
    ],
)
def test_the_numbers_of_a_row_have_the_same_decimals(numbers, cells):
    report = CalibrationReport([ReportRow("name", *numbers, "note")], [], [], 5, 2, 0.95)
    with np.errstate(all="raise"):
        line = str(report).split("\n")[2]
    starts = [0, *(str(report).split("\n")[1].index(head) for head in ("note",))]
    assert (line[:4], line[starts[1] :]) == ("name", "note")
    assert line[4 : starts[1]].split() == [cell for cell in cells if cell]
    html = report._repr_html_()
    assert re.findall(r"<td>([^<]*)</td>", html) == cells


def test_where_there_is_no_end_the_cell_is_empty():
    lines = str(calibration_report(*problem(2)[:2])).split("\n")
    assert re.fullmatch(r"mean confidence +0\.\d+ {10,}if calibrated, the accuracy", lines[5])
    assert re.fullmatch(r"discrimination +0\.\d+ {10,}of Brier, recalibrated", lines[9])


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
    assert tags == {"table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td"}
    worst = calibration_report(names[y], proba, groups=groups)["worst class"].note
    escaped = worst.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f">{escaped}</td>" in html


def test_html_sets_words_to_the_left_and_leaves_numbers_alone():
    report = calibration_report(*problem()[:2])
    html = report._repr_html_()
    left = ' style="text-align: left"'
    for row in report:
        assert f"<tr><th{left}>{row.name}</th><td>" in html
        assert f"</td><td{left}>{row.note}</td></tr>" in html
    heads = [f"<th{left}>measure</th>", "<th>value</th>", f"<th{left}>note</th></tr></thead>"]
    assert all(head in html for head in heads)
    assert html.endswith(
        f'<tfoot><tr><td{left} colspan="5">An error whose interval begins at 0 may be chance.'
        "</td></tr></tfoot></table>"
    )


def test_a_report_is_not_to_be_changed_and_compared_by_identity():
    make = partial(calibration_report, *problem(2)[:2])
    report = make()
    with pytest.raises(AttributeError):
        report.rows = []
    assert report != make()


@pytest.mark.parametrize("weight", [1.0, 1e-30, 1e-90])
@pytest.mark.parametrize("least", [0.0, 5e-324, 1e-310, 1e-300])
def test_nothing_underflows_where_everything_raises(weight, least):
    y, proba, _ = problem(2)
    proba = np.column_stack([proba, np.full(300, least)])
    with np.errstate(all="raise"):
        report = calibration_report(
            y, proba, labels=[0, 1, 2], groups=y, sample_weight=np.full(300, weight)
        )
        assert "worst group" in str(report)


def test_extreme_weights_give_numbers():
    y, proba, _ = problem(2)
    rng = np.random.default_rng(0)
    for exponent in ((-60, 60), (-20, 0), (30, 31), (-90, -80)):
        weight = 10 ** rng.uniform(*exponent, len(y))
        report = calibration_report(y, proba, sample_weight=weight, groups=y)
        for row in report.rows:
            assert row.value is None or np.isfinite(row.value)  # weights may count no rows
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


def test_weights_that_count_no_rows_leave_debiased_errors_out():
    rng = np.random.default_rng(0)
    p = rng.random(1000) * 0.5
    y = rng.random(1000) < 2 * p
    report = calibration_report(y, p, sample_weight=np.full(1000, 1 / 1000))
    for name in ("L2 calibration error", "positive class"):
        assert report[name][1:4] == (None, 0, 1)
    assert report["ECE"].value > 0.2
    assert "None" not in str(report)


def test_names_are_in_the_report():
    report = calibration_report([0, 1], [0.2, 0.7])
    assert "ECE" in report
    assert report.rows[0] in report
    assert "ece" not in report
