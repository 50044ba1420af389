"""What a batched call really takes, bytes and seconds, each batch in a fresh process.

On a GPU the peak is the allocator's ``peak_bytes_in_use`` less what was in use before the call. It
cannot be reset, and compiling takes memory too, to try kernels with: so memory is held up to the
peak so far, unless that is much, and any growth is the call's. On a CPU it is the growth of the
process's resident set above the state before the call, looked at every millisecond: pages that are
never touched do not count, and threads and buffers that a library makes at its first call do, some
MiB whatever the batch.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import psutil
from pydantic import BaseModel, ConfigDict, computed_field

from autofit_memplan.budget import read_budget
from autofit_memplan.device import default_device
from autofit_memplan.errors import MeasureError
from autofit_memplan.footprint import Program, compile_program
from autofit_memplan.records import DeviceBudget, Footprint
from autofit_memplan.specs import Problem, SpecError, load_problem
from autofit_memplan.units import format_bytes

_SAMPLE_SECONDS = 1e-3
_TIMED_SECONDS, _MOST_SECONDS = 0.5, 10.0
_FEWEST_REPEATS = 3
_MOST_BALLAST = 8  # arrays; one does unless putting it there takes more for a moment
_BALLAST_SHARE = 1 / 8  # of what was never used; more could be missing in the call


class Growth(NamedTuple):
    """What was taken at the peak, on top of what was held before.

    Attributes
    ----------
    total_bytes
        All of it.
    own_bytes
        On a CPU, at the peak of all but pages of files: library code that is read in where it is
        first used is none. ``None`` on a GPU.
    """

    total_bytes: int
    own_bytes: int | None = None


class Job(NamedTuple):
    """A batch of `chunk_size` calls of what `spec` names, for a fresh process to make."""

    spec: str
    n_dim: int | None
    dtype: str
    limit: int | float | str | None
    chunk_size: int


class Batch(BaseModel):
    """One batch of calls: predicted, and measured where it was run.

    Attributes
    ----------
    chunk_size
        Calls in the batch, all at the same example.
    footprint
        Of the compiled batch; ``None`` if the process died before it was known.
    grown_bytes
        Measured above the state before the call, when arguments and constants are in place.
    wall_seconds
        Of one batch: lower quartile, median and upper quartile of `repeats`, after a first one
        that is not counted.
    note
        Why there is no measurement, when there is none.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    chunk_size: int
    footprint: Footprint | None = None
    grown_bytes: int | None = None
    wall_seconds: tuple[float, float, float] | None = None
    repeats: int = 0
    note: str = ""

    @computed_field
    @property
    def predicted_bytes(self) -> int | None:
        return self.footprint and self.footprint.total_bytes

    @computed_field
    @property
    def measured_bytes(self) -> int | None:
        """What grew, and what was there before: on the same footing as `predicted_bytes`."""
        if self.footprint is None or self.grown_bytes is None:
            return None
        return self.footprint.held_bytes + self.grown_bytes

    @computed_field
    @property
    def evaluations_per_second(self) -> float | None:
        """At the median batch."""
        return self.chunk_size / self.wall_seconds[1] if self.wall_seconds else None


def measure(job: Job) -> tuple[DeviceBudget | None, Batch]:
    """Predict and run one batch in a fresh process.

    Returns
    -------
    The budget that the process read (``None`` if it died), and the batch. A batch that is
    predicted not to fit is not run.

    Raises
    ------
    SpecError, BudgetError, AnalysisUnavailableError
        As the process raised them.
    """
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, context, initializer=_print_to_stderr) as pool:
            return pool.submit(measure_here, job).result()
    except BrokenProcessPool:
        note = "the process died, as it does when the system runs out of memory"
        return None, Batch(chunk_size=job.chunk_size, note=note)


def measure_here(job: Job) -> tuple[DeviceBudget, Batch]:
    """As `measure`, in this process: the peak is only right if nothing ran in it before."""
    jax.config.update("jax_enable_x64", job.dtype == "float64")
    budget = read_budget(limit=job.limit)
    problem = load_problem(job.spec, job.n_dim, job.dtype)
    try:
        program, fits = compile_batch(problem, job.chunk_size, budget)
    except jax.errors.JaxRuntimeError as error:  # a GPU may have no memory to try kernels with
        note = f"not compiled: {str(error).partition(chr(10))[0]}"
        return budget, Batch(chunk_size=job.chunk_size, note=note)
    batch = Batch(chunk_size=job.chunk_size, footprint=program.footprint)
    if not fits:
        note = f"not run: the budget is {format_bytes(budget.limit_bytes)}"
        return budget, batch.model_copy(update={"note": note})

    examples = jnp.tile(problem.example, (job.chunk_size, 1))

    def run() -> None:
        jax.block_until_ready(program.executable(examples))

    try:
        growth = peak_growth(default_device(), run)
        seconds = _timed(run)
    except (jax.errors.JaxRuntimeError, MeasureError) as error:
        note = f"failed: {str(error).partition(chr(10))[0]}"
        return budget, batch.model_copy(update={"note": note})
    quartiles = tuple(map(float, np.quantile(seconds, (0.25, 0.5, 0.75))))
    measured = {
        "grown_bytes": growth.total_bytes,
        "wall_seconds": quartiles,
        "repeats": len(seconds),
    }
    return budget, batch.model_copy(update=measured)


def compile_batch(problem: Problem, chunk_size: int, budget: DeviceBudget) -> tuple[Program, bool]:
    """So many calls in one batch, compiled for the budget's device; and whether they fit.

    Raises
    ------
    SpecError
        If the function cannot be traced in a batch.
    """
    examples = jax.ShapeDtypeStruct((chunk_size, *problem.example.shape), problem.example.dtype)
    try:
        program = compile_program(
            jax.vmap(problem.function), examples, platform=budget.platform, target=budget.target
        )
    except (NotImplementedError, TypeError, ValueError) as error:
        what = f"{type(error).__name__}: {error}"
        raise SpecError(f"{problem.spec} fails in a batch: {what}") from error
    return program, budget.holds(program.footprint)


@contextmanager
def held_to_the_peak(device: Any) -> Iterator[None]:
    """Hold as much of the device as was ever in use at once, so that any growth shows in its peak.

    Where that is too much to be held, nothing is.

    Parameters
    ----------
    device
        The ``jax.Device``, whose allocator keeps an account.
    """
    held = []
    try:
        for _ in range(_MOST_BALLAST):
            stats = device.memory_stats()
            missing = stats["peak_bytes_in_use"] - stats["bytes_in_use"]
            spare = stats.get("bytes_limit", 0) - stats["peak_bytes_in_use"]
            if not 0 < missing <= _BALLAST_SHARE * spare:
                break
            held.append(jax.block_until_ready(jax.device_put(np.zeros(missing, np.uint8), device)))
        yield
    finally:
        for array in held:
            array.delete()


def peak_growth(device: Any, run: Callable[[], None]) -> Growth:
    """Bytes that `run` takes at its peak, on top of what is held before it.

    Parameters
    ----------
    device
        The ``jax.Device`` that it runs on. For a CPU it is the resident set of this process that
        is watched.
    run
        Returns when its work is done.

    Raises
    ------
    MeasureError
        When the allocator of a GPU keeps no account.
    """
    stats = device.memory_stats()
    if stats:
        with held_to_the_peak(device):
            before = device.memory_stats()["bytes_in_use"]
            run()
            return Growth(device.memory_stats()["peak_bytes_in_use"] - before)
    if device.platform != "cpu":
        raise MeasureError(
            f"the allocator of {device.device_kind} keeps no account of its memory; unset "
            "XLA_PYTHON_CLIENT_ALLOCATOR to measure"
        )
    process, stop = psutil.Process(), threading.Event()
    seen: list[Growth] = []

    def look() -> None:
        held = process.memory_info()
        of_files = getattr(held, "shared", 0)  # which Linux tells
        seen.append(Growth(held.rss, held.rss - of_files))

    def watch() -> None:
        while not stop.is_set():
            look()
            time.sleep(_SAMPLE_SECONDS)

    look()
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        run()
    finally:
        stop.set()
        thread.join()
    totals, owns = zip(*seen, strict=True)
    return Growth(max(totals) - totals[0], max(owns) - owns[0])


def _timed(run: Callable[[], None]) -> list[float]:
    seconds: list[float] = []
    while sum(seconds) < (_TIMED_SECONDS if len(seconds) >= _FEWEST_REPEATS else _MOST_SECONDS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds


def _print_to_stderr() -> None:
    """What the user's module prints must not mix with what the command writes."""
    os.dup2(2, 1)
