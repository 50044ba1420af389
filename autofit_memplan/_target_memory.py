"""How much memory JAX would have on a GPU that is not here, with nothing else running on it."""

from __future__ import annotations

from autofit_memplan._account import Account
from autofit_memplan._allocator import memory_fraction
from autofit_memplan._device_memory import LIBRARY_RESERVE_BYTES, WORKSPACE_BYTES
from autofit_memplan.records import BudgetLine
from autofit_memplan.targets import Target
from autofit_memplan.units import MIB

_CONTEXT_BYTES = 512 * MIB  # what the driver takes of the card for one process


def target_accounts(target: Target) -> list[Account]:
    """The accounts that a live card of that kind would have with nothing on it.

    JAX's pool grows up to its fraction of *all* the card's memory, whether preallocated or not.

    Raises
    ------
    BudgetError
        If the environment variables of the fraction contradict each other or hold no fraction.
    """
    fraction, source = memory_fraction()
    card = BudgetLine(
        label=f"memory of {target.name}", bytes=target.memory_bytes, source="table of targets"
    )
    pool_bytes = int(fraction * target.memory_bytes)
    workspaces = BudgetLine(
        label="workspaces", bytes=-WORKSPACE_BYTES, source="cuBLAS, cuSOLVER, cuFFT"
    )
    pool = (
        card,
        BudgetLine(
            label=f"outside JAX's pool of {fraction:g}",
            bytes=pool_bytes - target.memory_bytes,
            source=source,
        ),
        workspaces,
    )
    rest = (
        card,
        BudgetLine(label="context", bytes=-_CONTEXT_BYTES, source="CUDA driver"),
        BudgetLine(
            label="reserve", bytes=-LIBRARY_RESERVE_BYTES, source="CUDA libraries and modules"
        ),
        workspaces,
    )
    return [Account("JAX's allocator", pool), Account("free memory of the card", rest)]
