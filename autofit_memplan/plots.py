"""Plans and sweeps as pictures that read on white and on black; matplotlib is loaded on demand."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autofit_memplan.errors import MemplanError
from autofit_memplan.records import Footprint, Plan
from autofit_memplan.sweep import Sweep
from autofit_memplan.units import GIB, KIB, MIB

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which keep apart for the colour-blind; the background is left out and
# the ink is a grey halfway between white and black, with a contrast of 4.5 to either.
_INK = "#767676"
_PREDICTED, _MEASURED, _BUDGET = "#0072B2", "#E69F00", "#D55E00"
_PARTS = {
    "temporaries": ("temp_bytes", "#0072B2"),
    "arguments": ("argument_bytes", "#56B4E9"),
    "outputs": ("output_bytes", "#009E73"),
    "constants": ("constant_bytes", "#CC79A7"),
    "library scratch": ("scratch_bytes", "#E69F00"),
}
_STYLE: Any = {
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


class PlotError(MemplanError):
    """A picture that cannot be drawn or written."""


def require_matplotlib(path: Path) -> None:
    """Refuse early, before anything is compiled or measured for a picture.

    Raises
    ------
    PlotError
        If matplotlib is not installed, or does not write files of that name's kind.
    """
    if find_spec("matplotlib") is None:
        raise PlotError("pictures need matplotlib, which is not installed: pip install matplotlib")
    from matplotlib.backend_bases import FigureCanvasBase

    kinds = FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in kinds:
        raise PlotError(f"cannot draw {str(path)!r}; end its name in one of .{', .'.join(kinds)}")


def draw_plans(plans: Mapping[str, Plan], path: Path) -> None:
    """What each program of each plan takes, part by part, beside the budget.

    Parameters
    ----------
    plans
        By the name of the device, at least one.
    path
        Of the picture; its ending says the kind.

    Raises
    ------
    PlotError
        As `require_matplotlib`.
    """
    require_matplotlib(path)
    from matplotlib import rc_context

    bars = [(name, plan, program) for name, plan in plans.items() for program in plan.programs]
    unit, unit_name = _unit(max(plan.budget.limit_bytes for plan in plans.values()))
    with rc_context(_STYLE):
        figure, (axes,) = _figure(7.0, 1.4 + 0.42 * len(bars), columns=1)
        for y, (_, plan, program) in enumerate(bars):
            _stack(axes, y, program.footprint, unit)
            limit = plan.budget.limit_bytes / unit
            axes.plot([limit, limit], [y - 0.45, y + 0.45], color=_BUDGET, lw=2)
        axes.plot([], [], color=_BUDGET, lw=2, label="budget")
        axes.set_yticks(
            range(len(bars)), [f"{name}  {p.name}, chunk {p.chunk_size:,}" for name, _, p in bars]
        )
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel(f"predicted peak memory [{unit_name}]")
        figure.legend(*_without_repeats(axes), loc="outside upper center", ncols=6, fontsize=8)
        figure.savefig(path, dpi=150)


def draw_sweep(sweep: Sweep, path: Path) -> None:
    """Predicted and measured memory, and evaluations per second, over the size of the batch.

    Raises
    ------
    PlotError
        As `require_matplotlib`.
    """
    require_matplotlib(path)
    from matplotlib import rc_context

    is_timed = any(batch.evaluations_per_second for batch in sweep.batches)
    known = [batch for batch in sweep.batches if batch.predicted_bytes is not None]
    unit, unit_name = _unit(max((batch.predicted_bytes or 0 for batch in known), default=1))
    with rc_context(_STYLE):
        figure, axes = _figure(4.5 * (1 + is_timed), 3.6, columns=1 + is_timed)
        memory = axes[0]
        sizes = [batch.chunk_size for batch in sweep.batches]
        predicted = [(b.predicted_bytes or 0) / unit for b in known]
        memory.plot([b.chunk_size for b in known], predicted, "o-", c=_PREDICTED, label="predicted")
        run = [b for b in sweep.batches if b.measured_bytes is not None]
        if run:
            measured = [(b.measured_bytes or 0) / unit for b in run]
            memory.plot([b.chunk_size for b in run], measured, "s", c=_MEASURED, label="measured")
        if sweep.budget:
            limit = sweep.budget.limit_bytes / unit
            memory.axhline(limit, color=_BUDGET, lw=2, ls="--", label="budget")
        memory.set_ylabel(f"memory of the batch [{unit_name}]")
        memory.set_yscale("log")
        memory.legend(fontsize=8)
        if is_timed:
            _draw_speed(axes[1], sweep)
        for each in axes:
            each.set_xscale("log", base=2)
            each.set_xticks(sizes, [f"{size:,}" for size in sizes])
            each.minorticks_off()
            each.set_xlabel("calls in the batch")
        device = sweep.target or (sweep.budget.device_kind if sweep.budget else "")
        figure.suptitle(f"{sweep.spec}, {sweep.dtype}, {device}", color=_INK, fontsize=10)
        figure.savefig(path, dpi=150)


def _draw_speed(axes: Axes, sweep: Sweep) -> None:
    """Evaluations per second: the median batch, and the quartiles."""
    timed = [(b.chunk_size, *b.wall_seconds) for b in sweep.batches if b.wall_seconds]
    sizes = [size for size, *_ in timed]
    rates = [size / median for size, _, median, _ in timed]
    below = [size / median - size / upper for size, _, median, upper in timed]
    above = [size / lower - size / median for size, lower, median, _ in timed]
    axes.errorbar(sizes, rates, (below, above), fmt="s-", color=_MEASURED, capsize=3)
    axes.set_ylabel("evaluations per second")
    axes.set_ylim(bottom=0)


def _stack(axes: Axes, y: int, footprint: Footprint, unit: int) -> None:
    left = 0.0
    for label, (field, color) in _PARTS.items():
        width = getattr(footprint, field) / unit
        axes.barh(y, width, left=left, height=0.6, color=color, label=label)
        left += width


def _without_repeats(axes: Axes) -> tuple[list[Any], list[str]]:
    handles, labels = axes.get_legend_handles_labels()
    first = dict(zip(reversed(labels), reversed(handles), strict=True))
    return [first[label] for label in dict.fromkeys(labels)], list(dict.fromkeys(labels))


def _figure(width: float, height: float, columns: int) -> tuple[Figure, list[Axes]]:
    """Without pyplot: no window, no state that outlives the picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def _unit(largest_bytes: int) -> tuple[int, str]:
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if largest_bytes >= unit:
            return unit, name
    return 1, "B"
