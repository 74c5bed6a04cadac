"""Checks of other rooms under the names that parameters have in this one."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from skcalib._validation import Predictions, check_groups, check_predictions


def check_clusters(clusters: ArrayLike | None, n_rows: int) -> NDArray | None:
    """The cluster of each row as a code from 0 on, (n,) intp; None where none are named."""
    return check_groups(clusters, n_rows, "clusters")


def check_forecast(
    y_true: ArrayLike, forecast: ArrayLike, name: str, **options: Any
) -> Predictions:
    """Labels and probabilities, or an error that says of which forecast."""
    try:
        return check_predictions(y_true, forecast, **options)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("y_proba", name)) from None
