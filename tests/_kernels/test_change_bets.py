"""Conformal bets: ranks by counting, and odds that are fair."""

import numpy as np
import pytest
from scipy.stats import kstest

from skcalib._kernels._change_bets import (
    N_CHANGE_BETS,
    Counts,
    add_counts,
    change_bets,
    confidence_bins,
    no_counts,
    odds_of_bets,
    p_values,
)


def counts(rows, misses):
    return Counts(np.array(rows), np.array(misses))


def test_a_confidence_on_an_edge_is_in_the_bin_below():
    given = np.array([0.1, 0.5, 0.51, 0.8, 0.81, 0.95, 0.96, 1.0])
    assert confidence_bins(given).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_counts_add_rows_and_misses_by_bin():
    bins, miss = np.array([0, 3, 3, 1]), np.array([True, False, True, False])
    total = add_counts(counts([1, 0, 0, 0], [1, 0, 0, 0]), bins, miss)
    assert total.rows.tolist() == [2, 1, 0, 2]
    assert total.misses.tolist() == [2, 0, 0, 1]


def test_p_values_are_ranks_among_the_outcomes_so_far():
    # Three rows before, one of them a miss. A miss ranks first: u * (1 + 1) / 4. Then, of four
    # rows with two misses, a hit: (2 + u (4 - 2 + 1)) / 5.
    before = counts([3, 0, 0, 0], [1, 0, 0, 0])
    p = p_values(before, np.array([0, 0]), np.array([True, False]), np.array([0.5, 0.2]))
    np.testing.assert_allclose(p, [0.5 * 2 / 4, (2 + 0.2 * 3) / 5])


def test_bins_are_ranked_apart():
    bins, miss = np.array([0, 1, 0]), np.array([True, False, False])
    together = p_values(no_counts(), bins, miss, np.array([0.3, 0.6, 0.5]))
    np.testing.assert_allclose(together, [0.3, 0.6, (1 + 0.5) / 2])


def test_p_values_of_exchangeable_outcomes_are_uniform():
    rng = np.random.default_rng(0)
    n = 20_000
    p = p_values(no_counts(), np.zeros(n, int), rng.random(n) < 0.1, rng.random(n))
    assert kstest(p, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(p[1:], p[:-1])[0, 1]) < 0.02


def test_odds_are_fair_for_a_uniform_p_value():
    some = counts([300, 200, 100, 0], [100, 50, 3, 0])
    knees, below, above = odds_of_bets(some, counts([600, 400, 200, 0], [0, 0, 0, 0]))
    # A share `knee` of the p-values is below it.
    fair = knees[..., None] * below + (1 - knees[..., None]) * above
    np.testing.assert_allclose(fair, 1, atol=1e-12)
    assert knees.shape == (4, 5)
    assert below.shape == (4, 5, N_CHANGE_BETS)
    assert (above > 0).all()


def test_the_middle_knee_is_the_frequency_of_misses_with_four_rows_of_prior_belief():
    some = counts([96, 0, 0, 0], [10, 0, 0, 0])
    knees, _, _ = odds_of_bets(some, some)
    assert knees[0, 2] == pytest.approx((10 + 4 * 0.6) / 100)
    assert knees[1:, 2].tolist() == pytest.approx([0.35, 0.12, 0.01])


def test_batches_of_any_size_get_the_same_bets():
    rng = np.random.default_rng(2)
    bins, miss, u = rng.integers(0, 4, 100), rng.random(100) < 0.3, rng.random(100)
    start = counts([50, 40, 30, 20], [20, 10, 5, 0])
    odds = odds_of_bets(start, start)
    whole = change_bets(start, bins, miss, u, odds)
    running, parts = start, []
    for rows in (slice(0, 1), slice(1, 40), slice(40, 100)):
        parts.append(change_bets(running, bins[rows], miss[rows], u[rows], odds))
        running = add_counts(running, bins[rows], miss[rows])
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_beside_a_long_reference_a_bet_is_the_likelihood_ratio_of_the_misses():
    # Log-odds of .1 plus 1.5 are those of .3324; a few hundred rows do not move the ranks.
    rng = np.random.default_rng(3)
    start = counts([10_000_000] * 4, [1_000_000] * 4)
    miss = rng.random(400) < 0.3
    odds = odds_of_bets(start, start)
    logs = change_bets(start, np.zeros(400, int), miss, rng.random(400), odds).sum(axis=0)
    n = miss.sum()
    ratio = n * np.log(0.3324 / 0.1) + (400 - n) * np.log(0.6676 / 0.9)
    assert logs[2] == pytest.approx(ratio, rel=0.02)
    assert ratio > 20
    assert logs[0] < -20  # fewer misses
