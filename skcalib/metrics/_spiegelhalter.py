"""Spiegelhalter's test of the Brier score."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from skcalib._kernels._blocks import block_buffer, quiet_arithmetic, row_blocks, row_dot, row_sum
from skcalib._validation import Predictions, check_predictions

# Probabilities of one row that differ by this share are the same, rounded.
_SAME_PROBABILITY = 1e-13


class SpiegelhalterTest(NamedTuple):
    """Spiegelhalter's test whether predicted probabilities are the true ones.

    Parameters
    ----------
    z : float
        Distance of the Brier score from its expectation, in standard deviations; standard normal
        for true probabilities and many rows. Positive for overconfident ones.
    p_value : float
        Probability of a greater distance, to either side.
    """

    z: float
    p_value: float


def spiegelhalter_z(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> SpiegelhalterTest:
    """Test whether predicted probabilities are the true ones, by the Brier score.

    The Brier score of a row is ``sum_k p_k**2 - 2 p_y + 1``. If the probabilities are true p_y has
    the mean ``m = sum_k p_k**2`` and the variance ``sum_k p_k (p_k - m)**2``, so that

        z = sum (m - p_y) / sqrt(sum sum_k p_k (p_k - m)**2)

    is standard normal for many rows. For two classes this is Spiegelhalter's
    ``sum (y - p) (1 - 2 p) / sqrt(sum (1 - 2 p)**2 p (1 - p))``. It sees whether probabilities are
    too extreme (z > 0) or not extreme enough (z < 0), and little else: errors that leave the Brier
    score as expected escape it. Nothing is drawn; :func:`calibration_test` is exact for few rows.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities, one column per class in the order of the sorted labels; for two
        classes those of `pos_label` alone will do. Rows are normalised to sum to one.
    sample_weight : array-like of shape (n_samples,), default=None
        How many rows each row counts for; None is one each. Weights must count rows here: z grows
        with the root of their sum.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        The class that `y_proba` of shape (n_samples,) is the probability of; None is the greater
        of {0, 1}, {-1, 1}, {False, True} or two `labels`.

    Returns
    -------
    test : SpiegelhalterTest
        z and its two-sided p-value. Where the Brier score cannot vary, as for probabilities of 0
        and 1 alone or all equal, z is 0 and the p-value 1 if it is what it must be, and else z is
        infinite and the p-value 0.

    Raises
    ------
    ValueError
        If the arguments do not describe labels and probabilities, as the head of
        :mod:`skcalib.metrics` says.

    References
    ----------
    D. J. Spiegelhalter, Probabilistic prediction in patient management and clinical trials,
    Statistics in Medicine 5 (1986).

    Examples
    --------
    Two events of probability .9, one of which happens: ``(.1 - .9) * -.8`` over the root of
    ``2 * .64 * .09``.

    >>> from skcalib.metrics import spiegelhalter_z
    >>> spiegelhalter_z([0, 1], [0.9, 0.9])
    SpiegelhalterTest(z=1.885618, p_value=0.059346)
    """
    checked = check_predictions(
        y_true, y_proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
    )
    excess, variance = _brier_excess(checked)
    if variance > 0:
        z = excess / variance**0.5
    else:
        z = float(np.copysign(np.inf, excess)) if excess else 0.0
    with np.errstate(under="ignore"):
        return SpiegelhalterTest(z, float(2 * ndtr(-abs(z))))


def _brier_excess(checked: Predictions) -> tuple[float, float]:
    """Half the excess of the summed Brier score over its expectation, and that half's variance."""
    excess = variance = 0.0
    buffer = block_buffer(checked.proba.shape, np.float64)
    with quiet_arithmetic(checked.proba.shape[1]):
        for rows in row_blocks(*checked.proba.shape):
            p = buffer[: rows.stop - rows.start]
            np.maximum(checked.proba[rows], 0, out=p)
            p /= row_sum(p)[:, None]
            mean = row_dot(p, p)[:, None]
            difference = p - mean
            difference[np.abs(difference) <= _SAME_PROBABILITY * mean] = 0
            at_label = difference[np.arange(len(p)), checked.y_index[rows]]
            p *= difference
            weight = np.ones(len(p)) if checked.weight is None else checked.weight[rows]
            excess -= float(weight @ at_label)
            variance += float(weight @ row_dot(p, difference))
    return excess, variance
