"""Images of one lensed source as several telescopes would see it, made up with a seed."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.signal import fftconvolve

from benchmarks.cells.imaging import RADIUS, MaskedImaging
from benchmarks.cells.lens_model import TRUTH, trace_numpy
from demo.imaging import Imaging, pixel_coordinates
from demo.simulator import EXPOSURE_SECONDS, SKY_BRIGHTNESS, SOURCE, point_spread_function

INSTRUMENTS = {"small": 0.25, "euclid": 0.1, "hst": 0.05, "jwst": 0.03, "ao": 0.01}
"""Side of a pixel in arcseconds. `small` is no telescope; it is for tests and whole fits."""

SMALL_PSF_SIDE = 7


@cache
def simulated(instrument: str, seed: int = 1) -> MaskedImaging:
    """The demo's source behind the lens of `TRUTH`, without lens light.

    A pixel's brightness is that of its centre, as the likelihoods have it. The noise is Gaussian
    with the variance of counted electrons; its seed and the PSF in pixels are the same for every
    instrument. Made once for each instrument and seed.

    Parameters
    ----------
    instrument
        One of `INSTRUMENTS`.
    seed
        Of the noise.

    Raises
    ------
    ValueError
        When there is no such instrument.
    """
    if instrument not in INSTRUMENTS:
        raise ValueError(
            f"There is no instrument {instrument!r}. Use one of {', '.join(INSTRUMENTS)}."
        )
    pixel_scale = INSTRUMENTS[instrument]
    psf = point_spread_function()
    if instrument == "small":
        cut = (len(psf) - SMALL_PSF_SIDE) // 2
        psf = psf[cut:-cut, cut:-cut] / psf[cut:-cut, cut:-cut].sum()
    side = 2 * int(np.ceil(RADIUS / pixel_scale)) + 1
    y, x = pixel_coordinates((side, side), pixel_scale)
    sky = np.asarray(SOURCE.image(*trace_numpy(TRUTH, y, x)))
    expected = fftconvolve(sky, psf, mode="same")
    noise_map = np.sqrt((expected + SKY_BRIGHTNESS) / EXPOSURE_SECONDS)
    noise = np.random.default_rng(seed).normal(0.0, noise_map)
    return MaskedImaging.from_imaging(Imaging(expected + noise, noise_map, psf, pixel_scale))
