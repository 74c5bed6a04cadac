"""Mistakes seen in other packages' metrics, diagrams and scorers. We get them right."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_score

from skcalib.display import ReliabilityDisplay
from skcalib.metrics import expected_calibration_error, get_scorer, reliability_curve

# Ten rows of confidence .9, eight of them right: |.9 - .8|.
Y = np.array([1] * 8 + [0] * 2)
P = np.full(10, 0.9)


# 10. torchmetrics: one NaN or one 1.0000001, and a softmax is applied to all rows (.087 -> .348);
#     p = 1 falls into a bin of its own.


@pytest.mark.parametrize("stray", [np.nan, 1.0000001, 3.0])
def test_one_stray_value_is_refused_and_changes_no_other_row(stray):
    p = P.copy()
    p[3] = stray
    with pytest.raises(ValueError, match=r"between 0 and 1, got .* in row 3"):
        expected_calibration_error(Y, p)


def test_certainty_falls_into_the_last_bin_and_not_into_one_of_its_own():
    curve = reliability_curve([1, 0], [0.95, 1.0], kind="positive", n_bins=10)
    np.testing.assert_array_equal(curve.weight, [2])
    error = expected_calibration_error([1, 0], [0.95, 1.0], kind="positive", n_bins=10)
    assert error == pytest.approx(0.975 - 0.5)


# 13. Most ECE functions return a number for NaN, for p = 1.2, for rows that sum to .9, and another
#     one for labels {-1, 1} (.80 instead of .087).


@pytest.mark.parametrize("p", [np.nan, 1.2])
def test_no_number_is_returned_for_what_is_no_probability(p):
    with pytest.raises(ValueError, match="y_proba must hold probabilities between 0 and 1"):
        expected_calibration_error([0, 1], [0.5, p])


def test_no_number_is_returned_for_rows_that_do_not_sum_to_one():
    with pytest.raises(ValueError, match=r"rows sum to one .*, got a sum of 0\.9 in row 0"):
        expected_calibration_error([0, 1], [[0.4, 0.5], [0.5, 0.5]])


@pytest.mark.parametrize("kind", ["positive", "confidence", "class"])
def test_labels_minus_one_and_one_give_what_zero_and_one_give(kind):
    assert expected_calibration_error(Y, P, kind=kind) == pytest.approx(0.1)
    assert expected_calibration_error(2 * Y - 1, P, kind=kind) == pytest.approx(0.1)


# 14. relplot prints a number on its diagram that its diagram's bins do not give. MAPIE's top-label
#     error averages over labels, however rare.


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_the_number_on_the_diagram_is_that_of_the_points_drawn(strategy):
    ax = pytest.importorskip("matplotlib.figure").Figure().subplots()
    rng = np.random.default_rng(0)
    p = rng.random(500)
    y = (rng.random(500) < p**2).astype(int)
    display = ReliabilityDisplay.from_predictions(y, p, kind="positive", strategy=strategy, ax=ax)
    mean, frequency = display.line_.get_data()
    heights = np.array(display.counts_ax_.collections[0].get_segments())[:, 1, 1]
    by_hand = (heights * np.abs(mean - frequency)).sum() / 500
    assert display.line_.get_label() == f"ECE {by_hand:.3f}"


def test_the_top_label_error_counts_rows_and_not_labels():
    # Nine rows of "a" off by .1, one row predicted "b" off by .6: not their mean, .35.
    y = ["a"] * 9 + ["c"]
    proba = [[0.9, 0.05, 0.05]] * 9 + [[0.2, 0.6, 0.2]]
    error = expected_calibration_error(y, proba, labels=["a", "b", "c"])
    assert error == pytest.approx((9 * 0.1 + 0.6) / 10)


# scikit-learn: a fold that lacks a class cannot be scored by the log loss.


def test_a_fold_without_one_of_the_classes_has_a_log_loss():
    X, y = make_classification(90, n_informative=5, n_classes=3, random_state=0)
    folds = PredefinedSplit(np.where(y == 2, -1, np.arange(90) % 2))
    model = LogisticRegression()
    scores = cross_val_score(model, X, y, cv=folds, scoring=get_scorer("log_loss"))
    for fold, score in enumerate(scores):
        held_out = folds.test_fold == fold
        proba = model.fit(X[~held_out], y[~held_out]).predict_proba(X[held_out])
        by_hand = np.log(proba[np.arange(held_out.sum()), y[held_out]]).mean()
        assert score == pytest.approx(by_hand, abs=1e-12)
