"""MonitorDisplay: what stands in the three axes."""

import numpy as np
import pytest

from skcalib.display import MonitorDisplay
from skcalib.monitoring import CalibrationMonitor

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    yield
    plt.close("all")


def watch(n=3000, at=1500, **kwargs):
    """Binary rows; from row `at` on labels are drawn at temperature 2."""
    rng = np.random.default_rng(0)
    z = 3 * rng.normal(size=n)
    T = np.where(np.arange(n) < at, 1, 2)
    y = rng.random(n) < 1 / (1 + np.exp(-z / T))
    monitor = CalibrationMonitor(window=500, **kwargs)
    monitor.update(y, 1 / (1 + np.exp(-z)), regime=np.where(z > 0, "up", "down"))
    return monitor


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_temperatures_and_their_intervals_are_those_of_the_history():
    monitor = watch()
    display = MonitorDisplay.from_monitor(monitor)
    records = [r for r in monitor.history() if r["regime"] == "all"]
    line, caps, _ = display.axes_[0].containers[0]
    assert line.get_xdata().tolist() == [250, 750, 1250, 1750, 2250, 2750]
    assert line.get_ydata().tolist() == [r["temperature"] for r in records]
    np.testing.assert_allclose(caps[0].get_ydata(), [r["lower"] for r in records])
    np.testing.assert_allclose(caps[1].get_ydata(), [r["upper"] for r in records])
    assert texts(display.axes_[0]) == ["down", "up", "all, with 95 % interval"]
    assert display.axes_[0].get_yscale() == "log"


def test_evidence_far_above_the_line_leaves_the_axis_upright():
    rng = np.random.default_rng(0)
    monitor = CalibrationMonitor(window=20)
    monitor.update(rng.random(4000) < 0.5, np.full(4000, 0.99))
    low, high = MonitorDisplay.from_monitor(monitor).axes_[2].get_ylim()
    assert low < 1 < 20 < high


def test_regimes_may_be_left_out():
    display = MonitorDisplay.from_monitor(watch(), regimes=False)
    assert texts(display.axes_[0]) == ["temperature, with 95 % interval"]


def test_accuracy_is_drawn_beside_mean_confidence():
    monitor = watch()
    display = MonitorDisplay.from_monitor(monitor, every=1000)
    records = [r for r in monitor.history(every=1000) if r["regime"] == "all"]
    accuracy, confidence = display.axes_[1].lines[:2]
    assert accuracy.get_ydata().tolist() == [r["accuracy"] for r in records]
    assert confidence.get_ydata().tolist() == [r["confidence"] for r in records]
    assert texts(display.axes_[1]) == ["accuracy", "mean confidence"]


def test_the_alarm_stands_in_all_three_axes_with_its_name():
    monitor = watch()
    (alarm,) = monitor.alarms_
    display = MonitorDisplay.from_monitor(monitor)
    for ax in display.axes_:
        places = [line.get_xdata()[0] for line in ax.lines]
        assert alarm.row in places
        assert alarm.change_at in places
    assert alarm.name in [text.get_text() for text in display.axes_[1].texts]
    assert "alarm at 20" in [text.get_text() for text in display.axes_[2].texts]


def test_a_display_is_made_from_records_and_alarms_that_were_written_down():
    monitor = watch()
    display = MonitorDisplay(
        monitor.history(), alarms=[alarm.to_dict() for alarm in monitor.alarms_]
    ).plot()
    assert monitor.alarms_[0].row in [line.get_xdata()[0] for line in display.axes_[2].lines]
    assert not display.axes_[2].texts


def test_it_draws_into_axes_that_are_given():
    figure, axes = plt.subplots(3, 1)
    display = MonitorDisplay.from_monitor(watch(600, 600), axes=axes)
    assert display.figure_ is figure
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize("kwargs", [{"arl": 200.0}, {"question": "change", "n_reference": 300}])
def test_monitors_of_every_kind_are_drawn_without_a_warning(kwargs):
    display = MonitorDisplay.from_monitor(watch(**kwargs))
    display.figure_.canvas.draw()


def test_a_stream_of_one_row_and_one_without_labels_are_drawn():
    MonitorDisplay.from_monitor(watch(1)).figure_.canvas.draw()
    monitor = CalibrationMonitor()
    monitor.update(None, [0.5, 0.7])
    MonitorDisplay.from_monitor(monitor).figure_.canvas.draw()


def test_nothing_to_draw_and_wrong_axes_are_refused_before_there_is_a_figure():
    with pytest.raises(ValueError, match="no records"):
        MonitorDisplay([]).plot()
    with pytest.raises(ValueError, match="axes must be three"):
        MonitorDisplay(watch(10).history()).plot(axes=[None])
    assert plt.get_fignums() == []
