"""Imaging of a strong lens, made up: what a fit has to recover is then known.

The size of the image and of its pixels are those usual for imaging of lenses with the Hubble
Space Telescope.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve

from demo.imaging import Imaging, pixel_coordinates
from demo.light import CoredSersic, Sersic
from demo.mass import ExternalShear, Isothermal

PIXEL_SCALE = 0.05
SIDE = 141
PSF_SIDE = 21
OVERSAMPLE = 8
EXPOSURE_SECONDS, SKY_BRIGHTNESS = 500.0, 0.15

LENS_MASS = Isothermal(centre=(0.02, -0.01), ell_comps=(0.08, -0.04), einstein_radius=1.55)
SHEAR = ExternalShear(gamma_1=0.04, gamma_2=-0.03)
LENS_LIGHT = Sersic(
    centre=(0.02, -0.01),
    ell_comps=(0.08, -0.04),
    intensity=1.2,
    effective_radius=0.7,
    sersic_index=3.0,
)
SOURCE = CoredSersic(
    centre=(0.08, 0.05),
    ell_comps=(-0.1, 0.12),
    intensity=2.5,
    effective_radius=0.12,
    sersic_index=1.0,
)

# The truth under the names that the parameters of the fit have; `_` joins a path of names.
TRUTH = {
    "lens_centre_0": LENS_MASS.centre[0],
    "lens_centre_1": LENS_MASS.centre[1],
    "lens_ell_comps_0": LENS_MASS.ell_comps[0],
    "lens_ell_comps_1": LENS_MASS.ell_comps[1],
    "lens_einstein_radius": LENS_MASS.einstein_radius,
    "shear_gamma_1": SHEAR.gamma_1,
    "shear_gamma_2": SHEAR.gamma_2,
    "source_centre_0": SOURCE.centre[0],
    "source_centre_1": SOURCE.centre[1],
    "source_ell_comps_0": SOURCE.ell_comps[0],
    "source_ell_comps_1": SOURCE.ell_comps[1],
}


def point_spread_function() -> np.ndarray:
    """A narrow Gaussian core and a wide wing with a sixth of the light, shape (21, 21), sum one."""
    y, x = pixel_coordinates((PSF_SIDE, PSF_SIDE), PIXEL_SCALE)
    square = x**2 + y**2
    core, wing = (np.exp(-0.5 * square / sigma**2) for sigma in (0.05, 0.12))
    return (5 * core / core.sum() + wing / wing.sum()) / 6


def simulate(
    seed: int = 1,
    exposure_seconds: float = EXPOSURE_SECONDS,
    sky_brightness: float = SKY_BRIGHTNESS,
) -> Imaging:
    """Image a lens galaxy and a lensed source through a telescope.

    The sky brightness is averaged over 8 x 8 sub-pixels of every pixel, blurred, and counted:
    the electrons of a pixel are Poisson distributed. The mean of the sky is then subtracted. The
    noise map is the root of the expected counts, as if the noise were known.

    Parameters
    ----------
    seed
        Seed of the noise.
    exposure_seconds
        Length of the exposure. Brightness is in electrons per second.
    sky_brightness
        Brightness of the sky background in each pixel.

    Returns
    -------
    Imaging
        141 x 141 pixels of 0.05 arcseconds.
    """
    # A margin of half a PSF, so that light from outside the frame is blurred into it.
    padded = SIDE + PSF_SIDE - 1
    y, x = pixel_coordinates((padded, padded), PIXEL_SCALE, OVERSAMPLE)
    deflections = [mass.deflections(y, x) for mass in (LENS_MASS, SHEAR)]
    source_y = y - sum(deflection[0] for deflection in deflections)
    source_x = x - sum(deflection[1] for deflection in deflections)
    sky = np.asarray(LENS_LIGHT.image(y, x) + SOURCE.image(source_y, source_x))
    sky = sky.reshape(padded, OVERSAMPLE, padded, OVERSAMPLE).mean(axis=(1, 3))
    psf = point_spread_function()
    expected = fftconvolve(sky, psf, mode="valid") + sky_brightness
    counts = np.random.default_rng(seed).poisson(expected * exposure_seconds)
    return Imaging(
        data=counts / exposure_seconds - sky_brightness,
        noise_map=np.sqrt(expected / exposure_seconds),
        psf=psf,
        pixel_scale=PIXEL_SCALE,
    )
