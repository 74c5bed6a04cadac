"""Isotonic reliability curves, and the bands in which calibrated curves lie."""

import itertools
import json
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import isotonic_regression
from scipy.stats import binom
from sklearn.isotonic import IsotonicRegression

from skcalib.metrics import calibration_error, reliability_curve

KNOWN = json.loads(
    (Path(__file__).parents[1] / "data" / "known_answers.json").read_text(encoding="utf-8")
)


def isotonic_curve(y, p, **options):
    options = {"kind": "positive", "labels": [0, 1], "n_resamples": 0} | options
    return reliability_curve(y, p, strategy="isotonic", **options)


def recalibrated_exactly(y, p, weight):
    """Of every distinct p the largest of the least frequencies from below: the min-max formula."""
    places = sorted({value for value, w in zip(p, weight, strict=True) if w})
    rows = list(zip(y, p, weight, strict=True))
    total = [sum(Fraction(w) for _, value, w in rows if value == place) for place in places]
    events = [sum(Fraction(w) * label for label, v, w in rows if v == place) for place in places]
    found = [
        max(
            min(
                sum(events[first : last + 1]) / sum(total[first : last + 1])
                for last in range(place, len(places))
            )
            for first in range(place + 1)
        )
        for place in range(len(places))
    ]
    return places, found, total


def on_its_places(curve, places):
    """Frequency of the block that each of the sorted probabilities lies in."""
    return curve.frequency[np.searchsorted(curve.edges[:, 0], places, "right") - 1]


def test_blocks_are_the_rows_whose_frequencies_fell():
    # 0 | 1 0 | 0 is below 1/2: 1 0 0 are pooled | 1
    curve = isotonic_curve([0, 1, 0, 0, 1], [0.1, 0.2, 0.3, 0.4, 0.8])
    np.testing.assert_allclose(curve.mean_proba, [0.1, (0.2 + 0.3 + 0.4) / 3, 0.8])
    np.testing.assert_array_equal(curve.frequency, [0, 1 / 3, 1])
    np.testing.assert_array_equal(curve.weight, [1, 3, 1])
    np.testing.assert_array_equal(curve.n_effective, [1, 3, 1])
    np.testing.assert_array_equal(curve.edges, [[0.1, 0.1], [0.2, 0.4], [0.8, 0.8]])
    assert (curve.n_bins, curve.strategy) == (3, "isotonic")


def test_blocks_of_equal_frequency_are_one():
    curve = isotonic_curve([1, 0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4, 0.8])
    np.testing.assert_array_equal(curve.edges, [[0.1, 0.4], [0.8, 0.8]])
    # Weights that no sum represents: 2/3 of the weight in either block but for rounding.
    curve = isotonic_curve(
        [1, 0, 1, 0], [0.1, 0.2, 0.3, 0.4], sample_weight=[0.2, 0.1, 0.6 / 7, 0.3 / 7]
    )
    assert len(curve.frequency) == 1


@pytest.mark.parametrize("seed", range(8))
def test_the_curve_is_the_isotonic_regression_in_exact_arithmetic(seed):
    rng = np.random.default_rng(seed)
    p, y = rng.integers(0, 13, 40) / 12, rng.integers(0, 2, 40)
    weight = rng.integers(0, 4, 40)
    curve = isotonic_curve(y, p, sample_weight=weight)
    places, expected, total = recalibrated_exactly(y.tolist(), p.tolist(), weight.tolist())
    np.testing.assert_allclose(on_its_places(curve, places), [float(f) for f in expected])
    blocks = [
        list(block) for _, block in itertools.groupby(range(len(places)), expected.__getitem__)
    ]
    np.testing.assert_array_equal(curve.edges, [[places[b[0]], places[b[-1]]] for b in blocks])
    np.testing.assert_allclose(curve.weight, [float(sum(total[i] for i in b)) for b in blocks])


def test_the_curve_is_scikit_learns():
    rng = np.random.default_rng(0)
    p, weight = rng.random(3000), rng.random(3000)
    y = (rng.random(3000) < p**2).astype(int)
    expected = IsotonicRegression().fit(p, y, sample_weight=weight).predict(np.sort(p))
    curve = isotonic_curve(y, p, sample_weight=weight)
    np.testing.assert_allclose(on_its_places(curve, np.sort(p)), expected, atol=1e-12)


def test_the_miscalibration_is_what_recalibration_gains_in_brier_score():
    # (.1^2 + .8^2 + .3^2 + .4^2 + .2^2) / 5 less (0 + (2/3)^2 + 2 (1/3)^2 + 0) / 5
    curve = isotonic_curve([0, 1, 0, 0, 1], [0.1, 0.2, 0.3, 0.4, 0.8])
    assert curve.miscalibration == pytest.approx((0.94 - 6 / 9) / 5)
    assert curve.calibration_error is None


@pytest.mark.parametrize("weighted", ["", "_weighted"])
def test_the_miscalibration_is_that_of_other_libraries(weighted):
    given = KNOWN["inputs"]["D"]
    (case,) = (case for case in KNOWN["cases"] if case["id"] == f"D/corp_brier_mcb{weighted}")
    curve = isotonic_curve(given["y"], given["p"], sample_weight=given["w"] if weighted else None)
    assert curve.miscalibration == pytest.approx(case["expected"], abs=case["tol"])


def test_a_weight_is_repetition_and_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(0)
    p, y, weight = rng.integers(0, 33, 200) / 32, rng.integers(0, 2, 200), rng.integers(0, 4, 200)
    rows = rng.permutation(np.repeat(np.arange(200), weight))
    weighted, repeated = (
        isotonic_curve(y, p, sample_weight=weight),
        isotonic_curve(y[rows], p[rows]),
    )
    for field in ("mean_proba", "frequency", "weight", "edges", "miscalibration", "band_weight"):
        expected = getattr(repeated, field)
        np.testing.assert_allclose(getattr(weighted, field), expected, rtol=0, atol=1e-12)


def test_intervals_of_fixed_bins_are_not_given_for_blocks_that_the_events_chose():
    curve = isotonic_curve([0, 1], [0.2, 0.7])
    assert curve.lower is None
    assert curve.upper is None


def test_bins_chosen_by_the_events_are_for_curves_alone():
    with pytest.raises(ValueError, match="'strategy' parameter of calibration_error must be"):
        calibration_error([0, 1], [0.2, 0.7], strategy="isotonic")


def test_an_isotonic_curve_pickles():
    curve = pickle.loads(pickle.dumps(isotonic_curve([0, 1], [0.2, 0.7], n_resamples=9)))
    np.testing.assert_array_equal(curve.edges, [[0.2, 0.2], [0.7, 0.7]])


@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("p", [0, 1e-20, 1e-4, 0.3, 0.99, 1])
@pytest.mark.parametrize("n", [1, 5, 400])
def test_the_band_of_a_bin_is_the_range_of_a_binomial(n, p, level):
    curve = reliability_curve(
        [0] * n, [p] * n, kind="positive", labels=[0, 1], confidence_level=level
    )
    expected = [binom.ppf(tail, n, p) / n for tail in ((1 - level) / 2, (1 + level) / 2)]
    np.testing.assert_allclose([curve.band_lower[0], curve.band_upper[0]], expected, atol=1e-12)
    np.testing.assert_array_equal(curve.band_proba, curve.mean_proba)
    np.testing.assert_array_equal(curve.band_weight, curve.weight)


@pytest.mark.parametrize("p", [(0.02, 0.1, 0.3), (0.4, 0.5, 0.6, 0.7), (0.91, 0.99, 0.999)])
@pytest.mark.parametrize("level", [0.6, 0.9])
def test_the_band_of_a_bin_holds_its_level_where_probabilities_differ(p, level):
    curve = reliability_curve(
        [0] * len(p), p, kind="positive", labels=[0, 1], n_bins=1, confidence_level=level
    )
    inside = 0.0
    for happened in itertools.product([False, True], repeat=len(p)):
        chance = np.prod(np.where(happened, p, 1 - np.array(p)))
        if curve.band_lower[0] <= np.mean(happened) <= curve.band_upper[0]:
            inside += chance
    assert inside >= level


def test_the_band_of_weighted_rows_is_that_of_their_effective_number():
    # Ten rows of weight 3 and thirty of 1: 60^2 / (90 + 30) = 30
    weight = np.array([3] * 10 + [1] * 30 + [0])
    given = {"kind": "positive", "labels": [0, 1]}
    weighted = reliability_curve([0] * 41, [0.3] * 41, sample_weight=weight, **given)
    alike = reliability_curve([0] * 41, [0.3] * 41, sample_weight=0.7 * (weight == 1), **given)
    plain = reliability_curve([0] * 30, [0.3] * 30, **given)
    np.testing.assert_allclose(alike.band_lower, plain.band_lower)
    np.testing.assert_allclose(alike.band_upper, plain.band_upper)
    # One row farther out, as their frequencies lie between those of thirty rows.
    np.testing.assert_allclose(weighted.band_lower, plain.band_lower - 1 / 30)
    np.testing.assert_allclose(weighted.band_upper, plain.band_upper + 1 / 30)


def test_the_isotonic_band_is_the_range_over_all_outcomes():
    p, level = np.array([0.2, 0.3, 0.45, 0.6, 0.8, 0.9]), 0.7
    outcomes = list(itertools.product([0, 1], repeat=len(p)))
    chance = np.array([np.prod(np.where(y, p, 1 - p)) for y in outcomes])
    values = np.array(
        [[float(f) for f in recalibrated_exactly(y, p.tolist(), [1] * len(p))[1]] for y in outcomes]
    )
    curve = isotonic_curve(
        [0, 1] * 3, p, n_resamples=20_000, random_state=0, confidence_level=level
    )
    np.testing.assert_array_equal(curve.band_proba, p)
    for place in range(len(p)):
        order = values[:, place].argsort(kind="stable")
        cumulative = chance[order].cumsum()
        ends = [values[order[np.searchsorted(cumulative, t)], place] for t in (0.15, 0.85)]
        found = [curve.band_lower[place], curve.band_upper[place]]
        np.testing.assert_allclose(found, ends, err_msg=f"at {p[place]}")


def test_too_few_resamples_for_a_level_promise_nothing():
    # The smallest of B draws is not reached by one more draw with probability 1 / (B + 1).
    p = np.linspace(0.3, 0.7, 50)
    few = isotonic_curve([0, 1] * 25, p, n_resamples=38, random_state=0)
    np.testing.assert_array_equal([few.band_lower, few.band_upper], [[0] * 50, [1] * 50])
    enough = isotonic_curve([0, 1] * 25, p, n_resamples=39, random_state=0)
    assert enough.band_lower[25] > 0.1
    assert enough.band_upper[25] < 0.9
    assert isotonic_curve([0, 1] * 25, p).band_lower is None


def test_a_seed_makes_the_band_reproducible_and_the_events_do_not_matter_to_it():
    p = np.linspace(0.3, 0.7, 50)
    one = isotonic_curve([0, 1] * 25, p, n_resamples=99, random_state=3)
    other = isotonic_curve([1] * 50, p, n_resamples=99, random_state=np.random.RandomState(3))
    np.testing.assert_array_equal(one.band_lower, other.band_lower)
    np.testing.assert_array_equal(one.band_upper, other.band_upper)


def test_a_band_of_many_rows_is_known_at_few_places_close_to_each_other():
    rng = np.random.default_rng(0)
    p = np.sort(rng.beta(0.3, 2, 200_000))
    curve = isotonic_curve((rng.random(len(p)) < p).astype(int), p)
    assert len(curve.band_proba) < 1500
    assert np.diff(curve.band_proba[curve.band_proba < p[-100]]).max() < 2 / 512
    assert curve.band_weight.max() <= len(p) / 256 + 1
    np.testing.assert_array_equal(curve.band_weight[[0, 1, 2, -2, -1]], 1)
    assert curve.band_weight.sum() == len(p)
    few = isotonic_curve([0, 1] * 150, p[:: len(p) // 300][:300])
    np.testing.assert_array_equal(few.band_weight, 1)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"n_resamples": -1}, "'n_resamples' parameter of reliability_curve must be"),
        ({"random_state": "seed"}, "'random_state' parameter of reliability_curve must be"),
        ({"strategy": "monotone"}, "'strategy' parameter of reliability_curve must be"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(option, message):
    with pytest.raises(ValueError, match=message):
        reliability_curve([0, 1], [0.2, 0.7], **option)


def bin_coverage(p, n_draws, rng, **options):
    """Share of draws of the events in which each bin's frequency lies in its band."""
    inside = 0
    for _ in range(n_draws):
        y = (rng.random(len(p)) < p).astype(int)
        curve = reliability_curve(y, p, kind="positive", labels=[0, 1], **options)
        inside += (curve.band_lower <= curve.frequency) & (curve.frequency <= curve.band_upper)
    return inside / n_draws


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("weighted", [False, True])
def test_bands_of_bins_cover_calibrated_frequencies(strategy, weighted):
    rng = np.random.default_rng(0)
    p = rng.beta(0.7, 0.7, 4000)
    weight = rng.gamma(2, 1, 4000) if weighted else None
    covered = bin_coverage(p, 600, rng, strategy=strategy, sample_weight=weight)
    # Three standard errors of a share of 600 draws: .027.
    assert covered.min() > 0.95 - 0.027
    assert 0.95 < covered.mean() < (0.98 if weighted else 0.965)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("p", "weighted"),
    [
        (np.random.default_rng(1).random(300), False),
        (np.random.default_rng(2).uniform(0.3, 0.7, 1000), False),
        (np.random.default_rng(3).beta(1, 99, 3000), False),
        (np.random.default_rng(4).random(1000), True),
    ],
    ids=["few rows", "no extremes", "rare event", "weights"],
)
def test_isotonic_bands_cover_calibrated_curves(p, weighted):
    rng = np.random.default_rng(0)
    p = np.sort(p)
    weight = rng.gamma(2, 1, len(p)) if weighted else np.ones(len(p))
    curve = isotonic_curve([0] * len(p), p, sample_weight=weight, n_resamples=4000, random_state=0)
    lower, upper = (np.interp(p, curve.band_proba, y) for y in (curve.band_lower, curve.band_upper))
    inside = np.zeros(len(p))
    for _ in range(1000):
        drawn = isotonic_regression(rng.random(len(p)) < p, weights=weight).x
        inside += (lower - 1e-9 <= drawn) & (drawn <= upper + 1e-9)
    covered = inside / 1000
    # Three standard errors of a share of 1000 draws, and one of the band's ends: .024.
    assert covered.min() > 0.95 - 0.024
    assert 0.948 < covered.mean() < 0.97


def test_the_band_is_the_same_from_run_to_run_unless_asked_otherwise():
    p = np.linspace(0.05, 0.95, 30)
    options = {"kind": "positive", "strategy": "isotonic", "n_resamples": 100}
    curves = [reliability_curve([0, 1] * 15, p, **options) for _ in range(2)]
    curves.append(reliability_curve([0, 1] * 15, p, random_state=0, **options))
    for curve in curves[1:]:
        np.testing.assert_array_equal(curve.band_lower, curves[0].band_lower)
        np.testing.assert_array_equal(curve.band_upper, curves[0].band_upper)
