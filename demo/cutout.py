"""What of an image is fitted, and the linear map from sky brightness to the fitted pixels."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.lib.stride_tricks import sliding_window_view

from demo.imaging import Imaging, pixel_coordinates

# Weights that turn samples at pixel centres into means over pixels, along one axis: the midpoint
# rule with its next two terms, 1/24 of the second difference and -17/5760 of the fourth.
PIXEL_MEAN = np.array([-17.0, 308.0, 5178.0, 308.0, -17.0]) / 5760.0
# Terms of the PSF weaker than this beside the strongest one change no pixel visibly.
PSF_TOLERANCE = 1e-5


def blur_matrix(profile: np.ndarray, size_in: int, bin_size: int) -> np.ndarray:
    """Matrix that correlates a line of pixels with a profile and averages bins of the outcome.

    Parameters
    ----------
    profile
        Weights, of odd length L.
    size_in
        Pixels of the line. The outcome covers the size_in - L + 1 pixels in its middle.
    bin_size
        Pixels of a bin.

    Returns
    -------
    numpy.ndarray
        Shape (size_in, (size_in - L + 1) / bin_size), to be multiplied from the right.
    """
    size_out = size_in - len(profile) + 1
    matrix = np.zeros((size_in, size_out // bin_size))
    for pixel in range(size_out):
        matrix[pixel : pixel + len(profile), pixel // bin_size] += profile / bin_size
    return matrix


class Cutout:
    """The pixels of an annulus, binned, with the blur that leads to them.

    The model is evaluated at every pixel of the original image that can send light into the
    annulus, also from outside it; it is then averaged over pixels, blurred with the original PSF
    and binned, exactly as the data are. A PSF is a sum of products of a column and a row (its
    singular value decomposition), few for a real one, so the blur and the binning are two small
    matrix products for each term: faster here than Fourier transforms, and without wrap-around.

    Parameters
    ----------
    imaging
        The image, its noise and its PSF.
    inner, outer
        Radii of the annulus in arcseconds, about the middle of the image. The inside is left out
        because there the lens galaxy outshines the source.
    bin_size
        Side of a bin, in pixels. Noise is taken to be independent, so that of a bin is the root
        of the summed squares, divided by the number of pixels.

    Attributes
    ----------
    y, x
        Coordinates of the evaluated pixels in arcseconds, shape (side_in, side_in).
    mask
        Which bins are fitted, shape (side_out, side_out).
    bin_y, bin_x
        Coordinates of the bins in arcseconds, of that shape.
    noise_image
        Standard deviations of the noise of the bins, of that shape.
    data, noise
        The fitted bins and the standard deviations of their noise, shape (n_bins,).

    Raises
    ------
    ValueError
        When the annulus holds no bin or is too wide for the image, a bin no pixel, or pixels to be
        fitted have no data or no noise.
    """

    def __init__(
        self, imaging: Imaging, inner: float = 0.8, outer: float = 2.2, bin_size: int = 2
    ) -> None:
        if not 0 <= inner < outer:
            raise ValueError(
                f"The annulus reaches from {inner} to {outer} arcseconds, which holds nothing. "
                "Give 0 <= inner < outer."
            )
        if bin_size < 1:
            raise ValueError(f"bin_size={bin_size}, but a bin has at least 1 pixel on each side.")
        # Convolution with the PSF is correlation with the PSF turned upside down and left to right.
        kernel = np.pad(imaging.psf[::-1, ::-1], 2)
        for axis in (0, 1):
            kernel = sum(
                weight * np.roll(kernel, shift, axis)
                for weight, shift in zip(PIXEL_MEAN, range(-2, 3), strict=True)
            )
        half = int(np.ceil(outer / imaging.pixel_scale / bin_size)) * bin_size
        sides = [2 * half + n - 1 for n in kernel.shape]
        starts = [(n - side) // 2 for n, side in zip(imaging.data.shape, sides, strict=True)]
        if min(starts) < 0:
            raise ValueError(
                f"An annulus of {outer} arcseconds and its blur need {sides[0]} x {sides[1]} "
                f"pixels; the image has {imaging.data.shape[0]} x {imaging.data.shape[1]}. "
                "Reduce the outer radius."
            )
        every_y, every_x = pixel_coordinates(imaging.data.shape, imaging.pixel_scale)
        around = tuple(
            slice(start, start + side) for start, side in zip(starts, sides, strict=True)
        )
        inside = tuple(
            slice(start + n // 2, start + n // 2 + 2 * half)
            for start, n in zip(starts, kernel.shape, strict=True)
        )
        self.y, self.x = every_y[around], every_x[around]

        def binned(image: np.ndarray) -> np.ndarray:
            windows = sliding_window_view(image[inside], (bin_size, bin_size))
            return windows[::bin_size, ::bin_size].mean(axis=(2, 3))

        self.bin_y, self.bin_x = binned(every_y), binned(every_x)
        radius = np.hypot(self.bin_y, self.bin_x)
        self.mask = (radius >= inner) & (radius <= outer)
        if not self.mask.any():
            raise ValueError(
                f"No bin of {bin_size * imaging.pixel_scale:g} arcseconds lies between {inner} and "
                f"{outer} arcseconds. Widen the annulus or reduce bin_size."
            )
        fitted = np.zeros(imaging.data.shape, bool)
        fitted[inside] = np.kron(self.mask, np.ones((bin_size, bin_size), bool))
        imaging.require_usable(fitted)
        self.noise_image = np.sqrt(binned(imaging.noise_map**2)) / bin_size
        self.data, self.noise = binned(imaging.data)[self.mask], self.noise_image[self.mask]

        columns, weights, rows = np.linalg.svd(kernel)
        rank = int(np.sum(weights > PSF_TOLERANCE * weights[0]))
        self._down = np.stack(
            [
                blur_matrix(weights[term] * columns[:, term], sides[0], bin_size)
                for term in range(rank)
            ]
        )
        self._across = np.stack(
            [blur_matrix(rows[term], sides[1], bin_size) for term in range(rank)]
        )

    def blurred(self, images: Array) -> Array:
        """Images of sky brightness as the telescope would see them, binned.

        Parameters
        ----------
        images
            Brightness at the coordinates `y` and `x`, shape (n, side_in, side_in).

        Returns
        -------
        jax.Array
            Shape (n, side_out, side_out).
        """
        total = 0.0
        for down, across in zip(self._down, self._across, strict=True):
            half_blurred = jnp.tensordot(images, across, ((2,), (0,)))
            total += jnp.tensordot(half_blurred, down, ((1,), (0,)))
        return jnp.swapaxes(total, 1, 2)

    def fitted(self, images: Array) -> Array:
        """`blurred` images in the fitted bins only, shape (n, n_bins)."""
        return self.blurred(images)[:, self.mask]

    def unmasked(self, values: Array | np.ndarray) -> np.ndarray:
        """Values of the fitted bins put back in place, NaN elsewhere: (side_out, side_out)."""
        image = np.full(self.mask.shape, np.nan)
        image[self.mask] = values
        return image
