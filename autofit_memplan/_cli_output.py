"""Results to standard output, everything else to standard error."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table

from autofit_memplan.errors import MemplanError

_PLAIN_WIDTH = 120


def show(*parts: RenderableType) -> None:
    """Print for people: in a terminal as wide as it is, elsewhere without trailing blanks."""
    if sys.stdout.isatty():
        Console().print(*parts, sep="\n")
        return
    console = Console(width=_PLAIN_WIDTH)
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def remark(text: str) -> None:
    """Say something that is not part of the result."""
    print(f"memplan: {text}", file=sys.stderr)


@contextlib.contextmanager
def written(path: Path) -> Iterator[None]:
    """While a file is written; says so.

    Raises
    ------
    MemplanError
        When the disk does not take it.
    """
    try:
        yield
    except OSError as error:
        raise MemplanError(f"{path} cannot be written: {error.strerror or error}") from error
    remark(f"wrote {path}")


@contextlib.contextmanager
def at_work() -> Iterator[Callable[[str], None]]:
    """A spinner on standard error, if that is a terminal, with what is going on beside it.

    Meanwhile, what the user's own code prints goes to standard error, too.

    Yields
    ------
    A function that changes the text.
    """
    with (
        contextlib.redirect_stdout(sys.stderr),
        Console(stderr=True).status("reading the budget …") as status,
    ):
        yield lambda text: status.update(f"{text} …")


def rows(*headings: str) -> Table:
    """A table with a head; a heading that begins with ``>`` stands over figures."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in headings:
        is_figure = heading.startswith(">")
        table.add_column(heading.removeprefix(">"), justify="right" if is_figure else "left")
    return table
