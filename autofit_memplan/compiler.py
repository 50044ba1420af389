"""How programs are compiled: once, ahead of time, with options that cannot hang.

With jaxlib 0.10 on CPU, two independent batched LAPACK calls (Cholesky, LU, …) that run at the
same time can wait for each other's worker threads for ever. XLA's memory-optimised schedule
runs them one after the other. It is asked for as an option of each compiled program, so it works
also after JAX has started, and no environment variable needs to be set.
"""

from __future__ import annotations

import functools
from typing import Any

import jax

_SEQUENTIAL_CPU: dict[str, str | bool] = {
    "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"
}


def compiler_options(platform: str) -> dict[str, Any]:
    """XLA options for every program compiled for `platform` (``"cpu"``, ``"gpu"``).

    Returns
    -------
    Options for ``lowered.compile(compiler_options=…)``; empty where none is needed or where this
    jaxlib does not know the option (see `protects_from_deadlock`).
    """
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
