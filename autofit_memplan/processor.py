"""What Linux tells of the processor."""

from __future__ import annotations

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
