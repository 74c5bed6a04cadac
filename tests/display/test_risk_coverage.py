import io
import pickle
import sys

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcalib.display import RiskCoverageDisplay
from skcalib.metrics import aurc, risk_coverage_curve

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

# Of each confidence 30 rows: all correct, 10 wrong, 20 wrong.
P = [0.9] * 30 + [0.8] * 30 + [0.6] * 30
Y = [1] * 30 + [0] * 10 + [1] * 20 + [0] * 20 + [1] * 10
RISK = [0, 10 / 60, 30 / 90]


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def fitted():
    X, y = make_classification(300, n_informative=5, n_classes=3, flip_y=0.2, random_state=0)
    y = np.array(["ant", "bee", "cat"])[y]
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y), X, y


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def best_orders(ax):
    return [line for line in ax.lines if line.get_gid() == "Thin: best possible order"]


def marks(ax):
    """Lines that lead to a threshold chosen by its risk, or say that there is none."""
    return [line for line in ax.lines if line.get_gid() == "threshold chosen by its risk"]


def band(ax):
    """Outline of the only interval drawn, (n_vertices, 2)."""
    (collection,) = ax.collections
    return collection.get_paths()[0].vertices


def area(line):
    """Area under a line of steps."""
    x, y = line.get_data()
    assert line.get_drawstyle() == "steps-pre"
    return float(np.diff(x) @ y[1:])


def few_rows():
    """30 rows of distinct confidence, the first and the last wrong."""
    y = np.ones(30, dtype=int)
    y[[0, -1]] = 0
    return y, np.linspace(0.99, 0.6, 30)


def test_steps_are_the_points_of_the_curve():
    display = RiskCoverageDisplay.from_predictions(Y, P)
    x, y = display.line_.get_data()
    np.testing.assert_allclose(x, [0, 1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(y[1:], RISK)
    assert display.line_.get_drawstyle() == "steps-pre"


@pytest.mark.parametrize("levels", [3, 20])
def test_the_area_drawn_is_the_area_in_the_legend(levels):
    rng = np.random.default_rng(0)
    p = 0.5 + rng.integers(1, levels, 2000) / levels / 2
    y = (rng.random(2000) < p).astype(int)
    display = RiskCoverageDisplay.from_predictions(y, p, name="net")
    assert area(display.line_) == pytest.approx(aurc(y, p), abs=1e-12)
    assert legend_texts(display.ax_) == [
        "Thin: best possible order",
        f"net (AURC {aurc(y, p):.4f})",
    ]


def test_a_curve_without_a_name_is_shown_by_its_area():
    # 0, 1/6 and 1/3, over a third of the rows each
    display = RiskCoverageDisplay.from_predictions(Y, P)
    assert legend_texts(display.ax_) == ["Thin: best possible order", "AURC 0.1667"]


def test_a_mark_at_the_end_is_the_error_of_all_rows():
    line = RiskCoverageDisplay.from_predictions(Y, P).line_
    assert line.get_marker() == "o"
    marked = np.column_stack(line.get_data())[line.get_markevery()]
    np.testing.assert_allclose(marked, [[1, 1 / 3]])


def test_the_best_order_has_its_errors_last():
    ax = RiskCoverageDisplay.from_predictions(Y, P).ax_
    (best,) = best_orders(ax)
    x, y = best.get_data()
    # Two thirds of the rows are correct; from there on each further row is an error.
    np.testing.assert_allclose(np.interp([0, 0.3, 2 / 3], x, y), 0, atol=1e-12)
    np.testing.assert_allclose(y[1:] * x[1:], x[1:] - 2 / 3, atol=1e-12)
    assert (x[-1], y[-1]) == (1, pytest.approx(1 / 3))


@pytest.mark.parametrize(("y", "risk"), [([1, 1, 1], 0), ([0, 0, 0], 1)])
def test_a_model_that_is_always_right_or_wrong_is_drawn(y, risk):
    for intervals in (True, False):
        display = RiskCoverageDisplay.from_predictions(y, [0.9, 0.8, 0.7], intervals=intervals)
        assert display.line_.get_ydata()[-1] == risk
        assert display.ax_.get_ylim()[1] > risk
        (best,) = best_orders(display.ax_)
        np.testing.assert_array_equal(best.get_ydata()[1:], risk)


def test_each_best_order_is_thin_and_in_the_colour_of_its_model():
    models = {"one": P, "two": [0.5] * 90}
    display = RiskCoverageDisplay.from_predictions(Y, models)
    assert len(display.line_) == 2
    for line, best in zip(display.line_, best_orders(display.ax_), strict=True):
        assert best.get_color() == line.get_color()
        assert best.get_linewidth() < line.get_linewidth() / 2


def test_the_legend_says_that_a_smaller_area_is_better():
    legend = RiskCoverageDisplay.from_predictions(Y, P).ax_.get_legend()
    assert legend.get_title().get_text() == "AURC: area under the curve (lower is better)"


@pytest.mark.parametrize(
    ("max_risk", "corner", "text"),
    [
        (0, (1 / 3, 0), "answer where confidence >= 0.9:\n33.3 % of rows, risk 0"),
        (0.16, (1 / 3, 0), "answer where confidence >= 0.9:\n33.3 % of rows, risk 0"),
        (1 / 6, (2 / 3, 1 / 6), "answer where confidence >= 0.8:\n66.7 % of rows, risk 0.167"),
        (0.33, (2 / 3, 1 / 6), "answer where confidence >= 0.8:\n66.7 % of rows, risk 0.167"),
        (1, (1, 1 / 3), "answer all rows: risk 0.333"),
    ],
)
def test_the_largest_coverage_at_the_risk_allowed_is_marked(max_risk, corner, text):
    display = RiskCoverageDisplay.from_predictions(Y, P, max_risk=max_risk)
    (mark,) = marks(display.ax_)
    coverage, risk = corner
    expected = [[0, risk], [coverage, risk], [coverage, 0]]
    np.testing.assert_allclose(mark.get_xydata(), expected, atol=1e-12)
    assert mark.get_markevery() == [1]
    assert mark.get_color() == display.line_.get_color()
    assert legend_texts(display.ax_)[-1] == text


def test_a_risk_that_no_threshold_keeps_is_said_to_be_so():
    y = [0] * 30 + Y
    p = [0.95] * 30 + P
    display = RiskCoverageDisplay.from_predictions(y, p, max_risk=0.4)
    assert legend_texts(display.ax_)[-1] == "no threshold keeps the risk at 0.4"
    (mark,) = marks(display.ax_)
    assert len(mark.get_xdata()) == 0


def test_a_threshold_is_written_with_the_digits_that_keep_the_same_rows():
    # .98765 would be .988 in three digits, beyond the rows it is to keep, and .9877 in four; the
    # next lower is .9876, so that no fewer digits do.
    y, p = [1] * 40 + [0] * 10, [0.98765] * 40 + [0.9876] * 10
    display = RiskCoverageDisplay.from_predictions(y, p, max_risk=0.1)
    text = "answer where confidence >= 0.98765:\n80 % of rows, risk 0"
    assert legend_texts(display.ax_)[-1] == text


def test_nearly_all_rows_are_not_said_to_be_all():
    y, p = [1] * 9999 + [0], [0.9] * 9999 + [0.8]
    display = RiskCoverageDisplay.from_predictions(y, p, max_risk=0)
    assert legend_texts(display.ax_)[-1].split("\n")[1] == "99.99 % of rows, risk 0"


def test_a_mark_that_rests_on_few_rows_says_on_how_many():
    y = np.ones(30, dtype=int)
    y[5] = 0
    display = RiskCoverageDisplay.from_predictions(y, np.linspace(0.99, 0.6, 30), max_risk=0)
    assert legend_texts(display.ax_)[-1].endswith("\n16.7 % of rows (5 rows), risk 0")


def test_of_several_models_each_has_its_mark():
    models = {"one": P, "two": [0.6] * 30 + [0.8] * 30 + [0.9] * 30}
    display = RiskCoverageDisplay.from_predictions(Y, models, max_risk=0.2, intervals=False)
    texts = [text.split(":")[0] for text in legend_texts(display.ax_)]
    assert texts == [
        "Thin",
        "one (AURC 0.1667)",
        "answer where confidence >= 0.8",
        "two (AURC 0.5000)",
        "no threshold keeps the risk at 0.2",
    ]
    for line, mark in zip(display.line_, marks(display.ax_), strict=True):
        assert mark.get_color() == line.get_color()


def test_one_call_with_a_dict_is_one_call_for_each(fitted):
    model, X, y = fitted
    other = LogisticRegression(C=0.001).fit(X, y)
    together = RiskCoverageDisplay.from_estimator({"net": model, "other": other}, X, y)
    apart = RiskCoverageDisplay.from_estimator(model, X, y, name="net")
    second = RiskCoverageDisplay.from_estimator(other, X, y, name="other", ax=apart.ax_)
    assert list(together.curve) == ["net", "other"]
    for mine, its in zip(together.line_, (apart.line_, second.line_), strict=True):
        np.testing.assert_array_equal(mine.get_data(), its.get_data())
        assert mine.get_color() == its.get_color()
    assert legend_texts(together.ax_) == legend_texts(apart.ax_)
    assert together.ax_.get_ylim() == apart.ax_.get_ylim()


def test_the_legend_covers_no_curve_and_no_mark():
    display = RiskCoverageDisplay.from_predictions(Y, {"one": P, "two": P[::-1]}, max_risk=0.2)
    display.figure_.canvas.draw()
    box = display.ax_.get_legend().get_window_extent()
    for line in [*display.line_, *marks(display.ax_)]:
        path = display.ax_.transData.transform_path(line.get_path())
        assert not path.intersects_bbox(box, filled=False)


def test_intervals_are_wilsons():
    display = RiskCoverageDisplay.from_predictions(Y, P, confidence_level=0.8)
    vertices = band(display.ax_)
    # Wilson's ends are where |f - q| = z sqrt(q (1 - q) / n), with z = 1.281552 for 80 %.
    for n, left, right, frequency in [(60, 1 / 3, 2 / 3, RISK[1]), (90, 2 / 3, 1, RISK[2])]:
        inside = (vertices[:, 0] > left + 1e-9) & (vertices[:, 0] <= right)
        ends = np.unique(vertices[inside, 1].round(12))
        ends = [e for e in ends if abs(e - frequency) > 1e-9]
        met = [e for e in ends if abs((e - frequency) ** 2 - 1.281552**2 * e * (1 - e) / n) < 1e-7]
        assert min(met) < frequency < max(met)
    assert "pointwise 80 % Wilson intervals" in display.ax_.get_ylabel()


def test_intervals_and_the_best_order_may_be_left_out():
    ax = RiskCoverageDisplay.from_predictions(Y, P, intervals=False, best=False).ax_
    assert len(ax.collections) == 0
    assert legend_texts(ax) == ["AURC 0.1667"]
    assert ax.get_ylabel() == "Selective risk: error rate of the rows answered"


def test_the_left_end_on_few_rows_is_thin_and_does_not_decide_the_height():
    display = RiskCoverageDisplay.from_predictions(*few_rows(), intervals=False, best=False)
    line, left = display.ax_.lines
    # The 20th step is the first to be drawn in full, from its left edge on.
    assert line.get_xdata()[0] == pytest.approx(19 / 30)
    assert line.get_ydata()[0] == pytest.approx(1 / 20)
    assert left.get_linewidth() < line.get_linewidth()
    assert left.get_color() == line.get_color()
    np.testing.assert_allclose(left.get_ydata()[1:-1], 1 / np.arange(1, 20))
    np.testing.assert_allclose([left.get_xdata()[-1], left.get_ydata()[-1]], [19 / 30, 1 / 20])
    assert area(left) + area(line) == pytest.approx(aurc(*few_rows()), abs=1e-12)
    assert 2 / 30 < display.ax_.get_ylim()[1] < 0.1


def test_the_left_end_has_no_interval():
    vertices = band(RiskCoverageDisplay.from_predictions(*few_rows()).ax_)
    assert vertices[:, 0].min() == pytest.approx(19 / 30)


def test_of_few_rows_at_least_the_last_step_is_drawn_in_full():
    display = RiskCoverageDisplay.from_predictions([1, 0, 1, 1], [0.9, 0.8, 0.8, 0.6])
    np.testing.assert_allclose(display.line_.get_data(), [[0.75, 1], [0.25, 0.25]])


def test_the_interval_of_all_rows_fits_into_the_axes():
    display = RiskCoverageDisplay.from_predictions([1, 0, 1, 1], [0.9, 0.8, 0.8, 0.6])
    assert display.ax_.get_ylim()[1] > band(display.ax_)[:, 1].max()


def test_risks_start_at_0_and_a_line_at_0_is_seen():
    ax = RiskCoverageDisplay.from_predictions(Y, P).ax_
    bottom, top = ax.get_ylim()
    assert -0.05 * top < bottom < 0
    assert ax.get_xlim()[0] == 0


def test_of_very_many_steps_a_thousand_are_drawn():
    rng = np.random.default_rng(0)
    p = rng.random(50_000) / 2 + 0.5
    y = (rng.random(50_000) < p).astype(int)
    display = RiskCoverageDisplay.from_predictions(y, p)
    x, drawn = display.line_.get_data()
    np.testing.assert_allclose(x, np.arange(1001) / 1000)
    errors = np.cumsum(1 - y[np.argsort(-p)])
    rows = np.arange(50, 50_001, 50)
    np.testing.assert_allclose(drawn[1:], errors[rows - 1] / rows)
    assert area(display.line_) == pytest.approx(aurc(y, p), abs=1e-3)


def test_an_estimator_is_drawn_as_its_predictions_are(fitted):
    model, X, y = fitted
    of_model = RiskCoverageDisplay.from_estimator(model, X, y)
    of_proba = RiskCoverageDisplay.from_predictions(y, model.predict_proba(X), name="Pipeline")
    np.testing.assert_array_equal(of_model.line_.get_data(), of_proba.line_.get_data())
    assert legend_texts(of_model.ax_) == legend_texts(of_proba.ax_)


def test_an_estimator_may_be_drawn_on_rows_that_lack_a_class(fitted):
    model, X, y = fitted
    kept = y != "bee"
    display = RiskCoverageDisplay.from_estimator(model, X[kept], y[kept], name="net")
    assert display.curve.error == pytest.approx(np.mean(model.predict(X[kept]) != y[kept]))


def test_a_confidence_of_ones_own_is_followed(fitted):
    model, X, y = fitted
    margin = np.diff(np.sort(model.predict_proba(X)))[:, -1]
    display = RiskCoverageDisplay.from_estimator(model, X, y, confidence=margin)
    expected = risk_coverage_curve(y, model.predict_proba(X), confidence=margin)
    np.testing.assert_array_equal(display.curve.risk, expected.risk)
    np.testing.assert_array_equal(display.curve.threshold, expected.threshold)


def test_weights_are_weighed():
    weight = [1.0] * 30 + [2.0] * 30 + [0.5] * 30
    display = RiskCoverageDisplay.from_predictions(Y, P, sample_weight=weight)
    np.testing.assert_allclose(display.line_.get_xdata(), [0, 30 / 105, 90 / 105, 1])
    np.testing.assert_allclose(display.line_.get_ydata()[1:], [0, 20 / 90, 30 / 105])


def test_the_positive_class_may_be_chosen():
    names = np.array(["b", "a"])[Y]
    display = RiskCoverageDisplay.from_predictions(names, P, pos_label="a")
    np.testing.assert_allclose(display.curve.risk, RISK)


def test_given_axes_are_drawn_into_and_nothing_else():
    figure, (left, right) = plt.subplots(1, 2)
    display = RiskCoverageDisplay.from_predictions(Y, P, ax=left)
    assert plt.get_fignums() == [figure.number]
    assert display.ax_ is left
    assert display.figure_ is figure
    assert figure.axes == [left, right]
    assert right.has_data() is False


def test_axes_of_a_figure_outside_pyplot_will_do():
    figure = matplotlib.figure.Figure()
    RiskCoverageDisplay.from_predictions(Y, P, ax=figure.subplots())
    figure.savefig(io.BytesIO())
    assert plt.get_fignums() == []


def test_no_setting_of_matplotlib_is_changed():
    before = dict(matplotlib.rcParams)
    RiskCoverageDisplay.from_predictions(Y, P)
    assert dict(matplotlib.rcParams) == before


def test_models_share_axes_and_differ_in_colour_line_and_mark():
    ax = None
    lines = []
    for name in ("one", "two", "three", "four", "five"):
        display = RiskCoverageDisplay.from_predictions(Y, P, name=name, ax=ax)
        ax = display.ax_
        lines.append(display.line_)
    texts = [text.split()[0] for text in legend_texts(ax)]
    assert texts == ["Thin:", "one", "two", "three", "four", "five"]
    assert len({line.get_color() for line in lines}) == 5
    assert len({line.get_marker() for line in lines}) == 5
    assert [line.get_linestyle() for line in lines[:4]] == ["-", "--", "-.", ":"]


@pytest.mark.parametrize("order", [1, -1])
def test_the_axes_are_as_high_as_the_worst_model_needs(order):
    ax = None
    for risk in (0.02, 0.4)[::order]:
        y = np.arange(100) >= 100 * risk
        ax = RiskCoverageDisplay.from_predictions(y, [0.9] * 100, ax=ax, intervals=False).ax_
    assert ax.get_ylim()[1] == pytest.approx(1.15 * 0.4)


def test_lines_are_drawn_as_asked():
    display = RiskCoverageDisplay.from_predictions(Y, P, color="black", linestyle=":", marker="x")
    assert display.line_.get_color() == "black"
    assert display.line_.get_linestyle() == ":"
    assert display.line_.get_marker() == "x"
    assert matplotlib.colors.same_color(display.ax_.collections[0].get_facecolor()[0, :3], "black")


def test_a_curve_at_hand_is_drawn_and_drawn_again_under_another_name():
    display = RiskCoverageDisplay(risk_coverage_curve(Y, P), name="one")
    assert display.plot() is display
    assert legend_texts(display.ax_)[1] == "one (AURC 0.1667)"
    first = display.ax_
    assert legend_texts(display.plot(name="two").ax_)[1] == "two (AURC 0.1667)"
    assert display.ax_ is not first


def test_a_display_keeps_what_it_was_given_and_pickles():
    curve = risk_coverage_curve(Y, P)
    display = RiskCoverageDisplay(curve, name="one")
    assert display.curve is curve
    assert not hasattr(display, "ax_")
    assert pickle.loads(pickle.dumps(display)).name == "one"


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (([0, 1], [0.2, 1.9]), {}, ValueError, "probabilities between 0 and 1"),
        ((Y, P), {"confidence": [1, 2]}, ValueError, r"confidence must have shape \(90,\)"),
        ((Y, P), {"confidence_level": 95}, ValueError, "'confidence_level' parameter of RiskCover"),
        ((Y, P), {"max_risk": 5}, ValueError, "'max_risk' parameter of RiskCoverageDisplay must"),
        ((Y, P), {"colour": "black"}, AttributeError, "colour"),
        ((Y, {}), {}, ValueError, "There is no model to draw"),
        ((Y, {"one": P}), {"name": "two"}, ValueError, "name is for a single model, .* 'two'"),
        ((Y, {"one": P}), {"confidence": P}, ValueError, "confidence is for a single model, .*ax="),
    ],
)
def test_what_does_not_fit_is_refused_before_there_is_a_figure(arguments, options, error, message):
    with pytest.raises(error, match=message):
        RiskCoverageDisplay.from_predictions(*arguments, **options)
    assert plt.get_fignums() == []


def test_an_estimator_without_probabilities_is_refused_before_there_is_a_figure():
    with pytest.raises(TypeError, match="predict_proba"):
        RiskCoverageDisplay.from_estimator(StandardScaler().fit([[0.0], [1.0]]), [[0.5]], [0])
    assert plt.get_fignums() == []


def test_without_matplotlib_it_says_how_to_draw(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"RiskCoverageDisplay\.plot needs matplotlib: pip"):
        RiskCoverageDisplay(risk_coverage_curve(Y, P)).plot()
