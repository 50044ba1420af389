"""What a figure was measured on."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jax
import psutil


def machine() -> dict[str, object]:
    """Device, versions and command, to be put beside every result."""
    versions = {}
    for name in ("jax", "jaxlib", "blackjax", "numpy"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {
        "device": jax.devices()[0].device_kind,
        "platform": jax.default_backend(),
        "cores": psutil.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "python": platform.python_version(),
        "versions": versions,
        "command": command(),
    }


def command() -> str:
    """What this process was started with; of files anywhere on the machine the name alone."""
    main = getattr(sys.modules["__main__"], "__spec__", None)
    if main is None:
        return sys.argv[0]
    arguments = [Path(text).name if Path(text).is_absolute() else text for text in sys.argv[1:]]
    return shlex.join(["python", "-m", main.name.removesuffix(".__main__"), *arguments])


if __name__ == "__main__":
    print(json.dumps(machine()))
