"""Light: profiles that the simulator draws, and bases of Gaussians that the fit solves for.

A sum of Gaussians of fixed sizes follows any smooth galaxy, and its amplitudes enter linearly
(multi-Gaussian expansion, [1]_, [2]_).

References
----------
.. [1] M. Cappellari, "Efficient multi-Gaussian expansion of galaxies", Monthly Notices of the
   Royal Astronomical Society 333 (2002) 400.
.. [2] Q. He et al., "Unveiling lens light complexity with a novel multi-Gaussian expansion
   approach for strong gravitational lensing", MNRAS 532 (2024) 2441.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from demo.mass import to_ellipse_frame

SOURCE_SIGMAS = np.geomspace(0.02, 0.2, 5)
LENS_SIGMAS = np.geomspace(0.25, 4.0, 8)
LENS_ORDERS = range(5)


class Sersic:
    """Elliptical Sersic profile, with PyAutoLens's parameters.

    Parameters
    ----------
    centre
        (y, x) of the centre, in arcseconds.
    ell_comps
        Elliptical components, see `demo.mass.to_ellipse_frame`.
    intensity
        Brightness at the effective radius, in the units of the image.
    effective_radius
        Radius of the circle of equal area that holds half of the light, in arcseconds.
    sersic_index
        Concentration: 1 is an exponential disc, 4 a de Vaucouleurs bulge.
    """

    def __init__(
        self,
        centre: tuple[float, float] = (0.0, 0.0),
        ell_comps: tuple[float, float] = (0.0, 0.0),
        intensity: float = 0.1,
        effective_radius: float = 0.6,
        sersic_index: float = 4.0,
    ) -> None:
        self.centre = centre
        self.ell_comps = ell_comps
        self.intensity = intensity
        self.effective_radius = effective_radius
        self.sersic_index = sersic_index

    @property
    def sersic_constant(self) -> float:
        """b_n, by the series of Ciotti and Bertin (1999), equation 18, good to 1e-4 for n > 0.5."""
        n = self.sersic_index
        return 2 * n - 1 / 3 + 4 / (405 * n) + 46 / (25515 * n**2) + 131 / (1148175 * n**3)

    def image(self, y: ArrayLike, x: ArrayLike) -> Array:
        """Brightness at coordinates in arcseconds, of any one shape."""
        minor, major, q, _, _ = to_ellipse_frame(y, x, self.centre, self.ell_comps)
        radius = jnp.sqrt(q * major**2 + minor**2 / q) / self.effective_radius
        return self.intensity * jnp.exp(
            -self.sersic_constant * (radius ** (1 / self.sersic_index) - 1)
        )


class CoredSersic(Sersic):
    """Sersic profile whose inside, within 0.025 arcseconds, is a power law of slope 0.25.

    PyAutoLens's `SersicCore` with its default core: `intensity` is the brightness at the break
    radius (Graham et al. 2003, Astronomical Journal 125, 2951).
    """

    radius_break = 0.025
    slope = 0.25
    sharpness = 3.0

    def image(self, y: ArrayLike, x: ArrayLike) -> Array:
        """Brightness at coordinates in arcseconds, of any one shape."""
        minor, major, q, _, _ = to_ellipse_frame(y, x, self.centre, self.ell_comps)
        a, n, b = self.sharpness, self.sersic_index, self.sersic_constant
        # The tiny term keeps the centre itself finite.
        radius = jnp.sqrt(q * major**2 + minor**2 / q + 1e-16)
        at_break = (2 ** (1 / a) * self.radius_break / self.effective_radius) ** (1 / n)
        inside = (1 + (self.radius_break / radius) ** a) ** (self.slope / a)
        smoothed = (radius**a + self.radius_break**a) / self.effective_radius**a
        outside = jnp.exp(b * (at_break - smoothed ** (1 / (a * n))))
        return self.intensity * 2 ** (-self.slope / a) * inside * outside


class GaussianSource:
    """The source: concentric Gaussians of fixed sizes that share their centre and ellipticity.

    Parameters
    ----------
    centre
        (y, x) of the centre in the source plane, in arcseconds.
    ell_comps
        Elliptical components, see `demo.mass.to_ellipse_frame`.
    """

    def __init__(
        self,
        centre: tuple[ArrayLike, ArrayLike] = (0.0, 0.0),
        ell_comps: tuple[ArrayLike, ArrayLike] = (0.0, 0.0),
    ) -> None:
        self.centre = centre
        self.ell_comps = ell_comps

    def basis(self, y: ArrayLike, x: ArrayLike) -> Array:
        """Every Gaussian, of peak one, at source-plane coordinates.

        Parameters
        ----------
        y, x
            Coordinates in arcseconds, of any one shape.

        Returns
        -------
        jax.Array
            Shape (len(SOURCE_SIGMAS), *shape).
        """
        return gaussians(y, x, self.centre, self.ell_comps, SOURCE_SIGMAS)


def gaussians(
    y: ArrayLike,
    x: ArrayLike,
    centre: tuple[ArrayLike, ArrayLike],
    ell_comps: tuple[ArrayLike, ArrayLike],
    sigmas: np.ndarray,
) -> Array:
    """Concentric elliptical Gaussians of peak one.

    Parameters
    ----------
    y, x
        Coordinates in arcseconds, of any one shape.
    centre, ell_comps
        See `demo.mass.to_ellipse_frame`.
    sigmas
        Their standard deviations in arcseconds, shape (n,): of the circle of equal area.

    Returns
    -------
    jax.Array
        Shape (n, *shape).
    """
    minor, major, q, _, _ = to_ellipse_frame(y, x, centre, ell_comps)
    # Without the barrier XLA traces the rays anew for every Gaussian.
    square = lax.optimization_barrier(q * major**2 + minor**2 / q)
    return jnp.exp(jnp.multiply.outer(-0.5 / sigmas**2, square))


def lens_basis(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The lens light: Gaussians about the origin, each with its angular terms.

    A Gaussian that is slightly off-centre or elliptical is, to first order, a round one plus
    itself times (r / sigma)^m cos(m phi) and sin(m phi) with m = 1 or m = 2; m = 3 and 4 belong
    to the second order, without which the shear of a bright lens comes out off by one standard
    deviation. All of these enter linearly, so the lens light adds no parameter to sample and its
    images never change.

    Parameters
    ----------
    y, x
        Image-plane coordinates in arcseconds, of any one shape.

    Returns
    -------
    numpy.ndarray
        Shape (72, *shape), each scaled to a largest modulus of one.
    """
    columns = []
    for sigma in LENS_SIGMAS:
        gaussian = np.exp(-0.5 * (x**2 + y**2) / sigma**2)
        for order in LENS_ORDERS:
            wave = gaussian * ((x + 1j * y) / sigma) ** order
            columns += [wave.real, wave.imag] if order else [wave.real]
    basis = np.stack(columns)
    return basis / np.abs(basis).max(axis=tuple(range(1, basis.ndim)), keepdims=True)
