"""The fits of a comparison as tables and a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from benchmarks.samplers.records import Fit, Missing
from benchmarks.samplers.settings import SETTINGS

_COLUMNS = (
    *("fits", "log Z", "scatter", "stated", "rms error", "rms pull", "useful", "total", "ESS"),
    *("wall s", "ESS/wall s", "sampling s", "useful/s", "ESS/s", "moved"),
)
_MOST_TICKS = 3
_COLOURS = ("#0072B2", "#56B4E9", "#D55E00", "#009E73", "#E69F00", "#CC79A7")


def tables(fits: Sequence[Fit], missing: Sequence[Missing] = ()) -> Iterable[Table]:
    """One for each problem: averages over the seeds, medians of times, and what is missing."""
    for problem in dict.fromkeys(each.problem for each in (*fits, *missing)):
        some = [fit for fit in fits if fit.problem == problem]
        truth = some[0].true_log_evidence if some else None
        title = f"{problem}, " + ("log Z not known" if truth is None else f"log Z = {truth:.3f}")
        table = Table(title=title if some else problem, title_justify="left")
        for column in ("sampler", *_COLUMNS, "note"):
            table.add_column(column, justify="right" if column in _COLUMNS else "left")
        rows = _by_sampler(some)
        notes = {each.sampler: each.why for each in missing if each.problem == problem}
        for sampler in SETTINGS:
            if sampler in rows:
                cells = (*_cells(rows[sampler]), _moved(sampler, some))
                table.add_row(sampler, *cells, notes.get(sampler, ""))
            elif sampler in notes:
                table.add_row(sampler, "0", *["-"] * (len(_COLUMNS) - 1), notes[sampler])
        yield table


def _cells(fits: list[Fit]) -> list[str]:
    useful, seconds = _column(fits, "useful_evaluations"), _column(fits, "sampling_seconds")
    size, total = _column(fits, "effective_sample_size"), _column(fits, "total_evaluations")
    first, log_z = fits[0].outcome, _column(fits, "log_evidence")
    scatter = np.std(log_z, ddof=1) if len(fits) > 1 else np.nan
    standard_error = "" if np.isnan(scatter) else f" ± {scatter / np.sqrt(len(fits)):.3f}"
    rms = [np.sqrt(np.mean(np.square([getattr(f, k) for f in fits]))) for k in ("error", "pull")]
    return [
        str(len(fits)),
        f"{log_z.mean():.3f}{standard_error}",
        "-" if np.isnan(scatter) else f"{scatter:.3f}",
        f"{_column(fits, 'log_evidence_error').mean():.3f}",
        *("-" if np.isnan(x) else f"{x:.2f}" for x in rms),
        f"{useful.mean():,.0f}",
        "-" if None in total.tolist() else f"{total.mean():,.0f}",
        f"{size.mean():,.0f}",
        f"{first.wall_seconds:.1f}",
        _rate(first.effective_sample_size / first.wall_seconds),
        f"{np.median(seconds):.2f}",
        _rate(np.median(useful / seconds)),
        _rate(np.median(size / seconds)),
    ]


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.3g}"


def _column(fits: list[Fit], name: str) -> np.ndarray:
    return np.array([getattr(fit.outcome, name) for fit in fits])


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


def _by_sampler(fits: Sequence[Fit]) -> dict[str, list[Fit]]:
    names = dict.fromkeys(fit.sampler for fit in fits)
    return {name: [fit for fit in fits if fit.sampler == name] for name in names}


def _is_ours(sampler: str) -> bool:
    return sampler.startswith("af.")


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between two others, as many as can be read side by side."""
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.floor(np.log10(high)) + 1)
    choices = [
        [float(tick) for tick in np.outer(decades, steps).ravel() if low <= tick <= high]
        for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7))
    ]
    few = (ticks for ticks in choices if len(ticks) <= _MOST_TICKS)
    return max(few, key=len, default=choices[0])


def draw(fits: Sequence[Fit], path: Path) -> None:
    """Error of log Z of every fit over its evaluations, and over its time, for each problem."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    problems = list(dict.fromkeys(fit.problem for fit in fits))
    figure = Figure(figsize=(3.4 * len(problems), 6.4), layout="constrained")
    axes = figure.subplots(2, len(problems), squeeze=False)
    colours = dict(zip(SETTINGS, _COLOURS, strict=True))
    for column, problem in zip(axes.T, problems, strict=True):
        some = [fit for fit in fits if fit.problem == problem]
        known = some[0].true_log_evidence is not None
        middle = np.mean(
            [np.mean([f.outcome.log_evidence for f in each]) for each in _by_sampler(some).values()]
        )
        for sampler, rows in _by_sampler(some).items():
            away = [f.error if known else f.outcome.log_evidence - middle for f in rows]
            colour, bar = colours[sampler], _column(rows, "log_evidence_error")
            for ax, cost in zip(column, ("useful_evaluations", "sampling_seconds"), strict=True):
                # the same chains in other chunks: a ring around the dot
                ms, face = (8, "none") if "no chunks" in sampler else (4, colour)
                x = _column(rows, cost)
                ax.errorbar(
                    x, away, bar, fmt="o", ms=ms, mfc=face, lw=1, color=colour, label=sampler
                )
        column[0].set_title(problem.rpartition("cells.")[2], fontsize=10)
        for ax, name in zip(column, ("useful evaluations", "seconds of sampling"), strict=True):
            ax.axhline(0, color="#767676", lw=1, zorder=0)
            low, high = ax.get_xlim()
            ax.set_xlabel(name)
            if high > 2 * max(low, 1e-9):
                ax.set_xscale("log")
                ax.xaxis.set_major_locator(FixedLocator(log_ticks(*ax.get_xlim())))
                ax.xaxis.set_minor_locator(NullLocator())
            ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.10g}")
        for ax in column:
            ax.set_ylabel("log Z - truth" if known else "log Z - mean of the samplers")
    ncols = 2 * len(problems)  # as many as fit side by side
    handles = {h.get_label(): h for ax in axes[0] for h in ax.get_legend_handles_labels()[0]}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=ncols)
    figure.savefig(path, dpi=150)
