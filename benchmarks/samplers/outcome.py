"""What one fit gave and took, by the same definitions for every sampler."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from autofit_memplan.footprint import compile_program


@dataclass(frozen=True, config=ConfigDict(extra="forbid", ser_json_inf_nan="constants"))
class Outcome:
    """What a fit gave and took.

    Attributes
    ----------
    log_evidence, log_evidence_error
        As the sampler states them.
    useful_evaluations, total_evaluations
        Likelihoods that the chains needed, and that the device computed; ``None`` where the
        sampler does not tell.
    effective_sample_size
        Kish's, of the posterior weights.
    sampling_seconds
        Of the loop that draws samples, with everything the sampler itself does in it.
    other_seconds
        Of the rest: planning, tracing, compiling, the evidence at the end.
    posterior_mean, posterior_deviation
        Of each parameter in the unit cube.
    """

    log_evidence: float
    log_evidence_error: float
    useful_evaluations: int
    total_evaluations: int | None
    effective_sample_size: float
    sampling_seconds: float
    other_seconds: float
    posterior_mean: tuple[float, ...]
    posterior_deviation: tuple[float, ...]

    @property
    def wall_seconds(self) -> float:
        """From the call of the sampler to its result."""
        return self.sampling_seconds + self.other_seconds


Fitter = Callable[[int], Outcome]
"""One fit from a seed."""


def kish(log_weights: np.ndarray) -> float:
    """Effective sample size, (sum of w)² / (sum of w²)."""
    weights = np.exp(log_weights - np.max(log_weights))
    return float(weights.sum() ** 2 / np.sum(weights**2))


def moments(
    points: np.ndarray, log_weights: np.ndarray
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of weighted points, shape ``(n_points, n_dim)``."""
    weights = np.exp(log_weights - np.max(log_weights))
    mean = np.average(points, axis=0, weights=weights)
    variance = np.average((points - mean) ** 2, axis=0, weights=weights)
    return tuple(mean.tolist()), tuple(np.sqrt(variance).tolist())


def compiled_here(function: Callable, *args) -> Callable:
    """`function`, compiled ahead for arguments like `args`.

    With the option of `autofit_memplan.compiler` that keeps LAPACK calls from waiting for each
    other.
    """
    return compile_program(function, *args, platform=jax.default_backend()).executable
