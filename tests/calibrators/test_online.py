"""Learning from rows as they arrive."""

import pickle

import numpy as np
import pandas as pd
import pytest
from contexts import frame
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skcalib import AdaptiveTemperatureScaling, TemperatureScaling
from skcalib.datasets import load_logits

KINDS = pd.DataFrame({"kind": ["a", "b"]})


def draw(n_rows, seed, temperature=2.0, n_classes=5, scale=2.0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, scale, (n_rows, n_classes))
    y = (truth + rng.gumbel(size=truth.shape)).argmax(axis=1)
    return truth * np.broadcast_to(temperature, n_rows)[:, None], y


def batches(n_rows, size):
    return [slice(start, start + size) for start in range(0, n_rows, size)]


def log_losses(logits, y, temperature):
    scaled = logits / np.broadcast_to(temperature, len(y))[:, None]
    scaled -= scaled.max(axis=1, keepdims=True)
    return np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(y)), y]


def half_width(interval):
    return np.log(interval[..., 1] / interval[..., 0]) / 2


# Nothing forgotten


@pytest.mark.parametrize("size", [1, 7, 100])
@pytest.mark.parametrize(
    "name", ["mcq_smollm2_a", "wordnet_lexname_mlp", "spambase_svm", "letter_random_forest"]
)
def test_batches_agree_with_one_fit(name, size):
    data = load_logits(name)
    rows = np.random.default_rng(0).permutation(np.flatnonzero(data.calibration))[:600]
    logits, y = data.logits[rows], data.target[rows]
    classes = np.arange(data.logits.shape[1])
    whole = TemperatureScaling(classes=classes).fit(logits, y)
    online = TemperatureScaling(classes=classes)
    for batch in batches(len(y), size):
        online.partial_fit(logits[batch], y[batch])
    apart = abs(np.log(online.temperature_ / whole.temperature_))
    assert apart < half_width(whole.temperature_interval_) / 4
    np.testing.assert_allclose(
        half_width(online.temperature_interval_), half_width(whole.temperature_interval_), rtol=0.25
    )  # the smoothing of a forest's probabilities stays that of the first rows


@pytest.mark.parametrize("size", [25, 300])
@pytest.mark.parametrize(("name", "prior"), [("mcq_smollm2_a", 1.0), ("mcq_smollm2_a", "rules"),
                                             ("wordnet_lexname_mlp", 1.0)])  # fmt: skip
def test_batches_agree_with_one_fit_by_context(name, prior, size):
    data = load_logits(name)
    rows = np.random.default_rng(1).permutation(np.flatnonzero(data.calibration))[:1200]
    X = pd.DataFrame(data.logits[rows]).rename(columns=str)
    X["group"], y = data.groups[rows].astype(str), data.target[rows]
    levels = pd.DataFrame({"group": sorted(set(X["group"]))})
    if prior == "rules":
        prior = dict.fromkeys(levels["group"], 3.0) | {"antonym": 2.0}
    model = {"context": "group", "prior": prior, "classes": np.arange(data.logits.shape[1])}
    whole = AdaptiveTemperatureScaling(**model).fit(X, y)
    online = AdaptiveTemperatureScaling(**model)
    for batch in batches(len(y), size):
        online.partial_fit(X[batch], y[batch])
    apart = np.abs(np.log(online.predict_temperature(levels) / whole.predict_temperature(levels)))
    assert (apart < half_width(whole.predict_temperature_interval(levels)) / 4).all()


def test_rows_after_a_fit_are_added_to_it():
    logits, y = draw(2000, 0)
    whole = TemperatureScaling().fit(logits, y)
    model = TemperatureScaling().fit(logits[:500], y[:500])
    before = half_width(model.temperature_interval_)
    for batch in batches(1500, 50):
        model.partial_fit(logits[500:][batch], y[500:][batch])
    assert model.temperature_ == pytest.approx(whole.temperature_, rel=0.01)
    assert half_width(model.temperature_interval_) < 0.6 * before


def test_few_rows_that_begin_a_fit_are_fitted_as_one():
    """Up to 250 rows the rows themselves are kept, so that it is the same fit."""
    logits, y = draw(240, 1)
    whole = TemperatureScaling().fit(logits, y)
    online = TemperatureScaling()
    for batch in batches(240, 10):
        online.partial_fit(logits[batch], y[batch])
    assert online.temperature_ == pytest.approx(whole.temperature_, rel=1e-9)
    np.testing.assert_allclose(online.temperature_interval_, whole.temperature_interval_, rtol=1e-6)
    assert online.calibrator_.recent is not None
    assert online.partial_fit(*draw(20, 2)).calibrator_.recent is None


def test_probabilities_are_followed_too():
    logits, y = draw(1500, 3)
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    whole = TemperatureScaling(response_method="predict_proba").fit(proba, y)
    online = TemperatureScaling(response_method="predict_proba")
    for batch in batches(1500, 100):
        online.partial_fit(proba[batch], y[batch])
    assert online.temperature_ == pytest.approx(whole.temperature_, rel=0.05)


@pytest.mark.parametrize("calibrator", [TemperatureScaling, AdaptiveTemperatureScaling])
def test_weights_are_repetitions_online(calibrator):
    logits, y = draw(600, 4)
    X = frame(logits, kind=np.array(["a", "b"])[np.arange(600) % 2])
    context = {"context": "kind"} if calibrator is AdaptiveTemperatureScaling else {}
    X = X if context else logits
    weight = np.random.default_rng(4).integers(0, 3, 300)
    again = np.repeat(np.arange(300, 600), weight)
    take = (lambda rows: X.iloc[rows]) if context else (lambda rows: X[rows])
    first, late = np.arange(300), np.arange(300, 600)
    one, two = (calibrator(**context, forget=0.999).fit(take(first), y[first]) for _ in "ab")
    one.partial_fit(take(late), y[late], sample_weight=weight)
    two.partial_fit(take(again), y[again])
    # With forgetting, repetitions of a row age each other: by a part in a thousand here.
    assert one.temperature_ == pytest.approx(two.temperature_, rel=2e-3)
    one, two = (calibrator(**context).fit(take(first), y[first]) for _ in "ab")
    one.partial_fit(take(late), y[late], sample_weight=weight)
    two.partial_fit(take(again), y[again])
    assert one.temperature_ == pytest.approx(two.temperature_, rel=1e-9)


def test_rows_of_weight_zero_age_nobody():
    logits, y = draw(400, 5)
    one, two = (TemperatureScaling(forget=0.9).fit(logits[:300], y[:300]) for _ in "ab")
    weight = np.zeros(100)
    weight[:3] = 1
    one.partial_fit(logits[300:], y[300:], sample_weight=weight)
    two.partial_fit(logits[300:303], y[300:303])
    assert one.temperature_ == pytest.approx(two.temperature_, rel=1e-9)


def test_batches_of_one_row_and_of_many_forget_alike():
    """A row's age counts rows, however they came."""
    logits, y = draw(900, 6)
    one, many = (TemperatureScaling(forget=0.99).fit(logits[:300], y[:300]) for _ in "ab")
    for row in range(300, 900):
        one.partial_fit(logits[row : row + 1], y[row : row + 1])
    for batch in batches(600, 60):
        many.partial_fit(logits[300:][batch], y[300:][batch])
    assert one.temperature_ == pytest.approx(many.temperature_, rel=0.03)


# Drift


def test_a_drifting_temperature_is_followed():
    """T is 1, then 2, then .7, 2000 rows each of ten classes, logits N(0, 4^2) times T."""
    T = np.repeat([1.0, 2.0, 0.7], 2000)
    logits, y = draw(6000, 7, T, n_classes=10, scale=4.0)
    model = TemperatureScaling(forget=0.99).fit(logits[:300], y[:300])
    static, served = model.temperature_, np.empty(6000)
    for batch in batches(6000, 10):
        served[batch] = model.temperature_
        model.partial_fit(logits[batch], y[batch])
    loss = log_losses(logits, y, served).mean()
    assert loss < 1.03 * log_losses(logits, y, T).mean()
    assert loss < 0.92 * log_losses(logits, y, static).mean()


def test_only_the_context_that_drifts_is_moved():
    rng = np.random.default_rng(8)
    kind = rng.choice(["a", "b"], 6000)
    T = np.where((kind == "a") & (np.arange(6000) >= 3000), 4.0, 1.5)
    logits, y = draw(6000, 8, T)
    X = frame(logits, kind=kind)
    model = AdaptiveTemperatureScaling(context="kind", forget=0.998).fit(X[:1000], y[:1000])
    for batch in batches(5000, 100):
        model.partial_fit(X[1000:][batch], y[1000:][batch])
    np.testing.assert_allclose(model.predict_temperature(KINDS), [4.0, 1.5], rtol=0.2)


def test_a_new_level_gets_a_temperature_of_its_own():
    rng = np.random.default_rng(9)
    logits, y = draw(3000, 9, np.where(np.arange(3000) < 1000, 1.0, 4.0))
    kind = np.where(np.arange(3000) < 1000, rng.choice(["a", "b"], 3000), "new")
    X = frame(logits, kind=kind)
    model = AdaptiveTemperatureScaling(context="kind").fit(X[:1000], y[:1000])
    assert model.predict_temperature({"kind": "new"}) == pytest.approx(1.0, rel=0.2)
    for batch in batches(2000, 200):
        model.partial_fit(X[1000:][batch], y[1000:][batch])
    assert model.predict_temperature({"kind": "new"}) == pytest.approx(4.0, rel=0.15)
    assert model.predict_temperature({"kind": "a"}) == pytest.approx(1.0, rel=0.15)
    rows = model.summary().to_frame()["rows"]
    assert rows["kind = new"] == pytest.approx(2000)


def test_a_single_level_may_be_joined_by_others():
    logits, y = draw(2000, 10, np.where(np.arange(2000) < 1000, 1.0, 4.0))
    X = frame(logits, kind=np.where(np.arange(2000) < 1000, "a", "b"))
    model = AdaptiveTemperatureScaling(context="kind").fit(X[:1000], y[:1000])
    model.partial_fit(X[1000:], y[1000:])
    np.testing.assert_allclose(model.predict_temperature(KINDS), [1.0, 4.0], rtol=0.2)


def test_online_steps_move_no_context_by_more_than_max_change():
    logits, y = draw(3000, 11, np.where(np.arange(3000) < 500, 1.0, 5.0))
    X = frame(logits, kind=np.array(["a", "b"])[np.arange(3000) % 2])
    model = AdaptiveTemperatureScaling(context="kind", max_change=0.05, forget=0.995)
    before = model.fit(X[:500], y[:500]).predict_temperature(KINDS)
    for batch in batches(2500, 50):
        model.partial_fit(X[500:][batch], y[500:][batch])
        after = model.predict_temperature(KINDS)
        assert np.abs(np.log(after / before)).max() <= 0.05 + 1e-12
        before = after
    np.testing.assert_allclose(after, 5.0, rtol=0.25)


# As scikit-learn would have it


def test_an_estimator_is_fitted_by_the_first_call_and_not_again():
    rng = np.random.default_rng(12)
    X, y = rng.normal(size=(600, 3)), rng.integers(0, 2, 600)
    X[:, 0] += y
    model = TemperatureScaling(LogisticRegression()).partial_fit(X[:300], y[:300], classes=[0, 1])
    coefficients, before = model.estimator_.coef_.copy(), model.temperature_
    model.partial_fit(X[300:], 1 - y[300:])
    np.testing.assert_array_equal(model.estimator_.coef_, coefficients)
    assert model.temperature_ > before


def test_a_frozen_estimator_begins_without_a_fit():
    rng = np.random.default_rng(13)
    X, y = rng.normal(size=(300, 3)), rng.integers(0, 2, 300)
    X[:, 0] += y
    frozen = FrozenEstimator(LogisticRegression().fit(X, y))
    online = (
        TemperatureScaling(frozen).partial_fit(X[:100], y[:100]).partial_fit(X[100:200], y[100:200])
    )
    whole = TemperatureScaling(frozen).fit(X[:200], y[:200])
    assert online.temperature_ == pytest.approx(whole.temperature_, rel=1e-9)


def test_the_first_call_takes_classes_for_the_columns():
    logits, y = draw(40, 14, n_classes=3)
    names = np.array(["x", "y", "z"])
    seen = y < 2
    model = TemperatureScaling().partial_fit(logits[seen], names[y[seen]], classes=names)
    np.testing.assert_array_equal(model.classes_, names)
    model.partial_fit(logits, names[y])
    with pytest.raises(ValueError, match=r"classes has the label .*w.*among those of the first"):
        model.partial_fit(logits, names[y], classes=["x", "w"])
    with pytest.raises(ValueError, match="classes of partial_fit must be sorted"):
        TemperatureScaling().partial_fit(logits, names[y], classes=["z", "x", "y"])


def test_what_a_fit_began_with_does_not_change_within_it():
    logits, y = draw(400, 17)
    X = frame(logits, kind=np.array(["a", "b"])[np.arange(400) % 2])
    model = AdaptiveTemperatureScaling(context="kind").fit(X, y)
    for change in ({"prior": {"a": 2.0}}, {"score_features": True}):
        with pytest.raises(ValueError, match=f"{next(iter(change))} is not what it was"):
            model.set_params(**change).partial_fit(X, y)
        model.set_params(prior=1.0, score_features=False)
    model.set_params(bounds=(1.0, 3.0), forget=0.99).partial_fit(X, y)


def test_a_number_that_begins_to_vary_is_learned():
    logits, y = draw(4000, 18, 1.0)
    length = np.where(np.arange(4000) < 500, 50.0, np.random.default_rng(0).uniform(0, 100, 4000))
    X = frame(logits * np.exp(length / 50 - 1)[:, None], kind=np.repeat("a", 4000)).assign(n=length)
    model = AdaptiveTemperatureScaling(context="n", classes=range(5))
    X = X.drop(columns="kind")
    for batch in batches(4000, 500):
        model.partial_fit(X[batch], y[batch])
    assert model.predict_temperature({"n": 100}) == pytest.approx(np.e, rel=0.15)
    assert model.predict_temperature({"n": 0}) == pytest.approx(1 / np.e, rel=0.15)


def test_rows_that_look_like_probabilities_are_warned_of():
    logits, y = draw(50, 19)
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    with pytest.warns(UserWarning, match="every row of X looks like probabilities"):
        TemperatureScaling().partial_fit(proba, y)


def test_a_stream_may_come_through_the_same_memory():
    logits, y = draw(200, 20)
    X = np.column_stack([logits, np.linspace(0, 1, 200)])
    room = np.empty((20, 6))
    one, two = (AdaptiveTemperatureScaling(context=5, classes=range(5)) for _ in "ab")
    for batch in batches(200, 20):
        room[:] = X[batch]
        one.partial_fit(room, y[batch])
        two.partial_fit(X[batch].copy(), y[batch])
    rows = X[::20]
    np.testing.assert_array_equal(one.predict_temperature(rows), two.predict_temperature(rows))


def test_a_bad_batch_leaves_the_model_as_it_was():
    logits, y = draw(400, 15)
    model = TemperatureScaling().fit(logits, y)
    before = pickle.dumps(model)
    bad = logits[:5].copy()
    bad[3, 0] = np.nan
    for beginning in (model, TemperatureScaling().partial_fit(logits[:100], y[:100])):
        with pytest.raises(ValueError, match="row 3 holds NaN"):
            beginning.partial_fit(bad, y[:5])
    with pytest.raises(ValueError, match="not among the classes"):
        model.partial_fit(logits[:5], y[:5] + 5)
    assert pickle.dumps(model) == before


def test_an_ensemble_has_no_partial_fit():
    model = TemperatureScaling(LogisticRegression(), ensemble=True)
    assert not hasattr(model, "partial_fit")
    assert hasattr(TemperatureScaling(), "partial_fit")


@pytest.mark.parametrize("scale", [1e-15, 1e-3, 1e3, 1e15])
def test_scores_of_any_scale_are_followed(scale):
    logits, y = draw(1200, 16)
    both = TemperatureScaling(alpha=0).fit(logits, y)
    model = TemperatureScaling(alpha=0).fit(logits[:600] * scale, y[:600])
    model.partial_fit(logits[600:] * scale, y[600:])
    assert model.temperature_ == pytest.approx(scale * both.temperature_, rel=0.02)


def test_rows_without_a_mistake_keep_the_temperature_finite():
    online = TemperatureScaling(forget=0.9)
    for _ in range(100):
        online.partial_fit(np.eye(3) * 5.0, np.arange(3))
    assert 0 < online.temperature_ < 1
    assert np.isfinite(online.temperature_interval_).all()
