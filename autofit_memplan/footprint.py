"""Lower, compile, read XLA's memory analysis: the footprint of one program."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from autofit_memplan.compiler import compiler_options
from autofit_memplan.errors import AnalysisUnavailableError
from autofit_memplan.jaxprs import constant_bytes, findings
from autofit_memplan.records import Footprint
from autofit_memplan.scratch import scratch_bytes


class Program(NamedTuple):
    """A compiled program and what it costs.

    Attributes
    ----------
    executable
        Call it with arrays of the shapes it was compiled for.
    footprint
        Its memory.
    warnings
        What its trace showed (see `jaxprs.findings`).
    """

    executable: Any
    footprint: Footprint
    warnings: tuple[str, ...]


def compile_program(fn: Callable, *args, platform: str) -> Program:
    """Compile `fn` for arguments like `args` and read its footprint.

    Parameters
    ----------
    fn
        A function that JAX can trace.
    *args
        Example arguments: arrays or `jax.ShapeDtypeStruct`, pytrees of them too. Nothing is
        computed and nothing is allocated on the device.
    platform
        ``"cpu"`` or ``"gpu"``: the platform of the default device.

    Raises
    ------
    AnalysisUnavailableError
        If this backend gives no memory analysis.
    """
    start = time.perf_counter()
    traced = jax.jit(fn).trace(*args)
    executable = traced.lower().compile(compiler_options=compiler_options(platform) or None)
    seconds = time.perf_counter() - start
    analysis = executable.memory_analysis()
    if analysis is None:
        raise AnalysisUnavailableError(
            f"the {platform} backend of jaxlib {jax.__version__} gives no memory analysis of a "
            "compiled program, so nothing can be planned; pass a chunk_size yourself"
        )
    footprint = Footprint(
        argument_bytes=analysis.argument_size_in_bytes,
        output_bytes=analysis.output_size_in_bytes,
        alias_bytes=analysis.alias_size_in_bytes,
        temp_bytes=analysis.temp_size_in_bytes,
        constant_bytes=constant_bytes(traced.jaxpr),
        scratch_bytes=scratch_bytes(traced.jaxpr, platform),
        compile_seconds=seconds,
    )
    return Program(executable, footprint, findings(traced.jaxpr))
