"""Rendering of a result: the rich table for the terminal and the text of `model.results`."""

import math
from io import StringIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autofit.non_linear.samples_summary import SamplesSummary

_COLUMNS = ("parameter", "median", "1 sigma", "3 sigma", "max log-likelihood")


def result_table(summary: SamplesSummary, style: box.Box | None = box.SIMPLE_HEAD) -> Table:
    """Table of the parameters: median, 1 and 3 sigma intervals, and the best sample.

    Parameters
    ----------
    summary
        What to show.
    style
        Frame of the table; None for plain aligned text.
    """
    table = Table(box=style, pad_edge=False, padding=(0, 2, 0, 0))
    for column in _COLUMNS:
        table.add_column(column)
    rows = zip(
        summary.parameter_names,
        summary.median_pdf,
        summary.values_at_sigma_1,
        summary.values_at_sigma_3,
        summary.max_log_likelihood,
        strict=True,
    )
    for name, median, one, three, best in rows:
        width = (one[1] - one[0]) / 2
        cells = (
            name,
            format_value(median, width),
            f"({format_value(one[0], width)}, {format_value(one[1], width)})",
            f"({format_value(three[0], width)}, {format_value(three[1], width)})",
            format_value(best, width),
        )
        # Text, not str: a name such as `galaxies[0]` must not be read as rich's markup.
        table.add_row(*(Text(cell) for cell in cells))
    return table


def result_text(summary: SamplesSummary) -> str:
    """Text of `model.results`: evidence, best log-likelihood, and the aligned table."""
    facts = (
        ("Log evidence", _log_evidence(summary)),
        ("Maximum log likelihood", f"{summary.log_likelihood:.3f}"),
        ("Effective sample size", f"{summary.effective_sample_size:.1f}"),
        ("Samples", str(summary.total_samples)),
        ("Free parameters", str(len(summary.parameter_names))),
    )
    lines = [f"{label:<24}{value}" for label, value in facts]
    # Wide enough that no cell is ever cut; rich pads no further than the widest cell needs.
    console = Console(file=StringIO(), width=10_000, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(result_table(summary, style=None))
    lines += ["", *(line.rstrip() for line in capture.get().splitlines())]
    return "\n".join(lines).rstrip() + "\n"


def format_value(value: float, width: float) -> str:
    """A number with the digits that its 1 sigma half-width justifies: three of the width.

    Parameters
    ----------
    value
        The number.
    width
        Half the 1 sigma interval of its parameter. Without a positive width six digits are shown.
    """
    if not (math.isfinite(width) and width > 0 and math.isfinite(value)):
        return f"{value:.6g}"
    decimals = 2 - math.floor(math.log10(width))
    if decimals <= 8 and abs(value) < 1e8:
        return f"{value:.{max(decimals, 0)}f}"
    magnitude = math.floor(math.log10(abs(value))) if value else -decimals
    # A float has 17 significant digits at most; a value far below its width still gets three.
    return f"{value:.{min(max(magnitude + decimals, 2), 16)}e}"


def _log_evidence(summary: SamplesSummary) -> str:
    if summary.log_evidence is None:
        return "unknown"
    if summary.log_evidence_error is None:
        return f"{summary.log_evidence:.3f}"
    return f"{summary.log_evidence:.3f} ± {summary.log_evidence_error:.3f}"
