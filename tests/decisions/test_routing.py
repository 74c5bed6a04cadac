"""Metadata routing: weights, groups and any other argument reach whoever asks for them."""

from typing import ClassVar

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GroupKFold

from skcalib.decisions import CascadeClassifier, SelectiveClassifier, TemperaturePool


@pytest.fixture(autouse=True)
def routing():
    Recorder.calls.clear()
    with sklearn.config_context(enable_metadata_routing=True):
        yield


class Recorder(ClassifierMixin, BaseEstimator):
    """Notes what reaches `fit`; the last column of X is the number of the row."""

    calls: ClassVar[list] = []

    def __init__(self, name="only"):
        self.name = name

    def fit(self, X, y, sample_weight=None, colour=None):
        self.classes_ = np.unique(y)
        rows = X[:, -1].astype(int)
        Recorder.calls.append((self.name, rows, sample_weight, colour))
        return self

    def predict_proba(self, X):
        p = 0.2 + 0.6 * (X[:, 0] > 0.5)
        return np.stack([1 - p, p], axis=1)


Y = np.arange(80) % 2
X = np.c_[Y + np.random.default_rng(0).normal(size=80), np.arange(80)]
WEIGHT = np.random.default_rng(1).gamma(2, size=80)


def around(*members, **options):
    """Each estimator of the room, around these members or the first of them."""
    named = [(member.name, member) for member in members]
    yield SelectiveClassifier(members[0], coverage=0.9, **options)
    yield TemperaturePool(named, **options)
    yield CascadeClassifier(named, costs=[1] * len(named), budget=10, **options)


def test_weights_reach_members_that_request_them_cut_to_their_rows():
    for model in around(Recorder().set_fit_request(sample_weight=True), cv=4):
        Recorder.calls.clear()
        model.fit(X, Y, sample_weight=WEIGHT)
        assert [len(rows) for _, rows, _, _ in Recorder.calls] == [60, 60, 60, 60, 80]
        for _, rows, weight, _ in Recorder.calls:
            np.testing.assert_array_equal(weight, WEIGHT[rows])


def test_each_member_gets_what_it_requests():
    colour = np.array(["red", "blue"])[Y]
    first = Recorder("first").set_fit_request(colour=True, sample_weight=False)
    second = Recorder("second").set_fit_request(colour=False, sample_weight=True)
    model = TemperaturePool([("first", first), ("second", second)], cv=4)
    model.fit(X, Y, sample_weight=WEIGHT, colour=colour)
    for name, rows, weight, seen in Recorder.calls:
        if name == "first":
            assert weight is None
            np.testing.assert_array_equal(seen, colour[rows])
        else:
            assert seen is None
            np.testing.assert_array_equal(weight, WEIGHT[rows])


def test_groups_reach_a_splitter_that_requests_them():
    groups = np.arange(80) // 4
    for model in around(Recorder(), cv=GroupKFold(4)):
        Recorder.calls.clear()
        model.fit(X, Y, groups=groups)
        for _, rows, _, _ in Recorder.calls[:-1]:
            assert not set(groups[rows]) & set(np.delete(groups, rows))


def test_a_member_that_has_not_said_is_asked():
    for model in around(Recorder()):
        with pytest.raises(UnsetMetadataPassedError, match=r"\[sample_weight\] are passed"):
            model.fit(X, Y, sample_weight=WEIGHT)
        assert not hasattr(model, "classes_")
    assert Recorder.calls == []


def test_an_argument_nobody_asked_for_is_refused():
    for model in around(Recorder()):
        with pytest.raises(TypeError, match="shape"):
            model.fit(X, Y, shape=WEIGHT)


def test_without_routing_arguments_go_to_every_member():
    with sklearn.config_context(enable_metadata_routing=False):
        colour = np.array(["red", "blue"])[Y]
        members = [("a", Recorder("a")), ("b", Recorder("b"))]
        TemperaturePool(members, cv=4).fit(X, Y, sample_weight=WEIGHT, colour=colour)
    assert len(Recorder.calls) == 10
    for _, rows, weight, seen in Recorder.calls:
        np.testing.assert_array_equal(weight, WEIGHT[rows])
        np.testing.assert_array_equal(seen, colour[rows])
