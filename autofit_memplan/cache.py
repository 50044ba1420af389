"""The same program is not compiled twice to be planned: its figures, kept between processes."""

from __future__ import annotations

import functools
import hashlib
import os
import platform as machine
import re
import tempfile
import warnings
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any, TypeVar

import jax
from platformdirs import user_cache_path
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from autofit_memplan.device import default_device
from autofit_memplan.jaxprs import constant_bytes
from autofit_memplan.processor import first_core, usable_cores
from autofit_memplan.targets import Target

FOLDER_VARIABLE = "AUTOFIT_MEMPLAN_CACHE"
"""Environment variable that names another folder than the user's cache."""

_ADDRESS = re.compile(r"\b0x[0-9a-fA-FX]+")
_SETTINGS = (
    "jax_enable_x64",
    "jax_threefry_partitionable",
    "jax_default_matmul_precision",
    "jax_compiler_enable_remat_pass",
    "jax_memory_fitting_level",
    "jax_memory_fitting_effort",
    "jax_optimization_level",
    "jax_exec_time_optimization_effort",
    "jax_disable_most_optimizations",
)


class Analysis(BaseModel):
    """What was read off one compiled program, in bytes; the first four are XLA's own figures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    argument_bytes: NonNegativeInt
    output_bytes: NonNegativeInt
    alias_bytes: NonNegativeInt
    temp_bytes: NonNegativeInt
    scratch_bytes: NonNegativeInt
    warnings: tuple[str, ...]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    record: dict[str, Any]


_Record = TypeVar("_Record", bound=BaseModel)


def program_key(
    traced: jax.stages.Traced, platform: str, target: Target | None, options: dict[str, Any]
) -> str:
    """SHA-256 over all that the figures of a program depend on.

    Parameters
    ----------
    traced
        The program. Of the arrays it closes over, shapes and dtypes count and values do not.
    platform, target, options
        What it is compiled for, and how.
    """
    jaxpr = traced.jaxpr
    parts = (
        _own_sources(),
        _ADDRESS.sub("0x", str(jaxpr)),
        [(a.shape, a.dtype, getattr(a, "weak_type", None)) for a in jaxpr.in_avals],
        constant_bytes(jaxpr),  # tells one array closed over twice from two
        _where(platform) if target is None else target,
        sorted(options.items()),
        _versions(),
        os.environ.get("XLA_FLAGS", ""),
        [getattr(jax.config, name, None) for name in _SETTINGS],
    )
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def load(key: str, kind: type[_Record]) -> _Record | None:
    """The entry of that key; ``None`` where there is none, or one that cannot be trusted."""
    try:
        entry = _Entry.model_validate_json(_path(key).read_bytes())
        return kind.model_validate(entry.record) if entry.key == key else None
    except (OSError, ValidationError):
        return None


def store(key: str, record: BaseModel) -> None:
    """Write an entry, whole or not at all. Where that cannot be done, one warning is given."""
    path = _path(key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "w") as file:
                file.write(_Entry(key=key, record=record.model_dump(mode="json")).model_dump_json())
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        _warn_once(f"{path.parent} ({error.strerror})")


def _path(key: str) -> Path:
    folder = os.environ.get(FOLDER_VARIABLE)
    return (Path(folder) if folder else user_cache_path("autofit-memplan")) / f"{key}.json"


@functools.cache
def _warn_once(what: str) -> None:
    warnings.warn(
        f"the plan cache cannot be written to {what}; programs are compiled anew in every "
        f"process. Name another folder in {FOLDER_VARIABLE}; a cluster may have scratch space.",
        stacklevel=2,
    )


def _where(platform: str) -> tuple:
    device = default_device()
    about = (platform, device.device_kind, device.client.platform_version)
    # XLA's CPU compiler looks at the processor and at how many cores it may use.
    return (*about, machine.machine(), _processor(), usable_cores()) if platform == "cpu" else about


@functools.cache
def _processor() -> tuple[str, ...]:
    """Model and instruction sets of the first core, where Linux tells them.

    Nodes of a cluster that share a home may differ in them.
    """
    core = first_core()
    names = ("model name", "flags", "CPU part", "Features")  # of x86 and of Arm
    return tuple(core[name] for name in names if name in core)


@functools.cache
def _own_sources() -> str:
    """Digest of this package: a change in how programs are prepared or read makes new entries."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@functools.cache
def _versions() -> tuple:
    plugins = {
        (entry.dist.name, entry.dist.version)
        for entry in entry_points(group="jax_plugins")
        if entry.dist
    }
    return version("jax"), version("jaxlib"), *sorted(plugins)
