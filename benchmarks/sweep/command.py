"""`python -m benchmarks.sweep`: cells x instruments x chunk sizes x schedulers, on real steps.

Every case is a process of its own, one at a time and under a time limit: predicted bytes of the
compiled step, measured peak, compile seconds, iterations and evaluations per second. What the plan
says cannot fit the limit is predicted and marked, not run. Upstream's step has no chunks: its one
case has `num_delete` calls at once. A table is printed; `--output` gets the JSON after every case,
and a picture beside it at the end. The same command on the same machine goes on with a sweep that
was interrupted.

This process starts no JAX device (so nothing here may import blackjax, which does): on a GPU it
would take most of the memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, get_args

from rich.console import Console

from autofit_memplan.solver import balance
from benchmarks.fresh_process import lines_from
from benchmarks.machine import machine_elsewhere
from benchmarks.result_file import write_result
from benchmarks.sweep.records import Case, Outcome, Scheduler, Sizes
from benchmarks.sweep.report import draw, table
from benchmarks.sweep.result import Result

CELLS = ("mge", "pixelization", "sparse-pixelization", "delaunay", "sparse-delaunay")
INSTRUMENTS = ("small", "euclid", "hst", "jwst", "ao")

_ITERATION_SECONDS = 20.0
_MOST_MOVES, _CALLS_PER_MOVE = 3, 7


class Start(NamedTuple):
    """Live points of one cell, evaluated; see `sweep.case.evaluate_start`."""

    path: Path
    call_seconds: float


def spec_of(cell: str, instrument: str) -> str:
    """MODULE:FUNCTION of a cell; those that store only what is needed begin with ``sparse-``."""
    module = cell.removeprefix("sparse-")
    prefix = "sparse_" if module != cell else ""
    return f"benchmarks.cells.{module}:{prefix}{instrument}"


def begin(
    spec: str, sizes: Sizes, folder: Path, timeout: float, environment: Mapping[str, str]
) -> Start | str:
    """Evaluate the live points of a cell in a process of its own; or why there are none."""
    path = folder / f"{spec.rpartition('.')[2].replace(':', '-')}.npz"
    arguments = ("start", spec, str(sizes.n_live), str(path), sizes.limit or "")
    lines, why = lines_from(
        "benchmarks.sweep.case", *arguments, timeout=timeout, environment=environment
    )
    return Start(path, json.loads(lines[-1])["call_seconds"]) if lines else f"no start: {why}"


def run_case(
    case: Case,
    start: Path | None,
    timeout: float,
    environment: Mapping[str, str] | None = None,
) -> Outcome:
    """`sweep.case.measure_case` in a process of its own."""
    lines, why = lines_from(
        "benchmarks.sweep.case",
        "case",
        case.model_dump_json(),
        str(start or ""),
        timeout=timeout,
        environment=environment,
    )
    known = Outcome.model_validate_json(lines[-1]) if lines else Outcome(case=case)
    return known.noted(why)


def cases_of(
    spec: str,
    chunks: list[int],
    schedulers: list[Scheduler],
    sizes: Sizes,
    call_seconds: float = 0.0,
    target: str | None = None,
) -> list[Case]:
    """Upstream at its one size, ``map`` below it, where it is the same step, lanes even above.

    Parameters
    ----------
    spec
        The cell.
    chunks, schedulers, sizes, target
        Of the sweep; for the target see `Case`.
    call_seconds
        See `Start`.
    """
    n = sizes.num_delete
    moves = sizes.num_inner_steps or num_inner_steps(call_seconds, n)
    chosen: dict[Scheduler, list[int]] = {
        "upstream": [n],
        "map": sorted({balance(n, chunk) for chunk in chunks if chunk < n}),
        "lanes": chunks,
    }
    return [
        Case(
            spec=spec,
            scheduler=scheduler,
            chunk_size=chunk,
            n_live=sizes.n_live,
            num_delete=n,
            num_inner_steps=moves,
            seconds=sizes.seconds,
            limit=sizes.limit,
            target=target,
        )
        for scheduler in schedulers
        for chunk in chosen[scheduler]
    ]


def num_inner_steps(call_seconds: float, num_delete: int) -> int:
    """As many moves, from 1 to 3, as an iteration has time for if calls are made one by one."""
    of_one = max(call_seconds, 1e-9) * num_delete * _CALLS_PER_MOVE
    return min(max(int(_ITERATION_SECONDS / of_one), 1), _MOST_MOVES)


def sweep(
    specs: list[str],
    chunks: list[int],
    schedulers: list[Scheduler],
    sizes: Sizes,
    target: str | None = None,
    seconds_left: Callable[[], float] = lambda: float("inf"),
    environment: Mapping[str, str] | None = None,
    known: Sequence[Outcome] = (),
) -> Iterator[Outcome]:
    """Outcomes of all cases, cell by cell, each as soon as it is there.

    Parameters
    ----------
    specs, chunks, schedulers, sizes, target
        See `cases_of`.
    seconds_left
        For all the rest; what cannot be begun any more is said to be so.
    environment
        Variables of the processes, where they differ.
    known
        Of the same sizes; those that were timed are not run again.
    """
    timed = [outcome.case for outcome in known if outcome.iterations]
    done = {case.key for case in timed}
    with tempfile.TemporaryDirectory() as folder:
        for spec in specs:
            # a call may take longer this time, but the chains must be the same chains
            moves = (case.num_inner_steps for case in timed if case.spec == spec)
            same = {"num_inner_steps": next(moves, sizes.num_inner_steps)}
            of_cell = sizes.model_copy(update=same)
            cases = partial(cases_of, spec, chunks, schedulers, of_cell, target=target)
            if all(case.key in done for case in cases()):
                continue
            timeout = min(sizes.timeout, seconds_left())
            start = begin(spec, sizes, Path(folder), timeout, environment or {})
            path, seconds, note = (None, 0.0, start) if isinstance(start, str) else (*start, "")
            for case in cases(call_seconds=seconds):
                if case.key in done:
                    continue
                timeout = min(sizes.timeout, seconds_left())
                if note and timeout <= 0:
                    yield Outcome(case=case, note=note)
                else:  # without live points, a prediction
                    yield run_case(case, path, timeout, environment).noted(note)


def main() -> None:
    def listed(text: str) -> list[str]:
        return text.split(",")

    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=__doc__)
    parser.add_argument("--cells", type=listed, default=["mge", "pixelization", "delaunay"])
    parser.add_argument("--instruments", type=listed, default=["small", "euclid", "hst"])
    parser.add_argument("--chunks", type=listed, default=["1", "2", "4", "8", "16"])
    parser.add_argument("--schedulers", type=listed, default=list(get_args(Scheduler)))
    parser.add_argument("--limit", default="8GiB", help="of the memory")
    parser.add_argument("--seconds", type=float, default=5.0, help="timed in each case")
    parser.add_argument("--num-delete", type=int, default=16, help="a quarter of n_live")
    parser.add_argument("--num-inner-steps", type=int, help="1 to 3, by the seconds of a call")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for each process")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="of the JSON, with a .png beside it at the end; of a FILE that is there, what was "
        "timed is kept, the rest is run again, and other cases are added",
    )
    options = parser.parse_args()
    for name, known in (("cells", CELLS), ("instruments", INSTRUMENTS)):
        if unknown := set(getattr(options, name)) - set(known):
            parser.error(f"--{name} {','.join(unknown)}: choose from {','.join(known)}")
    if unknown := set(options.schedulers) - set(get_args(Scheduler)):
        parser.error(f"--schedulers {','.join(unknown)}: choose from upstream,map,lanes")

    sizes = Sizes(
        num_delete=options.num_delete,
        num_inner_steps=options.num_inner_steps,
        seconds=options.seconds,
        timeout=options.timeout,
        limit=options.limit,
    )
    specs = [spec_of(cell, each) for cell in options.cells for each in options.instruments]
    chunks = [int(chunk) for chunk in options.chunks]
    console = Console(width=None if sys.stdout.isatty() else 150, markup=False)
    output = options.output
    try:
        result = Result(sizes=sizes, machine=(machine_elsewhere(),) if output else ())
        if output and output.exists():
            result = result.going_on_from(output)
    except (RuntimeError, ValueError) as error:
        parser.error(str(error))
    outcomes = sweep(specs, chunks, options.schedulers, sizes, known=result.cases)
    for outcome in outcomes:
        case = outcome.case
        console.print(f"{case.spec} {case.scheduler} {case.chunk_size} {outcome.note}".strip())
        result = result.with_case(outcome)
        if output:
            write_result(result, output)
    console.print(table(result.cases))
    console.print(result.summary, highlight=False)
    if output:
        draw(result.cases, output.with_suffix(".png"))
