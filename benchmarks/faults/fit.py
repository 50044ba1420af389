"""`python -m benchmarks.faults.fit JSON`: a fit to be disturbed, which says where it is.

What it prints, a line of JSON each: ``{"from": iterations}`` when sampling begins, ``{"saved":
iterations, "seconds": …}`` after each saving (``seconds`` is what it took), ``{"at": iterations,
"seconds": …}`` now and then, and ``{"digest": …}`` of all bits of the run at its end.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import resource
import signal
import subprocess
import sys
import time
import warnings
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jax
import numpy as np
import psutil

import autofit as af
from autofit.non_linear.result import Result
from autofit.non_linear.search.nest.nss import _loop, _segments
from autofit.non_linear.search.nest.nss import search as search_module
from autofit.non_linear.search.nest.nss._output import RunOutput
from autofit.non_linear.search.nest.nss._run import Run
from autofit.non_linear.search.nest.nss.samples import all_points

N_DIM = 5
OPTIONS = {"n_live": 400, "num_delete": 10, "num_mcmc_steps": 10, "termination": -3.0}
"""Some 550 iterations until convergence."""


class Laplace(af.Analysis):
    """A peak of absolute distances, whose bits depend on no batch and no scheduler.

    Products are with powers of two and thus exact: whether the compiler fuses them with the sum
    that follows, which it decides program by program, changes no bit.

    Parameters
    ----------
    matrix_rows
        Of a matrix with 1,024 columns that every call fills, to use memory; 0 is none.
    """

    def __init__(self, matrix_rows: int = 0) -> None:
        super().__init__()
        self.matrix_rows = matrix_rows

    def log_likelihood_function(self, instance):
        distances = [abs(getattr(instance, f"x{i}") - 0.1 * i) for i in range(N_DIM)]
        value = -32.0 * sum(distances)
        if self.matrix_rows:
            rows = jax.numpy.arange(float(self.matrix_rows))[:, None]
            matrix = jax.numpy.cos(value + rows + jax.numpy.arange(1024.0))
            value = value + 0.0 * jax.numpy.max(matrix @ jax.numpy.ones(1024))
        return value


def model() -> af.Collection:
    return af.Collection(**{f"x{i}": af.UniformPrior(-2.0, 2.0) for i in range(N_DIM)})


def digest(run: Run) -> str:
    """BLAKE2b of every bit of a run: key, live state, dead points, log Z, iterations."""
    arrays = (jax.random.key_data(run.rng_key), run.state, all_points(run))
    content = hashlib.blake2b(digest_size=16)
    for leaf in map(np.asarray, jax.tree.leaves(arrays)):
        content.update(f"{leaf.dtype}{leaf.shape}".encode() + leaf.tobytes())
    content.update(f"{run.iterations} {run.n_dead}".encode())
    return content.hexdigest()


class Disk:
    """Makes the disk of this process full, or its folder read-only, for some iterations.

    Parameters
    ----------
    fault
        ``"full"`` fills the file system of `folder`, which has to be a small one of its own;
        ``"limit"`` lets no file grow (``RLIMIT_FSIZE``); ``"read-only"`` takes the right to write.
    folder
        The output.
    begin, end
        Iterations.
    """

    def __init__(self, fault: str, folder: Path, begin: int, end: int) -> None:
        self.fault, self.folder, self.begin, self.end = fault, folder, begin, end
        self._is_broken = False

    def __call__(self, run: Run) -> None:
        broken = self.begin <= run.iterations < self.end
        if broken != self._is_broken:
            self._is_broken = broken
            {"full": self._fill, "limit": self._limit, "read-only": self._protect}[self.fault](
                broken
            )
            print(json.dumps({"broken": broken}), flush=True)

    def _fill(self, broken: bool) -> None:
        ballast = self.folder / "ballast"
        if not broken:
            ballast.unlink()
            return
        with suppress(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)

    def _limit(self, broken: bool) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000 if broken else hard, hard))

    def _protect(self, broken: bool) -> None:
        if not broken and os.getuid() == 0:
            os.seteuid(0)
        folders = [self.folder, *(p for p in self.folder.rglob("*") if p.is_dir())]
        for folder in folders:
            folder.chmod(0o555 if broken else 0o755)
        if broken and os.getuid() == 0:
            os.seteuid(65534)  # root may write everywhere


def limit_address_space(more_bytes: int) -> None:
    """From now on this process may take so many bytes, beyond what it has, and no more."""
    limit = psutil.Process().memory_info().vms + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def telling(disk: Disk | None, every: int, more_bytes: int | None) -> type[RunOutput]:
    """The output of a fit, which also prints where the run is."""

    class Telling(RunOutput):
        _told = 0

        def resumed(self, run: Run) -> Run:
            run = super().resumed(run)
            print(json.dumps({"from": run.iterations}), flush=True)
            if more_bytes is not None:
                limit_address_space(more_bytes)
            return run

        def save(self, run: Run) -> None:
            start = time.perf_counter()
            super().save(run)
            seconds = time.perf_counter() - start
            print(json.dumps({"saved": run.iterations, "seconds": seconds}), flush=True)

        def update(self, run: Run) -> None:
            if disk is not None:
                disk(run)
            super().update(run)
            if every and run.iterations >= self._told + every:
                self._told = run.iterations
                where = {"at": run.iterations, "seconds": time.perf_counter()}
                print(json.dumps(where), flush=True)

        def finish(self, run: Run, chunk_sizes: dict[str, Any]) -> Result:
            told = {"digest": digest(run), "log_evidence": run.log_evidence, "ended": run.ended}
            print(json.dumps({**told, "iterations": run.iterations}), flush=True)
            start = time.perf_counter()
            result = super().finish(run, chunk_sizes)
            print(json.dumps({"result_seconds": time.perf_counter() - start}), flush=True)
            return result

    return Telling


def jumping_clock() -> Any:
    """`time.time` that is days off, in either direction, another number of them at each call."""
    days, true = random.Random(5), time.time
    return patch.object(time, "time", lambda: true() + days.uniform(-9, 9) * 86_400)


def fit(
    search: dict[str, Any],
    call_seconds: float | None = None,
    segment_bytes: int | None = None,
    clock_jumps: bool = False,
    disk: tuple[str, int, int] | None = None,
    every: int = 0,
    mount: str | None = None,
    matrix_rows: int = 0,
    more_bytes: int | None = None,
) -> Result:
    """One fit, disturbed as asked for.

    Parameters
    ----------
    search
        Options of `af.NSS` that differ from `OPTIONS`.
    call_seconds, segment_bytes
        In place of the library's: shorter device calls, smaller segments.
    clock_jumps, disk
        See `jumping_clock` and `Disk`: fault, first and last iteration.
    every
        Iterations between two reports; 0 is none.
    mount
        Size of a file system that is mounted for the output first, in a name space of its own.
    matrix_rows
        See `Laplace`.
    more_bytes
        See `limit_address_space`; set when sampling begins.
    """
    folder = Path(os.environ["PYAUTOFIT_OUTPUT"])
    if mount:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mount}", "none", folder], check=True)
    output = telling(Disk(disk[0], folder, *disk[1:]) if disk else None, every, more_bytes)
    with ExitStack() as stack:
        stack.enter_context(patch.object(search_module, "RunOutput", output))
        if call_seconds is not None:
            stack.enter_context(patch.object(_loop, "_SECONDS_PER_CALL", call_seconds))
        if segment_bytes is not None:
            stack.enter_context(patch.object(_segments, "_SEGMENT_BYTES", segment_bytes))
        if clock_jumps:
            stack.enter_context(jumping_clock())
        options = {"name": "fit", **OPTIONS, **search, "silence": True}
        return af.NSS(**options).fit(model(), Laplace(matrix_rows))


def main(argument: str) -> None:
    warnings.filterwarnings("ignore", "num_mcmc_steps")
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").addHandler(logging.StreamHandler(sys.stderr))
    logging.getLogger("autofit").addHandler(logging.StreamHandler(sys.stderr))
    fit(**json.loads(argument))


if __name__ == "__main__":
    main(sys.argv[1])
