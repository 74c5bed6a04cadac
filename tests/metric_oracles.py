"""Slow metrics in exact rational arithmetic, written from the definitions, row by row.

Probabilities are taken at their exact binary value, and so are the edges j / B of a bin, or the
observed probability at which a share j / B of the rows is reached.
"""

from collections import defaultdict
from fractions import Fraction


def uniform_edges(n_bins):
    return [Fraction(j / n_bins) for j in range(n_bins + 1)]


def quantile_edges(p, weight, n_bins):
    total, interior = sum(weight), []
    for j in range(1, n_bins):
        reached = 0
        for value, w in sorted(zip(p, weight, strict=True)):
            reached += w
            if reached * n_bins >= j * total:
                interior.append(value)
                break
    return [0, *interior, 1]


def binned(p, happened, weight, n_bins, strategy):
    """Weight, mean probability and frequency of each filled bin."""
    p, weight = [Fraction(float(v)) for v in p], [Fraction(float(w)) for w in weight]
    edges = uniform_edges(n_bins) if strategy == "uniform" else quantile_edges(p, weight, n_bins)
    rows = defaultdict(list)
    for value, event, w in zip(p, happened, weight, strict=True):
        rows[sum(edge < value for edge in edges[1:-1])].append((value, bool(event), w))
    for index in sorted(rows):
        total = sum(w for _, _, w in rows[index])
        if total:
            mean = sum(v * w for v, _, w in rows[index]) / total
            yield total, mean, sum(w for _, event, w in rows[index] if event) / total


def curves(y, proba, kind):
    """Probabilities and events of each curve; `y` are column numbers."""
    if kind == "confidence":
        top = [max(range(len(row)), key=lambda k, row=row: row[k]) for row in proba]
        return [([row[k] for row, k in zip(proba, top, strict=True)], [*map(int.__eq__, top, y)])]
    columns = [1] if kind == "positive" else range(len(proba[0]))
    return [([row[k] for row in proba], [label == k for label in y]) for k in columns]


def calibration_error(
    y,
    proba,
    *,
    kind="confidence",
    norm=1,
    n_bins=15,
    strategy="uniform",
    debias=False,
    average="mean",
    sample_weight=None,
):
    y, proba = [int(label) for label in y], [[float(v) for v in row] for row in proba]
    weight = [1] * len(y) if sample_weight is None else [float(w) for w in sample_weight]
    errors = []
    for p, happened in curves(y, proba, kind):
        bins = list(binned(p, happened, weight, n_bins, strategy))
        total = sum(w for w, _, _ in bins)
        if norm == "max":
            errors.append(max(abs(mean - frequency) for _, mean, frequency in bins))
            continue
        error = Fraction(0)
        for w, mean, frequency in bins:
            gap = abs(mean - frequency) ** norm
            if debias:
                gap = gap - frequency * (1 - frequency) / (w - 1) if w > 1 else 0
            error += w / total * gap
        errors.append(error)
    if norm == "max":
        return float(max(errors))
    if kind == "class":
        counts = [
            sum(w for w, label in zip(weight, y, strict=True) if label == k)
            for k in range(len(errors))
        ]
        factors = {
            "mean": [Fraction(1, len(errors))] * len(errors),
            "sum": [1] * len(errors),
            "prevalence": [Fraction(c) / Fraction(sum(weight)) for c in counts],
        }[average]
        error = sum(a * e for a, e in zip(factors, errors, strict=True))
    else:
        (error,) = errors
    return float(error) if norm == 1 else float(max(error, 0)) ** 0.5


def brier_score(y, proba, sample_weight=None):
    """Between 0 and 2."""
    weight = [1] * len(y) if sample_weight is None else sample_weight
    total = sum(
        Fraction(float(w))
        * sum((Fraction(float(v)) - (k == label)) ** 2 for k, v in enumerate(row))
        for label, row, w in zip(y, proba, weight, strict=True)
    )
    return float(total / sum(Fraction(float(w)) for w in weight))
