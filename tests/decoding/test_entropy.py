import math

import numpy as np
import pytest
from kernel_oracles import entropy as exact_entropy
from scipy.optimize import brentq

from skcalib._kernels._blocks import Logits
from skcalib._kernels._softmax import entropy as entropy_kernel
from skcalib.decoding import EntropyPolicy, entropy, temperature_for_entropy


def dynatemp(logits, temperature, spread, exponent):
    """llama.cpp's sampler of that name, in plain Python; its candidates are what is not masked."""
    candidates = [float(z) for z in logits if z != -math.inf]
    low, high = max(0.0, temperature - spread), temperature + spread
    if len(candidates) <= 1:
        return temperature
    top = max(candidates)
    weights = [math.exp(z - top) for z in candidates]
    total = 0.0
    for weight in weights:
        total += weight
    entropy = 0.0
    for weight in weights:
        if weight / total > 0:
            entropy -= weight / total * math.log(weight / total)
    share = min(1.0, entropy / -math.log(1 / len(candidates)))
    return low + (high - low) * share**exponent


def some_logits(seed, shape, scale=3.0, masked=0.3):
    rng = np.random.default_rng(seed)
    z = scale * rng.standard_normal(shape)
    z[rng.random(shape) < masked] = -np.inf
    z[:, 0] = 1.0
    return z


@pytest.mark.parametrize("n_classes", [2, 9, 32, 33, 5000])
@pytest.mark.parametrize(("t", "spread", "exponent"), [(0.8, 0.5, 1), (0.5, 0.9, 2.5), (1, 0, 1)])
@pytest.mark.parametrize("masked", [0.0, 0.4, 0.98])
def test_temperatures_are_those_of_llama_cpp(n_classes, t, spread, exponent, masked):
    z = some_logits(0, (30, n_classes), masked=masked)
    expected = [dynatemp(row, t, spread, exponent) for row in z]
    policy = EntropyPolicy(t, spread=spread, exponent=exponent)
    np.testing.assert_allclose(policy(z), expected, rtol=1e-12)
    narrow = z.astype(np.float32)
    np.testing.assert_allclose(
        policy(narrow), [dynatemp(row, t, spread, exponent) for row in narrow], rtol=1e-5, atol=1e-7
    )


def test_the_entropy_decides_between_the_ends():
    # H / Hmax = log 2 / log 8 = 1/3; its square 1/9. T = 0.5 + 1 * 1/9
    two_of_eight = [[0.0, 0.0] + [-1e5] * 6]
    policy = EntropyPolicy(1.0, spread=0.5, exponent=2.0)
    np.testing.assert_allclose(policy(two_of_eight), [0.5 + 1 / 9], rtol=1e-14)
    # the lower end is never below 0: lo = max(0, 1 - 1.5), hi = 2.5
    wide = EntropyPolicy(1.0, spread=1.5)
    np.testing.assert_allclose(wide([[0.0, -1e5], [0.0, 0.0]]), [0.0, 2.5], rtol=1e-14)


def test_one_candidate_has_the_temperature_in_the_middle():
    policy = EntropyPolicy(0.8, spread=0.5)
    assert policy([3.0]) == 0.8
    np.testing.assert_array_equal(policy([[-np.inf, 2.0, -np.inf]] * 2), [0.8, 0.8])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [3, 7, 40, 5000, 128_000])
def test_equal_scores_have_the_highest_temperature_and_no_higher(dtype, n_classes):
    z = np.full((1, n_classes), 1.5, dtype=dtype)
    z[0, 1] = -np.inf
    t = EntropyPolicy(0.8, spread=0.3)(z)[0]
    assert 1.1 - 1e-6 <= t <= 1.1


@pytest.mark.parametrize("n_classes", [8, 300])
def test_order_of_classes_and_a_constant_do_not_matter(n_classes):
    rng = np.random.default_rng(1)
    z = rng.integers(-40, 40, (20, n_classes)) / 4  # exact under the shift
    policy = EntropyPolicy(0.8, spread=0.5)
    t = policy(z)
    np.testing.assert_allclose(policy(z[:, rng.permutation(n_classes)]), t, rtol=1e-13)
    np.testing.assert_array_equal(policy(z + 1000.0), t)


def test_scores_are_read_in_their_own_precision():
    z = some_logits(2, (10, 50)).astype(np.float16)
    policy = EntropyPolicy(0.8, spread=0.5)
    np.testing.assert_array_equal(policy(z), policy(z.astype(np.float32)))
    np.testing.assert_allclose(policy(z), policy(z.astype(np.float64)), rtol=1e-6)


def test_scores_of_any_size_have_a_temperature():
    z = [[1e300, 0.0, -1e300], [1e-300, 0.0, -1e-300], [1e308, -1e308, -np.inf]]
    with np.errstate(all="raise"):
        t = EntropyPolicy(1.0, spread=0.5)(z)
    np.testing.assert_allclose(t, [0.5, 1.5, 0.5], rtol=1e-14)


def test_classes_too_far_apart_for_float32_are_candidates_all_the_same():
    # H = log 2 of log 4, where the difference to the other two is -inf in float32
    z = np.array([[3e38, 3e38, -3e38, -3e38]], dtype=np.float32)
    np.testing.assert_allclose(EntropyPolicy(1.0, spread=0.5)(z), [1.0], rtol=1e-6)


@pytest.mark.parametrize("n_classes", [4, 100, 2000])
def test_the_kernel_counts_candidates_and_masks_do_not_touch_the_other_rows(n_classes):
    z = np.random.default_rng(3).standard_normal((7, n_classes))
    expected = entropy_kernel(Logits(z.copy()))
    z[2, 1:3] = z[5, 0] = -np.inf
    candidates = np.empty(7)
    found = entropy_kernel(Logits(z), candidates=candidates)
    np.testing.assert_array_equal(
        candidates, n_classes - np.array([0, 0, 2, 0, 0, 1, 0], dtype=float)
    )
    rest = [0, 1, 3, 4, 6]
    np.testing.assert_array_equal(found[rest], expected[rest])
    np.testing.assert_allclose(
        found[[2, 5]], np.array(exact_entropy(z[[2, 5]]), dtype=float), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("bad", "fault"),
    [(np.nan, "holds NaN"), (np.inf, r"holds \+inf"), (-np.inf, "has every class")],
)
@pytest.mark.parametrize("n_classes", [3, 500])
def test_a_row_without_a_softmax_is_named(bad, fault, n_classes):
    z = np.zeros((5, n_classes))
    z[3] = bad
    for function in (EntropyPolicy(spread=0.1), entropy, lambda x: temperature_for_entropy(x, 0.5)):
        with pytest.raises(ValueError, match=rf"logits must hold finite .* row 3 {fault}"):
            function(z)


@pytest.mark.parametrize("n_classes", [2, 5, 33, 2000])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_the_temperature_found_has_the_entropy_asked_for(n_classes, scale):
    rng = np.random.default_rng(4)
    z = some_logits(5, (40, n_classes), scale, masked=0.0)
    target = np.log(n_classes) * rng.uniform(1e-4, 1 - 1e-4, 40)
    t = temperature_for_entropy(z, target)
    for row in range(0, 40, 8):
        (found,) = exact_entropy(z[row : row + 1], t[row])
        assert abs(float(found) - target[row]) < 1e-9


def test_the_temperature_is_that_of_a_plain_root_finder():
    z = some_logits(6, (25, 12))
    target = 0.4 * np.log(np.isfinite(z).sum(axis=1))
    expected = []
    for row, wanted in zip(z, target, strict=True):
        scores = row[np.isfinite(row)]

        def excess(u, scores=scores, wanted=wanted):
            q = np.exp((scores - scores.max()) / np.exp(u))
            q = q[q > 0] / q.sum()
            return -(q * np.log(q)).sum() - wanted

        expected.append(np.exp(brentq(excess, -10, 10, xtol=1e-13)))
    np.testing.assert_allclose(temperature_for_entropy(z, target), expected, rtol=1e-9)


def test_a_known_pair_of_temperature_and_entropy_is_found_again():
    # odds 1 : 16 have entropy H(1/17) at T = 1 and H(1/5) at T = 2
    z = np.log([1.0, 16.0])
    for t, p in [(1.0, 1 / 17), (2.0, 1 / 5)]:
        target = -(p * math.log(p) + (1 - p) * math.log(1 - p))
        assert temperature_for_entropy(z, target) == pytest.approx(t, rel=1e-10)


def test_scores_twice_as_large_need_twice_the_temperature():
    z = some_logits(7, (10, 20))
    t = temperature_for_entropy(z, 1.0)
    for factor in (2.0, 2.0**900, 2.0**-900):
        with np.errstate(all="raise"):
            np.testing.assert_allclose(temperature_for_entropy(factor * z, 1.0), factor * t)


def test_targets_beyond_the_range_of_a_row_give_greedy_or_uniform():
    # two ties: at least log 2; three candidates: at most log 3
    z = [[1.0, 1.0, 0.0, -np.inf]] * 5
    target = [0.0, np.log(2), np.log(3), 1.2, np.log(4)]
    with np.errstate(all="raise"):
        t = temperature_for_entropy(z, target)
    np.testing.assert_array_equal(t, [0, 0, np.inf, np.inf, np.inf])
    # one candidate, and all equal: log of the number of ties is all there is
    single = [[0.0, -np.inf, -np.inf], [2.0, 2.0, 2.0]]
    np.testing.assert_array_equal(temperature_for_entropy(single, [0.0, np.log(3)]), [0, 0])
    np.testing.assert_array_equal(temperature_for_entropy(single, 0.5), [np.inf, 0])


@pytest.mark.parametrize("n_classes", [6, 100])
def test_a_row_alone_has_the_solution_it_has_in_a_batch(n_classes):
    z = some_logits(8, (50, n_classes))
    target = np.random.default_rng(9).uniform(0, np.log(n_classes), 50)
    together = temperature_for_entropy(z, target)
    for row in (0, 17, 49):
        assert temperature_for_entropy(z[row], target[row]) == together[row]


def test_float32_scores_are_solved_in_float64():
    z = some_logits(10, (10, 1200)).astype(np.float32)
    t = temperature_for_entropy(z, 2.0)
    np.testing.assert_array_equal(t, temperature_for_entropy(z.astype(np.float64), 2.0))
    np.testing.assert_allclose(entropy(z.astype(np.float64), t), 2.0, rtol=1e-11)


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (-0.1, ValueError, r"target must be an entropy between 0 and log\(4\) = 1.38629 .* -0.1"),
        (1.4, ValueError, r"target must be an entropy .*, got 1.4"),
        ([1.0, np.nan], ValueError, r"target must be an entropy .*, got nan"),
        ([1.0, 1.0, 1.0], ValueError, r"one per row, \(2,\), got shape \(3,\)"),
        ("high", TypeError, r"target must be a number, or one per row, got 'high'"),
    ],
)
def test_a_target_that_is_no_entropy_is_refused(target, error, message):
    with pytest.raises(error, match=message):
        temperature_for_entropy(np.zeros((2, 4)), target)
