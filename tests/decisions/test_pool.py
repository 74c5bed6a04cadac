"""Pools of several classifiers and their temperatures."""

import pickle

import numpy as np
import pandas as pd
import pytest
from oracles import best_temperature, mean_log_loss
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from skcalib.decisions import TemperaturePool

EXACT = {"alpha": 0, "smoothing": 0}


def draw(seed, n_rows=400, n_members=3, n_classes=4, scales=(1.0, 2.0, 0.5)):
    """Members' logits, off by a temperature each, of one truth seen through noise; labels."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 2, (n_rows, n_classes))
    y = (truth + rng.gumbel(size=truth.shape)).argmax(axis=1)
    noise = rng.normal(0, 1, (n_rows, n_members, n_classes))
    return (truth[:, None] + noise) * np.array(scales)[:n_members, None], y


def fit_blocks(logits, y, **options):
    return TemperaturePool(response_method="decision_function", **options).fit(logits, y)


# Orders


def test_the_pool_is_the_mean_at_the_temperature_of_least_log_loss():
    logits, y = draw(0)
    model = fit_blocks(logits, y, **EXACT)
    mean = np.log(softmax(logits, axis=2).mean(axis=1))
    expected = best_temperature(mean, y)
    assert model.temperature_ == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(
        model.predict_proba(logits), softmax(mean / expected, axis=1), atol=1e-7
    )
    np.testing.assert_array_equal(model.member_temperatures_, [1, 1, 1])


def test_calibrating_first_gives_each_member_its_temperature_and_the_pool_none():
    logits, y = draw(1)
    model = fit_blocks(logits, y, order="calibrate_first", **EXACT)
    expected = [best_temperature(logits[:, m], y) for m in range(3)]
    np.testing.assert_allclose(model.member_temperatures_, expected, rtol=1e-6)
    scaled = logits / np.array(expected)[:, None]
    np.testing.assert_allclose(
        model.predict_proba(logits), softmax(scaled, axis=2).mean(axis=1), atol=1e-7
    )
    assert model.temperature_ == 1


def test_both_is_one_after_the_other():
    logits, y = draw(2)
    model = fit_blocks(logits, y, order="both", **EXACT)
    first = fit_blocks(logits, y, order="calibrate_first", **EXACT)
    np.testing.assert_array_equal(model.member_temperatures_, first.member_temperatures_)
    mean = np.log(first.predict_proba(logits))
    assert model.temperature_ == pytest.approx(best_temperature(mean, y), rel=1e-6)


def test_the_mean_of_calibrated_members_is_too_modest_and_the_pool_is_not():
    # Each member hears the truth through noise of its own; T = 1.5 makes up for that noise.
    logits, y = draw(3, n_rows=4000, scales=(1.0, 1.0, 1.0))
    test, y_test = draw(4, n_rows=4000, scales=(1.0, 1.0, 1.0))
    losses = {}
    for order in ("pool_first", "calibrate_first", "both"):
        model = fit_blocks(logits, y, order=order)
        losses[order] = mean_log_loss(np.log(model.predict_proba(test)), y_test)
        if order == "both":
            assert model.temperature_ < 0.9
    assert losses["pool_first"] < losses["calibrate_first"] - 0.005
    assert losses["both"] < losses["calibrate_first"] - 0.005


def test_the_geometric_pool_is_softmax_of_mean_log_probabilities():
    logits, y = draw(5)
    model = fit_blocks(logits, y, pooling="geometric", **EXACT)
    mean = logits.mean(axis=1)  # up to a constant of each row
    expected = best_temperature(mean, y)
    assert model.temperature_ == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(
        model.predict_proba(logits), softmax(mean / expected, axis=1), atol=1e-7
    )
    as_is = fit_blocks(logits, y, pooling="geometric", order="calibrate_first", **EXACT)
    scaled = logits / as_is.member_temperatures_[:, None]
    np.testing.assert_allclose(
        as_is.predict_proba(logits), softmax(scaled.mean(axis=1), axis=1), atol=1e-7
    )


@pytest.mark.parametrize("zeros", [1, 3])
def test_a_zero_of_one_member_does_not_ruin_the_geometric_pool(zeros):
    # Both say .8 of rows that are right in 80 %, and one of them has seen no label of a few.
    proba = np.tile([[[0.2, 0.8], [0.2, 0.8]]], (100, 1, 1))
    y = np.repeat([1, 0], [80, 20])
    proba[-zeros:, 0] = [0.0, 1.0]
    model = TemperaturePool(pooling="geometric").fit(proba, y)
    assert 0.5 < model.temperature_ < 2
    assert model.predict_proba(proba[:1])[0, 1] == pytest.approx(0.8, abs=0.08)
    assert model.log_losses_[-1] < mean_log_loss(np.log(np.tile([0.5, 0.5], (100, 1))), y)


def test_the_geometric_pool_smooths_its_members_by_the_share_that_is_given():
    logits, y = draw(14, n_members=2)
    proba = softmax(logits, axis=2)
    proba[0, 0] = np.where(np.arange(4) == y[0], 0.0, 1 / 3)
    model = TemperaturePool(pooling="geometric", smoothing=0.1, alpha=0).fit(proba, y)
    mean = np.log(0.9 * proba + 0.1 / 4).mean(axis=1)
    expected = best_temperature(mean, y)
    assert model.temperature_ == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(
        model.predict_proba(proba), softmax(mean / expected, axis=1), atol=1e-6
    )


# Weights


def test_given_weights_are_divided_by_their_sum():
    logits, y = draw(6)
    model = fit_blocks(logits, y, weights=[1, 3, 0], order="calibrate_first")
    np.testing.assert_array_equal(model.weights_, [0.25, 0.75, 0])


def test_fitted_weights_have_the_least_log_loss_with_a_row_for_each_member():
    logits, y = draw(7)
    model = fit_blocks(logits, y, weights="auto")
    of_label = softmax(logits, axis=2)[np.arange(400), :, y]

    def objective(free):
        w = softmax(np.append(free, 0))
        return -np.log(of_label @ w).sum() - np.log(w).sum()

    found = minimize(objective, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-8})
    np.testing.assert_allclose(model.weights_, softmax(np.append(found.x, 0)), atol=1e-5)


def test_a_context_gets_weights_of_its_own_as_far_as_its_rows_say_so():
    # Member 0 knows the even rows' classes, member 1 the odd ones'.
    rng = np.random.default_rng(0)
    n = 2000
    y, parity = rng.integers(0, 2, n), np.arange(n) % 2
    known = np.where(rng.random(n) < 0.9, y, 1 - y)
    chance = rng.integers(0, 2, n)
    X = pd.DataFrame({"a": np.where(parity, chance, known), "b": np.where(parity, known, chance)})
    X["topic"] = np.where(parity, "odd", "even")
    X.loc[:9, "topic"] = "rare"
    members = [(c, FrozenEstimator(ColumnModel(c).fit(X, y))) for c in "ab"]
    model = TemperaturePool(members, weights="auto", gate="topic").fit(X, y)
    assert model.gate_weights_["even"][0] > 0.8
    assert model.gate_weights_["odd"][1] > 0.8
    # Ten rows beside fifty of everyone's weights, which favour neither.
    np.testing.assert_allclose(model.weights_, [0.5, 0.5], atol=0.05)
    assert abs(model.gate_weights_["rare"][0] - 0.5) < 0.1
    ungated = TemperaturePool(members, weights="auto").fit(X, y)
    assert loss_of(model, X, y) < loss_of(ungated, X, y) - 0.1
    unknown = model.predict_proba(X.assign(topic="new"))
    np.testing.assert_array_equal(unknown, model.predict_proba(X.assign(topic=None)))


def test_a_context_may_be_several_columns_or_positions():
    rng = np.random.default_rng(1)
    X = np.c_[rng.random((60, 2)), rng.integers(0, 2, (60, 2))]
    y = rng.integers(0, 2, 60)
    members = [(str(c), FrozenEstimator(ColumnModel(c).fit(X, y))) for c in (0, 1)]
    model = TemperaturePool(members, weights="auto", gate=[2, 3]).fit(X, y)
    assert set(model.gate_weights_) == {(a, b) for a in (0.0, 1.0) for b in (0.0, 1.0)}
    X[0, 2] = np.nan
    assert np.isfinite(model.predict_proba(X)).all()


def loss_of(model, X, y):
    return mean_log_loss(np.log(model.predict_proba(X)), y)


class ColumnModel(LogisticRegression):
    """Says what a column of X says is the probability of class 1, not quite to 0 and 1."""

    def __init__(self, column=0):
        super().__init__()
        self.column = column

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        column = X[self.column] if hasattr(X, "columns") else X[:, self.column]
        p = 0.1 + 0.8 * np.asarray(column, dtype=float)
        return np.stack([1 - p, p], axis=1)


# Members


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return X + np.random.default_rng(0).normal(0, 0.5, X.shape), y


def members():
    return [("nb", GaussianNB()), ("knn", KNeighborsClassifier())]


def test_members_are_held_out_on_the_same_folds(iris):
    X, y = iris
    cv = StratifiedKFold(4, shuffle=True, random_state=0)
    model = TemperaturePool(members(), cv=cv, **EXACT).fit(X, y)
    proba = [cross_val_predict(m, X, y, cv=cv, method="predict_proba") for _, m in members()]
    expected = best_temperature(np.log(np.mean(proba, axis=0)), y)
    assert model.temperature_ == pytest.approx(expected, rel=1e-6)
    whole = np.mean([m.fit(X, y).predict_proba(X) for _, m in members()], axis=0)
    np.testing.assert_allclose(
        model.predict_proba(X), softmax(np.log(whole) / expected, axis=1), atol=1e-7
    )
    assert list(model.named_estimators_) == ["nb", "knn"]
    assert model.n_features_in_ == 4


def test_frozen_members_calibrate_on_all_rows(iris):
    X, y = iris
    frozen = [(name, FrozenEstimator(m.fit(X[::2], y[::2]))) for name, m in members()]
    model = TemperaturePool(frozen).fit(X[1::2], y[1::2])
    blocks = np.stack([m.predict_proba(X[1::2]) for _, m in frozen], axis=1)
    of_scores = TemperaturePool().fit(blocks, y[1::2])
    assert model.temperature_ == of_scores.temperature_
    np.testing.assert_array_equal(model.predict_proba(X[1::2]), of_scores.predict_proba(blocks))


def test_frozen_and_other_members_go_together(iris):
    X, y = iris
    frozen = FrozenEstimator(GaussianNB().fit(X[:75], y[:75]))  # has not seen the last class
    model = TemperaturePool([("nb", frozen), ("knn", KNeighborsClassifier())]).fit(X[50:], y[50:])
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    assert model.predict_proba(X).shape == (150, 3)


def test_a_class_too_rare_for_the_folds_keeps_its_column(iris):
    X, y = iris
    labels = np.where(np.arange(150) == 7, 9, y)
    with pytest.warns(UserWarning, match="1 held-out rows belong to classes absent"):
        model = TemperaturePool(members()).fit(X, labels)
    np.testing.assert_array_equal(model.classes_, [0, 1, 2, 9])
    assert model.n_calibration_ == 149


def test_parameters_of_members_are_reached_by_name(iris):
    model = TemperaturePool(members()).set_params(knn__n_neighbors=3, nb="drop")
    assert model.get_params()["knn__n_neighbors"] == 3
    with pytest.raises(TypeError, match="'nb' is 'drop'"):
        model.fit(*iris)


def test_weights_of_rows_count_as_repetitions():
    logits, y = draw(8, n_rows=100)
    weight = np.random.default_rng(0).integers(0, 4, 100)
    weighted = TemperaturePool(response_method="decision_function", weights="auto", order="both")
    weighted.fit(logits, y, sample_weight=weight)
    repeated = fit_blocks(
        np.repeat(logits, weight, axis=0), np.repeat(y, weight), weights="auto", order="both"
    )
    np.testing.assert_allclose(
        weighted.predict_proba(logits), repeated.predict_proba(logits), atol=1e-9
    )


def test_weights_that_a_member_cannot_take_are_used_for_the_pool_alone(iris):
    X, y = iris
    weight = np.random.default_rng(0).random(150)
    with pytest.warns(UserWarning, match="KNeighborsClassifier.fit takes no sample_weight"):
        model = TemperaturePool(members()).fit(X, y, sample_weight=weight)
    unweighted = TemperaturePool(members()).fit(X, y)
    assert model.temperature_ != unweighted.temperature_


def test_frames_and_strings_pass_through(iris):
    X, y = iris
    frame = pd.DataFrame(X, columns=list("abcd"))
    only = make_pipeline(make_column_transformer(("passthrough", ["a", "b"])), GaussianNB())
    labels = np.array(["u", "v", "w"])[y]
    model = TemperaturePool([("few", only), ("all", GaussianNB())]).fit(frame, labels)
    assert set(model.predict(frame)) == {"u", "v", "w"}
    assert list(model.feature_names_in_) == list("abcd")
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(frame), model.predict_proba(frame))


def test_real_members_gain_by_pooling_and_more_by_a_temperature():
    X, y = load_digits(return_X_y=True)
    X = X + np.random.default_rng(0).normal(0, 4, X.shape)
    train, cal, test = np.split(np.random.default_rng(0).permutation(len(y)), [600, 1200])
    trees = [
        (f"tree{i}", FrozenEstimator(DecisionTreeClassifier(max_features=8, random_state=i)))
        for i in range(6)
    ]
    for _, tree in trees:
        tree.estimator.fit(X[train], y[train])
    loss = {}
    for order in ("pool_first", "calibrate_first"):
        model = TemperaturePool(trees, order=order).fit(X[cal], y[cal])
        loss[order] = loss_of(model, X[test], y[test])
    raw = np.mean([tree.predict_proba(X[test]) for _, tree in trees], axis=0)
    alone = model.summary().records[0][3]
    assert loss["pool_first"] < loss["calibrate_first"] < alone
    assert loss["pool_first"] < mean_log_loss(np.log(np.maximum(raw, 1e-16)), y[test])


# Scores and rows


def test_single_precision_stays_and_a_row_does_not_depend_on_its_batch():
    logits, y = draw(9)
    model = fit_blocks(logits.astype(np.float32), y, order="both", weights="auto")
    together = model.predict_proba(logits.astype(np.float32))
    assert together.dtype == np.float32
    for row in range(0, 400, 37):
        alone = model.predict_proba(logits[[row]].astype(np.float32))
        np.testing.assert_array_equal(alone, together[[row]])


def test_a_class_that_all_members_mask_has_probability_zero():
    logits, y = draw(10)
    logits[:, :, 3] = -np.inf
    y = y % 3
    for options in ({}, {"pooling": "geometric"}, {"order": "both"}):
        model = TemperaturePool(response_method="decision_function", classes=range(4), **options)
        proba = model.fit(logits, y).predict_proba(logits)
        # Smoothing leaves something of a zero of the mean, as of any other probability.
        assert proba[:, 3].max() < 0.01
        np.testing.assert_allclose(proba.sum(axis=1), 1)


def test_columns_follow_the_sorted_classes():
    logits, y = draw(11)
    names = np.array(["d", "b", "a", "c"])
    model = fit_blocks(logits, names[y], classes=names)
    plain = fit_blocks(logits, y)
    assert list(model.classes_) == ["a", "b", "c", "d"]
    order = np.argsort(names)
    np.testing.assert_allclose(
        model.predict_proba(logits), plain.predict_proba(logits)[:, order], atol=1e-12
    )
    np.testing.assert_array_equal(model.predict(logits), names[plain.predict(logits)])


def test_inputs_are_not_written_to_and_nothing_warns_of_arithmetic():
    logits, y = draw(12)
    kept = logits.copy()
    with np.errstate(all="raise"):
        for pooling in ("linear", "geometric"):
            fit_blocks(logits, y, pooling=pooling, order="both").predict_proba(logits)
    np.testing.assert_array_equal(logits, kept)


def test_the_summary_has_a_row_for_each_member_and_one_for_the_pool():
    logits, y = draw(13)
    model = fit_blocks(logits, y, order="calibrate_first", weights=[1, 1, 2])
    summary = model.summary()
    assert [row[:2] for row in summary.records] == [
        ("0", 0.25),
        ("1", 0.25),
        ("2", 0.5),
        ("pool", 1),
    ]
    for m, (_, _, temperature, loss) in enumerate(summary.records[:3]):
        assert temperature == model.member_temperatures_[m]
        assert loss == pytest.approx(mean_log_loss(logits[:, m], y, temperature))
    assert summary.records[3][3] == pytest.approx(loss_of(model, logits, y))
    assert str(summary).startswith("Members of a pool: 400 calibration rows\nmember  weight")


def test_members_without_a_mistake_and_without_a_prior_say_so():
    proba = np.tile([[[0.1, 0.9]], [[0.8, 0.2]]], (10, 1, 1))
    with pytest.warns(ConvergenceWarning, match="none of them is misclassified"):
        TemperaturePool(**EXACT).fit(proba, [1, 0] * 10)


# What is refused


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"estimators": []}, ValueError, "estimators must be a list of"),
        ({"estimators": [GaussianNB()]}, ValueError, "estimators must be a list of"),
        ({"estimators": [("a", GaussianNB)]}, TypeError, "'a' is <class"),
        ({"estimators": [("a", GaussianNB()), ("a", GaussianNB())]}, ValueError, "not unique"),
        ({"estimators": [("a__b", GaussianNB())]}, ValueError, "must not contain __"),
        ({"weights": [1, 2]}, ValueError, "one number for each member"),
        ({"weights": [1, -1, 1]}, ValueError, "not negative"),
        ({"weights": [0, 0, 0]}, ValueError, "not all 0"),
        ({"weights": "auto", "pooling": "geometric"}, ValueError, "those of the linear pool"),
        ({"gate": "topic"}, ValueError, 'pass weights="auto" with it, got None'),
        ({"gate": "topic", "weights": "auto"}, ValueError, "pass estimators"),
        ({"order": "last"}, ValueError, "The 'order' parameter"),
        ({"classes": [0, 1]}, ValueError, "classes must hold one label per column"),
    ],
)
def test_parameters_that_cannot_be_right_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        TemperaturePool(**options).fit(*((softmax(draw(0)[0], axis=2)), draw(0)[1]))


def test_scores_that_cannot_be_right_are_refused():
    logits, y = draw(0)
    with pytest.raises(ValueError, match="X must hold scores of shape"):
        TemperaturePool().fit(logits[:, 0], y)
    with pytest.raises(ValueError, match=r"X\[:, 0\] must hold probabilities"):
        TemperaturePool().fit(logits, y)
    bad = logits.copy()
    bad[5, 1, 2] = np.nan
    with pytest.raises(ValueError, match=r"X\[:, 1\] must hold finite logits.*row 5 holds NaN"):
        fit_blocks(bad, y)
    model = fit_blocks(logits, y)
    with pytest.raises(ValueError, match=r"X\[:, 1\] must hold finite logits.*row 5 holds NaN"):
        model.predict_proba(bad)
    with pytest.raises(ValueError, match=r"X has blocks of shape \(2, 4\), .* expecting \(3, 4\)"):
        model.predict_proba(logits[:, :2])


def test_a_failed_fit_leaves_the_pool_as_it_was(iris):
    X, y = iris
    model = TemperaturePool(members()).fit(X, y)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="inconsistent"):
        model.fit(X, y[:-1])
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_folds_that_overlap_are_refused(iris):
    from sklearn.model_selection import RepeatedStratifiedKFold

    cv = RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0)
    with pytest.raises(ValueError, match="cv holds rows out more than once"):
        TemperaturePool(members(), cv=cv).fit(*iris)


def test_parameters_for_nobody_are_refused(iris):
    X, y = iris
    frozen = [(name, FrozenEstimator(m.fit(X, y))) for name, m in members()]
    with pytest.raises(TypeError, match="frozen estimators are not fitted"):
        TemperaturePool(frozen).fit(X, y, colour=1)
    with pytest.raises(TypeError, match="there is no estimator to fit"):
        TemperaturePool().fit(draw(0)[0], draw(0)[1], colour=1)


def test_nothing_is_predicted_before_fit():
    for method in ("predict_proba", "predict"):
        with pytest.raises(NotFittedError):
            getattr(TemperaturePool(), method)(draw(0)[0])
    with pytest.raises(NotFittedError):
        TemperaturePool().summary()
