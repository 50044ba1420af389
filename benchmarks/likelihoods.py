"""Likelihoods whose memory is known to be hard to plan, each a function of one vector."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

N_DIM = 5


def dense_mapping(image_pixels: int = 15_361, source_pixels: int = 1_500) -> Callable:
    """A pixelised source's mapping matrix (184 MB in float64), made by a scatter in each call."""
    columns = np.random.default_rng(0).integers(0, source_pixels, (image_pixels, 4))
    rows = np.broadcast_to(np.arange(image_pixels)[:, None], columns.shape)

    def log_likelihood(x):
        weights = jnp.sin(jnp.arange(4) * x[0] + x[1]) + x[2]
        mapping = jnp.zeros((image_pixels, source_pixels)).at[rows, columns].add(weights)
        image = mapping @ jnp.cos(jnp.arange(source_pixels) * x[3] * 0.01)
        return -0.5 * jnp.mean((image - 1.0) ** 2) - 0.5 * x[4] ** 2

    return log_likelihood


def hst_mapping() -> tuple[Callable, np.ndarray]:
    """`dense_mapping` with an example, for ``memplan plan benchmarks.likelihoods:hst_mapping``."""
    return dense_mapping(), np.full(N_DIM, 0.5)


def blurred_columns(side: int = 180, columns: int = 100) -> Callable:
    """Images convolved by FFT in a stack, as the columns of a blurred mapping matrix are."""
    y, x_grid = np.mgrid[:side, :side] / side - 0.5
    kernel = jnp.fft.rfft2(np.exp(-(y**2 + x_grid**2) / 0.001))

    def log_likelihood(x):
        width = 0.05 + 0.01 * x[0] ** 2 + jnp.arange(columns)[:, None, None] * 1e-3
        stack = jnp.exp(-((y - 0.1 * x[1]) ** 2 + (x_grid - 0.1 * x[2]) ** 2) / width)
        blurred = jnp.fft.irfft2(jnp.fft.rfft2(stack) * kernel, s=(side, side))
        return -0.5 * jnp.mean(blurred**2) - 0.5 * jnp.sum(x**2)

    return log_likelihood


def dense_algebra(size: int, factorise: Callable) -> Callable:
    """A `size` x `size` matrix, made positive definite and factorised."""
    grid = jnp.linspace(0.0, 1.0, size)
    distance = (grid[:, None] - grid[None, :]) ** 2

    def log_likelihood(x):
        matrix = jnp.exp(-distance / (0.1 + 0.01 * jnp.sum(jnp.cos(x)))) + 1e-3 * jnp.eye(size)
        return 1e-3 * jnp.sum(jnp.abs(factorise(matrix))) / size - 0.5 * jnp.sum(x**2)

    return log_likelihood


LIKELIHOODS: dict[str, Callable[[], Callable]] = {
    "dense-mapping": dense_mapping,
    "blurred-columns": blurred_columns,
    "blurred-columns-prime": lambda: blurred_columns(side=181),
    "cholesky-512": lambda: dense_algebra(512, jnp.linalg.cholesky),
    "eigh-256": lambda: dense_algebra(256, jnp.linalg.eigvalsh),
    "slogdet-512": lambda: dense_algebra(512, lambda m: jnp.linalg.slogdet(m)[1]),
}
