"""Held-out scores: rare classes, rows held out more than once, groups."""

import warnings
from typing import ClassVar

import numpy as np
import pytest
from oracles import best_temperature
from registry import CALIBRATORS
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from skcalib import CalibratedClassifier, TemperatureScaling, VectorScaling


class Echo(ClassifierMixin, BaseEstimator):
    """Its logits for the classes of the training rows are the first columns of X."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X):
        return X[:, self.classes_.astype(int)]


def rows_of(counts, seed=0):
    """Rows of each class as many as `counts` says, in random order, whose scores are noisy."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    X = 2 * np.eye(len(counts))[y] + rng.normal(size=(len(y), len(counts)))
    return X, y


@pytest.mark.parametrize("counts", [(30, 20, 4), (30, 20, 2), (5, 3, 2, 4)])
def test_a_class_rarer_than_the_folds_is_no_error(counts):
    X, y = rows_of(counts)
    model = TemperatureScaling(Echo()).fit(X, y)
    # Every fold's model has seen every class, so every row's scores are its own.
    assert model.temperature_ == pytest.approx(best_temperature(X, y, alpha=1), rel=1e-9)
    assert model.predict_proba(X).shape == (len(y), len(counts))


@pytest.mark.parametrize("n_alone", [1, 3])
@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_rows_of_a_class_their_fold_has_not_seen_are_left_out_and_counted(
    calibrator, ensemble, n_alone
):
    X, y = rows_of((20, 20) + (1,) * n_alone)
    with pytest.warns(UserWarning, match=f"^{n_alone} held-out rows belong to classes") as caught:
        model = calibrator(Echo(), ensemble=ensemble).fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert model.predict_proba(X).shape == (40 + n_alone, 2 + n_alone)
    if calibrator is TemperatureScaling and not ensemble:
        # In its own fold each of these classes is masked for everybody.
        scores, folds = X.copy(), StratifiedKFold(5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            splits = list(folds.split(X, y))
        for train, test in splits:
            unseen = np.setdiff1d(np.arange(2 + n_alone), y[train])
            scores[np.ix_(test, unseen)] = -np.inf
        kept = y < 2
        expected = best_temperature(scores[kept], y[kept], alpha=1)
        assert model.temperature_ == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("estimator", [GaussianNB(), DecisionTreeClassifier(random_state=0)])
@pytest.mark.parametrize("ensemble", [False, True])
def test_a_fold_whose_rows_are_all_of_one_class_says_so_with_certainty(estimator, ensemble):
    X, y = rows_of((11, 1))
    with pytest.warns(UserWarning, match="^1 held-out rows belong to classes absent"):
        model = TemperatureScaling(estimator, ensemble=ensemble).fit(X, y)
    assert model.predict_proba(X).shape == (12, 2)


def test_growing_folds_may_start_with_one_class():
    X, y = rows_of((30, 30, 30))
    order = np.argsort(y, kind="stable")
    order = np.r_[order[:25], np.random.default_rng(0).permutation(order[25:])]
    X, y = X[order], y[order]
    assert len(np.unique(y[:15])) == 1
    with pytest.warns(UserWarning, match="held-out rows belong to classes absent"):
        model = TemperatureScaling(GaussianNB(), cv=TimeSeriesSplit(5)).fit(X, y)
    assert np.isfinite(model.temperature_)


def test_fewer_rows_than_folds_make_fewer_folds():
    X, y = rows_of((3, 2))
    model = TemperatureScaling(Echo()).fit(X, y)
    assert model.temperature_ == pytest.approx(best_temperature(X, y, alpha=1), rel=1e-9)


def test_rows_that_are_each_of_their_own_class_have_nothing_to_calibrate_on():
    X = np.eye(4)
    with pytest.raises(ValueError, match=r"Every class has 1 sample.*FrozenEstimator"):
        TemperatureScaling(GaussianNB()).fit(X, np.arange(4))
    with pytest.raises(ValueError, match=r"Every class has 1 sample \(n_samples=1\)"):
        TemperatureScaling(GaussianNB()).fit(X[:1], [0])


def test_folds_that_hold_out_only_unseen_classes_have_nothing_to_calibrate_on():
    X, y = rows_of((10, 10, 10))
    order = np.argsort(y, kind="stable")
    with pytest.raises(ValueError, match=r"cv holds out no row .* Got 3 folds of 30 rows"):
        TemperatureScaling(Echo(), cv=KFold(3)).fit(X[order], y[order])
    with pytest.raises(ValueError, match=r"cv holds out no row .* Got 0 folds of 30 rows"):
        TemperatureScaling(Echo(), cv=[]).fit(X, y)


def test_folds_whose_held_out_rows_weigh_nothing_are_left_aside():
    X, y = rows_of((20, 20))
    splits = list(StratifiedKFold(4).split(X, y))
    weight = np.ones(40)
    weight[splits[1][1]] = 0
    kept = weight > 0
    expected = best_temperature(X[kept], y[kept], alpha=1)
    for ensemble in (False, True):
        model = TemperatureScaling(WeightedEcho(), cv=splits, ensemble=ensemble)
        model.fit(X, y, sample_weight=weight)
        if ensemble:
            assert len(model.calibrated_classifiers_) == 3
        else:
            assert model.temperature_ == pytest.approx(expected, rel=1e-9)
    weight = np.zeros(40)
    weight[splits[1][0]] = 1
    with pytest.raises(ValueError, match="cv holds out no row that has a positive weight"):
        TemperatureScaling(WeightedEcho(), cv=[splits[1]]).fit(X, y, sample_weight=weight)


class WeightedEcho(Echo):
    def fit(self, X, y, sample_weight=None):
        return super().fit(X, y)


@pytest.mark.parametrize(
    "cv",
    [
        ShuffleSplit(6, test_size=0.3, random_state=0),
        RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0),
        KFold(4),
        LeaveOneOut(),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_row_held_out_more_than_once_shares_its_weight(cv, weighted):
    X, y = rows_of((25, 20, 15))
    given = np.random.default_rng(1).gamma(2, size=60) if weighted else np.ones(60)
    held_out = np.concatenate([test for _, test in cv.split(X, y)])
    times = np.bincount(held_out, minlength=60)
    weight = np.where(times > 0, given, 0)
    model = TemperatureScaling(WeightedEcho(), cv=cv)
    model.fit(X, y, sample_weight=given if weighted else None)
    expected = best_temperature(X, y, weight, alpha=1)
    assert model.temperature_ == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("method", ["structured", VectorScaling(penalty="cv")])
def test_what_several_models_say_of_a_row_is_held_out_together(method):
    # Their scores are the same, so each row is held out twice with half of its weight.
    X, y = rows_of((60, 50, 40))
    cv = RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0)
    twice, once = (CalibratedClassifier(Echo(), method=method, cv=c).fit(X, y) for c in (cv, 3))
    names = ["weights_", "cv_loss_"] if method == "structured" else ["penalty_", "cv_losses_"]
    for name in names:
        np.testing.assert_allclose(getattr(twice, name), getattr(once, name), rtol=1e-6)
    np.testing.assert_allclose(twice.predict_proba(X), once.predict_proba(X), atol=1e-6)


def test_few_rows_held_out_often_are_few_rows():
    X, y = rows_of((4, 4))
    cv = RepeatedStratifiedKFold(n_splits=2, n_repeats=3, random_state=0)
    model = CalibratedClassifier(Echo(), cv=cv).fit(X, y)
    assert model.left_out_[-1].startswith("shares by held-out rows: 8 rows are too few")


@pytest.mark.parametrize(
    "cv", [GroupKFold(3), StratifiedGroupKFold(n_splits=3), LeaveOneGroupOut()]
)
@pytest.mark.parametrize("as_type", [np.asarray, list])
def test_groups_reach_the_splitter(cv, as_type):
    X, y = rows_of((30, 30))
    groups = np.arange(60) % 6
    GroupSpy.shared = set()
    TemperatureScaling(GroupSpy(), cv=cv).fit(np.c_[X, groups], y, groups=as_type(groups))
    assert GroupSpy.shared == set()


class GroupSpy(Echo):
    """Notes groups, in the last column, that are trained on and scored in one fold."""

    shared: ClassVar[set] = set()

    def fit(self, X, y):
        self.groups_ = set(X[:, -1])
        return super().fit(X, y)

    def decision_function(self, X):
        d = super().decision_function(X)
        if len(X) < 40:  # held-out rows, not the served ones
            GroupSpy.shared |= self.groups_ & set(X[:, -1])
        return d[:, 1] - d[:, 0]


def test_a_splitter_of_groups_says_that_it_needs_them():
    X, y = rows_of((30, 30))
    with pytest.raises(ValueError, match="'groups' parameter should not be None"):
        TemperatureScaling(Echo(), cv=GroupKFold(3)).fit(X, y)


def test_fit_parameters_of_rows_are_cut_to_the_fold():
    X, y = rows_of((30, 30))
    seen = []

    class Noting(Echo):
        def fit(self, X, y, marks=None, mode=None):
            seen.append((X[:, 0].tolist(), list(marks), mode))
            return super().fit(X, y)

        def decision_function(self, X):
            return X[:, 1] - X[:, 0]

    TemperatureScaling(Noting(), cv=3).fit(X, y, marks=X[:, 0].tolist(), mode="fast")
    assert len(seen) == 4  # three folds and all rows
    assert all(rows == marks and mode == "fast" for rows, marks, mode in seen)
    assert [len(rows) for rows, _, _ in seen] == [40, 40, 40, 60]


def test_an_estimator_without_weights_is_calibrated_with_them_and_a_warning():
    X, y = rows_of((30, 30, 20))
    weight = np.random.default_rng(0).gamma(2, size=80)
    with pytest.warns(
        UserWarning, match=r"Echo\.fit takes no sample_weight: .* for the calibration alone"
    ) as caught:
        model = TemperatureScaling(Echo()).fit(X, y, sample_weight=weight)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert model.temperature_ == pytest.approx(best_temperature(X, y, weight, alpha=1), rel=1e-9)
    with pytest.warns(UserWarning, match="KNeighborsClassifier.fit takes no sample_weight"):
        TemperatureScaling(KNeighborsClassifier()).fit(X, y, sample_weight=weight)


def test_the_fold_models_are_clones_of_the_estimator():
    X, y = rows_of((30, 30))
    estimator = LogisticRegression(C=0.3)
    model = TemperatureScaling(estimator, ensemble=True).fit(X, y)
    models = [pair.estimator for pair in model.calibrated_classifiers_]
    assert len({id(m) for m in [*models, estimator]}) == 6
    assert {m.C for m in models} == {0.3}
    for m, (train, _) in zip(models, StratifiedKFold(5).split(X, y), strict=True):
        np.testing.assert_array_equal(m.coef_, clone(estimator).fit(X[train], y[train]).coef_)
