"""Models inside `jax.jit` and `jax.vmap`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from composed_classes import Galaxy, Line, Spot
from scipy import stats

from autofit.mapper import (
    Collection,
    GaussianPrior,
    LogGaussianPrior,
    LogUniformPrior,
    Model,
    TruncatedGaussianPrior,
    UniformPrior,
)


@pytest.fixture
def model():
    line = Model(Line, slope=UniformPrior(-1.0, 1.0), offset=LogUniformPrior(0.1, 10.0))
    spot = Model(
        Spot, centre=(GaussianPrior(0.0, 1.0), line.slope), flux=LogGaussianPrior(0.0, 0.3)
    )
    galaxy = Model(Galaxy, redshift=TruncatedGaussianPrior(0.5, 1.0, 0.0, 2.0), spot=spot)
    return Collection(line=line, galaxy=galaxy, scale=line.slope * 2.0)


def _summary(instance):
    spot = instance.galaxy.spot
    return (
        instance.line(2.0) + spot.centre[0] * spot.centre[1] + spot.flux * instance.galaxy.redshift
    ) * instance.scale


def test_compiled_and_batched_equals_numpy(model):
    unit = np.random.default_rng(1).random((20, model.prior_count))

    @jax.jit
    @jax.vmap
    def traced(point):
        vector = model.vector_from_unit_vector(point, xp=jnp)
        log_prior = sum(model.log_prior_list_from_vector(vector, xp=jnp))
        summary = _summary(model.instance_from_vector(vector, xp=jnp))
        return vector, log_prior, summary, model.unit_vector_from_vector(vector, xp=jnp)

    vectors, log_priors, summaries, back = traced(unit)
    np.testing.assert_allclose(back, unit, atol=1e-12)
    for i, point in enumerate(unit):
        vector = model.vector_from_unit_vector(point)
        np.testing.assert_allclose(vectors[i], vector, rtol=1e-12)
        np.testing.assert_allclose(log_priors[i], sum(model.log_prior_list_from_vector(vector)))
        np.testing.assert_allclose(summaries[i], _summary(model.instance_from_vector(vector)))


def test_single_precision_is_not_promoted(model):
    unit = jnp.full(model.prior_count, 0.3, dtype=jnp.float32)
    vector = jax.jit(lambda u: model.vector_from_unit_vector(u, xp=jnp))(unit)
    assert vector.dtype == jnp.float32
    log_priors = model.log_prior_list_from_vector(vector, xp=jnp)
    assert {log_prior.dtype for log_prior in log_priors} == {jnp.dtype("float32")}
    assert _summary(model.instance_from_vector(vector, xp=jnp)).dtype == jnp.float32


def test_a_thousand_prior_points_are_one_compiled_call(model):
    traces = []

    @jax.jit
    def draw(key):
        traces.append(key)
        unit = jax.random.uniform(key, (1000, model.prior_count))
        return jax.vmap(lambda point: model.vector_from_unit_vector(point, xp=jnp))(unit)

    points = np.asarray(draw(jax.random.key(0)))
    draw(jax.random.key(1))
    assert len(traces) == 1
    assert points.shape == (1000, model.prior_count)
    references = [
        stats.uniform(-1.0, 2.0),
        stats.loguniform(0.1, 10.0),
        stats.norm(),
        stats.lognorm(0.3),
        stats.truncnorm(-0.5, 1.5, 0.5, 1.0),
    ]
    for column, reference in zip(points.T, references, strict=True):
        assert stats.kstest(column, reference.cdf).pvalue > 1e-3


def test_gradients_are_finite_inside_and_zero_outside():
    prior = LogUniformPrior(0.1, 10.0)
    gradient = jax.vmap(jax.grad(lambda value: prior.log_prior_from_value(value, xp=jnp)))
    np.testing.assert_allclose(gradient(jnp.array([2.0, -1.0])), [-0.5, 0.0])
