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
# Is it chance? Spiegelhalter's test needs no bins: z is the distance of the Brier score from what
# it would be if the probabilities were true, in standard deviations.
from skcalib.metrics import spiegelhalter_z

print(spiegelhalter_z(y_test, proba))

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
# What is left? A slope of 1 and an intercept of 0 are a straight line through the log-odds on the
# diagonal: now both intervals hold them. Before, probabilities of exactly 0 and 1 had no log-odds.
from skcalib.metrics import calibration_slope_intercept

malignant = calibrated.predict_proba(X_test)[:, 1]
line = calibration_slope_intercept(y_test, malignant, pos_label="malignant")
for name, value, (low, high) in (
    ("slope", line.slope, line.slope_interval),
    ("intercept", line.intercept, line.intercept_interval),
):
    print(f"{name} {value:.2f}, 95 % interval {low:.2f} to {high:.2f}")

# %%
# Now the threshold: how many cases may the model decide, the surest first, if it may be wrong in
# one of a hundred? The rest goes to the pathologist.
from skcalib.metrics import risk_coverage_curve

curve = risk_coverage_curve(y_test, calibrated.predict_proba(X_test))
threshold, coverage = curve.threshold_at_risk(0.01), curve.coverage_at_risk(0.01)
print(f"{coverage:.0%} of the cases, those with a confidence of {threshold:.3f} or more")

# %%
# The whole trade. The band says how little 285 patients know of a risk of one in a hundred: choose
# the threshold on more of them than that. Of two classes a temperature leaves the order of
# confidences, and so this curve, as it is; what changes is that a confidence means what it says.
RiskCoverageDisplay.from_estimator(calibrated, X_test, y_test, name="after temperature scaling")
plt.show()
