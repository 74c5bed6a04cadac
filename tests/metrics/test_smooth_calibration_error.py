import json
from pathlib import Path

import numpy as np
import pytest

from skcalib.metrics import smooth_calibration_error

KNOWN = json.loads(
    (Path(__file__).parents[1] / "data" / "known_answers.json").read_text(encoding="utf-8")
)
CASES = {case["id"]: case for case in KNOWN["cases"]}


def problem(n_classes=3, n=200):
    rng = np.random.default_rng(n_classes)
    proba = rng.dirichlet(np.ones(n_classes), n)
    return rng.integers(0, n_classes, n), proba, rng.random(n)


@pytest.mark.parametrize(
    ("case", "given", "kind"),
    [("D/smece", "p", "positive"), ("E/top_smece", "P", "confidence")],
)
def test_the_value_is_the_known_one(case, given, kind):
    inputs = KNOWN["inputs"][case[0]]
    found = smooth_calibration_error(inputs["y"], inputs[given], kind=kind)
    assert found == pytest.approx(CASES[case]["expected"], abs=1e-3)
    # From the glossary, to all digits given there.
    exact = {"D/smece": 0.0710570, "E/top_smece": 0.1559339}[case]
    assert found == pytest.approx(exact, abs=2e-7)


def test_the_confidence_is_held_against_correct_predictions():
    # All confidences are .6, three of four predictions are correct.
    proba = [[0.6, 0.4], [0.6, 0.4], [0.4, 0.6], [0.4, 0.6]]
    assert smooth_calibration_error([0, 0, 1, 0], proba) == pytest.approx(0.75 - 0.6)


def test_each_class_is_a_binary_problem_of_its_own():
    y, proba, weight = problem()
    of_classes = [
        smooth_calibration_error(y == k, proba[:, k], kind="positive", sample_weight=weight)
        for k in range(3)
    ]
    shares = np.bincount(y, weight) / weight.sum()
    expected = {
        "mean": np.mean(of_classes),
        "sum": np.sum(of_classes),
        "prevalence": shares @ of_classes,
    }
    for average, value in expected.items():
        found = smooth_calibration_error(
            y, proba, kind="class", average=average, sample_weight=weight
        )
        assert found == pytest.approx(value, abs=1e-13)


def test_of_two_classes_either_has_the_same_error():
    y, proba, _ = problem(2)
    positive = smooth_calibration_error(y, proba, kind="positive")
    negative = smooth_calibration_error(y, proba, kind="positive", pos_label=0)
    assert positive == pytest.approx(negative, abs=1e-9)
    assert smooth_calibration_error(y, proba, kind="class") == pytest.approx(positive, abs=1e-9)


def test_it_lies_between_the_mean_residual_and_the_mean_absolute_one():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        p, y = rng.random(50), rng.integers(0, 2, 50)
        error = smooth_calibration_error(y, p, kind="positive")
        assert abs(p.mean() - y.mean()) <= error + 1e-12
        assert error <= np.abs(p - y).mean() + 1e-12


def test_a_small_change_of_the_probabilities_changes_it_little():
    # Every prediction lies on an edge of bins; a step to either side moves no error by more.
    y, p = np.arange(40) % 2, np.repeat([0.2, 0.4, 0.6, 0.8], 10)
    error = smooth_calibration_error(y, p, kind="positive")
    for step in (-1e-6, 1e-6):
        assert abs(smooth_calibration_error(y, p + step, kind="positive") - error) < 2e-6


def test_an_average_for_other_kinds_is_of_one_value():
    y, proba, _ = problem()
    assert smooth_calibration_error(y, proba, average="sum") == smooth_calibration_error(y, proba)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "top"}, "'kind' parameter of smooth_calibration_error must be"),
        ({"average": "median"}, "'average' parameter of smooth_calibration_error must be"),
        ({"kind": "positive"}, "kind='positive' is for two classes, there are 3"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(options, message):
    y, proba, _ = problem()
    with pytest.raises(ValueError, match=message):
        smooth_calibration_error(y, proba, **options)
