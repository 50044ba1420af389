"""Example profiles and analysis, `af.ex`: what the documentation and the tests fit."""

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import jax.numpy as jnp

from autofit.mapper import LogUniformPrior, Prior, UniformPrior
from autofit.non_linear.analysis import Analysis as BaseAnalysis


class Gaussian:
    """A one-dimensional Gaussian of area `normalization`.

    Parameters
    ----------
    centre, sigma
        Position and width, in the units of the x values.
    normalization
        Integral over x.
    """

    __default_priors__: ClassVar[dict[str, Prior]] = {
        "centre": UniformPrior(lower_limit=0.0, upper_limit=100.0),
        "normalization": LogUniformPrior(lower_limit=1e-6, upper_limit=1e6),
        "sigma": UniformPrior(lower_limit=0.0, upper_limit=25.0),
    }

    def __init__(
        self, centre: float = 0.0, normalization: float = 0.1, sigma: float = 0.01
    ) -> None:
        self.centre = centre
        self.normalization = normalization
        self.sigma = sigma

    def model_data_from(self, xvalues: Any, xp: Any = jnp) -> Any:
        """Return the profile at `xvalues`, same shape."""
        z = (xvalues - self.centre) / self.sigma
        return self.normalization / (self.sigma * math.sqrt(2.0 * math.pi)) * xp.exp(-0.5 * z * z)

    def model_data_1d_via_xvalues_from(self, xvalues: Any) -> Any:
        """Return the profile at `xvalues`: PyAutoFit's other name of `model_data_from`."""
        return self.model_data_from(xvalues)


class Exponential:
    """A one-dimensional, symmetric exponential.

    Parameters
    ----------
    centre
        Position of the peak, in the units of the x values.
    normalization
        Half of the integral over x.
    rate
        Decay per unit of x.
    """

    __default_priors__: ClassVar[dict[str, Prior]] = {
        "centre": UniformPrior(lower_limit=0.0, upper_limit=100.0),
        "normalization": LogUniformPrior(lower_limit=1e-6, upper_limit=1e6),
        "rate": UniformPrior(lower_limit=0.0, upper_limit=1.0),
    }

    def __init__(self, centre: float = 0.0, normalization: float = 0.1, rate: float = 0.01) -> None:
        self.centre = centre
        self.normalization = normalization
        self.rate = rate

    def model_data_from(self, xvalues: Any, xp: Any = jnp) -> Any:
        """Return the profile at `xvalues`, same shape."""
        return self.normalization * self.rate * xp.exp(-self.rate * xp.abs(xvalues - self.centre))

    def model_data_1d_via_xvalues_from(self, xvalues: Any) -> Any:
        """Return the profile at `xvalues`: PyAutoFit's other name of `model_data_from`."""
        return self.model_data_from(xvalues)


class Analysis(BaseAnalysis):
    """Fit one profile, or the sum of a collection of profiles, to data with independent noise.

    Parameters
    ----------
    data, noise_map
        Values and their standard deviations at x = 0, 1, 2, …; both of shape (n_x,).

    Raises
    ------
    ValueError
        If the shapes differ or are not one-dimensional.
    """

    def __init__(self, data: Any, noise_map: Any) -> None:
        super().__init__()
        self.data = jnp.asarray(data, dtype=float)
        self.noise_map = jnp.asarray(noise_map, dtype=float)
        if self.data.ndim != 1 or self.data.shape != self.noise_map.shape:
            raise ValueError(
                f"data and noise_map must be one-dimensional and of equal length, but have the "
                f"shapes {self.data.shape} and {self.noise_map.shape}"
            )

    def model_data_from(self, instance: Any) -> Any:
        """Return the sum of the profiles of `instance`, shape (n_x,)."""
        xvalues = jnp.arange(self.data.shape[0], dtype=self.data.dtype)
        profiles = instance if isinstance(instance, Iterable) else (instance,)
        return sum(profile.model_data_from(xvalues) for profile in profiles)

    def log_likelihood_function(self, instance: Any) -> Any:
        """Return the normalised Gaussian log-likelihood of the data, a scalar."""
        residuals = (self.data - self.model_data_from(instance)) / self.noise_map
        noise_normalization = jnp.log(2.0 * math.pi * self.noise_map**2)
        return -0.5 * jnp.sum(residuals**2 + noise_normalization)
