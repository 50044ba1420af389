"""A source on a rectangular mesh, reconstructed by a regularised inversion.

The mesh spans the bounding box of the traced image pixels, so it moves with the lens. Image pixels
see the four mesh points around them with bilinear weights. The box's edges are minima and maxima
over rays: the evidence is continuous in the parameters but has kinks, which a slice sampler does
not mind; no gradients are meant to be taken.

`hst`, for instance, holds the blurred mapping matrix whole, as the field's codes do by default;
`sparse_hst` gives the same evidence without it. See `benchmarks.cells.inversion` for equations.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from benchmarks.cells import factories
from benchmarks.cells.imaging import MaskedImaging
from benchmarks.cells.inversion import (
    PRIORS,
    RIDGE,
    TRUTH,
    EquationsOf,
    Mapping,
    add_penalty,
    dense_equations,
    log_evidence,
    sparse_equations,
)
from benchmarks.cells.lens_model import N_DIM, trace

SIDE, SMALL_SIDE = 39, 12
"""Mesh points along each side."""


def cell(
    imaging: MaskedImaging, side: int = SIDE, equations_of: EquationsOf = dense_equations
) -> Callable[[ArrayLike], Array]:
    """The log evidence of an image.

    Parameters
    ----------
    imaging
        The data.
    side
        Mesh points along each side.
    equations_of
        `dense_equations` or `sparse_equations`.

    Returns
    -------
    Callable
        A point of the unit cube, shape (len(PRIORS.names),), to the log evidence, a scalar.
    """
    pairs = neighbours(side)
    log_det_mesh = mesh_log_determinant(side)

    def log_likelihood(u: ArrayLike) -> Array:
        parameters = PRIORS.physical(u)
        coefficient = 10.0 ** parameters[N_DIM]
        mapping = bilinear(*trace(parameters[:N_DIM], imaging.grid_y, imaging.grid_x), side)
        equations = equations_of(imaging, mapping, side**2)
        factor = lax.linalg.cholesky(
            add_penalty(equations.curvature, pairs, coefficient), symmetrize_input=False
        )
        log_det_penalty = side**2 * jnp.log(coefficient) + log_det_mesh
        return log_evidence(imaging, equations, factor, log_det_penalty)

    return log_likelihood


def bilinear(source_y: Array, source_x: Array, side: int) -> Mapping:
    """The four mesh points around each ray and their weights.

    Parameters
    ----------
    source_y, source_x
        Rays in the source plane, shape (n_pixels,). The mesh spans them from edge to edge.
    side
        Mesh points along each side; point (i, j) has the number i * side + j.
    """

    def along(values: Array) -> tuple[Array, Array]:
        low = values.min()
        place = (values - low) / (values.max() - low) * (side - 1)
        # The last point belongs to the last interval.
        index = jnp.clip(jnp.floor(place), 0, side - 2)
        return index.astype(jnp.int32), place - index

    (row, down), (column, across) = along(source_y), along(source_x)
    corner = row * side + column
    return Mapping(
        jnp.stack([corner, corner + 1, corner + side, corner + side + 1], axis=-1),
        jnp.stack(
            [
                (1 - down) * (1 - across),
                (1 - down) * across,
                down * (1 - across),
                down * across,
            ],
            axis=-1,
        ),
    )


def neighbours(side: int) -> np.ndarray:
    """Pairs of mesh points next to each other, shape (2 * side * (side - 1), 2)."""
    number = np.arange(side**2).reshape(side, side)
    beside = np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], axis=-1)
    below = np.stack([number[:-1].ravel(), number[1:].ravel()], axis=-1)
    return np.concatenate([beside, below])


def mesh_log_determinant(side: int) -> float:
    """log det H: the eigenvalues of a grid's Laplacian are sums of those of two lines."""
    line = 2.0 - 2.0 * np.cos(np.pi * np.arange(side) / side)
    return float(np.log(line[:, None] + line + RIDGE).sum())


def instrument_cell(
    instrument: str, equations_of: EquationsOf = dense_equations
) -> tuple[Callable[[ArrayLike], Array], np.ndarray]:
    """`cell` of the simulated image of an instrument, and the truth in the unit cube."""
    side = SMALL_SIDE if instrument == "small" else SIDE
    options = {"side": side, "equations_of": equations_of}
    return factories.simulated(cell, PRIORS, TRUTH, instrument, **options)


folder_cell = partial(factories.from_folder, cell, PRIORS)
small, euclid, hst, jwst, ao = factories.by_instrument(instrument_cell)
sparse_small, sparse_euclid, sparse_hst, sparse_jwst, sparse_ao = factories.by_instrument(
    instrument_cell, sparse_equations
)
