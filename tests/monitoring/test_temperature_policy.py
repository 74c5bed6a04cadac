import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler

from skcalib.monitoring import TemperaturePolicy, policy_value

TEMPERATURES = np.array([0.0, 0.3, 0.7, 1.0])
SLOPES = np.array([[-0.6, -0.2, 0.2, 0.6], [0.2, -0.2, -0.2, 0.2]])
LEVELS = np.array([0.0, 0.1, 0.2, 0.1])


def rewards(X):
    """Mean reward of each temperature."""
    return X @ SLOPES + LEVELS


def log(n, seed=0, reward=rewards, least=0.25):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2))
    proba = np.full((n, 4), least)
    proba[np.arange(n), np.where(X[:, 0] > 0, 0, 3)] = 1 - 3 * least
    action = (rng.random((n, 1)) > proba.cumsum(axis=1)[:, :-1]).sum(axis=1)
    rows = np.arange(n)
    y = reward(X)[rows, action] + 0.5 * rng.standard_normal(n)
    return X, y, {"temperature": TEMPERATURES[action], "propensity": proba[rows, action]}


def earned(policy, reward=rewards):
    """Share of the way from the best fixed temperature to the best of each row."""
    X = np.random.default_rng(99).standard_normal((20_000, 2))
    means = reward(X)
    chosen = np.searchsorted(TEMPERATURES, policy.predict(X))
    fixed, best = means.mean(axis=0).max(), means.max(axis=1).mean()
    return (means[np.arange(len(X)), chosen].mean() - fixed) / (best - fixed)


def test_two_contexts_by_hand():
    # Facts earn 1 at T = 0 and stories 1 at T = 1, by the toss of a coin; nothing else.
    X = [["fact"], ["fact"], ["story"], ["story"]] * 25
    temperature, y = [0, 1] * 50, [1.0, 0.0, 0.0, 1.0] * 25
    policy = TemperaturePolicy((1, 0), exploration=0.2)
    policy.fit(X, y, temperature=temperature, propensity=[0.5] * 100)
    np.testing.assert_array_equal(policy.temperatures_, [0, 1])
    np.testing.assert_array_equal(policy.predict([["story"], ["fact"]]), [1, 0])
    np.testing.assert_allclose(policy.predict_proba([["story"]]), [[0.1, 0.9]])
    # Beyond the mean of both, 1/2 each way, shrunk a little; a new word is in between.
    advantage = policy.advantage([["fact"], ["story"], ["poem"]])
    np.testing.assert_allclose(advantage[:2], [[0.5, -0.5], [-0.5, 0.5]], atol=0.05)
    np.testing.assert_allclose(advantage[2], 0, atol=0.05)


def test_without_noise_it_finds_the_advantage_of_each_temperature():
    X, _, tried = log(400)
    action = np.searchsorted(TEMPERATURES, tried["temperature"])
    y = rewards(X)[np.arange(400), action]
    policy = TemperaturePolicy(outcome_model=LinearRegression()).fit(X, y, **tried)
    expected = rewards(X) - rewards(X).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(policy.advantage(X), expected, atol=2e-3)


def test_it_learns_most_of_what_there_is_to_learn():
    shares = [earned(TemperaturePolicy().fit(*log(n)[:2], **log(n)[2])) for n in (500, 5000)]
    assert shares[0] > 0.8
    assert shares[1] > 0.97


def test_a_skewed_log_and_a_curved_reward_leave_it_above_the_best_fixed_temperature():
    def curved(X):
        return np.sin(2 * rewards(X)) + (X[:, :1] > 0) * [1.0, 0.3, -0.3, -1.0]

    X, y, tried = log(5000, reward=curved, least=0.05)
    assert earned(TemperaturePolicy().fit(X, y, **tried), curved) > 0.5
    # One regression per temperature on its own rows, as they come.
    models = [
        Ridge().fit(X[own], y[own]) for own in tried["temperature"][None] == TEMPERATURES[:, None]
    ]

    class Direct:
        def predict(self, X):
            return TEMPERATURES[np.column_stack([m.predict(X) for m in models]).argmax(axis=1)]

    assert earned(TemperaturePolicy().fit(X, y, **tried), curved) > earned(Direct(), curved)


def test_where_the_context_says_nothing_it_is_the_best_fixed_temperature():
    def level(X):
        return np.tile([0.0, 0.2, 0.5, 0.1], (len(X), 1))

    X, y, tried = log(4000, reward=level)
    chosen = TemperaturePolicy().fit(X, y, **tried).predict(log(1000, seed=1)[0])
    np.testing.assert_array_equal(chosen, 0.7)


def test_an_encoder_makes_interactions_learnable():
    def crossed(X):
        return (X[:, :1] * X[:, 1:]) * [-1.0, 0.0, 0.0, 1.0]

    X, y, tried = log(3000, reward=crossed)
    encoder = make_pipeline(PolynomialFeatures(2, include_bias=False), StandardScaler())
    plain, curved = (
        earned(TemperaturePolicy(encoder=e).fit(X, y, **tried), crossed) for e in (None, encoder)
    )
    assert plain < 0.2
    assert curved > 0.9


def test_context_may_be_text_if_the_encoder_reads_it():
    X = ["what is the capital", "tell me a story"] * 100
    temperature = np.repeat([0.0, 1.0], 100)
    y = (temperature == np.tile([0.0, 1.0], 100)).astype(float)
    policy = TemperaturePolicy((0, 1), encoder=CountVectorizer())
    policy.fit(X, y, temperature=temperature, propensity=np.full(200, 0.5))
    np.testing.assert_array_equal(policy.predict(["a story", "the capital"]), [1, 0])
    assert not hasattr(policy, "n_features_in_")


def test_draws_have_the_propensities_they_say():
    X, y, tried = log(400)
    policy = TemperaturePolicy(exploration=0.4).fit(X, y, **tried)
    rows = np.repeat(X[:1], 20_000, axis=0)
    temperature, propensity = policy.sample(rows, random_state=0)
    assert set(propensity.round(9)) == {0.1, 0.7}
    shares = [(temperature == T).mean() for T in TEMPERATURES]
    np.testing.assert_allclose(shares, policy.predict_proba(X[:1])[0], atol=0.015)
    again, _ = policy.sample(rows, random_state=0)
    np.testing.assert_array_equal(temperature, again)


def test_without_exploration_the_best_is_drawn():
    X, y, tried = log(400)
    policy = TemperaturePolicy(exploration=0).fit(X, y, **tried)
    temperature, propensity = policy.sample(X)
    np.testing.assert_array_equal(temperature, policy.predict(X))
    np.testing.assert_array_equal(propensity, 1)


def test_its_own_log_feeds_the_next_fit_and_its_evaluation():
    X, y, tried = log(1000)
    policy = TemperaturePolicy(exploration=0.5).fit(X, y, **tried)
    rng = np.random.default_rng(5)
    X = rng.standard_normal((3000, 2))
    temperature, propensity = policy.sample(X, random_state=1)
    y = rewards(X)[np.arange(3000), np.searchsorted(TEMPERATURES, temperature)]
    y += 0.5 * rng.standard_normal(3000)
    again = TemperaturePolicy(exploration=0).fit(
        X[:1500], y[:1500], temperature=temperature[:1500], propensity=propensity[:1500]
    )
    new = slice(1500, None)
    found = policy_value(X[new], temperature[new], y[new], propensity[new], again)
    truth = rewards(X).max(axis=1).mean()
    assert found["doubly robust"].lower < truth + 0.02
    assert found["doubly robust"].upper > truth - 0.02


def test_context_may_be_a_data_frame():
    X, y, tried = log(800)
    frame = pd.DataFrame({"length": X[:, 0], "task": np.where(X[:, 1] > 0, "chat", "code")})
    frame["task"] = frame["task"].astype("category")
    policy = TemperaturePolicy().fit(frame, y, **tried)
    assert policy.n_features_in_ == 2
    assert list(policy.feature_names_in_) == ["length", "task"]
    assert policy.predict(frame.iloc[:3]).shape == (3,)
    with pytest.raises(ValueError, match="columns are missing"):
        policy.predict(frame[["length"]])
    policy.fit(X, y, **tried)
    assert not hasattr(policy, "feature_names_in_")


def test_one_row_is_served_as_it_is_among_others():
    X, y, tried = log(500)
    policy = TemperaturePolicy().fit(X, y, **tried)
    together = policy.predict(X)
    assert [float(policy.predict(row[None])[0]) for row in X[:50]] == together[:50].tolist()


def test_it_is_an_estimator_as_scikit_learn_has_them():
    X, y, tried = log(300)
    policy = TemperaturePolicy((0, 0.3, 0.7, 1.0), exploration=0.3)
    assert clone(policy).get_params() == policy.get_params()
    assert repr(policy) == "TemperaturePolicy(exploration=0.3, temperatures=(0, 0.3, 0.7, 1.0))"
    with pytest.raises(NotFittedError):
        policy.predict(X)
    fitted = pickle.loads(pickle.dumps(policy.fit(X, y, **tried)))
    np.testing.assert_array_equal(fitted.predict(X), policy.predict(X))


def test_metadata_are_routed_through_a_pipeline():
    X, y, tried = log(300)
    with config_context(enable_metadata_routing=True):
        policy = TemperaturePolicy().set_fit_request(temperature=True, propensity=True)
        model = make_pipeline(FunctionTransformer(), policy).fit(X, y, **tried)
        np.testing.assert_array_equal(
            model.predict(X), TemperaturePolicy().fit(X, y, **tried).predict(X)
        )


def test_a_fit_that_fails_leaves_the_policy_as_it_was():
    X, y, tried = log(300)
    policy = TemperaturePolicy().fit(X, y, **tried)
    before = policy.predict(X)
    with pytest.raises(ValueError, match=r"got 0\.0 in row 0"):
        policy.fit(X, y, temperature=tried["temperature"], propensity=np.zeros(300))
    np.testing.assert_array_equal(policy.predict(X), before)


@pytest.mark.parametrize(
    ("parameters", "change", "message"),
    [
        ({}, {"propensity": None}, "propensity is missing"),
        ({}, {"temperature": np.full(300, 0.5)}, r"\[0.0, 0.3, 0.7, 1.0\], got 0.5 in row 0"),
        ({"temperatures": (0, 0.3, 0.7, 1, 2)}, {}, r"temperatures \[2.0\] were never logged"),
        ({"temperatures": (0, 0)}, {}, "distinct"),
        ({"temperatures": ()}, {}, "temperatures must be"),
        ({}, {"y": np.full(300, np.nan)}, "y must be finite, got nan in row 0"),
        ({"exploration": 1.5}, {}, "exploration"),
        ({"cv": 1}, {}, "cv"),
        ({"encoder": 3}, {}, "encoder"),
    ],
)
def test_what_is_wrong_is_refused(parameters, change, message):
    X, y, tried = log(300)
    arguments = {"X": X, "y": y} | tried | change
    with pytest.raises(ValueError, match=message):
        TemperaturePolicy(**parameters).fit(**arguments)
