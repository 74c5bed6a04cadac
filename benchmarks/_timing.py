"""CPU time and memory of calls, such that a noisy machine does not decide the outcome.

Times are CPU times of the process, all its threads together. What is compared is measured in
turn (ours, theirs, ours, theirs ...), and what is reported are medians of the ratios: clock rates
and neighbours change from one second to the next, but not much between two calls.
"""

import math
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

Call = Callable[[], Any]

# Seconds that one measurement lasts at least; a faster call is repeated within it.
_SHORTEST = 0.05


class Comparison(NamedTuple):
    """CPU time of a reference, and of others in terms of it."""

    seconds: float
    ratios: dict[str, float | str]  # CPU time over the reference's; or why there is none


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS, OpenMP and torch to one thread."""
    # Only what is loaded can be limited.
    torch = import_module("torch") if find_spec("torch") else None
    n_threads = torch.get_num_threads() if torch else 1
    with threadpool_limits(1):
        if torch:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(n_threads)


def interleaved(reference: Call, others: dict[str, Call], repeats: int) -> Comparison:
    """Measure every other call `repeats` times, the reference just before each of them."""
    n_reference = _calls_for(reference)
    n_calls, failures = {}, {}
    for name, call in others.items():
        try:
            n_calls[name] = _calls_for(call)
        except Exception as error:
            failures[name] = failure(error)
    seconds, ratios = [], {name: [] for name in n_calls}
    for _ in range(repeats):
        for name, n in n_calls.items():
            seconds.append(cpu_seconds(reference, n_reference))
            ratios[name].append(cpu_seconds(others[name], n) / seconds[-1])
    medians = {name: float(np.median(ratios[name])) for name in n_calls}
    return Comparison(float(np.median(seconds)), medians | failures)


def cpu_seconds(call: Call, n_calls: int = 1) -> float:
    """CPU time of one call, the mean of `n_calls`."""
    start = time.process_time()
    for _ in range(n_calls):
        call()
    return (time.process_time() - start) / n_calls


def _calls_for(call: Call) -> int:
    """How many calls make one measurement. Warms up: a first call may import and allocate."""
    elapsed = cpu_seconds(call)
    if elapsed < _SHORTEST:
        elapsed = cpu_seconds(call)
    return max(1, math.ceil(_SHORTEST / max(elapsed, 1e-6)))


def extra_mib(call: Call) -> float:
    """Peak of the memory that Python and numpy allocate in a call, less the array it returns."""
    tracemalloc.start()
    try:
        result = call()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    returned = result.nbytes if isinstance(result, np.ndarray) else 0
    return (peak - returned) / 2**20


def failure(error: Exception) -> str:
    """What a table shows for a method that raised."""
    return f"fails: {type(error).__name__}"
