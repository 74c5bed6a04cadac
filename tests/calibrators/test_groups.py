"""`groups`: rows that belong together, in the interval for T and in the folds at once."""

import numpy as np
import pandas as pd
import pytest
from oracles import smoothing_objective, temperature_interval
from registry import CALIBRATORS
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    StratifiedGroupKFold,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from skcalib import (
    CalibratedClassifier,
    TemperatureScaling,
)

N, K = 120, 3
QUANTILE = 1.959963984540054


def documents(seed=0, n=N, n_groups=12, n_classes=K):
    """Logits, labels and documents: of some the model knows more than it says, of some less."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.arange(n) % n_groups)
    logits = 3 * rng.standard_normal((n, n_classes))
    sharpness = np.exp(rng.standard_normal(n_groups))[groups, None]
    return logits, (sharpness * logits + rng.gumbel(size=logits.shape)).argmax(axis=1), groups


def error_of(model):
    """Standard error of log T, from the interval."""
    low, high = np.log(model.temperature_interval_)
    return (high - low) / 2 / QUANTILE


def clustered_error(logits, y, groups, temperature, weight=None, alpha=1.0):
    """Standard error of log T, row by row: `s = beta (E_q z - z_y)`, its sums `w s` by cluster.

    With `h = sum w (beta^2 Var_q z + s) + alpha` and G clusters that hold weight,
    `se^2 = max((G / (G - 1) sum_g (sum w s)^2 + alpha) / h^2, 1 / h)`; G > 2.
    """
    beta, curvature, totals = 1 / temperature, alpha, {}
    weight = np.ones(len(y)) if weight is None else weight
    for row, label, group, w in zip(logits, y, groups, weight, strict=True):
        if w > 0:
            z = row[~np.isneginf(row)].astype(float)
            q = softmax(beta * z)
            s = beta * (q @ z - float(row[label]))
            curvature += w * (beta**2 * (q @ (z - q @ z) ** 2) + s)
            totals[group] = totals.get(group, 0.0) + w * s
    n_groups = len(totals)
    meat = n_groups / (n_groups - 1) * sum(total**2 for total in totals.values()) + alpha
    return np.sqrt(max(meat / curvature**2, 1 / curvature))


def test_the_interval_of_three_documents_by_hand():
    # d / T of 4 / T = log 4 at T = 4 / log 4, where q = (.8, .2) and four of five are right. With
    # u = -log T and a = log 4 a row that is right has the slope -.2 a, one that is wrong .8 a.
    # Documents of 10, 6 and 4 rows with 1, 3 and 0 mistakes have the slopes
    # a (-.2 * 9 + .8) = -a, a (-.2 * 3 + .8 * 3) = 1.8 a, a (-.2 * 4) = -.8 a.
    # Their squares, 3 / 2 (1 + 3.24 + .64) a^2 = 7.32 a^2, over the curvature 20 * .16 a^2.
    sizes, mistakes = [10, 6, 4], [1, 3, 0]
    groups = np.repeat(["a", "b", "c"], sizes)
    right = np.concatenate([np.arange(n) >= m for n, m in zip(sizes, mistakes, strict=True)])
    decision = np.where(right, 4.0, -4.0)
    y = np.ones(20, dtype=int)
    model = TemperatureScaling(alpha=0, classes=[0, 1]).fit(decision, y, groups=groups)
    assert model.temperature_ == pytest.approx(4 / np.log(4), rel=1e-9)
    expected = np.sqrt(7.32) / (20 * 0.16 * np.log(4))
    assert error_of(model) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("alpha", [0, 1])
@pytest.mark.parametrize("seed", range(5))
def test_the_interval_is_the_sandwich_of_cluster_totals(seed, alpha):
    logits, y, groups = documents(seed)
    model = TemperatureScaling(alpha=alpha).fit(logits, y, groups=groups)
    expected = clustered_error(logits, y, groups, model.temperature_, alpha=alpha)
    assert error_of(model) == pytest.approx(expected, rel=1e-6)
    alone = TemperatureScaling(alpha=alpha).fit(logits, y)
    assert error_of(model) > 1.1 * error_of(alone)


@pytest.mark.parametrize(("n", "n_classes"), [(30_000, 3), (20_000, 40), (300, 4000)])
def test_large_float32_scores_have_the_same_interval(n, n_classes):
    # Searched for on a sample first, and summed without subtracting each row's maximum.
    logits, y, groups = documents(1, n, 60, n_classes)
    logits = logits.astype(np.float32)
    model = TemperatureScaling(classes=range(n_classes)).fit(logits, y, groups=groups)
    z, beta = logits.astype(float), 1 / model.temperature_
    q = softmax(beta * z, axis=1)
    mean = (q * z).sum(axis=1)
    slope = beta * (mean - z[np.arange(n), y])
    curvature = beta**2 * ((q * z**2).sum(axis=1) - mean**2) + slope
    h = curvature.sum() + 1
    meat = 60 / 59 * (np.bincount(groups, slope) ** 2).sum() + 1
    expected = np.sqrt(max(meat / h**2, 1 / h))
    assert error_of(model) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("method", ["decision_function", "predict_proba", "predict_log_proba"])
@pytest.mark.parametrize("smoothing", ["auto", 0.02])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_that_stand_alone_have_the_plain_interval(method, smoothing, dtype):
    logits, y, _ = documents()
    scores = {
        "decision_function": logits,
        "predict_proba": softmax(logits, axis=1),
        "predict_log_proba": log_softmax(logits, axis=1),
    }[method].astype(dtype)
    model = TemperatureScaling(response_method=method, smoothing=smoothing)
    plain = model.fit(scores, y).temperature_interval_
    alone = model.fit(scores, y, groups=np.random.default_rng(0).permutation(N))
    np.testing.assert_allclose(alone.temperature_interval_, plain, rtol=1e-12)


@pytest.mark.parametrize("smoothing", ["auto", 0.02])
def test_groups_change_nothing_but_the_interval(smoothing):
    logits, y, groups = documents()
    proba = softmax(logits, axis=1)
    model = TemperatureScaling(response_method="predict_proba", smoothing=smoothing)
    plain = dict(vars(model.fit(proba, y)))
    named = dict(vars(model.fit(proba, y, groups=groups)))
    for name in set(plain) - {"temperature_interval_", "calibrator_"}:
        np.testing.assert_array_equal(named[name], plain[name])


@pytest.mark.parametrize("times", [2, 7])
def test_repeated_rows_of_one_group_tell_no_more_than_one(times):
    # m copies: cluster totals m s, so the meat is m^2 that of the rows alone, the curvature m h.
    # Their quotient is the same; only the bound 1 / (m h) moves, and here it does not bind.
    logits, y, _ = documents()
    y = np.where(np.arange(N) % 4, y, (y + 1) % K)  # misspecified: the sandwich is the wider
    model = TemperatureScaling(alpha=0)
    once = error_of(model.fit(logits, y))
    assert once > 1.05 * curvature_error(logits, y, model.temperature_)
    repeated = [np.repeat(a, times, axis=0) for a in (logits, y, np.arange(N))]
    together = error_of(model.fit(*repeated[:2], groups=repeated[2]))
    assert together == pytest.approx(once, rel=1e-7)
    # Without groups the copies pass for so many rows, and the interval is too narrow by sqrt(m).
    # (The correction n / (n - 1) is that of N m rows.)
    apart = error_of(model.fit(*repeated[:2]))
    corrections = (N * times / (N * times - 1)) / (N / (N - 1))
    assert apart == pytest.approx(once * np.sqrt(corrections / times), rel=1e-7)


def test_a_prior_counts_as_one_cluster_beside_the_repeated_rows():
    # m copies at alpha: J is m times that of the rows at alpha / m, and so is its curvature, m h.
    # se^2 = (m^2 S + alpha) / (m h)^2 = (S + alpha / m^2) / h^2.
    logits, y, groups = documents()
    times, alpha = 5, 10.0
    repeated = [np.repeat(a, times, axis=0) for a in (logits, y, groups)]
    model = TemperatureScaling(alpha=alpha)
    model.fit(*repeated[:2], groups=repeated[2])
    lighter = TemperatureScaling(alpha=alpha / times).fit(logits, y, groups=groups)
    assert model.temperature_ == pytest.approx(lighter.temperature_, rel=1e-9)
    h = 1 / curvature_error(logits, y, lighter.temperature_, alpha / times) ** 2
    expected = error_of(lighter) ** 2 - alpha / times / h**2 + alpha / times**2 / h**2
    assert error_of(model) ** 2 == pytest.approx(expected, rel=1e-6)


def curvature_error(logits, y, temperature, alpha=0.0):
    """Standard error of log T by the inverse curvature alone: slopes in one cluster cancel."""
    z, beta = logits, 1 / temperature
    q = softmax(beta * z, axis=1)
    mean = (q * z).sum(axis=1)
    slope = beta * (mean - z[np.arange(len(y)), y])
    variance = beta**2 * (q * (z - mean[:, None]) ** 2).sum(axis=1)
    return (variance.sum() + slope.sum() + alpha) ** -0.5


def test_the_interval_is_never_narrower_than_the_inverse_curvature():
    # The slopes of all rows cancel at the optimum: one cluster alone would know T exactly.
    logits, y, _ = documents()
    model = TemperatureScaling(alpha=0).fit(logits, y, groups=np.zeros(N))
    assert error_of(model) == pytest.approx(curvature_error(logits, y, model.temperature_))


def test_a_weight_equals_repetition_in_its_group():
    logits, y, groups = documents()
    weight = np.random.default_rng(1).integers(0, 4, N)
    model = TemperatureScaling()
    weighted = model.fit(logits, y, sample_weight=weight, groups=groups).temperature_interval_
    rows = np.repeat(np.arange(N), weight)
    repeated = model.fit(logits[rows], y[rows], groups=groups[rows]).temperature_interval_
    np.testing.assert_allclose(weighted, repeated, rtol=1e-10)
    expected = clustered_error(logits, y, groups, model.temperature_, weight)
    assert error_of(model) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("method", ["decision_function", "predict_proba"])
def test_a_group_of_weight_0_counts_as_absent_whatever_it_holds(method):
    logits, y, groups = documents()
    kept = groups > 2
    spoilt = logits if method == "decision_function" else softmax(logits, axis=1)
    spoilt[~kept] = np.nan if method == "decision_function" else [1, 0, 0]
    model = TemperatureScaling(response_method=method)
    weighted = model.fit(spoilt, y, sample_weight=kept, groups=groups).temperature_interval_
    absent = model.fit(spoilt[kept], y[kept], groups=groups[kept]).temperature_interval_
    np.testing.assert_allclose(weighted, absent, rtol=1e-10)


def test_masked_classes_take_no_part():
    logits, y, groups = documents(n_classes=5)
    masked = logits.argmin(axis=1)
    y = np.where(y == masked, logits.argmax(axis=1), y)
    logits[np.arange(N), masked] = -np.inf
    model = TemperatureScaling().fit(logits, y, groups=groups)
    expected = clustered_error(logits, y, groups, model.temperature_)
    assert error_of(model) == pytest.approx(expected, rel=1e-6)


def test_fitted_smoothing_has_its_share_in_the_interval():
    # The oracle takes slopes and curvature of the joint objective by differences.
    logits, y, groups = documents()
    proba = np.round(softmax(logits / 2, axis=1) * 20)
    proba /= proba.sum(axis=1, keepdims=True)
    model = TemperatureScaling(response_method="predict_proba").fit(proba, y, groups=groups)
    eps = model.smoothing_
    x = np.array([-np.log(model.temperature_), np.log(eps / (1 - eps))])
    offsets = 1e-4 * np.eye(2)

    def losses(x):  # of each row
        z = np.log(proba + np.exp(x[1]) / K) * np.exp(x[0])
        return -log_softmax(z, axis=1)[np.arange(N), y]

    slopes = np.array([(losses(x + d) - losses(x - d)) / 2e-4 for d in offsets])
    objective = smoothing_objective(proba, y, None, 1.0)
    hessian = [
        [
            sum(a * b * objective(x + a * c + b * d) for a in (1, -1) for b in (1, -1)) / 4e-8
            for c in offsets
        ]
        for d in offsets
    ]
    totals = np.array([[s[groups == g].sum() for g in range(12)] for s in slopes])
    inverse = np.linalg.inv(hessian)
    meat = 12 / 11 * totals @ totals.T + np.diag([1, 1 / 4])
    expected = np.sqrt(max((inverse @ meat @ inverse)[0, 0], inverse[0, 0]))
    assert error_of(model) == pytest.approx(expected, rel=1e-4)
    assert error_of(model) > 1.2 * np.sqrt(inverse[0, 0])


@pytest.mark.parametrize(
    "as_labels",
    [
        list,
        lambda g: g.astype(float) / 7,
        lambda g: np.array(list("abcdefghijkl"))[g],
        lambda g: pd.Series(g, index=np.arange(N)[::-1]).astype("category"),
        lambda g: pd.Series(g).astype("string"),
        lambda g: np.datetime64("2020-01-01") + g,
        lambda g: mixed(g),
    ],
)
def test_labels_of_groups_may_be_of_any_type(as_labels):
    logits, y, groups = documents()
    expected = TemperatureScaling().fit(logits, y, groups=groups).temperature_interval_
    found = TemperatureScaling().fit(logits, y, groups=as_labels(groups)).temperature_interval_
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def mixed(groups):
    """Labels of types that cannot be sorted together."""
    labels = np.empty(N, dtype=object)
    labels[:] = [f"page {k}" if k % 2 else int(k) for k in groups]
    return labels


# Around an estimator.


class Echo(ClassifierMixin, BaseEstimator):
    """Its scores are the first columns of X, whatever it was fitted on; the last is the group."""

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        self.groups_ = set(X[:, -1])
        return self

    def decision_function(self, X):
        if len(X) < N:
            Echo.seen |= self.groups_ & set(X[:, -1])
        return X[:, :-1]


Echo.seen = set()


def features(logits, groups):
    Echo.seen = set()
    return np.c_[logits, groups]


def test_a_frozen_estimator_takes_groups_for_its_interval():
    logits, y, groups = documents()
    frozen = FrozenEstimator(Echo().fit(features(logits, groups), y))
    model = TemperatureScaling(frozen).fit(features(logits, groups), y, groups=groups)
    direct = TemperatureScaling().fit(logits, y, groups=groups)
    np.testing.assert_array_equal(model.temperature_interval_, direct.temperature_interval_)


@pytest.mark.parametrize("cv", [GroupKFold(4), StratifiedGroupKFold(4)])
def test_groups_stay_whole_in_the_folds_and_in_the_interval(cv):
    logits, y, groups = documents()
    model = TemperatureScaling(Echo(), cv=cv).fit(features(logits, groups), y, groups=groups)
    assert Echo.seen == set()
    direct = TemperatureScaling().fit(logits, y, groups=groups)
    np.testing.assert_array_equal(model.temperature_interval_, direct.temperature_interval_)


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_held_out_several_times_count_once_in_their_group(weighted):
    logits, y, groups = documents()
    given = np.random.default_rng(1).gamma(2, size=N) if weighted else np.ones(N)
    cv = GroupShuffleSplit(5, test_size=0.3, random_state=0)
    held_out = np.concatenate([test for _, test in cv.split(logits, y, groups)])
    times = np.bincount(held_out, minlength=N)
    assert times.min() == 0
    assert times.max() > 2
    weight = np.where(times > 0, given, 0)
    model = TemperatureScaling(Echo(), cv=cv).fit(
        features(logits, groups), y, sample_weight=given if weighted else None, groups=groups
    )
    expected = clustered_error(logits, y, groups, model.temperature_, weight)
    assert error_of(model) == pytest.approx(expected, rel=1e-6)


def test_each_pair_of_an_ensemble_has_the_interval_of_its_own_rows():
    logits, y, groups = documents()
    X = features(logits, groups)
    model = TemperatureScaling(Echo(), cv=GroupKFold(3), ensemble=True).fit(X, y, groups=groups)
    splits = GroupKFold(3).split(X, y, groups)
    for pair, (_, test) in zip(model.calibrated_classifiers_, splits, strict=True):
        direct = TemperatureScaling().fit(logits[test], y[test], groups=groups[test])
        np.testing.assert_array_equal(pair.calibrator.interval, direct.temperature_interval_)


def test_folds_that_ignore_groups_say_so_and_the_interval_does_not():
    logits, y, groups = documents()
    X = features(logits, groups)
    with pytest.warns(UserWarning, match="groups parameter is ignored by KFold"):
        model = TemperatureScaling(Echo(), cv=KFold(3)).fit(X, y, groups=groups)
    given = TemperatureScaling(Echo(), cv=list(KFold(3).split(X))).fit(X, y, groups=groups)
    direct = TemperatureScaling().fit(logits, y, groups=groups)
    for found in (model, given):
        np.testing.assert_array_equal(found.temperature_interval_, direct.temperature_interval_)


def test_a_chosen_temperature_gets_the_groups():
    logits, y, groups = documents()
    chosen = CalibratedClassifier(method="temperature").fit(logits, y, groups=groups)
    direct = TemperatureScaling().fit(logits, y, groups=groups)
    np.testing.assert_array_equal(chosen.temperature_interval_, direct.temperature_interval_)


@pytest.mark.parametrize(
    "calibrator",
    [c for c in CALIBRATORS if c is not TemperatureScaling],
)
@pytest.mark.parametrize("frozen", [False, True])
def test_calibrators_without_an_interval_take_groups_and_serve_the_same(calibrator, frozen):
    logits, y, groups = documents()
    estimator = FrozenEstimator(GaussianNB().fit(logits, y)) if frozen else None
    plain = calibrator(estimator).fit(logits, y).predict_proba(logits)
    named = calibrator(estimator).fit(logits, y, groups=groups).predict_proba(logits)
    np.testing.assert_array_equal(named, plain)


def test_a_pipeline_hands_groups_on_under_the_name_of_its_step():
    logits, y, groups = documents()
    pipeline = make_pipeline("passthrough", TemperatureScaling())
    pipeline.fit(logits, y, temperaturescaling__groups=groups)
    direct = TemperatureScaling().fit(logits, y, groups=groups)
    np.testing.assert_array_equal(pipeline[-1].temperature_interval_, direct.temperature_interval_)


def test_a_search_without_routing_keeps_groups_to_its_own_folds():
    # As scikit-learn has it: with metadata routing enabled they get through, see test_routing.
    logits, y, groups = documents()
    search = GridSearchCV(TemperatureScaling(), {"alpha": [1.0]}, cv=GroupKFold(3))
    search.fit(logits, y, groups=groups)
    plain = TemperatureScaling().fit(logits, y).temperature_interval_
    np.testing.assert_array_equal(search.best_estimator_.temperature_interval_, plain)


def test_groups_stay_away_from_the_estimator_without_routing():
    X, y, groups = documents()
    model = TemperatureScaling(LogisticRegression(), cv=GroupKFold(3)).fit(X, y, groups=groups)
    np.testing.assert_array_equal(model.estimator_.coef_, LogisticRegression().fit(X, y).coef_)


def test_the_plain_oracle_is_the_clustered_one_of_rows_alone():
    logits, y, _ = documents()
    plain = np.ptp(np.log(temperature_interval(logits, y, 2.0, alpha=1.0))) / 2 / 1.96
    assert clustered_error(logits, y, np.arange(N), 2.0) == pytest.approx(plain, rel=1e-12)
