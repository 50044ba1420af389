"""A fit in a memory cgroup, where the kernel kills whatever goes above the limit.

`python -m benchmarks.faults.limit CHUNK_SIZE` is the fit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import autofit as af
from autofit.non_linear.search.nest.nss._signals import Signals
from autofit_memplan._host_memory import _V1, _cgroup_directories
from benchmarks.faults.process import Outcome
from benchmarks.likelihoods import N_DIM, dense_mapping
from benchmarks.samplers.problems import Problem
from benchmarks.samplers.runs import prepared

MIB = 2**20


def limit(limit_bytes: int = 3 * 2**30) -> list[Outcome]:
    """A likelihood that holds 184 MB, as many calls at once as the plan has for the cgroup.

    Planned, the peak that the kernel has seen, and the limit are told; none may be killed.
    """
    return [_fitted(chunk_size, limit_bytes) for chunk_size in ("memory", "auto")]


def _fitted(chunk_size: str, limit_bytes: int) -> Outcome:
    what = f'a cgroup of {limit_bytes // MIB} MiB, chunk_size="{chunk_size}"'
    group = _child()
    if group is None:
        return Outcome(what=what, tried=0, good=0, remark="no cgroup (v1) can be made here")
    try:
        (group / "memory.limit_in_bytes").write_text(str(limit_bytes))
        join = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs")]
        fit = [sys.executable, "-m", "benchmarks.faults.limit", chunk_size]
        done = subprocess.run([*join, *fit], capture_output=True, text=True, timeout=900)
        peak = int((group / "memory.max_usage_in_bytes").read_text())
    finally:
        group.rmdir()
    told = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}
    detail = {**told, "peak_bytes": peak, "limit_bytes": limit_bytes, "status": done.returncode}
    remark = f"at most {peak / MIB:,.0f} MiB, {told.get('calls')} calls at once in init and step"
    return Outcome(what=what, tried=1, good=done.returncode == 0, remark=remark, detail=detail)


def _child() -> Path | None:
    """A new cgroup below this process's own, where that is allowed."""
    for directory, controller in _cgroup_directories(Path("/proc")):
        if controller is _V1 and (directory / "memory.max_usage_in_bytes").exists():
            child = directory / f"autofit-faults-{os.getpid()}"
            try:
                child.mkdir()
            except OSError:
                return None
            return child
    return None


def _fit(chunk_size: str) -> None:
    warnings.simplefilter("ignore", UserWarning)
    problem = Problem("dense mapping", dense_mapping(), N_DIM, None)
    search = af.NSS(
        n_live=40,
        num_mcmc_steps=5,
        num_delete=16,
        chunk_size=chunk_size,
        max_iterations=1,
        silence=True,
    )
    plan, sampling = prepared(problem, search)
    run = sampling.start()
    with Signals() as signals:
        sampling.go_on(run, lambda *_: None, lambda _: None, signals)
    told = {
        "budget_bytes": plan.budget.limit_bytes,
        "predicted_bytes": [plan.init.predicted_bytes, plan.step.predicted_bytes],
        "calls": [plan.init.chunk_size, plan.step.chunk_size],
        "lowered": sampling.lowered,
        "log_evidence": run.log_evidence,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    _fit(sys.argv[1])
