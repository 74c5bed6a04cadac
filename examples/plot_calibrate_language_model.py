"""
Calibrate a language model's answers
====================================

A small language model answered 1350 questions with four options each. Its scores were saved; the
model itself is not needed. How sure may one be of its answers?
"""

# %%
# One half of the questions is for calibration, the other for looking at the result.
from skcalib.datasets import load_logits

data = load_logits("mcq_smollm2_a")
calibration, test = data.calibration, ~data.calibration
print(data.DESCR)

# %%
# The temperature that fits best is far above 1: the model is much too sure of itself. Its interval
# says how well 675 questions determine it.
from skcalib import TemperatureScaling

scaling = TemperatureScaling().fit(data.logits[calibration], data.target[calibration])
low, high = scaling.temperature_interval_
print(f"T = {scaling.temperature_:.2f}, 95 % interval {low:.2f} to {high:.2f}")

# %%
# Log loss and Brier score are proper scores: they fall only if the probabilities get better. The
# calibration error says how far confidence and accuracy are apart, in bins of confidence.
from scipy.special import softmax
from sklearn.metrics import log_loss

from skcalib.metrics import brier_score, expected_calibration_error

y = data.target[test]
logits = data.logits[test].astype(float)  # float32 probabilities round small ones to 0
before, after = softmax(logits, axis=1), scaling.predict_proba(logits)
for score in (log_loss, brier_score, expected_calibration_error):
    print(f"{score.__name__:<28}{score(y, before):.3f} -> {score(y, after):.3f}")

# %%
# The picture: before, answers given with full confidence are right four times in five. After, the
# points lie closer to the diagonal, if not on it: questions of different kinds ask for different
# temperatures, and one number cannot serve them all.
import matplotlib.pyplot as plt

from skcalib.display import ReliabilityDisplay

_, ax = plt.subplots(figsize=(6, 6.5), layout="constrained")
ReliabilityDisplay.from_predictions(y, before, name="before", ax=ax)
ReliabilityDisplay.from_predictions(y, after, name="after", ax=ax)
plt.show()

# %%
# The answers themselves are the same as before.
print((scaling.predict(logits) == before.argmax(axis=1)).all())
