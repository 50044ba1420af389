"""One way of counting the free bytes: lines that add up."""

from __future__ import annotations

from typing import NamedTuple

from autofit_memplan.records import BudgetLine


class Account(NamedTuple):
    """One view of how much memory is left, e.g. the allocator's or a cgroup's.

    A budget is the smallest of several accounts, each of which is an upper bound by itself.
    """

    name: str
    lines: tuple[BudgetLine, ...]

    @property
    def total_bytes(self) -> int:
        """The sum of the lines; lines without a figure do not count."""
        return sum(line.bytes for line in self.lines if line.bytes is not None)
