"""Problems on the unit cube for whole fits: four of known evidence, small lens cells, the demo."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.integrate import quad

from autofit_memplan.specs import load_problem


class Problem(NamedTuple):
    """A log likelihood of one point of the unit cube, under a flat prior.

    Attributes
    ----------
    name
        As on the command line.
    log_likelihood
        Function of one vector, shape ``(n_dim,)``.
    n_dim
        Its length.
    log_evidence
        What a fit should find; ``None`` where nobody knows.
    """

    name: str
    log_likelihood: Callable
    n_dim: int
    log_evidence: float | None


def correlated(n_dim: int) -> Problem:
    """A Gaussian of width 0.1, every pair correlated by 0.9; all but 1e-5 of it is in the cube."""
    from benchmarks.schedulers import gaussian  # imports blackjax, which starts the device

    covariance = 0.01 * (0.9 * np.ones((n_dim, n_dim)) + 0.1 * np.eye(n_dim))
    log_evidence = 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
    return Problem(f"gaussian-{n_dim}d", gaussian(n_dim, 0.9), n_dim, float(log_evidence))


def shells(n_dim: int) -> Problem:
    """Two Gaussian shells of radius 2 and width 0.1, 7 apart, in a box of half width 6.

    Source: Feroz, Hobson & Bridges 2009, MNRAS 398, 1601, section 6.2. The evidence is twice the
    volume integral of one shell, surface times the moment of its radius, over that of the box.
    """
    radius, width, half_width = 2.0, 0.1, 6.0
    offset = 3.5 * np.eye(n_dim)[0]
    height = -0.5 * math.log(2 * math.pi * width**2)

    def log_likelihood(unit):
        x = half_width * (2 * unit - 1)
        away = [jnp.linalg.norm(x - centre) - radius for centre in (offset, -offset)]
        return height + jnp.logaddexp(*[-0.5 * (a / width) ** 2 for a in away])

    nodes, weights = np.polynomial.hermite_e.hermegauss(n_dim)  # exact for polynomials
    moment = weights @ (radius + width * nodes) ** (n_dim - 1) / math.sqrt(2 * math.pi)
    surface = 2 * math.pi ** (n_dim / 2) / math.gamma(n_dim / 2)
    log_evidence = math.log(2 * surface * moment) - n_dim * math.log(2 * half_width)
    return Problem(f"shells-{n_dim}d", log_likelihood, n_dim, log_evidence)


def rosenbrock(n_pairs: int) -> Problem:
    """Independent curved valleys in pairs of parameters, in a box of half width 5.

    Rosenbrock's function with walls of steepness 10 instead of 100. The integral over the second
    of a pair is a Gaussian's between the sides of the box, the other is done numerically.
    """
    half_width, steepness = 5.0, 10.0
    sharpness = math.sqrt(steepness)

    def log_likelihood(unit):
        x, y = (half_width * (2 * unit - 1)).reshape(n_pairs, 2).T
        return -jnp.sum((1 - x) ** 2 + steepness * (y - x**2) ** 2)

    def along(x):
        ends = (half_width - x**2, half_width + x**2)
        across = math.sqrt(math.pi) / (2 * sharpness) * sum(math.erf(sharpness * y) for y in ends)
        return math.exp(-((1 - x) ** 2)) * across

    volume, _ = quad(along, -half_width, half_width, points=[-math.sqrt(5), 1, math.sqrt(5)])
    log_evidence = n_pairs * math.log(volume / (2 * half_width) ** 2)
    return Problem(f"rosenbrock-{2 * n_pairs}d", log_likelihood, 2 * n_pairs, log_evidence)


def lens_cell(spec: str) -> Problem:
    """The small size of one of `benchmarks.cells`, as ``memplan plan`` reads it.

    Raises
    ------
    SpecError
        If there is no such cell.
    """
    problem = load_problem(spec, None, "float64")
    return Problem(spec, problem.function, problem.n_dim, None)


def demo() -> Problem:
    """The likelihood that ``make demo`` fits."""
    from benchmarks.schedulers import lens

    log_likelihood, n_dim = lens()
    return Problem("demo", log_likelihood, n_dim, None)


ANALYTIC: dict[str, Callable[[], Problem]] = {
    "gaussian-5d": partial(correlated, 5),
    "gaussian-10d": partial(correlated, 10),
    "shells-5d": partial(shells, 5),
    "rosenbrock-4d": partial(rosenbrock, 2),
}
LENS: dict[str, Callable[[], Problem]] = {
    spec: partial(lens_cell, spec)
    for spec in (f"benchmarks.cells.{cell}:small" for cell in ("mge", "pixelization", "delaunay"))
}
DEMO = {"demo": demo}
PROBLEMS = ANALYTIC | LENS | DEMO
