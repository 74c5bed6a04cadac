"""What can be imported, under which name, and at what price."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from rooms import MODULES

import skcalib

HEAVY = ["matplotlib", "pandas", "torch", "transformers", "dask", "skcalib.display"]


def public_names(module):
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_all_names_exactly_what_a_room_offers(module):
    assert set(module.__all__) - {"__version__"} == public_names(module)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_all_is_sorted(module):
    assert module.__all__ == sorted(module.__all__)


def test_the_version_is_public():
    assert "__version__" in skcalib.__all__
    assert isinstance(skcalib.__version__, str)


def heavy_after(statement):
    code = f"import sys; {statement}; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=Path(skcalib.__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_importing_the_package_imports_nothing_heavy():
    # scikit-learn looks for pandas on its own account.
    scikit_learn = heavy_after("import sklearn.base, sklearn.model_selection")
    assert heavy_after("import skcalib") == scikit_learn
    assert "matplotlib" not in scikit_learn
