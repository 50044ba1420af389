"""`python -m benchmarks.samplers`: whole fits by several nested samplers, side by side in one run.

Every sampler on every problem is a process of its own, one at a time, and makes one fit for each
seed, each with an empty plan cache. A fit that takes longer than `--timeout` ends its process: the
seeds before it are kept, those after it are not tried. Tables are printed; `--output` gets the JSON
after every process, and a picture beside it at the end. If that file exists, the run goes on from
it: what it has is kept, what failed or is missing in it is done. `--problems lens` takes the small
lens cells, whose evidence nobody knows, instead of the analytic ones; `--problems demo` the lens of
``make demo``.

"log Z" is the mean over the seeds and its standard error; "scatter" is their standard deviation,
to be held against "stated", the mean of the errors that the sampler states; a scatter from five
seeds is itself uncertain by about a third. "wall s" is all of the first fit, compiling included:
what a user pays who fits once. Sampling and what is per second of it are medians. "moved" is the
largest distance, over parameters, of the sampler's mean from that over the other samplers which are
not ours, in standard deviations of the posterior.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.fresh_process import lines_from
from benchmarks.machine import machine_elsewhere, versions
from benchmarks.result_file import write_result
from benchmarks.samplers.problems import ANALYTIC, DEMO, LENS, PROBLEMS
from benchmarks.samplers.records import Fit, Job
from benchmarks.samplers.report import draw, tables
from benchmarks.samplers.result import Result
from benchmarks.samplers.settings import SETTINGS, XLA_FLAGS, Settings

FIRST_SEED = 1
_START_SECONDS = 120.0  # to import JAX and make the problem
_PEERS = ("nautilus-sampler", "dynesty", "jaxns", "scikit-learn")
_WIDTH = 216  # of the tables, where no terminal says
_GROUPS = {"analytic": ANALYTIC, "lens": LENS, "demo": DEMO, "all": PROBLEMS}


def make_fits(job: Job) -> None:
    """In the child: a line of JSON for each fit, as soon as it is done."""
    from benchmarks.samplers.runs import SAMPLERS  # imports blackjax, which starts the device

    problem = PROBLEMS[job.problem]()
    fit = SAMPLERS[job.sampler](problem, job.settings)
    for seed in job.seeds:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["AUTOFIT_MEMPLAN_CACHE"] = folder  # a chunk size found is not handed on
            signal.setitimer(signal.ITIMER_REAL, job.timeout)  # SIGALRM ends this process
            outcome = fit(seed)
            signal.setitimer(signal.ITIMER_REAL, 0)
        row = Fit(
            problem=problem.name,
            n_dim=problem.n_dim,
            true_log_evidence=problem.log_evidence,
            sampler=job.sampler,
            seed=seed,
            outcome=outcome,
        )
        print(row.model_dump_json(), flush=True)


def run_job(job: Job) -> tuple[list[Fit], str]:
    """The fits that a fresh process made, and why there are not more of them, or ``""``."""
    lines, complaint = lines_from(
        "benchmarks.samplers",
        *("--child", job.model_dump_json()),
        timeout=_START_SECONDS + job.timeout * len(job.seeds),
        environment=_environment(job),
    )
    fits = [Fit.model_validate_json(line) for line in lines]
    if complaint == f"ended by {signal.SIGALRM.name}":
        complaint = f"no fit within {job.timeout:g} s"
    return fits, complaint


def _environment(job: Job) -> dict[str, str]:
    flags = XLA_FLAGS.get(job.sampler)
    return {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()} if flags else {}


def machine() -> dict[str, Any]:
    """With the versions of the other samplers."""
    here = machine_elsewhere()
    here["versions"] |= versions(*_PEERS)
    return here


def jobs_of(options: argparse.Namespace, settings: Settings, result: Result) -> list[Job]:
    """What the options ask for; seeds that `result` has are left out.

    Raises
    ------
    ValueError
        If they ask for nothing.
    """
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    jobs = [
        Job(
            problem=problem,
            sampler=sampler,
            seeds=result.seeds_left(problem, sampler, seeds),
            settings=settings,
            timeout=options.timeout,
        )
        for problem in _GROUPS[options.problems]
        for sampler in SETTINGS
        if re.search(options.only, f"{sampler} on {problem}")
    ]
    if not jobs:
        raise ValueError(f"--only {options.only}: no 'SAMPLER on PROBLEM' is like it")
    return [job for job in jobs if job.seeds]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.samplers", description=__doc__)
    parser.add_argument("--problems", choices=tuple(_GROUPS), default="analytic")
    parser.add_argument("--only", default="", help="regular expression in 'SAMPLER on PROBLEM'")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--n-live", type=int, default=Settings().n_live, help="not of nautilus")
    parser.add_argument("--num-delete", type=int, default=Settings().num_delete)
    parser.add_argument("--n-eff", type=int, default=Settings().n_eff, help="of nautilus")
    parser.add_argument(
        "--timeout",
        type=float,
        default=120.0,
        help="seconds for one fit, the first with compiling",
    )
    parser.add_argument(
        "--output", type=Path, help="of the JSON, and gone on from; a .png goes beside it"
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        make_fits(Job.model_validate_json(options.child))
        return
    settings = Settings(n_live=options.n_live, num_delete=options.num_delete, n_eff=options.n_eff)
    output = options.output
    try:
        result = Result(
            machine=[machine()], settings={**settings.model_dump(), "samplers": SETTINGS}
        )
        if output and output.exists():
            result = result.going_on_from(output)
        jobs = jobs_of(options, settings, result)
    except (RuntimeError, ValueError) as error:
        parser.error(str(error))

    width = None if sys.stdout.isatty() else _WIDTH
    console = Console(width=width, highlight=False, markup=False, emoji=False)
    for job in jobs:
        fits, complaint = run_job(job)
        result = result.after(job, fits, complaint)
        if output:
            write_result(result, output)
        ending = f"{len(fits)} of {len(job.seeds)} fits" + (f": {complaint}" if complaint else "")
        console.print(f"{job.sampler} on {job.problem}, {ending}")
    for table in tables(result.fits, result.missing):
        console.print(table)
    console.print(f"settings: {settings}")
    for sampler in dict.fromkeys(fit.sampler for fit in result.fits):
        console.print(f"{sampler}: {SETTINGS[sampler]}")
    if output and result.fits:
        draw(result.fits, output.with_suffix(".png"))
