"""A planned program that goes on with a smaller chunk when memory runs out or values are wrong."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import Any

import jax

from autofit.non_linear.errors import EvidenceError, OutOfMemoryError
from autofit.non_linear.search.nest.nss._memory import Alternative, DeviceBudget, Plan

_SIGNS = ("resource_exhausted", "out of memory", "out_of_memory", "failed to allocate")

logger = logging.getLogger("autofit")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the host had no memory left; XLA has several ways to say so."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, jax.errors.JaxRuntimeError) and any(sign in text for sign in _SIGNS)


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
    lowered
        What happened, for the report: a sentence for each time that the chunk was lowered.
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
        self._executables = {program.chunk_size: plan.executable(name)}
        self._trusted: set[int] = set()
        self._bytes_per_call = program.predicted_bytes / program.chunk_size
        self.chunk_size = program.chunk_size
        self.lowered: list[str] = []

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
            try:
                result = self._wait(self._executables[self.chunk_size](*arguments))
            except (jax.errors.JaxRuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                result, cause = None, _short(error)
            # After the except clause, whose traceback holds on to buffers.
            if result is None:
                self._make_room(cause)
            elif fault := self._untrusted(result):
                del result
                self._distrust(fault)
            else:
                return result

    def use(self, alternative: Alternative) -> None:
        """Keep another program and run at its chunk size."""
        self._executables[alternative.chunk_size] = alternative.executable
        self.chunk_size = alternative.chunk_size

    def keep_only_current(self) -> None:
        """Give back the programs that will not run again."""
        self._executables = {self.chunk_size: self._executables[self.chunk_size]}

    def _untrusted(self, result: Any) -> str:
        if self.chunk_size in self._trusted:
            return ""
        fault = self._fault(result, self.chunk_size)
        if not fault:
            self._trusted.add(self.chunk_size)
        return fault

    def _distrust(self, fault: str) -> None:
        if self.chunk_size == 1:
            raise EvidenceError(
                f"{fault}, even one call at a time. A likelihood has to give the same value for "
                "the same parameters: look for random numbers, a state that changes, or a step "
                "that rounding decides."
            )
        self._lower_to(self.chunk_size // 2, fault)

    def _make_room(self, cause: str) -> None:
        """Go to a chunk size that the memory free now should hold, else to half."""
        self._executables.clear()
        gc.collect()
        if self.chunk_size == 1:
            raise OutOfMemoryError(
                f"out of memory in {self._name}, one likelihood call at a time ({cause}). What was "
                "sampled so far is saved where the fit has a name. Free memory on the device "
                "(other processes, other arrays of this one) and run the same script again."
            )
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
        try:
            self.use(self._plan.at_chunk(self._name, chunk_size))
        except (jax.errors.JaxRuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            cause = _short(error)
        else:
            return
        self._make_room(cause)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
