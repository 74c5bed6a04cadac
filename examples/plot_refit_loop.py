"""
The loop: watch, alarm, refit, gate
===================================

A temperature is fitted once and served. Then the world changes. This example runs the whole loop,
first on a language model whose texts change, then on a service whose labels go wrong for a while:
serve and log, monitor, alarm, refit, and let rows that nobody has fitted on decide whether the new
temperature replaces the old one.
"""

# %%
# A language model, and texts that change
# ---------------------------------------
#
# A small character model predicts next characters, in the order of time. Its first 1200 rows
# calibrate it; from row 2500 on the texts are German and word glosses, which it knows less well
# than it thinks.

import matplotlib.pyplot as plt
import numpy as np

from skcalib import TemperatureScaling
from skcalib.datasets import load_logits, make_miscalibrated_logits
from skcalib.display import MonitorDisplay
from skcalib.monitoring import CalibrationMonitor, compare_forecasts

stream = load_logits("charlm_stream_drift")
first = TemperatureScaling(classes=range(stream.logits.shape[1]))
first.fit(stream.logits[stream.calibration], stream.target[stream.calibration])
print(f"T = {first.temperature_:.2f}, between {first.temperature_interval_.round(2)}")

# %%
# The loop in forty lines. Raw logits are logged: a refit on scores that were already divided by T
# would find the T that they lack, not the T of the model. No temperature makes this model exactly
# calibrated, so the question is not whether it is, but whether it still errs as on the rows that it
# was calibrated on: "change". They come first.


def run_loop(model, monitor, logits, y, regime, batch=50, n_refit=200):
    """Serve, log, monitor, refit and gate; what happened, by row."""
    classes = range(logits.shape[1])
    candidate, gate_from, refit_from = None, None, None
    events, losses = [], []
    before = monitor.n_rows_ if hasattr(monitor, "_history") else 0
    for start in range(0, len(y), batch):
        rows = slice(start, start + batch)
        served = model.predict_proba(logits[rows])
        losses += list(-np.log(served[np.arange(len(served)), y[rows]]))
        seen = start + len(served)
        for alarm in monitor.update(y[rows], served, regime=regime[rows]):
            events.append((alarm.row, "alarm", str(alarm).partition(": ")[2]))
            refit_from = max(alarm.since - 1 - before, 0)
        if refit_from is not None and seen - refit_from >= n_refit:
            recent = slice(refit_from, seen)
            candidate = TemperatureScaling(classes=classes).fit(logits[recent], y[recent])
            events.append((before + seen, "refit", f"candidate T = {candidate.temperature_:.2f}"))
            gate_from, refit_from = seen, None
        elif candidate is not None:
            new = slice(gate_from, seen)  # neither model was fitted on these
            old_proba, new_proba = (m.predict_proba(logits[new]) for m in (model, candidate))
            gate = compare_forecasts(y[new], old_proba, new_proba, labels=classes)
            if gate.decision != "undecided":
                gain = f"{gate.overall.gain:+.3f} nats a row on {seen - gate_from} rows"
                events.append((before + seen, gate.decision, gain))
                model = candidate if gate.decision == "promote" else model
                candidate = None
                monitor.restart()
    return events, np.array(losses)


def print_events(events):
    for row, kind, what in events:
        print(f"row {row:>5}  {kind:<8} {what}")


later = ~stream.calibration
monitor = CalibrationMonitor("change", n_reference=1200, window=500, labels=first.classes_)
reference = first.predict_proba(stream.logits[stream.calibration])
monitor.update(stream.target[stream.calibration], reference)
monitor.set_params(n_reference=500)  # from the first restart on
events, losses = run_loop(
    first, monitor, stream.logits[later], stream.target[later], stream.groups[later]
)
print_events(events)

# %%
# The change came at row 2500, and the monitor says so. The candidate is promoted once the gate is
# sure that it is better. From there on the probabilities lack no temperature as a whole, though
# German lacks one and the word glosses have too much: a temperature for each context is the next
# step (:class:`~skcalib.AdaptiveTemperatureScaling`).

MonitorDisplay.from_monitor(monitor)
plt.show()

# %%
# What it was worth: the log loss of the loop beside that of the first temperature.

static = first.predict_proba(stream.logits[later])
static = -np.log(static[np.arange(later.sum()), stream.target[later]])
changed = np.arange(later.sum()) >= 1300
print(f"log loss after the change: {static[changed].mean():.3f} with the first temperature, ")
print(f"                           {losses[changed].mean():.3f} with the loop")

figure, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
ax.plot(np.flatnonzero(later), np.cumsum(static - losses))
for place, (row, kind, _) in enumerate(events):
    ax.axvline(row, lw=1, color="#D55E00" if kind == "alarm" else "0.5")
    ax.annotate(f"{kind} ", (row, 0.9 - place / 8), xycoords=("data", "axes fraction"), ha="right")
ax.set(xlabel="rows", ylabel="nats saved", title="Log loss saved by the loop, in total")
plt.show()

# %%
# A service whose labels go wrong
# -------------------------------
#
# Of a simulated service in perfect order, the tool of the annotators swaps labels of one row in
# eight between rows 2000 and 2600. The alarm is right: something is wrong. A refit would be wrong:
# it fits the noise. The gate looks at rows after the refit, and keeps the model. This model is
# calibrated but for what its fit did not know of T; the question is "level", with that tolerance:
# without it, the monitor would find out that T is not exactly right.

n = 6000
logits, y = make_miscalibrated_logits(n + 1000, 8, temperature=1.5, sharpness=2.5, random_state=0)
model = TemperatureScaling().fit(logits[:1000], y[:1000])
logits, y = logits[1000:], y[1000:]
rng = np.random.default_rng(1)
swapped = (np.arange(n) >= 2000) & (np.arange(n) < 2600) & (rng.random(n) < 1 / 8)
labels = np.where(swapped, rng.integers(0, 8, n), y)

error = np.log(model.temperature_interval_[1] / model.temperature_) / 1.96
monitor = CalibrationMonitor(tolerance=2 * error, window=500, labels=range(8))
events, _ = run_loop(model, monitor, logits, labels, np.full(n, "all rows"), n_refit=600)
print_events(events)

# %%
# The evidence rises again only if something else goes wrong.

MonitorDisplay.from_monitor(monitor, regimes=False)
plt.show()

# %%
# An A/B test reads out the same way, with both models scoring every row; so does the question
# whether a temperature for each context is worth having:
# :func:`~skcalib.monitoring.compare_forecasts` with `groups`. What to do when goals are not labels,
# see :func:`~skcalib.monitoring.policy_value` and :class:`~skcalib.monitoring.TemperaturePolicy`.
