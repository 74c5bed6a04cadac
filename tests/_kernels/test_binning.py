import numpy as np
import pytest
from metric_oracles import quantile_edges as exact_quantile_edges

from skcalib._kernels._binning import (
    bin_index,
    bin_sums,
    quantile_edges,
    top_label,
    uniform_edges,
)
from skcalib._kernels._blocks import BLOCK_ELEMENTS


def index_of(p, edges):
    return bin_index(np.asarray(p)[:, None], np.asarray(edges))[:, 0].tolist()


def test_bins_are_open_on_the_left_and_closed_on_the_right():
    assert index_of([0.1, 0.25, 0.3, 0.5, 0.6], [0, 0.25, 0.5, 1]) == [0, 0, 1, 1, 2]


def test_zero_lies_in_the_first_bin_and_one_in_the_last():
    assert index_of([0.0, 1.0], uniform_edges(15)) == [0, 14]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_tenth_lies_in_the_bin_that_ends_there_whatever_its_precision(dtype):
    # Each is rounded its own way: float32 .3 is greater than float64 .3.
    p = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0], dtype=dtype)
    assert index_of(p, uniform_edges(10)) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("n_bins", [1, 2, 15, 255, 256, 1000])
def test_the_index_is_that_of_a_binary_search_for_any_number_of_bins(n_bins):
    p = np.random.default_rng(0).random(1000)
    edges = uniform_edges(n_bins)
    assert index_of(p, edges) == np.searchsorted(edges[1:-1], p, side="left").tolist()


def test_each_column_may_have_its_own_edges():
    edges = np.array([[0, 0], [0.5, 0.1], [1, 1]])
    assert bin_index(np.array([[0.3, 0.3], [0.7, 0.1]]), edges).tolist() == [[0, 1], [1, 0]]


def test_quantile_edges_are_observed_values_that_cut_off_equal_shares():
    # Of 6 sorted values a third is reached at the second, two thirds at the fourth.
    p = np.array([0.6, 0.1, 0.5, 0.2, 0.4, 0.3])
    assert quantile_edges(p, None, 3).tolist() == [0, 0.2, 0.4, 1]


def test_a_weight_moves_quantile_edges_as_repetition_does():
    p, weight = np.array([0.1, 0.2, 0.3]), np.array([1.0, 4.0, 1.0])
    # .1 .2 .2 | .2 .2 .3
    assert quantile_edges(p, weight, 2).tolist() == [0, 0.2, 1]
    assert quantile_edges(np.repeat(p, [1, 4, 1]), None, 2).tolist() == [0, 0.2, 1]


@pytest.mark.parametrize("n_bins", [1, 2, 7, 10, 15, 49])
@pytest.mark.parametrize("n", [1, 3, 100, 343])
@pytest.mark.parametrize("weighted", [False, True])
def test_quantile_edges_are_exact_and_numpys(n, n_bins, weighted):
    rng = np.random.default_rng(n)
    p, weight = rng.random(n).round(2), rng.integers(0, 4, n).astype(float)
    weight[0] = 1
    found = quantile_edges(p, weight if weighted else None, n_bins)
    w = weight if weighted else np.ones(n)
    numpys = np.quantile(p, np.arange(1, n_bins) / n_bins, weights=w, method="inverted_cdf")
    assert found.tolist() == [0, *numpys, 1]
    assert found.tolist() == exact_quantile_edges(p.tolist(), w.astype(int).tolist(), n_bins)


def test_sums_are_those_of_the_rows_in_each_bin():
    p = np.array([[0.2], [0.4], [0.7], [0.9]])
    sums = bin_sums(p, np.array([0, -1, -1, 0]), None, uniform_edges(2))
    np.testing.assert_array_equal(sums.weight, [[2, 2]])
    np.testing.assert_array_equal(sums.squared_weight, [[2, 2]])
    np.testing.assert_allclose(sums.proba, [[0.2 + 0.4, 0.7 + 0.9]], rtol=1e-15)
    np.testing.assert_array_equal(sums.events, [[1, 1]])


def test_weights_enter_every_sum():
    p, weight = np.array([[0.2], [0.4], [0.7], [0.9]]), np.array([1.0, 2.0, 0.0, 3.0])
    sums = bin_sums(p, np.array([0, -1, 0, 0]), weight, uniform_edges(2))
    np.testing.assert_array_equal(sums.weight, [[3, 3]])
    np.testing.assert_array_equal(sums.squared_weight, [[1 + 4, 9]])
    np.testing.assert_allclose(sums.proba, [[0.2 + 2 * 0.4, 3 * 0.9]], rtol=1e-15)
    np.testing.assert_array_equal(sums.events, [[1, 3]])


@pytest.mark.parametrize(
    ("n", "n_columns"),
    [(BLOCK_ELEMENTS + 7, 1), (2000, 100), (150, 1024 + 3)],
    ids=["rows of one column", "row blocks", "pieces of columns"],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_do_not_depend_on_the_blocks_they_are_taken_in(n, n_columns, weighted):
    rng = np.random.default_rng(0)
    p, event = rng.random((n, n_columns)), rng.integers(-1, n_columns, n)
    weight = rng.random(n) if weighted else None
    sums = bin_sums(p, event, weight, uniform_edges(4))
    w = np.ones(n) if weight is None else weight
    for column in {0, n_columns - 1}:
        for index in range(4):
            inside = (p[:, column] > index / 4) & (p[:, column] <= (index + 1) / 4)
            cell = column, index
            assert sums.weight[cell] == pytest.approx(w[inside].sum(), rel=1e-12)
            assert sums.squared_weight[cell] == pytest.approx((w[inside] ** 2).sum(), rel=1e-12)
            assert sums.proba[cell] == pytest.approx(w[inside] @ p[inside, column], rel=1e-12)
            events = w[inside & (event == column)].sum()
            assert sums.events[cell] == pytest.approx(events, rel=1e-12)


def test_float32_probabilities_are_summed_in_float64():
    p = np.full((10**6, 1), 0.1, dtype=np.float32)
    sums = bin_sums(p, np.full(len(p), -1), None, uniform_edges(2))
    assert sums.proba[0, 0] == pytest.approx(10**6 * float(np.float32(0.1)), rel=1e-12)


def test_the_top_label_is_the_first_of_the_largest():
    proba = np.array([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.1, 0.3, 0.6]])
    confidence, correct = top_label(proba, np.array([0, 1, 2]))
    assert confidence.tolist() == [0.4, 0.4, 0.6]
    assert correct.tolist() == [True, False, True]


def test_inputs_are_left_as_they_are():
    rng = np.random.default_rng(0)
    p, event, weight = rng.random((50, 3)), rng.integers(0, 3, 50), rng.random(50)
    arrays = p, event, weight
    for array in arrays:
        array.flags.writeable = False
    bin_sums(p, event, weight, uniform_edges(3))
    quantile_edges(p[:, 0], weight, 3)
    top_label(p, event)


def test_squared_errors_are_summed_where_asked_for():
    p, weight = np.array([[0.2], [0.4], [0.7], [0.9]]), np.array([1.0, 2.0, 0.0, 3.0])
    event = np.array([0, -1, 0, -1])
    sums = bin_sums(p, event, None, uniform_edges(2), squared_error=True)
    expected = [[0.8**2 + 0.4**2, 0.3**2 + 0.9**2]]
    np.testing.assert_allclose(sums.squared_error, expected, rtol=1e-15)
    sums = bin_sums(p, event, weight, uniform_edges(2), squared_error=True)
    expected = [[0.8**2 + 2 * 0.4**2, 3 * 0.9**2]]
    np.testing.assert_allclose(sums.squared_error, expected, rtol=1e-15)


def test_squared_errors_nobody_asked_for_are_not_a_number():
    sums = bin_sums(np.array([[0.2]]), np.array([0]), None, uniform_edges(2))
    np.testing.assert_array_equal(sums.squared_error, [[np.nan, np.nan]])


@pytest.mark.parametrize("weighted", [False, True])
def test_asking_for_squared_errors_changes_no_other_sum(weighted):
    rng = np.random.default_rng(0)
    p, event = rng.dirichlet(np.ones(3), 50), rng.integers(-1, 3, 50)
    weight = rng.random(50) if weighted else None
    without = bin_sums(p, event, weight, uniform_edges(4))
    asked = bin_sums(p, event, weight, uniform_edges(4), squared_error=True)
    for name in ("weight", "squared_weight", "proba", "events"):
        np.testing.assert_array_equal(getattr(asked, name), getattr(without, name))


@pytest.mark.parametrize(
    ("n", "n_columns"),
    [(BLOCK_ELEMENTS + 7, 1), (2000, 100), (150, 1024 + 3)],
    ids=["rows of one column", "row blocks", "pieces of columns"],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_squared_errors_do_not_depend_on_the_blocks_they_are_taken_in(n, n_columns, weighted):
    rng = np.random.default_rng(0)
    p, event = rng.random((n, n_columns)), rng.integers(-1, n_columns, n)
    weight = rng.random(n) if weighted else None
    found = bin_sums(p, event, weight, uniform_edges(4), squared_error=True).squared_error
    w = np.ones(n) if weight is None else weight
    for column in {0, n_columns - 1}:
        of_rows = w * (p[:, column] - (event == column)) ** 2
        for index in range(4):
            inside = (p[:, column] > index / 4) & (p[:, column] <= (index + 1) / 4)
            assert found[column, index] == pytest.approx(of_rows[inside].sum(), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_squared_errors_of_narrow_types_are_taken_in_float64(dtype):
    p = np.full((10**5, 1), 0.1, dtype=dtype)
    event = np.where(np.arange(10**5) % 4 == 0, 0, -1)
    found = bin_sums(p, event, None, uniform_edges(1), squared_error=True).squared_error[0, 0]
    exact = float(dtype(0.1))
    assert found == pytest.approx(10**5 * (0.75 * exact**2 + 0.25 * (1 - exact) ** 2), rel=1e-12)


def test_squared_errors_leave_inputs_as_they_are():
    rng = np.random.default_rng(0)
    p, event, weight = rng.random((50, 3)), rng.integers(0, 3, 50), rng.random(50)
    copies = p.copy(), event.copy(), weight.copy()
    for array in (p, event, weight):
        array.flags.writeable = False
    bin_sums(p, event, weight, uniform_edges(3), squared_error=True)
    for array, copy in zip((p, event, weight), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("n_bins", [3, 6, 7, 9, 12, 14, 49, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_share_of_votes_lies_on_the_edge_it_names(n_bins, dtype):
    # k votes of B: linspace(0, 1, 7)[5] is one rounding below 5 / 6.
    votes = (np.arange(1, n_bins + 1) / n_bins).astype(dtype)
    assert index_of(votes, uniform_edges(n_bins)) == list(range(n_bins))


def test_equal_weights_of_any_size_cut_as_no_weights():
    p = (np.arange(15) + 0.5) / 15
    for weight in (0.1, 0.3, 1.0, 7.0, 1e-9):
        for n_bins in (2, 5, 7, 15):
            np.testing.assert_array_equal(
                quantile_edges(p, np.full(15, weight), n_bins), quantile_edges(p, None, n_bins)
            )
