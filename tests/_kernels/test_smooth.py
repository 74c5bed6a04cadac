import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

from skcalib._kernels._smooth import smooth_error, smooth_error_at

DATA = Path(__file__).parents[1] / "data" / "known_answers.json"


def integral(p, happened, weight, scale, n_points=20_000):
    """By the definition: images of every residual beyond 0 and 1, and the midpoint rule."""
    t = (np.arange(n_points) + 0.5) / n_points
    images = range(-2 - round(4 * scale), 3 + round(4 * scale))
    total = np.zeros(n_points)
    for value, event, w in zip(p, happened, weight, strict=True):
        for place in [2 * j + sign * value for j in images for sign in (-1, 1)]:
            total += w * (value - event) * np.exp(-(((t - place) / scale) ** 2) / 2)
    return np.abs(total).mean() / (scale * np.sqrt(2 * np.pi) * np.sum(weight))


def problem(n=60, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.random(n)
    return p, rng.random(n) < p, rng.random(n)


def is_the_root(p, happened, weight, found, n_points=20_000):
    """Whether the integral is above the scale just below `found`, and below it just above."""
    ends = [found - 1e-6, found + 1e-6]
    below, above = (integral(p, happened, weight, end, n_points) - end for end in ends)
    return below > 0 > above


@pytest.mark.parametrize("scale", [0.01, 0.03, 0.1, 0.4, 1.0])
def test_at_any_scale_it_is_the_integral_of_the_definition(scale):
    p, happened, weight = problem()
    expected = integral(p, happened, weight, scale)
    assert smooth_error_at(p, happened, weight, scale) == pytest.approx(expected, abs=1e-6)
    expected = integral(p, happened, np.ones(60), scale)
    assert smooth_error_at(p, happened, None, scale) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_error_is_the_scale_that_is_its_own_integral(seed):
    p, happened, weight = problem(seed=seed)
    found = smooth_error(p, happened, weight)
    assert is_the_root(p, happened, weight, found)


def test_residuals_at_0_and_1_have_a_closed_form():
    # Masses of -1/2 at 0 and 1/2 at 1: only odd frequencies are left, and the smoothed residual
    # changes its sign at 1/2. Twice the integral from 0 to 1/2, term by term:
    j = np.arange(1, 400, 2)

    def closed(scale):
        damped = np.exp(-((np.pi * j * scale) ** 2) / 2)
        return 4 * (damped * np.sin(np.pi * j / 2) / (np.pi * j)).sum()

    p, happened = np.array([0.0, 1.0]), np.array([True, False])
    for scale in (0.02, 0.1, 0.5):
        assert smooth_error_at(p, happened, None, scale) == pytest.approx(closed(scale), abs=1e-7)
    expected = brentq(lambda scale: closed(scale) - scale, 0.1, 1)
    assert smooth_error(p, happened, None) == pytest.approx(expected, abs=1e-7)


def test_residuals_of_one_sign_do_not_cancel():
    p = np.array([0.1, 0.2, 0.6])
    happened = np.zeros(3, dtype=bool)
    assert smooth_error(p, happened, None) == pytest.approx(0.9 / 3, abs=1e-13)
    assert smooth_error(p, happened, np.array([1.0, 2, 1])) == pytest.approx(1.1 / 4, abs=1e-13)


def test_at_a_single_probability_it_is_the_distance_to_the_frequency():
    # The four residuals lie at one point: -.7 + 3 * .3
    happened = np.array([True, False, False, False])
    assert smooth_error(np.full(4, 0.3), happened, None) == pytest.approx(0.05, abs=1e-13)


def test_without_residuals_there_is_no_error():
    p = np.array([0.0, 1.0, 1.0])
    assert smooth_error(p, p == 1, None) == 0
    assert smooth_error(np.full(4, 0.25), np.arange(4) == 1, None) < 1e-15


def test_the_integral_falls_as_the_scale_grows():
    p, happened, _ = problem()
    values = [smooth_error_at(p, happened, None, scale) for scale in np.geomspace(1e-3, 1, 40)]
    assert (np.diff(values) <= 1e-12).all()
    assert values[0] <= np.abs(p - happened).mean() + 1e-12
    assert values[-1] >= abs(p.mean() - happened.mean()) - 1e-12


@pytest.mark.parametrize("width", [1e-3, 1e-2])
def test_small_errors_are_as_accurate(width):
    # Residuals so close together that only a fine grid tells them apart.
    rng = np.random.default_rng(0)
    p = 0.3 + width * rng.random(40)
    happened = np.arange(40) < 12
    weight = np.where(happened, 28 / 12, 1.0) * rng.uniform(0.9, 1.1, 40)
    weight[happened] *= (weight * p)[~happened].sum() / (weight * (1 - p))[happened].sum()
    found = smooth_error(p, happened, weight)
    assert found < 0.05
    assert is_the_root(p, happened, weight, found, 50_000)


def test_rounding_beyond_0_and_1_counts_as_0_and_1():
    happened = np.array([True, False, False])
    beyond = np.array([-1e-12, 1 + 1e-12, 0.4])
    assert smooth_error(beyond, happened, None) == smooth_error(beyond.clip(0, 1), happened, None)
    half = np.array([0, 1.001, 0.5], dtype=np.float16)
    assert smooth_error(half, happened, None) == smooth_error(half.clip(0, 1), happened, None)


def test_float32_is_read_exactly():
    p, happened, weight = problem()
    narrow = p.astype(np.float32)
    expected = smooth_error(narrow.astype(np.float64), happened, weight)
    assert smooth_error(narrow, happened, weight) == expected


def test_blocks_of_rows_add_up():
    p, happened, weight = problem(200_000)
    order = np.random.default_rng(0).permutation(len(p))
    expected = smooth_error(p, happened, weight)
    assert smooth_error(p[order], happened[order], weight[order]) == pytest.approx(
        expected, abs=1e-12
    )


def test_nothing_warns_where_everything_raises():
    p, happened, weight = problem()
    with np.errstate(all="raise"):
        smooth_error(p, happened, 1e-99 * weight)
        smooth_error(1e-300 * p, np.zeros(60, dtype=bool), weight)


@pytest.mark.parametrize("scale", [0.05, 0.1])
def test_two_libraries_agree_at_a_fixed_scale(scale):
    known = json.loads(DATA.read_text(encoding="utf-8"))
    given = known["inputs"]["D"]
    (case,) = [c for c in known["cases"] if c["id"] == f"D/smece_sigma_{scale}"]
    found = smooth_error_at(np.array(given["p"]), np.array(given["y"]) == 1, None, scale)
    assert found == pytest.approx(case["expected"], abs=case["tol"])
