"""Temperature scaling of given scores: the number it finds, and what must not change it."""

import warnings

import mpmath
import numpy as np
import pytest
from oracles import best_temperature, mean_log_loss, temperature_interval
from scipy.special import log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning

from skcalib import TemperatureScaling
from skcalib.datasets import load_logits, make_miscalibrated_logits

SETS = [
    "letter_random_forest",
    "mcq_smollm2_a",
    "mnist_cnn_shift",
    "spambase_svm",
    "wordnet_lexname_mlp",
]


def calibration_rows(name, n_rows=400):
    """At most `n_rows` of a real set's calibration rows, as float64 logits and labels."""
    scores = load_logits(name)
    rows = np.flatnonzero(scores.calibration)[:n_rows]
    return scores.logits[rows].astype(np.float64), scores.target[rows]


def fit(logits, y, *, n_classes=None, sample_weight=None, **parameters):
    classes = range(logits.shape[1] if n_classes is None else n_classes)
    model = TemperatureScaling(classes=list(classes), **parameters)
    return model.fit(logits, y, sample_weight=sample_weight)


def proba_of(logits):
    return softmax(np.asarray(logits, dtype=np.float64), axis=1)


# By hand.


@pytest.fixture
def four_of_five():
    """Twenty decisions of +-2, sixteen of them right."""
    decision = np.array([2.0, 2, 2, 2, -2] * 2 + [-2.0, -2, -2, -2, 2] * 2)
    return decision, np.repeat([1, 0], 10)


def test_four_of_five_right_at_one_margin_give_the_closed_form(four_of_five):
    model = TemperatureScaling(alpha=0).fit(*four_of_five)
    # sigmoid(2 / T) = 4 / 5, so 2 / T = log(4 / 1).
    assert model.temperature_ == pytest.approx(2 / np.log(4), rel=1e-12)
    proba = model.predict_proba(np.array([2.0, -2.0]))
    np.testing.assert_allclose(proba, [[0.2, 0.8], [0.8, 0.2]], rtol=1e-12)
    # One in five pays log 5, four in five log 5/4; before, they paid log(1 + e^2), log(1 + e^-2).
    after = 0.2 * np.log(5) + 0.8 * np.log(5 / 4)
    before = 0.2 * np.log(1 + np.e**2) + 0.8 * np.log(1 + np.e**-2)
    assert model.log_loss_after_ == pytest.approx(after, rel=1e-12)
    assert model.log_loss_before_ == pytest.approx(before, rel=1e-12)
    assert model.smoothing_ == 0


def test_the_interval_of_the_closed_form_is_the_sandwich(four_of_five):
    model = TemperatureScaling(alpha=0).fit(*four_of_five)
    # Logits (-1, 1) with probabilities .2, .8: mean .6, variance 1 - .36 = .64. Of 20 rows 16
    # have the residual .6 - 1 = -.4 and 4 have .6 + 1 = 1.6: the residuals sum to -6.4 + 6.4 = 0,
    # their squares to 16 * .16 + 4 * 2.56 = 12.8. In log T, with beta = log(4) / 2:
    # h = beta^2 * 20 * .64 = 12.8 beta^2, sandwich (20/19 * 12.8 beta^2) / h^2 > 1 / h.
    beta = np.log(4) / 2
    half = 1.959963984540054 * np.sqrt(20 / 19 / (12.8 * beta**2))
    expected = np.exp([-half, half]) / beta
    np.testing.assert_allclose(model.temperature_interval_, expected, rtol=1e-9)


def test_one_right_row_is_held_by_the_prior_alone():
    model = TemperatureScaling(classes=[0, 1]).fit(np.array([2.0]), [1])
    # -log sigmoid(2 beta) + u^2 / 2 is least where u = 2 beta (1 - sigmoid(2 beta)).
    u = -np.log(model.temperature_)
    beta = np.exp(u)
    assert u == pytest.approx(2 * beta / (1 + np.exp(2 * beta)), rel=1e-9)
    assert 0.1 < u < 0.5


def test_as_many_right_as_wrong_leave_nothing_to_be_sure_of():
    decision, y = np.array([3.0, 3.0, -3.0, -3.0] * 25), np.array([1, 0, 1, 0] * 25)
    with pytest.warns(ConvergenceWarning, match="say nothing about their labels"):
        model = TemperatureScaling(alpha=0).fit(decision, y)
    np.testing.assert_allclose(model.predict_proba(decision), 0.5, atol=1e-15)


def test_with_equal_scores_the_prior_says_one_give_or_take_a_factor_of_seven():
    model = TemperatureScaling(classes=[0, 1, 2]).fit(np.ones((50, 3)), np.arange(50) % 3)
    # Without information log T ~ N(0, 1): exp(+-1.96).
    assert model.temperature_ == 1
    expected = np.exp([-1.959963984540054, 1.959963984540054])
    np.testing.assert_allclose(model.temperature_interval_, expected, rtol=1e-12)


# Against other solvers.


@pytest.mark.parametrize("alpha", [0, 1, 30.0])
@pytest.mark.parametrize("name", SETS)
def test_t_of_real_scores_is_that_of_a_bisection(name, alpha):
    logits, y = calibration_rows(name)
    model = fit(logits, y, alpha=alpha)
    expected = best_temperature(logits, y, alpha=alpha)
    assert model.temperature_ == pytest.approx(expected, rel=1e-9)
    assert model.log_loss_before_ == pytest.approx(mean_log_loss(logits, y), rel=1e-12)
    assert model.log_loss_after_ == pytest.approx(mean_log_loss(logits, y, expected), rel=1e-12)
    interval = temperature_interval(logits, y, expected, alpha=alpha)
    np.testing.assert_allclose(model.temperature_interval_, interval, rtol=1e-4)  # 1.96 rounded


@pytest.mark.parametrize("name", SETS)
def test_weighted_t_of_real_scores_is_that_of_a_bisection(name):
    logits, y = calibration_rows(name)
    weight = np.random.default_rng(0).gamma(0.5, size=len(y))
    model = fit(logits, y, sample_weight=weight)
    expected = best_temperature(logits, y, weight, alpha=1)
    assert model.temperature_ == pytest.approx(expected, rel=1e-9)
    assert model.log_loss_after_ == pytest.approx(
        mean_log_loss(logits, y, expected, weight), rel=1e-12
    )
    interval = temperature_interval(logits, y, expected, weight, alpha=1)
    np.testing.assert_allclose(model.temperature_interval_, interval, rtol=1e-4)


@pytest.mark.parametrize("name", SETS)
def test_t_in_the_stored_precision_is_that_of_float64(name):
    scores = load_logits(name)
    rows = scores.calibration
    single = fit(scores.logits[rows], scores.target[rows]).temperature_
    double = fit(scores.logits[rows].astype(np.float64), scores.target[rows]).temperature_
    assert single == pytest.approx(double, rel=1e-6)


def test_t_of_five_rows_is_right_to_fourteen_digits():
    logits = np.array([[2.0, 0, 1], [0, 3, 1], [1, 0, 0], [0.5, 2, 1], [1, 1.5, 4]])
    y = np.array([0, 1, 2, 1, 1])
    mpmath.mp.dps = 50

    def slope(u):
        total = mpmath.mpf(u)  # alpha = 1
        for row, label in zip(logits.tolist(), y, strict=True):
            powers = [mpmath.exp(mpmath.exp(u) * z) for z in row]
            mean = mpmath.fdot(powers, row) / mpmath.fsum(powers)
            total += mpmath.exp(u) * (mean - row[label])
        return total

    expected = float(mpmath.exp(-mpmath.findroot(slope, 0)))
    assert fit(logits, y).temperature_ == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("seed", range(40))
def test_of_two_minima_of_few_rows_the_lower_is_taken(seed):
    rng = np.random.default_rng(seed)
    n, n_classes = int(rng.integers(1, 12)), int(rng.integers(2, 6))
    logits = rng.normal(size=(n, n_classes)) * 10 ** rng.uniform(-2, 3)
    y = rng.integers(0, n_classes, n)
    expected = best_temperature(logits, y, alpha=1)

    def objective(temperature):
        return n * mean_log_loss(logits, y, temperature) + np.log(temperature) ** 2 / 2

    found = fit(logits, y).temperature_
    assert objective(found) <= objective(expected) + 1e-12 * n * objective(expected)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_scores_were_drawn_with_lies_in_the_interval(temperature):
    inside = 0
    for seed in range(100):
        logits, y = make_miscalibrated_logits(300, 4, temperature=temperature, random_state=seed)
        low, high = fit(logits, y).temperature_interval_
        inside += low < temperature < high
    # 95 of 100 expected with standard deviation 2.2: four of them below.
    assert inside >= 87


# What must not change the answer.


@pytest.mark.parametrize("method", ["decision_function", "predict_proba"])
@pytest.mark.parametrize("alpha", [0, 1])
@pytest.mark.parametrize("name", SETS)
def test_a_weight_is_that_many_repetitions_of_its_row(name, alpha, method):
    X, y = calibration_rows(name)
    X = X if method == "decision_function" else proba_of(X)
    times = np.random.default_rng(1).integers(0, 4, len(y))
    parameters = {"alpha": alpha, "response_method": method}
    weighted = fit(X, y, sample_weight=times, **parameters)
    repeated = fit(np.repeat(X, times, axis=0), np.repeat(y, times), **parameters)
    for attribute in (
        "temperature_",
        "temperature_interval_",
        "smoothing_",
        "log_loss_before_",
        "log_loss_after_",
    ):
        np.testing.assert_allclose(
            getattr(weighted, attribute), getattr(repeated, attribute), rtol=1e-10
        )
    np.testing.assert_allclose(
        weighted.predict_proba(X), repeated.predict_proba(X), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("alpha", [0, 1])
def test_a_row_of_weight_zero_is_absent_even_if_it_holds_nan(alpha):
    logits, y = calibration_rows("mcq_smollm2_a")
    weight = np.ones(len(y))
    spoilt = logits.copy()
    spoilt[3], spoilt[10, 1], spoilt[11] = np.nan, np.inf, -np.inf
    spoilt[12, y[12]] = -np.inf
    absent = [3, 10, 11, 12]
    weight[absent] = 0
    kept = fit(np.delete(logits, absent, axis=0), np.delete(y, absent), alpha=alpha)
    spoilt = fit(spoilt, y, sample_weight=weight, alpha=alpha)
    assert spoilt.temperature_ == pytest.approx(kept.temperature_, rel=1e-12)
    assert spoilt.log_loss_after_ == pytest.approx(kept.log_loss_after_, rel=1e-12)
    np.testing.assert_allclose(spoilt.temperature_interval_, kept.temperature_interval_, rtol=1e-12)


def test_one_number_for_all_weights_is_that_weight_for_each_row():
    logits, y = calibration_rows("mcq_smollm2_a", 40)
    one_number = fit(logits, y, sample_weight=2.5).temperature_
    assert one_number == fit(logits, y, sample_weight=[2.5] * 40).temperature_


@pytest.mark.parametrize("name", SETS)
def test_a_constant_added_to_a_row_changes_nothing(name):
    logits, y = calibration_rows(name)
    logits = np.round(logits * 2**20) / 2**20  # so that the sums below are exact
    offset = np.random.default_rng(2).integers(-(2**10), 2**10, (len(y), 1))
    plain, moved = fit(logits, y), fit(logits + offset, y)
    assert moved.temperature_ == pytest.approx(plain.temperature_, rel=1e-12)
    np.testing.assert_allclose(
        moved.predict_proba(logits + offset), plain.predict_proba(logits), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("method", ["decision_function", "predict_proba"])
@pytest.mark.parametrize("name", SETS)
def test_classes_may_come_in_any_order(name, method):
    X, y = calibration_rows(name)
    X = X if method == "decision_function" else proba_of(X)
    order = np.random.default_rng(3).permutation(X.shape[1])
    plain = fit(X, y, response_method=method)
    # Column j now holds class order[j]: under its own name, and under a new one.
    named = TemperatureScaling(classes=order, response_method=method).fit(X[:, order], y)
    renamed = fit(X[:, order], np.argsort(order)[y], response_method=method)
    for other, proba in (
        (named, named.predict_proba(X[:, order])),
        (renamed, renamed.predict_proba(X[:, order])[:, np.argsort(order)]),
    ):
        assert other.temperature_ == pytest.approx(plain.temperature_, rel=1e-8)
        np.testing.assert_allclose(proba, plain.predict_proba(X), rtol=0, atol=1e-8)


@pytest.mark.parametrize("method", ["decision_function", "predict_proba"])
@pytest.mark.parametrize("name", SETS)
def test_rows_may_come_in_any_order(name, method):
    X, y = calibration_rows(name)
    X = X if method == "decision_function" else proba_of(X)
    order = np.random.default_rng(4).permutation(len(y))
    plain = fit(X, y, response_method=method)
    shuffled = fit(X[order], y[order], response_method=method)
    assert shuffled.temperature_ == pytest.approx(plain.temperature_, rel=1e-10)
    np.testing.assert_allclose(
        shuffled.temperature_interval_, plain.temperature_interval_, rtol=1e-10
    )


def test_sorted_rows_of_a_large_set_give_the_temperature_of_shuffled_ones():
    logits, y = make_miscalibrated_logits(60_000, 20, temperature=2, random_state=0)
    easy_first = np.argsort(-logits[np.arange(len(y)), y], kind="stable")
    plain = fit(logits, y).temperature_
    assert fit(logits[easy_first], y[easy_first]).temperature_ == pytest.approx(plain, rel=1e-10)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6, 1e15])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_rows", [300, 60_000])
def test_without_a_prior_t_scales_with_the_scores(scale, dtype, n_rows):
    logits, y = make_miscalibrated_logits(n_rows, 5, random_state=1)
    plain = fit(logits.astype(dtype), y, alpha=0).temperature_
    scaled = fit((logits * scale).astype(dtype), y, alpha=0).temperature_
    rel = 1e-6 if dtype is np.float32 else 1e-10
    assert scaled == pytest.approx(plain * scale, rel=rel)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-30, 1e30, 1e160, 1e300])
@pytest.mark.parametrize("alpha", [0, 1])
def test_scores_of_absurd_size_are_answered_finitely_without_numpy_noise(scale, alpha):
    logits, y = make_miscalibrated_logits(100, 3, random_state=2)
    with np.errstate(all="raise"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = fit(logits * scale, y, alpha=alpha)
        proba = model.predict_proba(logits * scale)
    assert {w.category for w in caught} <= {ConvergenceWarning}
    assert len(caught) <= 1
    assert 1e-25 < model.temperature_ < 1e25
    low, high = model.temperature_interval_
    assert low <= model.temperature_ <= high
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-100, 1e-60, 1e-20, 1e20, 1e60, 1e97])
@pytest.mark.parametrize("alpha", [0, 1])
@pytest.mark.parametrize("method", ["decision_function", "predict_proba"])
def test_weights_of_absurd_size_are_answered_finitely_without_numpy_noise(scale, alpha, method):
    logits, y = make_miscalibrated_logits(100, 3, random_state=2)
    X = logits if method == "decision_function" else proba_of(logits)
    parameters = {"alpha": alpha, "response_method": method}
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = fit(X, y, sample_weight=np.full(100, scale), **parameters)
    # Light weights leave the prior in charge, heavy ones the likelihood.
    if alpha and scale < 1e-10:
        assert model.temperature_ == pytest.approx(1, rel=1e-6)
    elif method == "decision_function":
        assert model.temperature_ == pytest.approx(best_temperature(logits, y), rel=1e-6)
    low, high = model.temperature_interval_
    assert low <= model.temperature_ <= high


# Where the rows do not determine a temperature.


def separable(n_rows=60, n_classes=3):
    y = np.arange(n_rows) % n_classes
    return 2.0 * np.eye(n_classes)[y], y


CASES = {
    "separable": separable(),
    "anti-correlated": (-separable()[0], separable()[1]),
    "constant": (np.full((60, 3), 7.0), separable()[1]),
    "one class": (make_miscalibrated_logits(60, 3, random_state=3)[0], np.full(60, 1)),
    "one class, always right": (2.0 * np.eye(3)[np.full(60, 1)], np.full(60, 1)),
    "one row": (np.array([[1.0, 0.0, 0.5]]), np.array([0])),
    "one wrong row": (np.array([[1.0, 0.0, 0.5]]), np.array([1])),
}


def rows_of(case, method, dtype):
    logits, y = CASES[case]
    return (logits if method == "decision_function" else proba_of(logits)).astype(dtype), y


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("smoothing", ["auto", 0, 0.01])
@pytest.mark.parametrize("method", ["decision_function", "predict_proba"])
@pytest.mark.parametrize("case", CASES)
def test_the_prior_answers_what_rows_leave_open_with_a_wide_interval(
    case, method, smoothing, dtype
):
    X, y = rows_of(case, method, dtype)
    with np.errstate(all="raise"):
        model = fit(X, y, response_method=method, smoothing=smoothing)
        proba = model.predict_proba(np.array([[0.5, 0.25, 0.25]], dtype=dtype))
    assert 1e-3 < model.temperature_ < 1e3
    low, high = model.temperature_interval_
    assert low < model.temperature_ < high
    assert high / low > 2
    assert np.isfinite(proba).all()
    if method == "decision_function" or smoothing == 0:
        assert model.log_loss_after_ <= model.log_loss_before_ + 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("smoothing", ["auto", 0, 0.01])
@pytest.mark.parametrize("method", ["decision_function", "predict_proba"])
@pytest.mark.parametrize("case", [case for case in CASES if case != "one class"])
def test_without_a_prior_one_warning_says_what_rows_leave_open(case, method, smoothing, dtype):
    X, y = rows_of(case, method, dtype)
    with np.errstate(all="raise"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = fit(X, y, response_method=method, alpha=0, smoothing=smoothing)
    assert [w.category for w in caught] == [ConvergenceWarning]
    assert "alpha" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert 0 < model.temperature_ < np.inf
    low, high = model.temperature_interval_
    assert low <= model.temperature_ <= high
    assert high / low > 10


@pytest.mark.parametrize("method", ["decision_function", "predict_proba"])
def test_equal_scores_leave_the_temperature_at_one(method):
    X = np.full((60, 3), 1 / 3)
    model = TemperatureScaling(response_method=method, alpha=0)
    with pytest.warns(ConvergenceWarning, match="are equal"):
        model.fit(X, np.arange(60) % 3)
    assert model.temperature_ == 1


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("separable", "none of them is misclassified"),
        ("anti-correlated", "their scores say nothing about their labels"),
        ("constant", "the scores of every row are equal"),
    ],
)
def test_the_warning_gives_the_reason(case, reason):
    with pytest.warns(ConvergenceWarning, match=reason):
        fit(*CASES[case], alpha=0)


def test_a_scale_beyond_the_bounds_is_not_blamed_on_the_scores():
    logits, y = make_miscalibrated_logits(100, 3, random_state=2)
    with pytest.warns(ConvergenceWarning) as caught:
        fit(logits * 1e-30, y, alpha=0)
    assert "misclassified" not in str(caught[0].message)
    with pytest.warns(ConvergenceWarning) as caught:
        fit(logits * 1e30, y, alpha=0)
    assert "say nothing" not in str(caught[0].message)


def test_who_has_a_prior_is_not_advised_to_use_one():
    logits, y = make_miscalibrated_logits(100, 3, random_state=2)
    with pytest.warns(ConvergenceWarning, match=r"temperature_ is 5\.18e\+21") as caught:
        fit(logits * 1e30, y, alpha=1)
    assert "alpha=1" not in str(caught[0].message)


def test_a_warning_turned_into_an_error_leaves_nothing_behind():
    logits, y = separable()
    model = TemperatureScaling(alpha=0)
    before = dict(vars(model))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning):
            model.fit(logits, y)
    assert vars(model) == before


def test_alpha_draws_the_temperature_towards_one():
    logits, y = make_miscalibrated_logits(50, 3, temperature=5, random_state=4)
    temperatures = [fit(logits, y, alpha=alpha).temperature_ for alpha in (0, 1, 10, 100, 1e6)]
    assert temperatures == sorted(temperatures, reverse=True)
    assert temperatures[0] == pytest.approx(best_temperature(logits, y), rel=1e-9)
    assert temperatures[-1] == pytest.approx(1, abs=1e-3)


# What is served.


@pytest.mark.parametrize("name", SETS)
def test_probabilities_are_the_softmax_of_scores_over_t(name):
    logits, y = calibration_rows(name)
    model = fit(logits, y)
    expected = log_softmax(logits / model.temperature_, axis=1)
    np.testing.assert_allclose(model.predict_proba(logits), np.exp(expected), rtol=1e-12)
    np.testing.assert_allclose(model.predict_log_proba(logits), expected, rtol=1e-12, atol=1e-14)


def test_declared_probabilities_are_served_as_documented():
    proba, y = proba_of(calibration_rows("mcq_smollm2_a")[0]), calibration_rows("mcq_smollm2_a")[1]
    model = fit(proba, y, response_method="predict_proba")
    eps = model.smoothing_
    assert 0 < eps < 1
    served = (proba + eps / (1 - eps) / 4) ** (1 / model.temperature_)
    served /= served.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(proba), served, rtol=1e-12)


def test_log_probabilities_are_served_like_their_exponentials():
    logits, y = calibration_rows("mcq_smollm2_a")
    proba = proba_of(logits)
    plain = fit(proba, y, response_method="predict_proba")
    as_logs = fit(np.log(proba), y, response_method="predict_log_proba")
    assert as_logs.temperature_ == pytest.approx(plain.temperature_, rel=1e-9)
    assert as_logs.smoothing_ == pytest.approx(plain.smoothing_, rel=1e-8)
    np.testing.assert_allclose(
        as_logs.predict_proba(np.log(proba)), plain.predict_proba(proba), rtol=1e-9
    )


def test_a_temperature_of_one_without_smoothing_leaves_a_model_unchanged():
    logits = make_miscalibrated_logits(30, 3, random_state=5)[0]
    proba = proba_of(logits)
    # Labels in the shares that the model says would give T = 1; a strong prior does too.
    model = fit(proba, np.arange(30) % 3, response_method="predict_proba", smoothing=0, alpha=1e12)
    assert model.temperature_ == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(model.predict_proba(proba), proba, rtol=1e-8)


@pytest.mark.parametrize("method", ["decision_function", "predict_proba"])
def test_the_order_of_classes_within_a_row_stays(method):
    logits, y = make_miscalibrated_logits(500, 6, temperature=4, random_state=6)
    X = logits if method == "decision_function" else proba_of(logits)
    served = fit(X, y, response_method=method).predict_proba(X)
    np.testing.assert_array_equal(served.argsort(axis=1), X.argsort(axis=1))
