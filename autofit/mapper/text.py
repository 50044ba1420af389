"""Layout of `model.info`: indented names on the left, values in one column on the right."""

from collections.abc import Iterable
from typing import NamedTuple

_LEAST_COLUMN = 44
_INDENT = 4


class Row(NamedTuple):
    """One line: how deep it is nested, its name, and its value or an empty string."""

    depth: int
    name: str
    value: str = ""


def aligned(rows: Iterable[Row]) -> str:
    """Return the rows as text, every value starting in the same column."""
    lines = [(" " * (_INDENT * row.depth) + row.name, row.value) for row in rows]
    column = max([_LEAST_COLUMN, *(len(name) + 2 for name, value in lines if value)])
    return "\n".join(f"{name:<{column}}{value}" if value else name for name, value in lines)
