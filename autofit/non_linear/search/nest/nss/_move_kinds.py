"""The kinds of slice moves that lanes can run: hit-and-run, and coordinate sweeps.

A kind says which keys its moves have, along what they go, and how the records of single moves
become upstream's report. Anything that can be said so before the first evaluation can be run by
`make_lane_update_strategy`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from blackjax.mcmc.slice import SliceInfo, random_order
from blackjax.ns.nss import sample_direction_from_covariance_factor
from jax.flatten_util import ravel_pytree

from autofit.non_linear.search.nest.nss._moves import split_move


class Chains(NamedTuple):
    """All moves of all particles, before any is run.

    Attributes
    ----------
    slice_keys
        Typed keys of shape ``(num_delete, num_moves)``.
    directions
        A pytree, leaves ``(num_delete, num_moves, ...)``.
    along
        ``(position, direction, t) -> position``: where coordinate `t` of one move's slice lies.
    report
        From records of shape ``(num_delete, num_moves, 5)`` (accepted, step-outs, shrinks, left and
        right end of the bracket) to upstream's `SliceInfo`.
    """

    slice_keys: jax.Array
    directions: Any
    along: Callable[[Any, Any, jax.Array], Any]
    report: Callable[[jax.Array], SliceInfo]


class MoveKind(Protocol):
    """``(keys, positions, **inner_kernel_params) -> Chains``; keys ``(num_delete, num_steps)``."""

    def __call__(self, keys: jax.Array, position: Any, **inner_kernel_params: Any) -> Chains: ...


def hit_and_run(keys: jax.Array, position: Any, *, covariance_factor: jax.Array) -> Chains:
    """One move per step in a random direction: the moves of `blackjax.nss`."""
    direction_keys, slice_keys = split_move(keys)
    directions = draw_directions(direction_keys, position, covariance_factor)

    def along(position, direction, t):
        return jax.tree.map(lambda p, d: p + t * d, position, direction)

    return Chains(slice_keys, directions, along, lambda records: _slice_info(*_columns(records)))


def coordinate_sweeps(keys: jax.Array, position: Any, *, widths: jax.Array) -> Chains:
    """Every axis once per step, in random order: the moves of `blackjax.nsswig`.

    Parameters
    ----------
    widths
        Scale of each axis, shape ``(n_dim,)``, as `blackjax.ns.nss.live_widths` gives it.
    """
    one, unravel = ravel_pytree(jax.tree.map(lambda x: x[0], position))
    n_dim = one.shape[0]
    order_keys, sweep_keys = split_move(keys)
    order = _twice(lambda key: random_order(key, n_dim), order_keys)
    axis_keys = _twice(lambda key: jax.random.split(key, n_dim), sweep_keys)
    _, slice_keys = split_move(axis_keys.reshape(len(keys), -1))
    axis = order.reshape(len(keys), -1)

    def along(position, direction, t):
        axis, width = direction
        flat, unravel = ravel_pytree(position)
        return unravel(flat.at[axis].add(t * width))  # as upstream rounds it

    def report(records: jax.Array) -> SliceInfo:
        per_axis = records.reshape(*order.shape, records.shape[-1])
        accepted, step_outs, shrinks, left, right = _columns(per_axis)
        in_place = jnp.argsort(order, axis=-1)
        left, right = (
            _twice(unravel, jnp.take_along_axis(x, in_place, axis=-1)) for x in (left, right)
        )
        return _slice_info(
            jnp.all(accepted > 0, axis=-1),
            step_outs.sum(axis=-1),
            shrinks.sum(axis=-1),
            left,
            right,
        )

    return Chains(slice_keys, (axis, widths[axis]), along, report)


def draw_directions(keys: jax.Array, position: Any, covariance_factor: jax.Array) -> Any:
    """Hit-and-run directions of every (particle, move); leaves ``(num_delete, num_moves, ...)``.

    They depend on the direction keys alone, shape ``(num_delete, num_moves)``. Drawing them for
    all particles of a move at once, as upstream does, keeps the rounding of the product with
    `covariance_factor` independent of the chunk size.
    """

    def for_all_particles(_, move_keys):
        draw = jax.vmap(sample_direction_from_covariance_factor, in_axes=(0, 0, None))
        return None, draw(move_keys, position, covariance_factor)

    _, directions = jax.lax.scan(for_all_particles, None, keys.swapaxes(0, 1))
    return jax.tree.map(lambda x: x.swapaxes(0, 1), directions)


def _twice(fn: Callable, x: Any) -> Any:
    """`fn` of every (particle, step)."""
    return jax.vmap(jax.vmap(fn))(x)


def _columns(records: jax.Array) -> jax.Array:
    return jnp.moveaxis(records, -1, 0)


def _slice_info(accepted, step_outs, shrinks, left, right) -> SliceInfo:
    return SliceInfo(accepted > 0, step_outs.astype(int), shrinks.astype(int), left, right)
