"""Assertions: allowed space cut by comparisons of priors."""

import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from composed_classes import Line

from autofit.mapper import Collection, FitException, Model, ModelError, UniformPrior


@pytest.fixture
def model():
    return Model(Line, slope=UniformPrior(), offset=UniformPrior())


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge])
def test_comparison_in_numpy_and_traced(model, compare):
    model.add_assertion(compare(model.slope, model.offset), name="order")
    traced = jax.jit(lambda vector: model.assertions_hold(vector, xp=jnp))
    for vector in ([0.1, 0.2], [0.2, 0.1], [0.2, 0.2]):
        expected = compare(*vector)
        assert bool(model.assertions_hold(vector)) is expected
        assert bool(traced(jnp.asarray(vector))) is expected
        if expected:
            assert model.instance_from_vector(vector).slope == vector[0]
        else:
            with pytest.raises(FitException, match=r"order: 0\.\d <=? 0\.\d"):
                model.instance_from_vector(vector)


def test_constants_and_arithmetic_and_numpy_scalars(model):
    model.add_assertion(model.slope + 2.0 * model.offset > np.float64(1.0))
    model.add_assertion(np.float64(0.1) < model.slope)
    model.add_assertion(model.slope <= 0.9)
    assert model.assertions_hold([0.5, 0.5])
    assert not model.assertions_hold([0.5, 0.2])
    assert not model.assertions_hold([0.05, 0.9])
    assert not model.assertions_hold([0.95, 0.9])


def test_chains():
    a, b, c = UniformPrior(), UniformPrior(), UniformPrior()
    rising, falling = Collection(a, b, c), Collection(a, b, c)
    rising.add_assertion((a < b) < c)
    falling.add_assertion((a > b) > c)
    for vector in np.random.default_rng(0).random((50, 3)):
        assert rising.assertions_hold(vector) == (vector[0] < vector[1] < vector[2])
        assert falling.assertions_hold(vector) == (vector[0] > vector[1] > vector[2])


def test_a_chain_without_parentheses_is_refused_instead_of_half_kept(model):
    with pytest.raises(TypeError, match=r"write `\(a < b\) < c`"):
        _ = 0.0 < model.slope < model.offset


def test_not_checked_when_traced_or_ignored(model):
    model.add_assertion(model.slope > model.offset)
    slope = jax.jit(lambda vector: model.instance_from_vector(vector, xp=jnp).slope)
    assert slope(jnp.array([0.1, 0.2])) == 0.1
    assert model.instance_from_vector([0.1, 0.2], ignore_assertions=True).slope == 0.1
    with pytest.raises(FitException):
        model.instance_from_prior_medians()
    assert model.instance_from_prior_medians(ignore_assertions=True).slope == 0.5


def test_assertions_of_parts_count_for_the_whole(model):
    model.add_assertion(model.slope > model.offset)
    whole = Collection(part=Collection(model))
    assert not whole.assertions_hold([0.1, 0.2])
    with pytest.raises(FitException):
        whole.instance_from_vector([0.1, 0.2])


def test_without_assertions_everything_holds(model):
    assert bool(model.assertions_hold([0.1, 0.2]))
    assert bool(jax.jit(lambda v: model.assertions_hold(v, xp=jnp))(jnp.zeros(2)))


def test_what_can_never_hold_or_means_nothing_is_refused(model):
    model.add_assertion(True)
    assert model.assertions_hold([0.1, 0.2])
    with pytest.raises(ModelError, match="can never hold"):
        model.add_assertion(False)
    with pytest.raises(TypeError):
        _ = model.slope < "a"
    model.add_assertion(model.slope > model.offset, name="stale")
    model.slope = UniformPrior()
    with pytest.raises(ModelError, match=r"stale.*not in the model"):
        model.instance_from_vector([0.1, 0.2])
