import io
import pickle

import numpy as np
import pytest
from oracles import best_temperature, mean_log_loss, temperature_interval
from scipy.special import softmax
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skcalib import TemperatureScaling
from skcalib.datasets import make_miscalibrated_logits
from skcalib.display import TemperatureDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

Z, Y = make_miscalibrated_logits(300, 3, temperature=2, random_state=0)
draw = TemperatureDisplay.from_predictions


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def fitted():
    X, y = make_classification(600, n_informative=5, n_classes=3, flip_y=0.2, random_state=0)
    y = np.array(["ant", "bee", "cat"])[y]
    return make_pipeline(StandardScaler(), GaussianNB()).fit(X[:300], y[:300]), X, y


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def hollow_marker(display):
    """Where the last model drawn stands at T = 1, and its marker."""
    line = display.ax_.lines[-1]
    (x,), (y,) = line.get_data()
    assert x == 1
    return y, line.get_marker()


def filled_marker(line):
    (place,) = line.get_markevery()
    return [values[place] for values in line.get_data()]


def band(display):
    box = display.band_.get_extents().transformed(display.ax_.transData.inverted())
    return [box.x0, box.x1]


def test_four_right_of_five_by_hand():
    # p = sigmoid(4 / T) = .8 at T = 4 / log 4, where the loss is the entropy of (.8, .2). As it
    # is, .8 log(1 + e^-4) + .2 (4 + log(1 + e^-4)).
    decision = np.array([4.0, 4.0, 4.0, 4.0, -4.0] * 20)
    display = draw([1] * 100, decision, labels=[0, 1])
    best, entropy = 4 / np.log(4), -0.8 * np.log(0.8) - 0.2 * np.log(0.2)
    np.testing.assert_allclose(filled_marker(display.line_), [best, entropy], rtol=1e-6)
    as_it_is, marker = hollow_marker(display)
    assert as_it_is == pytest.approx(0.8 + np.log1p(np.exp(-4)), rel=1e-9)
    assert marker == display.line_.get_marker()
    assert legend_texts(display.ax_)[1].split("\n") == [
        # se^2 = 100 / 99 / (16 log(4)^2), with 100 * .16 = 16
        "best T 2.89 (2.02 to 4.12): loss 0.500",
    ]
    assert legend_texts(display.ax_)[2] == "model as it is: loss 0.818"


def test_the_curve_is_the_log_loss_at_each_temperature():
    display = draw(Y, Z)
    temperatures, losses = display.line_.get_data()
    expected = [mean_log_loss(Z, Y, T) for T in temperatures]
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    assert losses.argmin() == display.line_.get_markevery()[0]


@pytest.mark.parametrize("weighted", [False, True])
def test_the_marker_is_the_best_temperature_and_the_band_its_interval(weighted):
    weight = np.random.default_rng(0).gamma(2, size=300) if weighted else None
    display = draw(Y, Z, sample_weight=weight)
    best = best_temperature(Z, Y, weight)
    assert filled_marker(display.line_)[0] == pytest.approx(best, rel=1e-6)
    interval = temperature_interval(Z, Y, best, weight)
    np.testing.assert_allclose(display.interval, interval, rtol=1e-4)
    np.testing.assert_allclose(band(display), interval, rtol=1e-4)


def test_rows_of_a_group_widen_the_band():
    rows = np.repeat(np.arange(300), 4)
    once = draw(Y, Z).interval
    together = draw(Y[rows], Z[rows], groups=rows).interval
    apart = draw(Y[rows], Z[rows]).interval
    np.testing.assert_allclose(
        apart, TemperatureScaling(alpha=0).fit(Z[rows], Y[rows]).temperature_interval_, rtol=1e-12
    )
    np.testing.assert_allclose(
        together,
        TemperatureScaling(alpha=0).fit(Z[rows], Y[rows], groups=rows).temperature_interval_,
        rtol=1e-12,
    )
    assert np.log(apart).std() < 0.6 * np.log(once).std()
    assert np.log(together).std() > 0.9 * np.log(once).std()


@pytest.mark.parametrize("temperature", [0.05, 0.5, 1, 3, 50])
@pytest.mark.parametrize("n", [10, 300])
def test_the_picture_shows_one_the_best_temperature_and_its_interval(temperature, n):
    z, y = make_miscalibrated_logits(n, 3, temperature=temperature, random_state=0)
    display = draw(y, z)
    low, high = display.ax_.get_xlim()
    for shown in (1, display.temperature, *display.interval):
        assert low < shown < high
    assert np.all(np.diff(display.line_.get_xdata()) > 0)


def test_rows_without_a_mistake_ask_for_temperature_0():
    display = draw(Z.argmax(axis=1), Z)
    assert display.temperature == 0
    np.testing.assert_array_equal(display.interval, [0, np.inf])
    assert len(display.line_.get_markevery()) == 0
    low, high = display.ax_.get_xlim()
    assert 0.001 < low < 0.1
    assert 1 < high < 20
    assert display.band_ is None
    assert legend_texts(display.ax_)[1] == "best T 0"
    losses = display.line_.get_ydata()
    assert np.all(np.diff(losses) > 0)


def test_scores_that_say_the_opposite_ask_for_infinity():
    display = draw(Z.argmin(axis=1), Z)
    assert display.temperature == np.inf
    assert display.band_ is None
    assert legend_texts(display.ax_)[1] == "best T \N{INFINITY}"
    assert display.ax_.get_xlim()[1] < 1000


def test_scores_that_are_equal_have_the_loss_of_chance_at_any_temperature():
    display = draw(Y, np.zeros((300, 3)))
    np.testing.assert_allclose(display.line_.get_ydata(), np.log(3), rtol=1e-9)
    assert display.temperature == 1
    np.testing.assert_array_equal(display.interval, [0, np.inf])
    assert legend_texts(display.ax_)[1] == "best T 1 (0 to \N{INFINITY}): loss 1.099"


def test_an_end_of_the_interval_outside_the_picture_is_said_to_be_there():
    display = draw(np.random.default_rng(11).integers(0, 3, 20), Z[:20])
    low, high = display.line_.get_xdata()[[0, -1]]
    assert display.interval[0] < low
    assert display.interval[1] > high
    text = legend_texts(display.ax_)[1]
    assert f"(<{low:.3g} to >" in text
    np.testing.assert_allclose(band(display), [low, high])


# Probabilities.


def test_probabilities_without_smoothing_are_their_logarithms():
    of_logits = draw(Y, Z)
    of_proba = draw(Y, softmax(Z, axis=1), response_method="predict_proba", smoothing=0)
    for name in ("temperatures", "losses", "temperature", "interval"):
        np.testing.assert_allclose(getattr(of_proba, name), getattr(of_logits, name), rtol=1e-6)
    assert legend_texts(of_proba.ax_) == legend_texts(of_logits.ax_)


@pytest.mark.parametrize("smoothing", ["auto", 0.05])
def test_smoothing_is_that_of_temperature_scaling_and_the_hollow_marker_is_without(smoothing):
    proba = np.round(softmax(Z, axis=1), 1)
    proba /= proba.sum(axis=1, keepdims=True)
    proba = np.where(proba[np.arange(300), Y][:, None] > 0, proba, 1 / 3)
    display = draw(Y, proba, response_method="predict_proba", smoothing=smoothing)
    model = TemperatureScaling(response_method="predict_proba", smoothing=smoothing, alpha=0)
    model.fit(proba, Y)
    assert display.temperature == model.temperature_
    assert display.smoothing == model.smoothing_
    assert filled_marker(display.line_)[1] == pytest.approx(model.log_loss_after_, rel=1e-6)
    with np.errstate(divide="ignore"):
        as_it_is = mean_log_loss(np.log(proba), Y)
    assert legend_texts(display.ax_)[2] == f"model as it is: loss {as_it_is:.3f}"
    assert hollow_marker(display)[0] == pytest.approx(as_it_is)
    mixed_in = f"curve: {100 * model.smoothing_:.2g} % of uniform mixed in first"
    assert legend_texts(display.ax_)[1].split("\n")[1] == mixed_in


@pytest.mark.parametrize(
    ("smoothing", "loss_before", "said"),
    [
        # Of the curve from 1 to 3 a hundredth is .02: the model as it is, at 2, may be as far off.
        (2e-9, 2.0, None),
        (2e-9, 2.019, None),
        (2e-9, 2.021, "curve: 2e-09 of uniform mixed in first"),
        (2e-9, 1.979, "curve: 2e-09 of uniform mixed in first"),
        (0.002, 2.0, "curve: 0.2 % of uniform mixed in first"),
        (0.46, 1.5, "curve: 46 % of uniform mixed in first"),
        (0.0, 2.5, None),
    ],
)
def test_smoothing_is_said_unless_it_is_too_little_to_see(smoothing, loss_before, said):
    display = TemperatureDisplay(
        [0.5, 1, 2, 4],
        [3.0, 2.0, 1.0, 1.5],
        temperature=2,
        interval=[1.5, 3],
        loss_before=loss_before,
        smoothing=smoothing,
    ).plot()
    best, as_it_is = legend_texts(display.ax_)[1:]
    assert best.split("\n") == ["best T 2 (1.5 to 3): loss 1.000"] + [said] * (said is not None)
    assert as_it_is == f"model as it is: loss {loss_before:.3f}"
    assert hollow_marker(display)[0] == loss_before


def test_a_model_far_above_its_curve_is_an_arrow():
    proba = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]] * 10)
    y = [0, 1, 1, 0] * 10  # a quarter of the labels has probability 0
    display = draw(y, proba, response_method="predict_proba")
    height, marker = hollow_marker(display)
    assert marker == r"$\uparrow$"
    assert height == display.line_.get_ydata().max()
    # As it is: a quarter -log of the smallest normal float64, a quarter log 2.
    as_it_is = (-np.log(np.finfo(float).tiny) + np.log(2)) / 4
    assert legend_texts(display.ax_)[2] == f"model as it is: loss {as_it_is:.3f} (farther up)"


def test_scores_that_look_like_probabilities_are_read_as_logits_with_a_warning():
    proba = softmax(Z, axis=1)
    with pytest.warns(UserWarning, match="looks like probabilities, but they are read") as caught:
        warned = draw(Y, proba)
    assert caught[0].filename == __file__
    declared = draw(Y, proba, response_method="decision_function")
    assert warned.temperature == declared.temperature


# Estimators.


def test_an_estimator_is_drawn_as_its_scores_are(fitted):
    model, X, y = fitted
    of_model = TemperatureDisplay.from_estimator(model, X, y)
    options = {"response_method": "predict_proba", "name": "Pipeline"}
    of_proba = draw(y, model.predict_proba(X), **options)
    np.testing.assert_array_equal(of_model.line_.get_data(), of_proba.line_.get_data())
    assert legend_texts(of_model.ax_) == legend_texts(of_proba.ax_)


def test_an_estimator_with_a_decision_function_is_drawn_by_it(fitted):
    _, X, y = fitted
    kept = y != "cat"
    model = SVC(random_state=0).fit(X[kept], y[kept])
    of_model = TemperatureDisplay.from_estimator(model, X, np.where(kept, y, "ant"))
    of_scores = draw(np.where(kept, y, "ant"), model.decision_function(X))
    np.testing.assert_array_equal(of_model.losses, of_scores.losses)


def test_the_best_temperature_of_a_calibrated_model_is_1_and_of_the_bare_one_its_own(fitted):
    # On the very rows that it was calibrated on, without a prior.
    bare, X, y = fitted
    rows = slice(300, 600)
    model = TemperatureScaling(FrozenEstimator(bare), alpha=0, smoothing=0)
    model.fit(X[rows], y[rows])
    of_bare = TemperatureDisplay.from_estimator(bare, X[rows], y[rows], smoothing=0)
    of_calibrated = TemperatureDisplay.from_estimator(model, X[rows], y[rows])
    assert of_bare.temperature == pytest.approx(model.temperature_, rel=1e-9)
    assert of_calibrated.temperature == pytest.approx(1, rel=1e-6)
    assert of_calibrated.interval[0] < 1 < of_calibrated.interval[1]


def test_an_estimator_may_be_drawn_on_rows_that_lack_a_class(fitted):
    model, X, y = fitted
    kept = y != "bee"
    display = TemperatureDisplay.from_estimator(model, X[kept], y[kept], groups=X[kept, 0])
    expected = draw(
        y[kept],
        model.predict_proba(X[kept]),
        response_method="predict_proba",
        labels=["ant", "bee", "cat"],
    )
    np.testing.assert_array_equal(display.losses, expected.losses)


# Drawing.


def test_axes_say_what_they_are_and_in_which_unit():
    ax = draw(Y, Z).ax_
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "Temperature T (log scale)\nshaded: 95 % interval of the best T"
    assert ax.get_ylabel() == "Mean log loss (nats)"
    assert legend_texts(ax)[0] == "T = 1"
    (one,) = (line for line in ax.lines if line.get_label() == "T = 1")
    np.testing.assert_array_equal(one.get_xdata(), [1, 1])


def covered_by_the_legend(ax):
    """What of bands, curves and markers a legend covers, by points along them in pixels."""
    ax.figure.canvas.draw()
    box = ax.get_legend().get_window_extent()
    found = [band for band in ax.patches if box.overlaps(band.get_window_extent())]
    for line in ax.lines:
        if line.get_label() != "T = 1":
            found += [line] * box.count_contains(ax.transData.transform(line.get_xydata()))
    return found


@pytest.mark.parametrize("temperature", [0.2, 1, 5])
@pytest.mark.parametrize("n_models", [1, 3])
def test_the_legend_covers_no_band_no_curve_and_no_marker(temperature, n_models):
    display = draw(Y, Z / 2 * temperature, name="one")
    for of_model in range(1, n_models):
        draw(Y, Z * 4**of_model, name="another", ax=display.ax_)
    ax = display.ax_
    assert covered_by_the_legend(ax) == []
    box, figure = ax.get_legend().get_window_extent(), display.figure_.bbox
    assert -1 <= box.x0 < box.x1 <= figure.x1 + 1
    assert box.y1 <= figure.y1 + 1
    assert ax.bbox.height > 0.5 * figure.height


def test_the_legend_is_in_a_corner_that_is_free():
    display = TemperatureDisplay(
        [0.5, 1, 2, 4, 1000], [3, 2, 1, 1.5, 1.5], temperature=2, interval=[1.5, 3]
    ).plot()
    assert covered_by_the_legend(display.ax_) == []
    box, view = display.ax_.get_legend().get_window_extent(), display.ax_.bbox
    assert view.x0 < box.x0 < box.x1 < view.x1
    assert view.y0 < box.y0 < box.y1 < view.y1


@pytest.mark.parametrize(("layout", "title"), [(None, ""), ("constrained", "my title")])
def test_where_there_is_no_room_above_the_legend_stays_in_the_axes(layout, title):
    _, ax = plt.subplots(layout=layout)
    ax.set_title(title)
    draw(Y, Z, ax=ax)
    ax.figure.canvas.draw()
    box = ax.get_legend().get_window_extent()
    assert ax.bbox.y0 < box.y0 < box.y1 < ax.bbox.y1


def test_temperatures_are_written_as_plain_numbers():
    display = draw(Y, Z)
    display.figure_.canvas.draw()
    low, high = display.ax_.get_xlim()
    ticks = [text.get_text() for text in display.ax_.get_xticklabels()]
    shown = [tick for tick in ticks if low <= float(tick) <= high]
    assert {"1", "2"} <= set(shown)
    assert 3 <= len(shown) <= 8


def test_models_share_axes_and_each_has_its_own_look():
    first = draw(Y, Z, name="one")
    second = draw(Y, Z / 4, name="two", ax=first.ax_)
    texts = [text.split("\n")[0] for text in legend_texts(first.ax_)]
    as_it_is = [text.split(":")[0] for text in texts[2::2]]
    assert [texts[0], *texts[1::2]] == ["T = 1", "one", "two"]
    assert as_it_is == ["model as it is", "model as it is"]
    for look in ("get_color", "get_marker", "get_linestyle"):
        assert getattr(first.line_, look)() != getattr(second.line_, look)()
    assert first.band_.get_facecolor() != second.band_.get_facecolor()
    low, high = first.ax_.get_xlim()
    assert low < second.temperature < 1 < first.temperature < high


def test_given_axes_are_drawn_into_and_nothing_else():
    figure, (left, right) = plt.subplots(1, 2)
    display = draw(Y, Z, ax=left)
    assert plt.get_fignums() == [figure.number]
    assert display.ax_ is left
    assert display.figure_ is figure
    assert right.has_data() is False


def test_axes_of_a_figure_outside_pyplot_will_do():
    figure = matplotlib.figure.Figure()
    draw(Y, Z, ax=figure.subplots())
    figure.savefig(io.BytesIO())
    assert plt.get_fignums() == []


def test_no_setting_of_matplotlib_is_changed():
    before = dict(matplotlib.rcParams)
    draw(Y, Z)
    assert dict(matplotlib.rcParams) == before


def test_lines_are_drawn_as_asked():
    display = draw(Y, Z, color="black", linestyle=":", marker="x")
    assert display.line_.get_color() == "black"
    assert display.line_.get_linestyle() == ":"
    assert hollow_marker(display)[1] == "x"


def test_numbers_at_hand_are_drawn_and_drawn_again_under_another_name():
    # The best temperature and T = 1 need not be among those given: between 0.5 and 2, 1 is half
    # way on a log axis.
    display = TemperatureDisplay(
        [0.5, 2, 8], [2.0, 1.0, 3.0], temperature=4, interval=[2, 8], name="one"
    )
    assert display.plot() is display
    assert legend_texts(display.ax_)[1].split("\n") == [
        "one",
        "best T 4 (2 to 8): loss 2.000",
    ]
    assert legend_texts(display.ax_)[2] == "model as it is: loss 1.500"
    np.testing.assert_allclose(filled_marker(display.line_), [4, 2])
    assert hollow_marker(display)[0] == pytest.approx(1.5)
    first = display.ax_
    assert legend_texts(display.plot(name="two").ax_)[1].startswith("two\n")
    assert display.ax_ is not first
    assert display.name == "one"


def test_a_display_keeps_what_it_was_given_and_pickles():
    temperatures, losses = [0.5, 1, 2], [3, 2, 1]
    display = TemperatureDisplay(temperatures, losses, temperature=2, interval=(1, 4), name="one")
    assert display.temperatures is temperatures
    assert display.losses is losses
    assert not hasattr(display, "ax_")
    assert pickle.loads(pickle.dumps(display)).name == "one"


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((Y[:-1], Z), {}, ValueError, "scores and y_true have inconsistent numbers"),
        ((Y, np.where(Z > 3, np.nan, Z)), {}, ValueError, "scores must hold finite logits"),
        ((Y, Z), {"response_method": "predict_proba"}, ValueError, "between 0 and 1"),
        ((Y, Z), {"response_method": "proba"}, ValueError, "'response_method' parameter of Temp"),
        ((Y, Z), {"smoothing": 1.5}, ValueError, "'smoothing' parameter of TemperatureDisplay"),
        ((Y, Z), {"labels": [0, 1]}, ValueError, "labels must hold one label per column"),
        ((Y, Z), {"labels": [2, 1, 0]}, ValueError, r"labels must be sorted, .* got \[2, 1, 0\]"),
        ((Y, Z), {"labels": [0, 1, 3]}, ValueError, "y_true has the label 2"),
        ((Y, Z), {"sample_weight": [1, 2]}, ValueError, "sample_weight must have shape"),
        ((Y, Z), {"groups": [1, 2]}, ValueError, "groups must have shape"),
        ((Y, Z), {"colour": "black"}, AttributeError, "colour"),
    ],
)
def test_what_does_not_fit_is_refused_before_there_is_a_figure(arguments, options, error, message):
    with pytest.raises(error, match=message):
        draw(*arguments, **options)
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (StandardScaler(), {}, TypeError, "has neither"),
        (LogisticRegression(), {"response_method": "predict"}, ValueError, "'response_method'"),
        (LogisticRegression(), {}, ValueError, "y has the label 'dog'"),
    ],
)
def test_an_estimator_that_does_not_fit_is_refused(fitted, model, options, error, message):
    _, X, y = fitted
    model.fit(X, y)
    unknown = np.where(np.arange(len(y)) == 5, "dog", y)
    with pytest.raises(error, match=message):
        TemperatureDisplay.from_estimator(model, X, unknown, **options)
    assert plt.get_fignums() == []
