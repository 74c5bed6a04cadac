import numpy as np
import pytest
from adaptive_oracles import score_features as plain

from skcalib._kernels._blocks import BLOCK_ELEMENTS, FEW_CLASSES, Logits
from skcalib._kernels._score_features import SCORE_FEATURES, score_features

LEAST = np.log(1e-6)  # log entropy of a row that is sure


def features(z, temperature=1.0):
    return score_features(Logits(np.asarray(z)), temperature)


def test_columns_are_named():
    assert SCORE_FEATURES == ("log entropy", "margin", "spread")


def test_odds_of_one_to_three_by_hand():
    # q = 1/4, 3/4: entropy log 4 - 3/4 log 3; log odds log 3; two values log 3 apart: log(3) / 2
    found = features([[0.0, np.log(3)]])
    entropy = np.log(4) - 0.75 * np.log(3)
    np.testing.assert_allclose(found, [[np.log(entropy), np.log(3), np.log(3) / 2]], rtol=1e-14)


def test_temperature_two_halves_margin_and_spread():
    # odds 1 : 9 become 1 : 3
    np.testing.assert_allclose(
        features([[0.0, np.log(9)]], 2.0), features([[0.0, np.log(3)]]), rtol=1e-14
    )


@pytest.mark.parametrize("n_classes", [4, FEW_CLASSES + 8])
def test_equal_scores_have_the_entropy_of_their_number_and_neither_margin_nor_spread(n_classes):
    found = features(np.full((1, n_classes), 7.0))
    np.testing.assert_allclose(found, [[np.log(np.log(n_classes)), 0, 0]], rtol=1e-14)


def test_two_largest_scores_that_are_equal_have_no_margin():
    found = features([[2.0, -1.0, 2.0, 0.0]])
    assert found[0, 1] == 0
    np.testing.assert_allclose(found, [plain([2.0, -1.0, 2.0, 0.0], 1.0)], rtol=1e-13)


@pytest.mark.parametrize("n_classes", [1, 2, 3, 10, FEW_CLASSES, FEW_CLASSES + 1, 200])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 7.0])
def test_features_are_those_of_plain_arithmetic(n_classes, temperature):
    z = 3 * np.random.default_rng(n_classes).standard_normal((12, n_classes))
    np.testing.assert_allclose(
        features(z, temperature), [plain(row, temperature) for row in z], rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("n_classes", [3, 40])
def test_masked_classes_are_as_if_they_were_not_there(n_classes):
    z = np.random.default_rng(0).standard_normal((10, n_classes))
    masked = np.insert(z, [0, 2, 2], -np.inf, axis=1)
    np.testing.assert_allclose(features(masked, 0.7), features(z, 0.7), rtol=1e-12)


def test_of_one_class_nothing_is_unsure_and_there_is_no_margin():
    alone = [[LEAST, np.nan, 0]]
    np.testing.assert_array_equal(features([[-np.inf, 3.0, -np.inf]]), alone)
    np.testing.assert_array_equal(features([[3.0]]), alone)


def test_rows_of_different_masks_do_not_mix():
    z = np.array([[0.0, 1.0, 3.0], [-np.inf, 1.0, -np.inf], [-np.inf, 1.0, 3.0]])
    np.testing.assert_allclose(features(z), [plain(row, 1.0) for row in z], rtol=1e-12)


def test_adding_a_constant_to_a_row_changes_nothing():
    z = np.random.default_rng(0).integers(-40, 40, (20, 6)) / 8.0
    shift = 2.0 ** np.arange(20)[:, None]  # exactly representable together with z
    np.testing.assert_array_equal(features(z + shift), features(z))


def test_classes_have_no_order():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((20, 50))
    np.testing.assert_allclose(features(z[:, rng.permutation(50)]), features(z), rtol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float16, 2e-5), (np.float32, 2e-5)])
def test_narrow_scores_lose_no_more_than_float32_does(dtype, tolerance):
    z = (3 * np.random.default_rng(0).standard_normal((50, 20))).astype(dtype)
    expected = [plain(row.astype(float), 1.3) for row in z]
    found = features(z, 1.3)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("n_classes", [5, 100])
def test_a_row_alone_equals_the_row_in_a_batch(n_classes):
    n = BLOCK_ELEMENTS // n_classes + 3  # more than one block
    z = np.random.default_rng(1).standard_normal((n, n_classes))
    before = z.copy()
    together = features(z)
    for row in (0, n // 2, n - 1):
        np.testing.assert_allclose(features(z[row : row + 1])[0], together[row], rtol=1e-14)
    np.testing.assert_array_equal(z, before)


def test_sure_rows_end_at_the_least_entropy():
    # q = e^-30 of each: entropy about 31 e^-30 < 1e-6, but its log, not -69, is what there is
    np.testing.assert_allclose(features([[0.0, -30.0]])[0, 0], LEAST, rtol=1e-14)


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        (np.float64, 1e-150),
        (np.float64, 1e150),
        (np.float32, 1e15),
        (np.float64, 1e-300),
        (np.float64, 1e300),
        (np.float32, 1e25),
    ],
)
def test_scores_of_any_scale_have_a_margin_and_a_spread(dtype, scale):
    with np.errstate(all="raise"):
        found = features(np.array([[1, 0, -1]], dtype) * dtype(scale))[0]
    # 1, 0, -1: variance 2/3
    np.testing.assert_allclose(found[1:], [scale, scale * np.sqrt(2 / 3)], rtol=1e-6)
