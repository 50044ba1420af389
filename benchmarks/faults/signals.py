"""What a batch system does to a fit: signals, a second start in the same folder, clock jumps."""

from __future__ import annotations

import signal
import time

from benchmarks.faults.process import Outcome, Workshop, finished, workshop

_NEVER = {"chunk_size": 10, "checkpoint_seconds": 1e6}
"""Nothing is saved but for a signal."""

_SLOWLY = {"call_seconds": 0.05, "every": 50}
"""Short device calls, and a report every 50 iterations; the first one is waited for."""


def signals() -> list[Outcome]:
    """SIGTERM, SIGUSR1, and two runs in one folder."""
    with workshop() as shop:
        expected = finished(shop, search=_NEVER)
        return [
            _sigterm(shop, expected),
            _sigusr1(shop, expected),
            _two_runs(shop, expected),
        ]


def _sigterm(shop: Workshop, expected: str) -> Outcome:
    """The process ends with 143 and its state saved; the same script goes on to the same bits."""
    shop.clear()
    with shop.fit(search=_NEVER, **_SLOWLY) as fit:
        fit.wait_for("at")
        fit.signal(signal.SIGTERM)
        sent = time.perf_counter()
        status, seconds = fit.end(), time.perf_counter() - sent
        saved = max((line["saved"] for line in fit.told if "saved" in line), default=0)
    with shop.fit(search=_NEVER) as again:
        again.end()
        came_back = again.told[0].get("from")
        good = status == 143 and came_back == saved > 0 and again.digest == expected
    return Outcome(
        what="SIGTERM",
        tried=1,
        good=good,
        remark=f"status {status}, {saved} iterations saved, done in {seconds:.1f} s",
        detail={"status": status, "iterations_saved": saved, "seconds": seconds},
    )


def _sigusr1(shop: Workshop, expected: str) -> Outcome:
    """The state is saved and the run goes on; what was saved is there when it is killed."""
    shop.clear()
    with shop.fit(search=_NEVER, **_SLOWLY) as fit:
        fit.wait_for("at")
        fit.signal(signal.SIGUSR1)
        saved = fit.wait_for("saved").get("saved", 0)
        time.sleep(0.1)
        went_on = fit.signal(signal.SIGKILL)
        fit.end()
    with shop.fit(search=_NEVER) as again:
        again.end()
        good = went_on and again.told[0].get("from") == saved > 0 and again.digest == expected
    return Outcome(
        what="SIGUSR1, then kill -9",
        tried=1,
        good=good,
        remark=f"gone on from iteration {saved}",
        detail={"iterations_saved": saved},
    )


def _two_runs(shop: Workshop, expected: str) -> Outcome:
    """The second is refused while the first lives, even stopped; the first is not touched."""
    shop.clear()
    with shop.fit(search=_NEVER, **_SLOWLY) as first:
        first.wait_for("at")
        first.signal(signal.SIGSTOP)
        with shop.fit(search=_NEVER) as second:
            refused = second.end() != 0 and "FolderInUseError" in second.errors
            names_owner = f"process {first.pid} on " in second.errors
        first.signal(signal.SIGCONT)
        first.end()
        good = refused and names_owner and first.digest == expected
    return Outcome(what="two runs in one folder", tried=1, good=good, remark="the second refused")


def clock() -> list[Outcome]:
    """`time.time` jumps by up to nine days at each call, in either direction."""
    search = {"chunk_size": 10, "checkpoint_seconds": 0.2}
    with workshop() as shop:
        expected = finished(shop, search=search)
        shop.clear()
        with shop.fit(search=search, call_seconds=0.05, clock_jumps=True) as fit:
            fit.end()
            saved = sum("saved" in line for line in fit.told)
            good = fit.digest == expected and saved > 2
    return [
        Outcome(
            what="clock jumps by days, both ways",
            tried=1,
            good=good,
            remark=f"{saved} savings at 0.2 s",
            detail={"savings": saved},
        )
    ]
