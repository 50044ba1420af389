"""Masks against published pixel counts, blur against direct sums, rays against another formula."""

import numpy as np
import pytest
from scipy.signal import convolve2d

from benchmarks.cells import lens_model
from benchmarks.cells.imaging import MaskedImaging
from benchmarks.cells.instruments import simulated
from demo.imaging import Imaging

RNG = np.random.default_rng(5)
PIXELS = {"euclid": 3_841, "hst": 15_361, "jwst": 42_737, "ao": 384_753}


@pytest.fixture(scope="module")
def small():
    return simulated("small")


@pytest.mark.parametrize("instrument", PIXELS)
def test_mask_has_the_published_number_of_pixels(instrument):
    imaging = simulated(instrument)
    assert imaging.n_pixels == PIXELS[instrument]
    assert imaging.psf.shape == (21, 21)
    # Where the lens's centre is a pixel's centre, no two formulae need agree.
    centre_y, centre_x = lens_model.TRUTH[:2]
    assert np.hypot(imaging.grid_y - centre_y, imaging.grid_x - centre_x).min() > 0.001


def test_small_has_a_few_hundred_pixels(small):
    assert 200 < small.n_pixels < 1_000


def test_data_in_a_folder_are_masked(tmp_path):
    """A frame wider than the mask, with numbers that tell where each pixel came from."""
    rows, columns = np.mgrid[:141, :141]
    data = 1_000.0 * rows + columns
    Imaging(data, 1.0 + data, RNG.uniform(size=(5, 3)), 0.05).save(tmp_path)

    imaging = MaskedImaging.from_folder(tmp_path)

    assert imaging.n_pixels == PIXELS["hst"]
    np.testing.assert_allclose(imaging.grid_y, 0.05 * (70 - imaging.data // 1_000), atol=1e-12)
    np.testing.assert_allclose(imaging.grid_x, 0.05 * (imaging.data % 1_000 - 70), atol=1e-12)
    np.testing.assert_array_equal(imaging.noise, 1.0 + imaging.data)
    assert imaging.psf.sum() == pytest.approx(1.0)
    smaller = MaskedImaging.from_folder(tmp_path, radius=1.0)
    assert np.hypot(smaller.grid_y, smaller.grid_x).max() == pytest.approx(1.0, abs=0.05)


def test_image_puts_each_pixel_in_its_place(small):
    values = RNG.normal(size=(2, small.n_pixels))
    expected = np.zeros((2, *small.shape))
    expected[:, small.rows, small.columns] = values
    np.testing.assert_array_equal(small.image(values), expected)
    np.testing.assert_array_equal(small.masked(expected), values)
    neighbours = (np.diff(small.rows) == 0) & (np.diff(small.columns) == 1)
    np.testing.assert_allclose(np.diff(small.grid_x)[neighbours], small.pixel_scale)


def test_blur_is_the_sum_over_the_mask(small):
    """With a PSF of no symmetry, and light at the mask's edges, which must not wrap around."""
    psf = RNG.uniform(size=(5, 7))
    frame = Imaging(np.zeros((29, 29)), np.ones((29, 29)), psf / psf.sum(), small.pixel_scale)
    imaging = MaskedImaging.from_imaging(frame)
    values = RNG.normal(size=(3, imaging.n_pixels))
    padded = np.zeros((3, 60, 60))
    padded[:, 15 + imaging.rows, 15 + imaging.columns] = values
    for blurred, image in zip(imaging.blurred(values), padded, strict=True):
        expected = convolve2d(image, imaging.psf, mode="same")
        np.testing.assert_allclose(
            blurred, expected[15 + imaging.rows, 15 + imaging.columns], atol=1e-13
        )


def test_a_psf_may_be_wider_than_the_mask():
    psf = RNG.uniform(size=(21, 21))
    frame = Imaging(np.zeros((29, 29)), np.ones((29, 29)), psf / psf.sum(), 0.1)
    imaging = MaskedImaging.from_imaging(frame, radius=0.25)
    values = RNG.normal(size=imaging.n_pixels)
    y, x = imaging.rows, imaging.columns
    weights = imaging.psf[10 + y[:, None] - y, 10 + x[:, None] - x]
    np.testing.assert_allclose(imaging.blurred(values), weights @ values, atol=1e-13)


def test_simulated_noise_depends_on_the_seed_alone(small):
    again, other = (simulated.__wrapped__("small", i) for i in (1, 2))
    np.testing.assert_array_equal(again.data, small.data)
    # The difference of two draws has twice the variance; four standard errors are 0.16.
    assert np.std((other.data - small.data) / small.noise) == pytest.approx(np.sqrt(2), abs=0.16)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"no instrument 'hubble'\. Use one of small, euclid, hst"):
        simulated("hubble")
    frame = Imaging(np.zeros((9, 9)), np.ones((9, 9)), np.ones((1, 1)), 0.1)
    with pytest.raises(ValueError, match=r"radius 3\.5 .* 9 x 9 .* from 0\.1 to 0\.45"):
        MaskedImaging.from_imaging(frame)
    with pytest.raises(ValueError, match=r"radius 0\.0 "):
        MaskedImaging.from_imaging(frame, radius=0.0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["data", "noise_map"])
def test_bad_pixels_are_refused_inside_the_mask_alone(name, value):
    arrays = {"data": np.zeros((9, 9)), "noise_map": np.ones((9, 9))}
    arrays[name][0, 0] = value
    outside = MaskedImaging.from_imaging(
        Imaging(**arrays, psf=np.ones((1, 1)), pixel_scale=0.1), 0.3
    )
    assert np.isfinite([outside.data, outside.noise]).all()
    arrays[name][5, 3] = value
    inside = Imaging(**arrays, psf=np.ones((1, 1)), pixel_scale=0.1)
    with pytest.raises(ValueError, match=r"1 of the 29 pixels .* row 5, column 3"):
        MaskedImaging.from_imaging(inside, 0.31)


@pytest.mark.parametrize("u", [*RNG.uniform(size=(4, lens_model.N_DIM))])
def test_rays_agree_with_the_complex_formula(u):
    parameters = np.asarray(lens_model.PRIORS.physical(u))
    y, x = RNG.uniform(-3.5, 3.5, (2, 50))
    np.testing.assert_allclose(
        lens_model.trace(parameters, y, x), lens_model.trace_numpy(parameters, y, x), atol=1e-12
    )


def test_unit_cube_spans_the_priors():
    priors, truth = lens_model.PRIORS, lens_model.TRUTH
    np.testing.assert_array_equal(priors.physical(np.zeros(7)), priors.lower)
    np.testing.assert_allclose(priors.physical(np.ones(7)), priors.upper)
    np.testing.assert_allclose(priors.physical(priors.unit(truth)), truth)
    assert np.all((priors.lower < truth) & (priors.upper > truth))
