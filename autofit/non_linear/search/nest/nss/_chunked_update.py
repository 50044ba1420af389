"""The step's particles in waves of `chunk_size` chains: blackjax's update strategy, chunked."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from blackjax.mcmc.slice import SliceInfo
from blackjax.ns.nss import sample_direction_from_covariance_factor

from autofit.non_linear.search.nest.nss._memory import chunked_vmap


def make_chunked_update_strategy(chunk_size: int) -> Callable:
    """An update strategy that runs at most `chunk_size` chains at once.

    The chains are those of `blackjax.ns.from_mcmc.update_with_mcmc_take_last`, with the same keys
    and start points; only how many of them share one batch differs.

    Parameters
    ----------
    chunk_size
        Most chains at once.

    Returns
    -------
    ``strategy(constrained_mcmc_step_fn, num_mcmc_steps, num_delete) -> update_function``, to be
    given to `blackjax.ns.nss.build_kernel` as ``update_strategy``.
    """

    def strategy(constrained_mcmc_step_fn, num_mcmc_steps: int, num_delete: int) -> Callable:
        def update_function(rng_key, state, loglikelihood_0, *, covariance_factor):
            choice_key, sample_key = jax.random.split(rng_key)
            start = choose_survivors(choice_key, state.particles, loglikelihood_0, num_delete)
            keys = split_per_move(sample_key, num_delete, num_mcmc_steps)
            directions = draw_directions(keys, start.position, covariance_factor)

            def move(particle, key_and_direction):
                key, direction = key_and_direction
                return constrained_mcmc_step_fn(
                    key, particle, loglikelihood_0=loglikelihood_0, direction=direction
                )

            def chain(particle, keys, directions):
                return jax.lax.scan(move, particle, (keys, directions))

            particles, infos = chunked_vmap(chain, chunk_size)(start, keys, directions)
            birth = jnp.full_like(particles.loglikelihood_birth, loglikelihood_0)
            return particles._replace(loglikelihood_birth=birth), infos

        return update_function

    return strategy


def choose_survivors(rng_key, particles, loglikelihood_0, num_delete: int):
    """Start points: `num_delete` draws, with replacement, from the particles above the contour.

    When none is above it (a plateau), all are candidates, as in blackjax.
    """
    alive = (particles.loglikelihood > loglikelihood_0).astype(jnp.float32)
    alive = jnp.where(alive.sum() > 0.0, alive, jnp.ones_like(alive))
    chosen = jax.random.choice(
        rng_key, len(alive), shape=(num_delete,), p=alive / alive.sum(), replace=True
    )
    return jax.tree.map(lambda x: x[chosen], particles)


def split_per_move(rng_key, num_delete: int, num_moves: int):
    """Keys of every (particle, move), shape ``(num_delete, num_moves)``, split as blackjax does."""
    return jax.vmap(lambda key: jax.random.split(key, num_moves))(
        jax.random.split(rng_key, num_delete)
    )


def draw_directions(keys, position, covariance_factor):
    """Slice directions of every (particle, move); leaves ``(num_delete, num_moves, ...)``.

    They depend on the keys alone. Drawing them here, for all particles of a move at once as
    upstream does, keeps the rounding of the product with `covariance_factor` independent of
    the chunk size.
    """

    def for_all_particles(_, move_keys):
        def draw(key, particle_position):
            direction_key, _ = jax.random.split(key)
            return sample_direction_from_covariance_factor(
                direction_key, particle_position, covariance_factor
            )

        return None, jax.vmap(draw)(move_keys, position)

    _, directions = jax.lax.scan(for_all_particles, None, keys.T)
    return jax.tree.map(lambda x: x.swapaxes(0, 1), directions)


def given_direction_proposal(init_state_fn: Callable, loglikelihood_0, *, direction) -> Callable:
    """`blackjax.ns.nss.covariance_proposal` along a direction that was drawn beforehand."""

    def proposal_generator(rng_key, position, logdensity_fn):
        def slice_fn(t):
            x = jax.tree.map(lambda p, d: p + t * d, position, direction)
            new_state = init_state_fn(x, loglikelihood_birth=loglikelihood_0)
            return new_state, new_state.loglikelihood > loglikelihood_0

        return slice_fn

    return proposal_generator


class Evaluations(NamedTuple):
    """Likelihood evaluations of one iteration.

    Attributes
    ----------
    useful
        What the chains needed, one by one.
    total
        What the device computed: chains that share a batch wait for the slowest in each loop.
    """

    useful: jax.Array
    total: jax.Array


def count_evaluations(info: SliceInfo, chunk_size: int) -> Evaluations:
    """Count the likelihood evaluations behind a step's `SliceInfo`, exactly.

    A slice move evaluates both ends of its bracket, then steps out to the left, then to the
    right, then shrinks; in a batch each of the three loops runs until its slowest chain is done.

    Parameters
    ----------
    info
        Leaves of shape ``(num_delete, num_inner_steps)``.
    chunk_size
        Chains in one batch.
    """
    # The bracket starts at (-u, 1 - u) with u in [0, 1) and grows by whole widths of 1.
    left = jnp.floor(-info.bracket_left).astype(info.num_expansions.dtype)
    loops = (left, info.num_expansions - left, info.num_shrink)
    useful = 2 * left.size + sum(loop.sum() for loop in loops)

    def slowest(*chain_loops):
        return sum(loop.max(axis=0) for loop in chain_loops)

    n = left.shape[0]
    rounds = -(-n // chunk_size)
    width = -(-n // rounds)
    fill = jnp.minimum(jnp.arange(rounds * width), n - 1)
    per_wave = jax.vmap(slowest)(*(x[fill].reshape(rounds, width, -1) for x in loops))
    total = width * (2 * rounds * left.shape[1] + per_wave.sum())
    return Evaluations(useful, total)
