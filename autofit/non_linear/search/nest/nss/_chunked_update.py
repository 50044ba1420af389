"""The step's particles in waves of `chunk_size` chains: blackjax's update strategy, chunked."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from autofit.non_linear.search.nest.nss._memory import chunked_vmap
from autofit.non_linear.search.nest.nss._move_kinds import draw_directions
from autofit.non_linear.search.nest.nss._moves import split_move, split_per_move


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
            direction_keys, _ = split_move(keys)
            directions = draw_directions(direction_keys, start.position, covariance_factor)

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


def given_direction_proposal(init_state_fn: Callable, loglikelihood_0, *, direction) -> Callable:
    """`blackjax.ns.nss.covariance_proposal` along a direction that was drawn beforehand."""

    def proposal_generator(rng_key, position, logdensity_fn):
        def slice_fn(t):
            x = jax.tree.map(lambda p, d: p + t * d, position, direction)
            new_state = init_state_fn(x, loglikelihood_birth=loglikelihood_0)
            return new_state, new_state.loglikelihood > loglikelihood_0

        return slice_fn

    return proposal_generator
