import numpy as np
import pytest
from adaptive_oracles import SPREAD_SCALE, SPREADS, intercept_and_level, intercept_evidence

from skcalib._kernels import _shrinkage
from skcalib._kernels._design import Prior
from skcalib._kernels._shrinkage import loose_precision, shrink


def prior_of(*blocks, unit=1.0, alpha=1.0, has_rule=False):
    block = np.array(blocks, dtype=np.intp)
    return Prior(block, np.full(len(block), float(unit)), alpha, has_rule)


def psd(seed, p):
    """A matrix and a vector that some rows may have."""
    rng = np.random.default_rng(seed)
    phi = rng.standard_normal((3 * p, p))
    return phi.T @ phi, phi.T @ rng.standard_normal(3 * p)


def test_an_intercept_alone_is_shrunk_by_its_precision():
    # 12 of curvature, slope 6, precision 4 / 2 of the prior: 6 / 14, variance 1 / 14
    A, b = np.array([[5.0, 3.0], [3.0, 12.0]]), np.array([9.0, 6.0])
    found = shrink(A, b, 100.0, 2.0, prior_of(alpha=4.0))
    np.testing.assert_allclose(found.theta, [0, 6 / 14], rtol=1e-14)
    np.testing.assert_allclose(found.covariance, [[0, 0], [0, 1 / 14]], rtol=1e-14)
    assert len(found.spreads) == 0
    np.testing.assert_allclose(found.opinions, [1])


@pytest.mark.parametrize(
    ("curvature", "slope", "unit"), [(3.0, 0.5, 1.0), (40.0, 12.0, 1.0), (40.0, 12.0, 3.0)]
)
def test_one_coefficient_averaged_over_its_spread_agrees_with_integrals(curvature, slope, unit):
    A = np.array([[20.0, 2.0], [2.0, curvature]])
    b = np.array([5.0, slope])
    theta, covariance, share = intercept_and_level(A, b, lambda s: np.array([2.0, unit / s**2]))
    found = shrink(
        np.pad(A, (1, 0)), np.pad(b, (1, 0)), 100.0, 1.5, prior_of(0, unit=unit, alpha=3.0)
    )
    np.testing.assert_allclose(found.theta[1:], theta, rtol=1e-6)
    np.testing.assert_allclose(found.covariance[1:, 1:], covariance, rtol=1e-6, atol=1e-10)
    np.testing.assert_allclose(
        found.spreads, [np.exp(share / share.sum() @ np.log(SPREADS))], rtol=1e-6
    )


def test_without_rows_a_coefficient_has_its_prior():
    found = shrink(np.zeros((3, 3)), np.zeros(3), 1.0, 1.0, prior_of(0, alpha=4.0))
    share = np.exp(-np.array(SPREADS) / SPREAD_SCALE)
    share /= share.sum()
    np.testing.assert_array_equal(found.theta, 0)
    # A mixture of N(0, s^2); of the intercept 1 / 4.
    np.testing.assert_allclose(
        found.covariance, np.diag([0, 1 / 4, share @ np.square(SPREADS)]), rtol=1e-13
    )
    np.testing.assert_allclose(found.spreads, [np.exp(share @ np.log(SPREADS))], rtol=1e-13)


@pytest.mark.parametrize("n_rows", [3.0, 60.0, 1e6])
def test_opinions_of_a_rule_are_weighed_by_their_evidence(n_rows):
    A = np.array([[3.0, 2.0], [2.0, 5.0]])
    b = np.array([2.5, 1.0])
    alpha, c = 2.0, 1.25
    found = shrink(A, b, n_rows, c, prior_of(alpha=alpha, has_rule=True))
    evidence, thetas, covariances = [], [], []
    # As it is (precision 400 of the intercept), up to a factor, of no use.
    for trust, precision in [(1, 400), (1, 1), (0, 1)]:
        # -loss at (trust, t): trust b0 - trust^2 A00 / 2 + (b1 - trust A01) t - A11 t^2 / 2
        zero, mean, variance = intercept_evidence(5.0, 1.0 - trust * 2.0, precision * alpha / c)
        evidence.append(np.log(zero) + trust * 2.5 - trust**2 * 3.0 / 2)
        thetas.append([trust, mean])
        covariances.append(np.diag([0, variance]))
    evidence = np.array(evidence) / (1 + 60 / n_rows)
    share = np.exp(evidence) / np.exp(evidence).sum()
    mean = share @ np.array(thetas)
    away = np.array(thetas) - mean
    covariance = np.einsum("m,mij->ij", share, covariances) + away.T @ np.diag(share) @ away
    np.testing.assert_allclose(found.opinions, share, rtol=1e-9)
    np.testing.assert_allclose(found.theta, mean, rtol=1e-9)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-9)


def test_of_sixty_rows_evidence_counts_half():
    A, b = psd(0, 2)
    of = [np.log(shrink(A, b, n, 1.0, prior_of(has_rule=True)).opinions) for n in (60.0, 1e12)]
    half, full = (logs[1:] - logs[0] for logs in of)
    np.testing.assert_allclose(half, full / 2, rtol=1e-9)


@pytest.mark.parametrize(("curvature", "size", "spread"), [(1e5, 1.5, 0.8), (1e6, 0.0, 0.02)])
def test_many_rows_decide_how_far_contexts_differ(curvature, size, spread):
    L = 30
    A = np.diag(np.r_[0, 100.0, np.full(L, curvature)])
    b = A @ np.r_[0, 0, size * np.random.default_rng(0).choice([-1.0, 1.0], L)]
    found = shrink(A, b, 1e4, 1.0, prior_of(*[0] * L))
    np.testing.assert_allclose(found.spreads, [spread], rtol=1e-3)


def test_blocks_that_do_not_touch_have_the_spreads_each_has_alone():
    A = np.diag([0, 50.0, 20.0, 30.0, 200.0, 5.0])
    b = A @ np.array([0, 0.2, 0.6, -0.7, 0.05, -0.02])
    both = shrink(A, b, 100.0, 1.0, prior_of(0, 0, 1, 1))
    for k, kept in enumerate([[0, 1, 2, 3], [0, 1, 4, 5]]):
        alone = shrink(A[np.ix_(kept, kept)], b[kept], 100.0, 1.0, prior_of(0, 0))
        np.testing.assert_allclose(both.spreads[k], alone.spreads[0], rtol=1e-10)


@pytest.mark.parametrize("has_rule", [False, True])
def test_the_order_of_coefficients_and_of_blocks_does_not_matter(has_rule):
    A, b = psd(1, 7)
    first = shrink(A, b, 40.0, 1.2, prior_of(0, 0, 0, 1, 1, has_rule=has_rule))
    order = np.array([0, 1, 6, 5, 3, 2, 4])
    second = shrink(
        A[np.ix_(order, order)], b[order], 40.0, 1.2, prior_of(0, 0, 1, 1, 1, has_rule=has_rule)
    )
    np.testing.assert_allclose(second.theta, first.theta[order], rtol=1e-10)
    np.testing.assert_allclose(
        second.covariance, first.covariance[np.ix_(order, order)], rtol=1e-9, atol=1e-13
    )
    np.testing.assert_allclose(second.spreads, first.spreads[::-1], rtol=1e-10)
    np.testing.assert_allclose(second.opinions, first.opinions, rtol=1e-10)


@pytest.mark.parametrize("blocks", [(), (0,) * 6, (0, 0, 1, 1, 2, 2)])
@pytest.mark.parametrize("has_rule", [False, True])
def test_covariances_are_symmetric_and_positive_semidefinite(blocks, has_rule):
    A, b = psd(2, 2 + len(blocks))
    before = A.copy(), b.copy()
    prior = prior_of(*blocks, has_rule=has_rule)
    with np.errstate(all="raise", under="ignore"):
        found = shrink(A, b, 30.0, 1.0, prior)
    np.testing.assert_allclose(found.covariance, found.covariance.T, rtol=1e-10, atol=1e-14)
    assert np.linalg.eigvalsh(found.covariance).min() > -1e-12
    assert found.opinions.sum() == pytest.approx(1, rel=1e-12)
    assert (found.spreads >= SPREADS[0]).all()
    assert (found.spreads <= SPREADS[-1]).all()
    np.testing.assert_array_equal(A, before[0])
    np.testing.assert_array_equal(b, before[1])


def test_at_one_spread_coefficients_are_those_of_ridge_regression(monkeypatch):
    monkeypatch.setattr(_shrinkage, "SPREADS", np.array([0.4]))
    A, b = psd(3, 6)
    found = shrink(A, b, 30.0, 2.0, prior_of(0, 0, 1, 1, unit=3.0, alpha=5.0))
    # alpha / c; 3 / .4^2
    inverse = np.linalg.inv(A[1:, 1:] + np.diag([5 / 2, *[3 / 0.16] * 4]))
    np.testing.assert_allclose(found.theta, np.r_[0, inverse @ b[1:]], rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(found.covariance[1:, 1:], inverse, rtol=1e-10, atol=1e-14)


def test_the_grid_is_the_documented_one():
    np.testing.assert_array_equal(_shrinkage.SPREADS, SPREADS)
    # Precision at the largest spread: alpha / c, then unit / .8^2.
    np.testing.assert_allclose(
        loose_precision(prior_of(0, 1, unit=2.0, alpha=3.0), 1.5), [2, 3.125, 3.125], rtol=1e-14
    )
