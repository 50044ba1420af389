"""`python -m benchmarks.gpu`: the planner and the schedulers on a live NVIDIA GPU, in 8 minutes.

a        budget beside `nvidia-smi`, with preallocation on and off
b        predicted and measured peaks of every lens cell's step, and the compile-only prediction
c        evaluations per second of the HST cells by chunk and scheduler
d        fits with ``chunk_size="auto"`` on a card that is 90 % taken
wide     lanes that look ahead; only when asked for
scratch  peaks of batches of likelihoods that are hard to plan; only when asked for

Every measurement is a process of its own under a time limit, and the first look at the card and
every part have a share of the time and what those before left: one that fails or is late costs the
others nothing. Parts a and d come first: where time is short, it is cases of the sweeps that are
missing. One card is used, the first of CUDA_VISIBLE_DEVICES or of `nvidia-smi`.

Without a GPU, where JAX has no plugin for it, or where JAX_PLATFORMS excludes it, it says "skipped"
and exits with 0. Where JAX should run on it and does not, or a part fails or measures nothing, it
says why and exits with 1.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console, RenderableType

from benchmarks.gpu import budget as gpu_budget
from benchmarks.gpu import busy as gpu_busy
from benchmarks.gpu import card as gpu_card
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
    "b": Part(110, gpu_peaks.cell_peaks, _show_cases),
    "c": Part(110, hst_sweep, _show_cases),
    "d": Part(100, gpu_busy.busy_fits, lambda rows: [gpu_busy.table(rows)]),
    "wide": Part(25, look_ahead, lambda outcomes: [sweep_report.table(outcomes)]),
    "scratch": Part(480, gpu_peaks.batch_peaks, lambda rows: [gpu_peaks.table(rows)]),
}
DEFAULT = "a,d,b,c"
FIRST_LOOK_SECONDS = 120.0
"""To find out what card there is, and whether JAX runs on it."""


class Measured(NamedTuple):
    """What a part gave, for JSON, or ``{"error": …}``; and whether all was well with it."""

    result: Any
    is_well: bool


def measured(part: Part, seconds_left: SecondsLeft, console: Console) -> Measured:
    """Measure and show one part."""
    say = partial(console.print, highlight=False, markup=False)  # messages may hold brackets
    result = None
    try:
        found = part.measure(seconds_left)
        result = jsonable(found)
        for each in part.show(found):
            say(each)
    except Exception as error:  # whatever it is, the other parts go on
        why = f"{type(error).__name__}: {error}"
        say(why, style="red")
        return Measured({"error": why} if result is None else result, is_well=False)
    rows = list(result.values() if isinstance(result, dict) else result)
    return Measured(result, is_well=not all(map(_is_error, rows)))


def _is_error(row: Any) -> bool:
    """Whether nothing was measured; a case of a sweep may be predicted all the same."""
    return "error" in row or ("case" in row and row["measured_bytes"] is None)


def _until(moment: float) -> float:
    return moment - time.perf_counter()


def jsonable(result: Any) -> Any:
    """Outcomes become what JSON can hold, wherever they are."""
    return json.loads(json.dumps(result, default=lambda each: each.model_dump(mode="json")))


def machine_with_gpu(seconds_left: SecondsLeft) -> dict[str, Any] | None:
    """`machine_elsewhere`, or ``None`` and a message where there is an excuse for having no GPU.

    Raises
    ------
    SystemExit
        If JAX should run on the GPU and does not.
    """
    try:
        here = machine_elsewhere(seconds_left())
    except RuntimeError as error:
        where = str(error)
    else:
        if here["platform"] == "gpu":
            return here
        where = f"JAX runs on {here['platform']} here"
    what, excuse = f"there is an NVIDIA GPU, but {where}", gpu_card.excuse()
    if not excuse:
        sys.exit(f"{what}\n{gpu_card.what_jax_says(seconds_left())}")
    print(f"skipped: {what}: {excuse}")
    return None


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
    os.environ.update(gpu_card.for_all(os.environ))
    card = gpu_card.nvidia_smi()
    if card is None and not gpu_card.has_device_file():
        print("skipped: no NVIDIA GPU here")
        return
    here = machine_with_gpu(partial(_until, start + end))
    if here is None:
        return

    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(card or "nvidia-smi says nothing here")
    results: dict[str, Any] = {"machine": here, "nvidia_smi": card}
    results |= {"parts": {}, "seconds": {}}
    failed = []
    for name in names:
        console.rule(f"part {name}")
        begun = time.perf_counter() - start
        end += PARTS[name].seconds  # what a part leaves is the next one's
        result, is_well = measured(PARTS[name], partial(_until, start + end), console)
        failed += [] if is_well else [name]
        results["seconds"][name] = time.perf_counter() - start - begun
        if name == "scratch":
            results["peaks"] = result  # where tests/autofit_memplan/test_scratch.py reads them
        else:
            results["parts"][name] = result
        write_whole(json.dumps(results, indent=1), options.output)
    if failed:
        sys.exit(f"failed, or nothing was measured: part {', '.join(failed)}")
