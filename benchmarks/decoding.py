"""CPU time of choosing a temperature for the next token, in softmax passes, in float32.

One pass is this package's softmax of the same rows at one temperature, into an array that is there
already. Its time is printed in microseconds for all rows together; everything else as a multiple of
it, of three kinds of scores: all candidates, half of them masked at random, and all but 50 masked,
as behind top-k.

Every library is held to one thread. Calls are measured in turn (pass, other, pass, other ...);
figures are medians.
"""

import argparse
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import special

from benchmarks._report import print_conditions, print_table
from benchmarks._timing import Call, interleaved, one_thread
from skcalib._kernels._blocks import Logits
from skcalib._kernels._softmax import softmax as softmax_pass
from skcalib.decoding import (
    AnnealingPolicy,
    ConstantPolicy,
    EntropyPolicy,
    TemperatureProcessor,
    entropy,
    sample,
    softmax,
    temperature_for_entropy,
    truncate,
)

SHAPES = ((1, 128_000), (1, 50_257), (32, 128_000), (32, 1_000))
QUICK_SHAPES = ((1, 128_000),)

TEMPERATURE, SPREAD = 0.8, 0.4
FEW = 50


def main() -> None:
    arguments = _parse_arguments()
    shapes = arguments.shapes or (QUICK_SHAPES if arguments.quick else SHAPES)
    print_conditions()
    with one_thread():
        for shape in shapes:
            columns = [_measure(z, arguments.repeats) for z in _kinds(*shape).values()]
            rows = [[name, *(f"{column[name]:.3g}" for column in columns)] for name in columns[0]]
            print_table("{} x {}".format(*shape), ["", *_kinds(*shape)], rows)


def _kinds(n_rows: int, n_classes: int) -> dict[str, NDArray]:
    rng = np.random.default_rng(0)
    dense = (3 * rng.standard_normal((n_rows, n_classes))).astype(np.float32)
    half = np.where(rng.random(dense.shape) < 0.5, dense, np.float32(-np.inf))
    few = truncate(dense, top_k=FEW)
    return {"all": dense, "half masked": half, f"{FEW} left": few}


def _measure(logits: NDArray, repeats: int) -> dict[str, float]:
    out = np.empty_like(logits)
    one_pass = partial(softmax_pass, Logits(logits), TEMPERATURE, out=out)
    seconds, ratios = interleaved(one_pass, _calls(logits), repeats)
    return {"softmax pass, us": 1e6 * seconds} | ratios


def _calls(logits: NDArray) -> dict[str, Call]:
    policy = EntropyPolicy(TEMPERATURE, spread=SPREAD)
    ids = np.zeros((len(logits), 8), dtype=int)
    temperature = np.full(len(logits), TEMPERATURE)
    return {
        "ConstantPolicy": partial(ConstantPolicy(TEMPERATURE), logits),
        "AnnealingPolicy": partial(AnnealingPolicy(1.5, 0.5, 100), logits, step=7),
        "EntropyPolicy": partial(policy, logits),
        "the same, unfused numpy": partial(_unfused, logits),
        "entropy": partial(entropy, logits, temperature),
        "softmax": partial(softmax, logits, temperature),
        "scipy.special.softmax": lambda: special.softmax(logits / TEMPERATURE, axis=1),
        "processor, ConstantPolicy": partial(
            TemperatureProcessor(ConstantPolicy(TEMPERATURE)), ids, logits
        ),
        "processor, EntropyPolicy": partial(TemperatureProcessor(policy), ids, logits),
        "sample": partial(sample, logits, temperature, random_state=0),
        "temperature_for_entropy": partial(temperature_for_entropy, logits, 2.0),
    }


def _unfused(logits: NDArray) -> NDArray:
    """EntropyPolicy as one would write it by hand."""
    proba = special.softmax(logits, axis=1)
    found = special.entr(proba).sum(axis=1)
    most = np.log(np.isfinite(logits).sum(axis=1))
    return TEMPERATURE - SPREAD + 2 * SPREAD * np.minimum(found / most, 1)


def _shape(text: str) -> tuple[int, int]:
    n_rows, n_classes = text.lower().split("x")
    return int(n_rows), int(n_classes)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decoding",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--shapes", nargs="+", type=_shape, metavar="NxK", help="rows x classes")
    parser.add_argument("--repeats", type=int, default=7, help="measurements of each call (7)")
    parser.add_argument("--quick", action="store_true", help="one row of 128000 classes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
