"""Free memory of the card behind a JAX device, as NVML counts it for all processes together."""

from __future__ import annotations

import contextlib
import ctypes
import sys
import uuid
from typing import NamedTuple

import psutil
import pynvml

_CUDA_SUCCESS = 0
_UNIFIED_SOURCE = "psutil.virtual_memory (memory shared with the host)"


class CardReading(NamedTuple):
    """What is free on the card.

    Attributes
    ----------
    free_bytes
        ``None`` where it could not be had.
    source
        Who says so, or why nobody does: ``"NVML"``, ``"NVML: unknown (driver not loaded)"``.
    """

    free_bytes: int | None
    source: str


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
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return unknown(error)
    try:
        handle = _handle(cuda_uuid(cuda_ordinal))
        info = _memory_info(handle)
    except pynvml.NVMLError_NotSupported:  # pyright: ignore[reportAttributeAccessIssue]
        # Parts that share the host's memory (GB10) have no figure of their own.
        return CardReading(psutil.virtual_memory().available, _UNIFIED_SOURCE)
    except (pynvml.NVMLError, OSError) as error:
        return unknown(error)
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
    if info.total == 0 or info.free > info.total:  # "not available" is written as 2**64 - 1
        return unknown(f"impossible figures: {info.free} of {info.total} bytes free")
    return CardReading(int(info.free), "NVML")


def cuda_uuid(cuda_ordinal: int) -> str:
    """The UUID of a CUDA device of this process, without a prefix.

    The driver is asked because it has already applied CUDA_VISIBLE_DEVICES and
    CUDA_DEVICE_ORDER, which may reorder the cards, abbreviate their names or pick MIG slices, all
    of it invisible to NVML. JAX does not give the UUID. For a MIG slice it is the slice's own
    (``cuDeviceGetUuid_v2``, CUDA driver API).

    Raises
    ------
    OSError
        When the driver library is missing or refuses.
    """
    driver = _load_driver()
    device = ctypes.c_int()
    raw = (ctypes.c_ubyte * 16)()
    calls = (
        ("cuInit", (ctypes.c_uint(0),)),
        ("cuDeviceGet", (ctypes.byref(device), ctypes.c_int(cuda_ordinal))),
        ("cuDeviceGetUuid_v2", (ctypes.byref(raw), device)),
    )
    for name, arguments in calls:
        try:
            code = getattr(driver, name)(*arguments)
        except AttributeError as error:
            raise OSError(f"the CUDA driver has no {name}") from error
        if code != _CUDA_SUCCESS:
            raise OSError(f"{name} of device {cuda_ordinal} gave CUDA error {code}")
    return str(uuid.UUID(bytes=bytes(raw)))


def _load_driver() -> ctypes.CDLL:
    return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")


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
    ):
        return pynvml.nvmlDeviceGetMemoryInfo(handle)
