import numpy as np
import pytest
from adaptive_oracles import (
    arranged,
    penalised_loss,
    problem,
    row_curvature,
    row_loss,
    row_slope,
)
from kernel_oracles import log_beta
from scipy.optimize import approx_fprime, minimize

from skcalib._kernels import _adaptive, _shrinkage
from skcalib._kernels._adaptive import Rows, fit_adaptive, statistics_at
from skcalib._kernels._blocks import Logits
from skcalib._kernels._temperature import fit_temperature

# Beside so many rows of its prior the overdispersion is 1.
PRIOR_ALONE = 1e30

# The search ends when no row would move by more, in log T.
STEP = 1e-4


def fit(some, weight=None, groups=None, **options):
    """Fit a problem from the one temperature of all its rows."""
    w = np.ones(len(some.y)) if weight is None else weight
    start = fit_temperature(some.source, some.y, weight, 1.0).log_beta
    rows = Rows(some.source, some.y, w, groups)
    return fit_adaptive(rows, some.design, some.prior, start, **options)


def of_levels(some, theta):
    """log beta of each level as fitted."""
    share = np.bincount(some.level, minlength=len(some.u)) / len(some.level)
    centred = np.eye(len(some.u)) - share
    return theta[1] + centred @ theta[2:]


def variance_of_levels(some, covariances):
    share = np.bincount(some.level, minlength=len(some.u)) / len(some.level)
    phi = np.column_stack([np.ones(len(some.u)), np.eye(len(some.u)) - share])
    return np.max([np.einsum("lp,pq,lq->l", phi, C[1:, 1:], phi) for C in covariances], axis=0)


@pytest.mark.parametrize("clustered", [False, True])
def test_statistics_are_dense_sums_of_plain_derivatives(clustered):
    some = problem(0, 80, rule=0.2)
    rng = np.random.default_rng(1)
    theta, w = 0.4 * rng.standard_normal(6), rng.choice([0.5, 1.0, 3.0], 80)
    groups = rng.integers(0, 12, 80) if clustered else None
    found = statistics_at(Rows(some.source, some.y, w, groups), some.design, theta)
    u = some.phi @ theta
    g, v = row_slope(some.z, some.y, u), row_curvature(some.z, u)
    if clustered:
        member = np.eye(12)[groups]
        totals = member.T @ (some.phi * (w * g)[:, None])
        meat, squares = 12 / 11 * totals.T @ totals, ((member.T @ (w * g)) ** 2).sum()
    else:  # weights are repetitions: w of squares, not w^2
        meat = w.sum() / (w.sum() - 1) * some.phi.T @ np.diag(w * g**2) @ some.phi
        squares = w @ g**2
    expected = {
        "A": some.phi.T @ np.diag(w * v) @ some.phi,
        "b": some.phi.T @ (w * (v * u - g)),
        "meat": meat,
        "squares": squares,
        "curvature": w @ v,
        "weight": w.sum(),
        "loss": w @ row_loss(some.z, some.y, u),
        "features": some.phi.T @ w,
        "log_beta": w @ u,
    }
    assert set(expected) == set(found._fields)
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-6, atol=1e-7, err_msg=name)
    # (squares + 5) / (curvature + 5), at least 1
    c = max(1.0, (squares + 5) / (w @ v + 5))
    assert found.overdispersion == pytest.approx(c, rel=1e-6)


def test_statistics_add_up_and_fade():
    some = problem(0, 60)
    theta = np.array([0.0, -0.5, 0.1, 0.2, -0.3, 0.0])
    halves = []
    for half in (slice(0, 30), slice(30, 60)):
        part = arranged(some.z[half], some.y[half], some.level[half], some.u)
        part = part.design.__class__(some.design.raw[half], some.design.centring)
        rows = Rows(Logits(some.z[half]), some.y[half], np.ones(30), np.arange(30))
        halves.append(statistics_at(rows, part, theta))
    whole = statistics_at(Rows(some.source, some.y, np.ones(60), np.arange(60)), some.design, theta)
    both = halves[0].plus(halves[1].faded(0.5))
    twice = halves[1].faded(0.5).plus(halves[1].faded(0.5)).plus(halves[0])
    for name in whole._fields:
        first, second = (getattr(half, name) for half in halves)
        np.testing.assert_allclose(getattr(both, name), first + 0.5 * second, err_msg=name)
        if name != "meat":  # which has a correction for the number of rows
            np.testing.assert_allclose(
                getattr(twice, name), getattr(whole, name), rtol=1e-10, atol=1e-12, err_msg=name
            )


def test_slopes_of_past_rows_grow_as_beta_does():
    some = problem(0, 60)
    rows = Rows(some.source, some.y, np.ones(60), None)
    theta = np.array([0.0, -0.5, 0.1, 0.2, -0.3, 0.0])
    past = statistics_at(rows, some.design, theta)
    # log beta of every row larger by log 3: slopes 3, squares 9 times as large.
    moved = past.seen_at(theta + np.r_[0, np.log(3), np.zeros(4)])
    np.testing.assert_allclose(moved.meat, 9 * past.meat, rtol=1e-12)
    assert moved.squares == pytest.approx(9 * past.squares, rel=1e-12)
    assert moved.log_beta == pytest.approx(past.log_beta + 60 * np.log(3), rel=1e-12)
    for name in ("A", "b", "curvature", "weight", "loss", "features"):
        np.testing.assert_array_equal(getattr(moved, name), getattr(past, name))
    np.testing.assert_allclose(past.seen_at(theta).meat, past.meat, rtol=1e-12)


@pytest.mark.parametrize("spread", [0.1, 0.8])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_at_one_spread_the_fit_minimises_the_penalised_loss(monkeypatch, seed, spread):
    monkeypatch.setattr(_shrinkage, "SPREADS", np.array([spread]))
    monkeypatch.setattr(_adaptive, "_DISPERSION_ROWS", PRIOR_ALONE)
    some = problem(seed, 150, spread=0.8)
    found = fit(some)
    precision = np.r_[1.0, np.full(4, 1 / spread**2)]

    def objective(rest):
        return penalised_loss(some, np.r_[0, rest], np.r_[0, precision])

    expected = minimize(objective, np.zeros(5), method="BFGS", options={"gtol": 1e-4}).x
    moved = some.phi[:, 1:] @ (found.theta[1:] - expected)
    assert np.abs(moved).max() < 3 * STEP
    # A step of the search is the gradient over the information.
    gradient = approx_fprime(found.theta[1:], objective, 1e-6)
    information = some.phi[:, 1:].T @ np.diag(row_curvature(some.z, some.phi @ found.theta))
    step = np.linalg.solve(information @ some.phi[:, 1:] + np.diag(precision), gradient)
    assert np.abs(some.phi[:, 1:] @ step).max() < 2 * STEP
    assert found.overdispersion == 1


@pytest.mark.parametrize("seed", range(4))
def test_overdispersed_rows_count_less_in_the_penalised_loss(monkeypatch, seed):
    monkeypatch.setattr(_shrinkage, "SPREADS", np.array([0.4]))
    clean = problem(seed, 200, sharpness=3.0)
    y = clean.y.copy()
    y[::6] = (y[::6] + 2) % 5  # labels that are not the model's
    some = arranged(clean.z, y, clean.level, clean.u)
    found = fit(some)
    u = some.phi @ found.theta
    squares = (row_slope(some.z, y, u) ** 2).sum()
    c = (squares + 5) / (row_curvature(some.z, u).sum() + 5)
    assert c > 1.2
    assert found.overdispersion == pytest.approx(c, rel=1e-5)
    # The prior of the intercept is alpha / c.
    precision = np.r_[0, 1 / c, np.full(4, 1 / 0.4**2)]

    def objective(rest):
        return penalised_loss(some, np.r_[0, rest], precision, c=c)

    expected = minimize(objective, found.theta[1:] + 0.1, method="BFGS", options={"gtol": 1e-4}).x
    assert np.abs(some.phi[:, 1:] @ (found.theta[1:] - expected)).max() < 5 * STEP


def test_coefficients_are_those_the_evidence_says_of_the_sums_at_them():
    some = problem(5, 300)
    found = fit(some)
    A = some.phi.T @ np.diag(row_curvature(some.z, some.phi @ found.theta)) @ some.phi
    u = some.phi @ found.theta
    g, v = row_slope(some.z, some.y, u), row_curvature(some.z, u)
    b = some.phi.T @ (v * u - g)
    c = found.overdispersion
    # One ridge regression for each spread, weighed by its evidence.
    thetas, evidence = [], []
    for s in _shrinkage.SPREADS:
        precision = np.r_[1 / c, np.full(4, s**-2)]
        matrix = A[1:, 1:] / c + np.diag(precision)
        thetas.append(np.linalg.solve(matrix, b[1:] / c))
        log_det = np.linalg.slogdet(matrix)[1] - np.log(precision).sum()
        evidence.append(thetas[-1] @ b[1:] / c / 2 - log_det / 2 - s / 0.3)
    share = np.exp(evidence - np.max(evidence))
    share /= share.sum()
    step = share @ np.array(thetas) - found.theta[1:]
    assert np.abs(some.phi[:, 1:] @ step).max() < 1.1 * STEP
    np.testing.assert_allclose(
        found.spreads, [np.exp(share @ np.log(_shrinkage.SPREADS))], rtol=1e-5
    )


def test_a_single_level_is_one_temperature(monkeypatch):
    monkeypatch.setattr(_adaptive, "_DISPERSION_ROWS", PRIOR_ALONE)
    some = problem(0, 150, n_levels=1)
    found = fit(some)
    np.testing.assert_allclose(found.theta[[0, 2]], 0, atol=1e-12)
    assert found.theta[1] == pytest.approx(log_beta(some.z, some.y, alpha=1.0), abs=2 * STEP)


def test_contexts_that_carry_nothing_get_nearly_the_same_temperature():
    off = []
    for seed in range(10):
        some = problem(seed, 400, spread=0.0)
        off.append(np.ptp(of_levels(some, fit(some).theta)))
    # Fitted one by one, their standard errors are about .13 and their range twice that.
    assert np.mean(off) < 0.08


def test_contexts_that_differ_are_told_apart_and_few_rows_are_shrunk():
    some = problem(3, 4000, spread=0.8)
    assert np.abs(of_levels(some, fit(some).theta) - some.u).max() < 0.15
    few = problem(3, 24, spread=0.8)
    found = fit(few)
    one = found.theta[1]
    alone = []
    for level in range(4):
        here = few.level == level
        alone.append(fit_temperature(Logits(few.z[here]), few.y[here], None, 1e-6).log_beta)
    assert np.ptp(of_levels(few, found.theta)) < np.ptp(alone)
    assert np.abs(of_levels(few, found.theta) - one).max() < np.abs(alone - one).max()


@pytest.fixture(params=[None, 0.3])
def base(request):
    """A problem on a grid, so that shifts are exact; with and without a rule."""
    some = problem(7, 150, rule=request.param)
    z = np.round(some.z * 64) / 64
    said = None if request.param is None else some.u + request.param
    return arranged(z, some.y, some.level, some.u, said), said


def same(found, expected, tolerance=1e-8):
    np.testing.assert_allclose(found.theta, expected.theta, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(
        found.covariances, expected.covariances, rtol=tolerance, atol=tolerance
    )
    np.testing.assert_allclose(found.spreads, expected.spreads, rtol=tolerance)
    np.testing.assert_allclose(found.opinions, expected.opinions, rtol=tolerance, atol=tolerance)
    assert found.overdispersion == pytest.approx(expected.overdispersion, rel=tolerance)
    assert found.n_iter == expected.n_iter


def test_weights_are_repetitions(base):
    some, said = base
    times = np.random.default_rng(0).integers(1, 4, 150)
    once = arranged(some.z, some.y, some.level, some.u, said, weight=times)
    parts = (part.repeat(times, axis=0) for part in (some.z, some.y, some.level))
    repeated = arranged(*parts, some.u, said)
    same(fit(once, times.astype(float)), fit(repeated))


@pytest.mark.parametrize("change", ["rows", "classes", "shift", "Fortran", "float32"])
def test_neither_order_nor_classes_nor_shifts_nor_layout_matter(base, change):
    some, said = base
    rng = np.random.default_rng(0)
    order, classes = rng.permutation(150), rng.permutation(5)
    z, y, level = some.z, some.y, some.level
    if change == "rows":
        z, y, level = z[order], y[order], level[order]
    elif change == "classes":
        z, y = z[:, classes], np.argsort(classes)[y]
    elif change == "shift":
        z = z + 2.0 ** rng.integers(0, 12, (150, 1))
    elif change == "Fortran":
        z = np.asfortranarray(z)
    else:
        z = z.astype(np.float32)
    tolerance = 1e-4 if change == "float32" else 1e-8
    same(fit(arranged(z, y, level, some.u, said)), fit(some), tolerance)


def test_names_of_levels_do_not_matter(base):
    some, said = base
    new = np.array([2, 0, 3, 1])  # level i is now called new[i]
    u, rule = np.empty(4), None if said is None else np.empty(4)
    u[new] = some.u
    if rule is not None:
        rule[new] = said
    expected, found = fit(some), fit(arranged(some.z, some.y, new[some.level], u, rule))
    np.testing.assert_allclose(found.theta[2 + new], expected.theta[2:], rtol=1e-8)
    np.testing.assert_allclose(found.theta[:2], expected.theta[:2], rtol=1e-8)
    np.testing.assert_allclose(
        found.covariances[:, 2 + new, 2 + new], expected.covariances[:, 2:, 2:].diagonal(0, 1, 2)
    )


def test_masked_classes_are_as_if_they_were_not_there(base):
    some, said = base
    masked = np.insert(some.z, [0, 3], -np.inf, axis=1)
    y = np.array([1, 2, 3, 5, 6])[some.y]
    same(fit(arranged(masked, y, some.level, some.u, said)), fit(some))


def test_nothing_is_written_and_no_floating_point_error_escapes(base):
    some, _ = base
    before = some.z.copy(), some.y.copy(), some.design.raw.copy()
    start = np.zeros(6)
    with np.errstate(all="raise"):
        fit(some, start=start)
        fit(some, groups=np.arange(150) // 3)
    np.testing.assert_array_equal(some.z, before[0])
    np.testing.assert_array_equal(some.y, before[1])
    np.testing.assert_array_equal(some.design.raw.toarray(), before[2].toarray())
    np.testing.assert_array_equal(start, 0)


def test_covariances_are_symmetric_and_no_variance_is_negative(base):
    some, _ = base
    for groups in (None, np.arange(150) // 5):
        for C in fit(some, groups=groups).covariances:
            np.testing.assert_allclose(C, C.T, rtol=1e-9, atol=1e-12)
            assert np.linalg.eigvalsh(C).min() > -1e-10


@pytest.mark.parametrize("seed", range(5))
def test_good_rules_are_trusted_and_wrong_ones_dropped(seed):
    good = fit(problem(seed, 500, spread=0.8, rule=0.0))
    assert good.theta[0] > 0.9
    assert good.spreads[0] < 0.2  # what they leave is little
    true = problem(seed, 500, spread=0.8)
    said = true.u.mean() - 2 * (true.u - true.u.mean())  # the other way, and twice as far
    wrong = fit(arranged(true.z, true.y, true.level, true.u, said))
    assert wrong.theta[0] < 0.1
    assert np.abs(of_levels(true, fit(true).theta) - true.u).max() < 0.6


def test_rules_right_up_to_a_factor_keep_their_contrasts():
    some = problem(1, 500, spread=0.8, rule=1.0)  # each temperature too low by e
    found = fit(some)
    assert found.opinions[1] > 0.9
    assert np.abs(some.phi @ found.theta - some.u[some.level]).max() < 0.3


def test_without_a_rule_there_is_nothing_to_trust():
    found = fit(problem(0, 100))
    assert found.theta[0] == 0
    np.testing.assert_array_equal(found.opinions, [1])
    assert (found.covariances[:, 0] == 0).all()


def test_before_there_are_rows_to_speak_of_rules_are_served():
    # One row of weight 1e-9 moves no evidence: the opinions weigh the same, two of three trust.
    some = problem(0, 1, rule=0.0)
    found = fit(some, np.array([1e-9]))
    assert found.theta[0] == pytest.approx(2 / 3, rel=1e-6)
    np.testing.assert_allclose(found.opinions, 1 / 3, rtol=1e-6)


def test_rows_repeated_within_a_cluster_say_no_more_than_once():
    clean = problem(2, 600, sharpness=3.0, spread=0.6)
    y = clean.y.copy()
    y[::6] = (y[::6] + 2) % 5  # so that c is not held at 1
    once = arranged(clean.z, y, clean.level, clean.u)
    parts = (part.repeat(4, axis=0) for part in (once.z, once.y, once.level))
    four = arranged(*parts, once.u)
    # Both named: where clusters are, c is no less than at one temperature.
    groups = np.arange(600).repeat(4)
    alone, copies = fit(once, groups=np.arange(600)), fit(four, groups=groups)
    assert alone.overdispersion > 1.2
    # 4^2 of squares over 4 of curvature
    assert copies.overdispersion == pytest.approx(4 * alone.overdispersion, rel=0.02)
    # Rows of the prior, 5 of c's and 1 of the intercept's, are the difference.
    np.testing.assert_allclose(
        of_levels(four, copies.theta), of_levels(once, alone.theta), atol=0.01
    )
    variances = variance_of_levels(four, copies.covariances)
    np.testing.assert_allclose(variances, variance_of_levels(once, alone.covariances), rtol=0.03)
    # Unnamed, they would count four times.
    assert (variance_of_levels(four, fit(four).covariances) < 0.5 * variances).all()


def test_contexts_that_coincide_with_clusters_do_not_absorb_them():
    """One cluster for each level: slopes at one temperature count, not what fitted levels leave."""
    some = problem(4, 600, spread=1.0)
    named = fit(some, groups=some.level)
    slopes = row_slope(some.z, some.y, log_beta(some.z, some.y, alpha=1.0))
    squares = sum(slopes[some.level == level].sum() ** 2 for level in range(4))
    curvature = row_curvature(some.z, some.phi @ named.theta).sum()
    expected = (squares + 5) / (curvature + 5)
    assert named.overdispersion == pytest.approx(expected, rel=1e-4)
    assert named.overdispersion > 5
    assert fit(some).overdispersion < 2


@pytest.mark.parametrize("seed", range(5))
def test_sums_of_past_rows_stand_for_them(seed):
    some = problem(seed, 900)
    parts = [slice(0, 400), slice(400, 900)]
    past = None
    for part in parts:
        design = some.design.__class__(some.design.raw[part], some.design.centring)
        rows = Rows(Logits(some.z[part]), some.y[part], np.ones(len(some.y[part])), None)
        past = fit_adaptive(
            rows,
            design,
            some.prior,
            -0.5,
            past=None if past is None else past.statistics,
            start=None if past is None else past.theta,
        )
    at_once = fit(some)
    half_width = 1.96 * np.sqrt(variance_of_levels(some, at_once.covariances))
    away = np.abs(of_levels(some, past.theta) - of_levels(some, at_once.theta))
    assert (away < half_width / 4).all()
    np.testing.assert_allclose(
        variance_of_levels(some, past.covariances),
        variance_of_levels(some, at_once.covariances),
        rtol=0.2,
    )
    assert past.statistics.weight == 900


@pytest.mark.parametrize("log_temperature", [-20.0, -5.0, 5.0, 20.0])
def test_any_unit_of_scores_is_fitted(log_temperature):
    # e^20 = 5e8; the prior of one row pulls the intercept by 20 / information.
    plain, other = problem(0, 400, mean=0.0), problem(0, 400, mean=log_temperature)
    expected, found = fit(plain), fit(other)
    shift = of_levels(other, found.theta) - of_levels(plain, expected.theta)
    np.testing.assert_allclose(shift, -log_temperature, atol=0.1)


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("right", [True, False])
def test_a_handful_of_rows_is_fitted(n, right):
    some = problem(0, n, n_levels=3, rule=0.0)
    y = some.z.argmax(axis=1) if right else some.z.argmin(axis=1)
    found = fit(arranged(some.z, y, some.level, some.u))
    assert found.finite
    assert np.isfinite(found.covariances).all()
    assert np.abs(found.theta).max() < 5


def test_equal_scores_leave_the_prior():
    some = arranged(np.zeros((30, 4)), np.arange(30) % 4, np.arange(30) % 3, np.zeros(3))
    found = fit(some)
    np.testing.assert_array_equal(found.theta, 0)
    assert found.overdispersion == 1
    assert found.covariances[0, 1, 1] == pytest.approx(1, rel=1e-12)  # 1 / alpha


@pytest.mark.parametrize("bad", ["nan", "inf", "masked label", "all masked"])
def test_a_row_without_a_log_loss_is_told(bad):
    some = problem(0, 40)
    z = some.z.copy()
    z[7] = {"nan": np.nan, "inf": np.inf, "masked label": z[7], "all masked": -np.inf}[bad]
    if bad == "masked label":
        z[7, some.y[7]] = -np.inf
    rows = Rows(Logits(z), some.y, np.ones(40), None)
    assert not fit_adaptive(rows, some.design, some.prior, 0.0).finite


@pytest.mark.parametrize("scale", [1e100, 1e200, 1e300])
def test_scores_too_far_apart_are_told(scale):
    some = problem(0, 40)
    rows = Rows(Logits(scale * some.z), some.y, np.ones(40), None)
    found = fit_adaptive(rows, some.design, some.prior, -50.0)
    assert not found.finite


@pytest.mark.parametrize("scale", [1e-300, 1e-20, 1e9, 1e20])
def test_scores_of_other_scales_are_fitted(scale):
    some = problem(0, 300)
    found = fit(arranged(scale * some.z, some.y, some.level, some.u))
    assert found.finite
    assert np.isfinite(found.covariances).all()
    if scale > 1:  # the prior of one row pulls by log(scale) / information, 46 / 200
        expected = of_levels(some, fit(some).theta)
        back = of_levels(some, found.theta) + np.log(scale)
        np.testing.assert_allclose(back, expected, atol=0.4)


def settled(some, found):
    """How far the next step of the search would move some row, in log T."""
    u = some.phi @ found.theta
    g, v = row_slope(some.z, some.y, u), row_curvature(some.z, u)
    c = max(1.0, (g @ g + 5) / (v.sum() + 5))
    A, b = some.phi.T @ np.diag(v) @ some.phi, some.phi.T @ (v * u - g)
    step = _shrinkage.shrink(A / c, b / c, float(len(u)), c, some.prior).theta - found.theta
    return np.abs(some.phi @ step).max()


@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("spread", [0.0, 0.3, 1.0])
def test_the_search_ends_at_its_fixed_point(n_classes, spread):
    for seed in range(4):
        n = int(10 ** np.random.default_rng(seed).uniform(1.3, 2.7))
        some = problem(seed, n, n_classes, 4, spread, rule=0.5 if seed % 2 else None)
        assert settled(some, fit(some)) < 2 * STEP


@pytest.mark.parametrize(
    ("seed", "n", "n_classes", "n_levels", "spread"),
    [(2, 80, 10, 16, 1.0), (6, 300, 3, 17, 1.5), (2, 100, 10, 5, 2.0), (3, 700, 10, 17, 2.0)],
)
def test_contexts_that_differ_by_a_factor_of_three_and_more_are_found_too(
    seed, n, n_classes, n_levels, spread
):
    some = problem(seed, n, n_classes, n_levels, spread, sharpness=3.0)
    assert settled(some, fit(some)) < 0.01


def coverage(n, spread, n_fits):
    hits = []
    for seed in range(n_fits):
        some = problem(seed, n, n_classes=4, n_levels=4, spread=spread)
        found = fit(some)
        half_width = 1.96 * np.sqrt(variance_of_levels(some, found.covariances))
        hits.append(np.abs(of_levels(some, found.theta) - some.u) <= half_width)
    return np.mean(hits)


@pytest.mark.slow
@pytest.mark.parametrize("n", [120, 500])
def test_intervals_cover_the_temperature_of_contexts_in_90_of_100(n):
    assert coverage(n, spread=0.4, n_fits=40) >= 0.9
