"""Objects as plain JSON and back: arrays, and a closed list of classes.

Numbers, strings, booleans and None are themselves, and lists are lists. A JSON object is one of

- ``{"dtype": ..., "shape": ..., "data": ...}``, an array: data is flat, in C order;
- ``{"scalar": dtype, "value": ...}``, a number that numpy made;
- ``{"number": "inf"}``, or "-inf" or "nan", which JSON has no number for;
- ``{"tuple": [...]}`` and ``{"pairs": [[key, value], ...]}``, a tuple and a dict;
- ``{"class": name, "fields": {...}}``, an object of one of the classes that the caller names.

Reading makes nothing else, and calls nothing but the constructors of these.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

_DTYPES = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)|<U[0-9]{1,6}|object")
_NON_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


class Plain:
    """Writes and reads objects of the classes it is given.

    Parameters
    ----------
    classes : dict from name to dataclass or named tuple
    """

    def __init__(self, classes: Mapping[str, type]) -> None:
        self.classes = classes

    def to_json(self, value: Any, name: str) -> Any:
        """A value as JSON has it; TypeError, naming it, for what cannot be written."""
        if isinstance(value, np.generic):
            return _scalar_to_json(value, name)
        if value is None or isinstance(value, bool | str) or type(value) is int:
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"number": repr(value)}
        if isinstance(value, np.ndarray):
            return self._array_to_json(value, name)
        if isinstance(value, IsotonicRegression):
            return self._object("IsotonicRegression", _thresholds(value), name)
        if self.classes.get(type(value).__name__) is type(value):
            names = _field_names(type(value))
            return self._object(type(value).__name__, {f: getattr(value, f) for f in names}, name)
        if type(value) in (list, tuple):
            items = [self.to_json(item, name) for item in value]
            return items if type(value) is list else {"tuple": items}
        if isinstance(value, Mapping):
            return {
                "pairs": [[self.to_json(part, name) for part in pair] for pair in value.items()]
            }
        raise TypeError(f"{name}={value!r} cannot be written: it is no number, name, array or dict")

    def _object(self, class_name: str, parts: dict[str, Any], name: str) -> dict[str, Any]:
        written = {part: self.to_json(value, name) for part, value in parts.items()}
        return {"class": class_name, "fields": written}

    def _array_to_json(self, array: NDArray, name: str) -> dict[str, Any]:
        dtype = _dtype_name(array.dtype)
        if dtype is None:
            raise TypeError(f"{name} holds {array.dtype}, which cannot be written")
        data = array.ravel().tolist()
        if dtype == "object":
            data = [self.to_json(item, name) for item in data]
        elif array.dtype.kind == "f" and not np.isfinite(array).all():
            data = [x if math.isfinite(x) else repr(x) for x in data]
        return {"dtype": dtype, "shape": list(array.shape), "data": data}

    def from_json(self, node: Any) -> Any:
        """Inverse of `to_json`; ValueError for what it never wrote."""
        if isinstance(node, list):
            return [self.from_json(item) for item in node]
        if not isinstance(node, dict):
            return node
        readers: dict[frozenset[str], Callable[[dict[str, Any]], Any]] = {
            frozenset({"dtype", "shape", "data"}): self._array,
            frozenset({"scalar", "value"}): _scalar,
            frozenset({"number"}): lambda node: _NON_FINITE[node["number"]],
            frozenset({"tuple"}): lambda node: tuple(self.from_json(node["tuple"])),
            frozenset({"pairs"}): lambda node: dict(self.from_json(node["pairs"])),
            frozenset({"class", "fields"}): self._of_class,
        }
        reader = readers.get(frozenset(node))
        if reader is None:
            raise ValueError(f"an object with the keys {sorted(node)} means nothing here")
        return reader(node)

    def _array(self, node: dict[str, Any]) -> NDArray:
        dtype, shape, data = _known_dtype(node["dtype"]), node["shape"], node["data"]
        if not isinstance(data, list) or math.prod(shape) != len(data):
            raise ValueError(f"an array of shape {shape} does not have that many numbers")
        if dtype == "object":
            array = np.empty(len(data), dtype=object)
            array[:] = self.from_json(data)
            return array.reshape(shape)
        if dtype.startswith("float") and str in set(map(type, data)):
            data = [_NON_FINITE[x] if isinstance(x, str) else x for x in data]
        if not set(map(type, data)) <= _types_of(dtype):
            raise ValueError(f"an array of {dtype} holds something else")
        # Not the width that the file names, which a few bytes can make larger than the memory.
        return np.array(data, dtype="U" if dtype[0] == "<" else dtype).reshape(shape)

    def _of_class(self, node: dict[str, Any]) -> Any:
        name, parts = node["class"], self._parts(node["fields"])
        if name == "IsotonicRegression":
            return _isotonic(**parts)
        if name not in self.classes:
            raise ValueError(f"the class {name!r} is none that models are made of")
        made = self.classes[name]
        for part, hint in _hints(made).items():
            if part in parts and not _fits(parts[part], hint):
                raise ValueError(f"{part} of {name} is not what it should be")
        return made(**parts)

    def _parts(self, node: Any) -> dict[str, Any]:
        if not isinstance(node, dict):
            raise ValueError("fields must be an object")
        return {part: self.from_json(value) for part, value in node.items()}


def _dtype_name(dtype: np.dtype) -> str | None:
    name = "object" if dtype.kind == "O" else dtype.str if dtype.kind == "U" else dtype.name
    name = name.replace(">U", "<U")
    return name if _DTYPES.fullmatch(name) else None


def _known_dtype(name: Any) -> str:
    if not isinstance(name, str) or not _DTYPES.fullmatch(name):
        raise ValueError(f"there are no arrays of {name!r} in models")
    return name


def _types_of(dtype: str) -> set[type]:
    """What JSON has for numbers of this kind: none that numpy would cut short."""
    if dtype[0] == "<":
        return {str}
    return {bool} if dtype == "bool" else {int, float} if dtype.startswith("float") else {int}


def _scalar_to_json(value: np.generic, name: str) -> dict[str, Any]:
    dtype = _dtype_name(value.dtype)
    if dtype is None:
        raise TypeError(f"{name}={value!r} cannot be written")
    plain = value.item()
    if isinstance(plain, float) and not math.isfinite(plain):
        plain = repr(plain)
    return {"scalar": dtype, "value": plain}


def _scalar(node: dict[str, Any]) -> Any:
    value = node["value"]
    name = _known_dtype(node["scalar"])
    if name.startswith("float") and isinstance(value, str):
        value = _NON_FINITE[value]
    if type(value) not in _types_of(name):
        raise ValueError(f"a number of {name} is something else")
    return np.str_(value) if name[0] == "<" else np.dtype(name).type(value)


def _thresholds(function: IsotonicRegression) -> dict[str, Any]:
    return {"x": function.X_thresholds_, "y": function.y_thresholds_}


def _isotonic(x: NDArray, y: NDArray) -> IsotonicRegression:
    """The function through these points, which is its own isotonic regression."""
    if x.ndim != 1 or x.shape != y.shape or (np.diff(x) < 0).any() or (np.diff(y) < 0).any():
        raise ValueError("an isotonic function must ascend")
    return IsotonicRegression(out_of_bounds="clip").fit(x, y)


def _field_names(of: type) -> tuple[str, ...]:
    if is_dataclass(of):
        return tuple(field.name for field in fields(of))
    return tuple(of._fields)  # type: ignore[attr-defined]


@cache
def _hints(of: type) -> dict[str, Any]:
    return get_type_hints(of)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the type that a field asks for."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in arguments)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        of_each = [arguments[0]] * len(value) if arguments[-1] is ... else arguments
        return len(value) == len(of_each) and all(map(_fits, value, of_each))
    if origin is dict:
        of_value = arguments[1]
        return isinstance(value, dict) and all(_fits(v, of_value) for v in value.values())
    if hint in (float, int):
        numbers: Any = (int, np.integer) if hint is int else (int, float, np.number)
        return isinstance(value, numbers) and not isinstance(value, bool)
    kind = NoneType if hint is None else origin or hint
    return isinstance(kind, type) and isinstance(value, kind)
