"""Several monitors read as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

from skcalib.monitoring._history import merged
from skcalib.monitoring._monitor import CalibrationMonitor, finite_exp
from skcalib.monitoring._monitor_report import MonitorReport, regime_rows


def merge_monitors(monitors: Sequence[CalibrationMonitor]) -> MonitorReport:
    """One report of several monitors: workers of one service, shards of one log.

    Figures are of the last rows of each, added up. The evidence is the mean of theirs, which may be
    looked at whenever one likes: if the null hypothesis holds for each row whatever the workers saw
    before it, at most a share of `alpha` of services ever see it reach the threshold. Nothing goes
    back into the monitors, which go on on their own. (Their own alarms spend `alpha` each.) A
    monitor that was restarted begins at 1 again: restart all of them, or none.

    Parameters
    ----------
    monitors : sequence of CalibrationMonitor
        Of the same question and `alpha`, each of which has seen rows.

    Returns
    -------
    report : MonitorReport
        Without alarms of its own; `is_alarmed` holds the mean against the threshold.

    Raises
    ------
    ValueError
        If there is no monitor, or if they differ in question, `alpha` or classes, or have an `arl`:
        monitors that start again have no common evidence.

    Examples
    --------
    >>> import numpy as np
    >>> from skcalib.monitoring import CalibrationMonitor, merge_monitors
    >>> rng = np.random.default_rng(0)
    >>> workers = [CalibrationMonitor() for _ in range(2)]
    >>> for worker in workers:
    ...     p = rng.random(500)
    ...     worker.update(rng.random(500) < p, p)
    []
    []
    >>> report = merge_monitors(workers)
    >>> report.n_rows, report.is_alarmed
    (1000, False)
    """
    if isinstance(monitors, CalibrationMonitor):
        raise TypeError("monitors must be a sequence of CalibrationMonitors, got one: pass [it].")
    monitors = list(monitors)
    _refuse_unlike(monitors)
    logs = [monitor.log_evidence() for monitor in monitors]
    return MonitorReport(
        rows=regime_rows(merged([monitor._history.in_window() for monitor in monitors])),
        n_rows=sum(monitor.n_rows_ for monitor in monitors),
        evidence=finite_exp(float(logsumexp(logs)) - float(np.log(len(logs)))),
        threshold=monitors[0].report().threshold,
        alarms=[],
    )


def _refuse_unlike(monitors: list[CalibrationMonitor]) -> None:
    if not monitors:
        raise ValueError("monitors must hold at least one CalibrationMonitor, got none.")
    for monitor in monitors:
        if not isinstance(monitor, CalibrationMonitor):
            raise TypeError(f"monitors must hold CalibrationMonitors, got {monitor!r:.80}.")
        if monitor.arl is not None:
            raise ValueError(
                "monitors with an arl start again on their own and have no common evidence: give "
                "them an alpha."
            )
        monitor.n_rows_  # noqa: B018  raises for a monitor that has seen no rows
    kinds = {(monitor.question, monitor.alpha) for monitor in monitors}
    if len(kinds) > 1:
        raise ValueError(f"monitors must share question and alpha, got {sorted(kinds)}.")
    classes = [m.classes_.tolist() for m in monitors if hasattr(m, "classes_")]
    if any(some != classes[0] for some in classes):
        raise ValueError("monitors must be of the same classes: pass labels to each.")
