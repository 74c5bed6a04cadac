import numpy as np
import pytest
from adaptive_oracles import problem, row_curvature, row_loss, row_slope
from scipy.optimize import minimize_scalar

from skcalib._kernels._blocks import Logits
from skcalib._kernels._online_temperature import update_temperature
from skcalib._kernels._temperature import LOG_BETA_BOUND, TemperatureFit, fit_temperature

NOTHING = TemperatureFit(0.0, np.inf, 0, np.nan, np.nan, 0.0, 0.0, 0.0, None)


def rows(seed, n, log_temperature=0.5, n_classes=5, sharpness=2.0):
    """Scores that one temperature makes true, and labels."""
    some = problem(seed, n, n_classes, 1, 0.0, log_temperature, sharpness=sharpness)
    return some.z, some.y


def fitted(z, y, weight=None, alpha=1.0, groups=None):
    return fit_temperature(Logits(z), y, weight, alpha, groups)


def updated(past, z, y, weight=None, alpha=1.0, **keep):
    return update_temperature(past, Logits(z), y, weight, alpha, **keep)


def minimum(past, z, y, weight=None, alpha=1.0, keep=1.0):
    """Of `keep` times the parabola of past rows, plus new rows, plus the prior, by a grid."""
    weight = np.ones(len(y)) if weight is None else weight
    # The past's rows and prior balance at its log_beta u0: firm (u0 - m) + alpha u0 = 0.
    pull = (past.curvature + alpha) * past.log_beta

    def objective(u):
        parabola = past.curvature * u**2 / 2 - pull * u
        return weight @ row_loss(z, y, u) + keep * parabola + alpha * u**2 / 2

    grid = np.linspace(-12, 12, 241)
    lowest = grid[np.argmin([objective(u) for u in grid])]
    bounds = lowest - 0.1, lowest + 0.1
    found = minimize_scalar(objective, bounds=bounds, method="bounded", options={"xatol": 1e-10})
    return found.x


def half_width(fit):
    return 1.96 * fit.standard_error


@pytest.mark.parametrize("seed", range(8))
def test_the_result_is_the_minimum_of_new_rows_and_parabola(seed):
    rng = np.random.default_rng(seed)
    n, m = int(10 ** rng.uniform(1, 3)), int(10 ** rng.uniform(0, 3))
    z, y = rows(seed, n + m, rng.uniform(-2, 2), int(rng.choice([2, 3, 20])), rng.uniform(0.5, 5))
    keep = float(rng.choice([1.0, 0.6]))
    past = fitted(z[:n], y[:n])
    now = updated(past, z[n:], y[n:], keep=keep)
    # 1e-6 is the tolerance of a step, the bounded search finds a minimum to its root.
    assert now.log_beta == pytest.approx(minimum(past, z[n:], y[n:], keep=keep), abs=2e-5)


def test_an_update_by_hand():
    # From nothing, d = +-2, 16 of 20 right: beta = log(4) / 2 but for the prior's 1e-3 at
    # alpha = 0. Fisher's information is 20 log(4)^2 .16 = 3.2 log(4)^2.
    z = np.array([[-1.0, 1.0]] * 20)
    y = np.array([1] * 16 + [0] * 4)
    now = updated(NOTHING, z, y, alpha=0.0)
    u = np.log(np.log(4) / 2)
    information = 3.2 * np.log(4) ** 2
    # The prior moves it by about alpha u / information.
    assert now.log_beta == pytest.approx(u - 1e-3 * u / (information + 1e-3), abs=1e-6)
    assert now.curvature == pytest.approx(information, rel=1e-3)
    assert now.squares == pytest.approx(information, rel=1e-3)
    # Sandwich: 20 / 19 squares over information squared.
    assert now.standard_error == pytest.approx(np.sqrt(20 / 19 / information), rel=1e-3)
    assert now.weight == 20
    # log(1 + e^-2) of the right, 2 more of the wrong
    assert now.loss_before == pytest.approx(np.log1p(np.exp(-2)) + 0.2 * 2, rel=1e-12)
    # .8 right at probability .8
    loss_after = -0.8 * np.log(0.8) - 0.2 * np.log(0.2)
    assert now.loss_after == pytest.approx(loss_after, rel=1e-6)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("n_first", [60, 300])
def test_two_batches_find_what_a_fit_of_all_rows_does(seed, n_first):
    z, y = rows(seed, 600, 0.8)
    past = fitted(z[:n_first], y[:n_first])
    now, all_rows = updated(past, z[n_first:], y[n_first:]), fitted(z, y)
    assert abs(now.log_beta - all_rows.log_beta) < half_width(all_rows) / 4
    assert now.standard_error == pytest.approx(all_rows.standard_error, rel=0.1)
    assert now.weight == all_rows.weight


@pytest.mark.parametrize("size", [1, 20, 150])
def test_any_batches_add_up_to_the_same_temperature(size):
    z, y = rows(3, 900, 0.8)
    at_once = fitted(z, y)
    now = fitted(z[:300], y[:300])
    for start in range(300, 900, size):
        now = updated(now, z[start : start + size], y[start : start + size])
    assert abs(now.log_beta - at_once.log_beta) < half_width(at_once) / 4
    assert now.curvature == pytest.approx(at_once.curvature, rel=0.1)
    assert now.standard_error == pytest.approx(at_once.standard_error, rel=0.1)
    assert now.weight == 900


def test_rows_on_a_true_parabola_add_exactly():
    # The same rows again: their minimum is the past's but for the prior, which halves.
    z, y = rows(0, 400)
    past = fitted(z, y, alpha=0.0)
    now = updated(past, z, y, alpha=0.0)
    assert now.log_beta == pytest.approx(past.log_beta, abs=1e-5)
    assert now.curvature == pytest.approx(2 * past.curvature, rel=1e-4)
    # small-sample corrections of 400 and of 800 rows are 400 / 399 and 800 / 799
    ratio = np.sqrt(800 / 799 * (400 / 399 + 1) / (4 * 400 / 399))
    assert now.standard_error == pytest.approx(ratio * past.standard_error, rel=1e-3)


def test_keeping_nothing_forgets():
    z, y = rows(1, 400, 1.0)
    old = fitted(*rows(2, 500, -1.0))
    now, alone = updated(old, z, y, keep=0.0), fitted(z, y)
    assert now.log_beta == pytest.approx(alone.log_beta, abs=1e-5)
    assert now.weight == 400
    # The information is taken without the residuals' part of the second derivative.
    assert now.standard_error == pytest.approx(alone.standard_error, rel=0.05)


@pytest.mark.parametrize("keep", [0.25, 1.0])
def test_what_is_kept_counts_by_its_share(keep):
    z, y = rows(1, 400, 1.0)
    past = fitted(*rows(2, 400, 1.0))
    now = updated(past, z, y, keep=keep)
    assert now.weight == keep * 400 + 400
    curvature = row_curvature(z, now.log_beta).sum()
    assert now.curvature == pytest.approx(keep * past.curvature + curvature, rel=1e-6)
    # Slopes grow with beta; those of the past are counted where beta is now.
    growth = np.exp(2 * (now.log_beta - past.log_beta))
    squares = (row_slope(z, y, now.log_beta) ** 2).sum()
    assert now.squares == pytest.approx(keep * growth * past.squares + squares, rel=1e-6)


def test_weights_are_repetitions_and_zero_is_absence():
    z, y = rows(4, 300)
    past = fitted(z[:200], y[:200])
    times = np.random.default_rng(0).integers(0, 4, 100)
    weighted = updated(past, z[200:], y[200:], times.astype(float))
    repeated = updated(past, z[200:].repeat(times, axis=0), y[200:].repeat(times))
    present = times > 0
    absent = updated(past, z[200:][present], y[200:][present], times[present].astype(float))
    for field in ("log_beta", "standard_error", "weight", "curvature", "squares", "loss_after"):
        value = getattr(weighted, field)
        assert value == pytest.approx(getattr(repeated, field), rel=1e-9), field
        assert value == pytest.approx(getattr(absent, field), rel=1e-12), field


def test_bad_rows_of_weight_zero_are_not_seen():
    z, y = rows(4, 300)
    past = fitted(z[:200], y[:200])
    bad, weight = z[200:].copy(), np.ones(100)
    bad[7], weight[7] = np.nan, 0
    keep = np.arange(100) != 7
    now = updated(past, bad, y[200:], weight)
    other = updated(past, z[200:][keep], y[200:][keep])
    assert now.log_beta == pytest.approx(other.log_beta, rel=1e-10)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_without_a_log_loss_is_told_by_the_losses(bad):
    z, y = rows(4, 300)
    past = fitted(z[:200], y[:200])
    z[250, y[250]] = bad
    assert past.finite
    assert not updated(past, z[200:], y[200:]).finite


def test_masked_classes_are_as_if_they_were_not_there():
    z, y = rows(5, 300, n_classes=3)
    masked, label = np.insert(z, [0, 2], -np.inf, axis=1), np.array([1, 2, 4])[y]
    past = fitted(z[:100], y[:100])
    with_masks, without = updated(past, masked, label), updated(past, z, y)
    np.testing.assert_allclose(with_masks[:2], without[:2], rtol=1e-10)


def test_neither_order_nor_classes_nor_shifts_matter_and_nothing_is_written():
    z, y = rows(6, 300)
    past = fitted(z[:200], y[:200])
    z, y = np.round(z[200:] * 16) / 16, y[200:]  # shifts are exact
    before = z.copy()
    now = updated(past, z, y)
    rng = np.random.default_rng(0)
    order, classes = rng.permutation(100), rng.permutation(5)
    for other in (
        updated(past, z[order], y[order]),
        updated(past, z[:, classes], np.argsort(classes)[y]),
        updated(past, z + 2.0 ** rng.integers(0, 9, (100, 1)), y),
    ):
        np.testing.assert_allclose(other[:2], now[:2], rtol=1e-9)
    np.testing.assert_array_equal(z, before)


def test_one_row_moves_the_temperature_as_far_as_it_weighs():
    z, y = rows(7, 1001)
    past = fitted(z[:1000], y[:1000])
    now = updated(past, z[1000:], y[1000:])
    # One step: - slope / (information of all rows and the prior); past and prior are at rest.
    slope = row_slope(z[1000:], y[1000:], past.log_beta)[0]
    firm = past.curvature + row_curvature(z[1000:], past.log_beta)[0] + 1
    assert now.log_beta - past.log_beta == pytest.approx(-slope / firm, rel=0.02)


@pytest.mark.parametrize("n", [1, 30])
def test_rows_without_a_mistake_sharpen_no_farther_than_the_prior_lets_them(n):
    z, y = rows(8, 200, 0.0)
    past = fitted(z, y)
    new = rows(9, n)[0]
    right = new.argmax(axis=1)
    now = updated(past, new, right)
    assert past.log_beta < now.log_beta < past.log_beta + 1
    assert now.log_beta == pytest.approx(minimum(past, new, right), abs=2e-5)
    assert np.isfinite(now.standard_error)


def test_without_a_prior_there_is_still_a_thousandth_of_one():
    z, y = rows(8, 60)
    past = fitted(z, y, alpha=0.0)
    right = z.argmax(axis=1)
    held = updated(past, z, right, alpha=1e-3)
    assert updated(past, z, right, alpha=0.0) == held
    assert held.log_beta < LOG_BETA_BOUND
    assert held.obstacle is None


def test_equal_scores_change_nothing_but_the_weight():
    past = fitted(*rows(0, 200))
    now = updated(past, np.full((20, 5), 3.0), np.arange(20) % 5)
    assert now.log_beta == pytest.approx(past.log_beta, abs=1e-12)
    assert now.curvature == pytest.approx(past.curvature, rel=1e-12)
    assert now.weight == 220
    assert now.loss_after == pytest.approx(np.log(5), rel=1e-12)


def test_where_all_has_faded_temperatures_go_back_to_one():
    past = fitted(*rows(0, 200, 2.0))
    now = updated(past, np.zeros((3, 5)), np.arange(3), keep=1e-12)
    assert now.log_beta == pytest.approx(0, abs=1e-6)
    assert now.standard_error == pytest.approx(1, rel=1e-6)  # the prior's own


@pytest.mark.parametrize("log_temperature", [-9.0, 9.0, 18.0])
def test_huge_and_tiny_temperatures_are_followed(log_temperature):
    z, y = rows(0, 400, log_temperature)
    past = fitted(z[:200], y[:200])
    now, all_rows = updated(past, z[200:], y[200:]), fitted(z, y)
    assert abs(now.log_beta - all_rows.log_beta) < half_width(all_rows) / 4


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e-3])
def test_scores_too_small_to_say_anything_leave_the_temperature(scale):
    z, y = rows(0, 400)
    past = fitted(z[:200], y[:200])
    with np.errstate(all="raise"):
        now = updated(past, scale * z[200:], y[200:])
    # Each row's slope is at most e^u times the range of its scores.
    most = scale * np.ptp(z[200:], axis=1).sum() * np.exp(past.log_beta) / past.curvature
    assert abs(now.log_beta - past.log_beta) <= 1.1 * most
    assert now.finite


@pytest.mark.parametrize("scale", [1e3, 1e12, 1e100, 1e300])
def test_scores_far_too_large_raise_the_temperature_and_stay_finite(scale):
    z, y = rows(0, 400)
    past = fitted(z[:200], y[:200])
    with np.errstate(all="raise"):
        now = updated(past, scale * z[200:], y[200:])
    assert now.finite
    assert -LOG_BETA_BOUND <= now.log_beta < past.log_beta
    before = row_loss(scale * z[200:], y[200:], past.log_beta).mean()
    assert now.loss_after < before / 10 if scale > 1e3 else now.loss_after < before


@pytest.mark.parametrize("seed", range(10))
def test_clusters_make_the_interval_wider_not_the_temperature_another(seed):
    z, y = rows(seed, 300)
    past = fitted(z[:200], y[:200])
    new, label = z[200:].repeat(5, axis=0), y[200:].repeat(5)
    alone = updated(past, new, label)
    clustered = updated(past, new, label, groups=np.arange(100).repeat(5))
    assert clustered.log_beta == alone.log_beta
    # Five alike: squares of sums are 5^2, of rows 5; and the correction of 100 clusters.
    slopes = row_slope(z[200:], y[200:], alone.log_beta)
    assert clustered.squares - alone.squares == pytest.approx(
        (25 * 100 / 99 - 5) * (slopes**2).sum(), rel=1e-6
    )
    assert clustered.standard_error > alone.standard_error


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_narrow_scores_agree_with_wide_ones(dtype):
    z, y = rows(0, 400)
    z = z.astype(dtype)
    past = fitted(z[:200], y[:200])
    wide = updated(past, z[200:].astype(np.float64), y[200:])
    assert updated(past, z[200:], y[200:]).log_beta == pytest.approx(wide.log_beta, abs=1e-5)


@pytest.mark.parametrize(
    ("log_temperature", "n_classes", "sharpness", "n_new"),
    [(1.0, 2, 5.0, 600), (-1.0, 2, 3.0, 40), (2.0, 20, 3.0, 40)],
)
def test_labels_that_contradict_the_scores_are_followed_too(
    log_temperature, n_classes, sharpness, n_new
):
    z, y = rows(0, 60 + n_new, log_temperature, n_classes, sharpness)
    past = fitted(z[:60], y[:60])
    new, least = z[60:], z[60:].argmin(axis=1)
    now = updated(past, new, least)
    assert now.log_beta == pytest.approx(minimum(past, new, least), abs=1e-3)


def test_mistakes_after_rows_without_one_are_found_from_the_far_end():
    z, y = rows(0, 300)
    past = fitted(z, z.argmax(axis=1), alpha=0.0)
    assert past.log_beta == LOG_BETA_BOUND  # no temperature is too low for those
    now, alone = updated(past, z, y, alpha=0.0), fitted(z, y, alpha=0.0)
    assert now.loss_after < alone.loss_after + 0.1
