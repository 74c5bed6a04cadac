"""Sigmoid and isotonic calibration: scikit-learn's maps, kept right where its wrapper is not."""

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, softmax
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

from skcalib import IsotonicCalibration, SigmoidCalibration
from skcalib.datasets import make_miscalibrated_logits

CALIBRATORS = [IsotonicCalibration, SigmoidCalibration]


def rows(n_classes):
    return make_classification(
        300, 8, n_informative=6, n_classes=n_classes, flip_y=0.1, class_sep=0.7, random_state=0
    )


def unmixed(proba, n):
    """Probabilities before the share 1 / (n + 1) of uniform was mixed in."""
    share, n_classes = 1 / (n + 1), proba.shape[1]
    return (proba - share / n_classes) / (1 - share)


# By hand.


def test_isotonic_pools_violators_and_mixes_in_a_share_of_uniform():
    decision, y = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0, 1, 0, 1])
    model = IsotonicCalibration().fit(decision, y)
    # The means 0, (1 + 0) / 2, 1 are monotone; 1/5 of 1/2 comes in: .8 p + .1.
    expected = np.array([0.1, 0.5, 0.5, 0.9])
    np.testing.assert_allclose(model.predict_proba(decision)[:, 1], expected, rtol=1e-12)
    # Between two scores the function is straight, beyond them constant.
    between = model.predict_proba(np.array([0.5, 2.25, -9.0, 9.0]))[:, 1]
    np.testing.assert_allclose(between, [0.3, 0.6, 0.1, 0.9], rtol=1e-12)


def test_isotonic_weights_count_in_the_means_and_in_the_share():
    decision, y = np.array([0.0, 0.0, 2.0]), np.array([0, 1, 1])
    model = IsotonicCalibration().fit(decision, y, sample_weight=[3, 1, 5])
    # At 0 the mean is 1/4; n = 9, so .9 p + .05.
    expected = [0.9 / 4 + 0.05, 0.95]
    np.testing.assert_allclose(model.predict_proba(np.array([0.0, 2.0]))[:, 1], expected)


def test_isotonic_classes_are_fitted_alone_and_normalised():
    logits = np.array([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    model = IsotonicCalibration(response_method="decision_function").fit(logits, [0, 1, 1, 2])
    # Class 0: at 0 none of two, at 1 one of two. Class 1: one of three, one of one.
    # Class 2: none of three, one of one. Row 0: (1/2, 1/3, 0) / (5/6) = (.6, .4, 0), then 1/5.
    expected = 0.8 * np.array([0.6, 0.4, 0]) + 0.2 / 3
    np.testing.assert_allclose(model.predict_proba(logits[:1])[0], expected, rtol=1e-12)


def test_a_sigmoid_is_fitted_to_moved_targets():
    decision, y = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, 0.5]), np.array([0, 0, 1, 1, 1, 0])
    model = SigmoidCalibration().fit(decision, y)
    # Platt's targets: (3 + 1) / (3 + 2) = .8 for three positives, 1 / (3 + 2) = .2 for the rest.
    target = np.where(y == 1, 0.8, 0.2)

    def loss(parameters):
        p = expit(-(parameters[0] * decision + parameters[1]))
        return -np.sum(target * np.log(p) + (1 - target) * np.log(1 - p))

    a, b = minimize(loss, [-1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9}).x
    np.testing.assert_allclose(model.slope_, [a], atol=1e-4)
    np.testing.assert_allclose(model.intercept_, [b], atol=1e-4)
    expected = expit(-(a * decision + b))
    np.testing.assert_allclose(model.predict_proba(decision)[:, 1], expected, atol=1e-4)


# Against scikit-learn.


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_sigmoids_of_decisions_are_scikit_learns(n_classes, weighted):
    X, y = rows(n_classes)
    weight = np.random.default_rng(0).gamma(2, size=300) if weighted else None
    estimator = RidgeClassifier()
    ours = SigmoidCalibration(estimator, cv=4).fit(X, y, sample_weight=weight)
    theirs = CalibratedClassifierCV(estimator, method="sigmoid", ensemble=False, cv=4)
    theirs.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-6)
    maps = theirs.calibrated_classifiers_[0].calibrators
    np.testing.assert_allclose(ours.slope_, [m.a_ for m in maps], rtol=1e-5)
    np.testing.assert_allclose(ours.intercept_, [m.b_ for m in maps], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("estimator", [RidgeClassifier(), GaussianNB()])
def test_isotonic_functions_are_scikit_learns_but_for_the_share_of_uniform(
    estimator, n_classes, weighted
):
    X, y = rows(n_classes)
    weight = np.random.default_rng(0).gamma(2, size=300) if weighted else None
    ours = IsotonicCalibration(estimator, cv=4).fit(X, y, sample_weight=weight)
    theirs = CalibratedClassifierCV(estimator, method="isotonic", ensemble=False, cv=4)
    theirs.fit(X, y, sample_weight=weight)
    n = 300 if weight is None else weight.sum()
    np.testing.assert_allclose(
        unmixed(ours.predict_proba(X), n), theirs.predict_proba(X), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_ensembles_are_scikit_learns(method):
    X, y = rows(3)
    calibrator = {"sigmoid": SigmoidCalibration, "isotonic": IsotonicCalibration}[method]
    ours = calibrator(RidgeClassifier(), ensemble=True, cv=3).fit(X, y)
    theirs = CalibratedClassifierCV(RidgeClassifier(), method=method, ensemble=True, cv=3)
    expected = theirs.fit(X, y).predict_proba(X)
    found = ours.predict_proba(X)
    if method == "isotonic":
        found = unmixed(found, 100)  # each pair has seen a hundred rows
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)


# What must always hold.


@pytest.mark.parametrize("method", ["decision_function", "predict_proba", "predict_log_proba"])
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_a_weight_is_that_many_repetitions_of_its_row(calibrator, n_classes, method):
    logits, y = make_miscalibrated_logits(150, n_classes, temperature=2, random_state=0)
    log_proba = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    X = {
        "decision_function": logits,
        "predict_proba": np.exp(log_proba),
        "predict_log_proba": log_proba,
    }[method]
    times = np.random.default_rng(1).integers(0, 4, 150)
    model = calibrator(response_method=method, classes=range(n_classes))
    weighted = model.fit(X, y, sample_weight=times).predict_proba(X)
    repeated = model.fit(np.repeat(X, times, axis=0), np.repeat(y, times)).predict_proba(X)
    # scikit-learn's own solver of the sigmoid stops at a gradient of 1e-6.
    atol = 1e-10 if calibrator is IsotonicCalibration else 1e-5
    np.testing.assert_allclose(weighted, repeated, rtol=0, atol=atol)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_a_row_of_weight_zero_is_absent_even_if_it_holds_nan(calibrator):
    logits, y = make_miscalibrated_logits(100, 3, random_state=0)
    spoilt, weight = logits.copy(), np.ones(100)
    spoilt[3], spoilt[7, 1], spoilt[9, y[9]] = np.nan, np.inf, -np.inf
    weight[[3, 7, 9]] = 0
    kept = weight > 0
    model = calibrator()
    found = model.fit(spoilt, y, sample_weight=weight).predict_proba(logits)
    expected = model.fit(logits[kept], y[kept]).predict_proba(logits)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("method", ["decision_function", "predict_proba"])
def test_classes_may_come_in_any_order(calibrator, method):
    logits, y = make_miscalibrated_logits(150, 4, random_state=0)
    X = logits if method == "decision_function" else softmax(logits, axis=1)
    order = np.array([2, 0, 3, 1])
    plain = calibrator(response_method=method).fit(X, y).predict_proba(X)
    model = calibrator(classes=order, response_method=method).fit(X[:, order], y)
    np.testing.assert_allclose(model.predict_proba(X[:, order]), plain, rtol=0, atol=1e-8)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("method", ["decision_function", "predict_proba"])
def test_no_probability_is_zero_and_no_log_loss_infinite(calibrator, method):
    logits, y = make_miscalibrated_logits(300, 3, sharpness=6, random_state=0)
    X = logits if method == "decision_function" else softmax(logits, axis=1)
    proba = calibrator(response_method=method).fit(X[:150], y[:150]).predict_proba(X[150:])
    assert proba.min() > 0
    if calibrator is IsotonicCalibration:
        assert proba.min() >= 1 / 151 / 3 - 1e-15
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_exact_zeros_and_ones_of_a_forest_are_calibrated(calibrator):
    X, y = load_digits(return_X_y=True)
    forest = FrozenEstimator(RandomForestClassifier(10, random_state=0).fit(X[:600], y[:600]))
    model = calibrator(forest).fit(X[600:1200], y[600:1200])
    proba = model.predict_proba(X[1200:])
    assert proba.min() > 0
    log_loss = -np.log(proba[np.arange(len(y) - 1200), y[1200:]]).mean()
    assert log_loss < 1


def test_a_sigmoid_reads_probabilities_as_log_odds():
    logits, y = make_miscalibrated_logits(200, 2, temperature=2, random_state=0)
    decision = logits[:, 1] - logits[:, 0]
    on_decision = SigmoidCalibration().fit(decision, y)
    on_proba = SigmoidCalibration(response_method="predict_proba", smoothing=0)
    on_proba.fit(expit(decision), y)
    np.testing.assert_allclose(on_proba.slope_, on_decision.slope_, rtol=1e-3)
    np.testing.assert_allclose(
        on_proba.predict_proba(expit(decision)), on_decision.predict_proba(decision), atol=1e-4
    )


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_classes_without_rows_and_rows_of_one_class_are_no_error(calibrator, dtype):
    logits = make_miscalibrated_logits(50, 4, random_state=0)[0].astype(dtype)
    for y in (np.zeros(50, dtype=int), np.arange(50) % 2):
        with np.errstate(all="raise"):
            model = calibrator(classes=[0, 1, 2, 3]).fit(logits, y)
            proba = model.predict_proba(logits)
        assert proba.dtype == dtype
        assert (proba > 0).all()
        assert (proba[:, 2:] < 0.1).all()


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("case", ["separable", "anti-correlated", "constant"])
def test_rows_that_say_all_or_nothing_are_no_error(calibrator, case):
    y = np.arange(60) % 3
    factor = {"separable": 2.0, "anti-correlated": -2.0, "constant": 0.0}[case]
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        proba = calibrator().fit(factor * np.eye(3)[y], y).predict_proba(factor * np.eye(3)[y])
    assert (proba > 0).all()
    at_label = proba[np.arange(60), y]
    if case == "constant" or (case, calibrator) == ("anti-correlated", IsotonicCalibration):
        np.testing.assert_allclose(proba, 1 / 3, rtol=1e-4)  # nothing rises with the score
    else:
        assert (at_label > 0.9).all()


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_a_class_masked_in_every_row_has_probability_zero(calibrator):
    logits, y = make_miscalibrated_logits(60, 3, random_state=0)
    logits[:, 2] = -np.inf
    rows = y < 2
    model = calibrator(classes=[0, 1, 2]).fit(logits[rows], y[rows])
    proba = model.predict_proba(logits)
    np.testing.assert_array_equal(proba[:, 2], 0)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_a_row_with_one_open_class_is_certain_of_it(calibrator):
    logits, y = make_miscalibrated_logits(60, 3, random_state=0)
    model = calibrator().fit(logits, y)
    only = np.full((3, 3), -np.inf)
    np.fill_diagonal(only, [5.0, -5.0, 0.0])
    np.testing.assert_array_equal(model.predict_proba(only), np.eye(3))
    binary = calibrator().fit(logits[:, 1] - logits[:, 0], y > 0)
    assert binary.predict_proba(np.array([0.0])).shape == (1, 2)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("which", [0, 1])
def test_either_of_two_classes_may_be_masked(calibrator, which):
    logits, y = make_miscalibrated_logits(60, 2, random_state=0)
    model = calibrator().fit(logits, y)
    masked = np.array([[1.0, 2.0]])
    masked[0, which] = -np.inf
    proba = model.predict_proba(masked)
    np.testing.assert_array_equal(proba, [[which, 1 - which]])
    assert model.predict(masked) == [1 - which]
    rows = y != which
    spoilt = logits.copy()
    spoilt[np.flatnonzero(rows)[:5], which] = -np.inf
    refitted = calibrator().fit(spoilt, y).predict_proba(spoilt)
    np.testing.assert_array_equal(refitted[np.flatnonzero(rows)[:5], which], 0)
    assert np.isfinite(refitted).all()


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("scale", [1e-300, 1e-100, 1e100, 1e300])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_of_absurd_size_are_answered_without_numpy_noise(calibrator, scale, n_classes):
    logits, y = make_miscalibrated_logits(60, n_classes, random_state=0)
    proba = calibrator().fit(logits * scale, y).predict_proba(logits * scale)
    assert (proba > 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_two_finite_logits_farther_apart_than_floats_go_are_still_two_classes(calibrator):
    logits, y = make_miscalibrated_logits(60, 2, random_state=0)
    model = calibrator().fit(logits, y)
    with np.errstate(all="raise"):
        proba = model.predict_proba(np.array([[-1.7e308, 1.7e308], [1.7e308, -1.7e308]]))
    assert proba[0, 1] > 0.5
    assert proba[1, 0] > 0.5


def test_the_calibrators_wrap_a_margin_classifier():
    X, y = rows(2)
    margins = LinearSVC(random_state=0)
    for calibrator in CALIBRATORS:
        proba = calibrator(margins).fit(X[:200], y[:200]).predict_proba(X[200:])
        assert -np.log(proba[np.arange(100), y[200:]]).mean() < np.log(2)
