"""Answering or abstaining, and the bound on the risk of an answer."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skcalib import TemperatureScaling
from skcalib.datasets import load_logits
from skcalib.decisions import SelectiveClassifier
from skcalib.decisions._answers import with_abstention

# Ten rows of falling confidence; the fifth and the ninth are wrong.
CONFIDENCE = np.array([0.99, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55])
PROBA = np.stack([1 - CONFIDENCE, CONFIDENCE], axis=1)
Y = np.array([1, 1, 1, 1, 0, 1, 1, 1, 0, 1])


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def calibrated_draw(rng, n):
    """Confidences uniform on [.5, 1], each right with just that probability."""
    top = 0.5 + 0.5 * rng.random(n)
    y = (rng.random(n) < top).astype(int)
    return np.stack([1 - top, top], axis=1), y


# What is answered


def test_a_given_threshold_answers_what_reaches_it():
    model = SelectiveClassifier(threshold=0.7).fit(PROBA, Y)
    np.testing.assert_array_equal(model.predict(PROBA), [1] * 7 + [-1] * 3)
    np.testing.assert_array_equal(model.accepts(PROBA), [True] * 7 + [False] * 3)
    assert (model.threshold_, model.coverage_, model.n_calibration_) == (0.7, 0.7, 10)
    assert model.risk_ == pytest.approx(1 / 7)
    # of 7 rows 1 is wrong: (1 - b)**7 + 7 b (1 - b)**6 = .1
    b = model.risk_bound_
    assert (1 - b) ** 7 + 7 * b * (1 - b) ** 6 == pytest.approx(0.1)


def test_the_threshold_of_a_coverage_is_a_quantile():
    # k = floor(11 * .3) = 3, and the third smallest confidence is .65: eight reach it
    model = SelectiveClassifier(coverage=0.7).fit(PROBA, Y)
    assert (model.threshold_, model.coverage_) == (0.65, 0.8)
    assert model.risk_ == 1 / 8


def test_the_threshold_of_a_risk_is_the_last_that_passes():
    # Of 100 rows at .9 none is wrong: bound 1 - .1**(1/100) = .0228. Of 100 more at .6, 30: no.
    proba = np.repeat([[0.1, 0.9], [0.4, 0.6]], 100, axis=0)
    y = np.r_[np.ones(100), np.zeros(30), np.ones(70)].astype(int)
    model = SelectiveClassifier(max_risk=0.05).fit(proba, y)
    assert (model.threshold_, model.coverage_, model.risk_) == (0.9, 0.5, 0)
    assert model.risk_bound_ == pytest.approx(1 - 0.1 ** (1 / 100))
    # 30 of 200 in all: 15 %, and with room for chance 20 %.
    assert SelectiveClassifier(max_risk=0.2).fit(proba, y).coverage_ == 1


def test_a_risk_that_all_rows_show_is_one_for_less_confident_rows_too():
    # Of 22 rows none is wrong, and .9**22 = .098: with 10 % wrong that is rarer than one in ten.
    proba = [[0.2, 0.8]] * 11 + [[0.3, 0.7]] * 11
    model = SelectiveClassifier(max_risk=0.1, classes=[0, 1]).fit(proba, [1] * 22)
    assert model.threshold_ == 0
    assert model.accepts([[0.5, 0.5]]).all()


def test_more_confidence_in_the_bound_answers_less():
    proba, y = calibrated_draw(np.random.default_rng(0), 2000)
    loose, strict = (
        SelectiveClassifier(max_risk=0.1, confidence=c).fit(proba, y) for c in (0.5, 0.999)
    )
    assert strict.threshold_ > loose.threshold_
    assert max(strict.risk_bound_, loose.risk_bound_) <= 0.1


def test_too_few_rows_abstain_always_and_say_so():
    model = SelectiveClassifier(max_risk=0.01)
    with pytest.warns(UserWarning, match="10 calibration rows are too few, 230 without an error"):
        model.fit(PROBA, Y)
    assert (model.threshold_, model.coverage_, model.risk_bound_) == (np.inf, 0, 1)
    assert np.isnan(model.risk_)
    np.testing.assert_array_equal(model.predict(PROBA), [-1] * 10)


def test_confident_errors_abstain_always_and_say_so():
    proba, y = np.repeat([[0.1, 0.9]], 100, axis=0), np.arange(100) % 2
    with pytest.warns(UserWarning, match="wrong too often. Allow more risk"):
        model = SelectiveClassifier(max_risk=0.1).fit(proba, y)
    assert not model.accepts(proba).any()


def test_a_warning_made_an_error_leaves_the_model_as_it_was():
    model = (
        SelectiveClassifier(threshold=0.5).fit(PROBA, Y).set_params(threshold=None, max_risk=0.01)
    )
    with pytest.raises(UserWarning, match="No threshold"):
        model.fit(PROBA, Y)
    assert model.threshold_ == 0.5


# The guarantee


@pytest.mark.parametrize("max_risk", [0.02, 0.05, 0.1])
def test_of_a_known_population_the_risk_is_exceeded_in_at_most_a_tenth_of_draws(max_risk):
    # Of rows as calibrated as these, risk(t) is the mean of 1 - u over u in [t, 1]: (1 - t) / 2.
    violated = 0
    for seed in range(300):
        proba, y = calibrated_draw(np.random.default_rng(seed), 1000)
        model = SelectiveClassifier(max_risk=max_risk)
        try:
            threshold = model.fit(proba, y).threshold_
        except UserWarning:  # abstains always
            continue
        violated += (1 - threshold) / 2 > max_risk
    assert violated <= 30


@pytest.mark.parametrize("name", ["letter_random_forest", "mnist_cnn_shift", "spambase_svm"])
def test_of_real_scores_the_risk_is_exceeded_in_at_most_a_tenth_of_draws(name):
    # All rows of the set are the population; calibration rows are drawn from it.
    data = load_logits(name)
    proba = TemperatureScaling().fit(data.logits, data.target).predict_proba(data.logits)
    proba, wrong = proba.astype(np.float64), proba.argmax(axis=1) != data.target
    for max_risk in (0.02, 0.1):
        violated = 0
        for seed in range(300):
            rows = np.random.default_rng(seed).integers(0, len(proba), 1000)
            model = SelectiveClassifier(max_risk=max_risk, classes=range(proba.shape[1]))
            try:
                answered = model.fit(proba[rows], data.target[rows]).accepts(proba)
            except UserWarning:
                continue
            violated += wrong[answered].mean() > max_risk
        assert violated <= 30, max_risk


def test_the_coverage_is_reached_on_average():
    rng = np.random.default_rng(0)
    reached = []
    for _ in range(400):
        proba, y = calibrated_draw(rng, 50)
        threshold = SelectiveClassifier(coverage=0.8).fit(proba, y).threshold_
        reached.append(2 * (1 - threshold))  # of confidences uniform on [.5, 1]
    # k = floor(51 * .2) = 10, so 1 - 10/51 = .804; one draw's sd is .055
    assert np.mean(reached) == pytest.approx(1 - 10 / 51, abs=4 * 0.055 / 20)


def test_rows_choose_no_threshold_for_the_model_that_was_fitted_on_them():
    # Noise labels: in hindsight a tree is always right, held out never better than chance.
    from sklearn.tree import DecisionTreeClassifier

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 3)), rng.integers(0, 2, 400)
    with pytest.warns(UserWarning, match="wrong too often"):
        SelectiveClassifier(DecisionTreeClassifier(random_state=0), max_risk=0.2).fit(X, y)
    hindsight = FrozenEstimator(DecisionTreeClassifier(random_state=0).fit(X, y))
    assert SelectiveClassifier(hindsight, max_risk=0.2).fit(X, y).coverage_ == 1


# Labels


@pytest.mark.parametrize(
    ("classes", "label"),
    [
        (["no", "yes"], "abstain"),
        ([0, 1], -1),
        ([-1, 1], -2),
        ([3, 7], -1),
        ([False, True], -1),
        ([1.5, 2.5], np.nan),
    ],
)
def test_the_label_of_abstention_is_none_of_the_classes(classes, label):
    y = np.array(classes)[Y]
    if y.dtype.kind == "f":
        y = y.astype(int).astype(float)
    model = SelectiveClassifier(threshold=0.6).fit(PROBA, y)
    predicted = model.predict(PROBA)
    np.testing.assert_array_equal(predicted[:9], [y[0]] * 9)
    np.testing.assert_equal([predicted[-1], model.abstain_label_], [label, label])


def test_the_type_of_the_answers_does_not_depend_on_the_batch():
    model = SelectiveClassifier(threshold=0.6).fit(PROBA, np.array(["no", "yes"])[Y])
    assert model.predict(PROBA[:1]).dtype == model.predict(PROBA).dtype == "<U7"
    assert SelectiveClassifier(threshold=0.6).fit(PROBA, Y).predict(PROBA).dtype == Y.dtype


def test_a_label_of_another_type_makes_objects():
    model = SelectiveClassifier(threshold=0.6, abstain_label="ask").fit(PROBA, Y)
    assert model.predict(PROBA).tolist() == [1] * 9 + ["ask"]


def test_a_pandas_column_of_strings_is_answered_as_objects():
    y = pd.Series(np.array(["no", "yes"])[Y], dtype=object)
    model = SelectiveClassifier(threshold=0.6).fit(PROBA, y)
    assert model.predict(PROBA).tolist() == ["yes"] * 9 + ["abstain"]


def test_a_class_is_no_label_of_abstention():
    with pytest.raises(ValueError, match="abstain_label must not be one of the classes, and 1 is"):
        SelectiveClassifier(threshold=0.6, abstain_label=1).fit(PROBA, Y)
    with pytest.raises(ValueError, match="and 'abstain' is"):
        SelectiveClassifier(threshold=0.6).fit(PROBA, np.array(["abstain", "go"])[Y])


@pytest.mark.parametrize(
    ("classes", "label"),
    [
        (np.array([2**63 + 1, 2**63 + 3], dtype=np.uint64), None),  # and -1 would be floats
        (np.array([2**53 + 1, 2**53 + 3]), np.nan),
        (np.array([-(2**63), 5]), None),
    ],
)
def test_answers_are_the_classes_to_the_last_digit(classes, label):
    model = SelectiveClassifier(threshold=0.6, classes=classes, abstain_label=label)
    answers = model.fit(PROBA, classes[Y]).predict(PROBA).tolist()
    assert answers[:9] == [int(classes[1])] * 9
    np.testing.assert_equal(answers[9], model.abstain_label_)


def test_a_label_that_floats_round_stays_as_it_is():
    answers = with_abstention(np.array([1.0, 2.0]), 2**53 + 1)
    assert answers.tolist() == [1.0, 2.0, 2**53 + 1]


def test_several_labels_of_abstention_are_refused():
    with pytest.raises(TypeError, match="abstain_label must be one label"):
        SelectiveClassifier(threshold=0.6, abstain_label=[-1]).fit(PROBA, Y)


# Scores


def test_an_abstention_counts_as_an_answer_that_is_not_right():
    model = SelectiveClassifier(threshold=0.7).fit(PROBA, Y)
    assert model.score(PROBA, Y) == 6 / 10  # seven answered, one of them wrong
    assert model.score(PROBA, Y) == accuracy_score(Y, model.predict(PROBA))
    weight = np.arange(10.0)
    assert model.score(PROBA, Y, weight) == (0 + 1 + 2 + 3 + 5 + 6) / 45


def test_a_score_needs_a_label_for_each_row_of_the_type_of_the_classes():
    model = SelectiveClassifier(threshold=0.7).fit(PROBA, Y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples: 10 and 1"):
        model.score(PROBA, [1])
    with pytest.raises(TypeError, match="y must hold labels of the type of the classes, such as 0"):
        model.score(PROBA, Y.astype(str))
    assert model.score(PROBA, np.full(10, 7)) == 0  # a label of no class is never answered


def test_the_summary_says_that_no_row_is_answered():
    model = SelectiveClassifier(max_risk=0.01)
    with pytest.warns(UserWarning, match="No threshold"):
        summary = model.fit(PROBA, Y).summary()
    assert str(summary).endswith("\nNo row is answered.")


def test_the_summary_shows_what_each_threshold_answers():
    summary = SelectiveClassifier(threshold=0.7).fit(PROBA, Y).summary()
    threshold, coverage, risk, bound, answered = summary.records[4]
    assert (threshold, coverage, risk, answered) == (0.8, 0.5, 1 / 5, True)
    # (1 - b)**5 + 5 b (1 - b)**4 = .1
    assert (1 - bound) ** 5 + 5 * bound * (1 - bound) ** 4 == pytest.approx(0.1)
    assert [row[-1] for row in summary.records] == [True] * 7 + [False] * 3
    assert str(summary).startswith("Answers by threshold: 10 calibration rows\nthreshold  coverage")
    assert str(summary).endswith("Rows of a confidence of 0.7 or more are answered.")
    assert summary.to_frame().shape == (10, 4)


# Weights


@pytest.mark.parametrize("unit", [1, 3.0])
def test_weights_of_zero_and_one_number_keep_the_bound(unit):
    weight = np.r_[np.full(8, unit), 0, 0]
    weighted = SelectiveClassifier(max_risk=0.5).fit(PROBA, Y, sample_weight=weight)
    without = SelectiveClassifier(max_risk=0.5).fit(PROBA[:8], Y[:8])
    assert weighted.n_calibration_ == 8
    assert (weighted.threshold_, weighted.risk_bound_) == (without.threshold_, without.risk_bound_)


def test_other_weights_have_no_bound():
    model = SelectiveClassifier(threshold=0.7).fit(PROBA, Y, sample_weight=np.arange(10.0))
    assert (model.coverage_, model.risk_) == (21 / 45, 4 / 21)  # the first row has weight 0
    assert np.isnan(model.risk_bound_)
    assert model.summary().records[0][3] is None
    with pytest.raises(ValueError, match="sample_weight must be one number or 0 with max_risk"):
        SelectiveClassifier(max_risk=0.5).fit(PROBA, Y, sample_weight=np.r_[np.ones(9), 2])


@pytest.mark.parametrize("unit", [0.1, 0.01, 1])
def test_a_share_does_not_depend_on_the_unit_of_weights(unit):
    proba, y = calibrated_draw(np.random.default_rng(0), 500)
    model = SelectiveClassifier(coverage=0.5).fit(proba, y, sample_weight=np.full(500, unit))
    assert 0.5 <= model.coverage_ <= 0.5 + 1.001 / 500


def test_folds_that_overlap_have_no_bound(iris):
    X, y = iris
    cv = ShuffleSplit(5, random_state=0)
    with pytest.raises(ValueError, match="cv holds rows out more than once"):
        SelectiveClassifier(GaussianNB(), max_risk=0.1, cv=cv).fit(X, y)
    assert SelectiveClassifier(GaussianNB(), coverage=0.9, cv=cv).fit(X, y).coverage_ >= 0.9


# Around estimators


def test_a_frozen_estimator_calibrates_on_all_rows(iris):
    X, y = iris
    frozen = FrozenEstimator(GaussianNB().fit(X[::2], y[::2]))
    model = SelectiveClassifier(frozen, threshold=0.99).fit(X[1::2], y[1::2])
    proba = frozen.predict_proba(X[1::2])
    assert model.n_calibration_ == 75
    assert model.coverage_ == np.mean(proba.max(axis=1) >= 0.99)
    np.testing.assert_array_equal(model.predict_proba(X[1::2]), proba)


def test_a_calibrated_model_inside_answers_by_calibrated_confidence(iris):
    X, y = iris
    inner = TemperatureScaling(LinearSVC(random_state=0))
    model = SelectiveClassifier(inner, coverage=0.8).fit(X, y)
    alone = clone(inner).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), alone.predict_proba(X))
    assert model.coverage_ >= 0.8


def test_logits_declared_as_such_are_read_by_softmax():
    logits = np.log(PROBA)
    model = SelectiveClassifier(threshold=0.7, response_method="decision_function").fit(logits, Y)
    np.testing.assert_allclose(model.predict_proba(logits), PROBA, atol=1e-15)
    masked = np.c_[logits, np.full(10, -np.inf)]
    model = SelectiveClassifier(
        threshold=0.7, response_method="decision_function", classes=[0, 1, 2]
    ).fit(masked, Y)
    assert (model.predict_proba(masked)[:, 2] == 0).all()


def test_single_precision_stays_and_a_row_does_not_depend_on_its_batch(iris):
    X, y = iris
    proba = GaussianNB().fit(X, y).predict_proba(X).astype(np.float32)
    model = SelectiveClassifier(coverage=0.9).fit(proba, y)
    together = model.predict_proba(proba)
    assert together.dtype == np.float32
    for row in range(0, 150, 7):
        np.testing.assert_array_equal(model.predict(proba[[row]]), model.predict(proba)[[row]])


def test_probabilities_passed_in_are_never_handed_out():
    model = SelectiveClassifier(threshold=0.5).fit(PROBA, Y)
    assert not np.shares_memory(model.predict_proba(PROBA), PROBA)


def test_frames_and_sparse_matrices_reach_the_estimator(iris):
    X, y = iris
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = SelectiveClassifier(LogisticRegression(max_iter=1000), coverage=0.9).fit(frame, y)
    assert list(model.feature_names_in_) == list("abcd")
    sparse = SelectiveClassifier(LogisticRegression(max_iter=1000), coverage=0.9)
    sparse.fit(csr_matrix(X), y)
    np.testing.assert_allclose(
        sparse.predict_proba(csr_matrix(X)), model.predict_proba(frame), atol=1e-4
    )


def test_it_is_searched_and_pickled_and_put_at_the_end_of_a_pipeline(iris):
    X, y = iris
    model = make_pipeline(StandardScaler(), SelectiveClassifier(GaussianNB(), coverage=0.9))
    search = GridSearchCV(model, {"selectiveclassifier__coverage": [0.5, 1.0]}).fit(X, y)
    assert search.best_params_ == {"selectiveclassifier__coverage": 1.0}
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict(X), search.predict(X))


def test_nothing_warns_of_arithmetic():
    proba, y = calibrated_draw(np.random.default_rng(0), 300)
    with np.errstate(all="raise"):
        for mode in ({"threshold": 0.9}, {"coverage": 0.5}, {"max_risk": 0.2}):
            SelectiveClassifier(**mode).fit(proba, y).predict(proba)


# What is refused


@pytest.mark.parametrize(
    ("modes", "got"),
    [({}, "none of them"), ({"threshold": 0.5, "coverage": 0.5}, "threshold and coverage")],
)
def test_exactly_one_way_to_a_threshold_is_given(modes, got):
    with pytest.raises(ValueError, match=f"exactly one of threshold, .* must be given, got {got}"):
        SelectiveClassifier(**modes).fit(PROBA, Y)


@pytest.mark.parametrize(
    "wrong",
    [{"threshold": 1.1}, {"max_risk": 0}, {"max_risk": 1}, {"coverage": 0}, {"coverage": 1.5}],
)
def test_a_share_lies_between_zero_and_one(wrong):
    with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter"):
        SelectiveClassifier(**wrong).fit(PROBA, Y)
    with pytest.raises(ValueError, match="The 'confidence' parameter"):
        SelectiveClassifier(threshold=0.5, confidence=1).fit(PROBA, Y)


def test_a_risk_that_nothing_can_show_is_refused_and_a_small_one_says_what_it_takes():
    with pytest.raises(ValueError, match="max_risk must be a risk that rows can show"):
        SelectiveClassifier(max_risk=1e-320).fit(PROBA, Y)
    with pytest.warns(UserWarning, match=r"2\.3025850929\d*e\+17 without an error"):
        SelectiveClassifier(max_risk=1e-17).fit(PROBA, Y)


def test_a_model_without_probabilities_is_refused(iris):
    with pytest.raises(TypeError, match="LinearSVC has no such method"):
        SelectiveClassifier(LinearSVC(), threshold=0.5).fit(*iris)


def test_nothing_is_predicted_before_fit():
    for method in ("predict", "accepts", "predict_proba"):
        with pytest.raises(NotFittedError):
            getattr(SelectiveClassifier(threshold=0.5), method)(PROBA)
    with pytest.raises(NotFittedError):
        SelectiveClassifier(threshold=0.5).summary()


def test_a_row_that_is_not_probabilities_is_named():
    bad = PROBA.copy()
    bad[3] = [0.2, 0.2]
    with pytest.raises(ValueError, match="in row 3"):
        SelectiveClassifier(threshold=0.5).fit(bad, Y)
    logits = np.log(PROBA)
    logits[2, 0] = np.nan
    model = SelectiveClassifier(threshold=0.5, response_method="decision_function")
    with pytest.raises(ValueError, match="row 2 holds NaN"):
        model.fit(logits, Y)
