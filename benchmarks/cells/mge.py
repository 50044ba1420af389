"""A source of 20 concentric Gaussians whose amplitudes are solved for in each call.

The Gaussians share a centre and an ellipticity in the source plane, which are sampled with the
lens, and have fixed log-spaced widths (multi-Gaussian expansion [1]_). The image of Gaussian j,
blurred with the PSF and divided by the noise, is the column a_j of A; with the data divided by the
noise, d, the curvature matrix is F = A^T A and the data vector D = A^T d [2]_. The amplitudes s
minimise |A s - d|^2 with s >= 0, for negative light is none and unconstrained neighbours would
cancel each other; PyAutoLens does the same [3]_. The log-likelihood is that of the best
amplitudes, as there: no regularisation, hence no evidence,

    log L = -(|A s - d|^2 + sum_i log 2 pi sigma_i^2) / 2.

References
----------
.. [1] Q. He et al., "Unveiling lens light complexity with a novel multi-Gaussian expansion
   approach for strong gravitational lensing", MNRAS 532 (2024) 2441.
.. [2] S. J. Warren and S. Dye, "Semilinear gravitational lens inversion", Astrophysical Journal
   590 (2003) 673.
.. [3] J. W. Nightingale et al., "PyAutoLens: Open Source Strong Gravitational Lensing",
   Journal of Open Source Software 6 (2021) 2825.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from benchmarks.cells import factories, lens_model, non_negative
from benchmarks.cells.imaging import MaskedImaging
from benchmarks.cells.priors import FlatPriors
from demo.light import gaussians
from demo.simulator import SOURCE

N_GAUSSIANS = 20

PRIORS = FlatPriors.of(
    lens_model.LIMITS
    | {
        "source_centre_0": (-0.3, 0.3),
        "source_centre_1": (-0.3, 0.3),
        "source_ell_comps_0": (-0.4, 0.4),
        "source_ell_comps_1": (-0.4, 0.4),
    }
)
N_DIM = len(PRIORS.names)
TRUTH = np.concatenate([lens_model.TRUTH, SOURCE.centre, SOURCE.ell_comps])
"""Of the simulated lens and source, shape (N_DIM,)."""


def widths(imaging: MaskedImaging) -> np.ndarray:
    """Standard deviations of the Gaussians in arcseconds, shape (N_GAUSSIANS,).

    From a fifth of a pixel, 0.01 arcseconds for HST, to the radius of the mask. Many codes begin at
    0.01 arcseconds whatever the pixel.
    """
    return np.geomspace(0.2 * imaging.pixel_scale, imaging.radius, N_GAUSSIANS)


def cell(imaging: MaskedImaging) -> Callable[[ArrayLike], Array]:
    """The log-likelihood of an image.

    Parameters
    ----------
    imaging
        The image.

    Returns
    -------
    Callable
        A point of the unit cube, shape (N_DIM,), to the log-likelihood, a scalar.
    """
    sigmas = widths(imaging)
    data = imaging.data / imaging.noise
    normalisation = np.log(2 * np.pi * imaging.noise**2).sum()

    def log_likelihood(u: ArrayLike) -> Array:
        parameters = PRIORS.physical(u)
        lens, (centre_y, centre_x, ell_y, ell_x) = jnp.split(parameters, [lens_model.N_DIM])
        y, x = lens_model.trace(lens, imaging.grid_y, imaging.grid_x)
        profiles = gaussians(y, x, (centre_y, centre_x), (ell_y, ell_x), sigmas)
        columns = imaging.blurred(profiles) / imaging.noise
        amplitudes = non_negative.solve(columns @ columns.T, columns @ data)
        residuals = amplitudes @ columns - data
        return -0.5 * (residuals @ residuals + normalisation)

    return log_likelihood


small, euclid, hst, jwst, ao = factories.by_instrument(cell, PRIORS, TRUTH)
folder_cell = partial(factories.from_folder, cell, PRIORS)
