"""The smooth calibration error."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skcalib._kernels._smooth import ACCURACY, smooth_error
from skcalib._validation import check_options, check_predictions
from skcalib.metrics._events import (
    KIND_AVERAGE_CONSTRAINTS,
    Events,
    average_over_classes,
    events_of,
)


def smooth_calibration_error(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    kind: str = "confidence",
    average: str = "mean",
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    pos_label: bool | int | float | str | None = None,
) -> float:
    """Distance between predicted probabilities and observed frequencies, without bins (smECE).

    The residuals ``p - [event happened]`` are smoothed along p by a Gaussian reflected at 0 and 1,
    and their absolute value is integrated. The wider the Gaussian the smaller the integral: the
    error is that integral which equals the Gaussian's own standard deviation. There is nothing to
    choose, and a small change of the probabilities changes it little, which is not so with bins.

    Smaller is better; 0 is calibrated. It is at least the distance between mean probability and
    frequency, at most the mean absolute residual. Like any error of this kind it is above 0 for
    true probabilities too, the more so the fewer the rows.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities, one column per class in the order of the sorted labels; for two
        classes those of `pos_label` alone will do.
    kind : {"confidence", "class", "positive"}, default="confidence"
        Which probabilities are held against which events.

        - "confidence": the largest of each row, against the prediction being correct;
        - "class": those of each class, against that class being true, combined by `average`;
        - "positive": of two classes, those of the positive one, against it being true.
    average : {"mean", "sum", "prevalence"}, default="mean"
        How the errors of kind "class" are combined: their mean, their sum, or their mean weighted
        by how often each class is true.
    sample_weight : array-like of shape (n_samples,), default=None
        How many rows each row counts for; None is one each.
    labels : array-like of shape (n_classes,), default=None
        The sorted labels, one per column. Needed where some do not occur in `y_true`.
    pos_label : bool, int, float or str, default=None
        Of two classes, the positive one: that which `y_proba` of shape (n_samples,) is the
        probability of. None is the greater of {0, 1}, {-1, 1}, {False, True} or two `labels`.

    Returns
    -------
    error : float
        The smooth calibration error, between 0 and 1; for ``average="sum"`` up to 2. Each class's
        is accurate to 1e-6.

    Raises
    ------
    ValueError
        If an option is not among its values, or the arguments do not describe labels and
        probabilities, as the head of :mod:`skcalib.metrics` says.

    References
    ----------
    J. Blasiok, P. Nakkiran, Smooth ECE: principled reliability diagrams via kernel smoothing,
    ICLR 2024.

    Examples
    --------
    Where all residuals have one sign smoothing cancels nothing, and the error is the distance
    between mean probability and frequency: ``.6 / 3 - 0``. At a single probability it is the
    distance to the frequency there: ``.75 - .5``.

    >>> from skcalib.metrics import smooth_calibration_error
    >>> smooth_calibration_error([0, 0, 0], [0.1, 0.2, 0.3], kind="positive")
    0.2
    >>> smooth_calibration_error([0, 1, 1, 1], [0.5, 0.5, 0.5, 0.5], kind="positive")
    0.25
    """
    check_options(KIND_AVERAGE_CONSTRAINTS, "smooth_calibration_error", kind=kind, average=average)
    checked = check_predictions(
        y_true, y_proba, sample_weight=sample_weight, labels=labels, pos_label=pos_label
    )
    return smooth_error_of(events_of(checked, kind), average)


def smooth_error_of(events: Events, average: str = "mean", accuracy: float = ACCURACY) -> float:
    """`smooth_calibration_error` of events at hand; a single column is its own average."""
    columns = range(events.proba.shape[1])
    errors = np.array([smooth_error(*events.column(c), events.weight, accuracy) for c in columns])
    return float(errors[0]) if len(errors) == 1 else average_over_classes(errors, events, average)
