"""A source on a Delaunay triangulation, reconstructed by a regularised inversion.

Seeds spread evenly over the image plane are traced to the source plane with the rays, so that
vertices are dense where the lens magnifies [1]_. Image pixels see the corners of their triangle
with barycentric weights: that of a corner is the area of the triangle that the ray makes with the
two others, as a share of the whole. A ray outside of the triangulation sees the nearest vertex
alone. Vertices that share an edge are neighbours for the penalty, whose determinant changes from
call to call.

SciPy triangulates on the host (`jax.pure_callback`), in float64: nearly coincident vertices, of
several images of one place, are told apart in it. The callback is made for one point after the
other (``vmap_method="sequential"``), because Qhull takes one set of points at a time and a loop in
the host function would save only the crossings, which cost little beside it. The host function
uses NumPy and SciPy alone: JAX within a callback can wait for the threads that wait for it.
Compile-only plans have a stand-in for it.

See `benchmarks.cells.inversion` for equations.

References
----------
.. [1] S. Vegetti and L. V. E. Koopmans, "Bayesian strong gravitational-lens modelling on adaptive
   grids: objective detection of mass substructure in galaxies", MNRAS 392 (2009) 945.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike
from scipy.spatial import Delaunay, KDTree

from benchmarks.cells import factories
from benchmarks.cells.imaging import MaskedImaging
from benchmarks.cells.inversion import (
    PRIORS,
    TRUTH,
    EquationsOf,
    Mapping,
    add_penalty,
    dense_equations,
    log_determinant,
    log_evidence,
    sparse_equations,
)
from benchmarks.cells.lens_model import N_DIM, trace

VERTICES, SMALL_VERTICES = 1_500, 150


def cell(
    imaging: MaskedImaging, n_vertices: int = VERTICES, equations_of: EquationsOf = dense_equations
) -> Callable[[ArrayLike], Array]:
    """The log evidence of an image.

    Parameters
    ----------
    imaging
        The data.
    n_vertices
        Of the triangulation.
    equations_of
        `dense_equations` or `sparse_equations`.

    Returns
    -------
    Callable
        A point of the unit cube, shape (len(PRIORS.names),), to the log evidence, a scalar.
    """
    seed_y, seed_x = seeds(n_vertices, np.hypot(imaging.grid_y, imaging.grid_x).max())
    outputs = (
        jax.ShapeDtypeStruct((imaging.n_pixels, 3), np.int32),
        jax.ShapeDtypeStruct((3 * n_vertices, 2), np.int32),
    )

    def log_likelihood(u: ArrayLike) -> Array:
        parameters = PRIORS.physical(u)
        coefficient = 10.0 ** parameters[N_DIM]
        vertices = jnp.stack(trace(parameters[:N_DIM], seed_y, seed_x), axis=-1)
        rays = jnp.stack(trace(parameters[:N_DIM], imaging.grid_y, imaging.grid_x), axis=-1)
        corners, edges = jax.pure_callback(
            triangulate, outputs, vertices, rays, vmap_method="sequential"
        )
        mapping = Mapping(corners, barycentric(vertices[corners], rays))
        equations = equations_of(imaging, mapping, n_vertices)
        # Both factors by one call: two that are independent can wait for each other on a CPU.
        systems = jnp.stack([equations.curvature, jnp.zeros_like(equations.curvature)])
        systems = jax.vmap(add_penalty, (0, None, None))(systems, edges, coefficient)
        factors = lax.linalg.cholesky(systems, symmetrize_input=False)
        return log_evidence(imaging, equations, factors[0], log_determinant(factors[1]))

    return log_likelihood


def seeds(count: int, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Points spread evenly over a disc, on a spiral of golden angles.

    The spiral of H. Vogel, "A better way to construct the sunflower head", Mathematical
    Biosciences 44 (1979) 179. Unlike a grid it has any number of points, and leaves a
    triangulation no ties to break.

    Parameters
    ----------
    count
        Points.
    radius
        Of the disc, in arcseconds.

    Returns
    -------
    tuple of numpy.ndarray
        y and x in arcseconds, shape (count,).
    """
    number = np.arange(count)
    distance = radius * np.sqrt((number + 0.5) / count)
    angle = np.pi * (3.0 - np.sqrt(5.0)) * number
    return distance * np.sin(angle), distance * np.cos(angle)


def triangulate(vertices: ArrayLike, rays: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Delaunay triangulation, and which of its triangles each ray meets; on the host.

    Parameters
    ----------
    vertices, rays
        (y, x) in the source plane, shapes (n_vertices, 2) and (n_pixels, 2).

    Returns
    -------
    corners
        Vertices of the triangle, three times the nearest vertex outside; shape (n_pixels, 3).
    edges
        Pairs of vertices, each once, filled up with n_vertices; shape (3 * n_vertices, 2), for a
        planar graph has no more.
    """
    vertices, rays = np.asarray(vertices), np.asarray(rays)
    triangulation = Delaunay(vertices)
    found = triangulation.find_simplex(rays)
    corners = triangulation.simplices[found].astype(np.int32)
    outside = found < 0
    _, nearest = KDTree(vertices).query(rays[outside])
    corners[outside] = np.asarray(nearest)[:, None]

    starts, ends = triangulation.vertex_neighbor_vertices
    both_ways = np.stack([np.repeat(np.arange(len(vertices)), np.diff(starts)), ends], axis=-1)
    once = both_ways[both_ways[:, 0] < both_ways[:, 1]]
    edges = np.full((3 * len(vertices), 2), len(vertices), np.int32)
    edges[: len(once)] = once
    return corners, edges


def barycentric(corners: Array, points: Array) -> Array:
    """Weights of a triangle's corners that make a point: linear interpolation.

    Parameters
    ----------
    corners
        (y, x) of three corners, shape (n, 3, 2). Where all three are one, it has all the weight.
    points
        Shape (n, 2).

    Returns
    -------
    jax.Array
        Shape (n, 3), each of sum one.
    """

    def twice_the_area(a: Array, b: Array) -> Array:
        return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]

    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    inside = points - corners[:, 0]
    whole = twice_the_area(first, second)
    scale = jnp.where(whole == 0.0, 0.0, 1.0 / jnp.where(whole == 0.0, 1.0, whole))
    to_first = twice_the_area(inside, second) * scale
    to_second = twice_the_area(first, inside) * scale
    return jnp.stack([1.0 - to_first - to_second, to_first, to_second], axis=-1)


_by_instrument = partial(
    factories.by_instrument, cell, PRIORS, TRUTH, of_small={"n_vertices": SMALL_VERTICES}
)
small, euclid, hst, jwst, ao = _by_instrument()
sparse_small, sparse_euclid, sparse_hst, sparse_jwst, sparse_ao = _by_instrument(
    equations_of=sparse_equations
)
folder_cell = partial(factories.from_folder, cell, PRIORS)
