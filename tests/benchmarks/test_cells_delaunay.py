"""The Delaunay source against NumPy and SciPy, at several points of the unit cube."""

import jax
import numpy as np
import pytest
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import Delaunay
from scipy.spatial.distance import cdist

from autofit_memplan.specs import load_problem
from benchmarks.cells import delaunay
from benchmarks.cells.instruments import simulated
from benchmarks.cells.inversion import PRIORS, dense_equations, sparse_equations
from benchmarks.cells.lens_model import N_DIM, trace_numpy
from tests.benchmarks import inversion_reference as reference

VERTICES = 80


def source_plane(imaging, u, n_vertices):
    parameters = PRIORS.physical(u)[:N_DIM]
    seeds = delaunay.seeds(n_vertices, np.hypot(imaging.grid_y, imaging.grid_x).max())
    vertices = np.stack(trace_numpy(parameters, *seeds), axis=-1)
    return vertices, np.stack(trace_numpy(parameters, imaging.grid_y, imaging.grid_x), axis=-1)


def mapping_matrix(vertices, rays):
    matrix = LinearNDInterpolator(vertices, np.eye(len(vertices)))(rays)
    outside = np.isnan(matrix[:, 0])
    assert 0 < outside.sum() < len(rays) / 2  # both cases are there
    matrix[outside] = np.eye(len(vertices))[cdist(rays[outside], vertices).argmin(axis=1)]
    return matrix


def edges(vertices):
    return {
        (min(a, b), max(a, b))
        for triangle in Delaunay(vertices).simplices.tolist()
        for a in triangle
        for b in triangle
        if a != b
    }


def evidence(imaging, u, n_vertices):
    vertices, rays = source_plane(imaging, u, n_vertices)
    return reference.log_evidence(
        imaging,
        mapping_matrix(vertices, rays),
        edges(vertices),
        10.0 ** PRIORS.physical(u)[N_DIM],
    )


@pytest.mark.parametrize("equations_of", [dense_equations, sparse_equations])
def test_evidence_of_numpy(imaging, points, equations_of):
    compiled = jax.jit(delaunay.cell(imaging, VERTICES, equations_of))
    for u in points:
        expected = evidence(imaging, u, VERTICES)
        assert float(compiled(u)) == pytest.approx(expected, rel=1e-9)


def test_evidence_of_numpy_at_the_size_that_is_sampled():
    function, truth = delaunay.small()
    compiled = jax.jit(function)
    for u in (truth, truth + 0.01):
        expected = evidence(simulated("small"), u, 150)
        assert float(compiled(u)) == pytest.approx(expected, rel=1e-9)


def test_sparse_is_dense_at_the_size_of_an_instrument():
    dense, truth = delaunay.euclid()
    sparse, _ = delaunay.sparse_euclid()
    values = [float(jax.jit(function)(truth + 0.01)) for function in (dense, sparse)]
    assert values[1] == pytest.approx(values[0], rel=1e-9)


@pytest.mark.parametrize("equations_of", [dense_equations, sparse_equations])
def test_a_batch_is_its_points(imaging, points, equations_of):
    function = delaunay.cell(imaging, VERTICES, equations_of)
    compiled = jax.jit(function)
    one_by_one = [float(compiled(u)) for u in points]
    np.testing.assert_allclose(jax.jit(jax.vmap(function))(points), one_by_one, rtol=1e-9)


def test_seeds_fill_the_disc_evenly():
    y, x = delaunay.seeds(1_000, 3.5)
    radius = np.hypot(y, x)
    assert radius.max() < 3.5
    for part in (0.25, 0.5, 0.75):
        assert np.mean(radius < part * 3.5) == pytest.approx(part**2, abs=2e-3)
    assert abs(y.mean()) < 0.02 and abs(x.mean()) < 0.02


@pytest.mark.parametrize("name", ["hst", "sparse_hst"])
def test_plans_by_name(name):
    problem = load_problem(f"benchmarks.cells.delaunay:{name}", None, "float64")
    assert problem.n_dim == N_DIM + 1
