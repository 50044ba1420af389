"""A traced program made fit for a device that is not here: no host calls, no large constants.

Host calls cannot be lowered without a live device, and XLA copies a constant many times over
(half a gigabyte of it took 20 s and 4 GB of memory). So the trace is interpreted once more, with
stand-ins for the first and arguments for the second.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from autofit_memplan.jaxprs import arrays, constants, equations, identity, nbytes, programs
from autofit_memplan.units import MIB

_LARGE_BYTES = MIB
_HOST_CALLS = ("pure_callback", "io_callback", "debug_callback", "debug_print")

Lifted = dict[Hashable, Any]  # by identity of a large constant: the argument in its place


class Portable(NamedTuple):
    """A program and what was taken out of it.

    Attributes
    ----------
    fn
        ``fn(constants, *arguments)``, with the arguments and results in flat lists.
    constants
        The large arrays closed over, each once.
    host_calls
        What stand-ins replaced, e.g. ``"pure_callback of table_lookup"``.
    """

    fn: Callable
    constants: list[Any]
    host_calls: list[str]

    @property
    def constant_bytes(self) -> int:
        return sum(map(nbytes, self.constants))


def portable(traced: ClosedJaxpr) -> Portable:
    """Take large constants and host calls out of a traced program, at every depth.

    A stand-in for a host call takes and gives arrays of the same shapes, all of which have to
    exist in memory. Loops, branches and calls are rebuilt where there is something to replace
    inside them, and stay as they are elsewhere.
    """
    large = {key: c for key, c in constants(traced).items() if nbytes(c) >= _LARGE_BYTES}
    host_calls = {
        _host_call_name(equation): None
        for equation in equations(traced)
        if equation.primitive.name in _HOST_CALLS
    }

    def fn(values, *arguments):
        return _run(traced, arguments, dict(zip(large, values, strict=True)))

    return Portable(fn, list(large.values()), list(host_calls))


def _host_call_name(equation: JaxprEqn) -> str:
    function = getattr(equation.params.get("callback"), "callback_func", None)
    name = getattr(function, "__name__", None)
    return f"{equation.primitive.name} of {name}" if name else equation.primitive.name


def _run(closed: ClosedJaxpr, arguments: Iterable, lifted: Lifted) -> list[Any]:
    jaxpr = closed.jaxpr
    closed_over = (lifted.get(identity(constant), constant) for constant in closed.consts)
    known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*closed_over, *arguments), strict=True))

    def read(atom):
        return atom.val if isinstance(atom, Literal) else known[atom]

    for equation in jaxpr.eqns:
        rebuild = _REBUILD.get(equation.primitive.name, _bind)
        if not _has_something_to_replace(equation, lifted):
            rebuild = _bind
        with equation.ctx.manager:
            results = rebuild(equation, [read(atom) for atom in equation.invars], lifted)
        known.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _has_something_to_replace(equation: JaxprEqn, lifted: Lifted) -> bool:
    if equation.primitive.name in _HOST_CALLS:
        return True
    return any(
        any(e.primitive.name in _HOST_CALLS for e in program.eqns)
        or any(identity(constant) in lifted for constant in getattr(program, "consts", ()))
        for inner in _inner(equation)
        for program in programs(inner)
    )


def _inner(equation: JaxprEqn) -> list[ClosedJaxpr]:
    """The programs that an equation calls, loops over or chooses from."""
    parameters = (p if isinstance(p, tuple | list) else (p,) for p in equation.params.values())
    found = [p for group in parameters for p in group if isinstance(p, ClosedJaxpr | Jaxpr)]
    return [p if isinstance(p, ClosedJaxpr) else ClosedJaxpr(p, ()) for p in found]


def _bind(equation: JaxprEqn, inputs: list, _: Lifted) -> list:
    bound = equation.primitive.get_bind_params(equation.params)
    functions, parameters = bound if isinstance(bound, tuple) else ((), bound)  # before JAX 0.10
    results = equation.primitive.bind(*functions, *inputs, **parameters)
    return results if equation.primitive.multiple_results else [results]


def _call(equation: JaxprEqn, inputs: list, lifted: Lifted) -> list:
    return _run(_inner(equation)[0], inputs, lifted)


def _remat(equation: JaxprEqn, inputs: list, lifted: Lifted) -> list:
    return _call(equation, jax.lax.optimization_barrier(inputs), lifted)


def _scan(equation: JaxprEqn, inputs: list, lifted: Lifted) -> list:
    p = equation.params
    fixed, init, xs = _split(inputs, p["num_consts"], p["num_carry"])

    def body(carry, x):
        results = _run(p["jaxpr"], (*fixed, *carry, *x), lifted)
        return results[: p["num_carry"]], results[p["num_carry"] :]

    options = {name: p[name] for name in ("length", "reverse", "unroll")}
    carry, ys = jax.lax.scan(body, init, xs, **options)
    return [*carry, *ys]


def _while(equation: JaxprEqn, inputs: list, lifted: Lifted) -> list:
    p = equation.params
    of_cond, of_body, init = _split(inputs, p["cond_nconsts"], p["body_nconsts"])
    return jax.lax.while_loop(
        lambda state: _run(p["cond_jaxpr"], (*of_cond, *state), lifted)[0],
        lambda state: _run(p["body_jaxpr"], (*of_body, *state), lifted),
        init,
    )


def _cond(equation: JaxprEqn, inputs: list, lifted: Lifted) -> list:
    index, *operands = inputs
    branches = [
        lambda *operands, branch=branch: _run(branch, operands, lifted)
        for branch in equation.params["branches"]
    ]
    return jax.lax.switch(index, branches, *operands)


def _stand_in(equation: JaxprEqn, inputs: list, _: Lifted) -> list:
    """Results of the right shapes that depend on the inputs; barriers keep both in memory."""
    inputs = jax.lax.optimization_barrier(inputs)
    seed = sum(x.ravel()[0].astype("float32") for x in map(jnp.asarray, inputs) if x.size)
    results = [
        jnp.broadcast_to(jnp.asarray(seed, a.dtype), a.shape) for a in arrays(equation.outvars)
    ]
    return jax.lax.optimization_barrier(results)


def _split(values: list, *sizes: int) -> list[list]:
    """`values` in groups of `sizes`, and what is left."""
    groups = []
    for size in sizes:
        groups, values = [*groups, values[:size]], values[size:]
    return [*groups, values]


_CALLS = ("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call")

_REBUILD: dict[str, Callable[[JaxprEqn, list, Lifted], list]] = {
    **dict.fromkeys(_HOST_CALLS, _stand_in),
    **dict.fromkeys(_CALLS, _call),
    **dict.fromkeys(("remat", "remat2", "checkpoint"), _remat),
    "scan": _scan,
    "while": _while,
    "cond": _cond,
}
