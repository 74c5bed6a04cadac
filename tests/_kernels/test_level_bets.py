"""Bets against calibrated probabilities: fair under the null, whatever the null allows."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from skcalib._kernels._level_bets import (
    MOST_CLASSES,
    NOISES,
    TEMPERATURES,
    level_bets,
    level_shares,
    n_level_bets,
)


def mean_evalues(log_q, truth, tolerance):
    """Mean (J,) over the labels of one row of log-probabilities, drawn from `truth`."""
    K = len(log_q)
    logs = level_bets(np.tile(log_q, (K, 1)), np.arange(K), tolerance)
    return truth @ np.exp(logs)


def rows(K, n=40):
    rng = np.random.default_rng(K)
    scale = rng.choice([0.1, 1, 3, 10, 40], size=(n, 1))
    return log_softmax(rng.normal(size=(n, K)) * scale, axis=1)


@pytest.mark.parametrize("K", [2, 3, 10, 50])
def test_without_tolerance_bets_are_fair(K):
    for log_q in rows(K):
        means = mean_evalues(log_q, np.exp(log_q), 0.0)
        noise = slice(len(TEMPERATURES), len(TEMPERATURES) + len(NOISES))
        assert (means[noise] <= 1 + 1e-12).all()  # their floor costs a little
        np.testing.assert_allclose(np.delete(means, np.r_[noise]), 1, atol=1e-10)


@pytest.mark.parametrize("tolerance", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("K", [2, 3, 10, 50])
def test_no_temperature_within_the_tolerance_makes_a_bet_worth_more_than_its_stake(K, tolerance):
    for log_q in rows(K):
        for log_t in np.linspace(-tolerance, tolerance, 9):
            truth = softmax(log_q / np.exp(log_t))
            assert (mean_evalues(log_q, truth, tolerance) <= 1 + 1e-10).all()


def test_a_wrong_model_makes_the_right_bet_worth_more_than_its_stake():
    log_q = np.log([0.9, 0.1])
    means = mean_evalues(log_q, softmax(log_q / 2.2), 0.0)
    assert means[TEMPERATURES.index(2.2)] == max(means) > 1.1
    means = mean_evalues(log_q, np.array([0.99, 0.01]), 0.0)
    assert means[TEMPERATURES.index(0.5)] > 1.05
    class_0_more = len(TEMPERATURES) + len(NOISES)
    assert mean_evalues(log_q, np.array([1.0, 0.0]), 0.0)[class_0_more] > 1.04


def test_bets_on_a_fair_coin_worked_by_hand():
    (logs,) = level_bets(np.log([[0.5, 0.5]]), np.array([0]), 0.0)
    # A coin at another temperature, or with noise, is the same coin.
    np.testing.assert_allclose(logs[: len(TEMPERATURES) + len(NOISES)], 0, atol=1e-15)
    # Class 0, which came: e / (1 + (e - 1) / 2) more often, e^-1 / (1 + (e^-1 - 1) / 2) less.
    e = np.e
    more, less = e / ((1 + e) / 2), (1 / e) / ((1 + 1 / e) / 2)
    np.testing.assert_allclose(np.exp(logs[-4:]), [more, less, 2 / (1 + e), 2 / (1 + 1 / e)])


def test_temperature_two_worked_by_hand():
    # T' = .5: e = q_y / sum q^2, with q = (.8, .2) and the label 1: .2 / .68.
    logs = level_bets(np.log([[0.8, 0.2]]), np.array([1]), 0.0)
    assert np.exp(logs[0, TEMPERATURES.index(0.5)]) == pytest.approx(0.2 / 0.68)


@pytest.mark.parametrize("K", [2, 10, MOST_CLASSES, MOST_CLASSES + 1, 1000])
def test_shares_add_up_to_one(K):
    shares = level_shares(K)
    assert len(shares) == n_level_bets(K)
    assert shares.sum() == pytest.approx(1)
    assert shares[: len(TEMPERATURES)].sum() == pytest.approx(0.5 if K <= MOST_CLASSES else 2 / 3)


@pytest.mark.parametrize("tolerance", [0.0, 0.2])
@pytest.mark.parametrize("K", [2, 10, 40])
def test_impossible_labels_and_certain_rows_stay_finite(K, tolerance):
    certain = np.full((2, K), -np.inf)
    certain[:, 0] = 0
    logs = level_bets(certain, np.array([0, 1]), tolerance)
    assert np.isfinite(logs).all()


@pytest.mark.parametrize("K", [3, 40])
def test_a_row_is_bet_on_the_same_in_any_batch(K):
    log_q = rows(K)
    y = np.arange(len(log_q)) % K
    if K < MOST_CLASSES:
        log_q = np.asfortranarray(log_q)
    together = level_bets(log_q, y, 0.1)
    alone = [level_bets(log_q[i : i + 1], y[i : i + 1], 0.1)[0] for i in range(len(y))]
    np.testing.assert_array_equal(together, alone)
