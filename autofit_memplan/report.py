"""A plan as a table for people. Every figure is a field of the record; nothing is computed."""

from __future__ import annotations

import io
from collections.abc import Callable

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from autofit_memplan.records import DeviceBudget, Footprint, Plan, ProgramPlan
from autofit_memplan.units import format_bytes

_PLAIN_WIDTH = 100
_INDENT = (0, 0, 0, 2)


class PlanReport:
    """A plan, ready to be shown: ``print`` gives plain text, a rich console gives colour."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def __rich__(self) -> RenderableType:
        plan = self._plan
        parts: list[RenderableType] = [
            _heading(plan),
            _section("Budget"),
            budget_report(plan.budget),
            _section("One call"),
            _call_table(plan.call),
            _section("Programs"),
            _program_table(plan.programs),
        ]
        if plan.warnings:
            parts.append(_section("Warnings", style="bold yellow"))
            parts += [_remark(warning, style="yellow") for warning in plan.warnings]
        return Group(*parts)

    def __str__(self) -> str:
        buffer = io.StringIO()
        # All set by hand: a notebook or FORCE_COLOR must not change what goes to a log file.
        console = Console(
            file=buffer,
            width=_PLAIN_WIDTH,
            color_system=None,
            force_terminal=False,
            force_jupyter=False,
        )
        console.print(self)
        return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())

    __repr__ = __str__


def render(plan: Plan) -> PlanReport:
    """The plan as a rich renderable that also prints as plain text."""
    return PlanReport(plan)


def report_text(plan: Plan) -> str:
    """The plan as plain text, at most 100 columns wide and without colour codes."""
    return str(render(plan))


def budget_report(budget: DeviceBudget) -> RenderableType:
    """A budget line by line, and its notes."""
    return Group(_budget_table(budget), *(_remark(note) for note in budget.notes))


def _heading(plan: Plan) -> RenderableType:
    budget = plan.budget
    verdict = Text("fits", "bold green") if plan.fits else Text("does not fit", "bold red")
    where = f"{budget.target}, not in this machine" if budget.target else budget.platform
    return Text.assemble(("Memory plan", "bold"), f" for {budget.device_kind} ({where}): ", verdict)


def _section(title: str, style: str = "bold cyan") -> RenderableType:
    return Padding(Text(title, style), (1, 0, 0, 0))


def _remark(text: str, style: str = "dim") -> RenderableType:
    """One note or warning with a hanging indent. Text is shown as it is, brackets and all."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_row(Text("-", style), Text(text, style))
    return Padding(grid, _INDENT)


def _figures(*justify: str) -> Table:
    """A borderless table whose column ``i`` is justified as told."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for how in justify:
        table.add_column(justify=how)  # pyright: ignore[reportArgumentType]
    return table


def _budget_table(budget: DeviceBudget) -> RenderableType:
    table = _figures("left", "right", "left")
    for line in budget.lines:
        figure = Text("unknown", "yellow") if line.bytes is None else format_bytes(line.bytes)
        table.add_row(Text(line.label), figure, Text(line.source, "dim"))
    table.add_row(Text("budget", "bold"), Text(format_bytes(budget.limit_bytes), "bold"), "")
    if budget.largest_block_bytes is not None:
        block = format_bytes(budget.largest_block_bytes)
        table.add_row("largest block", block, Text("upper bound on one temporary block", "dim"))
    return Padding(table, _INDENT)


def _call_table(call: Footprint) -> RenderableType:
    rows = (
        ("arguments", call.argument_bytes, ""),
        ("outputs", call.output_bytes, ""),
        ("aliased", call.alias_bytes, "outputs that reuse an argument; taken off the total"),
        ("temporaries", call.temp_bytes, ""),
        ("constants", call.constant_bytes, "arrays closed over"),
        ("library scratch", call.scratch_bytes, "modelled: FFT and solver work areas"),
    )
    table = _figures("left", "right", "left")
    for label, n, remark in rows:
        table.add_row(label, format_bytes(n), Text(remark, "dim"))
    table.add_row(Text("total", "bold"), Text(format_bytes(call.total_bytes), "bold"), "")
    seconds = "cached" if call.from_cache else f"{call.compile_seconds:.2f} s"
    table.add_row("compiled in", seconds, "")
    return Padding(table, _INDENT)


def _program_table(programs: tuple[ProgramPlan, ...]) -> RenderableType:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("")
    for program in programs:
        table.add_column(Text(program.name, "bold"), justify="right")
    rows: tuple[tuple[str, Callable[[ProgramPlan], RenderableType]], ...] = (
        ("calls", lambda p: f"{p.n:,}"),
        ("unchunked needs", lambda p: format_bytes(p.unchunked.predicted_bytes)),
        ("  would that fit", _would_fit),
        ("  figure is", lambda p: "compiled" if p.unchunked.is_compiled else "extrapolated"),
        ("chunk size", lambda p: Text(f"{p.chunk_size:,}", "bold")),
        ("  chosen by", lambda p: p.chosen_by),
        ("waves", lambda p: f"{p.waves:,}"),
        ("predicted peak", lambda p: Text(format_bytes(p.predicted_bytes), "bold")),
        ("share of budget", lambda p: f"{p.budget_share:.1%}"),
        ("programs compiled", lambda p: f"{p.compiles}"),
        ("  figures from cache", lambda p: f"{p.cached}"),
        ("compile time", lambda p: f"{p.compile_seconds:.2f} s"),
    )
    for label, cell in rows:
        table.add_row(label, *(cell(program) for program in programs))
    return Padding(table, _INDENT)


def _would_fit(program: ProgramPlan) -> Text:
    return Text("yes", "green") if program.unchunked.fits else Text("no", "red")
