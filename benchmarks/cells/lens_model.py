"""The lens that all cells share: an isothermal ellipsoid and an external shear, seven parameters.

Coordinates and parameters are those of `demo.mass`.

References
----------
.. [1] N. Tessore and R. B. Metcalf, "The elliptical power law profile lens", Astronomy and
   Astrophysics 580 (2015) A79.
"""

from __future__ import annotations

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from benchmarks.cells.priors import FlatPriors
from demo.mass import ExternalShear, Isothermal
from demo.simulator import LENS_MASS, SHEAR

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
CENTRE = (0.017, -0.012)
TRUTH = np.array(
    [*CENTRE, *LENS_MASS.ell_comps, LENS_MASS.einstein_radius, SHEAR.gamma_1, SHEAR.gamma_2]
)
"""Of the simulated lens, shape (N_DIM,): the demo's, but for its centre. There light has no one way
to go, and this one is that of no instrument's pixel."""


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
    ellipticity = abs(complex(ell_x, ell_y))
    axis_ratio = (1 - ellipticity) / (1 + ellipticity)
    turn = np.sqrt(complex(ell_x, ell_y) / ellipticity)
    z = grid_x + 1j * grid_y
    aligned = (z - complex(centre_x, centre_y)) / turn
    ellipse = axis_ratio * aligned.real + 1j * aligned.imag
    root = np.sqrt(ellipticity)
    scale = 4 * axis_ratio * einstein_radius / (1 + axis_ratio) ** 2 / root
    lens = turn * scale * np.arctan(root * np.exp(1j * np.angle(ellipse)))
    source = z - lens - complex(gamma_1, gamma_2) * np.conj(z)
    return source.imag, source.real
