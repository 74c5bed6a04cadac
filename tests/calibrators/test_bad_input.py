"""What cannot be right is refused by name, and a refused fit leaves no trace."""

import copy
import datetime
import functools
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from registry import CALIBRATORS
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skcalib import (
    CalibratedClassifier,
    EnsembleTemperatureScaling,
    MatrixScaling,
    SigmoidCalibration,
    StructuredScaling,
    TemperatureScaling,
    VectorScaling,
)
from skcalib.datasets import make_miscalibrated_logits

LOGITS, Y = make_miscalibrated_logits(30, 3, temperature=2, random_state=0)
PROBA = softmax(LOGITS, axis=1)


def changed(array, row, value, column=...):
    array = np.array(array, dtype=object if isinstance(value, str | None) else None)
    array[row, column] = value
    return array


# X.


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (None, ValueError, r"X must have shape \(n_samples, n_classes\).*got \(\)"),
        (3.0, ValueError, r"X must have shape.*got \(\)"),
        (np.array(3.0), ValueError, r"X must have shape.*got \(\)"),
        (LOGITS[:, :, None], ValueError, r"X must have shape.*got \(30, 3, 1\)"),
        (LOGITS[:, :0], ValueError, r"X has no columns, shape \(30, 0\)"),
        (LOGITS[:-1], ValueError, "X and y have inconsistent numbers of samples: 29 and 30"),
        (LOGITS[:, 0], ValueError, "X has 2 columns but y has 3 distinct labels"),
        ("logits", ValueError, "X must hold numbers"),
        (LOGITS.astype(str), ValueError, "X must hold numbers, got an array of dtype <U"),
        (LOGITS.astype("S"), ValueError, r"X must hold numbers, got an array of dtype \|S"),
        (changed(LOGITS, 4, "high", 1), ValueError, "X must hold numbers"),
        (changed(LOGITS, 4, None, 1), ValueError, "row 4 holds NaN"),
        ((LOGITS * 1000).astype("M8[s]"), ValueError, "X must hold numbers.*datetime64"),
        ((LOGITS * 1000).astype("m8[s]"), ValueError, "X must hold numbers.*timedelta64"),
        (np.zeros(30, dtype=[("a", "f8")]), ValueError, "X must hold numbers"),
        (LOGITS + 0j, ValueError, "Complex data not supported: X"),
        ((row for row in LOGITS), ValueError, "X must hold numbers, got an array of dtype object"),
        ({"a": 1}, ValueError, "X must hold numbers, got an array of dtype object"),
        (scipy.sparse.csr_array(LOGITS), TypeError, r"X must be a dense array.*X\.toarray\(\)"),
        (scipy.sparse.coo_matrix(LOGITS), TypeError, r"X must be a dense array.*X\.toarray\(\)"),
        (np.ma.masked_less(LOGITS, 0), TypeError, r"masked.*X\.filled\(-np\.inf\)"),
    ],
)
def test_scores_of_no_usable_form_are_refused(X, error, message):
    model = TemperatureScaling()
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.fit(X, Y)
    assert vars(model) == before


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="inhomogeneous"):
        TemperatureScaling().fit([[1, 2], [1]], [0, 1])


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_no_rows_are_refused(calibrator):
    with pytest.raises(ValueError, match="no rows"):
        calibrator().fit(LOGITS[:0], Y[:0])
    with pytest.raises(ValueError, match=r"X has no rows \(0 sample\(s\)\), shape \(0, 3\)"):
        calibrator().fit(LOGITS, Y).predict_proba(LOGITS[:0])


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize(
    ("X", "message"),
    [
        (changed(PROBA, 4, [0.5, 0.7, -0.2]), r"between 0 and 1, got -0\.2 in row 4, column 2"),
        (changed(PROBA, 4, [1.2, 0.0, 0.0]), r"between 0 and 1, got 1\.2 in row 4, column 0"),
        (changed(PROBA, 4, [0.5, np.nan, 0.5]), r"between 0 and 1, got nan in row 4, column 1"),
        (changed(PROBA, 4, [0.5, np.inf, 0.5]), r"between 0 and 1, got inf in row 4, column 1"),
        (changed(PROBA, 4, [0.5, 0.2, 0.2]), r"rows sum to one.*got a sum of 0\.9 in row 4"),
        (changed(PROBA, 4, [0.5, 0.5, 0.5]), r"rows sum to one.*got a sum of 1\.5 in row 4"),
        (changed(PROBA, 4, 0.0), r"rows sum to one.*got a sum of 0 in row 4"),
        (LOGITS, "X must hold probabilities between 0 and 1"),
    ],
)
def test_what_is_declared_as_probabilities_must_be(calibrator, X, message):
    model = calibrator(response_method="predict_proba").fit(PROBA, Y)
    for call in (lambda: clone(model).fit(X, Y), lambda: model.predict_proba(X)):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(ValueError, match=message):
        model.predict(X)


@pytest.mark.parametrize("p", [-0.1, 1.1, np.nan])
def test_one_column_of_probabilities_must_be_such(p):
    column = np.array([0.5, 0.2, p])
    with pytest.raises(ValueError, match=r"X must hold probabilities between 0 and 1.*in row 2"):
        TemperatureScaling(response_method="predict_proba").fit(column, [0, 1, 0])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (changed(np.log(PROBA), 4, 0.1, 1), r"at most 0, got 0\.1.* in row 4, column 1"),
        (changed(np.log(PROBA), 4, np.nan, 1), "at most 0, got nan in row 4, column 1"),
        (changed(np.log(PROBA), 4, -5.0), r"exponentials sum to one, got a sum of 0\.02.*in row 4"),
        (changed(np.log(PROBA), 4, -np.inf), "exponentials sum to one, got a sum of 0 in row 4"),
        (PROBA, "X must hold log-probabilities, at most 0"),
        (LOGITS, "X must hold log-probabilities"),
    ],
)
def test_what_is_declared_as_log_probabilities_must_be(X, message):
    model = TemperatureScaling(response_method="predict_log_proba").fit(np.log(PROBA), Y)
    for call in (lambda: clone(model).fit(X, Y), lambda: model.predict_proba(X)):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("smoothing", ["auto", 0, 1e-9])
@pytest.mark.parametrize("excess", [2.3e-16, 1e-14])
@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_rounding_beyond_zero_or_one_is_no_fault_of_probabilities(calibrator, excess, smoothing):
    """Weighted averages of probabilities round to 1.0000000000000002."""
    parameters = {"response_method": "predict_proba"}
    if "smoothing" in calibrator().get_params():
        parameters["smoothing"] = smoothing
    proba = np.r_[[[1 + excess, 0, 0], [1, -excess, 0], [1, 0, -excess]], PROBA[3:]]
    model = calibrator(**parameters).fit(proba, Y)
    expected = calibrator(**parameters).fit(np.clip(proba, 0, 1), Y).predict_proba(PROBA)
    np.testing.assert_allclose(model.predict_proba(PROBA), expected, rtol=1e-4)
    assert np.isfinite(model.predict_proba(proba)).all()


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_a_wrong_number_of_columns_is_refused_when_served(calibrator):
    model = calibrator().fit(LOGITS, Y)
    for X, n_columns in ((LOGITS[:, :2], 2), (LOGITS[:, 0], 1), (np.zeros((2, 4)), 4)):
        with pytest.raises(
            ValueError, match=f"X has {n_columns} features, but .* is expecting 3 features"
        ):
            model.predict_proba(X)


# y.


def labels_with(value):
    y = np.array(["a", "b", "c"], dtype=object)[Y]
    y[4] = value
    return y


@pytest.mark.parametrize("estimator", [None, GaussianNB()], ids=["scores", "estimator"])
@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (None, ValueError, "requires y to be passed, but the target y is None"),
        (np.array(1), ValueError, r"y should be a 1d array, got an array of shape \(\)"),
        (np.eye(3)[Y], ValueError, r"y should be a 1d array, got an array of shape \(30, 3\)"),
        (np.eye(3, dtype=int)[Y], ValueError, r"y should be a 1d array.*\(30, 3\)"),
        (Y[:, None, None], ValueError, "dim"),
        (Y[:-1], ValueError, "inconsistent numbers of samples: 30 and 29"),
        (changed(Y + 0.0, 4, np.nan), ValueError, "y contains NaN or infinity.*in row 4"),
        (changed(Y + 0.0, 4, np.inf), ValueError, "y contains NaN or infinity.*in row 4"),
        (Y + 0.5, ValueError, "Unknown label type: continuous"),
        (Y + 0j, ValueError, "Complex data not supported"),
        ("abc" * 10, ValueError, r"y should be a 1d array, got an array of shape \(\)"),
        ((label for label in Y), ValueError, "y should be a 1d array"),
        (labels_with(None), ValueError, "y contains None.*in row 4"),
        (labels_with(np.nan), ValueError, "y contains nan.*in row 4"),
        (labels_with(1), (TypeError, ValueError), r"y .*str.*int"),
        (pd.Series(["a", "b", None] * 10, dtype="string"), ValueError, "y contains .*in row 2"),
        (pd.Series([0, 1, None] * 10, dtype="Int64"), ValueError, "y contains NaN.*in row 2"),
        (pd.Series(pd.Categorical(["a", "b", None] * 10)), ValueError, "y contains .*in row 2"),
        ([{1}] * 30, ValueError, "label type: unknown"),
        (np.ma.masked_equal(Y, 1), TypeError, "y must be a plain array, got a masked one"),
        (scipy.sparse.csr_array(Y[:, None]), TypeError, "[Ss]parse"),
    ],
)
def test_labels_that_are_none_are_refused(estimator, y, error, message):
    model = TemperatureScaling(estimator)
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.fit(LOGITS, y)
    assert vars(model) == before


def test_a_column_of_labels_is_taken_with_scikit_learns_warning():
    with pytest.warns(UserWarning, match="A column-vector y was passed"):
        model = TemperatureScaling().fit(LOGITS, Y[:, None])
    assert model.temperature_ == TemperatureScaling().fit(LOGITS, Y).temperature_


@pytest.mark.parametrize(
    ("classes", "y", "label"),
    [
        (["a", "b", "c"], Y, "0"),
        ([0, 1, 3], Y, "2"),
        ([1, 2, 3], Y, "0"),
        ([0, 1, 2], np.array(["0", "1", "2"])[Y], "'0'"),
        ([False, True, 2], np.array(["a", "b", "c"])[Y], "'a'"),
    ],
)
def test_an_unseen_label_is_named_with_its_row(classes, y, label):
    row = [repr(given) for given in y.tolist()].index(label)
    message = f"y has the label {label} in row {row}, which is not among the classes"
    with pytest.raises(ValueError, match=message):
        TemperatureScaling(classes=classes).fit(LOGITS, y)


# classes.


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([0, 1], r"classes must hold one label per column of X: expected 3, got .*\(2,\)"),
        ([[0, 1, 2]], r"classes must hold one label per column of X.*\(1, 3\)"),
        (np.array(3), "classes"),
        ("abc", "The 'classes' parameter of TemperatureScaling must be an array-like"),
        (3, "The 'classes' parameter of TemperatureScaling must be an array-like"),
        ([0, 1, 1], r"classes must not repeat a label, got \[0, 1, 1\]"),
        ([0, 1, np.nan], "classes .*nan"),
        ([0, 1, None], "classes .*None"),
    ],
)
def test_bad_classes_are_refused(classes, message):
    with pytest.raises(ValueError, match=message):
        TemperatureScaling(classes=classes).fit(LOGITS, np.minimum(Y, 1))


def test_classes_belong_to_scores_alone():
    with pytest.raises(ValueError, match=r"classes names the columns of X.*got \[0, 1, 2\]"):
        TemperatureScaling(GaussianNB(), classes=[0, 1, 2]).fit(LOGITS, Y)


# sample_weight.


WEIGHT = np.ones(30)


@pytest.mark.parametrize("estimator", [None, GaussianNB()], ids=["scores", "estimator"])
@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (changed(WEIGHT, 4, -1), ValueError, r"not negative, got -1\.0 in row 4"),
        (changed(WEIGHT, 4, np.nan), ValueError, "finite and not negative, got nan in row 4"),
        (changed(WEIGHT, 4, np.inf), ValueError, "finite and not negative, got inf in row 4"),
        (0 * WEIGHT, ValueError, "sample_weight is zero for every row"),
        (0, ValueError, "sample_weight is zero for every row"),
        (-1.0, ValueError, "sample_weight must be finite and not negative"),
        (WEIGHT[1:], ValueError, r"sample_weight must have shape \(30,\).*got \(29,\)"),
        (WEIGHT[:, None], ValueError, r"sample_weight must have shape \(30,\).*got \(30, 1\)"),
        (np.ones((30, 3)), ValueError, r"sample_weight must have shape \(30,\).*got \(30, 3\)"),
        ("balanced", (TypeError, ValueError), "sample_weight must"),
        (WEIGHT.astype(str), TypeError, "sample_weight must hold numbers.*dtype <U"),
        (WEIGHT + 1j, (TypeError, ValueError), "sample_weight must hold.*dtype complex128"),
        (WEIGHT.astype("m8[s]"), TypeError, "sample_weight must hold numbers.*timedelta64"),
        (changed(WEIGHT, 4, "x"), TypeError, "sample_weight must hold numbers"),
        ([None] * 30, (TypeError, ValueError), "sample_weight must"),
        (np.ma.masked_equal(WEIGHT, 1), TypeError, "sample_weight must.*masked"),
        (WEIGHT * 1e307, ValueError, "sample_weight .*sum"),
    ],
)
def test_weights_that_cannot_count_are_refused(estimator, weight, error, message):
    model = TemperatureScaling(estimator)
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.fit(LOGITS, Y, sample_weight=weight)
    assert vars(model) == before


# Parameters.


LINEAR = [MatrixScaling, VectorScaling]
WITH_PRIOR = [EnsembleTemperatureScaling, MatrixScaling, VectorScaling]
SMOOTHING = [EnsembleTemperatureScaling, MatrixScaling, StructuredScaling, VectorScaling]


@pytest.mark.parametrize(
    ("calibrator", "name", "value", "expected"),
    [
        *((TemperatureScaling, "alpha", a, "float in the range") for a in (-1, np.nan, np.inf)),
        *((TemperatureScaling, "alpha", a, "float in the range") for a in ("1", None, 1j, [1])),
        *((TemperatureScaling, "smoothing", s, "float in the range") for s in (-0.1, 1, np.nan)),
        *((SigmoidCalibration, "smoothing", s, "'auto'") for s in ("Auto", None, 2)),
        *((c, "smoothing", s, "'auto'") for c in SMOOTHING for s in ("Auto", None, 1.0)),
        *((c, "alpha", a, "float in the range") for c in WITH_PRIOR for a in (-1, np.nan, "1")),
        *((c, "penalty", p, "'cv'") for c in LINEAR for p in (0, -1.0, "CV", None, np.nan)),
        *((StructuredScaling, "max_cost", c, "float in the range") for c in (-1, None, np.nan)),
        *((StructuredScaling, "accuracy_preserving", a, "bool") for a in (2, "yes", None)),
        *((StructuredScaling, "unseen_groups", u, "bool") for u in (2, "yes", None)),
        *((c, "response_method", "predict_probs", "predict_proba") for c in CALIBRATORS),
        *((c, "response_method", None, "predict_proba") for c in CALIBRATORS),
        *((c, "cv", cv, "int in the range") for c in CALIBRATORS for cv in (0, 1, -3, 2.5, "5")),
        *((c, "ensemble", e, "bool") for c in CALIBRATORS for e in ("yes", 2, None)),
        *((c, "n_jobs", n, "int") for c in CALIBRATORS for n in ("2", 1.5)),
        *((c, "estimator", e, "'fit' or None") for c in CALIBRATORS for e in ("lr", 3, object())),
    ],
)
def test_a_bad_parameter_is_named_by_fit(calibrator, name, value, expected):
    model = calibrator(**{"estimator": GaussianNB()} | {name: value})
    message = f"The '{name}' parameter of {calibrator.__name__} must be .*{expected}"
    with pytest.raises(ValueError, match=message):
        model.fit(LOGITS, Y)
    assert [name for name in vars(model) if name.endswith("_")] == []


@pytest.mark.parametrize(
    ("method", "error", "expected"),
    [
        ("platt", ValueError, r"'sigmoid', .*got 'platt'\. Platt's method is 'sigmoid'"),
        (
            TemperatureScaling,
            TypeError,
            r"the class TemperatureScaling: pass TemperatureScaling\(\)",
        ),
        (LogisticRegression(), TypeError, r"or a calibrator such as .*got LogisticRegression"),
    ],
)
def test_a_method_that_is_none_is_answered_with_all_there_are(method, error, expected):
    with pytest.raises(error, match=f"^method must be one of .*{expected}"):
        CalibratedClassifier(method=method).fit(LOGITS, Y)


def test_parameters_are_checked_before_anything_is_fitted():
    model = CalibratedClassifier(CountingNB(), method=TemperatureScaling(alpha=-1))
    CountingNB.n_fits = 0
    with pytest.raises(ValueError, match="The 'alpha' parameter of TemperatureScaling must be"):
        model.fit(LOGITS, Y)
    assert CountingNB.n_fits == 0


class CountingNB(GaussianNB):
    n_fits = 0

    def fit(self, X, y, sample_weight=None):
        CountingNB.n_fits += 1
        return super().fit(X, y, sample_weight)


# fit's further arguments.


def test_arguments_nobody_takes_are_refused():
    weight = np.ones(30)
    frozen = FrozenEstimator(GaussianNB().fit(LOGITS, Y))
    for estimator in (None, GaussianNB(), frozen):
        with pytest.raises(TypeError, match="sample_weights"):
            TemperatureScaling(estimator).fit(LOGITS, Y, sample_weights=weight)


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        (Y[:-1], ValueError, r"groups must have shape \(30,\), .* got \(29,\)"),
        (Y[:, None], ValueError, r"groups must have shape \(30,\), .* got \(30, 1\)"),
        ("ward", ValueError, r"groups must have shape \(30,\), .* got \(\)"),
        (np.where(np.arange(30) == 4, np.nan, 1), ValueError, "groups must name .* nan in row 4"),
        ([*"ab" * 14, "a", None], ValueError, "groups must name .* None in row 29"),
        (["a", pd.NA, *"ab" * 14], ValueError, "groups must name .* <NA> in row 1"),
        (
            np.array(["2020-01-01", "NaT"] * 15, dtype="datetime64[D]"),
            ValueError,
            "groups must name .* NaT in row 1",
        ),
        (np.ma.array(Y), TypeError, "groups must be a plain array"),
        (pd.Series([[0]] * 30), TypeError, "groups must hold labels .* unhashable"),
    ],
)
def test_groups_that_name_no_group_for_each_row_are_refused(groups, error, message):
    frozen = FrozenEstimator(GaussianNB().fit(LOGITS, Y))
    for estimator in (None, CountingNB(), frozen):
        model = TemperatureScaling(estimator)
        CountingNB.n_fits = 0
        with pytest.raises(error, match=message):
            model.fit(LOGITS, Y, groups=groups)
        assert CountingNB.n_fits == 0
        assert not hasattr(model, "classes_")


# Estimators that cannot be calibrated.


class BareScores(BaseEstimator):
    """No classifier: it has scores but does not say of what."""

    def fit(self, X, y):
        self.n_rows_ = len(X)
        return self

    def decision_function(self, X):
        return X


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (LinearRegression(), TypeError, "LinearRegression has neither"),
        (LogisticRegression, TypeError, "instance"),
        (IsolationForest(n_estimators=2), TypeError, "IsolationForest.*classes_"),
        (BareScores(), TypeError, "BareScores.*classes_"),
        (FrozenEstimator(GaussianNB()), NotFittedError, "GaussianNB"),
        (FrozenEstimator(LogisticRegression()), NotFittedError, "LogisticRegression"),
    ],
)
def test_an_estimator_without_usable_scores_is_refused(estimator, error, message):
    model = TemperatureScaling(estimator)
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.fit(LOGITS, Y)
    assert vars(model) == before


@pytest.mark.parametrize("method", ["decision_function", "predict_log_proba", "predict_proba"])
def test_a_declared_method_must_exist(method):
    with pytest.raises(
        TypeError, match=f"response_method='{method}', but LinearRegression has no such method"
    ):
        TemperatureScaling(LinearRegression(), response_method=method).fit(LOGITS, Y)


class Scoring(ClassifierMixin, BaseEstimator):
    """A classifier whose scores are what the test wants."""

    def __init__(self, output=None, method="predict_proba"):
        self.output = output
        self.method = method

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def __getattr__(self, name):
        if name == self.__dict__.get("method"):
            return lambda X: self.output[: len(X)]
        raise AttributeError(name)


@pytest.mark.parametrize(
    ("output", "method", "message"),
    [
        (PROBA[:, :2], "predict_proba", "the predict_proba of .* must hold.*sum to one"),
        (LOGITS, "predict_proba", "the predict_proba of .* must hold probabilities between"),
        (
            LOGITS[:, :2],
            "decision_function",
            "function of .* must have one column per class, 3, got 2",
        ),
        (
            LOGITS[:, 0],
            "decision_function",
            "function of .* must have one column per class, 3, got 2",
        ),
        (
            np.zeros((30, 4)),
            "decision_function",
            "function of .* must have one column per class, 3, got 4",
        ),
        (changed(LOGITS, 4, np.nan), "decision_function", "function of .* must hold finite.*row 4"),
        (LOGITS.astype(str), "decision_function", "function of .* must hold numbers"),
        (
            changed(PROBA, 4, np.nan),
            "predict_proba",
            "the predict_proba of .* must hold.*got nan in row 4",
        ),
    ],
)
def test_an_estimators_faulty_scores_are_blamed_on_its_method(output, method, message):
    estimator = FrozenEstimator(Scoring(output, method).fit(LOGITS, Y))
    with pytest.raises(ValueError, match=message):
        TemperatureScaling(estimator).fit(LOGITS, Y)


# Use before fit.


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("estimator", [None, GaussianNB()])
@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "decision_function"]
)
def test_use_before_fit_is_refused(calibrator, estimator, method):
    with pytest.raises(
        NotFittedError, match=f"This {calibrator.__name__} instance is not fitted yet"
    ):
        getattr(calibrator(estimator), method)(LOGITS)


# Nothing is left behind.


class Interrupted(GaussianNB):
    """Stops in the fit number `at`, as a user's Ctrl-C does."""

    at = 1
    n_fits = 0

    def fit(self, X, y, sample_weight=None):
        Interrupted.n_fits += 1
        if Interrupted.n_fits >= Interrupted.at:
            raise KeyboardInterrupt
        return super().fit(X, y, sample_weight)


FAILURES = {
    "NaN in X": (lambda m: m.fit(changed(LOGITS, 4, np.nan, 1), Y), ValueError),
    "unknown parameter": (lambda m: m.fit(LOGITS, Y, whatever=1), TypeError),
    "short y": (lambda m: m.fit(LOGITS, Y[1:]), ValueError),
    "no y": (lambda m: m.fit(LOGITS, None), ValueError),
    "negative weight": (lambda m: m.fit(LOGITS, Y, sample_weight=-WEIGHT), ValueError),
    "other frame": (
        lambda m: m.fit(pd.DataFrame(LOGITS, columns=["c", "b", "a"]), np.array([*"abc"])[Y][1:]),
        ValueError,
    ),
    "parameter": (lambda m: m.set_params(ensemble="x").fit(LOGITS, Y), ValueError),
}


@functools.cache
def fitted_once(calibrator, on_scores, ensemble):
    frame = pd.DataFrame(LOGITS, columns=["x", "y", "z"])
    estimator = None if on_scores else GaussianNB()
    return calibrator(estimator, ensemble=ensemble, cv=2).fit(frame, Y)


@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize("estimator", [None, GaussianNB()], ids=["scores", "estimator"])
@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_fit_leaves_the_object_as_it_was(failure, calibrator, estimator, ensemble):
    call, error = FAILURES[failure]
    frame = pd.DataFrame(LOGITS, columns=["x", "y", "z"])
    fresh = calibrator(estimator, ensemble=ensemble, cv=2)
    fitted = copy.deepcopy(fitted_once(calibrator, estimator is None, ensemble))
    expected = fitted.predict_proba(frame)
    for model in (fresh, fitted):
        before = dict(vars(model))
        with pytest.raises(error):
            call(model)
        model.set_params(ensemble=ensemble)
        after = vars(model)
        assert after.keys() == before.keys()
        assert all(after[name] is before[name] for name in before)
    np.testing.assert_array_equal(fitted.predict_proba(frame), expected)


@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize("at", [1, 3, 6])
def test_an_interrupted_fit_leaves_the_object_as_it_was(at, ensemble):
    fresh = TemperatureScaling(Interrupted(), ensemble=ensemble)
    fitted = TemperatureScaling(GaussianNB(), ensemble=ensemble).fit(LOGITS, Y)
    fitted.set_params(estimator=Interrupted())
    if ensemble and at == 6:
        pytest.skip("an ensemble fits five models, not six")
    for model in (fresh, fitted):
        before = dict(vars(model))
        Interrupted.at, Interrupted.n_fits = at, 0
        with pytest.raises(KeyboardInterrupt):
            model.fit(LOGITS, Y)
        assert Interrupted.n_fits == at
        assert vars(model) == before


def test_a_failed_fit_does_not_touch_a_frozen_estimator():
    inner = GaussianNB().fit(LOGITS, Y)
    before = {name: np.copy(value) for name, value in vars(inner).items()}
    model = TemperatureScaling(FrozenEstimator(inner))
    with pytest.raises(ValueError, match="y has the label 7 in row 29"):
        model.fit(LOGITS, np.r_[Y[:-1], 7])
    assert model.fit(LOGITS, Y).estimator_.estimator is inner
    for name, value in vars(inner).items():
        np.testing.assert_array_equal(value, before[name])


def test_no_warning_comes_from_a_fit_that_fails():
    y = np.zeros(30, dtype=int)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match="row 4 holds NaN"):
            TemperatureScaling(alpha=0).fit(changed(LOGITS, 4, np.nan), y)
        with pytest.raises(ValueError, match="sample_weight"):
            TemperatureScaling().fit(PROBA, y, sample_weight=-WEIGHT)
    assert caught == []
    with pytest.warns(ConvergenceWarning):
        TemperatureScaling(alpha=0, classes=[0, 1, 2]).fit(2 * np.eye(3)[y], y)


def test_labels_of_a_date_are_labels():
    days = np.array([datetime.date(2020, 1, d) for d in (1, 2, 3)], dtype="M8[D]")
    model = TemperatureScaling().fit(LOGITS, days[Y])
    np.testing.assert_array_equal(model.classes_, days)
    assert model.temperature_ == TemperatureScaling().fit(LOGITS, Y).temperature_
