import pickle
from dataclasses import FrozenInstanceError, dataclass

import numpy as np
import pytest

from skcalib.decoding import AnnealingPolicy, ConstantPolicy, EntropyPolicy, Policy

ROWS = np.random.default_rng(0).standard_normal((4, 6))
POLICIES = [
    ConstantPolicy(0.7),
    AnnealingPolicy(1.5, 0.5, 10),
    AnnealingPolicy(1.5, 0.5, 10, shape="cosine"),
    AnnealingPolicy(1.5, 0.5, 10, shape="exponential"),
    EntropyPolicy(0.8, spread=0.4, exponent=2.0),
    0.5 * EntropyPolicy(spread=0.3) * AnnealingPolicy(2, 1, 5),
]


@dataclass(frozen=True)
class Answers(Policy):
    """Whatever it is told to."""

    answer: object

    def _temperatures(self, logits, step, context):
        return self.answer


class FromContext(Policy):
    def _temperatures(self, logits, step, context):
        contexts = [context] * len(logits) if isinstance(context, dict) else context
        return [c["T"] for c in contexts]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_gives_float64_for_rows_and_a_float_for_one(policy):
    together = policy(ROWS.astype(np.float32), step=3)
    assert isinstance(together, np.ndarray)
    assert (together.dtype, together.shape) == (np.float64, (4,))
    together[0] = -1  # its own memory
    alone = policy(ROWS.astype(np.float32)[1], step=3)
    assert type(alone) is float
    assert alone == together[1]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_row_alone_gets_the_temperature_it_gets_in_a_batch(policy):
    together = policy(ROWS, step=[0, 3, 7, 40])
    alone = [policy(row, step=step) for row, step in zip(ROWS, [0, 3, 7, 40], strict=True)]
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_is_frozen_comparable_and_picklable(policy):
    copy = pickle.loads(pickle.dumps(policy))
    assert copy == policy
    assert hash(copy) == hash(policy)
    assert copy != ConstantPolicy(0.71)
    np.testing.assert_array_equal(copy(ROWS, step=2), policy(ROWS, step=2))
    field = next(iter(vars(policy)))
    with pytest.raises(FrozenInstanceError):
        setattr(policy, field, 1.0)


@pytest.mark.parametrize("policy", POLICIES)
def test_inputs_are_not_written_to(policy):
    logits, step = ROWS.copy(), np.arange(4)
    logits.flags.writeable = step.flags.writeable = False
    policy(logits, step=step)


def test_products_multiply_temperatures():
    constant, annealing = ConstantPolicy(0.5), AnnealingPolicy(2.0, 1.0, 2)
    # half of 2, 1.5, 1
    product = constant * annealing
    assert [product(ROWS[0], step=step) for step in range(3)] == [1.0, 0.75, 0.5]
    for same in (0.5 * annealing, annealing * 0.5, np.float64(0.5) * annealing):
        assert [same(ROWS[0], step=step) for step in range(3)] == [1.0, 0.75, 0.5]


def test_nested_products_are_flat_so_that_multiplication_is_associative():
    a, b, c, d = POLICIES[0], POLICIES[1], POLICIES[4], ConstantPolicy(1.1)
    assert (a * b) * (c * d) == a * (b * (c * d)) == ((a * b) * c) * d
    np.testing.assert_array_equal(((a * b) * c)(ROWS), (a * (b * c))(ROWS))
    assert repr(2 * (a * b)) == (
        "ConstantPolicy(temperature=2.0) * ConstantPolicy(temperature=0.7) * "
        "AnnealingPolicy(start=1.5, end=0.5, n_steps=10, shape='linear')"
    )


def test_greedy_is_greedy_whatever_it_is_multiplied_with():
    rows = np.zeros((3, 2))
    some = Answers((0.0, np.inf, 2.0))
    with np.errstate(all="raise"):
        np.testing.assert_array_equal((some * Answers((np.inf, 0.0, 3.0)))(rows), [0, 0, 6])
        np.testing.assert_array_equal((1e300 * some * 1e300)(rows), [0, np.inf, np.inf])


def test_a_product_with_anything_else_is_a_type_error():
    with pytest.raises(TypeError, match="unsupported operand"):
        ConstantPolicy(1.0) * None
    with pytest.raises(TypeError, match="operand"):
        np.ones(2) * ConstantPolicy(1.0)
    with pytest.raises(ValueError, match=r"temperature.*must be a float in the range \[0"):
        -1 * ConstantPolicy(1.0)


def test_products_read_scores_if_a_factor_does():
    blind, seeing = AnnealingPolicy(2, 1, 5), EntropyPolicy()
    assert not (blind * 2.0).reads_logits
    assert (2.0 * blind * seeing).reads_logits


def test_the_context_reaches_the_policies_that_read_it():
    policy = 0.5 * FromContext()
    np.testing.assert_array_equal(policy(ROWS, context={"T": 2.0}), [1, 1, 1, 1])
    contexts = [{"T": 2.0}, {"T": 4.0}, {"T": 6.0}, {"T": 8.0}]
    np.testing.assert_array_equal(policy(ROWS, context=contexts), [1, 2, 3, 4])
    np.testing.assert_array_equal(ConstantPolicy(0.3)(ROWS, context=contexts), [0.3] * 4)


def test_annealing_goes_from_start_to_end_and_stays():
    linear = AnnealingPolicy(1.0, 0.2, 4)
    np.testing.assert_allclose(
        linear(np.zeros((6, 2)), step=[0, 1, 2, 3, 4, 1000]), [1, 0.8, 0.6, 0.4, 0.2, 0.2]
    )
    # w = (1 + cos(pi f)) / 2 at f = 0, 1/3, 1/2, 2/3, 1 is 1, 3/4, 1/2, 1/4, 0
    cosine = AnnealingPolicy(5.0, 1.0, 6, shape="cosine")
    np.testing.assert_allclose(cosine(np.zeros((5, 2)), step=[0, 2, 3, 4, 6]), [5, 4, 3, 2, 1])
    # 1/8 in three steps: halved at each
    halved = AnnealingPolicy(2.0, 0.25, 3, shape="exponential")
    np.testing.assert_allclose(halved(np.zeros((4, 2)), step=range(4)), [2, 1, 0.5, 0.25])


@pytest.mark.parametrize("shape", ["linear", "cosine", "exponential"])
@pytest.mark.parametrize(("start", "end"), [(1.7, 0.3), (0.3, 1.7), (1e-300, 1e300), (0.1, 0.1)])
def test_annealing_meets_its_ends_exactly_and_never_turns_back(shape, start, end):
    policy = AnnealingPolicy(start, end, 7, shape=shape)
    with np.errstate(all="raise"):
        way = policy(np.zeros((9, 2)), step=range(9))
    assert (way[0], way[7], way[8]) == (start, end, end)
    assert (np.diff(way) * np.sign(end - start) >= 0).all()


def test_annealing_may_end_greedy():
    policy = AnnealingPolicy(1.0, 0.0, 2)
    np.testing.assert_array_equal(policy(np.zeros((3, 2)), step=[0, 1, 2]), [1, 0.5, 0])


def test_a_temperature_of_each_kind_may_be_constant():
    assert ConstantPolicy(0)(ROWS[0]) == 0.0
    assert ConstantPolicy(np.inf)(ROWS[0]) == np.inf


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConstantPolicy(-0.1), r"'temperature' parameter of ConstantPolicy must be"),
        (lambda: ConstantPolicy(np.nan), r"'temperature' parameter of ConstantPolicy must be"),
        (lambda: ConstantPolicy("hot"), r"'temperature' parameter of ConstantPolicy must be"),
        (lambda: AnnealingPolicy(-1, 1, 5), r"'start' parameter of AnnealingPolicy must be"),
        (lambda: AnnealingPolicy(1, np.inf, 5), r"'end' parameter of AnnealingPolicy must be"),
        (lambda: AnnealingPolicy(1, 1, 0), r"'n_steps' parameter of AnnealingPolicy must be"),
        (lambda: AnnealingPolicy(1, 1, 2.5), r"'n_steps' parameter of AnnealingPolicy must be"),
        (lambda: AnnealingPolicy(1, 1, 5, shape="steep"), r"'shape' parameter .* Got 'steep'"),
        (
            lambda: AnnealingPolicy(1, 0, 5, shape="exponential"),
            r"start and end above 0, got 1 and 0: .* Use shape='linear'",
        ),
        (lambda: EntropyPolicy(-0.1), r"'temperature' parameter of EntropyPolicy must be"),
        (lambda: EntropyPolicy(spread=-1), r"'spread' parameter of EntropyPolicy must be"),
        (lambda: EntropyPolicy(exponent=0), r"'exponent' parameter of EntropyPolicy must be"),
    ],
)
def test_a_parameter_out_of_its_range_is_refused_when_the_policy_is_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        (-1, ValueError, r"step must be at least 0, got -1"),
        ([0, 1, 2, -5], ValueError, r"step must be at least 0, got -5"),
        ([0, 1], ValueError, r"step must be an integer, or one per row, \(4,\), got shape \(2,\)"),
        (1.0, TypeError, r"step must be an integer, or one per row, got 1.0"),
        (None, TypeError, r"step must be an integer, or one per row, got None"),
    ],
)
def test_a_step_that_counts_no_tokens_is_refused(step, error, message):
    with pytest.raises(error, match=message):
        ConstantPolicy(1.0)(ROWS, step=step)


@pytest.mark.parametrize(
    ("logits", "error", "message"),
    [
        (np.zeros((2, 2, 2)), ValueError, r"logits must have shape .*, got \(2, 2, 2\)"),
        (1.0, ValueError, r"logits must have shape .*, got \(\)"),
        (np.zeros((0, 3)), ValueError, r"logits has no rows"),
        (np.zeros((3, 0)), ValueError, r"logits has no columns"),
        (["a", "b"], ValueError, r"logits must hold numbers"),
    ],
)
def test_logits_that_are_none_are_refused(logits, error, message):
    with pytest.raises(error, match=message):
        ConstantPolicy(1.0)(logits)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (-1.0, ValueError, r"temperature of Answers must be positive, or 0 .* -1.0"),
        ((1, 1, np.nan, 1), ValueError, r"got nan in row 2"),
        ((1, 1), ValueError, r"\(4,\), got shape \(2,\)"),
        ("hot", TypeError, r"must be a number, or one per row, got 'hot'"),
    ],
)
def test_what_a_policy_of_ones_own_answers_is_checked(answer, error, message):
    with pytest.raises(error, match=message):
        Answers(answer)(ROWS)
