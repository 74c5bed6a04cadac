"""What a temperature by context gains and costs, on real classifiers' outputs and simulated ones.

    contexts   held-out log loss against one temperature, and against one per group fitted apart
    shuffled   what contexts cost that carry nothing
    rules      what rules are worth beside data, good ones and wrong ones
    coverage   how often intervals contain a context's temperature
    clusters   contexts that coincide with recordings
    online     partial_fit on streams, and beside fit
    speed      CPU time beside that of one temperature

All, or those that are named. Log loss is in nats, of held-out rows, at each row's temperature, by
one function for all and without clipping. Rules, where good, are each group's best temperature
with all rows known: as good as rules can be.

The table of the user guide is made by

    python -m benchmarks.adaptive contexts --sets path/to/npz --rst
"""

import argparse
import sys
import time
import warnings
from functools import partial
from pathlib import Path

from benchmarks._context_intervals import clusters, coverage
from benchmarks._context_speed import speed
from benchmarks._context_stream import online
from benchmarks._context_studies import contexts, rules, shuffled
from benchmarks._contexts import Study, context_sets
from benchmarks._report import print_conditions
from benchmarks._timing import one_thread

STUDIES: dict[str, Study] = {
    study.__name__: study
    for study in (contexts, shuffled, rules, coverage, clusters, online, speed)
}

# Where the table belongs.
_TABLE = Path("doc/user_guide/_contexts.inc")


def main() -> None:
    arguments = _parse_arguments()
    sets = context_sets(arguments.sets)
    print_conditions()
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, study in _chosen(arguments).items():
            start = time.process_time()
            study(sets)
            seconds = time.process_time() - start
            print(f"{name}: {seconds:.0f} s of CPU", file=sys.stderr, flush=True)


def _chosen(arguments: argparse.Namespace) -> dict[str, Study]:
    studies = STUDIES | {"contexts": partial(contexts, path=arguments.rst)}
    return {name: studies[name] for name in arguments.studies or studies}


def _study(text: str) -> str:
    if text not in STUDIES:
        raise argparse.ArgumentTypeError(f"one of {', '.join(STUDIES)}, not {text}")
    return text


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.adaptive",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("studies", nargs="*", type=_study, metavar="STUDY", help="all by default")
    parser.add_argument(
        "--sets", type=Path, metavar="FOLDER", help="other sets: .npz with a group for each row"
    )
    parser.add_argument(
        "--rst",
        nargs="?",
        type=Path,
        const=_TABLE,
        metavar="FILE",
        help=f"write the table of contexts for the user guide too ({_TABLE})",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
