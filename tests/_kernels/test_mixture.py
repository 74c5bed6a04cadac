"""Weights of a mixture: by hand, against a general solver, and what must not change them."""

import numpy as np
import pytest
from linear_oracles import best_mixture, mixture_objective
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from skcalib._kernels import _mixture
from skcalib._kernels._mixture import fit_mixture

# How far the general solver is from the maximum.
WEIGHT_TOLERANCE = 1e-5
OBJECTIVE_TOLERANCE = 1e-9  # per row

NONE = np.zeros(3)
PRIOR = np.array([0.1, 0.2, 0.5])
START = np.full(3, 1 / 3)


def shares_of(*arguments, **more):
    return fit_mixture(*arguments, **more).shares


def densities_of(seed, n, n_members, power=1.0):
    """Densities of true classes, of members which are each right about rows of their own."""
    rng = np.random.default_rng(seed)
    return rng.beta(1.5, 1.0, size=(n, n_members)) ** power


def test_members_that_exclude_each_other_share_by_counts():
    # Three rows only the first can have made, one only the second; half a row to each beforehand.
    densities = np.array([[0.7, 0.0], [0.2, 0.0], [0.9, 0.0], [0.0, 0.4]])
    found = shares_of(densities, None, np.array([0.5, 0.5]))
    np.testing.assert_allclose(found, [3.5 / 5, 1.5 / 5], rtol=1e-12)
    found = shares_of(densities, np.array([1.0, 1, 1, 9]), np.array([0.5, 0.5]))
    np.testing.assert_allclose(found, [3.5 / 13, 9.5 / 13], rtol=1e-12)


def test_two_members_and_two_rows_have_a_closed_form():
    # w^2 = share of the first: (2/3 w + 1/3 (1 - w)) (1/3 w + 2/3 (1 - w)) is largest at w = 1/2.
    densities = np.array([[2 / 3, 1 / 3], [1 / 3, 2 / 3]])
    found = shares_of(densities, None, np.zeros(2), start=np.array([0.9, 0.1]))
    np.testing.assert_allclose(found, [0.5, 0.5], atol=1e-10)


@pytest.mark.parametrize("rare", [0.3, 1e-3, 1e-5, 1e-8])
def test_a_rare_member_has_its_share_to_seven_digits(rare):
    # Rogan and Gladen 1978: a test that is right for 80 % of each kind of row is positive for
    # .8 w + .2 (1 - w) of them, and that w is the likeliest.
    densities, positive = np.array([[0.8, 0.2], [0.2, 0.8]]), 0.2 + 0.6 * rare
    weight = 1e5 * np.array([positive, 1 - positive])
    for start in ([0.5, 0.5], [1 - 1e-9, 1e-9]):
        found = fit_mixture(densities, weight, np.zeros(2), np.array(start))
        assert found.converged
        # .2 + .6 w is rounded.
        np.testing.assert_allclose(found.shares[0], rare, rtol=1e-8 + 1e-15 / rare)


def interior_maximum(densities, weight, pseudo_counts):
    """The maximum inside the simplex, by a trust-region Newton method in softmax coordinates."""
    counts = np.ones(len(densities)) if weight is None else weight
    total = counts.sum() + pseudo_counts.sum()

    def parts(theta):
        shares = softmax(theta)
        joint = shares * densities
        posterior = joint / joint.sum(axis=1, keepdims=True)
        return shares, posterior, counts @ posterior + pseudo_counts

    def value(theta):
        log_shares = log_softmax(theta)
        fit = counts @ np.log(densities @ np.exp(log_shares)) + pseudo_counts @ log_shares
        return -fit / total

    def slope(theta):
        shares, _, rows = parts(theta)
        return shares - rows / total

    def curvature(theta):
        shares, posterior, _ = parts(theta)
        of_rows = (posterior.T * counts) @ posterior - np.diag(counts @ posterior)
        return np.diag(shares) - np.outer(shares, shares) + of_rows / total

    found = minimize(
        value,
        np.zeros(densities.shape[1]),
        jac=slope,
        hess=curvature,
        method="trust-exact",
        options={"gtol": 1e-12},
    )
    return softmax(found.x)


@pytest.mark.parametrize("alike", [1.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_members", [2, 5, 20])
def test_every_share_is_that_of_the_maximum(n_members, weighted, alike):
    rng = np.random.default_rng(n_members)
    truth = 0.6 ** np.arange(n_members)
    y = rng.choice(n_members, 3000, p=truth / truth.sum())
    logits = alike * rng.standard_normal((3000, n_members))
    logits[np.arange(3000), y] += 2 * alike
    densities = softmax(2 * alike * logits, axis=1)
    weight = rng.gamma(2.0, size=3000) if weighted else None
    pseudo_counts = np.full(n_members, 0.1)
    found = fit_mixture(densities, weight, pseudo_counts)
    assert found.converged
    expected = interior_maximum(densities, weight, pseudo_counts)
    np.testing.assert_allclose(found.shares, expected, rtol=1e-6)


@pytest.mark.parametrize("pseudo_counts", [NONE, PRIOR], ids=["none", "prior"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [1, 8, 50, 1000])
def test_weights_are_those_of_a_general_solver(n, weighted, pseudo_counts):
    densities = densities_of(n, n, 3, power=2.0)
    weight = np.random.default_rng(n).gamma(2.0, size=n) if weighted else None
    found = shares_of(densities, weight, pseudo_counts, START)
    expected = best_mixture(densities, weight, pseudo_counts)
    total = n + pseudo_counts.sum() if weight is None else weight.sum() + pseudo_counts.sum()
    values = [
        mixture_objective(densities, weight, pseudo_counts, shares) / total
        for shares in (found, expected)
    ]
    assert values[0] >= values[1] - OBJECTIVE_TOLERANCE
    np.testing.assert_allclose(found, expected, atol=WEIGHT_TOLERANCE)


def assert_no_weight_can_be_moved_with_profit(densities, weight, pseudo_counts, found):
    """What makes a point the maximum of a concave function over the simplex."""
    counts = np.ones(len(densities)) if weight is None else weight
    total = counts.sum() + pseudo_counts.sum()
    shares = found.shares
    assert found.converged
    assert shares.sum() == pytest.approx(1, abs=1e-14)
    assert (shares >= 0).all()
    # The derivative by each weight is the sum of all counts, or below it at a weight of 0.
    slope = (counts / (densities @ shares)) @ densities / total
    excess = slope + pseudo_counts / total / np.maximum(shares, 1e-300) - 1
    assert excess.max() < 1e-8
    assert np.abs(shares * excess).max() < 1e-10


@pytest.mark.parametrize("pseudo_counts", [NONE, PRIOR], ids=["none", "prior"])
@pytest.mark.parametrize("seed", range(5))
def test_no_weight_can_be_moved_with_profit(seed, pseudo_counts):
    densities = densities_of(seed, 200, 3)
    found = fit_mixture(densities, None, pseudo_counts, START)
    assert_no_weight_can_be_moved_with_profit(densities, None, pseudo_counts, found)


@pytest.mark.parametrize("counted", [0.0, 0.5])
@pytest.mark.parametrize(
    ("n", "n_members", "power"),
    [(1, 20, 1), (2, 2, 20), (30, 60, 1), (30, 60, 20), (300, 100, 5), (2000, 10, 0.1)],
)
def test_however_many_members_and_rows_nothing_is_left_to_gain(n, n_members, power, counted):
    rng = np.random.default_rng(n + n_members)
    densities = rng.random((n, n_members)) ** power
    densities[rng.random((n, n_members)) < 0.3] = 0
    densities[~densities.any(axis=1), 0] = 1
    weight = rng.gamma(0.3, size=n)
    start = rng.dirichlet(np.full(n_members, 0.3)) * 0.99 + 0.01 / n_members
    pseudo_counts = np.full(n_members, counted)
    with np.errstate(all="raise"):
        found = fit_mixture(densities, weight, pseudo_counts, start)
    assert_no_weight_can_be_moved_with_profit(densities, weight, pseudo_counts, found)


@pytest.mark.parametrize("noise", [1e-5, 1e-9, 1e-13])
def test_members_that_are_all_but_the_same_are_told_apart_or_left(noise):
    rng = np.random.default_rng(0)
    densities = rng.random((50, 1)) * (1 + noise * rng.standard_normal((50, 8)))
    found = fit_mixture(densities, None, np.zeros(8), np.full(8, 1 / 8))
    assert_no_weight_can_be_moved_with_profit(densities, None, np.zeros(8), found)


def test_members_that_are_the_same_keep_their_proportion():
    densities = densities_of(8, 100, 3)[:, [0, 0, 1, 2]]
    found = shares_of(densities, None, np.zeros(4), np.array([0.3, 0.1, 0.3, 0.3]))
    merged = shares_of(densities[:, 1:], None, NONE, np.array([0.4, 0.3, 0.3]))
    np.testing.assert_allclose(found, np.r_[merged[0] * np.array([0.75, 0.25]), merged[1:]], 1e-5)


@pytest.mark.parametrize("counted", [0.0, 0.1])
def test_many_members_are_fitted_like_few(monkeypatch, counted):
    densities, weight = densities_of(9, 500, 40, power=5.0), np.linspace(0.1, 2, 500)
    arguments = densities, weight, np.full(40, counted), np.full(40, 1 / 40)
    few = fit_mixture(*arguments)
    monkeypatch.setattr(_mixture, "_FEW_MEMBERS", 1)
    many = fit_mixture(*arguments)
    assert_no_weight_can_be_moved_with_profit(*arguments[:3], many)
    np.testing.assert_allclose(many.shares, few.shares, rtol=1e-7, atol=1e-11)


def test_a_search_that_was_cut_short_says_so(monkeypatch):
    arguments = densities_of(10, 100, 3), None, PRIOR
    assert fit_mixture(*arguments).converged
    monkeypatch.setattr(_mixture, "_MAX_STEPS", 1)
    found = fit_mixture(*arguments)
    assert not found.converged
    np.testing.assert_allclose(found.shares.sum(), 1, rtol=1e-15)


def test_weights_are_repetitions():
    densities, times = densities_of(3, 60, 4), np.random.default_rng(0).integers(0, 4, 60)
    pseudo_counts = np.array([0.1, 0.2, 0.5, 0.1])
    weighted = shares_of(densities, times.astype(float), pseudo_counts)
    repeated = shares_of(np.repeat(densities, times, axis=0), None, pseudo_counts)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-10)


def test_without_rows_the_pseudo_counts_decide():
    np.testing.assert_allclose(shares_of(np.empty((0, 3)), None, PRIOR), PRIOR / 0.8, rtol=1e-15)


def test_a_member_that_is_better_in_every_row_takes_all():
    densities = densities_of(4, 100, 3)
    densities[:, 1] = densities.max(axis=1) + 0.1
    np.testing.assert_allclose(shares_of(densities, None, NONE, START), [0, 1, 0], atol=1e-6)
    # With pseudo-counts all but what the others began with, or a little less: their rows too are
    # better explained by the second.
    shares = shares_of(densities, None, PRIOR)
    assert (shares[[0, 2]] < PRIOR[[0, 2]] / 100 * 5).all()
    assert (shares > 0).all()


def test_a_weight_that_starts_at_zero_stays_there():
    shares = shares_of(densities_of(5, 100, 3), None, NONE, np.array([0.5, 0.5, 0.0]))
    assert shares[2] == 0
    expected = best_mixture(densities_of(5, 100, 3)[:, :2], None, np.zeros(2))
    np.testing.assert_allclose(shares[:2], expected, atol=WEIGHT_TOLERANCE)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_the_scale_of_a_row_does_not_matter(scale):
    densities = densities_of(6, 50, 3)
    scaled = densities.copy()
    scaled[::2] *= scale
    with np.errstate(all="raise"):
        found = shares_of(scaled, None, PRIOR)
    np.testing.assert_allclose(found, shares_of(densities, None, PRIOR), rtol=1e-9)


def test_a_member_that_rules_rows_out_keeps_little():
    densities = np.array([[0.1, 0.9]] * 90 + [[0.1, 1e-300]] * 10)
    with np.errstate(all="raise"):
        shares = shares_of(densities, None, np.array([0.1, 0.2]))
    # Ten rows belong to the first, and its part of ninety: (w / 10) / (w / 10 + .9 (1 - w)) each.
    w = shares[0]
    assert w == pytest.approx((10.1 + 90 * 0.1 * w / (0.1 * w + 0.9 * (1 - w))) / 100.3, abs=1e-6)


def test_nothing_passed_in_is_changed():
    densities, weight = densities_of(7, 20, 3), np.ones(20)
    pseudo_counts, start = PRIOR.copy(), START.copy()
    before = densities.copy()
    shares_of(densities, weight, pseudo_counts, start)
    assert np.array_equal(densities, before)
    assert np.array_equal(pseudo_counts, PRIOR)
    assert np.array_equal(start, START)
    assert (weight == 1).all()
