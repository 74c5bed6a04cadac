"""Every method that is compared, behind one face: our own through the public API, and peers.

A method is used as its documentation tells a user to. The one exception is scikit-learn's bare
`_TemperatureScaling`, which stands beside the public class so that the cost of wrapping is not
counted against it. What a package needs converted first (logits to its own type, or to
probabilities) is converted by `prepare` and not timed.
"""

import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from skcalib import (
    EnsembleTemperatureScaling,
    IsotonicCalibration,
    MatrixScaling,
    SigmoidCalibration,
    StructuredScaling,
    TemperatureScaling,
    VectorScaling,
)

# Distribution and module names of what is compared.
PACKAGES = {
    "scikit-learn": "sklearn",
    "skcalib": "skcalib",
    "probmetrics": "probmetrics",
    "netcal": "netcal",
    "betacal": "betacal",
    "venn-abers": "venn_abers",
}

BASELINE = "uncalibrated"

# A matrix of so many classes, or a fit for each of them, takes minutes.
_MANY_CLASSES = 500


class Calibrator:
    """A calibrator of logits (n, K) for labels 0 .. K-1, whoever made it."""

    temperature: float | None = None  # after fit, of methods that have one

    def prepare(self, logits: NDArray) -> Any:
        """The scores as the package takes them."""
        return logits

    def fit(self, scores: Any, y: NDArray) -> None:
        raise NotImplementedError

    def predict_proba(self, scores: Any) -> NDArray:
        raise NotImplementedError


@dataclass(frozen=True)
class Method:
    """A calibrator as it stands in the tables.

    Parameters
    ----------
    name : str
    package : str, one of `PACKAGES`
    make : callable, from the number of classes to an unfitted `Calibrator`
    family : str, methods of one family do the same thing and compete in speed
    max_classes : float, more of them it cannot take, or not in reasonable time
    max_elements : float, more scores take minutes: not tried in `benchmarks.speed`
    traced : bool, whether its memory is numpy's, which `tracemalloc` sees
    """

    name: str
    package: str
    make: Callable[[int], Calibrator]
    family: str = "other"
    max_classes: float = np.inf
    max_elements: float = np.inf
    traced: bool = True

    @property
    def installed(self) -> bool:
        return find_spec(PACKAGES[self.package]) is not None


class Uncalibrated(Calibrator):
    def fit(self, scores: NDArray, y: NDArray) -> None:
        pass

    def predict_proba(self, scores: NDArray) -> NDArray:
        return softmax(scores, axis=1)


class Ours(Calibrator):
    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, scores: NDArray, y: NDArray) -> None:
        self.estimator.fit(scores, y)
        self.temperature = getattr(self.estimator, "temperature_", None)

    def predict_proba(self, scores: NDArray) -> NDArray:
        return self.estimator.predict_proba(scores)


class ScoresAsGiven(ClassifierMixin, BaseEstimator):
    """The classifier a user of scikit-learn has to write for scores that are there already."""

    def __init__(self, n_classes: int = 2) -> None:
        self.n_classes = n_classes

    def fit(self, X: Any, y: Any = None) -> "ScoresAsGiven":
        self.classes_ = np.arange(self.n_classes)
        return self

    def decision_function(self, X: NDArray) -> NDArray:
        return X[:, 1] - X[:, 0] if self.n_classes == 2 else X

    def predict(self, X: NDArray) -> NDArray:
        return self.classes_[X.argmax(axis=1)]


class ScikitLearn(Calibrator):
    def __init__(self, n_classes: int, method: str) -> None:
        scores_as_given = FrozenEstimator(ScoresAsGiven(n_classes).fit(None))
        self.model = CalibratedClassifierCV(scores_as_given, method=method)
        # Of a binary decision value d it takes the logits (-d, d), which doubles T.
        self.doubled = 2 if n_classes == 2 else 1

    def fit(self, scores: NDArray, y: NDArray) -> None:
        self.model.fit(scores, y)
        calibrator = self.model.calibrated_classifiers_[0].calibrators[0]
        if hasattr(calibrator, "beta_"):
            self.temperature = 1 / float(calibrator.beta_) / self.doubled

    def predict_proba(self, scores: NDArray) -> NDArray:
        return self.model.predict_proba(scores)


class ScikitLearnBare(Calibrator):
    def __init__(self) -> None:
        from sklearn.calibration import _TemperatureScaling

        self.model = _TemperatureScaling()

    def fit(self, scores: NDArray, y: NDArray) -> None:
        self.model.fit(scores, y)
        self.temperature = 1 / float(self.model.beta_)

    def predict_proba(self, scores: NDArray) -> NDArray:
        return self.model.predict(scores)


class Probmetrics(Calibrator):
    """Given logits, not probabilities, which saves it the logarithm and its checks."""

    def __init__(self, name: str, **options: Any) -> None:
        from probmetrics.calibrators import ETSCalibrator, get_calibrator

        self.model = ETSCalibrator(**options) if name == "ets" else get_calibrator(name, **options)

    def prepare(self, logits: NDArray) -> Any:
        import torch

        return torch.as_tensor(logits)

    def fit(self, scores: Any, y: NDArray) -> None:
        import torch
        from probmetrics.distributions import CategoricalLogits

        self.model.fit_torch(CategoricalLogits(scores), torch.as_tensor(y, dtype=torch.long))
        inverse = getattr(self.model, "invtemp_", None)
        self.temperature = None if inverse is None else 1 / float(inverse)

    def predict_proba(self, scores: Any) -> NDArray:
        from probmetrics.distributions import CategoricalLogits

        return self.model.predict_proba_torch(CategoricalLogits(scores)).get_probs().numpy()


class OfProbabilities(Calibrator):
    """Packages that take softmax probabilities; of two classes those of the second."""

    def prepare(self, logits: NDArray) -> NDArray:
        proba = softmax(logits.astype(np.float64), axis=1)
        return proba[:, 1] if proba.shape[1] == 2 else proba

    @staticmethod
    def two_columns(proba: NDArray) -> NDArray:
        return np.stack([1 - proba, proba], axis=1) if proba.ndim == 1 else proba


class Netcal(OfProbabilities):
    def __init__(self) -> None:
        from netcal.scaling import TemperatureScaling as NetcalTemperatureScaling

        self.model = NetcalTemperatureScaling()

    def fit(self, scores: NDArray, y: NDArray) -> None:
        with redirect_stdout(StringIO()):  # it prints that a class is absent
            self.model.fit(scores, y, random_state=0, tensorboard=False)
        self.temperature = 1 / float(np.squeeze(self.model.temperature))  # it shows 1 / T

    def predict_proba(self, scores: NDArray) -> NDArray:
        return self.two_columns(self.model.transform(scores))


class Betacal(OfProbabilities):
    def __init__(self) -> None:
        from betacal import BetaCalibration

        self.model = BetaCalibration("abm")

    def fit(self, scores: NDArray, y: NDArray) -> None:
        with warnings.catch_warnings():  # its fit silences every warning, for good
            self.model.fit(scores, y)

    def predict_proba(self, scores: NDArray) -> NDArray:
        return self.two_columns(self.model.predict(scores))


class VennAbers(OfProbabilities):
    def __init__(self) -> None:
        with np.errstate():  # its import changes numpy's error state
            from venn_abers import VennAbersCalibrator

        self.model = VennAbersCalibrator()

    def fit(self, scores: NDArray, y: NDArray) -> None:
        self.calibration = self.two_columns(scores), y

    def predict_proba(self, scores: NDArray) -> NDArray:
        p_cal, y_cal = self.calibration
        return self.model.predict_proba(p_cal=p_cal, y_cal=y_cal, p_test=self.two_columns(scores))


# The first method of a family is the one that others' times are compared with.
METHODS = (
    Method(BASELINE, "skcalib", lambda k: Uncalibrated()),
    Method(
        "skcalib: temperature, alpha=0",
        "skcalib",
        lambda k: Ours(TemperatureScaling(classes=np.arange(k), alpha=0)),
        "temperature",
    ),
    Method(
        "skcalib: temperature",
        "skcalib",
        lambda k: Ours(TemperatureScaling(classes=np.arange(k))),
        "temperature",
    ),
    Method(
        "skcalib: sigmoid",
        "skcalib",
        lambda k: Ours(SigmoidCalibration(classes=np.arange(k))),
        "sigmoid",
        max_classes=_MANY_CLASSES,
    ),
    Method(
        "skcalib: isotonic",
        "skcalib",
        lambda k: Ours(IsotonicCalibration(classes=np.arange(k))),
        "isotonic",
        max_classes=_MANY_CLASSES,
    ),
    Method(
        "skcalib: ensemble temperature",
        "skcalib",
        lambda k: Ours(EnsembleTemperatureScaling(classes=np.arange(k))),
    ),
    Method("skcalib: vector", "skcalib", lambda k: Ours(VectorScaling(classes=np.arange(k)))),
    Method(
        "skcalib: matrix",
        "skcalib",
        lambda k: Ours(MatrixScaling(classes=np.arange(k))),
        max_classes=_MANY_CLASSES,
    ),
    Method(
        "skcalib: structured, order kept",
        "skcalib",
        lambda k: Ours(StructuredScaling(classes=np.arange(k), accuracy_preserving=True)),
    ),
    Method(
        "skcalib: structured", "skcalib", lambda k: Ours(StructuredScaling(classes=np.arange(k)))
    ),
    Method(
        "scikit-learn: temperature, bare",
        "scikit-learn",
        lambda k: ScikitLearnBare(),
        "temperature",
    ),
    Method(
        "scikit-learn: temperature",
        "scikit-learn",
        lambda k: ScikitLearn(k, "temperature"),
        "temperature",
    ),
    Method("scikit-learn: sigmoid", "scikit-learn", lambda k: ScikitLearn(k, "sigmoid"), "sigmoid"),
    Method(
        "scikit-learn: isotonic",
        "scikit-learn",
        lambda k: ScikitLearn(k, "isotonic"),
        "isotonic",
    ),
    Method(
        "probmetrics: temp-scaling",
        "probmetrics",
        lambda k: Probmetrics("temp-scaling"),
        "temperature",
        traced=False,
    ),
    Method("probmetrics: ts-mix", "probmetrics", lambda k: Probmetrics("ts-mix")),
    Method("probmetrics: ETS", "probmetrics", lambda k: Probmetrics("ets", loss="ce")),
    Method("probmetrics: SVS", "probmetrics", lambda k: Probmetrics("svs")),
    Method(
        "probmetrics: SMS",
        "probmetrics",
        lambda k: Probmetrics("sms"),
        max_classes=_MANY_CLASSES,
    ),
    Method(
        "netcal: temperature",
        "netcal",
        lambda k: Netcal(),
        "temperature",
        max_elements=4e6,
        traced=False,
    ),
    Method("betacal: abm", "betacal", lambda k: Betacal(), max_classes=2),
    Method("venn-abers", "venn-abers", lambda k: VennAbers(), max_classes=2),
)


def methods(names: list[str] | None = None, family: str | None = None) -> list[Method]:
    """Installed methods whose name begins with one of `names`, of one family or of all."""
    return [
        method
        for method in METHODS
        if method.installed
        and (family is None or method.family == family)
        and (not names or method.name.startswith(tuple(names)))
    ]
