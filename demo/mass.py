"""The mass of the lens: deflection angles of an isothermal ellipsoid and of an external shear.

Coordinates are (y, x) in arcseconds, x to the right and y up, and parameters are PyAutoLens's
[1]_, so that values can be compared number for number. Everything is written with `jax.numpy`
and traces.

References
----------
.. [1] J. W. Nightingale et al., "PyAutoLens: Open Source Strong Gravitational Lensing",
   Journal of Open Source Software 6 (2021) 2825.
.. [2] R. Kormann, P. Schneider and M. Bartelmann, "Isothermal elliptical gravitational lens
   models", Astronomy and Astrophysics 284 (1994) 285.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

SMALLEST_ELLIPTICITY = 1e-5
LARGEST_ELLIPTICITY = 0.95


def to_ellipse_frame(
    y: ArrayLike,
    x: ArrayLike,
    centre: tuple[ArrayLike, ArrayLike],
    ell_comps: tuple[ArrayLike, ArrayLike],
) -> tuple[Array, Array, Array, Array, Array]:
    """Coordinates along the axes of an ellipse.

    With axis ratio q and position angle phi (counter-clockwise from the x axis), the elliptical
    components are (1 - q) / (1 + q) times (sin 2 phi, cos 2 phi).

    Parameters
    ----------
    y, x
        Coordinates in arcseconds, of any one shape.
    centre
        (y, x) of the centre, in arcseconds.
    ell_comps
        The elliptical components. Their modulus is kept above 1e-5, because the deflection of an
        isothermal ellipsoid is 0 / 0 on the circle, and below 0.95.

    Returns
    -------
    tuple of jax.Array
        Minor-axis coordinate, major-axis coordinate, axis ratio, cos phi and sin phi.
    """
    modulus = jnp.hypot(ell_comps[0], ell_comps[1])
    modulus = jnp.clip(modulus, SMALLEST_ELLIPTICITY, LARGEST_ELLIPTICITY)
    axis_ratio = (1.0 - modulus) / (1.0 + modulus)
    angle = 0.5 * jnp.arctan2(ell_comps[0], ell_comps[1])
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    dy, dx = y - centre[0], x - centre[1]
    return cos * dy - sin * dx, cos * dx + sin * dy, axis_ratio, cos, sin


class Isothermal:
    """Singular isothermal ellipsoid.

    In the frame of the ellipse the convergence is `einstein_radius / (1 + q)` divided by
    `sqrt(x^2 + y^2 / q^2)`, PyAutoLens's `Isothermal`. The ellipse of mean convergence one then has
    the semi-axes 2 / (1 + q) and 2 q / (1 + q) times `einstein_radius`, which keeps the radius
    and `ell_comps` nearly independent.

    Parameters
    ----------
    centre
        (y, x) of the centre, in arcseconds.
    ell_comps
        Elliptical components, see `to_ellipse_frame`.
    einstein_radius
        In arcseconds.
    """

    def __init__(
        self,
        centre: tuple[ArrayLike, ArrayLike] = (0.0, 0.0),
        ell_comps: tuple[ArrayLike, ArrayLike] = (0.0, 0.0),
        einstein_radius: ArrayLike = 1.0,
    ) -> None:
        self.centre = centre
        self.ell_comps = ell_comps
        self.einstein_radius = einstein_radius

    def deflections(self, y: ArrayLike, x: ArrayLike) -> tuple[Array, Array]:
        """Deflection angles in closed form [2]_.

        Parameters
        ----------
        y, x
            Image-plane coordinates in arcseconds, of any one shape.

        Returns
        -------
        tuple of jax.Array
            The y and x deflections in arcseconds, of that shape.
        """
        minor, major, q, cos, sin = to_ellipse_frame(y, x, self.centre, self.ell_comps)
        eccentricity = jnp.sqrt(1.0 - q**2)
        # The tiny term keeps the centre itself finite.
        radius = jnp.sqrt(q**2 * major**2 + minor**2 + 1e-20)
        factor = 2.0 * self.einstein_radius * q / ((1.0 + q) * eccentricity)
        along = factor * jnp.arctan(eccentricity * major / radius)
        ratio = eccentricity * minor / radius
        # arctanh written with one logarithm, which costs half as much on a CPU.
        across = factor * 0.5 * jnp.log((1.0 + ratio) / (1.0 - ratio))
        return cos * across + sin * along, cos * along - sin * across


class ExternalShear:
    """Shear by mass far outside the image, centred on the origin.

    Parameters
    ----------
    gamma_1, gamma_2
        The shear along the axes and along the diagonals, without units. The image is stretched
        along the position angle `arctan2(gamma_2, gamma_1) / 2`.
    """

    def __init__(self, gamma_1: ArrayLike = 0.0, gamma_2: ArrayLike = 0.0) -> None:
        self.gamma_1 = gamma_1
        self.gamma_2 = gamma_2

    def deflections(self, y: ArrayLike, x: ArrayLike) -> tuple[Array, Array]:
        """Deflection angles, linear in the coordinates; see `Isothermal.deflections`."""
        return (
            self.gamma_2 * x - self.gamma_1 * y,
            self.gamma_1 * x + self.gamma_2 * y,
        )
