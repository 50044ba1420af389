"""`python -m benchmarks.faults`: what happens to a fit that is killed, starved, cut off or lied to?

Real processes, real signals, real file systems: each part disturbs fits by `af.NSS` in its own way
and compares the bits of their dead and live points with those of a fit that was left alone. The
table at the end counts; anything but all of them is a failure, and the exit status 1.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import jax
from rich.console import Console
from rich.table import Table

from benchmarks.faults.process import PROGRAMS_VARIABLE, Outcome
from benchmarks.machine import machine
from benchmarks.result_file import write_whole

# part -> its function, the size of its full and its quick version
_PARTS: dict[str, tuple[str, dict[str, int], dict[str, int]]] = {
    "kill": ("kill:kill", {"kills": 50}, {"kills": 2}),
    "corrupt": (
        "corrupt:corrupt",
        {"loads": 200, "resumes": 20},
        {"loads": 60, "resumes": 1},
    ),
    "memory": ("memory:memory", {}, {"rows": 0}),
    "limit": ("limit:limit", {}, {}),
    "disk": ("disk:disk", {}, {}),
    "sigterm": ("signals:signals", {}, {}),
    "clock": ("signals:clock", {}, {}),
    "long": ("long:long", {"iterations": 100_000}, {"iterations": 2_000}),
    "malformed": ("malformed:malformed", {"examples": 1_000}, {"examples": 60}),
}


def part(name: str, quick: bool = False) -> list[Outcome]:
    """What the disturbances of one part came to."""
    where, full, short = _PARTS[name]
    module, _, function = where.partition(":")
    run: Callable[..., list[Outcome]] = getattr(
        import_module(f"benchmarks.faults.{module}"), function
    )
    return run(**(short if quick else full))


def table(results: dict[str, list[Outcome]]) -> Table:
    """All outcomes, a row each."""
    shown = Table("part", "disturbance", "tried", "as it should be", "remark")
    for name, outcomes in results.items():
        for outcome in outcomes:
            style = "" if outcome.good == outcome.tried else "bold red"
            shown.add_row(
                name,
                outcome.what,
                f"{outcome.tried:,}",
                f"{outcome.good:,}",
                outcome.remark,
                style=style,
            )
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(_PARTS))
    parser.add_argument("--quick", action="store_true", help="a few of each kind")
    parser.add_argument("--output", type=Path, help="JSON; parts that are not run stay in it")
    options = parser.parse_args()
    if unknown := set(options.only) - set(_PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; choose from {list(_PARTS)}")
    results = {}
    with tempfile.TemporaryDirectory() as programs:
        # the same programs are needed again and again, and compiling them takes longer than they do
        jax.config.update("jax_compilation_cache_dir", programs)
        os.environ[PROGRAMS_VARIABLE] = programs
        for name in options.only:
            start = time.perf_counter()
            results[name] = part(name, options.quick)
            seconds = time.perf_counter() - start
            print(f"{name}: {seconds:.0f} s", file=sys.stderr, flush=True)
            if options.output:
                _record(options.output, name, results[name], seconds)
    Console(width=None if sys.stdout.isatty() else 140).print(table(results))
    sys.exit(any(o.good != o.tried for outcomes in results.values() for o in outcomes))


def _record(path: Path, name: str, outcomes: list[Outcome], seconds: float) -> None:
    before = json.loads(path.read_text()) if path.exists() else {}
    record = {
        "machine": machine(),
        "wall_seconds": seconds,
        "outcomes": [outcome.model_dump(mode="json") for outcome in outcomes],
    }
    write_whole(json.dumps({**before, name: record}, indent=1) + "\n", path)
