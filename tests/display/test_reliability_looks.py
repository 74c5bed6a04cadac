"""What a reliability diagram hides, and what falls off its figure: nothing."""

import io
import itertools

import numpy as np
import pytest

from skcalib.display import ReliabilityDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    yield
    plt.close("all")


def rows(*bins):
    """Labels and probabilities of bins given as (probability, number of rows, of them 1)."""
    y = [label for _, n, ones in bins for label in [1] * ones + [0] * (n - ones)]
    return y, [p for p, n, _ in bins for _ in range(n)]


def draw(*bins, **options):
    options = {"kind": "positive"} | options
    return ReliabilityDisplay.from_predictions(*rows(*bins), **options)


def extents(figure):
    """Boxes of the axes' labels, ticks, titles and legends, once the figure is saved."""
    figure.savefig(io.BytesIO())
    renderer = figure.canvas.get_renderer()
    return [ax.get_tightbbox(renderer) for ax in figure.axes] + [
        text.get_window_extent(renderer)
        for text in (figure._supxlabel, figure._supylabel)
        if text is not None
    ]


def is_inside(figure, boxes):
    frame = figure.bbox
    return all(
        frame.x0 <= box.x0 and frame.y0 <= box.y0 and box.x1 <= frame.x1 and box.y1 <= frame.y1
        for box in boxes
    )


FEW = "Fewer than 10 rows"


def patients():
    """Labels with long names, and calibrated probabilities of either."""
    rng = np.random.default_rng(0)
    p = rng.random(300)
    y = np.array(["benign tumour", "malignant tumour"])[(rng.random(300) < p).astype(int)]
    return y, np.column_stack([1 - p, p])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kind": "positive"},
        {"kind": "positive", "strategy": "quantile"},
        {"kind": "positive", "strategy": "isotonic"},
        {"kind": "class", "strategy": "isotonic"},
        {"intervals": "consistency"},
        {"counts": False},
    ],
)
def test_nothing_falls_off_the_default_axes_of_a_user(options):
    figure, ax = plt.subplots(figsize=(6.4, 4.8))
    ReliabilityDisplay.from_predictions(
        *patients(), ax=ax, name="RandomForestClassifier", **options
    )
    assert "\n" not in ax.get_xlabel()
    assert is_inside(figure, extents(figure))


@pytest.mark.parametrize("n_groups", [1, 2, 5])
@pytest.mark.parametrize("strategy", ["quantile", "isotonic"])
def test_nothing_falls_off_panels(n_groups, strategy):
    display = ReliabilityDisplay.from_predictions(
        *patients(), kind="positive", strategy=strategy, groups=np.arange(300) % n_groups
    )
    assert "\n" not in display.figure_._supxlabel.get_text()
    assert is_inside(display.figure_, extents(display.figure_))


def test_labels_of_neighbours_do_not_meet():
    figure, axes = plt.subplots(1, 2, figsize=(11, 5))
    for ax in axes:
        ReliabilityDisplay.from_predictions(
            *patients(), kind="positive", strategy="quantile", ax=ax
        )
    figure.canvas.draw()
    one, two = (ax.xaxis.label.get_window_extent() for ax in axes)
    assert one.x1 < two.x0


def is_hollow(line):
    face, background = line.get_markerfacecolor(), line.axes.get_facecolor()
    return matplotlib.colors.same_color(face, background)


def test_bins_of_fewer_than_ten_rows_are_hollow_and_joined_faintly():
    display = draw((0.1, 10, 1), (0.3, 10, 4), (0.5, 9, 3), (0.7, 20, 9), (0.9, 10, 10), n_bins=5)
    line = display.line_
    np.testing.assert_array_equal(np.ma.getmaskarray(line.get_ydata()), [0, 0, 1, 0, 0])
    (hollow,) = (
        other
        for other in display.ax_.lines
        if other is not line and len(other.get_xdata()) == 5 and is_hollow(other)
    )
    np.testing.assert_allclose(hollow.get_xdata(), [0.1, 0.3, 0.5, 0.7, 0.9])
    np.testing.assert_allclose(hollow.get_ydata(), [0.1, 0.4, 1 / 3, 0.45, 1])
    assert hollow.get_markevery() == [2]
    assert hollow.get_marker() == line.get_marker()
    edge, joint = (
        matplotlib.colors.to_rgba(color)
        for color in (hollow.get_markeredgecolor(), hollow.get_color())
    )
    assert edge == matplotlib.colors.to_rgba(line.get_color())
    assert joint[:3] == edge[:3]
    assert joint[3] < 0.5


def test_the_legend_says_what_hollow_means_once_and_last():
    first = draw((0.1, 50, 1), (0.9, 5, 4), name="one")
    second = draw((0.1, 50, 1), (0.9, 5, 4), name="two", ax=first.ax_)
    texts = [text.get_text() for text in second.ax_.get_legend().get_texts()]
    assert [texts[0], texts[-1]] == ["Perfectly calibrated", FEW]
    assert len(texts) == 4
    handle = second.ax_.get_legend().legend_handles[-1]
    assert matplotlib.colors.same_color(handle.get_markerfacecolor(), second.ax_.get_facecolor())


def test_where_every_bin_has_ten_rows_nothing_is_hollow():
    ax = draw((0.1, 10, 1), (0.9, 10, 9)).ax_
    assert FEW not in [text.get_text() for text in ax.get_legend().get_texts()]
    assert not np.ma.is_masked(ax.lines[-1].get_ydata())


def test_weighted_rows_are_few_by_their_effective_number():
    y, p = rows((0.5, 20, 9))
    alike = {"kind": "positive", "sample_weight": [0.1] * 20}
    display = ReliabilityDisplay.from_predictions(y, p, **alike)
    assert not np.ma.is_masked(display.line_.get_ydata())
    # (1 + 19 * .1)^2 / (1 + 19 * .01) = 7.07 of twenty
    uneven = {"kind": "positive", "sample_weight": [1] + [0.1] * 19}
    display = ReliabilityDisplay.from_predictions(y, p, **uneven)
    assert np.ma.getmaskarray(display.line_.get_ydata()).all()
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts[-1] == "Fewer than 10 effective rows"


def test_panels_say_what_hollow_means_if_only_the_last_has_such_a_bin():
    y, p = rows((0.1, 50, 4), (0.9, 50, 40), (0.5, 3, 2))
    group = [0, 1] * 50 + [1] * 3
    display = ReliabilityDisplay.from_predictions(y, p, kind="positive", groups=group)
    (legend,) = display.figure_.legends
    assert legend.get_texts()[-1].get_text() == FEW


@pytest.mark.parametrize("strategy", ["uniform", "isotonic"])
@pytest.mark.parametrize("grouped", [False, True])
def test_a_bar_of_one_row_among_ten_thousand_is_seen(strategy, grouped):
    y, p = rows((0.05, 10_000, 500), (0.72, 1, 1))
    groups = {"groups": ["all"] * 10_001} if grouped else {}
    options = {"n_resamples": 0, "intervals": False, "strategy": strategy} | groups
    display = ReliabilityDisplay.from_predictions(y, p, kind="positive", **options)
    canvas, panel = display.figure_.canvas, display.counts_ax_
    canvas.draw()
    image = np.asarray(canvas.buffer_rgba()).astype(int)[::-1]
    bottom, top = int(panel.bbox.y0) + 2, int(panel.bbox.y1) - 2
    for place, fewest, most in ((0.72, 1, 8), (0.4, 0, 1)):
        column = image[bottom:top, int(panel.transData.transform((place, 0))[0])]
        blue = column[:, 2] - column[:, 0] > 40
        assert fewest <= blue.sum() <= most


def test_the_heights_of_bars_above_their_zero_are_the_counts():
    display = draw((0.1, 30, 1), (0.9, 10, 9), n_bins=2)
    panel = display.counts_ax_
    ends = np.array(panel.collections[0].get_segments())[:, :, 1]
    np.testing.assert_array_equal(ends, [[0, 30], [0, 10]])
    # What stands below is no part of any of them.
    (base,) = panel.collections[1:]
    assert base.get_transform() == panel.get_xaxis_transform()
    top_of_base = panel.transAxes.transform((0, base.get_segments()[0][1, 1]))[1]
    assert top_of_base == pytest.approx(panel.transData.transform((0, 0))[1])
    assert panel.get_yticks().tolist() == [0, 30]


def hidden(ax):
    """Points of curves, intervals and bands that a legend lies on, found on a fine grid."""
    ax.figure.canvas.draw()
    legend = ax.get_legend().get_window_extent()
    found = 0
    for line in ax.lines:
        xy = np.ma.filled(np.ma.column_stack(line.get_data()).astype(float), np.nan)
        ends = line.get_transform().transform(xy)
        share = np.linspace(0, 1, 200)[:, None]
        for one, two in itertools.pairwise(ends):
            if line.get_linestyle() != "None" and np.isfinite([one, two]).all():
                found += legend.count_contains(one + share * (two - one))
    for bars in ax.containers:
        for ends in bars[2][0].get_segments():
            found += legend.count_contains(ax.transData.transform(np.linspace(*ends, 200)))
    for band in ax.collections:
        for path in band.get_paths():
            if isinstance(band, matplotlib.collections.PolyCollection):
                sides = np.linspace(*legend.get_points(), 50).T
                grid = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
                found += path.contains_points(ax.transData.inverted().transform(grid)).sum()
    return found


CORNERS = {
    "below the diagonal": [(0.7, 50, 5), (0.9, 50, 5)],
    "above the diagonal": [(0.1, 50, 45), (0.3, 50, 45)],
    "both": [(0.1, 50, 45), (0.3, 50, 45), (0.7, 50, 5), (0.9, 50, 5)],
    # Frequencies of .5, between .09 and .91; calibrated they would be anywhere.
    "intervals alone": [(0.3, 2, 1), (0.7, 2, 1)],
}


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("intervals", ["wilson", "consistency"])
@pytest.mark.parametrize("where", list(CORNERS))
def test_the_legend_hides_nothing(where, intervals, given):
    ax = plt.subplots()[1] if given else None
    ax = draw(*CORNERS[where], n_bins=5, intervals=intervals, ax=ax, name="some model").ax_
    assert hidden(ax) == 0
    legend = ax.get_legend().get_window_extent()
    assert not legend.overlaps(ax.child_axes[0].get_window_extent())
    assert is_inside(ax.figure, [legend])
    if where == "below the diagonal":
        assert legend.y1 < ax.bbox.y1
        assert legend.x0 < ax.bbox.x0 + ax.bbox.width / 2
    elif where == "above the diagonal":
        assert legend.y1 < ax.bbox.y0 + ax.bbox.height / 2
    else:
        assert legend.y0 >= ax.bbox.y1


def test_the_legend_hides_no_isotonic_band():
    rng = np.random.default_rng(0)
    p = rng.random(40)
    y = (rng.random(40) < p).astype(int)
    display = ReliabilityDisplay.from_predictions(y, p, kind="positive", strategy="isotonic")
    assert hidden(display.ax_) == 0


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_a_title_stands_above_a_legend_above_the_axes(layout):
    figure, axes = plt.subplots(1, 2, figsize=(11, 6), layout=layout)
    for ax in axes:
        draw(*CORNERS["both"], n_bins=5, ax=ax, name="before")
        draw(*CORNERS["both"], n_bins=5, ax=ax, name="after")
        ax.set_title("random forest")
    boxes = extents(figure)
    assert is_inside(figure, boxes)
    for ax in axes:
        legend = ax.get_legend().get_window_extent()
        assert legend.y0 >= ax.bbox.y1
        assert not legend.overlaps(ax.title.get_window_extent())
        assert ax.title.get_window_extent().y0 > legend.y0
    assert (
        not axes[0]
        .get_legend()
        .get_window_extent()
        .overlaps(axes[1].get_legend().get_window_extent())
    )


def test_a_legend_leaves_no_space_behind_where_it_is_placed_anew():
    ax = draw(*CORNERS["both"], n_bins=5, name="before").ax_
    n_children = len(ax.child_axes)
    draw(*CORNERS["both"], n_bins=5, name="after", ax=ax)
    assert len(ax.child_axes) == n_children == 2
