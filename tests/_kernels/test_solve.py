import numpy as np
import pytest

from skcalib._kernels._solve import Expansion, Slope, minimize_newton, minimize_scalar


def cosh_slope(centre):
    """Derivatives of cosh(x - centre), whose only minimum is `centre`."""

    def evaluate(x):
        sinh, cosh = np.sinh(x - centre), np.cosh(x - centre)
        return Slope(sinh, cosh, sinh, cosh)

    return evaluate


@pytest.mark.parametrize("centre", [-37.0, 0.0, 0.3, 41.0])
def test_a_convex_function_is_minimised_from_far_away(centre):
    x, _ = minimize_scalar(cosh_slope(centre), 0.0, bounds=(-50, 50), step_tolerance=1e-5)
    assert x == pytest.approx(centre, abs=1e-12)


def test_a_minimum_outside_the_bounds_ends_at_the_bound():
    x, _ = minimize_scalar(cosh_slope(9.0), 0.0, bounds=(-5, 5), step_tolerance=1e-5)
    assert x == 5


def test_negative_curvature_still_leads_downhill():
    # -cos has minima at multiples of 2 pi and is concave at the start.
    def evaluate(x):
        return Slope(np.sin(x), np.cos(x), -np.sin(x), 0.0)

    x, _ = minimize_scalar(evaluate, 2.5, bounds=(-50, 50), step_tolerance=1e-5)
    assert x == pytest.approx(0, abs=1e-10)


def test_a_kink_that_defeats_newton_is_bisected():
    # |x|^1.5: Newton's step from x is -2x for ever.
    def evaluate(x):
        root = np.sqrt(abs(x))
        return Slope(1.5 * np.sign(x) * root, 0.75 / max(root, 1e-300), 0.0, 0.0)

    x, n_evaluations = minimize_scalar(evaluate, 1.0, bounds=(-5, 7), step_tolerance=1e-9)
    assert abs(x) < 1e-8
    assert n_evaluations < 100


def test_a_nan_slope_ends_the_search_at_once():
    _, n_evaluations = minimize_scalar(
        lambda x: Slope(np.nan, 1.0, 0.0, 1.0), 0.0, bounds=(-5, 5), step_tolerance=1e-5
    )
    assert n_evaluations == 1


def rosenbrock(x):
    a, b = x
    gradient = np.array([-2 * (1 - a) - 400 * a * (b - a * a), 200 * (b - a * a)])
    hessian = np.array([[2 - 400 * (b - 3 * a * a), -400 * a], [-400 * a, 200.0]])
    jacobian = np.array([[-1.0, 0.0], [-20 * a, 10.0]])
    value = (1 - a) ** 2 + 100 * (b - a * a) ** 2
    return Expansion(value, gradient, hessian, 2 * jacobian.T @ jacobian)


def test_the_banana_valley_is_followed_to_its_end():
    x, at, _ = minimize_newton(
        rosenbrock, np.array([-1.2, 1.0]), bounds=np.full((2, 2), [-5, 5]), gradient_tolerance=1e-8
    )
    np.testing.assert_allclose(x, [1, 1], atol=1e-12)
    assert at.value == pytest.approx(0, abs=1e-20)


def test_an_unknown_at_its_bound_is_held_while_the_other_moves():
    # With a <= 0.5 the minimum is at b = a^2 = 0.25.
    bounds = np.array([[-5, 0.5], [-5, 5]])
    x, _, _ = minimize_newton(
        rosenbrock, np.array([0.0, 3.0]), bounds=bounds, gradient_tolerance=1e-9
    )
    np.testing.assert_allclose(x, [0.5, 0.25], atol=1e-10)
