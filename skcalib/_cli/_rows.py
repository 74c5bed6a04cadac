"""Rows that commands read: scores, what else is known of each row, and labels."""

from __future__ import annotations

import argparse
import os
import re
import warnings
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcalib._cli._files import (
    DataFile,
    column,
    flat,
    import_pandas,
    open_file,
    path_of,
    plain_labels,
)
from skcalib._validation import check_labels

RESPONSE_METHODS = {
    "logits": "decision_function",
    "probabilities": "predict_proba",
    "log-probabilities": "predict_log_proba",
}
_SCORE_NAMES = ("logits", "scores", "proba", "probabilities", "log_proba", "decision")
_BESIDE = ("weights", "groups", "clusters")
_LABEL_NAMES = ("y", "target", "label", "labels", "y_true")


@dataclass(frozen=True)
class ScoreRows:
    """Scores, and the context of their rows.

    Parameters
    ----------
    values : ndarray of shape (n, K) or (n,), perhaps memory-mapped
    names : names of the columns, where the file has some
    context : dict from column to its values (n,)
    """

    values: NDArray
    names: list[str] | None = None
    context: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values)

    def at(self, rows: Any) -> Any:
        """What a calibrator takes for some of the rows, by slice, mask or position."""
        values = self.values[rows]
        if self.names is None and not self.context:
            return values
        pd = import_pandas("reading rows with a context")
        width = 1 if values.ndim == 1 else values.shape[1]
        # Not 0, 1, ...: columns that bear the classes' names would have to follow their order.
        names = self.names or [f"score_{k}" for k in range(width)]
        frame = pd.DataFrame(values, columns=names, copy=False)
        return frame.assign(**{name: known[rows] for name, known in self.context.items()})


@dataclass(frozen=True)
class LabelledRows:
    """Rows whose true labels are known.

    Parameters
    ----------
    scores : ScoreRows
    y : ndarray of shape (n,)
    weight : (n,) or None
    groups : (n,) or None, what rows are compared by
    clusters : (n,) or None, which rows belong together
    classes : label of each column of scores, where the user or the file says so
    others : dict from the names of further columns that were asked for to their values
    """

    scores: ScoreRows
    y: NDArray
    weight: NDArray | None = None
    groups: NDArray | None = None
    clusters: NDArray | None = None
    classes: list[Any] | None = None
    others: dict[str, NDArray | None] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.y)


def add_score_arguments(parser: argparse.ArgumentParser) -> None:
    """SCORES and how to read it."""
    parser.add_argument(
        "scores",
        metavar="SCORES",
        help=".npy, .npz (FILE:KEY, or the only array, or logits, scores, proba), .csv or .parquet",
    )
    parser.add_argument(
        "--score-columns",
        metavar="NAMES",
        help="of a table, the columns that hold scores: with commas, or patterns such as logit_* "
        "(default: those that bear the classes' names)",
    )
    parser.add_argument(
        "--context",
        metavar="COLUMN",
        action="append",
        default=[],
        help="what a temperature may depend on: a column of SCORES, or FILE[:NAME]; repeatable",
    )
    parser.add_argument("--quiet", action="store_true", help="print errors alone")


def add_label_arguments(
    parser: argparse.ArgumentParser, *, groups: str | None = None, clusters: str | None = None
) -> None:
    """LABELS, and what else is known of rows whose label is.

    Parameters
    ----------
    parser : of a command
    groups, clusters : options that name what rows are compared by, and which belong together
    """
    parser.add_argument(
        "labels",
        metavar="LABELS",
        nargs="?",
        default="-",
        help="the true labels: FILE[:NAME], or - for a column of SCORES (default)",
    )
    parser.add_argument(
        "--label-column",
        metavar="NAME",
        help="the column of labels (default: y, target, label or labels)",
    )
    parser.add_argument(
        "--scores",
        dest="kind",
        choices=RESPONSE_METHODS,
        help="what the scores are; never guessed (default: logits)",
    )
    parser.add_argument(
        "--classes",
        metavar="NAMES",
        help="the label of each column of scores: with commas, 0..9 for a range, or FILE[:NAME] "
        "(default: the sorted labels)",
    )
    parser.add_argument(
        "--weights", metavar="COLUMN", help="how many rows each row counts for: as --context"
    )
    helps = {
        "groups": (groups, "what to compare: sites, languages, years: as --context"),
        "clusters": (clusters, "rows that belong together, for the interval: as --context"),
    }
    parser.set_defaults(groups=None, clusters=None)
    for dest, (option, text) in helps.items():
        if option is not None:
            parser.add_argument(option, dest=dest, metavar="COLUMN", help=text)


def read_scores(options: argparse.Namespace, names: list[str]) -> ScoreRows:
    """Rows of SCORES alone; of a table the columns `names`."""
    file, key = open_file(options.scores)
    return _score_rows(options, file, key, names, [])


def read_labelled(
    options: argparse.Namespace, names: list[str] | None = None, also: tuple[str, ...] = ()
) -> LabelledRows:
    """Rows of SCORES and LABELS.

    Parameters
    ----------
    options : what the command line says
    names : columns that hold scores, where a model knows them
    also : options that name further columns
    """
    file, key = open_file(options.scores)
    y = check_labels(plain_labels(_labels(options, file)), "labels")
    given = {name: getattr(options, name) for name in (*_BESIDE, *also)}
    asked = None if options.classes is None else _class_names(options.classes)
    labels = [str(label) for label in np.unique(y).tolist()] if asked is None else asked
    scores = _score_rows(options, file, key, names, labels)
    if names is None and asked is None and options.score_columns is None:
        _warn_of_other_numbers(options, file, scores.names, also)
    if asked is None and options.score_columns is not None and scores.names is not None:
        _refuse_names_of_others(scores.names, labels, file.path)
    beside = {
        name: None if text is None else plain_labels(column(text, file, (), f"--{name}"))
        for name, text in given.items()
    }
    for name, values in {"labels": y, **beside}.items():
        refuse_other_length(len(scores), values, options.scores, name)
    weight, groups, clusters = (beside.pop(name) for name in _BESIDE)
    classes = _classes(asked, scores.names, y)
    return LabelledRows(scores, y, weight, groups, clusters, classes, beside)


def refuse_other_length(n_rows: int, values: Any, scores: str, name: str) -> None:
    """One value for each row of scores."""
    if values is not None and len(values) != n_rows:
        raise ValueError(f"{scores}: has {n_rows} rows, but there are {len(values)} {name}")


def _labels(options: argparse.Namespace, file: DataFile) -> Any:
    if options.labels != "-":
        text = options.labels + (f":{options.label_column}" if options.label_column else "")
        return column(text, None, _LABEL_NAMES, "--label-column")
    if options.label_column:
        return flat(file.named(options.label_column), options.label_column)
    found = [name for name in _LABEL_NAMES if name in file.names]
    if not found:
        raise ValueError(
            f"{file.path}: has no column {', '.join(_LABEL_NAMES)}: name that of the labels with "
            "--label-column, or pass LABELS"
        )
    return flat(file.named(found[0]), found[0])


def _score_rows(
    options: argparse.Namespace,
    file: DataFile,
    key: str | None,
    names: list[str] | None,
    classes: list[str],
) -> ScoreRows:
    context = {
        _name_of(text, file): np.asarray(column(text, file, (), "--context"))
        if file.frame is None
        else column(text, file, (), "--context")
        for text in options.context
    }
    columns = None
    if file.frame is None:
        values = file.named(key) if key else file.usual(_SCORE_NAMES, f"{file.path}:KEY")
    else:
        columns = _score_columns(options.score_columns, file, names, classes)
        values = file.frame.iloc[:, [file.names.index(name) for name in columns]].to_numpy()
    if np.ndim(values) not in (1, 2) or not len(values):
        raise ValueError(f"{file.path}: scores of shape {np.shape(values)} are no rows and classes")
    if np.asarray(values).dtype.kind not in "biuf":
        raise ValueError(f"{file.path}: scores must be numbers, not {np.asarray(values).dtype}")
    for name, known in context.items():
        refuse_other_length(len(values), known, file.path, f"values of {name}")
    return ScoreRows(values, columns, context)


def _name_of(text: str, file: DataFile) -> str:
    """What to call a column of the context: its own name, or its file's."""
    if text in file.names:
        return text
    return text.rpartition(":")[2] if ":" in text and not os.path.exists(text) else Path(text).stem


def _score_columns(
    text: str | None, file: DataFile, names: list[str] | None, classes: list[str]
) -> list[str]:
    """As the user says; as the model knows; or those named after classes: nothing else is safe."""
    if text is not None:
        names = [name for part in text.split(",") for name in _matching(part, file.names)]
    elif names is None:
        if not set(classes) <= set(file.names):
            raise ValueError(
                f"{file.path}: no columns bear the classes' names: name those of the scores with "
                "--score-columns"
            )
        names = [name for name in file.names if name in set(classes)]
    missing = [name for name in names if name not in file.names]
    if missing:
        raise ValueError(f"{file.path}: has no column of scores {', '.join(missing)}")
    return names


def _warn_of_other_numbers(
    options: argparse.Namespace, file: DataFile, names: list[str] | None, also: tuple[str, ...]
) -> None:
    """Numbers beside the scores may be those of a class that no label names."""
    if file.frame is None or names is None:
        return
    asked = [getattr(options, name) for name in (*_BESIDE, *also)]
    used = {*names, *asked, *options.context, *_LABEL_NAMES, options.label_column}
    kinds = zip(file.names, file.frame.dtypes, strict=True)
    others = [name for name, dtype in kinds if dtype.kind in "iuf" and name not in used]
    if others:
        few = ", ".join(others[:8]) + (", ..." if len(others) > 8 else "")
        warnings.warn(
            f"{file.path}: {few} hold numbers, but no label is called so: they were not read as "
            "scores. If they are classes, name all with --classes; --score-columns says that "
            "they are not.",
            UserWarning,
            stacklevel=2,
        )


def _refuse_names_of_others(names: list[str], classes: list[str], path: Any) -> None:
    """Columns that carry the classes' names in another order than the sorted one they are read in.

    A name carries a class that is one of its words: p_yes, logit.yes, yes.
    """
    words = [{name, *re.split(r"[^0-9A-Za-z]+", name)} for name in names]
    carried = [[label for label in classes if label in some] for some in words]
    if sorted(carried) == [[label] for label in sorted(classes)]:
        order = [label for (label,) in carried]
        if order != classes:
            raise ValueError(
                f"{path}: the columns {', '.join(names)} are in the order {', '.join(order)}, but "
                f"scores are read in that of the sorted labels, {', '.join(classes)}: say "
                f"--classes {','.join(order)}"
            )


def _matching(part: str, names: list[str]) -> list[str]:
    """Names that a pattern stands for, in their order; a name stands for itself."""
    return [part] if part in names else [n for n in names if fnmatchcase(n, part)] or [part]


def _classes(asked: list[str] | None, columns: list[str] | None, y: NDArray) -> list[Any] | None:
    """The class of each column: as columns are named, or as the user says."""
    named = columns is not None and set(map(str, y.tolist())) <= set(columns)
    if asked is not None and not (named and columns and set(asked) == set(columns)):
        return _like_labels(asked, y)
    return _like_labels(columns, y) if named and columns else None


def _class_names(text: str) -> list[str]:
    if os.path.exists(path_of(text)):
        return [str(name) for name in plain_labels(column(text, None, (), "--classes")).tolist()]
    first, dots, last = text.partition("..")
    if dots and first.isdecimal() and last.isdecimal():
        return [str(label) for label in range(int(first), int(last) + 1)]
    return text.split(",")


def _like_labels(names: list[str], y: NDArray) -> list[Any]:
    """Names of classes as labels of y's type."""
    if y.dtype.kind in "iu":
        try:
            return [int(name) for name in names]
        except ValueError as error:
            raise ValueError(f"the labels are integers, the classes {', '.join(names)}") from error
    return [name == "True" for name in names] if y.dtype.kind == "b" else names
