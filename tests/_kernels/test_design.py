import tracemalloc

import numpy as np
import pytest
from adaptive_oracles import problem
from scipy.sparse import csr_array

from skcalib._kernels._design import Design, Prior


@pytest.fixture
def by_hand():
    """Four rows of levels a, a, a, b, the last of which a rule says .5 of: shares 3/4 and 1/4."""
    raw = np.array([[0, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0.5, 1, 1, 0, 1]])
    centring = np.array(
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -0.75, -0.25], [0, 0, 1, 0], [0, 0, 0, 1]]
    )
    return Design(csr_array(raw), csr_array(centring))


@pytest.fixture
def random():
    """Any sparse matrices, and their dense product."""
    rng = np.random.default_rng(0)
    raw = rng.standard_normal((60, 9)) * (rng.random((60, 9)) < 0.3)
    centring = rng.standard_normal((9, 7)) * (rng.random((9, 7)) < 0.5)
    return Design(csr_array(raw), csr_array(centring)), raw @ centring


def test_features_by_hand(by_hand):
    # rule, intercept, 1 - 3/4 or 0 - 3/4, 0 - 1/4 or 1 - 1/4
    phi = [[0, 1, 0.25, -0.25]] * 3 + [[0.5, 1, -0.75, 0.75]]
    np.testing.assert_allclose(np.stack([by_hand.predict(e) for e in np.eye(4)], 1), phi)
    # 2 of the rule, 3, -1 of a, 4 of b: 3 - 1/4 - 4/4 = 1.75; 2 / 2 + 3 + 3/4 + 3 = 7.75
    theta = np.array([2.0, 3.0, -1.0, 4.0])
    np.testing.assert_allclose(by_hand.predict(theta), [1.75, 1.75, 1.75, 7.75])


def test_sums_by_hand(by_hand):
    # phi^T (1, 2, 3, 4): rule 4 / 2, intercept 10, a 6 / 4 - 4 * 3 / 4, b its negative
    np.testing.assert_allclose(by_hand.total(np.array([1.0, 2.0, 3.0, 4.0])), [2, 10, -1.5, 1.5])
    # Only the last row: its outer product, 4 times.
    last = np.array([0.5, 1, -0.75, 0.75])
    np.testing.assert_allclose(
        by_hand.gram(np.array([0.0, 0.0, 0.0, 4.0])), 4 * np.outer(last, last)
    )


@pytest.mark.parametrize("form", ["predict", "gram", "total", "clustered_gram", "variance"])
def test_sparse_sums_are_those_of_the_dense_matrix(random, form):
    design, phi = random
    rng = np.random.default_rng(1)
    w, groups = rng.standard_normal(60), rng.integers(0, 8, 60)
    root = rng.standard_normal((7, 7))
    totals = np.stack([(phi * w[:, None])[groups == g].sum(axis=0) for g in range(8)])
    found, expected = {
        "predict": lambda: (design.predict(root[0]), phi @ root[0]),
        "gram": lambda: (design.gram(w), phi.T @ np.diag(w) @ phi),
        "total": lambda: (design.total(w), phi.T @ w),
        "clustered_gram": lambda: (design.clustered_gram(w, groups), totals.T @ totals),
        "variance": lambda: (design.variance(root @ root.T), ((phi @ root) ** 2).sum(axis=1)),
    }[form]()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_no_call_changes_the_matrices(random):
    design, _ = random
    before = design.raw.copy(), design.centring.copy()
    w = np.linspace(-1, 1, 60)
    design.gram(w), design.total(w), design.predict(np.ones(7)), design.variance(np.eye(7))
    design.clustered_gram(w, np.arange(60) % 3)
    assert (before[0] != design.raw).nnz == 0
    assert (before[1] != design.centring).nnz == 0


def test_every_row_a_cluster_is_a_sum_of_squares_and_one_cluster_a_square_of_the_sum(random):
    design, _ = random
    w = np.random.default_rng(2).standard_normal(60)
    np.testing.assert_allclose(
        design.clustered_gram(w, np.arange(60)), design.gram(w**2), rtol=1e-12, atol=1e-12
    )
    total = design.total(w)
    np.testing.assert_allclose(
        design.clustered_gram(w, np.zeros(60, dtype=np.intp)), np.outer(total, total), atol=1e-12
    )


def test_codes_without_a_row_are_no_cluster(random):
    design, _ = random
    w, groups = np.ones(60), np.arange(60) % 4
    np.testing.assert_allclose(
        design.clustered_gram(w, 5 * groups + 2), design.clustered_gram(w, groups), rtol=1e-12
    )


def test_centred_levels_sum_to_nothing_and_equal_coefficients_move_no_row():
    some = problem(0, 200, n_levels=6)
    centred = some.design.total(np.ones(200))[2:]
    np.testing.assert_allclose(centred, 0, atol=1e-12)
    theta = np.r_[0.0, 0.3, np.full(6, 5.0)]
    np.testing.assert_allclose(some.design.predict(theta), 0.3, rtol=1e-12)
    # So the intercept is what coefficients say of the average row.
    theta[2:] = np.random.default_rng(0).standard_normal(6)
    assert some.design.predict(theta).mean() == pytest.approx(0.3, rel=1e-12)


def test_a_sum_of_squares_is_symmetric_and_positive_semidefinite():
    some = problem(1, 300, n_levels=20)
    gram = some.design.gram(np.random.default_rng(0).random(300))
    np.testing.assert_allclose(gram, gram.T, rtol=1e-12, atol=1e-12)
    assert np.linalg.eigvalsh(gram).min() > -1e-10


def test_blocks_are_counted_and_none_are_none():
    assert Prior(np.array([0, 0, 1, 2, 2]), np.ones(5), 1.0, False).n_blocks == 3
    assert Prior(np.array([], dtype=np.intp), np.ones(0), 1.0, True).n_blocks == 0


def peak_of(call):
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize(
    "form",
    [
        "gram",
        "clustered_gram",
        "variance",
    ],
)
def test_many_levels_need_no_dense_matrix_of_rows(form):
    n, n_levels = 20_000, 300
    some = problem(0, n, 2, n_levels)
    w = np.ones(n)
    call = {
        "gram": lambda: some.design.gram(w),
        "clustered_gram": lambda: some.design.clustered_gram(w, np.arange(n)),
        "variance": lambda: some.design.variance(np.eye(2 + n_levels)),
    }[form]
    # Dense it would be 48 MB; sparse it is 4 numbers and places a row, 1.3 MB, a few times over.
    assert peak_of(call) < 15e6
