"""Regularised linear inversion of a source, and its log evidence.

The source is a vector s of brightnesses. A mapping matrix M says how much of each of them an image
pixel sees, P is the blur, C the diagonal covariance of the noise and d the data. With B = P M, a
gradient penalty H and its coefficient lambda, the most probable source is [1]_

    s = (F + lambda H)^-1 D,    F = B^T C^-1 B,    D = B^T C^-1 d,

and its log evidence E is that of [2]_, equation 19, in the form of [3]_, equation 5, and [4]_:

    -2 E = chi^2 + lambda s^T H s + log det(F + lambda H) - log det(lambda H) + sum log(2 pi C).

Since s solves the normal equations, chi^2 + lambda s^T H s = d^T C^-1 d - D^T s, so that no model
image is needed. F is singular where no ray arrives and H for a constant source; their sum is not.

The evidence is that of a source that may be negative, as in [2]_: one Cholesky factor gives it.
Codes of the field, PyAutoLens among them, also offer a source without negative light, which takes a
solver like `benchmarks.cells.non_negative` on top: a call of theirs costs more than one of these
cells.

References
----------
.. [1] S. J. Warren and S. Dye, "Semilinear gravitational lens inversion", Astrophysical Journal
   590 (2003) 673.
.. [2] S. H. Suyu et al., "A Bayesian analysis of regularized source inversions in gravitational
   lensing", MNRAS 371 (2006) 983.
.. [3] S. Dye et al., "Models of the Cosmic Horseshoe gravitational lens", MNRAS 388 (2008) 384,
   arXiv:0804.4002.
.. [4] J. W. Nightingale and S. Dye, "Adaptive semi-linear inversion of strong gravitational lens
   imaging", MNRAS 452 (2015) 2940.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.scipy.linalg import cho_solve
from jax.typing import ArrayLike

from benchmarks.cells.imaging import MaskedImaging
from benchmarks.cells.lens_model import LIMITS
from benchmarks.cells.lens_model import TRUTH as LENS_TRUTH
from benchmarks.cells.priors import FlatPriors

RIDGE = 1e-8
"""Added to the diagonal of H, which is singular without; of the size that the field's codes use.
Here it is multiplied with lambda, like the rest of H."""

BLOCK = 39
"""Columns that `sparse_equations` blurs at a time."""

PRIORS = FlatPriors.of({**LIMITS, "log10_coefficient": (-2.0, 4.0)})
"""The lens's parameters and the decimal logarithm of lambda, which is the square of PyAutoLens's
coefficient."""

TRUTH = np.append(LENS_TRUTH, 1.5)
"""The simulated lens, and a coefficient that is more probable at euclid size than a third of it and
than three times as much."""


class Mapping(NamedTuple):
    """The non-zero elements of a mapping matrix.

    Attributes
    ----------
    sources
        Source pixels that an image pixel sees, shape (n_pixels, k). One may come twice.
    weights
        How much of each, of that shape.
    """

    sources: Array
    weights: Array


class Equations(NamedTuple):
    """F, shape (n_source, n_source), and D, shape (n_source,); regularisation is not in them."""

    curvature: Array
    data_vector: Array


EquationsOf = Callable[[MaskedImaging, Mapping, int], Equations]


def dense_equations(imaging: MaskedImaging, mapping: Mapping, n_source: int) -> Equations:
    """Normal equations by way of the whole blurred mapping matrix, n_source * n_pixels numbers.

    Parameters
    ----------
    imaging
        The data.
    mapping
        Of the traced image pixels.
    n_source
        Source pixels.
    """
    pixels = np.arange(imaging.n_pixels)[:, None]
    columns = jnp.zeros((n_source, imaging.n_pixels))
    columns = columns.at[mapping.sources, pixels].add(mapping.weights)
    whitened = imaging.blurred(columns) / imaging.noise
    return Equations(whitened @ whitened.T, whitened @ (imaging.data / imaging.noise))


def sparse_equations(imaging: MaskedImaging, mapping: Mapping, n_source: int) -> Equations:
    """The same from the non-zero elements alone: there is no matrix of n_source x n_pixels.

    A block of columns of M is blurred, weighted, and blurred with the PSF turned round, which
    makes it P^T C^-1 P M; the product with M^T adds its few non-zero elements up.

    Parameters
    ----------
    imaging, mapping, n_source
        See `dense_equations`.
    """
    inverse_variance = imaging.noise**-2

    def turned_blur(values: ArrayLike) -> Array:
        transform = jnp.fft.rfft2(imaging.image(values)) * imaging.psf_transform.conj()
        return imaging.masked(jnp.fft.irfft2(transform, s=imaging.shape))

    def to_sources(values: Array) -> Array:
        """M^T times values of shape (n_pixels, n)."""
        total = jnp.zeros((n_source, values.shape[1]))
        for sources, weights in zip(mapping.sources.T, mapping.weights.T, strict=True):
            total = total.at[sources].add(weights[:, None] * values)
        return total

    def rows(block: Array) -> Array:
        seen = mapping.sources == block[:, None, None]
        columns = jnp.where(seen, mapping.weights, 0.0).sum(-1)
        return to_sources(turned_blur(imaging.blurred(columns) * inverse_variance).T).T

    # Columns past the last one are seen by no pixel, so they are zero.
    blocks = np.arange(-(-n_source // BLOCK) * BLOCK).reshape(-1, BLOCK)
    curvature = lax.map(rows, blocks).reshape(-1, n_source)[:n_source]
    weighted = turned_blur(imaging.data * inverse_variance)
    return Equations(curvature, to_sources(weighted[:, None])[:, 0])


def add_penalty(matrix: Array, pairs: ArrayLike, coefficient: ArrayLike) -> Array:
    """A matrix plus lambda H; s^T H s is the sum of (s_i - s_j)^2 over neighbours, plus a ridge.

    Parameters
    ----------
    matrix
        Shape (n_source, n_source).
    pairs
        Neighbours i and j, each pair once, shape (n_pairs, 2). Those beyond n_source are ignored.
    coefficient
        lambda, a scalar.
    """
    first, second = jnp.asarray(pairs).T
    every = jnp.arange(len(matrix))
    ones = jnp.ones(len(first))
    return matrix.at[
        jnp.concatenate([every, first, second, first, second]),
        jnp.concatenate([every, first, second, second, first]),
    ].add(
        coefficient * jnp.concatenate([jnp.full(len(matrix), RIDGE), ones, ones, -ones, -ones]),
        mode="drop",
    )


def log_determinant(factor: Array) -> Array:
    """log det(L L^T) of a triangular factor L, shape (..., n, n) to (...)."""
    return 2.0 * jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)).sum(-1)


def log_evidence(
    imaging: MaskedImaging,
    equations: Equations,
    factor: Array,
    log_det_penalty: ArrayLike,
) -> Array:
    """E of the most probable source, a scalar.

    Parameters
    ----------
    imaging
        The data.
    equations
        The normal equations.
    factor
        Lower Cholesky factor of F + lambda H, shape (n_source, n_source).
    log_det_penalty
        log det(lambda H).
    """
    source = cho_solve((factor, True), equations.data_vector)
    whitened = imaging.data / imaging.noise
    of_data = whitened @ whitened + np.log(2 * np.pi * imaging.noise**2).sum()
    penalised = of_data - equations.data_vector @ source
    return -0.5 * (penalised + log_determinant(factor) - log_det_penalty)
