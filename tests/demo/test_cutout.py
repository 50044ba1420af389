"""Blurring and binning against a direct convolution at high resolution."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import convolve2d

from demo.cutout import Cutout
from demo.imaging import Imaging, pixel_coordinates


def scene(y, x):
    """A sky that has no symmetry, with spots hardly wider than pixels of 0.05 arcseconds."""
    return sum(
        height * np.exp(-0.5 * ((y - cy) ** 2 + (x - cx) ** 2) / 0.07**2)
        for height, cy, cx in ((1.0, 0.91, 0.52), (2.0, -1.23, 0.33), (0.7, 0.11, -2.27))
    )


def lopsided_psf():
    psf = np.random.default_rng(0).uniform(size=(9, 9)) * np.hanning(11)[1:-1]
    return psf / psf.sum()


@pytest.mark.parametrize(("side", "bin_size"), [(141, 2), (140, 2), (141, 1)])
def test_blur_is_the_convolution_of_pixel_means(side, bin_size):
    psf = lopsided_psf()
    fine = 10
    sub = scene(*pixel_coordinates((side, side), 0.05, fine))
    sky = sub.reshape(side, fine, side, fine).mean(axis=(1, 3))
    image = convolve2d(sky, psf, mode="same")
    imaging = Imaging(image, np.ones_like(image), psf, 0.05)

    cutout = Cutout(imaging, inner=0.5, outer=2.4, bin_size=bin_size)

    modelled = cutout.fitted(scene(cutout.y, cutout.x)[None])[0]
    # The data went through the same binning; what is left is the error of the pixel means.
    np.testing.assert_allclose(modelled, cutout.data, atol=3e-4 * image.max())


def test_noise_of_a_bin_is_the_scatter_of_its_mean():
    rng = np.random.default_rng(5)
    noise_map = rng.uniform(0.5, 2.0, (41, 41))
    psf = np.zeros((3, 3))
    psf[1, 1] = 1.0
    draws = [
        Cutout(Imaging(rng.normal(0, noise_map), noise_map, psf, 0.1), 0.5, 1.2).data
        for _ in range(400)
    ]
    cutout = Cutout(Imaging(noise_map, noise_map, psf, 0.1), 0.5, 1.2)
    ratio = np.std(draws, axis=0) / cutout.noise
    assert ratio.mean() == pytest.approx(1.0, abs=0.02)
    assert np.abs(ratio - 1).max() < 0.2


def test_annulus_has_its_radii(cutout):
    radius = np.hypot(cutout.bin_y, cutout.bin_x)[cutout.mask]
    assert 0.8 <= radius.min() < 0.85
    assert 2.15 < radius.max() <= 2.2
    assert len(cutout.data) == pytest.approx(np.pi * (2.2**2 - 0.8**2) / 0.1**2, rel=0.02)


def test_impossible_annuli_are_refused(imaging):
    with pytest.raises(ValueError, match="holds nothing"):
        Cutout(imaging, inner=2.0, outer=1.0)
    with pytest.raises(ValueError, match="Widen the annulus"):
        Cutout(imaging, inner=2.0, outer=2.0001)
    with pytest.raises(ValueError, match="at least 1 pixel"):
        Cutout(imaging, bin_size=0)
    with pytest.raises(ValueError, match="Reduce the outer radius"):
        Cutout(imaging, outer=3.2)


def test_bad_pixels_are_refused_inside_the_annulus_alone(imaging):
    data = imaging.data.copy()
    data[70, 70] = np.nan  # in the middle, which is left out
    assert np.isfinite(Cutout(replace(imaging, data=data)).data).all()
    data[70, 100] = np.nan
    with pytest.raises(ValueError, match="row 70, column 100"):
        Cutout(replace(imaging, data=data))
