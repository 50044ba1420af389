"""Which chain each evaluation of a tick serves: its own lane's, or, idle, another one's next guess.

A lane without a particle would evaluate something nobody needs. Instead its place in the batch, its
*slot*, serves a lane that still has one: the candidates of a move are known before any of them is
evaluated, as far as one presumes how the ones before come out.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Slots(NamedTuple):
    """Who is served in the batch of a tick.

    Attributes
    ----------
    lane
        The lane that each slot serves, shape ``(lanes,)``.
    ahead
        Which of that lane's candidates: 0 is the one it needs next, shape ``(lanes,)``.
    of_lane
        The slots of each lane's candidates, shape ``(lanes, depth)``; the number of slots where
        there is none.
    """

    lane: jax.Array
    ahead: jax.Array
    of_lane: jax.Array


def assign_slots(is_active: jax.Array, depth: int) -> Slots:
    """Deal the slots out to the active lanes in turn: first candidates first, then second ones.

    Parameters
    ----------
    is_active
        Lanes that have a particle, shape ``(lanes,)``; at least one.
    depth
        Most candidates of one lane in a tick. Slots beyond serve nobody.
    """
    width = is_active.shape[0]
    n_active = jnp.maximum(jnp.sum(is_active, dtype=jnp.int32), 1)
    turn = jnp.arange(width, dtype=jnp.int32)
    rank = jnp.cumsum(is_active, dtype=jnp.int32) - 1
    in_turn = turn.at[jnp.where(is_active, rank, width)].set(turn, mode="drop")
    slot = rank[:, None] + n_active * jnp.arange(depth, dtype=jnp.int32)
    return Slots(
        lane=in_turn[turn % n_active],
        ahead=jnp.minimum(turn // n_active, depth - 1),
        of_lane=jnp.where(is_active[:, None] & (slot < width), slot, width),
    )
