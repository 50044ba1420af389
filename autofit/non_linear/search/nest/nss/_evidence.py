"""The evidence, its error and the posterior weights of a finished run, on the host in float64.

The same estimate as `blackjax.ns.utils.log_weights`, whose eager JAX operations take many seconds
on long runs and cannot be jitted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SHRINKAGES = 100  # simulated histories of the prior volume behind the error
_ROWS = 4096  # deaths simulated at once, so that the memory is that of a few arrays of the points
Floats = NDArray[np.float64]


class Evidence(NamedTuple):
    """Log evidence, its standard deviation, and normalised weights of shape ``(n_samples,)``."""

    log_evidence: float
    log_evidence_error: float
    weights: Floats


def evidence(log_likelihood: Floats, birth: Floats, seed: int = 0) -> Evidence:
    """Integrate dead and live points together.

    Parameters
    ----------
    log_likelihood
        Of all points, shape ``(n_samples,)``, in any order.
    birth
        The contour that each point was drawn above; NaN for those drawn from the prior.
    seed
        Of the simulated shrinkages.

    Notes
    -----
    The shrinkage of the prior volume at each death is simulated many times (Skilling 2006,
    Bayesian Analysis 1, 833), with as many live points as that death really had (Fowlie, Handley &
    Su 2021, MNRAS 503, 1199). Mean and standard deviation over the simulations are the log
    evidence and its error.
    """
    order = np.argsort(log_likelihood, kind="stable")
    log_l = np.asarray(log_likelihood, np.float64)[order]
    n_live = live_points_at_death(log_l, np.asarray(birth, np.float64))
    mean = np.empty_like(log_l)
    log_z = np.full(_SHRINKAGES, -np.inf)
    done = 0
    for log_shell in _log_shells(n_live, np.random.default_rng(seed)):
        rows = slice(done, done := done + len(log_shell))
        log_weight = log_shell + log_l[rows, None]
        log_z = np.logaddexp(log_z, _log_sum_exp(log_weight))
        mean[rows] = log_weight.mean(axis=1)
    weights = np.empty_like(mean)
    weights[order] = np.exp(mean - _log_sum_exp(mean))
    return Evidence(float(log_z.mean()), float(log_z.std()), weights / weights.sum())


def live_points_at_death(log_likelihood: Floats, birth: Floats) -> NDArray[np.int64]:
    """How many points were alive when each one died.

    Parameters
    ----------
    log_likelihood
        Sorted, shape ``(n_samples,)``.
    birth
        Birth contours in any order; NaN is the prior.

    Returns
    -------
    At the ``j``-th death: the points born strictly below its contour, less the ``j`` dead.
    """
    from_prior = np.isnan(birth)
    born = np.sort(birth[~from_prior])
    alive = from_prior.sum() + np.searchsorted(born, log_likelihood, side="left")
    return np.maximum(alive - np.arange(len(log_likelihood)), 1)


def _log_shells(n_live: NDArray[np.int64], rng: np.random.Generator) -> Iterator[Floats]:
    """Simulated log volumes that the deaths stand for, blocks of shape ``(rows, _SHRINKAGES)``.

    By the trapezium rule a death stands for half of the volume between the death before it and
    the one after it.
    """
    log_volume = np.zeros((1, _SHRINKAGES))
    for start in range(0, len(n_live), _ROWS):
        n = n_live[start : start + _ROWS, None]
        steps = np.log1p(-rng.random((len(n), _SHRINKAGES))) / n
        steps[0] += log_volume[-1]
        log_volume = np.vstack([log_volume, np.cumsum(steps, axis=0)])
        if start + _ROWS >= len(n_live):
            log_volume = np.vstack([log_volume, np.full((1, _SHRINKAGES), -np.inf)])
        before, after = log_volume[:-2], log_volume[2:]
        yield before + np.log(-np.expm1(after - before)) - np.log(2.0)
        log_volume = log_volume[-2:]


def _log_sum_exp(x: Floats) -> Floats:
    """Over the first axis; minus infinity where all of it is."""
    top = x.max(axis=0)
    top = np.where(np.isneginf(top), 0.0, top)
    with np.errstate(divide="ignore"):
        return top + np.log(np.exp(x - top).sum(axis=0))
