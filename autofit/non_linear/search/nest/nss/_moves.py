"""Everything random about a step, drawn ahead for every (particle, move) from its own key.

The draws are those of `blackjax.mcmc.slice` with the same keys, split in the same way. None of
them depends on where a chain is, so the order in which moves are run cannot change a chain.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

DRAWN_AHEAD = 8
"""Shrink proposals drawn ahead for each move; the few moves that need more split on the way."""


class Moves(NamedTuple):
    """The random parts of slice moves; leaves of shape ``(num_delete, num_moves, ...)``.

    Attributes
    ----------
    direction
        Slice direction, a pytree like a position.
    log_height
        Log of the slice level's uniform, to be added to the log density.
    offset
        Where the initial unit bracket starts: at ``-offset``.
    budget_left
        Step-outs allowed to the left; the right side has the rest of ``max_steps - 1``.
    shrink
        Uniforms of the first `DRAWN_AHEAD` shrink proposals, in a last axis.
    shrink_key
        The key that the later ones go on from.
    """

    direction: Any
    log_height: jax.Array
    offset: jax.Array
    budget_left: jax.Array
    shrink: jax.Array
    shrink_key: jax.Array


def split_per_move(rng_key, num_delete: int, num_moves: int):
    """Keys of every (particle, move), shape ``(num_delete, num_moves)``, split as blackjax does."""
    return jax.vmap(lambda key: jax.random.split(key, num_moves))(
        jax.random.split(rng_key, num_delete)
    )


def split_move(keys):
    """Two keys from each: as blackjax splits a move's into direction and slice."""
    pairs = jax.vmap(jax.vmap(jax.random.split))(keys)
    return pairs[:, :, 0], pairs[:, :, 1]


def draw_moves(keys, directions, max_steps: int, dtype) -> Moves:
    """Draw the moves of every key.

    Parameters
    ----------
    keys
        Typed slice keys of shape ``(num_delete, num_moves)``.
    directions
        Leaves ``(num_delete, num_moves, ...)``.
    max_steps
        Cap on the step-outs of one move, both sides together.
    dtype
        Of the coordinates along the slice.
    """

    def draw(key):
        level_key, interval_key, shrink_key = jax.random.split(key, 3)
        offset_key, budget_key = jax.random.split(interval_key)
        shrink_key, shrink = jax.lax.scan(
            lambda key, _: next_shrink(key, dtype), shrink_key, length=DRAWN_AHEAD
        )
        budget = jnp.floor(max_steps * jax.random.uniform(budget_key, dtype=dtype))
        return (
            jnp.log(jax.random.uniform(level_key, dtype=dtype)),
            jax.random.uniform(offset_key, dtype=dtype),
            budget.astype(jnp.int32),
            shrink,
            shrink_key,
        )

    return Moves(directions, *jax.vmap(jax.vmap(draw))(keys))


def next_shrink(key, dtype) -> tuple[jax.Array, jax.Array]:
    """The key to go on from and the uniform of the next shrink proposal."""
    key, subkey = jax.random.split(key)
    return key, jax.random.uniform(subkey, dtype=dtype)
