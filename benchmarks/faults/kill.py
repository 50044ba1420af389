"""Runs that are killed at random moments, and go on."""

from __future__ import annotations

import random
import signal
import time
from typing import Any

from autofit.non_linear.errors import CheckpointError
from autofit.non_linear.search.nest.nss._manifest import read_manifest
from autofit.non_linear.search.nest.nss._rows import checksum
from benchmarks.faults.process import Outcome, Workshop, finished, workshop

_SAVING = {"checkpoint_seconds": 0.005}
_SHORT: dict[str, Any] = {"call_seconds": 0.02, "segment_bytes": 20_000}
"""With calls of 20 ms, about half of the time goes into savings."""

_CUTS: tuple[dict[str, Any], ...] = (
    {"chunk_size": 10},
    {"chunk_size": 4},
    {"chunk_size": 5, "scheduler": "map"},
)
"""A run goes on with any of these, for none of them is part of the chain."""


def kill(kills: int = 50, seed: int = 3) -> list[Outcome]:
    """kill -9 at `kills` moments; one run is killed up to eight times before it may end."""
    rng = random.Random(seed)
    good = inside = early = runs = 0
    with workshop() as shop:
        expected = finished(shop, search=_CUTS[0])
        shop.clear()
        latest, done = _seconds(shop) / 2, 0
        while done < kills:
            shop.clear()
            allowed = min(rng.randint(4, 8), kills - done)
            landed, digest, has_ended = 0, "", False
            while not has_ended:
                moment = None if landed == allowed else rng.uniform(0.0, latest)
                hit, told = _one(shop, rng, moment)
                # One that was killed when its result was complete is only loaded by the next.
                digest, has_ended = told or digest, hit is None
                if hit is not None:
                    landed += 1
                    inside += hit == "saving"
                    early += hit == "starting"
            runs += 1
            done += landed
            good += landed * (digest == expected)
    remark = f"{inside} inside a saving, {early} while starting; {runs} runs"
    detail = {"inside_saving": inside, "while_starting": early, "runs": runs, "digest": expected}
    return [Outcome(what="kill -9", tried=done, good=good, remark=remark, detail=detail)]


def _seconds(shop: Workshop) -> float:
    """How long an undisturbed run samples and saves."""
    with shop.fit(search=_CUTS[0] | _SAVING, **_SHORT) as fit:
        fit.wait_for("from")
        start = time.perf_counter()
        fit.end()
        return time.perf_counter() - start


def _one(shop: Workshop, rng: random.Random, moment: float | None) -> tuple[str | None, str]:
    """One process: where it was killed, ``None`` if it was not, and the digest if it came to it."""
    search = {**rng.choice(_CUTS), **_SAVING}
    # One in eight is killed at any time from its very start, imports and compilation included.
    at_start = moment is not None and rng.random() < 0.125
    with shop.fit(search=search, **_SHORT) as fit:
        if moment is not None:
            begun = not at_start and bool(fit.wait_for("from"))
            time.sleep(moment)
            if fit.signal(signal.SIGKILL):
                fit.end()
                if not begun:
                    return "starting", fit.digest
                return ("saving" if is_torn(shop) else "between savings"), fit.digest
        status = fit.end()
        if status:
            raise RuntimeError(f"the fit ended with {status}: {fit.errors[-2000:]}")
        return None, fit.digest


def is_torn(shop: Workshop) -> bool:
    """Whether a saving was under way: a temporary file is left, or files of two savings are."""
    folder = shop.checkpoint
    if any(folder.glob(".*.tmp")):
        # gone before the next kill, so that it is not counted twice
        for path in folder.glob(".*.tmp"):
            path.unlink()
        return True
    for path in folder.glob("manifest-*.json"):
        try:
            manifest = read_manifest(path)
        except CheckpointError:
            return True
        for stored in (manifest.state, manifest.tail):
            if checksum((folder / stored.name).read_bytes()) != stored.checksum:
                return True
    return False
