"""Which files a command may write: none that it reads, none twice."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from skcalib._cli._files import is_data_file, path_of

_WRITTEN = ("output", "state", "jsonl")
# What may be a column instead, or PATH:NAME; SCORES and a model stand apart.
_READ = (
    "labels",
    "context",
    "classes",
    "weights",
    "groups",
    "clusters",
    "time",
    "regime",
    "calibration",
)
# Others name theirs by what they can write, or take any.
_SUFFIXES = {"fit": (".json",), "report": (".html", ".htm")}


def check_outputs(options: argparse.Namespace) -> None:
    """Refuse to write over an input, twice to one file, or under a name that misleads.

    ``apply`` alone may write over its SCORES: the page says so.
    """
    written = {name: getattr(options, name, None) for name in _WRITTEN}
    outputs = {name: os.fspath(path) for name, path in written.items() if path is not None}
    suffixes = _SUFFIXES.get(options.command)
    if suffixes and Path(outputs["output"]).suffix.lower() not in suffixes:
        raise ValueError(f"{outputs['output']}: must end in {suffixes[0]}")
    for place, (name, output) in enumerate(outputs.items()):
        for read in _inputs(options):
            if _is_same(output, read):
                raise ValueError(f"--{name} {output} would write over {read}, which is read")
        for other, path in list(outputs.items())[:place]:
            if _is_same(output, path):
                raise ValueError(f"--{name} and --{other} are both {output}: one would be lost")


def _inputs(options: argparse.Namespace) -> list[str]:
    """Files that are read, but for a state, which is read and written."""
    texts = []
    for name in _READ:
        value = getattr(options, name, None)
        texts += value if isinstance(value, list) else [] if value is None else [value]
    scores = getattr(options, "scores", None)
    paths = [path for path in map(path_of, texts) if is_data_file(path)]
    if scores is not None:
        scores = path_of(scores)
        in_place = options.command == "apply"
        paths = [p for p in paths if not _is_same(p, scores)] if in_place else [scores, *paths]
    model = getattr(options, "model", None)
    return paths if model is None else [model, *paths]


def _is_same(one: str, other: str) -> bool:
    if os.path.realpath(one) == os.path.realpath(other):
        return True
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)
