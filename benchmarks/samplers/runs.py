"""One whole fit by each sampler; those of this project and blackjax's are here."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Literal

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from blackjax.ns.utils import finalise, log_weights

import autofit as af
from autofit.non_linear.fitness import Fitness
from autofit.non_linear.search.nest.nss._evaluations import count_evaluations
from autofit.non_linear.search.nest.nss._sampling import Sampling
from autofit_memplan.records import Plan
from benchmarks.samplers.outcome import Fitter, Outcome, compiled_here, kish, moments
from benchmarks.samplers.peers import dynesty, jaxns, nautilus
from benchmarks.samplers.problems import Problem
from benchmarks.samplers.settings import Settings
from benchmarks.schedulers import log_prior


def moves(problem: Problem) -> int:
    """Slice moves per new point that blackjax advises."""
    return max(5, 2 * problem.n_dim)


def cube(n_dim: int) -> af.Collection:
    """A model of `n_dim` parameters between 0 and 1."""
    return af.Collection(**{f"x{i}": af.UniformPrior(0.0, 1.0) for i in range(n_dim)})


class OnCube(af.Analysis):
    """The problem as a user of `autofit` would write it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem

    def log_likelihood_function(self, instance):
        point = [getattr(instance, f"x{i}") for i in range(self.problem.n_dim)]
        return self.problem.log_likelihood(jnp.stack(point))


def prepared(problem: Problem, search: af.NSS) -> tuple[Plan, Sampling]:
    """A search's plan for the problem, and its sampling, without a folder."""
    fitness = Fitness(cube(problem.n_dim), OnCube(problem))
    plan = search._plan(fitness)
    return plan, Sampling(fitness, search.options, plan, search._budget)


def autofit_nss(problem: Problem, settings: Settings, chunk_size: Literal["auto"] | None) -> Fitter:
    """`af.NSS`, without output on disk."""

    def fit(seed: int) -> Outcome:
        start = time.perf_counter()
        search = af.NSS(
            n_live=settings.n_live,
            num_mcmc_steps=moves(problem),
            num_delete=settings.num_delete,
            chunk_size=chunk_size,
            termination=settings.termination,
            seed=seed,
            silence=True,
        )
        samples = search.fit(cube(problem.n_dim), OnCube(problem)).samples
        seconds = time.perf_counter() - start
        info = samples.samples_info
        return Outcome(
            samples.log_evidence,
            samples.log_evidence_error,
            info["useful_evaluations"],
            info["total_evaluations"],
            samples.effective_sample_size,
            info["sampling_seconds"],
            seconds - info["sampling_seconds"],
            *moments(samples.parameters, np.log(samples.weights)),
        )

    return fit


def blackjax_nss(problem: Problem, settings: Settings) -> Fitter:
    """The script of blackjax's documentation: a compiled step in a Python loop.

    What this benchmark counts for its tables is not in the times.
    """
    algorithm = blackjax.nss(
        logprior_fn=log_prior,
        loglikelihood_fn=problem.log_likelihood,
        num_inner_steps=moves(problem),
        num_delete=settings.num_delete,
    )
    compiled: dict[str, Callable] = {}
    count = jax.jit(partial(count_evaluations, chunk_size=settings.num_delete))

    def advance(key, state):
        key, step_key = jax.random.split(key)
        state, info = algorithm.step(step_key, state)
        return key, state, info, state.integrator.logZ_live - state.integrator.logZ

    def fit(seed: int) -> Outcome:
        start = time.perf_counter()
        draw_key, init_key, weight_key, key = jax.random.split(jax.random.key(seed), 4)
        positions = jax.random.uniform(draw_key, (settings.n_live, problem.n_dim))
        if not compiled:
            compiled["init"] = compiled_here(algorithm.init, positions, init_key)
            state = jax.eval_shape(algorithm.init, positions, init_key)
            compiled["advance"] = compiled_here(advance, key, state)
        state, dead = compiled["init"](positions, init_key), []
        sampling, remaining = time.perf_counter(), np.inf
        while remaining >= settings.termination:
            key, state, info, remaining = compiled["advance"](key, state)
            dead.append(info)
        sampled = time.perf_counter()
        points = finalise(state, dead)
        weights = np.asarray(log_weights(weight_key, points))
        log_z, log_w = np.logaddexp.reduce(weights, axis=0), weights.mean(axis=1)
        mean_and_deviation = moments(np.asarray(points.particles.position), log_w)
        ended = time.perf_counter()
        counts = [count(info.update_info) for info in dead]
        useful, total = (settings.n_live + int(sum(c)) for c in zip(*counts, strict=True))
        return Outcome(
            float(log_z.mean()),
            float(log_z.std()),
            useful,
            total,
            kish(log_w),
            sampled - sampling,
            ended - start - (sampled - sampling),
            *mean_and_deviation,
        )

    return fit


SAMPLERS: dict[str, Callable[[Problem, Settings], Fitter]] = {
    "af.NSS auto": partial(autofit_nss, chunk_size="auto"),
    "af.NSS no chunks": partial(autofit_nss, chunk_size=None),
    "blackjax.nss": blackjax_nss,
    "nautilus": nautilus,
    "dynesty": dynesty,
    "jaxns": jaxns,
}
