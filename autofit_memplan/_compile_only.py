"""XLA's GPU compiler aimed at a GPU that is not here."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding

from autofit_memplan._portable import portable
from autofit_memplan.errors import TargetError
from autofit_memplan.targets import Target

INSTALL = (
    "Install JAX's CUDA plugin and NVIDIA's assembler; no GPU and no driver are needed: "
    "pip install 'jax[cuda12-local]' nvidia-cuda-nvcc-cu12 (Linux), which the extra [targets] of "
    "this package names"
)

_SKIP_CHECK = "JAX_SKIP_CUDA_CONSTRAINTS_CHECK"
_NVIDIA_DEVICES = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg")


class Detached(NamedTuple):
    """A program that can be compiled for a target, but never run.

    Attributes
    ----------
    compile
        Compiles it.
    constant_bytes
        Of the large constants, which are arguments of what is compiled.
    warnings
        What is not in it.
    """

    compile: Callable[[], Any]
    constant_bytes: int
    warnings: tuple[str, ...]


def detach(traced: jax.stages.Traced, target: Target, options: dict[str, Any]) -> Detached:
    """Make a traced program fit for `target`, to be compiled with XLA's `options`.

    Nothing is lowered until ``compile`` is called. It raises `TargetError` if the compiler for the
    target does not start, if NVIDIA's assembler is missing or too old, or if JAX compiled for
    another device after all.
    """
    program = portable(traced.jaxpr)
    program.fn.__name__ = traced.fun_name

    def compile_now() -> Any:
        device = compile_only_device(target)
        sharding = SingleDeviceSharding(device)

        def there(array: Any) -> jax.ShapeDtypeStruct:
            # Without the sharding JAX would silently compile for the default device.
            weak = getattr(array, "weak_type", False)
            return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=sharding, weak_type=weak)

        arguments = [there(array) for array in traced.jaxpr.in_avals]
        jitted = jax.jit(program.fn, in_shardings=sharding, out_shardings=sharding)
        try:
            again = jitted.trace([there(array) for array in program.constants], *arguments)
            lowered = again.lower(lowering_platforms=("cuda",))
        except ValueError as error:
            if "incompatible devices" not in str(error):
                raise
            raise _wrong_device(str(error), target) from error
        return _compile(lowered, options, target, device)

    replaced = tuple(
        f"{call}: replaced by a stand-in of the same shapes, for host calls cannot be compiled "
        f"for {target.name}"
        for call in program.host_calls
    )
    return Detached(compile_now, program.constant_bytes, replaced)


def _compile(
    lowered: jax.stages.Lowered, options: dict[str, Any], target: Target, device: Any
) -> Any:
    try:
        with warnings.catch_warnings():
            # JAX's persistent cache, where the user has one, stores what it then cannot load.
            warnings.filterwarnings("ignore", "Error reading persistent compilation cache entry")
            executable = lowered.compile(compiler_options=options)
    except jax.errors.JaxRuntimeError as error:
        if "ptxas" not in str(error):
            raise
        raise TargetError(
            f"no assembler for {target.name}: XLA found no ptxas, or one of a CUDA release that "
            f"does not know this GPU. {INSTALL}."
        ) from error
    shardings = jax.tree.leaves(executable.output_shardings)
    if found := {d for sharding in shardings for d in sharding.device_set} - {device}:
        raise _wrong_device(f"compiled for {', '.join(map(str, found))}", target)
    return executable


def _wrong_device(what: str, target: Target) -> TargetError:
    return TargetError(
        f"the program is not one for {target.name} alone: {what}. Name no device and no sharding "
        "inside the function; leave that to the caller."
    )


def start_jax() -> None:
    """Start JAX as the user has set it up, before the compiler of a target is started by hand.

    Without a GPU JAX's CUDA plugin would log at length that it finds no CUDA, and stay away: its
    check is skipped. Where there is a GPU the check stays, and JAX uses it as ever.

    Raises
    ------
    TargetError
        If JAX does not start.
    """
    is_live = any(Path(each).exists() for each in _NVIDIA_DEVICES)
    with nullcontext() if is_live else _environment(_SKIP_CHECK, "1"):
        try:
            jax.devices()
        except (RuntimeError, AssertionError) as error:  # the latter for "cuda" without a GPU
            asked = os.environ.get("JAX_PLATFORMS", "")
            raise TargetError(
                f"JAX does not start with JAX_PLATFORMS={asked!r} ({error or 'no such device'}). "
                "Set JAX_PLATFORMS=cpu to plan for a target."
            ) from error


@functools.cache
def compile_only_device(target: Target) -> Any:
    """The ``jax.Device`` to compile for; it holds no memory and runs nothing.

    Raises
    ------
    TargetError
        If JAX's CUDA plugin is not installed or does not start.
    """
    start_jax()
    try:
        return _topology(target).devices[0]
    except NotImplementedError:  # no plugin, or one that refused to start without a GPU
        _start_plugin()
    return _topology(target).devices[0]


def _topology(target: Target) -> topologies.TopologyDescription:
    return topologies.get_topology_desc(
        platform="cuda", target_config=target.text_proto, topology="1x1x1"
    )


def cuda_plugins() -> list[EntryPoint]:
    """JAX's CUDA plugins that are installed, whether or not they start."""
    return [entry for entry in entry_points(group="jax_plugins") if "cuda" in entry.value]


def _start_plugin() -> None:
    plugins = cuda_plugins()
    if not plugins:
        raise TargetError(f"planning for a GPU that is not here needs its compiler. {INSTALL}.")
    try:
        with _environment(_SKIP_CHECK, "1"):
            plugins[0].load().initialize()
    except Exception as error:
        raise TargetError(
            f"JAX's CUDA plugin ({plugins[0].value}) does not start: {error}. Set JAX_PLATFORMS="
            f"cpu and {_SKIP_CHECK}=1, and see that it has the version of jaxlib. {INSTALL}."
        ) from error


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
