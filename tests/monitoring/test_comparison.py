import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import t

from skcalib.metrics import brier_score
from skcalib.monitoring import ComparisonRow, ForecastComparison, compare_forecasts


def problem(n=600, seed=0):
    """Binary labels, bold and honest probabilities, three groups of users, and integer weights."""
    rng = np.random.default_rng(seed)
    logit = 2 * rng.standard_normal(n)
    y = rng.random(n) < expit(logit)
    groups = np.array(["de", "en", "fr"])[rng.integers(0, 3, n)]
    return y, expit(1.8 * logit), expit(logit), groups, rng.integers(0, 3, n)


def same(found, expected, rtol=1e-10):
    """The same figures; names and numbers of rows may differ."""
    np.testing.assert_allclose(found[2:], expected[2:], rtol=rtol, atol=1e-13)


def row(name, anytime_lower, anytime_upper):
    return ComparisonRow(name, 100, 0.5, 0.4, 0.1, 0.0, 0.0, anytime_lower, anytime_upper)


def decision(overall, groups=(), min_gain=0.0, max_group_loss=None):
    rows = [row("g", *ends) for ends in groups]
    table = ForecastComparison(
        row("all rows", *overall), rows, "brier", "exact", min_gain, max_group_loss, 0.95
    )
    return table.decision


def test_gains_and_a_fixed_interval_by_hand():
    # Brier scores of p are .1, .2 and .3, of q 0: mean .2, deviation .1, not skewed.
    p, y = np.sqrt([0.1, 0.2, 0.3]), [0, 0, 0]
    found = compare_forecasts(y, p, [0, 0, 0], score="brier").overall
    half = t.ppf(0.975, 2) * 0.1 / 3**0.5
    assert found[:2] == ("all rows", 3)
    assert found[2:7] == pytest.approx((0.2, 0, 0.2, 0.2 - half, 0.2 + half))
    assert found[7:] == (-np.inf, np.inf)


def test_log_losses_by_hand():
    y, p, q = ["a", "b"], [[0.5, 0.5], [0.5, 0.5]], [[0.25, 0.75], [0.125, 0.875]]
    found = compare_forecasts(y, p, q).overall
    losses = np.log(2), (np.log(4) + np.log(8 / 7)) / 2
    assert found[2:5] == pytest.approx((*losses, losses[0] - losses[1]))


def test_the_brier_score_is_the_one_of_metrics():
    y, p, q, *_ = problem()
    found = compare_forecasts(y, p, q, score="brier").overall
    assert found[2:4] == pytest.approx((brier_score(y, p), brier_score(y, q)))


@pytest.mark.parametrize("anytime", ["asymptotic", "exact"])
def test_changing_sides_changes_the_sign(anytime):
    y, p, q, groups, _ = problem()
    options = {"score": "brier", "anytime": anytime, "groups": groups}
    there, back = compare_forecasts(y, p, q, **options), compare_forecasts(y, q, p, **options)
    for a, b in zip((there.overall, *there.groups), (back.overall, *back.groups), strict=True):
        assert a.gain == pytest.approx(-b.gain, rel=1e-12)
        assert (a.lower, a.upper) == pytest.approx((-b.upper, -b.lower), rel=1e-9)
        assert a[7:] == pytest.approx((-b.anytime_upper, -b.anytime_lower), rel=1e-9)


def test_a_weight_is_that_many_rows_and_none_at_all_where_it_is_0():
    y, p, q, groups, weight = problem()
    q[weight == 0] = 1 - y[weight == 0]  # an infinite loss that does not count
    many = [np.repeat(values, weight) for values in (y, p, q, groups)]
    weighted = compare_forecasts(y, p, q, groups=groups, sample_weight=weight)
    repeated = compare_forecasts(*many[:3], groups=many[3])
    for a, b in zip(weighted.groups, repeated.groups, strict=True):
        assert a.name == b.name
        same(a, b)
    same(weighted.overall, repeated.overall)
    assert weighted.overall.n_rows == np.count_nonzero(weight)


def test_rows_that_are_copies_tell_no_more_within_their_cluster():
    y, p, q, *_ = problem(200)
    tripled = [np.repeat(values, 3) for values in (y, p, q)]
    once = compare_forecasts(y, p, q).overall
    clustered = compare_forecasts(*tripled, clusters=np.repeat(np.arange(200), 3)).overall
    same(clustered, once)
    naive = compare_forecasts(*tripled).overall
    assert naive.upper - naive.lower < 0.6 * (once.upper - once.lower)


def test_weights_that_do_not_count_rows_are_clusters_of_one():
    y, p, q, *_ = problem(300)
    alone, weight = np.arange(300), np.random.default_rng(1).uniform(1, 9, 300)
    found, scaled = (
        compare_forecasts(y, p, q, sample_weight=w, clusters=alone).overall
        for w in (weight, 100 * weight)
    )
    same(found, scaled)


def test_a_group_is_a_comparison_of_its_rows_at_the_level_of_bonferroni():
    y, p, q, groups, _ = problem()
    found = compare_forecasts(y, p, q, groups=groups, score="brier", anytime="exact")
    assert [g.name for g in found.groups] == ["de", "en", "fr"]
    for group in found.groups:
        own = groups == group.name
        level = 1 - 0.05 / 3
        alone = compare_forecasts(
            y[own], p[own], q[own], score="brier", anytime="exact", confidence_level=level
        )
        assert group.n_rows == alone.overall.n_rows
        same(group, alone.overall)


def test_the_exact_interval_follows_the_order_of_arrival_and_the_others_do_not():
    y, p, q, *_ = problem()
    order = np.argsort(p)
    for anytime in ("asymptotic", "exact"):
        options = {"score": "brier", "anytime": anytime}
        a = compare_forecasts(y, p, q, **options).overall
        b = compare_forecasts(y[order], p[order], q[order], **options).overall
        same(a[:7], b[:7], 1e-9)
        assert (abs(a.anytime_lower - b.anytime_lower) < 1e-9) == (anytime == "asymptotic")


def test_a_floor_bounds_log_losses():
    y, p, q, *_ = problem()
    p, q = (np.clip(f, 0.01, 0.99) for f in (p, q))
    found = compare_forecasts(y, p, q, anytime="exact", bound=-np.log(0.01)).overall
    wider = compare_forecasts(y, p, q, anytime="exact", bound=-np.log(0.0001)).overall
    assert wider.anytime_lower < found.anytime_lower < found.lower < found.gain


@pytest.mark.parametrize(
    ("overall", "min_gain", "expected"),
    [
        ((0.01, 0.2), 0.0, "promote"),
        ((0.01, 0.2), 0.1, "undecided"),
        ((0.11, 0.2), 0.1, "promote"),
        ((-0.1, 0.2), 0.0, "undecided"),
        ((-0.1, -0.01), 0.0, "keep"),
        ((-0.1, -0.01), -0.2, "promote"),
        ((0.01, 0.05), 0.1, "keep"),
        ((0.0, 0.0), 0.0, "undecided"),
        ((-np.inf, np.inf), 0.0, "undecided"),
    ],
)
def test_the_decision_by_all_rows(overall, min_gain, expected):
    assert decision(overall, min_gain=min_gain) == expected


@pytest.mark.parametrize(
    ("groups", "max_group_loss", "expected"),
    [
        ([(-0.5, -0.2)], None, "promote"),
        ([(-0.5, -0.2), (0.1, 0.2)], 0.1, "keep"),
        ([(-0.5, 0.2), (0.1, 0.2)], 0.1, "undecided"),
        ([(-0.09, 0.2), (0.1, 0.2)], 0.1, "promote"),
        ([(-np.inf, np.inf)], 0.1, "undecided"),
        ([(-np.inf, np.inf)], None, "promote"),
    ],
)
def test_groups_have_a_say_where_they_are_given_one(groups, max_group_loss, expected):
    assert decision((0.01, 0.2), groups, max_group_loss=max_group_loss) == expected


def test_a_refit_that_is_good_on_the_whole_is_kept_out_for_the_group_it_harms():
    y, p, q, groups, _ = problem(6000)
    q = np.where(groups == "fr", 0.5, q)  # has forgotten its French
    free = compare_forecasts(y, p, q, groups=groups)
    gated = compare_forecasts(y, p, q, groups=groups, max_group_loss=0.02)
    assert free.groups[2].anytime_upper < -0.02
    assert (free.decision, gated.decision) == ("undecided", "keep")


def test_equal_forecasts_stay_undecided():
    y, p, *_ = problem()
    found = compare_forecasts(y, p, p)
    # No row has shown yet by how much the two may differ.
    assert found.overall[4:] == (0, 0, 0, -np.inf, np.inf)
    assert found.decision == "undecided"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": [0.5, 1.0, 0.5]}, r"q gives the label 0 of row 1 the probability 0: .* infinite"),
        ({"p": [0.0, 0.5, 0.5]}, r"p gives the label 1 of row 0 the probability 0.*\(1 - s\) \* p"),
        ({"q": [0.5, 1.5, 0.5]}, r"^q .*row 1"),
        ({"p": [0.5, 0.5]}, "p and y_true"),
        ({"q": [[0.2, 0.3, 0.6]] * 3}, "^q .*row 0"),
        ({"score": "accuracy"}, "score"),
        ({"anytime": "never"}, "anytime"),
        ({"anytime": "exact"}, r"Floor the probabilities at f and pass bound=-log\(f\)"),
        ({"anytime": "exact", "bound": 0.1}, r"bound=0.1 and -0.223144 in row 2"),
        ({"anytime": "exact", "bound": 9, "sample_weight": [1, 2, 3]}, "one by one"),
        ({"anytime": "exact", "bound": 9, "clusters": [1, 2, 3]}, "one by one"),
        ({"max_group_loss": 0.1}, "groups is None"),
        ({"max_group_loss": -0.1, "groups": [1, 1, 2]}, "max_group_loss"),
        ({"clusters": [1, 2]}, r"clusters must have shape \(3,\)"),
        ({"groups": [1, 2]}, r"groups must have shape \(3,\)"),
        ({"n_expected": 0}, "n_expected"),
        ({"confidence_level": 0.4}, "confidence_level"),
    ],
)
def test_what_is_wrong_is_refused(change, message):
    arguments = {"y_true": [1, 0, 1], "p": [0.5, 0.5, 0.5], "q": [0.5, 0.5, 0.4]} | change
    with pytest.raises(ValueError, match=message):
        compare_forecasts(**arguments)


def test_forecasts_of_different_classes_are_refused():
    with pytest.raises(ValueError, match="same classes, got columns of 2 and 3"):
        compare_forecasts([0, 1], [[0.5, 0.5]] * 2, [[0.2, 0.3, 0.5]] * 2)


def test_what_comes_in_stays_as_it_is_and_precision_does_not_matter():
    y, p, q, *_ = problem()
    half = [np.stack([1 - f, f], axis=1).astype(np.float32) for f in (p, q)]
    copies = [f.copy() for f in half]
    with np.errstate(all="raise"):
        found = compare_forecasts(y, *half).overall
    for f, copy in zip(half, copies, strict=True):
        np.testing.assert_array_equal(f, copy)
    same(found, compare_forecasts(y, p, q).overall, 1e-4)


def test_the_table_says_the_decision():
    y, p, q, groups, _ = problem(3000)
    found = compare_forecasts(y, p, q, groups=pd.Series(groups))
    lines = str(found).splitlines()
    assert lines[0] == "Log loss of p and q, 3,000 rows; a positive gain is one of q"
    assert lines[1].split("  ")[0] == "rows"
    assert lines[-1] == "Decision: promote. Intervals of groups hold all at once."
    frame = found.to_frame()
    assert list(frame.index) == ["all rows", "de", "en", "fr"]
    assert frame.loc["all rows", "gain"] == found.overall.gain
    assert str(compare_forecasts([1], [0.5], [0.5])).splitlines()[0].startswith("Log loss of p and")


def looks_of(d, every=100):
    """Anytime and fixed lower ends at every look at the rows so far: q says .5, p is d better."""
    y = np.zeros(len(d), dtype=int)
    p, q = 1 - np.exp(-0.7 - d / 2), 1 - np.exp(-0.7 + d / 2)  # losses .7 -+ d / 2
    found = [compare_forecasts(y[:n], q[:n], p[:n]) for n in range(every, len(d) + 1, every)]
    return [f.overall.anytime_lower for f in found], [f.overall.lower for f in found]


@pytest.mark.slow
def test_looking_a_hundred_times_promotes_by_chance_with_fixed_intervals_alone():
    rng = np.random.default_rng(4)
    ends = [looks_of(rng.uniform(-1, 1, 10_000)) for _ in range(100)]
    anytime, fixed = (np.mean([max(e[i]) > 0 for e in ends]) for i in (0, 1))
    assert anytime <= 0.05  # 2.5 % or less are expected
    assert fixed > 0.1


def test_rows_of_weight_zero_might_as_well_not_be_there():
    with np.errstate(all="raise"):
        found = compare_forecasts([1, 1, 1], [0.5, 0.5, 0.1], [0.6, 0.6, 0.9],
                                  sample_weight=[1, 1, 0])  # fmt: skip
    assert found.overall == compare_forecasts([1, 1], [0.5] * 2, [0.6] * 2, labels=[0, 1]).overall


def test_forecasts_that_have_not_differed_yet_are_not_promoted_by_a_margin():
    p = np.full(50, 0.5)
    assert compare_forecasts(np.ones(50, int), p, p, min_gain=-0.001).decision == "undecided"


def test_a_bound_is_for_exact_intervals():
    with pytest.raises(ValueError, match="bound=1 is for anytime='exact'"):
        compare_forecasts([1, 0], [0.5, 0.5], [0.6, 0.6], bound=1)
