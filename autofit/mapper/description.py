"""Plain, JSON-able descriptions of constants: equal content gives an equal description.

They are what `files/model.json` shows and what the identifier of a fit is made of, so they must
not depend on the process: no object addresses, no hash order, no prior ids.
"""

import enum
import functools
import hashlib
import inspect
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import PurePath
from types import CellType
from typing import Any

import jax
import numpy as np

from autofit.mapper.errors import ModelError


def class_path(cls: Any) -> str:
    """Import path of a class or function, `package.module.Name`."""
    return f"{cls.__module__}.{cls.__qualname__}"


def describe_constant(value: Any, _open: tuple[int, ...] = ()) -> Any:
    """Describe a value in terms of JSON.

    Arrays are described by type, shape, an md5 of their bytes, and their mask or unit; other
    objects by their class and public attributes, which leaves out what starts with an underscore
    (caches, for instance) unless there is nothing else, and cached properties. Functions are
    described by name; those that have none of their own, or hold values of where they were made, by
    these and by their code as well.

    Raises
    ------
    ModelError
        If an object has no attributes and no known content, so that two different ones could not be
        told apart.
    """
    if isinstance(value, bool | str | int | None) and not isinstance(value, enum.Enum):
        return value
    if isinstance(value, float):
        # JSON has no infinities or NaN.
        return float(value) if math.isfinite(value) else repr(float(value))
    if isinstance(value, np.generic):
        return describe_constant(np.asarray(value), _open)
    if isinstance(value, np.ndarray | jax.Array):
        numbers = _describe_array(np.asarray(value))
        beside = _beside_its_numbers(value)
        return {"type": "array", "numbers": numbers, **beside} if beside else numbers
    if id(value) in _open:
        return {"type": "enclosing object", "depth": len(_open) - _open.index(id(value))}
    inner = (*_open, id(value))
    if isinstance(value, Mapping):
        pairs = [
            [describe_constant(k, inner), describe_constant(v, inner)] for k, v in value.items()
        ]
        return {"type": "mapping", "items": sorted(pairs, key=repr)}
    if isinstance(value, list | tuple):
        return [describe_constant(item, inner) for item in value]
    if isinstance(value, set | frozenset):
        return {
            "type": "set",
            "items": sorted((describe_constant(v, inner) for v in value), key=repr),
        }
    return _describe_object(value, inner)


def _describe_array(array: np.ndarray) -> Any:
    if array.dtype == object:
        raise ModelError(
            f"an array of Python objects, shape {array.shape}, has no content that can be compared "
            "between runs. Use a numerical array or a list"
        )
    if array.ndim == 0:
        return describe_constant(array.item())
    content = np.ascontiguousarray(array).tobytes()
    return {
        "type": "array",
        "dtype": str(array.dtype),
        "shape": list(array.shape),
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
    }


def _beside_its_numbers(array: Any) -> dict[str, Any]:
    """What numbers alone do not tell of an array: its mask (NumPy's), its unit (astropy's)."""
    beside = {}
    if isinstance(array, np.ma.MaskedArray):
        beside["mask"] = _describe_array(np.ma.getmaskarray(array))
    if hasattr(array, "unit"):
        beside["unit"] = str(array.unit)
    return beside


def _describe_object(value: Any, inner: tuple[int, ...]) -> Any:
    kind = class_path(type(value))
    if isinstance(value, enum.Enum):
        return {"type": "enum", "class_path": kind, "name": value.name}
    if inspect.isclass(value) or inspect.isroutine(value):
        return {"type": "callable", "class_path": class_path(value), **what_it_holds(value, inner)}
    if inspect.ismodule(value):
        return {"type": "module", "name": value.__name__}
    if isinstance(value, functools.partial):
        parts = {"func": value.func, "args": value.args, "keywords": value.keywords}
        described = {name: describe_constant(part, inner) for name, part in parts.items()}
        return {"type": kind, **described}
    if isinstance(value, PurePath | complex | np.dtype):
        return {"type": kind, "value": str(value)}
    if isinstance(value, bytes | bytearray):
        digest = hashlib.md5(value, usedforsecurity=False).hexdigest()
        return {"type": kind, "md5": digest}
    slots = [name for cls in type(value).__mro__ for name in getattr(cls, "__slots__", ())]
    if not hasattr(value, "__dict__") and not slots:
        raise ModelError(
            f"a constant of type {kind} cannot be described: it has no attributes. "
            "Pass numbers, strings, arrays, or an object of a Python class"
        )
    attributes = dict(getattr(value, "__dict__", {}))
    attributes.update({name: getattr(value, name) for name in slots if hasattr(value, name)})
    attributes = {
        name: attribute
        for name, attribute in sorted(attributes.items())
        if not isinstance(getattr(type(value), name, None), functools.cached_property)
    }
    public = {name: a for name, a in attributes.items() if not name.startswith("_")}
    return {
        "type": "instance",
        "class_path": kind,
        "attributes": {
            name: describe_constant(attribute, inner)
            for name, attribute in (public or attributes).items()
        },
    }


def what_it_holds(function: Any, inner: tuple[int, ...] = ()) -> dict[str, Any]:
    """What a method or function has besides its name; empty for an ordinary one."""
    if not hasattr(function, "__code__"):
        function = inspect.unwrap(function)  # of `jax.jit`, say
    if inspect.ismethod(function):
        return {"self": describe_constant(function.__self__, inner)}
    held: dict[str, Any] = {}
    if closure := getattr(function, "__closure__", None):
        held["closure"] = [_describe_cell(cell, inner) for cell in closure]
    if "<lambda>" in getattr(function, "__qualname__", ""):
        code = function.__code__
        # Constants may be code objects, whose text has an address.
        constants = [c for c in code.co_consts if not inspect.iscode(c)]
        content = repr((code.co_code, code.co_names, constants, function.__defaults__))
        held["code"] = hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()
    return held


def _describe_cell(cell: CellType, inner: tuple[int, ...]) -> Any:
    # Of a decorator's, say, some cannot be described, or are empty yet.
    with suppress(ModelError, ValueError):
        return describe_constant(cell.cell_contents, inner)
    return {"type": "unknown"}
