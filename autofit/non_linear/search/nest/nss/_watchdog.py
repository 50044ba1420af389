"""A thread that says so when a device call runs far longer than expected, and where it stands."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

_IDLE_CORES = 0.1
"""Below it a process only waits. The run's own threads, which look around, take up to 0.02."""

_FRAMES = 6
"""Innermost frames that a report shows of each thread."""


class _Call(NamedTuple):
    what: str
    expected_seconds: float
    start: float


class Watchdog:
    """Reports device calls that run far longer than expected, once for each doubling.

    Parameters
    ----------
    logger
        Gets the reports, as warnings.
    platform
        Of the device, as `jax.Device.platform`: ``"cpu"``, ``"gpu"``.
    least_seconds
        No call is reported earlier.
    factor
        Nor before it has run this many times as long as expected.

    Examples
    --------
    >>> with Watchdog(logger, "cpu") as watchdog:
    ...     with watchdog.watch(2.0, "iterations 101 to 164, chunk 16"):
    ...         block = wait(step(...))
    """

    def __init__(
        self,
        logger: logging.Logger,
        platform: str,
        least_seconds: float = 60.0,
        factor: float = 10.0,
    ) -> None:
        self._logger, self._platform = logger, platform
        self._least_seconds, self._factor = least_seconds, factor
        self._call: _Call | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="autofit-watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @contextmanager
    def watch(self, expected_seconds: float, what: str) -> Iterator[None]:
        """Watch over one device call.

        Parameters
        ----------
        expected_seconds
            What the call should take; 0 where nothing is known.
        what
            For the report: iterations and chunk.
        """
        self._call = _Call(what, expected_seconds, time.monotonic())
        try:
            yield
        finally:
            self._call = None

    def _look(self) -> None:
        """Look around ten times before a report may be due."""
        reported, due = None, 0.0
        looked, cpu = time.monotonic(), time.process_time()
        while not self._ended.wait(0.1 * self._least_seconds):
            call, now, cpu_now = self._call, time.monotonic(), time.process_time()
            cores = (cpu_now - cpu) / (now - looked)
            looked, cpu = now, cpu_now
            if call is None:
                continue
            if call is not reported:
                due = max(self._least_seconds, self._factor * call.expected_seconds)
            elapsed = now - call.start
            if elapsed >= due:
                self._logger.warning("%s", self._report(call, elapsed, cores))
                reported, due = call, 2 * elapsed

    def _report(self, call: _Call, elapsed: float, cores: float) -> str:
        expected = (
            f"where {call.expected_seconds:.3g} s were expected"
            if call.expected_seconds
            else "and nothing is known of what it should take"
        )
        return (
            f"a device call has run for {elapsed:.3g} s, {expected}: {call.what}. "
            f"This process now uses {cores:.2f} cores: {self._reading(cores)}\n{_stacks()}"
        )

    def _reading(self, cores: float) -> str:
        if cores >= _IDLE_CORES:
            return (
                "it works. Slow is not stuck: look for other jobs on this machine, or use a "
                "cheaper likelihood."
                if self._platform == "cpu"
                else "the host works; the device may."
            )
        if self._platform == "cpu":
            return (
                "it waits, where a CPU should compute. "
                "Either a callback in the likelihood waits (a file, a lock; the stacks show it), "
                "or XLA's threads wait for each other for ever (jaxlib 0.10, docs/hangs.md). If "
                "the next report says the same: end the process with SIGKILL, set "
                "XLA_FLAGS=--xla_cpu_enable_concurrency_optimized_scheduler=false and run the "
                "same script again. It goes on from the last saved state."
            )
        return (
            "it waits for the device. nvidia-smi shows whether that works, for whom, and at "
            "which clock."
        )


def _stacks() -> str:
    """Where the Python threads are, callbacks of XLA among them; not the one that asks."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "".join(
        f"Thread {names.get(ident, 'of a callback')}, innermost call last:\n{_stack(frame)}"
        for ident, frame in sys._current_frames().items()
        if ident != threading.get_ident()
    )


def _stack(frame: FrameType) -> str:
    return "".join(traceback.format_list(traceback.extract_stack(frame)[-_FRAMES:]))
