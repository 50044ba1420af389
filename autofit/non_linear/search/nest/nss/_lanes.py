"""Continuous batching: one loop, one likelihood call site, lanes that never wait for each other.

A step replaces particles, each by a chain of slice moves, and each move needs an unknown number
of likelihood evaluations. Upstream batches the chains and every one waits for the slowest in every
loop of every move. Here a *lane* holds one chain and the one candidate that it needs evaluated
next. A tick evaluates the candidates of all lanes in one batch; then every lane advances on its
own: to the next bracket end, the next shrink proposal, the next move, or the next particle.

The chains are upstream's: all randomness is drawn ahead from the keys of (particle, move).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from autofit.non_linear.search.nest.nss._chunked_update import choose_survivors
from autofit.non_linear.search.nest.nss._evaluations import CountedInfo, Evaluations
from autofit.non_linear.search.nest.nss._lane_rules import Rules
from autofit.non_linear.search.nest.nss._move_kinds import MoveKind, hit_and_run
from autofit.non_linear.search.nest.nss._moves import draw_moves, split_per_move


def make_lane_update_strategy(
    init_state_fn: Callable,
    lanes: int | None = None,
    *,
    max_steps: int = 10,
    max_shrinkage: int = 100,
    depth: int = 2,
    kind: MoveKind = hit_and_run,
) -> Callable:
    """An update strategy that keeps `lanes` chains busy until every particle is replaced.

    Parameters
    ----------
    init_state_fn
        ``(position, loglikelihood_birth) -> StateWithLogLikelihood``: the likelihood's call site.
    lanes
        Likelihood evaluations in one batch; as many as particles when not given. More than
        particles pay only where a larger batch takes no longer, for the others look ahead.
    max_steps, max_shrinkage
        Caps of one slice move, as in `blackjax.ns.nss.build_kernel`.
    depth
        Most candidates of one chain in a batch: lanes without a particle evaluate what the others
        may need next. 1 leaves them idle.
    kind
        Of the moves: `hit_and_run`, or `coordinate_sweeps` for `blackjax.ns.nss.build_swig_kernel`.

    Returns
    -------
    ``strategy(constrained_mcmc_step_fn, num_mcmc_steps, num_delete) -> update_function`` for
    `blackjax.ns.nss.build_kernel`; the constrained step is not used, its moves are made here. The
    update's info is a `CountedInfo`.
    """

    def strategy(constrained_mcmc_step_fn, num_mcmc_steps: int, num_delete: int) -> Callable:
        del constrained_mcmc_step_fn
        width = num_delete if lanes is None else lanes

        def update_function(rng_key, state, loglikelihood_0, **inner_kernel_params):
            choice_key, sample_key = jax.random.split(rng_key)
            start = choose_survivors(choice_key, state.particles, loglikelihood_0, num_delete)
            keys = split_per_move(sample_key, num_delete, num_mcmc_steps)
            chains = kind(keys, start.position, **inner_kernel_params)
            dtype = jnp.result_type(float)

            def evaluate(position, direction, t):
                candidate = chains.along(position, direction, t)
                return init_state_fn(candidate, loglikelihood_birth=loglikelihood_0)

            rules = Rules(
                moves=draw_moves(chains.slice_keys, chains.directions, max_steps, dtype),
                start=start,
                loglikelihood_0=loglikelihood_0,
                max_steps=max_steps,
                max_shrinkage=max_shrinkage,
                depth=depth,
                evaluate=jax.vmap(evaluate),
            )
            end = jax.lax.while_loop(rules.is_unfinished, rules.tick, rules.begin(width))
            particles, records = rules.outcome(end)
            birth = jnp.full_like(particles.loglikelihood_birth, loglikelihood_0)
            evaluations = Evaluations(end.useful[None], width * end.ticks[None])
            info = CountedInfo(chains.report(records), evaluations)
            return particles._replace(loglikelihood_birth=birth), info

        return update_function

    return strategy
