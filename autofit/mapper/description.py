"""Plain, JSON-able descriptions of constants: equal content gives an equal description.

They are what `files/model.json` shows and what the identifier of a fit is made of, so they must
not depend on the process: no object addresses, no hash order, no prior ids.
"""

import enum
import hashlib
import inspect
import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import jax
import numpy as np

from autofit.mapper.errors import ModelError


def class_path(cls: Any) -> str:
    """Import path of a class or function, `package.module.Name`."""
    return f"{cls.__module__}.{cls.__qualname__}"


def describe_constant(value: Any, _open: tuple[int, ...] = ()) -> Any:
    """Describe a value in terms of JSON.

    Arrays are described by type, shape and an md5 of their bytes; other objects by their class and
    public attributes, which leaves out what starts with an underscore (caches, for instance).

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
        return _describe_array(np.asarray(value))
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


def _describe_object(value: Any, inner: tuple[int, ...]) -> Any:
    kind = class_path(type(value))
    if isinstance(value, enum.Enum):
        return {"type": "enum", "class_path": kind, "name": value.name}
    if inspect.isclass(value) or inspect.isroutine(value):
        return {"type": "callable", "class_path": class_path(value)}
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
    return {
        "type": "instance",
        "class_path": kind,
        "attributes": {
            name: describe_constant(attribute, inner)
            for name, attribute in sorted(attributes.items())
            if not name.startswith("_")
        },
    }
