"""`python -m benchmarks.scaling`: what a step costs as the problem, the batch and the run grow.

Four sweeps of `af.NSS`'s step by lanes: over live points, dimensions, chunk sizes (a cheap and a
heavier likelihood), and along one long fit, made by `af.NSS` itself in a process of its own whose
resident memory is read from outside. Tables are printed; `--output` gets the JSON, and a picture
beside it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.progress import track
from rich.table import Table

from autofit.non_linear.search.nest.nss import build_chunked_nss_algorithm
from autofit.non_linear.search.nest.nss._block import CAPACITY, block_program
from autofit.non_linear.search.nest.nss._evaluations import count_evaluations
from autofit_memplan.footprint import compile_program
from benchmarks.long_run import LongRun, watch
from benchmarks.machine import machine
from benchmarks.schedulers import gaussian, image, log_prior

NUM_DELETE, N_DIM, N_LIVE, CORRELATION, PIXELS = 50, 5, 500, 0.5, 3_000


class Cost(BaseModel):
    """One size of one sweep.

    Attributes
    ----------
    chunk_size
        Lanes.
    temp_bytes
        Of the compiled block of iterations.
    seconds_per_iteration
        Median over repeats, each from the same state with the same keys.
    useful_per_iteration, total_per_iteration
        Likelihood evaluations.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sweep: str
    likelihood: str
    n_live: int
    n_dim: int
    num_inner_steps: int
    num_delete: int
    chunk_size: int
    compile_seconds: float
    temp_bytes: int
    seconds_per_iteration: float
    useful_per_iteration: float
    total_per_iteration: float

    @property
    def seconds_per_useful(self) -> float:
        """Of one evaluation that a chain needed, everything included."""
        return self.seconds_per_iteration / self.useful_per_iteration


LIKELIHOODS: dict[str, Callable[[int], Callable]] = {
    "gaussian": lambda n_dim: gaussian(n_dim, CORRELATION),
    f"image-{PIXELS}": lambda n_dim: image(PIXELS, n_dim),
}


def measure(
    sweep: str,
    likelihood: str = "gaussian",
    n_live: int = N_LIVE,
    n_dim: int = N_DIM,
    chunk_size: int = NUM_DELETE,
    iterations: int = 10,
    repeats: int = 3,
) -> Cost:
    """Compile the block of iterations that `af.NSS` runs, and time it from a fresh start."""
    moves = max(5, 2 * n_dim)
    algorithm = build_chunked_nss_algorithm(
        logprior_fn=log_prior,
        loglikelihood_fn=LIKELIHOODS[likelihood](n_dim),
        num_inner_steps=moves,
        num_delete=NUM_DELETE,
        chunk_size=chunk_size,
        scheduler="lanes",
    )
    positions = jax.random.uniform(jax.random.key(1), (n_live, n_dim))
    platform = jax.default_backend()
    init = compile_program(algorithm.init, positions, jax.random.key(2), platform=platform)
    state = init.executable(positions, jax.random.key(2))
    count = partial(count_evaluations, chunk_size=chunk_size)
    block = block_program(algorithm, count, -np.inf, NUM_DELETE)
    arguments = (jax.random.key(3), state, np.int32(min(iterations, CAPACITY)))
    program = compile_program(block, *arguments, platform=platform)
    seconds = []
    for _ in range(repeats + 1):  # the first warms up
        start = time.perf_counter()
        done = jax.block_until_ready(program.executable(*arguments))
        seconds.append(time.perf_counter() - start)
    count = int(done.iterations)
    return Cost(
        sweep=sweep,
        likelihood=likelihood,
        n_live=n_live,
        n_dim=n_dim,
        num_inner_steps=moves,
        num_delete=NUM_DELETE,
        chunk_size=chunk_size,
        compile_seconds=program.footprint.compile_seconds,
        temp_bytes=program.footprint.temp_bytes,
        seconds_per_iteration=float(np.median(seconds[1:])) / count,
        useful_per_iteration=int(done.evaluations.useful) / count,
        total_per_iteration=int(done.evaluations.total) / count,
    )


def sweeps(largest: int) -> list[dict[str, Any]]:
    """Arguments of `measure`, sweep by sweep.

    Parameters
    ----------
    largest
        Number of live points at which that sweep ends.
    """
    lives = [n for n in (100, 1_000, 10_000, 100_000) if n <= largest]
    return [
        *({"sweep": "n_live", "n_live": n} for n in lives),
        *({"sweep": "n_dim", "n_dim": n} for n in (2, 5, 10, 20, 50)),
        *(
            {"sweep": "chunk", "likelihood": name, "chunk_size": n}
            for name in LIKELIHOODS
            for n in (2, 5, 10, 25, 50)  # of so light calls, one lane would run two at a time
        ),
    ]


def table(costs: list[Cost]) -> Table:
    title = f"a step of {NUM_DELETE} new points, by lanes"
    table = Table(title=title, title_justify="left")
    for column in ("sweep", "likelihood", "n_live", "n_dim", "chunk", "compile s", "temp kB"):
        table.add_column(column, justify="right")
    for column in ("ms per iteration", "useful evaluations", "useful share", "us per useful"):
        table.add_column(column, justify="right")
    for i, cost in enumerate(costs):
        table.add_row(
            cost.sweep,
            cost.likelihood,
            f"{cost.n_live:,}",
            str(cost.n_dim),
            str(cost.chunk_size),
            f"{cost.compile_seconds:.1f}",
            f"{cost.temp_bytes / 1e3:,.0f}",
            f"{1e3 * cost.seconds_per_iteration:.2f}",
            f"{cost.useful_per_iteration:,.0f}",
            f"{cost.useful_per_iteration / cost.total_per_iteration:.2f}",
            f"{1e6 * cost.seconds_per_useful:.2f}",
            end_section=i + 1 < len(costs) and costs[i + 1].sweep != cost.sweep,
        )
    return table


def summary(long_run: LongRun) -> str:
    first, last = long_run.moments[0], long_run.moments[-1]
    return (
        f"one fit of {last.iterations:,} iterations in {last.seconds:.0f} s: seconds per iteration "
        f"in the last quarter / in the second {long_run.slowdown:.3f}; resident memory "
        f"{first.resident_bytes / 1e6:,.0f} MB at the start, {long_run.growth:,.0f} bytes more per "
        f"iteration, of which dead points {long_run.dead_growth:,.0f}; peak with the evidence at "
        f"the end {long_run.peak_bytes / 1e6:,.0f} MB"
    )


def draw(costs: list[Cost], long_run: LongRun | None, path: Path) -> None:
    """A panel for each sweep, and two for the long run."""
    from matplotlib.figure import Figure

    n_panels = 3 if long_run is None else 5
    figure = Figure(figsize=(3 * n_panels, 3.4), layout="constrained")
    axes = figure.subplots(1, n_panels)
    varied = {"n_live": "n_live", "n_dim": "n_dim", "chunk": "chunk_size"}
    for ax, (sweep, field) in zip(axes, varied.items(), strict=False):
        for name in LIKELIHOODS:
            some = [cost for cost in costs if (cost.sweep, cost.likelihood) == (sweep, name)]
            if some:
                x = [getattr(cost, field) for cost in some]
                y = [1e6 * cost.seconds_per_useful for cost in some]
                ax.plot(x, y, "o-", label=name)
        ax.set(xscale="log", yscale="log", xlabel=sweep, ylabel="us per useful evaluation")
        sizes = sorted({getattr(cost, field) for cost in costs if cost.sweep == sweep})
        ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
        ax.minorticks_off()
    if axes[2].lines:
        axes[2].legend(fontsize=8)
    if long_run is not None:
        _draw_long(long_run, *axes[3:])
    figure.savefig(path, dpi=150)


def _draw_long(long_run: LongRun, growth: Any, pace: Any) -> None:
    moments = long_run.moments
    iterations = np.array([moment.iterations for moment in moments])
    seconds = np.array([moment.seconds for moment in moments])
    resident = np.array([moment.resident_bytes for moment in moments])
    dead = np.array([moment.dead_bytes for moment in moments])
    growth.plot(iterations, (resident - resident[0]) / 1e6, label="resident memory")
    growth.plot(iterations, (dead - dead[0]) / 1e6, label="dead points")
    growth.set(xlabel="iterations", ylabel="growth since the start [MB]")
    growth.legend(fontsize=8)
    pace.plot(iterations[1:], 1e3 * np.diff(seconds) / np.diff(iterations), ".")
    pace.set(xlabel="iterations", ylabel="ms per iteration", ylim=(0, None))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument(
        "--only", default="", help="regular expression in 'long run', 'n_live', 'n_dim' or 'chunk'"
    )
    parser.add_argument("--largest", type=int, default=100_000, help="n_live of that sweep")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--long", type=int, default=20_000, help="iterations of the long run")
    parser.add_argument("--timeout", type=float, default=900.0, help="of the long run, in seconds")
    parser.add_argument("--output", type=Path, help="of the JSON; a .png goes beside it")
    options = parser.parse_args()
    costs: list[Cost] = []
    long_run = None
    if re.search(options.only, "long run"):
        try:
            long_run = watch(options.long, options.timeout)  # this process holds nothing yet
        except RuntimeError as error:
            print(error, file=sys.stderr)  # the sweeps go on

    def keep() -> None:
        if options.output:
            options.output.write_text(json.dumps(record(costs, long_run), indent=1))

    keep()
    with jax.enable_x64(True):
        for arguments in track(sweeps(options.largest), "measuring"):
            if re.search(options.only, arguments["sweep"]):
                costs.append(measure(**arguments, repeats=options.repeats))
                keep()
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table(costs))
    if long_run:
        console.print(summary(long_run), highlight=False)
    if options.output:
        draw(costs, long_run, options.output.with_suffix(".png"))


def record(costs: list[Cost], long_run: LongRun | None) -> dict:
    """All that is known so far, for the JSON."""
    result = {"machine": machine(), "costs": [cost.model_dump() for cost in costs]}
    if long_run is None:
        return result
    slopes = {
        "slowdown": long_run.slowdown,
        "resident_bytes_per_iteration": long_run.growth,
        "dead_bytes_per_iteration": long_run.dead_growth,
    }
    return result | {"long_run": {**slopes, **long_run.model_dump()}}


if __name__ == "__main__":
    main()
