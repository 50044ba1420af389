"""Predicted against measured peaks on a live GPU, and the prediction of its compile-only twin.

Batches of the likelihoods that are hard to plan: `tests/autofit_memplan/test_scratch.py` holds the
planner to these figures of an H100. Steps of the lens cells are `benchmarks.sweep`'s cases.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
from rich.table import Table

from autofit_memplan.footprint import compile_program
from autofit_memplan.measure import peak_growth
from benchmarks.fresh_process import lines_from
from benchmarks.gpu.card import GROWING
from benchmarks.likelihoods import LIKELIHOODS, N_DIM
from benchmarks.sweep.command import Sizes, spec_of, sweep
from benchmarks.sweep.records import HERE, Outcome

BATCHES: dict[str, tuple[int, ...]] = {
    "dense-mapping": (1, 16, 64),
    "blurred-columns": (1, 8, 32),
    "blurred-columns-prime": (1, 8, 32),
    "cholesky-512": (1, 16, 128),
    "eigh-256": (1, 16, 128),
    "slogdet-512": (1, 16, 128),
}

CELLS = ("mge", "pixelization", "sparse-pixelization", "delaunay", "sparse-delaunay")
CHUNKS = [1, 4, 16]

_PROCESS_SECONDS = 90.0


def batch_peak(name: str, batch: int) -> dict:
    """Predicted and measured bytes of one batched likelihood; nothing may have run before."""
    positions = jax.random.normal(jax.random.key(0), (batch, N_DIM))
    device = jax.devices()[0]
    program = compile_program(
        jax.vmap(LIKELIHOODS[name]()),
        jax.ShapeDtypeStruct(positions.shape, jnp.float64),
        platform=device.platform,
    )
    done = []
    growth = peak_growth(
        device, lambda: done.append(jax.block_until_ready(program.executable(positions)))
    )
    footprint = program.footprint
    return {
        "likelihood": name,
        "batch": batch,
        "footprint": footprint.model_dump(),
        # the constants and arguments are on the device before the call
        "predicted_bytes": footprint.output_bytes + footprint.temp_bytes + footprint.scratch_bytes,
        "predicted_without_scratch": footprint.output_bytes + footprint.temp_bytes,
        "measured_bytes": growth.total_bytes,
        "finite": bool(jnp.isfinite(done[0]).all()),
    }


def batch_peaks(seconds_left: Callable[[], float]) -> list[dict]:
    """`batch_peak` of all `BATCHES`, each in a process of its own."""
    rows = []
    for name, batches in BATCHES.items():
        for batch in batches:
            lines, why = lines_from(
                "benchmarks.gpu.peaks",
                name,
                str(batch),
                timeout=min(_PROCESS_SECONDS, seconds_left()),
                environment=GROWING,
            )
            failure = {"likelihood": name, "batch": batch, "error": why}
            rows.append(json.loads(lines[-1]) if lines else failure)
    return rows


def cell_peaks(
    seconds_left: Callable[[], float],
    cells: tuple[str, ...] = CELLS,
    instruments: tuple[str, ...] = ("hst", "small"),
    chunks: list[int] = CHUNKS,
    sizes: Sizes | None = None,
    target: str = HERE,
) -> list[Outcome]:
    """Steps by lanes, one iteration of one move each; all cells at the same time, so no rates."""
    sizes = sizes or Sizes(num_inner_steps=1, seconds=0.0, timeout=_PROCESS_SECONDS)

    def of_cell(spec: str) -> list[Outcome]:
        found = sweep([spec], chunks, ["lanes"], sizes, target, seconds_left, GROWING)
        return list(found)

    specs = [spec_of(cell, instrument) for cell in cells for instrument in instruments]
    # A peak is of a process's own allocator, and others on the card do not change it; its budget is
    # only what they leave free. All begin together: one that waited would have the least time.
    with ThreadPoolExecutor(len(specs)) as pool:
        found = [outcome for outcomes in pool.map(of_cell, specs) for outcome in outcomes]
    no_rates = dict.fromkeys(("iterations", "seconds", "useful", "total")) | {"is_cold": False}
    return [outcome.model_copy(update=no_rates) for outcome in found]


def table(rows: list[dict]) -> Table:
    """One row for each batch."""
    result = Table(title="batches of calls", title_justify="left")
    for column in ("likelihood", "batch", "predicted MB", "without scratch", "measured", "ratio"):
        result.add_column(column, justify="left" if column == "likelihood" else "right")
    for row in rows:
        if "error" in row:
            result.add_row(row["likelihood"], str(row["batch"]), row["error"])
            continue
        sizes = (row["predicted_bytes"], row["predicted_without_scratch"], row["measured_bytes"])
        result.add_row(
            row["likelihood"],
            str(row["batch"]),
            *(f"{n / 1e6:,.1f}" for n in sizes),
            f"{sizes[0] / max(sizes[2], 1):.3f}",
        )
    return result


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    print(json.dumps(batch_peak(sys.argv[1], int(sys.argv[2]))), flush=True)
