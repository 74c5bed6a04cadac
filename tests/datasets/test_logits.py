import json
from importlib import resources

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from skcalib.datasets import load_logits

NAMES = [
    "charlm_stream_drift",
    "letter_random_forest",
    "mcq_smollm2_a",
    "mnist_cnn_shift",
    "spambase_svm",
    "wordnet_lexname_mlp",
]


def stats(name):
    """The figures stored beside the scores when the set was made, four decimals each."""
    with np.load(resources.files("skcalib") / f"datasets/data/{name}.npz") as archive:
        return json.loads(str(archive["meta"]))["stats"]


def log_loss(logits, y, temperature=1.0):
    log_proba = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return -log_proba[np.arange(len(y)), y].mean()


def best_temperature(logits, y):
    found = minimize_scalar(lambda u: log_loss(logits, y, np.exp(u)), bounds=(-3, 3))
    return np.exp(found.x)


@pytest.fixture(params=NAMES)
def scores(request):
    return load_logits(request.param)


def test_shapes_agree(scores):
    expected = stats(scores.name)
    n, n_classes = expected["N"], expected["K"]
    assert scores.logits.shape == (n, n_classes)
    assert scores.target_names.shape == (n_classes,)
    assert scores.target.shape == scores.calibration.shape == (n,)
    assert scores.calibration.dtype == bool
    assert scores.calibration.sum() == expected["n_calib"]
    assert scores.target.min() >= 0
    assert scores.target.max() < n_classes
    for optional in (scores.groups, scores.sample_weight):
        assert optional is None or optional.shape == (n,)


def test_the_scores_are_as_good_as_their_record_says(scores):
    expected, test = stats(scores.name), ~scores.calibration
    logits, y = scores.logits[test], scores.target[test]
    assert np.mean(logits.argmax(axis=1) == y) == pytest.approx(expected["acc"], abs=6e-5)
    assert log_loss(logits, y) == pytest.approx(expected["nll"], abs=6e-5)


def test_the_best_temperature_is_the_recorded_one(scores):
    expected, test = stats(scores.name), ~scores.calibration
    fitted = best_temperature(scores.logits[~test], scores.target[~test])
    assert fitted == pytest.approx(expected["T"], rel=1e-3)
    after = log_loss(scores.logits[test], scores.target[test], fitted)
    assert after == pytest.approx(expected["nll_T"], abs=1e-4)


def test_each_group_has_its_recorded_best_temperature(scores):
    recorded = stats(scores.name).get("T_by_group")
    if recorded is None:
        assert scores.groups is None
        return
    fitted = {
        str(group): best_temperature(
            scores.logits[scores.groups == group], scores.target[scores.groups == group]
        )
        for group in np.unique(scores.groups)
    }
    assert fitted == pytest.approx(recorded, rel=2e-3)


def test_the_description_names_the_source_and_the_license(scores):
    assert scores.source in scores.DESCR
    assert scores.license in (resources.files("skcalib") / "datasets/data/README.md").read_text()


def test_binary_logits_are_plus_and_minus_half_the_decision():
    scores = load_logits("spambase_svm")
    np.testing.assert_array_equal(scores.logits[:, 1] - scores.logits[:, 0], scores.decision)
    np.testing.assert_array_equal(scores.logits.sum(axis=1), 0)


@pytest.mark.parametrize(
    ("name", "dtype"), [("wordnet_lexname_mlp", np.float16), ("spambase_svm", np.float32)]
)
def test_logits_keep_their_stored_precision(name, dtype):
    assert load_logits(name).logits.dtype == dtype


def test_extras_come_with_the_sets_that_have_them():
    assert load_logits("mcq_smollm2_a").n_tokens.shape == (1350, 4)
    assert load_logits("wordnet_lexname_mlp").sample_weight.min() == 1
    assert set(load_logits("mnist_cnn_shift").groups) == {0, 1, 2, 3, 4, 5}


def test_the_stream_is_in_the_order_of_time():
    stream = load_logits("charlm_stream_drift")
    assert np.flatnonzero(stream.calibration).tolist() == list(range(1200))
    before, after = stream.groups[:2500], stream.groups[2500:]
    assert set(before) == {"fortunes", "pydoc"}
    assert set(after) == {"german", "wordnet"}


def test_an_unknown_name_is_answered_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"name must be one of .*'spambase_svm'.*, got 'x'"):
        load_logits("x")


def test_the_data_folder_holds_the_documented_sets():
    files = (resources.files("skcalib") / "datasets/data").iterdir()
    assert sorted(f.name for f in files) == ["README.md", *(f"{name}.npz" for name in NAMES)]
