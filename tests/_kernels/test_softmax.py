import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from kernel_oracles import entropy as exact_entropy, softmax as exact_softmax

from skcalib._kernels._blocks import BLOCK_ELEMENTS, Logits
from skcalib._kernels._softmax import entropy, log_softmax, softmax

SCORES = arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(1, 40)),
    elements=st.one_of(st.floats(-1e3, 1e3), st.just(-np.inf)),
).filter(lambda z: np.isfinite(z.max(axis=1)).all())


def test_softmax_of_log_odds_is_their_odds_normalised():
    # odds 1 : 2 : 5, total 8
    np.testing.assert_allclose(
        softmax(Logits(np.log([[1.0, 2.0, 5.0]]))), [[1 / 8, 2 / 8, 5 / 8]], rtol=1e-15
    )


def test_temperature_two_takes_the_square_root_of_odds():
    # odds 1 : 4 : 16 become 1 : 2 : 4, total 7
    np.testing.assert_allclose(
        softmax(Logits(np.log([[1.0, 4.0, 16.0]])), 2.0), [[1 / 7, 2 / 7, 4 / 7]], rtol=1e-15
    )


def test_each_row_has_its_own_temperature():
    z = np.log([[1.0, 4.0], [1.0, 4.0]])
    # T = 2: odds 1 : 2; T = 1/2: odds 1 : 16
    np.testing.assert_allclose(
        softmax(Logits(z), np.array([2.0, 0.5])), [[1 / 3, 2 / 3], [1 / 17, 16 / 17]], rtol=1e-15
    )


@settings(max_examples=60, deadline=None)
@given(SCORES, st.floats(0.05, 50))
def test_softmax_log_softmax_and_entropy_agree_with_forty_digits(z, temperature):
    expected = np.array(exact_softmax(z, temperature), dtype=float)
    # z / T is rounded once: an error of one ulp of the exponent, which reaches -4e4.
    np.testing.assert_allclose(softmax(Logits(z), temperature), expected, rtol=1e-11, atol=1e-300)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(
            np.exp(log_softmax(Logits(z), temperature)), expected, rtol=1e-11, atol=1e-300
        )
    np.testing.assert_allclose(
        entropy(Logits(z), temperature),
        np.array(exact_entropy(z, temperature), dtype=float),
        rtol=1e-9,
        atol=1e-12,
    )


@pytest.mark.parametrize("n_classes", [1, 2, 10, 32, 33, 100, 3000, 9000])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 5e-7), (np.float64, 1e-12)])
def test_rows_sum_to_one(n_classes, dtype, tolerance):
    z = np.random.default_rng(0).standard_normal((50, n_classes)).astype(dtype) * 5
    proba = softmax(Logits(z), 1.3)
    assert proba.dtype == dtype
    np.testing.assert_allclose(proba.sum(axis=1, dtype=np.float64), 1, rtol=0, atol=tolerance)


@pytest.mark.parametrize("n_classes", [2, 10, 32, 33, 1000, 9000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_alone_equals_the_row_in_a_batch(n_classes, dtype):
    n = 2 * BLOCK_ELEMENTS // n_classes + 3  # more than two blocks
    z = np.random.default_rng(1).standard_normal((n, n_classes)).astype(dtype) * 5
    together = softmax(Logits(z), 0.7)
    for row in (0, n // 2, n - 1):
        alone = softmax(Logits(z[row : row + 1]), 0.7)[0]
        np.testing.assert_array_max_ulp(alone, together[row], maxulp=4)


@pytest.mark.parametrize("n_classes", [3, 100])
def test_masked_classes_have_probability_zero_and_the_rest_shares_one(n_classes):
    z = np.random.default_rng(2).standard_normal((20, n_classes))
    z[:, 1] = -np.inf
    proba = softmax(Logits(z), 2.0)
    assert (proba[:, 1] == 0).all()
    rest = np.delete(z, 1, axis=1)
    np.testing.assert_allclose(np.delete(proba, 1, axis=1), softmax(Logits(rest), 2.0), rtol=1e-14)
    assert np.isneginf(log_softmax(Logits(z), 2.0)[:, 1]).all()
    np.testing.assert_allclose(
        entropy(Logits(z), 2.0), entropy(Logits(rest), 2.0), rtol=1e-13, atol=1e-14
    )


@pytest.mark.parametrize("n_classes", [3, 100])
@pytest.mark.parametrize("bad", ["nan", "inf", "all masked"])
def test_a_row_without_a_softmax_is_nan_throughout_and_alone(n_classes, bad):
    z = np.zeros((4, n_classes))
    z[2] = -np.inf if bad == "all masked" else z[2]
    if bad != "all masked":
        z[2, n_classes - 1] = float(bad)
    for values in (softmax(Logits(z)), log_softmax(Logits(z)), entropy(Logits(z))[:, None]):
        assert np.isnan(values[2]).all()
        assert not np.isnan(np.delete(values, 2, axis=0)).any()


def test_entropy_of_equal_scores_is_log_of_their_number_and_of_one_candidate_zero():
    z = np.zeros((2, 8))
    z[1, 1:] = -np.inf
    np.testing.assert_allclose(entropy(Logits(z)), [np.log(8), 0], rtol=1e-15)


@pytest.mark.parametrize("n_classes", [5, 100])
@pytest.mark.parametrize("function", [softmax, log_softmax])
def test_out_receives_the_same_numbers(function, n_classes):
    z = np.random.default_rng(3).standard_normal((30, n_classes))
    expected = function(Logits(z), 1.5)
    for out in (
        np.empty_like(z),
        np.empty_like(z, order="F"),
        np.empty((30, 2 * n_classes))[:, ::2],
    ):
        assert function(Logits(z), 1.5, out=out) is out
        np.testing.assert_array_equal(out, expected)
    out = np.empty(30)
    assert entropy(Logits(z), 1.5, out=out) is out
    np.testing.assert_array_equal(out, entropy(Logits(z), 1.5))


def test_scores_of_any_scale_are_served_without_overflow_or_noise():
    z = np.array([[1e300, 0.0, -1e300], [1e-300, 0.0, -1e-300]])
    with np.errstate(all="raise"):
        proba = softmax(Logits(z), 1.0)
    np.testing.assert_allclose(proba, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-15)
