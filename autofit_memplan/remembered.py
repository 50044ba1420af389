"""What a run leaves for the next one of the chunk size that was fastest."""

from __future__ import annotations

import math
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, PositiveInt


class Fastest(BaseModel):
    """The chunk size that gave the most evaluations per second, in the plan cache.

    Attributes
    ----------
    chunk_size
        The fastest.
    is_settled
        Whether nothing was left to try.
    ceiling
        The next larger one, where it could not be tried or did not work; a later run, which may
        have more memory, tries it.
    is_deadly
        Whether the ceiling was being run when this was written. If that is all that is left of the
        run, the system has killed it, and no other should go there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    chunk_size: PositiveInt
    is_settled: bool = True
    ceiling: PositiveInt | None = None
    is_deadly: bool = False

    @property
    def is_final(self) -> bool:
        """Whether a later run has nothing to try either."""
        return self.is_settled and (self.ceiling is None or self.is_deadly)

    def still_open(self, sizes: Iterable[int], start: int) -> list[int]:
        """Those of some sizes that a later run, which begins at `start`, should try; ascending."""
        ceiling = math.inf if self.ceiling is None else self.ceiling
        if self.is_deadly:
            sizes = [size for size in sizes if size < ceiling]
        if self.is_settled and start == self.chunk_size:
            sizes = [size for size in sizes if size >= ceiling]
        return sorted({start, *sizes})
