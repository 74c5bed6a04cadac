from fractions import Fraction
from math import sqrt
from statistics import NormalDist

import numpy as np
import pytest
from metric_oracles import curves, quantile_edges, uniform_edges
from scipy.stats import binomtest

from skcalib.metrics import calibration_error, calibration_error_interval

NORMS = [1, 2]
STRATEGIES = ["uniform", "quantile"]
every_norm = pytest.mark.parametrize("norm", NORMS)
every_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


def wilson(frequency, n, z):
    """Roots q of (f - q)**2 = z**2 q (1 - q) / n, for an n that need not be an integer."""
    a, b, c = 1 + z**2 / n, 2 * frequency + z**2 / n, frequency**2
    root = sqrt(max(b**2 - 4 * a * c, 0))
    return max(2 * c / (b + root), 0), min((b + root) / (2 * a), 1)


def bins_of(p, happened, weight, n_bins, strategy):
    """The rows (p, y, w) of each bin that holds weight, in exact fractions."""
    p, weight = [Fraction(float(v)) for v in p], [Fraction(float(w)) for w in weight]
    edges = uniform_edges(n_bins) if strategy == "uniform" else quantile_edges(p, weight, n_bins)
    rows = [[] for _ in range(n_bins)]
    for value, event, w in zip(p, happened, weight, strict=True):
        rows[sum(edge < value for edge in edges[1:-1])].append((value, int(event), w))
    return [bin_rows for bin_rows in rows if sum(w for _, _, w in bin_rows) > 0]


def distances(rows, z):
    """Share-free facts of a bin of more than one row: n, gap, variance of it, ways it may be off.

    Of the distances, the first is by how much chance may have made the gap too large, the second
    too small.
    """
    n = sum(w for _, _, w in rows)
    gap = sum(w * (y - p) for p, y, w in rows) / n
    spread = sum(w * (y - p - gap) ** 2 for p, y, w in rows) / (n - 1)
    frequency = sum(w for _, y, w in rows if y) / n
    lower, upper = wilson(float(frequency), float(n), z)
    scale = 1.0
    if 0 < frequency < 1:
        scale = sqrt(min(spread / (frequency * (1 - frequency)), 1))
    normal = z * sqrt(spread / n)
    below = max(scale * (float(frequency) - lower), normal)
    above = max(scale * (upper - float(frequency)), normal)
    towards, away = (above, below) if gap < 0 else (below, above)
    return n, gap, spread / n, towards, max(away, towards - 2 * float(abs(gap)))


def interval_oracle(
    y, proba, kind="confidence", norm=2, n_bins=15, strategy="quantile", level=0.95, weight=None
):
    """The formulas of the Notes, bin by bin; sums are exact, roots are not."""
    z = norm_quantile(level)
    weight = [1] * len(y) if weight is None else weight
    ((p, happened),) = curves([int(v) for v in y], [[*map(float, row)] for row in proba], kind)
    bins = bins_of(p, happened, weight, n_bins, strategy)
    total = sum(w for rows in bins for _, _, w in rows)
    error = bias = below = above = hidden = 0
    facts = []
    for rows in bins:
        share = float(sum(w for _, _, w in rows) / total)
        if sum(w for _, _, w in rows) <= 1:
            hidden += share
            continue
        n, gap, variance, towards, away = distances(rows, z)
        if norm == 1:
            error += share * float(abs(gap))
            bias += sqrt(2 / np.pi) * share * (towards + away) / (2 * z)
            below += (share * towards) ** 2
            above += (share * away) ** 2
        else:
            squared = gap**2 - variance
            error += share * float(squared)
            of_chance = 2 * (max(towards, away) ** 2 / z) ** 2 * float(n / (n - 1))
            slope = 4 * float(max(squared, 0))
            below += share**2 * (slope * towards**2 + of_chance)
            facts.append((share, float(gap), float(variance), max(towards, away), away))
    lower = max(error - bias - sqrt(below), 0)
    if norm == 1:
        return [lower, min(error + sqrt(above) + hidden, 1)]
    return [sqrt(lower), sqrt(min(upper_square(facts, z) + hidden, 1))]


def upper_square(facts, z):
    """(root of R + z root of v)**2, less what chance adds, plus v; z**2 v at least."""
    importance = [share * (gap**2 + (half / z) ** 2) for share, gap, _, half, _ in facts]
    whole = sum(importance) or 1
    r = away_squared = added = kept = 0
    for v, (share, gap, variance, _, away) in zip(importance, facts, strict=True):
        r += share * gap**2
        away_squared += v / whole * share * away**2
        added += share * variance
        kept += v / whole * share * variance
    return max((sqrt(r) + sqrt(away_squared)) ** 2 - added + kept, away_squared)


def norm_quantile(level):
    return -NormalDist().inv_cdf((1 - level) / 2)


def problem(n_classes=3, n=200, boldness=1.5):
    """Labels and bolder probabilities, multiples of 1/1024, the largest of a row alone."""
    rng = np.random.default_rng(n_classes)
    truth = rng.dirichlet(np.ones(n_classes), 3 * n)
    bold = truth**boldness / (truth**boldness).sum(axis=1, keepdims=True)
    counts = rng.multinomial(1024, bold)
    ordered = np.sort(counts, axis=1)
    chosen = np.flatnonzero(ordered[:, -1] > ordered[:, -2])[:n]
    y = (rng.random((n, 1)) > truth[chosen].cumsum(axis=1)[:, :-1]).sum(axis=1)
    return y, counts[chosen] / 1024, rng.integers(0, 4, n)


def equal(found, expected, tolerance=1e-12):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_one_bin_of_norm_2_by_hand():
    # Of 400 predictions of .9, 300 are correct: D = -.15, s**2 = .1875 * 400 / 399.
    of_mean = 0.1875 / 399
    half = 1.959963984540054 * sqrt(4 * (0.15**2 - of_mean) * of_mean)
    half = sqrt(half**2 + 1.959963984540054**2 * 2 * of_mean**2 * 400 / 399)
    found = calibration_error_interval([1] * 300 + [0] * 100, [0.9] * 400)
    equal(found[0], sqrt(0.15**2 - of_mean - half), 5e-3)
    # Of one bin the gap is as large as Wilson's lower end, .7053, makes it.
    equal(found[1], 0.9 - binomtest(300, 400).proportion_ci(method="wilson").low)
    equal(found, interval_oracle([1] * 300 + [0] * 100, [[0.1, 0.9]] * 400))


def test_one_bin_of_norm_1_by_hand():
    found = calibration_error_interval([1] * 300 + [0] * 100, [0.9] * 400, norm=1)
    of_mean = sqrt(0.1875 / 399)
    # The gap is .15, less its possible bias and 1.96 deviations.
    equal(found[0], 0.15 - (sqrt(2 / np.pi) + 1.959963984540054) * of_mean, 5e-3)
    # The frequency may be as low as Wilson's lower end.
    equal(found[1], 0.9 - binomtest(300, 400).proportion_ci(method="wilson").low)


def test_what_never_happens_may_happen_as_often_as_wilson_allows():
    # p = 0, and no event among 50 rows: s = 0, yet a frequency of z**2 / (50 + z**2) is possible.
    found = calibration_error_interval([0] * 50, [0.0] * 50, kind="positive", norm=1)
    equal(found, [0, binomtest(0, 50).proportion_ci(method="wilson").high])


@every_norm
@every_strategy
@pytest.mark.parametrize(("kind", "n_classes"), [("confidence", 3), ("positive", 2)])
@pytest.mark.parametrize("n_bins", [1, 4, 15, 150])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_ends_are_those_of_the_notes(norm, strategy, kind, n_classes, n_bins, weighted):
    y, proba, weight = problem(n_classes)
    options = {"kind": kind, "norm": norm, "n_bins": n_bins, "strategy": strategy}
    weight = weight if weighted else None
    found = calibration_error_interval(y, proba, sample_weight=weight, **options)
    equal(found, interval_oracle(y, proba, weight=weight, **options), 1e-10)


@every_norm
@pytest.mark.parametrize("level", [1e-3, 0.5, 0.8, 0.99, 1 - 1e-9])
def test_the_ends_are_those_of_the_notes_at_any_level(norm, level):
    y, proba, _ = problem()
    found = calibration_error_interval(y, proba, norm=norm, confidence_level=level)
    equal(found, interval_oracle(y, proba, norm=norm, level=level), 1e-10)


@every_norm
@every_strategy
def test_fractional_weights_follow_the_notes_too(norm, strategy):
    y, proba, _ = problem()
    weight = np.random.default_rng(0).integers(1, 300, len(y)) / 128
    options = {"norm": norm, "strategy": strategy}
    found = calibration_error_interval(y, proba, sample_weight=weight, **options)
    equal(found, interval_oracle(y, proba, weight=weight, **options), 1e-10)


@every_norm
@every_strategy
def test_a_class_is_a_binary_problem_of_its_own(norm, strategy):
    y, proba, weight = problem()
    options = {"norm": norm, "strategy": strategy, "sample_weight": weight}
    names = np.array(["ant", "bee", "cat"])
    for k, name in enumerate(names):
        found = calibration_error_interval(
            names[y], proba, kind="class", class_label=name, **options
        )
        binary = np.column_stack([1 - proba[:, k], proba[:, k]])
        alone = calibration_error_interval(y == k, binary, kind="positive", **options)
        equal(found, alone)
        equal(found, interval_oracle(y == k, binary, "positive", norm, 15, strategy, 0.95, weight))


@every_norm
@every_strategy
def test_either_of_two_classes_has_the_same_interval(norm, strategy):
    # 7 uniform bins of probabilities k / 1024: no edge is hit, nor does one of equal counts tie.
    y, proba, _ = problem(2)
    options = {"kind": "class", "norm": norm, "strategy": strategy, "n_bins": 7}
    if strategy == "quantile":
        proba = np.column_stack([np.arange(196, 0, -1), np.arange(1, 197)]) / 197
        y = y[:196]
        options["n_bins"] = 196 // 49
    found = [calibration_error_interval(y, proba, class_label=k, **options) for k in (0, 1)]
    if strategy == "uniform":
        equal(*found)
    else:
        # (a, b] becomes [1 - b, 1 - a): cut between the same rows.
        equal(*found, 1e-9)


@every_norm
@every_strategy
def test_a_weight_is_repetition(norm, strategy):
    y, proba, weight = problem(n=300)
    rows = np.repeat(np.arange(len(y)), weight)
    options = {"norm": norm, "strategy": strategy}
    found = calibration_error_interval(y, proba, sample_weight=weight, **options)
    equal(found, calibration_error_interval(y[rows], proba[rows], **options))


@every_norm
def test_a_weight_is_repetition_where_nothing_varies_too(norm):
    # All of one probability, all correct: the deviation is 0 but for rounding, 1e-16 of a square.
    weight = np.array([3, 1, 2, 5, 1, 4])
    found = calibration_error_interval([1] * 6, [0.9] * 6, norm=norm, sample_weight=weight)
    equal(found, calibration_error_interval([1] * 16, [0.9] * 16, norm=norm), 1e-8)


@every_norm
@every_strategy
def test_weights_that_sum_to_one_tell_nothing(norm, strategy):
    y, proba, _ = problem()
    for weight in (np.full(200, 1 / 200), np.full(200, 1e-9)):
        found = calibration_error_interval(
            y, proba, norm=norm, strategy=strategy, sample_weight=weight
        )
        equal(found, [0, 1])


@every_norm
@pytest.mark.parametrize("y", [0, 1])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_one_row_tells_nothing(norm, y, p):
    equal(calibration_error_interval([y], [p], kind="positive", norm=norm), [0, 1])


@every_norm
def test_rows_that_are_alone_in_their_bins_tell_nothing(norm):
    p = np.arange(1, 15) / 15
    found = calibration_error_interval(
        np.arange(14) % 2, p, kind="positive", norm=norm, strategy="uniform"
    )
    equal(found, [0, 1])


@every_norm
def test_a_row_alone_in_its_bin_widens_the_interval_by_its_share(norm):
    y, p = [1] * 60 + [0] * 39, [0.7] * 99
    options = {"kind": "positive", "norm": norm, "strategy": "uniform", "n_bins": 2}
    alone = calibration_error_interval([*y, 0], [*p, 0.1], **options)
    # Of 100 rows: the 99 count for .99 of it, the last may be off by 1.
    of_others = interval_oracle(y, [[0.3, 0.7]] * 99, "positive", norm, 1, "uniform")
    if norm == 1:
        equal(alone, [0.99 * of_others[0], 0.99 * of_others[1] + 0.01])
    else:
        low, high = np.square(of_others)
        equal(alone**2, [0.99 * low, 0.99 * high + 0.01])


@every_norm
@every_strategy
@pytest.mark.parametrize("n", [30, 100, 1000])
def test_all_rows_right_is_no_proof_of_perfection(norm, strategy, n):
    low, high = calibration_error_interval([1] * n, [1.0] * n, norm=norm, strategy=strategy)
    assert low == 0
    # Were the error any larger, all would be right in less than one case of twenty.
    assert (1 - high) ** n < 0.05
    # Nor does the interval give away more than twice what it must.
    assert high < 2 * (1 - 0.05 ** (1 / n))


def test_all_bins_matched_is_no_proof_of_perfection():
    # Ten bins of a hundred rows, half of which are right: every gap is 0, and their squares less
    # their variances, s**2 / n = .25 / 99 each, are below it. What is left is z**2 v, v a tenth.
    p, y = np.repeat(0.5 + np.arange(10) / 2**30, 100), np.tile([0, 1], 500)
    found = calibration_error_interval(y, p, kind="positive", n_bins=10)
    equal(found, [0, 1.959963984540054 * sqrt(0.25 / 99 / 10)])
    equal(found, interval_oracle(y, np.column_stack([1 - p, p]), "positive", n_bins=10))
    # The same where frequencies are .1, .3, .5, .7 and .9, by the width of the bins and the number.
    p = np.repeat([0.1, 0.3, 0.5, 0.7, 0.9], 20)
    y = np.tile(np.arange(20), 5) < 20 * p
    for strategy in STRATEGIES:
        found = calibration_error_interval(y, p, kind="positive", strategy=strategy)
        equal(found, interval_oracle(y, np.column_stack([1 - p, p]), "positive", strategy=strategy))
        # Of chance alone a gap of a twentieth would be nothing strange.
        assert found[0] == 0
        assert 0.05 < found[1] < 0.2


@every_norm
@every_strategy
def test_ties_stay_together_and_order_does_not_matter(norm, strategy):
    rng = np.random.default_rng(0)
    p, y = rng.integers(0, 5, 300) / 4, rng.integers(0, 2, 300)
    options = {"kind": "positive", "norm": norm, "strategy": strategy}
    shuffled = rng.permutation(300)
    found = calibration_error_interval(y, p, **options)
    equal(found, calibration_error_interval(y[shuffled], p[shuffled], **options))
    equal(found, interval_oracle(y, np.column_stack([1 - p, p]), **options), 1e-10)


@every_norm
@every_strategy
def test_ends_lie_between_0_and_1_and_ascend(norm, strategy):
    rng = np.random.default_rng(0)
    for _ in range(300):
        n, n_bins = rng.integers(1, 60), int(rng.integers(1, 30))
        p, y = rng.beta(*10 ** rng.uniform(-2, 1, 2), n), rng.integers(0, 2, n)
        weight = [None, rng.random(n), 10 ** rng.uniform(-9, 9, n)][rng.integers(3)]
        with np.errstate(all="raise"):
            low, high = calibration_error_interval(
                y,
                p,
                kind="positive",
                norm=norm,
                strategy=strategy,
                n_bins=n_bins,
                confidence_level=rng.uniform(0.01, 0.99),
                sample_weight=weight,
            )
        assert 0 <= low < high <= 1


@every_norm
@every_strategy
@pytest.mark.parametrize("boldness", [1, 1.5, 4])
def test_a_higher_level_holds_a_lower_one(norm, strategy, boldness):
    y, proba, _ = problem(boldness=boldness)
    before = None
    for level in (0.01, 0.3, 0.5, 0.9, 0.95, 0.99, 1 - 1e-6, 1 - 1e-12):
        low, high = calibration_error_interval(
            y, proba, norm=norm, strategy=strategy, confidence_level=level
        )
        assert before is None or (low <= before[0] + 1e-12 and before[1] <= high + 1e-12)
        before = low, high


@every_norm
@every_strategy
def test_twice_the_width_for_a_quarter_of_the_rows(norm, strategy):
    # Far from calibrated, and the same frequencies for every number of rows.
    p = np.tile(np.repeat([0.55, 0.75, 0.95], 20), 10)
    y = np.tile(np.arange(20) < 6, 30).astype(int)
    width = [
        np.diff(
            calibration_error_interval(
                np.tile(y, times), np.tile(p, times), kind="positive", norm=norm, strategy=strategy
            )
        )[0]
        for times in (4, 16, 64)
    ]
    assert width[0] / width[1] == pytest.approx(2, rel=0.05)
    assert width[1] / width[2] == pytest.approx(2, rel=0.02)


@every_strategy
def test_the_debiased_error_lies_in_the_interval_of_norm_2(strategy):
    for seed in range(30):
        rng = np.random.default_rng(seed)
        p = rng.random(150)
        y = rng.random(150) < np.clip(p + rng.uniform(-0.3, 0.3), 0, 1)
        options = {"kind": "positive", "norm": 2, "strategy": strategy}
        error = calibration_error(y, p, debias=True, **options)
        low, high = calibration_error_interval(y, p, **options)
        assert low <= error + 1e-12
        assert error < high


@every_norm
@pytest.mark.parametrize("level", [5e-324, 1e-17, np.nextafter(1, 0)])
def test_any_level_between_0_and_1_will_do(norm, level):
    y, proba, _ = problem()
    with np.errstate(all="raise"):
        low, high = calibration_error_interval(y, proba, norm=norm, confidence_level=level)
    assert 0 <= low <= high <= 1
    narrow, wide = calibration_error_interval(y, proba, norm=norm, confidence_level=0.5)
    assert (high - low < wide - narrow) == (level < 0.5)


@every_norm
def test_rare_weights_give_numbers_and_no_warnings(norm):
    y, proba, _ = problem()
    rng = np.random.default_rng(0)
    for exponent in ((-60, 60), (-30, 0), (-90, -80), (80, 90)):
        with np.errstate(all="raise"):
            low, high = calibration_error_interval(
                y, proba, norm=norm, sample_weight=10 ** rng.uniform(*exponent, len(y))
            )
        assert 0 <= low <= high <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": 3}, "The 'norm' parameter of calibration_error_interval must be"),
        ({"norm": "max"}, "The 'norm' parameter of calibration_error_interval must be"),
        ({"n_bins": 0}, "The 'n_bins' parameter"),
        ({"n_bins": 2.5}, "The 'n_bins' parameter"),
        ({"strategy": "isotonic"}, "The 'strategy' parameter"),
        ({"confidence_level": 95}, "The 'confidence_level' parameter"),
        ({"confidence_level": 0}, "The 'confidence_level' parameter"),
        ({"confidence_level": 1}, "The 'confidence_level' parameter"),
        ({"kind": "class"}, "kind='class' needs a class_label"),
        ({"class_label": 1}, "kind='class' needs a class_label and no other kind takes one"),
        ({"kind": "class", "class_label": 9}, "class_label=9 is not among the labels"),
        ({"kind": "positive"}, "kind='positive' is for two classes, there are 3"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    y, proba, _ = problem()
    with pytest.raises(ValueError, match=message):
        calibration_error_interval(y, proba, **options)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def tempered(factor, shift=0.0, center=0.0, spread=1.5):
    """Log-odds z are true, `factor * z + shift` is predicted."""

    def draw(rng, n):
        z = rng.normal(center, spread, n)
        return sigmoid(factor * z + shift), sigmoid(z)

    return draw


def scaled(width, wrong, confident):
    """Probabilities up to `width` away from 0 or 1, events `wrong` times as likely as said."""

    def draw(rng, n):
        u = width * rng.random(n)
        return (1 - u, 1 - wrong * u) if confident else (u, wrong * u)

    return draw


SETTINGS = {
    "calibrated": tempered(1),
    "too bold": tempered(2),
    "too modest": tempered(0.5),
    "slightly off": tempered(1.15),
    "confident": scaled(1e-3, 20, confident=True),
    "rare events": scaled(0.02, 0.5, confident=False),
    "confident and calibrated": scaled(1e-2, 1, confident=True),
    "shifted": tempered(1, shift=0.5, center=-1, spread=1),
}
SIMULATIONS = 300
# An interval that covers in .93 of all cases misses more of 300 once in a thousand times.
MOST_MISSES = 36


def true_errors(population, p, edges):
    """Mean and root mean square gap of the true probabilities, in bins with the shares of p.

    `population` is sorted by its first column, the predictions; the second sums up the gaps.
    """
    predicted, summed = population
    ends = np.searchsorted(predicted, edges, side="right")
    ends[[0, -1]] = 0, len(predicted)
    rows = np.diff(ends)
    gap = np.divide(np.diff(summed[ends]), rows, out=np.zeros(len(rows)), where=rows > 0)
    inside = np.searchsorted(np.sort(p), edges, side="right")
    inside[[0, -1]] = 0, len(p)
    share = np.diff(inside) / len(p)
    return {1: share @ np.abs(gap), 2: np.sqrt(share @ gap**2)}


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("n", [200, 1000, 5000])
def test_intervals_of_95_percent_cover_the_true_error(setting, n):
    draw, rng = SETTINGS[setting], np.random.default_rng(0)
    p, truth = draw(rng, 100_000)
    order = np.argsort(p)
    population = p[order], np.append(0, np.cumsum((truth - p)[order]))
    misses = dict.fromkeys([(norm, strategy) for norm in NORMS for strategy in STRATEGIES], 0)
    for _ in range(SIMULATIONS):
        p, truth = draw(rng, n)
        y = rng.random(n) < truth
        quantiles = np.quantile(p, np.arange(1, 15) / 15, method="inverted_cdf")
        for strategy in STRATEGIES:
            edges = np.linspace(0, 1, 16) if strategy == "uniform" else [0, *quantiles, 1]
            errors = true_errors(population, p, edges)
            for norm in NORMS:
                low, high = calibration_error_interval(
                    y, p, kind="positive", norm=norm, strategy=strategy
                )
                misses[norm, strategy] += not low <= errors[norm] <= high
    assert max(misses.values()) <= MOST_MISSES, misses


@pytest.mark.slow
@pytest.mark.parametrize("n", [40, 100, 300, 2000])
@pytest.mark.parametrize(
    ("said", "true"), [(0.5, 0.4), (0.5, 0.3), (0.9, 0.8), ([0.9, 1.0], [0.81, 1.0])]
)
def test_intervals_of_few_values_cover_too(said, true, n):
    # Of one bin a gap that chance made small has a small variance too: a normal interval around
    # the squared error covered 77 to 94 %.
    said, true = np.atleast_1d(said), np.atleast_1d(true)
    rng, misses = np.random.default_rng(0), dict.fromkeys(NORMS, 0)
    for _ in range(SIMULATIONS):
        value = rng.integers(0, len(said), n)
        y = rng.random(n) < true[value]
        share = np.bincount(value, minlength=len(said)) / n
        for norm in NORMS:
            error = (share * np.abs(said - true) ** norm).sum() ** (1 / norm)
            low, high = calibration_error_interval(
                y, said[value], kind="positive", norm=norm, labels=[False, True]
            )
            misses[norm] += not low <= error <= high
    assert max(misses.values()) <= MOST_MISSES, misses


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_percentile_bootstrap_would_miss_what_these_intervals_cover(strategy):
    # Resampling adds to the gaps of chance, and moves the interval away from the truth, 0.
    rng, options = np.random.default_rng(0), {"kind": "positive", "norm": 1, "strategy": strategy}
    n, hits, bootstrap_hits = 200, 0, 0
    for _ in range(40):
        p, truth = tempered(1)(rng, n)
        y = rng.random(n) < truth
        rows = rng.integers(0, n, (100, n))
        resampled = [calibration_error(y[r], p[r], **options) for r in rows]
        bootstrap_hits += np.quantile(resampled, 0.025) <= 0
        hits += calibration_error_interval(y, p, **options)[0] <= 0
    assert bootstrap_hits == 0
    assert hits >= 38
