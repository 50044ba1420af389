"""Out of memory, at every place where it can come, with the texts that XLA has for it."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Collection
from typing import Any
from unittest.mock import patch

import jax

import autofit as af
from autofit.non_linear.errors import OutOfMemoryError
from autofit.non_linear.search.nest.nss import _sampling
from autofit.non_linear.search.nest.nss import search as search_module
from autofit.non_linear.search.nest.nss._output import RunOutput
from autofit.non_linear.search.nest.nss._run import Run
from benchmarks.faults.fit import Laplace, digest, model
from benchmarks.faults.process import Outcome, finished, workshop

TEXTS = (
    "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 28622131200 bytes.",
    "INTERNAL: Failed to load in-memory CUBIN: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
    "RESOURCE_EXHAUSTED: Failed to allocate request for 16.50GiB on device ordinal 0",
    "INTERNAL: CUDA error: Failed to instantiate a CUDA graph: out of memory",
)

_OPTIONS = {
    "n_live": 100,
    "num_delete": 32,
    "num_mcmc_steps": 2,
    "chunk_size": 32,
    "checkpoint_seconds": 1e6,
    "max_iterations": 12,
    "silence": True,
}
"""Five halvings lead from 32 calls at once to one."""


def memory(rows: int = 24_576) -> list[Outcome]:
    """Injected errors, and a real limit on the address space where `rows` is not zero."""
    places: dict[str, Collection[int]] = {
        "out of memory at init": (0,),
        "at the first step": (1,),
        "mid-run": (2, 4),
        "ten times, down to one call": (*range(5), *range(6, 11)),  # five at init, five at a step
    }
    expected, _ = sampled(())
    outcomes = []
    for what, calls in places.items():
        found, lowered = sampled(calls)
        good = found == expected and lowered == len(calls)
        remark = f"chunk lowered {lowered} times, the same bits"
        outcomes.append(Outcome(what=what, tried=1, good=good, remark=remark))
    outcomes.append(_at_one_call(expected))
    if rows:
        outcomes.append(_real_limit(rows))
    return outcomes


def sampled(calls: Collection[int], name: str | None = None) -> tuple[str, int]:
    """A fit in which the device calls of these numbers end out of memory.

    Returns
    -------
    tuple of str and int
        Its digest, and how often its chunk was lowered.
    """
    wait, seen, lowered, digests = _sampling.wait, [], [], []

    def failing(result: Any, on_pause: Any) -> Any:
        seen.append(len(seen))
        if seen[-1] in calls:
            raise jax.errors.JaxRuntimeError(TEXTS[len(seen) % len(TEXTS)])
        return wait(result, on_pause)

    class Kept(RunOutput):
        def finish(self, run: Run, chunk_sizes: dict[str, Any]) -> Any:
            digests.append(digest(run))
            return super().finish(run, chunk_sizes)

    class Told(_sampling.Sampling):
        def report(self, run: Run) -> str:
            lowered.extend(self.lowered)
            return super().report(run)

    with (
        patch.object(_sampling, "wait", failing),
        patch.object(search_module, "RunOutput", Kept),
        patch.object(search_module, "Sampling", Told),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "num_mcmc_steps")
        af.NSS(name, **_OPTIONS).fit(model(), Laplace())
    return digests[0], len(lowered)


def _at_one_call(expected: str) -> Outcome:
    """With no memory even for one call at a time: the state is saved, and a later run goes on."""
    with tempfile.TemporaryDirectory() as folder, patch.dict("os.environ", PYAUTOFIT_OUTPUT=folder):
        try:
            sampled(range(3, 20), "starved")
            refused = False
        except OutOfMemoryError:
            refused = True
        found, _ = sampled((), "starved")
    good = refused and found == expected
    return Outcome(
        what="even for one call",
        tried=1,
        good=good,
        remark="OutOfMemoryError, state saved, resumed to the same bits",
    )


def _real_limit(rows: int) -> Outcome:
    """RLIMIT_AS: the allocations of the step at its first chunk really fail.

    Compiling the smaller ones takes some 0.4 GiB of addresses as well, and ends the process where
    that is not there; `rows` have to make a call that the limit, five calls, holds it too.
    """
    fitted = {
        "search": {"n_live": 20, "num_delete": 8, "num_mcmc_steps": 2, "chunk_size": 8}
        | {"max_iterations": 1, "checkpoint_seconds": 1e6},
        "matrix_rows": rows,
    }
    with workshop() as shop:
        expected = finished(shop, **fitted)
        shop.clear()
        with shop.fit(**fitted, more_bytes=5 * rows * 1024 * 8) as fit:
            status = fit.end()
            lowered = fit.errors.count("out of memory (") // 2  # said once more in the report
            good = status == 0 and fit.digest == expected and lowered > 0
            last = fit.errors.strip().splitlines()[-1:]
    remark = f"chunk lowered {lowered} times" if status == 0 else f"status {status}: {last}"
    return Outcome(what="a real limit (RLIMIT_AS)", tried=1, good=good, remark=remark)
