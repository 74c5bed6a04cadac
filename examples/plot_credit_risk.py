"""
Is a 1 % risk of default 1 %?
=============================

Loans rarely default, so a model of default is often trained on balanced data, or with balanced
class weights. Its ranking is fine and its probabilities are not: they are those of a world in which
every second loan defaults. This is a question of the *base rate*, and one temperature cannot answer
it.
"""

# %%
# A loan book of 40 000 applicants, of whom some 2 % default, and a model with balanced weights. A
# quarter of the rows is for calibration and another for the test.
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

X, y = make_classification(
    40_000, n_features=12, n_informative=6, weights=[0.985], class_sep=0.8, random_state=1
)
X_train, X_rest, y_train, y_rest = train_test_split(X, y, test_size=0.5, random_state=0)
X_cal, X_test, y_cal, y_test = train_test_split(X_rest, y_rest, test_size=0.5, random_state=0)
model = LogisticRegression(class_weight="balanced").fit(X_train, y_train)
risk = model.predict_proba(X_test)[:, 1]
print(f"defaults: {y_test.mean():.1%}, mean predicted risk: {risk.mean():.1%}")

# %%
# Bands of probability that grow by factors show what bins of equal width hide. Nearly no applicant
# is said to be safe, and of those said to default with 10 to 20 %, one in 200 does.
from skcalib.metrics import risk_bands

risk_bands(y_test, model.predict_proba(X_test))

# %%
# Now calibrate the fitted model, by one temperature and by a sigmoid. A temperature divides the
# log-odds: at most it can say that the model was too bold. It has no number by which to move all of
# them. The sigmoid has a slope and an intercept.
from sklearn.frozen import FrozenEstimator

from skcalib import SigmoidCalibration, TemperatureScaling
from skcalib.metrics import calibration_slope_intercept, log_loss_skill_score

models = {
    "as trained": model,
    "temperature": TemperatureScaling(FrozenEstimator(model)).fit(X_cal, y_cal),
    "sigmoid": SigmoidCalibration(FrozenEstimator(model)).fit(X_cal, y_cal),
}
print(f"{'':<12}{'slope':>8}{'intercept':>11}{'skill':>8}")
for name, fitted in models.items():
    proba = fitted.predict_proba(X_test)
    line = calibration_slope_intercept(y_test, proba)
    skill = log_loss_skill_score(y_test, proba)
    print(f"{name:<12}{line.slope:>8.2f}{line.intercept:>11.2f}{skill:>8.2f}")

# %%
# An intercept of 0 means that as many loans default as were expected; far below 0, that many fewer
# do. The skill score compares with quoting every applicant the base rate: the model as trained does
# far worse than that, and a temperature cannot get it above.
#
# The sigmoid's bands are right within a factor of about two, from .1 % to 60 %. Three of ten still
# contradict it: there the price of a loan would be off.
risk_bands(y_test, models["sigmoid"].predict_proba(X_test))

# %%
# The picture has both: the isotonic (CORP) curve with the band in which it would lie if the model
# were calibrated, and how the applicants are spread.
import matplotlib.pyplot as plt

from skcalib.display import DecompositionDisplay, ReliabilityDisplay

_, axes = plt.subplots(1, 2, figsize=(11, 6), layout="constrained")
for ax, name in zip(axes, ("temperature", "sigmoid"), strict=True):
    ReliabilityDisplay.from_estimator(
        models[name], X_test, y_test, kind="positive", strategy="isotonic", name=name, ax=ax
    )
plt.show()

# %%
# Miscalibration against discrimination: a monotone map such as these moves a model to the left and
# leaves it at its height.
DecompositionDisplay.from_predictions(
    y_test, {name: fitted.predict_proba(X_test) for name, fitted in models.items()}
)
plt.show()
