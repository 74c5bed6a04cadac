import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from skcalib.metrics import calibration_slope_intercept

KNOWN = json.loads(
    (Path(__file__).parents[1] / "data" / "known_answers.json").read_text(encoding="utf-8")
)
EVERYTHING = (-np.inf, np.inf)


def problem(n=300, slope=0.7, shift=0.4, seed=0):
    """Labels whose log-odds are a straight line of those predicted, and weights."""
    rng = np.random.default_rng(seed)
    x = 1.5 * rng.standard_normal(n)
    return (rng.random(n) < expit(shift + slope * x)).astype(int), expit(x), rng.random(n)


# Two probabilities, .2 and .8, with log-odds of -+ ln 4; 3 of 4 events are as predicted.
Y, P = [0, 0, 0, 1, 0, 1, 1, 1], [0.2] * 4 + [0.8] * 4


def test_two_probabilities_have_a_slope_worked_by_hand():
    line = calibration_slope_intercept(Y, P)
    assert line.slope == pytest.approx(np.log(3) / np.log(4), abs=1e-12)
    assert line.intercept == pytest.approx(0, abs=1e-12)
    # The information of each row is 3/16 ln(4)^2 for the slope; the squared scores, with events
    # of 3/4 and 1/4 the same, times 8 / (8 - 2).
    information = 8 * 3 / 16 * np.log(4) ** 2
    half = 1.959964 * (8 / 6 / information) ** 0.5
    assert line.slope_interval == pytest.approx((line.slope - half, line.slope + half), rel=1e-6)
    # At a slope of 1 each row has an information of 4/25 for the intercept. Six squared errors
    # are 1/25 and two 16/25, times 8 / (8 - 1).
    information = 8 * 4 / 25
    half = 1.959964 * (8 / 7 * (6 * 1 / 25 + 2 * 16 / 25)) ** 0.5 / information
    assert line.intercept_interval == pytest.approx((-half, half), rel=1e-6)


def test_the_information_of_the_model_counts_where_rows_scatter_less():
    # Ten events of ten, but one: .9 predicted and .9 observed, at a = 0. Squared errors: 9 of
    # 1/100 and one of 81/100 make .9, the information 10 * .09 as well; 10 / 9 of it counts.
    line = calibration_slope_intercept([0] + [1] * 9, [0.9] * 10)
    assert line.intercept_interval[1] == pytest.approx(1.959964 * (10 / 9 / 0.9) ** 0.5, rel=1e-6)
    # As predicted throughout, at .1 and .9, and far more so than the model expects:
    y, p = [0] * 50 + [1] + [0] + [1] * 50, [0.1] * 51 + [0.9] * 51
    errors = 100 * 0.1**2 + 2 * 0.9**2
    information = 102 * 0.09
    assert errors * 102 / 101 < information
    line = calibration_slope_intercept(y, p)
    assert line.intercept_interval[1] == pytest.approx(1.959964 / information**0.5, rel=1e-6)


def test_the_line_is_the_known_one():
    given, cases = KNOWN["inputs"]["D"], {case["id"]: case for case in KNOWN["cases"]}
    line = calibration_slope_intercept(given["y"], given["p"])
    for name, value in {"D/cal_slope": line.slope, "D/cal_intercept": line.intercept}.items():
        assert value == pytest.approx(cases[name]["expected"], abs=cases[name]["tol"])


@pytest.mark.parametrize("weighted", [False, True])
def test_the_slope_is_scikit_learns(weighted):
    y, p, weight = problem()
    weight = weight if weighted else None
    model = LogisticRegression(C=1e12, solver="newton-cholesky", tol=1e-12)
    model.fit(logit(p)[:, None], y, sample_weight=weight)
    found = calibration_slope_intercept(y, p, sample_weight=weight)
    assert found.slope == pytest.approx(model.coef_[0, 0], abs=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_intercept_makes_the_mean_probability_the_frequency(weighted):
    y, p, weight = problem()
    found = calibration_slope_intercept(y, p, sample_weight=weight if weighted else None)
    w = weight if weighted else np.ones(len(y))
    expected = brentq(lambda a: w @ (expit(logit(p) + a) - y), -5, 5, xtol=1e-13)
    assert found.intercept == pytest.approx(expected, abs=1e-11)


def test_the_variances_are_those_of_the_textbook():
    # With all matrices written out; the greater of inverse information and sandwich.
    y, p, weight = problem(slope=0.5)
    line = calibration_slope_intercept(y, p, confidence_level=0.9, sample_weight=10 * weight)
    x, w, n = logit(p), 10 * weight, 10 * weight.sum()
    model = LogisticRegression(C=1e12, solver="newton-cholesky", tol=1e-12)
    model.fit(x[:, None], y, sample_weight=w)
    fits = {
        "slope": (np.column_stack([np.ones(len(x)), x]), model.predict_proba(x[:, None])[:, 1]),
        "intercept": (np.ones((len(x), 1)), expit(x + line.intercept)),
    }
    for name, (design, q) in fits.items():
        inverse = np.linalg.inv((design.T * (w * q * (1 - q))) @ design)
        scores = (design.T * (w * (q - y) ** 2)) @ design
        sandwich = n / (n - design.shape[1]) * inverse @ scores @ inverse
        half = norm.ppf(0.95) * max(inverse[-1, -1], sandwich[-1, -1]) ** 0.5
        value = getattr(line, name)
        interval = getattr(line, f"{name}_interval")
        assert interval == pytest.approx((value - half, value + half), abs=1e-8)


def test_results_are_python_floats():
    line = calibration_slope_intercept(Y, P)
    values = [line.slope, line.intercept, *line.slope_interval, *line.intercept_interval]
    assert {type(value) for value in values} == {float}


def test_a_weight_is_repetition():
    y, p, _ = problem()
    weight = np.random.default_rng(1).integers(0, 4, len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    found = calibration_slope_intercept(y, p, sample_weight=weight)
    repeated = calibration_slope_intercept(y[rows], p[rows])
    for a, b in zip(found, repeated, strict=True):
        assert a == pytest.approx(b, abs=1e-11)


def test_any_labels_and_either_column_will_do():
    y, p, _ = problem()
    expected = calibration_slope_intercept(y, p)
    assert calibration_slope_intercept(2 * y - 1, p) == expected
    names = np.array(["no", "yes"])[y]
    assert calibration_slope_intercept(names, p, pos_label="yes") == expected
    both = np.column_stack([1 - p, p])
    assert calibration_slope_intercept(y, both) == expected
    other = calibration_slope_intercept(y, both, pos_label=0)
    assert other.slope == pytest.approx(expected.slope, abs=1e-9)
    assert other.intercept == pytest.approx(-expected.intercept, abs=1e-9)


def test_classes_and_confidences_are_binary_problems():
    rng = np.random.default_rng(0)
    proba, y = rng.dirichlet(np.ones(3), 200), rng.integers(0, 3, 200)
    of_class = calibration_slope_intercept(y, proba, kind="class", class_label=1)
    assert of_class == calibration_slope_intercept(y == 1, proba[:, 1])
    confidence = calibration_slope_intercept(y, proba, kind="confidence")
    assert confidence == calibration_slope_intercept(proba.argmax(axis=1) == y, proba.max(axis=1))


def test_float32_gives_what_float64_gives():
    rng = np.random.default_rng(0)
    p, y = rng.integers(1, 256, 100) / 256, rng.integers(0, 2, 100)
    expected = calibration_slope_intercept(y, p)
    assert calibration_slope_intercept(y, p.astype(np.float32)) == expected


@pytest.mark.parametrize(
    ("y", "p", "slope"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.9], np.inf),
        ([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.9], -np.inf),
        ([0, 0, 1, 1], [0.1, 0.3, 0.3, 0.9], np.inf),
        ([1, 0, 0, 0], [0.1, 0.1, 0.3, 0.9], -np.inf),
    ],
)
def test_rows_that_one_probability_divides_have_an_infinite_slope(y, p, slope):
    with np.errstate(all="raise"):
        line = calibration_slope_intercept(y, p)
    assert line.slope == slope
    assert line.slope_interval == EVERYTHING
    assert np.isfinite([line.intercept, *line.intercept_interval]).all()


def test_equal_probabilities_tell_no_slope():
    line = calibration_slope_intercept([0, 1, 1, 1], [0.5] * 4)
    assert np.isnan(line.slope)
    assert line.slope_interval == EVERYTHING
    assert line.intercept == pytest.approx(np.log(3), abs=1e-12)


@pytest.mark.parametrize(("label", "intercept"), [(0, -np.inf), (1, np.inf)])
def test_equal_labels_tell_no_slope_and_an_infinite_intercept(label, intercept):
    with np.errstate(all="raise"):
        line = calibration_slope_intercept([label] * 3, [0.1, 0.5, 0.7])
    assert np.isnan(line.slope)
    assert line.intercept == intercept
    assert line.slope_interval == line.intercept_interval == EVERYTHING


@pytest.mark.parametrize(
    ("y", "x"),
    [
        # One wrong row far out; nearly divided; far apart; within rounding of each other.
        ([1, *[0] * 20, *[1] * 20], [-700, *range(-20, 0), *range(1, 21)]),
        ([*[0] * 20, 1, 0, *[1] * 20], [*range(-20, 0), -1e-9, 1e-9, *range(1, 21)]),
        ([0, 1, 0, 1, 0, 1], [-690, -690, 0, 0, 30, 30]),
        ([0, 1, 0, 1, 1], [1e-14, 2e-14, 3e-14, 4e-14, 5e-14]),
    ],
)
def test_hard_cases_end_at_the_minimum(y, x):
    y, p = np.array(y), expit(np.array(x, dtype=float))
    with np.errstate(all="raise"):
        line = calibration_slope_intercept(y, p)
    x = np.log(p) - np.log1p(-p)
    assert abs((expit(x + line.intercept) - y).mean()) < 1e-12
    # The best intercept beside a slope, by its own equation; then the slope's must hold too.

    def beside(slope):
        wide = np.abs(slope * x).max() + 50
        return brentq(lambda a: (expit(a + slope * x) - y).mean(), -wide, wide, xtol=1e-15)

    error = expit(beside(line.slope) + line.slope * x) - y
    assert abs(error @ (x - x.mean())) < 1e-8 * np.abs(x - x.mean()).sum()


@pytest.mark.parametrize("p", [0.0, 1.0, np.float32(1)])
def test_a_probability_without_a_logit_is_refused_and_its_row_named(p):
    values = np.array([0.2, 0.7, p, 0.4], dtype=np.asarray(p).dtype)
    message = rf"got {float(p)} in row 2: its logit is infinite\. Clip .* np\.clip"
    with pytest.raises(ValueError, match=message):
        calibration_slope_intercept([0, 1, 1, 0], values)


def test_a_row_of_weight_zero_may_have_any_probability():
    y, p, _ = problem(50)
    expected = calibration_slope_intercept(y, p)
    more = calibration_slope_intercept([1, *y], [0.0, *p], sample_weight=[0, *[1] * 50])
    assert more == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "top"}, "'kind' parameter of calibration_slope_intercept must be"),
        ({"confidence_level": 0}, "'confidence_level' parameter of calibration_slope_intercept"),
        ({"kind": "class"}, "kind='class' needs a class_label"),
        ({"kind": "class", "class_label": 7}, r"class_label=7 is not among the labels \[0, 1\]"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        calibration_slope_intercept(Y, P, **options)


def test_three_classes_need_another_kind():
    with pytest.raises(ValueError, match="kind='positive' is for two classes, there are 3"):
        calibration_slope_intercept([0, 1, 2], np.full((3, 3), 1 / 3))


# Observed log-odds as functions of those predicted: calibrated; too extreme and too low on the
# whole; not on a line at all.
TRUTHS = {
    "calibrated": lambda x: x,
    "a line": lambda x: 0.5 + 0.6 * x,
    "no line": lambda x: 2 * np.tanh(x) - 0.5,
}


@pytest.mark.slow
@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
def test_intervals_cover_what_endless_rows_would_give(truth):
    # 2000 sets of 500 rows. The target solves the equations of the fit in expectation, over
    # quantiles of the predicted log-odds.
    x = 1.5 * norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    q = expit(truth(x))
    intercept = brentq(lambda a: (expit(x + a) - q).mean(), -5, 5)

    def beside(slope):
        return brentq(lambda a: (expit(a + slope * x) - q).mean(), -5, 5)

    slope = brentq(lambda b: ((expit(beside(b) + b * x) - q) * x).mean(), 0.1, 3)
    rng = np.random.default_rng(0)
    covered = np.zeros(2)
    for _ in range(2000):
        predicted = 1.5 * rng.standard_normal(500)
        y = rng.random(500) < expit(truth(predicted))
        line = calibration_slope_intercept(y, expit(predicted))
        for place, (interval, target) in enumerate(
            [(line.slope_interval, slope), (line.intercept_interval, intercept)]
        ):
            covered[place] += interval[0] <= target <= interval[1]
    assert (covered / 2000 >= 0.93).all()
    assert (covered / 2000 <= 0.97).all()
