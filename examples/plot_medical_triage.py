"""
Triage: which cases may the model decide?
=========================================

A model reads biopsies. Sure cases it may settle, doubtful ones go to a pathologist. That works only
if "99 % sure" means 99 %: here is how to find out on few patients, mend it, and choose the
threshold.
"""

# %%
# Naive Bayes is quick and far too sure of itself. Half of the 569 patients are for the test.
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB

data = load_breast_cancer()
y = data.target_names[data.target]  # "benign", "malignant"
X_train, X_test, y_train, y_test = train_test_split(
    data.data, y, test_size=0.5, random_state=0, stratify=y
)
model = GaussianNB().fit(X_train, y_train)
proba = model.predict_proba(X_test)

# %%
# One table for the file. The model is right in some 93 % of cases and says 99 %. Neither interval
# of its errors of confidence begins at 0, so this is no accident of 285 patients.
from skcalib.metrics import calibration_report

calibration_report(y_test, proba)

# %%
# Closed forms agree. Of a calibrated model the slope is 1; one far below says that the log-odds are
# too large by as much. The interval of the intercept holds 0: on average the model is about right.
# A wrong slope is what one temperature can mend.
import numpy as np

from skcalib.metrics import calibration_slope_intercept, spiegelhalter_z

print(spiegelhalter_z(y_test, proba))
# A probability of exactly 0 or 1 has no finite log-odds.
malignant = np.clip(proba[:, 1], 1e-12, 1 - 1e-12)
print(calibration_slope_intercept(y_test, malignant, pos_label="malignant"))

# %%
# `TemperatureScaling` holds out rows of the training half, so that the test patients stay unseen.
# The log loss falls to less than half; both intervals now begin at 0.
from skcalib import TemperatureScaling

calibrated = TemperatureScaling(GaussianNB()).fit(X_train, y_train)
low, high = calibrated.temperature_interval_
print(f"T = {calibrated.temperature_:.1f}, 95 % interval {low:.1f} to {high:.1f}")
calibration_report(y_test, calibrated.predict_proba(X_test))

# %%
# The curves. The shaded band is where a calibrated model's curve would lie on so few patients.
import matplotlib.pyplot as plt

from skcalib.display import ReliabilityDisplay, RiskCoverageDisplay

models = {"naive Bayes": model, "after temperature scaling": calibrated}
_, axes = plt.subplots(1, 2, figsize=(11, 6), layout="constrained")
for ax, (name, fitted) in zip(axes, models.items(), strict=True):
    ReliabilityDisplay.from_estimator(
        fitted,
        X_test,
        y_test,
        kind="positive",
        strategy="isotonic",
        name=name,
        ax=ax,
    )
plt.show()

# %%
# How many cases may the model keep, surest first, and how often is it wrong about those? Of two
# classes a temperature leaves the order of confidences as it is, and so this curve; what changes is
# that the threshold now means what it says.
RiskCoverageDisplay.from_estimator(calibrated, X_test, y_test, name="after temperature scaling")
plt.show()
