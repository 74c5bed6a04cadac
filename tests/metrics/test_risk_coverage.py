from dataclasses import FrozenInstanceError
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import roc_auc_score

from skcalib.metrics import ProbabilityScorer, augrc, aurc, risk_coverage_curve

# The second row is wrong, and as confident as the third.
Y, P = [1, 0, 1, 1], [0.9, 0.8, 0.8, 0.6]


def problem(n_classes=3, n=80, levels=None, seed=0):
    """Labels, probabilities (multiples of 1/1024), confidences with ties, integer weights."""
    rng = np.random.default_rng(seed)
    proba = rng.multinomial(1024, rng.dirichlet(np.ones(n_classes), n)) / 1024
    y = (rng.random((n, 1)) > proba.cumsum(axis=1)[:, :-1]).sum(axis=1)
    confidence = rng.normal(size=n) if levels is None else rng.integers(-levels, levels, n)
    return y, proba, confidence, rng.integers(0, 4, n)


def exact_areas(y, proba, confidence=None, weight=None):
    """AURC and AUGRC from their definitions as means over rows and pairs of rows."""
    top = [max(range(len(row)), key=lambda k, row=row: row[k]) for row in proba]
    wrong = [int(k != label) for k, label in zip(top, y, strict=True)]
    if confidence is None:
        confidence = [row[k] for row, k in zip(proba, top, strict=True)]
    weight = [1] * len(y) if weight is None else weight
    score = [Fraction(float(c)) for c in confidence]
    rows = list(zip(score, wrong, [Fraction(float(w)) for w in weight], strict=True))
    total = sum(w for _, _, w in rows)
    selective = undetected = Fraction(0)
    for own, _, w in rows:
        if w:
            kept = sum(v for c, _, v in rows if c >= own)
            selective += w * sum(v * e for c, e, v in rows if c >= own) / kept
            undetected += w * sum(v * e for c, e, v in rows if c > own)
            undetected += w * sum(v * e for c, e, v in rows if c == own) / 2
    return float(selective / total), float(undetected / total**2)


def points(*args, **kwargs):
    curve = risk_coverage_curve(*args, **kwargs)
    return np.stack([curve.coverage, curve.risk, curve.generalized_risk, curve.threshold])


def equal(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_a_curve_is_shown_in_a_line():
    # Three thresholds; a quarter of the rows is wrong; (0 + 1/3 + 1/3 + 1/4) / 4 = .22917.
    shown = "RiskCoverageCurve(n_thresholds=3, error=0.25, aurc=0.2292)"
    assert repr(risk_coverage_curve(Y, P)) == shown


def test_each_confidence_has_one_point():
    curve = risk_coverage_curve(Y, P)
    np.testing.assert_array_equal(curve.threshold, [0.9, 0.8, 0.6])
    np.testing.assert_array_equal(curve.coverage, [1 / 4, 3 / 4, 4 / 4])
    np.testing.assert_array_equal(curve.risk, [0 / 1, 1 / 3, 1 / 4])
    np.testing.assert_array_equal(curve.generalized_risk, [0 / 4, 1 / 4, 1 / 4])
    np.testing.assert_array_equal(curve.n_effective, [1, 3, 4])


def test_the_end_is_the_error_of_all_rows():
    curve = risk_coverage_curve(Y, P)
    assert (curve.error, curve.accuracy) == (0.25, 0.75)


def test_the_areas_are_worked_by_hand():
    # 0 over the first quarter, 1/3 over the next two, 1/4 over the last
    assert aurc(Y, P) == pytest.approx((0 + 2 * 1 / 3 + 1 / 4) / 4, abs=1e-15)
    # from 0 at coverage 1/4 straight to 1/4 at 3/4, and on at 1/4
    assert augrc(Y, P) == pytest.approx(1 / 2 * 1 / 8 + 1 / 4 * 1 / 4, abs=1e-15)


def test_the_areas_are_those_of_the_curve():
    curve = risk_coverage_curve(Y, P)
    assert (curve.aurc, curve.augrc) == (aurc(Y, P), augrc(Y, P))
    assert type(curve.aurc) is type(curve.augrc) is type(curve.excess_aurc) is float


def test_without_ties_the_area_is_the_mean_risk_of_the_first_1_2_3_rows():
    rng = np.random.default_rng(0)
    p = rng.permutation(np.linspace(0.51, 1, 300))
    y = (rng.random(300) < p).astype(int)
    errors = np.cumsum(1 - y[np.argsort(-p)])
    assert aurc(y, p) == pytest.approx(np.mean(errors / np.arange(1, 301)), abs=1e-14)


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_areas_are_those_of_exact_arithmetic(n_classes, levels, weighted):
    y, proba, confidence, weight = problem(n_classes, levels=levels)
    weight = weight / 7 if weighted else None
    for score in (None, confidence):
        options = {"confidence": score, "sample_weight": weight}
        expected = exact_areas(y, proba, score, weight)
        equal([aurc(y, proba, **options), augrc(y, proba, **options)], expected)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("levels", [None, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_augrc_is_accuracy_and_auroc_in_one(n_classes, levels, weighted):
    y, proba, confidence, weight = problem(n_classes, 500, levels)
    weight = weight / 3 if weighted else np.ones(len(y))
    correct = proba.argmax(axis=1) == y
    auroc = roc_auc_score(correct, confidence, sample_weight=weight)
    accuracy = np.average(correct, weights=weight)
    expected = (1 - auroc) * accuracy * (1 - accuracy) + (1 - accuracy) ** 2 / 2
    equal(augrc(y, proba, confidence=confidence, sample_weight=weight), expected)


def test_the_first_of_equal_classes_is_predicted():
    assert risk_coverage_curve([0, 0, 0, 1], [[0.5, 0.5]] * 4).error == 1 / 4
    assert risk_coverage_curve([0, 0, 0, 1], [0.5] * 4).error == 1 / 4


def test_a_confidence_of_ones_own_decides_the_order_and_not_what_is_predicted():
    curve = risk_coverage_curve(Y, P, confidence=[0, 7, -2, 3])
    np.testing.assert_array_equal(curve.threshold, [7, 3, 0, -2])
    np.testing.assert_array_equal(curve.risk, [1, 1 / 2, 1 / 3, 1 / 4])


def test_only_the_order_of_confidences_counts():
    y, proba, confidence, weight = problem(levels=5)
    of_order = points(y, proba, confidence=confidence, sample_weight=weight)
    of_another = points(y, proba, confidence=np.exp(confidence), sample_weight=weight)
    np.testing.assert_array_equal(of_order[:3], of_another[:3])


def test_ties_do_not_depend_on_the_order_of_rows():
    y, proba, confidence, weight = problem(levels=2)
    expected = points(y, proba, confidence=confidence, sample_weight=weight / 7)
    for seed in range(5):
        rows = np.random.default_rng(seed).permutation(len(y))
        options = {"confidence": confidence[rows], "sample_weight": weight[rows] / 7}
        equal(points(y[rows], proba[rows], **options), expected)


@pytest.mark.parametrize("levels", [None, 3])
def test_a_weight_is_repetition(levels):
    y, proba, confidence, weight = problem(levels=levels)
    rows = np.repeat(np.arange(len(y)), weight)
    for score in (None, confidence):
        options = {"confidence": None if score is None else score[rows]}
        repeated = risk_coverage_curve(y[rows], proba[rows], **options)
        weighted = risk_coverage_curve(y, proba, confidence=score, sample_weight=weight)
        for name in ("coverage", "risk", "generalized_risk", "threshold"):
            equal(getattr(weighted, name), getattr(repeated, name))
        for name in ("aurc", "augrc", "excess_aurc", "error", "accuracy"):
            equal(getattr(weighted, name), getattr(repeated, name))


def test_a_row_of_weight_zero_has_no_point():
    curve = risk_coverage_curve(Y, P, sample_weight=[0, 1, 0, 2])
    np.testing.assert_array_equal(curve.threshold, [0.8, 0.6])
    np.testing.assert_array_equal(curve.risk, [1, 1 / 3])


def test_weights_count_as_their_effective_number_of_rows():
    curve = risk_coverage_curve(Y, P, sample_weight=[2, 1, 3, 0.5])
    # (2 + 1 + 3)^2 / (4 + 1 + 9), and with the last row 6.5^2 / 14.25
    equal(curve.n_effective, [1, 36 / 14, 6.5**2 / 14.25])


def test_tiny_weights_raise_no_alarm():
    with np.errstate(all="raise"):
        curve = risk_coverage_curve(Y, P, sample_weight=[1e-310, 1e-200, 1, 1e-300])
        areas = curve.aurc, curve.augrc, curve.excess_aurc
    np.testing.assert_array_equal(curve.n_effective, [1, 1, 1])
    np.testing.assert_allclose(areas, 0, atol=1e-190)


def test_float32_gives_what_float64_gives():
    y, proba, confidence, weight = problem()
    confidence = confidence.astype(np.float32)
    for score in (None, confidence):
        narrow = points(y, proba.astype(np.float32), confidence=score, sample_weight=weight)
        wide = None if score is None else score.astype(np.float64)
        expected = points(y, proba, confidence=wide, sample_weight=weight)
        np.testing.assert_array_equal(narrow, expected)


def test_confidences_that_differ_in_their_last_bit_differ():
    close = np.nextafter(0.75, 1)
    assert np.float32(close) == np.float32(0.75)
    curve = risk_coverage_curve([1, 0], [0.75, 0.75], confidence=[close, 0.75])
    np.testing.assert_array_equal(curve.risk, [0, 1 / 2])
    narrow = np.array([close, 0.75], dtype=np.float32)
    np.testing.assert_array_equal(risk_coverage_curve([1, 0], narrow).risk, [1 / 2])


def test_confidences_that_are_equal_leave_the_error_rate():
    curve = risk_coverage_curve(Y, P, confidence=[3] * 4)
    np.testing.assert_array_equal([curve.coverage, curve.risk], [[1], [1 / 4]])
    assert curve.aurc == 1 / 4
    assert curve.augrc == 1 / 8


def test_rounding_confidences_in_the_right_order_does_not_lower_the_area():
    # 100 rows at each of 20 confidences; the share of errors rises as confidence falls.
    level = np.repeat(np.arange(20), 100)
    wrong = np.tile(np.arange(100), 20) < 2 * (19 - level)
    y, proba = np.where(wrong, 1, 0), np.tile([0.9, 0.1], (2000, 1))
    areas = [aurc(y, proba, confidence=level // width) for width in (1, 2, 4, 10, 20)]
    assert areas == sorted(areas)
    assert areas[-1] == np.mean(wrong)


def test_all_correct_is_no_risk_and_all_wrong_all_of_it():
    assert aurc([1, 1, 0], [0.9, 0.6, 0.2]) == augrc([1, 1, 0], [0.9, 0.6, 0.2]) == 0
    assert aurc([0, 0, 1], [0.9, 0.6, 0.2]) == pytest.approx(1, abs=1e-15)
    assert augrc([0, 0, 1], [0.9, 0.6, 0.2]) == pytest.approx(1 / 2, abs=1e-15)


@pytest.mark.parametrize("n_errors", [0, 1, 700, 10_000])
def test_with_all_errors_last_nothing_is_in_excess(n_errors):
    n = 10_000
    y = np.arange(n) < n - n_errors
    curve = risk_coverage_curve(y, np.full(n, 0.9), confidence=-np.arange(n))
    error = n_errors / n
    # The steps lie above the curve 1 - (1 - error) / c, by less than the last of them.
    assert -1e-12 <= curve.excess_aurc <= error / n + 1e-12
    assert curve.augrc == pytest.approx(error**2 / 2, abs=1e-12)


def test_the_excess_is_what_the_best_order_has_not():
    # Geifman et al. 2019: error + (1 - error) log(1 - error), here of 1/4
    best = 0.25 + 0.75 * np.log(0.75)
    assert risk_coverage_curve(Y, P).excess_aurc == pytest.approx(11 / 48 - best, abs=1e-15)


def test_as_many_rows_are_answered_as_the_risk_allows():
    curve = risk_coverage_curve(Y, P)
    asked = [0, 0.1, 1 / 4, 0.3, 1 / 3, 1]
    assert [curve.coverage_at_risk(r) for r in asked] == [0.25, 0.25, 1, 1, 1, 1]
    assert [curve.threshold_at_risk(r) for r in asked] == [0.9, 0.9, 0.6, 0.6, 0.6, 0.6]


def test_no_row_is_answered_where_every_threshold_risks_too_much():
    curve = risk_coverage_curve([0, 1], [0.9, 0.6])
    assert curve.coverage_at_risk(0.1) == 0
    assert curve.threshold_at_risk(0.1) == np.inf


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_threshold_keeps_what_was_promised(dtype):
    rng = np.random.default_rng(0)
    p = (rng.random(500) / 2 + 0.5).astype(dtype)
    y = (rng.random(500) < p).astype(int)
    curve = risk_coverage_curve(y, p)
    for risk in (0.02, 0.05, 0.1, 0.2):
        kept = p >= curve.threshold_at_risk(risk)
        assert kept.mean() == curve.coverage_at_risk(risk) > 0
        assert 1 - y[kept].mean() <= risk + 1e-12
        # Nothing lower would do.
        shares = [1 - y[p >= t].mean() for t in p[~kept]]
        assert min(shares) > risk


def test_labels_and_columns_may_come_in_every_form():
    expected = points(Y, P)
    proba = np.stack([1 - np.array(P), P], axis=1)
    proba[:, 1] = P
    names = np.array(["no", "yes"])[Y]
    for found in (
        points(Y, np.array(P)[:, None]),
        points(Y, proba),
        points(np.array(Y, dtype=bool), P),
        points(2 * np.array(Y) - 1, P),
        points(names, P, pos_label="yes"),
        points(names, proba),
        points(pd.Series(Y, index=[7, 5, 3, 1]), pd.Series(P), confidence=pd.Series(P)),
    ):
        equal(found, expected)


def test_a_class_may_be_absent():
    y, proba, confidence, _ = problem()
    kept = y != 1
    options = {"confidence": confidence[kept], "labels": [0, 1, 2]}
    found = points(y[kept], proba[kept], **options)
    equal(found, points(y, proba, confidence=confidence, sample_weight=kept))


def test_both_areas_make_scorers():
    X, y = [[0]] * 4, ["a", "a", "a", "b"]
    model = DummyClassifier(strategy="prior").fit(X, y)
    assert ProbabilityScorer(aurc)(model, X, y) == -1 / 4
    assert ProbabilityScorer(augrc)(model, X[:2], y[:2]) == 0


def test_inputs_are_left_as_they_are_and_not_shared():
    y, proba, confidence, weight = problem()
    for array in (y, proba, confidence, weight):
        array.flags.writeable = False
    curve = risk_coverage_curve(y, proba, confidence=confidence, sample_weight=weight)
    assert not np.shares_memory(curve.threshold, confidence)


def test_a_curve_cannot_be_changed():
    curve = risk_coverage_curve(Y, P)
    with pytest.raises(FrozenInstanceError):
        curve.risk = curve.coverage


@pytest.mark.parametrize("metric", [risk_coverage_curve, aurc, augrc])
@pytest.mark.parametrize(
    ("confidence", "message"),
    [
        ([1, 2, np.nan, 4], "confidence must hold finite numbers, got nan in row 2"),
        ([1, -np.inf, 3, 4], "confidence must hold finite numbers, got -inf in row 1"),
        ([1, 2, 3], r"confidence must have shape \(4,\), one score per row, got \(3,\)"),
        ([[1], [2], [3], [4]], r"one score per row, got \(4, 1\)"),
        (["a", "b", "c", "d"], "confidence must hold numbers"),
    ],
)
def test_a_confidence_that_does_not_fit_is_refused(metric, confidence, message):
    with pytest.raises(ValueError, match=message):
        metric(Y, P, confidence=confidence)


@pytest.mark.parametrize("metric", [risk_coverage_curve, aurc, augrc])
def test_what_is_no_probability_is_refused(metric):
    with pytest.raises(ValueError, match=r"between 0 and 1, got 1\.9 in row 3"):
        metric(Y, [0.9, 0.8, 0.8, 1.9])


@pytest.mark.parametrize("risk", [-0.1, 1.1, np.nan, "low"])
def test_a_risk_that_is_no_share_is_refused(risk):
    curve = risk_coverage_curve(Y, P)
    for method in (curve.coverage_at_risk, curve.threshold_at_risk):
        with pytest.raises(ValueError, match="'risk' parameter of RiskCoverageCurve must be"):
            method(risk)
