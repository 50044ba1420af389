"""Runs to save and to restore, with dead points that need no sampling."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from problems import cube

from autofit.non_linear.search.nest.nss._checkpoint import Checkpoint
from autofit.non_linear.search.nest.nss._chunked_nss import build_chunked_nss_algorithm
from autofit.non_linear.search.nest.nss._run import Run
from autofit.non_linear.search.nest.nss.samples import all_points

MODEL, SEARCH = cube(3, 1.0), {"class": "NSS", "seed": 5}


def fresh_run(offset=0.0, scale=1.0) -> Run:
    """A run with thirty live points in three dimensions, as it starts."""
    return Run(jax.random.key(2), _first_state(offset, scale))


@cache
def _first_state(offset: float, scale: float):
    algorithm = build_chunked_nss_algorithm(
        logprior_fn=lambda x: jnp.zeros((), x.dtype),
        loglikelihood_fn=lambda x: offset - 1e3 * scale * jnp.sum((x - 0.3) ** 2),
        num_inner_steps=3,
        num_delete=10,
        chunk_size=None,
    )
    positions = jax.random.uniform(jax.random.key(1), (30, 3))
    return jax.jit(algorithm.init)(positions, jax.random.key(3))


def advance(run: Run, iterations: int, rows: int = 10) -> None:
    """Iterations that let `rows` points die each, with numbers that follow from the counts."""
    for _ in range(iterations):
        rng = np.random.default_rng(run.iterations)
        dead = jax.tree.map(
            lambda x, rng=rng: rng.normal(size=(rows, *x.shape[1:])).astype(x.dtype),
            run.state.particles,
        )
        run.state = jax.tree.map(lambda x: np.asarray(x) + np.asarray(1, x.dtype), run.state)
        run.rng_key = jax.random.fold_in(run.rng_key, run.iterations)
        run.dead = (*run.dead, dead)
        run.iterations += 1
        run.useful_evaluations += 7
        run.total_evaluations += 11
        run.seconds += 0.1


def bits(run: Run) -> list[bytes]:
    """All that a run is, to be compared bit by bit."""
    arrays = (jax.random.key_data(run.rng_key), run.state, all_points(run))
    counts = (run.iterations, run.useful_evaluations, run.total_evaluations, run.n_dead)
    leaves = [np.asarray(x) for x in jax.tree.leaves(arrays)]
    text = [f"{x.dtype}{x.shape}" for x in leaves] + [repr(counts), repr(run.seconds)]
    return [x.tobytes() for x in leaves] + [line.encode() for line in text]


def checkpoint(folder, run=None, search=SEARCH, model=MODEL, precision="float64") -> Checkpoint:
    return Checkpoint(folder, fresh_run() if run is None else run, search, model, precision)
