"""Slow, independent answers for what users call: scipy's own softmax and its general solvers."""

import numpy as np
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import clone

SMALLEST_NORMAL = np.finfo(np.float64).tiny


def ones_like_rows(y, weight):
    return np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64)


def mean_log_loss(logits, y, temperature=1.0, weight=None):
    """Weighted mean of -log softmax(z / T)_y."""
    log_proba = log_softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1)
    return -np.average(log_proba[np.arange(len(y)), y], weights=ones_like_rows(y, weight))


def best_temperature(logits, y, weight=None, alpha=0.0):
    """T that minimises `sum w NLL + alpha log(T)^2 / 2`, by bisection of its derivative.

    The derivative in u = -log T is `sum w (E_q z - z_y) beta + alpha u`, beta = e^u. Each of its
    upward crossings on a grid is a minimum; the lowest of them is taken.
    """
    z = np.asarray(logits, dtype=np.float64)
    w, u = ones_like_rows(y, weight), np.linspace(-20, 20, 161)
    z = z - z.max(axis=1, keepdims=True)

    def slope(u):
        q = softmax(z * np.exp(u), axis=1)
        mean = np.sum(q * np.where(np.isneginf(z), 0, z), axis=1)
        return np.exp(u) * (w @ (mean - z[np.arange(len(y)), y])) + alpha * u

    def objective(u):
        return w.sum() * mean_log_loss(z, y, np.exp(-u), w) + alpha * u**2 / 2

    slopes = np.array([slope(x) for x in u])
    rising = np.flatnonzero((slopes[:-1] < 0) & (slopes[1:] >= 0))
    minima = [brentq(slope, u[i], u[i + 1], xtol=1e-14, rtol=1e-14) for i in rising]
    return np.exp(-min(minima, key=objective))


def best_start(logits, y, weight=None, alpha=0.0):
    """T that minimises the log loss of `(1 - e) softmax(z / T) + e / K` and `alpha log(T)^2 / 2`.

    e = 1 / (N + 1), K the open classes of a row. The lowest value on a grid of all T, and Brent's
    method around it.
    """
    z, w = np.asarray(logits, dtype=np.float64), ones_like_rows(y, weight)
    share, n_open = 1 / (w.sum() + 1), (~np.isneginf(z)).sum(axis=1)

    def value(u):
        p = (1 - share) * softmax(z * np.exp(u), axis=1)[np.arange(len(y)), y] + share / n_open
        return -(w @ np.log(p)) + alpha * u**2 / 2

    grid = np.linspace(-20, 20, 401)
    at = int(np.argmin([value(u) for u in grid]))
    around = tuple(grid[at - 1 : at + 2])
    return np.exp(-minimize_scalar(value, bracket=around, tol=1e-12).x)


def temperature_interval(logits, y, temperature, weight=None, alpha=0.0):
    """95 % interval: `exp(+-1.96 se)` around T, se the larger of sandwich and inverse curvature.

    Row by row, from `s = beta (E_q z - z_y)` and `h = sum w (beta^2 Var_q z + s) + alpha`:
    `se^2 = max((n / (n - 1) sum w s^2 + alpha) / h^2, 1 / h)`.
    """
    z, w = np.asarray(logits, dtype=np.float64), ones_like_rows(y, weight)
    beta, n = 1 / temperature, w.sum()
    squares, curvature = alpha, alpha
    for row, label, row_weight in zip(z, y, w, strict=True):
        q = softmax(beta * row)
        mean = q @ row
        s = beta * (mean - row[label])
        squares += n / (n - 1) * row_weight * s**2
        curvature += row_weight * (beta**2 * (q @ (row - mean) ** 2) + s)
    se = np.sqrt(max(squares / curvature**2, 1 / curvature))
    return temperature * np.exp(np.array([-1.96, 1.96]) * se)


def log_of(proba, floor):
    """Logits of probabilities whose entries below `floor` are set to it."""
    return np.log(np.maximum(proba, floor))


def expected_smoothing(proba, weight):
    """Mean of the prior on s = logit(eps): log(K d) + 2 within [-6, 0], d the grain.

    d is the smallest value which at least a quarter of the weight does not exceed, of each row's
    smallest positive probability.
    """
    smallest = np.array([min(p for p in row if p > 0) for row in proba.tolist()])
    order = np.argsort(smallest)
    reached = weight[order].cumsum() >= weight.sum() / 4 * (1 - 1e-12)
    grain = smallest[order][np.argmax(reached)]
    return float(np.clip(np.log(proba.shape[1] * grain) + 2, -6, 0))


def smoothing_objective(proba, y, weight, alpha):
    """J(u, s) = sum w NLL + alpha u^2 / 2 + (s - m)^2 / 8 of q ~ (p + e^s / K)^(e^u)."""
    w = ones_like_rows(y, weight)
    mean = expected_smoothing(proba, w)

    def objective(x):
        u, s = x
        logits = np.log(proba + np.exp(s) / proba.shape[1])
        loss = w.sum() * mean_log_loss(logits, y, np.exp(-u), w)
        return loss + alpha * u**2 / 2 + (s - mean) ** 2 / 8

    return objective


def best_smoothing(proba, y, weight=None, alpha=1.0):
    """(T, eps) of the joint objective, by Nelder-Mead from several starts."""
    objective = smoothing_objective(np.asarray(proba, dtype=np.float64), y, weight, alpha)
    options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000, "maxfev": 4000}
    found = [
        minimize(objective, start, method="Nelder-Mead", options=options)
        for start in ([0.0, -3.0], [0.0, -8.0], [1.0, -1.0], [-1.0, 0.0])
    ]
    u, s = min(found, key=lambda result: result.fun).x
    return np.exp(-u), 1 / (1 + np.exp(-s))


def held_out_scores(estimator, X, y, splits, method, *, sample_weight=None):
    """Scores of each row from a clone of `estimator` fitted on the rows it is held out from.

    Every class must occur in the training rows of every fold.
    """
    scores = {}
    for train, test in splits:
        fit_params = {} if sample_weight is None else {"sample_weight": sample_weight[train]}
        model = clone(estimator).fit(X[train], y[train], **fit_params)
        scores |= dict(zip(test.tolist(), getattr(model, method)(X[test]), strict=True))
    return np.array([scores[row] for row in range(len(y))])
