import numpy as np
import pytest
from metric_oracles import calibration_error as oracle

from skcalib.metrics import (
    calibration_error,
    expected_calibration_error,
    maximum_calibration_error,
)

Y, P = [0, 1, 1, 1], [0.2, 0.4, 0.7, 0.9]


def problem(n=200, n_classes=4, seed=0):
    """Overconfident predictions."""
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.full(n_classes, 0.4), n)
    softened = proba**0.6
    cumulative = (softened / softened.sum(axis=1, keepdims=True)).cumsum(axis=1)
    return (rng.random((n, 1)) > cumulative[:, :-1]).sum(axis=1), proba


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        # Lower bin: |.3 - .5| with 2 of 4 rows. Upper bin: |.8 - 1| with 2 of 4.
        (1, (2 * 0.2 + 2 * 0.2) / 4),
        (2, ((2 * 0.2**2 + 2 * 0.2**2) / 4) ** 0.5),
        ("max", 0.2),
    ],
)
def test_the_positive_class_is_held_against_its_frequency(norm, expected):
    assert calibration_error(Y, P, kind="positive", norm=norm, n_bins=2) == pytest.approx(expected)


def test_norms_differ_where_gaps_do():
    # Bins of 3 and 1 rows: |.6 / 3 - 1 / 3| = .4 / 3 and |.9 - 0|.
    y, p = [0, 0, 1, 0], [0.1, 0.2, 0.3, 0.9]
    error = {
        norm: calibration_error(y, p, kind="positive", norm=norm, n_bins=2)
        for norm in (1, 2, "max")
    }
    assert error[1] == pytest.approx((0.4 + 0.9) / 4)
    assert error[2] == pytest.approx(((0.4**2 / 3 + 0.9**2) / 4) ** 0.5)
    assert error["max"] == pytest.approx(0.9)


def test_the_confidence_of_two_classes_is_that_of_the_likelier_one():
    # Confidences .8, .6, .7, .9 sum to 3, and all but the second prediction are correct.
    assert calibration_error(Y, P, kind="confidence", n_bins=2) == pytest.approx(0, abs=1e-15)


# Class by class, in bins (0, .5] and (.5, 1], the probabilities of the rows and how many are true:
#   class 0: .6 | 1   .2, .1 | 0
#   class 1: .3, .2 | 0 and .7 | 1: gaps .5 / 2 and .3
#   class 2: .1, .1 | 0 and .7 | 1
Y3, P3 = [0, 1, 2], [[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]]
L1 = [(0.4 + 0.3) / 3, (0.5 + 0.3) / 3, (0.2 + 0.3) / 3]
L2_SQUARED = [(0.3**2 / 2 + 0.4**2) / 3, (0.5**2 / 2 + 0.3**2) / 3, (0.2**2 / 2 + 0.3**2) / 3]


@pytest.mark.parametrize(
    ("norm", "average", "expected"),
    [
        (1, "mean", sum(L1) / 3),
        (1, "sum", sum(L1)),
        (1, "prevalence", sum(L1) / 3),
        (2, "mean", (sum(L2_SQUARED) / 3) ** 0.5),
        (2, "sum", sum(L2_SQUARED) ** 0.5),
        ("max", "mean", 0.4),
        ("max", "sum", 0.4),
    ],
)
def test_classwise_errors_are_averaged_before_the_root_is_taken(norm, average, expected):
    error = calibration_error(Y3, P3, kind="class", norm=norm, n_bins=2, average=average)
    assert error == pytest.approx(expected)


def test_prevalence_weighs_a_class_by_how_often_it_is_true():
    # True classes 0, 0, 1, at weights 1, 2, 1. Errors: class 0 |.5 - 3/4|, class 1 |.3 - 1/4|.
    proba = [[0.5, 0.3, 0.2]] * 3
    error = calibration_error(
        [0, 0, 1],
        proba,
        kind="class",
        n_bins=1,
        average="prevalence",
        sample_weight=[1, 2, 1],
        labels=[0, 1, 2],
    )
    assert error == pytest.approx(0.75 * 0.25 + 0.25 * 0.05 + 0 * 0.2)


def test_debiasing_subtracts_the_variance_of_the_frequency():
    # One bin: gap .6 - .5, and .5 * .5 / (4 - 1) of the squared gap is chance.
    y, p = [0, 1, 0, 1], [0.6] * 4
    settings = {"kind": "positive", "norm": 2, "n_bins": 1}
    assert calibration_error(y, p, **settings) == pytest.approx(0.1)
    assert calibration_error(y, p, debias=True, **settings) == 0
    y, p = [0, 1, 1, 1], [0.1] * 4
    expected = ((0.1 - 0.75) ** 2 - 0.75 * 0.25 / 3) ** 0.5
    assert calibration_error(y, p, debias=True, **settings) == pytest.approx(expected)


def test_a_bin_of_one_row_adds_nothing_to_the_debiased_error():
    y, p = [0, 1, 1, 1, 0], [0.1] * 4 + [0.9]
    error = calibration_error(y, p, kind="positive", norm=2, n_bins=2, debias=True)
    four_rows = (0.1 - 0.75) ** 2 - 0.75 * 0.25 / 3
    assert error == pytest.approx((4 / 5 * four_rows + 1 / 5 * 0) ** 0.5)


def test_the_debiased_sum_is_raised_to_zero_once_over_all_classes():
    settings = {"kind": "class", "norm": 2, "n_bins": 1, "debias": True, "labels": [0, 1, 2]}
    # The frequencies are 0, 1/2 and 1/2, and of the last two squares .25 / 3 is chance.
    proba = [[0.5, 0.2, 0.3]] * 4
    squares = [0.5**2, 0.3**2 - 0.25 / 3, 0.2**2 - 0.25 / 3]
    assert squares[2] < 0
    error = calibration_error([1, 2, 1, 2], proba, **settings)
    assert error == pytest.approx((sum(squares) / 3) ** 0.5)


def test_quantile_bins_hold_equally_many_rows():
    # Bins {.1, .2} and {.3, .9}; equally wide ones would be {.1, .2, .3} and {.9}.
    y, p = [0, 1, 1, 0], [0.1, 0.2, 0.3, 0.9]
    error = calibration_error(y, p, kind="positive", strategy="quantile", n_bins=2)
    assert error == pytest.approx((abs(0.3 - 1) + abs(1.2 - 1)) / 4)


def test_more_quantile_bins_than_distinct_probabilities_are_merged():
    y, p = [0, 1, 1, 0], [0.2, 0.2, 0.2, 1.0]
    error = calibration_error(y, p, kind="positive", strategy="quantile", n_bins=50)
    assert error == pytest.approx((abs(0.6 - 2) + 1) / 4)


def test_a_probability_on_an_edge_belongs_to_the_bin_that_ends_there():
    # (.5, 1] holds .75 alone: with .5 in it the gaps .5 - 1 and .75 - 0 would partly cancel.
    error = calibration_error([1, 0], [0.5, 0.75], kind="positive", n_bins=2)
    assert error == pytest.approx((0.5 + 0.75) / 2)


@pytest.mark.parametrize("kind", ["confidence", "class"])
@pytest.mark.parametrize("norm", [1, 2, "max"])
@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("average", ["mean", "sum", "prevalence"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_error_is_that_of_exact_arithmetic(kind, norm, strategy, average, weighted):
    y, proba = problem()
    weight = np.random.default_rng(1).integers(0, 4, len(y)) if weighted else None
    settings = {
        "kind": kind,
        "norm": norm,
        "strategy": strategy,
        "average": average,
        "sample_weight": weight,
        "n_bins": 7,
    }
    expected = oracle(y, proba, **settings)
    assert calibration_error(y, proba, **settings) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", ["confidence", "class", "positive"])
@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_debiased_error_is_that_of_exact_arithmetic(kind, strategy, weighted):
    y, proba = problem(n_classes=2)
    weight = np.random.default_rng(1).integers(0, 4, len(y)) if weighted else None
    settings = {"kind": kind, "norm": 2, "strategy": strategy, "sample_weight": weight}
    expected = oracle(y, proba, n_bins=7, debias=True, **settings)
    found = calibration_error(y, proba, n_bins=7, debias=True, **settings)
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_debiased_error_of_true_probabilities_is_smaller_than_the_plain_one(seed):
    rng = np.random.default_rng(seed)
    p = rng.random(500)
    y = (rng.random(500) < p).astype(int)
    plain = calibration_error(y, p, kind="positive", norm=2)
    assert calibration_error(y, p, kind="positive", norm=2, debias=True) < plain / 1.5


def test_the_named_cases_are_norms_1_and_max():
    y, proba = problem()
    for kind, strategy in [("confidence", "uniform"), ("class", "quantile")]:
        options = {"kind": kind, "strategy": strategy, "n_bins": 7}
        expected = oracle(y, proba, norm=1, average="sum", **options)
        found = expected_calibration_error(y, proba, average="sum", **options)
        assert found == pytest.approx(expected, abs=1e-12)
        expected = oracle(y, proba, norm="max", **options)
        assert maximum_calibration_error(y, proba, **options) == pytest.approx(expected, abs=1e-12)


def test_predicting_the_base_rate_has_no_calibration_error():
    # Why it is no proper score: the same holds for a perfect forecast.
    y = [0, 0, 0, 1]
    assert calibration_error(y, [0.25] * 4, kind="positive") == 0
    assert calibration_error(y, y, kind="positive") == 0


def test_a_class_that_never_occurs_counts_in_the_mean():
    error = calibration_error([0, 1], [[1, 0, 0], [0, 0.5, 0.5]], kind="class", labels=[0, 1, 2])
    # Class 1 and class 2: one row of two is off by .5.
    assert error == pytest.approx((0 + 0.25 + 0.25) / 3)


def test_the_positive_class_may_be_chosen():
    proba = np.column_stack([P, 1 - np.array(P)])
    for y, positive in ((["yes" if label else "no" for label in Y], "yes"), (Y, 1)):
        error = calibration_error(y, P, kind="positive", n_bins=2, pos_label=positive)
        assert error == pytest.approx(0.2)
    flipped = ["a" if label else "b" for label in Y]
    error = calibration_error(flipped, proba, kind="positive", n_bins=2, pos_label="a")
    assert error == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "top"}, r"'kind' parameter of calibration_error must be a str among"),
        ({"norm": 3}, r"'norm' parameter of calibration_error must be"),
        ({"norm": "l1"}, r"'norm' parameter of calibration_error must be"),
        ({"n_bins": 0}, r"'n_bins' parameter of calibration_error must be an int"),
        ({"n_bins": 2.5}, r"'n_bins' parameter of calibration_error must be an int"),
        ({"strategy": "kmeans"}, r"'strategy' parameter of calibration_error must be a str"),
        ({"average": "macro"}, r"'average' parameter of calibration_error must be a str"),
        ({"debias": "yes"}, r"'debias' parameter of calibration_error must be"),
        ({"debias": True}, r"debias=True is for norm=2, got norm=1\."),
    ],
)
def test_an_unknown_option_is_answered_with_those_there_are(options, message):
    with pytest.raises(ValueError, match=message):
        calibration_error(Y, P, **options)


def test_the_positive_kind_is_for_two_classes():
    message = r"kind='positive' is for two classes, there are 3\. Use kind='class' or"
    with pytest.raises(ValueError, match=message):
        calibration_error(Y3, P3, kind="positive")


@pytest.mark.parametrize("total", [1, 2, 10])
def test_weights_that_count_no_rows_have_no_debiased_error(total):
    rng = np.random.default_rng(0)
    p = rng.random(1000) * 0.5
    y = rng.random(1000) < 2 * p
    options = {"kind": "positive", "norm": 2, "debias": True, "strategy": "quantile"}
    with pytest.raises(ValueError, match=rf"sample_weight sums to {total}.* a weight counts rows"):
        calibration_error(y, p, sample_weight=np.full(1000, total / 1000), **options)
    assert calibration_error(y, p, sample_weight=np.ones(1000), **options) > 0.2


def test_a_bin_of_little_more_than_one_row_is_not_debiased_away():
    # f (1 - f) / (W - 1) would be 25 for W = 1.01 and f = .5.
    error = calibration_error(
        [1, 0, 1, 1],
        [0.1, 0.1, 0.1, 0.1],
        kind="positive",
        norm=2,
        debias=True,
        n_bins=1,
        sample_weight=[0.3, 0.2, 0.3, 0.3],
    )
    # Frequency .9 / 1.1, gap of that less .1; the subtraction is at most f (1 - f).
    f = 9 / 11
    assert error == pytest.approx(((f - 0.1) ** 2 - f * (1 - f)) ** 0.5)
