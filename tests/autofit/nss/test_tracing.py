"""A log-likelihood function that JAX cannot trace is refused, with the line and the remedy."""

import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import autofit as af
from autofit.non_linear.errors import NotTraceableError
from autofit.non_linear.fitness import Fitness


def analysis(function) -> af.Analysis:
    class Analysis(af.Analysis):
        def log_likelihood_function(self, instance):
            return function(instance.x)

    return Analysis()


def with_branch(x):
    if x > 0:
        return -x
    return x


@pytest.mark.parametrize(
    "function, remedy, line",
    [
        (lambda x: np.sum(np.asarray(x)), "jax.numpy instead of numpy's", "np.asarray"),
        (with_branch, "jax.numpy.where", "if x > 0:"),
        (lambda x: math.exp(x), "Keep it a JAX array", "math.exp"),
        (lambda x: float(x), "Keep it a JAX array", "float(x)"),
        (lambda x: jnp.arange(3.0)[jnp.arange(3.0) > x].sum(), "depends on values", "jnp.arange"),
        (lambda x: [1.0, 2.0][x.astype(int)], "Python index", "[1.0, 2.0]"),
    ],
)
def test_what_cannot_be_traced(function, remedy, line):
    model = af.Collection(x=af.UniformPrior(-1.0, 1.0))
    with pytest.raises(NotTraceableError) as caught:
        af.NSS(silence=True).fit(model, analysis(function))
    message = str(caught.value)
    assert "Analysis.log_likelihood_function cannot be traced by JAX" in message
    assert remedy in message
    assert __file__ in message and line in message


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda x: None, "returned None"),
        (lambda x: x * jnp.ones(3), r"shapes \[\(3,\)\]"),
        (lambda x: {"log_likelihood": x}, "returned a dict"),
        (lambda x: (x > 0).astype(int), "real floating-point number; it returned int"),
        (lambda x: x + 1j, "returned complex"),
    ],
)
def test_what_is_not_one_real_number(function, message):
    model = af.Collection(x=af.UniformPrior(-1.0, 1.0))
    with pytest.raises(NotTraceableError, match=message):
        af.NSS(silence=True).fit(model, analysis(function))


def test_other_errors_are_the_users_own():
    def broken(x):
        raise KeyError("flux")

    model = af.Collection(x=af.UniformPrior(-1.0, 1.0))
    with pytest.raises(KeyError, match="flux"):
        af.NSS(silence=True).fit(model, analysis(broken))


def test_the_line_is_found_in_a_folder_that_begins_like_the_package():
    folder = Path(af.__file__).parent
    source = "def likelihood(x):\n    return float(x)\n"
    path = f"{folder}_workspace/fit.py"
    names: dict = {}
    exec(compile(source, path, "exec"), names)
    with pytest.raises(NotTraceableError) as caught:
        af.NSS(silence=True).fit(
            af.Collection(x=af.UniformPrior(-1.0, 1.0)), analysis(names["likelihood"])
        )
    assert f'File "{path}", line 2, in likelihood' in str(caught.value)


def test_a_point_on_a_face_of_the_cube_has_finite_parameters():
    model = af.Collection(x=af.GaussianPrior(0.0, 1.0), y=af.UniformPrior(0.0, 1.0))
    for is_double in (False, True):
        with jax.enable_x64(is_double):
            fitness = Fitness(model, analysis(lambda x: -(x**2)))
            for face in (0.0, 1.0):
                vector = fitness.physical(jnp.full(2, face))
                assert np.isfinite(vector).all() and 5 < abs(float(vector[0])) < 40
                assert float(vector[1]) == pytest.approx(face, abs=1e-6)


def test_parameters_too_large_for_their_type_are_the_largest_numbers():
    model = af.Collection(x=af.LogGaussianPrior(0.0, 400.0), y=af.UniformPrior(0.0, 1.0))
    vector = Fitness(model, analysis(lambda x: -(x**2))).physical(jnp.array([0.999, 0.25]))
    assert vector.tolist() == [np.finfo(float).max, 0.25]


def test_a_point_outside_the_cube_has_no_likelihood():
    """Whatever the height of its slice is, which may be 0, no chain goes there."""
    model = af.Collection(x=af.UniformPrior(-1.0, 1.0))
    fitness = Fitness(model, analysis(lambda x: -(x**2)))
    values = [float(fitness.log_likelihood(jnp.array([u]))) for u in (-1e-9, 0.0, 1.0, 1 + 1e-9)]
    np.testing.assert_allclose(values, [-np.inf, -1.0, -1.0, -np.inf])
