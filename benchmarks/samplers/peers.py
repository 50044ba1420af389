"""One whole fit by nautilus, dynesty and jaxns, each as its own documentation shows it."""

from __future__ import annotations

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.samplers.outcome import Fitter, Outcome, compiled_here, kish, moments
from benchmarks.samplers.problems import Problem
from benchmarks.samplers.settings import N_BATCH, Settings


def nautilus(problem: Problem, settings: Settings) -> Fitter:
    """nautilus with a compiled, vectorised likelihood, which it always calls with `N_BATCH` points.

    Points of the exploration are dropped at the end, without which its evidence is biased. It
    states no error of the evidence; that of importance sampling, ``n_eff ** -0.5``, stands in.
    """
    from nautilus import Sampler

    compiled: dict[str, Callable] = {}

    def fit(seed: int) -> Outcome:
        start = time.perf_counter()
        if not compiled:
            points = jnp.zeros((N_BATCH, problem.n_dim))
            batched = jax.vmap(problem.log_likelihood)
            compiled["batch"] = compiled_here(batched, points)
        sampling = time.perf_counter()
        sampler = Sampler(
            lambda unit: unit,
            lambda points: np.asarray(compiled["batch"](points)),
            n_dim=problem.n_dim,
            n_live=settings.n_live_nautilus,
            n_batch=N_BATCH,
            vectorized=True,
            pass_dict=False,
            seed=seed,
        )
        sampler.run(n_eff=settings.n_eff, discard_exploration=True)
        seconds = time.perf_counter() - sampling
        points, log_w, _ = sampler.posterior()
        n_calls = int(sampler.n_like)
        return Outcome(
            float(sampler.log_z),
            float(sampler.n_eff) ** -0.5,
            n_calls,
            n_calls,
            kish(log_w),
            seconds,
            sampling - start,
            *moments(points, log_w),
        )

    return fit


def dynesty(problem: Problem, settings: Settings) -> Fitter:
    """dynesty's static sampler, one compiled likelihood call at a time."""
    from dynesty import NestedSampler

    compiled: dict[str, Callable] = {}

    def fit(seed: int) -> Outcome:
        start = time.perf_counter()
        if not compiled:
            point = jnp.zeros(problem.n_dim)
            compiled["call"] = compiled_here(problem.log_likelihood, point)
        sampling = time.perf_counter()
        sampler = NestedSampler(
            lambda point: float(compiled["call"](point)),
            lambda unit: unit,
            problem.n_dim,
            nlive=settings.n_live,
            rstate=np.random.default_rng(seed),
        )
        sampler.run_nested(print_progress=False)
        seconds = time.perf_counter() - sampling
        results = sampler.results
        n_calls = int(np.sum(results.ncall))
        return Outcome(
            float(results.logz[-1]),
            float(results.logzerr[-1]),
            n_calls,
            n_calls,
            kish(np.asarray(results.logwt)),
            seconds,
            sampling - start,
            *moments(np.asarray(results.samples), np.asarray(results.logwt)),
        )

    return fit


def jaxns(problem: Problem, settings: Settings) -> Fitter:
    """jaxns, whose roots are our live points.

    It compiles while it runs, for each size of its buffers. So each fit is made twice: the second
    time is sampling, what the first took longer is compiling. With `jax.jit`, so the options that
    `compiled_here` passes are in the environment of its process, `settings.XLA_FLAGS`.
    """
    from jaxns.core import NestedSampler
    from jaxns.model import Model
    from jaxns.priors import Prior
    from tensorflow_probability.substrates.jax.distributions import Uniform

    def prior_model():
        low, high = jnp.zeros(problem.n_dim), jnp.ones(problem.n_dim)
        return problem.log_likelihood(Prior(Uniform(low, high), name="x").realise())

    sampler = NestedSampler(
        model=Model(prior_model=prior_model), root_allocation_degree=settings.n_live
    )

    def run(seed: int):
        start = time.perf_counter()
        result = sampler.run(key=jax.random.PRNGKey(seed)).to_result().trim()
        jax.block_until_ready(result.log_Z_mean)
        return result, time.perf_counter() - start

    def fit(seed: int) -> Outcome:
        _, first = run(seed)
        result, seconds = run(seed)
        return Outcome(
            float(result.log_Z_mean),
            float(result.log_Z_uncert),
            int(result.total_num_likelihood_evaluations),
            None,
            kish(np.asarray(result.log_dp)),
            seconds,
            max(first - seconds, 0.0),
            *moments(np.asarray(result.X_samples["x"]), np.asarray(result.log_dp)),
        )

    return fit
