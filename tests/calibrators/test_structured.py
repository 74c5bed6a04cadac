"""Structured scaling: the mixture that is served, its shares, and what must not change them."""

import os
import pickle
import subprocess
import sys
import tracemalloc
import warnings

import linear_oracles as oracle
import numpy as np
import pandas as pd
import pytest
from oracles import best_start
from scipy.special import log_softmax, softmax
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info

from skcalib import CalibratedClassifier, StructuredScaling, TemperatureScaling
from skcalib._kernels._coefficients import Penalties
from skcalib._kernels._linear_map import QUICK
from skcalib._response import Scores
from skcalib.calibrators._path_fitter import PathFitter
from skcalib.calibrators._rows import CalibrationRows
from skcalib.datasets import make_miscalibrated_logits

# Rows that uniform, own and the three maps begin with; of the order-keeping kind two.
PRIOR = np.array([0.1, 0.2, 0.5, 0.1, 0.05])
PRIOR_IN_ORDER = np.array([0.1, 0.2, 0.1, 0.5])


def world(n, seed=0, n_classes=4, truth=lambda z: z):
    """Logits, labels drawn from softmax(truth(logits)), and those probabilities."""
    rng = np.random.default_rng(seed)
    z = 2 * rng.standard_normal((n, n_classes))
    proba = softmax(truth(z), axis=1)
    return z, (np.log(proba) + rng.gumbel(size=z.shape)).argmax(axis=1), proba


def confused(n=300, seed=0, n_classes=4):
    """Class 1 is twice as often right as the model says, and half of 0 is called 2."""

    def truth(z):
        shifted = z / 1.5
        shifted[:, 1] += 0.7
        shifted[:, 0] += 1.2 * softmax(z, axis=1)[:, 2]
        return shifted

    return world(n, seed, n_classes, truth)


def cross_entropy(model, z, proba):
    """Expected log loss under the true probabilities: of labels nothing is left to chance."""
    served = model if isinstance(model, np.ndarray) else model.predict_proba(z)
    return -(proba * np.log(served)).sum(axis=1).mean()


# What is served.


def served_by_formulas(model, scores):
    """The mixture, from coefficients and weights alone; scores as logits."""
    path, K = model.calibrator_.path, scores.shape[1]
    share = path.start.uniform_share
    p = (1 - share) * softmax(scores / model.temperature_, axis=1) + share / K
    z, H = np.log(p), -(p * np.log(p)).sum(axis=1, keepdims=True)
    features = [z, p, np.log(p + 1 / (10 * K)), H * z]
    members = [np.full(scores.shape, 1 / K), softmax(scores, axis=1)]
    for a, v, b, C, M in path.maps:
        L = z.copy()
        if a is not None:
            L += sum(a[m] * features[m] / path.spreads[m] for m in range(4))
        if v is not None:
            L += v * z
        if b is not None:
            L += b
        if C is not None:
            L += p @ C.T
        if M is not None:
            assert (np.diag(M) == 0).all()
            L += z @ M.T
        members.append(softmax(L, axis=1))
    return np.tensordot(model.weights_, members, 1)


@pytest.mark.parametrize("parameters", [{}, {"max_cost": 0}, {"accuracy_preserving": True}])
@pytest.mark.parametrize("n_classes", [2, 3, 10, 40])
def test_the_mixture_is_that_of_its_formulas(n_classes, parameters):
    z, y, _ = confused(150, n_classes=max(n_classes, 3))
    z, y = z[y < n_classes, :n_classes], y[y < n_classes]
    model = StructuredScaling(classes=range(n_classes), **parameters).fit(z, y)
    expected = served_by_formulas(model, z)
    np.testing.assert_allclose(model.predict_proba(z), expected, rtol=1e-9)
    np.testing.assert_allclose(model.predict_log_proba(z), np.log(expected), rtol=0, atol=1e-9)
    assert model.calibrator_.path.start.uniform_share == pytest.approx(1 / (len(y) + 1))
    assert model.temperature_ == pytest.approx(best_start(z, y, alpha=1), rel=1e-6)
    start = oracle.starting(z, model.temperature_, 1 / (len(y) + 1))
    np.testing.assert_allclose(model.calibrator_.path.spreads, oracle.spreads(start), rtol=1e-9)


def test_probabilities_are_smoothed_before_the_maps_and_not_by_themselves():
    z, y, _ = confused()
    proba = softmax(z, axis=1)
    model = StructuredScaling(response_method="predict_proba", smoothing=0.03).fit(proba, y)
    assert model.smoothing_ == pytest.approx(0.03)
    smoothed = np.log(0.97 * proba + 0.03 / 4)
    path = model.calibrator_.path
    assert model.temperature_ == pytest.approx(best_start(smoothed, y, alpha=1), rel=1e-6)
    only = StructuredScaling(response_method="predict_proba", smoothing=0.03).fit(proba, y)
    # With all the weight on one member that member is what is served.
    for share, expected in (
        (np.eye(5)[0], np.full(proba.shape, 1 / 4)),
        (np.eye(5)[1], proba),
    ):
        object.__setattr__(only.calibrator_, "shares", share)
        np.testing.assert_allclose(only.predict_proba(proba), expected, rtol=1e-9)
    assert path.start.temperature == model.temperature_


# Shares.


def dealt(z, y, n_folds):
    """Folds: rows in the order of their class's total loss and of their own get a number each, and
    are dealt out in the order of these numbers, class after class.
    """
    loss = -log_softmax(z, axis=1)[np.arange(len(y)), y]
    total = np.array([loss[y == k].sum() for k in range(z.shape[1])])
    number, folds = np.empty(len(y)), np.empty(len(y), dtype=int)
    in_order = sorted(range(len(y)), key=lambda i: (total[y[i]], loss[i]))
    number[in_order] = np.random.default_rng(0).random(len(y))
    shuffled = sorted(range(len(y)), key=lambda i: (total[y[i]], number[i]))
    folds[shuffled] = np.arange(len(y)) % n_folds
    return folds


def penalties_at(t, n_classes):
    """Step 4 of the method: 3 |a|^2 + t K |v|^2 + t |C|^2 + 10 t^2 K (K - 1) |M|^2."""
    K = n_classes
    return Penalties(shared=3, stretch=t * K, belief=t, matrix=10 * t**2 * K * (K - 1))


def held_out(z, y, fit, n_folds, weight=None):
    """What members say of rows in folds they were not fitted on, from their formulas."""
    densities = np.empty((len(y), 2 + len(fit.penalties)))
    K, folds = z.shape[1], dealt(z, y, n_folds)
    for fold in range(n_folds):
        rows, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        scores = Scores(z, "decision_function", "X")
        path = fit(CalibrationRows(scores, y, np.arange(K), weight).at(rest)).path
        start = oracle.starting(z[rows], path.start.temperature, path.start.uniform_share)
        features = oracle.shared_features(start)
        label = np.arange(len(rows)), y[rows]
        densities[rows, 0] = 1 / K
        densities[rows, 1] = softmax(z[rows], axis=1)[label]
        for m, (a, v, _, C, M) in enumerate(path.maps):
            L = start.z.copy()
            if a is not None:
                L += np.tensordot(a / path.spreads, features, 1)
            if v is not None:
                L += v * start.z + start.p @ C.T + start.z @ M.T
            densities[rows, 2 + m] = softmax(L, axis=1)[label]
    return densities


def test_shares_are_those_of_an_independent_mixture_of_held_out_rows():
    z, y, _ = confused(150)
    model = StructuredScaling().fit(z, y)
    # 200 / 150 is more than 1, and 30 / 150 is .2.
    np.testing.assert_allclose(model.strengths_, [3, 1, 0.2])
    fit = PathFitter(tuple(penalties_at(t, 4) for t in (3, 1, 0.2)), 1.0, "auto", search=QUICK)
    densities = held_out(z, y, fit, 10)
    expected = oracle.best_mixture(densities, None, PRIOR)
    np.testing.assert_allclose(model.weights_, expected, rtol=0, atol=2e-3)
    assert model.weights_.sum() == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(model.member_cv_losses_, -np.log(densities).mean(axis=0), rtol=1e-7)
    mixed = -np.log(densities @ model.weights_).mean()
    assert model.cv_loss_ == pytest.approx(mixed, rel=1e-7)
    assert model.cv_loss_ <= model.member_cv_losses_.min()
    assert model.left_out_ == ()


def test_shares_of_the_order_keeping_kind_and_weighted_rows():
    z, y, _ = confused(150)
    weight = np.random.default_rng(3).gamma(2, size=150)
    model = StructuredScaling(accuracy_preserving=True).fit(z, y, sample_weight=weight)
    np.testing.assert_array_equal(model.strengths_, [np.inf, 3])
    fit = PathFitter((Penalties(), Penalties(shared=3)), 1.0, "auto", monotone=True, search=QUICK)
    densities = held_out(z, y, fit, 10, weight)
    expected = oracle.best_mixture(densities, weight, PRIOR_IN_ORDER)
    np.testing.assert_allclose(model.weights_, expected, rtol=0, atol=2e-3)
    losses = -np.average(np.log(densities), axis=0, weights=weight)
    np.testing.assert_allclose(model.member_cv_losses_, losses, rtol=1e-7)
    assert (model.calibrator_.path.maps[1].shared >= 0).all()


@pytest.mark.parametrize(
    ("n", "strengths"),
    [(100, [3, 1, 0.2]), (400, [3, 0.5, 0.075]), (1000, [3, 0.2, 0.03])],
)
def test_the_weaker_maps_weaken_as_rows_come_in(n, strengths):
    z, y, _ = world(n, n_classes=3)
    np.testing.assert_allclose(StructuredScaling().fit(z, y).strengths_, strengths)


# Where the answer is known.


def excess(truth, n=500, seeds=range(3)):
    """Expected log loss beyond that of the true probabilities, as a share of it, in each seed."""
    found = []
    for seed in seeds:
        z, y, _ = world(n, seed, truth=truth)
        test_z, _, proba = world(20_000, 100 + seed, truth=truth)
        best = cross_entropy(proba, test_z, proba)
        found.append(cross_entropy(StructuredScaling().fit(z, y), test_z, proba) / best - 1)
    return np.array(found)


def test_a_calibrated_model_is_left_as_it_is():
    assert excess(lambda z: z).mean() < 0.01


@pytest.mark.parametrize("prior", [[0.25, 0.25, 0.25, 0.25], [0.7, 0.1, 0.1, 0.1]])
def test_scores_that_say_nothing_give_way_to_the_base_rate(prior):
    z, y, _ = world(500, truth=lambda z: np.log(np.broadcast_to(prior, z.shape)))
    test_z, _, proba = world(20_000, 1, truth=lambda z: np.log(np.broadcast_to(prior, z.shape)))
    entropy = -np.sum(prior * np.log(prior))
    loss = cross_entropy(StructuredScaling().fit(z, y), test_z, proba)
    assert loss < 1.03 * entropy
    if prior[0] > 0.25:  # which no temperature can know
        assert loss < 0.75 * cross_entropy(TemperatureScaling().fit(z, y), test_z, proba)


# Labels as sharp as those of .4 have little loss to begin with, .35 of 1.39.
@pytest.mark.parametrize(
    ("temperature", "most"), [(0.4, 0.03), (0.6, 0.02), (1.5, 0.01), (2.5, 0.01)]
)
def test_a_temperature_that_is_wrong_is_put_right(temperature, most):
    assert excess(lambda z: z / temperature).mean() < most


def shifted(z):
    return z + np.log([4, 1, 1, 0.25])


def swapped(z):
    """Half of what the model gives class 0 belongs to class 1."""
    p = softmax(z, axis=1)
    p[:, 1] += p[:, 0] / 2
    p[:, 0] /= 2
    return np.log(p)


@pytest.mark.parametrize("truth", [shifted, swapped])
def test_a_shift_or_a_confusion_of_classes_is_learned(truth):
    z, y, _ = world(1000, truth=truth)
    test_z, _, proba = world(20_000, 1, truth=truth)
    structured, temperature = (
        cross_entropy(model.fit(z, y), test_z, proba)
        for model in (StructuredScaling(), TemperatureScaling())
    )
    best = cross_entropy(proba, test_z, proba)
    assert structured < 1.02 * best
    # Of what temperature loses at least four fifths are won back.
    assert structured - best < 0.2 * (temperature - best)


# The order of classes.


def ranks_are_kept(scores, proba):
    """Whether a larger score never has the smaller probability."""
    order = np.argsort(scores, axis=1, kind="stable")
    return (np.diff(np.take_along_axis(proba, order, axis=1), axis=1) >= -1e-15).all()


@pytest.mark.parametrize("case", ["confused", "misleading", "large", "one class"])
def test_where_accuracy_must_stay_the_order_of_classes_does(case):
    z, y, _ = confused(200)
    z = {"misleading": -z, "large": 300 * z}.get(case, z)
    y = np.zeros(200, dtype=int) if case == "one class" else y
    model = StructuredScaling(accuracy_preserving=True, classes=range(4)).fit(z, y)
    far = np.r_[z, 50 * z, z / 50, np.round(z)]
    assert ranks_are_kept(far, model.predict_proba(far))
    np.testing.assert_array_equal(model.predict(far), far.argmax(axis=1))
    np.testing.assert_array_equal(model.strengths_, [np.inf, 3])
    assert model.weights_.shape == (4,)
    assert "accuracy_preserving=True" in model.left_out_[0]


def test_tied_scores_have_equal_probabilities_where_accuracy_must_stay():
    z, y, _ = confused(200)
    model = StructuredScaling(accuracy_preserving=True).fit(np.round(z), y)
    tied = np.array([[1.0, 1, 0, 0], [0, 2, 2, 2], [3, 3, 3, 3], [-1, 5, 0, 5]])
    proba = model.predict_proba(tied)
    for row, p in zip(tied, proba, strict=True):
        for score in np.unique(row):
            np.testing.assert_allclose(p[row == score], p[row == score][0], rtol=1e-14)
    np.testing.assert_array_equal(model.predict(tied), [0, 1, 0, 1])


def test_probabilities_keep_their_order_too():
    z, y, _ = confused(200)
    proba = softmax(2 * z, axis=1).round(2)
    proba /= proba.sum(axis=1, keepdims=True)
    model = StructuredScaling(accuracy_preserving=True, response_method="predict_proba")
    served = model.fit(proba, y).predict_proba(proba)
    assert ranks_are_kept(proba, served)
    np.testing.assert_array_equal(model.predict(proba), proba.argmax(axis=1))


def test_without_it_predictions_change_for_the_better():
    z, y, _ = world(1000, truth=shifted)
    test_z, test_y, _ = world(20_000, 1, truth=shifted)
    model = StructuredScaling().fit(z, y)
    np.testing.assert_array_equal(model.predict(test_z), model.predict_proba(test_z).argmax(axis=1))
    raw = np.mean(test_z.argmax(axis=1) == test_y)
    assert np.mean(model.predict(test_z) == test_y) > raw + 0.02


# Groups.


def speakers(seed, n_speakers, n_each, n_classes=8):
    """Each says two words only, and the model hears all of a speaker's with one bias."""
    rng = np.random.default_rng(seed)
    scores, labels, groups = [], [], []
    for speaker in range(n_speakers):
        y = rng.choice(rng.choice(n_classes, 2, replace=False), n_each)
        z = rng.standard_normal((n_each, n_classes)) + rng.standard_normal(n_classes)
        z[np.arange(n_each), y] += 1.5
        scores.append(z)
        labels.append(y)
        groups.append(np.full(n_each, speaker))
    return np.concatenate(scores), np.concatenate(labels), np.concatenate(groups)


@pytest.mark.parametrize("seed", range(2))
def test_whole_groups_are_held_out_where_unseen_ones_are_to_come(seed):
    z, y, groups = speakers(seed, 10, 40)
    test_z, test_y, _ = speakers(100 + seed, 200, 20)
    models = [
        StructuredScaling(classes=range(8), unseen_groups=unseen).fit(z, y, groups=groups)
        for unseen in (False, True)
    ]
    losses = [
        -np.log(m.predict_proba(test_z)[np.arange(len(test_y)), test_y]).mean() for m in models
    ]
    # Rows of a speaker betray each other: held out one by one they seem to be known well.
    assert losses[1] < 0.8 * losses[0]
    assert models[0].cv_loss_ < 0.7 * losses[0]
    assert models[1].cv_loss_ == pytest.approx(losses[1], rel=0.25)


def test_groups_are_only_read_where_they_are_to_be():
    z, y, groups = speakers(0, 6, 20)
    plain, named = (StructuredScaling(classes=range(8)).fit(z, y, groups=g) for g in (None, groups))
    np.testing.assert_array_equal(plain.predict_proba(z), named.predict_proba(z))
    with pytest.raises(ValueError, match=r"unseen_groups=True .* pass groups to fit"):
        StructuredScaling(classes=range(8), unseen_groups=True).fit(z, y)
    every_row = StructuredScaling(classes=range(8), unseen_groups=True)
    assert every_row.fit(z, y, groups=np.arange(120)).left_out_ == ()


@pytest.mark.parametrize("preserving", [False, True])
def test_one_group_leaves_the_prior_shares(preserving):
    z, y, _ = confused(100)
    model = StructuredScaling(unseen_groups=True, accuracy_preserving=preserving)
    model.fit(z, y, groups=["a"] * 100)
    prior = PRIOR_IN_ORDER if preserving else PRIOR
    np.testing.assert_allclose(model.weights_, prior / prior.sum(), rtol=1e-12)
    assert "all rows are of one group" in model.left_out_[-1]
    assert np.isnan(model.cv_loss_)
    assert np.isnan(model.member_cv_losses_).all()


def test_rows_of_weight_0_make_no_group():
    z, y, _ = confused(100)
    groups, weight = np.arange(100) % 2, (np.arange(100) % 2).astype(float)
    model = StructuredScaling(unseen_groups=True).fit(z, y, sample_weight=weight, groups=groups)
    assert "all rows are of one group" in model.left_out_[-1]


# What is left out.


def test_beyond_max_cost_each_class_has_a_bias():
    z, y, _ = confused(100)
    model = StructuredScaling(max_cost=1599).fit(z, y)
    (said,) = model.left_out_
    assert "n_samples * n_classes**2 = 1.6e+03 is above max_cost=1.6e+03" in said
    for coefficients in model.calibrator_.path.maps:
        assert coefficients.belief is None
        assert coefficients.matrix is None
        assert coefficients.bias.shape == (4,)
    at = StructuredScaling(max_cost=1600).fit(z, y)
    assert at.left_out_ == ()
    assert all(c.bias is None and c.matrix.shape == (4, 4) for c in at.calibrator_.path.maps)


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_few_rows_have_the_prior_shares(n):
    z, y, _ = confused(n)
    model = StructuredScaling(classes=range(4)).fit(z, y)
    np.testing.assert_allclose(model.weights_, PRIOR / PRIOR.sum(), rtol=1e-12)
    assert f"{n} rows are too few" in model.left_out_[0]
    assert np.isnan(model.cv_loss_)
    proba = model.predict_proba(100 * z)
    assert np.isfinite(proba).all()
    assert (proba > 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("preserving", [False, True])
@pytest.mark.parametrize(
    "case", ["one class", "constant", "separable", "wrong", "one row", "huge", "tiny"]
)
def test_rows_that_leave_things_open_are_answered_without_noise(case, preserving, dtype):
    z, y, _ = confused(40)
    onehot = np.eye(4)[y]
    X = {"constant": 0 * z + 5, "separable": 9 * onehot, "wrong": -9 * onehot}.get(case, z)
    X = X * {"huge": 1e8, "tiny": 1e-8}.get(case, 1)
    y = np.full(40, 2) if case == "one class" else y
    X, y = (X[:1], y[:1]) if case == "one row" else (X, y)
    model = StructuredScaling(classes=range(4), accuracy_preserving=preserving)
    with np.errstate(all="raise"):
        proba = model.fit(X.astype(dtype), y).predict_proba(X.astype(dtype))
    assert proba.dtype == dtype
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    assert (proba > 0).all()
    assert -np.log(proba[np.arange(len(y)), y]).mean() < 1.1 * np.log(4)


# What must not change the answer.


def forest_votes(seed=0):
    """Probabilities of ten votes each, many alike and many zero, and labels."""
    rng = np.random.default_rng(seed)
    proba = rng.multinomial(10, rng.dirichlet(np.full(5, 0.4), size=200)) / 10
    return proba, np.array([rng.choice(5, p=0.8 * p + 0.04) for p in proba])


@pytest.mark.parametrize("kind", ["logits", "votes", "whole numbers"])
def test_neither_rows_nor_classes_need_an_order(kind):
    proba, y = forest_votes()
    z, declared = proba, {"response_method": "predict_proba"}
    if kind != "votes":
        z, y, _ = confused(200, n_classes=5)
        z, declared = np.round(z) if kind == "whole numbers" else z, {}
    rng = np.random.default_rng(1)
    model = StructuredScaling(classes=range(5), **declared)
    expected = model.fit(z, y).predict_proba(z)
    rows, columns = rng.permutation(200), rng.permutation(5)
    np.testing.assert_allclose(
        model.fit(z[rows], y[rows]).predict_proba(z), expected, rtol=0, atol=1e-9
    )
    found = model.fit(z[:, columns], np.argsort(columns)[y]).predict_proba(z[:, columns])
    np.testing.assert_allclose(found, expected[:, columns], rtol=0, atol=1e-6)


def test_a_constant_added_to_a_row_changes_nothing():
    z, y, _ = confused(150)
    z = np.round(z * 64) / 64
    moved = z + np.random.default_rng(0).integers(-1000, 1000, (150, 1))
    expected = StructuredScaling().fit(z, y).predict_proba(z)
    found = StructuredScaling().fit(moved, y).predict_proba(moved)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", ["decision_function", "predict_proba"])
def test_rows_of_weight_0_are_absent_whatever_they_hold(method):
    z, y, _ = confused(150)
    X = z if method == "decision_function" else softmax(z, axis=1)
    kept = np.arange(150) % 3 > 0
    spoilt = X.copy()
    spoilt[~kept] = np.nan if method == "decision_function" else [0, 0, 0, 1]
    model = StructuredScaling(response_method=method)
    expected = model.fit(X[kept], y[kept]).predict_proba(X)
    found = model.fit(spoilt, y, sample_weight=kept).predict_proba(X)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_whole_weights_are_repetition_but_for_folds_which_keep_a_row_whole():
    z, y, _ = confused(300)
    weight = np.random.default_rng(0).integers(1, 3, 300)
    weighted = StructuredScaling().fit(z, y, sample_weight=weight)
    repeated = StructuredScaling().fit(np.repeat(z, weight, axis=0), np.repeat(y, weight))
    assert weighted.temperature_ == pytest.approx(repeated.temperature_, rel=1e-9)
    np.testing.assert_allclose(weighted.strengths_, repeated.strengths_)
    paths = weighted.calibrator_.path, repeated.calibrator_.path
    np.testing.assert_allclose(paths[0].spreads, paths[1].spreads, rtol=1e-9)
    for one, other in zip(paths[0].maps, paths[1].maps, strict=True):
        for name in ("shared", "stretch", "belief", "matrix"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-6)
    # What is left of the difference favours whole rows: copies betray each other.
    test_z, _, proba = confused(20_000, 1)
    best = cross_entropy(proba, test_z, proba)
    losses = [cross_entropy(model, test_z, proba) for model in (weighted, repeated)]
    assert losses[0] < losses[1] < losses[0] + 0.01
    assert losses[0] < 1.03 * best


def test_all_weights_of_one_are_none():
    z, y, _ = confused(150)
    plain = StructuredScaling().fit(z, y)
    weighted = StructuredScaling().fit(z, y, sample_weight=np.ones(150))
    np.testing.assert_allclose(weighted.weights_, plain.weights_, rtol=1e-6)
    np.testing.assert_allclose(weighted.predict_proba(z), plain.predict_proba(z), atol=1e-8)


@pytest.mark.parametrize("form", ["float32", "float16", "fortran", "mapped", "frame", "strided"])
def test_no_form_of_scores_changes_the_answer(form, tmp_path):
    z, y, _ = confused(150)
    z = np.round(z * 8) / 8  # exact in float16
    expected = StructuredScaling().fit(z, y).predict_proba(z)
    if form == "mapped":
        np.save(tmp_path / "z.npy", z)
        X = np.load(tmp_path / "z.npy", mmap_mode="r")
    else:
        X = {
            "float32": lambda: z.astype(np.float32),
            "float16": lambda: z.astype(np.float16),
            "fortran": lambda: np.asfortranarray(z),
            "frame": lambda: pd.DataFrame(z),
            "strided": lambda: np.repeat(np.repeat(z, 2, axis=0), 3, axis=1)[::2, ::3],
        }[form]()
    proba = StructuredScaling().fit(X, y).predict_proba(X)
    narrow = form in ("float32", "float16")
    assert proba.dtype == (np.float32 if narrow else np.float64)
    np.testing.assert_allclose(proba, expected, rtol=0, atol=2e-6 if narrow else 1e-9)


def test_declared_zeros_are_estimates_and_served_above_zero():
    proba, y = forest_votes()
    model = StructuredScaling(response_method="predict_proba").fit(proba, y)
    assert (proba == 0).mean() > 0.2
    served = model.predict_proba(proba)
    assert served.min() > 0
    loss = -np.log(served[np.arange(200), y]).mean()
    assert loss < np.log(5)
    assert model.smoothing_ > 0
    with np.errstate(divide="ignore"):
        logs = np.log(proba)
    by_logs = StructuredScaling(response_method="predict_log_proba").fit(logs, y)
    np.testing.assert_allclose(by_logs.predict_proba(logs), served, rtol=0, atol=1e-6)


def test_log_probabilities_without_smoothing_are_logits():
    z, y, _ = confused(150)
    logs = log_softmax(z, axis=1)
    model = StructuredScaling(response_method="predict_log_proba", smoothing=0).fit(logs, y)
    expected = StructuredScaling().fit(z, y).predict_proba(z)
    np.testing.assert_allclose(model.predict_proba(logs), expected, rtol=0, atol=1e-6)


def test_masked_classes_stay_masked_and_out_of_uniforms_share():
    z, y, _ = confused(200)
    masked = np.random.default_rng(0).random(z.shape) < 0.3
    masked[np.arange(200), y] = False
    z[masked] = -np.inf
    model = StructuredScaling().fit(z, y)
    proba = model.predict_proba(z)
    np.testing.assert_array_equal(proba[masked], 0)
    assert (proba[~masked] > 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    alone = z[:1].copy()
    alone[0] = [-np.inf, -np.inf, 3, -np.inf]
    np.testing.assert_allclose(model.predict_proba(alone), [[0, 0, 1, 0]], rtol=1e-15)


@pytest.mark.parametrize("form", ["strings", "series", "categorical", "large integers"])
def test_labels_of_every_type_give_the_same_answer(form):
    z, y, _ = confused(150)
    names = np.array([7, 80, 900, 10_000] if form == "large integers" else [*"abcd"])
    labels = names[y]
    if form == "series":
        labels = pd.Series(labels, index=np.arange(150)[::-1])
    elif form == "categorical":
        labels = pd.Series(pd.Categorical(labels, categories=[*"dcba"]))
    model = StructuredScaling().fit(z, labels)
    plain = StructuredScaling().fit(z, y)
    np.testing.assert_array_equal(model.predict_proba(z), plain.predict_proba(z))
    np.testing.assert_array_equal(model.predict(z), names[plain.predict(z)])


def test_classes_never_seen_keep_a_small_probability():
    z, y, _ = confused(300)
    seen = y < 2
    model = StructuredScaling(classes=range(4)).fit(z[seen], y[seen])
    proba = model.predict_proba(z)
    assert proba.shape == (300, 4)
    assert (proba > 0).all()
    assert proba[:, 2:].sum(axis=1).mean() < 0.15
    assert softmax(z, axis=1)[:, 2:].sum(axis=1).mean() > 0.3


def test_two_classes_come_as_one_column():
    z, y, _ = world(200, n_classes=2, truth=lambda z: z / 2 + [0, 1])
    d = z[:, 1] - z[:, 0]
    both = StructuredScaling().fit(z, y).predict_proba(z)
    one = StructuredScaling().fit(d, y)
    np.testing.assert_allclose(one.predict_proba(d), both, rtol=0, atol=1e-9)
    assert one.decision_function(d).shape == (200,)


# Large scores.


def test_many_classes_take_little_memory_and_a_bias():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((400, 1000), dtype=np.float32)
    y = z[:, :50].argmax(axis=1)
    model = StructuredScaling(classes=range(1000), max_cost=1e8)
    tracemalloc.start()
    model.fit(z, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 2**20  # of which coefficients between pairs would take 48
    assert "max_cost" in model.left_out_[0]
    assert model.predict_proba(z[:5]).dtype == np.float32


LARGE = """
import resource, sys
import numpy as np
from skcalib import StructuredScaling
n, n_classes = int(sys.argv[1]), int(sys.argv[2])
z = np.random.default_rng(0).standard_normal((n, n_classes), dtype=np.float32)
y = z[:, :50].argmax(axis=1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
proba = StructuredScaling(classes=range(n_classes)).fit(z, y).predict_proba(z[:100])
assert np.isfinite(proba).all() and (proba > 0).all()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("n", "n_classes", "mebibytes"), [(2000, 1000, 512), (100, 20_000, 1024)])
def test_large_scores_are_fitted_in_bounded_memory(n, n_classes, mebibytes):
    command = [sys.executable, "-c", LARGE, str(n), str(n_classes)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr == ""
    assert int(done.stdout) < mebibytes


# Threads.

IN_THREADS = """
import time
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits
import skcalib.calibrators._structured as structured
from skcalib import StructuredScaling
from skcalib.datasets import make_miscalibrated_logits

def limits():
    return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]

def fit(problem):
    return StructuredScaling().fit(*problem).predict_proba(problem[0])

problems = [make_miscalibrated_logits(60, 4, temperature=2, random_state=k) for k in range(8)]
before = limits()
assert set(before) == {2}, before
began = time.perf_counter()
expected = [fit(problem) for problem in problems]
one_by_one = time.perf_counter() - began
assert limits() == before

pool = ThreadPoolExecutor(8)  # its threads outlive the fits
for _ in range(2):
    began = time.perf_counter()
    found = list(pool.map(fit, problems))
    at_once = time.perf_counter() - began
    for one, other in zip(found, expected):
        np.testing.assert_array_equal(one, other)
    assert limits() == before
    # 15 times as long with two BLAS threads for each.
    assert at_once < 5 * one_by_one, (at_once, one_by_one)

real = structured.held_out_densities
for error in (ValueError, KeyboardInterrupt):
    def fail(*args, **kwargs):
        assert set(limits()) == {1}
        raise error("stopped")
    structured.held_out_densities = fail
    for run in (fit, lambda problem: pool.submit(fit, problem).result()):
        try:
            run(problems[0])
        except error as raised:
            assert str(raised) == "stopped"
        assert limits() == before
structured.held_out_densities = real

# Nor does a fit keep others from setting limits of their own.
for run in (lambda work: work(), lambda work: pool.submit(work).result()):
    def work():
        with threadpool_limits(1, user_api="blas"):
            assert set(limits()) == {1}
    run(work)
    assert limits() == before
"""


@pytest.mark.slow
def test_fits_in_threads_give_the_same_at_no_cost_and_restore_the_limit_of_blas():
    if not [info for info in threadpool_info() if info["internal_api"] == "openblas"]:
        pytest.skip("the number of threads is set for OpenBLAS")
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", IN_THREADS],
        capture_output=True,
        text=True,
        env=environment | {"OPENBLAS_NUM_THREADS": "2"},
    )
    assert done.stderr == ""


# A citizen of scikit-learn.


def test_a_fitted_mixture_survives_pickling_and_is_cloned_without_it():
    z, y, _ = confused(100)
    model = StructuredScaling(max_cost=10, smoothing=0.1).fit(z, y)
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(other.predict_proba(z), model.predict_proba(z))
    assert other.left_out_ == model.left_out_
    cloned = clone(model)
    assert cloned.get_params() == model.get_params()
    assert [name for name in vars(cloned) if name.endswith("_")] == []
    assert cloned.set_params(accuracy_preserving=True).get_params()["accuracy_preserving"]


def test_a_search_chooses_whether_accuracy_must_stay():
    z, y, _ = world(300, truth=shifted)
    search = GridSearchCV(
        StructuredScaling(), {"accuracy_preserving": [False, True]}, scoring="neg_log_loss", cv=2
    ).fit(z, y)
    assert search.best_params_ == {"accuracy_preserving": False}
    by_name = GridSearchCV(
        CalibratedClassifier(),
        {"method": ["structured", "temperature"]},
        scoring="neg_log_loss",
        cv=2,
    ).fit(z, y)
    assert by_name.best_params_ == {"method": "structured"}


def test_no_warning_comes_from_a_usual_fit():
    z, y = make_miscalibrated_logits(200, 4, temperature=3, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        StructuredScaling().fit(z, y).predict_proba(z)
    assert caught == []
