"""Candidates by what they promise, and the regret of choosing so."""

from itertools import combinations, product
from time import perf_counter

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from skcalib import TemperatureScaling
from skcalib.datasets import load_logits
from skcalib.decisions import rank_candidates

P = np.array([0.95, 0.9, 0.85, 0.3])
REPAID = [1, 0, 1, 1]
FAST = {"n_resamples": 20, "random_state": 0}


def test_loans_are_worked_by_hand():
    # Expected: .95 - .25, .9 - .5, .85 - .75, .3 - 3.5; the second fails and costs 5.
    ranking = rank_candidates(P, utilities=[-5, 1], k=2, y_true=REPAID, **FAST)
    np.testing.assert_allclose(ranking.utility["scores"], [0.7, 0.4, 0.1, -3.2])
    np.testing.assert_array_equal(ranking.order["scores"], [0, 1, 2, 3])
    row = ranking["scores"]
    assert row.promised == pytest.approx((0.7 + 0.4) / 2)
    assert (row.got, row.best, row.regret) == ((1 - 5) / 2, 1, 3)


def test_without_k_all_that_promise_a_gain_are_chosen():
    row = rank_candidates(P, utilities=[-5, 1], y_true=REPAID, **FAST)["scores"]
    assert row.promised == pytest.approx((0.7 + 0.4 + 0.1) / 4)
    # Three are granted and one of them fails; in hindsight the three that are repaid.
    assert (row.got, row.best, row.regret) == ((1 - 5 + 1) / 4, 3 / 4, 6 / 4)


def test_by_default_the_positive_class_is_worth_one():
    ranking = rank_candidates(P, k=3, y_true=REPAID, **FAST)
    np.testing.assert_allclose(ranking.utility["scores"], P)
    assert ranking["scores"].regret == pytest.approx(1 - 2 / 3)  # precision at 3 is 2/3
    other = rank_candidates(P, k=3, y_true=REPAID, pos_label=0, **FAST)
    np.testing.assert_allclose(other.utility["scores"], P)
    assert other["scores"].got == 1 / 3


def test_each_row_may_have_utilities_of_its_own():
    amount = np.array([1.0, 2.0, 10.0, 1.0])
    ranking = rank_candidates(P, utilities=np.stack([-5 * amount, amount], axis=1), k=1)
    np.testing.assert_allclose(ranking.utility["scores"], [0.7, 0.8, 1.0, -3.2])
    assert ranking.order["scores"][0] == 2


@pytest.mark.parametrize("k", [1, 3, 8])
def test_the_best_choice_is_the_best_of_all_choices(k):
    rng = np.random.default_rng(k)
    p, y, utilities = rng.dirichlet(np.ones(3), 9), rng.integers(0, 3, 9), rng.normal(size=(9, 3))
    row = rank_candidates(p, utilities=utilities, k=k, y_true=y, labels=[0, 1, 2], **FAST)["scores"]
    reward = utilities[np.arange(9), y]
    assert row.best == pytest.approx(max(reward[list(c)].mean() for c in combinations(range(9), k)))
    chosen = np.argsort(-(p * utilities).sum(axis=1))[:k]
    assert row.got == pytest.approx(reward[chosen].mean())
    assert row.regret >= 0


def test_equal_promises_do_not_depend_on_the_order_of_rows():
    # Of three equal ones two are chosen, each in two thirds of the orders.
    for y in ([1, 0, 0], [0, 1, 0], [0, 0, 1]):
        row = rank_candidates([0.5] * 3, k=2, y_true=y, **FAST)["scores"]
        assert row.got == pytest.approx(1 / 3)


def test_groups_are_lists_to_choose_from_one_by_one():
    p, y = [0.9, 0.2, 0.6, 0.7, 0.1], [0, 1, 1, 0, 1]
    groups = ["b", "b", "a", "a", "a"]
    ranking = rank_candidates(p, k=1, y_true=y, groups=groups, **FAST)
    # In both the most promising is a failure, and another would not have been.
    assert ranking.by_group == {"a": {"scores": 1.0}, "b": {"scores": 1.0}}
    assert ranking["scores"].regret == 1
    two = rank_candidates(p, k=2, y_true=y, groups=groups, **FAST)
    # of a: .7 and .6, one right, two were possible; of b: both
    assert two.by_group == {"a": {"scores": 0.5}, "b": {"scores": 0.0}}
    assert two["scores"].regret == 0.25
    assert str(two).startswith("The best 2 of 5 candidates in 2 groups\n")


def test_categories_without_a_row_are_no_groups():
    groups = pd.Categorical(["u", "v", "u"], categories=["v", "none", "u"])
    ranking = rank_candidates([0.1, 0.2, 0.3], k=1, y_true=[0, 1, 1], groups=groups, **FAST)
    assert list(ranking.by_group) == ["v", "u"]


def test_of_two_classes_a_temperature_moves_the_promise_and_not_the_order():
    data = load_logits("spambase_svm")
    cal, test = data.calibration, ~data.calibration
    scaling = TemperatureScaling().fit(data.logits[cal], data.target[cal])
    both = {
        "raw": softmax(data.logits[test], axis=1),
        "calibrated": scaling.predict_proba(data.logits[test]),
    }
    options = {"k": 300, "y_true": data.target[test], **FAST}
    ranking = rank_candidates(both, **options)
    np.testing.assert_array_equal(ranking.order["raw"], ranking.order["calibrated"])
    assert ranking["calibrated less raw"].regret == pytest.approx(0, abs=1e-12)
    raw, calibrated = ranking["raw"], ranking["calibrated"]
    assert abs(calibrated.promised - calibrated.got) < abs(raw.promised - raw.got)


def test_where_losses_count_calibrated_probabilities_have_less_regret():
    # The model says 99 % where it is right in 80 %: with 9 to lose and 1 to gain not worth it.
    rng = np.random.default_rng(0)
    y = (rng.random(4000) < np.repeat([0.8, 0.97], 2000)).astype(int)
    both = {"raw": np.repeat([0.99, 0.999], 2000), "calibrated": np.repeat([0.8, 0.97], 2000)}
    ranking = rank_candidates(both, utilities=[-9, 1], y_true=y, random_state=0)
    assert ranking["calibrated less raw"].upper < 0
    assert ranking["raw"].promised > 0 > ranking["raw"].got
    calibrated = ranking["calibrated"]
    # half of the rows at .97 - 9 * .03
    assert calibrated.promised == pytest.approx(0.5 * 0.7)
    assert calibrated.got == pytest.approx(calibrated.promised, abs=0.05)


@pytest.mark.slow
def test_the_interval_covers_the_regret_of_lists_like_this_one():
    def draw(seed):
        rng = np.random.default_rng(seed)
        p = rng.random(300)
        return np.clip(p + rng.normal(0, 0.1, 300), 0, 1), (rng.random(300) < p).astype(int)

    def regret(seed):
        p, y = draw(seed)
        return rank_candidates(p, utilities=[-1, 1], k=60, y_true=y, n_resamples=1)["scores"].regret

    truth = np.mean([regret(seed) for seed in range(10_000, 12_000)])
    covered = 0
    for seed in range(300):
        p, y = draw(seed)
        ranking = rank_candidates(
            p, utilities=[-1, 1], k=60, y_true=y, n_resamples=200, random_state=seed
        )
        covered += ranking["scores"].lower <= truth <= ranking["scores"].upper
    assert 0.9 <= covered / 300 <= 0.99


def test_the_interval_of_groups_is_that_of_their_mean():
    rng = np.random.default_rng(0)
    p, y = rng.random(4000), rng.integers(0, 2, 4000)
    ranking = rank_candidates(
        p, k=1, y_true=y, groups=np.arange(4000) // 10, n_resamples=2000, random_state=0
    )
    regrets = np.array([group["scores"] for group in ranking.by_group.values()])
    row = ranking["scores"]
    spread = 1.96 * regrets.std() / 400**0.5
    assert row.lower == pytest.approx(regrets.mean() - spread, abs=0.1 * spread)
    assert row.upper == pytest.approx(regrets.mean() + spread, abs=0.1 * spread)


def test_a_seed_makes_the_interval_reproducible():
    once, again = (rank_candidates(P, k=2, y_true=REPAID, **FAST) for _ in range(2))
    assert once["scores"] == again["scores"]


def test_without_outcomes_there_is_an_order_and_no_regret():
    ranking = rank_candidates({"a": P, "b": 1 - P}, k=2)
    np.testing.assert_array_equal(ranking.order["b"], [3, 2, 1, 0])
    assert (ranking.rows, ranking.by_group) == ([], {})
    with pytest.raises(KeyError, match="'a' is not among"):
        ranking["a"]


def test_the_positive_class_is_the_same_with_outcomes_and_without():
    options = {"k": 1, "labels": [0, 1], "pos_label": 0}
    # .9 and .2 are of the class 0: with utilities of 1 and -1 worth .9 - .1 and .2 - .8.
    for outcomes in ({}, {"y_true": [0, 1]}):
        ranking = rank_candidates([0.9, 0.2], utilities=[1, -1], **options, **outcomes, **FAST)
        np.testing.assert_allclose(ranking.utility["scores"], [0.8, -0.6])
        default = rank_candidates([0.9, 0.2], **options, **outcomes, **FAST)
        np.testing.assert_allclose(default.utility["scores"], [0.9, 0.2])
    two = np.array([[0.9, 0.1], [0.2, 0.8]])
    of_strings = rank_candidates(two, k=1, labels=["no", "yes"], pos_label="no")
    np.testing.assert_allclose(of_strings.utility["scores"], [0.9, 0.2])


def test_of_a_single_group_the_rows_are_resampled():
    options = {"k": 2, "y_true": REPAID, **FAST}
    one, without = rank_candidates(P, groups=list("aaaa"), **options), rank_candidates(P, **options)
    assert one["scores"] == without["scores"]
    assert one["scores"].lower < one["scores"].upper
    assert str(one).startswith("The best 2 of 4 candidates in 1 group\n")


def test_a_resample_is_a_draw_of_rows_with_replacement():
    # Without k the regret of a resample is the mean of its rows' own. The first three are chosen:
    # the second should not have been, and the fourth should.
    ranking = rank_candidates(
        P, utilities=[-5, 1], y_true=REPAID, n_resamples=4000, confidence_level=0.5, random_state=0
    )
    regrets = np.array([0.0, 5.0, 0.0, 1.0])
    every = [np.mean(draw) for draw in product(regrets, repeat=4)]
    row = ranking["scores"]
    assert (row.lower, row.upper) == tuple(np.quantile(every, [0.25, 0.75]))


def test_differences_are_of_the_same_resamples():
    ranking = rank_candidates({"a": P, "b": P.copy()}, k=2, y_true=REPAID, **FAST)
    difference = ranking["b less a"]
    assert (difference.regret, difference.lower, difference.upper) == (0, 0, 0)


@pytest.mark.slow
def test_the_best_of_many_rows_are_resampled_in_seconds():
    rng = np.random.default_rng(0)
    p = rng.random(100_000)
    y = (rng.random(100_000) < p).astype(int)
    begun = perf_counter()
    rank_candidates({"a": p, "b": p**2}, k=1000, y_true=y, random_state=0)
    assert perf_counter() - begun < 20  # 52 s with draws for each score and all rows summed


def test_it_prints_and_becomes_a_data_frame():
    ranking = rank_candidates({"raw": P, "new": P**2}, k=2, y_true=REPAID, **FAST)
    assert str(ranking).startswith("The best 2 of 4 candidates\nprobabilities  promised")
    assert list(ranking.to_frame().index) == ["raw", "new", "new less raw"]
    assert "Candidates that promise a gain of 4" in str(rank_candidates(P, utilities=[-1, 1]))


def test_nothing_warns_of_arithmetic_and_inputs_are_not_written_to():
    p, y = np.array([0.0, 1.0, 1e-300]), np.array([0, 1, 0])
    kept = p.copy()
    with np.errstate(all="raise"):
        rank_candidates(p, k=2, y_true=y, **FAST)
        rank_candidates(np.array([[1e-300, 1.0]] * 3), utilities=[1e-100, -1], y_true=y, **FAST)
        rank_candidates([0.5, 0.25, 0.5], utilities=[1e-300, -1e-310], k=2, y_true=y, **FAST)
        rank_candidates([0.5, 0.25, 0.5], utilities=[-5e306, 5e306], k=2, y_true=y, **FAST)
    np.testing.assert_array_equal(p, kept)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ({}, {"k": 1}, "y_proba must name at least one"),
        (P, {}, "k must be given where no outcome is a loss"),
        (P, {"k": 0}, "The 'k' parameter"),
        (P, {"k": 1, "utilities": [1, 2, 3]}, r"utilities must have shape \(2,\)"),
        (P, {"k": 1, "utilities": [1, np.nan]}, "utilities must be finite"),
        (P, {"k": 1, "utilities": [-1e308, 1]}, "utilities must be no larger than .* got -1e.308"),
        (P, {"k": 1, "pos_label": 1}, "pos_label=1 is one of two classes, and without y_true"),
        (P, {"k": 1, "labels": [0, 1], "pos_label": 2}, "pos_label=2 is not among the labels"),
        (P, {"k": 1, "labels": [0, 1, 2]}, "labels must name two classes"),
        (np.eye(4), {"k": 1, "labels": [0, 1]}, "labels must hold one label per column"),
        (P, {"k": 1, "labels": []}, "labels has no rows"),
        ({"a": P, "b": P, "b less a": P}, {"k": 1}, "y_proba must not name scores 'b less a'"),
        (np.eye(3), {"k": 1}, "utilities must be given for 3 classes"),
        (2 * P, {"k": 1}, r"y_proba\['scores'\] must hold probabilities"),
        (P, {"k": 1, "groups": [1, 2]}, "inconsistent numbers of samples: 4 and 2"),
        (P, {"k": 1, "y_true": [1, 0]}, "inconsistent numbers of samples"),
        ({"a": P, "b": np.eye(4)}, {"k": 1}, "y_proba must hold arrays of one shape"),
    ],
)
def test_arguments_that_cannot_be_right_are_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        rank_candidates(arguments, **options)
