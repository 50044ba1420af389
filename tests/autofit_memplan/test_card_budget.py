"""Budgets on a card, for each of JAX's allocators and the situations that it may meet.

What `memory_stats()` says is given; the card is a stand-in, read by the real `pynvml`.
"""

import pytest
from standin_machine import (
    GIB,
    H100_LIMIT,
    H100_TOTAL,
    MIB,
    RESERVE,
    SLICED,
    WORKSPACES,
    card,
    needs_standins,
)

pytestmark = needs_standins


def bfc(in_use=0, pool=0, block=0, limit=H100_LIMIT):
    """`memory_stats()` of the default allocator, with the keys that a real H100 gives."""
    return {
        "num_allocs": int(in_use > 0),
        "bytes_in_use": in_use,
        "peak_bytes_in_use": in_use,
        "largest_alloc_size": in_use,
        "bytes_limit": limit,
        "bytes_reserved": 0,
        "peak_bytes_reserved": 0,
        "largest_free_block_bytes": block,
        "pool_bytes": pool,
        "peak_pool_bytes": pool,
    }


HELD = 256 * MIB
# 90 % of the card is another process's; the pool of the default allocator then gets what is left.
LEFT = H100_TOTAL // 10
SMALL_POOL = H100_LIMIT
for _ in range(20):  # 0.9 ** 20 of the limit is left, 0.9 ** 19 is not
    SMALL_POOL = int(0.9 * SMALL_POOL)
assert SMALL_POOL < LEFT < SMALL_POOL / 0.9


@pytest.mark.parametrize(
    ("stats", "free", "expected", "block"),
    [
        # an empty card, before the first allocation, then after it with preallocation on and off
        (bfc(), H100_TOTAL, H100_LIMIT - WORKSPACES, H100_LIMIT),
        (
            bfc(HELD, H100_LIMIT, H100_LIMIT - HELD),
            H100_TOTAL - H100_LIMIT,
            H100_LIMIT - HELD - WORKSPACES,
            H100_LIMIT - HELD,
        ),
        (
            bfc(HELD, HELD),
            H100_TOTAL - HELD,
            H100_LIMIT - HELD - WORKSPACES,
            H100_LIMIT - HELD,
        ),
        # MEM_FRACTION=0.3: the limit tells
        (
            bfc(limit=H100_TOTAL * 3 // 10),
            H100_TOTAL,
            H100_TOTAL * 3 // 10 - WORKSPACES,
            H100_TOTAL * 3 // 10,
        ),
        # a crowded card, before and after the first allocation
        (bfc(), LEFT, SMALL_POOL - WORKSPACES, SMALL_POOL),
        (
            bfc(HELD, SMALL_POOL, SMALL_POOL - HELD),
            LEFT - SMALL_POOL,
            SMALL_POOL - HELD - WORKSPACES,
            SMALL_POOL - HELD,
        ),
    ],
    ids=["before", "preallocated", "growing", "fraction", "crowded-before", "crowded-after"],
)
def test_the_default_allocator(usual, stats, free, expected, block):
    budget = usual.ask(card(free=free), stats=stats)["budget"]
    assert budget["limit_bytes"] == expected
    assert budget["largest_block_bytes"] == block


def test_a_pool_that_grows_gets_what_a_crowded_card_has_left(usual):
    answer = usual.ask(card(free=LEFT), stats=bfc(), XLA_PYTHON_CLIENT_PREALLOCATE="false")
    assert answer["budget"]["limit_bytes"] == LEFT - WORKSPACES - RESERVE
    assert not any("is going to take" in note for note in answer["budget"]["notes"])


def test_what_preallocation_leaves_of_a_crowded_card_is_said(usual):
    def notes(free, stats):
        said = usual.ask(card(free=free), stats=stats)["budget"]["notes"]
        return [note for note in said if "is going to take" in note]

    [note] = notes(LEFT, bfc())
    assert note.startswith("JAX is going to take 7.2 GiB of the 7.9 GiB that are free")
    assert notes(LEFT - SMALL_POOL, bfc(HELD, SMALL_POOL)) == []


def cuda_async(in_use, limit):
    """`memory_stats()` of cuda_async: no pool_bytes, a largest_free_block_bytes that is no figure.

    From XLA's ``gpu_cudamallocasync_allocator.cc``; not taken from a GPU.
    """
    stats = bfc(in_use, limit=limit)
    return {key: n for key, n in stats.items() if not key.endswith("pool_bytes")}


@pytest.mark.parametrize(
    ("limit", "pool", "held"),
    [(H100_LIMIT, H100_LIMIT, HELD), (H100_LIMIT, H100_LIMIT + GIB, H100_LIMIT + GIB), (0, 0, 0)],
    ids=["preallocated", "grown beyond its limit", "not preallocated"],
)
def test_cuda_async_may_go_beyond_its_limit(usual, limit, pool, held):
    answer = usual.ask(
        card(free=H100_TOTAL - pool),
        stats=cuda_async(held, limit),
        XLA_PYTHON_CLIENT_ALLOCATOR="CUDA_ASYNC",
        STANDIN_POOL_BYTES=pool,
    )
    budget = answer["budget"]
    assert budget["limit_bytes"] == H100_TOTAL - held - WORKSPACES - RESERVE
    assert budget["largest_block_bytes"] is None
    assert any("not a cap" in note for note in budget["notes"])


def test_cuda_async_without_nvml_has_what_its_pool_holds(machine):
    answer = machine("no nvml").ask(
        stats=cuda_async(HELD, H100_LIMIT),
        XLA_PYTHON_CLIENT_ALLOCATOR="cuda_async",
        STANDIN_POOL_BYTES=H100_LIMIT,
    )
    assert answer["budget"]["limit_bytes"] == H100_LIMIT - HELD - WORKSPACES


def test_cuda_async_whose_pool_is_not_told_has_nothing_spare(usual):
    answer = usual.ask(
        card(free=20 * GIB),
        stats=cuda_async(HELD, H100_LIMIT),
        XLA_PYTHON_CLIENT_ALLOCATOR="cuda_async",
        STANDIN_CU_POOL=801,
    )
    assert answer["budget"]["limit_bytes"] == 20 * GIB - WORKSPACES - RESERVE
    unknown = [line["source"] for line in answer["budget"]["lines"] if line["bytes"] is None]
    assert unknown == [
        "CUDA memory pool: unknown (cuDeviceGetDefaultMemPool for device 0 gave CUDA error 801)"
    ]


@pytest.mark.parametrize("stats", [None, "GetStats() has no value"])
def test_the_platform_allocator_has_what_the_card_has(usual, stats):
    answer = usual.ask(card(free=30 * GIB), stats=stats, XLA_PYTHON_CLIENT_ALLOCATOR="platform")
    assert answer["budget"]["limit_bytes"] == 30 * GIB - WORKSPACES - RESERVE
    # It keeps no pool, which is known.
    assert all(line["bytes"] is not None for line in answer["budget"]["lines"])


def test_a_platform_allocator_that_has_become_a_pool_has_what_the_card_has(usual):
    """As with jaxlib 0.10.1 and 0.10.2: it grows up to the whole card, and none of it at once."""
    answer = usual.ask(
        card(free=30 * GIB),
        stats=bfc(HELD, 2 * HELD, HELD, limit=H100_TOTAL),
        XLA_PYTHON_CLIENT_ALLOCATOR="platform",
    )
    budget = answer["budget"]
    assert budget["limit_bytes"] == 30 * GIB + HELD - WORKSPACES - RESERVE
    assert budget["largest_block_bytes"] is None
    assert not any("is going to take" in note for note in budget["notes"])


@pytest.mark.parametrize(
    ("env", "free", "expected"),
    [
        ({}, H100_TOTAL, H100_LIMIT - WORKSPACES),
        ({"XLA_CLIENT_MEM_FRACTION": "0.5"}, H100_TOTAL, H100_TOTAL // 2 - WORKSPACES),
        ({"XLA_PYTHON_CLIENT_MEM_FRACTION": ".5"}, H100_TOTAL, H100_TOTAL // 2 - WORKSPACES),
        ({}, LEFT, LEFT - WORKSPACES - RESERVE),
    ],
)
@pytest.mark.parametrize("name", ["vmm", "default"])  # XLA can put vmm in the default's place
def test_vmm_obeys_its_share_of_the_card(usual, name, env, free, expected):
    env = {"XLA_PYTHON_CLIENT_ALLOCATOR": name} | env
    assert usual.ask(card(free=free), stats=None, **env)["budget"]["limit_bytes"] == expected


def test_vmm_in_a_mig_slice_has_its_share_of_the_slice(usual):
    answer = usual.ask(*SLICED, stats=None, XLA_PYTHON_CLIENT_ALLOCATOR="vmm")
    assert answer["budget"]["limit_bytes"] == 10 * GIB * 3 // 4 - WORKSPACES
