"""The pixelised source against NumPy and SciPy, at several points of the unit cube."""

import jax
import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from autofit_memplan.footprint import compile_program
from autofit_memplan.specs import load_problem
from benchmarks.cells import pixelization
from benchmarks.cells.instruments import simulated
from benchmarks.cells.inversion import PRIORS, dense_equations, sparse_equations
from benchmarks.cells.lens_model import N_DIM, trace_numpy
from tests.benchmarks import inversion_reference as reference

SIDE = 8


def mapping_matrix(imaging, u, side):
    y, x = trace_numpy(PRIORS.physical(u)[:N_DIM], imaging.grid_y, imaging.grid_x)
    axes = [np.linspace(values.min(), values.max(), side) for values in (y, x)]
    every = np.eye(side**2).reshape(side, side, -1)
    return RegularGridInterpolator(axes, every)(np.stack([y, x], axis=-1))


def mesh_pairs(side):
    pairs = set()
    for row in range(side):
        for column in range(side):
            if column + 1 < side:
                pairs.add((row * side + column, row * side + column + 1))
            if row + 1 < side:
                pairs.add((row * side + column, (row + 1) * side + column))
    return pairs


def evidence(imaging, u, side):
    return reference.log_evidence(
        imaging,
        mapping_matrix(imaging, u, side),
        mesh_pairs(side),
        10.0 ** PRIORS.physical(u)[N_DIM],
    )


@pytest.mark.parametrize("equations_of", [dense_equations, sparse_equations])
def test_evidence_of_numpy(imaging, points, equations_of):
    compiled = jax.jit(pixelization.cell(imaging, SIDE, equations_of))
    for u in points:
        expected = evidence(imaging, u, SIDE)
        assert float(compiled(u)) == pytest.approx(expected, rel=1e-10)


def test_evidence_of_numpy_at_the_size_of_an_instrument():
    function, truth = pixelization.euclid()
    near = truth + 0.01
    expected = evidence(simulated("euclid"), near, 39)
    assert float(jax.jit(function)(near)) == pytest.approx(expected, rel=1e-10)
    sparse, _ = pixelization.sparse_euclid()
    assert float(jax.jit(sparse)(near)) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("equations_of", [dense_equations, sparse_equations])
def test_a_batch_is_its_points(imaging, points, equations_of):
    function = pixelization.cell(imaging, SIDE, equations_of)
    one_by_one = [float(function(u)) for u in points]
    np.testing.assert_allclose(jax.jit(jax.vmap(function))(points), one_by_one, rtol=1e-10)


def test_evidence_is_the_density_of_the_data(imaging, points):
    """Integrated over all sources, data are normal with covariance C + B (lambda H)^-1 B^T."""
    u = points[0]
    response = reference.blurred_columns(imaging, mapping_matrix(imaging, u, SIDE))
    coefficient = 10.0 ** PRIORS.physical(u)[N_DIM]
    precision = coefficient * reference.penalty(SIDE**2, mesh_pairs(SIDE))
    covariance = response @ np.linalg.solve(precision, response.T) + np.diag(imaging.noise**2)
    expected = -0.5 * (
        imaging.data @ np.linalg.solve(covariance, imaging.data)
        + np.linalg.slogdet(2 * np.pi * covariance)[1]
    )
    # The prior's flattest direction has a variance of 1e8, which costs this formula digits.
    assert float(pixelization.cell(imaging, SIDE)(u)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("shift", [-0.1, 0.1])
def test_another_einstein_radius_is_less_probable(shift):
    function, example = pixelization.small()
    other = example.copy()
    other[PRIORS.names.index("lens_einstein_radius")] += shift
    assert float(function(other)) < float(function(example)) - 50.0


def test_a_fraction_of_the_memory_without_matrices_of_pixels_by_sources(points):
    imaging = simulated("euclid")
    temp_bytes = {}
    for equations_of in (dense_equations, sparse_equations):
        function = pixelization.cell(imaging, 20, equations_of)
        program = compile_program(function, points[0], platform="cpu")
        temp_bytes[equations_of] = program.footprint.temp_bytes
    assert temp_bytes[dense_equations] > 8 * imaging.n_pixels * 20**2
    assert temp_bytes[sparse_equations] < 0.4 * temp_bytes[dense_equations]


@pytest.mark.parametrize("name", ["hst", "sparse_hst"])
def test_plans_by_name(name):
    problem = load_problem(f"benchmarks.cells.pixelization:{name}", None, "float64")
    assert problem.n_dim == N_DIM + 1
