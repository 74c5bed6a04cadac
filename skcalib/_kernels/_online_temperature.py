"""One temperature that follows rows as they arrive.

Near the best `log_beta` the log loss of the rows seen so far is a parabola. It is kept instead of
the rows: its curvature and, since the prior's slope balances it there, its minimum say all.
"""

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._blocks import Source
from skcalib._kernels._moments import (
    clustered_outer,
    loss_moments,
    row_moments,
    small_sample_correction,
    work_arrays,
)
from skcalib._kernels._temperature import (
    LOG_BETA_BOUND,
    OUT_OF_RANGE,
    TemperatureFit,
    standard_error_of,
)

_MOST_PASSES = 80  # from one end of the range to the other
_STEP_TOLERANCE = 1e-6
_LONGEST_STEP = 1.5
_DAMPING = 0.6  # of a step back that is nearly as long as the one before

# Of maximum likelihood too: where all that was seen has faded, this holds log_beta near 0.
_LEAST_ALPHA = 1e-3


@np.errstate(all="ignore")
def update_temperature(
    past: TemperatureFit,
    source: Source,
    y_index: NDArray,
    weight: NDArray | None,
    alpha: float,
    *,
    keep: float = 1.0,
    groups: NDArray | None = None,
) -> TemperatureFit:
    """Fit `log_beta` to more rows and to the parabola of those before, which counts `keep` times.

    Losses of the result are those of the new rows. The other arguments are those of
    `fit_temperature`.
    """
    alpha = max(alpha, _LEAST_ALPHA)
    firm = keep * past.curvature
    pull = keep * (past.curvature + alpha) * past.log_beta
    work = work_arrays(source)
    u, last, damping = past.log_beta, 0.0, 1.0
    n_iter = 0
    while n_iter < _MOST_PASSES:
        n_iter += 1
        beta = np.exp(u)
        at = loss_moments(source, y_index, weight, beta, at_one=n_iter == 1, work=work)
        if n_iter == 1:
            loss_before = at.loss_at_one
        slope, curvature = beta * at.slope, beta**2 * at.curvature
        # A slope that is positive is part of the second derivative that keeps it so: without it
        # steps overshoot where labels contradict the scores.
        second = firm + curvature + alpha + max(slope, 0.0)
        step = (pull - slope - (firm + alpha) * u) / second
        length = abs(step)
        if not length > _STEP_TOLERANCE:
            break
        damping = damping * _DAMPING if step * last < 0 and length >= abs(last) / 2 else damping
        last = step
        u += np.clip(step * damping, -_LONGEST_STEP, _LONGEST_STEP)
        u = float(np.clip(u, -LOG_BETA_BOUND, LOG_BETA_BOUND))
    new_squares = _squared_slopes(source, y_index, weight, beta, groups, at.squared_slope)
    # Slopes of rows before would be as much larger as beta is now.
    growth = np.exp(2 * (u - past.log_beta))
    squares = keep * growth * past.squares + beta**2 * new_squares
    total = keep * past.weight + at.weight
    return TemperatureFit(
        log_beta=u,
        standard_error=standard_error_of(
            small_sample_correction(total) * squares, alpha, firm + curvature + alpha
        ),
        n_iter=n_iter,
        loss_before=loss_before / at.weight,
        loss_after=at.loss / at.weight,
        weight=total,
        curvature=float(firm + curvature),
        squares=float(squares),
        obstacle=OUT_OF_RANGE if abs(u) >= LOG_BETA_BOUND else None,
    )


def _squared_slopes(
    source: Source,
    y_index: NDArray,
    weight: NDArray | None,
    beta: float,
    groups: NDArray | None,
    of_rows: float,
) -> float:
    """Of rows, or summed within clusters."""
    if groups is None:
        return of_rows
    slopes = row_moments(source, y_index, weight, beta)[1:2]
    outer, correction = clustered_outer(slopes, weight, groups)
    return correction * float(outer[0, 0])
