"""`python -m benchmarks.auto`: is ``chunk_size="auto"`` as fast as the best chunk size there is?

Each cell is sampled by `af.NSS` with ``"auto"`` and at fixed chunk sizes, each in a fresh process
with an empty plan cache. They take turns: some seconds of ``"auto"``, a few of each fixed size, and
again, so that all of them see the same machine. The speed of ``"auto"`` is its useful evaluations
over all of the time from the call of `fit` on: planning, compiling, tuning. That of a fixed chunk
leaves planning and compiling out, to its advantage.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.auto.figures import AUTO, Round, figures
from benchmarks.auto.worker import Size, Turn
from benchmarks.fresh_process import Worker
from benchmarks.machine import machine
from benchmarks.result_file import write_whole

CELLS = ("mge:small", "mge:euclid", "pixelization:small", "delaunay:small", "demo")
"""Of `benchmarks.cells`, and the lens of ``make demo``."""

_SLOWEST = 900.0
"""Seconds that planning, init or a turn may take beyond those asked for."""


def compare(
    cell: str, chunks: Sequence[int], seconds: float, turn_seconds: tuple[float, float], size: Size
) -> dict:
    """One cell; prints what came of it.

    Parameters
    ----------
    cell, chunks
        What to sample and at which fixed sizes.
    seconds
        Of sampling with ``"auto"``.
    turn_seconds
        Of ``"auto"``, and of each fixed size.
    size
        Of the sampler.
    """
    row: dict = {"cell": cell, **size._asdict(), "complaints": (complaints := {})}
    with ExitStack() as stack:
        workers = {}
        for chunk in (AUTO, *map(str, chunks)):
            worker = _worker(stack, cell, chunk, seconds, size)
            if (begun := worker.answer(_SLOWEST)) is None:
                complaints[chunk] = worker.complaint
                continue
            workers[chunk] = worker
            if chunk == AUTO:
                row |= begun
        rounds, end = _take_turns(workers, turn_seconds, complaints)
    row["rounds"] = [{chunk: turn._asdict() for chunk, turn in each.items()} for each in rounds]
    if end is not None and rounds:
        found = figures(rounds, size.n_live, row["planning_seconds"], row["init_seconds"])
        row |= end | found._asdict()
    print(f"{cell}: {_said(row)}", flush=True)
    return row


def _worker(stack: ExitStack, cell: str, chunk: str, seconds: float, size: Size) -> Worker:
    """One of the processes, with a plan cache of its own."""
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    arguments = cell, chunk, str(seconds), *map(str, size)
    environment = {"AUTOFIT_MEMPLAN_CACHE": folder}
    return stack.enter_context(
        Worker("benchmarks.auto.worker", *arguments, environment=environment)
    )


def _take_turns(
    workers: dict[str, Worker], turn_seconds: tuple[float, float], complaints: dict[str, str]
) -> tuple[list[Round], dict | None]:
    """The rounds until the time of ``"auto"`` is over, and what it says then."""
    rounds: list[Round] = []
    while AUTO in workers and len(workers) > 1:
        end, turns = None, {}
        for chunk, worker in [*workers.items()]:
            allowed = turn_seconds[chunk != AUTO]
            worker.tell(str(allowed))
            answer = worker.answer(allowed + _SLOWEST)
            if answer is None:
                complaints[chunk] = workers.pop(chunk).complaint
                continue
            if "turn" in answer:
                end, answer = answer, answer.pop("turn")
            turns[chunk] = Turn(**answer)
        if AUTO in turns and len(turns) > 1:
            rounds.append(turns)
        if end is not None:
            return rounds, end
    return rounds, None


def _said(row: dict) -> str:
    """What came of a cell, in a few lines."""
    lines = [f"chunk {chunk}: {complaint}" for chunk, complaint in row["complaints"].items()]
    if "per_second" in row:
        tuning, share = row["tuning_seconds"], row["cost_share"]
        took = "tuning has not ended" if tuning is None else f"tuning {tuning:.1f} s = {share:.1%}"
        lines += [
            f"auto, from {row['started_at']} to {row['taken']}: {row['whole_per_second']:.4g}/s in "
            f"all = {row['share_of_best']:.3f} of chunk {row['best']}; planning "
            f"{row['planning_seconds']:.1f} s, {took} of the time",
            "while sampling " + ", ".join(f"{k}: {v:.4g}/s" for k, v in row["per_second"].items()),
            "tried " + ", ".join(_trial(trial) for trial in row["trials"]),
        ]
    return "\n    ".join(lines)


def _trial(trial: dict) -> str:
    return f"{trial['chunk_size']}: {trial['evaluations_per_second']:.4g}/s"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.auto", description=__doc__)
    parser.add_argument("--cells", default=",".join(CELLS))
    parser.add_argument("--chunks", default="1,2,4,8,16")
    parser.add_argument("--seconds", type=float, default=300.0, help="of sampling with auto")
    parser.add_argument("--turn", type=float, default=10.0, help="seconds of auto in each round")
    parser.add_argument("--fixed-turn", type=float, default=3.0, help="of each fixed chunk size")
    parser.add_argument("--n-live", type=int, default=Size().n_live)
    parser.add_argument("--num-delete", type=int, default=Size().num_delete)
    parser.add_argument("--moves", type=int, default=Size().moves)
    parser.add_argument("--output", type=Path, help="other cells that are in this file stay in it")
    options = parser.parse_args()
    size = Size(options.n_live, options.num_delete, options.moves)
    chunks = [int(chunk) for chunk in options.chunks.split(",")]
    output, rows = options.output, []
    if output and output.exists():
        rows = json.loads(output.read_text())["cells"]
    for cell in options.cells.split(","):
        turn_seconds = options.turn, options.fixed_turn
        row = compare(cell, chunks, options.seconds, turn_seconds, size)
        rows = [other for other in rows if other["cell"] != cell]
        rows.append(row | {"machine": machine()})
        if output:
            write_whole(json.dumps({"cells": rows}, indent=1), output)
