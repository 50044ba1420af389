"""The budget on a live GPU beside what `nvidia-smi` says at the same moment."""

from __future__ import annotations

import json
from collections.abc import Callable

import jax
import numpy as np
from rich.table import Table

from autofit_memplan import read_budget
from autofit_memplan.units import MIB, format_bytes
from benchmarks.fresh_process import lines_from
from benchmarks.gpu.card import nvidia_smi, shown

HELD_BYTES = 256 * MIB


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
            budget, card = reading["budget"], shown(reading["nvidia_smi"], "free", "used")
            limit = format_bytes(budget["limit_bytes"])
            result.add_row(name, moment, limit, budget["lines"][0]["label"], *card)
    return result


if __name__ == "__main__":
    print(json.dumps(readings()), flush=True)
