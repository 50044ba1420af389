"""Disks that take nothing for a while."""

from __future__ import annotations

import shutil
import subprocess

from benchmarks.faults.process import Outcome, Workshop, finished, workshop

_SEARCH = {"chunk_size": 10, "checkpoint_seconds": 0.005}
_BROKEN = (150, 350)
"""First and last iteration of the fault."""


def disk() -> list[Outcome]:
    """A disk that is full for some time, and a folder in which nothing may be written."""
    with workshop() as shop:
        expected = finished(shop, search=_SEARCH)
        own = may_mount()
        full = {"disk": ("full", *_BROKEN), "mount": "4M"} if own else {"disk": ("limit", *_BROKEN)}
        what = "full disk (tmpfs of 4 MiB)" if own else "no file may grow (RLIMIT_FSIZE)"
        return [
            _broken(shop, expected, what, ("unshare", "--mount") if own else (), full),
            _broken(shop, expected, "read-only folder", (), {"disk": ("read-only", *_BROKEN)}),
        ]


def may_mount() -> bool:
    """Whether this user may mount file systems in a name space of its own."""
    if not shutil.which("unshare"):
        return False
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True).returncode == 0


def _broken(
    shop: Workshop, expected: str, what: str, prefix: tuple[str, ...], disturbance: dict
) -> Outcome:
    """Sampling goes on to the same bits; the fault is reported once, and the end of it."""
    shop.clear()
    with shop.fit(prefix, search=_SEARCH, call_seconds=0.02, **disturbance) as fit:
        status = fit.end()
        edges = [i for i, line in enumerate(fit.told) if "broken" in line]
        failed = sum("saved" in line for line in fit.told[slice(*edges)]) if edges else 0
        log = fit.errors
    warned = log.count("could not write the state of the run to")
    recovered = log.count("the state of the run could be written again")
    good = status == 0 and fit.digest == expected and failed > 1 and warned >= 1 and recovered == 1
    remark = f"{failed} savings failed, {warned} warning, saved again after it"
    if not good:
        remark = f"status {status}, {failed} savings failed: {log[-500:]}"
    detail = {"failed_savings": failed, "warnings": warned, "status": status}
    return Outcome(what=what, tried=1, good=good, remark=remark, detail=detail)
