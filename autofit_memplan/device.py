"""The device that JAX compiles for here."""

from __future__ import annotations

import os
from typing import Any

import jax

from autofit_memplan.errors import BudgetError


def default_device() -> Any:
    """The default ``jax.Device`` of this process: of `jax.default_device`, else the first here.

    Raises
    ------
    BudgetError
        If JAX does not start.
    """
    chosen = getattr(jax.config, "jax_default_device", None)
    return local_devices(chosen)[0] if isinstance(chosen, str) else chosen or local_devices()[0]


def local_devices(backend: str | None = None) -> list[Any]:
    """The devices of this process on a platform, or on JAX's default one.

    Raises
    ------
    BudgetError
        If JAX does not start, or has no such platform.
    """
    try:
        return jax.local_devices(backend=backend)
    except (RuntimeError, AssertionError) as error:  # the latter of a platform that is not here
        where = (
            repr(backend) if backend else f"JAX_PLATFORMS={os.environ.get('JAX_PLATFORMS', '')!r}"
        )
        raise BudgetError(
            f"JAX does not start with {where} ({str(error) or 'no such device'}). "
            "Set JAX_PLATFORMS=cpu to use the CPU."
        ) from error
