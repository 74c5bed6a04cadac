"""Several monitors as one."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss

from skcalib.monitoring import CalibrationMonitor, merge_monitors


def watch(n, seed, exaggerate=1.0, **kwargs):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n) * 3
    y = rng.random(n) < 1 / (1 + np.exp(-z / exaggerate))
    p = 1 / (1 + np.exp(-z))
    monitor = CalibrationMonitor(**kwargs)
    monitor.update(y, p, regime="ab"[seed % 2], latency=float(seed))
    return monitor, y, p


def watch_labels(labels):
    monitor = CalibrationMonitor(labels=list(labels))
    monitor.update(list(labels), [0.4, 0.6])
    return monitor


def test_figures_are_those_of_all_rows():
    parts = [watch(300, seed) for seed in range(3)]
    report = merge_monitors([monitor for monitor, _, _ in parts])
    y, p = (np.concatenate([part[i] for part in parts]) for i in (1, 2))
    assert report.n_rows == 900
    assert [row["regime"] for row in report.rows] == ["all", "a", "b"]
    assert report.rows[0]["log_loss"] == pytest.approx(log_loss(y, p))
    assert report.rows[0]["scalars"] == {"latency": 1.0}


def test_the_evidence_is_the_mean():
    monitors = [watch(300, seed, 1.5)[0] for seed in range(3)]
    report = merge_monitors(monitors)
    assert report.evidence == pytest.approx(np.mean([m.evidence_ for m in monitors]))
    assert report.threshold == 20
    assert report.is_alarmed == (report.evidence >= 20)


def test_evidence_of_many_drifting_workers_alarms():
    assert merge_monitors([watch(2000, seed, 2.0)[0] for seed in range(3)]).is_alarmed


def test_monitors_go_on_as_they_were():
    monitors = [watch(300, seed)[0] for seed in range(2)]
    before = [monitor.to_json() for monitor in monitors]
    merge_monitors(monitors)
    assert [monitor.to_json() for monitor in monitors] == before


@pytest.mark.parametrize(
    ("monitors", "error", "message"),
    [
        (list, ValueError, "at least one"),
        (lambda: ["monitor"], TypeError, "must hold CalibrationMonitors"),
        (lambda: [CalibrationMonitor()], NotFittedError, "update first"),
        (lambda: [watch(9, 0, arl=100.0)[0]], ValueError, "no common evidence"),
        (lambda: [watch(9, 0)[0], watch(9, 0, alpha=0.1)[0]], ValueError, "share question"),
        (
            lambda: [watch_labels("ab"), watch_labels("ac")],
            ValueError,
            "of the same classes",
        ),
    ],
)
def test_what_cannot_be_merged_is_refused(monitors, error, message):
    with pytest.raises(error, match=message):
        merge_monitors(monitors())
