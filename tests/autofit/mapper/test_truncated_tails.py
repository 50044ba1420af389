"""Truncated Gaussians whose limits are far from the mean, where probabilities underflow."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_ndtr

from autofit.mapper import TruncatedGaussianPrior

UNIT = np.array([1e-9, 1e-3, 0.1, 0.5, 0.9, 0.999])


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("start", [10.5, 37.0, 60.0, 300.0])
def test_probability_beyond_a_value(start, sign):
    prior = (
        TruncatedGaussianPrior(0.0, 1.0, lower_limit=start)
        if sign > 0.0
        else TruncatedGaussianPrior(0.0, 1.0, upper_limit=-start)
    )
    values = prior.value_for(UNIT)
    share_beyond = 1.0 - UNIT if sign > 0.0 else UNIT
    beyond = log_ndtr(-sign * values) - log_ndtr(-start)
    np.testing.assert_allclose(beyond, np.log(share_beyond), atol=1e-15 * start**2 + 1e-12)


@pytest.mark.parametrize("start", [50.0, 1e3, 1e6])
def test_far_tail_is_exponential(start):
    # P(X > a + d) / P(X > a) -> exp(-a d): the next term of the series is of order 1 / a^2.
    prior = TruncatedGaussianPrior(0.0, 1.0, lower_limit=start)
    excess = (prior.value_for(UNIT) - start) * start
    rounding = np.spacing(start) * start
    np.testing.assert_allclose(excess, -np.log1p(-UNIT), rtol=30.0 / start**2, atol=rounding)
    at_limit = prior.log_prior_from_value(start)
    assert at_limit == pytest.approx(math.log(start), abs=2.0 / start**2)


@pytest.mark.parametrize(
    "limits",
    [(10.5, 11.0), (39.0, 45.0), (-45.0, -39.0), (200.0, 200.001), (8.0, 9.0), (0.1, 0.1001)],
)
def test_density_integrates_to_one(limits):
    prior = TruncatedGaussianPrior(0.0, 1.0, *limits)
    near, far = sorted(limits, key=abs)
    distance = np.concatenate([[0.0], np.geomspace(1e-9, 1.0, 20_001)])
    density = np.exp(prior.log_prior_from_value(near + distance * (far - near)))
    integral = np.trapezoid(density, distance * abs(far - near))
    assert integral == pytest.approx(1.0, abs=2e-6)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_compiled_tail_stays_inside_and_finite(dtype):
    prior = TruncatedGaussianPrior(0.0, 0.01, 1.0, 2.0)
    unit = jnp.linspace(0.0, 1.0, 1001, dtype=dtype)
    values = jax.jit(lambda u: prior.value_for(u, xp=jnp))(unit)
    logs = jax.jit(lambda v: prior.log_prior_from_value(v, xp=jnp))(values)
    assert values.dtype == dtype
    assert bool(jnp.all((values >= 1.0) & (values <= 2.0)))
    assert bool(jnp.all(jnp.isfinite(logs)))
    assert bool(jnp.all(jnp.diff(values) >= 0.0))


def test_the_two_methods_meet_where_one_takes_over():
    body = TruncatedGaussianPrior(0.0, 1.0, 9.999999999, 12.0)
    tail = TruncatedGaussianPrior(0.0, 1.0, 10.000000001, 12.0)
    np.testing.assert_allclose(body.value_for(UNIT), tail.value_for(UNIT), rtol=3e-10)
    assert body.log_prior_from_value(10.2) == pytest.approx(
        tail.log_prior_from_value(10.2), abs=1e-7
    )
