"""Temperature by context: what is fitted, served and said of it."""

import json

import numpy as np
import pandas as pd
import pytest
from contexts import TRUE, draw, frame
from oracles import best_temperature
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler

from skcalib import AdaptiveTemperatureScaling, CalibratedClassifier, TemperatureScaling
from skcalib.datasets import load_logits


def log_loss(model, X, y):
    proba = model.predict_proba(X)
    return -np.log(proba[np.arange(len(y)), np.searchsorted(model.classes_, y)]).mean()


def kinds(*names):
    return pd.DataFrame({"kind": list(names)})


@pytest.fixture(scope="module")
def fitted():
    logits, y, kind = draw(3000, 0)
    return AdaptiveTemperatureScaling(context="kind").fit(frame(logits, kind=kind), y)


# What it learns


def test_temperatures_are_those_that_the_labels_were_drawn_at(fitted):
    found = fitted.predict_temperature(kinds(*TRUE))
    interval = fitted.predict_temperature_interval(kinds(*TRUE))
    np.testing.assert_allclose(found, list(TRUE.values()), rtol=0.12)
    assert (interval[:, 0] < list(TRUE.values())).all()
    assert (interval[:, 1] > list(TRUE.values())).all()
    assert (interval[:, 1] / interval[:, 0] < 1.5).all()


def test_many_rows_get_the_temperature_of_their_context_alone():
    logits, y, kind = draw(20_000, 1)
    model = AdaptiveTemperatureScaling(context="kind").fit(frame(logits, kind=kind), y)
    for name in TRUE:
        alone = best_temperature(logits[kind == name], y[kind == name])
        assert model.predict_temperature({"kind": name}) == pytest.approx(alone, rel=0.01)


@pytest.mark.parametrize(
    ("name", "most"), [("mcq_smollm2_a", 0.976), ("wordnet_lexname_mlp", 1.581)]
)
def test_real_scores_by_context_meet_their_figures(name, most):
    data = load_logits(name)
    X = frame(data.logits, group=data.groups.astype(str))
    model = AdaptiveTemperatureScaling(context="group", classes=np.arange(data.logits.shape[1]))
    model.fit(X[data.calibration], data.target[data.calibration])
    assert log_loss(model, X[~data.calibration], data.target[~data.calibration]) <= most


def test_a_context_that_carries_nothing_costs_next_to_nothing():
    costs = []
    for seed in range(5):
        logits, y, _ = draw(1500, seed, {"all": 2.0})
        noise = np.random.default_rng(seed).choice(list("abcdefgh"), len(y))
        X, cal = frame(logits, noise=noise), np.arange(len(y)) < 500
        model = AdaptiveTemperatureScaling(context="noise").fit(X[cal], y[cal])
        one = TemperatureScaling().fit(logits[cal], y[cal])
        costs.append(log_loss(model, X[~cal], y[~cal]) / log_loss(one, logits[~cal], y[~cal]))
    assert np.mean(costs) <= 1.005


def test_one_level_is_one_temperature():
    logits, y, _ = draw(400, 2)
    one = TemperatureScaling().fit(logits, y)
    model = AdaptiveTemperatureScaling(context="kind").fit(frame(logits, kind="same"), y)
    none = AdaptiveTemperatureScaling().fit(logits, y)
    # Overdispersion lets the prior count for more than one row, so not to the last digit.
    assert model.temperature_ == pytest.approx(one.temperature_, rel=0.02)
    assert none.temperature_ == pytest.approx(model.temperature_, rel=1e-6)


def test_a_number_bends_the_temperature():
    logits, y, _ = draw(6000, 3, {"all": 1.0})
    length = np.random.default_rng(3).uniform(0, 2, len(y))
    X = frame(logits * np.exp(length - 1)[:, None], length=length)
    model = AdaptiveTemperatureScaling(context="length").fit(X, y)
    rows = pd.DataFrame({"length": [0.5, 1.0, 1.5]})
    np.testing.assert_allclose(model.predict_temperature(rows), np.exp([-0.5, 0.0, 0.5]), rtol=0.08)


def test_beyond_the_calibration_range_a_number_counts_as_its_end():
    logits, y, _ = draw(2000, 4, {"all": 1.0})
    length = np.linspace(0, 2, len(y))
    X = frame(logits * np.exp(length)[:, None], length=length)
    model = AdaptiveTemperatureScaling(context="length").fit(X, y)
    ends = [model.predict_temperature({"length": value}) for value in (-1e300, 0.0, 2.0, np.inf)]
    assert ends[0] == ends[1]
    assert ends[2] == ends[3]
    assert ends[2] > 4 * ends[1]


def test_score_features_tell_rows_apart_that_context_does_not():
    """Sharp rows exaggerate (T = 3), dull ones are too modest (T = 1/2)."""
    rng = np.random.default_rng(5)
    sharp = rng.random(8000) < 0.5
    truth = rng.normal(0, 1, (8000, 5)) * np.where(sharp, 3.0, 1.0)[:, None]
    y = (truth + rng.gumbel(size=truth.shape)).argmax(axis=1)
    logits = truth * np.where(sharp, 3.0, 0.5)[:, None]
    cal = np.arange(len(y)) < 4000
    plain = AdaptiveTemperatureScaling().fit(logits[cal], y[cal])
    seen = AdaptiveTemperatureScaling(score_features=True).fit(logits[cal], y[cal])
    assert log_loss(seen, logits[~cal], y[~cal]) < 0.97 * log_loss(plain, logits[~cal], y[~cal])
    low, high = seen.predict_temperature_interval(logits[:5]).T
    assert (low < seen.predict_temperature(logits[:5])).all()
    assert (high > seen.predict_temperature(logits[:5])).all()
    moved = seen.predict_temperature(logits[:5] + np.arange(5.0)[:, None])
    np.testing.assert_allclose(moved, seen.predict_temperature(logits[:5]), rtol=1e-10)


def test_named_clusters_keep_a_recording_from_passing_for_a_context():
    """Contexts of two recordings each: what differs is the recording, and test ones are new."""
    without, named, one = [], [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        T = np.exp(0.5 + 0.5 * rng.standard_normal(100))
        recording = np.concatenate([np.repeat(np.arange(8), 60), np.repeat(np.arange(8, 100), 20)])
        truth = rng.normal(0, 2.5, (len(recording), 5))
        y = (truth + rng.gumbel(size=truth.shape)).argmax(axis=1)
        X = frame(truth * T[recording][:, None], kind=np.array(list("abcd"))[recording % 4])
        cal = recording < 8
        model = AdaptiveTemperatureScaling(context="kind")
        without.append(log_loss(model.fit(X[cal], y[cal]), X[~cal], y[~cal]))
        model.fit(X[cal], y[cal], groups=recording[cal])
        named.append(log_loss(model, X[~cal], y[~cal]))
        logits = X.drop(columns="kind")
        single = TemperatureScaling().fit(logits[cal], y[cal])
        one.append(log_loss(single, logits[~cal], y[~cal]))
    assert np.mean(named) <= 1.01 * np.mean(one)
    assert np.mean(named) < np.mean(without)


def test_weights_are_repetitions():
    logits, y, kind = draw(200, 6)
    weight = np.random.default_rng(6).integers(0, 4, len(y))
    X, again = frame(logits, kind=kind), np.repeat(np.arange(len(y)), weight)
    weighted = AdaptiveTemperatureScaling(context="kind").fit(X, y, sample_weight=weight)
    repeated = AdaptiveTemperatureScaling(context="kind").fit(X.iloc[again], y[again])
    rows = kinds(*TRUE, "unheard of")
    np.testing.assert_allclose(
        weighted.predict_temperature(rows), repeated.predict_temperature(rows), rtol=1e-8
    )
    np.testing.assert_allclose(
        weighted.predict_temperature_interval(rows),
        repeated.predict_temperature_interval(rows),
        rtol=1e-8,
    )


# How context is read


def test_predicted_classes_stay(fitted):
    logits, _, kind = draw(300, 7)
    X = frame(logits, kind=kind)
    np.testing.assert_array_equal(fitted.predict(X), logits.argmax(axis=1))
    np.testing.assert_array_equal(fitted.predict_proba(X).argmax(axis=1), logits.argmax(axis=1))


def test_a_row_is_served_softmax_of_its_scores_over_its_temperature(fitted):
    logits, _, kind = draw(50, 8)
    X = frame(logits, kind=kind)
    scaled = logits / fitted.predict_temperature(X)[:, None]
    expected = np.exp(scaled) / np.exp(scaled).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=1e-12)
    np.testing.assert_allclose(fitted.predict_log_proba(X), np.log(expected), rtol=1e-10)


@pytest.mark.parametrize("missing", ["unheard of", None, np.nan, pd.NA])
def test_an_unknown_or_missing_category_gets_the_average_rows_temperature(fitted, missing):
    average = pytest.approx(fitted.temperature_, rel=1e-14)
    assert fitted.predict_temperature({"kind": missing}) == average
    assert fitted.predict_temperature(kinds(missing))[0] == average


def test_missing_categories_and_numbers_are_no_obstacle_to_a_fit():
    logits, y, kind = draw(600, 9)
    length = np.random.default_rng(9).uniform(size=len(y))
    kind, length = kind.astype(object), length.copy()
    kind[::5], length[::7] = None, np.nan
    X = frame(logits, kind=kind, length=length)
    model = AdaptiveTemperatureScaling(context=["kind", "length"]).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()
    unknown = model.predict_temperature({"kind": None, "length": None})
    assert unknown == pytest.approx(model.temperature_, rel=1e-14)


def test_arrays_name_context_by_position_and_codes_as_categories():
    logits, y, kind = draw(2000, 10)
    code = np.unique(kind, return_inverse=True)[1].astype(float)
    X = np.column_stack([code, logits])
    model = AdaptiveTemperatureScaling(context=0, categorical_features=[0]).fit(X, y)
    named = AdaptiveTemperatureScaling(context="kind").fit(frame(logits, kind=kind), y)
    np.testing.assert_allclose(
        model.predict_temperature({0: 0.0}), named.predict_temperature({"kind": "cool"}), rtol=1e-9
    )
    as_number = AdaptiveTemperatureScaling(context=0).fit(X, y)
    assert set(as_number.to_table()["numbers"][0]) == {"column", "knots", "values"}


def test_a_context_column_between_the_scores_is_no_score():
    logits, y, kind = draw(300, 11)
    X = frame(logits, kind=kind)
    moved = X[["z0", "kind", "z1", "z2", "z3", "z4"]]
    ours = AdaptiveTemperatureScaling(context="kind").fit(moved, y)
    theirs = AdaptiveTemperatureScaling(context="kind").fit(X, y)
    np.testing.assert_array_equal(ours.predict_proba(moved), theirs.predict_proba(X))
    assert ours.n_features_in_ == 6


@pytest.mark.parametrize(
    ("values", "category"),
    [
        (np.array(["a", "b"] * 50), True),
        (np.array([True, False] * 50), True),
        (pd.Categorical([1, 2] * 50), True),
        (pd.array([1, 2] * 50, dtype="Int64"), False),
        (pd.array(["a", "b"] * 50, dtype="string"), True),
        (np.array([1, "b"] * 50, dtype=object), True),
        (np.array([1, 2.5] * 50, dtype=object), False),
        (np.arange(100), False),
    ],
)
def test_columns_are_read_by_type(values, category):
    logits, y, _ = draw(100, 12)
    table = AdaptiveTemperatureScaling(context="c").fit(frame(logits, c=values), y).to_table()
    assert bool(table["categories"]) == category
    assert bool(table["numbers"]) != category


def test_a_transformer_makes_the_context():
    logits, y, kind = draw(2000, 13)
    length = np.random.default_rng(13).uniform(0, 2, len(y))
    X = frame(logits * np.exp(np.abs(length - 1))[:, None], kind=kind, length=length)
    spline = make_column_transformer((SplineTransformer(3), ["length"]), ("passthrough", ["kind"]))
    bent = AdaptiveTemperatureScaling(context=spline).fit(X, y)
    straight = AdaptiveTemperatureScaling(context=["length", "kind"]).fit(X, y)
    assert bent.log_loss_after_ < straight.log_loss_after_
    at = bent.predict_temperature(X.iloc[:3].assign(length=[0.0, 1.0, 2.0], kind="plain"))
    assert at[0] > 1.3 * at[1]
    assert at[2] > 1.3 * at[1]


def test_a_transformer_that_hides_its_columns_is_refused_beside_scores():
    logits, y, _ = draw(50, 14)
    with pytest.raises(TypeError, match=r"context must say which columns of X it reads.*Standard"):
        AdaptiveTemperatureScaling(context=StandardScaler()).fit(logits, y)


# Around an estimator


def make_problem(n_rows, seed):
    """Two kinds of rows; features say little of the labels in one of them."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(["clear", "vague"], n_rows)
    y = rng.integers(0, 3, n_rows)
    signal = np.where(kind == "clear", 2.5, 0.3)
    features = rng.normal(size=(n_rows, 3)) + signal[:, None] * np.eye(3)[y]
    return pd.DataFrame(features, columns=list("abc")).assign(kind=kind), y


def classifier():
    return make_pipeline(
        ColumnTransformer([("x", "passthrough", list("abc"))]), LogisticRegression()
    )


def test_it_wraps_a_pipeline_and_knows_the_contexts():
    X, y = make_problem(2000, 0)
    model = AdaptiveTemperatureScaling(classifier(), context="kind").fit(X[:1000], y[:1000])
    clear, vague = model.predict_temperature(pd.DataFrame({"kind": ["clear", "vague"]}))
    assert vague > 1.5 * clear
    one = TemperatureScaling(classifier()).fit(X[:1000], y[:1000])
    assert log_loss(model, X[1000:], y[1000:]) < log_loss(one, X[1000:], y[1000:])


@pytest.mark.parametrize("ensemble", [False, True])
def test_context_stays_with_its_rows_through_folds(ensemble):
    """Shuffled rows, same calibrator: positions of held-out rows pick their own contexts."""
    X, y = make_problem(600, 1)
    frozen = FrozenEstimator(classifier().fit(X, y))
    direct = AdaptiveTemperatureScaling(frozen, context="kind").fit(X, y)
    folds = [(np.arange(600), np.arange(600)[::-1])]
    folded = AdaptiveTemperatureScaling(
        classifier(), context="kind", cv=folds, ensemble=ensemble
    ).fit(X, y)
    np.testing.assert_allclose(folded.predict_proba(X), direct.predict_proba(X), rtol=1e-8)


def test_an_estimator_need_not_see_the_context():
    X, y = make_problem(600, 2)
    bare = LogisticRegression().fit(X[list("abc")], y)
    model = AdaptiveTemperatureScaling(FrozenEstimator(bare), context="kind", pass_context=False)
    model.fit(X, y)
    assert model.n_features_in_ == 4
    assert list(model.feature_names_in_) == [*"abc", "kind"]
    np.testing.assert_array_equal(model.predict(X), bare.predict(X[list("abc")]))
    crossed = clone(model).set_params(estimator=LogisticRegression()).fit(X, y)
    assert crossed.predict_proba(X).shape == (600, 3)


def test_it_is_an_estimator_in_searches_and_scores():
    X, y = make_problem(400, 3)
    search = GridSearchCV(
        AdaptiveTemperatureScaling(classifier(), context="kind", cv=3),
        {"score_features": [False, True], "estimator__logisticregression__C": [0.1, 1.0]},
        scoring="neg_log_loss",
        cv=3,
    ).fit(X, y)
    assert search.best_score_ > -1.0
    method = CalibratedClassifier(
        classifier(), method=AdaptiveTemperatureScaling(context="kind"), cv=3
    )
    same = AdaptiveTemperatureScaling(classifier(), context="kind", cv=3)
    scores = [cross_val_score(m, X, y, scoring="neg_log_loss", cv=3) for m in (method, same)]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-12)


def test_encoders_of_the_context_may_stand_in_a_column_transformer():
    X, y = make_problem(600, 4)
    encoded = make_column_transformer((OneHotEncoder(), ["kind"]))
    model = AdaptiveTemperatureScaling(classifier(), context=encoded).fit(X, y)
    rows = X.iloc[:2].assign(kind=["clear", "vague"])
    clear, vague = model.predict_temperature(rows)
    assert vague > 1.3 * clear


# Rules


def test_rules_serve_before_there_are_data():
    rules = AdaptiveTemperatureScaling(context="kind", prior={"medical": 0.5, "story": 2.0})
    assert rules.predict_temperature({"kind": "medical"}) == pytest.approx(0.5)
    assert rules.predict_temperature({"kind": "news"}) == pytest.approx(1.0)  # sqrt(.5 * 2)
    np.testing.assert_allclose(rules.predict_temperature(kinds("story", None)), [2.0, 1.0])
    with pytest.raises(NotFittedError):
        rules.predict_proba(kinds("story"))
    with pytest.raises(NotFittedError):
        AdaptiveTemperatureScaling(context="kind").predict_temperature({"kind": "story"})


def test_good_rules_make_up_for_few_rows():
    logits, y, kind = draw(4000, 15)
    X, cal = frame(logits, kind=kind), np.arange(4000) < 40
    ruled = AdaptiveTemperatureScaling(context="kind", prior=TRUE).fit(X[cal], y[cal])
    alone = AdaptiveTemperatureScaling(context="kind").fit(X[cal], y[cal])
    assert ruled.rule_trust_ > 0.5
    assert log_loss(ruled, X[~cal], y[~cal]) < log_loss(alone, X[~cal], y[~cal])


def test_rules_that_are_off_by_a_factor_keep_their_shape():
    logits, y, kind = draw(6000, 16)
    X, cal = frame(logits, kind=kind), np.arange(6000) < 150
    scaled = {level: 3 * T for level, T in TRUE.items()}
    ruled = AdaptiveTemperatureScaling(context="kind", prior=scaled).fit(X[cal], y[cal])
    alone = AdaptiveTemperatureScaling(context="kind").fit(X[cal], y[cal])
    assert log_loss(ruled, X[~cal], y[~cal]) < log_loss(alone, X[~cal], y[~cal])


def test_wrong_rules_are_dropped():
    logits, y, kind = draw(6000, 17)
    X, cal = frame(logits, kind=kind), np.arange(6000) < 600
    wrong = {"cool": 4.0, "plain": 1.5, "hot": 0.6}
    ruled = AdaptiveTemperatureScaling(context="kind", prior=wrong).fit(X[cal], y[cal])
    alone = AdaptiveTemperatureScaling(context="kind").fit(X[cal], y[cal])
    assert ruled.rule_trust_ < 0.2
    assert log_loss(ruled, X[~cal], y[~cal]) < 1.01 * log_loss(alone, X[~cal], y[~cal])


def test_a_level_with_a_rule_and_no_rows_follows_its_rule():
    logits, y, kind = draw(3000, 18)
    rules = TRUE | {"icy": 0.3}
    model = AdaptiveTemperatureScaling(context="kind", prior=rules)
    model.fit(frame(logits, kind=kind), y)
    assert model.predict_temperature({"kind": "icy"}) == pytest.approx(0.3, rel=0.15)


def test_rules_may_be_nested_a_series_a_number_or_a_function():
    logits, y, kind = draw(500, 19)
    X = frame(logits, kind=kind, site=np.array(["x", "y"])[np.arange(500) % 2])
    flat = AdaptiveTemperatureScaling(context="kind", prior=TRUE).fit(X.drop(columns="site"), y)
    series = clone(flat).set_params(prior=pd.Series(TRUE)).fit(X.drop(columns="site"), y)
    assert series.predict_temperature({"kind": "hot"}) == flat.predict_temperature({"kind": "hot"})

    def rule(row):
        return TRUE[row["kind"]]

    function = clone(flat).set_params(prior=rule).fit(X.drop(columns="site"), y)
    assert function.predict_temperature({"kind": "hot"}) == pytest.approx(
        flat.predict_temperature({"kind": "hot"}), rel=1e-6
    )
    nested = AdaptiveTemperatureScaling(
        context=["kind", "site"], prior={"kind": TRUE, "site": {"x": 1.0, "y": 1.0}}
    ).fit(X, y)
    assert nested.predict_temperature({"kind": "hot", "site": "x"}) == pytest.approx(4, rel=0.3)
    warm = AdaptiveTemperatureScaling(prior=2.0).fit(logits[:20], y[:20])
    plain = AdaptiveTemperatureScaling().fit(logits[:20], y[:20])
    assert warm.temperature_ != plain.temperature_


@pytest.mark.parametrize(
    ("prior", "error", "message"),
    [
        ({"cool": 0.0}, ValueError, "prior for the category 'cool' must be a positive finite"),
        ({"cool": -1.0}, ValueError, "must be a positive finite temperature, got -1.0"),
        ({"cool": np.nan}, ValueError, "must be a positive finite temperature, got nan"),
        ({"cool": np.inf}, ValueError, "must be a positive finite temperature, got inf"),
        ({"cool": "warm"}, TypeError, "must be a positive finite temperature, got 'warm'"),
        (0.0, ValueError, "prior must be a positive finite temperature, got 0.0"),
        (True, TypeError, "prior must be a positive finite temperature, got True"),
        ("cool", TypeError, "prior must be a positive temperature, a dict"),
        ({"place": {"cool": 1.0}}, ValueError, r"prior has rules for the columns \['place'\]"),
        ({"kind": {"cool": 1.0}, "hot": 2.0}, TypeError, "mixes temperatures and dicts"),
        (lambda row: -1.0, ValueError, "prior must return a positive finite temperature, got -1"),
    ],
)
def test_bad_rules_are_refused_by_name(prior, error, message):
    logits, y, kind = draw(60, 20)
    with pytest.raises(error, match=message):
        AdaptiveTemperatureScaling(context="kind", prior=prior).fit(frame(logits, kind=kind), y)


def test_flat_rules_for_two_columns_are_refused():
    logits, y, kind = draw(60, 21)
    X = frame(logits, kind=kind, other=kind)
    with pytest.raises(ValueError, match=r"clear only for a context of one column.*\{column:"):
        AdaptiveTemperatureScaling(context=["kind", "other"], prior=TRUE).fit(X, y)


def test_a_key_that_is_no_category_of_the_data_is_a_rule_for_later():
    logits, y, kind = draw(200, 22)
    model = AdaptiveTemperatureScaling(context="kind", prior=TRUE | {"new": 1.0})
    model.fit(frame(logits, kind=kind), y)
    assert "no rows: the rule" in str(model.summary())


# Bounds, limits, summary, table


def test_bounds_clip_and_the_summary_says_so():
    logits, y, kind = draw(3000, 23)
    model = AdaptiveTemperatureScaling(context="kind", bounds=(1.0, 2.0))
    model.fit(frame(logits, kind=kind), y)
    np.testing.assert_allclose(
        model.predict_temperature(kinds("cool", "plain", "hot")), [1.0, 1.5, 2.0], rtol=0.1
    )
    notes = model.summary().to_frame()["note"]
    assert "clipped by bounds from 0." in notes["kind = cool"]
    assert notes["kind = plain"] == ""
    assert "clipped by bounds from" in notes["kind = hot"]


def test_a_refit_moves_each_context_by_no_more_than_max_change():
    first = AdaptiveTemperatureScaling(context="kind", max_change=0.1)
    logits, y, kind = draw(3000, 24)
    X = frame(logits, kind=kind)
    before = first.fit(X, y).predict_temperature(kinds(*TRUE, "new"))
    warmer = frame(
        logits * np.array([2.0 if k == "hot" else 1.02 for k in kind])[:, None], kind=kind
    )
    moves = []
    for _ in range(10):
        after = first.fit(warmer, y).predict_temperature(kinds(*TRUE, "new"))
        moves.append(np.abs(np.log(after / before)))
        before = after
    assert np.max(moves) <= 0.1 + 1e-12
    assert moves[0][2] == pytest.approx(0.1)  # hot moves as far as it may
    assert moves[0][0] < 0.1  # cool has arrived at once
    free = AdaptiveTemperatureScaling(context="kind").fit(warmer, y)
    np.testing.assert_allclose(after, free.predict_temperature(kinds(*TRUE, "new")), rtol=1e-9)
    held = clone(first).fit(X, y).fit(warmer, y)
    notes = held.summary().to_frame()["note"]
    assert "held back by max_change, target 7.9" in notes["kind = hot"]


def test_a_first_fit_moves_no_farther_from_the_rules_than_max_change():
    logits, y, kind = draw(2000, 32)
    rules = {"cool": 1.0, "plain": 1.5, "hot": 1.0}
    model = AdaptiveTemperatureScaling(context="kind", prior=rules, max_change=0.1)
    before = model.predict_temperature(kinds(*rules, "new"))
    after = model.fit(frame(logits, kind=kind), y).predict_temperature(kinds(*rules, "new"))
    assert np.abs(np.log(after / before)).max() <= 0.1 + 1e-12
    assert after[2] == pytest.approx(np.exp(0.1))


def test_what_a_bound_holds_moves_from_the_bound():
    """A rule far below the bounds is served at the bound, and a refit moves from there."""
    logits, y, kind = draw(2000, 33)
    rules = {"cool": 0.01, "plain": 1.5, "hot": 100.0}
    model = AdaptiveTemperatureScaling(
        context="kind", prior=rules, bounds=(0.5, 8.0), max_change=0.1
    )
    np.testing.assert_allclose(model.predict_temperature(kinds(*rules)), [0.5, 1.5, 8.0])
    X, served = frame(logits, kind=kind), []
    for _ in range(12):
        served.append(model.fit(X, y).predict_temperature(kinds(*rules)))
    moves = np.abs(np.diff(np.log(np.array([[0.5, 1.5, 8.0], *served])), axis=0))
    assert moves.max() <= 0.1 + 1e-12
    free = AdaptiveTemperatureScaling(context="kind", prior=rules).fit(X, y)
    np.testing.assert_allclose(served[-1], free.predict_temperature(kinds(*rules)), rtol=1e-9)


def test_before_a_fit_rules_ask_for_every_column_that_the_fit_will():
    rules = {"kind": {"cool": 0.5}}
    model = AdaptiveTemperatureScaling(context=["kind", "length"], prior=rules)
    assert model.predict_temperature({"kind": "cool", "length": 3.0}) == 0.5
    with pytest.raises(ValueError, match="must have a value for each of"):
        model.predict_temperature({"kind": "cool"})
    with pytest.raises(ValueError, match="clear only for a context of one column"):
        model.set_params(prior={"cool": 0.5}).predict_temperature({"kind": "cool", "length": 1})


def test_several_columns_move_by_no_more_than_max_change_together():
    rng = np.random.default_rng(25)
    logits, y, kind = draw(2000, 25)
    X = frame(logits, kind=kind, site=rng.choice(list("ab"), 2000), n=rng.uniform(size=2000))
    model = AdaptiveTemperatureScaling(context=["kind", "site", "n"], max_change=0.2).fit(X, y)
    rows = pd.DataFrame(
        [(k, s, n) for k in [*TRUE, None] for s in "ab?" for n in (-1, 0, 0.3, 1, 2, np.nan)],
        columns=["kind", "site", "n"],
    )
    factor = np.exp(2 * X["n"] + (X["site"] == "a")).to_numpy()
    other = X.copy()
    other[[f"z{k}" for k in range(5)]] = logits * factor[:, None]
    other["n"] *= 1.5
    for _ in range(30):
        before = model.predict_temperature(rows)
        after = model.fit(other, y).predict_temperature(rows)
        assert np.abs(np.log(after / before)).max() <= 0.2 + 1e-9
    free = AdaptiveTemperatureScaling(context=["kind", "site", "n"]).fit(other, y)
    np.testing.assert_allclose(after, free.predict_temperature(rows), rtol=1e-6)


def test_the_summary_names_rows_rules_and_intervals(fitted):
    table = fitted.summary().to_frame()
    assert list(table.index) == ["any other", "kind = cool", "kind = hot", "kind = plain"]
    assert table["rows"].iloc[0] == 3000
    assert table["rows"].iloc[1:].sum() == 3000
    assert (table["95 % lower"] < table["temperature"]).all()
    assert (table["95 % upper"] > table["temperature"]).all()
    text = str(fitted.summary())
    assert text.startswith("Temperature by context: 3,000 rows, 5 classes")
    assert "Log loss" in text


def test_the_table_is_json_and_serves_the_same_temperatures(fitted):
    from skcalib.calibrators._temperature_table import TemperatureTable

    again = TemperatureTable.from_dict(json.loads(json.dumps(fitted.to_table())))
    for name in [*TRUE, "unheard of", None]:
        assert again.of_row({"kind": name}) == fitted.predict_temperature({"kind": name})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "must be a dict made by to_table"),
        ({"format": "skcalib temperature table", "version": 99}, "has version 99"),
        ({"format": "skcalib temperature table", "version": 1}, "table is damaged"),
    ],
)
def test_what_is_no_table_is_refused(table, message):
    from skcalib.calibrators._temperature_table import TemperatureTable

    with pytest.raises(ValueError, match=message):
        TemperatureTable.from_dict(table)


def test_categories_that_json_does_not_know_are_refused():
    logits, y, _ = draw(50, 26)
    when = np.array([("a", 1), ("b", 2)] * 25 + [None], dtype=object)[:-1]
    pairs = np.empty(50, dtype=object)
    pairs[:] = when.tolist() if when.ndim == 1 else [tuple(pair) for pair in when]
    model = AdaptiveTemperatureScaling(context="c").fit(frame(logits, c=pairs), y)
    with pytest.raises(ValueError, match="categories must be strings, finite numbers or booleans"):
        model.to_table()


# Input that cannot be right


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"context": "place"}, ValueError, r"context names columns \['place'\] that X does not"),
        ({"context": ["kind", "kind"]}, ValueError, "context must name each column once"),
        ({"context": 99}, ValueError, r"context names columns \[99\] that X does not have"),
        ({"context": 1.5}, TypeError, "context"),
        (
            {"categorical_features": "place", "context": "kind"},
            ValueError,
            "must be 'from_dtype'",
        ),
        ({"bounds": (2.0, 1.0)}, ValueError, "bounds must be a pair of temperatures"),
        ({"bounds": 3}, ValueError, "bounds must be a pair of temperatures"),
        ({"max_change": 0.0}, ValueError, "max_change"),
        ({"forget": 0.0}, ValueError, "forget"),
        ({"forget": 1.1}, ValueError, "forget"),
        ({"alpha": 0.0}, ValueError, "alpha"),
        ({"score_features": 1.5}, ValueError, "score_features"),
        ({"prior": len, "max_change": 0.1}, ValueError, "max_change needs to know"),
    ],
)
def test_parameters_that_cannot_be_right_are_refused(parameters, error, message):
    logits, y, kind = draw(60, 27)
    model = AdaptiveTemperatureScaling(**({"context": "kind"} | parameters))
    with pytest.raises(error, match=message):
        model.fit(frame(logits, kind=kind), y)
    assert not hasattr(model, "classes_")


def test_a_column_that_may_be_no_score_is_warned_of():
    logits, y, kind = draw(200, 34, n_classes=4)
    X = frame(logits, kind=kind).assign(request=np.arange(200.0))
    with pytest.warns(UserWarning, match=r"5 columns beside the context.*y shows 4 of them"):
        AdaptiveTemperatureScaling(context="kind").fit(X, y)
    model = AdaptiveTemperatureScaling(context="kind", classes=range(4))
    model.fit(X.drop(columns="request"), y)


@pytest.mark.parametrize("context", [["kind", 5], [5, -1]])
def test_one_column_by_two_names_is_refused(context):
    logits, y, kind = draw(60, 35)
    with pytest.raises(ValueError, match="context must name each column once"):
        AdaptiveTemperatureScaling(context=context).fit(frame(logits, kind=kind), y)


def test_lists_and_sparse_matrices_have_contexts_too():
    logits, y, kind = draw(300, 36)
    code = np.unique(kind, return_inverse=True)[1]
    X = np.column_stack([logits, code])
    model = AdaptiveTemperatureScaling(context=5, categorical_features=5).fit(X, y)
    listed = clone(model).fit(X.tolist(), y)
    np.testing.assert_allclose(listed.predict_proba(X.tolist()), model.predict_proba(X))
    inner = LogisticRegression().fit(X, y)
    around = AdaptiveTemperatureScaling(FrozenEstimator(inner), context=5, categorical_features=[5])
    dense, sparse = (clone(around).fit(matrix, y) for matrix in (X, csr_array(X)))
    np.testing.assert_allclose(
        sparse.predict_temperature({5: 1.0}), dense.predict_temperature({5: 1.0}), rtol=1e-9
    )


def test_categories_that_are_lists_are_refused():
    logits, y, _ = draw(60, 37)
    lists = np.empty(60, dtype=object)
    lists[:] = [["a"]] * 60
    with pytest.raises(TypeError, match=r"column 'c' of X must hold categories, got \['a'\]"):
        AdaptiveTemperatureScaling(context="c").fit(frame(logits, c=lists), y)


def test_a_rule_for_what_is_missing_is_refused():
    logits, y, kind = draw(60, 38)
    model = AdaptiveTemperatureScaling(context="kind", prior={np.nan: 2.0})
    with pytest.raises(ValueError, match="prior has a rule for a missing category"):
        model.fit(frame(logits, kind=kind), y)


def test_a_function_sees_plain_values_and_its_errors_name_the_row():
    logits, y, kind = draw(60, 39)
    length = np.where(np.arange(60) % 2, np.nan, 3.0)
    seen = []

    def rule(row):
        seen.append(row)
        return 1.0 + (row["length"] or 0.0)

    X = frame(logits, kind=kind, length=length)
    model = AdaptiveTemperatureScaling(context=["kind", "length"], prior=rule).fit(X, y)
    assert {type(row["length"]) for row in seen} == {float, type(None)}
    seen.clear()
    model.predict_temperature({"kind": "cool", "length": np.nan, "more": 1})
    assert seen == [{"kind": "cool", "length": None}]
    model = clone(model).set_params(prior=lambda row: row["site"])
    with pytest.raises(ValueError, match=r"prior failed for the context.*KeyError"):
        model.fit(X, y)


def test_rules_alone_have_a_summary():
    rules = AdaptiveTemperatureScaling(
        context="kind", prior={"cool": 0.5, "hot": 8.0}, bounds=(0.1, 4.0)
    )
    table = rules.summary().to_frame()
    np.testing.assert_allclose(table["temperature"], [2.0, 0.5, 4.0])
    assert table["note"].tolist() == ["the rule", "the rule", "clipped by bounds from 8"]


def test_rows_of_missing_categories_alone_are_read_before_any_data():
    rules = AdaptiveTemperatureScaling(context="kind", prior={"cool": 0.5, "hot": 8.0})
    np.testing.assert_allclose(rules.predict_temperature(kinds(None, None)), [2.0, 2.0])


@pytest.mark.parametrize("bounds", [(0.5, None), (0.5, np.inf), [0.5, np.inf]])
def test_bounds_may_be_open_above(bounds):
    logits, y, kind = draw(200, 40)
    model = AdaptiveTemperatureScaling(context="kind", bounds=bounds)
    model.fit(frame(logits, kind=kind), y)
    assert model.to_table()["bounds"] == [0.5, None]


def test_a_limit_needs_something_to_count_from():
    X, y = make_problem(100, 6)
    limited = AdaptiveTemperatureScaling(context="kind", max_change=0.1)
    with pytest.raises(ValueError, match="which a CalibratedClassifier does not keep"):
        CalibratedClassifier(classifier(), method=limited).fit(X, y)
    with pytest.raises(ValueError, match="which an ensemble does not keep"):
        clone(limited).set_params(estimator=classifier(), ensemble=True).fit(X, y)


def test_a_number_that_stops_varying_is_taken_back_by_max_change():
    logits, y, _ = draw(2000, 41, {"all": 1.0})
    length = np.linspace(0, 2, 2000)
    X = frame(logits * np.exp(length)[:, None], length=length)
    model = AdaptiveTemperatureScaling(context="length", max_change=0.1).fit(X, y)
    rows = pd.DataFrame({"length": [0.0, 1.0, 2.0]})
    before = model.predict_temperature(rows)
    after = model.fit(X.assign(length=1.0), y).predict_temperature(rows)
    assert np.abs(np.log(after / before)).max() <= 0.1 + 1e-12


def test_names_need_a_data_frame():
    logits, y, _ = draw(60, 28)
    with pytest.raises(ValueError, match=r"ndarray without column names. Pass a data frame"):
        AdaptiveTemperatureScaling(context="kind").fit(logits, y)


def test_a_missing_context_column_is_named_when_serving(fitted):
    logits, _, kind = draw(10, 29)
    with pytest.raises(ValueError, match="kind"):
        fitted.predict_proba(frame(logits))
    with pytest.raises(ValueError, match=r"context must have a value for each of \['kind'\]"):
        fitted.predict_temperature({"sort": kind[0]})


def test_numbers_that_turn_out_to_be_words_are_named():
    logits, y, _ = draw(60, 30)
    model = AdaptiveTemperatureScaling(context="n").fit(frame(logits, n=np.arange(60)), y)
    with pytest.raises(ValueError, match=r"column 'n' of X must hold numbers.*got 'many'"):
        model.predict_proba(frame(logits, n="many"))
    with pytest.raises(ValueError, match="column 'n' of the context must hold a number"):
        model.predict_temperature({"n": "many"})


def test_dates_are_refused():
    logits, y, _ = draw(60, 31)
    when = pd.date_range("2026-01-01", periods=60)
    with pytest.raises(TypeError, match="column 'when' of X must hold numbers or categories"):
        AdaptiveTemperatureScaling(context="when").fit(frame(logits, when=when), y)


def test_an_ensemble_has_no_one_temperature():
    X, y = make_problem(200, 5)
    model = AdaptiveTemperatureScaling(classifier(), context="kind", ensemble=True).fit(X, y)
    assert model.predict_proba(X).shape == (200, 3)
    with pytest.raises(ValueError, match="an ensemble was fitted"):
        model.summary()
    ruled = clone(model).set_params(prior={"clear": 1.0}).fit(X, y)
    with pytest.raises(ValueError, match="an ensemble was fitted"):
        ruled.predict_temperature({"kind": "clear"})
    assert not hasattr(model, "partial_fit")


# Numbers at the edge


@pytest.mark.parametrize("weight", [1e-90, 1e6, 1e16, 1e90])
def test_equal_weights_of_any_size_give_a_temperature(weight):
    logits, y, kind = draw(300, 42)
    X = frame(logits, kind=kind)
    model = AdaptiveTemperatureScaling(context="kind")
    model.fit(X, y, sample_weight=np.full(300, weight))
    for name in TRUE:
        alone = best_temperature(logits[kind == name], y[kind == name])
        # Weights of next to nothing leave the prior in charge, others the rows alone.
        expected = 1.0 if weight < 1 else alone
        assert model.predict_temperature({"kind": name}) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("scale", [1e-15, 1e-5, 1e5, 1e15])
def test_temperatures_follow_the_scale_of_the_scores(scale):
    logits, y, kind = draw(1000, 43)
    model = AdaptiveTemperatureScaling(context="kind", alpha=1e-6)
    plain = clone(model).fit(frame(logits, kind=kind), y).predict_temperature(kinds(*TRUE))
    scaled = model.fit(frame(logits * scale, kind=kind), y).predict_temperature(kinds(*TRUE))
    np.testing.assert_allclose(scaled, scale * plain, rtol=1e-3)


def test_scores_beyond_any_temperature_are_warned_of():
    logits, y, kind = draw(300, 44)
    with pytest.warns(ConvergenceWarning, match="the best one lies beyond the bounds"):
        AdaptiveTemperatureScaling(context="kind").fit(frame(logits * 1e30, kind=kind), y)


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_numbers_of_any_size_bend_the_temperature(size):
    logits, y, _ = draw(3000, 45, {"all": 1.0})
    length = np.linspace(0, 1, 3000)
    X = frame(logits * np.exp(2 * length)[:, None], length=length * size)
    model = AdaptiveTemperatureScaling(context="length").fit(X, y)
    ends = model.predict_temperature(pd.DataFrame({"length": [0.0, size]}))
    np.testing.assert_allclose(ends, np.exp([0, 2]), rtol=0.15)


def test_all_columns_as_context_leave_no_scores():
    with pytest.raises(ValueError, match="names every column of X: none is left for scores"):
        AdaptiveTemperatureScaling(context=[0]).fit(np.zeros((4, 1)), [0, 1, 0, 1])
