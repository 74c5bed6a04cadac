"""What `AdaptiveTemperatureScaling` serves with: `softmax(z / T)`, T by the context of the row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib._kernels._adaptive import AdaptiveFit
from skcalib._kernels._blocks import Source
from skcalib._kernels._score_features import SCORE_FEATURES, score_features
from skcalib._kernels._smoothing import smoothing_of
from skcalib._kernels._softmax import log_softmax, softmax
from skcalib._kernels._temperature import LOG_BETA_BOUND, NORMAL_QUANTILE
from skcalib._response import Scores
from skcalib._validation import ColumnName
from skcalib.calibrators._context import Context, context_of
from skcalib.calibrators._encoder import CategoryColumn, Encoder, NumberBlock
from skcalib.calibrators._map import CalibrationMap
from skcalib.calibrators._rows import CalibrationRows
from skcalib.calibrators._rules import Rules, mean_rule
from skcalib.calibrators._temperature_table import Curve, Effects, TemperatureTable


@dataclass(frozen=True)
class AdaptiveMap(CalibrationMap):
    """`softmax(z / T(row))`; for probabilities p, `z = log(p + offset)`.

    Parameters
    ----------
    encoder : Encoder
    fit : AdaptiveFit
    rules : Rules
    average_rules : Rules, those that can be asked of a row of which nothing is known
    table : TemperatureTable that is served
    target : TemperatureTable that would be served without `max_change`
    log_beta : float, of one temperature for all rows, at which score features are taken
    offset : float
    n_classes : int
    log_losses : pair of floats, mean log loss of the rows before and as served
    recent : CalibrationRows, kept while they are too few to fit on sums alone; or None
    """

    encoder: Encoder
    fit: AdaptiveFit
    rules: Rules
    average_rules: Rules
    table: TemperatureTable
    target: TemperatureTable
    log_beta: float
    offset: float
    n_classes: int
    log_losses: tuple[float, float]
    recent: CalibrationRows | None = None

    @property
    def keeps_argmax(self) -> bool:
        """A positive temperature changes the order of no two scores of its row."""
        return True

    def predict_proba(self, scores: Scores) -> NDArray:
        """Probabilities (n, K)."""
        return softmax(scores.source(self.offset), self.temperatures(scores))

    def predict_log_proba(self, scores: Scores) -> NDArray:
        """Log-probabilities (n, K)."""
        return log_softmax(scores.source(self.offset), self.temperatures(scores))

    def temperatures(self, scores: Scores) -> NDArray:
        """T of each row, (n,)."""
        return self.table.of_rows(context_of(scores), self.features(scores))

    def features(self, scores: Scores) -> NDArray | None:
        """Score features of each row, if T depends on them."""
        if not self.table.needs_scores:
            return None
        return features_of(scores.source(self.offset), self.log_beta)

    def intervals(self, context: Context, features: NDArray | None) -> NDArray:
        """95 % intervals for T as fitted, before bounds and limits, (n, 2)."""
        rule = -self.rules.log_temperatures(context)
        design = self.encoder.design(context, features, rule)
        variance = np.max([design.variance(part) for part in self.fit.covariances], axis=0)
        half = NORMAL_QUANTILE * np.sqrt(np.maximum(variance, 0))
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(-design.predict(self.fit.theta)[:, None] + np.stack([-half, half], 1))

    def averaged(self) -> AdaptiveMap:
        """The same for rows of which not all is known."""
        rules = self.average_rules
        if rules is self.rules:
            return self
        shift = rules.log_temperature - self.rules.log_temperature
        tables = [
            replace(table, base=table.base + table.trust * shift, function=None)
            for table in (self.table, self.target)
        ]
        return replace(self, rules=rules, table=tables[0], target=tables[1])

    def fitted_attributes(self) -> dict[str, Any]:
        """See `AdaptiveTemperatureScaling`."""
        average, unknown = self.averaged(), unknown_row(self.encoder)
        before, after = self.log_losses
        return {
            "temperature_": float(average.table.of_rows(unknown, None)[0]),
            "temperature_interval_": average.intervals(unknown, no_features(self.encoder))[0],
            "smoothing_": smoothing_of(self.offset, self.n_classes),
            "spreads_": dict(zip(self._block_names(), self.fit.spreads.tolist(), strict=True)),
            "overdispersion_": self.fit.overdispersion,
            "rule_trust_": float(self.fit.theta[0]) if self.rules else None,
            "n_iter_": self.fit.n_iter,
            "log_loss_before_": before,
            "log_loss_after_": after,
        }

    def convergence_warning(self) -> str | None:
        """That the scores are too large or too small for any temperature there is."""
        if abs(self.fit.theta[1]) < LOG_BETA_BOUND:
            return None
        return (
            "The calibration rows do not determine a temperature: the best one lies beyond the "
            "bounds. Check what the scores are, and their scale. temperature_ is "
            f"{self.fitted_attributes()['temperature_']:.3g}."
        )

    def _block_names(self) -> list[ColumnName]:
        return [
            part.name
            if isinstance(part, CategoryColumn)
            else "score features"
            if part.of_scores
            else "numbers"
            for part in self.encoder.parts
        ]


def features_of(source: Source, log_beta: float) -> NDArray:
    """Score features at the one temperature of all rows, (n, 3)."""
    return score_features(source, float(np.exp(-log_beta)))


def table_of(
    encoder: Encoder,
    theta: NDArray,
    rules: Rules,
    log_beta: float,
    bounds: tuple[float, float],
) -> TemperatureTable:
    """What coefficients mean for log T = -log beta, column by column."""
    trust = float(theta[0])
    effects: dict[ColumnName, Effects] = {}
    curves: list[dict[ColumnName, Curve]] = [{}, {}]
    for part, coefficients in encoder.coefficients(theta):
        if isinstance(part, CategoryColumn):
            effects[part.name] = _effects(part, coefficients, trust, rules)
        else:
            curves[part.of_scores].update(_curves(part, coefficients))
    for column in encoder.categories:  # without a row that had one of its levels
        if column.name not in effects:
            effects[column.name] = _effects(column, np.empty(0), trust, rules)
    return TemperatureTable(
        base=trust * rules.log_temperature - float(theta[1]),
        effects=effects,
        curves=curves[False],
        score_curves=curves[True],
        score_temperature=float(np.exp(-log_beta)),
        bounds=bounds,
        function=rules.of_row if rules.function else None,
        trust=trust,
    )


def _effects(column: CategoryColumn, coefficients: NDArray, trust: float, rules: Rules) -> Effects:
    ruled = rules.by_level.get(column.name, {})
    otherwise = mean_rule(ruled)
    centre = column.share @ coefficients
    fitted = {
        level: float(centre * (column.share[place] > 0) - coefficients[place])
        for level, place in column.levels.items()
    }
    return Effects(
        {
            level: trust * ruled.get(level, otherwise) + fitted.get(level, 0.0)
            for level in {**fitted, **ruled}
        },
        trust * otherwise,
    )


def _curves(block: NumberBlock, coefficients: NDArray) -> dict[ColumnName, Curve]:
    ends = np.array([block.low, block.high])
    ends = np.where(block.scale > 0, ends, block.mean)
    heights = -coefficients * block.standardised(ends)
    return {
        name: Curve(tuple(ends[:, i].tolist()), tuple(heights[:, i].tolist()))
        if block.scale[i] > 0
        else Curve((float(block.mean[i]),), (0.0,))
        for i, name in enumerate(block.names)
    }


def unknown_row(encoder: Encoder) -> Context:
    """One row of which nothing is known."""
    nothing = np.array([None], dtype=object)
    numbers = [n for block in encoder.numbers if not block.of_scores for n in block.names]
    return Context(
        {column.name: nothing for column in encoder.categories},
        {name: np.array([np.nan]) for name in numbers},
        1,
    )


def no_features(encoder: Encoder, n_rows: int = 1) -> NDArray | None:
    """Score features of rows without scores, if the encoder asks for such."""
    if any(block.of_scores for block in encoder.numbers):
        return np.full((n_rows, len(SCORE_FEATURES)), np.nan)
    return None


def grown(fit: AdaptiveFit, old: Encoder, new: Encoder) -> AdaptiveFit:
    """A fit with room for the coefficients of levels that came since, which are 0."""
    place, p = old.places_in(new), 2 + len(new.labels)
    if len(place) == p:
        return fit

    def spread(values: NDArray) -> NDArray:
        wide = np.zeros((p,) * values.ndim)
        wide[np.ix_(*[place] * values.ndim)] = values
        return wide

    sums = fit.statistics
    return fit._replace(
        theta=spread(fit.theta),
        statistics=sums._replace(
            A=spread(sums.A),
            b=spread(sums.b),
            meat=spread(sums.meat),
            features=spread(sums.features),
        ),
    )


def rules_table(
    rules: Rules, bounds: tuple[float, float], columns: Sequence[ColumnName]
) -> TemperatureTable:
    """What rules alone serve. It asks for all of the context's columns, as it will once fitted."""
    by_column = {name: rules.by_level.get(name, {}) for name in [*columns, *rules.by_level]}
    return TemperatureTable(
        base=rules.log_temperature,
        effects={
            name: Effects(dict(by_level), mean_rule(by_level))
            for name, by_level in by_column.items()
        },
        bounds=bounds,
        function=rules.of_row if rules.function else None,
        trust=1.0,
    )
