"""Where to start below the memory's ceiling: what was fastest before, or what fits a CPU's cache.

The largest batch that fits is not always the fastest. A GPU needs many calls at once to be full. A
CPU core computes one at a time and is slowed down by every array that leaves its cache.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from autofit_memplan.cache import load, store
from autofit_memplan.processor import usable_cores
from autofit_memplan.records import ChosenBy, Footprint
from autofit_memplan.remembered import Fastest
from autofit_memplan.solver import balance

_CACHE_BYTES_PER_CORE = 2 * 2**20  # second-level cache of a server's core


class Preference(NamedTuple):
    """A chunk size that is likely faster than the largest that fits, and why."""

    chunk_size: int
    chosen_by: ChosenBy

    def balanced(self, n: int) -> Preference:
        """For a program of `n` calls; what earlier runs have found stays as it is.

        The nearest of `n`, a half, a quarter…: what a search that halves and doubles comes by.
        """
        if self.chosen_by in ("earlier run", "unfinished search"):
            return self
        size = n
        while size**2 > 2 * self.chunk_size**2:
            size = balance(n, -(-size // 2))
        return Preference(size, "memory" if size == n else self.chosen_by)


def preference(key: str | None, call: Footprint, platform: str) -> Preference | None:
    """Where to start; ``None`` for the largest chunk that fits.

    Parameters
    ----------
    key
        Of `choice_key`.
    call
        Footprint of one call.
    platform
        ``"cpu"``, or another.
    """
    if known := remembered(key):
        chosen_by = "earlier run" if known.is_final else "unfinished search"
        return Preference(known.chunk_size, chosen_by)
    in_cache = calls_in_cache(call, platform)
    return Preference(in_cache, "CPU cache") if in_cache else None


def calls_in_cache(call: Footprint, platform: str) -> int | None:
    """How many calls at once a CPU's cache holds, at least 1; ``None`` where that is no limit.

    Parameters
    ----------
    call
        Of one call.
    platform
        ``"cpu"``, or another.
    """
    if platform != "cpu":
        return None
    own = call.temp_bytes + call.scratch_bytes  # constants are shared by all calls
    return max(1, usable_cores() * _CACHE_BYTES_PER_CORE // max(own, 1))


def choice_key(call_key: str | None, *sizes: object) -> str | None:
    """The plan cache's key for the fastest chunk of a program made of that call."""
    if call_key is None:
        return None
    return hashlib.sha256("\n".join(map(str, ("fastest", call_key, *sizes))).encode()).hexdigest()


def remember(key: str | None, fastest: Fastest) -> None:
    """Keep it for the next run."""
    if key:
        store(key, fastest)


def remembered(key: str | None) -> Fastest | None:
    """What the last run has kept."""
    return load(key, Fastest) if key else None
