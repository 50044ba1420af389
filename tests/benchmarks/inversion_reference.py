"""Log evidence of a linear inversion in NumPy and SciPy, term by term."""

import numpy as np
from scipy.ndimage import convolve

from benchmarks.cells.imaging import MaskedImaging


def lopsided(imaging: MaskedImaging) -> np.ndarray:
    """A PSF without any symmetry, which tells a convolution from a correlation."""
    psf = imaging.psf * np.random.default_rng(0).uniform(0.2, 1.8, imaging.psf.shape)
    return psf / psf.sum()


def blurred_columns(imaging: MaskedImaging, columns: np.ndarray) -> np.ndarray:
    """Columns, shape (n_pixels, n), convolved one by one without any Fourier transform."""
    image = np.zeros((*imaging.shape, columns.shape[1]))
    image[imaging.rows, imaging.columns] = columns
    blurred = convolve(image, imaging.psf[:, :, None], mode="constant")
    return blurred[imaging.rows, imaging.columns]


def penalty(n_source: int, pairs: set[tuple[int, int]]) -> np.ndarray:
    """H of the sum of squared differences over neighbours, with the ridge."""
    matrix = 1e-8 * np.eye(n_source)
    for first, second in pairs:
        matrix[first, first] += 1.0
        matrix[second, second] += 1.0
        matrix[first, second] -= 1.0
        matrix[second, first] -= 1.0
    return matrix


def log_evidence(
    imaging: MaskedImaging, columns: np.ndarray, pairs: set[tuple[int, int]], coefficient: float
) -> float:
    """Suyu et al. 2006, equation 19, from the residuals of the most probable source."""
    response = blurred_columns(imaging, columns)
    inverse_variance = 1.0 / imaging.noise**2
    regularisation = coefficient * penalty(columns.shape[1], pairs)
    system = response.T @ (inverse_variance[:, None] * response) + regularisation
    source = np.linalg.solve(system, response.T @ (inverse_variance * imaging.data))
    chi_squared = np.sum((imaging.data - response @ source) ** 2 * inverse_variance)
    return -0.5 * (
        chi_squared
        + source @ regularisation @ source
        + np.linalg.slogdet(system)[1]
        - np.linalg.slogdet(regularisation)[1]
        + np.sum(np.log(2 * np.pi * imaging.noise**2))
    )
