"""Lower, compile, read XLA's memory analysis: the footprint of one program."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from autofit_memplan._compile_only import detach
from autofit_memplan.cache import Analysis, load, program_key, store
from autofit_memplan.compiler import compiler_options
from autofit_memplan.errors import AnalysisUnavailableError
from autofit_memplan.jaxprs import constant_bytes, findings
from autofit_memplan.records import Footprint
from autofit_memplan.scratch import library_scratch
from autofit_memplan.targets import find_target
from autofit_memplan.units import format_bytes


class Program(NamedTuple):
    """A program and what it costs.

    Attributes
    ----------
    footprint
        Its memory.
    warnings
        What its trace showed (see `jaxprs.findings`), and what is not in its footprint.
    compile
        Gives the executable; compiles at its first call where the footprint came from the cache.
    key
        Of the plan cache (see `cache.program_key`), where that is used.
    """

    footprint: Footprint
    warnings: tuple[str, ...]
    compile: Callable[[], Any]
    key: str | None = None

    @property
    def executable(self) -> Any:
        """Call it with arrays of the shapes it was compiled for."""
        return self.compile()


def compile_program(
    fn: Callable, *args, platform: str, target: str | None = None, cache: bool = False
) -> Program:
    """Compile `fn` for arguments like `args` and read its footprint.

    Parameters
    ----------
    fn
        A function that JAX can trace.
    *args
        Example arguments: arrays or `jax.ShapeDtypeStruct`, pytrees of them too. Nothing is
        computed and nothing is allocated on the device.
    platform
        ``"cpu"`` or ``"gpu"``: the platform of the default device, or of the target.
    target
        Name of a GPU that is not here, to compile for it. The executable cannot be run.
    cache
        Take XLA's figures from the plan cache where they are known; compile only where not.

    Raises
    ------
    AnalysisUnavailableError
        If this backend gives no memory analysis.
    TargetError
        If the target is not known or cannot be compiled for.
    """
    start = time.perf_counter()
    traced = jax.jit(fn).trace(*args)
    options = compiler_options(platform, is_here=target is None)
    device = None if target is None else find_target(target)
    if device is None:
        remarks, lifted_bytes = (), 0

        def compile_now() -> Any:
            return traced.lower().compile(compiler_options=options or None)

    else:
        detached = detach(traced, device, options)
        remarks, lifted_bytes = detached.warnings, detached.constant_bytes
        compile_now = detached.compile

    compiled = functools.cache(compile_now)
    key = program_key(traced, platform, device, options) if cache else None
    known = load(key, Analysis) if key else None
    if key and known:
        analysis, seconds = known, 0.0
        compiled = functools.cache(
            functools.partial(_compile_known, compile_now, key, known, platform)
        )
    else:
        analysis = _analysis(compiled(), platform)
        seconds = time.perf_counter() - start
        if key:
            store(key, analysis)
    footprint = Footprint(
        # Where large constants are arguments they are still counted as what they are.
        argument_bytes=max(analysis.argument_bytes - lifted_bytes, 0),
        output_bytes=analysis.output_bytes,
        alias_bytes=analysis.alias_bytes,
        temp_bytes=analysis.temp_bytes,
        constant_bytes=constant_bytes(traced.jaxpr),
        scratch_bytes=analysis.scratch_bytes,
        compile_seconds=seconds,
        from_cache=known is not None,
    )
    remarks = (*findings(traced.jaxpr), *remarks, *analysis.warnings)
    return Program(footprint, remarks, compiled, key)


def _compile_known(compile_now: Callable[[], Any], key: str, known: Analysis, platform: str) -> Any:
    """Compile what the plan cache has figures of, and correct them where they are too small.

    A live GPU times kernels while it compiles, and may take others than the last time.
    """
    executable = compile_now()
    found = _analysis(executable, platform)
    needs, knew = (each.temp_bytes + each.scratch_bytes for each in (found, known))
    if needs > knew:
        store(key, found)
        warnings.warn(
            f"a program has {format_bytes(needs)} of temporaries and scratch, of which the plan "
            f"cache knew {format_bytes(knew)}: it has been compiled another way this time. The "
            "next plan will count them.",
            stacklevel=2,
        )
    return executable


def _analysis(executable: Any, platform: str) -> Analysis:
    stats = executable.memory_analysis()
    if stats is None:
        raise AnalysisUnavailableError(
            f"the {platform} backend of jaxlib {jax.__version__} gives no memory analysis of a "
            "compiled program, so nothing can be planned; pass a chunk_size yourself"
        )
    scratch = library_scratch(executable.as_text(), platform)
    return Analysis(
        argument_bytes=stats.argument_size_in_bytes,
        output_bytes=stats.output_size_in_bytes,
        alias_bytes=stats.alias_size_in_bytes,
        temp_bytes=stats.temp_size_in_bytes,
        scratch_bytes=scratch.nbytes,
        warnings=scratch.warnings,
    )
