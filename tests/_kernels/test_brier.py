import numpy as np
import pytest

from skcalib._kernels._blocks import BLOCK_ELEMENTS
from skcalib._kernels._brier import squared_error


def test_the_squared_error_of_a_row_is_summed_over_its_classes():
    proba = np.array([[0.5, 0.3, 0.2], [0, 0, 1]])
    # .5^2 + .7^2 + .2^2, and 1 + 1
    np.testing.assert_allclose(squared_error(proba, np.array([1, 0])), [0.78, 2], rtol=1e-15)


@pytest.mark.parametrize("n_columns", [2, 10, 100])
def test_rows_of_every_block_get_their_own_error(n_columns):
    n = 2 * BLOCK_ELEMENTS // n_columns + 3
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(n_columns), n).astype(np.float32)
    y_index = rng.integers(0, n_columns, n)
    expected = ((proba.astype(float) - np.eye(n_columns)[y_index]) ** 2).sum(axis=1)
    np.testing.assert_allclose(squared_error(proba, y_index), expected, rtol=1e-12)


def test_the_error_of_a_certain_and_correct_row_is_exactly_zero():
    assert squared_error(np.eye(3), np.arange(3)).tolist() == [0, 0, 0]
