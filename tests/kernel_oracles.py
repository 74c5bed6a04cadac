"""Slow, independent answers for the kernels: mpmath for few scores, long double for many."""

import mpmath
import numpy as np
from scipy.optimize import brentq

mpmath.mp.dps = 40


def softmax(logits, temperature=1.0):
    """Row by row in 40 digits; -inf has probability 0. (n, K) of float64."""
    rows = []
    for row in np.asarray(logits):
        powers = [mpmath.exp(mpmath.mpf(float(z)) / mpmath.mpf(float(temperature))) for z in row]
        total = mpmath.fsum(powers)
        rows.append([power / total for power in powers])
    return rows


def entropy(logits, temperature=1.0):
    return [
        -mpmath.fsum(q * mpmath.log(q) for q in row if q > 0)
        for row in softmax(logits, temperature)
    ]


def mean_log_loss(logits, y, weight, temperature=1.0):
    """Weighted mean of -log softmax(z / T)_y, by numpy's own long double."""
    z = np.asarray(logits, dtype=np.longdouble) / np.longdouble(temperature)
    z = z - z.max(axis=1, keepdims=True)
    loss = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), y]
    return float(np.average(loss, weights=weight))


def log_beta(logits, y, weight=None, alpha=0.0):
    """Root of the derivative of `sum w NLL + alpha u^2 / 2` in u = log beta, by bisection.

    Up to 10 000 scores in 40 digits, above that in long double.
    """
    z = np.asarray(logits)
    weight = np.ones(len(z)) if weight is None else np.asarray(weight, dtype=float)
    slope = _slope_in_mpmath if z.size <= 10_000 else _slope_in_long_double
    return brentq(slope, -30, 30, args=(z, y, weight, alpha), xtol=1e-13, rtol=1e-14)


def _slope_in_long_double(u, z, y, weight, alpha):
    beta = np.exp(np.longdouble(u))
    z = z.astype(np.longdouble)
    z = z - z.max(axis=1, keepdims=True)
    q = np.exp(beta * z)
    q /= q.sum(axis=1, keepdims=True)
    mean = (q * np.where(np.isneginf(z), 0, z)).sum(axis=1)
    residual = mean - z[np.arange(len(z)), y]
    return float(beta * (weight * residual).sum() + alpha * np.longdouble(u))


def _slope_in_mpmath(u, z, y, weight, alpha):
    beta = mpmath.exp(mpmath.mpf(u))
    total = mpmath.mpf(0)
    for row, label, w in zip(z, y, weight, strict=True):
        scores = [mpmath.mpf(float(s)) for s in row if not np.isneginf(s)]
        powers = [mpmath.exp(beta * s) for s in scores]
        mean = mpmath.fdot(powers, scores) / mpmath.fsum(powers)
        total += mpmath.mpf(float(w)) * (mean - mpmath.mpf(float(row[label])))
    return float(beta * total + mpmath.mpf(alpha) * mpmath.mpf(u))


def random_problem(seed, n, n_classes, temperature=1.0, dtype=np.float64, sharpness=2.0):
    """Logits and labels that `temperature` calibrates, in any dtype."""
    rng = np.random.default_rng(seed)
    z = sharpness * rng.standard_normal((n, n_classes))
    y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    return (temperature * z).astype(dtype), y
