"""The one card that is measured: what `nvidia-smi` says of it, and how processes come to use it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from autofit_memplan._compile_only import cuda_plugins
from autofit_memplan.units import MIB, format_bytes

Card = dict[str, str | int | None]

GROWING = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""For a process beside others: it takes of the card what it needs."""

SMI_SECONDS = 20.0
_DEVICES = Path("/dev")
_FIELDS = ("name", "driver_version", "memory.total", "memory.used", "memory.free")
_WITHOUT_ACCOUNT = ("platform", "vmm")
_VISIBLE = "CUDA_VISIBLE_DEVICES"


def for_all(given: Mapping[str, str]) -> dict[str, str]:
    """Variables of every process, where they differ from the given ones.

    The card is the one that `nvidia_smi` asks for, the allocator one that tells its peaks, and
    there is a CPU, on which the callbacks of the Delaunay cells run.
    """
    first = given.get(_VISIBLE, "0").split(",")[0]
    settings = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", _VISIBLE: first}  # as nvidia-smi counts
    platforms = given.get("JAX_PLATFORMS", "")
    if platforms and "cpu" not in platforms.split(","):
        settings["JAX_PLATFORMS"] = f"{platforms},cpu"
    if given.get("XLA_PYTHON_CLIENT_ALLOCATOR", "").lower() in _WITHOUT_ACCOUNT:
        settings["XLA_PYTHON_CLIENT_ALLOCATOR"] = "default"
    return settings


def nvidia_smi() -> Card | None:
    """The card's name, driver and memory in bytes; ``None`` where it does not say."""
    if shutil.which("nvidia-smi") is None:
        return None
    first = os.environ.get(_VISIBLE, "0").split(",")[0]  # it heeds no variables
    command = ["nvidia-smi", f"--id={first}", f"--query-gpu={','.join(_FIELDS)}"]
    command.append("--format=csv,noheader,nounits")
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=SMI_SECONDS)
    except subprocess.TimeoutExpired:
        return None
    if run.returncode or not run.stdout.strip():
        return None
    return parsed(run.stdout.splitlines()[0])


def parsed(line: str) -> Card:
    """One line of `nvidia-smi` in fields; memory comes as MiB, or not at all, and becomes bytes."""
    values = [value.strip() for value in line.split(",")]
    return {
        field.replace(".", "_") + ("_bytes" if field.startswith("memory") else ""): (
            (int(value) * MIB if value.isdigit() else None) if field.startswith("memory") else value
        )
        for field, value in zip(_FIELDS, values, strict=True)
    }


def shown(card: Card | None, *fields: str) -> list[str]:
    """Those of its memory as text; ``"-"`` where they are not known."""
    known = [(card or {}).get(f"memory_{field}_bytes") for field in fields]
    return ["-" if n is None else format_bytes(int(n)) for n in known]


def has_device_file() -> bool:
    """Whether there is a card, even where `nvidia-smi` is not."""
    return any(_DEVICES.glob("nvidia[0-9]*"))


def excuse() -> str:
    """Why it is no failure that JAX leaves the card alone; ``""`` where it is one."""
    if (visible := os.environ.get(_VISIBLE, "0")) in ("", "-1"):
        return f"{_VISIBLE}={visible}"
    platforms = os.environ.get("JAX_PLATFORMS", "")
    if platforms and not {"cuda", "gpu"} & set(platforms.split(",")):
        return f"JAX_PLATFORMS={platforms}"
    return "" if cuda_plugins() else 'no CUDA plugin is installed: pip install "jax[cuda12]"'


def what_jax_says(timeout: float) -> str:
    """All its messages where it is started, and why it does not run on the card among them."""
    command = [sys.executable, "-c", "import jax; jax.devices()"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired as expired:
        return (expired.stderr or b"").decode()
    return run.stderr.strip()
