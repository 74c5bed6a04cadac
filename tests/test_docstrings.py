"""Docstrings say what the signatures say."""

import ast
import inspect
import re

import pytest
from rooms import MODULES


def methods(cls):
    """Public methods the package defines, not those scikit-learn brings."""
    for name, method in inspect.getmembers(cls, inspect.isroutine):
        home = getattr(method, "__module__", None) or "builtins"
        if not name.startswith("_") and home.startswith("skcalib"):
            yield f"{cls.__name__}.{name}", method


def documented():
    for module in MODULES:
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing) or inspect.isroutine(thing):
                yield name, thing
            if inspect.isclass(thing):
                yield from methods(thing)


def parameters_of_signature(thing):
    """Names, starred as in a call, and the representation of each default."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return {
        f"{stars.get(p.kind, '')}{p.name}": None if p.default is p.empty else repr(p.default)
        for p in inspect.signature(thing).parameters.values()
        if p.name != "self"
    }


def parameters_of_docstring(doc):
    """The same, from the lines ``a, b : type, default=value`` of the section Parameters."""
    _, *parts = re.split(r"^(\S.*)\n-{3,}$", doc, flags=re.M)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    entries = re.findall(r"^(\S.*?) : (.*)$", sections.get("Parameters", ""), re.M)
    return {
        name: normalised(re.search(r"default=(.+)$", kind))
        for names, kind in entries
        for name in names.split(", ")
    }


def normalised(default):
    try:
        return default and repr(ast.literal_eval(default[1]))
    except (SyntaxError, ValueError):
        return default[1]


@pytest.mark.parametrize(("name", "thing"), dict(documented()).items())
def test_the_docstring_lists_the_parameters_and_defaults_of_the_signature(name, thing):
    doc = inspect.getdoc(thing)
    assert doc, f"{name} has no docstring"
    stated, actual = parameters_of_docstring(doc), parameters_of_signature(thing)
    assert list(stated.items()) == list(actual.items())


def test_a_docstring_is_read_as_numpydoc_means_it():
    doc = inspect.cleandoc(
        """Do it.

        Parameters
        ----------
        a, b : int
            Both matter : really.
        c : {"x", "y"}, default="x"
            One of two.
        d : float, default=inf
            Large.
        **rest : dict
            More.

        Returns
        -------
        e : int, default=3
            No parameter.
        """
    )

    def do(a, b, *, c="x", d=float("inf"), **rest): ...

    expected = {"a": None, "b": None, "c": "'x'", "d": "inf", "**rest": None}
    assert parameters_of_docstring(doc) == expected
    assert parameters_of_signature(do) == expected
