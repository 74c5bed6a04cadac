import copy
import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
import sklearn
from metric_oracles import brier_score as brier_oracle, calibration_error as ece_oracle
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    d2_log_loss_score,
    make_scorer,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV, PredefinedSplit, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skcalib.metrics
from skcalib.metrics import (
    ProbabilityScorer,
    augrc,
    augrc_scorer,
    aurc,
    aurc_scorer,
    brier_score,
    brier_scorer,
    brier_skill_score,
    brier_skill_scorer,
    calibration_error,
    classwise_ece_scorer,
    ece_scorer,
    expected_calibration_error,
    get_scorer,
    get_scorer_names,
    l2_calibration_error_scorer,
    log_loss_scorer,
    log_loss_skill_score,
    log_loss_skill_scorer,
    maximum_calibration_error,
    mce_scorer,
    smooth_calibration_error,
    smooth_ece_scorer,
)
from skcalib.metrics._log_loss import log_loss

SCORERS = {
    "augrc": augrc_scorer,
    "aurc": aurc_scorer,
    "brier": brier_scorer,
    "brier_skill": brier_skill_scorer,
    "classwise_ece": classwise_ece_scorer,
    "ece": ece_scorer,
    "l2_calibration_error": l2_calibration_error_scorer,
    "log_loss": log_loss_scorer,
    "log_loss_skill": log_loss_skill_scorer,
    "mce": mce_scorer,
    "smooth_ece": smooth_ece_scorer,
}
# Of these a greater value is better; the others come out negated.
SKILLS = {"brier_skill", "log_loss_skill"}
every_scorer = pytest.mark.parametrize("scorer", SCORERS.values(), ids=SCORERS)


def problem(n_classes=3):
    X, y = make_classification(
        200, n_informative=5, n_classes=n_classes, flip_y=0.2, random_state=n_classes
    )
    return X, np.array(["ant", "bee", "cat"])[y]


def log_loss_oracle(y, proba, sample_weight=None):
    return np.average(-np.log(proba[np.arange(len(y)), y]), weights=sample_weight)


def brier_as_published(y, proba, sample_weight=None):
    return brier_oracle(y, proba, sample_weight) / (2 if proba.shape[1] == 2 else 1)


def brier_skill(y, proba, sample_weight=None):
    rates = np.average(np.eye(proba.shape[1])[y], axis=0, weights=sample_weight)
    constant = brier_oracle(y, np.tile(rates, (len(y), 1)), sample_weight)
    return 1 - brier_oracle(y, proba, sample_weight) / constant


def log_loss_skill(y, proba, sample_weight=None):
    options = {"sample_weight": sample_weight, "labels": range(proba.shape[1])}
    return d2_log_loss_score(y, proba, **options)


def aurc_oracle(y, proba, sample_weight=None):
    """Mean over rows of the share of wrong predictions among those at least as confident."""
    weight = np.ones(len(y)) if sample_weight is None else sample_weight
    confidence, wrong = proba.max(axis=1), proba.argmax(axis=1) != y
    kept = confidence >= confidence[weight > 0, None]
    return np.average(kept @ (weight * wrong) / (kept @ weight), weights=weight[weight > 0])


def augrc_oracle(y, proba, sample_weight=None):
    """By the area under the ROC curve, as the authors write it."""
    correct = proba.argmax(axis=1) == y
    auroc = roc_auc_score(correct, proba.max(axis=1), sample_weight=sample_weight)
    accuracy = np.average(correct, weights=sample_weight)
    return (1 - auroc) * accuracy * (1 - accuracy) + (1 - accuracy) ** 2 / 2


def smooth_oracle(y, proba, sample_weight=None):
    """The definition on a fine grid: a reflected Gaussian, and bisection for its width."""
    weight = np.ones(len(y)) if sample_weight is None else sample_weight
    p, share = proba.max(axis=1), weight / weight.sum()
    residual = share * (p - (proba.argmax(axis=1) == y))
    grid = (np.arange(3000) + 0.5) / 3000
    images = [sign * p + shift for shift in (-2, 0, 2) for sign in (-1, 1)]
    low, high = 0.0, 1.0
    for _ in range(25):
        width = (low + high) / 2
        kernel = sum(np.exp(-(((grid[:, None] - image) / width) ** 2) / 2) for image in images)
        error = np.abs(kernel @ residual).mean() / (width * np.sqrt(2 * np.pi))
        low, high = (width, high) if error > width else (low, width)
    return low


def ece(y, proba, sample_weight=None, **options):
    return ece_oracle(y, proba, n_bins=15, sample_weight=sample_weight, **options)


ORACLES = {
    "augrc": augrc_oracle,
    "aurc": aurc_oracle,
    "brier": brier_as_published,
    "brier_skill": brier_skill,
    "classwise_ece": partial(ece, kind="class"),
    "ece": ece,
    "l2_calibration_error": partial(ece, norm=2, debias=True, strategy="quantile"),
    "log_loss": log_loss_oracle,
    "log_loss_skill": log_loss_skill,
    "mce": partial(ece, norm="max"),
    "smooth_ece": smooth_oracle,
}
# The oracle of the smooth error is a sum over a grid.
TOLERANCE = dict.fromkeys(SCORERS, 1e-12) | {"smooth_ece": 1e-5}


class Served(ClassifierMixin, BaseEstimator):
    """A classifier whose X are its probabilities."""

    def __init__(self, classes=("a", "b")):
        self.classes = classes

    def fit(self, X, y):
        self.classes_ = np.array(self.classes)
        return self

    def predict_proba(self, X):
        return np.asarray(X)


@pytest.mark.parametrize("name", SCORERS)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_score_is_the_metric_and_greater_is_better(name, n_classes, weighted):
    X, y = problem(n_classes)
    model = LogisticRegression().fit(X[:100], y[:100])
    weight = {"sample_weight": np.arange(100) % 4} if weighted else {}
    score = SCORERS[name](model, X[100:], y[100:], **weight)
    index = np.searchsorted(model.classes_, y[100:])
    expected = ORACLES[name](index, model.predict_proba(X[100:]), *weight.values())
    sign = 1 if name in SKILLS else -1
    assert score == pytest.approx(sign * expected, abs=TOLERANCE[name])
    assert type(score) is float


@every_scorer
def test_a_fold_that_lacks_a_class_is_scored(scorer):
    X, y = problem()
    folds = PredefinedSplit(np.where(y == "cat", -1, np.arange(200) % 2))
    scores = cross_val_score(LogisticRegression(), X, y, cv=folds, scoring=scorer)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", sorted(SCORERS.keys() - SKILLS))
def test_an_error_is_negated(name):
    X, y = problem()
    assert SCORERS[name](LogisticRegression().fit(X[:100], y[:100]), X[100:], y[100:]) < 0


@pytest.mark.parametrize("name", sorted(SKILLS))
def test_a_fold_of_one_class_has_no_skill_to_speak_of(name):
    X, y = problem()
    model = LogisticRegression().fit(X, y)
    with pytest.raises(ValueError, match="The reference is perfect, and skill is not defined"):
        SCORERS[name](model, X[y == "ant"], y[y == "ant"])


@pytest.mark.parametrize("name", sorted(SCORERS.keys() - SKILLS))
def test_a_fold_of_one_class_is_scored_otherwise(name):
    X, y = problem()
    model = LogisticRegression().fit(X, y)
    assert -2 < SCORERS[name](model, X[y == "ant"], y[y == "ant"]) <= 0


def test_binary_metrics_see_both_columns():
    # Confidence .8, wrong: |.8 - 0|.
    model = Served().fit(None, None)
    assert ece_scorer(model, [[0.8, 0.2]], ["b"]) == -0.8
    with pytest.raises(ValueError, match=r"rows sum to one .*, got a sum of 0\.9 in row 0"):
        ece_scorer(model, [[0.8, 0.1]], ["b"])


@every_scorer
def test_a_model_that_returns_no_probabilities_is_refused(scorer):
    model = Served().fit(None, None)
    for row in ([np.nan, 0.5], [1.2, -0.2]):
        with pytest.raises(ValueError, match="probabilities between 0 and 1"):
            scorer(model, [row], ["b"])


class Guess(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@every_scorer
def test_a_model_without_probabilities_is_refused(scorer):
    X, y = problem()
    with pytest.raises(TypeError, match="'predict_proba', but Guess has no such method"):
        scorer(Guess().fit(X, y), X, y)


def test_probabilities_of_three_decimals_are_scored_without_a_warning():
    model = Served(("a", "b", "c")).fit(None, None)
    proba = np.array([[0.333, 0.333, 0.333]])
    assert log_loss_scorer(model, proba, ["a"]) == pytest.approx(np.log(0.333))
    assert log_loss_scorer(model, proba.astype(np.float32), ["a"]) == pytest.approx(np.log(0.333))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_log_loss_of_an_impossible_event_is_finite_and_the_same_in_float32(dtype):
    model = Served(("a", "b", "c")).fit(None, None)
    proba = np.array([[1, 0, 0], [0.2, 0.5, 0.3], [0, 0, 1]], dtype=dtype)
    labels = ["b", "a", "c"]
    # Columns are a, b, c: the true classes got 0, .2 and 1. scikit-learn clips 0 at 2^-52.
    expected = (np.log(2.0**-52) + np.log(0.2) + 0) / 3
    assert log_loss_scorer(model, proba, labels) == pytest.approx(expected, rel=1e-6)


@every_scorer
def test_a_pipeline_a_search_and_a_data_frame_are_scored(scorer):
    X, y = problem()
    frame = pd.DataFrame(X).rename(columns="x{}".format)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    search = GridSearchCV(
        model, {"logisticregression__C": [1e-3, 1]}, scoring=scorer, cv=3, error_score="raise"
    )
    search.fit(frame, pd.Series(y))
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    expected = scorer(search.best_estimator_, frame, y)
    assert search.score(frame, y) == scorer(search, frame, y) == expected


def test_a_search_prefers_the_smaller_error():
    X, y = problem(2)
    search = GridSearchCV(LogisticRegression(), {"C": [1e-6, 1]}, scoring=brier_scorer)
    assert search.fit(X, y).best_params_ == {"C": 1}


@pytest.mark.parametrize("n_classes", [2, 3])
def test_several_scorers_in_one_dict_give_what_each_gives_alone(n_classes):
    X, y = problem(n_classes)
    scoring = {
        # Comes first and asks for the other column, which scikit-learn keeps for those after it.
        "first class": make_scorer(
            first_class_brier, response_method="predict_proba", pos_label="ant"
        ),
        "accuracy": "accuracy",
        "neg_log_loss": "neg_log_loss",
        **SCORERS,
    }
    if n_classes == 3:
        del scoring["first class"]
    together = cross_validate(LogisticRegression(), X, y, cv=3, scoring=scoring)
    for name, scorer in SCORERS.items():
        alone = cross_val_score(LogisticRegression(), X, y, cv=3, scoring=scorer)
        np.testing.assert_array_equal(together[f"test_{name}"], alone)
    if n_classes == 3:
        np.testing.assert_allclose(
            together["test_log_loss"], together["test_neg_log_loss"], rtol=1e-12
        )


def first_class_brier(y_true, y_proba, pos_label):
    return brier_score_loss(y_true, y_proba, pos_label=pos_label)


@every_scorer
def test_permutation_importance_takes_scorers(scorer):
    X, y = problem()
    model = LogisticRegression().fit(X, y)
    found = permutation_importance(
        model, X, y, scoring=scorer, n_repeats=2, random_state=0, sample_weight=np.ones(200)
    )
    assert found.importances.shape == (20, 2)


@every_scorer
def test_weights_reach_the_metric_by_metadata_routing(scorer):
    X, y = problem()
    weight = np.random.default_rng(0).integers(0, 3, 200)
    rows = np.repeat(np.arange(200), weight)
    model = DummyClassifier(strategy="prior")
    with config_context(enable_metadata_routing=True):
        asking = copy.deepcopy(scorer).set_score_request(sample_weight=True)
        scores = cross_val_score(
            model.set_fit_request(sample_weight=False),
            X,
            y,
            cv=PredefinedSplit(np.arange(200) % 2),
            scoring=asking,
            params={"sample_weight": weight},
        )
        for fold, score in enumerate(scores):
            fitted = clone(model).fit(X[np.arange(200) % 2 != fold], y[np.arange(200) % 2 != fold])
            held_out = rows[rows % 2 == fold]
            assert score == pytest.approx(scorer(fitted, X[held_out], y[held_out]), abs=1e-12)


@every_scorer
def test_weights_nobody_asked_for_are_refused_as_in_scikit_learn(scorer):
    X, y = problem()
    with (
        config_context(enable_metadata_routing=True),
        pytest.raises((UnsetMetadataPassedError, TypeError), match="sample_weight"),
    ):
        cross_val_score(
            DummyClassifier().set_fit_request(sample_weight=False),
            X,
            y,
            scoring=copy.deepcopy(scorer),
            params={"sample_weight": np.ones(200)},
        )


@every_scorer
def test_a_scorer_survives_copies_and_pickles(scorer):
    X, y = problem()
    model = LogisticRegression().fit(X, y)
    for twin in (pickle.loads(pickle.dumps(scorer)), copy.deepcopy(scorer)):
        assert twin(model, X, y) == scorer(model, X, y)
    search = clone(GridSearchCV(model, {"C": [1]}, scoring=scorer))
    assert search.fit(X, y).score(X, y) == scorer(search.best_estimator_, X, y)


def test_a_scorer_of_your_own_settings():
    X, y = problem()
    model = LogisticRegression().fit(X, y)
    scorer = ProbabilityScorer(calibration_error, norm=2, strategy="quantile")
    expected = -ece_oracle(
        np.searchsorted(model.classes_, y),
        model.predict_proba(X),
        norm=2,
        strategy="quantile",
        n_bins=15,
    )
    assert scorer(model, X, y) == pytest.approx(expected, abs=1e-12)


def test_a_greater_value_may_be_better():
    model = Served().fit(None, None)
    scorer = ProbabilityScorer(hit_rate, greater_is_better=True)
    assert scorer(model, [[0.8, 0.2], [0.7, 0.3]], ["a", "b"]) == 0.5


def hit_rate(y_true, y_proba, *, labels):
    return accuracy_score(y_true, np.take(labels, y_proba.argmax(axis=1)))


def test_a_scorer_is_shown_as_it_is_written():
    assert repr(ece_scorer) == "ProbabilityScorer(expected_calibration_error)"
    assert repr(log_loss_scorer) == "ProbabilityScorer(log_loss)"
    assert repr(brier_skill_scorer) == (
        "ProbabilityScorer(brier_skill_score, greater_is_better=True)"
    )
    assert repr(l2_calibration_error_scorer) == (
        "ProbabilityScorer(calibration_error, norm=2, debias=True, strategy='quantile')"
    )
    scorer = ProbabilityScorer(hit_rate, greater_is_better=True, kind="class")
    assert repr(scorer) == "ProbabilityScorer(hit_rate, greater_is_better=True, kind='class')"


METRICS = {
    "augrc": augrc,
    "aurc": aurc,
    "brier": brier_score,
    "brier_skill": brier_skill_score,
    "classwise_ece": partial(expected_calibration_error, kind="class"),
    "ece": expected_calibration_error,
    "l2_calibration_error": partial(calibration_error, norm=2, debias=True, strategy="quantile"),
    "log_loss": log_loss,
    "log_loss_skill": log_loss_skill_score,
    "mce": maximum_calibration_error,
    "neg_expected_calibration_error": expected_calibration_error,
    "smooth_ece": smooth_calibration_error,
}


@pytest.mark.parametrize("name", METRICS)
def test_our_names_give_our_scorers(name):
    X, y = problem()
    model = LogisticRegression().fit(X, y)
    sign = 1 if name in SKILLS else -1
    assert get_scorer(name)(model, X, y) == sign * METRICS[name](y, model.predict_proba(X))


@pytest.mark.parametrize("name", SCORERS)
def test_a_name_is_that_of_the_scorer_and_documented(name):
    assert repr(get_scorer(name)) == repr(SCORERS[name])
    assert getattr(skcalib.metrics, f"{name}_scorer") is SCORERS[name]
    assert f'"{name}"' in get_scorer.__doc__


def test_no_public_scorer_is_left_out():
    public = {name for name in skcalib.metrics.__all__ if name.endswith("_scorer")}
    assert public - {"get_scorer"} == {f"{name}_scorer" for name in SCORERS}


def test_a_scorer_got_by_name_is_a_copy():
    with config_context(enable_metadata_routing=True):
        get_scorer("ece").set_score_request(sample_weight=True)
    assert not hasattr(ece_scorer, "_metadata_request")
    assert get_scorer("ece") is not get_scorer("ece")


def test_other_names_are_scikit_learns():
    for name in ("neg_brier_score", "neg_log_loss", "accuracy"):
        assert repr(get_scorer(name)) == repr(sklearn.metrics.get_scorer(name))


def test_a_callable_or_none_is_returned_as_it_is():
    assert get_scorer(ece_scorer) is ece_scorer
    assert get_scorer(hit_rate) is hit_rate
    assert get_scorer(None) is None


@pytest.mark.parametrize("unknown", ["neg_ece", 3])
def test_an_unknown_name_is_answered_with_the_names_there_are(unknown):
    message = rf"scoring must be one of \['augrc', 'aurc', .*\], .* callable, got {unknown!r}"
    with pytest.raises(ValueError, match=message):
        get_scorer(unknown)


def test_the_names_are_ours_and_scikit_learns_and_none_is_both():
    names = get_scorer_names()
    ours = {*SCORERS, "neg_expected_calibration_error"}
    assert ours.isdisjoint(sklearn.metrics.get_scorer_names())
    assert set(names) == ours | set(sklearn.metrics.get_scorer_names())
    assert names == sorted(set(names))
    assert all(callable(get_scorer(name)) for name in names)
