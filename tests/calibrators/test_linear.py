"""Vector and matrix scaling: the published map, its attributes, and what must not change it."""

from contextlib import nullcontext

import linear_oracles as oracle
import numpy as np
import pytest
from linear_oracles import problem
from oracles import best_start
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning

from skcalib import (
    CalibratedClassifier,
    EnsembleTemperatureScaling,
    MatrixScaling,
    StructuredScaling,
    TemperatureScaling,
    VectorScaling,
)
from skcalib._kernels._coefficients import Penalties
from skcalib._kernels._linear_map import Search
from skcalib._response import Scores
from skcalib.calibrators._path_fitter import PathFitter
from skcalib.calibrators._rows import CalibrationRows
from skcalib.datasets import load_logits

SCALINGS = [VectorScaling, MatrixScaling]

# A search ends once a step gains less than 1e-10 of the mean of J; it may end a step sooner or
# later when sums round otherwise. What that moves: mean log loss, and a single probability.
LOSS = 2e-4
PROBA = 4e-4


def fit(scaling, z, y, *, sample_weight=None, **parameters):
    model = scaling(classes=range(z.shape[1]), **parameters)
    return model.fit(z, y, sample_weight=sample_weight)


def calibration_rows(name, n_rows):
    scores = load_logits(name)
    rows = np.flatnonzero(scores.calibration)[:n_rows]
    return scores.logits[rows].astype(np.float64), scores.target[rows]


def mean_loss(proba, y, weight=None):
    return -np.average(np.log(proba[np.arange(len(y)), y]), weights=weight)


def best_map(scaling, z, y, weight=None, alpha=1.0, penalty=1.0):
    """Temperature by bisection, Laplace's share, the penalised map by Newton's method."""
    n_classes, total = z.shape[1], len(y) if weight is None else weight.sum()
    each = penalty * n_classes
    penalties = {"stretch": each, "bias": each}
    if scaling is MatrixScaling:
        penalties["matrix"] = each * (n_classes - 1)
    temperature = 1.0 if np.isinf(alpha) else best_start(z, y, weight, alpha)
    begun = oracle.starting(z, temperature, 1 / (total + 1))
    tensor = oracle.design(begun, blocks=tuple(penalties))
    return oracle.solve(begun, tensor, oracle.penalty_vector(penalties, n_classes), y, weight)


def objective_of(scaling, model, z, y, weight=None, penalty=1.0):
    """J of what a fitted model shows, from the docstring's formula; and its probabilities."""
    n, n_classes = z.shape
    total = n if weight is None else weight.sum()
    begun = oracle.starting(z, model.temperature_, 1 / (total + 1))
    if scaling is VectorScaling:
        matrix = np.diag(model.stretch_)
    else:
        matrix = model.matrix_
    logits = np.where(begun.masked, -np.inf, begun.z @ matrix.T + model.bias_)
    off = matrix - np.diag(np.diag(matrix))
    squares = np.sum((np.diag(matrix) - 1) ** 2) + np.sum(model.bias_**2)
    squares += (n_classes - 1) * np.sum(off**2)
    proba = softmax(logits, axis=1)
    return total * mean_loss(proba, y, weight) + penalty * n_classes * squares, proba


# The published map.


@pytest.mark.parametrize("alpha", [0.0, 1.0, np.inf])
@pytest.mark.parametrize("name", ["mcq_smollm2_a", "spambase_svm", "mnist_cnn_shift"])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_real_scores_get_structured_scaling(scaling, name, alpha):
    """Berta, Holzmueller, Jordan, Bach 2025, with alpha=0: on a temperature without a prior."""
    z, y = calibration_rows(name, 400)
    model = fit(scaling, z, y, alpha=alpha)
    expected = best_map(scaling, z, y, alpha=alpha)
    objective, proba = objective_of(scaling, model, z, y)
    assert -1e-9 < (objective - expected.objective) / len(y) < 1e-7
    np.testing.assert_allclose(proba, expected.proba, atol=PROBA)
    assert abs(mean_loss(proba, y) - mean_loss(expected.proba, y)) < LOSS


@pytest.mark.parametrize("penalty", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("masked", [0.0, 0.3])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_weighted_rows_with_masked_classes_get_the_minimum(scaling, masked, penalty):
    z, y = problem(0, 200, 4, masked)
    weight = np.random.default_rng(1).gamma(2.0, size=200)
    model = fit(scaling, z, y, sample_weight=weight, penalty=penalty)
    expected = best_map(scaling, z, y, weight, penalty=penalty)
    objective, _ = objective_of(scaling, model, z, y, weight, penalty)
    assert -1e-9 < (objective - expected.objective) / weight.sum() < 1e-7
    proba = model.predict_proba(z)
    np.testing.assert_allclose(proba, expected.proba, atol=2.5 * PROBA)
    gap = mean_loss(proba, y, weight) - mean_loss(expected.proba, y, weight)
    assert abs(gap) < LOSS


def test_two_classes_by_hand():
    # Base rate .8 and scores that say nothing: z is (log 1/2, log 1/2) whatever T is. With a
    # penalty of next to nothing the probabilities are the rates.
    y = np.array([0, 1, 1, 1, 1] * 40)
    model = fit(VectorScaling, np.zeros((200, 2)), y, penalty=1e-6)
    np.testing.assert_allclose(model.predict_proba([[0.0, 0.0]]), [[0.2, 0.8]], atol=2e-3)
    # What each class has to itself is the same but for its sign.
    assert model.bias_[0] == pytest.approx(-model.bias_[1], rel=1e-9)
    log_odds = (model.stretch_ * np.log(0.5) + model.bias_) @ [-1, 1]
    assert log_odds == pytest.approx(np.log(4), abs=1e-2)


@pytest.mark.parametrize("n", [200, 2000])
def test_two_classes_without_a_temperature_are_beta_calibration(n):
    """Kull, Silva Filho, Flach 2017: scikit-learn's logistic regression on log p, -log(1 - p).

    What is left is Laplace's share 1 / (n + 1), the penalty and the search.
    """
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(n)
    p = rng.beta(2, 3, size=n)
    odds = 0.7 * np.log(p) - 1.6 * np.log1p(-p) - 0.4
    y = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(int)
    X = np.column_stack([np.log(p), -np.log1p(-p)])
    expected = LogisticRegression(C=1e8, tol=1e-10, max_iter=1000).fit(X, y).predict_proba(X)
    model = VectorScaling(
        response_method="predict_proba", alpha=np.inf, smoothing=0.0, penalty=1e-6
    )
    proba = model.fit(p, y).predict_proba(p)
    assert model.temperature_ == 1
    np.testing.assert_allclose(proba, expected, atol=1e-3 + 3 / (n + 1))


# Attributes.


@pytest.mark.parametrize(("n_classes", "masked"), [(2, 0.0), (4, 0.3), (40, 0.3)])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_attributes_are_what_serves(scaling, n_classes, masked):
    z, y = problem(2, 100, n_classes, masked)
    model = fit(scaling, z, y)
    _, expected = objective_of(scaling, model, z, y)
    proba = model.predict_proba(z)
    np.testing.assert_allclose(proba, expected, rtol=1e-10)
    assert (proba[np.isneginf(z)] == 0).all()


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])
@pytest.mark.parametrize("smoothing", ["auto", 0.05])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_attributes_are_what_serves_probabilities(scaling, smoothing, method):
    rng = np.random.default_rng(3)
    votes = rng.multinomial(10, rng.dirichlet(np.ones(5)), size=100) / 10  # with exact zeros
    y = (votes + rng.gumbel(size=votes.shape) / 10).argmax(axis=1)
    if method == "predict_log_proba":
        votes = np.log(votes.clip(1e-9) / votes.clip(1e-9).sum(axis=1, keepdims=True))
    model = fit(scaling, votes, y, response_method=method, smoothing=smoothing)
    p = np.exp(votes) if method == "predict_log_proba" else votes
    share = model.smoothing_
    if smoothing != "auto":
        assert share == pytest.approx(smoothing, rel=1e-12)
    _, expected = objective_of(scaling, model, np.log((1 - share) * p + share / 5), y)
    np.testing.assert_allclose(model.predict_proba(votes), expected, rtol=1e-9)
    assert (expected > 0).all()


def test_vector_scaling_is_matrix_scaling_of_an_endless_penalty_off_the_diagonal():
    z, y = problem(4, 300, 4)
    matrix = fit(MatrixScaling, z, y)
    off = matrix.matrix_[~np.eye(4, dtype=bool)]
    assert matrix.matrix_.shape == (4, 4)
    assert np.abs(off).max() < np.abs(np.diag(matrix.matrix_) - 1).max()
    assert np.abs(off).max() > 1e-4


@pytest.mark.parametrize("scaling", SCALINGS)
def test_an_endless_penalty_leaves_the_temperature(scaling):
    z, y = problem(5, 200, 4)
    temperature = best_start(z, y, alpha=1)
    model = fit(scaling, z, y, penalty=1e12)
    expected = 200 / 201 * softmax(z / temperature, axis=1) + 1 / 201 / 4
    np.testing.assert_allclose(model.predict_proba(z), expected, atol=1e-8)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_base_rate_that_the_scores_do_not_have_is_mended(scaling):
    z, y = problem(6, 3000, 4)
    proba = fit(scaling, z, y, penalty=0.01).predict_proba(z)
    rates = np.bincount(y) / 3000
    np.testing.assert_allclose(proba.mean(axis=0), rates, atol=2e-3)
    assert np.abs(softmax(z, axis=1).mean(axis=0) - rates).max() > 0.1


# The penalty by held-out rows.


@pytest.mark.parametrize("scaling", SCALINGS)
def test_cv_takes_the_penalty_of_the_lowest_loss(scaling):
    for seed, n in (7, 12), (8, 60), (9, 600):
        z, y = problem(seed, n, 3)
        model = fit(scaling, z, y, penalty="cv")
        assert model.penalties_.tolist() == [100, 10, 1, 0.1, 0.01]
        assert np.isfinite(model.cv_losses_).all()
        assert model.penalty_ == model.penalties_[model.cv_losses_.argmin()]
        alone = fit(scaling, z, y, penalty=model.penalty_)
        np.testing.assert_array_equal(model.predict_proba(z), alone.predict_proba(z))


@pytest.mark.parametrize("scaling", SCALINGS)
def test_cv_losses_are_those_of_models_fitted_on_the_other_rows(scaling):
    """Folds are not shown; any folds have the same losses on average, up to chance."""
    z, y = problem(10, 1500, 3)
    model = fit(scaling, z, y, penalty="cv")
    losses = []
    for penalty in model.penalties_:
        held_out = np.empty(1500)
        for k in range(10):
            rows = np.arange(1500) % 10 == k
            proba = fit(scaling, z[~rows], y[~rows], penalty=penalty).predict_proba(z[rows])
            held_out[rows] = -np.log(proba[np.arange(rows.sum()), y[rows]])
        losses.append(held_out.mean())
    np.testing.assert_allclose(model.cv_losses_, losses, atol=5e-3)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_fewer_than_ten_rows_are_fitted_with_one(scaling):
    z, y = problem(11, 10, 3)
    model = fit(scaling, z[:9], y[:9], penalty="cv")
    assert model.penalty_ == 1
    assert np.isnan(model.cv_losses_).all()
    assert model.cv_losses_.shape == (5,)
    expected = fit(scaling, z[:9], y[:9]).predict_proba(z)
    np.testing.assert_array_equal(model.predict_proba(z), expected)
    assert np.isfinite(fit(scaling, z, y, penalty="cv").cv_losses_).all()
    # A row of weight 0 is none.
    weight = np.r_[np.ones(9), 0]
    assert np.isnan(fit(scaling, z, y, sample_weight=weight, penalty="cv").cv_losses_).all()


@pytest.mark.parametrize("scaling", SCALINGS)
def test_many_rows_ask_for_no_more_penalty_than_few(scaling):
    z, y = problem(12, 2000, 3)
    many = fit(scaling, z, y, penalty="cv").penalty_
    few = [fit(scaling, z[i::80], y[i::80], penalty="cv").penalty_ for i in range(8)]
    assert many <= np.exp(np.mean(np.log(few))) * (1 + 1e-9)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_hopeless_scores_cost_little_more_than_to_say_that_one_knows_nothing(scaling):
    rng = np.random.default_rng(13)
    hopeless = fit(scaling, rng.standard_normal((300, 3)), np.arange(300) % 3, penalty="cv")
    np.testing.assert_allclose(hopeless.cv_losses_, np.log(3), atol=0.02)
    proba = hopeless.predict_proba(rng.standard_normal((3000, 3)))
    assert mean_loss(proba, np.arange(3000) % 3) < np.log(3) + 0.03


@pytest.mark.parametrize("scaling", SCALINGS)
def test_rows_without_a_mistake_ask_for_little_penalty_and_stay_finite(scaling):
    y = np.arange(300) % 3
    z = np.eye(3)[y] * 5 + np.random.default_rng(14).standard_normal((300, 3)) / 2
    model = fit(scaling, z, y, penalty="cv")
    proba = model.predict_proba(z)
    assert proba[np.arange(300), y].min() > 0.95
    assert np.isfinite(model.bias_).all()


@pytest.mark.parametrize(("penalty", "alpha"), [("cv", 1.0), (1.0, 0.0)])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_one_class_in_all_rows_is_believed_as_far_as_rows_go(scaling, penalty, alpha):
    rng = np.random.default_rng(15)
    z = rng.standard_normal((50, 3))
    if alpha == 0:  # a temperature without a prior needs mistakes
        z[:, 1] = z.max(axis=1) - rng.exponential(size=50)
    perfect = pytest.warns(ConvergenceWarning, match="misclassified|say nothing|beyond the bounds")
    with perfect if alpha == 0 else nullcontext():
        model = fit(scaling, z, np.ones(50, dtype=int), penalty=penalty, alpha=alpha)
    proba = model.predict_proba(z)
    assert np.isfinite(proba).all()
    assert proba[:, 1].mean() > softmax(z, axis=1)[:, 1].mean()


# What must not change it.


@pytest.mark.parametrize("n_classes", [2, 5, 40])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_row_is_served_the_same_in_any_batch(scaling, n_classes):
    z, y = problem(16, 300, n_classes)
    model = fit(scaling, z, y)
    proba = model.predict_proba(z)
    for rows in (slice(0, 1), slice(7, 8), slice(100, 300), slice(None, None, -3)):
        np.testing.assert_allclose(model.predict_proba(z[rows]), proba[rows], atol=1e-12)


@pytest.mark.parametrize("penalty", [1.0, "cv"])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_order_of_classes_and_rows_does_not_matter(scaling, penalty):
    """Steps are the same but for rounding, which the search does not make worse than this."""
    rng = np.random.default_rng(17)
    z, y = problem(17, 150, 5, 0.2)
    weight = rng.gamma(2.0, size=150)
    model = fit(scaling, z, y, sample_weight=weight, penalty=penalty)
    proba = model.predict_proba(z)
    for classes, rows in (rng.permutation(5), np.arange(150)), (np.arange(5), rng.permutation(150)):
        other = fit(
            scaling,
            z[rows][:, classes],
            np.argsort(classes)[y[rows]],
            sample_weight=weight[rows],
            penalty=penalty,
        )
        assert other.penalty_ == model.penalty_
        found = other.predict_proba(z[rows][:, classes])
        np.testing.assert_allclose(found, proba[rows][:, classes], atol=1e-6)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_constant_added_to_a_row_does_not_matter(scaling):
    z, y = problem(18, 200, 4)
    z = np.round(z * 2**20) / 2**20  # sums with the constants are exact
    added = z + np.random.default_rng(0).integers(-999, 999, (200, 1))
    model, other = fit(scaling, z, y), fit(scaling, added, y)
    np.testing.assert_allclose(other.predict_proba(added), model.predict_proba(z), atol=1e-12)
    np.testing.assert_allclose(model.predict_proba(added), model.predict_proba(z), atol=1e-12)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_weights_are_repetitions_and_rows_of_weight_zero_are_absent(scaling):
    z, y = problem(19, 200, 4)
    times = np.random.default_rng(0).integers(0, 4, 200)
    repeated = fit(scaling, np.repeat(z, times, axis=0), np.repeat(y, times))
    z[times == 0] = np.nan
    weighted = fit(scaling, z, y, sample_weight=times.astype(float))
    test, _ = problem(20, 100, 4)
    expected = repeated.predict_proba(test)
    np.testing.assert_allclose(weighted.predict_proba(test), expected, atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 5, 40])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_float32_scores_give_float32_probabilities_near_those_of_float64(scaling, n_classes):
    z, y = problem(21, 300, n_classes)
    single = z.astype(np.float32)
    model, double = fit(scaling, single, y), fit(scaling, single.astype(np.float64), y)
    proba = model.predict_proba(single)
    assert proba.dtype == np.float32
    np.testing.assert_allclose(proba, double.predict_proba(single.astype(float)), atol=1e-5)


@pytest.mark.parametrize("scale", [1e300, 1e6, 1e-300])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_scores_of_any_size_are_served(scaling, scale):
    z, y = problem(22, 100, 4, 0.1)
    too_large = pytest.warns(ConvergenceWarning, match="beyond the bounds")
    with np.errstate(all="raise"), too_large if scale == 1e300 else nullcontext():
        proba = fit(scaling, scale * z, y).predict_proba(scale * z)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-12)
    assert (proba[np.isneginf(z)] == 0).all()
    # Scores far too large or small have a temperature that mends it, up to its bounds.
    if scale == 1e6:
        expected = fit(scaling, z, y, alpha=0).predict_proba(z)
        again = fit(scaling, scale * z, y, alpha=0).predict_proba(scale * z)
        np.testing.assert_allclose(again, expected, atol=1e-6)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_equal_scores_get_the_rates_and_nothing_else(scaling):
    y = np.repeat([0, 1, 2], [100, 200, 700])
    model = fit(scaling, np.full((1000, 3), 3.0), y, penalty=0.01)
    expected = np.tile([0.1, 0.2, 0.7], (2, 1))
    np.testing.assert_allclose(model.predict_proba(np.zeros((2, 3))), expected, atol=5e-3)


@pytest.mark.parametrize("penalty", [1.0, "cv"])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_one_row_is_enough(scaling, penalty):
    model = fit(scaling, np.array([[1.0, 2.0, 0.0]]), np.array([1]), penalty=penalty)
    proba = model.predict_proba([[1.0, 2.0, 0.0], [-50.0, 50.0, 0.0]])
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-14)
    assert proba[0].argmax() == 1
    # Half of what the temperature says is uniform's after one row.
    assert proba[1, 1] < 0.9


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_thousand_classes_and_few_rows(scaling):
    z, y = problem(23, 60, 1000)
    z = z.astype(np.float32)
    proba = fit(scaling, z, y).predict_proba(z)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)
    assert proba.dtype == np.float32


def test_more_classes_than_a_matrix_is_for_are_named():
    z = np.zeros((3, 1449))
    with pytest.raises(ValueError, match=r"at most 1448 classes, got 1449\. Take VectorScaling"):
        fit(MatrixScaling, z, np.array([0, 1, 2]))


class Untrained(ClassifierMixin, BaseEstimator):
    """Must not be fitted: what is wrong can be known without."""

    def fit(self, X, y):
        raise AssertionError("fitted")

    def decision_function(self, X):
        raise AssertionError("read")


@pytest.mark.parametrize(
    "wrapper", [MatrixScaling, lambda model: CalibratedClassifier(model, method="matrix")]
)
def test_too_many_classes_are_refused_before_anything_is_fitted(wrapper):
    with pytest.raises(ValueError, match="at most 1448 classes, got 1500"):
        wrapper(Untrained()).fit(np.zeros((3000, 1)), np.arange(3000) % 1500)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_steps_of_the_search_are_shown(scaling):
    z, y = problem(25, 200, 3)
    steps = [fit(scaling, z, y, penalty=penalty).n_iter_ for penalty in (1e6, 1.0, 1e-6)]
    assert steps == sorted(steps)
    assert 0 < steps[0] < 10
    assert steps[-1] > 10


def test_a_search_cut_short_says_so():
    z, y = problem(26, 200, 3)
    rows = CalibrationRows(Scores(z, "decision_function", "X"), y, np.arange(3))
    penalties = (Penalties(stretch=1e-6, bias=1e-6),)
    cut = PathFitter(penalties, 1.0, "auto", search=Search(3, 1e-10, 1e-6))(rows)
    assert "did not end within 3 steps" in cut.obstacle
    assert PathFitter(penalties, 1.0, "auto")(rows).obstacle is None


@pytest.mark.parametrize("scaling", SCALINGS)
def test_fit_warns_of_a_search_cut_short(monkeypatch, scaling):
    monkeypatch.setattr(PathFitter, "_why_unfinished", lambda fitter, path: "cut short")
    z, y = problem(26, 200, 3)
    with pytest.warns(ConvergenceWarning, match="cut short"):
        fit(scaling, z, y)


# Labels that the model rules out.


@pytest.mark.parametrize("scaling", [*SCALINGS, EnsembleTemperatureScaling, StructuredScaling])
def test_labels_ruled_out_do_not_decide_the_temperature_of_all(scaling):
    z, y = problem(27, 300, 4)
    before = fit(scaling, z, y).temperature_
    z[np.arange(0, 300, 20), y[::20]] -= 1000
    model = fit(scaling, z, y)
    assert TemperatureScaling().fit(z, y).temperature_ > 20 * before
    assert model.temperature_ == pytest.approx(before, rel=0.3)
    assert model.temperature_ == pytest.approx(best_start(z, y, alpha=1), rel=1e-6)


def test_labels_may_be_strings_in_any_order():
    z, y = problem(24, 100, 3)
    model = VectorScaling(classes=["c", "a", "b"]).fit(z, np.array(["c", "a", "b"])[y])
    assert model.classes_.tolist() == ["a", "b", "c"]
    expected = fit(VectorScaling, z, y).predict_proba(z)[:, [1, 2, 0]]
    np.testing.assert_allclose(model.predict_proba(z), expected, atol=1e-6)
    log_proba = log_softmax(np.log(expected), axis=1)
    np.testing.assert_allclose(model.predict_log_proba(z), log_proba, atol=1e-5)
