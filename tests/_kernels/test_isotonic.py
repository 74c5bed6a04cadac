import numpy as np
import pytest
from decomposition_oracles import isotonic as oracle, rows_of
from sklearn.isotonic import IsotonicRegression

from skcalib._kernels._isotonic import isotonic


def problem(seed, n=40, n_values=12):
    """Probabilities with many ties, events that follow them loosely, weights with zeros."""
    rng = np.random.default_rng(seed)
    p = rng.integers(0, n_values + 1, n) / n_values
    return p, rng.random(n) < 0.3 + 0.4 * p, rng.integers(0, 4, n) * 0.7


def test_neighbours_whose_frequency_falls_are_pooled():
    p = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    fit = isotonic(p, np.array([False, True, False, False, True]), None)
    # 0 | 1 0 0 -> 1/3 | 1
    np.testing.assert_allclose(fit.frequency, [0, 1 / 3, 1 / 3, 1 / 3, 1])
    assert fit.block_weight.tolist() == [1, 3, 1]
    assert fit.block_events.tolist() == [0, 1, 1]


def test_equal_probabilities_are_pooled_before_all_else():
    # Taken one by one in this order, the rows of .5 would be 0 and 1, and rise already.
    fit = isotonic(np.array([0.5, 0.5, 0.2]), np.array([False, True, False]), None)
    assert fit.proba.tolist() == [0.2, 0.5]
    assert fit.weight.tolist() == [1, 2]
    assert fit.events.tolist() == [0, 1]
    assert fit.frequency.tolist() == [0, 0.5]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_frequencies_are_those_of_exact_arithmetic(seed, weighted):
    p, happened, weight = problem(seed)
    weight = weight if weighted else None
    fit = isotonic(p, happened, weight)
    distinct, values = oracle(rows_of(p, happened, weight))
    assert fit.proba.tolist() == [float(value) for value in distinct]
    np.testing.assert_allclose(fit.frequency, [float(value) for value in values], atol=1e-15)


@pytest.mark.parametrize("weighted", [False, True])
def test_frequencies_are_scikit_learns(weighted):
    rng = np.random.default_rng(0)
    p = rng.random(3000).round(3)
    happened, weight = rng.random(3000) < p**2, rng.random(3000) if weighted else None
    fit = isotonic(p, happened, weight)
    expected = IsotonicRegression(y_min=0, y_max=1).fit(p, happened, weight).predict(fit.proba)
    np.testing.assert_allclose(fit.frequency, expected, atol=1e-12)


def test_blocks_are_runs_of_one_frequency():
    p, happened, weight = problem(0, n=500, n_values=200)
    fit = isotonic(p, happened, weight)
    frequency = fit.block_events / fit.block_weight
    assert (np.diff(frequency) > 0).all()
    np.testing.assert_allclose(np.unique(fit.frequency), frequency, rtol=1e-15)
    assert fit.block_weight.sum() == pytest.approx(weight.sum())


def test_the_order_of_rows_does_not_matter():
    p, happened, weight = problem(1)
    shuffled = np.random.default_rng(0).permutation(len(p))
    for given in (weight, None):
        there = isotonic(p, happened, given)
        here = isotonic(p[shuffled], happened[shuffled], None if given is None else given[shuffled])
        for a, b in zip(here, there, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-14)


def test_a_weight_is_repetition_and_a_row_of_weight_0_is_as_if_absent():
    p, happened, _ = problem(2, n_values=100)
    weight = np.random.default_rng(0).integers(0, 4, len(p))
    rows = np.repeat(np.arange(len(p)), weight)
    weighted = isotonic(p, happened, weight.astype(float))
    for a, b in zip(weighted, isotonic(p[rows], happened[rows], None), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not set(p[weight == 0]) - set(p[weight > 0]) & set(weighted.proba)


@pytest.mark.parametrize("outcome", [False, True])
def test_a_frequency_of_0_or_1_is_exact_whatever_the_weights(outcome):
    rng = np.random.default_rng(0)
    fit = isotonic(rng.random(1000), np.full(1000, outcome), rng.random(1000))
    assert set(fit.frequency) == {float(outcome)}


def test_frequencies_never_fall():
    # Thirds and sevenths, equal but for rounding.
    rng = np.random.default_rng(0)
    p, weight = rng.random(3000), rng.choice([0.1, 0.7, 1 / 3], 3000)
    fit = isotonic(p, rng.random(3000) < 0.5, weight)
    assert (np.diff(fit.frequency) >= 0).all()
    assert fit.frequency.min() >= 0
    assert fit.frequency.max() <= 1


def test_float32_gives_what_float64_gives():
    p, happened, weight = problem(3)
    p = p.round(2).astype(np.float32)
    for a, b in zip(
        isotonic(p, happened, weight), isotonic(p.astype(np.float64), happened, weight), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_arguments_are_left_as_they_are_and_nothing_is_raised():
    p, happened, weight = problem(4)
    for array in (p, happened, weight):
        array.flags.writeable = False
    with np.errstate(all="raise"):
        isotonic(p, happened, weight * 1e-300)
        isotonic(p, happened, None)
