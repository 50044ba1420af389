"""Everything random about a step, drawn ahead for every (particle, move) from its own key.

The draws are those of `blackjax.mcmc.slice` with the same threefry keys, split in the same way.
None of them depends on where a chain is, so the order in which moves are run cannot change a chain.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

DRAWN_AHEAD = 8
"""Shrink proposals drawn ahead for each move; the few moves that need more split on the way."""

KIND = "threefry2x32"
"""Of keys: each one's numbers are the same whichever batch they are drawn in."""


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
    """Keys of every (particle, move), shape ``(num_delete, num_moves)``, split as blackjax does.

    Parameters
    ----------
    rng_key
        A typed key, or an old-style one of ``uint32``.

    Raises
    ------
    ValueError
        If its numbers depend on the batch in which they are drawn.
    """
    if not jnp.issubdtype(rng_key.dtype, jax.dtypes.prng_key):
        rng_key = jax.random.wrap_key_data(rng_key)
    kind = jax.random.key_impl(rng_key)
    if kind != KIND:
        raise ValueError(
            f"the random numbers of {kind} keys depend on which of them are drawn at once, so a "
            f"chain would depend on the chunk size; pass jax.random.key(seed, impl={KIND!r})"
        )
    return _split(jax.random.split(rng_key, num_delete), num_moves)


def split_move(keys):
    """Two keys from each: as blackjax splits a move's into direction and slice."""
    pairs = _split(keys.reshape(-1)).reshape(*keys.shape, 2)
    return pairs[..., 0], pairs[..., 1]


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

    Notes
    -----
    All keys in one axis, all uniforms in one call: XLA takes most of its time for the step over the
    hashes of random numbers, several times longer over those of batches of batches.
    """
    shape, flat = keys.shape, keys.reshape(-1)
    level, interval, shrink_key = _split(flat, 3).T
    offset, budget = _split(interval).T
    shrink_key, shrinks = jax.lax.scan(
        lambda key, _: tuple(_split(key).T), shrink_key, length=DRAWN_AHEAD
    )
    drawn = jnp.concatenate([level, offset, budget, shrinks.reshape(-1)])
    level, offset, budget, *shrinks = _uniform(drawn, dtype).reshape(-1, *shape)
    return Moves(
        direction=directions,
        log_height=jnp.log(level),
        offset=offset,
        budget_left=jnp.floor(max_steps * budget).astype(jnp.int32),
        shrink=jnp.stack(shrinks, axis=-1),
        shrink_key=shrink_key.reshape(shape),
    )


def next_shrink(keys, dtype) -> tuple[jax.Array, jax.Array]:
    """The keys to go on from and the uniforms of the next shrink proposals, of shape ``(n,)``."""
    keys, subkeys = _split(keys).T
    return keys, _uniform(subkeys, dtype)


def _split(keys, num: int = 2):
    return jax.vmap(lambda key: jax.random.split(key, num))(keys)


def _uniform(keys, dtype) -> jax.Array:
    return jax.vmap(lambda key: jax.random.uniform(key, dtype=dtype))(keys)
