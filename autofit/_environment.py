"""What has to hold before anything else is imported: one `autofit`, and double precision."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, distribution

import jax


def refuse_beside_pyautofit() -> None:
    """Both distributions provide the package `autofit`, and their files would mix.

    Raises
    ------
    ImportError
        If PyAutoFit (the distribution named ``autofit``) is installed in this environment.
    """
    try:
        version = distribution("autofit").version
    except PackageNotFoundError:
        return
    raise ImportError(
        f"autofit-nss and PyAutoFit {version} are installed in the same environment, and both "
        "provide the package 'autofit'. Keep one: 'pip uninstall autofit-nss' and 'pip install "
        "autofit-memplan' gives PyAutoFit the memory planner alone; or install autofit-nss into "
        "a fresh virtual environment."
    )


def prefer_double_precision() -> None:
    """Switch JAX to float64, as PyAutoFit does, unless ``JAX_ENABLE_X64`` says otherwise."""
    if "JAX_ENABLE_X64" not in os.environ:
        jax.config.update("jax_enable_x64", True)
