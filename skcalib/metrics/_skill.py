"""Skill scores: how much better than a reference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._validation import (
    Predictions,
    check_numeric,
    check_predictions,
    check_probabilities,
    check_unit_interval,
)
from skcalib.metrics._brier import brier_scores
from skcalib.metrics._log_loss import log_losses


def brier_skill_score(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    reference: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> float:
    """Share of a reference's Brier score that the predicted probabilities save.

    ``1 - S / S_reference``, with S the :func:`brier_score`. Greater is better: 1 is perfect, 0 as
    good as the reference, less than 0 worse. Unlike the score it can be compared between data sets
    of different base rates. :func:`sklearn.metrics.d2_brier_score` has the same number where the
    reference is the base rates.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities, one column per class in the order of the sorted labels; for two
        classes those of `pos_label` alone will do.
    reference : array-like of shape (n_classes,), (n_samples, n_classes) or (n_samples,), \
            default=None
        What to compare with: base rates, such as those of the training rows, one per class in the
        order of the sorted labels; or the probabilities of another model, in the forms of
        `y_proba`. None is the base rates of `y_true` itself.
    sample_weight : array-like of shape (n_samples,), default=None
        How many rows each row counts for; None is one each.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        The class that `y_proba` or `reference` of shape (n_samples,) is the probability of; None
        is the greater of {0, 1}, {-1, 1}, {False, True} or two `labels`.

    Returns
    -------
    skill : float
        The skill score, at most 1.

    Raises
    ------
    ValueError
        If the reference is perfect: so are the base rates of labels that are all the same. If the
        arguments do not describe labels and probabilities, as the head of :mod:`skcalib.metrics`
        says.

    References
    ----------
    A. H. Murphy, Skill scores based on the mean square error and their relationships to the
    correlation coefficient, Monthly Weather Review 116 (1988).

    Examples
    --------
    The base rate of 1/2 scores ``.25``, the probabilities ``(.1**2 + .4**2) / 2 = .085``:

    >>> from skcalib.metrics import brier_skill_score
    >>> brier_skill_score([0, 1], [0.1, 0.6])
    0.66
    """
    return _skill(brier_scores, y_true, y_proba, reference, sample_weight, labels, pos_label)


def log_loss_skill_score(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    reference: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> float:
    """Share of a reference's log loss that the predicted probabilities save.

    ``1 - S / S_reference``, with S the log loss. Greater is better: 1 is perfect, 0 as good as the
    reference, less than 0 worse. :func:`sklearn.metrics.d2_log_loss_score` has the same number
    where the reference is the base rates. A probability of 0 counts as 2**-52.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities; see :func:`brier_skill_score`, as for all that follow.
    reference : array-like of shape (n_classes,), (n_samples, n_classes) or (n_samples,), \
            default=None
        Base rates, or the probabilities of another model. None is the base rates of `y_true`.
    sample_weight : array-like of shape (n_samples,), default=None
        How many rows each row counts for; None is one each.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        The class that `y_proba` or `reference` of shape (n_samples,) is the probability of.

    Returns
    -------
    skill : float
        The skill score, at most 1.

    Raises
    ------
    ValueError
        As :func:`brier_skill_score`.

    Examples
    --------
    Of the base rate's ``log(2)`` per row the probabilities leave ``log(4 / 3)``, which is .415 of
    it:

    >>> from skcalib.metrics import log_loss_skill_score
    >>> log_loss_skill_score([0, 1], [0.25, 0.75])
    0.585
    """
    return _skill(log_losses, y_true, y_proba, reference, sample_weight, labels, pos_label)


def _skill(
    row_scores: Callable[[Predictions], NDArray],
    y_true: ArrayLike,
    y_proba: ArrayLike,
    reference: ArrayLike | None,
    sample_weight: ArrayLike | None,
    labels: ArrayLike | None,
    pos_label: bool | int | float | str | None,
) -> float:
    checked = check_predictions(
        y_true, y_proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
    )
    compared = checked._replace(proba=_reference_proba(checked, reference))
    score, of_reference = (
        np.average(row_scores(of), weights=checked.weight) for of in (checked, compared)
    )
    if of_reference == 0:
        cause = (
            "every row of y_true is of one class, which its base rates predict. Pass reference, "
            "for instance the base rates of the training rows"
            if reference is None
            else "it gives what happened the probability 1 in every row. Pass another reference"
        )
        raise ValueError(f"The reference is perfect, and skill is not defined: {cause}.")
    return float(1 - score / of_reference)


def _reference_proba(checked: Predictions, reference: ArrayLike | None) -> NDArray:
    """Probabilities (n, K) of the reference."""
    n_rows, n_classes = shape = checked.proba.shape
    if reference is None:
        count = np.bincount(checked.y_index, checked.weight, n_classes)
        return np.broadcast_to(count / count.sum(), shape)
    values = check_numeric(reference, "reference")
    if n_rows == n_classes == 2 and values.shape == (2,):
        raise ValueError(
            "reference of shape (2,) may be the base rates of two classes or the probabilities of "
            "two rows. Pass shape (2, 2), one row per sample."
        )
    if values.shape == (n_classes,):
        return np.broadcast_to(check_probabilities(values[None], "reference")[0], shape)
    if n_classes == 2 and values.shape in ((n_rows,), (n_rows, 1)):
        p = values.reshape(n_rows)
        check_unit_interval(p[:, None], "reference")
        return np.stack([1 - p, p] if checked.positive else [p, 1 - p], axis=1)
    if values.shape != shape:
        raise ValueError(
            f"reference must have shape ({n_classes},), one base rate per class, or that of "
            f"the probabilities of every row, {shape}, got {values.shape}."
        )
    return check_probabilities(values, "reference")
