"""Fits with ``chunk_size="auto"`` on a card most of which another process holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer

import jax
import jax.numpy as jnp
from pydantic import BaseModel, ConfigDict
from rich.table import Table

from autofit_memplan.units import GIB, format_bytes
from benchmarks.fresh_process import lines_from
from benchmarks.gpu.card import GROWING, Card, nvidia_smi, shown

SHARE = 0.9
TAKING = {
    "XLA_PYTHON_CLIENT_ALLOCATOR": "default",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "true",
    "XLA_CLIENT_MEM_FRACTION": str(SHARE),
    "XLA_PYTHON_CLIENT_MEM_FRACTION": "",  # its old name; JAX refuses both together
}
"""For a process whose first array, however small, takes `SHARE` of a GPU."""

_ARRAY_BYTES = 4  # the smallest
_SECONDS_TO_HOLD, _SECONDS_TO_END = 60.0, 10.0
_FAR = 3
"""Times more or less is free than was meant: CUDA itself takes some 0.5 GB for each process."""


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
def holding(n_bytes: int = _ARRAY_BYTES) -> Iterator[int]:
    """Another process holds much of the device meanwhile.

    Parameters
    ----------
    n_bytes
        To be held in arrays, for a CPU; of a GPU it is always a pool of `SHARE`.

    Yields
    ------
    int
        Bytes that it says it holds.

    Raises
    ------
    RuntimeError
        If it could not get them.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gpu.busy", "hold", str(n_bytes)],
        env=os.environ | TAKING,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    clock = Timer(_SECONDS_TO_HOLD, process.kill)
    with process:
        assert process.stdin is not None and process.stdout is not None
        clock.start()
        line = process.stdout.readline()
        clock.cancel()
        try:
            if not line:
                raise RuntimeError(
                    f"{SHARE:.0%} of a GPU, or {format_bytes(n_bytes)} on a CPU, could not be had, "
                    f"or not within {_SECONDS_TO_HOLD:.0f} s; see the messages above"
                )
            yield json.loads(line)["held_bytes"]
        finally:
            process.stdin.close()  # at which it ends
            with suppress(subprocess.TimeoutExpired):
                process.wait(_SECONDS_TO_END)
            process.kill()


def hold(n_bytes: int) -> None:
    """In the other process: take memory, say so, and wait to be let go."""
    block = min(n_bytes, GIB)
    held = [jnp.zeros(block // 4, jnp.float32) for _ in range(n_bytes // block)]
    jax.block_until_ready(held)
    stats = jax.devices()[0].memory_stats() or {}  # a CPU has none
    held_bytes = stats.get("pool_bytes", sum(array.nbytes for array in held))
    print(json.dumps({"held_bytes": held_bytes}), flush=True)
    sys.stdin.read()


def refuse_far(card: Card | None) -> None:
    """Raise ``RuntimeError`` if not about as much is free as `SHARE` leaves, where that is told."""
    total, free = ((card or {}).get(f"memory_{field}_bytes") for field in ("total", "free"))
    if total is None or free is None:
        return
    meant = (1 - SHARE) * int(total)
    if not meant / _FAR <= int(free) <= meant * _FAR:
        raise RuntimeError(
            f"{format_bytes(int(free))} of {format_bytes(int(total))} are free beside a process "
            f"that was to leave {format_bytes(int(meant))}. End what else runs on the card, or "
            "name another in CUDA_VISIBLE_DEVICES."
        )


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
    """Each fit in a process of its own, set up as the plan's notes advise, beside one that holds.

    Parameters
    ----------
    seconds_left
        For all of them.
    jobs
        The fits.
    n_bytes
        To be held on a CPU; see `holding`.

    Raises
    ------
    RuntimeError
        If the memory could not be had, or what is left of the card is not about what was meant.
    """
    rows = []
    with holding(n_bytes or _ARRAY_BYTES) as held, tempfile.TemporaryDirectory() as cache:
        card = nvidia_smi()
        if n_bytes is None:
            refuse_far(card)
        for job in jobs:
            lines, why = lines_from(
                "benchmarks.gpu.busy",
                "fit",
                job.model_dump_json(),
                timeout=min(120.0, seconds_left()),
                environment={"AUTOFIT_MEMPLAN_CACHE": cache, **GROWING},
            )
            beside = {"held_bytes": held, "nvidia_smi": card, "environment": GROWING}
            outcome = json.loads(lines[-1]) if lines else {"error": why}
            rows.append({**job.model_dump(), **beside, **outcome})
    return rows


def table(rows: list[dict]) -> Table:
    """One row for each fit."""
    settings = ", ".join(f"{name}={value}" for name, value in GROWING.items())
    title = f"fits beside a process that holds memory, with {settings}"
    result = Table(title=title, title_justify="left")
    for column in ("cell", "held", "nvidia-smi free", "budget", "init", "step", "seconds", "log Z"):
        result.add_column(column)
    for row in rows:
        cell = row["spec"].rpartition(".")[2]
        crowded = (format_bytes(row["held_bytes"]), *shown(row["nvidia_smi"], "free"))
        if "error" in row:
            result.add_row(cell, *crowded, row["error"])
            continue
        chunks = [f"{each['chunk_size']} of {each['n']}" for each in row["programs"]]
        result.add_row(
            cell,
            *crowded,
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
