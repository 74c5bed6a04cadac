from itertools import permutations

import numpy as np
import pytest

from skcalib._kernels._top_k import TopK


def test_the_best_two_are_summed():
    top = TopK(np.array([0.1, 0.9, 0.5]), np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]))
    np.testing.assert_array_equal(top.total(2), [2 + 4, 20 + 40])


def test_fewer_candidates_than_asked_for_are_all_summed():
    assert TopK(np.array([1.0, 2.0]), np.ones((2, 1))).total(5) == [2]


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_equal_scores_are_taken_in_a_random_order_on_average(k):
    score, value = np.array([3, 2, 2, 2, 1]), np.array([7.0, 1.0, 5.0, 9.0, 4.0])
    totals = []
    for order in permutations(range(5)):
        best = sorted(order, key=lambda i: -score[i])[:k]
        totals.append(value[best].sum())
    assert TopK(score, value[:, None]).total(k)[0] == pytest.approx(np.mean(totals))


def test_weights_are_repetitions():
    rng = np.random.default_rng(0)
    score, value = rng.integers(0, 5, 20), rng.normal(size=(20, 2))
    for _ in range(20):
        weight = rng.multinomial(20, np.full(20, 1 / 20))
        repeated = TopK(np.repeat(score, weight), np.repeat(value, weight, axis=0))
        np.testing.assert_allclose(TopK(score, value).total(7, weight), repeated.total(7))


@pytest.mark.parametrize("k", [1, 3, 10, 400])
def test_only_as_many_candidates_as_the_best_take_are_looked_at(k):
    rng = np.random.default_rng(1)
    score, value = rng.permutation(500), rng.normal(size=(500, 1))
    best = np.argsort(-score)
    weight = np.zeros(500)
    weight[best[::2]] = 1  # every other: the best k are among the first 2 k
    expected = value[best[: 2 * k : 2]].sum()
    assert TopK(score, value).total(k, weight)[0] == pytest.approx(expected)
    weight[best[4 * k + 2 :]] = np.nan  # never read, or the total would not be a number
    assert TopK(score, value).total(k, weight)[0] == pytest.approx(expected)
