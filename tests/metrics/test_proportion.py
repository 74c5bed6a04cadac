import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm

from skcalib.metrics._proportion import exact_interval, two_sided_quantile, wilson_interval

LEVELS = [0.5, 0.9, 0.95, 0.999]
COUNTS = [(k, n) for n in (1, 2, 3, 20, 157, 4000) for k in sorted({0, 1, n // 3, n - 1, n})]
INTERVALS = {
    "wilson": lambda k, n, level: wilson_interval(np.asarray(k / n), np.asarray(n), level),
    "exact": lambda k, n, level: exact_interval(np.asarray(k), np.asarray(n), level),
}
every_interval = pytest.mark.parametrize("interval", INTERVALS.values(), ids=INTERVALS)


@pytest.mark.parametrize("method", INTERVALS)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("k", "n"), COUNTS)
def test_the_ends_are_scipys(method, level, k, n):
    expected = binomtest(k, n).proportion_ci(level, method=method)
    np.testing.assert_allclose(INTERVALS[method](float(k), float(n), level), expected, atol=1e-12)


@pytest.mark.parametrize(("k", "n"), [(k, n) for k, n in COUNTS if 0 < k < n])
def test_an_end_of_wilsons_is_z_deviations_of_its_own_away(k, n):
    for end in INTERVALS["wilson"](k, n, 0.9):
        assert abs(k / n - end) == pytest.approx(1.6448536269514722 * (end * (1 - end) / n) ** 0.5)


def test_without_an_event_the_exact_upper_end_is_known():
    # (1 - q)**n = .025
    lower, upper = exact_interval(np.array([0.0, 10.0]), np.array([10.0, 10.0]), 0.95)
    np.testing.assert_array_equal([lower[0], upper[1]], [0, 1])
    np.testing.assert_allclose([upper[0], 1 - lower[1]], 1 - 0.025**0.1, rtol=1e-13)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("n", [5, 40, 400])
def test_the_exact_interval_covers_at_least_its_level_however_rare_the_event(n, level):
    k = np.arange(n + 1.0)
    lower, upper = exact_interval(k, np.full(n + 1, float(n)), level)
    for frequency in [*np.geomspace(1e-7, 0.5, 60), *(1 - np.geomspace(1e-7, 0.5, 60))]:
        chance = binom.pmf(k, n, frequency)
        missed = chance[(frequency < lower) | (frequency > upper)].sum()
        assert missed <= 1 - level + 1e-12
        # Neither side misses by more than half of what is allowed.
        assert chance[frequency < lower].sum() <= (1 - level) / 2 + 1e-12
        assert chance[frequency > upper].sum() <= (1 - level) / 2 + 1e-12


@every_interval
def test_intervals_stay_between_0_and_1_and_hold_the_frequency(interval):
    rng = np.random.default_rng(0)
    n = 10 ** rng.uniform(-3, 9, 5000)
    frequency = np.concatenate(
        [
            rng.random(3000),
            10 ** -rng.uniform(0, 300, 1000),
            1 - 10 ** -rng.uniform(0, 17, 1000),
        ]
    )
    lower, upper = interval(frequency * n, n, 0.95)
    frequency = frequency * n / n
    assert (lower >= 0).all()
    assert (upper <= 1).all()
    assert (lower <= frequency).all()
    assert (frequency <= upper).all()


@every_interval
def test_a_higher_level_holds_a_lower_one(interval):
    rng = np.random.default_rng(0)
    n = rng.integers(1, 500, 300).astype(float)
    k = np.floor(rng.random(300) * (n + 1))
    before = np.stack([k / n, k / n])
    for level in (1e-3, 0.5, 0.9, 0.99, 1 - 1e-9):
        lower, upper = interval(k, n, level)
        assert (lower <= before[0] + 1e-15).all()
        assert (before[1] <= upper + 1e-15).all()
        before = np.stack([lower, upper])


@every_interval
def test_events_and_their_absence_mirror_each_other(interval):
    k, n = np.arange(31.0), np.full(31, 30.0)
    lower, upper = interval(k, n, 0.9)
    mirrored = interval(n - k, n, 0.9)
    np.testing.assert_allclose([1 - upper, 1 - lower], mirrored, rtol=0, atol=1e-14)


@every_interval
@pytest.mark.parametrize("level", [5e-324, 1e-17, np.nextafter(1, 0)])
def test_any_level_between_0_and_1_will_do(interval, level):
    with np.errstate(all="raise"):
        lower, upper = interval(np.array([0.0, 3.0, 10.0]), np.array([10.0, 10.0, 10.0]), level)
    assert np.isfinite([lower, upper]).all()


@every_interval
@pytest.mark.parametrize("n", [1e12, 1e17, 1e60])
def test_so_many_rows_leave_only_the_frequency(interval, n):
    lower, upper = interval(np.array([0.3 * n]), np.array([n]), 0.95)
    np.testing.assert_allclose([lower, upper], 0.3, rtol=1e-5)


@pytest.mark.parametrize("level", [1e-3, 0.5, 0.95, 1 - 1e-12])
def test_the_quantile_is_that_of_the_normal(level):
    assert two_sided_quantile(level) == pytest.approx(-norm.ppf((1 - level) / 2), rel=1e-12)


def test_the_quantile_is_neither_0_nor_infinite():
    # (1 + level) / 2 would be rounded to 1/2 and to 1.
    assert 0 < two_sided_quantile(1e-300) < 1e-299
    assert 8 < two_sided_quantile(np.nextafter(1, 0)) < 9
