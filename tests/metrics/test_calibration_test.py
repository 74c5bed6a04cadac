import itertools
import json
from dataclasses import FrozenInstanceError
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest, chisquare, kstest, norm

from skcalib.metrics import (
    brier_score,
    calibration_error,
    calibration_test,
    expected_calibration_error,
    maximum_calibration_error,
    smooth_calibration_error,
    spiegelhalter_z,
)
from skcalib.metrics._log_loss import log_loss

KNOWN = json.loads(
    (Path(__file__).parents[1] / "data" / "known_answers.json").read_text(encoding="utf-8")
)


def draw(rng, proba):
    """Labels from probabilities."""
    return (rng.random((len(proba), 1)) > proba.cumsum(axis=1)[:, :-1]).sum(axis=1)


def problem(n_classes=3, n=80):
    rng = np.random.default_rng(n_classes)
    proba = rng.dirichlet(np.ones(n_classes), n)
    return draw(rng, proba), proba, rng.random(n)


# Consistency resampling


def scripted(*values):
    """A statistic that returns these values one after the other."""
    script = iter(values)
    return lambda y_true, y_proba, *, labels, sample_weight: next(script)


def test_the_p_value_is_the_share_of_label_sets_with_as_large_a_statistic():
    # Of five drawn, .7 and .9 exceed .6; with the labels at hand that makes 3 of 6.
    statistic = scripted(0.6, 0.1, 0.7, 0.5, 0.9, 0.2)
    test = calibration_test([0, 1], [0.2, 0.7], statistic=statistic, n_resamples=5)
    assert test.statistic == 0.6
    assert test.p_value == 3 / 6
    assert test.n_resamples == 5
    np.testing.assert_array_equal(test.resampled, [0.1, 0.7, 0.5, 0.9, 0.2])
    # The mean of the five: 2.4 of 5.
    assert test.expected == pytest.approx(0.48)
    assert type(test.expected) is float


def test_the_expected_error_of_true_probabilities_is_that_of_all_label_sets():
    p = np.array([0.15, 0.3, 0.85, 0.6])
    errors = np.array(
        [
            [np.where(y, p, 1 - p).prod(), expected_calibration_error(y, p, kind="positive")]
            for y in itertools.product([0, 1], repeat=4)
        ]
    )
    exact = errors[:, 0] @ errors[:, 1]
    deviation = np.sqrt(errors[:, 0] @ (errors[:, 1] - exact) ** 2 / 4000)
    test = calibration_test([0, 1, 0, 1], p, kind="positive", n_resamples=4000)
    assert abs(test.expected - exact) < 4 * deviation


def test_a_test_is_shown_without_what_was_drawn():
    statistic = scripted(0.6, 0.1, 0.7, 0.5)
    test = calibration_test([0, 1], [0.2, 0.7], statistic=statistic, n_resamples=3)
    assert repr(test) == "CalibrationTest(statistic=0.6, p_value=0.5, n_resamples=3)"


def test_what_is_equal_but_for_rounding_counts_as_large():
    for tied in (0.6, 0.6 * (1 - 1e-14), 0.6 * (1 + 1e-14)):
        test = calibration_test([0, 1], [0.2, 0.7], statistic=scripted(0.6, tied), n_resamples=1)
        assert test.p_value == 1
    test = calibration_test([0, 1], [0.2, 0.7], statistic=scripted(-0.6, -0.6), n_resamples=1)
    assert test.p_value == 1
    test = calibration_test([0, 1], [0.2, 0.7], statistic=scripted(0.6, 0.599), n_resamples=1)
    assert test.p_value == 1 / 2


def test_an_infinite_statistic_is_as_large_as_another():
    statistic = scripted(np.inf, 1.0, np.inf)
    test = calibration_test([0, 1], [0.2, 0.7], statistic=statistic, n_resamples=2)
    assert test.p_value == 2 / 3


METRICS = {
    "ece": expected_calibration_error,
    "l2": partial(calibration_error, norm=2),
    "mce": maximum_calibration_error,
}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("kind", ["confidence", "class"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_binned_statistic_is_the_metric_of_that_name(name, kind, weighted):
    y, proba, weight = problem()
    options = {"kind": kind, "sample_weight": weight if weighted else None}
    test = calibration_test(y, proba, statistic=name, n_resamples=1, **options)
    assert test.statistic == pytest.approx(METRICS[name](y, proba, **options), abs=1e-15)


@pytest.mark.parametrize("kind", ["confidence", "class"])
def test_the_smooth_statistic_is_nearly_the_smooth_error(kind):
    y, proba, weight = problem()
    test = calibration_test(
        y, proba, statistic="smooth_ece", kind=kind, n_resamples=1, sample_weight=weight
    )
    expected = smooth_calibration_error(y, proba, kind=kind, sample_weight=weight)
    assert test.statistic == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_are_those_of_the_events(n_classes):
    y, proba, weight = problem(n_classes)
    correct = proba.argmax(axis=1) == y
    for name, score in {"brier": brier_score, "log_loss": log_loss}.items():
        of_rows = calibration_test(
            y, proba, statistic=name, kind="class", n_resamples=1, sample_weight=weight
        )
        assert of_rows.statistic == pytest.approx(score(y, proba, sample_weight=weight))
        of_confidence = calibration_test(
            y, proba, statistic=name, n_resamples=1, sample_weight=weight
        )
        expected = score(correct, proba.max(axis=1), sample_weight=weight)
        assert of_confidence.statistic == pytest.approx(expected)


@pytest.mark.parametrize("name", [*METRICS, "smooth_ece", "brier", "log_loss"])
def test_the_p_value_of_few_rows_is_what_all_label_sets_say(name):
    # Every set of labels with its probability; the test draws some thousand of them.
    p, observed = np.array([0.15, 0.3, 0.85, 0.6]), (0, 1, 0, 1)
    metric = {
        **METRICS,
        "smooth_ece": smooth_calibration_error,
        "brier": lambda y, p, kind: brier_score(y, p),
        "log_loss": lambda y, p, kind: log_loss(y, p),
    }[name]
    reached = metric(observed, p, kind="positive")
    exact = sum(
        np.where(y, p, 1 - p).prod()
        for y in itertools.product([0, 1], repeat=4)
        if metric(y, p, kind="positive") >= reached - 1e-4 * (name == "smooth_ece") - 1e-12
    )
    n = 500 if name == "smooth_ece" else 4000
    test = calibration_test(
        observed, p, statistic=name, kind="positive", n_resamples=n, random_state=0
    )
    assert abs(test.p_value - exact) < 4 * np.sqrt(exact * (1 - exact) / n) + 1 / n


def record(seen):
    def statistic(y_true, y_proba, *, labels, sample_weight):
        seen.append(y_true)
        return 0.0

    return statistic


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_labels_are_drawn_from_the_normalised_rows(dtype):
    proba = np.array([[0.0, 0.3, 0.7, 0.0], [0.5, 0.0, 0.0, 0.503], [0, 1, 0, 0]], dtype=dtype)
    names, seen = np.array(["ant", "bee", "cat", "dog"]), []
    calibration_test(
        ["bee", "ant", "bee"],
        proba,
        statistic=record(seen),
        n_resamples=4000,
        random_state=0,
        labels=names,
    )
    seen = np.array(seen)
    np.testing.assert_array_equal(seen[0], ["bee", "ant", "bee"])
    for row, expected in enumerate(proba / proba.sum(axis=1, keepdims=True)):
        for name, chance in zip(names, expected, strict=True):
            hits = int((seen[1:, row] == name).sum())
            if chance in (0, 1):
                assert hits == 4000 * chance
            else:
                assert binomtest(hits, 4000, chance).pvalue > 1e-3


def test_a_callable_gets_all_columns_labels_and_the_weights():
    given = {}

    def statistic(y_true, y_proba, *, labels, sample_weight):
        given.update(y=y_true, proba=y_proba, labels=labels, weight=sample_weight)
        return 1.0

    calibration_test([-1, 1], [0.2, 0.7], statistic=statistic, n_resamples=1)
    np.testing.assert_allclose(given["proba"], [[0.8, 0.2], [0.3, 0.7]])
    np.testing.assert_array_equal(given["labels"], [-1, 1])
    assert set(given["y"]) <= {-1, 1}
    assert given["weight"] is None
    calibration_test(
        [-1, 1, 1], [0.2, 0.7, 0.1], statistic=statistic, n_resamples=1, sample_weight=[1, 0, 3]
    )
    np.testing.assert_array_equal(given["weight"], [1, 3])


def test_our_metrics_are_callables_that_fit():
    y, proba, weight = problem()
    named = calibration_test(
        y, proba, kind="class", n_resamples=50, random_state=0, sample_weight=weight
    )
    called = calibration_test(
        y,
        proba,
        statistic=partial(expected_calibration_error, kind="class"),
        n_resamples=50,
        random_state=0,
        sample_weight=weight,
    )
    np.testing.assert_allclose(named.resampled, called.resampled, atol=1e-15)
    assert named.p_value == called.p_value


def test_rows_of_weight_zero_might_as_well_not_be_there():
    y, proba, weight = problem()
    weight[::3] = 0
    kept = weight > 0
    for name in ("ece", "smooth_ece", "log_loss"):
        options = {"statistic": name, "n_resamples": 20, "random_state": 0}
        found = calibration_test(y, proba, sample_weight=weight, **options)
        without = calibration_test(y[kept], proba[kept], sample_weight=weight[kept], **options)
        np.testing.assert_array_equal(found.resampled, without.resampled)


def test_a_weight_is_not_repetition():
    # One event of chance 1/2 counts ten times: it is drawn at once, not ten times.
    test = calibration_test(
        [1], [0.5], kind="positive", n_resamples=100, sample_weight=[10], random_state=0
    )
    assert test.statistic == 0.5
    assert test.p_value == 1
    repeated = calibration_test([1] * 10, [0.5] * 10, kind="positive", random_state=0)
    assert repeated.p_value < 0.01


def test_equal_random_states_give_equal_tests():
    y, proba, _ = problem()
    first = calibration_test(y, proba, n_resamples=20, random_state=3)
    for state in (3, np.int64(3), np.random.RandomState(3)):
        again = calibration_test(y, proba, n_resamples=20, random_state=state)
        np.testing.assert_array_equal(again.resampled, first.resampled)
    other = calibration_test(y, proba, n_resamples=20, random_state=4)
    assert (other.resampled != first.resampled).any()


def test_a_p_value_is_the_same_every_time_unless_another_state_is_asked_for():
    y, proba, _ = problem()
    first, again = (calibration_test(y, proba, n_resamples=20) for _ in range(2))
    zero = calibration_test(y, proba, n_resamples=20, random_state=0)
    np.testing.assert_array_equal(again.resampled, first.resampled)
    np.testing.assert_array_equal(zero.resampled, first.resampled)
    drawn = [calibration_test(y, proba, n_resamples=20, random_state=None) for _ in range(2)]
    assert (drawn[0].resampled != drawn[1].resampled).any()


def test_a_test_leaves_numpys_global_state_alone():
    y, proba, _ = problem()
    before = np.random.get_state()  # noqa: NPY002 - what is looked at, not drawn from
    calibration_test(y, proba, n_resamples=20)
    after = np.random.get_state()  # noqa: NPY002
    assert before[0] == after[0]
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]


def test_float32_gives_what_float64_gives():
    rng = np.random.default_rng(0)
    proba = rng.multinomial(1024, [0.2, 0.3, 0.5], 80) / 1024
    y = rng.integers(0, 3, 80)
    for name in ("ece", "brier"):
        options = {"statistic": name, "n_resamples": 20, "random_state": 0}
        wide = calibration_test(y, proba, **options)
        narrow = calibration_test(y, proba.astype(np.float32), **options)
        np.testing.assert_allclose(narrow.resampled, wide.resampled, atol=1e-12)
        assert narrow.p_value == wide.p_value


def test_a_test_cannot_be_changed():
    test = calibration_test([0, 1], [0.2, 0.7], n_resamples=1)
    with pytest.raises(FrozenInstanceError):
        test.p_value = 0


def test_nothing_warns_where_everything_raises():
    y, proba, weight = problem()
    proba[0] = [1 - 1e-310, 1e-310, 0]
    with np.errstate(all="raise"):
        for name in [*METRICS, "smooth_ece", "brier", "log_loss"]:
            calibration_test(y, proba, statistic=name, n_resamples=3, sample_weight=1e-90 * weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"statistic": "chi2"}, "'statistic' parameter of calibration_test must be"),
        ({"kind": "top"}, "'kind' parameter of calibration_test must be"),
        ({"n_resamples": 0}, "'n_resamples' parameter of calibration_test must be"),
        ({"random_state": "zero"}, "'random_state' parameter of calibration_test must be"),
        ({"kind": "positive"}, "kind='positive' is for two classes, there are 3"),
        ({"statistic": scripted(np.nan)}, "statistic must return a number for any labels, got nan"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(options, message):
    y, proba, _ = problem()
    with pytest.raises(ValueError, match=message):
        calibration_test(y, proba, **options)


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("n_classes", "statistic", "kind"),
    [(2, "ece", "positive"), (3, "log_loss", "class"), (10, "l2", "confidence")],
)
def test_p_values_of_true_probabilities_are_uniform(n_classes, statistic, kind, weighted):
    # 1000 sets of 40 rows, 19 resamples: p is one of 1/20, 2/20, ..., each as likely.
    rng = np.random.default_rng(100 * n_classes + weighted)
    p_values = []
    for _ in range(1000):
        proba = rng.dirichlet(np.ones(n_classes), 40)
        test = calibration_test(
            draw(rng, proba),
            proba,
            statistic=statistic,
            kind=kind,
            n_resamples=19,
            random_state=int(rng.integers(2**31)),
            sample_weight=rng.exponential(size=40) if weighted else None,
            labels=np.arange(n_classes),
        )
        p_values.append(test.p_value)
    ranks = np.rint(20 * np.array(p_values)).astype(int)
    assert chisquare(np.bincount(ranks, minlength=21)[1:]).pvalue > 1e-3
    for level in (0.05, 0.1):
        rejections = int((ranks <= 20 * level).sum())
        assert binomtest(rejections, 1000, level).pvalue > 1e-3


@pytest.mark.parametrize("statistic", ["ece", "mce", "brier"])
def test_with_ties_and_few_rows_the_test_rejects_no_more_than_it_may(statistic):
    # 400 sets of 20 rows of five distinct probabilities.
    rng = np.random.default_rng(0)
    p = np.repeat([0.1, 0.2, 0.5, 0.8, 0.9], 4)
    ranks = []
    for seed in range(400):
        y = (rng.random(20) < p).astype(int)
        test = calibration_test(
            y, p, statistic=statistic, kind="positive", n_resamples=19, random_state=seed
        )
        ranks.append(round(20 * test.p_value))
    for level in (0.05, 0.1, 0.5):
        rejections = sum(rank <= 20 * level for rank in ranks)
        assert binomtest(rejections, 400, level, alternative="greater").pvalue > 1e-3


@pytest.mark.parametrize("statistic", ["ece", "smooth_ece", "brier", "log_loss"])
def test_overconfident_probabilities_are_found_out(statistic):
    # 500 rows at temperature 1/1.5; 20 sets, of which at most 3 pass at the level of 5 %.
    rng = np.random.default_rng(0)
    found = 0
    for seed in range(20):
        truth = rng.dirichlet(np.full(3, 0.7), 500)
        sharp = truth**1.5 / (truth**1.5).sum(axis=1, keepdims=True)
        test = calibration_test(
            draw(rng, truth), sharp, statistic=statistic, n_resamples=39, random_state=seed
        )
        found += test.p_value <= 0.05
    assert found >= 17


# Spiegelhalter's Z


def exact_z(y, proba, weight):
    """Excess and variance in exact arithmetic, from the score of each row and each label."""
    excess = variance = Fraction(0)
    for label, row, w in zip(y, proba, weight, strict=True):
        p = [Fraction(float(value)) for value in row]
        p = [value / sum(p) for value in p]
        scores = [sum((v - (k == j)) ** 2 for j, v in enumerate(p)) for k in range(len(p))]
        mean = sum(v * s for v, s in zip(p, scores, strict=True))
        excess += Fraction(float(w)) * (scores[label] - mean)
        variance += Fraction(float(w)) * sum(
            v * (s - mean) ** 2 for v, s in zip(p, scores, strict=True)
        )
    return float(excess) / float(variance) ** 0.5


def test_z_of_two_rows_by_hand():
    # (y - p) (1 - 2 p): -.9 * -.8 and .3 * -.4; variances .64 * .09 and .16 * .21
    z, p_value = spiegelhalter_z([0, 1], [0.9, 0.7])
    assert z == pytest.approx((0.72 - 0.12) / (0.0576 + 0.0336) ** 0.5)
    assert p_value == pytest.approx(2 * norm.sf(abs(z)))


def test_z_is_the_known_one():
    given = KNOWN["inputs"]["D"]
    (case,) = [case for case in KNOWN["cases"] if case["id"] == "D/spiegelhalter_z"]
    assert spiegelhalter_z(given["y"], given["p"]).z == pytest.approx(
        case["expected"], abs=case["tol"]
    )


@pytest.mark.parametrize("n_classes", [2, 3, 12])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_z_is_the_brier_score_against_its_exact_moments(n_classes, dtype):
    y, proba, weight = problem(n_classes, 20)
    proba = proba.astype(dtype)
    labels = np.arange(n_classes)
    found = spiegelhalter_z(y, proba, sample_weight=weight, labels=labels).z
    assert found == pytest.approx(exact_z(y, proba, weight), rel=1e-12)
    found = spiegelhalter_z(y, proba, labels=labels).z
    assert found == pytest.approx(exact_z(y, proba, np.ones(20)), rel=1e-12)


def test_rows_that_do_not_quite_sum_to_one_are_normalised():
    y, proba = [0, 2, 1], [[0.2, 0.3, 0.503], [0.7, 0.1, 0.197], [0.1, 0.5, 0.4]]
    assert spiegelhalter_z(y, proba).z == pytest.approx(exact_z(y, proba, [1, 1, 1]), rel=1e-12)


def test_nearly_certain_rows_cancel_nothing():
    # With e = 1 - p the variance of a row is e (1 - e) (1 - 2 e)^2.
    e = 2.0**-40
    y, p = [1] * 99 + [0], [1 - e] * 100
    excess = 99 * e * -(1 - 2 * e) + (1 - e) * (1 - 2 * e)
    expected = excess / (100 * e * (1 - e)) ** 0.5 / (1 - 2 * e)
    assert spiegelhalter_z(y, p).z == pytest.approx(expected, rel=1e-12)


def test_weights_are_repetition_in_z():
    y, proba, _ = problem()
    weight = np.random.default_rng(0).integers(0, 4, len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    found = spiegelhalter_z(y, proba, sample_weight=weight).z
    assert found == pytest.approx(spiegelhalter_z(y[rows], proba[rows]).z, rel=1e-12)


@pytest.mark.parametrize(
    ("y", "p", "expected"),
    [
        ([0, 1], [0.0, 1.0], (0, 1)),
        ([0, 0], [0.0, 1.0], (np.inf, 0)),
        ([0, 1], [0.5, 0.5], (0, 1)),
        ([0, 1, 2], np.full((3, 3), 1 / 3), (0, 1)),
        ([6, 3], np.full((2, 7), 1 / 7), (0, 1)),
        ([0, 1], [[0.5, 0.5, 0], [0.5, 0.5, 0]], (0, 1)),
        ([2, 1], [[0.5, 0.5, 0], [0.5, 0.5, 0]], (np.inf, 0)),
    ],
)
def test_a_score_that_cannot_vary_is_as_it_must_be_or_not(y, p, expected):
    labels = [0, 1] if np.ndim(p) == 1 else np.arange(np.shape(p)[1])
    with np.errstate(all="raise"):
        found = spiegelhalter_z(y, p, labels=labels)
    assert found == expected


def test_equal_probabilities_are_equal_whatever_their_rounding():
    row = [np.nextafter(1 / 3, 1), 1 / 3, np.nextafter(1 / 3, 0)]
    assert spiegelhalter_z([0, 1], [row, row], labels=[0, 1, 2]) == (0, 1)


@pytest.mark.parametrize("n_classes", [2, 5])
def test_z_is_standard_normal_for_true_probabilities(n_classes):
    # 1000 sets of 400 rows.
    rng = np.random.default_rng(n_classes)
    tests = []
    for _ in range(1000):
        proba = rng.dirichlet(np.ones(n_classes), 400)
        tests.append(spiegelhalter_z(draw(rng, proba), proba))
    z, p_values = np.array(tests).T
    assert kstest(z, "norm").pvalue > 1e-3
    assert kstest(p_values, "uniform").pvalue > 1e-3


def test_overconfident_probabilities_have_a_positive_z():
    rng = np.random.default_rng(0)
    truth = rng.dirichlet(np.ones(3), 500)
    y = draw(rng, truth)
    for power, sign in ((1.5, 1), (1 / 1.5, -1)):
        proba = truth**power / (truth**power).sum(axis=1, keepdims=True)
        test = spiegelhalter_z(y, proba)
        assert sign * test.z > 3
        assert test.p_value < 0.01
