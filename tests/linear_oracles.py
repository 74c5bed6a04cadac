"""Slow, plain answers for linear maps and mixtures, from their formulas alone.

A map is written out as one design tensor D (n, K, P) with `L = z + D theta`; its objective,
gradient and Hessian are then those of any multinomial logistic model, and a trust-region Newton
method of scipy finds the minimum to rounding. Coefficients stand in the order shared, stretch,
bias, belief, matrix; those two row by row, `matrix` with the zeros of its diagonal.
"""

import warnings
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

BLOCKS = ("shared", "stretch", "bias", "belief", "matrix")


def problem(seed, n, n_classes, masked=0.0):
    """Scores too sharp and without a base rate that their labels have; some classes masked."""
    rng = np.random.default_rng(seed)
    z = 2 * rng.standard_normal((n, n_classes))
    y = (0.6 * z + np.linspace(-1, 1, n_classes) + rng.gumbel(size=z.shape)).argmax(axis=1)
    mask = rng.random(z.shape) < masked
    mask[np.arange(n), y] = False
    return np.where(mask, -np.inf, z), y


class Starting(NamedTuple):
    """Log-probabilities and probabilities that a map starts from; 0 where masked."""

    z: np.ndarray
    p: np.ndarray
    masked: np.ndarray


def starting(scores, temperature, share):
    """`(1 - e) softmax(s / T) + e / K`, K being the open classes of the row."""
    scores = np.asarray(scores, dtype=np.float64)
    masked = np.isneginf(scores)
    uniform = ~masked / (~masked).sum(axis=1, keepdims=True)
    p = (1 - share) * softmax(scores / temperature, axis=1) + share * uniform
    z = np.log(np.where(masked, 1, p))
    return Starting(z, p, masked)


def shared_features(starting):
    """z, p, log(p + 1/(10 K)) and H z, (4, n, K); 0 where masked."""
    z, p, masked = starting
    entropy = -(p * z).sum(axis=1, keepdims=True)
    smooth = np.where(masked, 0, np.log(p + 1 / (10 * p.shape[1])))
    return np.stack([z, p, smooth, entropy * z])


def spreads(starting, weight=None):
    """Weighted standard deviation of each shared feature over all open entries."""
    open_ = ~starting.masked
    weight = np.ones(len(open_)) if weight is None else weight
    weights = np.broadcast_to(weight[:, None], open_.shape)[open_]
    found = []
    for feature in shared_features(starting):
        values = feature[open_]
        mean = np.average(values, weights=weights)
        found.append(np.sqrt(np.average((values - mean) ** 2, weights=weights)))
    return np.array(found)


def design(starting, sizes=None, blocks=BLOCKS):
    """D (n, K, P) of the blocks named, shared features divided by `sizes`."""
    n, n_classes = starting.z.shape
    eye = np.eye(n_classes)
    off = 1 - eye
    tensors = {
        "stretch": np.einsum("ik,kl->ikl", starting.z, eye),
        "bias": np.broadcast_to(eye, (n, n_classes, n_classes)),
        # Coefficient (m, l) adds column l of p to the logit of class m.
        "belief": np.einsum("il,km->ikml", starting.p, eye).reshape(n, n_classes, -1),
        "matrix": np.einsum("il,km,ml->ikml", starting.z, eye, off).reshape(n, n_classes, -1),
    }
    if "shared" in blocks:
        tensors["shared"] = np.moveaxis(shared_features(starting) / sizes[:, None, None], 0, 2)
    return np.concatenate([tensors[name] for name in blocks], axis=2)


def penalty_vector(penalties, n_classes):
    """Each coefficient's penalty, from a dict of those of the blocks."""
    sizes = {"shared": 4, "stretch": n_classes, "bias": n_classes}
    return np.concatenate(
        [np.full(sizes.get(name, n_classes**2), float(r)) for name, r in penalties.items()]
    )


def logits_of(starting, tensor, theta):
    """z + D theta, -inf where masked."""
    return np.where(starting.masked, -np.inf, starting.z + tensor @ theta)


def loss(starting, tensor, y, weight, theta):
    """Log loss summed over rows."""
    log_proba = log_softmax(logits_of(starting, tensor, theta), axis=1)
    losses = -log_proba[np.arange(len(y)), y]
    return losses.sum() if weight is None else weight @ losses


class Solution(NamedTuple):
    """The minimum of J."""

    theta: np.ndarray
    objective: float
    proba: np.ndarray


def solve(starting, tensor, penalty, y, weight=None, at_least=None):
    """The theta that minimises J, by Newton's method in a trust region.

    With `at_least`, the lower bound of each coefficient, by L-BFGS-B to the last digit instead.
    """
    n, n_classes = starting.z.shape
    w = np.ones(n) if weight is None else weight
    hit = np.eye(n_classes)[y]

    def value(theta):
        return loss(starting, tensor, y, weight, theta) + penalty @ theta**2

    def slope(theta):
        error = w[:, None] * (softmax(logits_of(starting, tensor, theta), axis=1) - hit)
        return np.einsum("ik,ikp->p", error, tensor) + 2 * penalty * theta

    def curvature(theta):
        q = softmax(logits_of(starting, tensor, theta), axis=1)
        mean = np.einsum("ik,ikp->ip", q, tensor)
        flat = (tensor * np.sqrt(w[:, None] * q)[:, :, None]).reshape(-1, tensor.shape[2])
        return flat.T @ flat - (mean * w[:, None]).T @ mean + 2 * np.diag(penalty)

    zeros = np.zeros(len(penalty))
    if at_least is None:
        found = minimize(
            value, zeros, jac=slope, hess=curvature, method="trust-exact", options={"gtol": 1e-7}
        )
    else:
        found = minimize(
            value,
            zeros,
            jac=slope,
            method="L-BFGS-B",
            bounds=[(low, None) for low in at_least],
            options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 5000, "maxfun": 10_000},
        )
    proba = softmax(logits_of(starting, tensor, found.x), axis=1)
    return Solution(found.x, float(found.fun), proba)


def coefficients_of(theta, blocks, n_classes):
    """A vector of coefficients as a dict of arrays."""
    square = n_classes, n_classes
    shapes = dict(zip(BLOCKS, [(4,), (n_classes,), (n_classes,), square, square], strict=True))
    parts, at = {}, 0
    for name in blocks:
        size = int(np.prod(shapes[name]))
        parts[name] = theta[at : at + size].reshape(shapes[name])
        at += size
    return parts


def mixture_objective(densities, weight, pseudo_counts, shares):
    """`sum c log(d . w) + sum a log w`, to be made large; a member of no pseudo-count may be 0."""
    counts = np.ones(len(densities)) if weight is None else weight
    prior = sum(a * np.log(w) for a, w in zip(pseudo_counts, shares, strict=True) if a > 0)
    return counts @ np.log(densities @ shares) + prior


def best_mixture(densities, weight, pseudo_counts):
    """Weights on the simplex that maximise the objective, by scipy's SLSQP in share and scale.

    Densities of a row are divided by their largest, which changes no weight.
    """
    densities = densities / densities.max(axis=1, keepdims=True)
    counts = np.ones(len(densities)) if weight is None else weight
    total = counts.sum() + pseudo_counts.sum()

    def value(shares):
        return -mixture_objective(densities, weight, pseudo_counts, shares) / total

    def slope(shares):
        prior = np.where(pseudo_counts > 0, pseudo_counts / np.maximum(shares, 1e-300), 0)
        return -((counts / (densities @ shares)) @ densities + prior) / total

    lowest = np.where(pseudo_counts > 0, 1e-9, 0)
    with warnings.catch_warnings():  # scipy 1.13 steps out of the bounds, and says so
        warnings.simplefilter("ignore", RuntimeWarning)
        found = minimize(
            value,
            np.full(densities.shape[1], 1 / densities.shape[1]),
            jac=slope,
            method="SLSQP",
            bounds=[(low, 1) for low in lowest],
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
            options={"ftol": 1e-15, "maxiter": 1000},
        )
    return found.x / found.x.sum()
