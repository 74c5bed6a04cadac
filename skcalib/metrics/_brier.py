"""The Brier score."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skcalib._kernels._brier import squared_error
from skcalib._validation import Predictions, StrOptions, check_options, check_predictions

_CONSTRAINTS = {"scale_by_half": [StrOptions({"auto"}), "boolean"]}


def brier_score(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    scale_by_half: bool | str = "auto",
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> float:
    """Mean squared distance between predicted probabilities and what happened.

    The mean over rows of the sum over classes of ``(p - [true class])**2``, between 0 and 2. For
    two classes the sum counts the same error twice, so half of it is taken by default. Smaller is
    better. A proper score: no prediction but the true probabilities has a smaller expectation.

    The numbers are those of :func:`sklearn.metrics.brier_score_loss`; for more than two classes
    and for `scale_by_half` that takes scikit-learn 1.7.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities, one column per class in the order of the sorted labels; for two
        classes those of `pos_label` alone will do.
    scale_by_half : bool or "auto", default="auto"
        Whether to halve the score, so that it lies between 0 and 1. "auto" does so for two classes
        and not for more.
    sample_weight : array-like of shape (n_samples,), default=None
        How many rows each row counts for; None is one each.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        The class that `y_proba` of shape (n_samples,) is the probability of; None is the greater
        of {0, 1}, {-1, 1}, {False, True} or two `labels`.

    Returns
    -------
    score : float
        The Brier score.

    Raises
    ------
    ValueError
        If the arguments do not describe labels and probabilities, as the head of
        :mod:`skcalib.metrics` says.

    References
    ----------
    G. W. Brier, Verification of forecasts expressed in terms of probability, Monthly Weather
    Review 78 (1950), equation 2.

    Examples
    --------
    Two classes, ``(.1**2 + .4**2) / 2``; three, ``.5**2 + .3**2 + .2**2``:

    >>> from skcalib.metrics import brier_score
    >>> brier_score([0, 1], [0.1, 0.6])
    0.085
    >>> brier_score(["a"], [[0.5, 0.3, 0.2]], labels=["a", "b", "c"])
    0.38
    """
    check_options(_CONSTRAINTS, "brier_score", scale_by_half=scale_by_half)
    checked = check_predictions(
        y_true, y_proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
    )
    return float(np.average(brier_scores(checked, scale_by_half), weights=checked.weight))


def brier_scores(checked: Predictions, scale_by_half: bool | str = "auto") -> NDArray:
    """Score of each row, (n,) float64."""
    scores = squared_error(checked.proba, checked.y_index)
    halved = len(checked.classes) == 2 if scale_by_half == "auto" else scale_by_half
    return scores / 2 if halved else scores
