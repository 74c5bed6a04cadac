# In an environment with the extras test, lint and doc. .ci/run runs the first three.

.PHONY: test doctest lint doc bench oldest no-matplotlib

test:
	python -m pytest

doctest:
	python -m pytest --doctest-modules --doctest-glob="*.rst" skcalib doc/getting_started.rst doc/user_guide

lint:
	ruff check .
	ruff format --check .
	mypy skcalib
	codespell

doc:
	python -m sphinx -W --keep-going -b html doc doc/_build/html

bench:
	python -m benchmarks.speed
	python -m benchmarks.quality
	python -m benchmarks.metrics
	python -m benchmarks.coverage
	python -m benchmarks.adaptive
	python -m benchmarks.decoding
	python -m benchmarks.decisions
	python -m benchmarks.monitoring
	python -m benchmarks.comparisons

# The tests in a fresh environment without matplotlib: the newest of everything else, or the oldest.
oldest: PINS = "numpy==2.0.*" "scipy==1.13.*" "scikit-learn==1.6.*" "joblib==1.2.*"
oldest no-matplotlib:
	python -m venv --clear build/$@
	build/$@/bin/python -m pip install --quiet -e ".[test]" $(PINS)
	build/$@/bin/python -m pip uninstall --quiet --yes matplotlib
	build/$@/bin/python -m pytest
