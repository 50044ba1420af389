"""The cell of Gaussians against NumPy and SciPy: other rays, direct sums, another solver."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.optimize import nnls
from scipy.signal import convolve2d

from autofit_memplan.specs import load_problem
from benchmarks.cells import lens_model, mge
from benchmarks.cells.imaging import MaskedImaging
from benchmarks.cells.instruments import simulated
from demo.imaging import Imaging

RNG = np.random.default_rng(6)
TRUTH = mge.PRIORS.unit(mge.TRUTH)
NEAR = np.clip(TRUTH + RNG.normal(0, [[0.001], [0.01], [0.1]], (3, mge.N_DIM)), 0, 1)
ANYWHERE = RNG.uniform(size=(5, mge.N_DIM))


def reference(imaging, u, radius=3.5):
    """The log-likelihood of a point of the unit cube."""
    parameters = mge.PRIORS.lower + (mge.PRIORS.upper - mge.PRIORS.lower) * u
    centre_y, centre_x, ell_y, ell_x = parameters[lens_model.N_DIM :]
    y, x = lens_model.trace_numpy(parameters[: lens_model.N_DIM], imaging.grid_y, imaging.grid_x)
    q = (1 - np.hypot(ell_y, ell_x)) / (1 + np.hypot(ell_y, ell_x))
    angle = 0.5 * np.angle(complex(ell_x, ell_y))
    turned = (x - centre_x + 1j * (y - centre_y)) * np.exp(-1j * angle)
    square = q * turned.real**2 + turned.imag**2 / q
    columns = []
    for width in np.geomspace(imaging.pixel_scale / 5, radius, 20):
        image = np.zeros(imaging.shape)
        image[imaging.rows, imaging.columns] = np.exp(-0.5 * square / width**2)
        blurred = convolve2d(image, imaging.psf, mode="same")
        columns.append(blurred[imaging.rows, imaging.columns] / imaging.noise)
    residual = nnls(np.stack(columns, axis=1), imaging.data / imaging.noise)[1]
    return -0.5 * (residual**2 + np.log(2 * np.pi * imaging.noise**2).sum())


@pytest.fixture(scope="module")
def cells():
    return {"small": jax.jit(mge.small()[0]), "euclid": jax.jit(mge.euclid()[0])}


@pytest.mark.parametrize(
    ("instrument", "u"),
    [("small", u) for u in (TRUTH, *NEAR, *ANYWHERE)]
    + [("euclid", TRUTH), ("euclid", ANYWHERE[0])],
)
def test_cell_agrees_with_the_reference(cells, instrument, u):
    expected = reference(simulated(instrument), u)
    assert float(cells[instrument](u)) == pytest.approx(expected, rel=1e-10)


def test_batch_is_its_members(cells):
    log_likelihood = cells["small"]
    points = np.concatenate([TRUTH[None], NEAR, ANYWHERE])
    batch = jax.jit(jax.vmap(log_likelihood))(points)
    np.testing.assert_allclose(batch, [log_likelihood(u) for u in points], rtol=1e-10)


@pytest.mark.parametrize("instrument", ["small", "euclid"])
def test_truth_fits_as_well_as_noise_allows(cells, instrument):
    """Chi-squared within five standard deviations of the number of pixels."""
    imaging = simulated(instrument)
    normalisation = np.log(2 * np.pi * imaging.noise**2).sum()
    chi_squared = -2 * float(cells[instrument](TRUTH)) - normalisation
    assert abs(chi_squared - imaging.n_pixels) < 5 * np.sqrt(2 * imaging.n_pixels)


@pytest.mark.parametrize("instrument", ["small", "euclid", "hst", "jwst"])
def test_planner_takes_the_factories(instrument):
    problem = load_problem(f"benchmarks.cells.mge:{instrument}", None, "float64")
    assert problem.n_dim == mge.N_DIM == 11
    np.testing.assert_allclose(problem.example, TRUTH)


def test_folder_is_fitted_as_its_image(tmp_path):
    frame = Imaging(
        RNG.normal(size=(31, 31)), RNG.uniform(0.5, 2.0, (31, 31)), RNG.uniform(size=(3, 5)), 0.25
    )
    frame.save(tmp_path)
    frame = replace(frame, psf=frame.psf / frame.psf.sum())
    log_likelihood, example = mge.folder_cell(tmp_path, radius=3.0)
    expected = reference(MaskedImaging.from_imaging(frame, radius=3.0), TRUTH, radius=3.0)
    assert float(jax.jit(log_likelihood)(TRUTH)) == pytest.approx(expected, rel=1e-10)
    np.testing.assert_array_equal(example, 0.5)
