"""Where the memory limit comes from: the JAX allocator, NVML, cgroups, psutil, the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from autofit_memplan._account import Account
from autofit_memplan._allocator import read_allocator
from autofit_memplan._compile_only import start_jax
from autofit_memplan._device_memory import device_memory
from autofit_memplan._host_memory import host_accounts
from autofit_memplan._limit import Limit, parse_limit
from autofit_memplan._nvml import CardReading, read_card, unknown
from autofit_memplan._target_memory import target_accounts
from autofit_memplan.device import default_device
from autofit_memplan.errors import BudgetError, TargetError
from autofit_memplan.records import BudgetLine, DeviceBudget
from autofit_memplan.targets import Target, find_target, others_of_that_name
from autofit_memplan.units import format_bytes


@runtime_checkable
class Device(Protocol):
    """What is asked of a ``jax.Device``."""

    platform: str
    device_kind: str

    def memory_stats(self) -> Mapping[str, int] | None: ...


def read_budget(
    device: Device | None = None,
    target: str | None = None,
    limit: int | float | str | None = None,
) -> DeviceBudget:
    """How many bytes a program may use on a device now, on top of what is held already.

    Parameters
    ----------
    device
        A ``jax.Device``; the one that JAX compiles for (``jax.default_device``) unless given.
        Programs are always compiled for that one, so give another one only to look at it.
    target
        The name of a GPU that is not here, e.g. ``"a100-sxm-80gb"`` (`targets.TARGETS`), to plan
        for it. Give `device` or `target`, not both.
    limit
        The user's own limit: bytes (int), a size (``"6 GiB"``), or a share of the available
        memory (``0.6``, ``"60%"``). It is honoured up to what is available: a limit above that
        cannot create memory, so the available figure stays the budget and a note says so. Where
        nothing is known of the memory available, a limit in bytes is taken as given.

    Returns
    -------
    DeviceBudget
        ``lines`` add up to ``limit_bytes``. On a CPU the budget is the smallest of what psutil
        calls available, of what each cgroup leaves and of what ``ulimit -v`` leaves, less a
        reserve of 5 % (at least 512 MiB). On a GPU it is the smaller of what JAX's allocator may
        still hand out and of what the card and the pool have free, less a reserve for CUDA's
        libraries. For a target it is JAX's share of the whole card
        (``XLA_CLIENT_MEM_FRACTION``, 0.75 unless set), less what CUDA and its libraries take.

    Raises
    ------
    LimitError
        When ``limit`` is not a size and not a share.
    TargetError
        When ``target`` is not known.
    BudgetError
        When nothing is left, or when nothing is known and no limit in bytes is given.
    """
    asked = None if limit is None else parse_limit(limit)
    if target is not None:
        if device is not None:
            raise TargetError(f"device={device} and target={target!r}: give one of them.")
        return _target_budget(find_target(target), target, asked)
    if device is None:
        device = default_device()
    if not isinstance(device, Device):
        raise BudgetError(
            f"device={device!r} is not a JAX device. Pass one of jax.devices(), e.g. "
            "jax.devices()[0], or leave device= out."
        )

    block: int | None = None
    if device.platform == "cpu":
        accounts, notes = host_accounts()
    else:
        card = _card(device)
        accounts, block, notes = device_memory(read_allocator(device, card), card)
    lines, more_notes = _settle(accounts, asked, notes)
    return DeviceBudget(
        device_kind=device.device_kind,
        platform=device.platform,
        limit_bytes=sum(line.bytes for line in lines if line.bytes is not None),
        largest_block_bytes=block,
        lines=lines,
        notes=(*notes, *more_notes),
    )


def _target_budget(target: Target, name: str, asked: Limit | None) -> DeviceBudget:
    start_jax()
    lines, notes = _settle(target_accounts(target), asked, ())
    if siblings := others_of_that_name(name):
        notes.append(
            f"{name} was taken to be {target.name} ({target.device_kind}); "
            f"there is {' and '.join(siblings)}, too."
        )
    return DeviceBudget(
        device_kind=target.device_kind,
        platform="gpu",
        target=target.name,
        limit_bytes=sum(line.bytes for line in lines if line.bytes is not None),
        lines=lines,
        notes=tuple(notes),
    )


def _card(device: Device) -> CardReading:
    if device.platform not in ("gpu", "cuda"):
        return unknown(f"it does not serve the platform {device.platform!r}")
    return read_card(getattr(device, "local_hardware_id", None))


def _settle(
    accounts: Sequence[Account], asked: Limit | None, notes: Sequence[str]
) -> tuple[tuple[BudgetLine, ...], list[str]]:
    """The binding account's lines with the user's limit, and notes on the rest."""
    if not accounts:
        if asked is None or asked.bytes is None:
            raise BudgetError(
                "nothing is known of this device's memory"
                f" ({' '.join(notes) or 'no source answered'}). Pass limit= in bytes or as a size "
                'such as "6 GiB".'
            )
        line = BudgetLine(label=f"limit {asked.text}", bytes=asked.bytes, source="user")
        return (line,), ["The limit was taken as given: the available memory is not known."]

    binding = min(accounts, key=lambda account: account.total_bytes)
    available = binding.total_bytes
    if available <= 0:
        shown = ", ".join(
            f"{line.label} {format_bytes(line.bytes)}"
            for line in binding.lines
            if line.bytes is not None
        )
        raise BudgetError(
            f"no memory is left for programs: {shown}. Free memory on the device or the node, or "
            "ask the scheduler for more."
        )
    others = [
        f"{account.name} ({format_bytes(account.total_bytes)} left)"
        for account in accounts
        if account is not binding
    ]
    notes = [f"Looked at and not binding: {', '.join(others)}."] if others else []
    if asked is None:
        return binding.lines, notes

    taken_off = max(available - asked.resolve(available), 0)
    line = BudgetLine(label=f"limit {asked.text}", bytes=-taken_off, source="user")
    if asked.bytes is not None and asked.bytes > available:
        notes.append(
            f"limit {asked.text} is more than the {format_bytes(available)} available, which "
            "stays the budget."
        )
    return (*binding.lines, line), notes
