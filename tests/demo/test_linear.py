"""Closed-form amplitudes and evidence against dense linear algebra of NumPy."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from demo.linear import MarginalLinearModel

RNG = np.random.default_rng(11)
N_DATA, N_FIXED, N_COLUMNS = 60, 7, 4
NOISE = RNG.uniform(0.5, 1.5, N_DATA)
FIXED = RNG.normal(size=(N_FIXED, N_DATA))
COLUMNS = RNG.normal(size=(N_COLUMNS, N_DATA))
DATA = (
    RNG.normal(size=N_FIXED) @ FIXED + RNG.normal(size=N_COLUMNS) @ COLUMNS + RNG.normal(0, NOISE)
)


def test_amplitudes_are_least_squares_when_the_prior_is_wide():
    model = MarginalLinearModel(DATA, NOISE, FIXED, amplitude=1e5)
    both = np.vstack([COLUMNS, FIXED])
    expected = np.linalg.lstsq((both / NOISE).T, DATA / NOISE, rcond=None)[0]
    found = np.concatenate(model.amplitudes(COLUMNS))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("amplitude", [0.3, 2.0, 50.0])
def test_likelihood_is_the_density_of_the_data_with_amplitudes_integrated_out(amplitude):
    both = np.vstack([COLUMNS, FIXED])
    covariance = np.diag(NOISE**2) + amplitude**2 * both.T @ both
    expected = multivariate_normal(np.zeros(N_DATA), covariance).logpdf(DATA)
    model = MarginalLinearModel(DATA, NOISE, FIXED, amplitude)
    assert float(model.log_likelihood(COLUMNS)) == pytest.approx(expected, rel=1e-9)


def test_columns_without_light_are_harmless():
    """A source whose images all miss the annulus."""
    model = MarginalLinearModel(DATA, NOISE, FIXED, amplitude=2.0)
    covariance = np.diag(NOISE**2) + 4.0 * FIXED.T @ FIXED
    expected = multivariate_normal(np.zeros(N_DATA), covariance).logpdf(DATA)
    found = float(model.log_likelihood(np.zeros_like(COLUMNS)))
    assert found == pytest.approx(expected, rel=1e-9)
