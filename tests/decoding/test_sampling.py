import numpy as np
import pytest
from scipy.stats import chisquare

from skcalib._kernels._blocks import BLOCK_ELEMENTS
from skcalib.decoding import sample


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_frequencies_are_those_of_the_softmax(temperature, dtype):
    odds = np.array([1.0, 4.0, 9.0, 16.0, 2.0])
    z = np.log(odds).astype(dtype)
    z[4] = -np.inf
    n = 40_000
    tokens = sample(np.tile(z, (n, 1)), temperature, random_state=0)
    expected = odds[:4] ** (1 / temperature)
    count = np.bincount(tokens, minlength=5)
    assert count[4] == 0
    # a false alarm once in ten thousand seeds
    assert chisquare(count[:4], n * expected / expected.sum()).pvalue > 1e-4


def test_each_row_is_drawn_at_its_own_temperature():
    n = 30_000
    z = np.tile(np.log([1.0, 4.0]), (3 * n, 1))
    t = np.repeat([0.5, 1.0, 2.0], n)
    share = sample(z, t, random_state=1).reshape(3, n).mean(axis=1)
    # odds 1 : 16, 1 : 4, 1 : 2; five standard deviations are at most 5 * .5 / sqrt(n) = .0145
    np.testing.assert_allclose(share, [16 / 17, 4 / 5, 2 / 3], atol=0.0145)


def test_greedy_rows_take_the_first_largest_among_others_that_do_not():
    z = np.array([[1.0, 3.0, 3.0], [0.0, 0.0, 0.0], [5.0, -np.inf, 5.0]])
    for seed in range(20):
        tokens = sample(z, [0.0, 1.0, 0.0], random_state=seed)
        assert (tokens[0], tokens[2]) == (1, 0)


def test_large_ties_are_drawn_equally_often():
    z = np.full((3000, 2), 1e300)
    share = sample(z, 1.0, random_state=2).mean()
    assert abs(share - 0.5) < 5 * 0.5 / np.sqrt(3000)
    far = np.array([[1e308, -1e308]] * 1000)
    with np.errstate(all="raise"):
        assert (sample(far, 1.0, random_state=0) == 0).all()


def test_masked_classes_are_never_drawn_and_use_no_random_numbers():
    z = np.random.default_rng(3).standard_normal((2000, 8))
    wide = np.full((2000, 24), -np.inf)
    wide[:, 1::3] = z
    tokens = sample(wide, 50.0, random_state=4)
    np.testing.assert_array_equal(tokens, 1 + 3 * sample(z, 50.0, random_state=4))
    assert set(tokens) == set(range(1, 24, 3))


def test_blocks_do_not_show():
    # the same rows one call at a time, from one stream of random numbers
    z = np.random.default_rng(5).standard_normal((2 * BLOCK_ELEMENTS // 1000 + 3, 1000))
    stream = np.random.RandomState(6)
    one_by_one = [sample(row, 0.8, random_state=stream) for row in z]
    np.testing.assert_array_equal(sample(z, 0.8, random_state=6), one_by_one)


def test_the_global_random_state_is_not_touched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002  # the state that must not move
    sample(np.zeros((5, 3)), random_state=0)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_one_row_gives_an_int():
    assert type(sample([0.0, 1.0], 0.0)) is int
    assert sample([[0.0, 1.0]], 0.0).dtype == np.intp


@pytest.mark.parametrize("temperature", [0.0, 1.0, np.inf])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_without_a_softmax_is_named(temperature, bad):
    z = np.zeros((4, 3))
    z[1] = bad
    with pytest.raises(ValueError, match=r"logits must hold finite logits.* row 1"):
        sample(z, temperature, random_state=0)


def test_a_generator_is_refused_by_name():
    with pytest.raises(ValueError, match="cannot be used to seed"):
        sample([0.0, 1.0], random_state=np.random.default_rng(0))
