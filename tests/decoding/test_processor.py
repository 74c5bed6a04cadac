import inspect
import math

import numpy as np
import pytest

from skcalib.decoding import (
    AnnealingPolicy,
    ConstantPolicy,
    EntropyPolicy,
    Policy,
    Session,
    TemperatureProcessor,
)

IDS = np.zeros((3, 5), dtype=int)
SCORES = np.array([[1.0, 3.0, -np.inf, 3.0], [4.0, 2.0, 0.0, -8.0], [0.5, 0.25, -1.0, -np.inf]])


class PerRow(Policy):
    def __init__(self, *temperatures):
        self.temperatures = temperatures

    def _temperatures(self, logits, step, context):
        return self.temperatures


class Recorder:
    """A policy that notes what it is asked."""

    def __init__(self):
        self.calls = []

    def __call__(self, logits, *, step, context):
        self.calls.append((np.array(logits), step, context))
        return 1.0


def test_a_call_has_exactly_two_arguments():
    parameters = inspect.signature(TemperatureProcessor(ConstantPolicy(1.0)).__call__).parameters
    assert list(parameters) == ["input_ids", "scores"]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("temperature", [0.5, 0.7, 1.0, 3.0])
def test_scores_are_divided_and_nothing_else(dtype, temperature):
    scores = SCORES.astype(dtype)
    scores.flags.writeable = False
    out = TemperatureProcessor(ConstantPolicy(temperature))(IDS, scores)
    assert out.dtype == dtype
    wide = np.float64 if dtype == np.float64 else np.float32
    expected = (scores.astype(wide) / wide(temperature)).astype(dtype)
    np.testing.assert_array_equal(out, expected)


def test_each_row_has_its_own_temperature_greedy_and_infinite_among_them():
    with np.errstate(all="raise"):
        out = TemperatureProcessor(PerRow(0.0, 2.0, np.inf))(IDS, SCORES)
    np.testing.assert_array_equal(out[:2], [[-np.inf, 0, -np.inf, -np.inf], [2, 1, 0, -4]])
    np.testing.assert_allclose(out[2], [0, 0, 0, -np.inf], atol=1e-30)


@pytest.mark.parametrize(
    ("dtype", "temperature"),
    [(np.float16, 1e-3), (np.float32, 1e-36), (np.float32, 1e-60), (np.float64, 5e-324)],
)
def test_a_quotient_that_would_overflow_keeps_the_largest_score_at_zero(dtype, temperature):
    largest = 6e4 if dtype != np.float64 else 6e300
    scores = largest * np.array([[1, 1, -1], [-1, -0.5, -np.inf]])
    with np.errstate(all="raise"):
        processor = TemperatureProcessor(ConstantPolicy(temperature))
        out = processor(IDS[:2], scores.astype(dtype))
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, [[0, 0, -np.inf], [-np.inf, 0, -np.inf]])


def test_a_small_temperature_that_overflows_nothing_divides():
    out = TemperatureProcessor(ConstantPolicy(2.0**-100))(IDS, SCORES)
    np.testing.assert_array_equal(out, SCORES * 2.0**100)


def test_large_scores_at_an_ordinary_temperature_do_not_overflow():
    scores = np.array([[3e38, 3e38, 1e38, -3e38], [1.0, 0.0, 2.0, -np.inf]], dtype=np.float32)
    with np.errstate(all="raise"):
        out = TemperatureProcessor(ConstantPolicy(0.5))(IDS[:2], scores)
    np.testing.assert_array_equal(out[0, [0, 1, 3]], [0, 0, -np.inf])
    assert out[0, 2] < -1e38
    np.testing.assert_array_equal(out[1], [2, 0, 4, -np.inf])


def test_the_step_counts_ids_beyond_the_prompt():
    policy = Recorder()
    processor = TemperatureProcessor(policy, context={"domain": "law"}, prompt_length=3)
    for n_ids in (2, 3, 4, 9):
        processor(np.zeros((3, n_ids), dtype=int), SCORES)
    assert [step for _, step, _ in policy.calls] == [0, 0, 1, 6]
    assert all(context == {"domain": "law"} for *_, context in policy.calls)
    np.testing.assert_array_equal(policy.calls[0][0], SCORES)


def test_a_policy_that_does_not_read_scores_is_not_given_them():
    class Blind(Recorder):
        reads_logits = False

    policy = Blind()
    TemperatureProcessor(policy)(IDS, SCORES)
    np.testing.assert_array_equal(policy.calls[0][0], np.zeros((3, 4)))


def test_annealing_and_entropy_are_served_through_the_processor():
    annealed = TemperatureProcessor(AnnealingPolicy(2.0, 1.0, 4), prompt_length=3)
    np.testing.assert_array_equal(annealed(IDS, SCORES), SCORES / 1.5)  # step 2 of 4
    policy = EntropyPolicy(0.8, spread=0.4)
    np.testing.assert_array_equal(
        TemperatureProcessor(policy)(IDS, SCORES), SCORES / policy(SCORES)[:, None]
    )


def test_a_session_limits_the_change_from_token_to_token():
    session = Session(AnnealingPolicy(4.0, 0.25, 1), max_change=math.log(2))
    processor = TemperatureProcessor(session, prompt_length=5)
    served = []
    for step in range(5):
        out = processor(np.zeros((1, 5 + step), dtype=int), np.array([[8.0, 0.0]]))
        served.append(8.0 / out[0, 0])
    np.testing.assert_allclose(served, [4, 2, 1, 0.5, 0.25])


@pytest.mark.parametrize("temperature", [0.0, 1e-40, 1.0])
@pytest.mark.parametrize(
    ("bad", "fault"), [(np.nan, "holds NaN"), (np.inf, r"holds \+inf"), (-np.inf, "has every")]
)
def test_a_row_without_a_softmax_is_named(temperature, bad, fault):
    scores = SCORES.copy()
    scores[1] = bad
    with pytest.raises(ValueError, match=f"scores must hold finite logits.* row 1 {fault}"):
        TemperatureProcessor(ConstantPolicy(temperature))(IDS, scores)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: TemperatureProcessor(0.7), TypeError, r"policy must be .*, got 0.7"),
        (
            lambda: TemperatureProcessor(ConstantPolicy(1), prompt_length=-1),
            ValueError,
            r"'prompt_length' parameter of TemperatureProcessor must be",
        ),
        (
            lambda: TemperatureProcessor(ConstantPolicy(1))(IDS, SCORES[0]),
            ValueError,
            r"scores must have shape \(n, n_classes\), got \(4,\)",
        ),
        (
            lambda: TemperatureProcessor(lambda logits, *, step, context: -1.0)(IDS, SCORES),
            ValueError,
            r"the policy's temperature must be positive",
        ),
    ],
)
def test_what_cannot_be_right_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_the_representation_names_its_parts():
    assert repr(TemperatureProcessor(ConstantPolicy(0.5), prompt_length=2)) == (
        "TemperatureProcessor(ConstantPolicy(temperature=0.5), context=None, prompt_length=2)"
    )
