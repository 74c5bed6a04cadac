"""Speed and quality of skcalib against other packages', on the reader's own machine.

``python -m benchmarks.speed`` measures CPU time and memory of calibrators, ``python -m
benchmarks.quality`` test scores on real classifiers' outputs, ``python -m benchmarks.metrics`` the
CPU time of metrics, and ``python -m benchmarks.coverage`` how often intervals hold the truth; all
answer ``--help``. scikit-learn is always compared, the packages of the extra ``bench`` where they
are installed: of these only tabulate is needed.
"""
