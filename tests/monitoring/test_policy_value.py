import numpy as np
import pandas as pd
import pytest
from scipy.stats import t
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression

from skcalib.monitoring import PolicyValue, TemperaturePolicy, policy_value
from skcalib.monitoring._logs import Logs
from skcalib.monitoring._outcome_model import cross_fitted_rewards, doubly_robust_scores

TEMPERATURES = np.array([0.0, 0.3, 1.0])
SLOPES = np.array([[0.5, -0.5, 0.0], [0.0, 0.3, 0.6]])


def wanted(X):
    """The policy that is evaluated."""
    return np.where(X[:, :1] > 0, [[0.8, 0.1, 0.1]], [[0.1, 0.1, 0.8]])


def log(rng, n, reward=None, least=0.05):
    """Contexts, temperatures, rewards and propensities down to `least`."""
    X = rng.standard_normal((n, 2))
    often = np.where(X[:, 1] > 0, 0, 1)
    proba = np.full((n, 3), least)
    proba[np.arange(n), often] = 1 - 2 * least
    action = (rng.random((n, 1)) > proba.cumsum(axis=1)[:, :-1]).sum(axis=1)
    mean = (X @ SLOPES if reward is None else reward(X))[np.arange(n), action]
    rows = np.arange(n)
    return X, TEMPERATURES[action], mean + rng.standard_normal(n), proba[rows, action]


def by_hand():
    """Four rows in which each estimate can be written down; w is 2, 0, 4/3 and 0."""
    X = np.zeros((4, 1))
    temperature, reward = [0, 1, 0, 1], [3.0, 5.0, 1.0, 7.0]
    return X, temperature, reward, [0.5, 0.5, 0.75, 0.25]


def test_weighted_estimates_by_hand():
    found = policy_value(*by_hand(), policy=0.0)
    # Mean of 2 * 3, 0, 4/3 * 1, 0; of that and the weights 10/3; of the log.
    assert found["IPS"].value == pytest.approx((6 + 4 / 3) / 4)
    assert found["self-normalised IPS"].value == pytest.approx((6 + 4 / 3) / (10 / 3))
    assert found["logged"].value == 4
    assert found.effective_sample_size == pytest.approx((10 / 3) ** 2 / (4 + 16 / 9))
    assert found.largest_weight == 2
    assert found.mean_weight == pytest.approx(10 / 12)


def test_the_doubly_robust_estimate_by_hand():
    # Each row's models have seen the rest: one row of its temperature, hence its reward, and the
    # mean of two rewards of the other one.
    logs = Logs(
        np.array([0, 1, 0, 1]),
        np.array([3.0, 5.0, 1.0, 7.0]),
        np.array([0.5, 0.5, 0.75, 0.25]),
        np.array([0.0, 1.0]),
        None,
    )
    model, order = DummyRegressor(), np.random.RandomState(0)
    expected = cross_fitted_rewards(model, np.zeros((4, 1)), logs, 4, order)
    np.testing.assert_allclose(expected, [[1, 6], [2, 7], [3, 6], [2, 5]])
    scores = doubly_robust_scores(logs, expected)
    by_rule = [1 + (3 - 1) / 0.5, 7 + (5 - 7) / 0.5, 3 + (1 - 3) / 0.75, 5 + (7 - 5) / 0.25]
    np.testing.assert_allclose(scores[np.arange(4), logs.action], by_rule)
    np.testing.assert_allclose(scores, [[5, 6], [2, 3], [1 / 3, 6], [2, 13]])
    found = policy_value(*by_hand(), policy=0.0, outcome_model=model, cv=4)
    np.testing.assert_allclose(found.row_values, scores[:, 0])
    assert found.value == pytest.approx((5 + 2 + 1 / 3 + 2) / 4)
    assert found["direct method"][1:] == (pytest.approx(2), None, None)
    gain = scores[:, 0] - logs.reward
    assert found["gain on logged"].value == pytest.approx(gain.mean())


def test_the_interval_of_symmetric_rows_is_students():
    X, temperature = np.zeros((3, 1)), np.zeros(3)
    found = policy_value(X, temperature, [1.0, 2.0, 3.0], np.ones(3), 0.0)
    half = t.ppf(0.975, 2) / 3**0.5
    for name in ("IPS", "self-normalised IPS", "logged"):
        assert found[name][1:] == pytest.approx((2, 2 - half, 2 + half))


def test_the_interval_of_a_ratio_by_hand():
    # w is 2, 2, 0, 0 and the ratio 2, which the rows miss by w (r - 2) / 1: -2, 2, 0, 0. Two rows
    # are all that tells: (2 + 2)^2 / (4 + 4).
    found = policy_value(np.zeros((4, 1)), [0, 0, 1, 1], [1.0, 3.0, 9.0, 7.0], [0.5] * 4, 0.0)
    half = t.ppf(0.975, 1) * ((2**2 + 2**2) / 3 / 4) ** 0.5
    assert found["self-normalised IPS"][1:] == pytest.approx((2, 2 - half, 2 + half))
    # The same with half the propensities: w is 4, 4, 0, 0, over a mean of 2.
    found = policy_value(np.zeros((4, 1)), [0, 0, 1, 1], [1.0, 3.0, 9.0, 7.0], [0.25] * 4, 0.0)
    assert found["self-normalised IPS"][1:] == pytest.approx((2, 2 - half, 2 + half))


def test_the_default_model_fits_all_contexts_alike_however_rare_the_temperature_is():
    # A straight line through x^2: its slope hangs on how often each x was seen.
    rng = np.random.default_rng(9)
    x = rng.integers(-1, 3, 4000).astype(float)
    proba = np.where(x > 0, 0.9, 0.1)
    action = (rng.random(4000) > proba).astype(int)
    logs = Logs(action, x**2, np.where(action == 0, proba, 1 - proba), np.array([0.0, 1.0]), None)
    order = np.random.RandomState(0)
    expected = cross_fitted_rewards(None, x[:, None], logs, 5, order)
    for a in (0, 1):
        # Of x in -1, 0, 1, 2 alike: squares 1, 0, 1, 4 have the slope 5 / 5 and the mean 1.5.
        line = np.array([1.0 + x_ for x_ in (-1, 0, 1, 2)])
        found = [expected[x == x_, a].mean() for x_ in (-1, 0, 1, 2)]
        np.testing.assert_allclose(found, line, atol=0.15)


def test_forms_of_one_policy_have_one_value():
    rng = np.random.default_rng(0)
    X, temperature, reward, propensity = log(rng, 300)
    best = TEMPERATURES[wanted(X).argmax(axis=1)]
    chosen = np.eye(3)[wanted(X).argmax(axis=1)]
    values = {
        policy_value(X, temperature, reward, propensity, policy).value
        for policy in (best, chosen, lambda X: TEMPERATURES[wanted(X).argmax(axis=1)])
    }
    assert len(values) == 1
    constant = [
        policy_value(X, temperature, reward, propensity, policy).value
        for policy in (0.3, np.full(300, 0.3), np.tile([0.0, 1.0, 0.0], (300, 1)))
    ]
    assert len(set(constant)) == 1


def test_a_fitted_policy_is_evaluated_with_its_exploration():
    rng = np.random.default_rng(1)
    X, temperature, reward, propensity = log(rng, 300)
    policy = TemperaturePolicy(TEMPERATURES, exploration=0.3)
    policy.fit(X, reward, temperature=temperature, propensity=propensity)
    X, temperature, reward, propensity = log(rng, 300)
    found, expected = (
        policy_value(X, temperature, reward, propensity, p)
        for p in (policy, policy.predict_proba(X))
    )
    assert str(found) == str(expected)
    with pytest.raises(ValueError, match=r"policy chooses among \[0.0, 0.3, 1.0\]"):
        policy_value(X, temperature, reward, propensity, policy, temperatures=[0, 0.3, 1, 2])


def test_a_temperature_that_went_through_float32_is_the_same():
    rng = np.random.default_rng(2)
    X, temperature, reward, propensity = log(rng, 100)
    single = temperature.astype(np.float32)
    options = {"temperatures": TEMPERATURES}
    a = policy_value(X, temperature, reward, propensity, 0.3, **options)
    b = policy_value(X, single, reward, propensity, np.float32(0.3), **options)
    assert a.value == b.value


def test_context_may_be_a_data_frame_with_words_and_gaps():
    rng = np.random.default_rng(3)
    X, temperature, reward, propensity = log(rng, 400)
    task = np.where(X[:, 0] > 0, "code", "chat").astype(object)
    task[0] = None
    frame = pd.DataFrame({"task": task, "length": X[:, 1], "beta": rng.random(400) < 0.5})
    frame.loc[5, "length"] = np.nan
    found = policy_value(frame, temperature, reward, propensity, 0.3)
    by_number = policy_value(X, temperature, reward, propensity, 0.3)
    assert found["IPS"] == by_number["IPS"]
    assert found.value == pytest.approx(by_number.value, abs=0.2)


def test_a_good_model_makes_the_interval_narrower():
    X, temperature, reward, propensity = log(np.random.default_rng(4), 1000)
    reward = 3 + 4 * X[:, 0] + 0.1 * reward
    found = policy_value(X, temperature, reward, propensity, wanted)
    widths = {name: found[name].upper - found[name].lower for name in ("doubly robust", "IPS")}
    assert widths["doubly robust"] < 0.5 * widths["IPS"]


def test_copies_in_a_cluster_tell_no_more_than_one_of_them():
    X, temperature, reward, propensity = log(np.random.default_rng(5), 200)
    rows = np.repeat(np.arange(200), 3)
    once, many = (
        policy_value(
            X[of],
            temperature[of],
            reward[of],
            propensity[of],
            wanted,
            outcome_model=DummyRegressor(),
            clusters=of,
        )
        for of in (np.arange(200), rows)
    )
    for name in ("doubly robust", "IPS", "self-normalised IPS", "logged"):
        assert many[name][1:] == pytest.approx(once[name][1:], rel=1e-10)


def test_a_policy_that_does_nothing_of_what_was_logged_has_no_normalised_value():
    X = np.arange(20.0)[:, None]
    temperature = np.tile([0.0, 1.0], 10)
    found = policy_value(X, temperature, X[:, 0], np.full(20, 0.5), 1 - temperature)
    assert found.effective_sample_size == 0
    assert found["IPS"][1:] == (0, None, None)
    assert np.isnan(found["self-normalised IPS"].value)
    assert "mean 0 instead of 1" in str(found)


def test_wrong_propensities_are_noticed():
    X, temperature, reward, propensity = log(np.random.default_rng(6), 8000)
    right, wrong = (
        str(policy_value(X, temperature, reward, g, wanted)) for g in (propensity, propensity * 0.8)
    )
    assert "propensities" not in right
    assert "instead of 1: the propensities are wrong, or rows were left out." in wrong


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"propensity": None}, "propensity is missing"),
        ({"propensity": [0.5, 0.5, np.nan, 0.5]}, "at most 1, got nan in row 2"),
        ({"propensity": [0.5, 0, 0.5, 0.5]}, "got 0.0 in row 1"),
        ({"propensity": [0.5, 0.5, 0.5, 1.5]}, "got 1.5 in row 3"),
        ({"propensity": [0.5, 0.5]}, r"propensity must have shape \(4,\)"),
        ({"reward": [1, np.nan, 1, 1]}, "reward must be finite, got nan in row 1"),
        ({"reward": None}, "reward must be one number per row"),
        (
            {"temperature": [0, 1, 0.5, 1], "temperatures": [0, 1]},
            r"\[0.0, 1.0\], got 0.5 in row 2",
        ),
        ({"temperatures": [0, 1, 1]}, "temperatures must be distinct"),
        ({"temperatures": [0, -1]}, "at least 0"),
        ({"policy": 0.5}, r"policy must be one of \[0.0, 1.0\], got 0.5 in row 0"),
        ({"policy": 2.0, "temperatures": [0, 1, 2]}, r"\[2.0\], which no row was logged at"),
        ({"policy": [[0.5, 0.6]] * 4}, r"sum to one, got \[0.5, 0.6\] in row 0"),
        ({"policy": [[0.5, np.nan]] * 4}, "sum to one"),
        ({"policy": [[1.2, -0.2]] * 4}, "not negative"),
        ({"policy": [[1.0]] * 4}, r"of shape \(4, 2\)"),
        ({"clusters": [1, 1, 1, 1]}, "Two rows"),
        ({"clusters": [1, 1]}, "clusters must have shape"),
        ({"cv": 1}, "cv"),
        ({"X": [1, 2, 3, 4]}, "X must have shape"),
    ],
)
def test_what_is_wrong_is_refused(change, message):
    names = ["X", "temperature", "reward", "propensity"]
    arguments = dict(zip(names, by_hand(), strict=True)) | {"policy": 0.0} | change
    with pytest.raises(ValueError, match=message):
        policy_value(**arguments)


def test_the_table_names_its_rows():
    found = policy_value(*by_hand(), policy=0.0, confidence_level=0.9)
    assert isinstance(found, PolicyValue)
    assert str(found).splitlines()[0] == "Mean reward of a policy, from 4 logged rows"
    assert list(found.to_frame().columns) == ["value", "90 % lower", "90 % upper"]
    with pytest.raises(KeyError, match="doubly robust"):
        found["DR"]


def test_nothing_underflows_or_is_written_to():
    X, temperature, reward, propensity = log(np.random.default_rng(7), 60)
    copies = X.copy(), temperature.copy(), reward.copy(), propensity.copy()
    with np.errstate(all="raise"):
        policy_value(X, temperature, reward, propensity, wanted)
    for now, before in zip((X, temperature, reward, propensity), copies, strict=True):
        np.testing.assert_array_equal(now, before)


@pytest.mark.slow
@pytest.mark.parametrize("model", [None, DummyRegressor(), LinearRegression()])
def test_intervals_cover_what_the_policy_would_earn(model):
    def curved(X):
        return np.sin(3 * X[:, :1]) * [1.0, 0.0, -1.0] + X @ SLOPES

    rng = np.random.default_rng(8)
    X = rng.standard_normal((10**6, 2))
    truth = (wanted(X) * curved(X)).sum(axis=1).mean()
    hits = []
    for _ in range(300):
        found = policy_value(*log(rng, 500, curved), wanted, outcome_model=model)
        hits.append([found[n].lower <= truth <= found[n].upper for n in ("doubly robust", "IPS")])
    # 95 %, give or take three standard errors of 1.3 %.
    assert (np.mean(hits, axis=0) > 0.91).all()
    assert np.mean(hits, axis=0)[0] < 0.99


def test_a_policy_of_texts_is_evaluated_on_texts():
    rng = np.random.default_rng(0)
    texts = rng.choice(["what is the capital of peru", "tell a story of a cat"], 400)
    action = rng.integers(0, 2, 400)
    reward = (action == [text.startswith("tell") for text in texts]).astype(float)
    logged = {"temperature": action.astype(float), "propensity": np.full(400, 0.5)}
    policy = TemperaturePolicy((0, 1), encoder=TfidfVectorizer(), exploration=0)
    policy.fit(texts[:200], reward[:200], **{k: v[:200] for k, v in logged.items()})
    later = {k: v[200:] for k, v in logged.items()}
    found = policy_value(texts[200:], reward=reward[200:], policy=policy, **later)
    assert found.value == pytest.approx(1, abs=0.02)
    with pytest.raises(NotFittedError):
        policy_value(texts, reward=reward, policy=TemperaturePolicy(), **logged)


@pytest.mark.parametrize("policy", [None, np.full(40, np.nan), np.nan])
def test_a_policy_that_says_nothing_is_no_temperature(policy):
    X, temperature, reward, propensity = log(np.random.default_rng(0), 40)
    with pytest.raises(ValueError, match="policy must be"):
        policy_value(X, temperature, reward, propensity, policy)
