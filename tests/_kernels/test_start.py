"""The temperature that a map starts from: fitted with uniform mixed in, as it is served."""

import numpy as np
import pytest
from oracles import best_start, best_temperature

from skcalib._kernels._blocks import Logits
from skcalib._kernels._start import fit_start
from skcalib._kernels._temperature import fit_temperature


def problem(seed, n, n_classes, masked=0.0, scale=1.0, wrong=0.05, by=300):
    """Scores whose labels ask for T = 1.7 scale, but for some that they rule out."""
    rng = np.random.default_rng(seed)
    z = 4 * rng.standard_normal((n, n_classes))
    y = (z / 1.7 + rng.gumbel(size=z.shape)).argmax(axis=1)
    mask = rng.random(z.shape) < masked
    mask[np.arange(n), y] = False
    z[np.arange(n), y] -= np.where(rng.random(n) < wrong, by, 0)
    return scale * np.where(mask, -np.inf, z), y


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize(("n", "n_classes", "masked"), [(40, 3, 0.0), (300, 6, 0.2), (200, 50, 0)])
def test_it_is_the_best_for_the_mixture(n, n_classes, masked, scale, weighted):
    z, y = problem(n, n, n_classes, masked, scale)
    weight = np.random.default_rng(1).gamma(2.0, size=n) if weighted else None
    near = best_temperature(z, y, weight, alpha=0.01)
    share = 1 / ((n if weight is None else weight.sum()) + 1)
    start = fit_start(Logits(z), y, weight, 0.01, share, near)
    assert start.uniform_share == share
    expected = best_start(z, y, weight, alpha=0.01)
    assert start.temperature == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 1e-6, 1.0])
@pytest.mark.parametrize(("by", "copies"), [(300, 1), (300, 1000), (65504, 1), (1e9, 1000)])
def test_labels_that_are_ruled_out_do_not_raise_it(alpha, by, copies):
    z, y = problem(0, 1000, 5, wrong=0.0)
    spoilt, _ = problem(0, 1000, 5, wrong=0.05, by=by)
    weight, share = np.full(1000, float(copies)), 1 / (1000 * copies + 1)
    alone = [fit_temperature(Logits(s), y, weight, alpha).temperature for s in (z, spoilt)]
    without = fit_start(Logits(z), y, weight, alpha, share, alone[0])
    with_them = fit_start(Logits(spoilt), y, weight, alpha, share, alone[1])
    assert alone[1] > 10 * alone[0]
    assert with_them.temperature == pytest.approx(without.temperature, rel=0.1)
    assert with_them.temperature == pytest.approx(best_start(spoilt, y, weight, alpha), rel=1e-6)


def test_many_rows_are_searched_by_a_sample_of_them():
    z, y = problem(1, 150_000, 4, by=1000)
    z = z.astype(np.float32)
    start = fit_start(Logits(z), y, None, 1.0, 1 / 150_001, 1e5)
    assert start.temperature == pytest.approx(best_start(z[:5000], y[:5000], alpha=1), rel=0.1)


def test_without_uniform_it_is_the_temperature_itself():
    z, y = problem(3, 300, 4, wrong=0.0)
    near = best_temperature(z, y, alpha=1)
    start = fit_start(Logits(z), y, None, 1.0, 1e-12, 1.5 * near)
    assert start.temperature == pytest.approx(near, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-10, 1e10, 1e15])
def test_the_scale_of_scores_does_not_matter_without_a_prior(scale):
    z, y = problem(5, 300, 4)
    expected = best_start(z, y)
    begin = fit_temperature(Logits(scale * z), y, None, 0.0).temperature
    found = fit_start(Logits(scale * z), y, None, 0.0, 1 / 301, begin)
    assert found.temperature / scale == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("mask", [-np.inf, -1e9])
def test_rows_of_one_open_class_do_not_end_the_search(alpha, mask):
    z, y = problem(6, 200, 10, wrong=0.0)
    z[90:] = np.where(np.arange(10) == y[90:, None], z[90:], mask)
    z[np.arange(3), y[:3]] -= 1e6
    begin = fit_temperature(Logits(z), y, None, alpha).temperature
    found = fit_start(Logits(z), y, None, alpha, 1 / 201, begin)
    assert found.temperature == pytest.approx(best_start(z, y, alpha=alpha), rel=1e-5)
