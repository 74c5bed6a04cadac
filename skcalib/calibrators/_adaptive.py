"""Adaptive temperature scaling: a temperature for each context, shrunk to that of all rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._validation import ColumnName, HasMethods, Interval, StrOptions, check_columns
from skcalib.calibrators._adaptive_fit import Settings, fit_map, update_map
from skcalib.calibrators._adaptive_map import AdaptiveMap, rules_table
from skcalib.calibrators._adaptive_summary import (
    TemperatureSummary,
    summary_of,
    summary_of_rules,
)
from skcalib.calibrators._context import NO_CONTEXT, ContextReader, context_of, fit_reader
from skcalib.calibrators._map import refuse_nan_rows
from skcalib.calibrators._online import OnlineCalibrator, require_one_map
from skcalib.calibrators._reading import ScoreReader
from skcalib.calibrators._rows import CalibrationRows
from skcalib.calibrators._rules import check_rules
from skcalib.calibrators._temperature_table import TemperatureTable


class AdaptiveTemperatureScaling(OnlineCalibrator):
    """Calibrate a classifier by a temperature that depends on the row's context.

    A language model is more overconfident on one kind of question than on another, a classifier of
    languages more on long texts than on short ones. Probabilities are ``softmax(z / T(row))`` with
    ``log T(row) = log prior(row) + features(row) . w``, fitted on held-out rows by log loss [1]_.
    How far contexts may differ is decided by the rows: contexts that carry nothing get the same T,
    one of few rows stays near the others. The predicted class stays, whatever the context.

    Context stands in columns of X, so that pipelines, scorers and grid searches need not know of
    it. A context that is missing or was never seen gets the T of the average row.

    Parameters
    ----------
    estimator : estimator, default=None
        The classifier to calibrate; it is cross-fitted unless frozen. With None, the columns of X
        that are not context are the scores of some model. See :class:`TemperatureScaling` for
        this and the other parameters without a note.
    context : str, int, list of these, or transformer, default=None
        Columns of X that T may depend on, by name or position; or a transformer that makes them
        out of X, fitted along. Where X holds scores, or `pass_context` is False, it must be a
        :class:`~sklearn.compose.ColumnTransformer`, which says what columns it reads. None gives
        one T for all rows, but for `score_features`.
    categorical_features : "from_dtype", or str, int or list of these, default="from_dtype"
        Which columns of the context hold categories. By type these are strings, booleans,
        "category", and objects unless all of them are numbers; everything else is a number. Name
        codes of categories here.
    score_features : bool, default=False
        Whether T depends on the row's own scores too: on the log entropy, the margin between the
        two likeliest classes and the spread of log-probabilities, at one T for all rows. It helps
        some models and hurts others: compare by cross-validation.
    pass_context : bool, default=True
        Whether the estimator gets the columns of the context too. False for one that was trained
        without them.
    prior : float, dict or callable, default=1.0
        Rules: the temperature before any data. A dict gives it by category, ``{"medical": 0.7}``,
        or with several columns ``{column: {category: T}}``; a category without a rule gets their
        geometric mean. A function gets a row's context as a dict by column, with None for what is
        missing. Rules are averaged
        with the same rules up to a factor, and with none, by what the rows say of each: good
        rules make up for hundreds of rows, wrong ones are dropped.
    alpha : float, default=1.0
        Precision of the prior on log T of the average row, above 0, in rows.
    bounds : pair of floats, default=None
        The least and the largest temperature to serve; a largest of None stands for none.
    max_change : float, default=None
        How far, in log T, `fit` and `partial_fit` may move any context from what was served
        before: by the last fit, or by rules by category without one. 0.1 is about 10 %. `summary`
        shows what is held back. With several columns in the context each gets an equal share of
        it. Not for ensembles.
    forget : float, default=1.0
        For `partial_fit`: how much a row counts beside the next one, above 0 and at most 1.
    response_method : {"auto", "decision_function", "predict_proba", "predict_log_proba"}, \
            default="auto"
        What the scores are.
    classes : array-like of shape (n_classes,), default=None
        Without an estimator: the label of each column of scores.
    smoothing : "auto" or float, default="auto"
        For probabilities, the share of uniform mixed in before the logarithm, the same for all.
    cv : int, cross-validation generator or iterable, default=None
        How rows are held out; None means 5 stratified folds.
    ensemble : bool or "auto", default=False
        Whether to average a pair of estimator and map for each fold.
    n_jobs : int, default=None
        Folds fitted in parallel.

    Attributes
    ----------
    temperature_ : float
        T of a row whose context is unknown. This and the attributes up to `log_loss_after_`, and
        `estimator_`, exist unless an ensemble was fitted.
    temperature_interval_ : ndarray of shape (2,)
        95 % interval for it.
    spreads_ : dict
        How far log T differs between the levels of each column, or along all "numbers" or "score
        features" together: a standard deviation, 0.02 to 0.8.
    overdispersion_ : float
        How much more the losses vary than the model says, at least 1: a row counts for one over
        it. Rows of a group that are alike raise it, if `fit` is given `groups`.
    rule_trust_ : float or None
        How far rules are trusted, 0 to 1; None without rules.
    smoothing_ : float
        The share of uniform; 0 for logits.
    n_iter_ : int
        Passes over the rows.
    log_loss_before_, log_loss_after_ : float
        Mean log loss of the calibration rows at T = 1 without smoothing, and as served; after
        `partial_fit` of the rows of the last call.
    classes_ : ndarray of shape (n_classes,)
        Sorted labels.
    estimator_ : estimator
        The wrapped estimator, fitted on all rows. Not with ``estimator=None``.
    calibrator_ : object
        The fitted map from scores and context to probabilities.
    calibrated_classifiers_ : list
        The pairs of an ensemble, instead of the above.
    context_reader_ : object
        Reads the context from X. Only with a `context`.
    response_method_ : str
        The method whose output is read.
    column_order_ : ndarray of shape (n_classes,)
        Without an estimator: the column among the scores that each of `classes_` stands in.
    n_features_in_ : int
        Number of columns of X, context included.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if they all are strings.

    Raises
    ------
    ValueError, TypeError
        By `fit` and the predicting methods, besides what :class:`TemperatureScaling` raises: for
        columns of the context that X lacks, for rules that are not positive or not of a column of
        the context, and for numbers that turn out to be something else.

    See Also
    --------
    TemperatureScaling : One temperature for all rows.
    skcalib.decoding.ContextPolicy : Serves the table, to a language model for one.

    Notes
    -----
    Features are an intercept, for each column of categories its levels less their shares, and
    numbers that are standardised and held to the range of the calibration rows. Coefficients of a
    column are ``N(0, s^2)``, those of k numbers ``N(0, s^2 / k)``. The spread s is averaged over
    six values by the evidence of the rows under a Laplace approximation; rows count one over the
    overdispersion, which keeps contexts that carry nothing from costing anything.

    Rows of one recording, document or patient are alike. If contexts and these coincide, name
    them in ``fit(..., groups=...)``: without that a context's T may be the one recording's. A
    context that is new when serving is a risk; it is served the average row's T.

    Of a column's levels the 500 with the most rows have a T of their own, and the average row's
    is served for the others.

    References
    ----------
    .. [1] Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
       section 4.2, for one temperature.
    .. [2] MacKay, "Bayesian Interpolation", Neural Computation 4, 1992: the evidence.

    Examples
    --------
    A model that says 98 % is right nine times in ten on one kind of question, six times in ten on
    the other:

    >>> import numpy as np
    >>> import pandas as pd
    >>> from skcalib import AdaptiveTemperatureScaling
    >>> kind = np.repeat(["easy", "hard"], 1000)
    >>> y = np.concatenate([np.arange(1000) >= 100, np.arange(1000) >= 400]).astype(int)
    >>> X = pd.DataFrame({"no": 0.0, "yes": 4.0, "kind": kind})
    >>> model = AdaptiveTemperatureScaling(context="kind", classes=[0, 1]).fit(X, y)
    >>> model.predict_temperature({"kind": "easy"})  # 4 / log(0.9 / 0.1) is 1.82
    1.83
    >>> model.predict_temperature({"kind": "hard"})  # 4 / log(0.6 / 0.4) is 9.87
    9.22
    >>> model.predict_proba(X.iloc[[0, 1000]]).round(2)
    array([[0.1 , 0.9 ],
           [0.39, 0.61]])

    Rules serve before there are data:

    >>> rules = AdaptiveTemperatureScaling(context="kind", prior={"easy": 1.5, "hard": 6.0})
    >>> rules.predict_temperature({"kind": "hard"})
    6.0
    >>> rules.predict_temperature({"kind": "unheard of"})  # the root of 1.5 * 6
    3.0
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **OnlineCalibrator._parameter_constraints,
        "context": [str, int, "array-like", HasMethods(["fit", "transform"]), None],
        "categorical_features": [str, int, "array-like"],
        "score_features": ["boolean"],
        "pass_context": ["boolean"],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "smoothing": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
        "max_change": [Interval(Real, 0, None, closed="neither"), None],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        context: Any = None,
        categorical_features: Any = "from_dtype",
        score_features: bool = False,
        pass_context: bool = True,
        prior: Any = 1.0,
        alpha: float = 1.0,
        bounds: tuple[float, float] | None = None,
        max_change: float | None = None,
        forget: float = 1.0,
        response_method: str = "auto",
        classes: ArrayLike | None = None,
        smoothing: float | str = "auto",
        cv: Any = None,
        ensemble: bool | str = False,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.context = context
        self.categorical_features = categorical_features
        self.score_features = score_features
        self.pass_context = pass_context
        self.prior = prior
        self.alpha = alpha
        self.bounds = bounds
        self.max_change = max_change
        self.forget = forget
        self.response_method = response_method
        self.classes = classes
        self.smoothing = smoothing
        self.cv = cv
        self.ensemble = ensemble
        self.n_jobs = n_jobs

    def predict_temperature(self, X: Any) -> Any:
        """The temperature that each row's scores are divided by.

        Parameters
        ----------
        X : array-like, data frame, or mapping
            As in `fit`; only the context is read of it, unless `score_features` are used. One row's
            context may be passed alone, as a mapping of column to value with None for what is
            unknown: answered in microseconds.

        Returns
        -------
        temperature : ndarray of shape (n_samples,), or float for a mapping
            Within `bounds`, and as `max_change` allows.

        Raises
        ------
        NotFittedError
            Before `fit`, unless there are rules: these are served as they are.
        ValueError
            If X lacks a column of the context, or if T depends on scores that a mapping lacks.
        """
        if isinstance(X, Mapping):
            table = self._table()
            if table.needs_scores or self.score_features:
                raise ValueError(
                    "with score_features the temperature depends on the row's scores: pass X as "
                    "in fit, not a mapping."
                )
            return table.of_row(X)
        if not hasattr(self, "calibrator_"):
            return self._table().of_rows(self._rules_reader().context(X), None)
        if self.calibrator_.table.needs_scores:
            scores = self._scores(X)
            temperature = self.calibrator_.temperatures(scores)
            return refuse_nan_rows(temperature[:, None], scores)[:, 0]
        return self.calibrator_.table.of_rows(self._context_reader.context(X), None)

    def predict_temperature_interval(self, X: Any) -> NDArray:
        """95 % intervals for each row's temperature.

        They are those of the temperature that the rows of `fit` ask for, before `bounds` and
        `max_change`. Their width is the largest that three estimates give: the posterior averaged
        over shrinkage; hardly shrunk contexts; and the sandwich, each of the latter with what
        shrinkage moved. A level that no row had gets the interval of the average row.

        Parameters
        ----------
        X : array-like or data frame
            As in `fit`.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2)
        """
        require_one_map(self)
        if self.calibrator_.table.needs_scores:
            scores = self._scores(X)
            context, features = context_of(scores), self.calibrator_.features(scores)
        else:
            context, features = self._context_reader.context(X), None
        return self.calibrator_.intervals(context, features)

    def to_table(self) -> dict[str, Any]:
        """What is served, as plain lists, dicts, strings and numbers.

        ``json.dumps`` writes it, and :class:`skcalib.decoding.ContextPolicy` serves from it with
        nothing else. log T of a row is ``log_temperature`` plus, for each column of categories,
        the number beside the row's level (``others`` for a level that is not there, or a missing
        one) plus, for each column of numbers, the height of a line between knots (flat outside;
        nothing if missing). T is then held within ``bounds``.

        Returns
        -------
        table : dict

        Raises
        ------
        NotFittedError
            Before `fit`, unless there are rules.
        ValueError
            If `prior` is a function.
        """
        return self._table().to_dict()

    def summary(self) -> TemperatureSummary:
        """What is served and why, one row for each context: for somebody who must sign it.

        Returns
        -------
        summary : Table
            Prints, shows in notebooks, and has `to_frame()`. For each level of each column, the
            others at the average row's: the temperature served, its 95 % interval, how many rows
            there were, what the rule says, and whether `bounds` or `max_change` clipped it.
        """
        if hasattr(self, "calibrator_"):
            return summary_of(self.calibrator_)
        return summary_of_rules(self._table())

    def _table(self) -> TemperatureTable:
        """What is served: fitted, or before any data by rules alone."""
        if hasattr(self, "calibrator_"):
            return self.calibrator_.table
        if hasattr(self, "calibrated_classifiers_"):
            require_one_map(self)
        self._check_parameters()
        columns = self._named_columns()
        rules = check_rules(self.prior, columns)
        if not rules:
            require_one_map(self)
        return rules_table(rules, self._bounds(), columns or ())

    def _named_columns(self) -> tuple[ColumnName, ...] | None:
        """Columns of the context, if they are known without data."""
        if hasattr(self.context, "transform"):
            return None
        return () if self.context is None else check_columns(self.context, "context")

    def _rules_reader(self) -> ContextReader:
        """Before any data, columns hold categories if they have rules."""
        columns = self._named_columns()
        if columns is None:
            require_one_map(self)
        columns = columns or ()
        ruled = check_rules(self.prior, columns).by_level
        return ContextReader(columns, {name: name in ruled for name in columns})

    def _bounds(self) -> tuple[float, float]:
        return _check_bounds(self.bounds)

    @property
    def _context_reader(self) -> ContextReader:
        return getattr(self, "context_reader_", NO_CONTEXT)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        _check_bounds(self.bounds)
        if self.max_change is not None and callable(self.prior):
            raise ValueError(
                "max_change needs to know how far every context moves, which a prior that is a "
                "function does not tell. Pass rules as a dict, or max_change=None."
            )
        if self.max_change is not None and not self._needs_no_folds() and self.ensemble:
            raise _nothing_to_count_from("an ensemble")

    def _reader(self, X: Any, labels: NDArray | None, wrapper: ScoreReader) -> ContextReader:
        if wrapper is not self and self.max_change is not None:
            raise _nothing_to_count_from(f"a {type(wrapper).__name__}")
        reader = fit_reader(
            self.context,
            self.categorical_features,
            X,
            labels,
            on_scores=wrapper.estimator is None,
            in_estimator=self.pass_context,
        )
        kinds = reader.is_category or {}
        check_rules(self.prior, [name for name, category in kinds.items() if category])
        return reader

    def _fit_map(self, rows: CalibrationRows) -> AdaptiveMap:
        return fit_map(rows, self._settings(), self._served_before(rows))

    def _served_before(self, rows: CalibrationRows) -> TemperatureTable | None:
        """What `max_change` counts from: the last fit, or rules that served without one."""
        if self.max_change is None:
            return None
        context = rows.context
        if hasattr(self, "calibrator_"):
            table = self.calibrator_.table
            same = set(table.columns) <= {*context.categories, *context.numbers}
            return table if same else None
        rules = check_rules(self.prior, list(context.categories))
        return rules_table(rules, self._bounds(), ()) if rules.by_level else None

    def _update_map(self, served: AdaptiveMap, rows: CalibrationRows, keep: float) -> AdaptiveMap:
        return update_map(rows, self._settings(), served, keep)

    def _refuse_changes(self) -> None:
        served: AdaptiveMap = self.calibrator_
        categories = [column.name for column in served.encoder.categories]
        changed = {
            "prior": check_rules(self.prior, categories) != served.rules,
            "score_features": self.score_features != served.table.needs_scores,
        }
        for name, is_other in changed.items():
            if is_other:
                raise ValueError(
                    f"{name} is not what it was when the fit began, and partial_fit goes on with "
                    "that. Call fit to begin anew."
                )

    def _settings(self) -> Settings:
        return Settings(
            prior=self.prior,
            alpha=self.alpha,
            smoothing=self.smoothing,
            score_features=self.score_features,
            bounds=self._bounds(),
            max_change=self.max_change,
        )


def _check_bounds(bounds: Any) -> tuple[float, float]:
    """Two temperatures; None stands for none, and so does a high of None."""
    if bounds is None:
        return 0.0, math.inf
    pair = list(bounds) if isinstance(bounds, Sequence | np.ndarray) else [bounds]
    if len(pair) == 2 and pair[1] is None:
        pair[1] = math.inf
    numbers = all(isinstance(end, Real) and not isinstance(end, bool) for end in pair)
    if not numbers or len(pair) != 2 or not 0 <= pair[0] <= pair[1] or not pair[1] > 0:
        raise ValueError(
            "bounds must be a pair of temperatures, 0 <= low <= high, or None for none, got "
            f"{bounds!r}."
        )
    return float(pair[0]), float(pair[1])


def _nothing_to_count_from(what: str) -> ValueError:
    return ValueError(
        f"max_change needs to know what was served before, which {what} does not keep. Use "
        "AdaptiveTemperatureScaling(estimator, ensemble=False), or max_change=None."
    )
