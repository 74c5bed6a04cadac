"""Prior shift: Bayes' rule with other class frequencies, and these from rows without labels."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.base import clone
from sklearn.datasets import load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcalib import CalibratedClassifier, PriorShift, TemperatureScaling
from skcalib._kernels import _mixture
from skcalib.datasets import make_miscalibrated_logits

LOGITS, Y = make_miscalibrated_logits(60, 3, temperature=1, random_state=0)
PROBA = softmax(LOGITS, axis=1)
SOURCE, TARGET = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.3, 0.5])
MEANS = np.array([[0.0, 0.0], [1.5, 0.0], [0.0, 1.5]])
PROBABILITIES = {"response_method": "predict_proba"}


def bayes(proba, source, target):
    """Row by row, class by class: the joint frequencies at the target, then their shares."""
    shifted = []
    for row in proba.tolist():
        joint = [q / s * t for q, s, t in zip(row, source, target, strict=True)]
        shifted.append([value / sum(joint) for value in joint])
    return np.array(shifted)


def rows_of_gaussians(n, prior, seed):
    """Points around `MEANS` with classes as frequent as `prior`: densities of classes, labels."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=prior)
    x = MEANS[y] + rng.standard_normal((n, 2))
    return np.exp(-((x[:, None] - MEANS) ** 2).sum(axis=2) / 2), y


def calibrated(n, prior, *, at, seed):
    """Rows drawn at one prior, read by a model that is calibrated for another: probabilities."""
    density, y = rows_of_gaussians(n, prior, seed)
    joint = density * at
    return joint / joint.sum(axis=1, keepdims=True), y


def fitted(**parameters):
    return PriorShift(source_prior=SOURCE, **PROBABILITIES, **parameters).fit(PROBA, Y)


# By hand.


def test_one_in_two_becomes_one_in_ten():
    model = PriorShift(source_prior=[0.5, 0.5], target_prior=[0.9, 0.1], **PROBABILITIES)
    proba = np.array([[0.5, 0.5], [0.25, 0.75], [0.1, 0.9]])
    model.fit(proba, [0, 1, 1])
    # .25 * 1.8 : .75 * .2 = .45 : .15, and .1 * 1.8 : .9 * .2 = .18 : .18.
    expected = [[0.9, 0.1], [0.75, 0.25], [0.5, 0.5]]
    np.testing.assert_allclose(model.predict_proba(proba), expected, rtol=1e-14)
    assert model.predict(proba).tolist() == [0, 0, 0]  # by probability, the first on ties
    np.testing.assert_allclose(
        model.decision_function(proba), np.log([1 / 9, 1 / 3, 1]), atol=1e-14
    )


def test_logits_gain_the_logarithm_of_the_ratio():
    model = PriorShift(source_prior=[0.5, 0.5], target_prior=[0.8, 0.2])
    decision = np.array([-1.0, 0.0, 2.0])
    model.fit(decision, [0, 1, 1])
    np.testing.assert_allclose(model.decision_function(decision), decision - np.log(4), rtol=1e-14)


def test_a_prior_left_out_is_that_of_the_rows():
    y = [0, 0, 0, 1]
    proba = np.full((4, 2), 0.5)
    to_rows = PriorShift(source_prior=[0.5, 0.5], **PROBABILITIES).fit(proba, y)
    assert to_rows.target_prior_.tolist() == [0.75, 0.25]
    np.testing.assert_allclose(to_rows.predict_proba(proba[:1]), [[0.75, 0.25]], rtol=1e-14)
    from_rows = PriorShift(target_prior=[0.5, 0.5], **PROBABILITIES).fit(proba, y)
    assert from_rows.source_prior_.tolist() == [0.75, 0.25]
    np.testing.assert_allclose(from_rows.predict_proba(proba[:1]), [[0.25, 0.75]], rtol=1e-14)
    weighted = from_rows.fit(proba, y, sample_weight=[1, 0, 0, 4])
    assert weighted.source_prior_.tolist() == [0.2, 0.8]


def test_without_priors_probabilities_stay():
    model = PriorShift().fit(LOGITS, Y)
    expected = np.bincount(Y) / len(Y)
    np.testing.assert_allclose(model.source_prior_, expected, rtol=1e-14)
    np.testing.assert_allclose(model.target_prior_, expected, rtol=1e-14)
    np.testing.assert_allclose(model.predict_proba(LOGITS), PROBA, rtol=1e-13)
    assert model.predict(LOGITS).tolist() == LOGITS.argmax(axis=1).tolist()


def test_a_class_without_rows_has_its_share_of_one_more():
    y = np.array([0, 0, 1])
    model = PriorShift(classes=[0, 1, 2]).fit(np.zeros((3, 3)), y)
    # Counts 2, 1, 0 and a third each, of 4.
    np.testing.assert_allclose(model.source_prior_, [7 / 12, 4 / 12, 1 / 12], rtol=1e-14)
    # A label of weight 0 is no row.
    model.fit(np.zeros((4, 3)), [0, 0, 1, 2], sample_weight=[1, 1, 1, 0])
    np.testing.assert_allclose(model.source_prior_, [7 / 12, 4 / 12, 1 / 12], rtol=1e-14)


# What always holds.


@pytest.mark.parametrize(
    ("method", "scores"),
    [
        ("decision_function", LOGITS),
        ("predict_proba", PROBA),
        ("predict_log_proba", log_softmax(LOGITS, axis=1)),
    ],
)
def test_it_is_bayes_rule_whatever_the_scores_are(method, scores):
    model = PriorShift(response_method=method, source_prior=SOURCE, target_prior=TARGET)
    proba = model.fit(scores, Y).predict_proba(scores)
    np.testing.assert_allclose(proba, bayes(PROBA, SOURCE, TARGET), rtol=1e-12)
    np.testing.assert_allclose(model.predict_log_proba(scores), np.log(proba), rtol=1e-11)
    assert model.predict(scores).tolist() == proba.argmax(axis=1).tolist()


def test_there_and_back_is_where_it_was():
    there = fitted(target_prior=TARGET).predict_proba(PROBA)
    back = PriorShift(source_prior=TARGET, target_prior=SOURCE, **PROBABILITIES).fit(there, Y)
    np.testing.assert_allclose(back.predict_proba(there), PROBA, rtol=1e-12)


def test_weights_are_repetitions_and_the_order_of_rows_does_not_matter():
    weight = np.random.default_rng(0).integers(0, 4, len(Y))
    weighted = PriorShift(target_prior=TARGET).fit(LOGITS, Y, sample_weight=weight)
    repeated = np.random.default_rng(1).permutation(np.repeat(np.arange(len(Y)), weight))
    plain = PriorShift(target_prior=TARGET).fit(LOGITS[repeated], Y[repeated])
    np.testing.assert_allclose(weighted.source_prior_, plain.source_prior_, rtol=1e-14)
    other = PriorShift().fit(LOGITS[repeated], Y[repeated]).adapt(LOGITS[::-1])
    once = PriorShift().fit(LOGITS, Y, sample_weight=weight).adapt(LOGITS)
    np.testing.assert_allclose(once.target_prior_, other.target_prior_, rtol=1e-10)


def test_classes_may_be_named_in_any_order():
    order = np.array([2, 0, 1])  # class k of the one model is called order[k] in the other
    there = np.argsort(order)
    one = PriorShift(source_prior=SOURCE).fit(LOGITS, Y).adapt(LOGITS)
    other = PriorShift(source_prior=SOURCE[there]).fit(LOGITS[:, there], order[Y])
    other.adapt(LOGITS[:, there])
    np.testing.assert_allclose(other.target_prior_[order], one.target_prior_, rtol=1e-8)
    proba = other.predict_proba(LOGITS[:, there])
    np.testing.assert_allclose(proba[:, order], one.predict_proba(LOGITS), rtol=1e-8)


def test_priors_follow_the_sorted_labels_and_not_the_columns():
    priors = {"source_prior": SOURCE, "target_prior": TARGET}
    plain = PriorShift(classes=["a", "b", "c"], **priors).fit(LOGITS, np.array(list("abc"))[Y])
    columns = ["c", "a", "b"]
    model = PriorShift(classes=columns, **priors).fit(
        LOGITS[:, [2, 0, 1]], np.array(list("abc"))[Y]
    )
    assert model.classes_.tolist() == ["a", "b", "c"]
    expected = plain.predict_proba(LOGITS)
    np.testing.assert_allclose(model.predict_proba(LOGITS[:, [2, 0, 1]]), expected, rtol=1e-14)


@pytest.mark.parametrize("n_classes", [3, 40])
def test_a_row_does_not_depend_on_its_batch(n_classes):
    logits, y = make_miscalibrated_logits(200, n_classes, temperature=1, random_state=1)
    logits[::3, 1] = -np.inf
    logits[5, :] = -np.inf
    logits[5, 2] = 0.0  # masks all but a class of target 0
    y[logits[np.arange(200), y] == -np.inf] = 2
    target = np.r_[0.7, 0.3, np.zeros(n_classes - 2)]
    model = PriorShift(target_prior=target).fit(logits, y)
    alone = np.concatenate([model.predict_proba(row[None]) for row in logits])
    np.testing.assert_array_equal(model.predict_proba(logits), alone)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_precision_is_that_of_the_scores(dtype):
    scores = LOGITS.astype(dtype)
    model = PriorShift(source_prior=SOURCE, target_prior=TARGET).fit(scores, Y)
    proba, log_proba = model.predict_proba(scores), model.predict_log_proba(scores)
    assert proba.dtype == log_proba.dtype == (np.float64 if dtype == np.float64 else np.float32)
    expected = bayes(softmax(scores.astype(np.float64), axis=1), SOURCE, TARGET)
    tolerance = 1e-12 if dtype == np.float64 else 2e-6
    np.testing.assert_allclose(proba, expected, rtol=tolerance)
    estimate = model.adapt(scores).target_prior_
    exact = model.fit(scores.astype(np.float64), Y).adapt(scores.astype(np.float64)).target_prior_
    assert estimate.dtype == np.float64
    np.testing.assert_allclose(estimate, exact, atol=1e-5)


# Zeros and extremes.


def test_a_masked_class_stays_masked():
    logits = np.array([[0.0, -np.inf, 0.0], [0.0, 1.0, 2.0]])
    model = PriorShift(source_prior=[0.5, 0.25, 0.25], target_prior=[0.25, 0.5, 0.25])
    proba = model.set_params(classes=[0, 1, 2]).fit(logits, [0, 1]).predict_proba(logits)
    # 1 * 1/2 : 0 : 1 * 1.
    np.testing.assert_allclose(proba[0], [1 / 3, 0, 2 / 3], rtol=1e-14)
    assert proba[0, 1] == 0
    assert model.predict_log_proba(logits)[0, 1] == -np.inf


def test_a_target_of_zero_is_served_as_zero():
    model = PriorShift(source_prior=SOURCE, target_prior=[0.5, 0.5, 0.0]).fit(LOGITS, Y)
    proba = model.predict_proba(LOGITS)
    assert (proba[:, 2] == 0).all()
    expected = bayes(PROBA, SOURCE, [0.5, 0.5, 0.0])
    np.testing.assert_allclose(proba, expected, rtol=1e-12)
    assert (model.predict_log_proba(LOGITS)[:, 2] == -np.inf).all()


def test_a_row_that_leaves_no_class_of_the_target_open_stays_as_it_is():
    inf = np.inf
    logits = np.array([[0.0, 1.0, 1.0], [-inf, 0.0, np.log(3)], [-inf, -inf, 2.0]])
    model = PriorShift(
        classes=[0, 1, 2], source_prior=[0.4, 0.3, 0.3], target_prior=[1.0, 0.0, 0.0]
    ).fit(logits, [0, 1, 2])
    expected = [[1, 0, 0], [0, 0.25, 0.75], [0, 0, 1]]
    np.testing.assert_allclose(model.predict_proba(logits), expected, rtol=1e-14)
    assert model.predict(logits).tolist() == [0, 2, 2]
    # However far away: what is not masked can be.
    distant = np.array([[-1e5, 0.0, 0.0]])
    np.testing.assert_array_equal(model.predict_proba(distant), [[1, 0, 0]])


def test_a_probability_of_zero_is_an_estimate():
    model = PriorShift(
        classes=[0, 1, 2], source_prior=[0.25, 0.5, 0.25], target_prior=[0.5, 0.5, 0.0],
        **PROBABILITIES,
    ).fit(np.full((2, 3), 1 / 3), [0, 1])  # fmt: skip
    proba = model.predict_proba(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    np.testing.assert_allclose(proba[0], [0, 1, 0], atol=1e-300)
    # Nothing is known between the two zeros but the ratios 2 and 1.
    np.testing.assert_allclose(proba[1], [2 / 3, 1 / 3, 0], rtol=1e-12)


def test_logarithms_keep_what_probabilities_round_to_zero():
    logits = np.array([[0.0, 800.0], [0.0, -800.0]])
    model = PriorShift(source_prior=[0.5, 0.5], target_prior=[0.9, 0.1]).fit(logits, [1, 0])
    # log(.9 / .1) = log 9 is the difference that the shift makes.
    expected = [[-800 + np.log(9), 0], [0, -800 - np.log(9)]]
    np.testing.assert_allclose(model.predict_log_proba(logits), expected, rtol=1e-14)


@pytest.mark.parametrize("size", [1e17, 1e300])
def test_a_shift_is_not_lost_beside_large_scores(size):
    logits = np.array([[size, size], [-size, -size], [size, -size]])
    model = PriorShift(source_prior=[0.5, 0.5], target_prior=[0.75, 0.25]).fit(logits, [0, 1, 0])
    expected = [[0.75, 0.25], [0.75, 0.25], [1, 0]]
    np.testing.assert_allclose(model.predict_proba(logits), expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_class_that_is_excluded_does_not_drown_the_others(dtype):
    huge = float(np.finfo(dtype).max)
    logits = np.array([[huge, 0, np.log(3)], [huge, -huge, -huge]], dtype=dtype)
    model = PriorShift(
        classes=range(3), source_prior=[0.0, 0.5, 0.5], target_prior=[0.0, 0.5, 0.5]
    ).fit(logits, [1, 2])
    expected = np.array([[0, 0.25, 0.75], [0, 0.5, 0.5]])
    np.testing.assert_allclose(model.predict_proba(logits), expected, rtol=1e-6)
    with np.errstate(all="raise"):
        model.set_params(prior_rows=0).adapt(logits[:1])
    np.testing.assert_allclose(model.target_prior_, [0, 0, 1], atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("least", [1e-300, 5e-308])
def test_the_smallest_priors_are_divided_by_in_silence(least, dtype):
    logits = LOGITS.astype(dtype)
    with np.errstate(all="raise"):
        model = PriorShift(source_prior=[least, 0.5, 0.5], target_prior=[0.2, 0.3, 0.5])
        proba = model.fit(logits, Y).predict_proba(logits)
        # .2 / 5e-308 beside .6 and 1: nothing else has a chance.
        np.testing.assert_allclose(proba, np.tile([1, 0, 0], (60, 1)), atol=1e-290)
        back = PriorShift(source_prior=[0.2, 0.3, 0.5], target_prior=[least, 0.5, 0.5])
        proba = back.fit(logits, Y).predict_proba(logits)
        for prior_rows in (0, 1):
            model.set_params(prior_rows=prior_rows).adapt(logits)
            np.testing.assert_allclose(model.target_prior_.sum(), 1, rtol=1e-15)
            assert np.isfinite(model.predict_proba(logits)).all()
    two = bayes(softmax(logits[:, 1:].astype(float), axis=1), [0.3, 0.5], [0.5, 0.5])
    np.testing.assert_allclose(proba[:, 1:], two, rtol=1e-5)


def test_a_class_of_next_to_no_weight_counts_as_without_rows():
    model = PriorShift(classes=range(3))
    with np.errstate(all="raise"):
        model.fit(np.zeros((4, 3)), [0, 0, 1, 2], sample_weight=[1, 1, 1, 1e-310])
    np.testing.assert_allclose(model.source_prior_, [7 / 12, 4 / 12, 1 / 12], rtol=1e-14)


@pytest.mark.parametrize("n_classes", [2, 20_000])
def test_one_row_of_few_or_many_classes_adapts(n_classes):
    logits = np.zeros((3, n_classes), dtype=np.float32)
    logits[0, 1] = 5
    model = PriorShift(classes=range(n_classes), prior_rows=1).fit(logits, [0, 1, 1])
    source = model.source_prior_
    with np.errstate(all="raise"):
        target = model.adapt(logits[:1]).target_prior_
    # K rows like the source, and one divided among the classes in proportion to target * density.
    density = np.exp(logits[0].astype(float)) / source
    rows = target * density / (target @ density)
    np.testing.assert_allclose(target, (n_classes * source + rows) / (n_classes + 1), rtol=1e-6)


# Frequencies from rows without labels.


def test_certain_rows_are_counted_beside_those_of_the_source():
    tests = np.repeat([[1.0, 0.0], [0.0, 1.0]], [7, 3], axis=0)
    model = PriorShift(source_prior=[0.8, 0.2], prior_rows=2, **PROBABILITIES).fit(
        tests, [0] * 7 + [1] * 3
    )
    assert model.adapt(tests) is model
    # The source is worth 2 rows for each of 2 classes: 3.2 and .8.
    np.testing.assert_allclose(model.target_prior_, [10.2 / 14, 3.8 / 14], rtol=1e-6)
    np.testing.assert_allclose(model.source_prior_, [0.8, 0.2], rtol=1e-14)
    np.testing.assert_allclose(
        model.set_params(prior_rows=0).adapt(tests).target_prior_, [0.7, 0.3]
    )


def test_prevalence_from_a_test_of_known_errors():
    # Rogan and Gladen 1978: of a test that is right for 80 % of the ill and of the healthy, 60 %
    # of results positive mean (.6 + .8 - 1) / (.8 + .8 - 1) = 2/3 ill.
    tests = np.repeat([[0.2, 0.8], [0.8, 0.2]], [60, 40], axis=0)
    model = PriorShift(source_prior=[0.5, 0.5], prior_rows=0, **PROBABILITIES)
    model.fit(tests, [1] * 60 + [0] * 40).adapt(tests)
    np.testing.assert_allclose(model.target_prior_, [1 / 3, 2 / 3], atol=1e-6)


def test_the_new_prior_is_served_and_replaces_the_last():
    model = fitted(target_prior=TARGET)
    model.adapt(PROBA[:20]).adapt(PROBA)
    fresh = fitted().adapt(PROBA)
    np.testing.assert_array_equal(model.target_prior_, fresh.target_prior_)
    expected = bayes(PROBA, SOURCE, model.target_prior_)
    np.testing.assert_allclose(model.predict_proba(PROBA), expected, rtol=1e-12)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(model)).predict_proba(PROBA), model.predict_proba(PROBA)
    )
    model.fit(PROBA, Y)
    np.testing.assert_allclose(model.target_prior_, TARGET, rtol=1e-14)


@pytest.mark.parametrize("prior_rows", [0, 1, 5])
def test_the_estimate_maximises_the_likelihood(prior_rows):
    proba, _ = calibrated(400, TARGET, at=SOURCE, seed=0)

    def objective(free):
        log_prior = log_softmax(np.r_[free, 0.0])
        likelihood = np.log(proba / SOURCE @ np.exp(log_prior)).sum()
        return -(likelihood + prior_rows * 3 * SOURCE @ log_prior) / 400

    best = minimize(objective, np.zeros(2), method="BFGS", options={"gtol": 1e-9})
    expected = softmax(np.r_[best.x, 0.0])
    estimate = fitted(prior_rows=prior_rows).adapt(proba).target_prior_
    np.testing.assert_allclose(estimate, expected, atol=1e-5)
    np.testing.assert_allclose(estimate.sum(), 1, rtol=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_the_prior_of_calibrated_rows_is_found_within_four_standard_errors(seed):
    n = 20_000
    density, _ = rows_of_gaussians(n, TARGET, seed)
    joint = density * SOURCE
    proba = joint / joint.sum(axis=1, keepdims=True)
    # Of the free frequencies of classes 0 and 1 a row's score is (d_k - d_2) / sum pi'_m d_m.
    score = (density[:, :2] - density[:, 2:]) / (density @ TARGET)[:, None]
    standard_error = np.sqrt(np.diag(np.linalg.inv(score.T @ score)))
    assert (standard_error < 0.01).all()
    estimate = fitted().adapt(proba).target_prior_
    assert (np.abs(estimate[:2] - TARGET[:2]) < 4 * standard_error).all()


def test_adapting_wins_back_most_of_what_the_shift_cost():
    proba, _ = calibrated(500, TARGET, at=SOURCE, seed=1)
    fresh, y = calibrated(20_000, TARGET, at=SOURCE, seed=2)
    stays = log_loss(y, fresh)
    knows = log_loss(y, bayes(fresh, SOURCE, TARGET))
    adapts = log_loss(y, fitted().adapt(proba).predict_proba(fresh))
    assert adapts - knows < 0.1 * (stays - knows)


def test_few_rows_rule_no_class_out():
    # Five rows of twenty classes: maximum likelihood gives classes that none of them shows up.
    logits, y = make_miscalibrated_logits(2000, 20, temperature=1, random_state=0)
    model = PriorShift().fit(logits, y)
    stays = log_loss(y[5:], model.predict_proba(logits[5:]))
    model.adapt(logits[:5])
    # 20 rows like the source, and 5 more.
    assert (model.target_prior_ >= 0.8 * model.source_prior_ - 1e-12).all()
    assert log_loss(y[5:], model.predict_proba(logits[5:])) < 1.1 * stays


def test_rows_that_say_nothing_leave_the_prior_where_it_was():
    model = fitted(prior_rows=0).adapt(np.tile(SOURCE, (50, 1)))
    np.testing.assert_allclose(model.target_prior_, SOURCE, atol=1e-12)


def test_a_class_the_source_excludes_stays_excluded():
    logits = np.column_stack([LOGITS[:, :2], LOGITS[:, 2]])
    y = (LOGITS[:, 1] > LOGITS[:, 0]).astype(int)
    model = PriorShift(
        classes=[0, 1, 2], source_prior=[0.5, 0.5, 0.0], target_prior=[0.3, 0.7, 0.0]
    ).fit(logits, y)
    assert (model.predict_proba(logits)[:, 2] == 0).all()
    model.adapt(logits)
    assert model.target_prior_[2] == 0
    two = PriorShift(source_prior=[0.5, 0.5], prior_rows=1.5).fit(logits[:, :2], y)  # 3 rows in all
    np.testing.assert_allclose(
        model.target_prior_[:2], two.adapt(logits[:, :2]).target_prior_, atol=1e-6
    )
    before = dict(vars(model))
    logits[4, :2] = -np.inf
    with pytest.raises(ValueError, match="X leaves in row 4 only classes open whose source_prior"):
        model.adapt(logits)
    assert vars(model) == before


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_failed_adapt_leaves_everything_as_it_was(bad):
    model = PriorShift().fit(LOGITS, Y)
    before, X = dict(vars(model)), LOGITS.copy()
    X[3, 1] = bad
    with pytest.raises(ValueError, match="row 3 holds"):
        model.adapt(X)
    with pytest.raises(ValueError, match="X has 2 features"):
        model.adapt(LOGITS[:, :2])
    with pytest.raises(ValueError, match="no rows"):
        model.adapt(LOGITS[:0])
    assert vars(model) == before
    with pytest.raises(ValueError, match="'prior_rows' parameter"):
        model.set_params(prior_rows=-1).adapt(LOGITS)


def test_adapt_comes_after_fit():
    with pytest.raises(NotFittedError):
        PriorShift().adapt(LOGITS)


def test_masked_and_certain_rows_adapt_in_silence():
    logits = LOGITS.copy()
    logits[::2, 1] = -np.inf
    y = logits.argmax(axis=1)
    logits[np.arange(60), y] = 900
    with np.errstate(all="raise"):
        for prior_rows in (0, 1):
            model = PriorShift(prior_rows=prior_rows).fit(logits, y).adapt(logits[:30])
            model.predict_proba(logits)
            model.predict_log_proba(logits)
    counts = np.bincount(y[:30], minlength=3)
    np.testing.assert_allclose(
        model.target_prior_, (counts + 3 * model.source_prior_) / 33, atol=1e-6
    )


def test_rare_classes_of_unlabelled_rows_are_found_to_six_digits():
    # Rogan and Gladen 1978, for a disease of one in 100 000: positive are .8 of the ill and .2 of
    # the healthy.
    ill = 1e-5
    tests = np.array([[0.2, 0.8], [0.8, 0.2]])
    model = PriorShift(source_prior=[0.5, 0.5], prior_rows=0, **PROBABILITIES).fit(tests, [1, 0])
    positive = 0.2 + 0.6 * ill
    model.adapt(tests, sample_weight=[1e6 * positive, 1e6 * (1 - positive)])
    np.testing.assert_allclose(model.target_prior_, [1 - ill, ill], rtol=1e-7)


@pytest.mark.parametrize("ensemble", [False, True])
def test_a_search_cut_short_warns_and_serves_what_it_has(monkeypatch, ensemble):
    X, y = load_iris(return_X_y=True)
    model = PriorShift(GaussianNB(), ensemble=ensemble).fit(X, y)
    before = dict(vars(model))
    monkeypatch.setattr(_mixture, "_MAX_STEPS", 1)
    with pytest.raises(ConvergenceWarning, match=r"ended before.*Raise prior_rows, or pass a targ"):
        model.adapt(X[:120])
    assert vars(model) == before
    with pytest.warns(ConvergenceWarning) as caught:
        model.adapt(X[:120])
    assert [w.filename for w in caught] == [__file__]
    np.testing.assert_allclose(model.target_prior_.sum(), 1, rtol=1e-15)


# Weights of unlabelled rows.


@pytest.mark.parametrize("prior_rows", [0, 1])
def test_weights_of_unlabelled_rows_are_repetitions(prior_rows):
    times = np.random.default_rng(0).integers(0, 4, 60)
    weighted = fitted(prior_rows=prior_rows).adapt(PROBA, sample_weight=times)
    repeated = fitted(prior_rows=prior_rows).adapt(np.repeat(PROBA, times, axis=0))
    np.testing.assert_allclose(weighted.target_prior_, repeated.target_prior_, rtol=1e-9)
    ones = fitted(prior_rows=prior_rows).adapt(PROBA, np.ones(60))
    plain = fitted(prior_rows=prior_rows).adapt(PROBA)
    np.testing.assert_allclose(ones.target_prior_, plain.target_prior_, rtol=1e-12)


@pytest.mark.parametrize(
    "bad", [[np.nan] * 3, [0, np.inf, 0], [-np.inf] * 3, [-np.inf, -np.inf, 0]]
)
def test_unlabelled_rows_of_weight_zero_are_absent(bad):
    model = PriorShift(source_prior=[0.5, 0.5, 0.0], target_prior=[0.5, 0.5, 0.0], classes=range(3))
    model.fit(LOGITS, Y)
    X = np.insert(LOGITS, 7, bad, axis=0)
    weight = np.insert(np.ones(60), 7, 0)
    with np.errstate(all="raise"):
        estimate = model.adapt(X, sample_weight=weight).target_prior_
    np.testing.assert_allclose(estimate, model.adapt(LOGITS).target_prior_, rtol=1e-12)
    weight[7] = 1e-9
    with pytest.raises(ValueError, match="row 7"):
        model.adapt(X, sample_weight=weight)


@pytest.mark.parametrize("scale", [1e-90, 1e90])
def test_the_unit_of_weights_does_not_matter_to_the_likelihood(scale):
    weight = np.random.default_rng(1).gamma(1.0, size=60)
    weight[:2] = 1e-300
    with np.errstate(all="raise"):
        scaled = fitted(prior_rows=0).adapt(PROBA, scale * np.r_[1e-300 / scale, 0, weight[2:]])
    expected = fitted(prior_rows=0).adapt(PROBA, np.r_[0, 0, weight[2:]]).target_prior_
    np.testing.assert_allclose(scaled.target_prior_, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (np.ones(59), ValueError, r"shape \(60,\), one weight per row, got \(59,\)"),
        (np.r_[-1.0, np.ones(59)], ValueError, r"finite and not negative, got -1\.0 in row 0"),
        (np.r_[np.ones(59), np.nan], ValueError, "finite and not negative, got nan in row 59"),
        (np.zeros(60), ValueError, "zero for every row"),
        (["a"] * 60, TypeError, "sample_weight must hold numbers"),
    ],
)
def test_weights_of_unlabelled_rows_that_cannot_be_right_are_refused(weight, error, message):
    model = fitted()
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.adapt(PROBA, sample_weight=weight)
    assert vars(model) == before


def test_each_pair_of_an_ensemble_counts_the_weights():
    X, y = load_iris(return_X_y=True)
    weight = np.repeat([1, 0, 3], 50)
    model = PriorShift(GaussianNB(), ensemble=True, prior_rows=0).fit(X, y)
    estimate = model.adapt(X, sample_weight=weight).target_prior_
    np.testing.assert_allclose(
        estimate, model.adapt(np.repeat(X, weight, axis=0)).target_prior_, rtol=1e-9
    )


# Priors by label.


@pytest.mark.parametrize("kind", [dict, pd.Series])
@pytest.mark.parametrize("wrap", ["scores", "frozen", "folds", "ensemble", "method"])
def test_a_prior_by_label_is_the_same_as_by_position(wrap, kind):
    X, y = load_iris(return_X_y=True)
    y = np.array(["b", "c", "a"])[y]
    source, target = {"b": 0.3, "c": 0.1, "a": 0.6}, {"c": 0.3, "a": 0.2, "b": 0.5}
    by_label = {"source_prior": kind(source), "target_prior": kind(target)}
    by_position = {"source_prior": [0.6, 0.3, 0.1], "target_prior": [0.2, 0.5, 0.3]}
    frozen = FrozenEstimator(GaussianNB().fit(X, y))

    def model_of(priors):
        if wrap == "scores":
            X_scores = frozen.predict_proba(X)
            return PriorShift(**priors, **PROBABILITIES).fit(X_scores, y), X_scores
        if wrap == "method":
            return CalibratedClassifier(frozen, method=PriorShift(**priors)).fit(X, y), X
        estimator = frozen if wrap == "frozen" else GaussianNB()
        return PriorShift(estimator, **priors, ensemble=wrap == "ensemble").fit(X, y), X

    (one, X_one), (other, X_other) = model_of(by_label), model_of(by_position)
    np.testing.assert_array_equal(one.predict_proba(X_one), other.predict_proba(X_other))
    assert one.classes_.tolist() == ["a", "b", "c"]


def test_a_prior_by_label_is_a_parameter_like_any_other():
    prior = {2: 0.5, 0: 0.2, 1: 0.3}
    model = PriorShift(source_prior=pd.Series(SOURCE), target_prior=prior, **PROBABILITIES)
    assert model.get_params()["target_prior"] is prior
    assert "target_prior={0: 0.2, 1: 0.3, 2: 0.5}" in repr(model)
    copy = clone(model).fit(PROBA, Y)
    np.testing.assert_allclose(copy.target_prior_, TARGET, rtol=1e-15)
    np.testing.assert_allclose(
        pickle.loads(pickle.dumps(copy)).predict_proba(PROBA), bayes(PROBA, SOURCE, TARGET), 1e-12
    )
    assert prior == {2: 0.5, 0: 0.2, 1: 0.3}


# The table of results of scikit-learn 1.6 asks every object whether it is a masked array.
@pytest.mark.filterwarnings("ignore:Series._data is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", [dict, pd.Series])
def test_priors_by_label_can_be_searched_over(kind):
    proba, y = calibrated(300, TARGET, at=SOURCE, seed=0)
    best = kind({2: 0.5, 0: 0.2, 1: 0.3})
    grid = {"target_prior": [kind({0: 0.6, 1: 0.3, 2: 0.1}), best]}
    model = PriorShift(source_prior=SOURCE, **PROBABILITIES)
    search = GridSearchCV(model, grid, scoring="neg_log_loss", cv=3).fit(proba, y)
    assert dict(search.best_params_["target_prior"]) == dict(best)


# Around estimators.


def test_a_model_trained_on_balanced_rows_gets_its_base_rate_back():
    X, y = make_classification(6000, weights=[0.95], flip_y=0.02, random_state=0)
    train, fit, test = slice(0, 2000), slice(2000, 4000), slice(4000, 6000)
    balanced = LogisticRegression(class_weight="balanced").fit(X[train], y[train])
    natural = LogisticRegression().fit(X[train], y[train])
    model = PriorShift(FrozenEstimator(balanced), source_prior=[0.5, 0.5]).fit(X[fit], y[fit])
    np.testing.assert_allclose(model.target_prior_[1], y[fit].mean(), rtol=1e-12)
    losses = [log_loss(y[test], m.predict_proba(X[test])) for m in (balanced, model, natural)]
    assert losses[1] < 1.1 * losses[2] < 0.7 * losses[0]
    assert abs(model.predict_proba(X[test])[:, 1].mean() - y[test].mean()) < 0.02


def test_a_calibrated_model_is_shifted_by_what_it_serves():
    X, y = load_iris(return_X_y=True)
    inner = TemperatureScaling(GaussianNB()).fit(X, y)
    priors = {"source_prior": [1 / 3] * 3, "target_prior": TARGET}
    model = PriorShift(FrozenEstimator(inner), **priors).fit(X, y)
    expected = log_softmax(inner.predict_log_proba(X) + np.log(TARGET), axis=1)
    np.testing.assert_allclose(model.predict_log_proba(X), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("ensemble", [False, True])
def test_an_estimator_is_cross_fitted_and_adapted(ensemble):
    X, y = load_iris(return_X_y=True, as_frame=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = PriorShift(
        make_pipeline(StandardScaler(), GaussianNB()), ensemble=ensemble, prior_rows=0
    )
    model.fit(X, names)
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert hasattr(model, "source_prior_") is not ensemble
    few = pd.concat([X[:10], X[50:]])  # 10, 50, 50
    model.adapt(few)
    np.testing.assert_allclose(model.target_prior_, [1 / 11, 5 / 11, 5 / 11], atol=0.02)
    assert model.predict_proba(X).shape == (150, 3)
    if ensemble:
        for pair in model.calibrated_classifiers_:
            np.testing.assert_array_equal(pair.calibrator.target_prior, model.target_prior_)
        each = [
            bayes(pair.estimator.predict_proba(X), [1 / 3] * 3, model.target_prior_)
            for pair in model.calibrated_classifiers_
        ]
        np.testing.assert_allclose(model.predict_proba(X), np.mean(each, axis=0), atol=1e-10)


def test_the_target_can_be_searched_over():
    proba, y = calibrated(300, TARGET, at=SOURCE, seed=0)
    grid = {"priorshift__target_prior": [SOURCE.tolist(), TARGET.tolist(), [0.8, 0.1, 0.1]]}
    model = make_pipeline(PriorShift(source_prior=SOURCE, **PROBABILITIES))
    search = GridSearchCV(model, grid, scoring="neg_log_loss", cv=3).fit(proba, y)
    assert search.best_params_ == {"priorshift__target_prior": TARGET.tolist()}
    assert clone(search.best_estimator_[-1]).target_prior == TARGET.tolist()


def test_it_serves_as_a_method():
    method = PriorShift(source_prior=SOURCE, target_prior=TARGET)
    model = CalibratedClassifier(method=method).fit(LOGITS, Y)
    np.testing.assert_allclose(
        model.predict_proba(LOGITS), bayes(PROBA, SOURCE, TARGET), rtol=1e-12
    )
    assert not hasattr(method, "target_prior_")


# What cannot be right.


class Expensive(GaussianNB):
    """A model that must not be asked."""

    def fit(self, X, y):
        raise AssertionError("fitted")

    def predict_proba(self, X):
        raise AssertionError("asked")


@pytest.mark.parametrize("wrapped", ["folds", "ensemble", "frozen", "method"])
@pytest.mark.parametrize(
    ("priors", "message"),
    [
        ({"target_prior": [0.5, 0.5]}, r"target_prior.*order \[0, 1, 2\]: expected 3, got 2"),
        ({"source_prior": {0: 0.5, 1: 0.5}}, "source_prior.*no frequency for 2"),
        (
            {"source_prior": [1, 0, 0], "target_prior": [0, 1, 0]},
            "got 0 at position 1, label 1, whose",
        ),
    ],
)
def test_priors_that_do_not_fit_the_classes_are_refused_before_a_model_is_asked(
    wrapped, priors, message
):
    X, y = load_iris(return_X_y=True)
    estimator = Expensive()
    if wrapped == "frozen":
        GaussianNB.fit(estimator, X, y)
        estimator = FrozenEstimator(estimator)
    if wrapped == "method":
        model = CalibratedClassifier(estimator, method=PriorShift(**priors))
    else:
        model = PriorShift(estimator, ensemble=wrapped == "ensemble", **priors)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)


@pytest.mark.parametrize("name", ["source_prior", "target_prior"])
@pytest.mark.parametrize(
    ("prior", "error", "message"),
    [
        ([0.5, 0.6, 0.2], ValueError, r"must sum to one \(within 1e-06\), got a sum of 1\.3\. Div"),
        ([50, 30, 20], ValueError, "must sum to one.*got a sum of 100"),
        ([0.0, 0.0, 0.0], ValueError, "must sum to one.*got a sum of 0"),
        ([1e308, 1e308, 0.0], ValueError, "must sum to one.*got a sum of inf"),
        ([0.7, 0.5, -0.2], ValueError, r"finite and not negative, got -0\.2 at position 2"),
        ([0.7, np.nan, 0.3], ValueError, "finite and not negative, got nan at position 1"),
        ([0.7, np.inf, 0.3], ValueError, "finite and not negative, got inf at position 1"),
        ([0.5, 0.5], ValueError, "one frequency per class.*expected 3, got 2"),
        ([], ValueError, "must sum to one.*got a sum of 0"),
        ([[0.5, 0.3, 0.2]], ValueError, r"must have shape \(n_classes,\), got \(1, 3\)"),
        (["a", "b", "c"], TypeError, "must be an array of numbers"),
        ("abc", ValueError, "parameter of PriorShift must be"),
        ([True, False, False], TypeError, "must be an array of numbers"),
        (np.ma.masked_less([0.5, 0.3, 0.2], 0.25), TypeError, "must be an array of numbers"),
        ({0: 0.5, 1: 0.5}, ValueError, r"each of the classes \[0, 1, 2\] once.*frequency for 2\."),
        (pd.Series({1: 0.5, 0: 0.3, 3: 0.2}), ValueError, r"no frequency for 2; unknown 3\."),
        ([1.0, 5e-324, 0.0], ValueError, r"0 or at least 4\.5e-308, got 5e-324 at position 1"),
        ([1.0, 0.0, 1e-310], ValueError, r"0 or at least 4\.5e-308, got 1e-310 at position 2"),
        (0.5, ValueError, "parameter of PriorShift must be"),
    ],
)
def test_a_prior_that_cannot_be_right_is_refused_by_name(name, prior, error, message):
    model = PriorShift().fit(LOGITS, Y).set_params(**{name: prior})
    before = dict(vars(model))
    with pytest.raises(error, match=name), np.errstate(all="raise"):
        model.fit(LOGITS, Y)
    with pytest.raises(error, match=message):
        model.fit(LOGITS, Y)
    assert vars(model) == before


def test_rounding_of_a_prior_is_no_fault():
    thirds = np.full(3, 1 / 3, dtype=np.float32)
    model = PriorShift(source_prior=thirds, target_prior=[0.333333, 0.333333, 0.3333337])
    model.fit(LOGITS, Y)
    np.testing.assert_allclose(model.source_prior_, 1 / 3, rtol=1e-14)
    np.testing.assert_allclose(model.target_prior_.sum(), 1, rtol=1e-15)


def test_the_source_must_allow_what_the_target_holds():
    message = "source_prior must be positive.*got 0 at position 1.*is 0.25"
    with pytest.raises(ValueError, match=message):
        PriorShift(source_prior=[0.5, 0.0, 0.5], target_prior=[0.5, 0.25, 0.25]).fit(LOGITS, Y)


@pytest.mark.parametrize("prior_rows", [-1, np.inf, np.nan, "auto", None])
def test_an_alpha_that_cannot_be_right_is_refused(prior_rows):
    with pytest.raises(ValueError, match="'prior_rows' parameter of PriorShift"):
        PriorShift(prior_rows=prior_rows).fit(LOGITS, Y)


def test_rows_that_have_no_probabilities_are_refused():
    X = LOGITS.copy()
    X[7] = -np.inf
    with pytest.raises(ValueError, match="row 7 has every class masked"):
        PriorShift().fit(X, Y)
    model = PriorShift(target_prior=[0.5, 0.5, 0.0]).fit(LOGITS, Y)
    for call in (model.predict_proba, model.predict_log_proba, model.predict):
        with pytest.raises(ValueError, match="row 7 has every class masked"):
            call(X)
