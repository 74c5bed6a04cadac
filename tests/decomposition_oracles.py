"""Decompositions of scores in exact rational arithmetic, written from the definitions.

Rows are given as (p, happened, weight); probabilities are taken at their exact binary value.
"""

import math
from fractions import Fraction

from metric_oracles import quantile_edges, uniform_edges


def rows_of(p, happened, weight=None):
    weight = [1] * len(p) if weight is None else weight
    return [
        (Fraction(float(v)), bool(event), Fraction(float(w)))
        for v, event, w in zip(p, happened, weight, strict=True)
        if w > 0
    ]


def frequency(rows):
    return sum(w for _, event, w in rows if event) / sum(w for _, _, w in rows)


def mean_probability(rows):
    return sum(p * w for p, _, w in rows) / sum(w for _, _, w in rows)


def isotonic(rows):
    """Distinct p and recalibrated values, by the max-min formula rather than by pooling.

    The value of a group is the largest, over groups a at or below it, of the smallest frequency,
    over groups b at or above it, of all rows from a to b.
    """
    distinct = sorted({p for p, _, _ in rows})
    groups = [[row for row in rows if row[0] == p] for p in distinct]
    m = range(len(groups))
    weight = [sum(w for _, _, w in group) for group in groups]
    events = [sum(w for _, event, w in group if event) for group in groups]
    mean = {
        (a, b): Fraction(sum(events[a : b + 1])) / sum(weight[a : b + 1])
        for a in m
        for b in m
        if a <= b
    }
    values = [max(min(mean[a, b] for b in m if b >= i) for a in m if a <= i) for i in m]
    return distinct, values


def brier(p, event):
    return (p - event) ** 2


def log_loss(p, event):
    chance = p if event else 1 - p
    return -math.log(chance) if chance > 0 else math.inf


def mean_score(rows, forecast, loss):
    """Mean loss of `forecast(row)`; exact for the Brier score."""
    terms = [(loss(forecast(row), row[1]), row[2]) for row in rows]
    if loss is log_loss:
        return math.fsum(float(w) * term for term, w in terms) / float(sum(w for _, w in terms))
    return sum(w * term for term, w in terms) / sum(w for _, w in terms)


def corp(rows, loss):
    """score, miscalibration, discrimination, uncertainty."""
    recalibrated = dict(zip(*isotonic(rows), strict=True))
    base_rate = frequency(rows)
    score = mean_score(rows, lambda row: row[0], loss)
    after = mean_score(rows, lambda row: recalibrated[row[0]], loss)
    base = mean_score(rows, lambda row: base_rate, loss)
    return [float(part) for part in (score, score - after, base - after, base)]


def murphy(rows, loss, n_bins, strategy):
    """score, miscalibration, discrimination, uncertainty, within_bin."""
    edges = uniform_edges(n_bins)
    if strategy == "quantile":
        edges = quantile_edges([p for p, _, _ in rows], [w for _, _, w in rows], n_bins)

    def bin_of(row):
        return sum(edge < row[0] for edge in edges[1:-1])

    members = {}
    for row in rows:
        members.setdefault(bin_of(row), []).append(row)
    means = {b: mean_probability(of) for b, of in members.items()}
    frequencies = {b: frequency(of) for b, of in members.items()}
    base_rate = frequency(rows)
    score = mean_score(rows, lambda row: row[0], loss)
    of_means = mean_score(rows, lambda row: means[bin_of(row)], loss)
    of_frequencies = mean_score(rows, lambda row: frequencies[bin_of(row)], loss)
    base = mean_score(rows, lambda row: base_rate, loss)
    parts = score, of_means - of_frequencies, base - of_frequencies, base, score - of_means
    return [float(part) for part in parts]


def within_bin_variance_and_covariance(rows, n_bins):
    """The two extra components of Stephenson, Coelho and Jolliffe: WBV and WBC."""
    edges, variance, covariance = uniform_edges(n_bins), Fraction(0), Fraction(0)
    total = sum(w for _, _, w in rows)
    for j in range(n_bins):
        members = [row for row in rows if sum(edge < row[0] for edge in edges[1:-1]) == j]
        if members:
            p_mean, y_mean = mean_probability(members), frequency(members)
            variance += sum(w * (p - p_mean) ** 2 for p, _, w in members) / total
            covariance += 2 * sum(w * (y - y_mean) * (p - p_mean) for p, y, w in members) / total
    return float(variance), float(covariance)
