"""Calibrators around an estimator: where scores come from, and how results are served."""

import copy
import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from oracles import best_temperature, held_out_scores, mean_log_loss
from registry import CALIBRATORS
from scipy.special import log_softmax, softmax
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, load_iris, make_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    GradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import estimator_html_repr
from sklearn.utils.fixes import parse_version

from skcalib import (
    CalibratedClassifier,
    IsotonicCalibration,
    SigmoidCalibration,
    TemperatureScaling,
)
from skcalib.datasets import make_miscalibrated_logits


@pytest.fixture
def iris():
    X, y = load_iris(return_X_y=True)
    noise = np.random.default_rng(0).normal(size=X.shape)  # so that some rows are mistaken
    return X + noise, y


@pytest.fixture
def binary():
    return make_classification(150, 5, n_informative=3, flip_y=0.2, random_state=0)


# Cross-fitting.


@pytest.mark.parametrize(
    ("estimator", "method"),
    [
        (LogisticRegression(), "decision_function"),
        (LinearDiscriminantAnalysis(), "decision_function"),
        (GaussianNB(), "predict_log_proba"),
    ],
)
def test_t_is_that_of_held_out_scores_from_a_hand_written_loop(iris, estimator, method):
    X, y = iris
    model = TemperatureScaling(estimator, response_method=method, smoothing=0).fit(X, y)
    scores = held_out_scores(estimator, X, y, StratifiedKFold(5).split(X, y), method)
    expected = best_temperature(scores, y, alpha=1)
    assert model.temperature_ == pytest.approx(expected, rel=1e-8)
    assert model.log_loss_before_ == pytest.approx(mean_log_loss(scores, y), rel=1e-10)
    assert model.log_loss_after_ == pytest.approx(mean_log_loss(scores, y, expected), rel=1e-10)
    # Served is one model, fitted on all rows.
    final = getattr(clone(estimator).fit(X, y), method)(X)
    np.testing.assert_allclose(model.predict_proba(X), softmax(final / expected, axis=1), rtol=1e-7)


def test_a_binary_decision_d_stands_for_the_logits_minus_and_plus_half_of_d(binary):
    X, y = binary
    model = TemperatureScaling(RidgeClassifier()).fit(X, y)
    splits = StratifiedKFold(5).split(X, y)
    d = held_out_scores(RidgeClassifier(), X, y, splits, "decision_function")
    expected = best_temperature(np.stack([-d / 2, d / 2], axis=1), y, alpha=1)
    assert model.temperature_ == pytest.approx(expected, rel=1e-8)
    final = RidgeClassifier().fit(X, y).decision_function(X)
    sigmoid = 1 / (1 + np.exp(-final / expected))
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], sigmoid, rtol=1e-7)


@pytest.mark.parametrize("cv", [3, KFold(4, shuffle=True, random_state=1)])
def test_cv_sets_the_folds(iris, cv):
    X, y = iris
    model = TemperatureScaling(RidgeClassifier(), cv=cv).fit(X, y)
    splitter = StratifiedKFold(cv) if isinstance(cv, int) else cv
    scores = held_out_scores(RidgeClassifier(), X, y, splitter.split(X, y), "decision_function")
    assert model.temperature_ == pytest.approx(best_temperature(scores, y, alpha=1), rel=1e-8)


def test_cv_may_be_the_splits_themselves_as_positions_or_masks(iris):
    X, y = iris
    splits = list(StratifiedKFold(3).split(X, y))
    masks = [[np.isin(np.arange(150), part) for part in split] for split in splits]
    expected = TemperatureScaling(RidgeClassifier(), cv=3).fit(X, y).temperature_
    for cv in (splits, masks, iter(splits)):
        model = TemperatureScaling(RidgeClassifier(), cv=cv).fit(X, y)
        assert model.temperature_ == pytest.approx(expected, rel=1e-12)


def test_weights_reach_the_estimator_and_the_calibration(iris):
    X, y = iris
    weight = np.random.default_rng(1).gamma(1, size=150)
    model = TemperatureScaling(RidgeClassifier()).fit(X, y, sample_weight=weight)
    splits = StratifiedKFold(5).split(X, y)
    scores = held_out_scores(
        RidgeClassifier(), X, y, splits, "decision_function", sample_weight=weight
    )
    expected = best_temperature(scores, y, weight, alpha=1)
    assert model.temperature_ == pytest.approx(expected, rel=1e-8)
    coef = RidgeClassifier().fit(X, y, sample_weight=weight).coef_
    np.testing.assert_allclose(model.estimator_.coef_, coef, rtol=1e-12)


@pytest.mark.parametrize("kind", ["list", "series", "frame index"])
def test_weights_follow_rows_by_position(iris, kind):
    X, y = iris
    weight = np.random.default_rng(1).gamma(1, size=150)
    expected = TemperatureScaling(RidgeClassifier()).fit(X, y, sample_weight=weight)
    index = np.random.default_rng(2).permutation(150) * 7
    given = list(weight) if kind == "list" else pd.Series(weight, index=index)
    labels = pd.Series(y, index=index[::-1]) if kind == "frame index" else y
    model = TemperatureScaling(RidgeClassifier()).fit(X, labels, sample_weight=given)
    assert model.temperature_ == expected.temperature_


def test_one_number_for_all_weights_reaches_the_estimator_too(iris):
    X, y = iris
    one_number = TemperatureScaling(RidgeClassifier()).fit(X, y, sample_weight=2)
    each = TemperatureScaling(RidgeClassifier()).fit(X, y, sample_weight=np.full(150, 2))
    assert one_number.temperature_ == pytest.approx(each.temperature_, rel=1e-9)


@pytest.mark.parametrize("calibrator", [IsotonicCalibration, TemperatureScaling])
@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])
def test_a_weight_is_that_many_repetitions_of_its_row_with_given_splits(iris, calibrator, method):
    X, y = iris
    times = np.random.default_rng(3).integers(0, 4, 150)
    splits = list(StratifiedKFold(4, shuffle=True, random_state=0).split(X, y))
    copies = np.repeat(np.arange(150), times)
    repeated_splits = [
        tuple(np.flatnonzero(np.isin(copies, part)) for part in split) for split in splits
    ]
    estimator = GaussianNB(var_smoothing=0)  # fitted in closed form, its smoothing ignores weights
    weighted = calibrator(estimator, cv=splits, response_method=method)
    weighted.fit(X, y, sample_weight=times)
    repeated = calibrator(estimator, cv=repeated_splits, response_method=method)
    repeated.fit(X[copies], y[copies])
    if calibrator is TemperatureScaling:
        assert weighted.temperature_ == pytest.approx(repeated.temperature_, rel=1e-10)
        assert weighted.smoothing_ == pytest.approx(repeated.smoothing_, rel=1e-10)
        np.testing.assert_allclose(
            weighted.temperature_interval_, repeated.temperature_interval_, rtol=1e-10
        )
    np.testing.assert_allclose(
        weighted.predict_proba(X), repeated.predict_proba(X), rtol=0, atol=1e-10
    )


def test_a_weight_of_zero_is_an_absent_row_with_given_splits(iris):
    X, y = iris
    weight = np.ones(150)
    weight[::10] = 0
    splits = list(StratifiedKFold(3).split(X, y))
    kept = np.flatnonzero(weight)
    kept_splits = [tuple(np.flatnonzero(np.isin(kept, part)) for part in s) for s in splits]
    estimator = GaussianNB(var_smoothing=0)
    weighted = TemperatureScaling(estimator, cv=splits).fit(X, y, sample_weight=weight)
    absent = TemperatureScaling(estimator, cv=kept_splits).fit(X[kept], y[kept])
    assert weighted.temperature_ == pytest.approx(absent.temperature_, rel=1e-10)
    np.testing.assert_allclose(
        weighted.predict_proba(X), absent.predict_proba(X), rtol=0, atol=1e-10
    )


# Against scikit-learn, where both are right.

NEW_ENOUGH = parse_version(sklearn.__version__) >= parse_version("1.8")
has_temperature = pytest.mark.skipif(
    not NEW_ENOUGH, reason="scikit-learn has temperature scaling since 1.8"
)
MAXIMUM_LIKELIHOOD = {"alpha": 0, "smoothing": 0}


def rows(n_classes):
    return make_classification(
        300,
        8,
        n_informative=6,
        n_classes=n_classes,
        flip_y=0.1,
        class_sep=0.7,
        random_state=n_classes,
    )


@has_temperature
@pytest.mark.filterwarnings("ignore:Since FrozenEstimator does not appear to accept")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3, 6])
# scikit-learn cuts probabilities off at 2e-16: this GaussianNB has none as small.
@pytest.mark.parametrize("estimator", [LinearDiscriminantAnalysis(), GaussianNB(var_smoothing=1.0)])
def test_a_fitted_model_is_calibrated_as_by_scikit_learn(estimator, n_classes, weighted):
    X, y = rows(n_classes)
    weight = np.random.default_rng(0).gamma(2, size=300) if weighted else None
    frozen = FrozenEstimator(estimator.fit(X[:100], y[:100]))
    ours = TemperatureScaling(frozen, **MAXIMUM_LIKELIHOOD).fit(X, y, sample_weight=weight)
    theirs = CalibratedClassifierCV(frozen, method="temperature", ensemble=False)
    theirs.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-6)
    beta = theirs.calibrated_classifiers_[0].calibrators[0].beta_
    # Of a decision d scikit-learn makes the logits (-d, d): its T is twice ours.
    twice = 2 if n_classes == 2 and hasattr(estimator, "decision_function") else 1
    assert ours.temperature_ * twice == pytest.approx(1 / beta, rel=1e-4)


@has_temperature
@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_folds_are_calibrated_as_by_scikit_learn(n_classes, ensemble):
    X, y = rows(n_classes)
    estimator = LinearDiscriminantAnalysis()
    ours = TemperatureScaling(estimator, ensemble=ensemble, cv=4, **MAXIMUM_LIKELIHOOD).fit(X, y)
    theirs = CalibratedClassifierCV(estimator, method="temperature", ensemble=ensemble, cv=4)
    theirs.fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-6)


# Frozen estimators.


def test_every_row_given_to_a_frozen_estimator_is_calibration_data(iris):
    X, y = iris
    inner = RidgeClassifier().fit(X[::2], y[::2])
    model = TemperatureScaling(FrozenEstimator(inner)).fit(X[1::2], y[1::2])
    scores = inner.decision_function(X[1::2])
    assert model.temperature_ == pytest.approx(best_temperature(scores, y[1::2], alpha=1), rel=1e-9)
    assert model.estimator_.estimator is inner


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_a_class_absent_from_the_calibration_rows_keeps_its_column(iris, calibrator):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    frozen = FrozenEstimator(RidgeClassifier().fit(X, names))
    model = calibrator(frozen).fit(X[y != 1], names[y != 1])
    np.testing.assert_array_equal(model.classes_, ["setosa", "versicolor", "virginica"])
    assert model.predict_proba(X).shape == (150, 3)
    if calibrator is TemperatureScaling:
        scores = frozen.decision_function(X)
        expected = best_temperature(scores[y != 1], y[y != 1], alpha=1)
        assert model.temperature_ == pytest.approx(expected, rel=1e-9)
        np.testing.assert_array_equal(model.predict(X), frozen.predict(X))


@pytest.mark.parametrize(("label", "listing"), [("x", r"\[0, 1\]"), (2, r"\[0, 1\]")])
def test_a_label_unknown_to_a_frozen_estimator_is_refused(iris, label, listing):
    X, y = iris
    frozen = FrozenEstimator(RidgeClassifier().fit(X[y < 2], y[y < 2]))
    labels = np.array([label] * 3)
    with pytest.raises(
        ValueError,
        match=f"y has the label {label!r} in row 0, .* the estimator was trained on, {listing}",
    ):
        TemperatureScaling(frozen).fit(X[:3], labels)


def test_classes_of_a_fitted_model_may_be_in_any_order(iris):
    X, y = iris

    class Unsorted(LogisticRegression):
        """As some wrappers of other packages: classes in the order of the data."""

        def fit(self, X, y):
            super().fit(X, y)
            self.order_ = [2, 0, 1]
            return self

        @property
        def classes_(self):
            return self._classes[self.order_] if hasattr(self, "order_") else self._classes

        @classes_.setter
        def classes_(self, value):
            self._classes = value

        def decision_function(self, X):
            return (X @ self.coef_.T + self.intercept_)[:, self.order_]

    frozen = FrozenEstimator(Unsorted().fit(X, y))
    plain = FrozenEstimator(LogisticRegression().fit(X, y))
    model, expected = (TemperatureScaling(f).fit(X, y) for f in (frozen, plain))
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), rtol=1e-9)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


def test_ensembles_and_folds_do_not_concern_a_frozen_estimator(iris):
    X, y = iris
    frozen = FrozenEstimator(RidgeClassifier().fit(X, y))
    models = [TemperatureScaling(frozen, ensemble=e).fit(X, y) for e in (False, True, "auto")]
    assert len({model.temperature_ for model in models}) == 1
    assert not any(hasattr(model, "calibrated_classifiers_") for model in models)


# Ensembles.


@pytest.mark.parametrize("ensemble", [True, "auto"])
def test_an_ensemble_averages_a_pair_for_each_fold(iris, ensemble):
    X, y = iris
    model = TemperatureScaling(RidgeClassifier(), ensemble=ensemble).fit(X, y)
    expected = np.zeros((150, 3))
    for pair, (train, test) in zip(
        model.calibrated_classifiers_, StratifiedKFold(5).split(X, y), strict=True
    ):
        fold = RidgeClassifier().fit(X[train], y[train])
        temperature = best_temperature(fold.decision_function(X[test]), y[test], alpha=1)
        assert pair.calibrator.temperature == pytest.approx(temperature, rel=1e-8)
        expected += softmax(fold.decision_function(X) / temperature, axis=1) / 5
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-7)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(expected), rtol=1e-6)
    np.testing.assert_array_equal(model.predict(X), expected.argmax(axis=1))
    assert not hasattr(model, "temperature_")
    assert not hasattr(model, "estimator_")


# predict.

PREDICTORS = [
    LogisticRegression(max_iter=300),
    SVC(),
    LinearSVC(random_state=0),
    GaussianNB(),
    MLPClassifier((8,), max_iter=2000, tol=1e-2, random_state=0),
    DecisionTreeClassifier(random_state=0),
    RandomForestClassifier(10, random_state=0),
    GradientBoostingClassifier(n_estimators=3),
    OneVsRestClassifier(LinearSVC(random_state=0)),
    OneVsOneClassifier(LinearSVC(random_state=0)),
]


@pytest.mark.parametrize("estimator", PREDICTORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_predict_is_the_argmax_of_the_raw_scores_the_estimators_own_where_it_is_that(
    iris, estimator, n_classes
):
    X, y = iris[0], np.array(["a", "b", "c"])[np.minimum(iris[1], n_classes - 1)]
    frozen = FrozenEstimator(estimator.fit(X, y))
    model = TemperatureScaling(frozen, alpha=30).fit(X, y)
    grid = np.random.default_rng(0).normal(3, 3, (1000, 4))
    scores = getattr(frozen, model.response_method_)(grid)
    best = scores.argmax(axis=1) if scores.ndim == 2 else (scores > 0).astype(int)
    np.testing.assert_array_equal(model.predict(grid), model.classes_[best])
    agree = frozen.predict(grid) == model.classes_[best]
    np.testing.assert_array_equal(model.predict(grid)[agree], frozen.predict(grid)[agree])
    if not isinstance(estimator, SVC):  # it predicts by votes of pairs
        assert agree.all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_of_equal_scores_the_first_class_is_predicted(dtype):
    logits, y = make_miscalibrated_logits(60, 3, random_state=0)
    model = TemperatureScaling(classes=["b", "a", "c"]).fit(
        logits.astype(dtype), np.array(["b", "a", "c"])[y]
    )
    tied = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1], [2, 2, 2]], dtype=dtype)
    # Columns are b, a, c; the first of the sorted classes a, b, c wins.
    np.testing.assert_array_equal(model.predict(tied), ["a", "a", "b", "a"])


def test_a_decision_of_zero_is_the_first_class_as_in_scikit_learn(binary):
    X, y = binary
    frozen = FrozenEstimator(RidgeClassifier(fit_intercept=False).fit(X, y))
    model = TemperatureScaling(frozen).fit(X, y)
    zero = np.zeros((1, 5))
    assert frozen.decision_function(zero) == 0
    assert model.predict(zero) == frozen.predict(zero) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predict_tells_scores_apart_that_probabilities_do_not(dtype):
    logits = np.array([[0.0, 100, 100 + 2**-10, -100]], dtype=dtype)
    model = TemperatureScaling(classes=range(4), alpha=1e9).fit(logits, [2])
    assert model.predict(logits) == [2]
    logits[0, 1], logits[0, 2] = logits[0, 2], logits[0, 1]
    assert model.predict(logits) == [1]


def test_a_threshold_of_the_estimator_gives_way_to_the_argmax(binary):
    X, y = binary
    frozen = FrozenEstimator(FixedThresholdClassifier(GaussianNB(), threshold=0.9).fit(X, y))
    model = TemperatureScaling(frozen).fit(X, y)
    best = frozen.predict_proba(X).argmax(axis=1)
    np.testing.assert_array_equal(model.predict(X), best)
    assert (frozen.predict(X) != best).any()


# What is served.


@pytest.mark.parametrize("method", ["decision_function", "predict_proba"])
@pytest.mark.parametrize("n_classes", [2, 3, 10, 32, 33, 100, 1000, 5000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_alone_equals_the_row_in_a_batch(dtype, n_classes, method):
    logits, y = make_miscalibrated_logits(60, n_classes, temperature=2, random_state=0)
    X = (logits if method == "decision_function" else softmax(logits, axis=1)).astype(dtype)
    model = TemperatureScaling(classes=range(n_classes), response_method=method).fit(X, y)
    for serve in (model.predict_proba, model.predict_log_proba):
        batch = serve(X)
        for row in range(0, 60, 6):
            alone = serve(X[row : row + 1])[0]
            if serve == model.predict_proba:
                np.testing.assert_array_max_ulp(alone, batch[row], maxulp=4)
            else:
                np.testing.assert_allclose(alone, batch[row], rtol=0, atol=4e-6)
    np.testing.assert_array_equal(
        model.predict(X), np.concatenate([model.predict(row[None]) for row in X])
    )


@pytest.mark.parametrize("calibrator", [c for c in CALIBRATORS if c is not TemperatureScaling])
def test_a_row_alone_equals_the_row_in_a_batch_in_every_calibrator(calibrator):
    logits, y = make_miscalibrated_logits(100, 4, random_state=0)
    model = calibrator().fit(logits, y)
    batch = model.predict_proba(logits)
    alone = np.concatenate([model.predict_proba(row[None]) for row in logits])
    # A matrix product of one row may add up in another order than that of many.
    one_by_one = calibrator in (IsotonicCalibration, SigmoidCalibration)
    np.testing.assert_array_max_ulp(alone, batch, maxulp=4 if one_by_one else 32)


@pytest.mark.parametrize("n_classes", [2, 7, 50, 1000, 20_000, 100_000])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 5e-7), (np.float64, 1e-12)])
def test_rows_sum_to_one(n_classes, dtype, tolerance):
    logits, y = make_miscalibrated_logits(12, n_classes, temperature=3, random_state=0)
    logits[::2] /= 100  # nearly uniform rows too
    model = TemperatureScaling(classes=range(n_classes)).fit(logits.astype(dtype), y)
    proba = model.predict_proba(logits.astype(dtype))
    assert proba.dtype == dtype
    np.testing.assert_allclose(proba.sum(axis=1, dtype=np.float64), 1, rtol=0, atol=tolerance)


@pytest.mark.parametrize("n_classes", [3, 10, 16, 32, 33, 300, 3000])
def test_float32_rows_of_equal_losers_sum_to_one(n_classes):
    """Equal terms round the same way each time they are added."""
    logits = np.zeros((1000, n_classes), dtype=np.float32)
    logits[:, 0] = np.linspace(0, 8, 1000)
    model = TemperatureScaling(classes=range(n_classes), alpha=1e6)  # T is 1
    proba = model.fit(logits, np.zeros(1000, dtype=int)).predict_proba(logits)
    np.testing.assert_allclose(proba.sum(axis=1, dtype=np.float64), 1, rtol=0, atol=5e-7)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize("estimator", [RidgeClassifier(), DecisionTreeClassifier()])
def test_rows_of_an_estimators_probabilities_sum_to_one(iris, calibrator, ensemble, estimator):
    X, y = iris
    model = calibrator(estimator, ensemble=ensemble, cv=2).fit(X, y)
    proba = model.predict_proba(X)
    assert proba.shape == (150, 3)
    assert proba.dtype == np.float64
    assert (proba > 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=0, atol=1e-12)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("ensemble", [False, True])
def test_decision_function_is_the_log_of_predict_proba_up_to_a_row_constant(
    iris, binary, calibrator, ensemble
):
    for X, y in (iris, binary):
        model = calibrator(RidgeClassifier(), ensemble=ensemble, cv=2).fit(X, y)
        log_proba = np.log(model.predict_proba(X))
        decision = model.decision_function(X)
        np.testing.assert_allclose(model.predict_log_proba(X), log_proba, atol=1e-9)
        if len(model.classes_) == 2:
            assert decision.shape == (150,)
            np.testing.assert_allclose(decision, log_proba[:, 1] - log_proba[:, 0], atol=1e-9)
        else:
            assert decision.shape == (150, 3)
            np.testing.assert_allclose(log_softmax(decision, axis=1), log_proba, atol=1e-9)


def test_log_probabilities_do_not_round_small_ones_to_zero():
    logits, y = make_miscalibrated_logits(60, 3, random_state=0)
    model = TemperatureScaling().fit(logits, y)
    far = np.array([[0.0, -5000.0, 5000.0]])
    assert model.predict_proba(far)[0, 0] == 0
    expected = log_softmax(far / model.temperature_, axis=1)
    np.testing.assert_allclose(model.predict_log_proba(far), expected, rtol=1e-12)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_sixteen_threads_give_the_answer_of_one(calibrator):
    logits, y = make_miscalibrated_logits(3000, 5, temperature=2, random_state=0)
    model = calibrator().fit(logits, y)
    pieces = np.array_split(logits, 16)
    serves = [model.predict_proba, model.predict, model.decision_function]
    expected = [[serve(piece) for serve in serves] for piece in pieces]
    barrier = Barrier(16)

    def work(piece):
        barrier.wait()
        return [[serve(piece) for serve in serves] for _ in range(5)]

    with ThreadPoolExecutor(16) as pool:
        for found, once in zip(pool.map(work, pieces), expected, strict=True):
            for results in found:
                for a, b in zip(results, once, strict=True):
                    np.testing.assert_array_equal(a, b)


# Estimators of all kinds.


def test_pairwise_scores_are_refused_with_the_way_out(iris):
    X, y = iris
    ovo = SVC(decision_function_shape="ovo")
    for estimator in (
        ovo,
        make_pipeline(StandardScaler(), ovo),
        make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), ovo)),
        GridSearchCV(ovo, {"C": [1]}, cv=2),
        FrozenEstimator(clone(ovo).fit(X, y)),
        FrozenEstimator(make_pipeline(StandardScaler(), ovo).fit(X, y)),
        FrozenEstimator(GridSearchCV(ovo, {"C": [1]}, cv=2).fit(X, y)),
    ):
        with pytest.raises(ValueError, match=r"SVC scores pairs of classes.*'ovr'"):
            TemperatureScaling(estimator).fit(X, y)


def test_one_pair_of_classes_is_no_matter_for_pairwise_scores(binary):
    X, y = binary
    ovo, ovr = (SVC(decision_function_shape=shape) for shape in ("ovo", "ovr"))
    one, other = (TemperatureScaling(svc).fit(X, y).temperature_ for svc in (ovo, ovr))
    assert one == other


def test_pairwise_scores_of_four_classes_have_the_wrong_number_of_columns(iris):
    X, y = load_digits(n_class=4, return_X_y=True)
    frozen = FrozenEstimator(SVC(decision_function_shape="ovo").fit(X[:80], y[:80]))
    with pytest.raises(ValueError, match="ovr"):
        TemperatureScaling(frozen).fit(X, y)


def test_exact_zeros_of_a_forest_get_a_positive_probability():
    X, y = load_digits(return_X_y=True)
    forest = RandomForestClassifier(10, random_state=0).fit(X[:600], y[:600])
    raw = forest.predict_proba(X[600:1200])
    assert (raw == 0).mean() > 0.3
    model = TemperatureScaling(FrozenEstimator(forest)).fit(X[600:1200], y[600:1200])
    proba = model.predict_proba(X[1200:])
    assert proba.min() > 1e-4
    assert model.smoothing_ > 0.01


def test_log_probabilities_are_read_where_they_can_be():
    X, y = load_digits(return_X_y=True)
    frozen = FrozenEstimator(MultinomialNB().fit(X[:500], y[:500]))
    model = TemperatureScaling(frozen, response_method="predict_log_proba", smoothing=0)
    model.fit(X[500:900], y[500:900])
    scores = frozen.predict_log_proba(X[500:900])
    assert scores.min() < -300
    expected = best_temperature(scores, y[500:900], alpha=1)
    assert model.temperature_ == pytest.approx(expected, rel=1e-9)


def test_a_float32_network_is_calibrated_in_float32():
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    network = MLPClassifier((16,), max_iter=500, tol=1e-2, random_state=0).fit(X[:500], y[:500])
    frozen = FrozenEstimator(network)
    raw = frozen.predict_proba(X)
    assert raw.dtype == np.float32
    model = TemperatureScaling(frozen, smoothing=0).fit(X[500:], y[500:])
    assert model.predict_proba(X).dtype == np.float32
    logits = np.log(raw[500:].astype(np.float64))
    assert model.temperature_ == pytest.approx(best_temperature(logits, y[500:], alpha=1), rel=1e-5)


def test_a_vote_whose_weights_round_above_one_is_calibrated(iris):
    X, y = iris
    # Ten votes of 1 with these weights average to 1.0000000000000002.
    weights = [0.5, 0.7, 0.9, 0.2, 0.8, 0.1, 0.2, 0.1, 0.6, 0.4]
    trees = [(str(i), DecisionTreeClassifier()) for i in range(10)]
    vote = VotingClassifier(trees, voting="soft", weights=weights).fit(X, y)
    assert vote.predict_proba(X).max() > 1
    proba = TemperatureScaling(FrozenEstimator(vote)).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)


def test_calibrators_nest(iris):
    X, y = iris
    inner = TemperatureScaling(RidgeClassifier())
    model = TemperatureScaling(inner, alpha=0).fit(X, y)
    assert isinstance(model.estimator_, TemperatureScaling)
    # The inner one has settled the temperature: the outer one reads its log-probabilities.
    assert model.temperature_ == pytest.approx(1, abs=0.2)
    scores = model.estimator_.decision_function(X)
    np.testing.assert_allclose(
        model.predict_proba(X), softmax(scores / model.temperature_, axis=1), rtol=1e-9
    )


# All pairs of all calibrators would be slow to no end: of these, each with each.
QUICK = [IsotonicCalibration, SigmoidCalibration, TemperatureScaling]


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        *((outer, inner) for outer in QUICK for inner in QUICK),
        *((outer, TemperatureScaling) for outer in CALIBRATORS if outer not in QUICK),
        *((TemperatureScaling, inner) for inner in CALIBRATORS if inner not in QUICK),
    ],
)
def test_any_calibrator_takes_any_other(iris, binary, outer, inner):
    for X, y in (iris, binary):
        model = outer(inner(GaussianNB(), cv=3), cv=3).fit(X, y)
        np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-12)


def test_scikit_learns_calibrator_goes_inside_and_around(binary):
    X, y = binary
    inside = TemperatureScaling(CalibratedClassifierCV(GaussianNB(), method="isotonic")).fit(X, y)
    around = CalibratedClassifierCV(TemperatureScaling(GaussianNB()), method="sigmoid").fit(X, y)
    for model in (inside, around):
        assert np.mean(model.predict(X) == y) > 0.6


def test_scores_given_by_a_frozen_calibrator_of_scores_are_calibrated():
    logits, y = make_miscalibrated_logits(200, 3, temperature=3, random_state=0)
    inner = TemperatureScaling(alpha=0).fit(logits, y)
    model = TemperatureScaling(FrozenEstimator(inner), alpha=0).fit(logits, y)
    assert model.temperature_ == pytest.approx(1, rel=1e-9)


# Data of all kinds.

WORDS = {0: "ball goal team match win", 1: "vote law party state win", 2: "cell gene drug team law"}


def documents():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    return [" ".join(rng.choice([*WORDS[label].split(), "the", "a"], 4)) for label in y], y


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_text_is_calibrated_around_a_pipeline(calibrator):
    texts, y = documents()
    model = calibrator(make_pipeline(TfidfVectorizer(), RidgeClassifier()), cv=3).fit(texts, y)
    assert model.predict_proba(texts[:3]).shape == (3, 3)
    assert np.mean(model.predict(texts) == y) > 0.7
    assert not hasattr(model, "n_features_in_")


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_text_is_calibrated_as_the_last_step_of_a_pipeline(calibrator):
    texts, y = documents()
    model = make_pipeline(TfidfVectorizer(), calibrator(RidgeClassifier())).fit(texts, y)
    assert model.score(texts, y) > 0.7
    assert model.predict_proba(texts).shape == (90, 3)
    assert list(model.classes_) == [0, 1, 2]


@pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.csr_matrix])
def test_sparse_rows_give_what_dense_ones_do(iris, form):
    X, y = iris
    X = np.where(X > 2, X, 0)
    dense, sparse = (TemperatureScaling(RidgeClassifier()).fit(Z, y) for Z in (X, form(X)))
    assert sparse.temperature_ == pytest.approx(dense.temperature_, rel=1e-3)
    np.testing.assert_allclose(sparse.predict_proba(form(X)), dense.predict_proba(X), atol=1e-3)


def test_a_frame_goes_through_to_a_column_transformer(iris):
    X, y = iris
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"], index=np.arange(150)[::-1] * 3)
    frame["kind"] = np.where(X[:, 0] > 5, "large", "small")
    columns = make_column_transformer(
        (StandardScaler(), ["a", "b"]), (OneHotEncoder(), ["kind"]), remainder="passthrough"
    )
    labels = pd.Series(y, index=frame.index).map({0: "x", 1: "y", 2: "z"})
    model = TemperatureScaling(make_pipeline(columns, RidgeClassifier()))
    model.fit(frame, labels)
    assert model.predict_proba(frame).shape == (150, 3)
    assert set(model.predict(frame)) == {"x", "y", "z"}
    np.testing.assert_array_equal(model.feature_names_in_, frame.columns)
    assert model.n_features_in_ == 5


def test_a_precomputed_kernel_is_cut_by_rows_and_columns(iris):
    X, y = iris
    kernel = X @ X.T
    model = TemperatureScaling(SVC(kernel="precomputed")).fit(kernel, y)
    plain = TemperatureScaling(SVC(kernel="linear")).fit(X, y)
    assert model.temperature_ == pytest.approx(plain.temperature_, rel=1e-2)


@pytest.mark.parametrize(
    "names",
    [
        ["a", "b", "c"],
        [100_000, 200_000, 300_000],
        [-1, 0, 1],
        [1.0, 2.0, 3.0],
        np.array(["x", "yy", "zzz"], dtype=object),
    ],
)
@pytest.mark.parametrize("form", [np.asarray, list, pd.Series, "shuffled series", "categorical"])
def test_labels_of_every_type_give_the_same_temperature(iris, names, form):
    X, y = iris
    labels = np.asarray(names)[y]
    if form == "shuffled series":
        given = pd.Series(labels, index=np.random.default_rng(0).permutation(150) + 5)
    elif form == "categorical":
        given = pd.Series(pd.Categorical(labels, categories=list(names)[::-1]))
    else:
        given = form(labels)
    model = TemperatureScaling(GaussianNB()).fit(X, given)
    expected = TemperatureScaling(GaussianNB()).fit(X, y)
    assert model.temperature_ == pytest.approx(expected.temperature_, rel=1e-12)
    np.testing.assert_array_equal(model.classes_, names)
    np.testing.assert_array_equal(model.predict(X), np.asarray(names)[expected.predict(X)])


@pytest.mark.parametrize("names", [[False, True], [-1, 1], ["no", "yes"], [0.0, 1.0]])
def test_two_labels_of_every_type_give_the_same_temperature(binary, names):
    X, y = binary
    labels = np.array(names)[y]
    model = TemperatureScaling(RidgeClassifier()).fit(X, labels)
    expected = TemperatureScaling(RidgeClassifier()).fit(X, y)
    assert model.temperature_ == pytest.approx(expected.temperature_, rel=1e-12)
    assert model.classes_.tolist() == names
    np.testing.assert_array_equal(model.predict(X), np.array(names)[expected.predict(X)])


# A citizen of scikit-learn.


@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_a_fitted_calibrator_survives_pickling_and_copying(tmp_path, iris, calibrator, ensemble):
    X, y = iris
    model = calibrator(GaussianNB(), ensemble=ensemble, cv=2).fit(X, y)
    expected = model.predict_proba(X)
    joblib.dump(model, tmp_path / "model.joblib", compress=3)
    memory = io.BytesIO()
    joblib.dump(model, memory)
    memory.seek(0)
    for other in (
        *(pickle.loads(pickle.dumps(model, protocol)) for protocol in (2, 5)),
        joblib.load(tmp_path / "model.joblib"),
        joblib.load(memory),
        copy.copy(model),
        copy.deepcopy(model),
    ):
        np.testing.assert_array_equal(other.predict_proba(X), expected)
        assert vars(other).keys() == vars(model).keys()


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_a_clone_has_the_parameters_and_nothing_learned(iris, calibrator):
    model = calibrator(GaussianNB(), cv=3, ensemble=True, n_jobs=1).fit(*iris)
    cloned = clone(model)
    assert [name for name in vars(cloned) if name.endswith("_") or name[0] == "_"] == []
    assert cloned.get_params().keys() == model.get_params().keys()
    assert (cloned.cv, cloned.ensemble, cloned.n_jobs) == (3, True, 1)
    assert cloned.estimator is not model.estimator


@pytest.mark.parametrize("ensemble", [False, True])
def test_two_jobs_give_what_one_does(iris, ensemble):
    X, y = iris
    tree = DecisionTreeClassifier(max_features=1, random_state=0)
    one, two = (
        TemperatureScaling(tree, ensemble=ensemble, cv=2, n_jobs=n_jobs).fit(X, y).predict_proba(X)
        for n_jobs in (None, 2)
    )
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_cross_validation_and_pipelines_take_a_calibrator(iris, calibrator):
    X, y = iris
    model = make_pipeline(StandardScaler(), calibrator(RidgeClassifier(), cv=3))
    scores = cross_val_score(model, X, y, scoring="neg_log_loss", cv=3)
    assert scores.shape == (3,)
    assert (scores > -np.log(3)).all()
    proba = cross_val_predict(model, X, y, method="predict_proba", cv=3)
    np.testing.assert_allclose(proba.sum(axis=1), 1)


def test_a_search_reaches_own_and_inner_parameters(iris):
    X, y = iris
    search = GridSearchCV(
        TemperatureScaling(RidgeClassifier(), cv=3),
        {"alpha": [0.5, 1], "estimator__alpha": [0.1, 10]},
        scoring="neg_log_loss",
        cv=3,
    ).fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.estimator_.alpha == search.best_params_["estimator__alpha"]


def test_scores_without_an_estimator_are_searched_over_too():
    logits, y = make_miscalibrated_logits(200, 3, temperature=3, random_state=0)
    search = GridSearchCV(
        TemperatureScaling(), {"alpha": [1, 1e6]}, scoring="neg_log_loss", cv=4
    ).fit(logits, y)
    assert search.best_params_ == {"alpha": 1}


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_tags_say_classifier_and_follow_the_estimator(calibrator):
    model = calibrator(RidgeClassifier())
    assert is_classifier(model)
    tags = sklearn.utils.get_tags(model)
    assert tags.estimator_type == "classifier"
    assert tags.target_tags.required
    assert tags.input_tags.sparse == sklearn.utils.get_tags(RidgeClassifier()).input_tags.sparse
    pairwise = sklearn.utils.get_tags(calibrator(SVC(kernel="precomputed")))
    assert pairwise.input_tags.pairwise
    assert sklearn.utils.get_tags(calibrator()).input_tags.one_d_array


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_a_calibrator_draws_itself_in_html(iris, calibrator):
    for model in (calibrator(), calibrator(GaussianNB()), calibrator(GaussianNB()).fit(*iris)):
        html = estimator_html_repr(model)
        assert calibrator.__name__ in html
        assert repr(model).startswith(calibrator.__name__)


def test_set_output_does_not_disturb_a_calibrator(iris):
    X, y = iris
    model = Pipeline([("scale", StandardScaler()), ("model", TemperatureScaling(GaussianNB()))])
    model.set_output(transform="pandas").fit(X, y)
    assert isinstance(model.predict_proba(X), np.ndarray)
    np.testing.assert_array_equal(model["model"].feature_names_in_, ["x0", "x1", "x2", "x3"])
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(TemperatureScaling(GaussianNB()).fit(X, y).predict_proba(X), np.ndarray)


# Refitting.

KINDS = {
    "scores": (None, {}),
    "pooled": (GaussianNB(), {}),
    "ensemble": (GaussianNB(), {"ensemble": True}),
    "text": (make_pipeline(TfidfVectorizer(), RidgeClassifier()), {}),
}


def fit_kind(model, kind):
    estimator, parameters = KINDS[kind]
    logits, y = make_miscalibrated_logits(90, 3, random_state=0)
    X = pd.DataFrame(logits, columns=["a", "b", "c"]) if kind == "pooled" else logits
    if kind == "text":
        X, y = documents()
    return model.set_params(estimator=estimator, **{"ensemble": False} | parameters).fit(X, y)


@pytest.mark.parametrize("calibrator", [SigmoidCalibration, TemperatureScaling])
@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_refitting_leaves_nothing_of_the_fit_before(calibrator, first, second):
    refitted = fit_kind(fit_kind(calibrator(cv=2), first), second)
    fresh = fit_kind(calibrator(cv=2), second)
    assert vars(refitted).keys() == vars(fresh).keys()


def test_refitting_with_another_number_of_classes_is_a_new_fit():
    model = TemperatureScaling()
    for n_classes in (3, 5, 2):
        logits, y = make_miscalibrated_logits(100, n_classes, random_state=n_classes)
        model.fit(logits, y)
        assert model.predict_proba(logits).shape == (100, n_classes)
        assert model.n_features_in_ == n_classes
        assert model.temperature_ == TemperatureScaling().fit(logits, y).temperature_


def test_refitting_another_method_changes_what_is_shown(iris):
    model = CalibratedClassifier(GaussianNB()).fit(*iris)
    assert hasattr(model, "temperature_")
    model.set_params(method="sigmoid").fit(*iris)
    assert not hasattr(model, "temperature_")
    assert model.slope_.shape == (3,)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_parameters_set_after_fit_wait_for_the_next_fit(iris, calibrator):
    X, y = iris
    logits, labels = make_miscalibrated_logits(90, 4, random_state=0)
    around = calibrator(GaussianNB()).fit(X, y)
    on_scores = calibrator().fit(logits, labels)
    expected = around.predict_proba(X), on_scores.predict_proba(logits)
    around.set_params(estimator=None, response_method="decision_function", ensemble=True)
    on_scores.set_params(estimator=GaussianNB(), classes=[7, 8, 9, 10], ensemble=True)
    np.testing.assert_array_equal(around.predict_proba(X), expected[0])
    np.testing.assert_array_equal(on_scores.predict_proba(logits), expected[1])


def test_fit_does_not_change_the_wrapped_estimator_or_the_parameters(iris):
    estimator = GaussianNB()
    model = TemperatureScaling(estimator, cv=3)
    before = model.get_params()
    model.fit(*iris)
    assert model.estimator is estimator
    assert not hasattr(estimator, "classes_")
    assert model.get_params() == before
