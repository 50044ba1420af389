"""The processor: how many cores a process may use, and what Linux tells of them."""

from __future__ import annotations

import os
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")


def first_core() -> dict[str, str]:
    """Names and values of the first core; empty where there is no such file."""
    try:
        first, _, _ = CPU_INFO.read_text().partition("\n\n")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def usable_cores() -> int:
    """Cores that this process may use: as many threads XLA has."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
