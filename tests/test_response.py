"""From an estimator and X to scores with one column per class, in the order of its classes."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skcalib._response import (
    Scores,
    choose_method,
    read_probabilities,
    read_scores,
    score_columns,
)

X = np.array([[0.0, 1], [1, 0], [2, 2], [3, 1], [0, 3], [2, 0]])
Y = np.array(["b", "a", "c", "a", "b", "c"])


class Given(ClassifierMixin, BaseEstimator):
    """A fitted classifier that answers what it is given, under one method's name."""

    def __init__(self, output, classes, method):
        self.output = output
        self.classes = classes
        self.method = method
        self.classes_ = np.asarray(classes)
        setattr(self, method, lambda X: output)

    def fit(self, X, y):
        return self


# Which method.


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (LogisticRegression(), "decision_function"),
        (GaussianNB(), "predict_proba"),
        (make_pipeline(StandardScaler(), SVC()), "decision_function"),
        (make_pipeline(StandardScaler(), GaussianNB()), "predict_proba"),
        (FrozenEstimator(GaussianNB()), "predict_proba"),
    ],
)
def test_auto_takes_the_decision_if_there_is_one_else_probabilities(estimator, expected):
    assert choose_method(estimator, "auto") == expected


def test_a_method_asked_for_is_taken():
    assert choose_method(LogisticRegression(), "predict_log_proba") == "predict_log_proba"
    with pytest.raises(TypeError, match="SVC has no such method"):
        choose_method(SVC(), "predict_proba")
    with pytest.raises(TypeError, match="LinearRegression has neither"):
        choose_method(LinearRegression(), "auto")


# One column per class.


def log_odds(scores):
    """Of the second of two classes: all that a softmax takes from two logits."""
    return scores[:, 1] - scores[:, 0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_decision_is_the_log_odds_of_the_second_class_to_the_last_bit(dtype):
    smallest, largest = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    d = np.array([3, -1, 0, smallest, -smallest, largest, -largest], dtype=dtype)
    for X in (d, d[:, None]):
        found = score_columns(X, "decision_function", "X")
        assert found.dtype == dtype
        np.testing.assert_array_equal(log_odds(found), d)


def test_one_probability_column_is_that_of_the_second_class():
    found = score_columns([0.75, 0.0], "predict_proba", "X")
    np.testing.assert_array_equal(found, [[0.25, 0.75], [1, 0]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_columns_keep_their_type_and_are_not_copied(dtype):
    values = np.array([[0.25, 0.75], [1, 0]], dtype=dtype)
    for method in ("decision_function", "predict_proba"):
        found = score_columns(values, method, "X")
        assert found.dtype == dtype
        assert np.shares_memory(found, values)


@pytest.mark.parametrize("method", ["decision_function", "predict_proba", "predict_log_proba"])
def test_classes_an_estimator_has_not_seen_get_nothing(method):
    proba = np.array([[0.25, 0.75]])
    output = {
        "decision_function": np.array([[1.0, 2.0]]),
        "predict_proba": proba,
        "predict_log_proba": np.log(proba),
    }[method]
    estimator = Given(output, ["a", "c"], method)
    found = read_scores(estimator, X[:1], method, np.array(["a", "b", "c"])).values
    absent = 0 if method == "predict_proba" else -np.inf
    np.testing.assert_array_equal(found, [[output[0, 0], absent, output[0, 1]]])


def test_columns_are_sorted_whatever_the_order_of_the_estimators_classes():
    estimator = Given(np.array([[1.0, 2.0, 3.0]]), ["c", "a", "b"], "decision_function")
    found = read_scores(estimator, X[:1], "decision_function", np.array(["a", "b", "c"]))
    np.testing.assert_array_equal(found.values, [[2, 3, 1]])


def test_two_classes_in_reverse_turn_a_decision_around():
    # 3 in favour of the estimator's second class, which is "a".
    estimator = Given(np.array([3.0]), ["b", "a"], "decision_function")
    found = read_scores(estimator, X[:1], "decision_function", np.array(["a", "b"]))
    np.testing.assert_array_equal(log_odds(found.values), [-3])


@pytest.mark.parametrize("method", ["decision_function", "predict_proba", "predict_log_proba"])
def test_an_estimator_of_one_class_is_certain_of_it(method):
    output = {"decision_function": [0.3], "predict_proba": [1.0], "predict_log_proba": [0.0]}
    estimator = Given(np.array([output[method]]), ["b"], method)
    found = read_scores(estimator, X[:1], method, np.array(["a", "b"])).values
    if method == "predict_proba":
        np.testing.assert_array_equal(found, [[0, 1]])
    else:
        assert found[0, 0] == -np.inf
        assert np.isfinite(found[0, 1])


@pytest.mark.parametrize(
    ("output", "method", "message"),
    [
        (
            [[1.0, 2, 3, 4]],
            "decision_function",
            "of Given must have one column per class, 3, got 4",
        ),
        ([1.0], "decision_function", "of Given must have one column per class, 3, got 2"),
        ([[0.5, 0.5]], "predict_proba", "of Given must have one column per class, 3, got 2"),
        ([[0.5, 0.4, 0.2]], "predict_proba", "the predict_proba of Given must .* got a sum of 1.1"),
        ([[0.5, np.nan, 0.5]], "predict_proba", "the predict_proba of Given must .* got nan"),
    ],
)
def test_scores_that_break_their_promise_are_blamed_on_the_method(output, method, message):
    estimator = Given(np.array(output), ["a", "b", "c"], method)
    with pytest.raises(ValueError, match=message):
        read_scores(estimator, X[:1], method, np.array(["a", "b", "c"]))


# Probabilities of an estimator.


def test_probabilities_follow_the_estimators_own_classes():
    model = LogisticRegression().fit(X, Y)
    np.testing.assert_array_equal(read_probabilities(model, X), model.predict_proba(X))
    estimator = Given(np.array([[0.2, 0.7, 0.1]]), ["c", "a", "b"], "predict_proba")
    np.testing.assert_array_equal(read_probabilities(estimator, X[:1]), [[0.2, 0.7, 0.1]])


def test_probabilities_of_an_estimator_that_has_none_are_refused():
    with pytest.raises(TypeError, match="SVC has no such method"):
        read_probabilities(SVC().fit(X, Y), X)
    with pytest.raises(NotFittedError, match="LogisticRegression"):
        read_probabilities(LogisticRegression(), X)


# Scores.


def test_argmax_is_the_first_largest_of_each_row():
    scores = Scores(
        np.array([[1.0, 2, 2], [3, 3, 3], [-np.inf, -5, -np.inf]]), "decision_function", "X"
    )
    np.testing.assert_array_equal(scores.argmax(), [1, 0, 1])


def test_argmax_of_many_rows_is_numpys():
    values = np.random.default_rng(0).normal(size=(50_000, 7)).round(1)
    found = Scores(values, "decision_function", "X").argmax()
    np.testing.assert_array_equal(found, values.argmax(axis=1))


@pytest.mark.parametrize("row", [[np.nan, 0], [0, np.nan], [np.inf, 0], [-np.inf, -np.inf]])
def test_argmax_of_a_row_without_one_names_it(row):
    scores = Scores(np.array([[1.0, 2], row]), "decision_function", "X")
    with pytest.raises(ValueError, match=r"X must hold finite logits.*row 1"):
        scores.argmax()


def test_a_source_gives_logits_of_what_is_declared():
    proba = np.array([[0.25, 0.75], [1.0, 0.0]])
    room = np.empty((2, 2), order="F")
    rows = slice(0, 2)
    logits = Scores(proba, "decision_function", "X").source().read(rows, room)
    np.testing.assert_array_equal(logits, proba)
    offset = 0.125
    for values, method in (
        (proba, "predict_proba"),
        (np.log(softmax(proba, 1)), "predict_log_proba"),
    ):
        p = values if method == "predict_proba" else np.exp(values)
        found = Scores(values, method, "X").source(offset).read(rows, room)
        np.testing.assert_allclose(found, np.log(p + offset), rtol=1e-14)
