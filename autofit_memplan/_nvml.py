"""Free memory of the card behind a JAX device, as NVML counts it for all processes together."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

import psutil
import pynvml

from autofit_memplan._cuda_driver import cuda_device


class CardReading(NamedTuple):
    """What is free on the card.

    Attributes
    ----------
    free_bytes
        ``None`` where it could not be had.
    source
        Who says so, or why nobody does: ``"NVML"``, ``"NVML: unknown (Driver Not Loaded)"``.
    total_bytes
        What CUDA can give to programs, all processes together; ``None`` where it is not known.
    """

    free_bytes: int | None
    source: str
    total_bytes: int | None = None


def unknown(reason: object) -> CardReading:
    """A reading that could not be had, and why."""
    return CardReading(None, f"NVML: unknown ({reason})")


def read_card(cuda_ordinal: int | None) -> CardReading:
    """Read NVML for one card; every failure is a stated unknown.

    Parameters
    ----------
    cuda_ordinal
        The CUDA driver's number of the device in this process, ``jax.Device.local_hardware_id``.
    """
    if cuda_ordinal is None:
        return unknown("JAX gives no local_hardware_id for this device")
    try:
        device = cuda_device(cuda_ordinal)
    except OSError as error:
        return unknown(error)
    if device.is_integrated:
        # NVML answers "not supported" for such a part, or gives a small carve-out.
        memory = psutil.virtual_memory()
        source = "psutil.virtual_memory (the device shares the host's memory)"
        return CardReading(memory.available, source, memory.total)
    try:
        return _read(device.uuid)
    except pynvml.NVMLError as error:
        return unknown(error)


def _read(card_uuid: str) -> CardReading:
    pynvml.nvmlInit()
    try:
        info = _memory_info(_handle(card_uuid))
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
    # Only version 2 states the driver's own part, which CUDA's total leaves out.
    free, total = int(info.free), int(info.total) - int(getattr(info, "reserved", 0))
    if total <= 0 or free > total:  # "not available" is written as 2**64 - 1
        return unknown(f"impossible figures: {free} of {total} bytes free")
    return CardReading(free, "NVML", total)


def _handle(card_uuid: str):
    """NVML's handle of the whole card or of the MIG slice that has this UUID.

    A MIG slice must not be looked up through its parent card, whose total is not the slice's.
    """
    try:
        return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{card_uuid}")
    except (
        pynvml.NVMLError_NotFound,  # pyright: ignore[reportAttributeAccessIssue]
        pynvml.NVMLError_InvalidArgument,  # pyright: ignore[reportAttributeAccessIssue]
    ):
        return pynvml.nvmlDeviceGetHandleByUUID(f"MIG-{card_uuid}")


def _memory_info(handle):
    """Version 2 leaves the driver's own reservation out of ``used``; old drivers have only 1."""
    try:
        return pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
    except (
        pynvml.NVMLError_FunctionNotFound,  # pyright: ignore[reportAttributeAccessIssue]
        pynvml.NVMLError_ArgumentVersionMismatch,  # pyright: ignore[reportAttributeAccessIssue]
        pynvml.NVMLError_InvalidArgument,  # pyright: ignore[reportAttributeAccessIssue]
        pynvml.NVMLError_NotSupported,  # pyright: ignore[reportAttributeAccessIssue]
    ):
        return pynvml.nvmlDeviceGetMemoryInfo(handle)
