"""Fits with ``chunk_size="auto"`` on a card most of which another process holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import jax
import jax.numpy as jnp
from pydantic import BaseModel, ConfigDict
from rich.table import Table

from autofit_memplan.units import GIB, format_bytes
from benchmarks.fresh_process import lines_from
from benchmarks.gpu.budget import nvidia_smi

SHARE = 0.9
_SECONDS_TO_HOLD = 60.0


class Fit(BaseModel):
    """One fit; ``max_iterations`` and ``num_inner_steps`` are for those too long to be finished."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: str
    n_live: int
    num_delete: int
    num_inner_steps: int | None = None
    max_iterations: int | None = None


FITS = (
    Fit(spec="benchmarks.cells.mge:small", n_live=50, num_delete=25, num_inner_steps=5),
    Fit(
        spec="benchmarks.cells.pixelization:hst",
        n_live=64,
        num_delete=16,
        num_inner_steps=2,
        max_iterations=1,
    ),
)


@contextmanager
def holding(n_bytes: int) -> Iterator[int]:
    """Another process holds so much of the device meanwhile.

    Yields
    ------
    int
        Bytes that it says it holds.

    Raises
    ------
    RuntimeError
        If it could not get them.
    """
    # without a pool, which would grow by doubling and take more than is asked for
    environment = os.environ | {"XLA_PYTHON_CLIENT_ALLOCATOR": "platform"}
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gpu.busy", "hold", str(n_bytes)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    clock = Timer(_SECONDS_TO_HOLD, process.kill)
    with process:  # leaving closes its stdin, at which it ends
        assert process.stdout is not None
        clock.start()
        line = process.stdout.readline()
        clock.cancel()
        if not line:
            raise RuntimeError(f"{format_bytes(n_bytes)} could not be had; see the messages above")
        yield json.loads(line)["held_bytes"]


def hold(n_bytes: int) -> None:
    """In the other process: take memory, say so, and wait to be let go."""
    block = min(n_bytes, GIB)
    held = [jnp.zeros(block // 4, jnp.float32) for _ in range(n_bytes // block)]
    jax.block_until_ready(held)
    print(json.dumps({"held_bytes": sum(array.nbytes for array in held)}), flush=True)
    sys.stdin.read()


def fit(job: Fit) -> dict:
    """In a fresh process: plan, fit, and say what was planned and what came of it."""
    # Here, for they import blackjax, which starts the device: not in the process that waits.
    import autofit as af
    from autofit.non_linear.paths import OUTPUT_VARIABLE
    from benchmarks.samplers.problems import lens_cell
    from benchmarks.samplers.runs import OnCube, cube, moves

    problem = lens_cell(job.spec)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[OUTPUT_VARIABLE] = folder
        start = time.perf_counter()
        result = af.NSS(
            name="busy",
            n_live=job.n_live,
            num_delete=job.num_delete,
            num_mcmc_steps=job.num_inner_steps or moves(problem),
            max_iterations=job.max_iterations,
            chunk_size="auto",
            silence=True,
        ).fit(cube(problem.n_dim), OnCube(problem))
        seconds = time.perf_counter() - start
        (path,) = Path(folder).rglob("memory_plan.json")
        plan = json.loads(path.read_text())
    samples = result.samples
    return {
        "budget": plan["budget"],
        "programs": [
            {key: program[key] for key in ("name", "n", "chunk_size", "predicted_bytes")}
            for program in plan["programs"]
        ],
        "log_evidence": samples.log_evidence,
        "log_evidence_error": samples.log_evidence_error,
        "seconds": seconds,
        "memory_stats": jax.devices()[0].memory_stats(),
        **samples.samples_info,
    }


def busy_fits(
    seconds_left: Callable[[], float], jobs: tuple[Fit, ...] = FITS, n_bytes: int | None = None
) -> list[dict]:
    """Each fit in a process of its own, set up as a user's would be, beside one that holds memory.

    Parameters
    ----------
    seconds_left
        For all of them.
    jobs
        The fits.
    n_bytes
        To be held; `SHARE` of the card when not given.

    Raises
    ------
    RuntimeError
        If the card does not tell its memory, or so much of it could not be had.
    """
    if n_bytes is None:
        total = (nvidia_smi() or {}).get("memory_total_bytes")
        if total is None:
            raise RuntimeError("nvidia-smi tells no memory to take a share of; pass n_bytes")
        n_bytes = int(SHARE * int(total))
    rows = []
    with holding(n_bytes) as held, tempfile.TemporaryDirectory() as cache:
        free = nvidia_smi()
        for job in jobs:
            lines, why = lines_from(
                "benchmarks.gpu.busy",
                "fit",
                job.model_dump_json(),
                timeout=min(120.0, seconds_left()),
                environment={"AUTOFIT_MEMPLAN_CACHE": cache},
            )
            outcome = json.loads(lines[-1]) if lines else {"error": why}
            rows.append({**job.model_dump(), "held_bytes": held, "nvidia_smi": free, **outcome})
    return rows


def table(rows: list[dict]) -> Table:
    """One row for each fit."""
    result = Table(title="fits beside a process that holds memory", title_justify="left")
    for column in ("cell", "held", "budget", "init", "step", "seconds", "log Z"):
        result.add_column(column)
    for row in rows:
        cell = row["spec"].rpartition(".")[2]
        if "error" in row:
            result.add_row(cell, format_bytes(row["held_bytes"]), row["error"])
            continue
        chunks = [f"{each['chunk_size']} of {each['n']}" for each in row["programs"]]
        result.add_row(
            cell,
            format_bytes(row["held_bytes"]),
            format_bytes(row["budget"]["limit_bytes"]),
            *chunks,
            f"{row['seconds']:.0f}",
            f"{row['log_evidence']:.2f} ± {row['log_evidence_error']:.2f}"
            + (" (stopped)" if row["max_iterations"] else ""),
        )
    return result


if __name__ == "__main__":
    if sys.argv[1] == "hold":
        hold(int(sys.argv[2]))
    else:
        print(json.dumps(fit(Fit.model_validate_json(sys.argv[2]))), flush=True)
