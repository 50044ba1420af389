"""The identifier of a fit: a name that depends on what is fitted and on nothing else."""

import hashlib
import json
from typing import Any

from autofit.mapper.description import describe_constant


def identifier_for(*parts: Any) -> str:
    """Return the md5, 32 hexadecimal digits, of a canonical description of `parts`.

    The same model, in another process or on another day, gives the same identifier: priors enter by
    their kind, their arguments and their place in the parameter vector, never by their id.

    Parameters
    ----------
    *parts
        Models (anything with a `to_dict` method) and plain values: strings, numbers, mappings,
        arrays, objects.

    Raises
    ------
    ModelError
        If a part cannot be described in a way that is stable between processes.
    UnsetPriorError
        If a model has an argument without a prior or a value.
    """
    described = [
        part.to_dict()
        if hasattr(part, "to_dict") and not isinstance(part, type)
        else describe_constant(part)
        for part in parts
    ]
    text = json.dumps(described, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
