"""The lens model and its analysis, in the form that `af.NSS` fits."""

from __future__ import annotations

from jax import Array

import autofit as af
from autofit.non_linear.paths import AbstractPaths
from demo.light import GaussianSource
from demo.likelihood import LensInstance, LensLikelihood, Reconstruction
from demo.mass import ExternalShear, Isothermal
from demo.pictures import draw_corner, draw_reconstruction


def lens_model(einstein_radius: float = 1.6) -> af.Collection:
    """Isothermal ellipsoid, external shear and a Gaussian-basis source: eleven free parameters.

    Parameters
    ----------
    einstein_radius
        A guess in arcseconds, for instance the radius of the ring by eye. The prior reaches 0.3
        arcseconds to both sides.

    Returns
    -------
    af.Collection
        With the members `lens`, `shear` and `source`.
    """

    def pair(sigma: float) -> tuple[af.GaussianPrior, af.GaussianPrior]:
        return af.GaussianPrior(mean=0.0, sigma=sigma), af.GaussianPrior(mean=0.0, sigma=sigma)

    return af.Collection(
        lens=af.Model(
            Isothermal,
            centre=pair(0.05),
            ell_comps=pair(0.15),
            einstein_radius=af.UniformPrior(
                lower_limit=einstein_radius - 0.3, upper_limit=einstein_radius + 0.3
            ),
        ),
        shear=af.Model(
            ExternalShear,
            gamma_1=af.UniformPrior(lower_limit=-0.2, upper_limit=0.2),
            gamma_2=af.UniformPrior(lower_limit=-0.2, upper_limit=0.2),
        ),
        source=af.Model(GaussianSource, centre=pair(0.15), ell_comps=pair(0.15)),
    )


class LensAnalysis(af.Analysis):
    """Fits a lens model to an image, and draws what was found.

    Parameters
    ----------
    likelihood
        The likelihood, which holds the data.
    """

    def __init__(self, likelihood: LensLikelihood) -> None:
        super().__init__()
        self.likelihood = likelihood

    def log_likelihood_function(self, instance: LensInstance) -> Array:
        """Log-likelihood with the light integrated out; see `demo.linear`."""
        return self.likelihood.log_likelihood(instance)

    def model_images(self, instance: LensInstance) -> Reconstruction:
        """Data, model, residuals and source of an instance."""
        return self.likelihood.reconstruct(instance)

    def save_results(self, paths: AbstractPaths, result: af.Result) -> None:
        """Draw the most likely instance and the posterior into `paths.image_path`.

        Parameters
        ----------
        paths
            Where the fit is written; nothing is drawn when it is nowhere.
        result
            The result of the fit.
        """
        if paths.image_path is None:
            return
        images = self.model_images(result.max_log_likelihood_instance)
        draw_reconstruction(images, paths.image_path / "fit.png")
        draw_corner(result.samples, paths.image_path / "corner.png")
