"""Reading a traced program: its equations at every depth, its constants, what to warn about."""

from __future__ import annotations

from collections.abc import Iterator

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from autofit_memplan.units import format_bytes

_MOST_ELEMENTS = 2**31


def _closed_inside(value) -> Iterator[ClosedJaxpr | Jaxpr]:
    if isinstance(value, ClosedJaxpr | Jaxpr):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _closed_inside(item)


def programs(jaxpr: ClosedJaxpr | Jaxpr) -> Iterator[ClosedJaxpr | Jaxpr]:
    """The program itself and every program inside its loops, branches and calls."""
    yield jaxpr
    for equation in jaxpr.eqns:
        for value in equation.params.values():
            for inner in _closed_inside(value):
                yield from programs(inner)


def equations(jaxpr: ClosedJaxpr | Jaxpr) -> Iterator[JaxprEqn]:
    """All equations at every depth."""
    for program in programs(jaxpr):
        yield from program.eqns


def constant_bytes(jaxpr: ClosedJaxpr | Jaxpr) -> int:
    """Bytes of the arrays closed over, each counted once however often it is used."""
    constants = {
        id(constant): constant
        for program in programs(jaxpr)
        if isinstance(program, ClosedJaxpr)
        for constant in program.consts
    }
    return sum(getattr(constant, "nbytes", 0) for constant in constants.values())


def findings(jaxpr: ClosedJaxpr | Jaxpr) -> tuple[str, ...]:
    """Warnings that a reader of the plan should see: callbacks, and buffers of 2³¹ elements.

    XLA has had bugs that return wrong values for buffers beyond 2³¹ elements.
    """
    warnings: dict[str, None] = {}
    for equation in equations(jaxpr):
        if "callback" in equation.primitive.name:
            warnings[
                f"{equation.primitive.name}: the host function's own memory and time are not "
                "in this plan, and every call waits for the host"
            ] = None
        for variable in equation.outvars:
            size = getattr(variable.aval, "size", 0)
            if size >= _MOST_ELEMENTS:
                nbytes = format_bytes(size * variable.aval.dtype.itemsize)
                warnings[
                    f"{equation.primitive.name} makes a buffer of {size:,} elements ({nbytes}), "
                    "beyond 2^31: XLA has returned wrong values at such sizes"
                ] = None
    return tuple(warnings)
