"""Wrong values are found: a likelihood planted with the fault of a batch, and values by hand."""

from contextlib import nullcontext
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import CorrelatedGaussian, Image, cube

from autofit.non_linear.errors import EvidenceError
from autofit.non_linear.fitness import Fitness
from autofit.non_linear.search.nest.nss import build_chunked_nss_algorithm
from autofit.non_linear.search.nest.nss._batch_check import (
    TOLERANCES,
    BatchCheck,
    check_batch,
    tolerance_for,
)
from autofit.non_linear.search.nest.nss._block import block_program
from autofit.non_linear.search.nest.nss._evaluations import count_evaluations
from autofit.non_linear.search.nest.nss._first_values import (
    LikelihoodCounts,
    count_values,
    require_start,
)
from autofit.non_linear.search.nest.nss._loop import sample
from autofit.non_linear.search.nest.nss._run import Run
from benchmarks.likelihoods import dense_algebra
from benchmarks.schedulers import log_prior

HONEST = Fitness(cube(5, 5.0), CorrelatedGaussian()).log_likelihood
LARGEST_RIGHT = 12


@jax.custom_batching.custom_vmap
def faulty(x):
    """Right alone and in batches of up to 12; in larger ones the lanes from 12 on are wrong."""
    return HONEST(x)


@faulty.def_vmap
def _(axis_size, in_batched, x):
    wrong = jnp.where(jnp.arange(axis_size) >= LARGEST_RIGHT, 0.01, 0.0)
    return jax.vmap(HONEST)(x) + wrong, True


def algorithm(log_likelihood, chunk_size):
    return build_chunked_nss_algorithm(
        logprior_fn=log_prior,
        loglikelihood_fn=log_likelihood,
        num_inner_steps=3,
        num_delete=20,
        chunk_size=chunk_size,
        scheduler="lanes",
    )


def started(log_likelihood, chunk_size):
    positions = jax.random.uniform(jax.random.key(1), (40, 5))
    return jax.jit(algorithm(log_likelihood, chunk_size).init)(positions, jax.random.key(2))


def check(state, rows=slice(None), **keywords):
    particles = state.particles
    positions, values = particles.position[rows], particles.loglikelihood[rows]
    return check_batch(jax.jit(HONEST), positions, values, **keywords)


@pytest.mark.parametrize("chunk_size, agrees", [(8, True), (12, True), (14, False), (40, False)])
def test_a_fault_of_the_batch_in_init_is_found(chunk_size, agrees):
    outcome = check(started(faulty, chunk_size), chunk_size=chunk_size)
    assert outcome.agrees is agrees and 4 <= outcome.n_checked <= 8
    for found in outcome.disagreements:
        assert found.index % chunk_size >= LARGEST_RIGHT
        assert found.single == pytest.approx(float(HONEST(jnp.asarray(found.position))), rel=1e-12)
        assert found.batch - found.single == pytest.approx(0.01)


@pytest.mark.parametrize("chunk_size, agrees", [(12, True), (20, False)])
def test_a_fault_of_the_batch_in_the_step_is_found(chunk_size, agrees):
    start = started(HONEST, 8)
    end, _ = jax.jit(algorithm(faulty, chunk_size).step)(jax.random.key(3), start)
    new = np.flatnonzero(end.particles.loglikelihood != start.particles.loglikelihood)
    assert len(new) == 20
    outcome = check(end, new, count=20)
    assert outcome.agrees is agrees


@pytest.mark.parametrize(
    "log_likelihood",
    [
        Fitness(cube(5, 5.0), Image()).log_likelihood,
        dense_algebra(64, jnp.linalg.cholesky),
        dense_algebra(64, lambda matrix: jnp.linalg.slogdet(matrix)[1]),
    ],
    ids=["image-float32", "cholesky", "slogdet"],
)
def test_honest_rounding_is_far_below_the_tolerance(log_likelihood):
    positions = jax.random.uniform(jax.random.key(1), (33, 5))
    values = jax.jit(jax.vmap(log_likelihood))(positions)
    outcome = check_batch(jax.jit(log_likelihood), positions, values)
    assert outcome.agrees and outcome.largest < 0.01 * outcome.tolerance


@pytest.mark.parametrize(
    "single, batch, dtype, agrees",
    [
        (np.nan, np.nan, "float64", True),
        (-np.inf, -np.inf, "float64", True),
        (np.inf, np.inf, "float64", True),
        (np.nan, -np.inf, "float64", False),
        (np.inf, -np.inf, "float64", False),
        (-3.0, -np.inf, "float64", False),
        (-np.inf, -3.0, "float64", False),
        (0.0, 0.9e-6, "float64", True),
        (0.0, 1.1e-6, "float64", False),
        (-1e4, -1e4 * (1 + 0.9e-6), "float64", True),
        (-1e4, -1e4 * (1 + 1.1e-6), "float64", False),
        (-1e4, -1e4 * (1 + 0.9e-3), "float32", True),
        (-1e4, -1e4 * (1 + 1.1e-3), "float32", False),
        (-1e4, -1e4 * (1 + 0.9e-3), "bfloat16", True),
    ],
)
def test_what_counts_as_equal(single, batch, dtype, agrees):
    values = jnp.asarray([0.0, batch], dtype)
    alone = {0.0: 0.0, 1.0: single}
    outcome = check_batch(lambda x: alone[float(x[0])], np.array([[0.0], [1.0]]), values)
    if dtype == "bfloat16":
        agrees = abs(float(values[1]) - single) <= 1e-3 * abs(single)
    assert outcome.agrees is agrees
    assert [found.index for found in outcome.disagreements] == ([] if agrees else [1])
    assert BatchCheck.model_validate_json(outcome.model_dump_json()).agrees is agrees
    assert ("same log likelihood" in str(outcome)) is agrees


def test_few_particles_and_few_looks_are_enough():
    for n in (1, 2, 3):
        outcome = check_batch(lambda x: 0.0, np.zeros((n, 1)), np.zeros(n), count=8)
        assert outcome.n_checked == n
    assert check_batch(lambda x: 0.0, np.zeros((99, 1)), np.zeros(99), count=2).n_checked <= 2


def test_counts():
    counts = count_values([np.nan, -np.inf, -np.inf, np.inf, 1e31, -1e99, 2.0, 2.0, 2.0, 0.0])
    assert counts == LikelihoodCounts(n=10, nan=1, minus_inf=2, plus_inf=1, huge=2, largest_tie=3)
    no_likelihood, huge, tie = counts.remarks()
    assert no_likelihood.startswith("3 of 10") and huge.startswith("2 of 10")
    assert tie.startswith("3 of 10") and "plateau" in tie
    assert count_values(np.linspace(-9.0, 0.0, 10)).remarks() == []
    assert count_values([-np.inf] * 3).largest_tie == 0


def start(values, dtype="float64", raw=lambda x: x[0] * jnp.nan):
    values = np.asarray(values, dtype)
    return require_start(values, np.arange(2.0 * len(values)).reshape(-1, 2), raw)


def minus_infinity(x):
    return jnp.sum(x) - jnp.inf


@pytest.mark.parametrize(
    "values, raw, message",
    [
        ([-np.inf] * 9, lambda x: jnp.nan * x[0], "NaN at 8, -inf at 0 and a number, .* at 0"),
        ([-np.inf] * 9, minus_infinity, "NaN at 0, -inf at 8 and a number, .* at 0"),
        ([-np.inf] * 9, jnp.sum, "NaN at 0, -inf at 0 and a number, .* at 8"),
        ([np.nan] * 9, lambda x: jnp.nan * x[0], "none of the 9 points drawn from the prior"),
        ([0.0, 1.0, np.inf], jnp.sum, r"has log likelihood inf.* \[4.0, 5.0\] of the unit cube"),
        ([1.5] * 9, jnp.sum, "all 9 points .* have the same, 1.5: a plateau"),
        ([0.0, 0.0, -np.inf], jnp.sum, "all 2 points .* have the same, 0.0: a plateau"),
        ([0.0, 1e16], jnp.sum, "log likelihood 1e.16.*float64 are more than 1 apart"),
        ([-1e300, -1e99], jnp.sum, "best of 2 points .* -1e.99"),
    ],
)
def test_starts_that_lead_nowhere_are_refused(values, raw, message):
    with pytest.raises(EvidenceError, match=message):
        start(values, raw=raw)


def test_float32_runs_out_earlier():
    start([0.0, 1e7])
    with pytest.raises(EvidenceError, match="float32 are more than 1 apart"):
        start([0.0, 1e7], "float32")


def test_starts_that_are_worth_a_run():
    """A bad start is no bad end: the best point may be far from the peak."""
    assert start([-1e7, -2e7], "float32").remarks() == []
    assert start([-np.inf, -3.0]).minus_inf == 1
    assert start([-1e99, -3.0, -2.0]).huge == 1


def test_live_points_in_fewer_dimensions_than_the_model_end_the_run():
    flat = build_chunked_nss_algorithm(
        logprior_fn=log_prior,
        loglikelihood_fn=lambda x: -50.0 * jnp.sum((x - 0.5) ** 2),
        num_inner_steps=4,
        num_delete=5,
        chunk_size=None,
    )
    positions = jax.random.uniform(jax.random.key(1), (20, 2)).at[:, 1].set(0.5)
    run = Run(jax.random.key(2), jax.jit(flat.init)(positions, jax.random.key(3)))
    step = block_program(flat, partial(count_evaluations, chunk_size=5), -3.0, 5)
    with pytest.raises(EvidenceError, match="lie in fewer dimensions than the model"):
        sample(run, jax.jit(step), lambda run: None, lambda *_: nullcontext(), max_iterations=20)


def test_a_likelihood_that_is_single_inside_may_round_like_one():
    def single_inside(x):
        return HONEST(x.astype("float32")).astype(x.dtype)

    assert tolerance_for(jax.make_jaxpr(HONEST)(jnp.zeros(5))) == TOLERANCES["float64"]
    assert tolerance_for(jax.make_jaxpr(single_inside)(jnp.zeros(5))) == TOLERANCES["float32"]
