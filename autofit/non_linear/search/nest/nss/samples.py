"""From the dead and live points of a run to its weighted samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from blackjax.ns.base import StateWithLogLikelihood

from autofit.mapper import AbstractPriorModel
from autofit.non_linear.samples import Samples
from autofit.non_linear.search.nest.nss._evidence import evidence
from autofit.non_linear.search.nest.nss._run import Run

_AT_ONCE = 4096
"""Points whose parameters are computed in one call of the device."""


def all_points(run: Run) -> StateWithLogLikelihood:
    """Dead and live points together, on the host, leaves of shape ``(n_samples, ...)``."""
    live = jax.tree.map(np.asarray, run.state.particles)
    on_disk = () if run.segments is None else run.segments.read()
    return jax.tree.map(lambda *parts: np.concatenate(parts), *on_disk, *run.dead, live)


def _described(
    describe: Callable[[jax.Array], tuple[jax.Array, jax.Array]], positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """In batches of one size, for a program of its own would be compiled for each length."""
    n = len(positions)
    padded = np.pad(positions, ((0, -n % _AT_ONCE), (0, 0)), mode="edge")
    batches = np.split(padded, len(padded) // _AT_ONCE)
    vectors, log_priors = zip(*(jax.device_get(describe(b)) for b in batches), strict=True)
    return np.concatenate(vectors)[:n], np.concatenate(log_priors)[:n]


def samples_of(
    run: Run,
    describe: Callable[[jax.Array], tuple[jax.Array, jax.Array]],
    model: AbstractPriorModel,
    info: dict[str, Any],
) -> Samples:
    """The run's weighted samples in physical parameters.

    Parameters
    ----------
    run
        A run with its initial live points at least.
    describe
        `Fitness.describe`, jitted: physical parameters and log priors of points of the cube.
    model
        The model that was fitted.
    info
        Goes into `Samples.samples_info` with the counts of the run.
    """
    points = all_points(run)
    result = evidence(points.loglikelihood, points.loglikelihood_birth)
    vectors, log_priors = _described(describe, points.position)
    return Samples(
        model,
        parameters=vectors,
        log_likelihoods=points.loglikelihood,
        log_priors=log_priors,
        weights=result.weights,
        log_evidence=result.log_evidence,
        log_evidence_error=result.log_evidence_error,
        samples_info={
            **info,
            "ended": run.ended,
            "iterations": run.iterations,
            "total_samples": len(result.weights),
            "useful_evaluations": run.useful_evaluations,
            "total_evaluations": run.total_evaluations,
            "sampling_seconds": run.seconds,
        },
    )
