"""Files that are either written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

_ANYBODY_WRITES = 0o222


@contextmanager
def written_whole(
    path: str | PathLike[str], last_check: Callable[[], None] | None = None
) -> Iterator[Path]:
    """A path to write to, which becomes `path` when all is written; gone if that fails.

    It stands in the same folder, for a file can be replaced at once only within one file system.
    Through a link the file it points to is replaced, not the link. What was there hands on its
    permissions, and is refused if they forbid writing.

    Parameters
    ----------
    path : str or path
    last_check : function or None
        Called when all is written, just before `path` is replaced: it raises to keep what is there.
    """
    target = Path(os.path.realpath(path))
    mode = _mode_of(target, path)
    # The name does not hold the target's, which may be as long as names can be.
    partial = target.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        _create(partial, mode)
        yield partial
        _flush(partial)
        if last_check is not None:
            last_check()
        os.replace(partial, target)
    except OSError as error:
        if error.filename is None or os.fspath(error.filename) != os.fspath(partial):
            raise
        # The user has never heard of the partial file.
        raise type(error)(error.errno, error.strerror, os.fspath(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def _mode_of(target: Path, path: str | PathLike[str]) -> int | None:
    """Permissions of the file that will be replaced; None if there is none."""
    if not os.path.exists(target):
        return None
    if not target.is_file():
        raise OSError(f"{path} is no file that could be replaced")
    mode = stat.S_IMODE(target.stat().st_mode)
    # Replacing asks the folder alone, and root may do all: the file's own word is asked for here.
    if not mode & _ANYBODY_WRITES or not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "Is read-only", os.fspath(path))
    return mode


def _create(partial: Path, mode: int | None) -> None:
    """An empty file that nobody reads who may not read what it replaces."""
    os.close(
        os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666 if mode is None else 0o600)
    )
    if mode is not None:
        partial.chmod(mode)


def _flush(partial: Path) -> None:
    """To the disk itself: a name that survives a power cut must not lead to an empty file."""
    file = os.open(partial, os.O_WRONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
