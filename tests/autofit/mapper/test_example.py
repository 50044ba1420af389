"""The example profiles and their analysis."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from autofit.example import Analysis, Exponential, Gaussian
from autofit.mapper import Collection, LogUniformPrior, Model, UniformPrior

X = np.arange(100.0)


def test_profiles_against_scipy():
    gaussian = Gaussian(centre=50.0, normalization=25.0, sigma=10.0)
    expected = 25.0 * stats.norm(50.0, 10.0).pdf(X)
    np.testing.assert_allclose(gaussian.model_data_from(X), expected)
    np.testing.assert_allclose(gaussian.model_data_from(X, xp=np), expected)
    np.testing.assert_allclose(gaussian.model_data_1d_via_xvalues_from(X), expected)
    exponential = Exponential(centre=40.0, normalization=3.0, rate=0.2)
    expected = 2.0 * 3.0 * stats.laplace(40.0, 5.0).pdf(X)
    np.testing.assert_allclose(exponential.model_data_from(X), expected)
    np.testing.assert_allclose(exponential.model_data_1d_via_xvalues_from(X), expected)


def test_classes_bring_their_priors():
    model = Collection(gaussian=Gaussian, exponential=Exponential)
    assert model.parameter_names == [
        "gaussian_centre",
        "gaussian_normalization",
        "gaussian_sigma",
        "exponential_centre",
        "exponential_normalization",
        "exponential_rate",
    ]
    kinds = [type(prior) for prior in model.priors]
    assert kinds == [UniformPrior, LogUniformPrior, UniformPrior] * 2
    assert Model(Gaussian).prior_count == 3


def test_log_likelihood_is_normalised_and_traceable():
    noise = np.random.default_rng(2).uniform(0.5, 2.0, X.shape)
    truth = Gaussian(50.0, 25.0, 10.0).model_data_from(X, xp=np)
    data = truth + noise * np.random.default_rng(3).normal(size=X.shape)
    analysis = Analysis(data=data, noise_map=noise)
    model = Collection(gaussian=Gaussian)
    vector = np.array([51.0, 24.0, 9.0])
    expected = stats.norm(24.0 * stats.norm(51.0, 9.0).pdf(X), noise).logpdf(data).sum()

    def log_likelihood(values):
        return analysis.log_likelihood_function(model.instance_from_vector(values, xp=jnp))

    assert jax.jit(log_likelihood)(vector) == pytest.approx(expected)
    alone = analysis.log_likelihood_function(Model(Gaussian).instance_from_vector(vector))
    assert alone == pytest.approx(expected)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"\(3,\) and \(2,\)"):
        Analysis(data=np.zeros(3), noise_map=np.ones(2))
