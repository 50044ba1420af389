"""The whole likelihood: against dense NumPy, under jit and vmap, and at its peak."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from scipy.signal import convolve2d
from scipy.stats import multivariate_normal

from demo.light import SOURCE_SIGMAS, GaussianSource, lens_basis
from demo.likelihood import LensLikelihood
from demo.mass import ExternalShear, Isothermal


def instance(v):
    return SimpleNamespace(
        lens=Isothermal(centre=(v[0], v[1]), ell_comps=(v[2], v[3]), einstein_radius=v[4]),
        shear=ExternalShear(gamma_1=v[5], gamma_2=v[6]),
        source=GaussianSource(centre=(v[7], v[8]), ell_comps=(v[9], v[10])),
    )


def reference(imaging, likelihood, v):
    """The likelihood with NumPy and SciPy only: complex lensing, direct convolution, dense C."""
    cutout = likelihood.cutout
    z = cutout.x + 1j * cutout.y
    ellipticity = v[3] + 1j * v[2]
    q = (1 - abs(ellipticity)) / (1 + abs(ellipticity))
    turn = np.exp(0.5j * np.angle(ellipticity))
    w = (z - (v[1] + 1j * v[0])) / turn
    f = np.sqrt(1 - q**2)
    psi = np.sqrt(q**2 * w.real**2 + w.imag**2)
    deflection = np.arctan(f * w.real / psi) + 1j * np.arctanh(f * w.imag / psi)
    beta = z - turn * 2 * v[4] * q / (1 + q) / f * deflection - (v[5] + 1j * v[6]) * z.conj()

    ellipticity = v[10] + 1j * v[9]
    q = (1 - abs(ellipticity)) / (1 + abs(ellipticity))
    w = (beta - (v[8] + 1j * v[7])) / np.exp(0.5j * np.angle(ellipticity))
    square = q * w.real**2 + w.imag**2 / q
    images = [np.exp(-0.5 * square / sigma**2) for sigma in SOURCE_SIGMAS]

    def observed(image):
        # Means over pixels: second and fourth differences, as separate stencils.
        for axis in (0, 1):
            second = sum(np.roll(image, s, axis) for s in (-1, 1)) - 2 * image
            fourth = sum(np.roll(second, s, axis) for s in (-1, 1)) - 2 * second
            image = image + second / 24 - 17 * fourth / 5760
        image = convolve2d(image, imaging.psf, mode="valid")[2:-2, 2:-2]
        n = len(image) // 2
        return image.reshape(n, 2, n, 2).mean(axis=(1, 3))[cutout.mask]

    columns = np.array([observed(i) for i in (*images, *lens_basis(cutout.y, cutout.x))])
    prior = np.abs(cutout.data).max() ** 2
    covariance = np.diag(cutout.noise**2) + prior * columns.T @ columns
    return multivariate_normal(np.zeros(len(cutout.data)), covariance).logpdf(cutout.data)


def test_batched_likelihood_equals_a_dense_reference(imaging, likelihood, truth):
    vectors = truth + np.random.default_rng(2).normal(0, 0.02, (2, len(truth)))
    batched = jax.jit(jax.vmap(lambda v: likelihood.log_likelihood(instance(v))))(vectors)
    expected = [reference(imaging, likelihood, v) for v in vectors]
    np.testing.assert_allclose(batched, expected, rtol=1e-6)


def test_likelihood_peaks_within_the_errors_of_the_truth(likelihood, truth):
    def log_likelihood(v):
        return likelihood.log_likelihood(instance(v))

    gradient, hessian = jax.jit(jax.grad(log_likelihood)), jax.jit(jax.hessian(log_likelihood))
    peak = truth
    for _ in range(3):
        peak = peak - np.linalg.solve(hessian(peak), gradient(peak))
    covariance = -np.linalg.inv(hessian(peak))
    assert np.all(np.linalg.eigvalsh(covariance) > 0)
    distance = peak - truth
    # Chi-squared with 11 degrees of freedom: above 31 once in a thousand seeds.
    assert distance @ np.linalg.solve(covariance, distance) < 31
    assert np.all(np.abs(distance[4:7]) < 3 * np.sqrt(np.diag(covariance))[4:7])
    # The data say something: each of these is known to better than two hundredths.
    assert np.all(np.sqrt(np.diag(covariance)) < 0.02)


def test_residuals_at_the_truth_are_noise(likelihood, truth):
    images = likelihood.reconstruct(instance(truth))
    residuals = images.residuals[likelihood.cutout.mask]
    n = residuals.size
    assert np.mean(residuals**2) == pytest.approx(1.0, abs=4 * np.sqrt(2 / n))
    assert np.nanmax(images.lensed_source) > 0.5 * np.nanmax(images.data)


def test_a_lens_without_mass_is_far_worse(likelihood: LensLikelihood, truth):
    without = truth.copy()
    without[4] = 0.1
    good, bad = (float(likelihood.log_likelihood(instance(v))) for v in (truth, without))
    assert good - bad > 1000
