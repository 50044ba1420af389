"""`python -m benchmarks.auto`: is ``chunk_size="auto"`` as fast as the best chunk size there is?

Each cell is sampled by `af.NSS` at one fixed chunk size after another for a short while, then with
``"auto"`` for a longer one, then at the fixed sizes again, for the machine may have changed; each
in a fresh process with an empty plan cache, one at a time. The speed of ``"auto"`` is its useful
evaluations over all of the time from the call of `fit` on: planning, compiling, tuning. That of a
fixed chunk leaves compiling out, to its advantage. What tuning took is the time until the search
ended, less what as many evaluations took after it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

import autofit as af
from autofit.non_linear.search.nest.nss._signals import Signals
from benchmarks.fresh_process import lines_from
from benchmarks.machine import machine
from benchmarks.result_file import write_whole
from benchmarks.samplers.problems import demo, lens_cell
from benchmarks.samplers.runs import prepared


class Size(NamedTuple):
    """Of the sampler: less of each where a call takes long, or minutes give only a few iterations.

    Attributes
    ----------
    n_live
        So many that minutes of sampling do not shrink them to where float64 ends.
    num_delete
        Points replaced in an iteration.
    moves
        Slice moves for each of them.
    """

    n_live: int = 1024
    num_delete: int = 16
    moves: int = 5


CELLS = ("mge:small", "mge:euclid", "pixelization:small", "delaunay:small", "demo")
"""Of `benchmarks.cells`, and the lens of ``make demo``."""


def sampled(cell: str, chunk_size: int | str, seconds: float, size: Size) -> dict:
    """Sample a cell for so many seconds in this process."""
    warnings.simplefilter("ignore", UserWarning)  # so few moves are too few for a real fit
    problem = demo() if cell == "demo" else lens_cell(f"benchmarks.cells.{cell}")
    search = af.NSS(
        n_live=size.n_live,
        num_mcmc_steps=size.moves,
        num_delete=size.num_delete,
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
    useful = run.useful_evaluations - size.n_live
    return {
        "cell": cell,
        "chunk_size": chunk_size,
        **size._asdict(),
        "started_at": plan.step.chunk_size,
        "planning_seconds": planned - start,
        "init_seconds": begun - planned,
        "sampling_seconds": run.seconds,
        "wall_seconds": time.perf_counter() - start,
        "useful": useful,
        "total": run.total_evaluations - size.n_live,
        "per_second": useful / run.seconds,
        "tuning_seconds": tuning_seconds([(begun - start, size.n_live, ""), *history]),
        "is_settled": sampling.is_settled,
        "trials": [trial._asdict() for trial in sampling.trials],
        "lowered": sampling.lowered,
        "history": history[:: max(1, len(history) // 200)],
    }


def tuning_seconds(history: list[tuple[float, int, str]]) -> float | None:
    """What the search took: the time until its end, less what as many evaluations took later.

    Parameters
    ----------
    history
        Seconds, useful evaluations and the progress line's note, at the beginning of sampling and
        after each device call.

    Returns
    -------
    ``None`` if the search went on to the end.
    """
    searching = [index for index, (_, _, note) in enumerate(history) if note.endswith("?")]
    if not searching:
        return 0.0
    deciding = searching[-1] + 1  # the call after the last question
    if deciding >= len(history) - 1:
        return None
    begin, settled, end = history[0], history[deciding], history[-1]
    pace = (end[0] - settled[0]) / (end[1] - settled[1])
    return settled[0] - begin[0] - (settled[1] - begin[1]) * pace


def in_fresh_process(cell: str, chunk_size: int | str, seconds: float, size: Size) -> dict:
    """`sampled`, with a plan cache of its own."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"AUTOFIT_MEMPLAN_CACHE": folder}
        lines, complaint = lines_from(
            "benchmarks.auto",
            *("--one", cell, str(chunk_size)),
            *("--seconds", str(seconds), "--n-live", str(size.n_live)),
            *("--num-delete", str(size.num_delete), "--moves", str(size.moves)),
            timeout=4 * seconds + 300,
            environment=environment,
        )
    return json.loads(lines[-1]) if lines else {"complaint": complaint}


def compare(cell: str, chunks: list[int], seconds: float, fixed_seconds: float, size: Size) -> dict:
    """One cell; prints as it goes."""
    fixed = [*_fixed(cell, chunks, fixed_seconds, size)]
    auto = in_fresh_process(cell, "auto", seconds, size)
    fixed += _fixed(cell, chunks, fixed_seconds, size)
    row = {"cell": cell, "fixed": fixed, "auto": auto}
    rates: dict[int, list[float]] = {}
    for each in fixed:
        if "per_second" in each:
            rates.setdefault(each["chunk_size"], []).append(each["per_second"])
    if "complaint" in auto or not rates:
        print(f"{cell:20} auto: {auto.get('complaint', 'nothing to compare it with')}", flush=True)
        return row
    best = max(rates, key=lambda chunk: np.mean(rates[chunk]))
    # tuning is hidden in sampling; planning and init are not
    whole = (auto["useful"] + size.n_live) / auto["wall_seconds"]
    shares = [whole / rate for rate in rates[best]]
    tuning = auto["tuning_seconds"]
    took = "not ended" if tuning is None else f"{tuning:.1f} s"
    print(
        f"{cell:20} fixed {', '.join(f'{k}: {_between(v)}/s' for k, v in rates.items())}\n"
        f"{cell:20} auto from {auto['started_at']} {auto['per_second']:10.1f}/s sampling, "
        f"{whole:.1f}/s in all = {_between(shares, '.2f')} of chunk {best}; planning "
        f"{auto['planning_seconds']:.1f} s and tuning {took} of {auto['wall_seconds']:.0f} s; "
        f"tried {', '.join(_trial(trial) for trial in auto['trials'])}",
        flush=True,
    )
    return row | {"fixed_per_second": rates, "share_of_best": whole / np.mean(rates[best])}


def _between(figures: list[float], form: str = ".1f") -> str:
    """The figures before and after ``"auto"``, which tell how steady the machine was."""
    return " to ".join(format(figure, form) for figure in sorted(figures))


def _trial(trial: dict) -> str:
    return f"{trial['chunk_size']}: {trial['evaluations_per_second']:.1f}/s"


def _fixed(cell: str, chunks: list[int], seconds: float, size: Size) -> Iterator[dict]:
    for chunk in chunks:
        row = in_fresh_process(cell, chunk, seconds, size)
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
    parser.add_argument("--n-live", type=int, default=Size().n_live)
    parser.add_argument("--num-delete", type=int, default=Size().num_delete)
    parser.add_argument("--moves", type=int, default=Size().moves)
    parser.add_argument("--output", type=Path, help="other cells that are in this file stay in it")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    size = Size(options.n_live, options.num_delete, options.moves)
    if options.one:
        cell, chunk = options.one
        chunk = int(chunk) if chunk.isdigit() else chunk
        row = sampled(cell, chunk, options.seconds, size)
        print(json.dumps(row, default=np.ndarray.tolist))
        return
    chunks = [int(chunk) for chunk in options.chunks.split(",")]
    output, rows = options.output, []
    if output and output.exists():
        rows = json.loads(output.read_text())["cells"]
    for cell in options.cells.split(","):
        row = compare(cell, chunks, options.seconds, options.fixed_seconds, size)
        rows = [other for other in rows if other["cell"] != cell]
        rows.append(row | {"machine": machine()})
        if output:
            write_whole(json.dumps({"cells": rows}, indent=1), output)


if __name__ == "__main__":
    main()
