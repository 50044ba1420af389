"""The budget on a live GPU beside what `nvidia-smi` says at the same moment."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from rich.table import Table

from autofit_memplan import read_budget
from autofit_memplan.units import MIB, format_bytes
from benchmarks.fresh_process import lines_from

HELD_BYTES = 256 * MIB
SMI_SECONDS = 20.0
_DEVICES = Path("/dev")
_FIELDS = ("name", "driver_version", "memory.total", "memory.used", "memory.free")


def nvidia_smi() -> dict[str, str | int | None] | None:
    """The first card's name, driver and memory in bytes; ``None`` where it does not say."""
    if shutil.which("nvidia-smi") is None:
        return None
    query = f"--query-gpu={','.join(_FIELDS)}"
    command = ["nvidia-smi", query, "--format=csv,noheader,nounits"]
    # It counts from 0 in the order of the bus and heeds no CUDA_VISIBLE_DEVICES.
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=SMI_SECONDS)
    except subprocess.TimeoutExpired:
        return None
    if run.returncode or not run.stdout.strip():
        return None
    return parsed(run.stdout.splitlines()[0])


def has_device_file() -> bool:
    """Whether there is a card, even where `nvidia-smi` is not."""
    return any(_DEVICES.glob("nvidia[0-9]*"))


def parsed(line: str) -> dict[str, str | int | None]:
    """One line of `nvidia-smi` in fields; memory comes as MiB, or not at all, and becomes bytes."""
    values = [value.strip() for value in line.split(",")]
    return {
        field.replace(".", "_") + ("_bytes" if field.startswith("memory") else ""): (
            (int(value) * MIB if value.isdigit() else None) if field.startswith("memory") else value
        )
        for field, value in zip(_FIELDS, values, strict=True)
    }


def readings() -> dict[str, dict]:
    """The budget of this process before its first allocation, and with one held."""

    def reading() -> dict:
        return {
            "budget": read_budget().model_dump(mode="json"),
            "memory_stats": jax.devices()[0].memory_stats(),
            "nvidia_smi": nvidia_smi(),
        }

    before = reading()
    held = jax.block_until_ready(jax.device_put(np.zeros(HELD_BYTES, np.uint8)))
    result = {"before": before, "holding_256_mib": reading()}
    held.delete()
    return result


def budgets(seconds_left: Callable[[], float]) -> dict[str, dict]:
    """`readings` with preallocation on and off, each in a process of its own."""
    rows = {}
    for preallocate in ("true", "false"):
        environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": preallocate}
        lines, why = lines_from(
            "benchmarks.gpu.budget", timeout=min(30.0, seconds_left()), environment=environment
        )
        rows[f"preallocate {preallocate}"] = json.loads(lines[-1]) if lines else {"error": why}
    return rows


def table(rows: dict[str, dict]) -> Table:
    """Budget and `nvidia-smi` side by side."""
    result = Table(title="budget of a fresh process", title_justify="left")
    for column in ("", "moment", "budget", "bound by", "nvidia-smi free", "used"):
        result.add_column(column)
    for name, moments in rows.items():
        if "error" in moments:
            result.add_row(name, moments["error"])
            continue
        for moment, reading in moments.items():
            budget, smi = reading["budget"], reading["nvidia_smi"] or {}
            shown = [
                format_bytes(smi[key]) if smi.get(key) is not None else "-"
                for key in ("memory_free_bytes", "memory_used_bytes")
            ]
            limit = format_bytes(budget["limit_bytes"])
            result.add_row(name, moment, limit, budget["lines"][0]["label"], *shown)
    return result


if __name__ == "__main__":
    print(json.dumps(readings()), flush=True)
