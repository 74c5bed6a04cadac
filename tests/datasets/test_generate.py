import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from skcalib.datasets import make_miscalibrated_logits


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_labels_follow_the_softmax_of_logits_over_temperature(temperature):
    n, n_classes = 20_000, 4
    logits, y = make_miscalibrated_logits(n, n_classes, temperature=temperature, random_state=0)
    proba = softmax(logits / temperature, axis=1)
    onehot = np.eye(n_classes)[y]
    # Against any function of the row, here each class's own probability and a constant, the
    # residual onehot - proba has mean 0; its standard error is known from proba alone.
    for weight in (np.ones_like(proba), proba):
        total = np.sum(weight * (onehot - proba), axis=0)
        standard_error = np.sqrt(np.sum(weight**2 * proba * (1 - proba), axis=0))
        assert np.abs(total / standard_error).max() < 4


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_best_temperature_of_many_rows_is_the_one_asked_for(temperature):
    logits, y = make_miscalibrated_logits(20_000, 5, temperature=temperature, random_state=1)

    def log_loss(u):
        return -np.log(softmax(logits / np.exp(u), axis=1)[np.arange(len(y)), y]).mean()

    fitted = np.exp(minimize_scalar(log_loss, bounds=(-3, 3)).x)
    assert fitted == pytest.approx(temperature, rel=0.03)


def test_temperature_scales_the_logits_and_leaves_the_labels():
    cold, y_cold = make_miscalibrated_logits(50, 3, temperature=1, random_state=2)
    hot, y_hot = make_miscalibrated_logits(50, 3, temperature=4, random_state=2)
    np.testing.assert_array_equal(hot, 4 * cold)
    np.testing.assert_array_equal(y_hot, y_cold)


def test_sharpness_is_the_standard_deviation_of_the_true_logits():
    logits, _ = make_miscalibrated_logits(5000, 10, temperature=2, sharpness=1.5, random_state=3)
    # 50 000 values: the relative standard error of their deviation is 1 / sqrt(100 000) = 0.003.
    assert (logits / 2).std() == pytest.approx(1.5, rel=0.015)


def test_without_sharpness_labels_are_pure_chance():
    logits, y = make_miscalibrated_logits(10_000, 4, sharpness=0, random_state=4)
    np.testing.assert_array_equal(logits, 0)
    # sd of a count is sqrt(10 000 * 3 / 16) = 43.
    assert np.abs(np.bincount(y, minlength=4) - 2500).max() < 4 * 43


def test_a_seed_repeats_the_draw_and_a_generator_moves_on():
    first, again = (make_miscalibrated_logits(random_state=5)[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (1000, 10)
    generator = np.random.RandomState(5)
    np.testing.assert_array_equal(make_miscalibrated_logits(random_state=generator)[0], first)
    following = make_miscalibrated_logits(random_state=generator)[0]
    assert not np.isin(following, first).any()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_samples": 0}, ValueError, "n_samples == 0, must be >= 1"),
        ({"n_samples": 10.0}, TypeError, "n_samples must be an instance of int, not float"),
        ({"n_classes": 1}, ValueError, "n_classes == 1, must be >= 2"),
        ({"temperature": 0}, ValueError, "temperature == 0, must be > 0"),
        ({"temperature": "hot"}, TypeError, "temperature must be an instance of float, not str"),
        ({"temperature": np.inf}, ValueError, "temperature == inf"),
        ({"temperature": np.nan}, ValueError, "temperature == nan"),
        ({"sharpness": -1}, ValueError, "sharpness == -1, must be >= 0"),
        ({"sharpness": np.nan}, ValueError, "sharpness == nan"),
    ],
)
def test_a_parameter_out_of_range_is_named(arguments, error, message):
    with pytest.raises(error, match=message):
        make_miscalibrated_logits(**arguments)
