"""Reading a traced program: its equations at every depth, its constants, what to warn about."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from autofit_memplan.units import format_bytes

_MOST_ELEMENTS = 2**31
_HOST_CALLS = ("callback", "debug_print", "outside_call", "infeed", "outfeed")


def _programs_in(value: object) -> Iterator[ClosedJaxpr | Jaxpr]:
    if isinstance(value, ClosedJaxpr | Jaxpr):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _programs_in(item)


def programs(jaxpr: ClosedJaxpr | Jaxpr) -> Iterator[ClosedJaxpr | Jaxpr]:
    """The program and every program inside its loops, branches and calls, each of them once."""
    waiting, seen = [jaxpr], set()
    while waiting:
        program = waiting.pop()
        if id(program) in seen:  # a jitted function called twice shares its program
            continue
        seen.add(id(program))
        yield program
        for equation in program.eqns:
            waiting += _programs_in(tuple(equation.params.values()))


def equations(jaxpr: ClosedJaxpr | Jaxpr) -> Iterator[JaxprEqn]:
    """All equations at every depth."""
    for program in programs(jaxpr):
        yield from program.eqns


def arrays(variables: Iterable) -> Iterator[ShapedArray]:
    """Shapes and dtypes of those of an equation's variables that are arrays."""
    for variable in variables:
        if isinstance(variable.aval, ShapedArray):
            yield variable.aval


def constant_bytes(jaxpr: ClosedJaxpr | Jaxpr) -> int:
    """Bytes of the arrays closed over, each counted once however often it is used."""
    return sum(nbytes(constant) for constant in constants(jaxpr).values())


def constants(jaxpr: ClosedJaxpr | Jaxpr) -> dict[Hashable, Any]:
    """The arrays closed over, at every depth, each once, by their `identity`."""
    return {
        identity(constant): constant
        for program in programs(jaxpr)
        if isinstance(program, ClosedJaxpr)
        for constant in program.consts
    }


def identity(constant: Any) -> Hashable:
    """What tells one array closed over from another: of a NumPy array, where its data are.

    JAX wraps a NumPy array anew at each use, so the object itself does not tell.
    """
    array = getattr(constant, "val", constant)
    if not isinstance(array, np.ndarray):
        return id(array)
    return array.ctypes.data, array.shape, array.strides, array.dtype.str


def nbytes(constant: Any) -> int:
    """Bytes of one array closed over; some of JAX's wrappers do not say."""
    shape, dtype = getattr(constant, "shape", ()), getattr(constant, "dtype", None)
    return 0 if dtype is None else math.prod(shape) * dtype.itemsize


def findings(jaxpr: ClosedJaxpr | Jaxpr) -> tuple[str, ...]:
    """Warnings that a reader of the plan should see: host calls, and arrays of 2³¹ elements.

    XLA has had bugs that return wrong values for arrays beyond 2³¹ elements, the largest that a
    signed 32-bit index can reach. An array that XLA fuses away is reported all the same: the
    index arithmetic is in the fusion then.
    """
    names: dict[str, None] = {}
    largest: ShapedArray | None = None
    for equation in equations(jaxpr):
        name = equation.primitive.name
        if any(call in name for call in _HOST_CALLS):
            names[name] = None
        for array in arrays(equation.outvars):
            if array.size >= max(_MOST_ELEMENTS, largest.size if largest else 0):
                largest = array
    warnings = [
        f"{name}: the host function's own memory and time are not in this plan" for name in names
    ]
    if largest:
        warnings.append(
            f"the largest array has {largest.size:,} elements "
            f"({format_bytes(largest.size * largest.dtype.itemsize)}), 2^31 or more: XLA has "
            "returned wrong values at such sizes; use a smaller chunk_size"
        )
    return tuple(warnings)


_OF_UNKNOWN_COST = {"while", "scan", "cholesky", "lu", "qr", "eigh", "svd", "fft", "sort"}


def elements_computed(jaxpr: ClosedJaxpr | Jaxpr) -> int | None:
    """Array elements that one execution reads or writes: a rough measure of its work.

    Returns
    -------
    The sum over all operations of the larger of elements in and elements out; ``None`` where
    there is something whose work its shapes do not tell: a loop, a factorisation, a host call.
    """
    total = 0
    for equation in equations(jaxpr):
        name = equation.primitive.name
        if name in _OF_UNKNOWN_COST or any(call in name for call in _HOST_CALLS):
            return None
        if any(_programs_in(tuple(equation.params.values()))):
            continue  # a call: its own equations are counted
        read = sum(array.size for array in arrays(equation.invars))
        total += max(read, sum(array.size for array in arrays(equation.outvars)))
    return total


def lowest_precision(jaxpr: ClosedJaxpr | Jaxpr) -> str:
    """Name of the shortest floating-point type that any operation gives; ``""`` if none does."""
    results = (array.dtype for equation in equations(jaxpr) for array in arrays(equation.outvars))
    floats = {dtype for dtype in results if jnp.issubdtype(dtype, jnp.floating)}
    return min((str(dtype) for dtype in floats), key=lambda name: jnp.finfo(name).bits, default="")
