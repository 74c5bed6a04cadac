import numpy as np
import pytest
import sklearn
from metric_oracles import brier_score as oracle
from sklearn.metrics import brier_score_loss
from sklearn.utils.fixes import parse_version

from skcalib.metrics import brier_score


def test_two_classes_are_halved_and_three_are_not():
    # .1^2 and .4^2; .5^2 + .3^2 + .2^2
    assert brier_score([0, 1], [0.1, 0.6]) == pytest.approx((0.01 + 0.16) / 2)
    proba = [[0.5, 0.3, 0.2]]
    assert brier_score([0], proba, labels=[0, 1, 2]) == pytest.approx(0.38)


def test_halving_may_be_asked_for_and_declined():
    assert brier_score([0, 1], [0.1, 0.6], scale_by_half=False) == pytest.approx(0.17)
    proba = [[0.5, 0.3, 0.2]]
    assert brier_score([0], proba, labels=[0, 1, 2], scale_by_half=True) == pytest.approx(0.19)


def test_the_worst_prediction_scores_1_or_2():
    assert brier_score([0, 1], [1, 0]) == 1
    assert brier_score([0], [[0, 0, 1]], labels=[0, 1, 2]) == 2


@pytest.mark.parametrize("n_classes", [2, 3, 40])
def test_the_score_is_that_of_exact_arithmetic(n_classes):
    rng = np.random.default_rng(n_classes)
    proba, y = rng.dirichlet(np.ones(n_classes), 100), rng.integers(0, n_classes, 100)
    weight = rng.integers(0, 4, 100)
    found = brier_score(
        y, proba, sample_weight=weight, scale_by_half=False, labels=np.arange(n_classes)
    )
    assert found == pytest.approx(oracle(y, proba, weight), abs=1e-13)


@pytest.mark.parametrize("pos_label", [0, 1, None])
def test_one_column_scores_as_in_scikit_learn(pos_label):
    rng = np.random.default_rng(0)
    p, y, weight = rng.random(50), rng.integers(0, 2, 50), rng.random(50)
    expected = brier_score_loss(y, p, pos_label=pos_label, sample_weight=weight)
    found = brier_score(y, p, pos_label=pos_label, sample_weight=weight)
    assert found == pytest.approx(expected, abs=1e-15)


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.7"),
    reason="scikit-learn 1.6 has the binary score alone",
)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("scale_by_half", ["auto", True, False])
def test_all_columns_score_as_in_scikit_learn(n_classes, scale_by_half):
    rng = np.random.default_rng(0)
    proba, y = rng.dirichlet(np.ones(n_classes), 50), rng.integers(0, n_classes, 50)
    options = {"sample_weight": rng.random(50), "scale_by_half": scale_by_half}
    options["labels"] = np.arange(n_classes)
    expected = brier_score_loss(y, proba, **options)
    assert brier_score(y, proba, **options) == pytest.approx(expected, abs=1e-15)


def test_an_unknown_scale_is_refused():
    with pytest.raises(ValueError, match="'scale_by_half' parameter of brier_score must be"):
        brier_score([0, 1], [0.1, 0.6], scale_by_half="yes")
