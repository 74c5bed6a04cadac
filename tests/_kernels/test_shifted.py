"""Shifted logits: which class a row is measured from, and what must not disturb the others."""

import numpy as np
import pytest

from skcalib._kernels._blocks import Logits
from skcalib._kernels._shifted import ShiftedLogits
from skcalib._kernels._softmax import log_softmax, softmax

inf, nan = np.inf, np.nan


def shifted(rows, shift, dtype=np.float64):
    return ShiftedLogits(Logits(np.array(rows, dtype=dtype)), np.array(shift))


def test_a_shift_is_added_to_the_logits():
    source = shifted([[0.0, 1.0], [2.0, -inf]], np.log([2.0, 3.0]))
    # 2 : 3e, and the second class masked.
    expected = [2 / (2 + 3 * np.e), 3 * np.e / (2 + 3 * np.e)]
    np.testing.assert_allclose(softmax(source), [expected, [1, 0]], rtol=1e-15)
    assert source.shape == (2, 2)


@pytest.mark.parametrize("n_classes", [3, 40])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_impossible_class_does_not_drown_the_others(dtype, n_classes):
    largest = float(np.finfo(dtype).max)
    rows = np.full((3, n_classes), -inf)
    rows[:, 0] = [largest, largest, 1e4]
    rows[:, 1:3] = [[-1, 1], [-largest, -largest], [5, 0]]
    source = shifted(rows, np.r_[-inf, np.zeros(n_classes - 1)], dtype)
    proba, log_proba = softmax(source), log_softmax(source)
    expected = np.zeros((3, n_classes))
    # e^-1 : e, 1 : 1 and e^5 : 1.
    expected[:, 2] = 1 / (1 + np.exp(np.array([-2.0, 0.0, 5.0])))
    expected[:, 1] = 1 - expected[:, 2]
    tolerance = 1e-13 if dtype == np.float64 else 1e-6
    np.testing.assert_allclose(proba, expected, rtol=tolerance)
    np.testing.assert_allclose(log_proba[:, 1:3], np.log(expected[:, 1:3]), rtol=tolerance)
    assert (log_proba[:, 0] == -inf).all()
    assert (proba[:, 0] == 0).all()


def test_a_row_that_leaves_no_possible_class_open_stays_as_it_is():
    rows = [[0.0, np.log(3), -inf], [3e38, -3e38, -inf], [1.0, -inf, -inf]]
    proba = softmax(shifted(rows, [-inf, -inf, 0.5], np.float32))
    np.testing.assert_allclose(proba, [[0.25, 0.75, 0], [1, 0, 0], [1, 0, 0]], rtol=1e-6)


@pytest.mark.parametrize("bad", [[nan, 0, 1], [0, nan, 1], [inf, 0, 1], [0, inf, 1], [-inf] * 3])
@pytest.mark.parametrize("shift", [[-inf, 0.0, 1.0], [-1.0, 0.0, 1.0]])
def test_a_row_without_a_softmax_has_none_shifted(bad, shift):
    with np.errstate(all="raise"):
        proba = softmax(shifted([bad, [0.0, 0.0, 0.0]], shift))
    assert np.isnan(proba[0]).all()
    assert np.isfinite(proba[1]).all()
