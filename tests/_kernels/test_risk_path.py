from math import comb

import numpy as np
import pytest

from skcalib._kernels._risk_path import (
    fewest_rows,
    n_passing,
    prefix_sizes,
    risk_path,
    threshold_of_share,
    upper_bound,
)


def chance_of_no_more(wrong, n, risk):
    """P(Binomial(n, risk) <= wrong), summed."""
    return sum(comb(n, k) * risk**k * (1 - risk) ** (n - k) for k in range(wrong + 1))


@pytest.mark.parametrize(
    ("risk", "delta", "rows"),
    # .99**229 = .1001 and .99**230 = .0991; .95**44 = .1047 and .95**45 = .0994; .5**2 = .25
    [(0.01, 0.1, 230), (0.05, 0.1, 45), (0.5, 0.25, 2), (0.9, 0.5, 1)],
)
def test_the_fewest_rows_are_those_whose_being_right_is_unlikely_enough(risk, delta, rows):
    assert fewest_rows(risk, delta) == rows


@pytest.mark.parametrize(("wrong", "n"), [(0, 1), (0, 230), (1, 45), (3, 100), (99, 100)])
@pytest.mark.parametrize("delta", [0.05, 0.1, 0.6])
def test_at_the_bound_so_few_errors_have_probability_delta(wrong, n, delta):
    bound = upper_bound(np.array([wrong]), np.array([n]), delta)[0]
    assert chance_of_no_more(wrong, n, bound) == pytest.approx(delta, rel=1e-9)


def test_without_an_error_the_bound_is_a_root():
    # (1 - bound)**45 = .1
    assert upper_bound(np.array([0]), np.array([45]), 0.1)[0] == pytest.approx(1 - 0.1 ** (1 / 45))


def test_where_all_is_wrong_or_nothing_is_known_the_bound_is_one():
    np.testing.assert_array_equal(upper_bound(np.array([3, 0]), np.array([3, 0]), 0.1), [1, 1])


def test_the_fewest_rows_pass_and_one_row_less_does_not():
    for risk in np.geomspace(1e-4, 0.99, 200):
        for delta in (0.01, 0.1, 0.5):
            m = fewest_rows(risk, delta)
            bound = upper_bound(np.zeros(2), np.array([m, max(m - 1, 0)]), delta)
            assert n_passing(bound[:1], risk) == 1
            assert n_passing(bound[1:], risk) == 0


def test_sizes_go_from_the_first_in_fiftieths_of_the_rows_to_all():
    np.testing.assert_array_equal(prefix_sizes(200, 191), [191, 195, 199, 200])
    np.testing.assert_array_equal(prefix_sizes(3, 1), [1, 2, 3])
    np.testing.assert_array_equal(prefix_sizes(200)[:3], [4, 8, 12])


def test_fewer_rows_than_the_first_size_leave_nothing_to_test():
    assert len(prefix_sizes(229, 230)) == 0


def test_a_path_is_worked_by_hand():
    confidence = np.array([0.6, 0.9, 0.8, 0.8, 0.7])
    correct = np.array([False, True, False, True, True])
    path = risk_path(confidence, correct, None, np.array([1, 2, 4, 5]), 0.1)
    # The two at .8 enter together: of sizes 1, 2, 4 and 5 there are prefixes of 1, 3, 4 and 5.
    np.testing.assert_array_equal(path.threshold, [0.9, 0.8, 0.7, 0.6])
    np.testing.assert_array_equal(path.kept, [1, 3, 4, 5])
    np.testing.assert_array_equal(path.wrong, [0, 1, 1, 2])
    for wrong, n, bound in zip([0, 1, 1, 2], [1, 3, 4, 5], path.bound, strict=True):
        assert chance_of_no_more(wrong, n, bound) == pytest.approx(0.1, rel=1e-9)


def test_sizes_within_one_tie_are_one_prefix():
    path = risk_path(np.full(4, 0.5), np.ones(4, dtype=bool), None, np.array([1, 2, 4]), 0.1)
    assert (path.threshold, path.kept) == ([0.5], [4])


def test_weights_are_summed_and_have_no_bound():
    path = risk_path(
        np.array([0.9, 0.8]), np.array([True, False]), np.array([0.5, 2]), np.array([1, 2]), 0.1
    )
    np.testing.assert_array_equal(path.kept, [0.5, 2.5])
    np.testing.assert_array_equal(path.wrong, [0, 2])
    assert np.isnan(path.bound).all()


def test_the_first_failure_ends_the_tests():
    assert n_passing(np.array([0.04, 0.05, 0.06, 0.03]), 0.05) == 2
    assert n_passing(np.array([0.06, 0.03]), 0.05) == 0
    assert n_passing(np.array([0.01]), 0.05) == 1
    assert n_passing(np.array([]), 0.05) == 0


@pytest.mark.parametrize(
    ("risk_at", "most"),
    [
        (lambda u: np.full_like(u, 0.0501), 0.1),  # too much at every threshold: the worst case
        (lambda u: 0.3 * (1 - u), 0.1),
        (lambda u: np.where(u > 0.95, 0.08, np.where(u > 0.5, 0.02, 0.25)), 0.1),  # rises, too
    ],
)
def test_a_risk_is_exceeded_no_more_often_than_allowed(risk_at, most):
    rng = np.random.default_rng(0)
    grid = np.linspace(0, 1, 10_001)
    risk_above = np.cumsum(risk_at(grid)[::-1])[::-1] / np.arange(len(grid), 0, -1)
    exceeded, n_draws = 0, 2000
    for _ in range(n_draws):
        u = rng.random(200)
        correct = rng.random(200) >= risk_at(u)
        path = risk_path(u, correct, None, prefix_sizes(200, fewest_rows(0.05, 0.1)), 0.1)
        if passing := n_passing(path.bound, 0.05):
            exceeded += np.interp(path.threshold[passing - 1], grid, risk_above) > 0.05
    chance = 4 * (most * (1 - most) / n_draws) ** 0.5
    assert exceeded / n_draws <= most + chance


@pytest.mark.parametrize(
    ("share", "threshold"),
    # Of 9 confidences: k = floor(10 (1 - share)) is 1, 5, 9 and 0.
    [(0.9, 0.1), (0.5, 0.5), (0.01, 0.9), (1.0, 0.0)],
)
def test_the_threshold_of_a_share_is_the_kth_smallest(share, threshold):
    confidence = np.random.default_rng(0).permutation(np.arange(1, 10) / 10)
    assert threshold_of_share(confidence, None, share) == threshold


def test_a_further_row_reaches_the_threshold_at_least_as_often_as_asked():
    # Whichever of ten different rows comes last, the others set the threshold.
    rows = np.random.default_rng(1).random(10)
    for share in (0.1, 0.25, 0.5, 0.75, 0.8, 0.95):
        reached = [
            rows[i] >= threshold_of_share(np.delete(rows, i), None, share) for i in range(10)
        ]
        assert share <= np.mean(reached) <= share + 0.1


def test_a_whole_weight_counts_as_so_many_rows():
    rng = np.random.default_rng(2)
    confidence, weight = rng.random(20), rng.integers(0, 4, 20)
    for share in (0.3, 0.77, 0.9):
        repeated = threshold_of_share(np.repeat(confidence, weight), None, share)
        assert threshold_of_share(confidence, weight.astype(float), share) == repeated


@pytest.mark.parametrize("unit", [1 / 2000, 0.01, 0.3, 1, 7.5])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.77, 0.9, 1.0])
def test_whatever_equal_weights_count_in_the_share_is_reached(unit, share):
    confidence = np.random.default_rng(3).random(2000)
    threshold = threshold_of_share(confidence, np.full(2000, unit), share)
    # at least the share, and no more than the next row beyond it
    assert share <= np.mean(confidence >= threshold) <= share + 1.001 / 2000


def test_of_weights_that_are_no_whole_numbers_the_share_is_reached_and_no_row_more():
    confidence = np.array([0.9, 0.8, 0.7, 0.6])
    weight = np.array([0.2, 0.1, 0.3, 0.4])
    # from the top .2, .3, .6 and 1 of the weight
    found = [threshold_of_share(confidence, weight, share) for share in (0.15, 0.25, 0.55, 0.65)]
    assert found == [0.9, 0.8, 0.7, 0.6]


def test_a_risk_below_the_precision_of_one_takes_as_many_rows_as_it_says():
    # log(.1) / log(1 - r) = 2.302585 / r for a small r
    assert fewest_rows(1e-17, 0.1) == pytest.approx(2.302585092994046e17, rel=1e-9)
    assert fewest_rows(5e-324, 0.1) is None
    assert len(prefix_sizes(100, 10**30)) == 0
