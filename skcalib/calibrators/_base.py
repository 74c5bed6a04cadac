"""The wrapper around every calibrator: where scores come from and how they are served.

A family of calibrators gives the wrapper one method, `_fit_map`, which fits a `CalibrationMap`
on scores. Everything else that makes a scikit-learn classifier stands here: an estimator to wrap
or none, frozen estimators, cross-fitting, ensembles, classes, metadata routing and tags.
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
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags, get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skcalib._response import (
    RESPONSE_METHODS,
    Scores,
    choose_method,
    classes_of,
    read_scores,
    score_columns,
)
from skcalib._validation import (
    HasMethods,
    StrOptions,
    check_column_classes,
    check_feature_names,
    check_groups,
    check_labels,
    check_numeric,
    check_parameters,
    check_same_length,
    check_weights,
    count_rows,
    encode,
    feature_names_of,
    look_like_probabilities,
)
from skcalib.calibrators._folds import HeldOut, cross_fit, pool
from skcalib.calibrators._map import CalibratedPair, CalibrationMap, log, refuse_nan_rows
from skcalib.calibrators._rows import CalibrationRows


class BaseCalibrator(ClassifierMixin, MetaEstimatorMixin, BaseEstimator, metaclass=ABCMeta):
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
    estimator: Any
    response_method: str
    classes: ArrayLike | None
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
        if self.estimator is None:
            fitted = self._fit_on_scores(X, y, sample_weight, groups, params)
        elif self.classes is not None:
            raise ValueError(
                "classes names the columns of X when X holds scores (estimator=None); with an "
                f"estimator it must be None, got {self.classes!r}."
            )
        else:
            fitted = self._fit_around_estimator(X, y, sample_weight, groups, params)
        _warn_of_convergence(fitted)
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

    def _check_classes(self, classes: NDArray) -> None:
        """Refuse classes (K,), sorted, that no map can be fitted for, before anything is."""

    def _fit_on_scores(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        groups: ArrayLike | None,
        params: dict[str, Any],
    ) -> dict[str, Any]:
        """Everything `fit` learns when X holds the scores."""
        if params:
            raise TypeError(
                f"fit got {sorted(params)}, but there is no estimator to pass them to "
                "(estimator=None)."
            )
        labels = check_labels(y, estimator=type(self).__name__)
        method = RESPONSE_METHODS[0] if self.response_method == "auto" else self.response_method
        values = score_columns(X, method, "X")
        check_same_length(len(values), labels)
        names = feature_names_of(X)
        columns = check_column_classes(self.classes, values.shape[1], labels)
        if self.classes is None and names is not None:
            _refuse_reordered_names(names, columns)
        classes, order = np.unique(columns, return_index=True)
        self._check_classes(classes)
        y_index = encode(labels, classes)
        weight = check_weights(sample_weight, len(labels))
        clusters = check_groups(groups, len(labels))
        scores = Scores(_reordered(values, order), method, "X")
        calibrator = self._fit_map(CalibrationRows(scores, y_index, classes, weight, clusters))
        if self.response_method == "auto" and look_like_probabilities(check_numeric(X, "X")):
            warnings.warn(
                "every row of X looks like probabilities, but X is read as logits. If it holds "
                "probabilities, pass response_method='predict_proba'; if it does hold logits, "
                "response_method='decision_function' says so.",
                UserWarning,
                stacklevel=3,
            )
        fitted = {
            "classes_": classes,
            "calibrator_": calibrator,
            "response_method_": method,
            "n_features_in_": np.shape(X)[1] if np.ndim(X) == 2 else 1,
            "column_order_": order,
            **calibrator.fitted_attributes(),
        }
        return fitted if names is None else fitted | {"feature_names_in_": names}

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
        if isinstance(self.estimator, FrozenEstimator):
            if params:
                raise TypeError(
                    f"fit got {sorted(params)}, but a frozen estimator is not fitted: there is "
                    "nobody to pass them to."
                )
            return self._fit_on_frozen(X, labels, weight, clusters, method)

        fit_params, split_params = self._routed(sample_weight, groups, params)
        classes = np.unique(labels)
        self._check_classes(classes)
        y_index = encode(labels, classes)
        folds = cross_fit(
            self.estimator,
            X,
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
            return self._fit_map(pool(some, y_index, classes, weight, clusters))

        fitted: dict[str, Any]
        if self.ensemble:  # or "auto": frozen estimators do not come here
            pairs = [
                CalibratedPair(fold.estimator, fitted_map([fold]), method, classes)
                for fold in folds
            ]
            estimator = pairs[0].estimator
            fitted = {"calibrated_classifiers_": pairs}
        else:
            calibrator = fitted_map(folds)
            estimator = clone(self.estimator).fit(X, labels, **fit_params)
            fitted = {"calibrator_": calibrator, "estimator_": estimator}
            fitted |= calibrator.fitted_attributes()
        return fitted | {
            "classes_": classes,
            "response_method_": method,
            **_features_of(estimator),
        }

    def _fit_on_frozen(
        self,
        X: Any,
        labels: NDArray,
        weight: NDArray | None,
        clusters: NDArray | None,
        method: str,
    ) -> dict[str, Any]:
        """A fitted estimator: every row is calibration data, and classes are the estimator's."""
        classes = np.unique(classes_of(self.estimator))
        self._check_classes(classes)
        y_index = encode(labels, classes, of="the classes the estimator was trained on,")
        scores = read_scores(self.estimator, X, method, classes)
        calibrator = self._fit_map(CalibrationRows(scores, y_index, classes, weight, clusters))
        return {
            "classes_": classes,
            "calibrator_": calibrator,
            "estimator_": self.estimator,
            "response_method_": method,
            **calibrator.fitted_attributes(),
            **_features_of(self.estimator),
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

    def _scores(self, X: Any) -> Scores:
        """Scores of X for the one map of a calibrator that is no ensemble."""
        if hasattr(self, "estimator_"):
            return read_scores(self.estimator_, X, self.response_method_, self.classes_)
        check_feature_names(self, X, reset=False)
        values = score_columns(X, self.response_method_, "X")
        n_columns = np.shape(X)[1] if np.ndim(X) == 2 else 1
        if n_columns != self.n_features_in_:
            raise ValueError(
                f"X has {n_columns} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input."
                + (" For one row pass X.reshape(1, -1)." if np.ndim(X) == 1 else "")
            )
        return Scores(_reordered(values, self.column_order_), self.response_method_, "X")

    def _replace_fitted(self, fitted: dict[str, Any]) -> None:
        """Take what one fit learned for what an earlier one did, all at once."""
        unfitted = {name: value for name, value in vars(self).items() if name[-1] != "_"}
        self.__dict__ = unfitted | fitted


def _reordered(values: NDArray, order: NDArray) -> NDArray:
    """Columns in another order; the array itself, uncopied, where that is the same."""
    return values if np.array_equal(order, np.arange(len(order))) else values[:, order]


def _refuse_reordered_names(names: NDArray, columns: NDArray) -> None:
    """A data frame whose columns carry the class names in another order is not read by place."""
    classes = [str(label) for label in columns]
    if sorted(classes) == sorted(names) and classes != list(names):
        raise ValueError(
            f"X's columns are named after the classes but in the order {list(names)}, not "
            f"{classes}. Pass classes=list(X.columns), or reorder the columns."
        )


def _features_of(estimator: Any) -> dict[str, Any]:
    names = ("n_features_in_", "feature_names_in_")
    return {name: getattr(estimator, name) for name in names if hasattr(estimator, name)}


def _warn_of_convergence(fitted: dict[str, Any]) -> None:
    """One warning for the map, or for all maps of an ensemble, of what their rows leave open."""
    pairs = fitted.get("calibrated_classifiers_", [])
    maps = [pair.calibrator for pair in pairs] or [fitted["calibrator_"]]
    messages = {message for m in maps if (message := m.convergence_warning())}
    if messages:
        warnings.warn(" ".join(sorted(messages)), ConvergenceWarning, stacklevel=3)
