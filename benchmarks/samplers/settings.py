"""How each sampler is set, and what the output says about it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

N_BATCH = 100
"""Points that nautilus evaluates at once; its default for vectorised likelihoods."""

XLA_FLAGS = {"jaxns": "--xla_cpu_enable_concurrency_optimized_scheduler=false"}
"""For samplers that call `jax.jit` themselves: what `outcome.compiled_here` does for the others."""


class Settings(BaseModel):
    """What the samplers share; `SETTINGS` says the rest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_live: int = 250
    """Not of nautilus, which trains its networks on them."""
    n_live_nautilus: int = 2_000
    """Its default."""
    num_delete: int = 50
    termination: float = -3.0
    n_eff: int = 10_000
    """At which nautilus stops; its default."""


_SLICES = (
    "max(5, 2 n_dim) slice moves per point, num_delete points per iteration, until "
    "log Z_live - log Z < termination; "
)
_COMPILED = (
    "on CPU compiled with CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED, as af.NSS always is, because XLA's "
    "default can hang"
)
SETTINGS = {
    "af.NSS auto": _SLICES + "chunk_size='auto'",
    "af.NSS no chunks": _SLICES + "chunk_size=None",
    "blackjax.nss": _SLICES + f"evidence by its own log_weights; {_COMPILED}",
    "nautilus": f"n_batch={N_BATCH}, vectorized, no pool, discard_exploration, n_live, f_live and "
    f"networks by default, until n_eff; stated error n_eff ** -0.5; {_COMPILED}",
    "dynesty": "NestedSampler with sample, bound and dlogz by default; one call at a time; "
    + _COMPILED,
    "jaxns": "root_allocation_degree=n_live, slices, width and depth condition by default; total "
    "evaluations not told; each fit made twice within its time, the second is sampling_seconds; "
    f"{_COMPILED} (by XLA_FLAGS)",
}
"""Beyond `Settings`, what each sampler was told; anything not named is its default."""
