"""Weights of a mixture: by hand, against a general solver, and what must not change them."""

import numpy as np
import pytest
from linear_oracles import best_mixture, mixture_objective

from skcalib._kernels._mixture import fit_mixture

# Steps change no weight by more than 1e-7 at the end, and shrink slowly where members are alike, or
# where a weight dies out: then it is off by up to this, and it matters little.
WEIGHT_TOLERANCE = 1e-3
OBJECTIVE_TOLERANCE = 1e-7  # per row

NONE = np.zeros(3)
PRIOR = np.array([0.1, 0.2, 0.5])
START = np.full(3, 1 / 3)


def densities_of(seed, n, n_members, power=1.0):
    """Densities of true classes, of members which are each right about rows of their own."""
    rng = np.random.default_rng(seed)
    return rng.beta(1.5, 1.0, size=(n, n_members)) ** power


def test_members_that_exclude_each_other_share_by_counts():
    # Three rows only the first can have made, one only the second; half a row to each beforehand.
    densities = np.array([[0.7, 0.0], [0.2, 0.0], [0.9, 0.0], [0.0, 0.4]])
    found = fit_mixture(densities, None, np.array([0.5, 0.5]))
    np.testing.assert_allclose(found, [3.5 / 5, 1.5 / 5], rtol=1e-12)
    found = fit_mixture(densities, np.array([1.0, 1, 1, 9]), np.array([0.5, 0.5]))
    np.testing.assert_allclose(found, [3.5 / 13, 9.5 / 13], rtol=1e-12)


def test_two_members_and_two_rows_have_a_closed_form():
    # w^2 = share of the first: (2/3 w + 1/3 (1 - w)) (1/3 w + 2/3 (1 - w)) is largest at w = 1/2.
    densities = np.array([[2 / 3, 1 / 3], [1 / 3, 2 / 3]])
    found = fit_mixture(densities, None, np.zeros(2), start=np.array([0.9, 0.1]))
    np.testing.assert_allclose(found, [0.5, 0.5], atol=1e-6)


@pytest.mark.parametrize("pseudo_counts", [NONE, PRIOR], ids=["none", "prior"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [1, 8, 50, 1000])
def test_weights_are_those_of_a_general_solver(n, weighted, pseudo_counts):
    densities = densities_of(n, n, 3, power=2.0)
    weight = np.random.default_rng(n).gamma(2.0, size=n) if weighted else None
    found = fit_mixture(densities, weight, pseudo_counts, START)
    expected = best_mixture(densities, weight, pseudo_counts)
    total = n + pseudo_counts.sum() if weight is None else weight.sum() + pseudo_counts.sum()
    values = [
        mixture_objective(densities, weight, pseudo_counts, shares) / total
        for shares in (found, expected)
    ]
    assert values[0] >= values[1] - OBJECTIVE_TOLERANCE
    np.testing.assert_allclose(found, expected, atol=WEIGHT_TOLERANCE)


@pytest.mark.parametrize("pseudo_counts", [NONE, PRIOR], ids=["none", "prior"])
@pytest.mark.parametrize("seed", range(5))
def test_no_weight_can_be_moved_with_profit(seed, pseudo_counts):
    densities = densities_of(seed, 200, 3)
    shares = fit_mixture(densities, None, pseudo_counts, START)
    assert shares.sum() == pytest.approx(1, abs=1e-14)
    assert (shares >= 0).all()
    # The derivative by each weight is n + sum(a) where it is positive, and not above it at 0.
    slope = (1 / (densities @ shares)) @ densities + pseudo_counts / np.maximum(shares, 1e-300)
    excess = slope / (200 + pseudo_counts.sum()) - 1
    assert excess.max() < WEIGHT_TOLERANCE
    assert np.abs(shares * excess).max() < 1e-6


def test_weights_are_repetitions():
    densities, times = densities_of(3, 60, 4), np.random.default_rng(0).integers(0, 4, 60)
    pseudo_counts = np.array([0.1, 0.2, 0.5, 0.1])
    weighted = fit_mixture(densities, times.astype(float), pseudo_counts)
    repeated = fit_mixture(np.repeat(densities, times, axis=0), None, pseudo_counts)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-10)


def test_without_rows_the_pseudo_counts_decide():
    np.testing.assert_allclose(fit_mixture(np.empty((0, 3)), None, PRIOR), PRIOR / 0.8, rtol=1e-15)


def test_a_member_that_is_better_in_every_row_takes_all():
    densities = densities_of(4, 100, 3)
    densities[:, 1] = densities.max(axis=1) + 0.1
    np.testing.assert_allclose(fit_mixture(densities, None, NONE, START), [0, 1, 0], atol=1e-6)
    # With pseudo-counts all but what the others began with, or a little less: their rows too are
    # better explained by the second.
    shares = fit_mixture(densities, None, PRIOR)
    assert (shares[[0, 2]] < PRIOR[[0, 2]] / 100 * 5).all()
    assert (shares > 0).all()


def test_a_weight_that_starts_at_zero_stays_there():
    shares = fit_mixture(densities_of(5, 100, 3), None, NONE, np.array([0.5, 0.5, 0.0]))
    assert shares[2] == 0
    expected = best_mixture(densities_of(5, 100, 3)[:, :2], None, np.zeros(2))
    np.testing.assert_allclose(shares[:2], expected, atol=WEIGHT_TOLERANCE)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_the_scale_of_a_row_does_not_matter(scale):
    densities = densities_of(6, 50, 3)
    scaled = densities.copy()
    scaled[::2] *= scale
    with np.errstate(all="raise"):
        found = fit_mixture(scaled, None, PRIOR)
    np.testing.assert_allclose(found, fit_mixture(densities, None, PRIOR), rtol=1e-9)


def test_a_member_that_rules_rows_out_keeps_little():
    densities = np.array([[0.1, 0.9]] * 90 + [[0.1, 1e-300]] * 10)
    with np.errstate(all="raise"):
        shares = fit_mixture(densities, None, np.array([0.1, 0.2]))
    # Ten rows belong to the first, and its part of ninety: (w / 10) / (w / 10 + .9 (1 - w)) each.
    w = shares[0]
    assert w == pytest.approx((10.1 + 90 * 0.1 * w / (0.1 * w + 0.9 * (1 - w))) / 100.3, abs=1e-6)


def test_nothing_passed_in_is_changed():
    densities, weight = densities_of(7, 20, 3), np.ones(20)
    pseudo_counts, start = PRIOR.copy(), START.copy()
    before = densities.copy()
    fit_mixture(densities, weight, pseudo_counts, start)
    assert np.array_equal(densities, before)
    assert np.array_equal(pseudo_counts, PRIOR)
    assert np.array_equal(start, START)
    assert (weight == 1).all()
