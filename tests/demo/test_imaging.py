"""The simulator's statistics, the files, and what is refused."""

import numpy as np
import pytest
from astropy.io import fits

from demo.imaging import Imaging, pixel_coordinates
from demo.simulator import simulate


def test_the_same_seed_gives_the_same_image(imaging):
    again, other = simulate(seed=1), simulate(seed=2)
    np.testing.assert_array_equal(again.data, imaging.data)
    assert np.any(other.data != imaging.data)


def test_noise_map_is_the_scatter_between_two_exposures(imaging):
    other = simulate(seed=2)
    difference = (imaging.data - other.data) / (np.sqrt(2) * imaging.noise_map)
    n = difference.size
    assert difference.mean() == pytest.approx(0.0, abs=5 / np.sqrt(n))
    assert difference.std() == pytest.approx(1.0, abs=5 / np.sqrt(2 * n))


def test_image_survives_the_way_to_disk_and_back(imaging, tmp_path):
    imaging.save(tmp_path)
    loaded = Imaging.load(tmp_path)
    for name in ("data", "noise_map"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(imaging, name))
    np.testing.assert_allclose(loaded.psf, imaging.psf, rtol=1e-12)
    assert loaded.pixel_scale == 0.05


def test_y_falls_with_the_row_and_sub_pixels_average_to_their_pixel():
    y, x = pixel_coordinates((3, 5), 0.1)
    np.testing.assert_allclose(y[:, 0], [0.1, 0.0, -0.1], atol=1e-15)
    np.testing.assert_allclose(x[0], [-0.2, -0.1, 0.0, 0.1, 0.2], atol=1e-15)
    fine, _ = pixel_coordinates((3, 5), 0.1, oversample=4)
    np.testing.assert_allclose(fine.reshape(3, 4, 5, 4).mean(axis=(1, 3)), y, atol=1e-15)


def test_mismatched_or_impossible_arrays_are_refused():
    good, psf = np.ones((5, 5)), np.ones((3, 3))
    with pytest.raises(ValueError, match="noise map"):
        Imaging(good, np.ones((4, 5)), psf, 0.05)
    with pytest.raises(ValueError, match="central pixel"):
        Imaging(good, good, np.ones((4, 3)), 0.05)
    with pytest.raises(ValueError, match="rows and columns"):
        Imaging(np.ones((2, 5, 5)), np.ones((2, 5, 5)), psf, 0.05)
    for bad_psf in (0 * psf, np.full((3, 3), np.nan)):
        with pytest.raises(ValueError, match="sum of the PSF"):
            Imaging(good, good, bad_psf, 0.05)
    with pytest.raises(ValueError, match="side of a pixel"):
        Imaging(good, good, psf, 0.0)


def test_pixels_without_noise_are_refused_where_they_are_fitted():
    noise_map = np.ones((5, 5))
    noise_map[1, 2] = 0.0
    image = Imaging(np.ones((5, 5)), noise_map, np.ones((3, 3)), 0.05)
    pixels = np.ones((5, 5), bool)
    with pytest.raises(ValueError, match=r"1 of the 25 .* row 1, column 2 .* noise 0\.0"):
        image.require_usable(pixels)
    pixels[1] = False
    image.require_usable(pixels)


def test_images_may_lie_in_an_extension_in_other_numbers(imaging, tmp_path):
    """As telescopes' pipelines write them: an empty first HDU, and single precision."""
    imaging.save(tmp_path)
    header = fits.Header({"PIXSCAY": 0.05})
    image = fits.ImageHDU(imaging.data.astype(np.float32))
    fits.HDUList([fits.PrimaryHDU(header=header), image]).writeto(
        tmp_path / "data.fits", overwrite=True
    )
    loaded = Imaging.load(tmp_path)
    np.testing.assert_array_equal(loaded.data, imaging.data.astype(np.float32))
    assert loaded.data.dtype == float and loaded.pixel_scale == 0.05


def test_folders_that_do_not_say_enough_are_refused(imaging, tmp_path):
    imaging.save(tmp_path)
    fits.setval(tmp_path / "psf.fits", "PIXSCAY", value=0.025)
    with pytest.raises(ValueError, match=r"0\.05 .* PSF 0\.025"):
        Imaging.load(tmp_path)
    fits.delval(tmp_path / "data.fits", "PIXSCAY")
    with pytest.raises(ValueError, match=r"data\.fits has no PIXSCAY"):
        Imaging.load(tmp_path)
    (tmp_path / "noise_map.fits").unlink()
    with pytest.raises(FileNotFoundError, match=r"noise_map\.fits"):
        Imaging.load(tmp_path)
