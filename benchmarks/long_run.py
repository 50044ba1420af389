"""One long fit by `af.NSS` in a process of its own, whose resident memory is read from outside.

The likelihood is a Gaussian, the fit is a named one with its checkpoints on disk, and it is kept
from converging: live points shrink towards the peak until `max_iterations`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from unittest.mock import patch

import jax
import numpy as np
import psutil
from pydantic import BaseModel, ConfigDict

import autofit as af
from autofit.non_linear.paths import OUTPUT_VARIABLE
from autofit.non_linear.search.nest.nss import search as search_module
from autofit.non_linear.search.nest.nss._run import Run
from benchmarks.samplers.problems import correlated
from benchmarks.samplers.runs import OnCube, cube

N_DIM, N_LIVE, NUM_DELETE, REPORTS = 5, 2_000, 10, 200
CHECKPOINT_SECONDS = 2.0


class Moment(BaseModel):
    """Where a run was at one moment.

    Attributes
    ----------
    iterations
        Done so far.
    seconds
        Since the first moment, on the clock: sampling, checkpoints, everything.
    dead_bytes
        Of the dead points so far, in memory or on disk already.
    resident_bytes
        Of the whole process, read from outside.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    iterations: int
    seconds: float
    dead_bytes: int
    resident_bytes: int


class LongRun(BaseModel):
    """Moments along one fit, and the figures that should be flat.

    Attributes
    ----------
    peak_bytes
        Most resident memory of the process until its end, where the evidence is computed from all
        points at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_dim: int
    n_live: int
    num_delete: int
    moments: tuple[Moment, ...]
    peak_bytes: int

    @property
    def slowdown(self) -> float:
        """Seconds per iteration in the last quarter over those in the second."""
        second, last = self._quarter(1), self._quarter(3)
        return _pace(last) / _pace(second)

    @property
    def growth(self) -> float:
        """Bytes of resident memory per iteration, in the last three quarters."""
        return self._slope("resident_bytes")

    @property
    def dead_growth(self) -> float:
        """Bytes of dead points per iteration."""
        return self._slope("dead_bytes")

    def _slope(self, field: str) -> float:
        later = self.moments[len(self.moments) // 4 :]
        x = [moment.iterations for moment in later]
        return float(np.polyfit(x, [getattr(moment, field) for moment in later], 1)[0])

    def _quarter(self, which: int) -> tuple[Moment, ...]:
        edges = np.linspace(0, len(self.moments) - 1, 5).astype(int)
        return self.moments[edges[which] : edges[which + 1] + 1]


def _pace(moments: tuple[Moment, ...]) -> float:
    first, last = moments[0], moments[-1]
    return (last.seconds - first.seconds) / (last.iterations - first.iterations)


class Reporter:
    """In the place of the progress line: now and then a line of JSON with where the run is."""

    def __init__(self, every: int) -> None:
        self.every, self.next = every, 0

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *exception) -> None:
        pass

    def __call__(self, run: Run, note: str = "") -> None:
        if run.iterations >= self.next:
            self.next = run.iterations + self.every
            live_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(run.state.particles))
            dead_bytes = live_bytes // N_LIVE * run.n_dead
            where = {"iterations": run.iterations, "dead_bytes": dead_bytes}
            print(json.dumps({**where, "seconds": time.perf_counter()}), flush=True)


def sample(max_iterations: int) -> None:
    """In the child: the fit."""
    problem = correlated(N_DIM)
    search = af.NSS(
        "long_run",
        n_live=N_LIVE,
        num_mcmc_steps=2 * N_DIM,
        num_delete=NUM_DELETE,
        chunk_size="auto",
        termination=-1e6,
        max_iterations=max_iterations,
        checkpoint_seconds=CHECKPOINT_SECONDS,
        scheduler="lanes",
        silence=True,
    )
    reporter = Reporter(max(1, max_iterations // REPORTS))
    with patch.object(search_module, "progress_for", lambda *_: reporter):
        search.fit(cube(N_DIM), OnCube(problem))
    print(json.dumps({"peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))


def watch(max_iterations: int, timeout: float) -> LongRun:
    """Make the fit in a fresh process and read its memory at each of its reports.

    Raises
    ------
    RuntimeError
        If it fails, or is not done in time.
    """
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {OUTPUT_VARIABLE: folder, "AUTOFIT_MEMPLAN_CACHE": folder}
        command = [sys.executable, "-m", "benchmarks.long_run", str(max_iterations)]
        with (
            open(os.path.join(folder, "errors"), "w+") as errors,
            subprocess.Popen(
                command, env=env, stdout=subprocess.PIPE, stderr=errors, text=True
            ) as child,
        ):
            clock = threading.Timer(timeout, child.kill)
            clock.start()
            process, reports = psutil.Process(child.pid), []
            for line in child.stdout or ():
                reports.append(json.loads(line) | {"resident_bytes": process.memory_info().rss})
            code = child.wait()
            clock.cancel()
            errors.seek(0)
            if code:
                raise RuntimeError(
                    f"the long run ended with {code} after {len(reports)} reports (limit "
                    f"{timeout:.0f} s): {errors.read()[-500:]}"
                )
    *moments, end = reports
    start = moments[0]["seconds"]
    return LongRun(
        n_dim=N_DIM,
        n_live=N_LIVE,
        num_delete=NUM_DELETE,
        moments=tuple(Moment(**m | {"seconds": m["seconds"] - start}) for m in moments),
        peak_bytes=end["peak_bytes"],
    )


if __name__ == "__main__":
    sample(int(sys.argv[1]))
