import io
import itertools
import pickle

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler

from skcalib.display import DecompositionDisplay
from skcalib.metrics import ScoreDecomposition, score_decomposition

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

# Parts .025, .125 and .25 of the score .15.
Y, P = [0, 1, 0, 1], [0.2, 0.6, 0.6, 0.8]


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def fitted():
    X, y = make_classification(300, n_informative=5, n_classes=3, flip_y=0.2, random_state=0)
    y = np.array(["ant", "bee", "cat"])[y]
    models = {"linear": LogisticRegression(), "bayes": GaussianNB(), "prior": DummyClassifier()}
    return {name: model.fit(X, y) for name, model in models.items()}, X, y


def models_of_like_score(n=400):
    """Six models, some of them nearly the same, some of a long name."""
    rng = np.random.default_rng(0)
    logit = rng.normal(0.3, 1.5, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int)
    forest = 1 / (1 + np.exp(-logit + 0.3 * rng.normal(size=n)))
    return y, {
        "forest": forest,
        "forest, calibrated": forest**1.02,
        "HistGradientBoostingClassifier with isotonic calibration (5 folds)": forest**1.05,
        "forest again": forest**1.021,
        "overconfident": 1 / (1 + np.exp(-3 * logit)),
        "base rate": np.full(n, y.mean()),
    }


def labels_of(ax):
    return [text for text in ax.texts if isinstance(text, matplotlib.text.Annotation)]


def isolines(ax):
    """Score of each dashed line, and that written at its end."""
    lines = [line for line in ax.lines if isinstance(line, matplotlib.lines.AxLine)]
    assert all(line.get_linestyle() == "--" and line.get_slope() == 1 for line in lines)
    intercepts = [y - x for x, y in (line.get_xy1() for line in lines)]
    texts = [text for text in ax.texts if not isinstance(text, matplotlib.text.Annotation)]
    return intercepts, texts


def test_a_model_stands_at_its_miscalibration_and_discrimination():
    display = DecompositionDisplay.from_predictions(Y, P, name="forecast")
    (point,) = display.points_
    np.testing.assert_allclose(point.get_xydata(), [[0.025, 0.125]])
    assert [label.get_text() for label in labels_of(display.ax_)] == ["forecast (0.1500)"]


def test_a_model_without_a_name_is_labelled_by_its_score():
    display = DecompositionDisplay.from_predictions(Y, P)
    assert [label.get_text() for label in labels_of(display.ax_)] == ["Brier score 0.1500"]
    assert "parentheses" not in display.ax_.get_xlabel()


def assert_lines_are_of_the_score_written_at_their_end(ax, uncertainty):
    intercepts, texts = isolines(ax)
    assert 4 <= len(texts) <= 10
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    rounding = 1e-9 * (right - left + top - bottom)
    for intercept, text in zip(intercepts, texts, strict=True):
        # Miscalibration less discrimination is the score less the uncertainty.
        assert uncertainty - intercept == pytest.approx(float(text.get_text()), abs=1e-12)
        x, y = text.get_position()
        end_above, end_beside = y == 1.01, x == 1.01
        assert end_above != end_beside
        if end_above:
            assert x + intercept == pytest.approx(top)
            assert left - rounding <= x <= right + rounding
        else:
            assert right + intercept == pytest.approx(y)
            assert bottom - rounding <= y <= top + rounding


def test_dashed_lines_are_of_equal_score_across_the_view():
    ax = DecompositionDisplay.from_predictions(Y, P).ax_
    assert_lines_are_of_the_score_written_at_their_end(ax, 0.25)


@pytest.mark.parametrize(
    "parts",
    [
        ScoreDecomposition(0.25, 0, 0, 0.25),
        ScoreDecomposition(0, 0, 0, 0),
        ScoreDecomposition(0.02, -0.03, -0.01, 0.04, method="calibrator"),
        ScoreDecomposition(3e-5, 1e-6, 2e-5, 4.9e-5),
        ScoreDecomposition(7.3, 5.2, 0.2, 2.3, scoring="log_loss"),
    ],
)
def test_any_finite_parts_have_a_place_in_the_view(parts):
    display = DecompositionDisplay(parts).plot()
    (left, right), (bottom, top) = display.ax_.get_xlim(), display.ax_.get_ylim()
    assert left < parts.miscalibration < right
    assert bottom < parts.discrimination < top
    assert_lines_are_of_the_score_written_at_their_end(display.ax_, parts.uncertainty)


def test_lines_and_view_follow_what_is_drawn_later():
    y, models = models_of_like_score()
    first = DecompositionDisplay.from_predictions(y, models["forest"], name="forest")
    near = first.ax_.get_xlim()
    second = DecompositionDisplay.from_predictions(y, models["overconfident"], ax=first.ax_)
    far = second.ax_.get_xlim()
    assert second.ax_ is first.ax_
    assert far[1] > second.points_[0].get_xdata()[0] > near[1]
    uncertainty = first.decompositions.uncertainty
    assert_lines_are_of_the_score_written_at_their_end(first.ax_, uncertainty)
    assert len(labels_of(first.ax_)) == 2


def test_one_call_with_a_dict_is_one_call_for_each():
    y, models = models_of_like_score()
    models = dict(itertools.islice(models.items(), 3))
    together = DecompositionDisplay.from_predictions(y, models)
    _, ax = plt.subplots(figsize=(6.4, 5.2), layout="constrained")
    for name, proba in models.items():
        DecompositionDisplay.from_predictions(y, proba, name=name, ax=ax)
    assert list(together.decompositions) == list(models)
    for mine, its in zip(together.points_, ax.lines[:3], strict=False):
        np.testing.assert_array_equal(mine.get_xydata(), its.get_xydata())
    for of in (labels_of, lambda ax: isolines(ax)[1]):
        texts = [[text.get_text() for text in of(axes)] for axes in (together.ax_, ax)]
        assert texts[0] == texts[1]
    assert together.ax_.get_xlim() == ax.get_xlim()


def test_models_differ_in_colour_and_in_shape():
    y, models = models_of_like_score()
    points = DecompositionDisplay.from_predictions(y, models).points_
    assert len({point.get_color() for point in points}) == 6
    assert len({point.get_marker() for point in points}) == 5
    assert len({(point.get_color(), point.get_marker()) for point in points}) == 6


@pytest.mark.parametrize("n_models", [1, 2, 6])
@pytest.mark.parametrize("dpi", [72, 200])
def test_labels_are_inside_the_axes_and_cover_no_marker_and_no_label(n_models, dpi):
    y, models = models_of_like_score()
    figure, ax = plt.subplots(figsize=(6.4, 5.2), layout="constrained", dpi=dpi)
    some = dict(itertools.islice(models.items(), n_models))
    display = DecompositionDisplay.from_predictions(y, some, ax=ax)
    figure.canvas.draw()
    boxes = [matplotlib.text.Text.get_window_extent(label) for label in labels_of(ax)]
    assert len(boxes) == n_models
    view = ax.get_window_extent()
    for box in boxes:
        assert view.x0 <= box.x0 <= box.x1 <= view.x1
        assert view.y0 <= box.y0 <= box.y1 <= view.y1
        for point in display.points_:
            assert not box.contains(*ax.transData.transform(point.get_xydata()[0]))
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)


def test_long_names_are_broken_into_lines():
    name = "HistGradientBoostingClassifier with isotonic calibration (5 folds)"
    display = DecompositionDisplay.from_predictions(Y, P, name=name)
    (label,) = labels_of(display.ax_)
    assert label.get_text().replace("\n", " ") == f"{name} (0.1500)"
    assert max(map(len, label.get_text().split("\n"))) == len("HistGradientBoostingClassifier")


@pytest.mark.parametrize(
    ("options", "split", "equal", "uncertainty"),
    [
        ({}, "Brier score, by isotonic recalibration (CORP)", "Brier score", "0.2500"),
        (
            {"score": "log_loss", "kind": "positive", "method": "murphy"},
            "Log loss of the positive class, by bins; lines leave out within-bin terms",
            "log loss",
            "0.6931",
        ),
        (
            {"method": "calibrator", "cv": 2},
            "Brier score, by recalibration of held-out rows",
            "Brier score",
            "0.2500",
        ),
        (
            {"kind": "confidence"},
            "Brier score of the confidence, by isotonic recalibration (CORP)",
            "Brier score",
            "0.1875",
        ),
    ],
)
def test_the_axes_say_what_was_split_and_how(options, split, equal, uncertainty):
    ax = DecompositionDisplay.from_predictions(Y, P, name="one", **options).ax_
    assert ax.get_ylabel() == "Discrimination (greater is better)"
    first, *middle, dashed, last = ax.get_xlabel().split("\n")
    assert first == "Miscalibration (smaller is better)"
    assert " ".join(middle) == split
    assert dashed == f"dashed: equal {equal}; the score in parentheses"
    assert last == f"uncertainty (score of the base rate): {uncertainty}"


@pytest.mark.parametrize(
    ("score", "of_two", "of_three", "of_any"),
    [
        (
            "brier",
            "Brier score, by",
            "Brier score, summed over classes, by",
            "Brier score (of more than two classes, summed over classes), by",
        ),
        (
            "log_loss",
            "Log loss, by",
            "Log loss, summed over classes, each against the rest, by",
            "Log loss (of more than two classes, summed over classes, each against the rest), by",
        ),
    ],
)
def test_the_score_of_more_than_two_classes_is_said_to_be_a_sum(score, of_two, of_three, of_any):
    def words(ax):
        return " ".join(ax.get_xlabel().split("\n")[1:])

    draw = DecompositionDisplay.from_predictions
    three = np.column_stack([P, np.full(4, 0.1), 0.9 - np.array(P)])
    assert words(draw(Y, P, score=score).ax_).startswith(of_two)
    display = draw(Y, three, labels=[0, 1, 2], score=score)
    assert words(display.ax_).startswith(of_three)
    assert words(DecompositionDisplay(display.decompositions).plot().ax_).startswith(of_any)


def test_a_single_model_has_room_around_it():
    (point,) = DecompositionDisplay.from_predictions(Y, P).points_
    across, up = point.axes.transAxes.inverted().transform(
        point.axes.transData.transform(point.get_xydata()[0])
    )
    assert 0.5 < across < 0.7
    assert 0.5 < up < 0.7


@pytest.mark.parametrize(
    ("miscalibrations", "from_zero"),
    [([0.1, 0.14], True), ([0.1, 0.13], False), ([0, 0.1], True), ([-0.01, 0.1], False)],
)
def test_miscalibrations_start_at_0_unless_all_are_far_off(miscalibrations, from_zero):
    # .1 is less than three quarters of .14, and more than three quarters of .13.
    parts = {
        str(value): ScoreDecomposition(0.3 + value, value, 0.1, 0.4) for value in miscalibrations
    }
    left, right = DecompositionDisplay(parts).plot().ax_.get_xlim()
    assert (-0.05 * right < left <= 0) == from_zero


def test_no_line_is_of_a_score_below_0():
    parts = ScoreDecomposition(0.02, 0.01, 0.24, 0.25)
    ax = DecompositionDisplay(parts).plot().ax_
    assert ax.get_ylim()[1] > 0.25
    assert min(float(text.get_text()) for text in isolines(ax)[1]) >= 0


def test_points_in_one_place_are_drawn_one_around_the_other():
    values = {"one": 0.1, "two": 0.1, "three": 0.1002, "far": 0.2}
    parts = {
        name: ScoreDecomposition(0.3 + value, value, 0.1, 0.4) for name, value in values.items()
    }
    display = DecompositionDisplay(parts).plot()
    one, two, three, far = display.points_
    sizes = [point.get_markersize() for point in display.points_]
    assert sizes[0] + 4 < sizes[1] < sizes[2] - 4
    assert sizes[3] == sizes[0]
    for point in (two, three):
        assert point.get_markerfacecolor() == "none"
        assert point.get_markeredgecolor() == point.get_color()
    for point in (one, far):
        assert point.get_markerfacecolor() == point.get_color()
    frames = {
        label.get_text().split()[0]: label.get_bbox_patch().get_linewidth()
        for label in labels_of(display.ax_)
    }
    assert frames == {"one": 1, "two": 1, "three": 1, "far": 0}


def test_points_that_a_wider_view_brings_together_are_nested_then():
    first, second = (ScoreDecomposition(0.3 + v, v, 0.1, 0.4) for v in (0.001, 0.0011))
    display = DecompositionDisplay({"one": first, "two": second}).plot()
    assert len({point.get_markersize() for point in display.points_}) == 1
    far = ScoreDecomposition(1.3, 1.0, 0.1, 0.4)
    DecompositionDisplay(far, name="far").plot(ax=display.ax_)
    assert len({point.get_markersize() for point in display.points_}) == 2


def test_estimators_are_drawn_as_their_predictions_are(fitted):
    models, X, y = fitted
    options = {"score": "log_loss", "method": "calibrator", "cv": 3, "random_state": 1}
    display = DecompositionDisplay.from_estimator(models, X, y, **options)
    for point, (name, model) in zip(display.points_, models.items(), strict=True):
        parts = score_decomposition(y, model.predict_proba(X), **options)
        expected = [[parts.miscalibration, parts.discrimination]]
        np.testing.assert_array_equal(point.get_xydata(), expected)
        assert point.get_label() == f"{name} ({parts.score:#.4g})"
    display = DecompositionDisplay.from_estimator(models["linear"], X, y)
    assert display.name == "LogisticRegression"
    assert display.decompositions.scoring == "brier"


def test_an_estimator_may_be_drawn_on_rows_that_lack_a_class(fitted):
    models, X, y = fitted
    kept = y != "bee"
    display = DecompositionDisplay.from_estimator(models, X[kept], y[kept])
    assert len(display.points_) == 3


def test_every_option_reaches_the_decomposition():
    y, models = models_of_like_score()
    weight = np.random.default_rng(0).random(len(y))
    names = np.array(["no", "yes"])[y]
    options = {
        "method": "murphy",
        "kind": "positive",
        "n_bins": 4,
        "strategy": "quantile",
        "sample_weight": weight,
        "pos_label": "no",
    }
    display = DecompositionDisplay.from_predictions(names, models["forest"], **options)
    parts = score_decomposition(names, models["forest"], **options)
    assert display.decompositions.miscalibration == parts.miscalibration
    options = {"method": "calibrator", "calibrator": LogisticRegression(), "cv": 3}
    display = DecompositionDisplay.from_predictions(y, models["forest"], random_state=7, **options)
    parts = score_decomposition(y, models["forest"], random_state=7, **options)
    assert display.decompositions.miscalibration == parts.miscalibration
    labels = ["ant", "bee", "cat"]
    proba = np.column_stack([models["forest"], 1 - models["forest"], np.zeros(len(y))])
    display = DecompositionDisplay.from_predictions(np.array(labels)[y], proba, labels=labels)
    assert len(display.points_) == 1


def test_given_axes_are_drawn_into_and_nothing_else():
    figure, (left, right) = plt.subplots(1, 2)
    display = DecompositionDisplay.from_predictions(Y, P, ax=left)
    assert plt.get_fignums() == [figure.number]
    assert display.ax_ is left
    assert display.figure_ is figure
    assert figure.axes == [left, right]
    assert right.has_data() is False


def test_axes_of_a_figure_outside_pyplot_and_of_a_part_of_one_will_do():
    figure = matplotlib.figure.Figure(layout="constrained")
    for part in figure.subfigures(1, 2):
        DecompositionDisplay.from_predictions(Y, P, ax=part.subplots())
    figure.savefig(io.BytesIO())
    assert plt.get_fignums() == []


def test_no_setting_of_matplotlib_is_changed():
    before = dict(matplotlib.rcParams)
    DecompositionDisplay.from_predictions(Y, P)
    assert dict(matplotlib.rcParams) == before


def test_markers_are_drawn_as_asked():
    display = DecompositionDisplay.from_predictions(Y, P, color="black", marker="x", markersize=20)
    (point,) = display.points_
    assert (point.get_color(), point.get_marker(), point.get_markersize()) == ("black", "x", 20)


def test_parts_at_hand_are_drawn_and_drawn_again_under_another_name():
    parts = score_decomposition(Y, P)
    display = DecompositionDisplay(parts, name="one")
    assert display.plot() is display
    assert labels_of(display.ax_)[0].get_text() == "one (0.1500)"
    first = display.ax_
    assert labels_of(display.plot(name="two").ax_)[0].get_text() == "two (0.1500)"
    assert display.ax_ is not first


def test_a_display_keeps_what_it_was_given_and_pickles():
    parts = {"one": score_decomposition(Y, P)}
    display = DecompositionDisplay(parts)
    assert display.decompositions is parts
    assert not hasattr(display, "ax_")
    assert list(pickle.loads(pickle.dumps(display)).decompositions) == ["one"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"score": "log_loss"},
            r"one score, method and kind, got brier, corp, class and log_loss,",
        ),
        (
            {"method": "murphy"},
            r"got brier, corp, class and brier, murphy, class\. Draw into other",
        ),
        ({"kind": "positive"}, r"got brier, corp, class and brier, corp, positive\."),
        ({"sample_weight": [1, 2, 3, 4]}, r"one uncertainty \(of the same rows\), got 0\.25 and"),
    ],
)
def test_what_cannot_be_compared_does_not_share_axes(options, message):
    ax = DecompositionDisplay.from_predictions(Y, P).ax_
    n_children = len(ax.get_children())
    with pytest.raises(ValueError, match=message):
        DecompositionDisplay.from_predictions(Y, P, ax=ax, **options)
    assert len(ax.get_children()) == n_children
    other = score_decomposition(Y, P, **options)
    with pytest.raises(ValueError, match=message):
        DecompositionDisplay({"one": score_decomposition(Y, P), "two": other}).plot()


def test_confidences_of_models_of_different_accuracy_do_not_share_axes():
    with pytest.raises(ValueError, match=r"one uncertainty \(each accuracy has its own\)"):
        DecompositionDisplay.from_predictions(
            Y, {"one": P, "two": [0.2, 0.6, 0.4, 0.8]}, kind="confidence"
        )
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((Y, [0.2, 0.4, 0.7, 1.9]), {}, ValueError, "probabilities between 0 and 1"),
        ((Y, P), {"kind": "top"}, ValueError, "'kind' parameter of DecompositionDisplay must be"),
        ((Y, P), {"calibrator": GaussianNB()}, ValueError, "calibrator is for method='calibrator'"),
        ((Y, P), {"colour": "black"}, AttributeError, "colour"),
        ((Y, {}), {}, ValueError, "There is no model to draw"),
        ((Y, {"one": P}), {"name": "two"}, ValueError, "name is for a single model, .* 'two'"),
        (
            (Y, {"one": P, "two": [0.2, 0, 0.6, 0.8]}),
            {"score": "log_loss"},
            ValueError,
            "The score of 'two' is infinite.* Use score='brier', or method='calibrator'",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_there_is_a_figure(arguments, options, error, message):
    with pytest.raises(error, match=message):
        DecompositionDisplay.from_predictions(*arguments, **options)
    assert plt.get_fignums() == []


def test_an_estimator_without_probabilities_is_refused_before_there_is_a_figure():
    with pytest.raises(TypeError, match="predict_proba"):
        DecompositionDisplay.from_estimator(StandardScaler().fit([[0.0], [1.0]]), [[0.5]], [0])
    assert plt.get_fignums() == []
