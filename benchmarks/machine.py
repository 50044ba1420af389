"""What a figure was measured on."""

from __future__ import annotations

import json
import math
import platform
import shlex
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax
import psutil

from autofit_memplan.processor import first_core, usable_cores
from benchmarks.fresh_process import lines_from


def machine() -> dict[str, Any]:
    """Device, versions and command, to be put beside every result."""
    return {
        "device": jax.devices()[0].device_kind,
        "platform": jax.default_backend(),
        "processor": processor(),
        "cores": usable_cores(),  # which taskset and Slurm can make fewer than there are
        "memory_bytes": psutil.virtual_memory().total,
        "python": platform.python_version(),
        "versions": versions("jax", "jaxlib", "blackjax", "numpy"),
        "command": command(),
    }


def processor() -> str:
    """Maker, family and model of the first core where Linux tells them, for names may hide them."""
    core = first_core()
    x86, arm = ("model name", "cpu family", "model"), ("CPU implementer", "CPU part")
    about = [f"{name} {core[name]}" for name in (*x86, *arm) if name in core]
    return ", ".join(about) if core else platform.processor()


def machine_elsewhere(timeout: float = 120.0) -> dict[str, Any]:
    """`machine`, asked of another process: a device takes most of a GPU for the one that asks.

    Parameters
    ----------
    timeout
        Seconds for that process.

    Returns
    -------
    dict
        With the command of this process.

    Raises
    ------
    RuntimeError
        If JAX does not start there.
    """
    lines, why = lines_from("benchmarks.machine", timeout=timeout)
    if not lines:
        raise RuntimeError(f"JAX does not start here: {why}")
    return json.loads(lines[-1]) | {"command": command()}


def versions(*names: str) -> dict[str, str | None]:
    """Of installed packages; ``None`` for the others."""
    found: dict[str, str | None] = dict.fromkeys(names)
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def changed(runs: Iterable[Mapping[str, Any]], here: Mapping[str, Any]) -> list[str]:
    """What of the machine is not as it was in all `runs`.

    Versions count where both are known. Memory counts above 1 %: what the kernel keeps for itself
    changes by some KiB when a machine starts anew.
    """
    names = set()
    for run in runs:
        then, now = run.get("versions", {}), here.get("versions", {})
        known = {name for name in then.keys() & now.keys() if then[name] and now[name]}
        names |= {name for name in known if then[name] != now[name]}
        fields = run.keys() - {"versions", "command"}
        names |= {name for name in fields if not _alike(name, run[name], here.get(name))}
    return sorted(names)


def _alike(name: str, then: Any, now: Any) -> bool:
    if name == "memory_bytes" and now is not None:
        return math.isclose(then, now, rel_tol=0.01)
    return then == now


def command() -> str:
    """What this process was started with; of files anywhere on the machine the name alone."""
    main = getattr(sys.modules["__main__"], "__spec__", None)
    if main is None:
        return sys.argv[0]
    arguments = [Path(text).name if Path(text).is_absolute() else text for text in sys.argv[1:]]
    return shlex.join(["python", "-m", main.name.removesuffix(".__main__"), *arguments])


if __name__ == "__main__":
    print(json.dumps(machine()))
