"""The wrapper around every calibrator: how it is fitted and how it serves.

A family of calibrators gives the wrapper one method, `_fit_map`, which fits a `CalibrationMap`
on scores. Everything else that makes a scikit-learn classifier stands here and in `_reading`: an
estimator to wrap or none, frozen estimators, cross-fitting, ensembles, classes, metadata routing
and tags.
"""

from __future__ import annotations

import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags, get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skcalib._response import (
    RESPONSE_METHODS,
    choose_method,
)
from skcalib._validation import (
    HasMethods,
    StrOptions,
    check_groups,
    check_labels,
    check_parameters,
    check_same_length,
    check_weights,
    count_rows,
    encode,
)
from skcalib.calibrators._folds import HeldOut, cross_fit, pool
from skcalib.calibrators._map import CalibratedPair, CalibrationMap, log, refuse_nan_rows
from skcalib.calibrators._reading import ScoreReader, classes_beside_estimator, features_of
from skcalib.calibrators._rows import CalibrationRows


class BaseCalibrator(
    ScoreReader, ClassifierMixin, MetaEstimatorMixin, BaseEstimator, metaclass=ABCMeta
):
    """A classifier that serves calibrated probabilities of another one, or of given scores."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit"]), None],
        "response_method": [StrOptions({"auto", *RESPONSE_METHODS})],
        "classes": ["array-like", None],
        "cv": ["cv_object"],
        "ensemble": ["boolean", StrOptions({"auto"})],
        "n_jobs": [Integral, None],
    }

    # `groups` have a use in every fit, so no parent need be told to pass them. Splitters of groups
    # say the same of theirs.
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"groups": True}

    # Set by each subclass's __init__.
    cv: Any
    ensemble: bool | str
    n_jobs: int | None

    @abstractmethod
    def _fit_map(self, rows: CalibrationRows) -> CalibrationMap:
        """Fit on scored rows whose classes are known."""

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        **params: Any,
    ) -> Self:
        """Fit the calibrator, and the wrapped estimator unless it is frozen.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame
            What the wrapped estimator takes. With ``estimator=None`` the scores themselves,
            shape (n_samples, n_classes), or for two classes (n_samples,).
        y : array-like of shape (n_samples,)
            True labels, of any type that scikit-learn classifies.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight counts as that many repetitions of its row, 0 as if it were absent.
        groups : array-like of shape (n_samples,), default=None
            Which rows belong together, by labels of any type: questions of one document, images
            of one patient. Intervals take rows of a group for dependent, those of different
            groups for independent. The splitter gets them too (with metadata routing enabled, if
            it requests them): one such as :class:`~sklearn.model_selection.GroupKFold` keeps
            groups whole, others ignore them.
        **params : dict
            Passed to the wrapped estimator's `fit`; with metadata routing enabled, to whoever
            requests them.

        Returns
        -------
        self : object
            The fitted calibrator. If `fit` fails it is left as it was before.
        """
        self._check_parameters()
        self._check_groups(groups, self)
        if self._needs_no_folds():
            rows, fitted = self._read_rows(X, y, sample_weight, groups, params, self.classes)
            fitted |= _what_is_seen_of(self._fit_map(rows))
            self._warn_of_probabilities(X, fitted)
        elif self.classes is not None:
            raise classes_beside_estimator(self.classes)
        else:
            fitted = self._fit_around_estimator(X, y, sample_weight, groups, params)
        warn_of_convergence(fitted)
        self._replace_fitted(fitted)
        return self

    def predict(self, X: Any) -> NDArray:
        """Predicted labels: those of the likeliest class, the first on ties.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame
            As in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        if hasattr(self, "calibrator_") and self.calibrator_.keeps_argmax:
            best = self._scores(X).argmax()
        else:
            best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: Any) -> NDArray:
        """Calibrated probabilities.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame
            As in `fit`.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns follow `classes_`; float32 for scores of float32 and float16.
        """
        check_is_fitted(self)
        if hasattr(self, "calibrated_classifiers_"):
            pairs = self.calibrated_classifiers_
            proba = pairs[0].predict_proba(X)
            for pair in pairs[1:]:
                proba = proba + pair.predict_proba(X)
            with np.errstate(under="ignore"):
                return proba / proba.dtype.type(len(pairs))
        scores = self._scores(X)
        return refuse_nan_rows(self.calibrator_.predict_proba(scores), scores)

    def predict_log_proba(self, X: Any) -> NDArray:
        """Logarithms of the calibrated probabilities.

        One temperature keeps what probabilities round to 0; where maps are averaged or fitted
        class by class, they are the logarithms of `predict_proba`.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame
            As in `fit`.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        if hasattr(self, "calibrated_classifiers_"):
            return log(self.predict_proba(X))
        scores = self._scores(X)
        return refuse_nan_rows(self.calibrator_.predict_log_proba(scores), scores)

    def decision_function(self, X: Any) -> NDArray:
        """Calibrated scores: `predict_log_proba` up to a constant for each row.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame
            As in `fit`.

        Returns
        -------
        decision : ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            For two classes the log-odds of the second.
        """
        decision = self.predict_log_proba(X)
        return decision[:, 1] - decision[:, 0] if decision.shape[1] == 2 else decision

    def get_metadata_routing(self) -> MetadataRouter:
        """Who is asked for metadata: this object, the estimator and the splitter.

        Returns
        -------
        routing : MetadataRouter
        """
        router = MetadataRouter(owner=self).add_self_request(self)
        if self.estimator is not None:
            fit = MethodMapping().add(caller="fit", callee="fit")
            router.add(estimator=self.estimator, method_mapping=fit)
        split = MethodMapping().add(caller="fit", callee="split")
        return router.add(splitter=self.cv, method_mapping=split)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        if self.estimator is not None:
            tags.input_tags = get_tags(self.estimator).input_tags
        else:
            tags.input_tags.one_d_array = True
        return tags

    def _check_parameters(self) -> None:
        """Refuse parameters that cannot be right, before anything is fitted."""
        if isinstance(self.cv, str) and self.cv == "prefit":
            raise ValueError(
                "cv='prefit' is not needed: wrap the fitted model, "
                "estimator=FrozenEstimator(model)."
            )
        check_parameters(self)

    def _check_groups(self, groups: ArrayLike | None, wrapper: BaseCalibrator) -> None:
        """Refuse groups, or their absence, if what `wrapper` does with them cannot be right."""

    def _fit_around_estimator(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        groups: ArrayLike | None,
        params: dict[str, Any],
    ) -> dict[str, Any]:
        """Everything `fit` learns when there is an estimator to read scores from."""
        labels = check_labels(y, estimator=type(self).__name__)
        (X,) = indexable(X)
        check_same_length(count_rows(X), labels)
        weight = check_weights(sample_weight, len(labels))
        clusters = check_groups(groups, len(labels))
        method = choose_method(self.estimator, self.response_method)
        fit_params, split_params = self._routed(sample_weight, groups, params)
        classes = np.unique(labels)
        self._check_classes(classes)
        y_index = encode(labels, classes)
        reader = self._reader(X, labels, self)
        seen, context = reader.for_estimator(X), reader.context_or_none(X)
        folds = cross_fit(
            self.estimator,
            seen,
            labels,
            classes,
            weight,
            method=method,
            cv=self.cv,
            fit_params=fit_params,
            split_params=split_params,
            n_jobs=self.n_jobs,
        )

        def fitted_map(some: Sequence[HeldOut]) -> CalibrationMap:
            return self._fit_map(pool(some, y_index, classes, weight, clusters, context))

        fitted: dict[str, Any]
        if self.ensemble:  # or "auto": frozen estimators do not come here
            pairs = [
                CalibratedPair(fold.estimator, fitted_map([fold]), method, classes, reader)
                for fold in folds
            ]
            estimator = pairs[0].estimator
            fitted = {"calibrated_classifiers_": pairs}
        else:
            calibrator = fitted_map(folds)
            estimator = clone(self.estimator).fit(seen, labels, **fit_params)
            fitted = {"estimator_": estimator, **_what_is_seen_of(calibrator)}
        return fitted | {
            "classes_": classes,
            "response_method_": method,
            **features_of(estimator, reader, X),
            **reader.fitted_attributes(),
        }

    def _routed(
        self, sample_weight: ArrayLike | None, groups: ArrayLike | None, params: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Parameters of the estimator's `fit` and of the splitter's `split`."""
        if get_config()["enable_metadata_routing"]:
            named = {"sample_weight": sample_weight, "groups": groups}
            given = {name: value for name, value in named.items() if value is not None}
            routed = process_routing(self, "fit", **given, **params)
            return dict(routed.estimator.fit), dict(routed.splitter.split)
        fit_params = dict(params)
        split_params = {} if groups is None else {"groups": groups}
        if sample_weight is not None:
            if has_fit_parameter(self.estimator, "sample_weight"):
                fit_params["sample_weight"] = sample_weight
            else:
                warnings.warn(
                    f"{type(self.estimator).__name__}.fit takes no sample_weight: the weights "
                    "are used for the calibration alone. Metadata routing "
                    "(sklearn.set_config(enable_metadata_routing=True)) takes them further.",
                    UserWarning,
                    stacklevel=4,
                )
        return fit_params, split_params

    def _replace_fitted(self, fitted: dict[str, Any]) -> None:
        """Take what one fit learned for what an earlier one did, all at once."""
        unfitted = {name: value for name, value in vars(self).items() if name[-1] != "_"}
        self.__dict__ = unfitted | fitted


def _what_is_seen_of(calibrator: CalibrationMap) -> dict[str, Any]:
    return {"calibrator_": calibrator, **calibrator.fitted_attributes()}


def warn_of_convergence(fitted: dict[str, Any]) -> None:
    """One warning for the map, or for all maps of an ensemble, of what their rows leave open."""
    pairs = fitted.get("calibrated_classifiers_", [])
    maps = [pair.calibrator for pair in pairs] or [fitted["calibrator_"]]
    messages = {message for m in maps if (message := m.convergence_warning())}
    if messages:
        warnings.warn(" ".join(sorted(messages)), ConvergenceWarning, stacklevel=3)
