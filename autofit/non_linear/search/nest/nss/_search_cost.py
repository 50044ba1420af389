"""What planning and the search for the fastest chunk size take of a run, which is to be little."""

from __future__ import annotations

SHARE = 0.05
"""Of a run, at most, for planning and for trials beyond the first one."""


class SearchCost:
    """Seconds that trials of chunk sizes have cost, and whether another one is within the share.

    A trial lasts from the order to compile until it is decided. It costs the time in which the
    winner, alone, would not have done the evaluations that were done.

    Parameters
    ----------
    planning_seconds
        What planning took.

    Attributes
    ----------
    seconds
        What the trials cost, those that are done.
    """

    def __init__(self, planning_seconds: float) -> None:
        self._planning_seconds = planning_seconds
        self._calls: list[tuple[int, float]] = []
        self._trials = 0
        self.seconds = 0.0

    def observe(self, useful: int, seconds: float) -> None:
        """A device call of a trial, whichever chunk size it was made at."""
        self._calls.append((useful, seconds))

    def end(self, evaluations_per_second: float) -> None:
        """The trial, if there was one, is decided; the winner has that speed."""
        if not self._calls:
            return
        useful, seconds = map(sum, zip(*self._calls, strict=True))
        self.seconds += max(0.0, seconds - useful / evaluations_per_second)
        self._trials += 1
        self._calls.clear()

    def allows_another(self, run_seconds: float) -> bool:
        """Whether a trial like those before is within the share of a run that takes so long.

        The first one always is: nobody knows what it costs, nor what it may save.
        """
        if not self._trials:
            return True
        with_another = self.seconds * (1 + 1 / self._trials)
        return self._planning_seconds + with_another <= SHARE * run_seconds
