"""What reward each temperature would have brought, by regressions that have not seen the row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skcalib._validation import column_values, holds_categories, split_rows
from skcalib.monitoring._logs import Logs
from skcalib.monitoring._ridge import fit_ridge


def context_encoder(X: Any) -> ColumnTransformer:
    """Unfitted: categories as one column for each, numbers standardised, missing ones filled in."""
    shape = np.shape(X)
    if len(shape) != 2:
        raise ValueError(f"X must have shape (n_samples, n_features), got {shape}.")
    places = range(shape[1])
    words = [p for p in places if holds_categories(column_values(X, p), str(p))]
    numbers = [p for p in places if p not in words]
    return ColumnTransformer(
        [
            ("words", OneHotEncoder(handle_unknown="ignore", sparse_output=False), words),
            (
                "numbers",
                make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler()),
                numbers,
            ),
        ],
        sparse_threshold=0,
    )


def as_features(encoded: Any) -> NDArray:
    """What an encoder made as an array (n, p)."""
    dense = encoded.toarray() if hasattr(encoded, "toarray") else encoded
    return np.asarray(dense, dtype=np.float64)


def cross_fitted_rewards(
    model: Any, X: Any, logs: Logs, n_folds: int, random_state: RandomState
) -> NDArray:
    """Reward expected of each row at each temperature, (n, A), by models of the other folds.

    One regression for each temperature: what is linear in the context may differ between them.
    Without a `model`, a ridge regression with weights 1 / g: it then fits all contexts, and not
    those in which the temperature was frequent.
    """
    if model is None:
        X = context_encoder(X).fit_transform(X)
    fold = _folds(logs, n_folds, random_state)
    expected = np.empty((len(logs.reward), len(logs.temperatures)))
    for number in range(fold.max() + 1):
        held_out = np.flatnonzero(fold == number)
        for action in range(len(logs.temperatures)):
            rows = np.flatnonzero((fold != number) & (logs.action == action))
            if len(rows) < 2:
                # Any number leaves the estimate unbiased; the mean of other temperatures is near.
                rows = rows if len(rows) else np.flatnonzero(fold != number)
                expected[held_out, action] = logs.reward[rows].mean()
            elif model is None:
                coefficients, (level,) = fit_ridge(
                    X[rows], logs.reward[rows, None], 1 / logs.propensity[rows]
                )
                expected[held_out, action] = X[held_out] @ coefficients[:, 0] + level
            else:
                expected[held_out, action] = _predicted(model, X, logs, rows, held_out)
    return expected


def _predicted(model: Any, X: Any, logs: Logs, rows: NDArray, held_out: NDArray) -> NDArray:
    """Rewards of the rows `held_out`, by a model of `rows`."""
    fitted = clone(model).fit(*split_rows(model, X, logs.reward, rows))
    predicted = np.asarray(fitted.predict(split_rows(model, X, None, held_out)[0]))
    if predicted.shape != held_out.shape or not np.isfinite(predicted).all():
        raise ValueError(
            f"outcome_model must predict one finite number per row, got {type(model).__name__}, "
            f"whose predictions have shape {predicted.shape} or are not finite."
        )
    return predicted


def _folds(logs: Logs, n_folds: int, random_state: RandomState) -> NDArray:
    """Fold of each row, (n,): at random, clusters whole."""
    codes = np.arange(len(logs.reward)) if logs.clusters is None else logs.clusters
    n_units = int(codes.max()) + 1
    if n_units < 2:
        raise ValueError(
            "Two rows (with clusters, two of them) are needed to predict rewards of held-out "
            f"rows, got {n_units}."
        )
    return (random_state.permutation(n_units) % min(n_folds, n_units))[codes]


def doubly_robust_scores(logs: Logs, expected: NDArray) -> NDArray:
    """`m_a(x) + 1{a used} (r - m_a(x)) / g` of each row and temperature, (n, A).

    Their mean over rows is without bias for the mean reward at each temperature, if the
    propensities g are right, whatever the expected rewards m are.
    """
    scores = expected.copy()
    rows = np.arange(len(scores))
    scores[rows, logs.action] += (logs.reward - expected[rows, logs.action]) / logs.propensity
    return scores
