"""How programs are compiled: once, ahead of time, with options that cannot hang.

With jaxlib 0.10 on CPU, two independent batched LAPACK calls (Cholesky, LU, …) that run at the
same time can wait for each other's worker threads for ever. XLA's memory-optimised schedule
runs them one after the other. It is asked for as an option of each compiled program, so it works
also after JAX has started, and no environment variable needs to be set.

A live GPU times cuBLAS and Triton on each matrix product and takes the faster. Where there is none
to time them on, XLA would take Triton, which needs less memory than cuBLAS when it fuses the
operands, and does not compile for some products in float64. So for a GPU that is not here cuBLAS
is asked for, as the upper bound.
"""

from __future__ import annotations

import functools
from typing import Any

import jax

_SEQUENTIAL_CPU: dict[str, str | bool] = {
    "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"
}
_CUBLAS: dict[str, str | bool] = {"xla_gpu_enable_triton_gemm": False}


def compiler_options(platform: str, is_here: bool = True) -> dict[str, Any]:
    """XLA options for every program compiled for `platform` (``"cpu"``, ``"gpu"``).

    Parameters
    ----------
    platform
        Of the device.
    is_here
        Whether it is a device of this machine, and no compile-only target.

    Returns
    -------
    Options for ``lowered.compile(compiler_options=…)``; empty where none is needed or where this
    jaxlib does not know the option (see `protects_from_deadlock`).
    """
    if not is_here:
        return dict(_CUBLAS)
    if platform == "cpu" and protects_from_deadlock():
        return dict(_SEQUENTIAL_CPU)
    return {}


@functools.cache
def protects_from_deadlock() -> bool:
    """Whether this jaxlib accepts the option that keeps batched LAPACK calls from deadlocking."""
    probe = jax.jit(lambda: 0).trace().lower(lowering_platforms=("cpu",))
    try:
        probe.compile(compiler_options=_SEQUENTIAL_CPU)
    except jax.errors.JaxRuntimeError as error:
        if "No such compile option" in str(error):
            return False
        raise
    return True
