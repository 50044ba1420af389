"""An accelerator's room, from plain readings of its allocator and its card."""

import pytest

from autofit_memplan._allocator import AllocatorReading, Figure
from autofit_memplan._device_memory import LIBRARY_RESERVE_BYTES, WORKSPACE_BYTES, device_memory
from autofit_memplan._nvml import CardReading, unknown

GIB = 2**30
RESERVE = LIBRARY_RESERVE_BYTES


def allocator(limit=None, in_use=None, pool=None, block=None):
    """A reading of what is given, and nothing stated for the rest."""
    return AllocatorReading(*(Figure(n, "test") for n in (limit, in_use, pool)), block)


def totals(reading, card):
    memory = device_memory(reading, card)
    return {account.name: account.total_bytes for account in memory.accounts}


def free(n):
    return CardReading(n, "NVML")


def test_before_the_first_allocation_of_a_busy_card_the_card_binds():
    # An 80 GiB card, 60 of them allowed, of which another process leaves 30.
    assert totals(allocator(60 * GIB, 0, 0), free(30 * GIB)) == {
        "JAX's allocator": 60 * GIB - WORKSPACE_BYTES,
        "free memory of the card": 30 * GIB - WORKSPACE_BYTES - RESERVE,
    }


def test_after_preallocation_the_pool_counts_although_nvml_calls_it_used():
    assert totals(allocator(60 * GIB, 10 * GIB, 60 * GIB), free(19 * GIB)) == {
        "JAX's allocator": 50 * GIB - WORKSPACE_BYTES,
        "free memory of the card": (60 - 10 + 19) * GIB - WORKSPACE_BYTES - RESERVE,
    }


@pytest.mark.parametrize(("in_use", "pool"), [(10 * GIB, None), (None, 30 * GIB)])
def test_a_pool_that_is_not_known_holds_nothing_spare(in_use, pool):
    memory = device_memory(allocator(60 * GIB, in_use, pool), free(19 * GIB))
    card = memory.accounts[1]
    assert card.total_bytes == 19 * GIB - WORKSPACE_BYTES - RESERVE
    assert [line.bytes for line in card.lines if "pool" in line.label] == [None]
    assert any("how large its pool is" in note for note in memory.notes) == (pool is None)


@pytest.mark.parametrize(
    ("free_bytes", "pool", "at_once", "said"),
    [
        (62 * GIB, 0, True, ""),
        (61 * GIB - 1, 0, True, "JAX is going to take 60.0 GiB of the 61.0 GiB that are free on"),
        (61 * GIB - 1, 0, False, ""),
        (GIB, 60 * GIB, True, ""),
        (GIB // 4, 60 * GIB, True, "Outside JAX's pool 256.0 MiB are free on the card."),
    ],
)
def test_too_little_beside_the_pool_is_said(free_bytes, pool, at_once, said):
    reading = allocator(60 * GIB, 0, pool)._replace(is_taken_at_once=at_once)
    notes = device_memory(reading, free(free_bytes)).notes
    assert [note.startswith(said) for note in notes] == [True] * bool(said)


def test_nvml_unknown_is_said_and_is_not_zero():
    memory = device_memory(allocator(60 * GIB, 1, 0), unknown("Insufficient Permissions"))
    (account,) = memory.accounts
    assert account.total_bytes == 60 * GIB - 1 - WORKSPACE_BYTES
    assert account.lines[-1].bytes is None
    assert any("NVML: unknown (Insufficient Permissions)" in note for note in memory.notes)


def test_what_is_in_use_may_be_unknown_and_is_said():
    account = device_memory(allocator(60 * GIB), unknown("x")).accounts[0]
    assert [line.bytes for line in account.lines if line.label == "in use"] == [None]


def test_an_allocator_without_a_cap_leaves_the_card():
    memory = device_memory(allocator(), free(19 * GIB))
    assert [account.name for account in memory.accounts] == ["free memory of the card"]
    assert memory.accounts[0].total_bytes == 19 * GIB - WORKSPACE_BYTES - RESERVE
    assert any("states no limit" in note for note in memory.notes)


def test_nothing_known_gives_no_account():
    assert device_memory(allocator(), unknown("x")).accounts == []


@pytest.mark.parametrize(
    ("limit", "pool", "gap", "card_free", "block"),
    [
        (60, 60, 7, 19, 7),  # the pool is at its cap: only its own largest gap is left
        (60, 0, 0, 19, 19),  # an empty pool can grow by all that the card has
        (60, 50, 2, 19, 10),  # ... but not beyond its cap
        (60, 50, None, 19, None),
        (60, None, 2, 19, None),
        (None, 50, 2, 19, None),
    ],
)
def test_largest_block(limit, pool, gap, card_free, block):
    limit, pool, gap, block = (None if n is None else n * GIB for n in (limit, pool, gap, block))
    memory = device_memory(allocator(limit, 0, pool, gap), free(card_free * GIB + RESERVE))
    assert memory.largest_block_bytes == block
