"""Zeros of declared probabilities: the fitted smoothing is near the best floor in hindsight."""

import numpy as np
import pytest
from oracles import (
    best_smoothing,
    best_temperature,
    log_of,
    mean_log_loss,
    smoothing_objective,
)
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split

from skcalib import TemperatureScaling
from skcalib.datasets import load_logits, make_miscalibrated_logits

FLOORS = 10.0 ** np.arange(-12, -0.5, 0.5)


def forest_proba(n_trees, random_state, n_calibration=200):
    """Probabilities and labels of a forest on digits: calibration rows, then test rows."""
    X, y = load_digits(return_X_y=True)
    X_train, X_rest, y_train, y_rest = train_test_split(
        X, y, train_size=600, random_state=random_state, stratify=y
    )
    forest = RandomForestClassifier(n_trees, random_state=random_state).fit(X_train, y_train)
    proba = forest.predict_proba(X_rest)
    n = n_calibration
    return (proba[:n], y_rest[:n]), (proba[n:], y_rest[n:])


def fit(proba, y, **parameters):
    model = TemperatureScaling(
        response_method="predict_proba", classes=range(proba.shape[1]), **parameters
    )
    return model.fit(proba, y)


def regret(n_trees, random_state, n_calibration):
    """Test log loss, and that of the best floor: T refitted for each, chosen on the test rows."""
    (proba, y), (test, y_test) = forest_proba(n_trees, random_state, n_calibration)
    model = fit(proba, y)
    ours = -model.predict_log_proba(test)[np.arange(len(y_test)), y_test].mean()
    floors = [
        mean_log_loss(
            log_of(test, floor), y_test, best_temperature(log_of(proba, floor), y, alpha=1)
        )
        for floor in FLOORS
    ]
    return ours, min(floors), floors[0]


@pytest.mark.slow
@pytest.mark.parametrize("n_calibration", [60, 200])
@pytest.mark.parametrize("n_trees", [10, 50, 200])
def test_forests_come_within_three_percent_of_the_best_floor_in_hindsight(n_trees, n_calibration):
    ours, best, _ = np.mean([regret(n_trees, seed, n_calibration) for seed in range(20)], axis=0)
    assert ours <= 1.03 * best


def test_one_forest_comes_near_the_best_floor_and_far_below_the_tiniest():
    ours, best, tiniest = regret(10, 0, 200)
    assert ours <= 1.05 * best
    assert ours <= 0.85 * tiniest


CASES = {
    "ten trees": lambda: forest_proba(10, 0)[0],
    "forty rows": lambda: tuple(part[:40] for part in forest_proba(10, 1)[0]),
    "two hundred trees": lambda: forest_proba(200, 0)[0],
    "no zeros": lambda: softmax_of("mcq_smollm2_a"),
    "two classes": lambda: softmax_of("spambase_svm"),
}


def softmax_of(name):
    scores = load_logits(name)
    z = scores.logits[:300].astype(np.float64)
    proba = np.exp(z - z.max(axis=1, keepdims=True))
    return proba / proba.sum(axis=1, keepdims=True), scores.target[:300]


@pytest.mark.parametrize(("weighted", "alpha"), [(False, 1), (True, 4.0)])
@pytest.mark.parametrize("case", CASES)
def test_temperature_and_smoothing_are_those_of_nelder_mead(case, weighted, alpha):
    proba, y = CASES[case]()
    weight = np.random.default_rng(0).gamma(1, size=len(y)) if weighted else None
    model = TemperatureScaling(
        response_method="predict_proba", alpha=alpha, classes=range(proba.shape[1])
    ).fit(proba, y, sample_weight=weight)
    temperature, smoothing = best_smoothing(proba, y, weight, alpha)
    assert model.temperature_ == pytest.approx(temperature, rel=1e-5)
    assert model.smoothing_ == pytest.approx(smoothing, rel=1e-4)
    objective = smoothing_objective(proba, y, weight, alpha)
    found, expected = (
        objective([-np.log(t), np.log(eps / (1 - eps))])
        for t, eps in ((model.temperature_, model.smoothing_), (temperature, smoothing))
    )
    assert found <= expected + 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_no_point_of_a_grid_is_better_than_the_joint_fit(seed):
    rng = np.random.default_rng(seed)
    n, n_classes = int(rng.integers(5, 80)), int(rng.integers(2, 6))
    proba = rng.dirichlet(np.full(n_classes, 10 ** rng.uniform(-1.5, 1)), size=n)
    proba[rng.random(proba.shape) < 0.3] = 0
    proba[proba.sum(axis=1) == 0] = 1
    proba /= proba.sum(axis=1, keepdims=True)
    y = rng.integers(0, n_classes, n)
    model = fit(proba, y)
    objective = smoothing_objective(proba, y, None, 1)
    u, s = -np.log(model.temperature_), np.log(model.smoothing_ / (1 - model.smoothing_))
    grid = [objective([a, b]) for a in np.linspace(-4, 4, 17) for b in np.linspace(-18, 6, 17)]
    assert objective([u, s]) <= min(grid) + 1e-9


@pytest.mark.parametrize("seed", range(40))
def test_a_weight_is_that_many_repetitions_of_its_row(seed):
    """Few rows: the fit is flat, and a tenth of the weight often falls exactly on a row."""
    rng = np.random.default_rng(seed)
    n, n_classes = int(rng.integers(3, 60)), 3
    proba = rng.dirichlet(np.full(n_classes, 0.3), size=n)
    proba[rng.random(proba.shape) < 0.2] = 0
    proba[proba.sum(axis=1) == 0] = 1
    proba /= proba.sum(axis=1, keepdims=True)
    y, times = rng.integers(0, n_classes, n), rng.integers(0, 4, n)
    times[0] += 10 - times.sum() % 10  # so that the tenth is a whole number of rows
    copies = np.repeat(np.arange(n), times)
    models = [
        TemperatureScaling(response_method="predict_proba", classes=range(3)).fit(
            proba[rows], y[rows], sample_weight=weight
        )
        for rows, weight in (
            (slice(None), times),
            (copies, None),
            (copies, np.ones(len(copies))),
            (copies[::-1], np.full(len(copies), 1.0)),
        )
    ]
    for attribute in ("temperature_", "smoothing_", "log_loss_after_"):
        values = [getattr(model, attribute) for model in models]
        np.testing.assert_allclose(values, values[0], rtol=1e-10)
    for model in models[1:]:
        np.testing.assert_allclose(
            model.predict_proba(proba), models[0].predict_proba(proba), rtol=0, atol=1e-10
        )


@pytest.mark.parametrize("smoothing", [0, 0.01, 0.3])
def test_a_given_smoothing_fits_the_temperature_alone(smoothing):
    (proba, y), _ = forest_proba(50, 0)
    model = fit(proba, y, smoothing=smoothing)
    assert model.smoothing_ == pytest.approx(smoothing, rel=1e-12)
    floor = np.finfo(np.float64).tiny if smoothing == 0 else 0
    logits = log_of(proba + smoothing / (1 - smoothing) / 10, floor)
    expected = best_temperature(logits, y, alpha=1)
    assert model.temperature_ == pytest.approx(expected, rel=1e-9)
    # Before is at T = 1 without smoothing.
    before = mean_log_loss(log_of(proba, np.finfo(np.float64).tiny), y)
    assert model.log_loss_before_ == pytest.approx(before, rel=1e-9)


def test_a_zero_met_only_when_served_is_still_positive():
    proba, y = softmax_of("mcq_smollm2_a")
    served = fit(proba, y).predict_proba(np.array([[1.0, 0, 0, 0]]))
    assert (served > 1e-6).all()


@pytest.mark.parametrize("n_rows", [5, 15, 40, 300])
def test_one_zero_makes_no_jump(n_rows):
    proba, y = (part[:n_rows] for part in softmax_of("mcq_smollm2_a"))
    nearly, exactly = proba.copy(), proba.copy()
    nearly[0] = [0.5, 0.3, 0.2, 1e-12]
    exactly[0] = [0.5, 0.3, 0.2, 0]
    one, other = fit(nearly, y), fit(exactly, y)
    assert one.temperature_ == pytest.approx(other.temperature_, rel=1e-6)


def test_float32_probabilities_give_the_smoothing_of_float64():
    (proba, y), _ = forest_proba(50, 0)
    single, double = fit(proba.astype(np.float32), y), fit(proba, y)
    assert single.temperature_ == pytest.approx(double.temperature_, rel=1e-5)
    assert single.smoothing_ == pytest.approx(double.smoothing_, rel=1e-5)
    assert single.predict_proba(proba.astype(np.float32)).dtype == np.float32


def test_logits_are_never_smoothed():
    logits, y = make_miscalibrated_logits(100, 3, random_state=0)
    for smoothing in ("auto", 0.3):
        model = TemperatureScaling(smoothing=smoothing).fit(logits, y)
        assert model.smoothing_ == 0
        assert model.predict_proba(np.array([[0.0, 0, -1e5]]))[0, 2] == 0


def test_a_frozen_forest_is_smoothed_like_its_probabilities():
    X, y = load_digits(return_X_y=True)
    forest = RandomForestClassifier(10, random_state=0).fit(X[:500], y[:500])
    around = TemperatureScaling(FrozenEstimator(forest)).fit(X[500:900], y[500:900])
    alone = fit(forest.predict_proba(X[500:900]), y[500:900])
    assert around.temperature_ == alone.temperature_
    assert around.smoothing_ == alone.smoothing_
