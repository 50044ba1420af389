"""What the lanes carry from tick to tick."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from blackjax.ns.base import StateWithLogLikelihood

from autofit.non_linear.search.nest.nss._lane_slots import Slots

LEFT, RIGHT, SHRINK, IDLE = range(4)
"""What a candidate is: a left end, a right end, a shrink proposal, or nothing."""

RECORD = 5
"""Numbers noted of each move: accepted, step-outs, shrinks, outer bracket."""


class Lanes(NamedTuple):
    """One chain per lane; leaves of shape ``(lanes, ...)``.

    Attributes
    ----------
    particle, move
        What the lane is working on.
    is_active
        Whether it is working at all.
    state
        Where the chain is.
    direction, level
        Of the move.
    left, right
        Bracket, which shrinks in the end.
    outer_left, outer_right
        Bracket as stepping out left it.
    budget_left, budget_right
        Step-outs still allowed.
    steps_left, steps_right
        Whether stepping out goes on at that end.
    shrinks
        Shrink proposals evaluated.
    late_key
        Goes on from `Moves.shrink_key` where the proposals drawn ahead do not suffice.
    late
        The uniform of the next proposal, in that case.
    records
        Finished moves of the particle: accepted, step-outs, shrinks, outer bracket; shape
        ``(lanes, num_moves, 5)``.
    """

    particle: jax.Array
    move: jax.Array
    is_active: jax.Array
    state: StateWithLogLikelihood
    direction: Any
    level: jax.Array
    left: jax.Array
    right: jax.Array
    outer_left: jax.Array
    outer_right: jax.Array
    budget_left: jax.Array
    budget_right: jax.Array
    steps_left: jax.Array
    steps_right: jax.Array
    shrinks: jax.Array
    late_key: jax.Array
    late: jax.Array
    records: jax.Array


class Step(NamedTuple):
    """State of the loop: lanes, next particle in the queue, what is finished, and the counts."""

    lanes: Lanes
    slots: Slots
    queue: jax.Array
    finished: jax.Array
    outcome: tuple[StateWithLogLikelihood, jax.Array] | None
    useful: jax.Array
    ticks: jax.Array


def choose(mask: jax.Array, new: Any, old: Any) -> Any:
    """Leaf by leaf, the lanes of `new` where `mask` holds, else those of `old`."""

    def leaf(new, old):
        return jnp.where(mask.reshape(mask.shape + (1,) * (new.ndim - 1)), new, old)

    return jax.tree.map(leaf, new, old)
