"""`python -m benchmarks.gpu`: the planner against a live NVIDIA GPU.

Prints and writes to `--output` (JSON): the budget with preallocation on and off beside
`nvidia-smi`'s reading, and predicted against measured peaks, each in a process of its own because
the allocator's peak cannot be reset. Without a GPU it says "skipped" and exits with 0.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

CASES = (
    ("dense-mapping", (1, 16, 64)),
    ("blurred-columns", (1, 8, 32)),
    ("blurred-columns-prime", (1, 8, 32)),
    ("cholesky-512", (1, 16, 128)),
    ("eigh-256", (1, 16, 128)),
    ("slogdet-512", (1, 16, 128)),
)


def measure_budget() -> dict:
    """The budget of this process, before and after the first allocation."""
    import jax
    import numpy as np

    from autofit_memplan import read_budget

    def reading():
        return {
            "budget": read_budget().model_dump(mode="json"),
            "memory_stats": jax.devices()[0].memory_stats(),
        }

    before = reading()
    held = jax.device_put(np.zeros(2**28, np.uint8))
    held.block_until_ready()
    return {"before": before, "holding_256_mib": reading()}


def measure_peak(name: str, batch: int) -> dict:
    """Predicted and measured bytes of one batched likelihood."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    from autofit_memplan.footprint import compile_program
    from benchmarks.likelihoods import LIKELIHOODS, N_DIM

    positions = jax.random.normal(jax.random.key(0), (batch, N_DIM))
    program = compile_program(
        jax.vmap(LIKELIHOODS[name]()),
        jax.ShapeDtypeStruct(positions.shape, jnp.float64),
        platform="gpu",
    )
    device = jax.devices()[0]
    before = device.memory_stats()["bytes_in_use"]
    values = jax.block_until_ready(program.executable(positions))
    stats = device.memory_stats()
    footprint = program.footprint
    return {
        "likelihood": name,
        "batch": batch,
        "footprint": footprint.model_dump(),
        "in_use_before": before,
        # the constants and arguments are on the device before the call
        "predicted_bytes": footprint.output_bytes + footprint.temp_bytes + footprint.scratch_bytes,
        "predicted_without_scratch": footprint.output_bytes + footprint.temp_bytes,
        "measured_bytes": stats["peak_bytes_in_use"] - before,
        "finite": bool(jnp.isfinite(values).all()),
    }


def in_fresh_process(call: str, preallocate: bool) -> dict:
    """Run one of the functions above in a new process and return its JSON."""
    env = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": str(preallocate).lower()}
    code = f"import json; from benchmarks import gpu; print(json.dumps(gpu.{call}))"
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    if run.returncode:
        return {"call": call, "error": run.stderr[-2000:]}
    return json.loads(run.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/gpu.json"))
    options = parser.parse_args()
    if shutil.which("nvidia-smi") is None:
        print("skipped: no NVIDIA GPU here")
        return
    smi = subprocess.run(
        [
            "nvidia-smi",
            "--query-gpu=name,driver_version,memory.total,memory.used,memory.free",
            "--format=csv,noheader",
        ],
        capture_output=True,
        text=True,
    ).stdout.strip()
    print(smi)
    budgets = {
        str(preallocate): in_fresh_process("measure_budget()", preallocate)
        for preallocate in (True, False)
    }
    print(json.dumps(budgets, indent=1))
    peaks = []
    for name, batches in CASES:
        for batch in batches:
            row = in_fresh_process(f"measure_peak({name!r}, {batch})", preallocate=False)
            peaks.append(row)
            if "error" in row:
                print(name, batch, row["error"][-300:])
                continue
            print(
                f"{name:24}{batch:5}  predicted {row['predicted_bytes'] / 1e6:10.1f} MB  without "
                f"scratch {row['predicted_without_scratch'] / 1e6:10.1f}  measured "
                f"{row['measured_bytes'] / 1e6:10.1f}  ratio "
                f"{row['predicted_bytes'] / max(row['measured_bytes'], 1):.3f}"
            )
    from benchmarks.machine import machine

    options.output.write_text(
        json.dumps(
            {"machine": machine(), "nvidia_smi": smi, "budgets": budgets, "peaks": peaks}, indent=1
        )
    )


if __name__ == "__main__":
    main()
