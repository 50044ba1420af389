"""`python -m benchmarks.gpu`: the planner and the schedulers on a live NVIDIA GPU, in 8 minutes.

a        budget beside `nvidia-smi`, with preallocation on and off
b        predicted and measured peaks of every lens cell's step, and the compile-only prediction
c        evaluations per second of the HST cells by chunk and scheduler
d        fits with ``chunk_size="auto"`` on a card that is 90 % taken
wide     lanes that look ahead; only when asked for
scratch  peaks of batches of likelihoods that are hard to plan; only when asked for

Every measurement is a process of its own under a time limit, and the first look at the card and
every part have a share of the time and what those before left: one that fails or is late costs the
others nothing. Without a GPU, or where JAX does not use it, it says "skipped" and exits with 0;
where JAX does not start on one, it says why and exits with 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console, RenderableType

from benchmarks.gpu import budget as gpu_budget
from benchmarks.gpu import busy as gpu_busy
from benchmarks.gpu import peaks as gpu_peaks
from benchmarks.machine import machine_elsewhere
from benchmarks.result_file import write_whole
from benchmarks.sweep import report as sweep_report
from benchmarks.sweep.command import Sizes, spec_of, sweep
from benchmarks.sweep.records import Outcome, Scheduler

HST_CELLS = ("pixelization", "mge")
WIDER = [16, 32]
"""Lanes for `Sizes.num_delete` particles: one for each, and as many again that look ahead."""

SecondsLeft = Callable[[], float]


class Part(NamedTuple):
    """One part: its share of the time in seconds, what it measures, and how that is shown."""

    seconds: float
    measure: Callable[[SecondsLeft], Any]
    show: Callable[[Any], list[RenderableType]]


def hst_sweep(
    seconds_left: SecondsLeft,
    specs: tuple[str, ...] = tuple(spec_of(cell, "hst") for cell in HST_CELLS),
    sizes: Sizes | None = None,
) -> list[Outcome]:
    """Evaluations per second: few chunks, for a compilation takes longer than what is timed."""
    sizes = sizes or Sizes(num_inner_steps=2, seconds=2.0, timeout=90.0)
    chunks = [sizes.num_delete // 4, sizes.num_delete]
    schedulers: list[Scheduler] = ["lanes", "upstream", "map"]
    return list(sweep(list(specs), chunks, schedulers, sizes, seconds_left=seconds_left))


def look_ahead(
    seconds_left: SecondsLeft,
    spec: str = spec_of("mge", "small"),
    chunks: list[int] = WIDER,
    sizes: Sizes | None = None,
) -> list[Outcome]:
    """Lanes for all particles against twice as many."""
    sizes = sizes or Sizes(num_inner_steps=3, seconds=3.0, timeout=60.0)
    return list(sweep([spec], chunks, ["lanes"], sizes, seconds_left=seconds_left))


def _show_cases(outcomes: list[Outcome]) -> list[RenderableType]:
    return [sweep_report.table(outcomes), sweep_report.summary(outcomes)]


PARTS: dict[str, Part] = {
    "a": Part(30, gpu_budget.budgets, lambda rows: [gpu_budget.table(rows)]),
    "b": Part(140, gpu_peaks.cell_peaks, _show_cases),
    "c": Part(140, hst_sweep, _show_cases),
    "d": Part(100, gpu_busy.busy_fits, lambda rows: [gpu_busy.table(rows)]),
    "wide": Part(25, look_ahead, lambda outcomes: [sweep_report.table(outcomes)]),
    "scratch": Part(480, gpu_peaks.batch_peaks, lambda rows: [gpu_peaks.table(rows)]),
}
DEFAULT = "a,b,c,d"
FIRST_LOOK_SECONDS = 60.0
"""To find out what card there is, and whether JAX runs on it."""


def measured(part: Part, seconds_left: SecondsLeft, console: Console) -> Any:
    """What a part gives, shown as it is; or ``{"error": …}``."""
    say = partial(console.print, highlight=False, markup=False)  # messages may hold brackets
    result = None
    try:
        result = part.measure(seconds_left)
        for each in part.show(result):
            say(each)
    except Exception as error:  # whatever it is, the other parts go on
        why = f"{type(error).__name__}: {error}"
        say(why, style="red")
        result = {"error": why} if result is None else result
    return jsonable(result)


def _until(moment: float) -> float:
    return moment - time.perf_counter()


def jsonable(result: Any) -> Any:
    """Outcomes become what JSON can hold, wherever they are."""
    return json.loads(json.dumps(result, default=lambda each: each.model_dump(mode="json")))


def main() -> None:
    formatter = partial(argparse.RawDescriptionHelpFormatter, width=100)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=formatter
    )
    parser.add_argument("--parts", default=DEFAULT, help=f"of {','.join(PARTS)}")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/gpu.json"))
    options = parser.parse_args()
    names = options.parts.split(",")
    if unknown := set(names) - set(PARTS):
        parser.error(f"--parts {','.join(unknown)}: choose from {','.join(PARTS)}")
    start, end = time.perf_counter(), FIRST_LOOK_SECONDS
    card = gpu_budget.nvidia_smi()
    if card is None and not gpu_budget.has_device_file():
        print("skipped: no NVIDIA GPU here")
        return
    try:
        here = machine_elsewhere(_until(start + end))
    except RuntimeError as error:
        parser.exit(1, f"there is an NVIDIA GPU, but {error}\n")
    if here["platform"] != "gpu":
        print(f"skipped: there is an NVIDIA GPU, but JAX runs on {here['platform']} here")
        return

    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(card or "nvidia-smi says nothing here")
    results: dict[str, Any] = {"machine": here, "nvidia_smi": card}
    results |= {"parts": {}, "seconds": {}}
    for name in names:
        console.rule(f"part {name}")
        begun = time.perf_counter() - start
        end += PARTS[name].seconds  # what a part leaves is the next one's
        result = measured(PARTS[name], partial(_until, start + end), console)
        results["seconds"][name] = time.perf_counter() - start - begun
        if name == "scratch":
            results["peaks"] = result  # where tests/autofit_memplan/test_scratch.py reads them
        else:
            results["parts"][name] = result
        write_whole(json.dumps(results, indent=1), options.output)
