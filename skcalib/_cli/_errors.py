"""How a command ends: a status, at most one line on stderr, and nothing half written."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

OK = 0
ALARM = 1
FAILED = 2
INTERRUPTED = 130  # 128 and the number of the signal, as shells have it
TERMINATED = 143
_PIPE_CLOSED = 141

# Ways out that messages name for Python.
_SAID_IN_A_SHELL = {
    "pass response_method='predict_proba'": "say --scores probabilities",
    "response_method='decision_function' says so": "--scores logits says so",
    "Pass classes=[...] with one label per column": "Name them with --classes",
    "Pass labels=[...] with one label per column": "Name them with --classes",
}

# What is wrong with what the user gave, an extra that is missing, a machine that is too small.
_EXPECTED = (ImportError, MemoryError, OSError, TypeError, ValueError)


class _Terminated(BaseException):
    """SIGTERM, as something that files are cleaned up after."""


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(FAILED, f"{self.prog}: {_one_line(message)} (see {self.prog} --help)\n")


def run_safely(run: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Run a command; what goes wrong is said in one line, warnings in one line each."""
    name = f"skcalib {options.command}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")  # other packages' notes to their own users
        warnings.simplefilter("default", UserWarning)
        try:
            with _ended_by_sigterm():
                status, complaint = run(options), ""
        except KeyboardInterrupt:
            status, complaint = INTERRUPTED, "interrupted"
        except _Terminated:
            status, complaint = TERMINATED, "terminated"
        except BrokenPipeError:
            # Whoever read our output has enough; Python would complain again while it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _PIPE_CLOSED
        except _EXPECTED as error:
            status, complaint = FAILED, _said(error)
    for warning in [] if options.quiet else caught:
        print(f"{name}: warning: {_one_line(str(warning.message))}", file=sys.stderr)
    if complaint:
        print(f"{name}: {complaint}", file=sys.stderr)
    return status


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends what runs as Ctrl-C does, unless the process has its own way with it."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: Any) -> NoReturn:
    raise _Terminated


def _said(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        return _one_line(where + error.strerror[0].lower() + error.strerror[1:])
    return _one_line(str(error) or type(error).__name__)


def _one_line(text: str) -> str:
    for in_python, in_a_shell in _SAID_IN_A_SHELL.items():
        text = text.replace(in_python, in_a_shell)
    return " ".join(text.split())
