"""The temperature found from sums, against that found from the rows."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from skcalib import TemperatureScaling
from skcalib._kernels._temperature_sums import (
    BETAS,
    N_SUMS,
    sums_of_rows,
    temperature_of_sums,
)


def draw(T, n, K, scale, seed=0):
    rng = np.random.default_rng(seed)
    log_q = log_softmax(rng.normal(size=(n, K)) * scale, axis=1)
    truth = softmax(log_q / T, axis=1)
    return log_q, (truth.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)


def found(log_q, y, weight=None):
    w = np.ones(len(y)) if weight is None else weight
    sums = sums_of_rows(log_q, y).reshape(len(y), 3, len(BETAS))
    totals = np.einsum("n,nsb->sb", w, sums)
    return temperature_of_sums(totals[0], totals[1], w**2 @ sums[:, 2], w.sum(), 1.0)


@pytest.mark.parametrize(
    ("T", "n", "K", "scale"),
    [(1.3, 1000, 10, 2), (0.5, 1000, 10, 4), (2, 200, 3, 6), (3.4, 3000, 50, 1), (1, 5, 2, 3)],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_temperature_of_the_rows(T, n, K, scale, weighted):
    log_q, y = draw(T, n, K, scale)
    weight = np.random.default_rng(1).random(n) if weighted else None
    from_sums = found(log_q, y, weight)
    scaling = TemperatureScaling().fit(log_q, y, sample_weight=weight)
    assert np.exp(-from_sums.log_beta) == pytest.approx(scaling.temperature_, rel=1e-3)
    half = np.log(scaling.temperature_interval_[1] / scaling.temperature_)
    assert 1.96 * from_sums.standard_error == pytest.approx(half, rel=0.15)
    assert not from_sums.beyond


def test_slopes_and_curvatures_are_the_moments_of_the_scores():
    log_q, y = draw(1, 20, 4, 2)
    sums = sums_of_rows(log_q, y).reshape(20, 3, len(BETAS))
    for node, beta in enumerate(BETAS):
        p = softmax(beta * log_q, axis=1)
        mean = (p * log_q).sum(axis=1)
        slope = mean - log_q[np.arange(20), y]
        variance = (p * (log_q - mean[:, None]) ** 2).sum(axis=1)
        np.testing.assert_allclose(sums[:, 0, node], slope, atol=1e-12)
        np.testing.assert_allclose(sums[:, 1, node], variance, atol=1e-12)
        np.testing.assert_allclose(sums[:, 2, node], slope**2, atol=1e-12)


def test_a_temperature_out_of_range_is_said_to_be():
    log_q, _ = draw(1, 500, 3, 3)
    right = found(log_q * 0.01, log_q.argmax(axis=1))
    assert right.beyond
    assert np.exp(-right.log_beta) == pytest.approx(1 / 8)
    wrong = found(log_q, log_q.argmin(axis=1))
    assert wrong.beyond
    assert np.exp(-wrong.log_beta) == pytest.approx(8)


def test_a_class_of_probability_zero_keeps_it_and_as_the_label_counts_as_two_to_the_minus_52():
    log_q = np.log(np.array([[0.75, 0.25]]))
    masked = np.array([[np.log(0.75), np.log(0.25), -np.inf]])
    np.testing.assert_allclose(sums_of_rows(masked, [0]), sums_of_rows(log_q, [0]))
    at_one = sums_of_rows(masked, np.array([2])).reshape(3, len(BETAS))[0, len(BETAS) // 2]
    expected = 0.75 * np.log(0.75) + 0.25 * np.log(0.25) + 52 * np.log(2)
    assert at_one == pytest.approx(expected)


def test_no_rows_leave_the_temperature_at_one():
    empty = np.zeros((3, len(BETAS)))
    assert temperature_of_sums(*empty, 0.0, 1.0).log_beta == pytest.approx(0, abs=1e-12)
    assert empty.size == N_SUMS
