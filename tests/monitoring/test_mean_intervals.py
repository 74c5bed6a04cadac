import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import lambertw
from scipy.stats import nct, norm, t

from skcalib.monitoring._mean_intervals import (
    anytime_ends,
    exact_ends,
    fixed_ends,
    moments_of,
)

ALPHA = 0.05


def prior_precision(n_expected, alpha=ALPHA):
    """Of the effect, in rows: Waudby-Smith et al. (2024), appendix B.2, as `1 / rho^2`."""
    return n_expected / (-lambertw(-(alpha**2) / np.e, -1).real - 1)


def critical(n, n_expected=1000):
    """Standard errors from the mean to either end, of rows that are not skewed."""
    values = np.where(np.arange(n) % 2, 1.0, -1.0)
    lower, upper = anytime_ends(moments_of(values), 1 - ALPHA, n_expected)
    assert upper == pytest.approx(-lower)
    return upper / (values.std(ddof=1) / n**0.5)


def test_moments_by_hand():
    # Deviations -1, -1, 2 from the mean 2: variance 6 / 2, third moment (8 - 1 - 1) / 3.
    moments = moments_of(np.array([1.0, 1.0, 4.0]))
    assert moments[:3] == pytest.approx((2, 3, 3**0.5))
    assert moments.skewness == pytest.approx(2 / 3**1.5)


def test_a_weight_is_that_many_rows():
    values, weight = np.array([0.5, 2.0, -1.0, 7.0]), np.array([3.0, 1.0, 0.0, 2.0])
    repeated = np.repeat(values, weight.astype(int))
    assert moments_of(values, weight) == pytest.approx(moments_of(repeated), rel=1e-13)


def test_clusters_count_as_their_totals():
    # Mean 3; totals of deviations from it are -4 and -1 + 5 = 4, clusters weigh 2 rows each.
    values, clusters = np.array([1.0, 1.0, 2.0, 8.0]), np.array([7, 7, 2, 2])
    moments = moments_of(values, clusters=clusters)
    assert moments[:3] == pytest.approx((3, 2, 2 * 2**0.5))
    assert moments.skewness == 0


def test_clusters_of_one_row_are_rows():
    values = np.random.default_rng(0).exponential(size=40)
    alone = moments_of(values, clusters=np.arange(40)[::-1])
    assert alone == pytest.approx(moments_of(values), rel=1e-12)


def test_the_fixed_interval_of_symmetric_rows_is_students():
    # Mean 2, deviation 1.
    lower, upper = fixed_ends(moments_of(np.array([1.0, 2.0, 3.0])), 0.95)
    half = 4.302652729696142 / 3**0.5  # quantile .975 of two degrees of freedom
    assert (lower, upper) == pytest.approx((2 - half, 2 + half))


@pytest.mark.parametrize("sign", [1, -1])
def test_each_end_is_the_farther_of_students_and_halls(sign):
    values = sign * np.random.default_rng(1).exponential(size=60) ** 1.5
    n, mean, deviation = 60, values.mean(), values.std(ddof=1)
    g = (((values - mean) / deviation) ** 3).mean()
    a = g / 3

    def h(T):
        return n**0.5 * (T + a * T**2 + a**2 * T**3 / 3 + g / (6 * n))

    z = t.ppf(0.975, n - 1)
    hall = [mean - deviation * brentq(lambda T, to=to: h(T) - to, -9, 9) for to in (z, -z)]
    student = [mean - z * deviation / n**0.5, mean + z * deviation / n**0.5]
    expected = min(hall[0], student[0]), max(hall[1], student[1])
    assert fixed_ends(moments_of(values), 0.95) == pytest.approx(expected, rel=1e-9)
    assert expected != pytest.approx(student, rel=0.01)


@pytest.mark.parametrize("n", [60, 150])
def test_at_an_anytime_end_the_mixture_of_t_tests_has_the_odds_one_in_alpha(n):
    g, found = prior_precision(1000), critical(n)

    def weighted(effect):
        return nct.pdf(found, n - 1, effect * n**0.5) * norm.pdf(effect, scale=g**-0.5)

    odds = quad(weighted, -1, 1, points=[0, found / n**0.5])[0] / t.pdf(found, n - 1)
    assert odds == pytest.approx(1 / ALPHA, rel=1e-5)


def test_of_many_rows_the_anytime_interval_is_the_asymptotic_confidence_sequence():
    n, rho2 = 10**6, 1 / prior_precision(1000)
    expected = (2 * (n * rho2 + 1) / (n * rho2) * np.log((n * rho2 + 1) ** 0.5 / ALPHA)) ** 0.5
    assert critical(n) == pytest.approx(expected, rel=1e-4)


def test_the_anytime_interval_is_narrowest_at_the_expected_number_of_rows():
    widths = {guess: critical(2000, guess) for guess in (200, 1000, 1800, 2000, 2200, 4000, 20_000)}
    assert min(widths, key=widths.get) == 2000
    assert max(widths[200], widths[20_000]) < 1.35 * widths[2000]


def test_few_rows_have_no_anytime_interval():
    assert anytime_ends(moments_of(np.array([1.0, 1.1] * 5)), 0.95, 1000) == (-np.inf, np.inf)
    assert np.isfinite(critical(30))


def test_rows_that_are_all_alike_do_not_say_how_far_others_may_be():
    for n in (30, 3000):
        assert anytime_ends(moments_of(np.full(n, 0.1)), 0.95, 1000) == (-np.inf, np.inf)
        assert anytime_ends(moments_of(np.zeros(n)), 0.95, 1000) == (-np.inf, np.inf)
    one_differs = np.append(np.full(3000, 0.1), 0.2)
    assert anytime_ends(moments_of(one_differs), 0.95, 1000)[0] > 0


@pytest.mark.parametrize("values", [[3.0], [3.0, 4.0]])
def test_what_one_row_says_of_the_mean_is_nothing(values):
    weight = np.array([1.0, 0.0][: len(values)])
    moments = moments_of(np.array(values), weight)
    assert fixed_ends(moments, 0.95) == (-np.inf, np.inf)
    assert anytime_ends(moments, 0.95, 100) == (-np.inf, np.inf)


def mixture(s, v, c=2.0, rho=1.0):
    """Of exp(lambda s - psi(lambda) v) over the density of Howard et al., proposition 9."""

    def density(x):
        return (1 - c * x) ** (rho / c**2 - 1) * np.exp(-rho * (1 - c * x) / c**2)

    def term(x):
        psi = (-np.log1p(-c * x) - c * x) / c**2
        return np.exp(x * s - psi * v) * density(x)

    total, whole = (quad(f, 0, 1 / c, limit=500)[0] for f in (term, density))
    return total / whole


@pytest.mark.parametrize("bound", [1.0, 0.25])
def test_at_an_exact_end_the_mixture_of_bets_has_won_two_in_alpha(bound):
    rng = np.random.default_rng(2)
    values = rng.uniform(-0.2, 0.6, 300) * bound
    lower, upper = exact_ends(values, bound, 1 - ALPHA)
    forecast = [0.0, *(values[:i].sum() / (i + 1) for i in range(1, 300))]
    v = sum((x - f) ** 2 for x, f in zip(values, forecast, strict=True)) / bound**2
    for end in (lower, upper):
        s = 300 * abs(values.mean() - end) / bound
        assert mixture(s, v) == pytest.approx(2 / ALPHA, rel=1e-5)


def test_the_exact_interval_stays_within_the_bounds():
    assert exact_ends(np.array([0.5]), 1.0, 0.95) == (-1, 1)


def test_arithmetic_holds_at_the_edges_of_floats():
    tiny = np.random.default_rng(3).standard_normal(50) * 1e-200
    with np.errstate(all="raise"):
        for values in (tiny, tiny * 1e300 * 1e100, np.full(50, 0.1), np.zeros(50)):
            moments = moments_of(values)
            for ends in (fixed_ends(moments, 0.999), anytime_ends(moments, 0.999, 100)):
                assert ends[0] <= moments.mean <= ends[1]
        lower, upper = exact_ends(np.clip(tiny, -1, 1), 1.0, 1 - 1e-15)
    assert lower < 0 < upper


def test_where_a_few_rows_weigh_most_they_are_the_degrees_of_freedom():
    moments = moments_of(np.array([1.0, 2.0, 3.0, 6.0, 8.0]))._replace(skewness=0.0)
    half = t.ppf(0.975, 2.5 - 1) * np.std([1, 2, 3, 6, 8], ddof=1) / 5**0.5
    assert fixed_ends(moments, 0.95, 2.5) == pytest.approx((4 - half, 4 + half))
    assert fixed_ends(moments, 0.95, 9.0) == fixed_ends(moments, 0.95)
    assert fixed_ends(moments, 0.95, 1.0) == (-np.inf, np.inf)
