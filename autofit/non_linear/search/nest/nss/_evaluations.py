"""Counting likelihood evaluations: what the chains needed, and what the device computed."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from blackjax.mcmc.slice import SliceInfo

from autofit.non_linear.search.nest.nss._memory import balanced


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


class CountedInfo(NamedTuple):
    """A step's info from a strategy that counts itself.

    Attributes
    ----------
    slice_info
        As upstream reports it.
    evaluations
        Of the step, leaves of shape ``(1,)``.
    """

    slice_info: SliceInfo
    evaluations: Evaluations


def count_evaluations(info: SliceInfo | CountedInfo, chunk_size: int) -> Evaluations:
    """Count the likelihood evaluations behind a step's info.

    A slice move evaluates both ends of its bracket, then steps out to the left, then to the
    right, then shrinks; in a batch each of the three loops runs until its slowest chain is done.

    Parameters
    ----------
    info
        Leaves of shape ``(num_delete, num_inner_steps)``.
    chunk_size
        Chains in one batch, where the strategy has not counted itself.
    """
    if isinstance(info, CountedInfo):
        return jax.tree.map(jnp.sum, info.evaluations)
    # The bracket starts at (-u, 1 - u) with u in [0, 1) and grows by whole widths of 1.
    left = jnp.floor(-info.bracket_left).astype(info.num_expansions.dtype)
    loops = (left, info.num_expansions - left, info.num_shrink)
    useful = 2 * left.size + sum(loop.sum() for loop in loops)

    def slowest(*chain_loops):
        return sum(loop.max(axis=0) for loop in chain_loops)

    n = left.shape[0]
    width = balanced(n, chunk_size)
    rounds = -(-n // width)
    fill = jnp.minimum(jnp.arange(rounds * width), n - 1)
    per_wave = jax.vmap(slowest)(*(x[fill].reshape(rounds, width, -1) for x in loops))
    total = width * (2 * rounds * left.shape[1] + per_wave.sum())
    return Evaluations(useful, total)
