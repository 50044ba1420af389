"""When a run writes what it leaves on the way."""

from __future__ import annotations

import math
from typing import NamedTuple

from autofit.non_linear.errors import OptionError
from autofit.non_linear.search.nest.nss._options import require_int


class Intervals(NamedTuple):
    """When to write; ``None`` is never.

    Attributes
    ----------
    checkpoint, quick, full
        Iterations between two savings of the state, two pictures, and two full results.
    seconds
        Wall time between two savings of the state; whichever comes first counts.
    """

    checkpoint: int | None = None
    quick: int | None = None
    full: int | None = None
    seconds: float | None = 60.0

    def check(self) -> Intervals:
        """The same intervals, or an `OptionError`."""
        for name, value in (
            ("checkpoint_interval", self.checkpoint),
            ("iterations_per_quick_update", self.quick),
            ("iterations_per_full_update", self.full),
        ):
            if value is not None:
                require_int(name, value, least=1)
        seconds = self.seconds
        if seconds is not None and (
            isinstance(seconds, bool)
            or not isinstance(seconds, int | float)
            or not 0.0 < seconds < math.inf
        ):
            raise OptionError(
                f"checkpoint_seconds must be a positive number or None, not {seconds!r}"
            )
        return self
