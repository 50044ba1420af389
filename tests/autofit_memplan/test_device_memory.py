"""An accelerator's room from plain readings, and the real NVML library."""

import ctypes
import types
import uuid

import psutil
import pynvml
import pytest

from autofit_memplan import _nvml
from autofit_memplan._device_memory import LIBRARY_RESERVE_BYTES, WORKSPACE_BYTES, device_memory
from autofit_memplan._nvml import CardReading, read_card

MIB = 2**20
GIB = 2**30
RESERVE = LIBRARY_RESERVE_BYTES


def totals(stats, card):
    memory = device_memory(stats, card)
    return {account.name: account.total_bytes for account in memory.accounts}


def free(n):
    return CardReading(n, "NVML")


def test_before_the_first_allocation_of_a_busy_card_the_card_binds():
    # An 80 GiB card, 60 of them allowed, of which another process leaves 30.
    stats = {"bytes_limit": 60 * GIB, "bytes_in_use": 0, "pool_bytes": 0}
    assert totals(stats, free(30 * GIB)) == {
        "JAX's allocator": 60 * GIB - WORKSPACE_BYTES,
        "free memory of the card": 30 * GIB - RESERVE,
    }


def test_after_preallocation_the_pool_counts_although_nvml_calls_it_used():
    stats = {"bytes_limit": 60 * GIB, "bytes_in_use": 10 * GIB, "pool_bytes": 60 * GIB}
    assert totals(stats, free(19 * GIB)) == {
        "JAX's allocator": 50 * GIB - WORKSPACE_BYTES,
        "free memory of the card": (60 - 10 + 19) * GIB - RESERVE,
    }


def test_a_pool_that_is_not_stated_holds_nothing_spare():
    stats = {"bytes_limit": 60 * GIB, "bytes_in_use": 10 * GIB}
    memory = device_memory(stats, free(19 * GIB))
    card = memory.accounts[1]
    assert card.total_bytes == 19 * GIB - RESERVE
    assert [line.bytes for line in card.lines if "pool" in line.label] == [None]
    assert any("how large its pool is" in note for note in memory.notes)


def test_nvml_unknown_is_said_and_is_not_zero():
    card = CardReading(None, "NVML: unknown (Insufficient Permissions)")
    memory = device_memory({"bytes_limit": 60 * GIB, "bytes_in_use": 1, "pool_bytes": 0}, card)
    (account,) = memory.accounts
    assert account.total_bytes == 60 * GIB - 1 - WORKSPACE_BYTES
    assert account.lines[-1].bytes is None
    assert any("NVML: unknown (Insufficient Permissions)" in note for note in memory.notes)


@pytest.mark.parametrize("stats", [None, {}, {"bytes_limit": 0}])
def test_an_allocator_without_a_cap_leaves_the_card(stats):
    memory = device_memory(stats, free(19 * GIB))
    assert [account.name for account in memory.accounts] == ["free memory of the card"]
    assert memory.accounts[0].total_bytes == 19 * GIB - RESERVE
    assert memory.notes


def test_nothing_known_gives_no_account():
    assert device_memory(None, CardReading(None, "NVML: unknown (x)")).accounts == []


@pytest.mark.parametrize(
    ("stats", "card_free", "block"),
    [
        # The pool is at its cap: only its own largest gap is left.
        ({"bytes_limit": 60, "pool_bytes": 60, "largest_free_block_bytes": 7}, 19, 7 * GIB),
        # An empty pool can grow by all that the card has.
        ({"bytes_limit": 60, "pool_bytes": 0, "largest_free_block_bytes": 0}, 19, 19 * GIB),
        # ... but not beyond its cap.
        ({"bytes_limit": 60, "pool_bytes": 50, "largest_free_block_bytes": 2}, 19, 10 * GIB),
        ({"bytes_limit": 60, "pool_bytes": 50}, 19, None),
        ({"bytes_limit": 60, "largest_free_block_bytes": 2}, 19, None),
    ],
)
def test_largest_block(stats, card_free, block):
    stats = {key: n * GIB for key, n in stats.items()}
    memory = device_memory(stats, free(card_free * GIB + RESERVE))
    assert memory.largest_block_bytes == block


def test_the_real_library():
    """Called for real: a missing library or driver is an unknown with its reason."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        reading = read_card(0)
        assert reading.free_bytes is None
        assert reading.source == f"NVML: unknown ({error})"
    else:
        pynvml.nvmlShutdown()
        assert read_card(0).free_bytes > 0


def test_a_device_without_a_number_is_unknown():
    assert read_card(None).free_bytes is None


class FakeDriver:
    """libcuda as JAX's process sees it: device 0 may be any card of the machine."""

    def __init__(self, card_uuid: uuid.UUID, code: int = 0) -> None:
        self._uuid, self._code = card_uuid, code

    def cuInit(self, flags):
        return 0

    def cuDeviceGet(self, device, ordinal):
        return 0

    def cuDeviceGetUuid_v2(self, raw, device):
        ctypes.memmove(raw, self._uuid.bytes, 16)
        return self._code


@pytest.fixture
def card(monkeypatch):
    """A fake driver and NVML; what each looked up is recorded."""
    card_uuid = uuid.UUID("12345678-9abc-def0-1234-56789abcdef0")
    state = types.SimpleNamespace(
        uuid=card_uuid,
        kind="GPU",
        info=types.SimpleNamespace(total=80 * GIB, free=30 * GIB),
        v2_error=None,
        asked=[],
        open=0,
    )

    def handle(name):
        state.asked.append(name)
        if name != f"{state.kind}-{card_uuid}":
            raise pynvml.NVMLError_NotFound()
        return name

    def info(handle, version=None):
        if version and state.v2_error:
            raise state.v2_error
        return state.info

    def opened(by):
        state.open += by

    monkeypatch.setattr(pynvml, "nvmlInit", lambda: opened(1))
    monkeypatch.setattr(pynvml, "nvmlShutdown", lambda: opened(-1))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", handle)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", info)
    monkeypatch.setattr(_nvml, "_load_driver", lambda: FakeDriver(card_uuid))
    yield state
    assert state.open == 0, "NVML was left open"


def test_the_card_is_found_by_the_uuid_that_the_driver_gives(card):
    assert read_card(0) == CardReading(30 * GIB, "NVML")
    assert card.asked == [f"GPU-{card.uuid}"]


def test_a_mig_slice_is_asked_for_itself(card):
    card.kind = "MIG"
    assert read_card(0).free_bytes == 30 * GIB
    assert card.asked[-1] == f"MIG-{card.uuid}"


@pytest.mark.parametrize("name", ["FunctionNotFound", "ArgumentVersionMismatch"])
def test_old_drivers_have_only_version_one(card, name):
    card.v2_error = getattr(pynvml, f"NVMLError_{name}")()
    assert read_card(0).free_bytes == 30 * GIB


def test_unified_memory_is_the_host_s(card):
    card.v2_error = pynvml.NVMLError_NotSupported()
    reading = read_card(0)
    assert 0 < reading.free_bytes <= psutil.virtual_memory().total
    assert "shared with the host" in reading.source


def test_refusals_are_unknown_with_their_reason(card):
    card.v2_error = pynvml.NVMLError_NoPermission()
    reading = read_card(0)
    assert reading.free_bytes is None
    assert reading.source.startswith("NVML: unknown (")


def test_figures_marked_as_not_available_are_unknown(card):
    card.info.free = 2**64 - 1
    assert read_card(0).free_bytes is None


def test_a_driver_that_refuses_is_unknown(card, monkeypatch):
    monkeypatch.setattr(_nvml, "_load_driver", lambda: FakeDriver(card.uuid, code=101))
    assert "CUDA error 101" in read_card(0).source


def test_an_old_driver_without_the_call_is_unknown(card, monkeypatch):
    monkeypatch.setattr(_nvml, "_load_driver", lambda: object())
    assert "cuInit" in read_card(0).source
