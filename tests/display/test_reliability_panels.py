"""Isotonic curves, consistency bands and small multiples of reliability diagrams."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skcalib.display import ReliabilityDisplay
from skcalib.metrics import reliability_curve

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

# 0 | 1 0 0 | 1 are the blocks of the isotonic curve.
Y, P = [0, 1, 0, 0, 1], [0.1, 0.2, 0.3, 0.4, 0.8]


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    yield
    plt.close("all")


def draw(y=Y, p=P, **options):
    options = {"random_state": 0} | ({} if "kind" in options else {"kind": "positive"}) | options
    return ReliabilityDisplay.from_predictions(y, p, **options)


def classes(n_classes, n=400):
    """Labels 0 to K - 1, the first the most frequent, and their probabilities."""
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(2.0 / np.arange(1, n_classes + 1), n)
    y = (rng.random((n, 1)) > proba.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return y, proba


def shades(ax):
    """Vertices of the filled bands, one array per connected piece."""
    return [
        path.vertices
        for fill in ax.collections
        if isinstance(fill, matplotlib.collections.PolyCollection) and fill.get_facecolor().size
        for path in fill.get_paths()
    ]


def error_bars(ax):
    return ax.containers


def legend_texts(thing):
    return [text.get_text() for text in thing.get_legend().get_texts()]


def test_an_isotonic_curve_is_level_in_a_block_and_straight_to_the_next():
    line = draw(strategy="isotonic").line_
    x, y = line.get_data()
    np.testing.assert_array_equal(x, [0.1, 0.1, 0.2, 0.4, 0.8, 0.8])
    np.testing.assert_array_equal(y, [0, 0, 1 / 3, 1 / 3, 1, 1])


def test_an_isotonic_curve_comes_with_its_band_and_its_miscalibration():
    display = draw(strategy="isotonic", name="net", confidence_level=0.8)
    (curve,) = display.curves
    (shade,) = {tuple(map(tuple, vertices)) for vertices in shades(display.ax_)}
    for x, *ends in zip(curve.band_proba, curve.band_lower, curve.band_upper, strict=True):
        for end in ends:
            assert (x, end) in shade
    assert error_bars(display.ax_) == []
    # (.1^2 + .8^2 + .3^2 + .4^2 + .2^2 - 6/9) / 5 = .0547
    assert legend_texts(display.ax_) == ["Perfectly calibrated", "net (miscalibration 0.055)"]
    assert display.ax_.get_xlabel() == "Predicted probability of 1"
    label = "Frequency of 1, isotonic fit (CORP)\nshaded: 80 % band if calibrated"
    assert display.ax_.get_ylabel() == label


def test_a_histogram_of_the_probabilities_stands_under_an_isotonic_curve():
    display = draw([0, 1, 0, 0, 1, 1], [0.0, 0.025, 0.31, 0.32, 0.98, 1.0], strategy="isotonic")
    filled, outline = display.counts_ax_.patches
    values, edges, _ = outline.get_data()
    np.testing.assert_allclose(edges, np.linspace(0, 1, 41))
    # 0 and .025 are in the first of forty bars (a, b], .31 and .32 in the thirteenth.
    np.testing.assert_array_equal(np.flatnonzero(values), [0, 12, 39])
    np.testing.assert_array_equal(values[[0, 12, 39]], 2)
    np.testing.assert_array_equal(filled.get_data().values, values)


def test_the_band_of_a_bin_is_a_box_as_wide_as_the_bin():
    display = draw(n_bins=4, intervals="consistency")
    (curve,) = display.curves
    # Bins (0, .25], (.25, .5] and (.75, 1]: shaded, and outlined.
    boxes = shades(display.ax_)
    assert len({tuple(map(tuple, box)) for box in boxes}) == 3
    for box, edges, lower, upper in zip(
        boxes, curve.edges, curve.band_lower, curve.band_upper, strict=False
    ):
        np.testing.assert_allclose([box[:, 0].min(), box[:, 0].max()], edges)
        np.testing.assert_allclose([box[:, 1].min(), box[:, 1].max()], [lower, upper])
    assert error_bars(display.ax_) == []
    assert display.ax_.get_ylabel() == "Frequency of 1\nshaded: 95 % band if calibrated"


@pytest.mark.parametrize("strategy", ["uniform", "quantile", "isotonic"])
def test_what_shows_chance_may_be_left_out(strategy):
    display = draw(strategy=strategy, intervals=False)
    assert shades(display.ax_) == []
    assert error_bars(display.ax_) == []
    fit = ", isotonic fit (CORP)" if strategy == "isotonic" else ""
    assert display.ax_.get_ylabel() == f"Frequency of 1{fit}"


def test_wilson_intervals_may_be_asked_for_by_name():
    display = draw(intervals="wilson")
    assert len(error_bars(display.ax_)) == 1
    assert shades(display.ax_) == []


def test_models_share_axes_with_their_bands_and_their_conventions():
    first = draw(intervals="consistency", n_bins=4)
    second = draw(strategy="isotonic", ax=first.ax_)
    assert first.line_.get_color() != second.line_.get_color()
    assert first.line_.get_linestyle() != second.line_.get_linestyle()
    assert first.ax_.get_xlabel() == "Mean probability of 1, 4 bins (a, b] of equal width"
    assert first.ax_.get_ylabel() == (
        "Frequency of 1, in bins or isotonic fit (CORP)\nshaded, outlined: 95 % bands if calibrated"
    )
    draw(n_bins=5, ax=first.ax_)
    assert first.ax_.get_xlabel().endswith(
        "4 bins (a, b] of equal width; 5 bins (a, b] of equal width"
    )
    assert first.ax_.get_ylabel().endswith("95 % bands if calibrated; 95 % Wilson intervals")


@pytest.mark.parametrize("options", [{"strategy": "isotonic"}, {"intervals": "consistency"}])
def test_only_the_first_band_is_filled(options):
    rgb = matplotlib.colors.to_rgb
    lines = [draw(**options, ax=ax).line_ for ax in [plt.subplots()[1]] * 3]
    bands = lines[0].axes.collections
    filled = [rgb(band.get_facecolor()[0]) for band in bands if len(band.get_facecolor())]
    outlined = [rgb(band.get_edgecolor()[0]) for band in bands if len(band.get_facecolor()) == 0]
    assert filled == [rgb(lines[0].get_color())]
    assert outlined == [rgb(line.get_color()) for line in lines]


def test_a_band_is_the_same_from_run_to_run():
    one, two = (ReliabilityDisplay.from_predictions(Y, P, strategy="isotonic") for _ in range(2))
    np.testing.assert_array_equal(one.curves[0].band_upper, two.curves[0].band_upper)


def test_a_curve_without_resamples_has_no_band_to_draw():
    with pytest.raises(ValueError, match="no consistency band, since n_resamples was 0"):
        draw(strategy="isotonic", n_resamples=0)
    assert plt.get_fignums() == []
    draw(strategy="isotonic", n_resamples=0, intervals=False)


@pytest.mark.parametrize("strategy", ["uniform", "isotonic"])
def test_rare_events_fill_the_axes(strategy):
    rng = np.random.default_rng(0)
    p = rng.beta(1, 99, 5000).clip(0, 0.1)
    y = (rng.random(5000) < p).astype(int)
    display = draw(y, p, strategy=strategy, n_bins=50)
    right, top = display.ax_.get_xlim()[1], display.ax_.get_ylim()[1]
    assert right == top
    assert 0.1 <= right < 0.55
    assert display.ax_.get_xticks()[-1] in (0.1, 0.2, 0.5)
    # A model with greater probabilities makes room for them, and keeps it.
    draw(ax=display.ax_)
    draw(y, p, ax=display.ax_)
    assert display.ax_.get_xlim()[1] == pytest.approx(1.02)


def test_one_chance_event_in_a_small_block_does_not_decide_the_axes():
    p = np.append(np.full(1000, 0.01), 0.05)
    y = np.append(np.arange(1000) < 10, True).astype(int)
    display = draw(y, p, strategy="isotonic")
    assert display.line_.get_ydata()[-1] == 1
    assert display.ax_.get_xticks()[-1] == 0.05


def test_each_class_may_have_a_panel():
    y, proba = classes(3)
    names = np.array(["ant", "bee", "cat"])
    display = draw(names[y], proba, kind="class", subplots=True, n_bins=5)
    assert display.axes_.shape == (3,)
    assert display.ax_ is display.axes_[0]
    assert display.counts_ax_ in display.ax_.child_axes
    for k, (ax, line, name) in enumerate(zip(display.axes_, display.line_, names, strict=True)):
        curve = reliability_curve(names[y], proba, kind="class", class_label=name, n_bins=5)
        np.testing.assert_array_equal(line.get_data(), [curve.mean_proba, curve.frequency])
        assert line in ax.lines
        assert ax.get_title().replace(", ECE", "\nECE").split("\n") == [
            name,
            f"true in {(y == k).sum()} of 400 rows",
            f"ECE {curve.calibration_error:.3f}",
        ]
    assert display.left_out_ == []


def test_each_group_has_a_panel():
    y, proba = classes(3)
    group = np.where(np.arange(400) < 30, "new", "known")
    display = draw(y, proba, kind="confidence", groups=group, name="net")
    assert display.groups == ["known", "new"]
    for ax, line, name in zip(display.axes_, display.line_, ["known", "new"], strict=True):
        curve = reliability_curve(y[group == name], proba[group == name], labels=[0, 1, 2])
        np.testing.assert_array_equal(line.get_data(), [curve.mean_proba, curve.frequency])
        rows = (group == name).sum()
        assert ax.get_title() == f"{name}\n{rows} rows, ECE {curve.calibration_error:.3f}"
    (legend,) = display.figure_.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "Perfectly calibrated",
        "net",
        "Fewer than 10 rows",
    ]


def test_classes_of_groups_share_the_panel_of_the_group():
    y, proba = classes(3)
    display = draw(y, proba, kind="class", class_labels=[0, 2], groups=np.arange(400) % 2)
    assert len(display.axes_) == 2
    assert len(display.line_) == 4
    assert display.axes_[0].get_title() == "0\n200 rows"
    (legend,) = display.figure_.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["Perfectly calibrated", "0", "2", "Fewer than 10 rows"]


def test_a_group_that_lacks_a_class_or_weighs_nothing_is_no_trouble():
    y, proba = classes(3)
    weight = np.where(y == 2, 0.0, 1.5)
    display = draw(y, proba, kind="class", class_labels=[0], groups=y, sample_weight=weight)
    assert display.groups == [0, 1]
    np.testing.assert_array_equal(display.line_[1].get_ydata(), 0)


def test_an_estimator_is_drawn_by_group():
    X = np.random.default_rng(0).normal(size=(90, 2))
    y, group = (X[:, 0] > 0).astype(int), np.arange(90) % 3
    model = LogisticRegression().fit(X, y)
    display = ReliabilityDisplay.from_estimator(model, X, y, kind="positive", groups=group)
    assert [ax.get_title().split("\n")[0] for ax in display.axes_] == ["0", "1", "2"]


def test_the_largest_panels_are_drawn_in_order_and_the_others_named():
    group = np.repeat(["ash", "birch", "cedar", "elm"], [3, 9, 1, 7])
    rng = np.random.default_rng(0)
    display = draw(rng.integers(0, 2, 20), rng.random(20), groups=group, max_panels=2)
    assert [ax.get_title().split("\n")[0] for ax in display.axes_] == ["birch", "elm"]
    assert display.left_out_ == ["ash", "cedar"]
    text = display.figure_._supxlabel.get_text()
    assert text.endswith("Smallest 2 of 4 left out (max_panels=2): ash (3), cedar (1)")
    assert len(display.curves) == 4


def test_of_many_classes_the_most_frequent_are_drawn():
    y, proba = classes(40)
    names = np.array([f"class {k:02}" for k in range(40)])
    display = draw(names[y], proba, kind="class", labels=names, subplots=True)
    drawn = [ax.get_title().split("\n")[0] for ax in display.axes_]
    count = dict(zip(names, np.bincount(y, minlength=40), strict=True))
    assert len(drawn) == 12
    assert drawn == sorted(drawn)
    assert sorted(drawn + display.left_out_) == names.tolist()
    assert min(count[name] for name in drawn) >= count[display.left_out_[0]]
    assert (np.diff([count[name] for name in display.left_out_]) <= 0).all()
    note = display.figure_._supxlabel.get_text().split("\n")[1:]
    largest = display.left_out_[0]
    text = f"Smallest 28 of 40 left out (max_panels=12): {largest} ({count[largest]}), "
    assert note[0].startswith(text)
    assert len(note) == 2
    assert note[1].endswith(" ...")


@pytest.mark.parametrize(("n_classes", "n_panels"), [(5, 1), (6, 6)])
def test_more_than_five_classes_have_a_panel_each_unless_told_otherwise(n_classes, n_panels):
    y, proba = classes(n_classes)
    options = {"kind": "class", "labels": range(n_classes)}
    assert len(draw(y, proba, **options).axes_) == n_panels
    assert len(draw(y, proba, **options, subplots=True).axes_) == n_classes
    assert len(draw(y, proba, **options, subplots=False).axes_) == 1
    ax = plt.subplots()[1]
    assert draw(y, proba, **options, ax=ax).axes_.tolist() == [ax]
    assert len(draw(y, proba, **options, class_labels=[0, 1]).axes_) == 1


def test_weights_of_classes_are_named_in_panels():
    display = draw(sample_weight=[0.5, 1, 2, 0.25, 0.5], kind="class", subplots=True)
    counts = [ax.get_title().split("\n")[1] for ax in display.axes_]
    # Labels 0, 1, 0, 0, 1
    assert counts[0].startswith("true in weight 2.8 of 4.2")
    assert counts[1].startswith("true in weight 1.5 of 4.2")


def test_groups_may_be_asked_for_in_panels():
    assert len(draw(groups=Y, subplots=True).axes_) == 2


@pytest.mark.parametrize("ordered", [True, False])
def test_groups_follow_the_order_of_their_categories(ordered):
    pd = pytest.importorskip("pandas")
    group = ["young", "old", "middle", "old", "young"]
    order = ["young", "unseen", "middle", "old"]
    categorical = pd.Categorical(group, categories=order, ordered=ordered)
    for groups in (categorical, pd.Series(categorical, index=range(7, 12))):
        display = draw(groups=groups)
        assert display.groups == ["young", "middle", "old"]
        assert [curve.weight.sum() for curve in display.curves] == [2, 1, 2]
        assert [ax.get_title().split("\n")[0] for ax in display.axes_] == display.groups
    assert draw(groups=group).groups == ["middle", "old", "young"]


def test_groups_may_be_intervals():
    pd = pytest.importorskip("pandas")
    display = draw(groups=pd.cut([5, 40, 30, 60, 41], [0, 18, 40, 65]))
    titles = [ax.get_title().split("\n")[0] for ax in display.axes_]
    assert titles == ["(0, 18]", "(18, 40]", "(40, 65]"]


def test_a_row_without_a_category_is_refused():
    pd = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="groups contains NaN in row 2: every row needs a group"):
        draw(groups=pd.Categorical(["a", "b", None, "a", "b"]))
    with pytest.raises(ValueError, match="inconsistent numbers of samples: 5 and 2"):
        draw(groups=pd.Categorical(["a", "b"]))


@pytest.mark.parametrize("n_panels", [1, 3, 5])
def test_panels_share_axes_with_ticks_at_the_outer_ones(n_panels):
    group = np.arange(240) % n_panels
    rng = np.random.default_rng(0)
    display = draw(rng.integers(0, 2, 240), rng.random(240), groups=group)
    display.figure_.canvas.draw()
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in display.axes_}) == 1
    boxes = [ax.get_window_extent() for ax in display.axes_]
    for ax, box in zip(display.axes_, boxes, strict=True):
        lowest = not any(abs(o.x0 - box.x0) < 1 and o.y1 < box.y0 for o in boxes)
        leftmost = not any(o.x1 < box.x0 for o in boxes)
        rightmost = not any(abs(o.y0 - box.y0) < 1 and o.x0 > box.x1 for o in boxes)
        assert any(tick.label1.get_visible() for tick in ax.xaxis.get_major_ticks()) is lowest
        assert any(tick.label1.get_visible() for tick in ax.yaxis.get_major_ticks()) is leftmost
        assert (ax.child_axes[0].get_ylabel() == "Rows") is rightmost
        assert box.width == pytest.approx(boxes[0].width)


@pytest.mark.parametrize("n_panels", [2, 7])
def test_titles_and_ticks_of_panels_keep_apart(n_panels):
    names = np.array([f"group number {i}" for i in range(n_panels)])
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 24_000), rng.random(24_000)
    display = draw(y, p, groups=names[np.arange(24_000) % n_panels], name="net")
    display.figure_.canvas.draw()
    renderer = display.figure_.canvas.get_renderer()
    texts = [ax.title.get_window_extent(renderer) for ax in display.axes_]
    texts += [ax.child_axes[0].get_tightbbox(renderer) for ax in display.axes_]
    texts.append(display.figure_.legends[0].get_window_extent(renderer))
    for i, one in enumerate(texts):
        assert display.figure_.bbox.x0 <= one.x0
        assert one.x1 <= display.figure_.bbox.x1
        assert not any(one.overlaps(other) for other in texts[i + 1 :])


def test_weights_are_named_in_panels():
    display = draw(groups=["a"] * 5, sample_weight=[0.5, 1, 2, 0.25, 0.5])
    assert display.ax_.get_title().startswith("a\nweight 4.2, ECE ")
    assert display.counts_ax_.get_ylabel() == "Weight"
    assert display.line_ in display.ax_.lines


def test_curves_at_hand_are_drawn_in_panels():
    y, proba = classes(3)
    curves = [reliability_curve(y, proba, kind="class", class_label=k) for k in range(3)]
    display = ReliabilityDisplay(curves)
    assert len(display.plot(subplots=True).axes_) == 3
    assert display.plot().axes_.tolist() == [display.ax_]
    grouped = ReliabilityDisplay(curves, groups=["x", "y", "x"]).plot()
    drawn = [[line for line in grouped.line_ if line in ax.lines] for ax in grouped.axes_]
    assert drawn == [[grouped.line_[0], grouped.line_[1]], [grouped.line_[2]]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subplots": True}, "subplots=True is for kind='class', got kind='positive'"),
        ({"subplots": False, "groups": Y}, "groups have a panel each: leave out subplots=False"),
        ({"groups": Y[1:]}, "y_proba and groups have inconsistent numbers of samples: 5 and 4"),
        ({"groups": [0, 1, np.nan, 0, 1]}, "Input groups contains NaN"),
        ({"intervals": "bootstrap"}, "'intervals' parameter of ReliabilityDisplay.plot must be"),
        ({"max_panels": 0}, "'max_panels' parameter of ReliabilityDisplay.plot must be"),
        ({"strategy": "isotonic", "intervals": "wilson"}, "whose blocks the events chose"),
    ],
)
def test_what_does_not_fit_is_refused_before_there_is_a_figure(options, message):
    with pytest.raises(ValueError, match=message):
        draw(**options)
    assert plt.get_fignums() == []


def test_panels_are_not_drawn_into_given_axes():
    figure, ax = plt.subplots()
    with pytest.raises(ValueError, match=r"makes a figure of its own\. Leave out ax"):
        draw(groups=Y, ax=ax)
    assert ax.has_data() is False
    assert plt.get_fignums() == [figure.number]
