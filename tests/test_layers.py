"""The rooms of the package and who may import whom, read from the source."""

import ast
import sys
from pathlib import Path

import pytest

import skcalib

LEVEL = {
    "_files": 0,
    "_kernels": 0,
    "_validation": 1,
    "_response": 1,
    "_table": 1,
    "calibrators": 2,
    "metrics": 2,
    "datasets": 2,
    "decoding": 3,
    "decisions": 3,
    "display": 3,
    "monitoring": 3,
    "__init__": 4,
    "__main__": 4,
    "_cli": 4,
}
# Of the public rooms below them these use only some.
USES = {
    "decoding": {"calibrators"},
    "decisions": {"calibrators", "metrics"},
    "display": {"calibrators", "metrics"},
    "monitoring": {"metrics"},
    "__init__": {"calibrators"},
}
PUBLIC_LEVEL = 2
# On one level, and still one above the other.
DOWN_WITHIN_LEVEL = {("_response", "_validation"), ("_cli", "__init__"), ("__main__", "_cli")}

KERNELS_MAY_IMPORT = {"numpy", "scipy"} | sys.stdlib_module_names
MODULES_MAY_IMPORT = {"joblib", "sklearn", "threadpoolctl"} | KERNELS_MAY_IMPORT


def imported(node):
    """Dotted names an import statement asks for: ``from a import b`` asks for ``a.b``."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [f"{node.module}.{alias.name}" for alias in node.names]


def imports(node, at_module_level=True):
    """Import statements under `node`, and whether importing the module runs them."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node, at_module_level
    at_module_level &= not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    for child in ast.iter_child_nodes(node):
        yield from imports(child, at_module_level)


def may_import(room, target):
    if room == target or (room, target) in DOWN_WITHIN_LEVEL:
        return True
    if room in USES and LEVEL[target] >= PUBLIC_LEVEL:
        return target in USES[room]
    return LEVEL[target] < LEVEL[room]


def faults_of_import(room, node, at_module_level):
    if isinstance(node, ast.ImportFrom) and node.level:
        yield "relative import"
        return
    for name in imported(node):
        package, *rest = name.split(".")
        if package == "skcalib":
            target = rest[0] if rest and rest[0] in LEVEL else "__init__"
            if not may_import(room, target):
                yield f"{room} imports {target}"
        elif room == "_kernels" and package not in KERNELS_MAY_IMPORT:
            yield f"_kernels imports {package}"
        elif at_module_level and package not in MODULES_MAY_IMPORT:
            yield f"{package} at module level"
        private = any(part.startswith("_") and not part.startswith("__") for part in rest)
        if package == "sklearn" and private and room != "_validation":
            yield f"private name {name}"


def faults_of_init(room, tree):
    """Statements that are no docstring, import or assignment to ``__all__`` or the version."""
    assignable = {"__all__", "__version__"} if room == "__init__" else {"__all__"}
    for node in tree.body[ast.get_docstring(tree) is not None :]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Assign) and {ast.unparse(t) for t in node.targets} <= assignable:
            continue
        yield f"{type(node).__name__} in __init__.py"


def faults(package):
    """Where the package in the folder `package` breaks the rules, as ``file: fault``."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).parts
        room = parts[0].removesuffix(".py")
        if room not in LEVEL:
            yield f"{'/'.join(parts)}: unknown room"
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = [f for node, when in imports(tree) for f in faults_of_import(room, node, when)]
        if path.name == "__init__.py":
            found += faults_of_init(room, tree)
        for fault in found:
            yield f"{'/'.join(parts)}: {fault}"


def test_the_package_keeps_its_layers():
    (package,) = skcalib.__path__
    assert list(faults(Path(package))) == []


@pytest.mark.parametrize(
    ("file", "source", "fault"),
    [
        ("_kernels/_a.py", "from skcalib._validation import check", "_kernels imports _validation"),
        ("_kernels/_a.py", "def f():\n    import sklearn", "_kernels imports sklearn"),
        ("_validation.py", "from skcalib import _response", "_validation imports _response"),
        ("calibrators/_a.py", "import skcalib.metrics", "calibrators imports metrics"),
        ("metrics/_a.py", "from skcalib import datasets", "metrics imports datasets"),
        ("datasets/_a.py", "from skcalib.calibrators import A", "datasets imports calibrators"),
        ("metrics/_a.py", "from skcalib import A", "metrics imports __init__"),
        ("display/_a.py", "from skcalib.datasets import A", "display imports datasets"),
        ("__init__.py", "import skcalib.display", "__init__ imports display"),
        ("display/_a.py", "import matplotlib.pyplot as plt", "matplotlib at module level"),
        ("metrics/_a.py", "try:\n    import pandas\nfinally:\n    x = 1", "pandas at module level"),
        ("metrics/_a.py", "from sklearn.utils._x import y", "private name sklearn.utils._x.y"),
        ("metrics/_a.py", "from sklearn.utils import _y", "private name sklearn.utils._y"),
        ("metrics/_a.py", "from . import _b", "relative import"),
        ("metrics/__init__.py", '"""Doc."""\n__all__ = []\nx = 1', "Assign in __init__.py"),
        ("metrics/__init__.py", "def f(): pass", "FunctionDef in __init__.py"),
        ("attic/_a.py", "", "unknown room"),
    ],
)
def test_a_broken_rule_is_found(tmp_path, file, source, fault):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    assert list(faults(tmp_path)) == [f"{file}: {fault}"]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("_kernels/_a.py", "import math\nimport numpy as np\nfrom skcalib._kernels._b import c"),
        ("_validation.py", "from sklearn.utils._param_validation import Interval"),
        ("display/_a.py", "class A:\n    def plot(self):\n        import matplotlib"),
        ("decisions/_a.py", "from skcalib.calibrators import A\nfrom skcalib.metrics import b"),
        ("_cli.py", "from skcalib import A\nfrom skcalib.display import B"),
        ("__init__.py", '"""Doc."""\nfrom sklearn import __version__\n__version__ = "1"'),
    ],
)
def test_what_the_rules_allow_is_no_fault(tmp_path, file, source):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    assert list(faults(tmp_path)) == []
