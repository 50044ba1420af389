"""The interior-point solver against the active-set solver of SciPy."""

import jax
import numpy as np
import pytest
from scipy.optimize import nnls

from benchmarks.cells import non_negative

RNG = np.random.default_rng(8)


SOLVE = jax.jit(non_negative.solve)


def solved(columns, data):
    return np.asarray(SOLVE(columns.T @ columns, columns.T @ data))


@pytest.mark.parametrize("size", [1, 5, 20])
def test_amplitudes_are_those_of_scipy(size):
    columns = RNG.normal(size=(60, size)) * 10.0 ** RNG.uniform(-3, 3, size)
    data = RNG.normal(size=60)
    expected, _ = nnls(columns, data)
    scale = np.linalg.norm(columns, axis=0)
    np.testing.assert_allclose(solved(columns, data) * scale, expected * scale, atol=1e-9)


def test_residual_is_that_of_scipy_where_columns_are_nearly_the_same():
    x = np.linspace(-4, 4, 200)
    columns = np.exp(-0.5 * (x[:, None] / np.geomspace(0.05, 3.0, 20)) ** 2)
    assert np.linalg.cond(columns) > 1e6
    data = np.exp(-np.abs(x)) + RNG.normal(0, 0.01, 200)
    found = np.linalg.norm(columns @ solved(columns, data) - data)
    assert found == pytest.approx(nnls(columns, data)[1], rel=1e-10)


def test_columns_without_light_get_nothing():
    columns = RNG.uniform(size=(30, 4))
    columns[:, 2] = 0.0
    data = columns @ [1.0, 2.0, 0.0, 3.0]
    np.testing.assert_allclose(solved(columns, data), [1.0, 2.0, 0.0, 3.0], atol=1e-8)


@pytest.mark.parametrize("brightness", [0.0, -1.0])
def test_data_without_light_get_nothing(brightness):
    columns = RNG.uniform(size=(30, 4))
    # Without any data amplitudes cost only their squares, and stop at the root of the tolerance.
    np.testing.assert_allclose(solved(columns, np.full(30, brightness)), 0.0, atol=1e-7)


def test_what_is_not_solved_in_time_is_no_number(monkeypatch):
    columns, data = RNG.normal(size=(60, 20)), RNG.normal(size=60)
    assert np.isfinite(solved(columns, data)).all()
    monkeypatch.setattr(non_negative, "MAX_ITERATIONS", 2)
    hurried = jax.jit(lambda *equations: non_negative.solve(*equations))
    assert np.isnan(hurried(columns.T @ columns, columns.T @ data)).all()


def test_batch_is_its_members():
    columns = RNG.normal(size=(6, 40, 8))
    columns[:3] += 2.0
    data = RNG.normal(size=(6, 40))
    curvature = np.einsum("bij,bik->bjk", columns, columns)
    vector = np.einsum("bij,bi->bj", columns, data)
    batch = jax.vmap(non_negative.solve)(curvature, vector)
    for found, one_columns, one_data in zip(batch, columns, data, strict=True):
        np.testing.assert_allclose(found, solved(one_columns, one_data), atol=1e-12)
