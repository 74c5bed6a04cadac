import numpy as np
import pytest

from skcalib._kernels._blocks import (
    BLOCK_ELEMENTS,
    Logits,
    SmoothedProbabilities,
    block_buffer,
    row_blocks,
    row_dot,
    row_sum,
)
from skcalib._kernels._softmax import softmax


@pytest.mark.parametrize(("n_rows", "n_columns"), [(1, 1), (10, 7), (100_003, 10), (3, 10**6)])
def test_blocks_cover_every_row_once_and_stay_small(n_rows, n_columns):
    blocks = list(row_blocks(n_rows, n_columns))
    assert np.array_equal(np.concatenate([np.r_[b] for b in blocks]), np.arange(n_rows))
    for rows in blocks:
        assert (rows.stop - rows.start) * n_columns <= max(BLOCK_ELEMENTS, n_columns)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n_columns", [3, 5000])
def test_row_sums_and_dots_are_those_of_plain_python(order, n_columns):
    rng = np.random.default_rng(0)
    a, b = (np.asarray(rng.integers(-9, 9, (4, n_columns)), float, order=order) for _ in "ab")
    assert row_sum(a).tolist() == [sum(row) for row in a.tolist()]
    assert row_dot(a, b).tolist() == [
        sum(x * y for x, y in zip(*rows, strict=True))
        for rows in zip(a.tolist(), b.tolist(), strict=True)
    ]


def layouts(z):
    """The same numbers, laid out in every way a user may hold them."""
    strided = np.empty((2 * len(z), 3 * z.shape[1]), dtype=z.dtype)[::2, ::3]
    strided[:] = z
    frozen = z.copy()
    frozen.flags.writeable = False
    return {
        "fortran": np.asfortranarray(z),
        "strided": strided,
        "reversed": np.ascontiguousarray(z[::-1, ::-1])[::-1, ::-1],
        "other byte order": z.astype(z.dtype.newbyteorder()),
        "read-only": frozen,
    }


@pytest.mark.parametrize("n_columns", [4, 50])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_layout_does_not_change_a_result(n_columns, dtype):
    z = np.random.default_rng(0).standard_normal((30, n_columns)).astype(dtype)
    expected = softmax(Logits(z), 1.7)
    for name, other in layouts(z).items():
        before = other.copy()
        np.testing.assert_array_equal(softmax(Logits(other), 1.7), expected, err_msg=name)
        np.testing.assert_array_equal(other, before)


def test_a_memory_map_is_read_as_an_array(tmp_path):
    z = np.random.default_rng(0).standard_normal((30, 50)).astype(np.float32)
    np.save(tmp_path / "z.npy", z)
    mapped = np.load(tmp_path / "z.npy", mmap_mode="r")
    np.testing.assert_array_equal(softmax(Logits(mapped)), softmax(Logits(z)))


def test_every_finite_float16_is_read_exactly():
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)].reshape(-1, 2)
    buffer = block_buffer(finite.shape, np.float32)
    np.testing.assert_array_equal(Logits(finite).read(slice(None), buffer), finite.astype(float))


@pytest.mark.parametrize("is_log", [False, True])
def test_probabilities_become_logs_of_themselves_plus_the_offset(is_log):
    p = np.array([[0.0, 0.25, 0.75], [1.0, 0.0, 0.0]])
    with np.errstate(divide="ignore"):
        values = np.log(p) if is_log else p
    z = SmoothedProbabilities(values, 0.25, is_log).read(slice(None), np.empty(p.shape))
    np.testing.assert_allclose(np.exp(z), [[0.25, 0.5, 1.0], [1.25, 0.25, 0.25]], rtol=1e-15)


def test_without_an_offset_a_zero_counts_as_the_smallest_normal_number():
    p = np.array([[0.0, 1.0]])
    with np.errstate(divide="ignore"):  # as the kernels do that call it
        z = SmoothedProbabilities(p, 0.0).read(slice(None), np.empty(p.shape))
    np.testing.assert_allclose(z, [[-1022 * np.log(2), 0]], rtol=1e-15)


def test_without_an_offset_a_zero_stays_below_every_log_probability_of_its_row():
    log_p = np.array([[-np.inf, -2000.0, 0.0], [-np.inf, -1.0, -0.5]])
    z = SmoothedProbabilities(log_p, 0.0, is_log=True).read(slice(None), np.empty(log_p.shape))
    np.testing.assert_allclose(z, [[-2000, -2000, 0], [-1022 * np.log(2), -1, -0.5]], rtol=1e-15)
