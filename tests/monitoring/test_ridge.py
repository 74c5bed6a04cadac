import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV

from skcalib.monitoring._ridge import fit_ridge

PENALTIES = np.logspace(-1, 5, 13)


def problem(n=60, p=5, targets=3, noise=1.0):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) + 3
    return X, X @ rng.standard_normal((p, targets)) + noise * rng.standard_normal((n, targets))


@pytest.mark.parametrize("noise", [0.1, 20.0])
def test_it_is_scikit_learns_ridge_with_left_out_rows(noise):
    X, y = problem(noise=noise)
    expected = RidgeCV(PENALTIES).fit(X, y)
    coefficients, intercepts = fit_ridge(X, y)
    np.testing.assert_allclose(coefficients, expected.coef_.T, rtol=1e-8)
    np.testing.assert_allclose(intercepts, expected.intercept_, rtol=1e-8)


def test_weights_are_the_weights_of_its_squares():
    X, y = problem(n=20, noise=1.5)
    weight = np.random.default_rng(1).integers(1, 4, 20).astype(float)
    coefficients, intercepts = fit_ridge(X, y, weight)
    scaled = weight / weight.mean()
    fits = [Ridge(alpha).fit(X, y, sample_weight=scaled) for alpha in PENALTIES]
    distance = [np.abs(fit.coef_.T - coefficients).max() for fit in fits]
    best = fits[int(np.argmin(distance))]
    assert min(distance) < 1e-9
    np.testing.assert_allclose(intercepts, best.intercept_, rtol=1e-8)
    # By brute force: the penalty chosen leaves out rows best.
    errors = []
    for alpha in PENALTIES:
        left_out = 0.0
        for row in range(20):
            others = np.arange(20) != row
            fit = Ridge(alpha).fit(X[others], y[others], sample_weight=scaled[others])
            left_out += scaled[row] * ((fit.predict(X[[row]]) - y[row]) ** 2).sum()
        errors.append(left_out)
    assert int(np.argmin(errors)) == int(np.argmin(distance))


def test_where_columns_say_nothing_only_the_mean_is_left():
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((400, 30)), rng.standard_normal((400, 1))
    coefficients, intercept = fit_ridge(X, y)
    assert np.abs(coefficients).max() < 0.01
    assert intercept == pytest.approx(y.mean(), abs=0.01)


def test_more_columns_than_rows_and_columns_that_never_vary_are_no_trouble():
    X, y = np.random.default_rng(3).standard_normal((4, 9)), np.array([[1.0], [2.0], [0.0], [1.0]])
    with np.errstate(all="raise"):
        for columns in (X, np.zeros((4, 2)), X[:2], X[:, :0]):
            coefficients, intercept = fit_ridge(columns, y[: len(columns)])
            assert coefficients.shape == (columns.shape[1], 1)
            assert np.isfinite(coefficients).all()
            assert np.isfinite(intercept).all()
