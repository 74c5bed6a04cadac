import dataclasses
import itertools
import json
import pickle
import re
from pathlib import Path

import decomposition_oracles as oracles
import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, PredefinedSplit, RepeatedKFold, ShuffleSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcalib import CalibratedClassifier, TemperatureScaling
from skcalib.metrics import ScoreDecomposition, brier_score, score_decomposition
from skcalib.metrics._log_loss import log_loss

DATA = Path(__file__).parents[1] / "data"
KNOWN = json.loads((DATA / "known_answers.json").read_text(encoding="utf-8"))
CASES = {case["id"]: case for case in KNOWN["cases"]}
FIELDS = {
    "score": "score",
    "mcb": "miscalibration",
    "rel": "miscalibration",
    "dsc": "discrimination",
    "res": "discrimination",
    "unc": "uncertainty",
}
SCORES = {"brier": oracles.brier, "log_loss": oracles.log_loss}


def parts_of(decomposition):
    """The five numbers, in the order of the oracles."""
    return dataclasses.astuple(decomposition)[:5]


def problem(n_classes=3, n=120):
    """Labels, probabilities with ties that are multiples of 1/64 or near, weights with zeros."""
    rng = np.random.default_rng(n_classes)
    truth = rng.dirichlet(np.full(n_classes, 0.7), n)
    proba = (1 + rng.multinomial(63, truth)) / (63 + n_classes)
    y = (rng.random((n, 1)) > truth.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return y, proba, rng.integers(0, 4, n)


def overconfident(temperature, n=10_000, n_classes=4, seed=0):
    """Labels, the probabilities that made them, and those sharpened or flattened by a power."""
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet(np.ones(n_classes), n)
    y = (rng.random((n, 1)) > truth.cumsum(axis=1)[:, :-1]).sum(axis=1)
    power = truth ** (1 / temperature)
    return y, truth, power / power.sum(axis=1, keepdims=True)


def events(y, proba, kind):
    """Probabilities and events of each column."""
    if kind == "confidence":
        return [(proba.max(axis=1), proba.argmax(axis=1) == y)]
    columns = [1] if kind == "positive" else range(proba.shape[1])
    return [(proba[:, k], y == k) for k in columns]


@pytest.mark.parametrize("case", [c for c in CASES if "corp_" in c])
def test_corp_gives_the_known_answers(case):
    score, part, weighted = re.fullmatch(r"D/corp_(\w+?)_([a-z]{3,5})(_weighted)?", case).groups()
    given = KNOWN["inputs"]["D"]
    parts = score_decomposition(
        given["y"],
        given["p"],
        score={"brier": "brier", "logloss": "log_loss"}[score],
        sample_weight=given["w"] if weighted else None,
    )
    found = getattr(parts, FIELDS[part])
    assert found == pytest.approx(CASES[case]["expected"], abs=CASES[case]["tol"])


@pytest.mark.parametrize("case", [c for c in CASES if "murphy_" in c])
def test_bins_give_the_known_answers(case):
    given = KNOWN["inputs"]["M"]
    parts = score_decomposition(given["y"], given["p"], method="murphy", n_bins=10)
    found = getattr(parts, FIELDS[case[-3:]])
    assert found == pytest.approx(CASES[case]["expected"], abs=CASES[case]["tol"])
    assert parts.within_bin == pytest.approx(0, abs=1e-15)


def test_the_patterns_find_every_case():
    assert len([c for c in CASES if "corp_" in c]) == 16
    assert len([c for c in CASES if "murphy_" in c]) == 3


def test_a_log_loss_is_split_as_by_hand():
    # Pooled: 0, 1/2, 1/2, 1. Their log loss is log(2) in half of the rows.
    parts = score_decomposition([0, 1, 0, 1], [0.2, 0.6, 0.6, 0.8], score="log_loss")
    score = -np.log([0.8, 0.6, 0.4, 0.8]).mean()
    expected = score, score - np.log(2) / 2, np.log(2) / 2, np.log(2), 0
    assert parts_of(parts) == pytest.approx(expected, abs=1e-15)
    assert parts.refinement == pytest.approx(np.log(2) / 2)


def test_bins_are_split_as_by_hand():
    # (0, .5]: .1 and .3 without, .5 with; (.5, 1]: .6 with. Means .3 and .6, frequencies 1/3 and 1.
    parts = score_decomposition([0, 0, 1, 1], [0.1, 0.3, 0.5, 0.6], method="murphy", n_bins=2)
    score = (0.01 + 0.09 + 0.25 + 0.16) / 4
    reliability = (3 * (0.3 - 1 / 3) ** 2 + (0.6 - 1) ** 2) / 4
    resolution = (3 * (1 / 3 - 0.5) ** 2 + (1 - 0.5) ** 2) / 4
    within = (0.04 + 0 + 0.04) / 4 - 2 * (0.2 / 3 + 0.2 * 2 / 3) / 4
    assert parts_of(parts) == pytest.approx((score, reliability, resolution, 0.25, within))


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("kind", ["class", "confidence"])
@pytest.mark.parametrize("weighted", [False, True])
def test_corp_is_that_of_exact_arithmetic(score, kind, weighted):
    y, proba, weight = problem()
    weight = weight if weighted else None
    parts = score_decomposition(y, proba, score=score, kind=kind, sample_weight=weight)
    expected = np.sum(
        [
            oracles.corp(oracles.rows_of(p, happened, weight), SCORES[score])
            for p, happened in events(y, proba, kind)
        ],
        axis=0,
    )
    assert parts_of(parts)[:4] == pytest.approx(expected, abs=1e-13)
    assert parts.within_bin == 0


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("kind", ["class", "confidence"])
@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("weighted", [False, True])
def test_bins_are_those_of_exact_arithmetic(score, kind, strategy, weighted):
    y, proba, weight = problem()
    weight = weight if weighted else None
    options = {"score": score, "kind": kind, "strategy": strategy, "sample_weight": weight}
    parts = score_decomposition(y, proba, method="murphy", n_bins=6, **options)
    expected = np.sum(
        [
            oracles.murphy(oracles.rows_of(p, happened, weight), SCORES[score], 6, strategy)
            for p, happened in events(y, proba, kind)
        ],
        axis=0,
    )
    assert parts_of(parts) == pytest.approx(expected, abs=1e-13)


def test_within_bins_is_variance_less_covariance():
    # The two extra components of the Brier score of Stephenson, Coelho and Jolliffe.
    y, proba, weight = problem(2)
    rows = oracles.rows_of(proba[:, 1], y == 1, weight)
    variance, covariance = oracles.within_bin_variance_and_covariance(rows, 4)
    parts = score_decomposition(y, proba, method="murphy", n_bins=4, sample_weight=weight)
    assert parts.within_bin == pytest.approx(variance - covariance, abs=1e-14)


@pytest.mark.parametrize("weighted", [False, True])
def test_corp_recalibrates_as_scikit_learns_isotonic_regression(weighted):
    rng = np.random.default_rng(0)
    p = rng.random(2000).round(2)
    y, weight = (rng.random(2000) < p**2).astype(int), rng.random(2000) if weighted else None
    r = IsotonicRegression(y_min=0, y_max=1).fit(p, y, weight).predict(p)
    m = np.average(y, weights=weight)
    after, base = (np.average((q - y) ** 2, weights=weight) for q in (r, m))
    parts = score_decomposition(y, p, sample_weight=weight)
    assert parts.miscalibration == pytest.approx(parts.score - after, abs=1e-12)
    assert parts.discrimination == pytest.approx(base - after, abs=1e-12)


ASKED = [
    (score, method, kind, n_classes)
    for score, method, kind, n_classes in itertools.product(
        SCORES, ["corp", "murphy", "calibrator"], ["class", "confidence", "positive"], [2, 5]
    )
    if (method != "calibrator" or kind == "class") and (kind != "positive" or n_classes == 2)
]


@pytest.mark.parametrize(("score", "method", "kind", "n_classes"), ASKED)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_parts_add_up(score, method, kind, n_classes, weighted):
    y, proba, weight = problem(n_classes)
    parts = score_decomposition(
        y,
        proba,
        score=score,
        method=method,
        kind=kind,
        sample_weight=weight if weighted else None,
    )
    saved = parts.discrimination - parts.miscalibration
    assert parts.score == pytest.approx(parts.uncertainty - saved + parts.within_bin, abs=1e-12)
    assert parts.refinement == pytest.approx(parts.uncertainty - parts.discrimination)
    assert (parts.scoring, parts.method, parts.kind) == (score, method, kind)
    assert all(type(part) is float for part in parts_of(parts))
    if method != "calibrator":
        assert parts.miscalibration >= 0
        assert parts.discrimination >= 0


@pytest.mark.parametrize("method", ["corp", "murphy", "calibrator"])
@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_the_score_by_class_is_the_brier_score(method, n_classes):
    y, proba, weight = problem(n_classes)
    parts = score_decomposition(y, proba, method=method, sample_weight=weight)
    expected = brier_score(y, proba, sample_weight=weight)
    assert parts.score == pytest.approx(expected, abs=1e-14)


def test_the_log_loss_by_class_is_the_usual_one_of_two_classes_and_a_sum_of_more():
    y, proba, _ = problem(2)
    parts = score_decomposition(y, proba, score="log_loss")
    assert parts.score == pytest.approx(log_loss(y, proba), abs=1e-14)
    y, proba, _ = problem(3)
    parts = score_decomposition(y, proba, score="log_loss")
    against_the_rest = [log_loss((y == k).astype(int), proba[:, k]) for k in range(3)]
    assert parts.score == pytest.approx(sum(against_the_rest), abs=1e-13)
    parts = score_decomposition(y, proba, score="log_loss", method="calibrator")
    assert parts.score == pytest.approx(log_loss(y, proba), abs=1e-14)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("method", ["corp", "murphy"])
@pytest.mark.parametrize("pos_label", [0, 1])
def test_two_classes_are_the_positive_one(score, method, pos_label):
    y, proba, weight = problem(2)
    options = {"score": score, "method": method, "sample_weight": weight, "pos_label": pos_label}
    of_class = score_decomposition(y, proba, kind="class", **options)
    positive = score_decomposition(y, proba, kind="positive", **options)
    assert parts_of(of_class) == parts_of(positive)
    # (a, b] is not the same from the other end, but recalibration needs no bins.
    other = score_decomposition(y, proba, **(options | {"pos_label": 1 - pos_label}))
    found = slice(1) if method == "murphy" else slice(5)
    assert parts_of(of_class)[found] == pytest.approx(parts_of(other)[found], abs=1e-14)


@pytest.mark.parametrize("method", ["corp", "murphy"])
def test_of_two_classes_the_small_probability_is_not_rounded_away(method):
    # In float32 1 - 1e-9 is 1; the loss is still that of 1e-9.
    proba = np.array([[1e-9, 1], [0.5, 0.5]], dtype=np.float32)
    parts = score_decomposition([0, 1], proba, score="log_loss", method=method)
    assert parts.score == pytest.approx((9 * np.log(10) + np.log(2)) / 2, rel=1e-7)


@pytest.mark.parametrize("method", ["corp", "murphy", "calibrator"])
def test_rows_of_two_classes_that_sum_to_one_but_for_rounding_keep_their_score(method):
    rng = np.random.default_rng(0)
    proba = rng.dirichlet([1, 1], 200).round(2)
    proba[::2, 0] -= np.minimum(proba[::2, 0], 0.004)
    y = rng.integers(0, 2, 200)
    parts = score_decomposition(y, proba, method=method)
    assert parts.score == pytest.approx(brier_score(y, proba), abs=1e-14)


@pytest.mark.parametrize("method", ["corp", "murphy"])
@pytest.mark.parametrize("score", SCORES)
def test_a_weight_is_repetition_and_the_order_of_rows_does_not_matter(method, score):
    y, proba, weight = problem()
    rows = np.random.default_rng(0).permutation(np.repeat(np.arange(len(y)), weight))
    options = {"method": method, "score": score}
    weighted = score_decomposition(y, proba, sample_weight=weight, **options)
    repeated = score_decomposition(y[rows], proba[rows], **options)
    assert parts_of(weighted) == pytest.approx(parts_of(repeated), abs=1e-13)


@pytest.mark.parametrize("method", ["corp", "murphy", "calibrator"])
def test_float32_gives_what_float64_gives(method):
    y, proba, _ = problem(3)
    proba = (np.floor(proba[:, :2] * 64) / 64).astype(np.float32)
    proba = np.column_stack([proba, 1 - proba.sum(axis=1)])
    assert proba.dtype == np.float32
    for score in ["brier", "log_loss"] if method != "calibrator" else ["brier"]:
        narrow = score_decomposition(y, proba, method=method, score=score)
        wide = score_decomposition(y, proba.astype(np.float64), method=method, score=score)
        assert parts_of(narrow) == pytest.approx(parts_of(wide), abs=1e-12)


@pytest.mark.parametrize("method", ["corp", "murphy"])
@pytest.mark.parametrize("score", SCORES)
def test_the_base_rate_has_no_miscalibration_and_no_discrimination(method, score):
    parts = score_decomposition([0, 0, 0, 1], np.full(4, 0.25), score=score, method=method)
    assert parts.miscalibration == parts.discrimination == 0
    assert parts.score == parts.uncertainty


@pytest.mark.parametrize("method", ["corp", "murphy"])
@pytest.mark.parametrize("score", SCORES)
def test_a_perfect_model_discriminates_all_that_is_uncertain(method, score):
    parts = score_decomposition([0, 0, 1, 1], [0, 0, 1, 1], score=score, method=method)
    assert parts.score == parts.miscalibration == parts.within_bin == parts.refinement == 0
    assert parts.discrimination == parts.uncertainty > 0


@pytest.mark.parametrize("method", ["corp", "murphy", "calibrator"])
@pytest.mark.parametrize("score", SCORES)
def test_one_class_alone_is_certain(method, score):
    weight = np.random.default_rng(0).random(20)
    proba = np.linspace(0.1, 0.9, 20)
    parts = score_decomposition(
        np.ones(20, int), proba, score=score, method=method, sample_weight=weight, cv=4
    )
    assert parts.uncertainty == 0
    # By the calibrator, what it does not yet know of the held-out rows counts against it.
    assert method == "calibrator" or parts.discrimination == 0


def test_a_probability_of_0_for_what_happened_is_infinitely_miscalibrated():
    for score_of in (
        score_decomposition([0, 1, 1], [0.0, 0.0, 1.0], score="log_loss"),
        # All of the bin are 0: the mean is what is wrong.
        score_decomposition([0, 1, 1], [0.0, 0.0, 1.0], score="log_loss", method="murphy"),
    ):
        assert score_of.score == score_of.miscalibration == np.inf
        assert score_of.uncertainty == pytest.approx(-(np.log(1 / 3) + 2 * np.log(2 / 3)) / 3)
        assert score_of.refinement == pytest.approx(2 * np.log(2) / 3)
        assert score_of.within_bin == 0
    # Of a bin that holds more it is a row.
    parts = score_decomposition([0, 1, 1], [0.05, 0, 1], score="log_loss", method="murphy")
    assert parts.score == parts.within_bin == np.inf
    assert parts.miscalibration < np.inf


def test_a_mean_that_rounds_to_1_is_not_certain():
    # 2.1 (1 - 2^-53) / 2.1 and the mean of such are 1 in float64, none of the rows is.
    p = np.full(50, 1 - 2.0**-53)
    parts = score_decomposition(
        np.arange(50) > 0, p, score="log_loss", method="murphy", sample_weight=np.full(50, 2.1)
    )
    assert np.isfinite(parts_of(parts)).all()
    assert parts.score == pytest.approx(53 * np.log(2) / 50)
    assert parts.within_bin == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("method", ["corp", "murphy"])
def test_a_row_of_weight_0_may_be_as_wrong_as_it_likes(method):
    y, p = [0, 1, 1, 0], [0.2, 0.6, 0.0, 1.0]
    options = {"score": "log_loss", "method": method}
    weighted = score_decomposition(y, p, sample_weight=[1, 2, 0, 0], **options)
    alone = score_decomposition(y[:2], p[:2], sample_weight=[1, 2], **options)
    assert parts_of(weighted) == parts_of(alone)


def test_no_error_state_matters():
    y, proba, weight = problem()
    proba = np.eye(3)[proba.argmax(axis=1)]
    with np.errstate(all="raise"):
        for method, score, scale in itertools.product(
            ["corp", "murphy", "calibrator"], SCORES, [1, 1e-60]
        ):
            score_decomposition(y, proba, method=method, score=score, sample_weight=scale * weight)


def test_a_class_may_be_absent_and_labels_may_be_strings():
    y, proba, _ = problem()
    kept = y != 1
    names = np.array(["ant", "bee", "cat"])
    for method in ["corp", "murphy", "calibrator"]:
        numbers = score_decomposition(y[kept], proba[kept], labels=[0, 1, 2], method=method)
        strings = score_decomposition(names[y[kept]], proba[kept], labels=names, method=method)
        assert parts_of(numbers) == parts_of(strings)


def test_what_rounding_puts_beyond_1_is_1():
    p = [1 + 1e-13, 1 + 1e-13, -1e-13]
    for method, score in itertools.product(["corp", "murphy"], SCORES):
        parts = score_decomposition([1, 1, 0], p, method=method, score=score)
        assert parts.score == parts.miscalibration == 0


# By a calibrator


@pytest.mark.parametrize("temperature", [0.5, 1, 2.5])
@pytest.mark.parametrize("score", SCORES)
def test_what_a_power_of_the_true_probabilities_costs_is_found(temperature, score):
    # The score of the true probabilities is what is left after the best recalibration.
    y, truth, proba = overconfident(temperature)
    metric = brier_score if score == "brier" else log_loss
    parts = score_decomposition(y, proba, score=score, method="calibrator")
    cost = metric(y, proba) - metric(y, truth)
    assert parts.miscalibration == pytest.approx(cost, abs=2e-4)
    assert parts.refinement == pytest.approx(metric(y, truth), abs=2e-4)
    base = metric(y, np.broadcast_to(np.bincount(y) / len(y), proba.shape))
    assert parts.uncertainty == pytest.approx(base, abs=1e-12)


def test_recalibration_may_do_harm_and_the_miscalibration_says_so():
    found = []
    for seed in range(20):
        y, truth, _ = overconfident(1, n=30, seed=seed)
        found.append(score_decomposition(y, truth, method="calibrator").miscalibration)
    assert min(found) < 0
    # Of true probabilities it does harm on average.
    assert np.mean(found) < 0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("score", SCORES)
def test_the_calibrator_of_no_name_is_temperature_scaling(weighted, score):
    y, _, proba = overconfident(2, n=300)
    weight = np.random.default_rng(0).integers(1, 4, len(y)) if weighted else None
    options = {"score": score, "method": "calibrator", "sample_weight": weight}
    default = score_decomposition(y, proba, **options)
    for calibrator in [
        TemperatureScaling(response_method="predict_proba"),
        CalibratedClassifier(method="temperature", response_method="predict_proba"),
    ]:
        named = score_decomposition(y, proba, calibrator=calibrator, **options)
        assert parts_of(default) == pytest.approx(parts_of(named), abs=1e-12)


def test_refinement_is_the_score_of_rows_held_out():
    y, _, proba = overconfident(2, n=200)
    weight = np.random.default_rng(0).random(len(y))
    model = make_pipeline(FunctionTransformer(np.log), LogisticRegression())
    held_out = np.empty_like(proba)
    for train, test in KFold(4, shuffle=True, random_state=3).split(proba):
        held_out[test] = model.fit(proba[train], y[train]).predict_proba(proba[test])
    parts = score_decomposition(
        y, proba, score="log_loss", method="calibrator", calibrator=model, cv=4, random_state=3
    )
    assert parts.refinement == pytest.approx(log_loss(y, held_out), abs=1e-12)
    model = LogisticRegression()
    for train, test in KFold(5, shuffle=True, random_state=0).split(proba):
        fitted = model.fit(proba[train], y[train], sample_weight=weight[train])
        held_out[test] = fitted.predict_proba(proba[test])
    parts = score_decomposition(
        y, proba, method="calibrator", calibrator=LogisticRegression(), sample_weight=weight
    )
    expected = brier_score(y, held_out, sample_weight=weight)
    assert parts.refinement == pytest.approx(expected, abs=1e-12)


def test_the_calibrator_given_is_not_fitted():
    y, _, proba = overconfident(2, n=100)
    model = LogisticRegression()
    score_decomposition(y, proba, method="calibrator", calibrator=model)
    assert not hasattr(model, "classes_")


def test_rows_held_out_several_times_count_with_their_mean_score():
    y, _, proba = overconfident(2, n=100)
    folds = np.arange(100) % 3

    class Uneven:
        """Some rows are held out once, some three times."""

        def split(self, X, y):
            first, *rest = PredefinedSplit(folds).split()
            return [first, first, first, *rest]

    options = {"method": "calibrator"}
    evenly = score_decomposition(y, proba, cv=PredefinedSplit(folds), **options)
    unevenly = score_decomposition(y, proba, cv=Uneven(), **options)
    assert parts_of(unevenly) == pytest.approx(parts_of(evenly), abs=1e-14)
    repeated = RepeatedKFold(n_splits=3, n_repeats=2, random_state=0)
    both = score_decomposition(y, proba, cv=repeated, **options)
    folds = list(repeated.split(proba))

    class Once:
        def __init__(self, part):
            self.part = part

        def split(self, X, y):
            return folds[self.part]

    once = [
        score_decomposition(y, proba, cv=Once(part), **options)
        for part in (slice(0, 3), slice(3, 6))
    ]
    expected = np.mean([parts.refinement for parts in once])
    assert both.refinement == pytest.approx(expected, abs=1e-14)


def test_rows_of_weight_0_do_not_change_the_folds():
    y, _, proba = overconfident(2, n=100)
    kept = np.random.default_rng(0).random(100) < 0.7
    weighted = score_decomposition(y, proba, method="calibrator", sample_weight=kept)
    alone = score_decomposition(y[kept], proba[kept], method="calibrator")
    assert parts_of(weighted) == pytest.approx(parts_of(alone), abs=1e-12)
    # Folds that are given stand as they are.
    folds = np.arange(100) % 3
    weighted = score_decomposition(
        y, proba, method="calibrator", sample_weight=kept, cv=PredefinedSplit(folds)
    )
    alone = score_decomposition(
        y[kept], proba[kept], method="calibrator", cv=PredefinedSplit(folds[kept])
    )
    assert parts_of(weighted) == pytest.approx(parts_of(alone), abs=1e-12)


def one_dog():
    """Labels of which "dog" occurs once, in the second of three folds."""
    y, _, proba = overconfident(2, n=60)
    names = np.array(["ant", "bee", "cat", "dog"])
    y = names[np.where(y == 3, 0, y)]
    y[7] = "dog"
    return y, proba, {"method": "calibrator", "cv": PredefinedSplit(np.arange(60) % 3)}


def test_one_temperature_recalibrates_a_class_that_a_fold_lacks():
    y, proba, options = one_dog()
    rest = np.arange(60) != 7
    folds = PredefinedSplit(np.arange(60)[rest] % 3)
    parts = score_decomposition(y, proba, **options)
    alone = score_decomposition(
        y[rest], proba[rest], method="calibrator", cv=folds, labels=["ant", "bee", "cat", "dog"]
    )
    # The row is held out from the same rows, and is one of 60.
    assert abs(60 * parts.refinement - 59 * alone.refinement) < 2


def test_a_calibrator_that_a_fold_does_not_teach_a_class_is_refused():
    y, proba, options = one_dog()
    with pytest.raises(ValueError, match=r"fold lack the class 'dog'.* or calibrator=None"):
        score_decomposition(y, proba, calibrator=KNeighborsClassifier(3), **options)
    # A class that never occurs keeps its column.
    y[7] = "ant"
    labels = ["ant", "bee", "cat", "dog"]
    parts = score_decomposition(
        y, proba, calibrator=KNeighborsClassifier(3), labels=labels, **options
    )
    assert np.isfinite(parts.refinement)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "accuracy"}, "'score' parameter of score_decomposition must be"),
        ({"method": "isotonic"}, "'method' parameter of score_decomposition must be"),
        ({"kind": "top"}, "'kind' parameter of score_decomposition must be"),
        ({"n_bins": 0}, "'n_bins' parameter of score_decomposition must be"),
        ({"cv": 1}, "'cv' parameter of score_decomposition must be"),
        ({"calibrator": "sigmoid"}, "'calibrator' parameter of score_decomposition must be"),
        ({"kind": "positive"}, "kind='positive' is for two classes, there are 3"),
        ({"calibrator": LogisticRegression()}, "calibrator is for method='calibrator', got"),
        ({"method": "calibrator", "kind": "confidence"}, "leave kind='class', got"),
        ({"method": "calibrator", "cv": 13}, "cv=13 folds need at least 13 rows .*, got 12"),
        ({"method": "calibrator", "cv": ShuffleSplit(1, random_state=0)}, "row 0 never is"),
        (
            {
                "method": "calibrator",
                "calibrator": KNeighborsClassifier(2),
                "sample_weight": np.arange(12),
            },
            "fit of calibrator KNeighborsClassifier takes none",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    y, proba, _ = problem(n=12)
    with pytest.raises(ValueError, match=message):
        score_decomposition(y, proba, labels=[0, 1, 2], **options)


def test_a_decomposition_is_frozen_and_pickles():
    parts = ScoreDecomposition(0.2, 0.05, 0.1, 0.25)
    assert pickle.loads(pickle.dumps(parts)).refinement == pytest.approx(0.15)
    with pytest.raises(dataclasses.FrozenInstanceError):
        parts.score = 0
