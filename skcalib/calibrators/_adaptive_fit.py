"""Fitting temperatures by context: rows, features, coefficients, the table that is served."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._adaptive import AdaptiveFit, Rows, fit_adaptive
from skcalib._kernels._moments import row_losses
from skcalib._kernels._scaled import RowScaledLogits
from skcalib.calibrators._adaptive_map import AdaptiveMap, features_of, grown, table_of
from skcalib.calibrators._context import Context
from skcalib.calibrators._encoder import Encoder, fit_encoder
from skcalib.calibrators._rate_limit import held_back
from skcalib.calibrators._rows import CalibrationRows
from skcalib.calibrators._rules import Rules, check_rules
from skcalib.calibrators._temperature import fit_scores
from skcalib.calibrators._temperature_table import TemperatureTable
from skcalib.calibrators._threads import one_blas_thread

# BLAS takes no second thread for matrices of so few rows, and asking it not to takes longer than
# they do.
_FEW_COEFFICIENTS = 50

# More rows than this say no more, and beside their sums the prior is lost in rounding, without
# which centred levels are not determined.
_MOST_WEIGHT = 1e12


@dataclass(frozen=True)
class Settings:
    """What the user asks of a fit; see `AdaptiveTemperatureScaling`."""

    prior: Any
    alpha: float
    smoothing: float | str
    score_features: bool
    bounds: tuple[float, float]
    max_change: float | None


def fit_map(
    rows: CalibrationRows, settings: Settings, served: TemperatureTable | None
) -> AdaptiveMap:
    """Fit from nothing; `served` is what `max_change` counts from."""
    rows = rows.that_count()
    offset, single = fit_scores(rows, settings.alpha, settings.smoothing)
    context = rows.context
    rules = check_rules(settings.prior, list(context.categories))
    features = None
    if settings.score_features:
        features = features_of(rows.source(offset), single.log_beta)
    encoder = fit_encoder(context, features, _weights(rows))
    seen = _Seen(rows, context, features, offset, single.log_beta, rules, encoder)
    return seen.served_by(seen.fit(settings.alpha), settings, served)


def update_map(
    rows: CalibrationRows, settings: Settings, served: AdaptiveMap, keep: float
) -> AdaptiveMap:
    """Fit to more rows and to the sums of those before, which count `keep` times."""
    rows = rows.that_count()
    context, features = rows.context, None
    if served.table.needs_scores:
        features = features_of(rows.source(served.offset), served.log_beta)
    encoder = served.encoder.seeing(context, features, _weights(rows), keep)
    past = grown(served.fit, served.encoder, encoder)
    past = past._replace(statistics=past.statistics.faded(keep))
    seen = _Seen(rows, context, features, served.offset, served.log_beta, served.rules, encoder)
    return seen.served_by(seen.fit(settings.alpha, past), settings, served.table)


@dataclass(frozen=True)
class _Seen:
    """Rows with all that is read of them."""

    rows: CalibrationRows
    context: Context
    features: NDArray | None
    offset: float
    log_beta: float
    rules: Rules
    encoder: Encoder

    def fit(self, alpha: float, past: AdaptiveFit | None = None) -> AdaptiveFit:
        """Coefficients, or an error that names the row which has no log loss."""
        rows = self.rows
        rule = -self.rules.log_temperatures(self.context)
        with one_blas_thread if len(self.encoder.labels) > _FEW_COEFFICIENTS else nullcontext():
            fit = fit_adaptive(
                Rows(rows.source(self.offset), rows.y_index, _weights(rows), rows.groups),
                self.encoder.design(self.context, self.features, rule),
                self.encoder.prior(alpha, bool(self.rules)),
                self.log_beta,
                past=None if past is None else past.statistics,
                start=None if past is None else past.theta,
            )
        if not fit.finite:
            rows.refuse_bad_rows()
            raise ValueError(
                f"The log loss of {rows.scores.name} overflows: its largest scores, or the "
                "rules' temperatures, are too far apart."
            )
        return fit

    def served_by(
        self, fit: AdaptiveFit, settings: Settings, served: TemperatureTable | None
    ) -> AdaptiveMap:
        """The map, moved from what was served no farther than it may be."""
        target = table_of(self.encoder, fit.theta, self.rules, self.log_beta, settings.bounds)
        table = target
        if settings.max_change is not None and served is not None:
            table = held_back(target, served, settings.max_change)
        return AdaptiveMap(
            encoder=self.encoder,
            fit=fit,
            rules=self.rules,
            average_rules=self.rules.averaged(self.context, _weights(self.rows)),
            table=table,
            target=target,
            log_beta=self.log_beta,
            offset=self.offset,
            n_classes=self.rows.n_classes,
            log_losses=self._mean_losses(table),
        )

    def _mean_losses(self, table: TemperatureTable) -> tuple[float, float]:
        """Mean log loss at T = 1 without smoothing, and as served."""
        rows, weight = self.rows, _weights(self.rows)
        temperature = table.of_rows(self.context, self.features)
        scaled = RowScaledLogits(rows.source(self.offset), 1 / temperature)
        with np.errstate(all="ignore"):
            losses = [row_losses(source, rows.y_index) for source in (rows.source(), scaled)]
            before, after = (float(np.average(loss, weights=weight)) for loss in losses)
        return before, after


def _weights(rows: CalibrationRows) -> NDArray:
    if rows.weight is None:
        return np.ones(len(rows))
    return rows.weight * min(1.0, _MOST_WEIGHT / rows.total_weight)
