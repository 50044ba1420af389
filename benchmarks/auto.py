"""`python -m benchmarks.auto`: is ``chunk_size="auto"`` as fast as the best chunk size there is?

Each cell is sampled by `af.NSS` at one fixed chunk size after another for a short while, then with
``"auto"`` for a longer one, then at the fixed sizes again, for the machine may have changed; each
in a fresh process with an empty plan cache, one at a time. The speed of ``"auto"`` is its useful
evaluations over all of the time from the call of `fit` on: planning, compiling, tuning. That of a
fixed chunk leaves compiling out, to its advantage. What tuning took is the time that its fastest
chunk size would have saved from the start.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

import autofit as af
from autofit.non_linear.search.nest.nss._signals import Signals
from benchmarks.fresh_process import lines_from
from benchmarks.machine import machine
from benchmarks.samplers.problems import demo, lens_cell
from benchmarks.samplers.runs import prepared

N_LIVE, NUM_DELETE, MOVES = 1024, 16, 5
"""So many live points that minutes of sampling do not shrink them to where float64 ends."""

CELLS = ("mge:small", "mge:euclid", "pixelization:small", "delaunay:small", "demo")
"""Of `benchmarks.cells`, and the lens of ``make demo``."""


def sampled(cell: str, chunk_size: int | str, seconds: float) -> dict:
    """Sample a cell for so many seconds in this process."""
    warnings.simplefilter("ignore", UserWarning)  # five moves are too few for a real fit
    problem = demo() if cell == "demo" else lens_cell(f"benchmarks.cells.{cell}")
    search = af.NSS(
        n_live=N_LIVE,
        num_mcmc_steps=MOVES,
        num_delete=NUM_DELETE,
        chunk_size=chunk_size,
        termination=-1e6,  # goes on until the time is up
        max_seconds=seconds,
        silence=True,
    )
    start = time.perf_counter()
    plan, sampling = prepared(problem, search)
    planned = time.perf_counter()
    run = sampling.start()
    begun = time.perf_counter()
    history = []

    def after_call(run, note):
        history.append((time.perf_counter() - start, run.useful_evaluations, note))

    with Signals() as signals:
        sampling.go_on(run, after_call, lambda run: None, signals)
    if run.ended != "max_seconds":
        raise RuntimeError(f"sampling ended before its time: {run.ended}")
    useful = run.useful_evaluations - N_LIVE
    fastest = max((t.evaluations_per_second for t in sampling.trials), default=0.0)
    return {
        "cell": cell,
        "chunk_size": chunk_size,
        "started_at": plan.step.chunk_size,
        "planning_seconds": planned - start,
        "init_seconds": begun - planned,
        "sampling_seconds": run.seconds,
        "wall_seconds": time.perf_counter() - start,
        "useful": useful,
        "total": run.total_evaluations - N_LIVE,
        "per_second": useful / run.seconds,
        "tuning_seconds": run.seconds - useful / fastest if fastest else 0.0,
        "trials": [trial._asdict() for trial in sampling.trials],
        "lowered": sampling.lowered,
        "history": history[:: max(1, len(history) // 200)],
    }


def in_fresh_process(cell: str, chunk_size: int | str, seconds: float) -> dict:
    """`sampled`, with a plan cache of its own."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"AUTOFIT_MEMPLAN_CACHE": folder}
        lines, complaint = lines_from(
            "benchmarks.auto",
            *("--one", cell, str(chunk_size), "--seconds", str(seconds)),
            timeout=4 * seconds + 300,
            environment=environment,
        )
    return json.loads(lines[-1]) if lines else {"complaint": complaint}


def compare(cell: str, chunks: list[int], seconds: float, fixed_seconds: float) -> dict:
    """One cell; prints as it goes."""
    fixed = [*_fixed(cell, chunks, fixed_seconds)]
    auto = in_fresh_process(cell, "auto", seconds)
    fixed += _fixed(cell, chunks, fixed_seconds)
    row = {"cell": cell, "fixed": fixed, "auto": auto}
    measured = [each for each in fixed if "per_second" in each]
    if "complaint" in auto or not measured:
        print(f"{cell:20} auto: {auto.get('complaint', 'nothing to compare it with')}", flush=True)
        return row
    rates = {
        chunk: np.mean([each["per_second"] for each in measured if each["chunk_size"] == chunk])
        for chunk in sorted({each["chunk_size"] for each in measured})
    }
    best = max(rates, key=lambda chunk: rates[chunk])
    # tuning is hidden in sampling; planning and init are not
    whole = (auto["useful"] + N_LIVE) / auto["wall_seconds"]
    settled = auto["trials"] and max(auto["trials"], key=lambda t: t["evaluations_per_second"])
    print(
        f"{cell:20} fixed {', '.join(f'{k}: {v:.1f}/s' for k, v in rates.items())}\n"
        f"{cell:20} auto from {auto['started_at']} {auto['per_second']:10.1f}/s sampling, "
        f"{whole:.1f}/s in all = {whole / rates[best]:.2f} of chunk {best}; planning "
        f"{auto['planning_seconds']:.1f} s and tuning {auto['tuning_seconds']:.1f} s of "
        f"{auto['wall_seconds']:.0f} s; fastest {settled}",
        flush=True,
    )
    return row | {"fixed_per_second": rates, "share_of_best": whole / rates[best]}


def _fixed(cell: str, chunks: list[int], seconds: float) -> Iterator[dict]:
    for chunk in chunks:
        row = in_fresh_process(cell, chunk, seconds)
        said = row.get("complaint") or f"{row['per_second']:.1f}/s"
        print(f"{cell:20} chunk {chunk:4} {said}", flush=True)
        yield {"chunk_size": chunk, **row}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.auto", description=__doc__)
    parser.add_argument("--cells", default=",".join(CELLS))
    parser.add_argument("--chunks", default="1,2,4,8,16")
    parser.add_argument("--seconds", type=float, default=300.0, help="of sampling with auto")
    parser.add_argument("--fixed-seconds", type=float, default=12.0, help="at each chunk, twice")
    parser.add_argument("--one", nargs=2, metavar=("CELL", "CHUNK"), help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    if options.one:
        cell, chunk = options.one
        chunk = int(chunk) if chunk.isdigit() else chunk
        print(json.dumps(sampled(cell, chunk, options.seconds), default=np.ndarray.tolist))
        return
    chunks = [int(chunk) for chunk in options.chunks.split(",")]
    rows = []
    for cell in options.cells.split(","):
        rows.append(compare(cell, chunks, options.seconds, options.fixed_seconds))
        if options.output:
            options.output.write_text(json.dumps({"machine": machine(), "cells": rows}, indent=1))


if __name__ == "__main__":
    main()
