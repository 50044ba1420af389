"""Amplitudes that enter linearly, integrated out in closed form.

With whitened data d, fixed columns L (lens light) and columns S that change from call to call
(source), and independent Gaussian priors of mean zero and standard deviation tau on all
amplitudes, d = L l + S s + n is Gaussian. Integrating over l leaves d normal with covariance
M^-1 = 1 + tau^2 L L^T. Integrating over s as well gives the log-likelihood [1]_ [2]_

    const + (D^T F^-1 D - log det F) / 2,    F = S^T M S + 1 / tau^2,    D = S^T M d,

and F^-1 D is the most probable s: semi-linear inversion with the noise covariance of the data,
and the Bayesian evidence of its regularisation. M = 1 - U U^T with U = L R^-T and
R R^T = L^T L + 1 / tau^2 (Woodbury), which is computed once; a call needs one small Cholesky.

References
----------
.. [1] S. J. Warren and S. Dye, "Semilinear gravitational lens inversion", Astrophysical Journal
   590 (2003) 673.
.. [2] S. H. Suyu et al., "A Bayesian analysis of regularized source inversions in gravitational
   lensing", MNRAS 371 (2006) 983.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import cho_solve


class MarginalLinearModel:
    """Gaussian likelihood of data that are a sum of fixed and of changing columns.

    Parameters
    ----------
    data, noise
        The data and the standard deviations of their noise, shape (n_data,).
    fixed
        Columns that never change, one a row: shape (n_fixed, n_data).
    amplitude
        Prior standard deviation of every amplitude, in the unit of the data.
    """

    def __init__(
        self, data: np.ndarray, noise: np.ndarray, fixed: np.ndarray, amplitude: float
    ) -> None:
        self.noise = noise
        self.amplitude = amplitude
        self.data = data / noise
        self._fixed = fixed / noise
        curvature = self._fixed @ self._fixed.T + np.eye(len(fixed)) / amplitude**2
        root = np.linalg.cholesky(curvature)
        self._curvature = curvature
        self._nuisance = np.linalg.solve(root, self._fixed).T
        self._cleaned = self.data - self._nuisance @ (self._nuisance.T @ self.data)
        self._constant = float(
            -0.5 * self.data @ self._cleaned
            - np.log(np.diag(root)).sum()
            - len(fixed) * np.log(amplitude)
            - np.log(noise).sum()
            - 0.5 * len(data) * np.log(2 * np.pi)
        )

    def _solve(self, columns: Array) -> tuple[Array, Array, Array]:
        """Whitened columns, Cholesky factor of F and the most probable s."""
        whitened = columns / self.noise
        shared = whitened @ self._nuisance
        curvature = (
            whitened @ whitened.T - shared @ shared.T + jnp.eye(len(columns)) / self.amplitude**2
        )
        factor = jnp.linalg.cholesky(curvature)
        return whitened, factor, cho_solve((factor, True), whitened @ self._cleaned)

    def log_likelihood(self, columns: Array) -> Array:
        """Log-likelihood with all amplitudes integrated out.

        Parameters
        ----------
        columns
            The changing columns, one a row: shape (n_columns, n_data).

        Returns
        -------
        jax.Array
            A scalar, normalised over the data.
        """
        whitened, factor, source = self._solve(columns)
        return (
            self._constant
            + 0.5 * (whitened @ self._cleaned) @ source
            - jnp.log(jnp.diag(factor)).sum()
            - len(columns) * np.log(self.amplitude)
        )

    def amplitudes(self, columns: Array) -> tuple[Array, Array]:
        """Most probable amplitudes of the changing and of the fixed columns, jointly.

        Parameters
        ----------
        columns
            The changing columns, one a row: shape (n_columns, n_data).

        Returns
        -------
        tuple of jax.Array
            Shapes (n_columns,) and (n_fixed,).
        """
        whitened, _, source = self._solve(columns)
        rest = self.data - source @ whitened
        return source, jnp.linalg.solve(self._curvature, self._fixed @ rest)
