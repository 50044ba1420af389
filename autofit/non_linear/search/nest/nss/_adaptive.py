"""A planned program that goes on with a smaller chunk when memory runs out or values are wrong."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import jax

from autofit.non_linear.errors import EvidenceError, OutOfMemoryError
from autofit.non_linear.search.nest.nss._memory import (
    Alternative,
    DeviceBudget,
    MemplanError,
    Plan,
    format_bytes,
)

_SIGNS = (
    "resource_exhausted",
    "out of memory",
    "out_of_memory",
    "failed to allocate",
    "allocation failed",  # jaxlib of cuBLAS and cuSOLVER
    "alloc_failed",  # these libraries' own names for it
    "scratch allocator",  # cuFFT could not make its plan
)

_OUTSIDE_THE_POOL = (
    "for new constant",  # of an array that is closed over
    "without blas support",  # no handle of cuBLAS could be made,
    "cublas_status_not_initialized",
    "solverdncreate",  # nor one of cuSOLVER
)
"""What is taken from the card itself, and is as large for any chunk."""

logger = logging.getLogger("autofit")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the host had no memory left; XLA has several ways to say so."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    signs = (*_SIGNS, *_OUTSIDE_THE_POOL)
    return isinstance(error, jax.errors.JaxRuntimeError) and any(sign in text for sign in signs)


class AdaptiveProgram:
    """One program of a plan, at the chunk size that it is run at now.

    Its arguments are not given away to the device (no donation), so a call that failed is
    repeated. The chain does not depend on the chunk.

    Parameters
    ----------
    plan
        Has the program, and compiles it at other chunk sizes.
    name
        Of the program in the plan.
    read_budget
        Reads the memory that is free now.
    wait
        Waits for what a call returned, and returns it.
    fault
        ``(result, chunk_size) -> what is wrong with it``, empty when nothing is; asked of the first
        result at each chunk size.

    Attributes
    ----------
    chunk_size
        Calls at once, now.
    proven
        The chunk size to go back to when the one of now is only being tried and does not work;
        ``None`` when none is being tried.
    hold_off
        Asked when memory ran out: waits for what else of this process takes some, and tells whether
        there was anything. Then the call is made once more before the chunk is lowered.
    check_seconds
        What looking at the values of the last call took.
    lowered, refused
        What happened, for the report: a sentence for each time that the chunk was lowered, and
        that one was tried and did not work.
    """

    def __init__(
        self,
        plan: Plan,
        name: str,
        read_budget: Callable[[], DeviceBudget],
        wait: Callable[[Any], Any],
        fault: Callable[[Any, int], str],
    ) -> None:
        program = plan.program(name)
        self._plan, self._name = plan, name
        self._read_budget, self._wait, self._fault = read_budget, wait, fault
        self._executables: dict[int, Any] = {}
        self._trusted: set[int] = set()
        self._bytes_per_call = program.predicted_bytes / program.chunk_size
        self.chunk_size = self._planned = program.chunk_size
        self.proven: int | None = None
        self.hold_off: Callable[[], bool] = lambda: False
        self.check_seconds = 0.0
        self.lowered: list[str] = []
        self.refused: list[str] = []
        self._until_it_fits(self._compiled)

    def __call__(self, *arguments: Any) -> Any:
        """Run the program; at a smaller chunk size where this one turns out not to work.

        Raises
        ------
        OutOfMemoryError
            When not even one call at a time has the memory it needs.
        EvidenceError
            When values are wrong even one call at a time.
        """
        while True:
            result, fault = self._until_it_fits(partial(self._checked, arguments))
            if not fault:
                return result
            del result
            if not self._has_gone_back(fault):
                self._distrust(fault)

    def has_room(self, alternative: Alternative) -> bool:
        """Whether another program still fits the memory, which others may have taken since."""
        free = 0
        with suppress(MemplanError):  # which says that nothing at all is left
            free = self._read_budget().limit_bytes
        held_bytes = self._plan.program(self._name).footprint.held_bytes  # of any chunk's program
        more_bytes = alternative.predicted_bytes - held_bytes
        if more_bytes <= free:
            return True
        self.refuse(
            f"{alternative.chunk_size} calls at once would take {format_bytes(more_bytes)} more, "
            f"and only {format_bytes(free)} are free by now; they were not tried"
        )
        return False

    def refuse(self, why: str) -> None:
        """Note, and say, that a chunk size is not taken."""
        self.refused.append(f"{self._name}: {why}")
        logger.warning("%s", self.refused[-1])

    def use(self, alternative: Alternative) -> None:
        """Keep another program and run at its chunk size."""
        self._executables[alternative.chunk_size] = alternative.compile()
        self.chunk_size = alternative.chunk_size

    def keep_only_current(self) -> None:
        """Give back the programs that will not run again."""
        self._executables = {self.chunk_size: self._executables[self.chunk_size]}
        self._plan.release(self._name)

    def _until_it_fits(self, attempt: Callable[[], Any]) -> Any:
        """What `attempt` returns at the first chunk size, from the present one down, that works."""
        while True:
            try:
                return attempt()
            except (jax.errors.JaxRuntimeError, MemoryError) as error:
                is_for_memory = is_out_of_memory(error)
                if not is_for_memory and self.proven is None:
                    raise
                cause = _short(error)
            # after the clause, whose traceback holds on to buffers
            why = f"out of memory ({cause})" if is_for_memory else cause
            if not self._has_gone_back(why) and not self.hold_off():
                self._make_room(cause)

    def _checked(self, arguments: tuple) -> tuple[Any, str]:
        """The result, and what is wrong with it."""
        result = self._wait(self._compiled()(*arguments))
        self.check_seconds = 0.0
        if self.chunk_size in self._trusted:
            return result, ""
        start = time.perf_counter()
        fault = self._fault(result, self.chunk_size)
        self.check_seconds = time.perf_counter() - start
        if not fault:
            self._trusted.add(self.chunk_size)
        return result, fault

    def _compiled(self) -> Any:
        """The program at the chunk size of now; compiled where that is new."""
        if self.chunk_size not in self._executables:
            if self.chunk_size == self._planned:
                executable = self._plan.executable(self._name)
            else:
                executable = self._plan.at_chunk(self._name, self.chunk_size).compile()
            self._executables[self.chunk_size] = executable
        return self._executables[self.chunk_size]

    def _has_gone_back(self, why: str) -> bool:
        """Whether a chunk size was only being tried, so that the proven one goes on."""
        if self.proven is None:
            return False
        tried, self.chunk_size, self.proven = self.chunk_size, self.proven, None
        self._executables.pop(tried, None)
        gc.collect()
        self.refuse(
            f"{why} at {tried} calls at once, which were tried; it goes on at {self.chunk_size}, "
            "the chains stay the same"
        )
        return True

    def _distrust(self, fault: str) -> None:
        if self.chunk_size == 1:
            raise EvidenceError(
                f"{fault}, even one call at a time. A likelihood has to give the same value for "
                "the same parameters: look for random numbers, a state that changes, or a step "
                "that rounding decides."
            )
        right = (size for size in self._trusted if size < self.chunk_size)
        self._lower_to(max(right, default=self.chunk_size // 2), fault)

    def _make_room(self, cause: str) -> None:
        """Go to a chunk size that the memory free now should hold, else to half."""
        self._executables.clear()
        self._plan.release(self._name)
        gc.collect()
        if any(sign in cause.lower() for sign in _OUTSIDE_THE_POOL):
            raise OutOfMemoryError(
                "no memory for CUDA's libraries or for an array that the likelihood closes over "
                f"({cause}). They take it from the card, not from JAX's pool: set "
                "XLA_PYTHON_CLIENT_PREALLOCATE=false, or a lower XLA_CLIENT_MEM_FRACTION, before "
                "Python starts, and run the same script again."
            )
        if self.chunk_size == 1:
            raise OutOfMemoryError(
                f"out of memory in {self._name}, one likelihood call at a time ({cause}). What was "
                "sampled so far is saved where the fit has a name. Free memory on the device "
                "(other processes, other arrays of this one) and run the same script again."
            )
        held = self.chunk_size
        with suppress(MemplanError):  # which says that nothing at all is left
            held = int(self._read_budget().limit_bytes / self._bytes_per_call)
        wanted = held if held < self.chunk_size else self.chunk_size // 2
        self._lower_to(max(1, wanted), f"out of memory ({cause})")

    def _lower_to(self, chunk_size: int, why: str) -> None:
        before, self.chunk_size = self.chunk_size, chunk_size
        self.lowered.append(
            f"{self._name}: {why}; {before} calls at once became {chunk_size}, the chains stay "
            "the same"
        )
        logger.warning("%s", self.lowered[-1])


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
