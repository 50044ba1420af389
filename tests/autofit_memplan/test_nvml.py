"""The real `pynvml` and ctypes against C libraries that stand in for NVIDIA's: what is read."""

import psutil
import pytest
from standin_machine import (
    FAST,
    GIB,
    GPUS,
    H100_LIMIT,
    H100_RESERVED,
    H100_TOTAL,
    INTEGRATED,
    RESERVE,
    SLICE,
    SLICED,
    WORKSPACES,
    card,
    needs_standins,
)

from autofit_memplan._nvml import read_card

pytestmark = needs_standins


def test_the_figures_come_through_version_2(usual):
    answer = usual.ask(card(free=30 * GIB))
    assert answer["card"] == {"free_bytes": 30 * GIB, "source": "NVML", "total_bytes": H100_TOTAL}
    # read_card and read_budget ask once each
    assert answer["log"] == 2 * [
        ("init", "done"),
        ("look-up", GPUS[0]),
        ("memory", "2"),
        ("shutdown", "done"),
    ]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (4, "Insufficient Permissions"),
        (9, "Driver Not Loaded"),
        (12, "NVML Shared Library Not Found"),
        (13, "Function Not Found"),
        (18, "RM has detected an NVML/RM version mismatch."),
        (999, "Unknown Error"),
        (28, "stand-in text of error 28"),  # one that pynvml has no text for
    ],
)
@pytest.mark.parametrize("call", ["INIT", "HANDLE", "MEMORY"])
def test_every_refusal_is_an_unknown_with_nvml_s_reason(usual, call, code, text):
    codes = {f"STANDIN_{call}": code} | ({"STANDIN_MEMORY_V2": code} if call == "MEMORY" else {})
    stats = {"bytes_limit": H100_LIMIT, "bytes_in_use": 0, "pool_bytes": 0}
    answer = usual.ask(stats=stats, **codes)
    source = f"NVML: unknown ({text})"
    assert answer["card"] == {"free_bytes": None, "source": source, "total_bytes": None}
    budget = answer["budget"]
    assert budget["limit_bytes"] == H100_LIMIT - WORKSPACES
    assert {"label": "free on the card", "bytes": None, "source": source} in budget["lines"]
    assert any(source in note for note in budget["notes"])


@pytest.mark.parametrize("code", [2, 3, 13, 25])
def test_version_1_is_asked_where_version_2_is_refused(usual, code):
    reading = usual.card(card(free=30 * GIB), STANDIN_MEMORY_V2=code)
    # version 1 does not tell what the driver reserves
    total = H100_TOTAL + H100_RESERVED
    assert reading == {"free_bytes": 30 * GIB, "source": "NVML", "total_bytes": total}


def test_version_1_is_asked_where_version_2_is_not_there(machine):
    answer = machine("nvml without version 2").ask(card(free=30 * GIB))
    assert answer["card"]["free_bytes"] == 30 * GIB
    assert ("memory", "1") in answer["log"]


def test_a_shutdown_that_fails_does_not_lose_the_figure(usual):
    assert usual.card(card(free=30 * GIB), STANDIN_SHUTDOWN=999)["free_bytes"] == 30 * GIB


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no nvml", "NVML Shared Library Not Found"),
        ("no cuda", "libcuda.so.1: file too short"),
        ("cuda without uuids", "the CUDA driver has no cuDeviceGetUuid_v2"),
    ],
)
def test_a_missing_library_or_call_is_unknown(machine, name, reason):
    answer = machine(name).ask(stats=None)
    assert answer["card"]["free_bytes"] is None
    assert reason in answer["card"]["source"]
    # Nothing is known at all, so that is the error, and it says why.
    assert "nothing is known of this device's memory" in answer["error"]
    assert reason in answer["error"]


@pytest.mark.parametrize(
    ("env", "ordinal", "reason"),
    [
        ({"STANDIN_CU_INIT": 999}, 0, "cuInit for device 0 gave CUDA error 999"),
        ({"CUDA_VISIBLE_DEVICES": ""}, 0, "cuInit for device 0 gave CUDA error 100"),
        ({}, 5, "cuDeviceGet for device 5 gave CUDA error 101"),
        ({}, None, "no local_hardware_id"),
    ],
)
def test_a_cuda_driver_that_refuses_is_unknown(usual, env, ordinal, reason):
    assert reason in usual.card(ordinal=ordinal, **env)["source"]


@pytest.mark.parametrize(
    "figures",
    [
        {"free": 2**64 - 1},  # how NVML writes "not available"
        {"free": H100_TOTAL + 1},
        {"total": 0, "reserved": 0, "free": 0},
        {"total": -H100_RESERVED, "free": 0},  # all of it reserved twice over
    ],
)
def test_impossible_figures_are_unknown(usual, figures):
    reading = usual.card(card(**figures))
    assert reading["free_bytes"] is None
    assert reading["source"].startswith("NVML: unknown (impossible figures")


def test_a_full_card_is_a_figure(usual):
    assert usual.card(card(free=0))["free_bytes"] == 0


THREE = [
    card(GPUS[0], free=1 * GIB),
    card(GPUS[1], free=2 * GIB),
    card(GPUS[2], free=3 * GIB, attributes=FAST),
]


@pytest.mark.parametrize(
    ("env", "free"),
    [
        ({}, [3, 1, 2]),  # the fast one first
        ({"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, [1, 2, 3]),
        ({"CUDA_VISIBLE_DEVICES": "2,0"}, [2, 3]),
        ({"CUDA_VISIBLE_DEVICES": "2,0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, [3, 1]),
        ({"CUDA_VISIBLE_DEVICES": f"{GPUS[1]},GPU-8a5"}, [2, 1]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-c0,GPU-8a,0"}, [3]),  # GPU-8a could be either
        ({"CUDA_VISIBLE_DEVICES": "1,-1,0"}, [1]),
    ],
)
def test_each_device_is_matched_to_its_own_card(usual, env, free):
    readings = [usual.card(*THREE, ordinal=i, **env)["free_bytes"] for i in range(3)]
    assert readings == [n * GIB for n in free] + [None] * (3 - len(free))


@pytest.mark.parametrize(
    ("visible", "total", "free"),
    [
        (None, 10 * GIB, 9 * GIB),  # CUDA takes a sliced card for its first slice
        ("0", 10 * GIB, 9 * GIB),
        (SLICE, 10 * GIB, 9 * GIB),
        ("MIG-5117cf", 20 * GIB, 5 * GIB),
        ("1", H100_TOTAL, 70 * GIB),
    ],
)
def test_a_mig_slice_is_read_and_not_its_card(usual, visible, total, free):
    env = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    reading = usual.card(*SLICED, **env)
    assert (reading["total_bytes"], reading["free_bytes"]) == (total, free)


def test_memory_shared_with_the_host_is_the_host_s(usual):
    answer = usual.ask(
        card(attributes=INTEGRATED, free=8 * GIB),
        stats={"bytes_limit": 2**50, "bytes_in_use": 0, "pool_bytes": 0},
        XLA_PYTHON_CLIENT_PREALLOCATE="false",
        STANDIN_MEMORY=3,
        STANDIN_MEMORY_V2=3,
    )
    memory = psutil.virtual_memory()
    assert answer["card"]["total_bytes"] == memory.total
    assert answer["card"]["free_bytes"] == pytest.approx(memory.available, rel=0.2)
    assert "shares the host's memory" in answer["card"]["source"]
    card_free = answer["budget"]["lines"][0]["bytes"]
    assert answer["budget"]["limit_bytes"] == card_free - WORKSPACES - RESERVE


def test_a_card_of_its_own_without_figures_is_not_given_the_host_s(usual):
    reading = usual.card(STANDIN_MEMORY=3, STANDIN_MEMORY_V2=3)
    assert reading["source"] == "NVML: unknown (Not Supported)"


def test_the_libraries_of_this_machine():
    reading = read_card(0)
    if reading.free_bytes is None:
        assert reading.source.startswith("NVML: unknown (")
    else:
        assert 0 < reading.free_bytes <= reading.total_bytes
