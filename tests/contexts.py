"""Rows of several kinds whose scores exaggerate by a known temperature each."""

import numpy as np
import pandas as pd

TRUE = {"cool": 0.6, "plain": 1.5, "hot": 4.0}


def draw(n_rows, seed, temperatures=TRUE, n_classes=5):
    """Logits that are right after division by the T of the row's kind, labels, and the kinds."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(list(temperatures), n_rows)
    truth = rng.normal(0, 2, (n_rows, n_classes))
    y = (truth + rng.gumbel(size=truth.shape)).argmax(axis=1)
    return truth * np.array([temperatures[k] for k in kind])[:, None], y, kind


def frame(logits, **context):
    """Columns of scores, and those of the context."""
    return pd.DataFrame({f"z{k}": column for k, column in enumerate(logits.T)} | context)
