"""The shrunken linear map: its features, its gradient, and the minimum it finds."""

import linear_oracles as oracle
import numpy as np
import pytest
from linear_oracles import problem
from scipy.special import softmax

from skcalib._kernels import _blocks, _linear_map, _map_features
from skcalib._kernels._blocks import Logits
from skcalib._kernels._coefficients import Coefficients, Penalties
from skcalib._kernels._linear_map import fit_linear_map, map_probabilities
from skcalib._kernels._map_features import Features, shared_spreads
from skcalib._kernels._start import Start

# The search ends once a step gains less than 1e-10 of J / N, or the gradient is below 1e-6: what
# the steps that it leaves out may gain, and how far they may move a probability.
GAP = 1e-7
PROBA = 2e-4

# Mean log loss of structured matrix and vector scaling; 1.3e-4 there.
LOSS = 2e-4

START = Start(1.3, 0.02)
MIXED = {"shared": 3.0, "stretch": 1.0, "bias": 0.5, "belief": 0.3, "matrix": 0.7}


def some_weights(n):
    return np.random.default_rng(9).gamma(2.0, size=n)


def walked(monkeypatch, way):
    """Have the kernel keep its features, or work them out anew in several blocks."""
    if way == "recomputed":
        monkeypatch.setattr(_map_features, "_KEPT_ENTRIES", 0)
        monkeypatch.setattr(_map_features, "_KEPT_BYTES", 0)
    if way != "kept":
        monkeypatch.setattr(_blocks, "BLOCK_ELEMENTS", 100)


def fitted(z, y, penalties, weight=None, start=START, guess=None, **search):
    """A fit and the probabilities it gives the rows it was fitted on."""
    features = Features(Logits(z), start).keep()
    sizes = shared_spreads(features, weight)
    began = None if guess is None else Coefficients(*guess)
    fit = fit_linear_map(features, sizes, y, weight, Penalties(**penalties), guess=began, **search)
    return fit, served(z, sizes, fit.coefficients, start)


def served(z, sizes, coefficients, start=START):
    blocks = Features(Logits(z), start).blocks()
    return np.concatenate([map_probabilities(block, sizes, coefficients) for block in blocks])


def solved(z, y, penalties, weight=None, start=START, **search):
    begun = oracle.starting(z, *start)
    tensor = oracle.design(begun, oracle.spreads(begun, weight), tuple(penalties))
    penalty = oracle.penalty_vector(penalties, z.shape[1])
    return oracle.solve(begun, tensor, penalty, y, weight, **search)


def objective_of(coefficients, z, y, penalties, weight=None):
    """J of coefficients, by its formula."""
    begun = oracle.starting(z, *START)
    tensor = oracle.design(begun, oracle.spreads(begun, weight), tuple(penalties))
    theta = np.concatenate([block.ravel() for block in coefficients if block is not None])
    penalty = oracle.penalty_vector(penalties, z.shape[1])
    return oracle.loss(begun, tensor, y, weight, theta) + penalty @ theta**2


def coefficients_of(theta, blocks, n_classes):
    found = oracle.coefficients_of(theta, blocks, n_classes)
    return Coefficients(*(found.get(name) for name in oracle.BLOCKS))


def mean_loss(proba, y):
    return -np.log(proba[np.arange(len(y)), y]).mean()


# What a map reads.


@pytest.mark.parametrize("way", ["kept", "in blocks", "recomputed"])
@pytest.mark.parametrize(("n_classes", "masked"), [(3, 0.0), (3, 0.3), (40, 0.0), (40, 0.3)])
def test_features_are_those_of_the_formulas(monkeypatch, way, n_classes, masked):
    walked(monkeypatch, way)
    z, _ = problem(0, 50, n_classes, masked)
    begun = oracle.starting(z, *START)
    expected = oracle.shared_features(begun)
    blocks = list(Features(Logits(z), START).keep().blocks())
    assert (len(blocks) > 1) == (way != "kept")
    for block in blocks:
        np.testing.assert_allclose(block.z, begun.z[block.rows], rtol=1e-13)
        np.testing.assert_allclose(block.p, begun.p[block.rows], rtol=1e-13)
        np.testing.assert_allclose(block.smooth, expected[2][block.rows], rtol=1e-12)
        along = block.entropy[:, None] * block.z
        np.testing.assert_allclose(along, expected[3][block.rows], rtol=1e-12)
        assert np.array_equal(np.isneginf(block.base), np.isneginf(z[block.rows]))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("way", ["kept", "in blocks", "recomputed"])
@pytest.mark.parametrize(("n_classes", "masked"), [(3, 0.0), (3, 0.3), (40, 0.3)])
def test_spreads_are_standard_deviations_over_open_entries(
    monkeypatch, way, n_classes, masked, weighted
):
    walked(monkeypatch, way)
    z, _ = problem(1, 50, n_classes, masked)
    weight = some_weights(50) if weighted else None
    found = shared_spreads(Features(Logits(z), START).keep(), weight)
    expected = oracle.spreads(oracle.starting(z, *START), weight)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [1, 2, 3, 7, 40, 100])
def test_features_of_equal_scores_are_not_divided_by_rounding(monkeypatch, n_classes, dtype):
    walked(monkeypatch, "recomputed")
    features = Features(Logits(np.full((300, n_classes), 3, dtype)), START)
    assert shared_spreads(features, None).tolist() == [1, 1, 1, 1]


# The objective.


@pytest.mark.parametrize("way", ["kept", "recomputed"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n_classes", "masked"), [(4, 0.0), (4, 0.3), (40, 0.0), (40, 0.3)])
@pytest.mark.parametrize(
    "blocks", [*((name,) for name in oracle.BLOCKS), oracle.BLOCKS, ("stretch", "matrix")]
)
def test_gradient_is_that_of_finite_differences(
    monkeypatch, blocks, n_classes, masked, weighted, way
):
    walked(monkeypatch, way)
    rng = np.random.default_rng(5)
    z, y = problem(2, 12, n_classes, masked)
    weight = some_weights(len(y)) if weighted else None
    begun = oracle.starting(z, *START)
    sizes = oracle.spreads(begun, weight)
    tensor = oracle.design(begun, sizes, blocks)
    theta = 0.3 * rng.standard_normal(tensor.shape[2])
    if "matrix" in blocks:
        theta[-(n_classes**2) :].reshape(n_classes, n_classes)[np.diag_indices(n_classes)] = 0

    features = Features(Logits(z), START).keep()
    coefficients = coefficients_of(theta, blocks, n_classes)
    loss, gradient = _linear_map._loss(features, sizes, y, weight, coefficients)
    assert loss == pytest.approx(oracle.loss(begun, tensor, y, weight, theta), rel=1e-12)
    found = np.concatenate([part.ravel() for part in gradient if part is not None])
    step = 1e-5
    for i in rng.permutation(len(theta))[:60]:
        around = np.zeros(len(theta))
        around[i] = step
        above, below = (oracle.loss(begun, tensor, y, weight, theta + d) for d in (around, -around))
        expected = (above - below) / (2 * step)
        assert found[i] == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("way", ["kept", "in blocks", "recomputed"])
@pytest.mark.parametrize(("n_classes", "masked"), [(4, 0.3), (40, 0.3)])
def test_a_map_serves_its_formula(monkeypatch, way, n_classes, masked):
    walked(monkeypatch, way)
    z, _ = problem(3, 30, n_classes, masked)
    begun = oracle.starting(z, *START)
    sizes = oracle.spreads(begun)
    tensor = oracle.design(begun, sizes)
    theta = 0.2 * np.random.default_rng(0).standard_normal(tensor.shape[2])
    square = theta[-(n_classes**2) :].reshape(n_classes, n_classes)
    np.fill_diagonal(square, 0)
    found = served(z, sizes, coefficients_of(theta, oracle.BLOCKS, n_classes))
    expected = softmax(oracle.logits_of(begun, tensor, theta), axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-11)
    assert (found[np.isneginf(z)] == 0).all()


def test_with_every_penalty_infinite_the_map_is_where_it_started():
    z, y = problem(4, 30, 5)
    fit, proba = fitted(z, y, {})
    np.testing.assert_allclose(proba, 0.98 * softmax(z / 1.3, axis=1) + 0.02 / 5, rtol=1e-12)
    assert fit.coefficients == Coefficients(None, None, None, None, None)


# The minimum.


def penalties_of(name, n_classes):
    """Those of the linear calibrators, by name."""
    k, pairs = float(n_classes), float(n_classes * (n_classes - 1))
    return {
        "structured vector scaling": {"stretch": k, "bias": k},
        "structured matrix scaling": {"stretch": k, "bias": k, "matrix": k * (k - 1)},
        "bends": {"shared": 3.0},
        "strong": {"shared": 3.0, "stretch": 3 * k, "belief": 3.0, "matrix": 90 * pairs},
        "weak": {"shared": 3.0, "stretch": 0.2 * k, "belief": 0.2, "matrix": 0.4 * pairs},
        "no pairs": {"shared": 3.0, "stretch": 0.2 * k, "bias": 0.2 * k},
        "mixed": MIXED,
    }[name]


NAMES = [
    "structured vector scaling",
    "structured matrix scaling",
    "bends",
    "strong",
    "weak",
    "no pairs",
    "mixed",
]
SIZES = [(30, 3, 0.0), (300, 2, 0.0), (300, 5, 0.2), (150, 8, 0.0)]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "n_classes", "masked"), SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_the_minimum_is_that_of_newtons_method(name, n, n_classes, masked, weighted):
    z, y = problem(n + n_classes, n, n_classes, masked)
    weight = some_weights(n) if weighted else None
    total = n if weight is None else weight.sum()
    penalties = penalties_of(name, n_classes)
    fit, proba = fitted(z, y, penalties, weight)
    expected = solved(z, y, penalties, weight)
    objective = objective_of(fit.coefficients, z, y, penalties, weight)
    assert -1e-9 < (objective - expected.objective) / total < GAP
    np.testing.assert_allclose(proba, expected.proba, atol=PROBA)
    if name.startswith("structured"):
        assert abs(mean_loss(proba, y) - mean_loss(expected.proba, y)) < LOSS


def test_no_class_adds_to_itself_through_the_matrix():
    z, y = problem(6, 100, 4, 0.2)
    fit, _ = fitted(z, y, MIXED, some_weights(100))
    assert (np.diag(fit.coefficients.matrix) == 0).all()


@pytest.mark.parametrize("way", ["kept", "recomputed"])
@pytest.mark.parametrize("unit", [1e-200, 1e-30, 1e60, 1e200])
def test_weights_of_any_size_are_told_apart_by_their_ratios(monkeypatch, unit, way):
    walked(monkeypatch, way)
    z, y = problem(6, 100, 4)
    z = z.astype(np.float32)
    weight = some_weights(100)
    _, expected = fitted(z, y, MIXED, weight)
    scaled = {name: r * unit for name, r in MIXED.items()}
    _, proba = fitted(z, y, scaled, weight * unit)
    # Noise in the last steps of the search may end it one step sooner or later.
    np.testing.assert_allclose(proba, expected, atol=1e-6 if way == "kept" else 2e-3)


@pytest.mark.parametrize("way", ["in blocks", "recomputed"])
@pytest.mark.parametrize("n_classes", [4, 40])
def test_how_rows_are_walked_does_not_change_the_minimum(monkeypatch, n_classes, way):
    z, y = problem(7, 100, n_classes)
    penalties = penalties_of("strong", n_classes)
    _, whole = fitted(z, y, penalties)
    walked(monkeypatch, way)
    _, other = fitted(z, y, penalties)
    # The same steps but for rounding of the sums.
    np.testing.assert_allclose(other, whole, atol=1e-6)


@pytest.mark.parametrize("way", ["kept", "recomputed"])
def test_float32_scores_give_the_minimum_of_float64(monkeypatch, way):
    z, y = problem(8, 400, 6, 0.2)
    z = z.astype(np.float32)
    _, expected = fitted(z.astype(np.float64), y, MIXED)
    walked(monkeypatch, way)
    _, proba = fitted(z, y, MIXED)
    assert proba.dtype == np.float32
    # Noise in the last steps of the search may end it one step sooner or later.
    np.testing.assert_allclose(proba, expected, atol=1e-4 if way == "kept" else 2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_two_starts_lead_to_one_minimum(name):
    z, y = problem(9, 200, 4)
    penalties = penalties_of(name, 4)
    fit, proba = fitted(z, y, penalties)
    rng = np.random.default_rng(1)
    elsewhere = [None if c is None else rng.standard_normal(c.shape) for c in fit.coefficients]
    if elsewhere[4] is not None:
        np.fill_diagonal(elsewhere[4], 0)
    other, other_proba = fitted(z, y, penalties, guess=elsewhere)
    one, two = (objective_of(f.coefficients, z, y, penalties) for f in (fit, other))
    assert abs(one - two) / 200 < GAP
    np.testing.assert_allclose(proba, other_proba, atol=PROBA)


def test_a_start_of_other_blocks_is_passed_over():
    z, y = problem(9, 200, 4)
    plain, _ = fitted(z, y, {"bias": 1.0})
    stretched, _ = fitted(z, y, {"stretch": 1.0})
    other, _ = fitted(z, y, {"bias": 1.0}, guess=stretched.coefficients)
    assert np.array_equal(plain.coefficients.bias, other.coefficients.bias)


@pytest.mark.parametrize("name", NAMES)
def test_more_penalty_leaves_smaller_coefficients(name):
    z, y = problem(10, 200, 4)
    squares = []
    for factor in 0.1, 1, 10, 100, 1e4, 1e8:
        penalties = {k: factor * r for k, r in penalties_of(name, 4).items()}
        fit, proba = fitted(z, y, penalties)
        squares.append(sum(np.sum(c**2) for c in fit.coefficients if c is not None))
    assert (np.diff(squares) < 0).all()
    # In the end nothing is left but the start.
    np.testing.assert_allclose(proba, 0.98 * softmax(z / 1.3, axis=1) + 0.02 / 4, atol=1e-5)


# Monotone maps.


@pytest.mark.parametrize(("n", "n_classes", "masked"), SIZES)
def test_monotone_bends_are_the_best_of_those_not_negative(n, n_classes, masked):
    z, y = problem(n + n_classes, n, n_classes, masked)
    fit, proba = fitted(z, y, {"shared": 3.0}, monotone=True)
    assert (fit.coefficients.shared >= 0).all()
    expected = solved(z, y, {"shared": 3.0}, at_least=np.zeros(4))
    objective = objective_of(fit.coefficients, z, y, {"shared": 3.0})
    assert -1e-9 < (objective - expected.objective) / n < GAP
    np.testing.assert_allclose(proba, expected.proba, atol=PROBA)


@pytest.mark.parametrize("temperature", [2.5, 5.0, 20.0])
def test_monotone_bends_keep_the_order_within_each_row(temperature):
    z, y = problem(11, 300, 6, 0.2)
    fit, proba = fitted(z, y, {"shared": 0.01}, start=Start(temperature, 0.01), monotone=True)
    assert fit.coefficients.shared.max() > 0.1
    ranked = np.take_along_axis(proba, np.argsort(z, axis=1), axis=1)
    assert (np.diff(ranked, axis=1) >= 0).all()


# Beta calibration (Kull, Silva Filho, Flach 2017).


def unpenalised_beta_calibration(p, y):
    """Logistic regression of y on (log p, log(1 - p)), by Newton's steps, as probabilities."""
    X = np.column_stack([np.log(p), np.log1p(-p), np.ones(len(p))])
    theta = np.array([1.0, -1.0, 0.0])
    for _ in range(50):
        q = 1 / (1 + np.exp(-X @ theta))
        theta += np.linalg.solve((X * (q * (1 - q))[:, None]).T @ X, X.T @ (y - q))
    assert np.abs(X.T @ (y - 1 / (1 + np.exp(-X @ theta)))).max() < 1e-8
    return 1 / (1 + np.exp(-X @ theta))


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("n", [100, 1000, 10_000])
def test_for_two_classes_stretch_and_bias_are_beta_calibration(n, share):
    """With a penalty of next to nothing, T = 1.

    Without uniform mixed in what is left is the search. With Laplace's share, which moves p by
    1 / (n + 1) at most, the difference shrinks as fast.
    """
    rng = np.random.default_rng(n)
    p = rng.beta(2, 3, size=n)
    logit = 0.7 * np.log(p) - 1.6 * np.log1p(-p) - 0.4
    y = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int)
    z = np.log(np.column_stack([1 - p, p]))
    start = Start(1.0, share / (n + 1))
    _, proba = fitted(z, y, {"stretch": 1e-6, "bias": 1e-6}, start=start)
    expected = unpenalised_beta_calibration(p, y)
    assert np.abs(proba[:, 1] - expected).max() < 1e-3 + share * 3 / (n + 1)
    beta = np.column_stack([1 - expected, expected])
    assert abs(mean_loss(proba, y) - mean_loss(beta, y)) < 1e-5 + share / (n + 1)
