import numpy as np
import pytest
from kernel_oracles import mean_log_loss, random_problem

from skcalib._kernels._blocks import Logits
from skcalib._kernels._moments import (
    clustered_outer,
    log_loss_sum,
    loss_edges,
    loss_moments,
    row_moments,
)

# One row of each layout: class by class, without and with subtraction of the row's maximum.
CLASSES = [2, 10, 32, 33, 500, 3100, 9000]


def test_moments_of_one_row_by_hand():
    # beta = log 3: q = (3, 1) / 4 at z = (1, 0). Label 0.
    # loss log(4/3); slope E z - 1 = -1/4; variance 3/16;
    # third moment E (z - 3/4)^3 = 3/4 (1/4)^3 - 1/4 (3/4)^3 = -3/32
    # At beta = 1 the loss is log((e + 1) / e).
    rows = Logits(np.array([[1.0, 0.0]])), np.array([0]), None
    moments = loss_moments(*rows, np.log(3), at_one=True)
    expected = (1, np.log(4 / 3), -1 / 4, 3 / 16, -3 / 32, 1 / 16, np.log1p(1 / np.e))
    np.testing.assert_allclose(moments, expected, rtol=1e-14)


@pytest.mark.parametrize("n_classes", CLASSES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-6)])
def test_loss_agrees_with_long_double(n_classes, dtype, tolerance):
    z, y = random_problem(n_classes, 40, n_classes, dtype=dtype)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(z))
    expected = mean_log_loss(z, y, weight, 1 / 0.7)
    moments = loss_moments(Logits(z), y, weight, 0.7)
    np.testing.assert_allclose(moments.loss / moments.weight, expected, rtol=tolerance)
    alone = log_loss_sum(Logits(z), y, weight, 0.7)
    np.testing.assert_allclose(alone / weight.sum(), expected, rtol=tolerance)


@pytest.mark.parametrize("n_classes", CLASSES)
def test_each_derivative_is_the_slope_of_the_one_before(n_classes):
    z, y = random_problem(1, 30, n_classes)
    step = 1e-5
    below, at, above = (loss_moments(Logits(z), y, None, 0.8 + k * step) for k in (-1, 0, 1))
    for value, derivative in (("loss", "slope"), ("slope", "curvature"), ("curvature", "skewness")):
        difference = (getattr(above, value) - getattr(below, value)) / (2 * step)
        np.testing.assert_allclose(getattr(at, derivative), difference, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("n_classes", [5, 50, 500])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_masked_classes_count_as_absent(n_classes, dtype):
    z, y = random_problem(2, 30, n_classes, dtype=dtype)
    y = np.minimum(y, n_classes - 2)
    with_mask = z.copy()
    with_mask[:, -1] = -np.inf
    rows = y, None, 1.1
    np.testing.assert_allclose(
        loss_moments(Logits(with_mask), *rows),
        loss_moments(Logits(z[:, :-1].copy()), *rows),
        rtol=1e-12 if dtype == np.float64 else 1e-5,
    )


@pytest.mark.parametrize("n_classes", [5, 50])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_rows_and_masked_labels_are_reported(n_classes, dtype, bad):
    z, y = random_problem(3, 30, n_classes, dtype=dtype)
    assert loss_moments(Logits(z), y, None, 1.0).finite
    z[7, 3] = bad
    assert not loss_moments(Logits(z), y, None, 1.0).finite
    assert not np.isfinite(log_loss_sum(Logits(z), y, None))
    z[7] = 0
    z[7, y[7]] = -np.inf
    assert not loss_moments(Logits(z), y, None, 1.0).finite
    weight = np.ones(30)
    weight[7] = 0  # as if the row were absent
    assert loss_moments(Logits(z), y, weight, 1.0).finite


@pytest.mark.parametrize("n_classes", CLASSES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_moments_of_rows_add_up_to_those_of_all(n_classes, dtype):
    n = 300 if n_classes < 1000 else 60  # several blocks
    z, y = random_problem(5, n, n_classes, dtype=dtype)
    weight = np.random.default_rng(0).choice([0.0, 0.5, 2.0], n)
    z[weight == 0] = np.nan  # as if absent
    of_rows = row_moments(Logits(z), y, weight, 0.7)
    assert (of_rows[:, weight == 0] == 0).all()
    moments = loss_moments(Logits(z), y, weight, 0.7)
    expected = [moments.loss, moments.slope, moments.curvature]
    np.testing.assert_allclose(of_rows @ weight, expected, rtol=1e-12)
    np.testing.assert_allclose(of_rows[1] ** 2 @ weight, moments.squared_slope, rtol=1e-12)


def test_clustered_products_by_hand():
    # Totals of the clusters 0, 2 and 4: 1 + 2 = 3, 3 * 2 = 6 and 5; of the second parameter 1 - 1
    # = 0, 0 and -1. The fourth row has no weight, and so neither has cluster 7.
    slopes = np.array([[1.0, 2.0, 3.0, 9.0, 5.0], [1.0, -1.0, 0.0, 9.0, -1.0]])
    weight, groups = np.array([1.0, 1.0, 2.0, 0.0, 1.0]), np.array([0, 0, 2, 7, 4])
    outer, correction = clustered_outer(slopes, weight, groups)
    np.testing.assert_array_equal(outer, [[9 + 36 + 25, -5], [-5, 1]])
    assert correction == 3 / 2
    assert clustered_outer(slopes[:, :2], None, groups[[0, 2]])[1] == 1  # of two clusters none


def test_float32_scores_far_from_zero_lose_nothing():
    z, y = random_problem(4, 200, 100, dtype=np.float32)
    z = np.round(z * 64) / 64  # multiples of 1/64: adding 2^16 is exact
    near, far = (
        loss_moments(Logits(z + np.float32(offset)), y, None, 1.0) for offset in (0, 2**16)
    )
    np.testing.assert_allclose(far, near, rtol=1e-5)


@pytest.mark.parametrize(
    ("z", "y", "constant", "at_zero", "at_infinity"),
    [
        ([[0.0, 0.0], [3.0, 3.0]], [0, 1], True, 0, 0),
        ([[1.0, 0.0], [0.0, 2.0]], [0, 1], False, -0.5 - 1, 0),  # every label on top
        ([[1.0, 0.0], [0.0, 2.0]], [1, 0], False, 0.5 + 1, 1 + 2),  # every label at the bottom
        ([[1.0, 0.0, -np.inf]], [1], False, 0.5, 1),  # mean over unmasked classes
    ],
)
def test_edges_by_hand(z, y, constant, at_zero, at_infinity):
    edges = loss_edges(Logits(np.array(z)), np.array(y), None)
    assert edges == (constant, at_zero, at_infinity)
