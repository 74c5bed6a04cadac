from functools import partial

import numpy as np
import pytest
import sklearn
from sklearn import metrics
from sklearn.utils.fixes import parse_version

from skcalib.metrics import brier_score, brier_skill_score, log_loss_skill_score
from skcalib.metrics._log_loss import log_loss

SKILLS = {"brier": (brier_skill_score, brier_score), "log loss": (log_loss_skill_score, log_loss)}

every_skill = pytest.mark.parametrize(("skill", "score"), SKILLS.values(), ids=SKILLS)


def problem(n_classes=3, n=60):
    rng = np.random.default_rng(n_classes)
    proba = rng.dirichlet(np.ones(n_classes), n)
    y = (rng.random((n, 1)) > proba.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return y, proba, rng.dirichlet(np.ones(n_classes), n), rng.integers(0, 4, n)


def test_skill_is_the_share_saved_as_by_hand():
    # The base rate 3/4 scores 3/16; (.04 + .09 + .01 + .16) / 4 = .075 = .4 of that.
    y, p = [0, 1, 1, 1], [0.2, 0.7, 0.9, 0.6]
    assert brier_skill_score(y, p) == pytest.approx(0.6)
    # Of log(2) in every row log(4/3) is left.
    left = np.log(4 / 3) / np.log(2)
    assert log_loss_skill_score([0, 1], [0.25, 0.75]) == pytest.approx(1 - left)


@every_skill
def test_perfection_is_1_and_the_reference_is_0(skill, score):
    y, _, other, weight = problem()
    assert skill(y, np.eye(3)[y]) == 1
    assert skill(y, other, reference=other, sample_weight=weight) == 0
    rates = np.average(np.eye(3)[y], axis=0, weights=weight)
    assert skill(y, np.tile(rates, (60, 1)), sample_weight=weight) == pytest.approx(0, abs=1e-14)


@every_skill
def test_what_is_worse_than_the_reference_is_negative(skill, score):
    assert skill([0, 1], [0.9, 0.1]) < 0
    assert np.isfinite(skill([0, 1], [1.0, 0.0]))


@every_skill
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_reference_may_be_another_model_or_base_rates(skill, score, n_classes):
    y, proba, other, weight = problem(n_classes)
    rates = np.arange(1, n_classes + 1) / np.arange(1, n_classes + 1).sum()
    for reference, as_proba in [(other, other), (rates, np.tile(rates, (60, 1)))]:
        found = skill(y, proba, reference=reference, sample_weight=weight)
        expected = 1 - (
            score(y, proba, sample_weight=weight) / score(y, as_proba, sample_weight=weight)
        )
        assert found == pytest.approx(expected, abs=1e-13)
        listed = skill(y, proba, reference=reference.tolist(), sample_weight=weight)
        assert listed == found


@every_skill
@pytest.mark.parametrize("pos_label", [0, 1])
def test_one_column_of_a_reference_is_of_the_positive_class(skill, score, pos_label):
    y, proba, other, _ = problem(2)
    expected = skill(y, proba, reference=other)
    for column in (other[:, pos_label], other[:, [pos_label]]):
        found = skill(y, proba[:, pos_label], reference=column, pos_label=pos_label)
        assert found == pytest.approx(expected, abs=1e-14)


@every_skill
def test_a_weight_is_repetition(skill, score):
    y, proba, other, weight = problem()
    rows = np.random.default_rng(0).permutation(np.repeat(np.arange(60), weight))
    for reference in (None, other):
        repeated = None if reference is None else reference[rows]
        assert skill(y, proba, reference=reference, sample_weight=weight) == pytest.approx(
            skill(y[rows], proba[rows], reference=repeated), abs=1e-13
        )


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_skill_by_log_loss_is_scikit_learns_d2(n_classes, weighted):
    y, proba, _, weight = problem(n_classes)
    weight = weight if weighted else None
    expected = metrics.d2_log_loss_score(y, proba, sample_weight=weight)
    found = log_loss_skill_score(y, proba, sample_weight=weight)
    assert found == pytest.approx(expected, abs=1e-13)


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.8"),
    reason="scikit-learn 1.8 has the first d2_brier_score",
)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_skill_by_brier_score_is_scikit_learns_d2(n_classes, weighted):
    y, proba, _, weight = problem(n_classes)
    weight = weight if weighted else None
    expected = metrics.d2_brier_score(y, proba, sample_weight=weight)
    found = brier_skill_score(y, proba, sample_weight=weight)
    assert found == pytest.approx(expected, abs=1e-13)


@every_skill
def test_a_class_may_be_absent(skill, score):
    y, proba, _, _ = problem()
    kept = y != 1
    found = skill(y[kept], proba[kept], labels=[0, 1, 2])
    assert found == pytest.approx(skill(y, proba, sample_weight=kept), abs=1e-14)


@every_skill
def test_labels_of_one_class_ask_for_a_reference(skill, score):
    weight = np.random.default_rng(0).random(20)
    ask = partial(skill, np.ones(20, int), np.full(20, 0.9), sample_weight=weight)
    with pytest.raises(ValueError, match=r"every row of y_true is of one class.* Pass reference"):
        ask()
    assert ask(reference=[0.5, 0.5]) > 0.5
    with pytest.raises(
        ValueError, match=r"the probability 1 in every row\. Pass another reference"
    ):
        ask(reference=[0, 1])


@every_skill
@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ([0.5, 0.2, 0.2], r"reference must hold probabilities whose rows sum to one .*0\.9"),
        ([0.5, 0.7, -0.2], r"reference must hold probabilities between 0 and 1, got -0\.2"),
        ([0.5, 0.5, np.nan], "reference must hold probabilities between 0 and 1, got nan"),
        (np.full((4, 3), 0.5), r"reference must hold probabilities whose rows sum to one .*1\.5"),
        (np.full((4, 2), 0.5), r"reference must have shape \(3,\), .* \(4, 3\), got \(4, 2\)"),
        ([0.2, 0.4, 0.3, 0.1], r"reference must have shape \(3,\), .* got \(4,\)"),
        (np.full((5, 3), 1 / 3), r"reference must have shape \(3,\), .* \(4, 3\), got \(5, 3\)"),
        (["a", "b", "c"], "reference must hold numbers"),
        (np.zeros((0, 3)), "reference has no rows"),
    ],
)
def test_a_reference_that_does_not_fit_is_refused(skill, score, reference, message):
    with pytest.raises(ValueError, match=message):
        skill([0, 1, 2, 0], np.full((4, 3), 1 / 3), reference=reference)


@every_skill
@pytest.mark.parametrize("p", [-0.1, 1.2, np.nan])
def test_one_column_of_a_reference_is_looked_at_too(skill, score, p):
    with pytest.raises(ValueError, match=f"reference must hold .* got {p} in row 2"):
        skill([0, 1, 1], [0.2, 0.7, 0.9], reference=[0.5, 0.5, p])


@every_skill
def test_two_numbers_for_two_rows_of_two_classes_are_refused(skill, score):
    with pytest.raises(ValueError, match=r"two classes or the probabilities of two rows"):
        skill([0, 1], [0.2, 0.7], reference=[0.5, 0.5])
    assert skill([0, 1], [0.2, 0.7], reference=[[0.5, 0.5], [0.5, 0.5]]) > 0
