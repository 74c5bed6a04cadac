"""Real classifiers' scores on rows they were not trained on, with the true labels."""

import json
from importlib import resources

import numpy as np
from sklearn.utils import Bunch

_LICENSES = {
    "charlm_stream_drift": "MIT",
    "letter_random_forest": "CC BY 4.0",
    "mcq_smollm2_a": "Apache-2.0",
    "mnist_cnn_shift": "CC BY-SA 3.0",
    "spambase_svm": "CC BY 4.0",
    "wordnet_lexname_mlp": "WordNet 3.0 License",
}


def load_logits(name: str) -> Bunch:
    """Load the logits and true labels of a real classifier.

    Six small sets come with the package, each too confident or too modest in its own way:

    - ``"charlm_stream_drift"``: a character model's next characters in the order of time; from row
      2500 on the texts come from other sources (T = 1.2, later 1.7);
    - ``"letter_random_forest"``: 26 letters, an underconfident forest (T = 0.39);
    - ``"mcq_smollm2_a"``: four-way multiple choice by a language model, five domains (T = 4.4);
    - ``"mnist_cnn_shift"``: an overfitted network on digits, test rows corrupted (T = 1.5);
    - ``"spambase_svm"``: a binary support vector machine's margins (T = 0.45);
    - ``"wordnet_lexname_mlp"``: 45 imbalanced classes, weighted rows (T = 1.4).

    Parameters
    ----------
    name : str
        One of the names above.

    Returns
    -------
    scores : :class:`~sklearn.utils.Bunch`
        With the attributes

        logits : ndarray of shape (n_samples, n_classes)
            Raw scores in nats, in the precision they were stored in. A binary decision value
            ``d`` is given as ``(-d/2, d/2)``.
        target : ndarray of shape (n_samples,)
            True class, a column of `logits`.
        target_names : ndarray of shape (n_classes,)
            The classes' names, in the order of the columns.
        calibration : ndarray of shape (n_samples,)
            True on the rows to calibrate on; the others are the test rows.
        groups : ndarray of shape (n_samples,) or None
            The context of each row: domain, severity of corruption, part of speech, source.
        sample_weight : ndarray of shape (n_samples,) or None
            Importance of each row.
        decision : ndarray of shape (n_samples,)
            The binary margins, in ``"spambase_svm"`` alone.
        n_tokens : ndarray of shape (n_samples, n_classes)
            The options' lengths, in ``"mcq_smollm2_a"`` alone.
        name, source, license, DESCR : str
            What the set is, where it comes from, and under which terms.

    Raises
    ------
    ValueError
        If there is no set of that name.

    Examples
    --------
    >>> from skcalib.datasets import load_logits
    >>> scores = load_logits("mcq_smollm2_a")
    >>> scores.logits.shape
    (1350, 4)
    >>> hits = scores.logits.argmax(axis=1) == scores.target
    >>> float(hits[~scores.calibration].mean())
    0.6267
    """
    if name not in _LICENSES:
        raise ValueError(f"name must be one of {sorted(_LICENSES)}, got {name!r}.")
    path = resources.files("skcalib.datasets") / "data" / f"{name}.npz"
    with path.open("rb") as file, np.load(file) as archive:
        fields = dict(archive)
    meta = json.loads(str(fields.pop("meta")))
    if "decision" in fields:
        half = fields["decision"] / 2
        fields["logits"] = np.column_stack([-half, half])
    return Bunch(
        name=name,
        target=fields.pop("y"),
        target_names=fields.pop("class_names"),
        calibration=fields.pop("split") == 0,
        groups=fields.pop("group", None),
        sample_weight=fields.pop("sample_weight", None),
        source=meta["source"],
        license=_LICENSES[name],
        DESCR=_describe(meta),
        **fields,
    )


def _describe(meta: dict[str, str]) -> str:
    parts = [meta["title"], f"Source: {meta['source']}", f"Note: {meta['note']}"]
    if "groups" in meta:
        parts.append(f"Groups: {meta['groups']}")
    return "\n".join(parts)
