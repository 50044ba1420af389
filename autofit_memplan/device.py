"""The device that JAX compiles for here."""

from __future__ import annotations

import jax


def default_device() -> jax.Device:
    """The default device of this process: of `jax.default_device`, else the first local one."""
    chosen = jax.config.jax_default_device
    if isinstance(chosen, str):
        return jax.local_devices(backend=chosen)[0]
    return chosen or jax.local_devices()[0]
