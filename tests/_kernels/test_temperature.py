import numpy as np
import pytest
from kernel_oracles import log_beta, mean_log_loss, random_problem

from skcalib._kernels._blocks import Logits
from skcalib._kernels._temperature import LOG_BETA_BOUND, fit_temperature


def relative_error(found, expected):
    """Of T, from logarithms."""
    return abs(np.expm1(found - expected))


@pytest.mark.parametrize(
    ("n", "n_classes", "temperature", "dtype", "tolerance"),
    [
        (300, 10, 2.5, np.float64, 1e-8),
        (300, 10, 2.5, np.float32, 1e-6),
        (200, 2, 0.1, np.float64, 1e-8),
        (50, 100, 1.0, np.float32, 1e-6),
        (20_000, 10, 1.5, np.float64, 1e-8),
        (20_000, 10, 1.5, np.float32, 1e-6),
        (1500, 1000, 1.5, np.float32, 1e-6),
        (200, 5000, 0.3, np.float32, 1e-6),
        (30_000, 3, 1e6, np.float64, 1e-8),
        (30_000, 3, 1e-6, np.float32, 1e-6),
    ],
)
def test_maximum_likelihood_agrees_with_a_reference(n, n_classes, temperature, dtype, tolerance):
    z, y = random_problem(n, n, n_classes, temperature, dtype)
    fit = fit_temperature(Logits(z), y, None, alpha=0.0)
    assert relative_error(fit.log_beta, log_beta(z, y)) < tolerance
    assert fit.loss_before == pytest.approx(mean_log_loss(z, y, None), rel=1e-6)
    assert fit.loss_after == pytest.approx(
        mean_log_loss(z, y, None, np.exp(-fit.log_beta)), rel=1e-6
    )


def test_three_hundred_random_fits_agree_with_a_reference():
    rng = np.random.default_rng(0)
    for seed in range(300):
        n, n_classes = int(rng.integers(5, 400)), int(rng.choice([2, 3, 10, 33, 60]))
        dtype = rng.choice([np.float32, np.float64])
        alpha = float(rng.choice([0.1, 1.0, 10.0]))
        z, y = random_problem(
            seed, n, n_classes, 10 ** rng.uniform(-1, 1), dtype, sharpness=rng.uniform(0.3, 6)
        )
        weight = rng.choice([0.0, 0.5, 1.0, 3.0], n) if seed % 2 else None
        if seed % 3 == 0:  # 30 % of the classes masked, never the label's
            mask = rng.random(z.shape) < 0.3
            mask[np.arange(n), y] = False
            z[mask] = -np.inf
        fit = fit_temperature(Logits(z), y, weight, alpha)
        objective = [
            n_rows * mean_log_loss(z, y, weight, np.exp(-u)) + alpha * u**2 / 2
            for n_rows in [n if weight is None else weight.sum()]
            for u in np.linspace(-6, 6, 49)
        ]
        found = (n if weight is None else weight.sum()) * fit.loss_after
        found += alpha * fit.log_beta**2 / 2
        # No worse than the best of a grid, and a stationary point to 1e-6.
        assert found <= min(objective) * (1 + 1e-9)
        slope = stationarity(z, y, weight, alpha, fit.log_beta)
        assert slope < 1e-6, (seed, n, n_classes, dtype)


def stationarity(z, y, weight, alpha, u):
    """Newton's step from u, in long double: how far the stationary point is."""
    z = np.asarray(z, dtype=np.longdouble)
    z = z - z.max(axis=1, keepdims=True)
    weight = np.ones(len(z)) if weight is None else weight
    beta = np.exp(np.longdouble(u))
    q = np.exp(beta * z)
    q /= q.sum(axis=1, keepdims=True)
    finite = np.where(np.isneginf(z), 0, z)
    mean = (q * finite).sum(axis=1)
    variance = (q * (finite - mean[:, None]) ** 2).sum(axis=1)
    slope = beta * (weight * (mean - finite[np.arange(len(z)), y])).sum()
    second = beta**2 * (weight * variance).sum() + slope + alpha
    return abs(float((slope + alpha * u) / second))


def test_of_two_minima_the_lower_is_found():
    # Scores far too small: T = 1 lies in one valley, the likelihood's maximum in another.
    rng = np.random.default_rng(0)
    n_two = 0
    for seed in range(100):
        n, temperature = int(rng.integers(8, 40)), 10 ** rng.uniform(-4, -1)
        z, y = random_problem(seed, n, 3, temperature, sharpness=5)
        grid = np.linspace(-1, 11, 481)
        values = np.array([len(y) * mean_log_loss(z, y, None, np.exp(-u)) for u in grid])
        values += grid**2 / 2
        inner = (values[1:-1] < values[:-2]) & (values[1:-1] < values[2:])
        n_two += inner.sum() > 1
        fit = fit_temperature(Logits(z), y, None, 1.0)
        assert len(y) * fit.loss_after + fit.log_beta**2 / 2 <= values.min() + 1e-9
    assert n_two >= 5  # the test met what it is for


def test_weights_are_repetitions():
    z, y = random_problem(0, 60, 4)
    times = np.random.default_rng(0).integers(0, 4, 60)
    weighted = fit_temperature(Logits(z), y, times.astype(float), 1.0)
    repeated = fit_temperature(Logits(z.repeat(times, axis=0)), y.repeat(times), None, 1.0)
    np.testing.assert_allclose(weighted[:2], repeated[:2], rtol=1e-10)
    np.testing.assert_allclose(weighted[3:5], repeated[3:5], rtol=1e-10)


def test_sorted_rows_are_no_trap_for_the_sample():
    z, y = random_problem(0, 400_000, 3, 3.0, np.float32)
    wrong_first = np.argsort(z.argmax(axis=1) == y, kind="stable")
    fits = [fit_temperature(Logits(z[o]), y[o], None, 0.0) for o in (slice(None), wrong_first)]
    assert relative_error(fits[0].log_beta, fits[1].log_beta) < 1e-7
    assert fits[1].n_iter < 15


@pytest.mark.parametrize(("flip", "bound"), [(False, LOG_BETA_BOUND), (True, -LOG_BETA_BOUND)])
@pytest.mark.parametrize("n", [50, 300_000])
def test_without_a_prior_perfect_and_inverted_scores_end_at_the_bounds(flip, bound, n):
    z = np.random.default_rng(0).standard_normal((n, 3)).astype(np.float32)
    y = z.argmin(axis=1) if flip else z.argmax(axis=1)
    fit = fit_temperature(Logits(z), y, None, 0.0)
    assert fit.obstacle == ("uninformative" if flip else "perfect")
    assert fit.log_beta == bound
    assert fit.standard_error > 10
    prior = fit_temperature(Logits(z), y, None, 1.0)
    assert prior.obstacle is None
    assert abs(prior.log_beta) < 20


def test_equal_scores_leave_the_temperature_at_one():
    z, y = np.full((20, 4), 7.0), np.arange(20) % 4
    fit = fit_temperature(Logits(z), y, None, 0.0)
    assert fit.obstacle == "constant"
    assert (fit.log_beta, fit.standard_error) == (0.0, np.inf)
    assert fit.loss_after == pytest.approx(np.log(4))
    # With a prior the interval is the prior's own.
    assert fit_temperature(Logits(z), y, None, 4.0).standard_error == pytest.approx(1 / 2)


def test_standard_error_by_hand():
    # d = +-2, 16 of 20 right, alpha = 0: beta = log(4) / 2 as p = sigmoid(beta d) = .8.
    # Score of a row: beta d (p - y) = +-log 4 (.2 or .8): sum of squares log(4)^2 (16 .04 + 4 .64)
    # Hessian: 20 log(4)^2 .16 = log(4)^2 3.2; sum of squares log(4)^2 3.2; n / (n - 1) = 20 / 19
    z = np.array([[-1.0, 1.0]] * 20)
    y = np.array([1] * 16 + [0] * 4)
    fit = fit_temperature(Logits(z), y, None, 0.0)
    assert fit.log_beta == pytest.approx(np.log(np.log(4) / 2), rel=1e-12)
    expected = np.sqrt(20 / 19 / (np.log(4) ** 2 * 3.2))
    assert fit.standard_error == pytest.approx(expected, rel=1e-6)


class CountingLogits(Logits):
    """Notes how many rows were read."""

    n_read = 0

    def read(self, rows, buffer):
        CountingLogits.n_read += rows.stop - rows.start
        return super().read(rows, buffer)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_groups_cost_one_more_pass_and_change_the_standard_error_alone(alpha):
    z, y = random_problem(0, 500, 3, 2.0)
    source = CountingLogits(z)
    CountingLogits.n_read = 0
    plain = fit_temperature(source, y, None, alpha)
    n_read, CountingLogits.n_read = CountingLogits.n_read, 0
    clustered = fit_temperature(source, y, None, alpha, np.arange(500) // 50)
    assert CountingLogits.n_read == n_read + 500
    # The squared slopes are what the standard error is made of.
    same_error = {"standard_error": plain.standard_error, "squares": plain.squares}
    assert clustered._replace(**same_error) == plain


@pytest.mark.slow
@pytest.mark.parametrize("n", [200, 1000])
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_interval_covers_the_temperature_in_95_of_100(n, temperature):
    hits = 0
    for seed in range(1000):
        z, y = random_problem(seed, n, 5, temperature)
        fit = fit_temperature(Logits(z), y, None, 1.0)
        hits += abs(fit.log_beta + np.log(temperature)) <= 1.96 * fit.standard_error
    assert 930 <= hits <= 970  # within three standard errors, 7 each, of .95


@pytest.mark.parametrize(("n", "scale"), [(199, 1e-4), (300, 1e-4), (4000, 1e-6), (200_000, 1e-6)])
def test_scores_far_too_small_do_not_leave_the_prior_in_charge(n, scale):
    z, y = random_problem(0, n, 3, 0.7)
    fit = fit_temperature(Logits(z * scale), y, None, 1.0)
    # log T = log(.7 scale), pulled towards 0 by less than half of itself.
    assert -fit.log_beta < np.log(0.7 * scale) / 2
    assert fit.loss_after < fit.loss_before - 0.2


@pytest.mark.parametrize("offset", [0, 8, 20, 40, 10_000])
def test_float32_scores_close_together_and_far_from_zero_keep_their_digits(offset):
    rng = np.random.default_rng(0)
    z = rng.integers(-64, 64, (4000, 100)) / 256  # adding the offset is exact
    y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    fit = fit_temperature(Logits((z + offset).astype(np.float32)), y, None, 0.0)
    assert relative_error(fit.log_beta, log_beta(z, y)) < 1e-6


@pytest.mark.parametrize("gap", [16, 24])
def test_float32_scores_of_confident_rows_keep_their_digits(gap):
    rng = np.random.default_rng(0)
    z, y = rng.standard_normal((12_121, 33)), rng.integers(0, 33, 12_121)
    z[np.arange(len(z)), y] += gap
    y[:2] = (y[:2] + 1) % 33  # two mistakes
    z = z.astype(np.float32)
    fit = fit_temperature(Logits(z), y, None, 0.0)
    assert relative_error(fit.log_beta, log_beta(z, y)) < 1e-6
