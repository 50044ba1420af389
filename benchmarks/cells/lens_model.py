"""The lens that all cells share: an isothermal ellipsoid and an external shear, seven parameters.

Coordinates and parameters are those of `demo.mass`; priors are flat, so that a likelihood of the
unit cube is all that a nested sampler needs.

References
----------
.. [1] N. Tessore and R. B. Metcalf, "The elliptical power law profile lens", Astronomy and
   Astrophysics 580 (2015) A79.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from demo.mass import ExternalShear, Isothermal


class FlatPriors(NamedTuple):
    """Independent flat priors.

    Attributes
    ----------
    names
        Of the parameters.
    lower, upper
        Limits, shape (n_dim,).
    """

    names: tuple[str, ...]
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def of(cls, limits: dict[str, tuple[float, float]]) -> FlatPriors:
        """From lower and upper limits by name."""
        lower, upper = np.array(list(limits.values())).T
        return cls(tuple(limits), lower, upper)

    def physical(self, u: ArrayLike) -> Array:
        """Parameters of a point of the unit cube, shape (..., n_dim) to the same."""
        return self.lower + (self.upper - self.lower) * u

    def unit(self, parameters: ArrayLike) -> Array:
        """Point of the unit cube of parameters, shape (..., n_dim) to the same."""
        return (parameters - self.lower) / (self.upper - self.lower)


LIMITS = {
    "lens_centre_0": (-0.2, 0.2),
    "lens_centre_1": (-0.2, 0.2),
    "lens_ell_comps_0": (-0.3, 0.3),
    "lens_ell_comps_1": (-0.3, 0.3),
    "lens_einstein_radius": (1.2, 2.0),
    "shear_gamma_1": (-0.2, 0.2),
    "shear_gamma_2": (-0.2, 0.2),
}
"""Lower and upper limits; arcseconds where it is a length."""

PRIORS = FlatPriors.of(LIMITS)
N_DIM = len(PRIORS.names)
TRUTH = np.array([0.017, -0.012, 0.08, -0.04, 1.55, 0.04, -0.03])
"""Of the simulated lens, shape (N_DIM,). Its centre, where light has no one way to go, is that of
no instrument's pixel."""


def physical(u: ArrayLike) -> Array:
    """The lens's parameters at a point of the unit cube, shape (N_DIM,)."""
    return PRIORS.physical(u)


def unit(parameters: ArrayLike) -> Array:
    """The inverse of `physical`."""
    return PRIORS.unit(parameters)


def trace(parameters: Array, grid_y: ArrayLike, grid_x: ArrayLike) -> tuple[Array, Array]:
    """Where rays through the image plane start in the source plane.

    Parameters
    ----------
    parameters
        Shape (N_DIM,), in the order of `PRIORS.names`.
    grid_y, grid_x
        Image-plane coordinates in arcseconds, of any one shape.

    Returns
    -------
    tuple of jax.Array
        Source-plane y and x in arcseconds, of that shape.
    """
    centre_y, centre_x, ell_y, ell_x, einstein_radius, gamma_1, gamma_2 = parameters
    lens = Isothermal((centre_y, centre_x), (ell_y, ell_x), einstein_radius)
    lens_y, lens_x = lens.deflections(grid_y, grid_x)
    shear_y, shear_x = ExternalShear(gamma_1, gamma_2).deflections(grid_y, grid_x)
    return grid_y - lens_y - shear_y, grid_x - lens_x - shear_x


def trace_numpy(
    parameters: np.ndarray, grid_y: np.ndarray, grid_x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`trace` in NumPy and by another formula, to simulate and to compare with.

    In complex coordinates along the axes of the ellipse, with elliptical angle phi, f = (1 - q) /
    (1 + q) and b = 2 q / (1 + q) Einstein radii, the deflection is b times 2 / (1 + q) times
    arctan(sqrt(f) exp(i phi)) / sqrt(f): [1]_, equation 13, whose hypergeometric function is an
    arctan for an isothermal profile.

    Parameters
    ----------
    parameters, grid_y, grid_x
        See `trace`. The ellipse must not be a circle.

    Returns
    -------
    tuple of numpy.ndarray
        See `trace`.
    """
    centre_y, centre_x, ell_y, ell_x, einstein_radius, gamma_1, gamma_2 = parameters
    flattening = abs(complex(ell_x, ell_y))
    axis_ratio = (1 - flattening) / (1 + flattening)
    turn = np.sqrt(complex(ell_x, ell_y) / flattening)
    z = grid_x + 1j * grid_y
    aligned = (z - complex(centre_x, centre_y)) / turn
    ellipse = axis_ratio * aligned.real + 1j * aligned.imag
    root = np.sqrt(flattening)
    scale = 4 * axis_ratio * einstein_radius / (1 + axis_ratio) ** 2 / root
    lens = turn * scale * np.arctan(root * np.exp(1j * np.angle(ellipse)))
    source = z - lens - complex(gamma_1, gamma_2) * np.conj(z)
    return source.imag, source.real
