"""Lanes where they pay, upstream's step where a call costs nothing."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

import autofit as af
from autofit.non_linear.search.nest.nss._sampling import Sampling
from autofit.non_linear.search.nest.nss._scheduler import scheduler_for


def cheap(x):
    return -0.5 * jnp.sum(x**2)


def image(x):
    grid = jnp.linspace(0.0, 1.0, 1000)
    return -jnp.sum((grid - x[0]) ** 2)


def dense(x):
    return jnp.sum(jnp.linalg.cholesky(jnp.eye(3) + 0.01 * x[0]))


def traced(log_likelihood):
    return jax.make_jaxpr(log_likelihood)(jnp.zeros(5))


@pytest.mark.parametrize(
    "log_likelihood, expected", [(cheap, "map"), (image, "lanes"), (dense, "lanes")]
)
def test_auto_chooses(log_likelihood, expected):
    scheduler, notes = scheduler_for(traced(log_likelihood), af.NSS(chunk_size="auto").options)
    assert scheduler == expected
    assert bool(notes) == (expected == "map")
    assert all("array elements" in note for note in notes)


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, None),
        ({"chunk_size": 8}, None),
        ({"chunk_size": "auto", "scheduler": "lanes"}, "lanes"),
    ],
)
def test_what_the_user_says_is_done(options, expected):
    assert scheduler_for(traced(cheap), af.NSS(**options).options) == (expected, ())


@pytest.mark.parametrize(("log_likelihood", "highest"), [(cheap, 50), (image, 100)])
def test_on_a_gpu_more_lanes_than_particles_are_tried_and_no_more_waves(log_likelihood, highest):
    options = af.NSS(chunk_size="auto", num_delete=50).options
    step = SimpleNamespace(
        n=50, chunk_size=25, chosen_by="unfinished search", compile_seconds=1.0, compiles=1
    )
    plan = SimpleNamespace(
        call=SimpleNamespace(compile_seconds=0.1),
        programs=(step,),
        step=step,
        budget=SimpleNamespace(platform="gpu"),
        remembered=lambda name: None,
    )
    fitness = SimpleNamespace(jaxpr=traced(log_likelihood))
    tuner = Sampling(fitness, options, plan, lambda: None)._tuner(25, 1.0)
    assert tuner._sizes[-1] == highest
