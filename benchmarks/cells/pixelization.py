"""A source on a rectangular mesh, reconstructed by a regularised inversion.

The mesh spans the bounding box of the traced image pixels, so it moves with the lens. A ray that
meets the plane at fractions a and b of the way from one mesh point to the next, along the two axes,
sees the four around it with the weights (1 - a)(1 - b), (1 - a) b, a (1 - b) and a b. The box's
edges are minima and maxima over rays: the evidence is continuous in the parameters but has kinks,
which a slice sampler does not mind; no gradients are meant to be taken.

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
    """log det H, from its eigenvalues.

    Those of the Laplacian of a line of n points are 2 - 2 cos(pi k / n) with k from 0 to n - 1;
    those of a grid are all sums of two of them, and the ridge comes on top.
    """
    line = 2.0 - 2.0 * np.cos(np.pi * np.arange(side) / side)
    return float(np.log(line[:, None] + line + RIDGE).sum())


_by_instrument = partial(
    factories.by_instrument, cell, PRIORS, TRUTH, of_small={"side": SMALL_SIDE}
)
small, euclid, hst, jwst, ao = _by_instrument()
sparse_small, sparse_euclid, sparse_hst, sparse_jwst, sparse_ao = _by_instrument(
    equations_of=sparse_equations
)
folder_cell = partial(factories.from_folder, cell, PRIORS)
