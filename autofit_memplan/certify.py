"""One program, one budget: compile at one chunk size after another until the best is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax

from autofit_memplan.errors import InfeasibleError
from autofit_memplan.fast import Preference
from autofit_memplan.footprint import Program
from autofit_memplan.records import (
    ChosenBy,
    DeviceBudget,
    Footprint,
    ProgramPlan,
    Unchunked,
)
from autofit_memplan.solver import Line, choose_chunk, fit_line, waves
from autofit_memplan.units import format_bytes

_WORTH_A_NOTE = 2**20  # below a mebibyte of temporaries nobody needs to know

ChunkRequest = int | Literal["auto"] | None
"""An int is a chunk size, ``"auto"`` the best that fits, ``None`` no chunks at all."""


class Candidate(NamedTuple):
    """A program whose chunk size is to be chosen."""

    name: str
    n: int
    at_chunk: Callable[[int], tuple[Callable, tuple]]  # chunk size -> function, example arguments
    calls_held: int  # how many calls' memory one of its parallel calls is expected to hold


def certify(
    candidate: Candidate,
    request: ChunkRequest,
    budget: DeviceBudget,
    call: Footprint,
    per_call: int,
    compile_program: Callable[..., Program],
    excess_bytes: int = 0,
    preferred: Preference | None = None,
) -> tuple[Program, ProgramPlan]:
    """Compile `candidate` at one chunk size after another until the best one is known.

    Parameters
    ----------
    candidate
        The program; its memory at small chunks is expected to follow that of one call.
    request
        What the user asked for.
    budget
        The limit.
    call
        Footprint of one call.
    per_call
        Those of its bytes that every further call in a batch needs again.
    compile_program
        ``compile_program(fn, *arguments)``, for the device of the budget.
    excess_bytes
        Measured beyond XLA's figures, for each call made at once.
    preferred
        For ``"auto"``: taken, balanced, where it fits, and then nothing larger is compiled.

    Raises
    ------
    InfeasibleError
        If ``"auto"`` was asked for and not even one call at a time fits.
    """
    compiled: dict[int, Program] = {}
    failed: list[str] = []

    def bytes_at(chunk: int) -> int:
        try:
            compiled[chunk] = compile_at(candidate, chunk, compile_program, excess_bytes)
        except jax.errors.JaxRuntimeError as error:
            # On a GPU, compiling tries kernels with the memory that is free.
            if chunk == 1 or request != "auto":
                raise
            failed.append(
                f"{candidate.name} could not be compiled for {chunk} calls at once, so smaller "
                f"chunks were tried ({str(error).partition(chr(10))[0]})"
            )
            return max(int(guess.at(chunk)), limit + 1)
        return budget.demand(compiled[chunk].footprint)

    n, limit = candidate.n, budget.limit_bytes
    guess = Line(call.total_bytes - per_call, candidate.calls_held * per_call)
    chosen_by: ChosenBy = "memory"
    if request == "auto":
        chunk, measured = None, {}
        if preferred is not None:
            size, reason = preferred.balanced(n)
            measured = {size: bytes_at(size)}
            if measured[size] <= limit:
                chunk, chosen_by = size, reason
        if chunk is None:
            chunk, measured = choose_chunk(n, limit, bytes_at, guess)
        if chunk is None:
            what = f"{candidate.name}, one call at a time,"
            raise infeasible(what, compiled[1].footprint, budget)
    else:
        chunk, chosen_by = n if request is None else min(request, n), "request"
        measured = {chunk: bytes_at(chunk)}

    if n in compiled:
        whole_bytes = compiled[n].footprint.total_bytes
    else:
        whole_bytes = max(int(fit_line(measured, limit, guess).at(n)), *measured.values())
    program = compiled[chunk]
    program = program._replace(warnings=(*program.warnings, *failed))
    return program, ProgramPlan(
        name=candidate.name,
        n=n,
        chunk_size=chunk,
        waves=waves(n, chunk),
        footprint=program.footprint,
        predicted_bytes=program.footprint.total_bytes,
        budget_share=program.footprint.total_bytes / limit,
        unchunked=Unchunked(
            predicted_bytes=whole_bytes,
            fits=measured.get(n, whole_bytes) <= limit,
            is_compiled=n in compiled,
        ),
        compiles=sum(not p.footprint.from_cache for p in compiled.values()),
        compile_seconds=sum(p.footprint.compile_seconds for p in compiled.values()),
        cached=sum(p.footprint.from_cache for p in compiled.values()),
        chosen_by=chosen_by,
    )


def compile_at(
    candidate: Candidate, chunk: int, compile_program: Callable[..., Program], excess_bytes: int
) -> Program:
    """`candidate` at one chunk size; for the arguments see `certify`."""
    fn, arguments = candidate.at_chunk(chunk)
    return with_scratch(compile_program(fn, *arguments), excess_bytes * chunk)


def with_scratch(program: Program, more_bytes: int) -> Program:
    """The program with more library scratch in its footprint."""
    scratch_bytes = program.footprint.scratch_bytes + more_bytes
    footprint = program.footprint.model_copy(update={"scratch_bytes": scratch_bytes})
    return program._replace(footprint=footprint)


def memory_notes(plan: ProgramPlan, per_call: int, budget: DeviceBudget) -> list[str]:
    notes = []
    if not budget.holds(plan.footprint):
        notes.append(
            f"{plan.name} at the chunk size asked for, {plan.chunk_size}, needs "
            f"{_sizes(plan.footprint, budget)}; chunk_size='auto' looks for one that fits"
        )
    own = plan.footprint.temp_bytes + plan.footprint.scratch_bytes
    is_batch_of_calls = plan.name != "step"
    is_linear = 0.8 <= own / plan.chunk_size / max(per_call, 1) <= 1.25
    if is_batch_of_calls and plan.chunk_size > 1 and own > _WORTH_A_NOTE and not is_linear:
        notes.append(
            f"memory is not linear in the batch: one call alone has {format_bytes(per_call)} "
            f"of temporaries, one of {plan.chunk_size} in {plan.name} has "
            f"{format_bytes(own // plan.chunk_size)}; the plan uses the compiled figure"
        )
    return notes


def _sizes(footprint: Footprint, budget: DeviceBudget) -> str:
    text = (
        f"{format_bytes(footprint.total_bytes)}, the budget is {format_bytes(budget.limit_bytes)}"
    )
    if budget.largest_block_bytes is not None:
        text += (
            f", and {format_bytes(footprint.temp_bytes)} of it in one block, of which the largest "
            f"free one has {format_bytes(budget.largest_block_bytes)}"
        )
    return text


def infeasible(what: str, footprint: Footprint, budget: DeviceBudget) -> InfeasibleError:
    account = [(line.label, line.bytes) for line in budget.lines]
    needed, limit = footprint.total_bytes, budget.limit_bytes
    block = budget.largest_block_bytes
    if needed <= limit and block is not None:  # then it is the block that is too small
        what, needed, limit = f"one block of {what}", footprint.temp_bytes, block
        account = [("largest free block", block)]
    return InfeasibleError.compose(what, needed, limit, account)
