"""What the turns of ``"auto"`` and of fixed chunk sizes tell about its speed and its cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.auto.worker import Turn

AUTO = "auto"

Round = dict[str, Turn]
"""One turn of each chunk size."""


class Figures(NamedTuple):
    """Of one cell.

    Attributes
    ----------
    per_second
        Useful evaluations, of each chunk size while sampling, over all of its turns.
    best
        The fastest fixed one.
    whole_per_second
        Those of ``"auto"``, planning and init included.
    share_of_best
        The latter by the speed of `best`.
    tuning_seconds
        What the search cost, see `tuning_seconds`.
    cost_share
        Planning and tuning by all of the time of ``"auto"``.
    """

    per_second: dict[str, float]
    best: str
    whole_per_second: float
    share_of_best: float
    tuning_seconds: float | None
    cost_share: float | None


def figures(
    rounds: Sequence[Round], n_live: int, planning_seconds: float, init_seconds: float
) -> Figures:
    """Figures of a cell.

    Parameters
    ----------
    rounds
        In order, each with ``"auto"`` and at least one fixed chunk size.
    n_live
        Evaluations of init.
    planning_seconds, init_seconds
        Of ``"auto"``.
    """
    chunks = {chunk for each in rounds for chunk in each}
    per_second = {
        chunk: _rate([each[chunk] for each in rounds if chunk in each])
        for chunk in sorted(chunks, key=lambda chunk: (chunk == AUTO, len(chunk), chunk))
    }
    best = max(per_second.keys() - {AUTO}, key=per_second.__getitem__)
    own = [each[AUTO] for each in rounds]
    seconds = planning_seconds + init_seconds + sum(turn.seconds for turn in own)
    whole = (n_live + sum(turn.useful for turn in own)) / seconds
    tuning = tuning_seconds(rounds, best)
    return Figures(
        per_second,
        best,
        whole,
        whole / per_second[best],
        tuning,
        None if tuning is None else (planning_seconds + tuning) / seconds,
    )


def tuning_seconds(rounds: Sequence[Round], fixed: str) -> float | None:
    """The time until the search ended, less what as many evaluations would have taken afterwards.

    How fast the machine was in each round is told by the turns of a fixed chunk size, so that it
    does not matter if it was faster or slower then.

    Returns
    -------
    ``None`` if the search went on to the end.
    """
    searching = [i for i, each in enumerate(rounds) if each[AUTO].is_searching]
    if not searching:
        return 0.0
    both = [(each[AUTO], _rate([each[fixed]])) for each in rounds if fixed in each]
    until = searching[-1] + 1
    before, after = both[:until], both[until:]
    if not after:
        return None
    relative = sum(turn.useful for turn, _ in after) / sum(t.seconds * rate for t, rate in after)
    needed = sum(turn.useful / (rate * relative) for turn, rate in before)
    return sum(turn.seconds for turn, _ in before) - needed


def _rate(turns: Sequence[Turn]) -> float:
    return sum(turn.useful for turn in turns) / sum(turn.seconds for turn in turns)
