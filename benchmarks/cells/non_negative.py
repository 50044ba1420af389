"""Non-negative least squares from the normal equations, with shapes and code that never branch.

The minimum of x^T Q x / 2 - c^T x over x >= 0 is where Q x - c = z, x >= 0, z >= 0 and x z = 0
hold together. Mehrotra's predictor-corrector steps [1]_ lead there; each needs one Cholesky
factor. PyAutoLens solves its linear light profiles by such a method too [2]_. Batches are made by
`jax.vmap` and iterate until the slowest member is done.

References
----------
.. [1] J. Nocedal and S. J. Wright, "Numerical Optimization", 2nd edition (2006), section 16.6.
.. [2] C. Krawczyk, "JaxNNLS", a Python package, after K. Tracy's "qpax".
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jax.scipy.linalg import cho_solve

TOLERANCE = 1e-13
"""Of the optimality conditions, for a problem scaled so that Q has a unit diagonal and max|c| = 1.
The minimum is then exact to about 1e-13 of the squared norm of the data."""

MAX_ITERATIONS = 50
UNSOLVED = 1e-8
"""Where the conditions are off by more after so many iterations, the amplitudes are NaN."""

TO_THE_BOUNDARY = 0.99


class _Point(NamedTuple):
    x: Array
    z: Array
    error: Array
    iterations: Array


def solve(curvature: Array, data_vector: Array) -> Array:
    """Minimise x^T curvature x / 2 - data_vector^T x over x >= 0.

    Parameters
    ----------
    curvature
        A^T A of a least-squares problem with the columns A, shape (n, n). A column of zeros gets
        the amplitude zero.
    data_vector
        A^T b, shape (n,).

    Returns
    -------
    jax.Array
        Shape (n,), every element positive or zero; NaN where no solution was found.
    """
    diagonal = jnp.diag(curvature)
    has_light = diagonal > 0
    scale = jnp.where(has_light, 1.0 / jnp.sqrt(jnp.where(has_light, diagonal, 1.0)), 0.0)
    q = scale[:, None] * curvature * scale + jnp.diag(jnp.where(has_light, 0.0, 1.0))
    c = scale * data_vector
    size = jnp.max(jnp.abs(c))
    size = jnp.where(size > 0, size, 1.0)
    c = c / size

    def improve(point: _Point) -> _Point:
        x, z = point.x, point.z
        factor = jnp.linalg.cholesky(q + jnp.diag(z / x))
        stationarity = c + z - q @ x

        def step(product: Array) -> tuple[Array, Array]:
            """Newton's step to stationarity and to z dx + x dz = product."""
            dx = cho_solve((factor, True), stationarity + product / x)
            return dx, (product - z * dx) / x

        mean = x @ z / len(x)
        dx, dz = step(-x * z)
        length = _longest(x, z, dx, dz)
        centring = ((x + length * dx) @ (z + length * dz) / len(x) / mean) ** 3
        dx, dz = step(centring * mean - x * z - dx * dz)
        length = jnp.minimum(1.0, TO_THE_BOUNDARY * _longest(x, z, dx, dz))
        x, z = x + length * dx, z + length * dz
        error = jnp.maximum(x @ z, jnp.max(jnp.abs(c + z - q @ x)))
        return _Point(x, z, error, point.iterations + 1)

    def goes_on(point: _Point) -> Array:
        return (point.error > TOLERANCE) & (point.iterations < MAX_ITERATIONS)

    one = jnp.ones_like(c)
    start = _Point(one, one, jnp.asarray(jnp.inf, c.dtype), jnp.asarray(0))
    end = lax.while_loop(goes_on, improve, start)
    return jnp.where(end.error < UNSOLVED, end.x, jnp.nan) * scale * size


def _longest(x: Array, z: Array, dx: Array, dz: Array) -> Array:
    """The longest step, at most one, that leaves x and z positive or zero."""
    ratios = [jnp.where(d < 0, -v / jnp.where(d < 0, d, 1.0), 1.0) for v, d in ((x, dx), (z, dz))]
    return jnp.minimum(1.0, jnp.minimum(*map(jnp.min, ratios)))
