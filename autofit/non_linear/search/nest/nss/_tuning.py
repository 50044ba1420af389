"""Which chunk size is fastest: a comparison that real iterations pay for.

The chain does not depend on the chunk, so iterations at one size and at another are both kept. The
sizes halve or double from the first, and after two successes in a row two, four… of these at once,
so that few have to be compiled. The best so far and a challenger take turns until the median of
their ratios stands out of its scatter, or once where a turn is long and one much slower; the search
ends when both neighbours of the best have lost to it, and waits while it would cost too much.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

from autofit.non_linear.search.nest.nss._memory import balanced
from autofit.non_linear.search.nest.nss._search_cost import SearchCost

PAIRS, MOST_PAIRS = 2, 20
"""Turns of the best and of the challenger before one of them is taken, at least and at most."""

SHORTEST = 2.5
"""Seconds that each of them gets at least, for a call or two may be disturbed."""

LONG_TURN, FAR = 5.0, 0.1
"""One pair is enough where a turn takes so many seconds and the log of the ratio is so far off."""

CLEARLY = 1.01
"""A challenger has to be so many times faster; less is noise."""

NOISE = 0.03
"""Scatter of a ratio that is expected at least, for two turns may agree by chance."""

EXPECTED_GAIN = 0.25
"""Share of the remaining time that a chunk size not tried yet is expected to save."""

_KEPT = 100  # timings of each chunk size, the latest


class Trial(NamedTuple):
    """What is known of one chunk size.

    Attributes
    ----------
    chunk_size
        Likelihood calls at once.
    evaluations_per_second
        Useful ones: the median of its latest device calls.
    calls
        Device calls that it is the median of.
    """

    chunk_size: int
    evaluations_per_second: float
    calls: int


def ladder(n: int, start: int, highest: int, lowest: int = 1) -> list[int]:
    """Chunk sizes worth a trial, ascending: `start`, halved and doubled, and `n` if it is passed.

    Parameters
    ----------
    n
        Calls of a step; sizes below it are balanced.
    start
        The first.
    highest
        None is larger; above `n`, spare lanes look ahead.
    lowest
        None but `start` is smaller.
    """
    sizes, size = {start}, start
    while size > lowest:
        size = balanced(n, max(-(-size // 2), lowest))
        sizes.add(size)
    size = start
    while size < highest:
        last, size = size, min(2 * size, highest)
        if last < n < size:
            size = n
        sizes.add(balanced(n, size) if size < n else size)
    return sorted(sizes)


class Tuner:
    """Chooses the chunk size of the next device call.

    Parameters
    ----------
    sizes
        Chunk sizes, ascending; see `ladder`.
    start
        One of them, whose program there is.
    compile_seconds
        What another program costs.
    ceiling
        The smallest size above all of them, where there is one that memory does not allow.
    planning_seconds
        What planning the run took.

    Attributes
    ----------
    cost
        What the search has cost so far.
    start, best
        The first, and the fastest so far.
    challenger
        What it is compared with, or is to be once that is compiled; else ``None``.
    current
        Of the next device call.
    is_settled
        Whether there is nothing left to try.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        start: int,
        compile_seconds: float,
        ceiling: int | None = None,
        planning_seconds: float = 0.0,
    ) -> None:
        self._sizes = list(sizes)
        self._rates: dict[int, deque[float]] = {start: deque(maxlen=_KEPT)}
        self._compile_seconds, self._turn_seconds = compile_seconds, 0.0
        self._direction, self._wins = 1, 0
        self._turns: dict[int, list[float]] = {}  # of best and challenger, once both can be run
        self.start = self.best = self.current = start
        self.challenger: int | None = None
        self._ceiling = ceiling
        self.is_settled = False
        self.cost = SearchCost(planning_seconds)

    def wanted(self, seconds_left: float, seconds_done: float = 0.0) -> int | None:
        """The chunk size whose program is to be compiled now; asked for once.

        Parameters
        ----------
        seconds_left
            How long the run is expected to go on.
        seconds_done
            How long it has gone on.
        """
        if self.challenger is not None or self.is_settled or not self._rates[self.best]:
            return None
        wanted = self._next()
        self.is_settled = wanted is None
        if seconds_left * EXPECTED_GAIN < self._compile_seconds + self._turn_seconds:
            return None
        if not self.cost.allows_another(seconds_done + seconds_left):
            return None
        self.challenger = wanted
        return wanted

    def compiled(self, seconds: float) -> None:
        """The program of the challenger is there, after so many seconds."""
        assert self.challenger is not None
        self._compile_seconds = seconds
        self._rates[self.challenger] = deque(maxlen=_KEPT)
        self._turns = {self.best: [], self.challenger: []}
        self.current = self.challenger

    def refuse(self) -> None:
        """The challenger does not fit, or does not work, nor what needs more memory."""
        assert self.challenger is not None
        place = self._sizes.index(self.challenger)
        is_above = self.challenger > self.best
        self._sizes[place:] = [] if is_above else self._sizes[place + 1 :]
        if is_above:
            self._ceiling = self.challenger
        self._rates.pop(self.challenger, None)
        self._end_comparison()

    def lower(self, chunk_size: int) -> None:
        """The memory ran out: go on at `chunk_size`, never again above, and look below it."""
        self._ceiling = self.best
        self._sizes = sorted({chunk_size, *(size for size in self._sizes if size < chunk_size)})
        self._rates = {
            size: rates for size, rates in self._rates.items() if size <= chunk_size and rates
        }
        self._rates.setdefault(chunk_size, deque(maxlen=_KEPT))
        self.best, self.is_settled = chunk_size, False
        self._end_comparison()

    def observe(self, chunk_size: int, useful: int, seconds: float) -> None:
        """A device call is done whose time tells how fast its chunk size is.

        Parameters
        ----------
        chunk_size
            It was made at.
        useful
            Evaluations that the chains needed.
        seconds
            It took.
        """
        rate = max(useful, 1) / max(seconds, 1e-9)
        self._rates[chunk_size].append(rate)
        self._turn_seconds = seconds
        if not self._turns:
            return
        assert self.challenger is not None
        self._turns[chunk_size].append(rate)
        best, other = self._turns[self.best], self._turns[self.challenger]
        self.current = self.best if len(best) < len(other) else self.challenger
        gains = [math.log(b / a) for a, b in zip(best, other, strict=False)]
        if not gains or len(best) != len(other):
            return
        gain = statistics.median(gains) - math.log(CLEARLY)
        if abs(gain) > _doubt(gains, seconds) or len(gains) >= MOST_PAIRS:
            self._decide(has_won=gain > 0)

    @property
    def ceiling(self) -> int | None:
        """What would be tried next above the best, but cannot be or has not worked."""
        return self._ceiling if self.best == self._sizes[-1] else None

    @property
    def trials(self) -> list[Trial]:
        """What was tried, by chunk size."""
        return [
            Trial(size, statistics.median(rates), len(rates))
            for size, rates in sorted(self._rates.items())
            if rates
        ]

    def _decide(self, has_won: bool) -> None:
        assert self.challenger is not None
        if has_won:
            self._direction = 1 if self.challenger > self.best else -1
            self.best, self._wins = self.challenger, self._wins + 1
        else:
            self._wins = 0
        self._end_comparison()

    def _end_comparison(self) -> None:
        if rates := self._turns.get(self.best) or self._rates[self.best]:
            self.cost.end(statistics.median(rates))
        self.challenger, self._turns = None, {}
        self.current = self.best

    def _next(self) -> int | None:
        """The next size that nothing is known of, ahead or else behind the best."""
        place = self._sizes.index(self.best)
        below, above = self._sizes[:place][::-1], self._sizes[place + 1 :]
        ahead, behind = (below, above) if self._direction < 0 else (above, below)
        far = 2 ** max(self._wins - 1, 0)
        for sizes, stride in ((ahead, far), (behind, 1)):
            unknown = list(takewhile(lambda size: size not in self._rates, sizes))
            if unknown:
                return unknown[min(stride, len(unknown)) - 1]
        return None


def _doubt(gains: Sequence[float], turn_seconds: float) -> float:
    """By how much the median of some gains may be off, by chance."""
    if len(gains) < PAIRS or len(gains) * turn_seconds < SHORTEST:
        return FAR if turn_seconds >= LONG_TURN else math.inf
    middle = statistics.median(gains)
    # of normal scatter, whose standard deviation is 1.48 times the median distance
    scatter = 1.48 * statistics.median(abs(gain - middle) for gain in gains)
    return 2 * 1.25 * max(scatter, NOISE) / math.sqrt(len(gains))
