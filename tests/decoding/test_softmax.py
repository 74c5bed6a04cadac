import numpy as np
import pytest

from skcalib.decoding import entropy, softmax


def test_rows_of_every_kind_of_temperature_stand_together():
    # odds 1 : 4 : 4: greedy takes the first of the ties, T = 2 odds 1 : 2 : 2, inf thirds
    z = np.log([[1.0, 4.0, 4.0]] * 3)
    expected = [[0, 1, 0], [1 / 5, 2 / 5, 2 / 5], [1 / 3] * 3]
    with np.errstate(all="raise"):
        np.testing.assert_allclose(softmax(z, [0.0, 2.0, np.inf]), expected, rtol=1e-15)
        h = -(np.log(1 / 5) / 5 + 4 / 5 * np.log(2 / 5))
        np.testing.assert_allclose(entropy(z, [0.0, 2.0, np.inf]), [0, h, np.log(3)], rtol=1e-14)


@pytest.mark.parametrize("n_classes", [5, 100])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_zero_is_an_exact_one_hot_of_the_first_largest(n_classes, dtype):
    z = np.random.default_rng(0).integers(0, 4, (500, n_classes)).astype(dtype)
    expected = np.zeros((500, n_classes))
    for row in range(500):
        expected[row, list(z[row]).index(max(z[row]))] = 1
    np.testing.assert_array_equal(softmax(z, 0), expected)
    np.testing.assert_array_equal(entropy(z, 0), np.zeros(500))


@pytest.mark.parametrize("temperature", [0.0, 1e-310, 1e-45, 0.7, 1e45, 1e308, np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_masked_classes_have_probability_zero_at_every_temperature(temperature, dtype):
    z = np.array([[1.0, -np.inf, 0.5, -np.inf]], dtype=dtype)
    with np.errstate(all="raise"):
        proba = softmax(z, temperature)
        h = entropy(z, temperature)
    assert (proba[:, [1, 3]] == 0).all()
    assert proba.sum() == pytest.approx(1, abs=1e-6)
    assert 0 <= h[0] <= np.log(2) + 1e-15


def test_temperatures_next_to_the_limits_share_between_ties():
    z = [[2.0, 2.0, 1.0]]
    np.testing.assert_array_equal(softmax(z, 1e-320), [[0.5, 0.5, 0]])
    np.testing.assert_allclose(softmax(z, 1e308), [[1 / 3] * 3], rtol=1e-15)


def test_scores_are_returned_in_their_precision_and_shape():
    for dtype, result in [("f2", "f4"), ("f4", "f4"), ("f8", "f8"), ("i8", "f8")]:
        z = np.array([[1, 2, 3]], dtype=dtype)
        assert softmax(z).dtype == result
        assert entropy(z).dtype == np.float64
    assert softmax([1.0, 2.0]).shape == (2,)
    assert type(entropy([1.0, 2.0])) is float


def test_scores_of_1e300_do_not_overflow():
    z = [[1e300, 1e300, -1e300], [-1e300, 0.0, -np.inf]]
    with np.errstate(all="raise"):
        for t in (0.01, 1.0, 100.0):
            np.testing.assert_array_equal(softmax(z, t), [[0.5, 0.5, 0], [0, 1, 0]])
            np.testing.assert_allclose(entropy(z, t), [np.log(2), 0], atol=1e-15)
        np.testing.assert_array_equal(softmax(z, np.inf), [[1 / 3] * 3, [0.5, 0.5, 0]])


def test_a_row_does_not_depend_on_the_temperatures_of_others():
    z = np.random.default_rng(1).standard_normal((3, 200)).astype(np.float32)
    t = np.array([1.0, 0.3, 2.0])
    np.testing.assert_array_equal(softmax(z, t), [softmax(z[i], t[i]) for i in range(3)])
    np.testing.assert_array_equal(entropy(z, t), [entropy(z[i], t[i]) for i in range(3)])


@pytest.mark.parametrize("function", [softmax, entropy])
@pytest.mark.parametrize(
    ("temperature", "error", "message"),
    [
        (-1.0, ValueError, r"temperature must be positive, or 0 for greedy decoding, got -1.0"),
        ([1.0, np.nan], ValueError, r"temperature must be positive, .* got nan in row 1"),
        ([1.0] * 3, ValueError, r"temperature must be .* \(2,\), got shape \(3,\)"),
        ("hot", TypeError, r"temperature must be a number, or one per row, got 'hot'"),
    ],
)
def test_a_temperature_that_is_none_is_refused(function, temperature, error, message):
    with pytest.raises(error, match=message):
        function(np.zeros((2, 3)), temperature)


@pytest.mark.parametrize("temperature", [0.0, 1.0, np.inf])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_without_a_softmax_is_named_at_every_temperature(temperature, bad):
    z = np.zeros((4, 3))
    z[2] = bad
    for function in (softmax, entropy):
        with pytest.raises(ValueError, match="row 2"):
            function(z, temperature)
