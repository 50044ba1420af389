"""Samples a cell at one chunk size, a turn for each line of standard input.

What takes turns with other processes is compared with them under the same conditions, however the
speed of the machine changes from minute to minute. Nothing of a process goes on between its turns:
a turn ends between two device calls, and not while a chunk size is being compiled.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any, NamedTuple

import jax

import autofit as af
from autofit.non_linear.search.nest.nss._run import Run
from autofit.non_linear.search.nest.nss._signals import Signals
from benchmarks.samplers.problems import demo, lens_cell
from benchmarks.samplers.runs import prepared

_SHORT = 1.0
"""The first call of a turn can be left out if it took fewer seconds."""


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


class Turn(NamedTuple):
    """What was done in one turn.

    Attributes
    ----------
    seconds
        It took, in all.
    useful, total
        Evaluations.
    is_searching
        Whether another chunk size was being compiled or timed.
    """

    seconds: float
    useful: int
    total: int
    is_searching: bool


def main(arguments: list[str]) -> None:
    """Speak to a `benchmarks.fresh_process.Worker`.

    The first answer says what planning and init took. Then a line ``seconds`` is a turn of at least
    so long, and its answer a `Turn`. The answer to an empty line, or when `max_seconds` of sampling
    are over, says how the search went.

    Parameters
    ----------
    arguments
        Cell, chunk size, ``max_seconds``, and what `Size` has.
    """
    cell, chunk, max_seconds, *size = arguments
    warnings.simplefilter("ignore", UserWarning)  # so few moves are too few for a real fit
    jax.config.update("jax_enable_x64", True)
    n_live, num_delete, moves = map(int, size)
    problem = demo() if cell == "demo" else lens_cell(f"benchmarks.cells.{cell}")
    search = af.NSS(
        n_live=n_live,
        num_mcmc_steps=moves,
        num_delete=num_delete,
        chunk_size=int(chunk) if chunk.isdigit() else chunk,
        termination=-1e6,  # goes on until the time is up
        max_seconds=float(max_seconds),
        silence=True,
    )
    start = time.perf_counter()
    plan, sampling = prepared(problem, search)
    planned = time.perf_counter()
    run = sampling.start()
    _say(
        started_at=plan.step.chunk_size,
        planning_seconds=planned - start,
        init_seconds=time.perf_counter() - planned,
    )
    turns = _Turns(run, is_fixed=chunk.isdigit())
    sampling.go_on(run, turns, lambda run: None, Signals(stopping=False))
    _say(
        ended=run.ended,
        turn=turns.turn(run),
        is_settled=sampling.is_settled,
        taken=sampling.taken,
        trials=[trial._asdict() for trial in sampling.trials],
        lowered=sampling.lowered,
        refused=sampling.refused,
    )


class _Turns:
    """Called after every device call.

    The first call of a turn finds the data of another process in the caches. Of a fixed chunk size
    it does not count, where it is short; of ``"auto"`` all of the time does.
    """

    def __init__(self, run: Run, is_fixed: bool) -> None:
        self._is_fixed = is_fixed
        self._wait(run)

    def __call__(self, run: Run, note: str) -> None:
        if self._is_cold and time.perf_counter() - self._begin < _SHORT:
            self._count_from(run)
            return
        is_compiling = "compiling" in note
        self._is_searching |= is_compiling or note.endswith("?")
        if time.perf_counter() - self._begin < self._seconds or is_compiling:
            return
        _say(**self.turn(run))
        self._wait(run)

    def turn(self, run: Run) -> dict[str, Any]:
        """The turn so far."""
        useful, total = self._before
        return Turn(
            time.perf_counter() - self._begin,
            run.useful_evaluations - useful,
            run.total_evaluations - total,
            self._is_searching,
        )._asdict()

    def _wait(self, run: Run) -> None:
        line = sys.stdin.readline().strip()
        if not line:
            raise KeyboardInterrupt
        self._seconds, self._is_searching = float(line), False
        self._count_from(run)
        self._is_cold = self._is_fixed

    def _count_from(self, run: Run) -> None:
        self._before = run.useful_evaluations, run.total_evaluations
        self._begin = time.perf_counter()
        self._is_cold = False


def _say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
