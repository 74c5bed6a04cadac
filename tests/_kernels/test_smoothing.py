import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

from skcalib._kernels._smoothing import fit_smoothing, offset_of, smoothing_of


def forest_like(seed, n, n_classes, n_trees):
    """Vote shares with exact zeros, and labels that the shares overstate."""
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet(np.full(n_classes, 0.4), size=n)
    votes = np.array([rng.multinomial(n_trees, p) for p in truth])
    y = np.array([rng.choice(n_classes, p=p) for p in truth])
    return votes / n_trees, y


def expected_s(p, weight):
    """log(K d) + 2 in [-6, 0], d the value at which sorted smallest shares reach a quarter."""
    smallest = [min(share for share in row if share > 0) for row in p.tolist()]
    reached, total = 0.0, sum(weight)
    for d, w in sorted(zip(smallest, weight, strict=True)):
        reached += w
        if reached >= total / 4:
            return min(max(np.log(p.shape[1] * d) + 2, -6), 0)


def objective(x, p, y, weight, alpha, m=None):
    """J(u, s) as the module's docstring has it, written out plainly."""
    u, s = x
    m = expected_s(p, weight) if m is None else m
    z = np.exp(u) * np.log(p + np.exp(s) / p.shape[1])
    loss = logsumexp(z, axis=1) - z[np.arange(len(y)), y]
    return (weight * loss).sum() + alpha * u**2 / 2 + (s - m) ** 2 / 8


@pytest.mark.parametrize("n_classes", [2, 5, 40])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_the_joint_minimum_is_that_of_a_search_without_derivatives(n_classes, alpha):
    p, y = forest_like(n_classes, 150, n_classes, 10)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    fit, offset = fit_smoothing(p, y, weight, alpha, is_log=False)
    slow = minimize(
        objective,
        [0, -3],
        (p, y, weight, alpha),
        "Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 0},
    )
    found = np.array([fit.log_beta, np.log(offset * n_classes)])
    assert objective(found, p, y, weight, alpha) <= slow.fun + 1e-9
    np.testing.assert_allclose(found, slow.x, atol=1e-6)


def test_the_standard_error_is_that_of_numerical_derivatives():
    p, y = forest_like(0, 80, 4, 20)
    one, alpha = np.ones(len(y)), 1.0
    fit, offset = fit_smoothing(p, y, None, alpha, is_log=False)
    at = np.array([fit.log_beta, np.log(offset * 4)])
    step = 1e-4 * np.eye(2)
    hessian = [
        [
            sum(
                a * b * objective(at + a * step[i] + b * step[j], p, y, one, alpha)
                for a in (1, -1)
                for b in (1, -1)
            )
            / 4e-8
            for j in (0, 1)
        ]
        for i in (0, 1)
    ]
    scores = np.array(
        [
            [
                sum(
                    a * objective(at + a * step[i], p[[row]], y[[row]], one[[row]], 0.0, m=0)
                    - a * (at + a * step[i])[1] ** 2 / 8
                    for a in (1, -1)
                )
                / 2e-4
                for i in (0, 1)
            ]
            for row in range(len(y))
        ]
    )
    inverse = np.linalg.inv(hessian)
    meat = 80 / 79 * scores.T @ scores + np.diag([alpha, 1 / 4])
    variance = max((inverse @ meat @ inverse)[0, 0], inverse[0, 0])
    assert fit.standard_error == pytest.approx(np.sqrt(variance), rel=1e-4)


def test_coarse_votes_are_smoothed_more_than_fine_ones():
    coarse, fine = (forest_like(0, 40, 4, n_trees) for n_trees in (5, 500))
    offsets = [fit_smoothing(p, y, None, 1.0, is_log=False).offset for p, y in (coarse, fine)]
    assert offsets[0] > 2 * offsets[1]


def test_log_probabilities_give_the_fit_of_probabilities():
    p, y = forest_like(1, 100, 3, 10)
    with np.errstate(divide="ignore"):
        log_p = np.log(p)
    of_p = fit_smoothing(p, y, None, 1.0, is_log=False)
    of_log = fit_smoothing(log_p, y, None, 1.0, is_log=True)
    assert of_log.offset == pytest.approx(of_p.offset, rel=1e-9)
    assert of_log.temperature.log_beta == pytest.approx(of_p.temperature.log_beta, rel=1e-9)


def test_weights_are_repetitions():
    p, y = forest_like(2, 60, 3, 10)
    times = np.random.default_rng(0).integers(0, 4, 60)
    weighted = fit_smoothing(p, y, times.astype(float), 1.0, is_log=False)
    repeated = fit_smoothing(p.repeat(times, axis=0), y.repeat(times), None, 1.0, is_log=False)
    assert weighted.offset == pytest.approx(repeated.offset, rel=1e-10)
    assert weighted.temperature.log_beta == pytest.approx(repeated.temperature.log_beta, rel=1e-10)


def test_one_zero_more_moves_the_fit_a_little():
    p, y = forest_like(3, 200, 4, 50)
    p = np.clip(p, 1e-9, None)
    with_zero = p.copy()
    with_zero[0, (y[0] + 1) % 4] = 0
    fits = [fit_smoothing(values, y, None, 1.0, is_log=False) for values in (p, with_zero)]
    assert fits[0].temperature.log_beta == pytest.approx(fits[1].temperature.log_beta, abs=1e-3)


@pytest.mark.parametrize(
    ("p", "obstacle"), [(np.eye(3), "perfect"), (np.full((3, 3), 1 / 3), "constant")]
)
def test_without_a_prior_perfect_or_constant_probabilities_determine_nothing(p, obstacle):
    y = np.arange(30) % 3
    fit, offset = fit_smoothing(p[y], y, None, 0.0, is_log=False)
    assert fit.obstacle == obstacle
    assert fit.standard_error > 5
    assert np.isfinite([fit.log_beta, offset]).all()
    assert fit_smoothing(p[y], y, None, 1.0, is_log=False).temperature.obstacle is None


def test_a_bad_row_is_reported():
    p, y = forest_like(4, 20, 3, 10)
    p[3, 1] = np.nan
    assert not fit_smoothing(p, y, None, 1.0, is_log=False).temperature.finite


def test_a_share_of_uniform_and_an_offset_are_the_same_mixture():
    p = np.array([0.0, 0.2, 0.8])
    share = 0.3
    offset = offset_of(share, 3)
    np.testing.assert_allclose(
        (p + offset) / (p + offset).sum(), (1 - share) * p + share / 3, rtol=1e-15
    )
    assert smoothing_of(offset, 3) == pytest.approx(share, rel=1e-15)
