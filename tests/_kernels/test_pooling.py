import numpy as np
import pytest

from skcalib._kernels._pooling import geometric_pool, linear_pool

P = [np.array([[0.2, 0.8], [0.5, 0.5]]), np.array([[0.6, 0.4], [0.1, 0.9]])]


def test_the_linear_pool_is_the_weighted_mean():
    # .25 * .2 + .75 * .6, .25 * .8 + .75 * .4; .25 * .5 + .75 * .1, ...
    expected = [[0.5, 0.5], [0.2, 0.8]]
    np.testing.assert_allclose(linear_pool(P, np.array([0.25, 0.75])), expected, atol=1e-15)


def test_rows_may_have_weights_of_their_own():
    weights = np.array([[1.0, 0.0], [0.5, 0.5]])
    expected = [[0.2, 0.8], [0.3, 0.7]]
    np.testing.assert_allclose(linear_pool(P, weights), expected, atol=1e-15)


def test_the_geometric_pool_is_the_weighted_mean_of_logarithms():
    logits = geometric_pool([np.log(p) for p in P], np.array([0.5, 0.5]))
    # roots of .2 times .6 and .8 times .4
    np.testing.assert_allclose(np.exp(logits[0]), [0.12**0.5, 0.32**0.5], atol=1e-15)


def test_a_member_of_weight_zero_rules_nothing_out():
    masked = np.array([[-np.inf, 0.0]])
    other = np.log([[0.3, 0.7]])
    np.testing.assert_array_equal(geometric_pool([masked, other], np.array([0.0, 1.0])), other)
    assert geometric_pool([masked, other], np.array([0.5, 0.5]))[0, 0] == -np.inf


@pytest.mark.parametrize("pool", [linear_pool, geometric_pool])
def test_single_precision_stays_and_inputs_do(pool):
    proba = [p.astype(np.float32) for p in P]
    kept = [p.copy() for p in proba]
    with np.errstate(all="raise"):
        assert pool(proba, np.array([0.5, 0.5])).dtype == np.float32
    np.testing.assert_array_equal(proba, kept)
