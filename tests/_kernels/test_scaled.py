import numpy as np
import pytest
from adaptive_oracles import problem, row_curvature, row_loss, row_slope

from skcalib._kernels._blocks import FEW_CLASSES, Logits, block_buffer
from skcalib._kernels._moments import row_moments
from skcalib._kernels._scaled import RowScaledLogits
from skcalib._kernels._softmax import softmax


def read(source, rows=slice(None)):
    n = len(range(*rows.indices(source.shape[0]))) if isinstance(rows, slice) else len(rows)
    return source.read(rows, np.empty((n, source.shape[1]), source.dtype))


def test_logits_by_hand():
    source = RowScaledLogits(Logits(np.array([[1.0, 4.0], [3.0, 1.0]])), np.array([2.0, 0.5]))
    # (1 - 4) 2 and 0; 0 and (1 - 3) / 2
    np.testing.assert_array_equal(read(source), [[-6, 0], [0, -1]])
    np.testing.assert_array_equal(read(source, np.array([1, 0, 1])), [[0, -1], [-6, 0], [0, -1]])
    np.testing.assert_array_equal(read(source, slice(1, 2)), [[0, -1]])


def test_their_softmax_is_that_of_each_rows_temperature():
    # odds 1 : 4 at T = 2 are 1 : 2, at T = 1/2 they are 1 : 16
    z = np.log([[1.0, 4.0], [1.0, 4.0]])
    source = RowScaledLogits(Logits(z), np.array([0.5, 2.0]))
    np.testing.assert_allclose(softmax(source), [[1 / 3, 2 / 3], [1 / 17, 16 / 17]], rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [3, FEW_CLASSES + 1])
def test_scores_are_only_read_and_come_out_in_their_own_precision(dtype, n_classes):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((20, n_classes)).astype(dtype)
    before, beta = z.copy(), np.exp(rng.standard_normal(20))
    source = RowScaledLogits(Logits(z), beta)
    assert source.shape == z.shape
    assert source.dtype == (np.float64 if dtype == np.float64 else np.float32)
    block = source.read(slice(0, 20), block_buffer(z.shape, source.dtype))
    assert block.dtype == source.dtype
    expected = beta[:, None] * (z.astype(float) - z.astype(float).max(axis=1, keepdims=True))
    np.testing.assert_allclose(block, expected, rtol=1e-6 if dtype != np.float64 else 1e-14)
    np.testing.assert_array_equal(z, before)


def test_masked_scores_stay_masked():
    z = np.array([[0.0, -np.inf, 2.0], [-np.inf, 1.0, -np.inf]])
    source = RowScaledLogits(Logits(z), np.array([3.0, 1e-9]))
    np.testing.assert_array_equal(read(source), [[-6, -np.inf, 0], [-np.inf, 0, -np.inf]])


def test_no_scale_of_scores_overflows_that_its_own_beta_brings_back():
    z = np.array([[8e307, 8e307 * (1 - 1e-15), -8e307], [3e-300, 1e-300, 0.0]])
    source = RowScaledLogits(Logits(z), np.array([1 / 8e307, 1e300]))
    with np.errstate(over="raise", invalid="raise"):
        block = read(source)
    # Scores round to a tenth of 1e-15 of themselves.
    np.testing.assert_allclose(block, [[0, -1e-15, -2], [0, -2, -3]], rtol=0.1)


def test_derivatives_at_beta_one_are_those_in_log_beta_at_each_rows_own():
    some = problem(0, 50)
    z = some.z.copy()
    z[np.arange(0, 50, 3), (some.y[::3] + 1) % 5] = -np.inf
    u = np.random.default_rng(1).uniform(-2, 1, 50)
    loss, g, v = row_moments(RowScaledLogits(Logits(z), np.exp(u)), some.y, None, 1.0)
    np.testing.assert_allclose(loss, row_loss(z, some.y, u), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(g, row_slope(z, some.y, u), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(v, row_curvature(z, u), rtol=1e-9, atol=1e-12)
