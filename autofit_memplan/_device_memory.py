"""How much of an accelerator's memory is left: JAX's allocator and NVML, from plain readings."""

from __future__ import annotations

from typing import NamedTuple

from autofit_memplan._account import Account
from autofit_memplan._allocator import AllocatorReading
from autofit_memplan._nvml import CardReading
from autofit_memplan.records import BudgetLine
from autofit_memplan.units import MIB, format_bytes

# Kept back on the card outside JAX's pool: the handles of cuBLAS, cuSOLVER and cuFFT and the
# modules of programs not yet loaded, about 0.5 GB together, none of which the pool serves.
LIBRARY_RESERVE_BYTES = 512 * MIB

# What those libraries take from the pool at their first call, whatever the batch: 69 to 101 MB
# beyond XLA's own figures on an H100 (`python -m benchmarks.gpu`), unless compiling took them.
# Where 151 are recorded, for one call of a matrix product, XLA had just tried kernels for it.
WORKSPACE_BYTES = 128 * MIB

_AMPLE_BYTES = 2 * LIBRARY_RESERVE_BYTES  # outside the pool

_CARD_LABEL = "free on the card"
_WORKSPACES = BudgetLine(
    label="workspaces", bytes=-WORKSPACE_BYTES, source="cuBLAS, cuSOLVER, cuFFT"
)
_RESERVE = BudgetLine(
    label="reserve", bytes=-LIBRARY_RESERVE_BYTES, source="CUDA libraries and modules"
)


class DeviceMemory(NamedTuple):
    """The accounts of one accelerator, its largest block where known, and notes."""

    accounts: list[Account]
    largest_block_bytes: int | None
    notes: list[str]


def device_memory(allocator: AllocatorReading, card: CardReading) -> DeviceMemory:
    """What a program may still allocate: the smaller of the allocator's and the card's room.

    The two accounts are ``limit - in use`` and ``(pool - in use) + free on the card - reserve``,
    each less the workspaces. The second matters when the pool has yet to grow and others fill the
    card; once JAX has preallocated, the free part of the pool is no longer "free" to NVML, and
    counts through the first bracket.

    Parameters
    ----------
    allocator
        What JAX's allocator may take, has taken and uses.
    card
        What NVML says of the card.

    Returns
    -------
    DeviceMemory
        With no account at all when neither source gave a figure.
    """
    accounts = []
    notes = list(allocator.notes)
    if allocator.limit.bytes is None:
        notes.append("JAX's allocator states no limit; only what is free on the card counts.")
    else:
        accounts.append(_allocator_account(allocator, card))
    if card.free_bytes is None:
        notes.append(f"{card.source}. Memory that other processes hold on the card is not seen.")
    else:
        accounts.append(_card_account(allocator, card))
    if allocator.pool.bytes is None:
        notes.append("JAX's allocator does not say how large its pool is; counted as all in use.")
    notes += _little_beside_the_pool(allocator, card)
    return DeviceMemory(accounts, _largest_block(allocator, card), notes)


def _allocator_account(allocator: AllocatorReading, card: CardReading) -> Account:
    limit, in_use = allocator.limit, allocator.in_use
    lines = [
        BudgetLine(label="allocator limit", bytes=limit.bytes, source=limit.source),
        BudgetLine(
            label="in use",
            bytes=None if in_use.bytes is None else -in_use.bytes,
            source=in_use.source,
        ),
        _WORKSPACES,
    ]
    if card.free_bytes is None:
        lines.append(BudgetLine(label=_CARD_LABEL, bytes=None, source=card.source))
    return Account("JAX's allocator", tuple(lines))


def _card_account(allocator: AllocatorReading, card: CardReading) -> Account:
    lines = (
        BudgetLine(label=_CARD_LABEL, bytes=card.free_bytes, source=card.source),
        BudgetLine(
            label="free in JAX's pool",
            bytes=_spare_bytes(allocator),
            source=allocator.pool.source,
        ),
        _WORKSPACES,
        _RESERVE,
    )
    return Account("free memory of the card", lines)


def _spare_bytes(allocator: AllocatorReading) -> int | None:
    """What the pool holds and nothing uses; zero before the first allocation."""
    pool, in_use = allocator.pool.bytes, allocator.in_use.bytes
    if pool == 0:
        return 0
    return None if pool is None or in_use is None else max(pool - in_use, 0)


def _little_beside_the_pool(allocator: AllocatorReading, card: CardReading) -> list[str]:
    """What to do where the pool takes what CUDA needs, and XLA for arrays that are closed over.

    XLA's ``CudaExecutor::CreateOrShareConstant`` takes these from the card, not from the pool.
    """
    limit, pool, free = allocator.limit.bytes, allocator.pool.bytes, card.free_bytes
    if limit is None or pool is None or free is None or not allocator.is_taken_at_once:
        return []
    growth = max(limit - pool, 0)
    if free - growth >= _AMPLE_BYTES:
        return []
    left = (
        f"JAX is going to take {format_bytes(growth)} of the {format_bytes(free)} that are free on "
        "the card."
        if growth
        else f"Outside JAX's pool {format_bytes(free)} are free on the card."
    )
    return [
        f"{left} Should CUDA's libraries, or arrays that the likelihood closes over, find too "
        "little there, set XLA_PYTHON_CLIENT_PREALLOCATE=false or a lower XLA_CLIENT_MEM_FRACTION."
    ]


def _largest_block(allocator: AllocatorReading, card: CardReading) -> int | None:
    """Upper bound on one contiguous block: in the pool as it is, or in what it can grow by."""
    block = allocator.largest_free_block_bytes
    pool, limit = allocator.pool.bytes, allocator.limit.bytes
    # A block of 0 in an empty pool is a figure; a missing one is not.
    if block is None or pool is None or limit is None:
        return None
    growth = max(limit - pool, 0)
    if card.free_bytes is not None:
        growth = min(growth, max(card.free_bytes - LIBRARY_RESERVE_BYTES, 0))
    return max(block, growth)
