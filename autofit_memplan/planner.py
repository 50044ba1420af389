"""From functions and a budget to certified, compiled programs: propose, compile, read, move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from autofit_memplan.budget import read_budget
from autofit_memplan.chunked import chunked_vmap
from autofit_memplan.errors import InfeasibleError
from autofit_memplan.footprint import Program, compile_program
from autofit_memplan.records import DeviceBudget, Footprint, Plan, ProgramPlan, Unchunked
from autofit_memplan.solver import Line, balance, choose_chunk, fit_line, waves
from autofit_memplan.units import format_bytes

_WORTH_A_NOTE = 2**20  # below a mebibyte of temporaries nobody needs to know

ChunkRequest = int | str | None
"""An int is a chunk size, ``"auto"`` the best that fits, ``None`` no chunks at all."""


class _Candidate(NamedTuple):
    """A program whose chunk size is to be chosen."""

    name: str
    n: int
    at_chunk: Callable[[int], tuple[Callable, tuple]]  # chunk size -> function, example arguments
    calls_held: int  # how many calls' memory one of its parallel calls is expected to hold


def plan_calls(
    fn: Callable,
    example: Any,
    n: int,
    budget: DeviceBudget | None = None,
    chunk_size: ChunkRequest = "auto",
) -> Plan:
    """How many of `n` calls of `fn` may run at once?

    Parameters
    ----------
    fn
        A function of one example.
    example
        One example: an array, a `jax.ShapeDtypeStruct`, or a pytree of them.
    n
        Calls wanted.
    budget
        `read_budget()` when not given.
    chunk_size
        ``"auto"`` chooses; an int or ``None`` (all at once) is certified as it is.

    Returns
    -------
    A plan whose `Plan.calls.chunk_size` goes to `chunked_vmap`, and whose
    ``executable("calls")`` takes the `n` stacked examples.

    Raises
    ------
    InfeasibleError
        If not even one call fits the budget.
    """
    budget = budget or read_budget()
    example = jax.tree.map(_shape_of, example)
    stacked = jax.tree.map(lambda x: jax.ShapeDtypeStruct((n, *x.shape), x.dtype), example)
    call = compile_program(fn, example, platform=budget.platform)
    candidate = _Candidate("calls", n, lambda chunk: (chunked_vmap(fn, chunk), (stacked,)), 1)
    return _plan(budget, call, [(candidate, chunk_size)])


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

    Returns
    -------
    A plan with `Plan.init` and `Plan.step`; ``executable("init")`` and ``executable("step")``
    are the very programs that were certified.

    Raises
    ------
    InfeasibleError
        If not even one call fits the budget.
    """
    budget = budget or read_budget()
    dtype = jnp.zeros(()).dtype
    position = jax.ShapeDtypeStruct((n_dim,), dtype)
    positions = jax.ShapeDtypeStruct((n_live, n_dim), dtype)
    key = jax.eval_shape(lambda: jax.random.key(0))

    def build(chunk: int | None):
        return build_algorithm(
            logprior_fn=logprior_fn,
            loglikelihood_fn=loglikelihood_fn,
            num_inner_steps=num_inner_steps,
            num_delete=num_delete,
            chunk_size=chunk,
        )

    def init_at(chunk: int):
        return build(chunk if chunk < n_live else None).init, (positions, key)

    state = jax.eval_shape(build(None).init, positions, key)

    def step_at(chunk: int):
        algorithm = build(chunk if chunk < num_delete else None)
        program = step_program(algorithm, chunk) if step_program else algorithm.step
        return program, (key, state, *step_arguments)

    call = compile_program(loglikelihood_fn, position, platform=budget.platform)
    return _plan(
        budget,
        call,
        [
            (_Candidate("init", n_live, init_at, 1), chunk_size),
            (_Candidate("step", num_delete, step_at, 2), chunk_size),
        ],
    )


def _plan(
    budget: DeviceBudget, call: Program, requests: list[tuple[_Candidate, ChunkRequest]]
) -> Plan:
    one_call = call.footprint.total_bytes
    if one_call > budget.limit_bytes:
        raise _infeasible("one call", one_call, budget)
    notes = dict.fromkeys(call.warnings)
    executables, plans = {}, []
    per_call = call.footprint.temp_bytes + call.footprint.scratch_bytes
    for candidate, request in requests:
        program, plan = _certify(candidate, request, budget, call.footprint, per_call)
        notes |= dict.fromkeys(program.warnings)
        notes |= dict.fromkeys(_memory_notes(plan, per_call, budget))
        executables[plan.name] = program.executable
        plans.append(plan)
    result = Plan(budget=budget, call=call.footprint, programs=tuple(plans), warnings=tuple(notes))
    result._executables.update(executables)
    return result


def _certify(
    candidate: _Candidate,
    request: ChunkRequest,
    budget: DeviceBudget,
    call: Footprint,
    per_call: int,
) -> tuple[Program, ProgramPlan]:
    """Compile `candidate` at one chunk size after another until the best one is known."""
    compiled: dict[int, Program] = {}

    def bytes_at(chunk: int) -> int:
        fn, arguments = candidate.at_chunk(chunk)
        compiled[chunk] = compile_program(fn, *arguments, platform=budget.platform)
        return compiled[chunk].footprint.total_bytes

    n, limit = candidate.n, budget.limit_bytes
    guess = Line(call.total_bytes - per_call, candidate.calls_held * per_call)
    if request == "auto":
        chunk, measured = choose_chunk(n, limit, bytes_at, guess)
        if chunk is None:
            raise _infeasible(
                f"{candidate.name}, one call at a time,", min(measured.values()), budget
            )
    else:
        chunk = n if request is None else balance(n, min(request, n))
        measured = {chunk: bytes_at(chunk)}

    whole = compiled.get(n)
    whole_bytes = whole.footprint.total_bytes if whole else int(fit_line(measured, limit, guess).at(n))
    program = compiled[chunk]
    return program, ProgramPlan(
        name=candidate.name,
        n=n,
        chunk_size=chunk,
        waves=waves(n, chunk),
        footprint=program.footprint,
        predicted_bytes=program.footprint.total_bytes,
        budget_share=program.footprint.total_bytes / limit,
        unchunked=Unchunked(
            predicted_bytes=whole_bytes, fits=whole_bytes <= limit, is_compiled=whole is not None
        ),
        compiles=len(compiled),
        compile_seconds=sum(p.footprint.compile_seconds for p in compiled.values()),
    )


def _memory_notes(plan: ProgramPlan, per_call: int, budget: DeviceBudget) -> list[str]:
    notes = []
    if plan.predicted_bytes > budget.limit_bytes:
        notes.append(
            f"{plan.name} at the chunk size asked for, {plan.chunk_size}, needs "
            f"{format_bytes(plan.predicted_bytes)}, more than the budget of "
            f"{format_bytes(budget.limit_bytes)}; chunk_size='auto' would fit it"
        )
    in_batch = plan.footprint.temp_bytes / plan.chunk_size
    is_batch_of_calls = plan.name != "step"
    if is_batch_of_calls and plan.chunk_size > 1 and plan.footprint.temp_bytes > _WORTH_A_NOTE:
        if not 0.8 <= in_batch / max(per_call, 1) <= 1.25:
            notes.append(
                f"memory is not linear in the batch: one call alone has {format_bytes(per_call)} "
                f"of temporaries, a call in {plan.name}'s batch of {plan.chunk_size} has "
                f"{format_bytes(int(in_batch))}; the plan uses the compiled figure"
            )
    return notes


def _infeasible(what: str, needed_bytes: int, budget: DeviceBudget) -> InfeasibleError:
    account = [(line.label, line.bytes) for line in budget.lines]
    return InfeasibleError.compose(what, needed_bytes, budget.limit_bytes, account)


def _shape_of(x) -> jax.ShapeDtypeStruct:
    x = x if hasattr(x, "shape") and hasattr(x, "dtype") else jnp.asarray(x)
    return jax.ShapeDtypeStruct(x.shape, x.dtype)
