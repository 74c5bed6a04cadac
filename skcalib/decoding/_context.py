"""A temperature by context: fast answers from a table, refined by a calibrator behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._kernels._blocks import Logits
from skcalib._kernels._score_features import score_features
from skcalib.calibrators import AdaptiveTemperatureScaling
from skcalib.calibrators._temperature_table import TemperatureTable
from skcalib.decoding._checks import refuse_bad_rows
from skcalib.decoding._policy import Policy


class ContextPolicy(Policy):
    """Two layers: a table that answers in microseconds, and a calibrator that refines it.

    The table holds what rules say, ``prior={"medical": 0.7, "story": 1.3}``, and is all that
    serving needs: it goes to a gateway as JSON and comes back with the same answers. Behind it
    :class:`~skcalib.AdaptiveTemperatureScaling` learns from labelled rows, at night or as they
    come, and moves the table as far as they say and its `bounds` and `max_change` allow.

    Called as a policy, `context` is a mapping ``{column: value}``, or a sequence of one for each
    row; a value that is None or was never seen, and a context of None, get the T of the average
    row. Answers change only in :meth:`fit` and :meth:`partial_fit`, all at once: conversations that
    are served meanwhile see the table from before or after.

    Fitted temperatures make probabilities true. As temperatures of a generation they are a start:
    multiply by what the behaviour should be, ``ContextPolicy(model) * 0.7``.

    Parameters
    ----------
    source : AdaptiveTemperatureScaling or mapping
        The calibrator, fitted or with rules; or a table that its `to_table` made, which serves and
        does not learn.

    Attributes
    ----------
    model : AdaptiveTemperatureScaling or None
        The calibrator behind the table.

    Raises
    ------
    NotFittedError
        If the calibrator is not fitted and has no rules.
    ValueError
        If a table is none or damaged; when called, for a context without one of the columns.

    See Also
    --------
    skcalib.AdaptiveTemperatureScaling : How the table is learned.
    Session : Holds the temperature steady through one conversation.

    Examples
    --------
    Cold start, by rules alone. A kind of which nobody has heard gets their geometric mean:

    >>> from skcalib import AdaptiveTemperatureScaling
    >>> from skcalib.decoding import ContextPolicy
    >>> rules = {"medical": 0.5, "story": 2.0}
    >>> policy = ContextPolicy(AdaptiveTemperatureScaling(context="kind", prior=rules))
    >>> policy.temperature({"kind": "medical"})
    0.5
    >>> policy([[1.0, 0.0], [0.0, 2.0]], context=[{"kind": "story"}, {"kind": "news"}])
    array([2., 1.])

    As JSON, and back:

    >>> served = ContextPolicy.from_json(policy.to_json())
    >>> served.temperature({"kind": "story"})
    2.0
    """

    def __init__(self, source: AdaptiveTemperatureScaling | Mapping[str, Any]) -> None:
        if isinstance(source, AdaptiveTemperatureScaling):
            self.model: AdaptiveTemperatureScaling | None = source
            self._table = source._table()
        elif isinstance(source, Mapping):
            self.model, self._table = None, TemperatureTable.from_dict(source)
        else:
            raise TypeError(
                "source must be an AdaptiveTemperatureScaling or a table that its to_table made, "
                f"got {source!r}. Rules go in as AdaptiveTemperatureScaling(context=..., "
                "prior=rules)."
            )

    def __repr__(self) -> str:
        return f"ContextPolicy({self.model!r})" if self.model else "ContextPolicy(<table>)"

    @property
    def reads_logits(self) -> bool:
        """Whether temperatures depend on the scores: with `score_features`."""
        return self._table.needs_scores

    def temperature(self, context: Mapping[Any, Any] | None = None) -> float:
        """The temperature of one context, without scores.

        Parameters
        ----------
        context : mapping of column to value, default=None
            None for a context of which nothing is known.

        Returns
        -------
        temperature : float
        """
        table = self._table  # once: another one may stand there a moment later
        if table.needs_scores:
            raise ValueError(
                "with score_features the temperature depends on the scores: call the policy with "
                "logits."
            )
        if not (context is None or isinstance(context, Mapping)):
            raise TypeError(
                f"context must be a mapping of {table.columns} to values, got {context!r}."
            )
        return table.of_row(_unknown(table) if context is None else context)

    def fit(self, X: Any, y: ArrayLike, **params: Any) -> Self:
        """Refine the table by fitting the calibrator.

        Parameters
        ----------
        X : array-like or data frame
            Scores with their context, or what the calibrator's estimator takes.
        y : array-like of shape (n_samples,)
            True labels: for a language model the token that came.
        **params : dict
            Passed to the calibrator's `fit`: `sample_weight`, `groups`.

        Returns
        -------
        self : ContextPolicy
        """
        self._table = self._learner().fit(X, y, **params)._table()
        return self

    def partial_fit(self, X: Any, y: ArrayLike, **params: Any) -> Self:
        """Refine the table by rows that came since.

        Parameters
        ----------
        X : array-like or data frame
            As in `fit`.
        y : array-like of shape (n_samples,)
            True labels.
        **params : dict
            Passed to the calibrator's `partial_fit`.

        Returns
        -------
        self : ContextPolicy
        """
        self._table = self._learner().partial_fit(X, y, **params)._table()
        return self

    def to_json(self) -> str:
        """The table as JSON: all that is needed to serve, with the same answers to the last bit.

        Returns
        -------
        text : str

        Raises
        ------
        ValueError
            If rules are a function, or if a category is no string, number or boolean.
        """
        return json.dumps(self._table.to_dict(), allow_nan=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """A policy that serves a table written by `to_json`. It does not learn.

        Parameters
        ----------
        text : str

        Returns
        -------
        policy : ContextPolicy

        Raises
        ------
        ValueError
            If the text is no JSON, or the table in it is none or damaged.
        """
        try:
            table = json.loads(text)
        except ValueError as error:
            raise ValueError(
                f"text must be what to_json wrote, got {text!r:.80}: {error}."
            ) from error
        return cls(table)

    def _learner(self) -> AdaptiveTemperatureScaling:
        if self.model is None:
            raise ValueError(
                "this policy was made from a table and does not learn. Refine the "
                "AdaptiveTemperatureScaling that the table came from, and write it again."
            )
        return self.model

    def _temperatures(self, logits: NDArray, step: NDArray, context: Any) -> ArrayLike:
        table, n_rows = self._table, len(logits)
        rows = _rows_of(context, n_rows, table)
        if not table.needs_scores:
            return [table.of_row(row) for row in rows] if len(rows) > 1 else table.of_row(rows[0])
        features = score_features(Logits(logits), table.score_temperature)
        refuse_bad_rows(logits, features[:, 0])
        of_context = np.array([table.log_target(row) for row in rows])
        return table.with_scores(of_context, features)


def _rows_of(context: Any, n_rows: int, table: TemperatureTable) -> list[Mapping[Any, Any]]:
    """One mapping for all rows, or one for each."""
    if context is None:
        return [_unknown(table)]
    if isinstance(context, Mapping):
        return [context]
    expected = f"context must be a mapping of {table.columns} to values, or a sequence of {n_rows}"
    if isinstance(context, str) or not isinstance(context, Sequence | np.ndarray):
        raise TypeError(f"{expected}, got {context!r}.")
    if len(context) != n_rows:
        raise ValueError(f"{expected}, one for each row of logits, got {len(context)}.")
    rows = [_unknown(table) if row is None else row for row in context]
    odd = [row for row in rows if not isinstance(row, Mapping)]
    if odd:
        raise TypeError(f"{expected} of them, got {odd[0]!r} among them.")
    return rows


def _unknown(table: TemperatureTable) -> dict[Any, None]:
    return dict.fromkeys(table.columns)
