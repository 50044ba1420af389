"""Problems whose evidence is known, as models and analyses."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import multivariate_normal

import autofit as af


def cube(n_dim: int, half_width: float) -> af.Collection:
    prior = {f"x{i}": af.UniformPrior(-half_width, half_width) for i in range(n_dim)}
    return af.Collection(**prior)


def vector(instance, n_dim: int) -> jax.Array:
    return jnp.stack([getattr(instance, f"x{i}") for i in range(n_dim)])


class CorrelatedGaussian(af.Analysis):
    """Five dimensions, every pair correlated by `correlation`, in a box of half width 5."""

    n_dim, half_width = 5, 5.0

    def __init__(self, correlation: float = 0.7):
        super().__init__()
        covariance = correlation * np.ones((5, 5)) + (1 - correlation) * np.eye(5)
        self.covariance = 0.25 * covariance
        self.precision = jnp.asarray(np.linalg.inv(self.covariance))

    def log_likelihood_function(self, instance):
        x = vector(instance, self.n_dim)
        return -0.5 * jnp.sum(x[:, None] * self.precision * x[None, :])

    @property
    def log_evidence(self) -> float:
        """All but 1e-20 of the Gaussian lies in the box."""
        volume = self.n_dim * np.log(2 * self.half_width)
        return -multivariate_normal(cov=self.covariance).logpdf(np.zeros(5)) - volume


class Image(CorrelatedGaussian):
    """The same posterior, from an image in single precision, which rounds by batch size.

    300 pixels, linear in the parameters, are blurred and compared with data; what the model cannot
    explain of them makes a constant of -5,000, so that neighbours in float32 are 0.0005 apart.
    """

    def __init__(self, correlation: float = 0.7):
        super().__init__(correlation)
        rng = np.random.default_rng(3)
        blur, _ = np.linalg.qr(rng.normal(size=(300, 300)))
        basis, _ = np.linalg.qr(rng.normal(size=(300, 6)))
        root = np.linalg.cholesky(np.linalg.inv(self.covariance))
        self.blur = jnp.asarray(blur, "float32")
        self.response = jnp.asarray(basis[:, :5] @ root.T, "float32")
        self.data = jnp.asarray(100.0 * blur @ basis[:, 5], "float32")

    def log_likelihood_function(self, instance):
        x = vector(instance, self.n_dim).astype("float32")
        residuals = self.data - self.blur @ (self.response @ x)
        return -0.5 * jnp.sum(residuals**2)

    @property
    def log_evidence(self) -> float:
        return super().log_evidence - 5000.0


class TwoModes(af.Analysis):
    """Two round Gaussians of unequal weight in two dimensions."""

    n_dim, half_width, sigma = 2, 5.0, 0.3
    centres, weights = ((-2.0, -1.0), (2.5, 1.5)), (0.3, 0.7)

    def log_likelihood_function(self, instance):
        x = vector(instance, self.n_dim)
        modes = [
            jnp.log(weight) - 0.5 * jnp.sum((x - jnp.asarray(centre)) ** 2) / self.sigma**2
            for centre, weight in zip(self.centres, self.weights, strict=True)
        ]
        return jnp.logaddexp(*modes) - jnp.log(2 * jnp.pi * self.sigma**2)

    @property
    def log_evidence(self) -> float:
        return -self.n_dim * float(np.log(2 * self.half_width))
