"""What a report says, in plain text and in colour."""

import io

import pytest
from rich.console import Console

from autofit_memplan.report import render, report_text


def row(text: str, label: str) -> list[str]:
    """The cells of the one line that begins with this label."""
    found = [line.strip() for line in text.splitlines() if line.strip().startswith(label + "  ")]
    assert len(found) == 1, (label, found)
    return found[0].removeprefix(label).split()


@pytest.mark.parametrize(
    ("label", "cells"),
    [
        ("allocator limit", "60.0 GiB JAX memory_stats"),
        ("in use", "-4.0 GiB JAX memory_stats"),
        ("free on the card", "unknown NVML: unknown (denied)"),
        ("limit 40 GiB", "-16.0 GiB user"),
        ("budget", "40.0 GiB"),
        ("arguments", "1.0 MiB"),
        ("outputs", "2.0 MiB"),
        ("temporaries", "210.0 MiB"),
        ("total", "232.5 MiB"),
        ("compiled in", "1.23 s"),
        ("calls", "1,500 50"),
        ("unchunked needs", "308.0 GiB 19.0 GiB"),
        ("would that fit", "no yes"),
        ("figure is", "extrapolated compiled"),
        ("chunk size", "75 48"),
        ("waves", "20 2"),
        ("predicted peak", "15.6 GiB 17.6 GiB"),
        ("share of budget", "39.1% 44.0%"),
        ("programs compiled", "5 3"),
        ("compile time", "13.57 s 24.68 s"),
    ],
)
def test_every_figure_stands_in_its_row(plan, label, cells):
    assert row(report_text(plan), label) == cells.split()


@pytest.mark.parametrize(
    ("label", "figure"),
    [
        ("aliased", "512.0 KiB"),
        ("constants", "3.0 MiB"),
        ("library scratch", "17.0 MiB"),
        ("largest block", "39.0 GiB"),
    ],
)
def test_figures_with_a_remark(plan, label, figure):
    assert row(report_text(plan), label)[:2] == figure.split()


def test_notes_and_warnings_are_shown_as_written(plan):
    # Square brackets are rich markup unless taken care of.
    text = report_text(plan)
    assert "NVML: unknown [denied]." in text
    warning = text.index("pure_callback [twice] was left out of the figures.")
    assert warning > text.index("compile time")


def test_print_gives_plain_text_whatever_the_terminal(plan, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "30")
    print(plan.report())
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert printed == report_text(plan) + "\n"
    assert max(map(len, printed.splitlines())) <= 100


def test_a_rich_console_gets_colour_and_the_same_words(plan):
    coloured, bare = io.StringIO(), io.StringIO()
    Console(file=coloured, width=100, force_terminal=True, color_system="truecolor").print(
        render(plan)
    )
    Console(file=bare, width=100, color_system=None).print(render(plan))
    assert "\x1b[1m" in coloured.getvalue()
    assert bare.getvalue().split() == report_text(plan).split()


def test_eighty_columns_cut_nothing(plan):
    buffer = io.StringIO()
    Console(file=buffer, width=80, color_system=None).print(render(plan))
    assert buffer.getvalue().split() == report_text(plan).split()


def test_the_verdict_leads(plan):
    heading = report_text(plan).splitlines()[0]
    assert heading == "Memory plan for NVIDIA A100-SXM4-80GB (gpu): fits"
    small = plan.budget.model_copy(update={"limit_bytes": 1})
    failing = plan.model_copy(update={"budget": small})
    assert report_text(failing).splitlines()[0].endswith(": does not fit")


def test_unknown_block_and_no_warnings_leave_no_row(plan):
    budget = plan.budget.model_copy(update={"largest_block_bytes": None})
    text = report_text(plan.model_copy(update={"budget": budget, "warnings": ()}))
    assert "largest block" not in text
    assert "Warnings" not in text
