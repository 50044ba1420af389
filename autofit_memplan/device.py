"""The device that JAX compiles for here."""

from __future__ import annotations

from typing import Any

import jax


def default_device() -> Any:
    """The default ``jax.Device`` of this process: of `jax.default_device`, else the first here."""
    chosen = getattr(jax.config, "jax_default_device", None)
    if isinstance(chosen, str):
        return jax.local_devices(backend=chosen)[0]
    return chosen or jax.local_devices()[0]
