"""`memplan sweep`: batches of several sizes, as a table, CSV, JSON and a picture."""

from __future__ import annotations

import argparse

from rich.text import Text

from autofit_memplan._cli_output import at_work, rows, show, written
from autofit_memplan.certify import infeasible
from autofit_memplan.errors import MeasureError
from autofit_memplan.measure import Batch, Job
from autofit_memplan.plots import draw_sweep, require_matplotlib
from autofit_memplan.sweep import Sweep, sweep_here, sweep_target
from autofit_memplan.units import format_bytes


def sweep(options: argparse.Namespace) -> None:
    """Run the command."""
    if options.plot:
        require_matplotlib(options.plot)  # before, not after, the minutes that measuring takes
    jobs = [
        Job(options.spec, options.n_dim, options.dtype, options.limit, chunk_size)
        for chunk_size in options.chunks
    ]
    verb = "compiling" if options.target else "measuring"
    with at_work() as say:

        def on_batch(chunk_size: int) -> None:
            say(
                f"{verb} a batch of {chunk_size} ({options.chunks.index(chunk_size) + 1} of "
                f"{len(jobs)})"
            )

        if options.target:
            result = sweep_target(jobs, options.target, on_batch)
        else:
            result = sweep_here(jobs, on_batch)
    # What took minutes is shown first: no disk that is full may take it away.
    if options.json:
        print(result.model_dump_json(indent=1))
    else:
        _show(result)
    if options.csv:
        with written(options.csv):
            options.csv.write_text(result.to_csv())
    if options.plot:
        with written(options.plot):
            draw_sweep(result, options.plot)
    _require_some(result)


def _require_some(result: Sweep) -> None:
    """Refuse a sweep of which nothing came, for scripts that look at the exit code.

    Raises
    ------
    InfeasibleError
        When no batch fits.
    MeasureError
        When none could be measured.
    """
    budget, predicted = result.budget, [b.footprint for b in result.batches if b.footprint]
    if budget and predicted and not any(map(budget.holds, predicted)):
        raise infeasible("the smallest batch", predicted[0], budget)
    if not result.target and all(batch.measured_bytes is None for batch in result.batches):
        raise MeasureError("no batch could be measured; the table says why.")


def _show(result: Sweep) -> None:
    where = "a device of unknown memory"
    if result.budget:
        limit = format_bytes(result.budget.limit_bytes)
        where = f"{result.budget.device_kind}, budget {limit}"
    measured = () if result.target else (">measured", ">evaluations/s", ">one batch", ">times")
    table = rows(">batch", ">predicted", *measured, "")
    for batch in result.batches:
        table.add_row(
            f"{batch.chunk_size:,}",
            _size(batch.predicted_bytes),
            *(_measured(batch) if measured else ()),
            Text(batch.note),
        )
    show(Text(f"{result.spec}, {result.dtype}, on {where}", "bold"), "", table)


def _measured(batch: Batch) -> tuple[str, ...]:
    rate = batch.evaluations_per_second
    return (
        _size(batch.measured_bytes),
        "-" if rate is None else f"{rate:,.1f}",
        _span(batch.wall_seconds) if batch.wall_seconds else "-",
        f"{batch.repeats}",
    )


def _size(n: int | None) -> str:
    return "-" if n is None else format_bytes(n)


def _span(seconds: tuple[float, float, float]) -> str:
    """Median and quartiles, in milliseconds."""
    lower, median, upper = (f"{1e3 * s:,.2f}" for s in seconds)
    return f"{median} ms ({lower} to {upper})"
