from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from scipy.stats import binomtest

from skcalib.metrics import expected_calibration_error, reliability_curve

Y, P = [0, 1, 1, 1], [0.2, 0.4, 0.7, 0.9]


def test_each_bin_has_its_mean_and_its_frequency():
    curve = reliability_curve(Y, P, kind="positive", n_bins=2)
    np.testing.assert_allclose(curve.mean_proba, [(0.2 + 0.4) / 2, (0.7 + 0.9) / 2])
    np.testing.assert_array_equal(curve.frequency, [1 / 2, 2 / 2])
    np.testing.assert_array_equal(curve.weight, [2, 2])
    np.testing.assert_array_equal(curve.edges, [[0, 0.5], [0.5, 1]])


def test_bins_without_a_row_are_left_out():
    curve = reliability_curve(Y, P, kind="positive", n_bins=10)
    np.testing.assert_allclose(curve.edges, [[0.1, 0.2], [0.3, 0.4], [0.6, 0.7], [0.8, 0.9]])
    np.testing.assert_allclose(curve.mean_proba, P)
    np.testing.assert_array_equal(curve.frequency, Y)


def test_a_row_of_weight_zero_fills_no_bin():
    curve = reliability_curve(Y, P, kind="positive", n_bins=10, sample_weight=[1, 1, 0, 2])
    np.testing.assert_allclose(curve.mean_proba, [0.2, 0.4, 0.9])
    np.testing.assert_array_equal(curve.weight, [1, 1, 2])


def test_the_confidence_is_held_against_correct_predictions():
    proba = [[0.25, 0.2, 0.55], [0.55, 0.05, 0.4], [0.1, 0.3, 0.6], [0.9, 0.05, 0.05]]
    curve = reliability_curve(["a", "b", "c", "a"], proba, n_bins=3)
    np.testing.assert_allclose(curve.mean_proba, [(0.55 + 0.55 + 0.6) / 3, 0.9])
    np.testing.assert_allclose(curve.frequency, [1 / 3, 1])
    assert curve.class_label is None


def test_an_even_chance_predicts_the_first_class():
    for p in ([[0.5, 0.5]] * 4, [0.5] * 4):
        curve = reliability_curve([0, 0, 0, 1], p)
        np.testing.assert_array_equal(curve.frequency, [3 / 4])


def test_one_class_is_held_against_its_own_frequency():
    proba = [[0.25, 0.2, 0.55], [0.55, 0.05, 0.4], [0.1, 0.3, 0.6], [0.9, 0.05, 0.05]]
    curve = reliability_curve(["a", "b", "c", "a"], proba, kind="class", class_label="a", n_bins=2)
    # .25 and .1, the first of them true; .55 and .9, the second true
    np.testing.assert_allclose(curve.mean_proba, [0.175, 0.725])
    np.testing.assert_array_equal(curve.frequency, [0.5, 0.5])
    assert curve.class_label == "a"


def test_the_curve_says_what_it_is_of():
    curve = reliability_curve(Y, P, kind="positive", n_bins=3, strategy="quantile")
    assert (curve.kind, curve.class_label, curve.n_bins) == ("positive", 1, 3)
    assert (curve.strategy, curve.confidence_level) == ("quantile", 0.95)
    # A third of 4 rows is reached at the second, two thirds at the third.
    np.testing.assert_array_equal(curve.edges, [[0, 0.4], [0.4, 0.7], [0.7, 1]])


def test_a_curve_is_shown_in_a_line():
    curve = reliability_curve(Y, P, kind="positive", n_bins=3)
    # Bins .2 | .4 | .7, .9: (.2 + .6 + 2 * .2) / 4
    assert repr(curve) == (
        "ReliabilityCurve(kind='positive', class_label=1, strategy='uniform', n_bins=3, "
        "n_filled=3, calibration_error=0.3)"
    )
    # 0 | 1 0 0 | 1: (.1^2 + .8^2 + .3^2 + .4^2 + .2^2 - 6/9) / 5
    y, p = [0, 1, 0, 0, 1], [0.1, 0.2, 0.3, 0.4, 0.8]
    curve = reliability_curve(y, p, kind="positive", strategy="isotonic", n_resamples=0)
    assert repr(curve).endswith(
        "strategy='isotonic', n_bins=3, n_filled=3, miscalibration=0.05467)"
    )


def test_a_curve_cannot_be_changed():
    curve = reliability_curve(Y, P)
    with pytest.raises(FrozenInstanceError):
        curve.kind = "class"


@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("hits", [0, 1, 7, 19, 20])
def test_intervals_are_wilsons(hits, level):
    y, p = [1] * hits + [0] * (20 - hits), [0.3] * 20
    curve = reliability_curve(y, p, kind="positive", confidence_level=level)
    expected = binomtest(hits, 20).proportion_ci(level, method="wilson")
    np.testing.assert_allclose([curve.lower[0], curve.upper[0]], expected, atol=1e-12)


def test_an_interval_holds_its_frequency_and_stays_between_0_and_1():
    rng = np.random.default_rng(0)
    p = rng.random(3000)
    y = (rng.random(3000) < p).astype(int)
    curve = reliability_curve(y, p, kind="positive", n_bins=1000, sample_weight=rng.random(3000))
    assert (curve.lower >= 0).all()
    assert (curve.lower <= curve.frequency).all()
    assert (curve.frequency <= curve.upper).all()
    assert (curve.upper <= 1).all()


def test_weights_count_as_their_effective_number_of_rows():
    # (1 + 2 + 3)^2 / (1 + 4 + 9) = 18 / 7
    curve = reliability_curve([1, 0, 1], [0.4] * 3, kind="positive", sample_weight=[1, 2, 3])
    assert curve.n_effective[0] == pytest.approx(18 / 7)
    assert curve.frequency[0] == pytest.approx(4 / 6)
    # Wilson's ends are where |f - q| = z sqrt(q (1 - q) / n)
    for end in (curve.lower[0], curve.upper[0]):
        distance = 1.959964 * (end * (1 - end) / (18 / 7)) ** 0.5
        assert abs(4 / 6 - end) == pytest.approx(distance, rel=1e-6)


def test_equal_weights_count_as_rows_whatever_their_size():
    plain = reliability_curve(Y, P, kind="positive", n_bins=2)
    scaled = reliability_curve(Y, P, kind="positive", n_bins=2, sample_weight=[0.125] * 4)
    np.testing.assert_array_equal(scaled.n_effective, plain.weight)
    np.testing.assert_array_equal([scaled.lower, scaled.upper], [plain.lower, plain.upper])


def test_a_weight_whose_square_is_zero_counts_as_one_row():
    curve = reliability_curve([1, 1], [0.2, 0.7], kind="positive", sample_weight=[1e-200, 1])
    np.testing.assert_array_equal(curve.n_effective, [1, 1])
    assert curve.lower[0] == curve.lower[1]


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_the_curve_carries_the_calibration_error_of_its_own_bins(strategy):
    rng = np.random.default_rng(0)
    proba, y, weight = rng.dirichlet(np.ones(3), 300), rng.integers(0, 3, 300), rng.random(300)
    options = {"strategy": strategy, "sample_weight": weight}
    curve = reliability_curve(y, proba, **options)
    expected = expected_calibration_error(y, proba, **options)
    assert curve.calibration_error == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "class"}, "kind='class' needs a class_label and no other kind takes one"),
        ({"class_label": 1}, "kind='class' needs a class_label and no other kind takes one"),
        ({"kind": "class", "class_label": 7}, r"class_label=7 is not among the labels \[0, 1\]"),
        ({"confidence_level": 1}, "'confidence_level' parameter of reliability_curve must be"),
        ({"n_bins": 0}, "'n_bins' parameter of reliability_curve must be"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        reliability_curve(Y, P, **options)
