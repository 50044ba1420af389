"""What the CUDA driver says of a device that JAX uses: who it is and whose memory it has.

The driver is asked because it has already applied CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER,
which may reorder the cards, abbreviate their names or pick MIG slices, all of it invisible to
NVML; JAX gives no UUID. No call here needs or makes a CUDA context.

Source: CUDA driver API, "Device Management" and "Stream Ordered Memory Allocator".
"""

from __future__ import annotations

import ctypes
import sys
import uuid
from typing import NamedTuple

_CUDA_SUCCESS = 0
_ATTRIBUTE_INTEGRATED = 18  # CU_DEVICE_ATTRIBUTE_INTEGRATED
_POOL_RESERVED_CURRENT = 5  # CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT


class CudaDevice(NamedTuple):
    """One device of this process.

    Attributes
    ----------
    uuid
        Without a prefix; for a MIG slice the slice's own, not its card's.
    is_integrated
        Whether it has no memory but the host's (GB10, Jetson).
    """

    uuid: str
    is_integrated: bool


def cuda_device(ordinal: int) -> CudaDevice:
    """Ask the driver for the device with this number, ``jax.Device.local_hardware_id``.

    Raises
    ------
    OSError
        When the driver library is missing, lacks a call, or refuses.
    """
    driver = _Driver(ordinal)
    raw = (ctypes.c_ubyte * 16)()
    integrated = ctypes.c_int()
    driver.call("cuDeviceGetUuid_v2", ctypes.byref(raw), driver.device)
    driver.call(
        "cuDeviceGetAttribute", ctypes.byref(integrated), _ATTRIBUTE_INTEGRATED, driver.device
    )
    return CudaDevice(str(uuid.UUID(bytes=bytes(raw))), bool(integrated.value))


def cuda_pool_bytes(ordinal: int) -> int:
    """Bytes that this process's default CUDA memory pool holds on the device, free or in use.

    It is the pool of JAX's ``cuda_async`` allocator, whose ``memory_stats()`` do not tell it.

    Raises
    ------
    OSError
        As `cuda_device`.
    """
    driver = _Driver(ordinal)
    pool = ctypes.c_void_p()
    reserved = ctypes.c_uint64()
    driver.call("cuDeviceGetDefaultMemPool", ctypes.byref(pool), driver.device)
    driver.call("cuMemPoolGetAttribute", pool, _POOL_RESERVED_CURRENT, ctypes.byref(reserved))
    return reserved.value


class _Driver:
    """The driver library, initialised, and the handle of one device."""

    def __init__(self, ordinal: int) -> None:
        self._library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        self._ordinal = ordinal
        self.device = ctypes.c_int()
        self.call("cuInit", 0)
        self.call("cuDeviceGet", ctypes.byref(self.device), ordinal)

    def call(self, name: str, *arguments: object) -> None:
        try:
            code = getattr(self._library, name)(*arguments)
        except AttributeError as error:
            raise OSError(f"the CUDA driver has no {name}") from error
        if code != _CUDA_SUCCESS:
            raise OSError(f"{name} for device {self._ordinal} gave CUDA error {code}")
