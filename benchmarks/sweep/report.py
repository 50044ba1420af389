"""The outcomes of a sweep as a table, a few lines of text and a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from autofit_memplan._device_memory import WORKSPACE_BYTES
from autofit_memplan.units import MIB
from benchmarks.sweep.records import COLD, Outcome

TOLERANCE, FEWEST_CALLS = 0.05, 4
"""The prediction is held to 5 % at chunks of four calls and more."""

_COLUMNS = ("chunk", "predicted MiB", "measured MiB", "pred/meas", "compile s", "iterations/s")
_COLUMNS += ("useful/s", "total/s", "useful share")
_MARGIN = 1.15  # of the axis of chunk sizes, on both sides
_WIDE = 300.0  # a memory axis over more of its lowest shows powers of ten alone
_COLOURS = {"upstream": "#D55E00", "map": "#E69F00", "lanes": "#0072B2"}


def table(outcomes: Sequence[Outcome]) -> Table:
    """One row for each case."""
    with_target = any(outcome.case.target for outcome in outcomes)
    cold = f"* {COLD}: the first iteration" if any(o.is_cold for o in outcomes) else None
    title = "steps of nested sampling"
    result = Table(title=title, title_justify="left", caption=cold, caption_justify="left")
    for column in ("cell", "scheduler"):
        result.add_column(column, no_wrap=True)
    for column in (*_COLUMNS, *(("without GPU MiB",) if with_target else ())):
        result.add_column(column, justify="right")
    result.add_column("note")
    for outcome in outcomes:
        target = outcome.target_footprint and outcome.target_footprint.total_bytes
        result.add_row(
            cell_of(outcome),
            outcome.case.scheduler,
            str(outcome.case.chunk_size),
            *_figures(outcome),
            *((_mib(target),) if with_target else ()),
            outcome.note,
        )
    return result


def _figures(outcome: Outcome) -> Iterable[str]:
    yield _mib(outcome.predicted_bytes)
    yield _mib(outcome.measured_bytes)
    yield _number(outcome.predicted_over_measured, "{:.3f}")
    yield _number(outcome.footprint and outcome.footprint.compile_seconds, "{:.1f}")
    yield _number(outcome.iterations_per_second, "{:.3g}*" if outcome.is_cold else "{:.3g}")
    yield _number(outcome.useful_per_second, "{:,.3g}")
    yield _number(outcome.total_per_second, "{:,.3g}")
    share = outcome.useful / outcome.total if outcome.useful and outcome.total else None
    yield _number(share, "{:.2f}")


def _mib(n: int | None) -> str:
    return _number(None if n is None else n / MIB, "{:,.1f}")


def _number(x: float | None, form: str) -> str:
    return "-" if x is None else form.format(x)


def cell_of(outcome: Outcome) -> str:
    """``mge:hst`` of ``benchmarks.cells.mge:hst``."""
    return outcome.case.spec.rpartition(".")[2]


def summary(outcomes: Sequence[Outcome]) -> str:
    """How good the predictions were, and whether the chains were the same chains."""
    judged = [
        (outcome, ratio)
        for outcome in outcomes
        if outcome.case.chunk_size >= FEWEST_CALLS and (ratio := outcome.predicted_over_measured)
    ]
    off = [(outcome, ratio) for outcome, ratio in judged if abs(ratio - 1) > TOLERANCE]
    lines = [
        f"predicted within {TOLERANCE:.0%} of the measured peak: {len(judged) - len(off)} of "
        f"{len(judged)} cases with chunks of {FEWEST_CALLS} and more"
    ]
    for outcome, ratio in off:
        case = outcome.case
        own = outcome.predicted_over_own
        without = f"; {own:.3f} without pages of files" if own else ""
        lines.append(
            f"  not {cell_of(outcome)} {case.scheduler} {case.chunk_size}: predicted/measured "
            f"{ratio:.3f}, of {_mib(outcome.measured_bytes)} MiB{without}"
        )
    on_gpu = [o for o in outcomes if o.platform == "gpu" and o.measured_bytes is not None]
    if on_gpu:
        kept = [o for o in on_gpu if o.measured_bytes <= o.predicted_bytes + WORKSPACE_BYTES]
        lines.append(
            f"measured at most predicted + {WORKSPACE_BYTES // MIB} MiB of workspaces: "
            f"{len(kept)} of {len(on_gpu)}"
        )
    for name in dict.fromkeys(map(cell_of, outcomes)):
        found = [o.first_log_evidence for o in outcomes if cell_of(o) == name]
        known = [log_evidence for log_evidence in found if log_evidence is not None]
        if len(known) > 1:
            lines.append(
                f"{name}: log Z after the first iteration within {max(known) - min(known):.1e} in "
                f"{len(known)} cases"
            )
    return "\n".join(lines)


def draw(outcomes: Sequence[Outcome], path: Path) -> None:
    """Iterations per second over the chunk, and memory and budget below it; three cells abreast."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    names = list(dict.fromkeys(map(cell_of, outcomes)))
    abreast = min(len(names), 3)
    deep = -(-len(names) // abreast)
    figure = Figure(figsize=(3.6 * abreast + 0.6, 4.4 * deep + 0.8), layout="constrained")
    axes = figure.subplots(2 * deep, abreast, squeeze=False)
    pairs = [pair for i in range(deep) for pair in axes[2 * i : 2 * i + 2].T]
    for (speed, memory), name in zip(pairs, names, strict=False):
        some = [outcome for outcome in outcomes if cell_of(outcome) == name]
        for scheduler, colour in _COLOURS.items():
            rows = [outcome for outcome in some if outcome.case.scheduler == scheduler]
            cold = [outcome for outcome in rows if outcome.is_cold]
            _line(speed, rows, "iterations_per_second", 1, "o-", colour, scheduler)
            x, y = [o.case.chunk_size for o in cold], [o.iterations_per_second for o in cold]
            speed.plot(x, y, "o", color=colour, mfc="white", ms=4)
            _line(memory, rows, "predicted_bytes", MIB, "-", colour, f"{scheduler}, predicted")
            _line(memory, rows, "measured_bytes", MIB, "s", colour, f"{scheduler}, measured")
        if budget := next((o.budget_bytes for o in some if o.budget_bytes), None):
            memory.axhline(budget / MIB, color="#767676", ls="--", label="budget")
        speed.set(title=name, ylabel="iterations per second")
        speed.set_ylim(bottom=0)
        if not any(outcome.iterations for outcome in some):
            speed.text(0.5, 0.5, "not run", ha="center", transform=speed.transAxes)
            speed.set_yticks([])
        memory.set(xlabel="calls at once", ylabel="memory [MiB]", yscale="log")
        lowest, highest = memory.get_ylim()
        between = () if highest / lowest > _WIDE else (2.0, 5.0)
        memory.yaxis.set_major_locator(LogLocator(subs=(1.0, *between)))
        memory.yaxis.set_major_formatter("{x:,g}")
        memory.yaxis.set_minor_formatter("")
        for ax in (speed, memory):
            ax.set_xscale("log", base=2)
            sizes = sorted({outcome.case.chunk_size for outcome in some})
            ax.set_xlim(sizes[0] / _MARGIN, sizes[-1] * _MARGIN)
            ax.set_xticks(sizes, [str(size) for size in sizes])
    for pair in pairs[len(names) :]:
        for ax in pair:
            ax.set_visible(False)
    handles = {h.get_label(): h for ax in axes.flat for h in ax.get_legend_handles_labels()[0]}
    ncols = 2 * abreast
    figure.legend(
        handles.values(), handles.keys(), loc="outside upper center", ncols=ncols, fontsize=8
    )
    if any(outcome.is_cold for outcome in outcomes):
        figure.supxlabel(f"hollow: {COLD}", fontsize=8)
    figure.savefig(path, dpi=110)


def _line(
    ax: Any, rows: list[Outcome], field: str, unit: int, form: str, colour: str, label: str
) -> None:
    known = [row for row in rows if getattr(row, field) is not None]
    if known:
        x = [row.case.chunk_size for row in known]
        # one point of a line that has no marker would not be seen
        marker = {"marker": "_", "ms": 12} if len(known) == 1 and form == "-" else {}
        y = [getattr(row, field) / unit for row in known]
        ax.plot(x, y, form, color=colour, label=label, ms=marker.pop("ms", 4), **marker)
