"""Defects seen in other packages, each shown once to be none of ours.

The packages and versions: scikit-learn 1.9.1, netcal 1.4.0, probmetrics 1.3.0, MAPIE 1.6.0,
venn-abers 1.5.4, torchcp, torch-uncertainty, gpleiss/temperature_scaling.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from oracles import best_temperature, mean_log_loss
from registry import CALIBRATORS
from scipy.special import expit, softmax
from sklearn.datasets import load_digits, load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcalib import (
    IsotonicCalibration,
    TemperatureScaling,
)
from skcalib.datasets import load_logits, make_miscalibrated_logits

NAMED = f"CALIBRATORS = {[calibrator.__name__ for calibrator in CALIBRATORS]}"
KNOWN = json.loads((Path(__file__).parent / "data" / "known_answers.json").read_text())


def noisy_iris():
    X, y = load_iris(return_X_y=True)
    return X + np.random.default_rng(0).normal(size=X.shape), y


# 1. scikit-learn does not encode integer labels: T = 22026, or a segmentation fault.


@pytest.mark.parametrize("labels", [[1, 2, 3], [100_000, 200_000, 300_000], [-1, 5, 7], [2, 1, 0]])
@pytest.mark.parametrize("estimator", [None, GaussianNB()])
def test_integer_labels_are_encoded(labels, estimator):
    X, y = noisy_iris()
    X = X if estimator else LinearDiscriminantAnalysis().fit(X, y).decision_function(X)
    columns = {} if estimator else {"classes": labels}
    named = TemperatureScaling(estimator, **columns).fit(X, np.array(labels)[y])
    coded = TemperatureScaling(estimator).fit(X, y)
    assert named.temperature_ == pytest.approx(coded.temperature_, rel=1e-9)
    assert named.log_loss_after_ == pytest.approx(coded.log_loss_after_, rel=1e-9)
    assert named.log_loss_after_ < np.log(3) - 0.3


# 2. scikit-learn looks up y[0] by index label: KeyError after train_test_split.


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("estimator", [None, GaussianNB()])
def test_a_pandas_target_is_read_by_position(seed, estimator):
    X, y = noisy_iris()
    X = X if estimator else LinearDiscriminantAnalysis().fit(X, y).decision_function(X)
    X, _, y, _ = train_test_split(X, pd.Series(y), random_state=seed, test_size=0.5)
    by_series = TemperatureScaling(estimator, cv=2).fit(X, y)
    by_array = TemperatureScaling(estimator, cv=2).fit(X, y.to_numpy())
    assert by_series.temperature_ == by_array.temperature_


# 3. scikit-learn guesses logits or probabilities from the whole batch.


def test_a_row_is_read_alike_alone_and_beside_rows_that_do_not_sum_to_one():
    logits, y = make_miscalibrated_logits(200, 4, temperature=2, random_state=0)
    model = TemperatureScaling(response_method="decision_function").fit(logits, y)
    row = np.array([[0.2, 0.1, 0.5, 0.2]])
    beside = np.array([[0.2, 0.1, 0.5, 0.2], [0.2, 0.1, 0.5, 0.19]])
    np.testing.assert_allclose(
        model.predict_proba(row)[0], model.predict_proba(beside)[0], rtol=1e-14
    )


def test_rounded_and_float16_probabilities_are_probabilities():
    logits, y = make_miscalibrated_logits(400, 4, temperature=2.5, random_state=0)
    proba = softmax(logits, axis=1)
    best = mean_log_loss(logits, y, best_temperature(logits, y))
    for X in (proba, proba.astype(np.float16), proba.round(4)):
        model = TemperatureScaling(response_method="predict_proba").fit(X, y)
        assert 1.5 < model.temperature_ < 3  # not .44, the answer to p read as logits
        assert model.log_loss_after_ == pytest.approx(best, rel=0.02)


# 4. scikit-learn: a class absent from the calibration rows is an IndexError, a class with fewer
#    rows than folds an error.


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_a_fitted_models_class_may_be_absent_from_the_calibration_rows(calibrator):
    X, y = noisy_iris()
    frozen = FrozenEstimator(LinearDiscriminantAnalysis().fit(X, y))
    for absent in range(3):
        rows = y != absent
        model = calibrator(frozen).fit(X[rows], y[rows])
        np.testing.assert_array_equal(model.classes_, [0, 1, 2])
        assert model.predict_proba(X).shape == (150, 3)


def test_of_a_thousand_classes_some_are_never_seen():
    logits, y = make_miscalibrated_logits(5000, 1000, random_state=0)
    assert len(np.unique(y)) < 1000
    model = TemperatureScaling().fit(logits, y)
    assert model.predict_proba(logits[:2]).shape == (2, 1000)
    assert model.temperature_ == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_a_class_may_have_fewer_rows_than_there_are_folds(calibrator):
    X, y = noisy_iris()
    rows = np.r_[0:100, 100:103]
    proba = calibrator(GaussianNB()).fit(X[rows], y[rows]).predict_proba(X)
    assert proba.shape == (150, 3)


# 5. scikit-learn sets a forest's exact zeros to 1e-12, which then decide T.


def test_exact_zeros_do_not_decide_the_temperature():
    X, y = load_digits(return_X_y=True)
    forest = RandomForestClassifier(10, random_state=0).fit(X[:600], y[:600])
    model = TemperatureScaling(FrozenEstimator(forest)).fit(X[600:1200], y[600:1200])
    proba = model.predict_proba(X[1200:])
    ours = -np.log(proba[np.arange(len(y) - 1200), y[1200:]]).mean()
    tiny_floor = np.log(np.maximum(forest.predict_proba(X), 1e-12))
    temperature = best_temperature(tiny_floor[600:1200], y[600:1200])
    theirs = mean_log_loss(tiny_floor[1200:], y[1200:], temperature)
    assert ours < 0.75 * theirs


# 6. scikit-learn: bounds hit in silence, large scales cut off, T twice too large for two
#    classes, no temperature to read with folds.


@pytest.mark.parametrize("factor", [3.0, -3.0])
def test_no_bound_is_reached_in_silence(factor):
    y = np.arange(30) % 3
    with pytest.warns(ConvergenceWarning, match="do not determine a temperature"):
        TemperatureScaling(alpha=0).fit(factor * np.eye(3)[y], y)


@pytest.mark.parametrize("alpha", [0, 1])
def test_logits_of_any_scale_find_their_temperature(alpha):
    logits, y = make_miscalibrated_logits(5000, 4, temperature=2.5, random_state=0)
    model = TemperatureScaling(alpha=alpha).fit(logits * 1e6, y)
    assert model.temperature_ == pytest.approx(2.5e6, rel=0.05)


def test_two_classes_have_the_usual_temperature():
    scores = load_logits("spambase_svm")
    model = TemperatureScaling(alpha=0).fit(scores.decision, scores.target)
    proba = model.predict_proba(scores.decision)[:, 1]
    np.testing.assert_allclose(proba, expit(scores.decision / model.temperature_), rtol=1e-5)


def test_folds_leave_one_temperature_to_read():
    X, y = noisy_iris()
    model = TemperatureScaling(GaussianNB(), response_method="predict_log_proba", smoothing=0)
    model.fit(X, y)
    scores = np.empty((150, 3))
    for train, test in StratifiedKFold(5).split(X, y):
        scores[test] = GaussianNB().fit(X[train], y[train]).predict_log_proba(X[test])
    assert model.temperature_ == pytest.approx(best_temperature(scores, y, alpha=1), rel=1e-8)


# 7. scikit-learn: float32 off by 2e-4, masked logits refused, empty data an IndexError.


@pytest.mark.parametrize("name", ["mnist_cnn_shift", "spambase_svm"])
def test_float32_temperatures_are_right_to_six_digits(name):
    scores = load_logits(name)
    logits, y = scores.logits[:500], scores.target[:500]
    assert logits.dtype == np.float32
    model = TemperatureScaling(alpha=0, classes=range(logits.shape[1])).fit(logits, y)
    assert model.temperature_ == pytest.approx(best_temperature(logits, y), rel=1e-6)


def test_masked_logits_are_classes_that_cannot_be():
    logits, y = make_miscalibrated_logits(200, 4, random_state=0)
    logits[np.arange(200), (y + 1) % 4] = -np.inf
    model = TemperatureScaling().fit(logits, y)
    assert model.temperature_ == pytest.approx(best_temperature(logits, y, alpha=1), rel=1e-9)
    proba = model.predict_proba(logits)
    np.testing.assert_array_equal(proba[np.arange(200), (y + 1) % 4], 0)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_empty_data_are_refused_in_words(calibrator):
    with pytest.raises(ValueError, match="no rows"):
        calibrator().fit(np.empty((0, 3)), [])
    with pytest.raises(ValueError, match="no rows"):
        calibrator(GaussianNB()).fit(np.empty((0, 3)), [])


# 8. netcal: float32 makes temperature scaling a silent no-op, T is reported as 1/T, and
#    anti-correlated data give a negative one; its isotonic returns NaN on small sets.


def test_float32_scores_are_calibrated():
    logits, y = make_miscalibrated_logits(2000, 5, temperature=3, random_state=0)
    model = TemperatureScaling().fit(logits.astype(np.float32), y)
    assert model.temperature_ == pytest.approx(3, rel=0.1)
    assert model.log_loss_after_ < 0.9 * model.log_loss_before_


def test_overconfidence_is_a_temperature_above_one():
    logits, y = make_miscalibrated_logits(2000, 5, temperature=3, random_state=0)
    assert TemperatureScaling().fit(logits, y).temperature_ > 2
    assert TemperatureScaling().fit(logits / 9, y).temperature_ < 0.5


@pytest.mark.parametrize("alpha", [0.01, 1])
def test_misleading_scores_give_a_large_temperature_never_a_negative_one(alpha):
    logits, y = make_miscalibrated_logits(500, 3, random_state=0)
    model = TemperatureScaling(alpha=alpha).fit(-logits, y)
    assert model.temperature_ > 20
    np.testing.assert_array_equal(model.predict(-logits), (-logits).argmax(axis=1))


@pytest.mark.parametrize("n_rows", [1, 2, 3, 5])
@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_small_sets_give_numbers(calibrator, n_rows):
    logits, y = make_miscalibrated_logits(n_rows, 3, random_state=0)
    proba = calibrator(classes=[0, 1, 2]).fit(logits, y).predict_proba(logits)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)


# 9. gpleiss, torchcp: 12 % and 37 % away from the optimum; torch-uncertainty: T = -0.019.


@pytest.mark.parametrize("seed", range(30))
def test_the_optimum_is_reached_from_anywhere(seed):
    rng = np.random.default_rng(seed)
    n, n_classes = int(rng.integers(20, 300)), int(rng.integers(2, 30))
    logits, y = make_miscalibrated_logits(
        n,
        n_classes,
        temperature=10 ** rng.uniform(-2, 2),
        sharpness=rng.uniform(0.5, 3),
        random_state=seed,
    )
    model = TemperatureScaling(classes=range(n_classes)).fit(logits, y)
    assert model.temperature_ == pytest.approx(best_temperature(logits, y, alpha=1), rel=1e-8)


# 11. probmetrics: one -inf logit gives T = 1e-7 and NaN, label -1 wraps to the last class, empty
#     input "fits", and there are no weights.


def test_one_masked_logit_is_one_class_less():
    logits, y = make_miscalibrated_logits(300, 4, temperature=2, random_state=0)
    without = TemperatureScaling().fit(logits, y).temperature_
    logits[5, (y[5] + 1) % 4] = -np.inf
    assert TemperatureScaling().fit(logits, y).temperature_ == pytest.approx(without, rel=0.01)


def test_a_label_of_minus_one_is_no_column():
    logits, y = make_miscalibrated_logits(300, 4, random_state=0)
    y[7] = -1
    with pytest.raises(ValueError, match="y has the label -1 in row 7"):
        TemperatureScaling(classes=[0, 1, 2, 3]).fit(logits, y)
    with pytest.raises(ValueError, match="X has 4 columns but y has 5 distinct labels"):
        TemperatureScaling().fit(logits, y)


# 12. MAPIE: NaN outside the top class. venn-abers: `predict` is one-hot, so that
#     `Pipeline.score` fails, and its import changes numpy's error state.


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_every_class_has_a_probability_and_predictions_are_labels(calibrator):
    X, y = noisy_iris()
    model = make_pipeline(StandardScaler(), calibrator(LinearDiscriminantAnalysis())).fit(X, y)
    proba = model.predict_proba(X)
    assert proba.shape == (150, 3)
    assert np.isfinite(proba).all()
    assert model.predict(X).shape == (150,)
    assert 0.5 < model.score(X, y) <= 1


def test_importing_and_fitting_change_no_global_state():
    code = """
import warnings
import numpy as np
before = np.geterr(), np.geterrcall(), np.get_printoptions(), list(warnings.filters)
state = np.random.get_state()[1].tolist()
import skcalib, skcalib.datasets
X, y = skcalib.datasets.make_miscalibrated_logits(60, 3, random_state=0)
for name in CALIBRATORS:
    calibrator = getattr(skcalib, name)
    calibrator().fit(X, y).predict_proba(X)
assert np.geterr() == before[0] and np.geterrcall() == before[1]
assert np.get_printoptions() == before[2]
assert np.random.get_state()[1].tolist() == state
added = [f for f in warnings.filters if f not in before[3]]
assert not [f for f in added if "skcalib" in str(f)], added
"""
    done = subprocess.run([sys.executable, "-c", NAMED + code], capture_output=True, text=True)
    assert done.stderr == ""


def test_calibrating_makes_no_noise_with_errors_raised_and_warnings_refused():
    code = """
import numpy as np
np.seterr(all="raise")
import skcalib, skcalib.datasets
logits, y = skcalib.datasets.make_miscalibrated_logits(60, 3, random_state=0)
onehot = np.eye(3)[y]
cases = {
    "usual": (logits, y),
    "separable": (2 * onehot, y),
    "misleading": (-2 * onehot, y),
    "constant": (np.zeros((60, 3)) + 5, y),
    "one class": (logits, np.ones(60, dtype=int)),
    "masked": (np.where(onehot > np.roll(onehot, 1, 1) - 1, logits, -np.inf), y),
    "far apart": (1e4 * logits, y),
}
for name in CALIBRATORS:
    calibrator = getattr(skcalib, name)
    for X, labels in cases.values():
        for dtype in (np.float32, np.float64):
            model = calibrator(classes=[0, 1, 2]).fit(X.astype(dtype), labels)
            model.predict_proba(X.astype(dtype))
            model.predict_log_proba(X.astype(dtype))
            model.decision_function(X.astype(dtype))
            model.predict(X.astype(dtype))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", NAMED + code], capture_output=True, text=True
    )
    assert done.stderr == ""


# 15. Isotonic one-vs-rest: exact zeros, infinite log loss waiting.


def test_isotonic_calibration_has_no_exact_zeros():
    logits, y = make_miscalibrated_logits(600, 3, temperature=2, random_state=0)
    proba = IsotonicCalibration().fit(logits[:300], y[:300]).predict_proba(logits[300:])
    # 1/301 of the uniform distribution over three classes.
    assert proba.min() >= 1 / 903 - 1e-15
    log_loss = -np.log(proba[np.arange(300), y[300:]])
    assert log_loss.max() <= np.log(903)


def test_temperature_scaling_changes_no_prediction():
    logits, y = make_miscalibrated_logits(600, 3, temperature=2, random_state=0)
    predicted = TemperatureScaling().fit(logits[:300], y[:300]).predict(logits[300:])
    np.testing.assert_array_equal(predicted, logits[300:].argmax(axis=1))


# Answers on which independent packages agree.


def known(case):
    (found,) = (c for c in KNOWN["cases"] if c["id"] == f"{case}/inv_temperature")
    return found["expected"], found["tol"]


def test_the_known_temperature_of_multiclass_probabilities():
    data = KNOWN["inputs"]["E"]
    model = TemperatureScaling(response_method="predict_proba", alpha=0, smoothing=0)
    model.fit(np.array(data["P"]), data["y"])
    expected, tol = known("E")
    assert 1 / model.temperature_ == pytest.approx(expected, abs=tol)


def test_the_known_temperature_of_binary_probabilities():
    data = KNOWN["inputs"]["D"]
    p = np.array(data["p"])
    expected, tol = known("D")
    on_proba = TemperatureScaling(response_method="predict_proba", alpha=0, smoothing=0)
    on_odds = TemperatureScaling(alpha=0)
    for model, X in ((on_proba, p), (on_odds, np.log(p / (1 - p)))):
        assert 1 / model.fit(X, data["y"]).temperature_ == pytest.approx(expected, abs=tol)


def test_the_known_temperature_of_two_margins():
    data = KNOWN["inputs"]["T2"]
    model = TemperatureScaling(alpha=0).fit(np.array(data["z"]), data["y"])
    expected, tol = known("T2")
    assert expected == pytest.approx(np.log(4) / 2)
    assert 1 / model.temperature_ == pytest.approx(expected, abs=tol)
    # As logits (-2, 2) instead of a decision of 2, half that.
    z = np.array(data["z"])
    model.fit(np.stack([-z, z], axis=1), data["y"])
    assert 1 / model.temperature_ == pytest.approx(np.log(4) / 4, abs=1e-9)
