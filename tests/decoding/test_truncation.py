import numpy as np
import pytest

from skcalib.decoding import softmax, truncate

LOGITS = np.log([0.1, 0.4, 0.3, 0.2])


def kept(logits, **options):
    return np.flatnonzero(np.isfinite(truncate(logits, **options))).tolist()


def brute(row, top_k, top_p, min_p):
    """Columns kept, by sorting Python lists."""
    left = [k for k in range(len(row)) if row[k] != -np.inf]
    if top_k is not None and len(left) > top_k:
        last = sorted((row[k] for k in left), reverse=True)[top_k - 1]
        left = [k for k in left if row[k] >= last]
    if top_p is not None:
        total, before, few = sum(np.exp(row[k]) for k in left), 0.0, []
        for k in sorted(left, key=lambda k: (-row[k], k)):
            if not few or before / total < top_p:
                few.append(k)
            before += np.exp(row[k])
        left = few
    if min_p is not None:
        top = max(row[k] for k in left)
        left = [k for k in left if np.exp(row[k] - top) >= min_p]
    return sorted(left)


def test_each_keeps_what_it_says():
    assert kept(LOGITS, top_k=1) == [1]
    assert kept(LOGITS, top_k=3) == [1, 2, 3]
    assert kept(LOGITS, top_k=99) == [0, 1, 2, 3]
    # two have .7, three have .9
    assert kept(LOGITS, top_p=0.75) == [1, 2, 3]
    assert kept(LOGITS, top_p=0.65) == [1, 2]
    # .6 * .4 = .24
    assert kept(LOGITS, min_p=0.6) == [1, 2]
    assert kept(LOGITS) == [0, 1, 2, 3]


def test_at_least_one_stays_and_everything_may():
    for options in ({"top_k": 1}, {"top_p": 0.0}, {"top_p": 1e-300}, {"min_p": 1.0}):
        assert kept(LOGITS, **options) == [1]
    for options in ({"top_p": 1.0}, {"min_p": 0.0}):
        assert kept([0.0, -800.0, 1.0], **options) == [0, 1, 2]


def test_ties_stay_together_in_top_k_and_min_p_and_in_order_in_top_p():
    z = [1.0, 2.0, 2.0, 2.0]
    assert kept(z, top_k=2) == [1, 2, 3]
    assert kept(z, min_p=1.0) == [1, 2, 3]
    assert kept(z, top_p=0.4) == [1, 2]  # of e : e^2 : e^2 : e^2, .109 and .297 each


def test_each_works_on_what_the_one_before_left():
    # top-k leaves .4 and .3, of which .4 are .571: top_p = .55 keeps one, of all four it keeps two
    assert kept(LOGITS, top_k=2, top_p=0.55) == [1]
    assert kept(LOGITS, top_p=0.55) == [1, 2]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("masked", [0.0, 0.4])
@pytest.mark.parametrize(
    ("top_k", "top_p", "min_p"),
    [(5, None, None), (None, 0.7, None), (None, None, 0.2), (9, 0.9, 0.05), (3, 0.99, 0.5)],
)
def test_rows_agree_with_sorted_lists(top_k, top_p, min_p, masked, dtype):
    rng = np.random.default_rng(0)
    z = (2 * rng.standard_normal((300, 25))).astype(dtype)
    z[rng.random(z.shape) < masked] = -np.inf
    z[:, 3] = 0.5
    before = z.copy()
    out = truncate(z, top_k=top_k, top_p=top_p, min_p=min_p)
    assert out.dtype == dtype
    np.testing.assert_array_equal(z, before)
    for row, result in zip(z.astype(float), out, strict=True):
        expected = brute(row, top_k, top_p, min_p)
        assert np.flatnonzero(result != -np.inf).tolist() == expected
        np.testing.assert_array_equal(result[expected], row[expected])


def test_a_row_alone_equals_the_row_in_a_batch_of_blocks():
    z = np.random.default_rng(1).standard_normal((300, 1000)).astype(np.float32)
    out = truncate(z, top_k=50, top_p=0.8, min_p=0.1)
    for row in (0, 131, 299):
        np.testing.assert_array_equal(truncate(z[row], top_k=50, top_p=0.8, min_p=0.1), out[row])


def test_temperature_comes_before_or_after():
    # transformers: odds 1 : 16 : 9 : 4 at T = 1/2 are .033, .533, .3, .133 and .8 takes two of them
    np.testing.assert_allclose(
        softmax(truncate(LOGITS / 0.5, top_p=0.8)) * 25, [0, 16, 9, 0], atol=1e-13
    )
    # llama.cpp: of .1, .4, .3, .2 it takes three, then odds 16 : 9 : 4
    np.testing.assert_allclose(
        softmax(truncate(LOGITS, top_p=0.8), 0.5) * 29, [0, 16, 9, 4], atol=1e-13
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, r"'top_k' parameter of truncate must be"),
        ({"top_k": 2.5}, r"'top_k' parameter of truncate must be"),
        ({"top_p": 1.1}, r"'top_p' parameter of truncate must be"),
        ({"min_p": -0.1}, r"'min_p' parameter of truncate must be"),
    ],
)
def test_an_option_out_of_its_range_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        truncate(LOGITS, **options)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("options", [{}, {"top_k": 2}, {"top_p": 0.5}, {"min_p": 0.5}])
def test_a_row_without_a_softmax_is_named(bad, options):
    z = np.zeros((4, 3))
    z[1] = bad
    with pytest.raises(ValueError, match="row 1"):
        truncate(z, **options)
