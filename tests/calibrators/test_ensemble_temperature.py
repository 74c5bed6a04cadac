"""Ensemble temperature scaling: its shares by another solver, and what must not change it."""

from contextlib import nullcontext

import numpy as np
import pytest
from linear_oracles import best_mixture, mixture_objective
from oracles import best_smoothing, best_start
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning

from skcalib import EnsembleTemperatureScaling, TemperatureScaling
from skcalib.datasets import load_logits

PSEUDO_COUNTS = np.array([0.1, 0.2, 0.5])
SETS = [
    "letter_random_forest",
    "mcq_smollm2_a",
    "mnist_cnn_shift",
    "spambase_svm",
    "wordnet_lexname_mlp",
]

# Of the kernel's steps; they end when no weight changes by more than 1e-7, and members that are
# alike may then share otherwise. The objective per row is the best to the second number.
SHARE = 2e-3
OBJECTIVE = 1e-7


def problem(seed, n, n_classes, masked=0.0):
    """Sharp scores, a tenth of the labels noise; some classes masked."""
    rng = np.random.default_rng(seed)
    z = 3 * rng.standard_normal((n, n_classes))
    y = (0.7 * z + rng.gumbel(size=z.shape)).argmax(axis=1)
    y = np.where(rng.random(n) < 0.1, rng.integers(0, n_classes, n), y)
    mask = rng.random(z.shape) < masked
    mask[np.arange(n), y] = False
    return np.where(mask, -np.inf, z), y


def fit(z, y, *, sample_weight=None, **parameters):
    model = EnsembleTemperatureScaling(classes=range(z.shape[1]), **parameters)
    return model.fit(z, y, sample_weight=sample_weight)


def calibration_rows(name, n_rows=500):
    scores = load_logits(name)
    rows = np.flatnonzero(scores.calibration)[:n_rows]
    return scores.logits[rows].astype(np.float64), scores.target[rows]


def members(z, temperature, n_rows):
    """Uniform over open classes, softmax, and tempered softmax with Laplace's share, (3, n, K)."""
    open_ = ~np.isneginf(z)
    uniform = open_ / open_.sum(axis=1, keepdims=True)
    share = 1 / (n_rows + 1)
    tempered = (1 - share) * softmax(z / temperature, axis=1) + share * uniform
    return np.stack([uniform, softmax(z, axis=1), tempered])


def densities_of(members, y):
    return members[:, np.arange(len(y)), y].T


def mean_loss(proba, y, weight=None):
    return -np.average(np.log(proba[np.arange(len(y)), y]), weights=weight)


# The shares.


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", SETS)
def test_shares_of_real_scores_are_those_of_a_general_solver(name, weighted):
    z, y = calibration_rows(name)
    weight = np.random.default_rng(0).gamma(2.0, size=len(y)) if weighted else None
    total = len(y) if weight is None else weight.sum()
    model = fit(z, y, sample_weight=weight)
    assert model.temperature_ == pytest.approx(best_start(z, y, weight, alpha=1), rel=1e-6)
    densities = densities_of(members(z, model.temperature_, total), y)
    expected = best_mixture(densities, weight, PSEUDO_COUNTS)
    found, best = (
        mixture_objective(densities, weight, PSEUDO_COUNTS, shares) / total
        for shares in (model.weights_, expected)
    )
    assert found >= best - OBJECTIVE
    np.testing.assert_allclose(model.weights_, expected, atol=SHARE)
    assert model.weights_.sum() == pytest.approx(1, abs=1e-14)


def test_shares_of_masked_scores_are_those_of_a_general_solver():
    z, y = problem(0, 300, 5, 0.3)
    model = fit(z, y)
    densities = densities_of(members(z, model.temperature_, 300), y)
    np.testing.assert_allclose(
        model.weights_, best_mixture(densities, None, PSEUDO_COUNTS), atol=SHARE
    )


def test_shares_of_probabilities_are_those_of_a_general_solver():
    rng = np.random.default_rng(1)
    truth = rng.dirichlet(np.full(4, 0.3), size=200)
    y = np.array([rng.choice(4, p=p) for p in truth])
    votes = np.array([rng.multinomial(10, p) for p in truth]) / 10  # with exact zeros
    model = fit(votes, y, response_method="predict_proba")
    _, share = best_smoothing(votes, y)
    assert model.smoothing_ == pytest.approx(share, rel=1e-4)
    # The model's own probabilities are not smoothed: a zero is the smallest normal number.
    smoothed = np.log(votes + share / (1 - share) / 4)
    temperature = best_start(smoothed, y, alpha=1)
    assert model.temperature_ == pytest.approx(temperature, rel=1e-4)
    parts = members(smoothed, temperature, 200)
    parts[1] = np.maximum(votes, np.finfo(float).tiny)
    expected = best_mixture(densities_of(parts, y), None, PSEUDO_COUNTS)
    np.testing.assert_allclose(model.weights_, expected, atol=SHARE)
    proba = np.einsum("m,mnk->nk", model.weights_, parts)
    np.testing.assert_allclose(model.predict_proba(votes), proba, rtol=1e-3)


@pytest.mark.parametrize(("n_classes", "masked"), [(2, 0.0), (5, 0.3), (40, 0.3)])
def test_attributes_are_what_serves(n_classes, masked):
    z, y = problem(2, 200, n_classes, masked)
    model = fit(z, y)
    parts = members(z, model.temperature_, 200)
    proba = model.predict_proba(z)
    np.testing.assert_allclose(proba, np.einsum("m,mnk->nk", model.weights_, parts), rtol=1e-10)
    assert (proba[np.isneginf(z)] == 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-14)


@pytest.mark.parametrize("name", SETS)
def test_it_is_better_than_the_best_of_its_members_but_for_the_pseudo_counts(name):
    z, y = calibration_rows(name)
    model = fit(z, y)
    mixture = mean_loss(model.predict_proba(z), y)
    alone = [mean_loss(part, y) for part in members(z, model.temperature_, len(y))]
    # Next to the mixture of all but one in a thousand to one member, the best of which the
    # pseudo-counts, .8 rows in all, can cost this much: .8 log 1000 rows' worth.
    slack = (0.8 * np.log(1000) + len(y) * 1e-3) / len(y)
    assert mixture <= min(alone) + slack
    assert mixture <= alone[2] + 0.005


def test_noise_in_a_tenth_of_the_labels_is_uniforms():
    z, y = problem(3, 5000, 10)
    model = fit(z, y)
    temperature = TemperatureScaling(classes=range(10)).fit(z, y)
    gain = mean_loss(temperature.predict_proba(z), y) - mean_loss(model.predict_proba(z), y)
    assert gain > 0.005
    # Three members know neither that a tenth is noise nor T = 1 / .7 of the rest.
    assert 0.03 < model.weights_[0] < 0.15


def test_scores_that_are_calibrated_stay_as_they_are():
    rng = np.random.default_rng(4)
    z = 2 * rng.standard_normal((5000, 4))
    y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    proba = fit(z, y).predict_proba(z)
    np.testing.assert_allclose(proba, softmax(z, axis=1), atol=0.03)


# What is predicted.


@pytest.mark.parametrize("n_classes", [2, 5, 40])
def test_the_predicted_class_is_that_of_the_scores_the_first_on_ties(n_classes):
    z, y = problem(5, 300, n_classes)
    z = np.round(z)  # with ties
    model = fit(z, y)
    assert (np.sort(z, axis=1)[:, -1] == np.sort(z, axis=1)[:, -2]).any()
    assert np.array_equal(model.predict(z), z.argmax(axis=1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n_classes", "masked"), [(2, 0.0), (5, 0.3), (40, 0.3)])
def test_the_order_within_a_row_stays(n_classes, masked, dtype):
    z, y = problem(6, 300, n_classes, masked)
    z = z.astype(dtype)
    proba = fit(z, y).predict_proba(z)
    ranked = np.take_along_axis(proba, np.argsort(z, axis=1), axis=1)
    assert (np.diff(ranked, axis=1) >= 0).all()


# What must not change it.


@pytest.mark.parametrize("n_classes", [2, 5, 40])
def test_a_row_is_served_the_same_in_any_batch(n_classes):
    z, y = problem(7, 300, n_classes)
    model = fit(z, y)
    proba = model.predict_proba(z)
    for rows in (slice(0, 1), slice(7, 8), slice(100, 300), slice(None, None, -3)):
        np.testing.assert_allclose(model.predict_proba(z[rows]), proba[rows], atol=1e-12)


def test_the_order_of_classes_and_rows_does_not_matter():
    rng = np.random.default_rng(8)
    z, y = problem(8, 200, 5, 0.2)
    weight, classes, rows = rng.gamma(2.0, size=200), rng.permutation(5), rng.permutation(200)
    proba = fit(z, y, sample_weight=weight).predict_proba(z)
    moved = z[rows][:, classes]
    other = fit(moved, np.argsort(classes)[y[rows]], sample_weight=weight[rows])
    np.testing.assert_allclose(other.predict_proba(moved), proba[rows][:, classes], atol=1e-10)


def test_a_constant_added_to_a_row_does_not_matter():
    z, y = problem(9, 200, 4)
    z = np.round(z * 2**20) / 2**20  # sums with the constants are exact
    added = z + np.random.default_rng(0).integers(-999, 999, (200, 1))
    model, other = fit(z, y), fit(added, y)
    np.testing.assert_allclose(other.predict_proba(added), model.predict_proba(z), atol=1e-12)
    np.testing.assert_allclose(model.predict_proba(added), model.predict_proba(z), atol=1e-12)


def test_weights_are_repetitions_and_rows_of_weight_zero_are_absent():
    z, y = problem(10, 200, 4)
    times = np.random.default_rng(0).integers(0, 4, 200)
    repeated = fit(np.repeat(z, times, axis=0), np.repeat(y, times))
    z[times == 0] = np.nan
    weighted = fit(z, y, sample_weight=times.astype(float))
    np.testing.assert_allclose(weighted.weights_, repeated.weights_, atol=1e-10)
    test, _ = problem(11, 100, 4)
    expected = repeated.predict_proba(test)
    np.testing.assert_allclose(weighted.predict_proba(test), expected, atol=1e-10)


@pytest.mark.parametrize("n_classes", [2, 5, 40])
def test_float32_scores_give_float32_probabilities_near_those_of_float64(n_classes):
    z, y = problem(12, 300, n_classes)
    single = z.astype(np.float32)
    model, double = fit(single, y), fit(single.astype(np.float64), y)
    proba = model.predict_proba(single)
    assert proba.dtype == np.float32
    np.testing.assert_allclose(proba, double.predict_proba(single.astype(float)), atol=1e-5)


@pytest.mark.parametrize("scale", [1e300, 1e6, 1e-300])
def test_scores_of_any_size_are_served(scale):
    z, y = problem(13, 100, 4, 0.1)
    too_large = pytest.warns(ConvergenceWarning, match="beyond the bounds")
    with np.errstate(all="raise"), too_large if scale == 1e300 else nullcontext():
        model = fit(scale * z, y)
        proba = model.predict_proba(scale * z)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-12)
    assert (proba[np.isneginf(z)] == 0).all()
    assert (proba[~np.isneginf(z)] > 0).all()
    assert np.isfinite(model.weights_).all()


def test_scores_that_rule_labels_out_leave_them_to_uniform():
    # Ten of a hundred labels have a probability that is 0 in float64, of whatever temperature is
    # sure of the others.
    z = np.tile([1000.0, 0.0], (100, 1))
    y = np.repeat([0, 1], [90, 10])
    proba = fit(z, y, alpha=100.0).predict_proba(z)
    np.testing.assert_allclose(proba[0], [0.9, 0.1], atol=0.02)


def test_equal_scores_are_uniform_whatever_the_labels():
    y = np.repeat([0, 1, 2], [10, 20, 70])
    model = fit(np.full((100, 3), 3.0), y)
    np.testing.assert_allclose(model.predict_proba(np.zeros((2, 3))), 1 / 3, rtol=1e-12)
    # Members that say the same share as they began.
    np.testing.assert_allclose(model.weights_, PSEUDO_COUNTS / 0.8, rtol=1e-12)


def test_one_class_in_all_rows():
    z, _ = problem(14, 50, 3)
    z[:, 1] = z.max(axis=1) + 1
    model = fit(z, np.ones(50, dtype=int))
    assert (model.predict_proba(z)[:, 1] >= softmax(z, axis=1)[:, 1] - 0.02).all()
    assert model.weights_[0] < 0.02


def test_one_row_has_the_closed_form():
    z = np.array([[1.0, 2.0, 0.0]])
    model = fit(z, np.array([1]))
    d = densities_of(members(z, model.temperature_, 1), np.array([1]))[0]
    # At the optimum w_m = (w_m d_m / (w . d) + a_m) / 1.8.
    w = model.weights_
    np.testing.assert_allclose(w, (w * d / (w @ d) + PSEUDO_COUNTS) / 1.8, atol=1e-6)


def test_two_thousand_classes():
    z, y = problem(15, 100, 2000)
    proba = fit(z.astype(np.float32), y).predict_proba(z.astype(np.float32))
    assert proba.dtype == np.float32
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)


def test_log_probabilities_are_read_as_their_probabilities():
    z, y = problem(16, 200, 4)
    proba = softmax(z, axis=1)
    expected = fit(proba, y, response_method="predict_proba")
    model = fit(np.log(proba), y, response_method="predict_log_proba")
    np.testing.assert_allclose(model.weights_, expected.weights_, atol=1e-6)
    found = model.predict_proba(np.log(proba))
    np.testing.assert_allclose(found, expected.predict_proba(proba), atol=1e-8)
