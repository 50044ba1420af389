"""The likelihood of a lens model: trace rays back, blur the source's images, solve for the light."""

from __future__ import annotations

from typing import Protocol

import jax.numpy as jnp
import numpy as np
from jax import Array

from demo.cutout import Cutout
from demo.light import GaussianSource, lens_basis
from demo.linear import MarginalLinearModel
from demo.mass import ExternalShear, Isothermal


class LensInstance(Protocol):
    """A lens model with numbers in it, as an `af.Collection` with these names gives one."""

    lens: Isothermal
    shear: ExternalShear
    source: GaussianSource


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
        self.linear = MarginalLinearModel(
            cutout.data, cutout.noise, self.lens_columns, amplitude
        )

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
