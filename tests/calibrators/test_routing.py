"""Metadata routing: weights, groups and any other argument reach whoever asks for them."""

from typing import ClassVar

import numpy as np
import pytest
import sklearn
from registry import CALIBRATORS
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcalib import (
    CalibratedClassifier,
    TemperatureScaling,
)


@pytest.fixture(autouse=True)
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    X = np.c_[y + rng.normal(size=80), rng.normal(size=80), np.arange(80)]
    return X, y, rng.gamma(2, size=80), np.arange(80) // 4


class Recorder(ClassifierMixin, BaseEstimator):
    """Notes what reaches `fit`; the last column of X is the number of the row."""

    calls: ClassVar[list] = []

    def fit(self, X, y, sample_weight=None, colour=None, groups=None):
        self.classes_ = np.unique(y)
        Recorder.calls.append(
            {"row": X[:, -1].astype(int), "w": sample_weight, "colour": colour, "groups": groups}
        )
        return self

    def decision_function(self, X):
        return X[:, 0] - 0.5


@pytest.fixture
def calls():
    Recorder.calls = []
    return Recorder.calls


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_weights_reach_an_estimator_that_requests_them_cut_to_its_rows(calibrator, data, calls):
    X, y, weight, _ = data
    estimator = Recorder().set_fit_request(sample_weight=True)
    calibrator(estimator, cv=4).fit(X, y, sample_weight=weight)
    assert [len(call["row"]) for call in calls] == [60, 60, 60, 60, 80]
    for call in calls:
        np.testing.assert_array_equal(call["w"], weight[call["row"]])


def test_weights_stay_away_from_an_estimator_that_declines_them(data, calls):
    X, y, weight, _ = data
    estimator = Recorder().set_fit_request(sample_weight=False)
    model = TemperatureScaling(estimator).fit(X, y, sample_weight=weight)
    assert all(call["w"] is None for call in calls)
    unweighted = TemperatureScaling(Recorder()).fit(X, y)
    assert model.temperature_ != unweighted.temperature_


def test_an_estimator_that_has_not_said_is_asked(data, calls):
    X, y, weight, _ = data
    model = TemperatureScaling(Recorder())
    with pytest.raises(UnsetMetadataPassedError, match=r"\[sample_weight\] are passed"):
        model.fit(X, y, sample_weight=weight)
    assert calls == []
    assert not hasattr(model, "classes_")


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_groups_reach_a_splitter_that_requests_them_and_the_estimator_too(calibrator, data, calls):
    X, y, _, groups = data
    estimator = Recorder().set_fit_request(groups=True)
    calibrator(estimator, cv=GroupKFold(4)).fit(X, y, groups=groups)
    for call in calls[:-1]:
        np.testing.assert_array_equal(call["groups"], groups[call["row"]])
        assert not set(groups[call["row"]]) & set(np.delete(groups, call["row"]))


def test_any_argument_reaches_an_estimator_that_requests_it(data, calls):
    X, y, _, _ = data
    colour = np.array(["red", "blue"])[np.arange(80) % 2]
    TemperatureScaling(Recorder().set_fit_request(colour=True), cv=4).fit(X, y, colour=colour)
    for call in calls:
        np.testing.assert_array_equal(call["colour"], colour[call["row"]])


def test_an_argument_nobody_asked_for_is_refused(data, calls):
    X, y, _, _ = data
    with pytest.raises(TypeError, match="shape"):
        TemperatureScaling(Recorder()).fit(X, y, shape=np.ones(80))
    assert calls == []


def test_requests_under_another_name_are_met(data, calls):
    X, y, weight, _ = data
    estimator = Recorder().set_fit_request(sample_weight="cost")
    TemperatureScaling(estimator).fit(X, y, cost=weight)
    for call in calls:
        np.testing.assert_array_equal(call["w"], weight[call["row"]])


def test_weights_go_through_a_pipeline_to_its_last_step(data, calls):
    X, y, weight, _ = data
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    inner = make_pipeline(scaler, LogisticRegression().set_fit_request(sample_weight=True))
    model = TemperatureScaling(inner).fit(X, y, sample_weight=weight)
    Z = StandardScaler().fit_transform(X)
    expected = LogisticRegression().fit(Z, y, sample_weight=weight).coef_
    np.testing.assert_allclose(model.estimator_[-1].coef_, expected, rtol=1e-10)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_a_calibrator_is_routed_to_as_a_step_of_a_pipeline(calibrator, data, calls):
    X, y, weight, _ = data
    estimator = Recorder().set_fit_request(sample_weight=True)
    model = calibrator(estimator, cv=4).set_fit_request(sample_weight=True)
    pipeline = make_pipeline("passthrough", model).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(calls[-1]["w"], weight)
    direct = calibrator(estimator, cv=4).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(pipeline.predict_proba(X), direct.predict_proba(X))


def test_a_calibrator_of_scores_requests_weights_for_itself():
    rng = np.random.default_rng(0)
    logits, weight = 2 * rng.normal(size=(60, 3)), rng.gamma(2, size=60)
    y = (logits + 3 * rng.gumbel(size=(60, 3))).argmax(axis=1)
    model = TemperatureScaling().set_fit_request(sample_weight=True)
    piped = make_pipeline("passthrough", model).fit(logits, y, sample_weight=weight)
    direct = TemperatureScaling().fit(logits, y, sample_weight=weight)
    assert piped[-1].temperature_ == direct.temperature_


def test_weights_pass_through_nested_calibrators(data, calls):
    X, y, weight, _ = data
    inner = TemperatureScaling(Recorder().set_fit_request(sample_weight=True), cv=2)
    outer = TemperatureScaling(inner.set_fit_request(sample_weight=True), cv=2)
    outer.fit(X, y, sample_weight=weight)
    assert len(calls) == 9  # three inner fits in each of two folds and of all rows
    for call in calls:
        np.testing.assert_array_equal(call["w"], weight[call["row"]])


def test_weights_and_groups_pass_through_a_search(data, calls):
    X, y, weight, groups = data
    estimator = Recorder().set_fit_request(sample_weight=True, groups=False)
    model = TemperatureScaling(estimator, cv=GroupKFold(2)).set_fit_request(sample_weight=True)
    scoring = get_scorer("accuracy").set_score_request(sample_weight=False)
    search = GridSearchCV(model, {"alpha": [0.5, 1]}, cv=GroupKFold(3), scoring=scoring)
    search.fit(X, y, sample_weight=weight, groups=groups)
    for call in calls:
        np.testing.assert_array_equal(call["w"], weight[call["row"]])


def test_cross_validation_passes_groups_to_both_splitters(data, calls):
    X, y, _, groups = data
    model = TemperatureScaling(Recorder().set_fit_request(groups=False), cv=GroupKFold(2))
    cross_validate(model, X, y, cv=GroupKFold(4), params={"groups": groups})
    assert len(calls) == 12  # two folds and all rows, in each of four
    for call in calls:
        rest = np.setdiff1d(np.arange(80), call["row"])
        assert not set(groups[call["row"]]) & set(groups[rest])


def interval_of_groups(X, y, groups):
    """What a Recorder's scores of all rows give: they do not depend on its training rows."""
    direct = TemperatureScaling().fit(X[:, 0] - 0.5, y, groups=groups)
    return direct.temperature_interval_


@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize(
    "model", [CalibratedClassifier(method="temperature"), TemperatureScaling()]
)
def test_groups_reach_a_splitter_and_the_interval_at_once(model, enabled, data, calls):
    X, y, _, groups = data
    with sklearn.config_context(enable_metadata_routing=enabled):
        estimator = Recorder().set_fit_request(groups=False) if enabled else Recorder()
        model = clone(model).set_params(estimator=estimator, cv=GroupKFold(4))
        model.fit(X, y, groups=groups)
    for call in calls[:-1]:
        assert call["groups"] is None
        assert not set(groups[call["row"]]) & set(np.delete(groups, call["row"]))
    expected = interval_of_groups(X, y, groups)
    np.testing.assert_array_equal(model.temperature_interval_, expected)


@pytest.mark.parametrize("cv", [4, GroupKFold(4)])
def test_groups_reach_the_interval_through_a_pipeline_and_a_search_unasked(cv, data, calls):
    X, y, _, groups = data
    model = TemperatureScaling(Recorder().set_fit_request(groups=False), cv=cv)
    expected = interval_of_groups(X, y, groups)
    pipeline = make_pipeline("passthrough", model).fit(X, y, groups=groups)
    np.testing.assert_array_equal(pipeline[-1].temperature_interval_, expected)
    search = GridSearchCV(make_pipeline("passthrough", model), {}, cv=GroupKFold(2))
    search.fit(X, y, groups=groups)
    np.testing.assert_array_equal(search.best_estimator_[-1].temperature_interval_, expected)


def test_groups_reach_the_interval_where_nobody_else_asks_for_them(data):
    X, y, _, groups = data
    expected = interval_of_groups(X, y, groups)
    frozen = FrozenEstimator(Recorder().fit(X, y))
    for model, scores in ((TemperatureScaling(), X[:, 0] - 0.5), (TemperatureScaling(frozen), X)):
        search = GridSearchCV(model, {}, cv=2).fit(scores, y, groups=groups)
        np.testing.assert_array_equal(search.best_estimator_.temperature_interval_, expected)


def test_groups_under_another_name_reach_the_interval_and_declined_ones_do_not(data):
    X, y, _, groups = data
    scores, expected = X[:, 0] - 0.5, interval_of_groups(X, y, groups)
    model = TemperatureScaling().set_fit_request(groups="document")
    search = GridSearchCV(model, {}, cv=2).fit(scores, y, document=groups)
    np.testing.assert_array_equal(search.best_estimator_.temperature_interval_, expected)
    model = TemperatureScaling(LogisticRegression()).set_fit_request(groups=False)
    search = GridSearchCV(model, {}, cv=GroupKFold(2)).fit(X, y, groups=groups)
    plain = TemperatureScaling(LogisticRegression()).fit(X, y)
    np.testing.assert_array_equal(
        search.best_estimator_.temperature_interval_, plain.temperature_interval_
    )


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_groups_are_requested_by_default_and_weights_are_not(calibrator):
    router = calibrator().get_metadata_routing()
    assert router.consumes("fit", ["sample_weight", "groups"]) == {"groups"}
    declined = calibrator().set_fit_request(groups=False).get_metadata_routing()
    assert declined.consumes("fit", ["sample_weight", "groups"]) == set()


def test_weights_reach_the_calibration_of_a_frozen_estimator_without_a_request(data):
    X, y, weight, _ = data
    frozen = FrozenEstimator(LogisticRegression().fit(X, y))
    found = TemperatureScaling(frozen).fit(X, y, sample_weight=weight).temperature_
    with sklearn.config_context(enable_metadata_routing=False):
        expected = TemperatureScaling(frozen).fit(X, y, sample_weight=weight).temperature_
    assert found == expected


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_the_router_names_the_estimator_and_the_splitter(calibrator):
    estimator = Recorder().set_fit_request(sample_weight=True)
    router = calibrator(estimator, cv=GroupKFold(2)).get_metadata_routing()
    assert set(router._route_mappings) == {"estimator", "splitter"}
    assert router.consumes("fit", ["sample_weight", "groups", "colour"]) == {
        "sample_weight",
        "groups",
    }
    assert set(calibrator().get_metadata_routing()._route_mappings) == {"splitter"}
