"""The field's HST-size pixelised source in `af.NSS` within 8 GiB, and whether the plan was right.

A plan, the 150 live points, and a few iterations of the real programs, each with its measured peak
beside the prediction. All live points at once would take fifteen times the limit. Moves and
iterations are far too few for an evidence: one call takes seconds on a CPU.

    python -m benchmarks.demo_hst
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from threadpoolctl import threadpool_limits

import autofit as af
from autofit.non_linear.search.nest.nss._run import Run
from autofit.non_linear.search.nest.nss._signals import Signals
from autofit_memplan.measure import peak_growth
from autofit_memplan.records import ProgramPlan
from autofit_memplan.units import format_bytes
from benchmarks.machine import machine
from benchmarks.result_file import write_whole
from benchmarks.samplers.problems import lens_cell
from benchmarks.samplers.runs import prepared

CELL = "benchmarks.cells.pixelization:hst"
_SETTLE_SECONDS = 2.0  # XLA frees what a call took shortly after its result is there


class Measured(NamedTuple):
    """One program of the plan, after it has run.

    Attributes
    ----------
    plan
        What was planned for it.
    measured_bytes
        Peak growth of this process, and arguments and constants that were there before: on the
        same footing as ``plan.predicted_bytes``. The limit is on this, not on the whole process.
    seconds
        It took; some of its values were evaluated one by one as well, to be compared.
    """

    plan: ProgramPlan
    measured_bytes: int
    seconds: float

    def record(self) -> dict[str, Any]:
        """What a file says of it."""
        plan = self.plan
        return {
            "program": plan.name,
            "calls": plan.n,
            "chunk_size": plan.chunk_size,
            "predicted_bytes": plan.predicted_bytes,
            "measured_bytes": self.measured_bytes,
            "unchunked_bytes": plan.unchunked.predicted_bytes,
            "seconds": self.seconds,
        }

    @property
    def error(self) -> float:
        """Of the prediction, as a share of what was measured."""
        return self.plan.predicted_bytes / self.measured_bytes - 1.0


def demonstrate(spec: str, search: af.NSS, say: Callable[[Any], None]) -> dict[str, Any]:
    """Plan a cell under the search's memory limit, then draw its live points and iterate.

    Parameters
    ----------
    spec
        ``MODULE:FACTORY`` of the cell.
    search
        Not named: nothing is written. Its ``max_iterations`` ends the run.
    say
        Told the plan, the progress, and what was measured.

    Returns
    -------
    dict
        What was measured, JSON-able.

    Raises
    ------
    InfeasibleError
        If not even one call fits the limit.
    """
    problem = lens_cell(spec)
    plan, sampling = prepared(problem, search)
    say(plan.report())

    with threadpool_limits(limits=1, user_api="blas"), Signals() as signals:
        # It also makes the threads and buffers that libraries keep.
        call = plan.executable("call")
        for program in (plan.init, plan.step):  # compiling is not to be measured with them
            plan.executable(program.name)
        start = time.perf_counter()
        jax.block_until_ready(call(np.full(problem.n_dim, 0.5)))
        seconds = time.perf_counter() - start
        say(f"one call took {seconds:.2f} s; {plan.init.n} live points follow")

        runs: list[Run] = []
        init = _measured(plan.init, lambda: runs.append(sampling.start()))
        say(_line(init))
        (run,) = runs

        def after_call(run: Run, note: str) -> None:
            say(
                f"{run.iterations} iterations, {run.total_evaluations:,} evaluations, {note}, "
                f"{run.seconds:.0f} s"
            )

        step = _measured(
            plan.step, lambda: sampling.go_on(run, after_call, lambda run: None, signals)
        )
        say(_line(step))
    say(sampling.report(run))
    whole = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    say(f"peak of the whole process, Python, JAX and compilers included: {format_bytes(whole)}")
    return {
        "cell": spec,
        "limit_bytes": plan.budget.limit_bytes,
        "call_seconds": seconds,
        "programs": [init.record(), step.record()],
        "process_bytes": whole,
    }


def _measured(plan: ProgramPlan, work: Callable[[], None]) -> Measured:
    time.sleep(_SETTLE_SECONDS)
    start = time.perf_counter()
    growth = peak_growth(jax.devices()[0], work)
    measured_bytes = plan.footprint.held_bytes + growth.total_bytes
    return Measured(plan, measured_bytes, time.perf_counter() - start)


def _line(measured: Measured) -> str:
    plan = measured.plan
    return (
        f"{plan.name}: {plan.chunk_size} of {plan.n} at once, predicted "
        f"{format_bytes(plan.predicted_bytes)}, measured {format_bytes(measured.measured_bytes)} "
        f"({measured.error:+.1%}), {measured.seconds:.0f} s"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, and demonstrate."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo_hst")
    parser.add_argument("--cell", default=CELL, help="MODULE:FACTORY; default %(default)s")
    parser.add_argument("--memory-limit", default="8 GiB")
    parser.add_argument("--n-live", type=int, default=150)
    parser.add_argument("--num-delete", type=int, default=10)
    parser.add_argument("--moves", type=int, default=1, help="slice moves per new point")
    parser.add_argument("--iterations", type=int, default=2)
    parser.add_argument("--output", type=Path, help="JSON of what was measured")
    options = parser.parse_args(arguments)
    jax.config.update("jax_enable_x64", True)
    search = af.NSS(
        n_live=options.n_live,
        num_mcmc_steps=options.moves,
        num_delete=options.num_delete,
        chunk_size="memory",
        memory_limit=options.memory_limit,
        max_iterations=options.iterations,
    )
    measured = demonstrate(options.cell, search, partial(print, flush=True))
    if options.output:
        write_whole(json.dumps(measured | {"machine": machine()}, indent=1), options.output)


if __name__ == "__main__":
    main()
