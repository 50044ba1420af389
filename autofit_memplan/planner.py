"""From functions and a budget to certified, compiled programs: propose, compile, read, move."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from autofit_memplan.budget import read_budget
from autofit_memplan.certify import (
    Candidate,
    ChunkRequest,
    certify,
    compile_at,
    infeasible,
    memory_notes,
    with_scratch,
)
from autofit_memplan.chunked import chunked_vmap
from autofit_memplan.fast import choice_key, preference, remember, remembered
from autofit_memplan.footprint import Program, compile_program
from autofit_memplan.records import Alternative, DeviceBudget, Live, Plan
from autofit_memplan.solver import check_chunk_size
from autofit_memplan.units import format_bytes


def plan_calls(
    fn: Callable,
    example: Any,
    n: int,
    budget: DeviceBudget | None = None,
    chunk_size: ChunkRequest = "auto",
    cache: bool = True,
    excess_bytes: int = 0,
) -> Plan:
    """How many of `n` calls of `fn` may run at once?

    Parameters
    ----------
    fn
        A function of one example.
    example
        One example: an array, a number, a `jax.ShapeDtypeStruct`, or a pytree of them.
    n
        Calls wanted, at least 1.
    budget
        `read_budget()` when not given.
    chunk_size
        ``"auto"`` chooses; an int or ``None`` (all at once) is certified as it is.
    cache
        Take the figures of programs that were compiled before from the user's cache folder.
    excess_bytes
        What each call made at once was measured to take beyond XLA's figures; it is counted as
        library scratch.

    Returns
    -------
    A plan whose `Plan.calls.chunk_size` goes to `chunked_vmap`, and whose
    ``executable("calls")`` takes the `n` stacked examples.

    Raises
    ------
    InfeasibleError
        If not even one call fits the budget; nothing has run or been allocated by then.
    ValueError
        If `chunk_size` or a count makes no sense.
    """
    chunk_size = _check_request(chunk_size)
    _check_counts(n=n)
    budget = budget or read_budget()
    example = jax.tree.map(_strong, jax.eval_shape(lambda x: x, example))
    stacked = jax.tree.map(lambda x: jax.ShapeDtypeStruct((n, *x.shape), x.dtype), example)
    candidate = Candidate("calls", n, lambda chunk: (chunked_vmap(fn, chunk), (stacked,)), 1)
    return _plan(budget, (fn, example), [(candidate, chunk_size)], cache, excess_bytes)


def plan_nss(
    build_algorithm: Callable,
    *,
    loglikelihood_fn: Callable,
    logprior_fn: Callable,
    n_dim: int,
    n_live: int,
    num_delete: int,
    num_inner_steps: int,
    budget: DeviceBudget | None = None,
    chunk_size: ChunkRequest = "auto",
    step_program: Callable | None = None,
    step_arguments: tuple = (),
    calls_held: int = 2,
    notes: tuple[str, ...] = (),
    cache: bool = True,
    excess_bytes: int = 0,
    prefer_fast: bool = False,
) -> Plan:
    """Choose the chunk sizes of a nested slice sampler's init and step on its real programs.

    Parameters
    ----------
    build_algorithm
        ``build_algorithm(*, logprior_fn, loglikelihood_fn, num_inner_steps, num_delete,
        chunk_size)`` returning an object with ``init(positions, rng_key)`` and
        ``step(rng_key, state)``.
    loglikelihood_fn, logprior_fn
        Functions of one position, shape ``(n_dim,)``.
    n_dim, n_live, num_delete, num_inner_steps
        The sampler's sizes.
    budget
        `read_budget()` when not given.
    chunk_size
        ``"auto"`` chooses; an int or ``None`` (no chunks) is certified as it is.
    step_program
        ``(algorithm, chunk_size) -> function(rng_key, state, *step_arguments)``: what the
        caller's loop will run, when that is more than one bare ``algorithm.step``.
    step_arguments
        Further example arguments of it.
    calls_held
        Calls whose memory one particle of the step is expected to hold, to begin the search near
        its end: 2 for upstream's step, 1 for one with a single call site.
    notes
        The caller's own, to be shown with the plan's warnings.
    cache
        Take the figures of programs that were compiled before from the user's cache folder.
    excess_bytes
        What each call made at once was measured to take beyond XLA's figures; it is counted as
        library scratch.
    prefer_fast
        With ``"auto"``, begin with the step's chunk that was fastest before (`Plan.remember`), on a
        CPU else with as many calls as its cache holds, where that is less than what fits.

    Returns
    -------
    A plan with `Plan.init` and `Plan.step`; ``executable("init")`` and ``executable("step")``
    are the very programs that were certified, for typed threefry keys, and ``executable("call")``
    is one likelihood call.

    Raises
    ------
    InfeasibleError
        If not even one call fits the budget; nothing has run or been allocated by then.
    ValueError
        If `chunk_size` or a count makes no sense.
    """
    chunk_size = _check_request(chunk_size)
    _check_counts(
        n_dim=n_dim, n_live=n_live, num_delete=num_delete, num_inner_steps=num_inner_steps
    )
    budget = budget or read_budget()
    dtype = jnp.result_type(float)
    position = jax.ShapeDtypeStruct((n_dim,), dtype)
    positions = jax.ShapeDtypeStruct((n_live, n_dim), dtype)
    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))

    def build(chunk: int | None):
        return build_algorithm(
            logprior_fn=logprior_fn,
            loglikelihood_fn=loglikelihood_fn,
            num_inner_steps=num_inner_steps,
            num_delete=num_delete,
            chunk_size=chunk,
        )

    def asked_for(chunk: int, n: int) -> int | None:
        return None if chunk_size is None and chunk >= n else chunk

    def init_at(chunk: int):
        return build(asked_for(chunk, n_live)).init, (positions, key)

    state = jax.eval_shape(build(None).init, positions, key)

    def step_at(chunk: int):
        algorithm = build(asked_for(chunk, num_delete))
        program = step_program(algorithm, chunk) if step_program else algorithm.step
        return program, (key, state, *step_arguments)

    return _plan(
        budget,
        (loglikelihood_fn, position),
        [
            (Candidate("init", n_live, init_at, 1), chunk_size),
            (Candidate("step", num_delete, step_at, calls_held), chunk_size),
        ],
        cache,
        excess_bytes,
        notes,
        (n_live, num_delete, num_inner_steps, calls_held) if prefer_fast else None,
    )


def _plan(
    budget: DeviceBudget,
    one_call: tuple[Callable, Any],
    requests: list[tuple[Candidate, ChunkRequest]],
    cache: bool,
    excess_bytes: int,
    notes: tuple[str, ...] = (),
    prefer_fast_for: tuple | None = None,
) -> Plan:
    if excess_bytes:
        each = format_bytes(excess_bytes)
        notes += (f"library scratch holds {each} a call measured beyond XLA's figures",)
    compiler = partial(compile_program, platform=budget.platform, target=budget.target, cache=cache)
    call = with_scratch(compiler(*one_call), excess_bytes)
    if not budget.holds(call.footprint):
        raise infeasible("one call", call.footprint, budget)
    warnings = dict.fromkeys((*notes, *call.warnings))
    live, plans = {"call": Live(call.compile)}, []
    per_call = call.footprint.temp_bytes + call.footprint.scratch_bytes
    for candidate, request in requests:
        key = preferred = None
        if prefer_fast_for is not None and request == "auto":
            room = min(candidate.n, budget.limit_bytes // max(call.footprint.total_bytes, 1))
            key = choice_key(call.key, candidate.name, *prefer_fast_for, room.bit_length())
            preferred = preference(key, call.footprint, budget.platform)
        program, plan = certify(
            candidate, request, budget, call.footprint, per_call, compiler, excess_bytes, preferred
        )
        warnings |= dict.fromkeys(program.warnings)
        warnings |= dict.fromkeys(memory_notes(plan, per_call, budget))
        live[plan.name] = Live(
            compile=program.compile,
            at_chunk=partial(_alternative, candidate, budget, compiler, excess_bytes),
            remember=partial(remember, key),
            remembered=partial(remembered, key),
        )
        plans.append(plan)
    result = Plan(
        budget=budget, call=call.footprint, programs=tuple(plans), warnings=tuple(warnings)
    )
    result._live.update(live)
    return result


def _alternative(
    candidate: Candidate,
    budget: DeviceBudget,
    compiler: Callable[..., Program],
    excess_bytes: int,
    chunk: int,
) -> Alternative:
    program = compile_at(candidate, chunk, compiler, excess_bytes)
    return Alternative(
        chunk_size=chunk,
        predicted_bytes=program.footprint.total_bytes,
        fits=budget.holds(program.footprint),
        compile=program.compile,
    )


def _check_request(chunk_size: ChunkRequest) -> ChunkRequest:
    if chunk_size is None or chunk_size == "auto":
        return chunk_size
    if isinstance(chunk_size, str):
        raise ValueError(
            f"chunk_size={chunk_size!r} is not known; pass 'auto' for the best that fits, an int, "
            "or None for all calls at once"
        )
    return check_chunk_size(chunk_size)


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"{name}={count!r} is not a count; pass an int of at least 1")


def _strong(shape: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    """Without the weak type of a Python number: stacked examples are arrays and have none."""
    return jax.ShapeDtypeStruct(shape.shape, shape.dtype)
