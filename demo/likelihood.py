"""The likelihood of a lens model: trace rays back, blur the images, solve for the light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jax import Array

from demo.cutout import Cutout
from demo.imaging import pixel_coordinates
from demo.light import GaussianSource, lens_basis
from demo.linear import MarginalLinearModel
from demo.mass import ExternalShear, Isothermal

SOURCE_SIDE = 120
SOURCE_WIDTH = 0.9


class LensInstance(Protocol):
    """A lens model with numbers in it, as an `af.Collection` with these names gives one."""

    lens: Isothermal
    shear: ExternalShear
    source: GaussianSource


@dataclass(frozen=True)
class Reconstruction:
    """The most probable light of a lens model. Bins outside the annulus are NaN.

    Attributes
    ----------
    data, model
        Shape (side_out, side_out), in the unit of the data.
    residuals
        Data less model, in standard deviations of the noise, of that shape.
    lensed_source
        The part of the model that comes from the source, of that shape.
    source
        The source as it would look without a lens, on a grid about its centre.
    image_extent, source_extent
        Left, right, bottom and top of the images and of the source's grid, in arcseconds.
    """

    data: np.ndarray
    model: np.ndarray
    residuals: np.ndarray
    lensed_source: np.ndarray
    source: np.ndarray
    image_extent: tuple[float, float, float, float]
    source_extent: tuple[float, float, float, float]


class LensLikelihood:
    """Likelihood of an image of a lens, for any mass of the lens and place of the source.

    Parameters
    ----------
    cutout
        The fitted pixels and the blur that leads to them.
    """

    def __init__(self, cutout: Cutout) -> None:
        self.cutout = cutout
        self.lens_columns = np.asarray(cutout.fitted(lens_basis(cutout.y, cutout.x)))
        # A prior as wide as the brightest fitted pixel: wide enough not to pull, and proper.
        amplitude = float(np.abs(cutout.data).max())
        self.linear = MarginalLinearModel(cutout.data, cutout.noise, self.lens_columns, amplitude)

    def source_images(self, instance: LensInstance) -> Array:
        """Lensed and unblurred images of the source's Gaussians, shape (n, side_in, side_in)."""
        y, x = self.cutout.y, self.cutout.x
        lens_y, lens_x = instance.lens.deflections(y, x)
        shear_y, shear_x = instance.shear.deflections(y, x)
        return instance.source.basis(y - lens_y - shear_y, x - lens_x - shear_x)

    def log_likelihood(self, instance: LensInstance) -> Array:
        """Log-likelihood with the brightnesses of source and lens galaxy integrated out.

        Parameters
        ----------
        instance
            Anything with `lens`, `shear` and `source`; their numbers may be traced.

        Returns
        -------
        jax.Array
            A scalar.
        """
        return self.linear.log_likelihood(self.cutout.fitted(self.source_images(instance)))

    def reconstruct(self, instance: LensInstance) -> Reconstruction:
        """The most probable light of a lens model, for pictures.

        Parameters
        ----------
        instance
            Anything with `lens`, `shear` and `source`.

        Returns
        -------
        Reconstruction
            Images of the fitted bins, and the source.
        """
        cutout = self.cutout
        columns = cutout.fitted(self.source_images(instance))
        source, lens = self.linear.amplitudes(columns)
        centre = np.asarray(instance.source.centre, dtype=float)
        y, x = pixel_coordinates((SOURCE_SIDE, SOURCE_SIDE), SOURCE_WIDTH / SOURCE_SIDE)
        y, x = y + centre[0], x + centre[1]
        model = cutout.unmasked(source @ columns + lens @ self.lens_columns)
        data = cutout.unmasked(cutout.data)
        return Reconstruction(
            data=data,
            model=model,
            residuals=(data - model) / cutout.noise_image,
            lensed_source=cutout.unmasked(source @ columns),
            source=np.tensordot(source, instance.source.basis(y, x), 1),
            image_extent=_extent(cutout.bin_y, cutout.bin_x),
            source_extent=_extent(y, x),
        )


def _extent(y: np.ndarray, x: np.ndarray) -> tuple[float, float, float, float]:
    """Left, right, bottom and top edge of a grid of pixels, in arcseconds."""
    half = 0.5 * abs(x[0, 1] - x[0, 0])
    return x.min() - half, x.max() + half, y.min() - half, y.max() + half
