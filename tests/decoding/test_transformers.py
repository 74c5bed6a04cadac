"""Parity with transformers, and real generation: skipped where it is not installed."""

import numpy as np
import pytest

from skcalib.decoding import (
    AnnealingPolicy,
    ConstantPolicy,
    EntropyPolicy,
    Policy,
    Session,
    TemperatureProcessor,
    truncate,
)

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

VOCABULARY, PROMPT = 97, 4
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


class PerRow(Policy):
    def __init__(self, *temperatures):
        self.temperatures = temperatures

    def _temperatures(self, logits, step, context):
        return self.temperatures


class Recorded(Policy):
    """Another policy, and the steps and temperatures it was asked for."""

    def __init__(self, policy):
        self.policy, self.steps, self.served = policy, [], []

    def _temperatures(self, logits, step, context):
        self.steps.append(int(step[0]))
        self.served.append(self.policy(logits, step=step, context=context))
        return self.served[-1]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY, n_positions=64, n_embd=32, n_layer=2, n_head=2,
        bos_token_id=0, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config).eval()
    # Scores of a new model are nearly equal; spread out they are worth a temperature.
    with torch.no_grad():
        model.transformer.wte.weight *= 20
    return model


@pytest.fixture
def prompt():
    return torch.tensor([[5, 17, 42, 8], [60, 2, 33, 90], [7, 7, 7, 7]])


def generate(model, prompt, policy=None, n_tokens=12, seed=0, **options):
    processors = transformers.LogitsProcessorList()
    if policy is not None:
        processors.append(TemperatureProcessor(policy, prompt_length=PROMPT))
    torch.manual_seed(seed)
    return model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        logits_processor=processors,
        max_new_tokens=n_tokens,
        top_k=0,
        **options,
    )


def some_scores(dtype, shape=(5, 1000)):
    torch.manual_seed(1)
    scores = (4 * torch.randn(*shape, dtype=torch.float64)).to(dtype)
    scores[:, ::7] = -torch.inf
    return scores


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("temperature", [0.1, 0.7, 1.0, 1.3, 3.0])
def test_one_temperature_is_that_of_transformers_to_the_last_bit(dtype, temperature):
    scores = some_scores(dtype)
    expected = transformers.TemperatureLogitsWarper(temperature)(None, scores.clone())
    ids = torch.zeros(5, 3, dtype=torch.long)
    before = scores.clone()
    out = TemperatureProcessor(ConstantPolicy(temperature))(ids, scores)
    assert (out.dtype, out.device) == (dtype, scores.device)
    assert torch.equal(out, expected)
    assert torch.equal(scores, before)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_different_temperatures_are_those_of_transformers_one_by_one(dtype):
    scores = some_scores(dtype)
    temperatures = (0.1, 0.7, 1.0, 1.3, 3.0)
    out = TemperatureProcessor(PerRow(*temperatures))(torch.zeros(5, 3), scores)
    for row, t in enumerate(temperatures):
        expected = transformers.TemperatureLogitsWarper(t)(None, scores[row : row + 1])
        assert torch.equal(out[row : row + 1], expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_greedy_and_overflowing_rows_are_exact_in_every_precision(dtype):
    scores = torch.tensor([[1.0, 3.0, 3.0], [1.0, 3.0, 3.0], [1.0, 3.0, 3.0]], dtype=dtype)
    out = TemperatureProcessor(PerRow(0.0, 1e-300, 2.0))(torch.zeros(3, 1), scores)
    assert out.dtype == dtype
    assert out[0].tolist() == [-np.inf, 0, -np.inf]
    proba = torch.softmax(out.double(), dim=-1)
    assert proba[1].tolist() == [0, 0.5, 0.5]
    assert out[2].tolist() == [0.5, 1.5, 1.5]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_policy_reads_the_numbers_of_a_tensor(dtype):
    scores = some_scores(dtype)
    policy = EntropyPolicy(0.8, spread=0.5)
    expected = policy(scores.double().numpy())
    seen = Recorded(policy)
    TemperatureProcessor(seen)(torch.zeros(5, 1), scores)
    np.testing.assert_allclose(seen.served[0], expected, rtol=1e-5)


def test_a_bad_row_of_a_tensor_is_named():
    scores = torch.zeros(3, 4)
    scores[2, 1] = torch.nan
    with pytest.raises(ValueError, match=r"scores must hold finite logits.* row 2 holds NaN"):
        TemperatureProcessor(ConstantPolicy(0.7))(torch.zeros(3, 1), scores)


def test_greedy_generation_is_that_of_transformers(model, prompt):
    expected = generate(model, prompt, do_sample=False)
    assert expected.shape == (3, PROMPT + 12)
    assert torch.equal(generate(model, prompt, ConstantPolicy(0.0), do_sample=False), expected)
    assert torch.equal(generate(model, prompt, ConstantPolicy(0.0), do_sample=True), expected)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
def test_sampled_tokens_are_those_of_the_temperature_of_transformers(model, prompt, temperature):
    ours = generate(model, prompt, ConstantPolicy(temperature), do_sample=True, seed=3)
    theirs = generate(model, prompt, do_sample=True, seed=3, temperature=temperature)
    assert torch.equal(ours, theirs)


def test_every_policy_samples_and_is_asked_once_for_each_token(model, prompt):
    for policy in (
        ConstantPolicy(0.7),
        EntropyPolicy(0.8, spread=0.6),
        AnnealingPolicy(2.0, 0.5, 6),
        EntropyPolicy(0.8, spread=0.6) * AnnealingPolicy(2.0, 0.5, 6),
    ):
        recorded = Recorded(policy)
        out = generate(model, prompt, recorded, do_sample=True)
        assert out.shape == (3, PROMPT + 12)
        assert ((out >= 0) & (out < VOCABULARY)).all()
        assert recorded.steps == list(range(12))


def test_annealing_is_served_step_by_step(model, prompt):
    recorded = Recorded(AnnealingPolicy(2.0, 0.5, 6))
    generate(model, prompt, recorded, do_sample=True)
    # from 2 to 1/2 in six steps of 1/4, then 1/2
    expected = [2, 1.75, 1.5, 1.25, 1, 0.75, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    np.testing.assert_allclose(recorded.served, np.tile(expected, (3, 1)).T)


def test_a_session_lives_through_a_generation(model, prompt):
    session = Session(AnnealingPolicy(4.0, 0.25, 1), max_change=np.log(2))
    recorded = Recorded(lambda logits, **asked: session(logits, **asked))
    generate(model, prompt, recorded, do_sample=True, n_tokens=6)
    np.testing.assert_allclose(recorded.served, np.tile([4, 2, 1, 0.5, 0.25, 0.25], (3, 1)).T)


def test_beams_are_rows(model, prompt):
    out = generate(model, prompt, ConstantPolicy(0.7), do_sample=False, num_beams=3)
    assert out.shape == (3, PROMPT + 12)


@pytest.mark.parametrize("options", [{"top_k": 5}, {"top_p": 0.8}, {"min_p": 0.1}])
def test_truncation_is_that_of_transformers(options):
    torch.manual_seed(2)
    scores = 3 * torch.randn(200, 50, dtype=torch.float64)
    scores[:, ::6] = -torch.inf
    ((name, value),) = options.items()
    warper = {
        "top_k": transformers.TopKLogitsWarper,
        "top_p": transformers.TopPLogitsWarper,
        "min_p": transformers.MinPLogitsWarper,
    }[name](value)
    expected = warper(None, scores.clone()).numpy()
    np.testing.assert_array_equal(truncate(scores.numpy(), **options), expected)


def test_truncations_follow_each_other_as_in_transformers():
    torch.manual_seed(3)
    scores = 3 * torch.randn(200, 50, dtype=torch.float64)
    expected = scores.clone()
    for warper in (
        transformers.TopKLogitsWarper(20),
        transformers.TopPLogitsWarper(0.9),
        transformers.MinPLogitsWarper(0.05),
    ):
        expected = warper(None, expected)
    np.testing.assert_array_equal(
        truncate(scores.numpy(), top_k=20, top_p=0.9, min_p=0.05), expected.numpy()
    )
