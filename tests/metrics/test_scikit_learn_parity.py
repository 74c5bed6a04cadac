"""Where scikit-learn has the same metric, the same number."""

import warnings

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from skcalib.metrics import brier_score, log_loss_skill_score, reliability_curve
from skcalib.metrics._log_loss import log_loss


def problem(n_classes, n=300, seed=0):
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.full(n_classes, 0.5), n)
    y = (rng.random((n, 1)) > (0.7 * proba + 0.3 / n_classes).cumsum(axis=1)[:, :-1]).sum(axis=1)
    return y, proba, rng.integers(0, 4, n)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("weighted", [False, True])
def test_log_loss(n_classes, weighted):
    y, proba, weight = problem(n_classes)
    options = {"sample_weight": weight} if weighted else {}
    expected = sk.log_loss(y, proba, labels=np.arange(n_classes), **options)
    assert log_loss(y, proba, labels=np.arange(n_classes), **options) == pytest.approx(
        expected, rel=1e-13
    )


def test_log_loss_of_an_impossible_event():
    y, proba = [0, 1, 1], np.array([[1, 0], [1, 0], [0.25, 0.75]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert log_loss(y, proba) == pytest.approx(sk.log_loss(y, proba), rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_brier_score_of_the_positive_class(weighted):
    y, proba, weight = problem(2)
    options = {"sample_weight": weight} if weighted else {}
    expected = sk.brier_score_loss(y, proba[:, 1], **options)
    assert brier_score(y, proba, **options) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_share_of_log_loss_explained(n_classes):
    y, proba, _ = problem(n_classes)
    expected = sk.d2_log_loss_score(y, proba)
    assert log_loss_skill_score(y, proba) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n_bins", [1, 5, 15, 40])
def test_calibration_curve_of_equal_widths(n_bins):
    y, proba, _ = problem(2)
    frequency, mean_proba = calibration_curve(y, proba[:, 1], n_bins=n_bins)
    curve = reliability_curve(y, proba, kind="positive", n_bins=n_bins)
    np.testing.assert_allclose(curve.frequency, frequency, rtol=1e-13)
    np.testing.assert_allclose(curve.mean_proba, mean_proba, rtol=1e-13)


@pytest.mark.parametrize("n_bins", [2, 5, 10])
def test_calibration_curve_of_equally_many_rows(n_bins):
    # Where the bins divide the rows and none is tied, every rule for the edges cuts alike.
    y, proba, _ = problem(2)
    frequency, mean_proba = calibration_curve(y, proba[:, 1], n_bins=n_bins, strategy="quantile")
    curve = reliability_curve(y, proba, kind="positive", n_bins=n_bins, strategy="quantile")
    np.testing.assert_allclose(curve.frequency, frequency, rtol=1e-13)
    np.testing.assert_allclose(curve.mean_proba, mean_proba, rtol=1e-13)
