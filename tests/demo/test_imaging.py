"""The simulator's statistics, the files, and what is refused."""

import numpy as np
import pytest

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
    with pytest.raises(ValueError, match="positive"):
        Imaging(good, 0 * good, psf, 0.05)
