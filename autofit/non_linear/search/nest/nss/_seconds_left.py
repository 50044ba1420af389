"""How long a run is expected to go on, by how fast its remaining evidence falls."""

from __future__ import annotations

import math


class SecondsLeft:
    """How long a run is expected to go on.

    A straight line through the remaining evidence now and at half of the time until now tells;
    while it does not fall, as long again as the run has lasted.

    Parameters
    ----------
    termination
        The remaining evidence at which the run ends.
    iterations, seconds
        After which it ends in any case.

    Attributes
    ----------
    elapsed
        Seconds that it has gone on.
    """

    def __init__(
        self, termination: float, iterations: int | None = None, seconds: float | None = None
    ) -> None:
        self._termination = termination
        self._iterations = math.inf if iterations is None else iterations
        self._seconds = math.inf if seconds is None else seconds
        self._done = 0
        self.elapsed = self._left = 0.0
        self._history: list[tuple[float, float]] = []

    def observe(self, seconds: float, iterations: int, remaining: float) -> None:
        """A device call of some iterations; ``log Z_live - log Z`` is `remaining` after it."""
        self.elapsed += seconds
        self._done += iterations
        if not self._history or self.elapsed > 1.1 * self._history[-1][0]:  # a few hundred at most
            self._history.append((self.elapsed, remaining))
        then, before = max(
            (point for point in self._history if point[0] <= self.elapsed / 2),
            default=self._history[0],
        )
        fallen, since = before - remaining, self.elapsed - then
        self._left = self.elapsed
        if 0 < fallen < math.inf and since > 0:
            self._left = since * (remaining - self._termination) / fallen
        to_go = (self._iterations - self._done) * self.elapsed / max(self._done, 1)
        self._left = max(0.0, min(self._left, to_go, self._seconds - self.elapsed))

    @property
    def seconds(self) -> float:
        """Expected from now on; 0 while nothing is known."""
        return self._left
