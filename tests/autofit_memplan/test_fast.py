"""Where the search for a chunk begins: a remembered size, or what a CPU's cache holds."""

import pytest

from autofit.non_linear.search.nest.nss._tuning import ladder
from autofit_memplan import fast
from autofit_memplan.fast import (
    Preference,
    calls_in_cache,
    choice_key,
    preference,
    remember,
    remembered,
)
from autofit_memplan.records import Footprint
from autofit_memplan.remembered import Fastest

MIB = 2**20
KEY = choice_key("a" * 64, "step", 200, 50)


def call_of(total_bytes: int) -> Footprint:
    return Footprint(
        argument_bytes=0,
        output_bytes=0,
        alias_bytes=0,
        temp_bytes=total_bytes,
        constant_bytes=0,
        scratch_bytes=0,
        compile_seconds=0.0,
    )


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    monkeypatch.setattr(fast, "usable_cores", lambda: 4)


@pytest.mark.parametrize(
    ("total_bytes", "calls"), [(MIB, 8), (MIB + 1, 7), (3 * MIB, 2), (8 * MIB, 1), (2**34, 1)]
)
def test_a_cpu_takes_as_many_calls_as_its_caches_of_two_mebibytes_hold(total_bytes, calls):
    assert calls_in_cache(call_of(total_bytes), "cpu") == calls
    assert preference(None, call_of(total_bytes), "cpu") == Preference(calls, "CPU cache")


def test_a_gpu_takes_what_fits():
    assert calls_in_cache(call_of(MIB), "gpu") is None
    assert preference(KEY, call_of(MIB), "gpu") is None


@pytest.mark.parametrize(
    ("n", "held", "size"), [(16, 3, 4), (16, 8, 8), (50, 3, 4), (50, 8, 7), (7, 100, 7), (5, 1, 1)]
)
def test_it_begins_at_the_nearest_halving(n, held, size):
    assert Preference(held, "CPU cache").balanced(n).chunk_size == size


@pytest.mark.parametrize("n", [1, 2, 16, 37, 50, 97, 1000])
def test_every_beginning_is_a_rung_of_the_search(n):
    rungs = set(ladder(n, n, n))
    begins = {Preference(held, "CPU cache").balanced(n).chunk_size for held in range(1, n + 2)}
    assert begins <= rungs
    assert {1, n} <= begins


def test_what_was_fastest_is_not_rounded():
    assert Preference(5, "earlier run").balanced(16) == Preference(5, "earlier run")


def test_a_call_without_bytes():
    assert calls_in_cache(call_of(0), "cpu") == 8 * MIB


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_what_was_fastest_before_comes_first(platform):
    remember(KEY, Fastest(chunk_size=13))
    assert preference(KEY, call_of(MIB), platform) == Preference(13, "earlier run")
    remember(KEY, Fastest(chunk_size=7))
    assert preference(KEY, call_of(MIB), platform) == Preference(7, "earlier run")


def test_what_memory_did_not_allow_is_left_for_a_run_with_more():
    remember(KEY, Fastest(chunk_size=8, ceiling=16))
    assert preference(KEY, call_of(MIB), "gpu") == Preference(8, "unfinished search")
    known = remembered(KEY)
    assert known.still_open([1, 4, 8, 16, 32], start=8) == [8, 16, 32]
    assert known.still_open([1, 4, 5], start=5) == [1, 4, 5], "8 does not fit any more"


def test_nobody_goes_where_a_process_was_killed():
    remember(KEY, Fastest(chunk_size=8, is_settled=False, ceiling=16, is_deadly=True))
    assert preference(KEY, call_of(MIB), "gpu") == Preference(8, "unfinished search")
    known = remembered(KEY)
    assert known.still_open([1, 4, 8, 16, 32], start=8) == [1, 4, 8]
    assert known.still_open([1, 5, 16, 32], start=5) == [1, 5]
    remember(KEY, known.model_copy(update={"is_settled": True}))
    assert preference(KEY, call_of(MIB), "gpu") == Preference(8, "earlier run")


def test_it_is_that_program_s_alone():
    remember(KEY, Fastest(chunk_size=13))
    keys = {
        KEY,
        choice_key("b" * 64, "step", 200, 50),
        choice_key("a" * 64, "init", 200, 50),
        choice_key("a" * 64, "step", 201, 50),
        choice_key("a" * 64, "step", 20, 150),
    }
    assert len(keys) == 5
    assert [preference(key, call_of(MIB), "gpu") for key in keys - {KEY}] == [None] * 4


def test_without_a_plan_cache_nothing_is_kept(plan_cache):
    assert choice_key(None, "step", 200) is None
    remember(None, Fastest(chunk_size=13))
    assert not list(plan_cache.iterdir())
    assert preference(None, call_of(MIB), "gpu") is None


@pytest.mark.parametrize("chunk_size", ["0", "-3", '"many"', "1e400", "null", "[7]"])
def test_an_entry_that_makes_no_sense_is_no_preference(plan_cache, chunk_size):
    remember(KEY, Fastest(chunk_size=13))
    (path,) = plan_cache.iterdir()
    text = path.read_text()
    assert text.count(":13,") == 1
    path.write_text(text.replace(":13,", f":{chunk_size},"))
    assert preference(KEY, call_of(MIB), "gpu") is None


def test_another_program_s_entry_under_this_name_is_no_preference(plan_cache):
    remember(KEY, Fastest(chunk_size=13))
    (path,) = plan_cache.iterdir()
    other = choice_key("b" * 64, "step", 200, 50)
    path.rename(path.with_name(f"{other}.json"))
    assert preference(other, call_of(MIB), "gpu") is None
