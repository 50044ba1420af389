"""`python -m benchmarks.samplers`: whole fits by several nested samplers, side by side in one run.

Every sampler on every problem is a process of its own, one at a time and under a time limit, and
makes one fit for each seed, each with an empty plan cache. A table is printed; `--output` gets the
JSON after every process, and a picture beside it at the end. What a process had not done when its
time was up is listed there as missing. `--problems lens` takes the small lens cells, whose evidence
nobody knows, instead of the analytic ones; `--problems demo` the lens of ``make demo``.

"wall s" is all of the first fit, compiling included: what a user pays who fits once. Sampling and
what is per second of it are medians. "moved" is the largest distance, over parameters, of the
sampler's mean from that over the other samplers which are not ours, in standard deviations of the
posterior.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table

from benchmarks.fresh_process import lines_from
from benchmarks.machine import machine
from benchmarks.samplers.outcome import Outcome, Settings
from benchmarks.samplers.problems import ANALYTIC, DEMO, LENS, PROBLEMS
from benchmarks.samplers.runs import SAMPLERS, SETTINGS

FIRST_SEED = 1
_COLUMNS = (
    *("sampler", "fits", "log Z", "rms error", "rms pull", "useful", "total"),
    *("ESS", "wall s", "ESS/wall s", "sampling s", "useful/s", "ESS/s", "moved"),
)
_WIDTH = 170  # of the table, where no terminal says
_GROUPS = {"analytic": ANALYTIC, "lens": LENS, "demo": DEMO, "all": PROBLEMS}
_COLOURS = ("#0072B2", "#56B4E9", "#D55E00", "#009E73", "#E69F00", "#CC79A7")


class Fit(BaseModel):
    """One fit of one problem by one sampler; see `Outcome` for the figures."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    problem: str
    n_dim: int
    true_log_evidence: float | None
    sampler: str
    seed: int
    outcome: Outcome

    def record(self) -> dict:
        """For the JSON, with error and pull."""
        known = self.true_log_evidence is not None
        judged = {"error": self.error, "pull": self.pull} if known else {}
        return {**self.model_dump(exclude={"outcome"}), **self.outcome._asdict(), **judged}

    @property
    def error(self) -> float:
        """Found less true log evidence; NaN where that is not known."""
        truth = self.true_log_evidence
        return self.outcome.log_evidence - (np.nan if truth is None else truth)

    @property
    def pull(self) -> float:
        """Error in units of the stated one."""
        return self.error / self.outcome.log_evidence_error


class Job(BaseModel):
    """What one child process does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    problem: str
    sampler: str
    seeds: int
    settings: Settings


def make_fits(job: Job) -> None:
    """In the child: a line of JSON for each fit, as soon as it is done."""
    problem = PROBLEMS[job.problem]()
    fit = SAMPLERS[job.sampler](problem, job.settings)
    for seed in range(FIRST_SEED, FIRST_SEED + job.seeds):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["AUTOFIT_MEMPLAN_CACHE"] = folder  # a chunk size found is not handed on
            outcome = fit(seed)
        row = Fit(
            problem=problem.name,
            n_dim=problem.n_dim,
            true_log_evidence=problem.log_evidence,
            sampler=job.sampler,
            seed=seed,
            outcome=outcome,
        )
        print(row.model_dump_json(), flush=True)


def run_job(job: Job, timeout: float) -> tuple[list[Fit], str]:
    """The fits that a fresh process made, and why there are not more of them, or ``""``."""
    arguments = ("--child", job.model_dump_json())
    lines, complaint = lines_from("benchmarks.samplers", *arguments, timeout=timeout)
    return [Fit.model_validate_json(line) for line in lines], complaint


def tables(fits: list[Fit]) -> Iterable[Table]:
    """One for each problem: averages over the seeds, medians of times."""
    for problem in dict.fromkeys(fit.problem for fit in fits):
        some = [fit for fit in fits if fit.problem == problem]
        truth = some[0].true_log_evidence
        title = f"{problem}, " + ("log Z not known" if truth is None else f"log Z = {truth:.3f}")
        table = Table(title=title, title_justify="left")
        for column in _COLUMNS:
            table.add_column(column, justify="left" if column == "sampler" else "right")
        for sampler, rows in _by_sampler(some).items():
            table.add_row(sampler, *_cells(rows), _moved(sampler, some))
        yield table


def _cells(fits: list[Fit]) -> list[str]:
    columns = Outcome(*zip(*(fit.outcome for fit in fits), strict=True))
    useful, seconds = np.array(columns.useful_evaluations), np.array(columns.sampling_seconds)
    size, total = np.array(columns.effective_sample_size), columns.total_evaluations
    first = fits[0].outcome
    error, stated = np.mean(columns.log_evidence), np.mean(columns.log_evidence_error)
    rms = [np.sqrt(np.mean(np.square([getattr(f, k) for f in fits]))) for k in ("error", "pull")]
    return [
        str(len(fits)),
        f"{error:.3f} ± {stated:.3f}",
        *("-" if np.isnan(x) else f"{x:.2f}" for x in rms),
        f"{useful.mean():,.0f}",
        "-" if None in total else f"{np.mean(total):,.0f}",
        f"{size.mean():,.0f}",
        f"{first.wall_seconds:.1f}",
        f"{first.effective_sample_size / first.wall_seconds:,.0f}",
        f"{np.median(seconds):.2f}",
        f"{np.median(useful / seconds):,.0f}",
        f"{np.median(size / seconds):,.0f}",
    ]


def _moved(sampler: str, fits: list[Fit]) -> str:
    means = {
        name: np.mean([fit.outcome.posterior_mean for fit in rows], axis=0)
        for name, rows in _by_sampler(fits).items()
    }
    others = [mean for name, mean in means.items() if name != sampler and not _is_ours(name)]
    if not others:
        return "-"
    deviation = np.median([fit.outcome.posterior_deviation for fit in fits], axis=0)
    return f"{np.max(np.abs(means[sampler] - np.mean(others, axis=0)) / deviation):.2f}"


def _by_sampler(fits: list[Fit]) -> dict[str, list[Fit]]:
    names = dict.fromkeys(fit.sampler for fit in fits)
    return {name: [fit for fit in fits if fit.sampler == name] for name in names}


def _is_ours(sampler: str) -> bool:
    return sampler.startswith("af.")


def draw(fits: list[Fit], path: Path) -> None:
    """Error of log Z of every fit over its evaluations, and over its time, for each problem."""
    from matplotlib.figure import Figure

    problems = list(dict.fromkeys(fit.problem for fit in fits))
    figure = Figure(figsize=(3.4 * len(problems), 6.4), layout="constrained")
    axes = figure.subplots(2, len(problems), squeeze=False)
    colours = dict(zip(SAMPLERS, _COLOURS, strict=True))
    for column, problem in zip(axes.T, problems, strict=True):
        some = [fit for fit in fits if fit.problem == problem]
        known = some[0].true_log_evidence is not None
        middle = np.mean(
            [np.mean([f.outcome.log_evidence for f in each]) for each in _by_sampler(some).values()]
        )
        for sampler, rows in _by_sampler(some).items():
            columns = Outcome(*zip(*(fit.outcome for fit in rows), strict=True))
            away = [f.error if known else f.outcome.log_evidence - middle for f in rows]
            costs = (columns.useful_evaluations, columns.sampling_seconds)
            for ax, x in zip(column, costs, strict=True):
                colour, bar = colours[sampler], columns.log_evidence_error
                # the same chains in other chunks: a ring around the dot
                ms, face = (8, "none") if "no chunks" in sampler else (4, colour)
                ax.errorbar(
                    x, away, bar, fmt="o", ms=ms, mfc=face, lw=1, color=colour, label=sampler
                )
        column[0].set_title(problem.rpartition("cells.")[2], fontsize=10)
        for ax, name in zip(column, ("useful evaluations", "seconds of sampling"), strict=True):
            ax.axhline(0, color="#767676", lw=1, zorder=0)
            low, high = ax.get_xlim()
            ax.set(xscale="log" if high > 3 * max(low, 1e-9) else "linear", xlabel=name)
        for ax in column:
            ax.set_ylabel("log Z - truth" if known else "log Z - mean of the samplers")
    ncols = 2 * len(problems)  # as many as fit side by side
    handles = {h.get_label(): h for ax in axes[0] for h in ax.get_legend_handles_labels()[0]}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=ncols)
    figure.savefig(path, dpi=150)


def versions() -> dict[str, str | None]:
    """Of the samplers that are not in `machine`."""
    found: dict[str, str | None] = {}
    for name in ("nautilus-sampler", "dynesty", "jaxns", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.samplers", description=__doc__)
    parser.add_argument("--problems", choices=tuple(_GROUPS), default="analytic")
    parser.add_argument("--only", default="", help="regular expression in 'SAMPLER on PROBLEM'")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--n-live", type=int, default=Settings().n_live)
    parser.add_argument("--num-delete", type=int, default=Settings().num_delete)
    parser.add_argument("--n-eff", type=int, default=Settings().n_eff, help="of nautilus")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for each fit")
    parser.add_argument("--output", type=Path, help="of the JSON; a .png goes beside it")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        make_fits(Job.model_validate_json(options.child))
        return
    settings = Settings(n_live=options.n_live, num_delete=options.num_delete, n_eff=options.n_eff)
    jobs = [
        Job(problem=problem, sampler=sampler, seeds=options.seeds, settings=settings)
        for problem in _GROUPS[options.problems]
        for sampler in SAMPLERS
        if re.search(options.only, f"{sampler} on {problem}")
    ]
    if not jobs:
        parser.error(f"--only {options.only}: no 'SAMPLER on PROBLEM' is like it")
    result: dict[str, Any] = {
        "machine": machine() | {"samplers": versions()},
        "settings": {**settings.model_dump(), "seeds": options.seeds, "samplers": SETTINGS},
        "missing": [],
        "fits": [],
    }
    console, fits = Console(width=None if sys.stdout.isatty() else _WIDTH), []
    for job in jobs:
        done, complaint = run_job(job, options.timeout * options.seeds)
        fits += done
        result["fits"] += [fit.record() for fit in done]
        if complaint:
            why = {"problem": job.problem, "sampler": job.sampler, "why": complaint}
            result["missing"].append(why)
        if options.output:
            options.output.write_text(json.dumps(result, indent=1))
        ending = f"{len(done)} of {options.seeds} fits" + (f": {complaint}" if complaint else "")
        console.print(f"{job.sampler} on {job.problem}, {ending}", highlight=False)
    for table in tables(fits):
        console.print(table)
    if options.output and fits:
        draw(fits, options.output.with_suffix(".png"))
