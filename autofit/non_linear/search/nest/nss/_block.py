"""One device call of the loop: several nested-sampling iterations and the termination test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import blackjax
import jax
import jax.numpy as jnp

from autofit.non_linear.search.nest.nss._evaluations import Evaluations
from autofit.non_linear.search.nest.nss._first_values import too_large

CAPACITY = 64
"""Most iterations of one device call; their dead points wait on the device in the meantime."""


class Block(NamedTuple):
    """What one device call returns.

    Attributes
    ----------
    rng_key, state
        To go on with.
    iterations
        Iterations done, at most `CAPACITY`; only so many leading rows of `dead` are filled.
    dead
        Replaced particles, leaves of shape ``(CAPACITY, num_delete, ...)``.
    evaluations
        Likelihood evaluations of the block.
    is_converged, is_plateau, is_healthy
        Whether the remaining evidence is below the termination, whether so many live points share
        the highest likelihood that the next contour would be it, and whether the evidence is a
        number that can tell a change of 1.
    """

    rng_key: jax.Array
    state: Any
    iterations: jax.Array
    dead: Any
    evaluations: Evaluations
    is_converged: jax.Array
    is_plateau: jax.Array
    is_healthy: jax.Array


def block_program(
    algorithm: blackjax.SamplingAlgorithm,
    count_evaluations: Callable[[Any], Evaluations],
    termination: float,
    num_delete: int,
) -> Callable[[jax.Array, Any, jax.Array], Block]:
    """The function ``(rng_key, state, limit) -> Block`` that the loop compiles and runs.

    Parameters
    ----------
    algorithm
        Its ``step`` is one iteration.
    count_evaluations
        Counts the evaluations behind the step's ``update_info``.
    termination
        The run ends when ``log Z_live - log Z`` is below it.
    num_delete
        Points that the step replaces. On a plateau none can be better than the contour: copies
        would come in their place, and count as if they had been found.

    Notes
    -----
    Small likelihoods would otherwise wait for the host after every iteration. The key is split
    as a plain loop on the host would split it: ``rng_key, step_key = split(rng_key)``.
    """

    def is_converged(state):
        return state.integrator.logZ_live - state.integrator.logZ < termination

    def is_plateau(state):
        values = jnp.sort(state.particles.loglikelihood)
        return values[num_delete - 1] == values[-1]

    def is_healthy(state):
        evidence = jnp.logaddexp(state.integrator.logZ, state.integrator.logZ_live)
        shape = jax.tree.leaves(state.inner_kernel_params)
        return (
            ~too_large(evidence, evidence.dtype)
            & ~jnp.isnan(evidence)
            & jnp.all(jnp.stack([jnp.isfinite(x).all() for x in shape]))
        )

    def program(rng_key, state, limit):
        def go_on(block):
            may = (block.iterations < limit) & (block.iterations < CAPACITY)
            return may & ~(block.is_converged | block.is_plateau) & block.is_healthy

        def iterate(block):
            rng_key, step_key = jax.random.split(block.rng_key)
            state, info = algorithm.step(step_key, block.state)
            evaluations = count_evaluations(info.update_info)
            return Block(
                rng_key=rng_key,
                state=state,
                iterations=block.iterations + 1,
                dead=jax.tree.map(
                    lambda rows, row: rows.at[block.iterations].set(row), block.dead, info.particles
                ),
                evaluations=jax.tree.map(
                    lambda total, new: total + new, block.evaluations, evaluations
                ),
                is_converged=is_converged(state),
                is_plateau=is_plateau(state),
                is_healthy=is_healthy(state),
            )

        _, info = jax.eval_shape(algorithm.step, rng_key, state)
        counts = jax.eval_shape(count_evaluations, info.update_info)
        start = Block(
            rng_key=rng_key,
            state=state,
            iterations=jnp.zeros((), jnp.int32),
            dead=jax.tree.map(lambda x: jnp.zeros((CAPACITY, *x.shape), x.dtype), info.particles),
            evaluations=jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), counts),
            is_converged=is_converged(state),
            is_plateau=is_plateau(state),
            is_healthy=is_healthy(state),
        )
        return jax.lax.while_loop(go_on, iterate, start)

    return program
