"""Cheap classifiers first."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC

from skcalib import TemperatureScaling
from skcalib.decisions import CascadeClassifier, SelectiveClassifier

# Two members of ten rows. The first is sure of rows 0 to 4; the second is surer and right.
SMALL = np.array([0.95, 0.9, 0.9, 0.85, 0.8, 0.7, 0.65, 0.6, 0.55, 0.55])
LARGE = np.array([0.9, 0.9, 0.9, 0.9, 0.9, 0.95, 0.95, 0.95, 0.95, 0.95])
X = np.stack([np.stack([1 - p, p], axis=1) for p in (SMALL, LARGE)], axis=1)
Y = np.ones(10, dtype=int)
BINARY = {"classes": [0, 1], "costs": [1, 4]}


class Counting(ClassifierMixin, BaseEstimator):
    """Says what a column of X says, and notes which rows it was asked about."""

    def __init__(self, column):
        self.column = column

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.asked_ = []
        return self

    def predict_proba(self, X):
        p = np.asarray(X)[:, self.column]
        self.asked_.append(np.asarray(X)[:, 2].astype(int).tolist())
        return np.stack([1 - p, p], axis=1)


@pytest.fixture
def counting():
    rows = np.c_[SMALL, LARGE, np.arange(10)]
    y = np.arange(10) % 2
    frozen = [(n, FrozenEstimator(Counting(c).fit(rows, y))) for c, n in enumerate("ab")]
    return CascadeClassifier(frozen, costs=[1, 4], thresholds=[0.8]).fit(rows, y), rows


# Who answers


def test_given_thresholds_send_unsure_rows_on():
    model = CascadeClassifier(thresholds=[0.8], **BINARY).fit(X, Y)
    np.testing.assert_array_equal(model.predict_stage(X), [0] * 5 + [1] * 5)
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], [*SMALL[:5], *LARGE[5:]])
    # all ten cost 1, five of them 4 more
    assert model.mean_cost_ == pytest.approx((10 * 1 + 5 * 4) / 10)
    np.testing.assert_array_equal(model.stage_costs_, [1, 5])
    np.testing.assert_allclose(model.stage_shares_, [0.5, 0.5])
    expected = -np.log([*SMALL[:5], *LARGE[5:]]).mean()
    assert model.log_loss_ == pytest.approx(expected)


@pytest.mark.parametrize(
    ("budget", "n_on"),
    # 1 + 4 n / 10 within the budget; beyond eight rows (.9 and .95 against .9) nothing is gained
    [(1, 0), (1.4, 0), (1.8, 2), (3, 5), (3.39, 5), (3.4, 6), (5, 7), (100, 7)],
)
def test_the_budget_buys_the_large_model_where_it_gains(budget, n_on):
    # Ties of .55 go together: for 1.4 none can go. Of .9 the large model says no more.
    model = CascadeClassifier(budget=budget, **BINARY).fit(X, Y)
    assert model.predict_stage(X).sum() == n_on
    assert model.mean_cost_ <= budget + 1e-12


def test_members_see_the_rows_that_come_to_them_and_no_others(counting):
    model, rows = counting
    members = [frozen.estimator for frozen in model.estimators_]
    for member in members:
        member.asked_.clear()
    model.predict(rows)
    assert [member.asked_ for member in members] == [[list(range(10))], [[5, 6, 7, 8, 9]]]
    model.predict_proba(rows[:3])
    assert len(members[1].asked_) == 1  # of sure rows it is not asked at all


def test_a_row_does_not_depend_on_its_batch(counting):
    model, rows = counting
    together = model.predict_proba(rows)
    for row in range(10):
        np.testing.assert_array_equal(model.predict_proba(rows[[row]]), together[[row]])


def test_three_stages_of_score_blocks():
    p = np.array([[0.9, 0.6, 0.7], [0.6, 0.8, 0.7], [0.6, 0.6, 0.7]])
    blocks = np.stack([1 - p, p], axis=2)
    model = CascadeClassifier(classes=[0, 1], costs=[1, 2, 4], thresholds=[0.9, 0.8])
    model.fit(blocks, [1, 1, 1])
    np.testing.assert_array_equal(model.predict_stage(blocks), [0, 1, 2])
    assert model.mean_cost_ == pytest.approx((1 + 3 + 7) / 3)


def test_weights_count_as_repetitions():
    weight = np.array([0, 1, 2, 0, 3, 1, 1, 2, 1, 4])
    weighted = CascadeClassifier(budget=3, **BINARY).fit(X, Y, sample_weight=weight)
    repeated = CascadeClassifier(budget=3, **BINARY)
    repeated.fit(np.repeat(X, weight, axis=0), np.repeat(Y, weight))
    np.testing.assert_array_equal(weighted.thresholds_, repeated.thresholds_)
    assert weighted.mean_cost_ == pytest.approx(repeated.mean_cost_)


@pytest.mark.parametrize("budget", [2.0, 3.0])
@pytest.mark.parametrize("seed", range(5))
def test_rows_of_weight_zero_change_nothing(seed, budget):
    rng = np.random.default_rng(seed)
    blocks, y = rng.dirichlet(np.full(3, 0.5), (200, 3)), rng.integers(0, 3, 200)
    model = CascadeClassifier(costs=[1, 2, 4], budget=budget, classes=[0, 1, 2])
    without = model.fit(blocks[:100], y[:100]).thresholds_
    with_them = model.fit(blocks, y, sample_weight=np.repeat([1, 0], 100))
    np.testing.assert_array_equal(with_them.thresholds_, without)
    assert with_them.n_calibration_ == 100


def test_a_cascade_of_one_asks_it_about_every_row():
    model = CascadeClassifier(costs=[2], budget=2, classes=[0, 1]).fit(X[:, :1], Y)
    assert len(model.thresholds_) == 0
    assert model.mean_cost_ == pytest.approx(2)


def test_single_precision_reaches_a_threshold_as_it_is_written():
    blocks = np.array([[[0.1, 0.9], [0.5, 0.5]]] * 3, dtype=np.float32)
    model = CascadeClassifier(thresholds=[0.9], **BINARY).fit(blocks, [1, 1, 1])
    assert model.mean_cost_ == 1
    assert model.predict_proba(blocks).dtype == np.float32
    np.testing.assert_array_equal(model.predict_stage(blocks), [0, 0, 0])


# Around estimators


def test_thresholds_are_chosen_on_rows_that_no_member_was_fitted_on():
    data, y = load_digits(return_X_y=True)
    data, y = data[:600] + np.random.default_rng(0).normal(0, 3, (600, 64)), y[:600]
    members = [("nb", TemperatureScaling(GaussianNB())), ("svc", TemperatureScaling(SVC()))]
    model = CascadeClassifier(members, costs=[1, 10], budget=5, cv=3).fit(data, y)
    held_out = [cross_val_predict(m, data, y, cv=3, method="predict_proba") for _, m in members]
    blocks = np.stack(held_out, axis=1)
    of_scores = CascadeClassifier(costs=[1, 10], budget=5).fit(blocks, y)
    np.testing.assert_allclose(model.thresholds_, of_scores.thresholds_, atol=1e-12)
    assert model.log_loss_ == pytest.approx(log_loss(y, of_scores.predict_proba(blocks)))
    assert model.log_loss_ < log_loss(y, held_out[0])
    assert model.mean_cost_ <= 5


def test_a_selective_classifier_abstains_from_what_stays_unsure(counting):
    model, rows = counting
    selective = SelectiveClassifier(FrozenEstimator(model), threshold=0.92)
    selective.fit(rows, np.arange(10) % 2)
    np.testing.assert_array_equal(selective.accepts(rows), [True, *[False] * 4, *[True] * 5])


def test_frames_sparse_matrices_and_strings_pass_through():
    data, y = load_iris(return_X_y=True)
    labels = np.array(["u", "v", "w"])[y]
    members = [("weak", LogisticRegression(C=0.01)), ("strong", LogisticRegression(max_iter=1000))]
    frame = pd.DataFrame(data, columns=list("abcd"), index=np.arange(150)[::-1])
    model = CascadeClassifier(members, costs=[1, 1], budget=1.5).fit(frame, labels)
    assert set(model.predict_stage(frame)) == {0, 1}
    assert set(model.predict(frame)) == {"u", "v", "w"}
    sparse = CascadeClassifier(members, costs=[1, 1], budget=1.5).fit(csr_matrix(data), labels)
    np.testing.assert_allclose(
        sparse.predict_proba(csr_matrix(data)), model.predict_proba(frame), atol=1e-3
    )
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(frame), model.predict_proba(frame))


def test_the_summary_says_who_answers_at_which_cost():
    # Minus the logarithms of .95, .9, .9, .85, .8 and five times .95: .904 of ten rows.
    summary = CascadeClassifier(thresholds=[0.8], **BINARY).fit(X, Y).summary()
    assert summary.records == [("0", 0.8, 0.5, 1.0), ("1", None, 0.5, 5.0)]
    assert str(summary).endswith("Mean cost 3, log loss 0.09041.")


def test_nothing_warns_of_arithmetic():
    with np.errstate(all="raise"):
        CascadeClassifier(budget=3, **BINARY).fit(X, Y).predict(X)
        certain = np.array([[[0.0, 1.0], [1.0, 0.0]]] * 4)
        CascadeClassifier(budget=3, **BINARY).fit(certain, [1, 0, 1, 0]).predict(certain)


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"costs": [1, 4]}, "exactly one of budget and thresholds must be given, got neither"),
        ({"costs": [1, 4], "budget": 2, "thresholds": [0.5]}, "must be given, got both"),
        ({"budget": 2}, "costs must be given"),
        ({"costs": [1], "budget": 2}, r"one number for each member, \(2,\), got \(1,\)"),
        ({"costs": [1, 0], "budget": 2}, "costs must be finite and positive"),
        ({"costs": [1e20, 1], "budget": 1e20}, r"costs must add up to more and more.* unit"),
        ({"costs": [1e308, 1e308], "budget": 1e308}, "costs must add up to more and more"),
        ({"costs": [2, 4], "budget": 1}, "at least the cost of the first member, 2, .* got 1"),
        ({"costs": [1, 4], "budget": 0}, "The 'budget' parameter"),
        ({"costs": [1, 4], "thresholds": [0.5, 0.5]}, "thresholds must hold a number between"),
        ({"costs": [1, 4], "thresholds": [1.5]}, r"each member but the last, \(1,\)"),
    ],
)
def test_parameters_that_cannot_be_right_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CascadeClassifier(classes=[0, 1], **options).fit(X, Y)


def test_a_row_of_scores_without_probabilities_is_named():
    logits = np.log(X)
    model = CascadeClassifier(thresholds=[0.8], response_method="decision_function", **BINARY)
    model.fit(logits, Y)
    logits[6, 1] = -np.inf
    with pytest.raises(ValueError, match="has every class masked"):
        model.predict_proba(logits)


def test_nothing_is_predicted_before_fit():
    for method in ("predict_proba", "predict_stage", "predict"):
        with pytest.raises(NotFittedError):
            getattr(CascadeClassifier(), method)(X)
    with pytest.raises(NotFittedError):
        CascadeClassifier().summary()
