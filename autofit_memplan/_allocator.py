"""What JAX's allocator holds and may take, for each allocator that JAX can be asked for.

Sources: ``generate_pjrt_gpu_plugin_options`` in jaxlib's ``xla_client.py`` for the environment
variables; in XLA ``se_gpu_pjrt_client.cc``, ``gpu_cudamallocasync_allocator.cc`` and
``cuda_device_address_vmm_allocator.cc`` for what each allocator states and obeys, and
``BFCAllocator::Extend`` of ``bfc_allocator.cc`` for what preallocation gets of a busy card.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import jax

from autofit_memplan._cuda_driver import cuda_pool_bytes
from autofit_memplan._nvml import CardReading
from autofit_memplan.errors import BudgetError

_STATS_SOURCE = "JAX memory_stats"
_FRACTION_NAMES = ("XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION")
_DEFAULT_FRACTION = 0.75  # of XLA's GpuAllocatorConfig
_BACK_OFF = 0.9  # kBackpedalFactor of BFCAllocator::Extend


class Figure(NamedTuple):
    """A number of bytes, ``None`` where it could not be had, and who says so or why not."""

    bytes: int | None
    source: str


class AllocatorReading(NamedTuple):
    """One allocator as it is now.

    Attributes
    ----------
    limit
        What it will never exceed; ``None`` where it has no such limit or states none.
    in_use
        What the arrays and programs of this process hold.
    pool
        What it has taken from the card, in use or not.
    largest_free_block_bytes
        The largest gap of the pool, where it is known.
    is_taken_at_once
        Whether the first allocation takes all of the limit from the card.
    notes
        What the user should know of this allocator.
    """

    limit: Figure
    in_use: Figure
    pool: Figure
    largest_free_block_bytes: int | None = None
    is_taken_at_once: bool = False
    notes: tuple[str, ...] = ()


class HasMemoryStats(Protocol):
    """What is asked of a ``jax.Device`` here."""

    def memory_stats(self) -> Mapping[str, int] | None: ...


def read_allocator(device: HasMemoryStats, card: CardReading) -> AllocatorReading:
    """Ask the allocator, and whoever knows what it does not say.

    Parameters
    ----------
    device
        The ``jax.Device``.
    card
        The card, as NVML sees it: the ``vmm`` allocator's limit is a share of its total.

    Raises
    ------
    BudgetError
        When the share is needed and the environment variables that set it make no sense.
    """
    name = os.environ.get("XLA_PYTHON_CLIENT_ALLOCATOR", "default").lower()
    try:
        stats = device.memory_stats()
    except RuntimeError:  # some backends raise instead of answering None
        stats = None
    if name == "platform":
        return _platform(stats)
    if stats is None:
        return _vmm(device, card)
    if name == "cuda_async" and "pool_bytes" not in stats:
        return _cuda_async(stats, device, card)
    return _from_stats(stats, card)


def memory_fraction() -> tuple[float, str]:
    """The share of the card that JAX's allocator may take, and who says so.

    Raises
    ------
    BudgetError
        When both environment variables are set, which JAX refuses too, or the one that is set is
        no share.
    """
    given = {name: os.environ[name] for name in _FRACTION_NAMES if os.environ.get(name)}
    if not given:
        return _DEFAULT_FRACTION, "JAX's default"
    if len(given) > 1:
        shown = " and ".join(f"{name}={text}" for name, text in given.items())
        raise BudgetError(
            f"{shown} are both set, which JAX refuses. Unset {_FRACTION_NAMES[1]}, the old name."
        )
    ((name, text),) = given.items()
    try:
        fraction = float(text)
    except ValueError:
        fraction = 0.0
    if not 0 < fraction < float("inf"):
        raise BudgetError(f"{name}={text!r} is not a share of the card. Set it to e.g. 0.9.")
    return fraction, name


def _from_stats(stats: Mapping[str, int], card: CardReading) -> AllocatorReading:
    """The ``default`` or ``bfc`` allocator, whose pool grows up to ``bytes_limit``."""
    stated = Figure(_stated(stats, "bytes_limit") or None, _STATS_SOURCE)  # 0 is "none"
    pool = Figure(_stated(stats, "pool_bytes"), _STATS_SOURCE)
    return AllocatorReading(
        limit=_within_reach(stated, pool, card),
        in_use=Figure(_stated(stats, "bytes_in_use"), _STATS_SOURCE),
        pool=pool,
        largest_free_block_bytes=_stated(stats, "largest_free_block_bytes"),
        is_taken_at_once=_preallocates(),
    )


def _within_reach(limit: Figure, pool: Figure, card: CardReading) -> Figure:
    """The limit, or the pool that preallocation gets where the card has not so much.

    The first allocation asks the card for all of the limit, and where that is refused, for nine
    tenths again and again; later ones ask for all that is missing to the limit, or get nothing.
    """
    if limit.bytes is None or pool.bytes is None or card.free_bytes is None or not _preallocates():
        return limit
    if limit.bytes - pool.bytes <= card.free_bytes:
        return limit
    said_by = "what preallocation gets of a busy card"
    if pool.bytes:
        return Figure(pool.bytes, said_by)
    reach = limit.bytes
    while reach > card.free_bytes:
        reach = int(reach * _BACK_OFF)
    return Figure(reach, said_by)


def _preallocates() -> bool:
    return os.environ.get("XLA_PYTHON_CLIENT_PREALLOCATE") not in ("false", "False", "0")


def _cuda_async(
    stats: Mapping[str, int], device: HasMemoryStats, card: CardReading
) -> AllocatorReading:
    """CUDA's own pool: ``bytes_limit`` is what it keeps when memory is freed, and is no cap."""
    try:
        pool = Figure(cuda_pool_bytes(getattr(device, "local_hardware_id", -1)), "CUDA memory pool")
    except OSError as error:
        pool = Figure(None, f"CUDA memory pool: unknown ({error})")
    limit = Figure(None, "cuda_async has no limit")
    if card.free_bytes is None:  # then what the pool holds is all that is certain
        limit = Figure(pool.bytes or None, pool.source)
    note = "XLA_PYTHON_CLIENT_ALLOCATOR=cuda_async: its bytes_limit is not a cap and is not used."
    return AllocatorReading(
        limit, Figure(_stated(stats, "bytes_in_use"), _STATS_SOURCE), pool, notes=(note,)
    )


def _platform(stats: Mapping[str, int] | None) -> AllocatorReading:
    """Every array is an allocation of its own, up to what the card has.

    With jaxlib 0.10.1 and 0.10.2, it is part of a pool that grows by doubling and gives account of
    itself; the ``bytes_limit`` of that is the whole card, of which nothing is taken at once.
    """
    none = Figure(None, "the platform allocator keeps no account")
    if stats is None:
        return AllocatorReading(none, none, Figure(0, "the platform allocator keeps no pool"))
    limit = Figure(None, "the platform allocator has no limit of its own")
    in_use, pool = (
        Figure(_stated(stats, key), _STATS_SOURCE) for key in ("bytes_in_use", "pool_bytes")
    )
    return AllocatorReading(limit, in_use, pool)


def _vmm(device: HasMemoryStats, card: CardReading) -> AllocatorReading:
    """An allocator that obeys a share of the card as its cap but gives no account of itself.

    XLA switches to it by itself for some values of ``xla_gpu_command_buffer_update_mode``, so
    every GPU allocator without an account is taken for it, except ``platform``.
    """
    if card.total_bytes is None:
        none = Figure(None, "JAX gives no memory_stats")
        return AllocatorReading(none, none, Figure(None, none.source))
    share, said_by = memory_fraction()
    live_bytes = sum(
        shard.data.nbytes
        for array in jax.live_arrays()
        for shard in array.addressable_shards
        if shard.device == device
    )
    return AllocatorReading(
        limit=Figure(int(share * card.total_bytes), f"{share:g} of the card ({said_by})"),
        in_use=Figure(live_bytes, "jax.live_arrays"),
        pool=Figure(0, "the vmm allocator gives back what is freed"),
        notes=("JAX's allocator gives no account of itself; its limit is taken to be vmm's.",),
    )


def _stated(stats: Mapping[str, int], key: str) -> int | None:
    """A figure of ``memory_stats()``; absent or -1 means that it is not available."""
    n = stats.get(key, -1)
    return None if n < 0 else n
