import io
import pickle

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcalib.display import ReliabilityDisplay
from skcalib.metrics import expected_calibration_error, reliability_curve

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

Y, P = [0, 1, 1, 1], [0.2, 0.4, 0.7, 0.9]


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def fitted():
    X, y = make_classification(300, n_informative=5, n_classes=3, flip_y=0.2, random_state=0)
    y = np.array(["ant", "bee", "cat"])[y]
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y), X, y


def interval_ends(ax):
    """Ends of the error bars of each curve, lowest and highest."""
    return [np.array(bars[2][0].get_segments())[:, :, 1].T for bars in ax.containers]


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# Four rows are few: the last entry of each legend.
FEW = "Fewer than 10 rows"


def test_points_are_the_bins_of_the_curve():
    display = ReliabilityDisplay.from_predictions(Y, P, kind="positive", n_bins=2)
    x, y = display.line_.get_data()
    np.testing.assert_allclose(x, [0.3, 0.8])
    np.testing.assert_allclose(y, [0.5, 1])


def test_the_diagonal_is_drawn():
    display = ReliabilityDisplay.from_predictions(Y, P)
    (diagonal,) = (line for line in display.ax_.lines if line.get_label() == "Perfectly calibrated")
    np.testing.assert_array_equal(diagonal.get_data(), [[0, 1], [0, 1]])


def test_intervals_are_those_of_the_curve():
    display = ReliabilityDisplay.from_predictions(Y, P, n_bins=5, confidence_level=0.8)
    curve = reliability_curve(Y, P, n_bins=5, confidence_level=0.8)
    (ends,) = interval_ends(display.ax_)
    np.testing.assert_allclose(ends, [curve.lower, curve.upper])
    assert "80 % Wilson intervals" in display.ax_.get_ylabel()


def test_counts_stand_under_their_points():
    display = ReliabilityDisplay.from_predictions(Y, P, kind="positive", n_bins=2)
    bars = display.counts_ax_.collections[0]
    # Two rows in either bin.
    np.testing.assert_allclose(bars.get_segments(), [[[0.3, 0], [0.3, 2]], [[0.8, 0], [0.8, 2]]])
    assert [tick.get_text() for tick in display.counts_ax_.get_yticklabels()] == ["0", "2"]
    assert display.counts_ax_.get_ylabel() == "Rows"


def test_the_panel_of_counts_lies_inside_the_axes_below_the_frequency_0():
    display = ReliabilityDisplay.from_predictions(Y, P)
    display.figure_.canvas.draw()
    panel = display.counts_ax_.get_window_extent()
    axes = display.ax_.get_window_extent()
    assert axes.x0 == pytest.approx(panel.x0)
    assert axes.y0 == pytest.approx(panel.y0)
    assert axes.x1 == pytest.approx(panel.x1)
    _, height_of_zero = display.ax_.transData.transform((0, 0))
    assert panel.y1 < height_of_zero
    assert display.counts_ax_.get_xlim() == display.ax_.get_xlim()


def test_intervals_and_counts_may_be_left_out():
    display = ReliabilityDisplay.from_predictions(Y, P, intervals=False, counts=False)
    assert display.counts_ax_ is None
    assert display.ax_.child_axes == []
    assert interval_ends(display.ax_) == []
    assert "Wilson" not in display.ax_.get_ylabel()
    assert display.ax_.get_ylim()[0] > -0.1


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_the_error_in_the_legend_is_that_of_the_bins_drawn(fitted, strategy):
    model, X, y = fitted
    proba = model.predict_proba(X)
    display = ReliabilityDisplay.from_predictions(y, proba, strategy=strategy, n_bins=7, name="net")
    error = expected_calibration_error(y, proba, strategy=strategy, n_bins=7)
    assert legend_texts(display.ax_) == ["Perfectly calibrated", f"net (ECE {error:.3f})"]


def test_a_curve_without_a_name_is_shown_by_its_error():
    display = ReliabilityDisplay.from_predictions(Y, P, kind="positive", n_bins=2)
    assert legend_texts(display.ax_) == ["Perfectly calibrated", "ECE 0.200", FEW]


@pytest.mark.parametrize(
    ("options", "x_label", "y_label"),
    [
        ({}, "Mean confidence, 15 bins (a, b] of equal width", "Share of correct predictions"),
        (
            {"kind": "positive", "strategy": "quantile", "n_bins": 2},
            "Mean probability of 1, 2 bins (a, b] of equally many rows",
            "Frequency of 1",
        ),
        (
            {"kind": "class"},
            "Mean predicted probability, 15 bins (a, b] of equal width",
            "Frequency of the class",
        ),
    ],
)
def test_the_axes_say_what_was_binned_and_how(options, x_label, y_label):
    ax = ReliabilityDisplay.from_predictions(Y, P, **options).ax_
    assert ax.get_xlabel() == x_label
    assert ax.get_ylabel() == f"{y_label}\n95 % Wilson intervals"


def test_every_class_has_its_curve_and_its_own_look(fitted):
    model, X, y = fitted
    display = ReliabilityDisplay.from_estimator(model, X, y, kind="class")
    assert len(display.line_) == len(interval_ends(display.ax_)) == 3
    assert len({line.get_color() for line in display.line_}) == 3
    assert len({line.get_marker() for line in display.line_}) == 3
    for line, label in zip(display.line_, ["ant", "bee", "cat"], strict=True):
        curve = reliability_curve(y, model.predict_proba(X), kind="class", class_label=label)
        np.testing.assert_array_equal(line.get_data(), [curve.mean_proba, curve.frequency])
        assert line.get_label() == f"Pipeline, {label} (ECE {curve.calibration_error:.3f})"


def test_classes_may_be_chosen(fitted):
    model, X, y = fitted
    display = ReliabilityDisplay.from_estimator(
        model, X, y, kind="class", class_labels=["cat", "ant"], name="net"
    )
    assert [curve.class_label for curve in display.curves] == ["cat", "ant"]
    assert [line.get_label()[:8] for line in display.line_] == ["net, cat", "net, ant"]


def test_the_legend_of_many_curves_stands_beside_the_axes():
    proba = np.random.default_rng(0).dirichlet(np.ones(6), 100)
    display = ReliabilityDisplay.from_predictions(
        np.arange(100) % 6, proba, kind="class", subplots=False
    )
    display.figure_.canvas.draw()
    legend = display.ax_.get_legend().get_window_extent()
    assert legend.x0 > display.ax_.get_window_extent().x1
    assert legend.x1 <= display.figure_.bbox.x1


def test_an_estimator_is_drawn_as_its_predictions_are(fitted):
    model, X, y = fitted
    of_model = ReliabilityDisplay.from_estimator(model, X, y)
    of_proba = ReliabilityDisplay.from_predictions(y, model.predict_proba(X), name="Pipeline")
    np.testing.assert_array_equal(of_model.line_.get_data(), of_proba.line_.get_data())
    assert legend_texts(of_model.ax_) == legend_texts(of_proba.ax_)


def test_an_estimator_may_be_drawn_on_rows_that_lack_a_class(fitted):
    model, X, y = fitted
    kept = y != "bee"
    display = ReliabilityDisplay.from_estimator(model, X[kept], y[kept], kind="class")
    np.testing.assert_array_equal(display.line_[1].get_ydata(), 0)


def test_the_positive_class_may_be_chosen():
    labels = ["b", "a", "a", "a"]
    display = ReliabilityDisplay.from_predictions(labels, P, kind="positive", pos_label="a")
    assert display.curves[0].class_label == "a"
    assert "Frequency of a" in display.ax_.get_ylabel()


def test_weights_are_weighed():
    display = ReliabilityDisplay.from_predictions(
        Y, P, kind="positive", n_bins=2, sample_weight=[1, 2, 0.25, 0.5]
    )
    expected = [(0.2 + 2 * 0.4) / 3, (0.25 * 0.7 + 0.5 * 0.9) / 0.75]
    np.testing.assert_allclose(display.line_.get_xdata(), expected)
    assert display.counts_ax_.get_ylabel() == "Weight"


def test_given_axes_are_drawn_into_and_nothing_else():
    figure, (left, right) = plt.subplots(1, 2)
    display = ReliabilityDisplay.from_predictions(Y, P, ax=left)
    assert plt.get_fignums() == [figure.number]
    assert display.ax_ is left
    assert display.figure_ is figure
    assert figure.axes == [left, right]
    assert right.has_data() is False


def test_axes_of_a_figure_outside_pyplot_will_do():
    figure = matplotlib.figure.Figure()
    ReliabilityDisplay.from_predictions(Y, P, ax=figure.subplots())
    figure.savefig(io.BytesIO())
    assert plt.get_fignums() == []


def test_a_new_figure_is_made_where_no_axes_are_given():
    display = ReliabilityDisplay.from_predictions(Y, P)
    assert plt.get_fignums() == [display.figure_.number]


def test_no_setting_of_matplotlib_is_changed():
    before = dict(matplotlib.rcParams)
    ReliabilityDisplay.from_predictions(Y, P)
    assert dict(matplotlib.rcParams) == before


def test_models_share_axes_a_diagonal_and_a_panel():
    first = ReliabilityDisplay.from_predictions(Y, P, name="one")
    second = ReliabilityDisplay.from_predictions(Y * 2, P * 2, name="two", ax=first.ax_)
    assert second.counts_ax_ is first.counts_ax_
    assert [text.split()[0] for text in legend_texts(first.ax_)[:-1]] == ["Perfectly", "one", "two"]
    assert first.line_.get_color() != second.line_.get_color()
    assert first.line_.get_marker() != second.line_.get_marker()
    # The tallest of either model: 2 of 8 rows in each bin.
    assert first.counts_ax_.get_yticks().tolist() == [0, 2]


def test_lines_are_drawn_as_asked():
    display = ReliabilityDisplay.from_predictions(Y, P, color="black", linestyle=":", marker="x")
    assert display.line_.get_color() == "black"
    assert display.line_.get_linestyle() == ":"
    assert display.line_.get_marker() == "x"


def test_curves_at_hand_are_drawn_and_drawn_again_under_another_name():
    curve = reliability_curve(Y, P, kind="positive", n_bins=2)
    display = ReliabilityDisplay([curve], name="one")
    assert display.plot() is display
    assert legend_texts(display.ax_)[1] == "one (ECE 0.200)"
    first = display.ax_
    assert legend_texts(display.plot(name="two").ax_)[1] == "two (ECE 0.200)"
    assert display.ax_ is not first


def test_a_display_keeps_what_it_was_given_and_pickles():
    curves = [reliability_curve(Y, P)]
    display = ReliabilityDisplay(curves, name="one")
    assert display.curves is curves
    assert not hasattr(display, "ax_")
    assert pickle.loads(pickle.dumps(display)).name == "one"


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((Y, [0.2, 0.4, 0.7, 1.9]), {}, ValueError, "probabilities between 0 and 1"),
        ((Y, P), {"kind": "top"}, ValueError, "'kind' parameter of ReliabilityDisplay must be"),
        ((Y, P), {"class_labels": [1]}, ValueError, "class_labels must name .* got .1. and kind="),
        ((Y, P), {"kind": "class", "class_labels": []}, ValueError, "at least one class"),
        ((Y, P), {"kind": "class", "class_labels": [7]}, ValueError, "class_label=7 is not among"),
        ((Y, P), {"colour": "black"}, AttributeError, "colour"),
        (
            (Y, P),
            {"kind": "class", "class_label": 1},
            TypeError,
            r"takes no class_label: pass kind='class' and class_labels=\[1\]",
        ),
        (
            (Y, {"one": P, "two": P}),
            {},
            TypeError,
            r"y_proba must be of one model, got a dict of 2\. Draw each model into the same ax: "
            r"for each, ReliabilityDisplay\.from_predictions\(y, proba, name=name, ax=ax\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_there_is_a_figure(arguments, options, error, message):
    with pytest.raises(error, match=message):
        ReliabilityDisplay.from_predictions(*arguments, **options)
    assert plt.get_fignums() == []


def test_an_estimator_without_probabilities_is_refused_before_there_is_a_figure():
    with pytest.raises(TypeError, match="predict_proba"):
        ReliabilityDisplay.from_estimator(StandardScaler().fit([[0.0], [1.0]]), [[0.5]], [0])
    assert plt.get_fignums() == []


def test_a_dict_of_estimators_is_refused_with_the_way_out(fitted):
    model, X, y = fitted
    message = (
        r"estimator must be of one model, got a dict of 1\. .*from_estimator\(model, X, y, name="
    )
    with pytest.raises(TypeError, match=message):
        ReliabilityDisplay.from_estimator({"net": model}, X, y)
    assert plt.get_fignums() == []


def test_curves_at_hand_take_no_class_label():
    with pytest.raises(TypeError, match="takes no class_label"):
        ReliabilityDisplay([reliability_curve(Y, P)]).plot(class_label=1)


@pytest.mark.parametrize("label", ["malignant", np.str_("malignant")])
def test_a_string_is_one_class(label):
    y = np.array(["benign", "malignant"])[Y]
    options = {"pos_label": "malignant", "kind": "class", "class_labels": label}
    display = ReliabilityDisplay.from_predictions(y, P, **options)
    assert [curve.class_label for curve in display.curves] == ["malignant"]


def test_a_number_is_one_class():
    display = ReliabilityDisplay.from_predictions(Y, P, kind="class", class_labels=0)
    assert [curve.class_label for curve in display.curves] == [0]


def test_a_class_keeps_its_capitals_on_the_axes():
    y = np.array(["benign", "Malignant"])[Y]
    ax = ReliabilityDisplay.from_predictions(
        y, P, kind="positive", pos_label="Malignant", strategy="isotonic"
    ).ax_
    assert ax.get_xlabel() == "Predicted probability of Malignant"


def test_short_names_of_line_properties_will_do():
    assert ReliabilityDisplay.from_predictions(Y, P, c="black").line_.get_color() == "black"
