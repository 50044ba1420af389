"""How much of an accelerator's memory is left: JAX's allocator and NVML, from plain readings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from autofit_memplan._account import Account
from autofit_memplan._nvml import CardReading
from autofit_memplan.records import BudgetLine
from autofit_memplan.units import MIB

# Kept back on the card outside JAX's pool: the handles of cuBLAS, cuSOLVER and cuFFT and the
# modules of programs not yet loaded, about 0.5 GB together, none of which the pool serves.
LIBRARY_RESERVE_BYTES = 512 * MIB

# What those libraries take from the pool at their first call, whatever the batch: 85 to 103 MB
# beyond XLA's own figures on an H100 (`python -m benchmarks.gpu`).
WORKSPACE_BYTES = 128 * MIB

_STATS_SOURCE = "JAX memory_stats"
_CARD_LABEL = "free on the card"


class DeviceMemory(NamedTuple):
    """The accounts of one accelerator, its largest block where known, and notes."""

    accounts: list[Account]
    largest_block_bytes: int | None
    notes: list[str]


def device_memory(stats: Mapping[str, int] | None, card: CardReading) -> DeviceMemory:
    """What a program may still allocate: the smaller of the allocator's and the card's room.

    The two accounts are ``bytes_limit - bytes_in_use`` and
    ``(pool_bytes - bytes_in_use) + free on the card - reserve``. The second matters when the pool
    has yet to grow and others fill the card; once JAX has preallocated, the free part of the pool
    is no longer "free" to NVML, and counts through the first bracket.

    Parameters
    ----------
    stats
        ``jax.Device.memory_stats()``; any key may be absent, and ``None`` where the allocator
        keeps no account.
    card
        What NVML says of the card.

    Returns
    -------
    DeviceMemory
        With no account at all when neither source gave a figure.
    """
    stats = stats or {}
    notes = []
    cap = stats.get("bytes_limit") or None  # an allocator without a cap may say 0
    in_use = stats.get("bytes_in_use", 0)
    pool = stats.get("pool_bytes")
    accounts = []

    if cap is None:
        notes.append("JAX's allocator states no limit; only what is free on the card counts.")
    else:
        accounts.append(_allocator_account(cap, in_use, card))
    if card.free_bytes is None:
        notes.append(f"{card.source}. Memory that other processes hold on the card is not seen.")
    else:
        accounts.append(_card_account(card, pool, in_use))
    if pool is None and stats:
        notes.append("JAX's allocator does not say how large its pool is; counted as all in use.")
    return DeviceMemory(accounts, _largest_block(stats, card), notes)


def _allocator_account(cap: int, in_use: int, card: CardReading) -> Account:
    lines = [
        BudgetLine(label="allocator limit", bytes=cap, source=_STATS_SOURCE),
        BudgetLine(label="in use", bytes=-in_use, source=_STATS_SOURCE),
        BudgetLine(label="workspaces", bytes=-WORKSPACE_BYTES, source="cuBLAS, cuSOLVER, cuFFT"),
    ]
    if card.free_bytes is None:
        lines.append(BudgetLine(label=_CARD_LABEL, bytes=None, source=card.source))
    return Account("JAX's allocator", tuple(lines))


def _card_account(card: CardReading, pool: int | None, in_use: int) -> Account:
    # A pool that is not stated holds at least what is in use; before the first allocation it is
    # empty.
    spare = None if pool is None else max(pool - in_use, 0)
    lines = (
        BudgetLine(label=_CARD_LABEL, bytes=card.free_bytes, source=card.source),
        BudgetLine(label="free in JAX's pool", bytes=spare, source=_STATS_SOURCE),
        BudgetLine(
            label="reserve",
            bytes=-LIBRARY_RESERVE_BYTES,
            source="CUDA libraries and modules",
        ),
    )
    return Account("free memory of the card", lines)


def _largest_block(stats: Mapping[str, int], card: CardReading) -> int | None:
    """Upper bound on one contiguous block: in the pool as it is, or in what it can grow by."""
    block = stats.get("largest_free_block_bytes")
    pool, cap = stats.get("pool_bytes"), stats.get("bytes_limit")
    # A block of 0 in an empty pool is a figure; a missing key is not.
    if block is None or pool is None or cap is None:
        return None
    growth = max(cap - pool, 0)
    if card.free_bytes is not None:
        growth = min(growth, max(card.free_bytes - LIBRARY_RESERVE_BYTES, 0))
    return max(block, growth)
