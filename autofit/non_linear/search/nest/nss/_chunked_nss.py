"""`build_chunked_nss_algorithm`: blackjax's nested slice sampler, a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import blackjax
from blackjax.ns.adaptive import init as ns_init
from blackjax.ns.base import init_state_strategy
from blackjax.ns.nss import build_kernel, live_covariance_factor

from autofit.non_linear.search.nest.nss._chunked_update import (
    given_direction_proposal,
    make_chunked_update_strategy,
)
from autofit.non_linear.search.nest.nss._lanes import make_lane_update_strategy
from autofit.non_linear.search.nest.nss._memory import chunked_vmap

ChunkSize = int | None
Scheduler = Literal["lanes", "map"]


def build_chunked_nss_algorithm(
    *,
    logprior_fn: Callable,
    loglikelihood_fn: Callable,
    num_inner_steps: int,
    num_delete: int,
    chunk_size: ChunkSize | tuple[ChunkSize, ChunkSize],
    scheduler: Scheduler | None = None,
) -> blackjax.SamplingAlgorithm:
    """Nested slice sampling whose init and step evaluate `chunk_size` particles at a time.

    The kernel is `blackjax.ns.nss.build_kernel`'s own; only the two places where it batches over
    particles are replaced. The chains do not depend on the chunk size, as long as the likelihood
    of a particle does not depend on the batch that it is evaluated in.

    Parameters
    ----------
    logprior_fn, loglikelihood_fn
        Functions of one position.
    num_inner_steps
        Slice moves per replaced particle; at least ``max(5, 2 * n_dim)`` for an unbiased evidence.
    num_delete
        Particles replaced per step.
    chunk_size
        Most particles at once, or a pair: one chunk for init and another for step. ``None``, or
        as many as there are live points, is `blackjax.nss` itself, bit for bit.
    scheduler
        How a step works through its particles in chunks: ``"lanes"``, where no chain waits for
        another (the default), or ``"map"``, wave by wave, which in one wave is upstream's step.
        Named, it also holds without chunks, and ``"lanes"`` for more lanes than particles, too:
        the spare ones look ahead, which is a gain only where a larger batch takes no longer.

    Raises
    ------
    ValueError
        For a scheduler that does not exist.

    Returns
    -------
    ``init(positions, rng_key)`` and ``step(rng_key, state)``, to be jitted by the caller.

    References
    ----------
    Yallup, Kroupa & Handley 2026, arXiv:2601.23252.
    """
    if scheduler not in (None, *get_args(Scheduler)):
        raise ValueError(f'scheduler must be "lanes" or "map", not {scheduler!r}')
    init_chunk, step_chunk = chunk_size if isinstance(chunk_size, tuple) else (chunk_size,) * 2
    init_state = partial(
        init_state_strategy, logprior_fn=logprior_fn, loglikelihood_fn=loglikelihood_fn
    )
    upstream = build_kernel(init_state, num_inner_steps, num_delete)
    in_one_batch = step_chunk is None or step_chunk >= num_delete
    lanes = step_chunk if scheduler == "lanes" or not in_one_batch else num_delete
    if scheduler != "map":
        chunked = build_kernel(
            init_state,
            num_inner_steps,
            num_delete,
            update_strategy=make_lane_update_strategy(init_state, lanes),
        )
    elif in_one_batch:
        chunked = upstream
    else:
        chunked = build_kernel(
            init_state,
            num_inner_steps,
            num_delete,
            proposal=given_direction_proposal,
            inner_kernel_params=live_covariance_factor,
            update_strategy=make_chunked_update_strategy(step_chunk),
        )

    def init(position, rng_key=None):
        return ns_init(
            position,
            init_state_fn=chunked_vmap(init_state, init_chunk),
            update_inner_kernel_params_fn=live_covariance_factor,
            rng_key=rng_key,
        )

    def step(rng_key, state):
        n_live = len(state.particles.loglikelihood)
        unchunked = in_one_batch and (step_chunk is None or step_chunk >= n_live)
        kernel = upstream if unchunked and scheduler is None else chunked
        return kernel(rng_key, state)

    return blackjax.SamplingAlgorithm(init, step)
