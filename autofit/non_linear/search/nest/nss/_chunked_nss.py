"""`build_chunked_nss_algorithm`: blackjax's nested slice sampler, a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

import blackjax
import jax
from blackjax.ns.adaptive import init as ns_init
from blackjax.ns.base import init_state_strategy
from blackjax.ns.nss import build_kernel, live_covariance_factor

from autofit.non_linear.search.nest.nss._chunked_update import (
    given_direction_proposal,
    make_chunked_update_strategy,
)
from autofit.non_linear.search.nest.nss._lanes import make_lane_update_strategy
from autofit.non_linear.search.nest.nss._memory import chunked_vmap, elements_computed

LIGHT_ELEMENTS = 100_000
"""Below so many array elements, under a mebibyte, a second call beside one is as good as free."""

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

    Notes
    -----
    XLA drops an axis of length 1, and what is left may round otherwise. So a likelihood with fewer
    than `LIGHT_ELEMENTS` is evaluated two at a time where one was asked for, except by ``"map"``.

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

    def lanes_for(position):
        if in_one_batch and scheduler is None:
            lanes = num_delete
        else:
            lanes = _with_an_axis(step_chunk, num_delete, loglikelihood_fn, position)
        return build_kernel(
            init_state,
            num_inner_steps,
            num_delete,
            update_strategy=make_lane_update_strategy(init_state, lanes),
        )

    waves = upstream
    if not in_one_batch:
        waves = build_kernel(
            init_state,
            num_inner_steps,
            num_delete,
            proposal=given_direction_proposal,
            inner_kernel_params=live_covariance_factor,
            update_strategy=make_chunked_update_strategy(step_chunk),
        )

    def init(position, rng_key=None):
        n_live = len(jax.tree.leaves(position)[0])
        chunk = _with_an_axis(init_chunk, n_live, loglikelihood_fn, position)
        return ns_init(
            position,
            init_state_fn=chunked_vmap(init_state, chunk),
            update_inner_kernel_params_fn=live_covariance_factor,
            rng_key=rng_key,
        )

    def step(rng_key, state):
        n_live = len(state.particles.loglikelihood)
        unchunked = in_one_batch and (step_chunk is None or step_chunk >= n_live)
        if scheduler == "map" or (unchunked and scheduler is None):
            kernel = waves
        else:
            kernel = lanes_for(state.particles.position)
        return kernel(rng_key, state)

    return blackjax.SamplingAlgorithm(init, step)


def _with_an_axis(
    chunk_size: ChunkSize, n: int, loglikelihood_fn: Callable, positions: Any
) -> ChunkSize:
    """The chunk, or 2 for a 1 that would cost the axis of a likelihood that is light."""
    if chunk_size != 1 or n == 1:
        return chunk_size
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), positions)
    return 2 if is_light(jax.jit(loglikelihood_fn).trace(one).jaxpr) else 1


def is_light(jaxpr: Any) -> bool:
    """Whether a call computes fewer than `LIGHT_ELEMENTS`, as far as that can be told."""
    elements = elements_computed(jaxpr)
    return elements is not None and elements < LIGHT_ELEMENTS
