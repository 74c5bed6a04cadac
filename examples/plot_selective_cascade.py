"""
Small model, large model, person
================================

Forms arrive with a digit written on each. A small model reads them for next to nothing. Where it is
unsure a large one is asked, as far as the budget goes, and what stays unsure goes to a person. Two
thresholds decide who reads what. Both are chosen on forms that no model was fitted on, and the
second one comes with a promise.
"""

# %%
# The forms are bad scans of 1797 digits: a third to fit models on, a third for the promise, a third
# to see what becomes of it.
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

X, y = load_digits(return_X_y=True)
X = X + np.random.default_rng(0).normal(0, 3, X.shape)
X_train, X_rest, y_train, y_rest = train_test_split(X, y, train_size=600, random_state=0)
X_cal, X_test, y_cal, y_test = train_test_split(X_rest, y_rest, train_size=600, random_state=0)

# %%
# Budget: the large model where it gains
# --------------------------------------
# The large model costs twenty times as much. Both are calibrated, so that a threshold is something
# one can read: "below .9 ask the large one". `budget` is what a form may cost on average. The
# threshold is then the one of least log loss within it.
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skcalib import TemperatureScaling
from skcalib.decisions import CascadeClassifier

line = make_pipeline(PCA(10, svd_solver="full"), LogisticRegression(max_iter=1000))
small, large = TemperatureScaling(line, cv=3), TemperatureScaling(SVC(), cv=3)
members = [("small", small), ("large", large)]
cascade = CascadeClassifier(members, costs=[1, 20], budget=11, cv=3).fit(X_train, y_train)
cascade.summary()

# %%
# The same for other budgets, on the test forms, beside each model alone and beside asking the large
# one for forms drawn by lot. The last budget would pay for the large model each time, but where the
# small one is sure the large one gains nothing, and so part of it is not spent.
budgets = [1, 4, 6, 8, 21]
points = []
for budget in budgets:
    model = CascadeClassifier(members, costs=[1, 20], budget=budget, cv=3).fit(X_train, y_train)
    cost = model.stage_costs_[model.predict_stage(X_test)].mean()
    points.append((cost, np.mean(model.predict(X_test) != y_test)))
alone = [
    (cost, np.mean(model.fit(X_train, y_train).predict(X_test) != y_test))
    for cost, model in ((1, small), (20, large))
]

# %%
import matplotlib.pyplot as plt

_, ax = plt.subplots(figsize=(7, 5), layout="constrained")
ax.plot(*np.transpose(points), marker="o", color="#0072B2", label="cascade, by budget")
for (cost, error), name, marker in zip(alone, ("small alone", "large alone"), "s^", strict=True):
    ax.plot(cost, error, marker, color="#D55E00", markersize=9, label=name)
by_lot = [(1, alone[0][1]), (21, alone[1][1])]
ax.plot(*np.transpose(by_lot), linestyle=":", color="0.45", label="large for forms drawn by lot")
ax.set(xlabel="Mean cost of a form", ylabel="Share of forms read wrongly", ylim=(0, None))
ax.legend()
plt.show()

# %%
# Promise: of the answers at most one in twenty wrong
# ---------------------------------------------------
# Around the cascade, which is frozen, a `SelectiveClassifier` abstains. `max_risk` takes the lowest
# threshold whose risk is shown to be no more than 5 %: a bound that holds in nine of ten draws of
# the 600 forms that choose it.
from sklearn.frozen import FrozenEstimator

from skcalib.decisions import SelectiveClassifier

reader = SelectiveClassifier(FrozenEstimator(cascade), max_risk=0.05, abstain_label=-1)
reader.fit(X_cal, y_cal)
print(f"threshold {reader.threshold_:.2f}: {reader.coverage_:.0%} of the forms are answered")
print(f"{reader.risk_:.1%} of the answers are wrong, with 90 % confidence at most", end=" ")
print(f"{reader.risk_bound_:.1%}")

# %%
# A label of -1 is a form for a person. What became of the test forms:
answers = reader.predict(X_test)
by_stage = cascade.predict_stage(X_test)
for name, forms in (
    ("small model", (answers != -1) & (by_stage == 0)),
    ("large model", (answers != -1) & (by_stage == 1)),
    ("person", answers == -1),
):
    wrong = "" if name == "person" else f", {np.mean(answers[forms] != y_test[forms]):.1%} wrong"
    print(f"{name:<12} {forms.mean():.0%} of the forms{wrong}")
read = answers != -1
print(f"{np.mean(answers[read] != y_test[read]):.1%} of all answers are wrong")

# %%
# The curve of what each threshold answers on the test forms, and the threshold that was chosen
# before anyone saw them. A threshold picked off this curve would look better than it is.
from skcalib.display import RiskCoverageDisplay

display = RiskCoverageDisplay.from_estimator(cascade, X_test, y_test, name="cascade")
ax = display.ax_
ax.axhline(0.05, color="0.45", linestyle=":", linewidth=1)
ax.plot(
    read.mean(),
    np.mean(answers[read] != y_test[read]),
    marker="D",
    markersize=10,
    color="#D55E00",
    linestyle="none",
    label="threshold chosen for a risk of 5 %",
)
ax.legend()
plt.show()

# %%
# What the promise does not say. It is one about draws of the forms that choose the threshold, taken
# together with those where nothing can be shown and every form goes to a person; it needs new forms
# to be like those; and of forms by one writer only one counts. The thresholds of the cascade carry
# no promise at all: a budget is met on the forms that chose them, and nearly on others.
