"""The pixels inside a circular mask, and the blur between them.

Two simplifications: a pixel's brightness is that of its centre, and light that the telescope blurs
into the mask from outside of it is ignored. A lensed source lies well within the mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from scipy.fft import next_fast_len

from demo.imaging import Imaging, pixel_coordinates

RADIUS = 3.5
"""Of the circular mask, in arcseconds."""


@dataclass(frozen=True, eq=False)
class MaskedImaging:
    """Imaging inside a circular mask, as vectors over its pixels.

    Attributes
    ----------
    data, noise
        Image and standard deviation of its noise, shape (n_pixels,).
    psf
        Shape (odd, odd), sum one.
    grid_y, grid_x
        Centres of the pixels in arcseconds, shape (n_pixels,).
    rows, columns
        Places of the pixels in an array of `shape`, shape (n_pixels,).
    shape
        Rows and columns of an array that holds the mask and, to its right and below it, at least
        half a PSF of zeros. A convolution by FFT that wraps around is then exact inside the mask.
        It also holds the PSF.
        Sides are products of small primes, with which an FFT is fast and needs least scratch.
    pixel_scale
        Side of a pixel in arcseconds.
    radius
        Of the mask, in arcseconds.
    """

    data: np.ndarray
    noise: np.ndarray
    psf: np.ndarray
    grid_y: np.ndarray
    grid_x: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    shape: tuple[int, int]
    pixel_scale: float
    radius: float

    @classmethod
    def from_imaging(cls, imaging: Imaging, radius: float = RADIUS) -> MaskedImaging:
        """The pixels of an image whose centres lie within a circle about its middle.

        Centres on the circle itself are left out, as far as rounding tells: an odd number of
        pixels to a side and 3.5 arcseconds then give the pixel counts that the field publishes.

        Parameters
        ----------
        imaging
            The image, its noise and its PSF.
        radius
            Of the mask, in arcseconds.

        Raises
        ------
        ValueError
            When the circle holds no pixel or does not fit into the image, or pixels within it have
            no data or no noise.
        """
        widest = min(imaging.data.shape) * imaging.pixel_scale / 2
        y, x = pixel_coordinates(imaging.data.shape, imaging.pixel_scale)
        inside = y**2 + x**2 < radius**2
        if radius > widest or not inside.any():
            raise ValueError(
                f"A mask of radius {radius} arcseconds holds no pixel or does not fit into "
                f"{imaging.data.shape[0]} x {imaging.data.shape[1]} pixels of "
                f"{imaging.pixel_scale} arcseconds. Give a radius from {imaging.pixel_scale:g} to "
                f"{widest:g}."
            )
        imaging.require_usable(inside)
        rows, columns = (index - index.min() for index in np.nonzero(inside))
        return cls(
            data=imaging.data[inside],
            noise=imaging.noise_map[inside],
            psf=imaging.psf,
            grid_y=y[inside],
            grid_x=x[inside],
            rows=rows,
            columns=columns,
            shape=tuple(
                next_fast_len(max(int(index.max()) + 1 + side // 2, side), real=True)
                for index, side in zip((rows, columns), imaging.psf.shape, strict=True)
            ),
            pixel_scale=imaging.pixel_scale,
            radius=radius,
        )

    @classmethod
    def from_folder(cls, folder: str | Path, radius: float = RADIUS) -> MaskedImaging:
        """`data.fits`, `noise_map.fits` and `psf.fits` of a folder; see `Imaging.load`.

        Parameters
        ----------
        folder
            The folder.
        radius
            Of the mask, in arcseconds.

        Raises
        ------
        FileNotFoundError, ValueError
            See `Imaging.load` and `from_imaging`.
        """
        return cls.from_imaging(Imaging.load(folder), radius)

    @property
    def n_pixels(self) -> int:
        return len(self.data)

    def image(self, values: ArrayLike) -> Array:
        """Values of the pixels in an array, zero elsewhere.

        Parameters
        ----------
        values
            Shape (..., n_pixels).

        Returns
        -------
        jax.Array
            Shape (..., *shape).
        """
        # By gather: a scatter of a batch takes four times as long on a CPU.
        pixel, is_inside = self._pixel_of_place
        return jnp.where(is_inside, jnp.asarray(values)[..., pixel], 0.0)

    def masked(self, image: ArrayLike) -> Array:
        """The pixels of an array, shape (..., *shape) to (..., n_pixels)."""
        return jnp.asarray(image)[..., self.rows, self.columns]

    @cached_property
    def _pixel_of_place(self) -> tuple[np.ndarray, np.ndarray]:
        """Which pixel lies at a place of the array, and whether any does; both of `shape`."""
        pixel, is_inside = np.zeros(self.shape, int), np.zeros(self.shape, bool)
        pixel[self.rows, self.columns] = np.arange(self.n_pixels)
        is_inside[self.rows, self.columns] = True
        return pixel, is_inside

    @cached_property
    def psf_transform(self) -> np.ndarray:
        """Real FFT of the PSF with its middle at the origin, shape (rows, columns // 2 + 1)."""
        kernel = np.zeros(self.shape)
        kernel[: self.psf.shape[0], : self.psf.shape[1]] = self.psf
        to_origin = [-(side // 2) for side in self.psf.shape]
        return np.fft.rfft2(np.roll(kernel, to_origin, axis=(0, 1)))

    def blurred(self, values: ArrayLike) -> Array:
        """Pixels convolved with the PSF, by FFT.

        Parameters
        ----------
        values
            Shape (..., n_pixels).

        Returns
        -------
        jax.Array
            Of that shape.
        """
        transform = jnp.fft.rfft2(self.image(values)) * self.psf_transform
        return self.masked(jnp.fft.irfft2(transform, s=self.shape))
