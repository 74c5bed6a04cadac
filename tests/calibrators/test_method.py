"""The calibrator chosen by a parameter."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB

from skcalib import (
    CalibratedClassifier,
    EnsembleTemperatureScaling,
    IsotonicCalibration,
    MatrixScaling,
    SigmoidCalibration,
    StructuredScaling,
    TemperatureScaling,
    VectorScaling,
)

CLASSES = {
    "structured": StructuredScaling,
    "temperature": TemperatureScaling,
    "ensemble_temperature": EnsembleTemperatureScaling,
    "vector": VectorScaling,
    "matrix": MatrixScaling,
    "sigmoid": SigmoidCalibration,
    "isotonic": IsotonicCalibration,
}


@pytest.fixture
def iris():
    X, y = load_iris(return_X_y=True)
    return X + np.random.default_rng(0).normal(size=X.shape), y


@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize("estimator", [GaussianNB(), RidgeClassifier(), None])
@pytest.mark.parametrize("name", CLASSES)
def test_a_name_stands_for_its_class_with_default_parameters(iris, name, estimator, ensemble):
    X, y = iris
    X = X[:, :3] if estimator is None else X
    by_name = CalibratedClassifier(estimator, method=name, ensemble=ensemble, cv=2).fit(X, y)
    by_class = CLASSES[name](estimator, ensemble=ensemble, cv=2).fit(X, y)
    np.testing.assert_array_equal(by_name.predict_proba(X), by_class.predict_proba(X))
    np.testing.assert_array_equal(by_name.predict(X), by_class.predict(X))
    learned = {attribute for attribute in vars(by_class) if attribute.endswith("_")}
    assert {attribute for attribute in vars(by_name) if attribute.endswith("_")} == learned


@pytest.mark.parametrize(
    "method",
    [
        TemperatureScaling(alpha=20, smoothing=0.03),
        SigmoidCalibration(smoothing=0.2),
        IsotonicCalibration(),
        StructuredScaling(accuracy_preserving=True, smoothing=0.02),
        EnsembleTemperatureScaling(alpha=20),
        VectorScaling(penalty=30),
        MatrixScaling(penalty="cv", alpha=3),
    ],
)
def test_a_calibrator_brings_its_own_parameters(iris, method):
    X, y = iris
    wrapped = CalibratedClassifier(GaussianNB(), method=method, cv=3).fit(X, y)
    direct = clone(method).set_params(estimator=GaussianNB(), cv=3).fit(X, y)
    np.testing.assert_array_equal(wrapped.predict_proba(X), direct.predict_proba(X))
    # The instance itself is not fitted.
    assert [name for name in vars(method) if name.endswith("_")] == []


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("estimator", GaussianNB()),
        ("cv", 3),
        ("ensemble", True),
        ("n_jobs", 2),
        ("classes", [0, 1, 2]),
        ("classes", np.array([0, 1, 2])),
        ("response_method", "predict_proba"),
    ],
)
@pytest.mark.parametrize("name", CLASSES)
def test_what_concerns_the_wrapping_is_refused_on_the_method(iris, name, parameter, value):
    model = CalibratedClassifier(GaussianNB(), method=CLASSES[name](**{parameter: value}))
    with pytest.raises(
        ValueError, match=f"sets {parameter}, .* pass {parameter} to CalibratedClassifier"
    ):
        model.fit(*iris)


def test_the_default_is_structured_scaling(iris):
    X, y = iris
    default = CalibratedClassifier(GaussianNB(), cv=2).fit(X, y)
    direct = StructuredScaling(GaussianNB(), cv=2).fit(X, y)
    np.testing.assert_array_equal(default.predict_proba(X), direct.predict_proba(X))
    np.testing.assert_array_equal(default.weights_, direct.weights_)
    assert default.method == "structured"


def test_an_unknown_name_is_answered_with_all_that_are_known(iris):
    with pytest.raises(ValueError, match="method must be one of") as caught:
        CalibratedClassifier(GaussianNB(), method="platt").fit(*iris)
    assert all(f"'{name}'" in str(caught.value) for name in CLASSES)
    assert "'platt'" in str(caught.value)


def test_a_bad_parameter_of_the_method_is_named(iris):
    model = CalibratedClassifier(GaussianNB(), method=TemperatureScaling(alpha=-1))
    with pytest.raises(ValueError, match="The 'alpha' parameter of TemperatureScaling must be"):
        model.fit(*iris)


def test_the_method_is_searched_over_by_name_instance_and_inner_parameter(iris):
    search = GridSearchCV(
        CalibratedClassifier(GaussianNB(), cv=2),
        [
            {"method": list(CLASSES)},
            {"method": [TemperatureScaling()], "method__alpha": [0.1, 10]},
            {"method": [StructuredScaling()], "method__accuracy_preserving": [False, True]},
            {"method": [SigmoidCalibration()], "estimator__var_smoothing": [1e-9, 1e-1]},
        ],
        scoring="neg_log_loss",
        cv=2,
    ).fit(*iris)
    assert len(search.cv_results_["params"]) == 13
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_a_clone_has_a_method_of_its_own():
    model = CalibratedClassifier(GaussianNB(), method=TemperatureScaling(alpha=3))
    cloned = clone(model)
    assert cloned.method is not model.method
    assert cloned.get_params()["method__alpha"] == 3
