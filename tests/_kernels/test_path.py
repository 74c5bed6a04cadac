"""Linear maps of several strengths: which member is which, and what their mixture serves."""

import linear_oracles as oracle
import numpy as np
import pytest
from linear_oracles import problem
from scipy.special import softmax

from skcalib._kernels import _blocks
from skcalib._kernels._blocks import Logits, RowSubset, SmoothedProbabilities
from skcalib._kernels._coefficients import Penalties
from skcalib._kernels._path import fit_path, member_densities, mixture_probabilities
from skcalib._kernels._start import Start

START = Start(1.4, 0.02)
STRONG = {"shared": 3.0, "stretch": 12.0, "belief": 3.0}
WEAK = {"shared": 3.0, "stretch": 0.8, "belief": 0.2}
BENDS = {"shared": 3.0}


def penalties_of(n_classes):
    """A strong and a weak map; of many classes without coefficients between them."""
    leave_out = {"belief"} if n_classes > 10 else set()
    return [{k: each[k] for k in each if k not in leave_out} for each in (STRONG, WEAK)]


def path_of(z, y, *penalties, weight=None, start=START):
    return fit_path(Logits(z), y, weight, start, [Penalties(**each) for each in penalties])


def alone(member, n_members=4):
    return np.eye(n_members)[member]


@pytest.fixture(params=[(4, 0.0), (4, 0.3), (40, 0.3)], ids=["few", "masked", "many"])
def fitted(request, monkeypatch):
    """Scores, labels, and the path of a strong and a weak map; several blocks."""
    n_classes, masked = request.param
    z, y = problem(0, 120, n_classes, masked)
    path = path_of(z, y, *penalties_of(n_classes))
    monkeypatch.setattr(_blocks, "BLOCK_ELEMENTS", 500)
    return z, y, path


def test_members_are_uniform_as_given_and_the_maps(fitted):
    z, y, path = fitted
    source = Logits(z)
    members = [mixture_probabilities(source, source, path, alone(m)) for m in range(4)]
    open_ = ~np.isneginf(z)
    np.testing.assert_allclose(members[0], open_ / open_.sum(axis=1, keepdims=True), rtol=1e-15)
    np.testing.assert_allclose(members[1], softmax(z, axis=1), rtol=1e-13)
    begun = oracle.starting(z, *START)
    sizes = oracle.spreads(begun)
    for proba, penalties in zip(members[2:], penalties_of(z.shape[1]), strict=True):
        tensor = oracle.design(begun, sizes, tuple(penalties))
        penalty = oracle.penalty_vector(penalties, z.shape[1])
        expected = oracle.solve(begun, tensor, penalty, y).proba
        np.testing.assert_allclose(proba, expected, atol=2e-4)
        losses = [-np.log(p[np.arange(len(y)), y]).mean() for p in (proba, expected)]
        assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_a_mixture_is_the_weighted_sum_of_its_members(fitted):
    z, _, path = fitted
    source, shares = Logits(z), np.array([0.1, 0.2, 0.3, 0.4])
    members = [mixture_probabilities(source, source, path, alone(m)) for m in range(4)]
    found = mixture_probabilities(source, source, path, shares)
    expected = sum(w * p for w, p in zip(shares, members, strict=True))
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-14)
    assert (found[np.isneginf(z)] == 0).all()
    assert (found[~np.isneginf(z)] > 0).all()


def test_densities_are_what_each_member_says_of_the_label(fitted):
    z, y, path = fitted
    source = Logits(z)
    densities = member_densities(source, source, path, y)
    assert densities.shape == (120, 4)
    for m in range(4):
        proba = mixture_probabilities(source, source, path, alone(m))
        assert np.array_equal(densities[:, m], proba[np.arange(120), y])


def test_the_model_as_given_is_not_smoothed_along_with_the_maps():
    rng = np.random.default_rng(1)
    proba = rng.dirichlet(np.full(3, 0.3), size=50)
    y = proba.argmax(axis=1)
    given, smoothed = SmoothedProbabilities(proba, 0.0), SmoothedProbabilities(proba, 0.1)
    path = fit_path(smoothed, y, None, START, [Penalties()])
    as_given = mixture_probabilities(given, smoothed, path, alone(1, 3))
    np.testing.assert_allclose(as_given, proba, rtol=1e-12, atol=1e-300)
    tempered = (proba + 0.1) ** (1 / 1.4)
    tempered /= tempered.sum(axis=1, keepdims=True)
    found = mixture_probabilities(given, smoothed, path, alone(2, 3))
    np.testing.assert_allclose(found, 0.98 * tempered + 0.02 / 3, rtol=1e-12)


def test_some_rows_of_a_source_get_what_they_get_among_all(fitted):
    z, y, path = fitted
    index = np.random.default_rng(2).permutation(120)[:50]
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    subset = RowSubset(Logits(z), index)
    among_all = mixture_probabilities(Logits(z), Logits(z), path, shares)[index]
    np.testing.assert_allclose(
        mixture_probabilities(subset, subset, path, shares), among_all, atol=1e-14
    )
    densities = member_densities(Logits(z), Logits(z), path, y)[index]
    np.testing.assert_allclose(
        member_densities(subset, subset, path, y[index]), densities, atol=1e-14
    )


@pytest.mark.parametrize("n_classes", [4, 40])
def test_a_map_is_the_same_after_another_and_by_itself(n_classes):
    z, y = problem(3, 200, n_classes)
    after = path_of(z, y, STRONG, WEAK)
    itself = path_of(z, y, WEAK)
    source = Logits(z)
    found = mixture_probabilities(source, source, after, alone(3))
    expected = mixture_probabilities(source, source, itself, alone(2, 3))
    losses = [-np.log(p[np.arange(200), y]).mean() for p in (found, expected)]
    # Both searches end a little short of the minimum, each on its own side.
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    np.testing.assert_allclose(found, expected, atol=4e-4)


def test_float32_scores_give_float32_probabilities():
    z, y = problem(4, 200, 5)
    z = z.astype(np.float32)
    path, shares = path_of(z, y, BENDS), np.array([0.1, 0.3, 0.6])
    found = mixture_probabilities(Logits(z), Logits(z), path, shares)
    assert found.dtype == np.float32
    double = Logits(z.astype(np.float64))
    np.testing.assert_allclose(
        found, mixture_probabilities(double, double, path, shares), atol=1e-6
    )
    densities = member_densities(Logits(z), Logits(z), path, y)
    assert densities.dtype == np.float64
