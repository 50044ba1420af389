"""Processes that find the stand-ins for NVIDIA's libraries, compiled here from C.

Each set of libraries is loaded by one fresh process, which then answers for one scenario after
another; `standin_cards.h` tells how a scenario is described.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MIB, GIB = 2**20, 2**30
RESERVE, WORKSPACES = 512 * MIB, 128 * MIB

# An H100 80GB as JAX 0.11 and its driver state it (benchmarks/results/gpu-h100.json).
H100_LIMIT = 63_763_906_560
H100_TOTAL = 85_018_542_080  # what CUDA calls the total
H100_RESERVED = 480 * MIB

needs_standins = [
    pytest.mark.skipif(
        not (shutil.which("cc") or shutil.which("gcc")),
        reason="no C compiler: the stand-ins cannot be built",
    ),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the stand-ins are ELF files"),
]

# The libraries that each process finds: a source with its macros, or a file that is no library.
MACHINES = {
    "usual": {"nvml": [], "cuda": []},
    "nvml without version 2": {"nvml": ["-DWITHOUT_V2"], "cuda": []},
    "no nvml": {"nvml": None, "cuda": []},
    "cuda without uuids": {"nvml": [], "cuda": ["-DWITHOUT_UUID"]},
    "no cuda": {"nvml": [], "cuda": None},
}
FILES = {"nvml": "libnvidia-ml.so.1", "cuda": "libcuda.so.1"}

GPUS = [
    "GPU-8a5f0000-0000-4000-8000-00000000000a",
    "GPU-8a6f0000-0000-4000-8000-00000000000b",
    "GPU-c0ffee00-0000-4000-8000-00000000000c",
]
SLICE = "MIG-5117ce00-0000-4000-8000-00000000000d"
OTHER_SLICE = "MIG-5117cf00-0000-4000-8000-00000000000e"
INTEGRATED, FAST = 1, 2


def card(uuid=GPUS[0], total=H100_TOTAL, reserved=H100_RESERVED, free=H100_TOTAL, attributes=0):
    """One card; ``total`` is CUDA's, to which NVML's adds what the driver reserves."""
    return f"{uuid} {total + reserved} {reserved} {free} {attributes}"


SLICED = [
    card(GPUS[0], free=60 * GIB),
    card(SLICE, total=10 * GIB, reserved=0, free=9 * GIB),
    card(OTHER_SLICE, total=20 * GIB, reserved=0, free=5 * GIB),
    card(GPUS[1], free=70 * GIB),
]


class Machine:
    """A process that finds one set of stand-ins, and the log of the NVML calls it makes."""

    def __init__(self, process: subprocess.Popen, log: Path) -> None:
        self._process, self._log = process, log

    def ask(self, *cards: str, stats=None, ordinal=0, **env: object) -> dict:
        self._log.write_text("")
        env = {"STANDIN_CARDS": ";".join(cards or (card(),)), "STANDIN_LOG": str(self._log)} | env
        request = {
            "env": {name: str(value) for name, value in env.items()},
            "stats": stats,
            "ordinal": ordinal,
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the process ended with {self._process.wait(timeout=20)}"
        log = [tuple(entry.split(" ", 1)) for entry in self._log.read_text().splitlines()]
        # Whatever happened, NVML was left as it was found.
        assert log.count(("init", "done")) == log.count(("shutdown", "done"))
        return json.loads(line) | {"log": log}

    def card(self, *cards: str, **env: object) -> dict:
        return self.ask(*cards, **env)["card"]


@contextlib.contextmanager
def machines(folder: Path) -> Iterator[Callable[[str], Machine]]:
    """Gives the machine of a name, built and started when it is first asked for."""
    started: dict[str, tuple[subprocess.Popen, Machine]] = {}

    def start(name: str) -> Machine:
        if name not in started:
            here = folder / name.replace(" ", "-")
            here.mkdir()
            for source, macros in MACHINES[name].items():
                _build(source, macros, here / FILES[source])
            process = _start(here)
            started[name] = process, Machine(process, here / "log")
        return started[name][1]

    try:
        yield start
    finally:
        for process, _ in started.values():
            process.communicate(timeout=20)


def _build(source: str, macros: list[str] | None, library: Path) -> None:
    if macros is None:
        library.write_bytes(b"")
        return
    compiler = shutil.which("cc") or shutil.which("gcc")
    options = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", *macros]
    command = [compiler, *options, HERE / f"standin_{source}.c", "-o", library]
    subprocess.run(command, check=True, timeout=60)


def _start(libraries: Path) -> subprocess.Popen:
    env = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("CUDA_", "XLA_", "STANDIN_"))
    }
    env |= {"LD_LIBRARY_PATH": str(libraries), "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        [sys.executable, HERE / "standin_process.py"],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
