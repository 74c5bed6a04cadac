"""Speed and quality of skcalib's calibrators against other packages', on the reader's own machine.

``python -m benchmarks.speed`` measures CPU time and memory, ``python -m benchmarks.quality`` test
scores on real classifiers' outputs; both answer ``--help``. scikit-learn is always compared, the
packages of the extra ``bench`` where they are installed: of these only tabulate is needed.
"""
