"""Several classifiers of the same rows: how they are fitted, held out and read.

What is made of their scores, one family gives: `_fit_on`, which learns from scores of rows that the
members were not fitted on.
"""

from __future__ import annotations

import warnings
from abc import ABCMeta, abstractmethod
from numbers import Integral
from typing import Any, ClassVar, Self

from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import Tags, get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skcalib._response import RESPONSE_METHODS, Scores, choose_method, read_scores
from skcalib._validation import (
    BaseComposition,
    StrOptions,
    check_column_classes,
    check_groups,
    check_labels,
    check_parameters,
    check_same_length,
    check_weights,
    count_rows,
)
from skcalib.calibrators._reading import classes_beside_estimator
from skcalib.decisions._member_rows import (
    Labelled,
    MemberRows,
    block_scores,
    check_blocks,
    is_frozen,
    rows_of_blocks,
    rows_of_members,
)


class BaseMembers(ClassifierMixin, MetaEstimatorMixin, BaseComposition, metaclass=ABCMeta):
    """A classifier made of several, or of the scores of several."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimators": [list, None],
        "response_method": [StrOptions(set(RESPONSE_METHODS))],
        "classes": ["array-like", None],
        "cv": ["cv_object"],
        "n_jobs": [Integral, None],
    }

    # The splitter gets groups, so no parent need be told to pass them.
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"groups": True}

    estimators: list[tuple[str, Any]] | None
    response_method: str
    classes: ArrayLike | None
    cv: Any
    n_jobs: int | None

    # Learned by `fit`.
    classes_: NDArray
    estimators_: list[Any]
    n_members_: int
    column_order_: NDArray

    @abstractmethod
    def _fit_on(self, rows: MemberRows) -> dict[str, Any]:
        """What is learned from held-out scores: fitted attributes."""

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        **params: Any,
    ) -> Self:
        """Fit the members that are not frozen, and what is made of them on held-out rows.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame
            What the members take. With ``estimators=None`` their scores, shape (n_samples,
            n_members, n_classes).
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight counts as that many repetitions of its row, 0 as if it were absent.
        groups : array-like of shape (n_samples,), default=None
            Which rows belong together, for splitters such as
            :class:`~sklearn.model_selection.GroupKFold`.
        **params : dict
            Passed to the `fit` of every member; with metadata routing enabled, to those that
            request them.

        Returns
        -------
        self : object
            The fitted classifier. If `fit` fails it is left as it was before.
        """
        self._check_parameters()
        labels = check_labels(y, estimator=type(self).__name__)
        weight = check_weights(sample_weight, len(labels))
        clusters = check_groups(groups, len(labels))
        if self.estimators is None:
            if params:
                raise TypeError(f"fit got {sorted(params)}, but there is no estimator to fit.")
            rows, fitted = self._read_blocks(Labelled(check_blocks(X), labels, weight, clusters))
        else:
            (X,) = indexable(X)
            labelled = Labelled(X, labels, weight, clusters)
            rows, fitted = self._read_members(labelled, sample_weight, groups, params)
        for member in rows.members:
            member.refuse_bad_rows()
        fitted |= self._fit_on(rows)
        unfitted = {name: value for name, value in vars(self).items() if name[-1] != "_"}
        self.__dict__ = unfitted | fitted
        return self

    def predict(self, X: Any) -> NDArray:
        """Labels of the likeliest classes, the first on ties.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame
            As in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    @abstractmethod
    def predict_proba(self, X: Any) -> NDArray:
        """Probabilities.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame
            As in `fit`.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns follow `classes_`.
        """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters, and those of the members under ``name__parameter``.

        Parameters
        ----------
        deep : bool, default=True
            Whether to return those of the members too.

        Returns
        -------
        params : dict
        """
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters, members by their names, and theirs by ``name__parameter``.

        Parameters
        ----------
        **params : dict
            Parameters and their values.

        Returns
        -------
        self : object
        """
        self._set_params("estimators", **params)
        return self

    def get_metadata_routing(self) -> MetadataRouter:
        """Who is asked for metadata: this object, the members and the splitter.

        Returns
        -------
        routing : MetadataRouter
        """
        router = MetadataRouter(owner=self).add_self_request(self)
        fit = MethodMapping().add(caller="fit", callee="fit")
        for place, (_, member) in enumerate(self.estimators or []):
            router.add(**{_key(place): member}, method_mapping=fit)
        split = MethodMapping().add(caller="fit", callee="split")
        return router.add(splitter=self.cv, method_mapping=split)

    @property
    def named_estimators_(self) -> dict[str, Any]:
        """Fitted members by name."""
        check_is_fitted(self)
        names = [name for name, _ in self.estimators or []]
        return dict(zip(names, self.estimators_, strict=True))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        if not self.estimators:
            tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
            return tags
        of_members = [get_tags(member).input_tags for _, member in self.estimators]
        tags.input_tags = of_members[0]
        for name in ("sparse", "allow_nan"):
            setattr(tags.input_tags, name, all(getattr(t, name) for t in of_members))
        return tags

    def _check_parameters(self) -> None:
        check_parameters(self)
        if self.estimators is None:
            return
        pairs = [pair for pair in self.estimators if isinstance(pair, tuple) and len(pair) == 2]
        if len(pairs) < len(self.estimators) or not pairs:
            raise ValueError(
                f"estimators must be a list of (name, estimator) tuples, got {self.estimators!r}."
            )
        self._validate_names([name for name, _ in pairs])
        for name, member in pairs:
            if not hasattr(member, "fit") or isinstance(member, type):
                raise TypeError(f"estimators must hold classifiers, {name!r} is {member!r}.")

    def _member_names(self) -> list[str]:
        """What to call the members in a table; score blocks have numbers."""
        return [name for name, _ in self.estimators or []] or [
            str(place) for place in range(self.n_members_)
        ]

    def _member_scores(self, X: Any, place: int) -> Scores:
        """What one fitted member says of X."""
        if self.estimators is not None:
            return read_scores(
                self.estimators_[place], X, self.response_methods_[place], self.classes_
            )
        blocks = check_blocks(X)
        expected = (self.n_members_, len(self.classes_))
        if blocks.shape[1:] != expected:
            raise ValueError(
                f"X has blocks of shape {blocks.shape[1:]}, but {type(self).__name__} is expecting "
                f"{expected}, members and classes."
            )
        return block_scores(blocks, place, self.response_method, self.column_order_)

    def _read_blocks(self, labelled: Labelled) -> tuple[MemberRows, dict[str, Any]]:
        """Scores that X holds itself, and what reading them teaches."""
        blocks, labels = labelled.X, labelled.labels
        check_same_length(len(blocks), labels)
        columns = check_column_classes(self.classes, blocks.shape[2], labels)
        rows, order = rows_of_blocks(blocks, labelled, columns, self.response_method)
        return rows, {
            "classes_": rows.first.classes,
            "column_order_": order,
            "n_members_": len(rows.members),
        }

    def _read_members(
        self,
        labelled: Labelled,
        sample_weight: ArrayLike | None,
        groups: ArrayLike | None,
        params: dict[str, Any],
    ) -> tuple[MemberRows, dict[str, Any]]:
        """Scores by members, each held out from the rows it scores, or frozen."""
        X, labels = labelled.X, labelled.labels
        if self.classes is not None:
            raise classes_beside_estimator(self.classes)
        check_same_length(count_rows(X), labels)
        members = [member for _, member in self.estimators or []]
        methods = [choose_method(member, self.response_method) for member in members]
        if params and all(map(is_frozen, members)):
            raise TypeError(f"fit got {sorted(params)}, but frozen estimators are not fitted.")
        fit_params, split_params = self._routed(sample_weight, groups, params)
        options = {"cv": self.cv, "split_params": split_params, "n_jobs": self.n_jobs}
        rows = rows_of_members(members, methods, fit_params, labelled, **options)
        fitted = [
            member if is_frozen(member) else clone(member).fit(X, labels, **member_params)
            for member, member_params in zip(members, fit_params, strict=True)
        ]
        features = ("n_features_in_", "feature_names_in_")
        return rows, {
            "classes_": rows.first.classes,
            "estimators_": fitted,
            "response_methods_": methods,
            "n_members_": len(fitted),
            **{name: getattr(fitted[0], name) for name in features if hasattr(fitted[0], name)},
        }

    def _routed(
        self, sample_weight: ArrayLike | None, groups: ArrayLike | None, params: dict[str, Any]
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Parameters of each member's `fit` and of the splitter's `split`."""
        members = self.estimators or []
        if get_config()["enable_metadata_routing"]:
            named = {"sample_weight": sample_weight, "groups": groups}
            given = {name: value for name, value in named.items() if value is not None}
            routed = process_routing(self, "fit", **given, **params)
            fit_params = [dict(routed[_key(place)].fit) for place in range(len(members))]
            return fit_params, dict(routed.splitter.split)
        fit_params = [dict(params) for _ in members]
        if sample_weight is not None:
            for (name, member), member_params in zip(members, fit_params, strict=True):
                if has_fit_parameter(member, "sample_weight"):
                    member_params["sample_weight"] = sample_weight
                elif not is_frozen(member):
                    warnings.warn(
                        f"{type(member).__name__}.fit takes no sample_weight: the weights are "
                        f"not used to fit {name!r}.",
                        UserWarning,
                        stacklevel=4,
                    )
        return fit_params, {} if groups is None else {"groups": groups}


def _key(place: int) -> str:
    """A member's name in the router, where its own might be taken."""
    return f"member_{place}"
