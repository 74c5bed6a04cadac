"""Real classifiers' scores with true labels, and the scores that all methods are judged by.

The judging functions are few lines written for this place: they share nothing with the package
under test.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcalib.datasets import load_logits

PACKAGED = (
    "letter_random_forest",
    "mcq_smollm2_a",
    "mnist_cnn_shift",
    "spambase_svm",
    "wordnet_lexname_mlp",
)

METRICS = ("log loss", "Brier", "ECE15", "accuracy")

# How far a row of probabilities may be from summing to one; float32 with many classes needs it.
_SUM_TOLERANCE = 1e-3

_ECE_BINS = 15  # its customary number

# The log loss takes a probability of less for this much, as scikit-learn does: at most 36 nats.
SMALLEST = float(np.finfo(np.float64).eps)


class ScoreSet(NamedTuple):
    """One data set; methods are fitted on calibration rows and judged on the others."""

    name: str
    logits: NDArray  # (n, K) float64
    y: NDArray  # (n,)
    calibration: NDArray  # indices of rows
    test: NDArray  # indices of rows
    shift: NDArray | None = None  # (n,) how far a row is from the calibration rows, where known

    @property
    def n_classes(self) -> int:
        return self.logits.shape[1]


class NotProbabilities(Exception):
    """A method served NaN, or rows that do not sum to one."""


def packaged_sets() -> list[ScoreSet]:
    """The sets that come with skcalib."""
    sets = [load_logits(name) for name in PACKAGED]
    return [_score_set(s.name, s.logits, s.target, s.calibration, s.groups) for s in sets]


def sets_in(folder: Path) -> list[ScoreSet]:
    """Every .npz of a folder: `logits` (N, K) or binary `decision` (N,), `y`, and `split`.

    Read are also the whole numbers of a `group`.
    """
    return [_read(path) for path in sorted(folder.glob("*.npz"))]


def _read(path: Path) -> ScoreSet:
    with np.load(path, allow_pickle=False) as archive:
        if "logits" in archive:
            logits = archive["logits"]
        else:
            half = archive["decision"].astype(np.float64) / 2
            logits = np.stack([-half, half], axis=1)
        calibration = archive["split"] == 0
        return _score_set(path.stem, logits, archive["y"], calibration, archive.get("group"))


def _score_set(
    name: str, logits: NDArray, y: NDArray, calibration: NDArray, group: NDArray | None
) -> ScoreSet:
    rows = np.flatnonzero(calibration), np.flatnonzero(~calibration)
    return ScoreSet(
        name, logits.astype(np.float64), y.astype(np.intp), *rows, _shift(group, calibration)
    )


def _shift(group: NDArray | None, calibration: NDArray) -> NDArray | None:
    """Numbered groups are degrees of shift if calibration rows know only one of them."""
    if group is None or group.dtype.kind not in "iu" or len(np.unique(group[calibration])) > 1:
        return None
    return group


def judge(y: NDArray, proba: NDArray) -> dict[str, float]:
    """The `METRICS` of probabilities (n, K) of classes y (n,).

    What a method called impossible costs it `-log(SMALLEST)`. The Brier score is summed over
    classes, 0 to 2. Accuracy is the likeliest class's; all others are better when smaller.
    """
    proba = proba.astype(np.float64)
    total = proba.sum(axis=1)
    if not np.abs(total - 1).max() <= _SUM_TOLERANCE or proba.min() < 0:
        raise NotProbabilities
    p_true = proba[np.arange(len(y)), y]
    log_loss = -np.log(np.clip(p_true, SMALLEST, 1)).mean()
    brier = ((proba**2).sum(axis=1) - 2 * p_true + 1).mean()
    accuracy = (proba.argmax(axis=1) == y).mean()
    scores = log_loss, brier, _top_label_ece(y, proba), accuracy
    return dict(zip(METRICS, map(float, scores), strict=True))


def _top_label_ece(y: NDArray, proba: NDArray) -> float:
    """Mean distance of confidence and accuracy over bins (a, b] of equal width."""
    confidence = proba.max(axis=1)
    gap = confidence - (proba.argmax(axis=1) == y)
    edges = np.linspace(0, 1, _ECE_BINS + 1)[1:-1]
    in_bin = np.bincount(np.searchsorted(edges, confidence, side="left"), gap, _ECE_BINS)
    return np.abs(in_bin).sum() / len(y)
