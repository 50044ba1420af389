"""Are the likelihood's values right, and can an evidence be made of them?

XLA has had faults where a large batch gives wrong values, and nothing crashes then. So a few
particles are evaluated alone and compared with what the batch gave. And the values of the points
that are drawn first tell of likelihoods from which a run would compute nothing, or never end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict

from autofit.non_linear.errors import EvidenceError

TOLERANCES = {"float64": 1e-6, "float32": 1e-3}
"""Largest ``|single - batch| / max(1, |single|)``; lower precisions share that of float32.

Honest rounding is far below. Largest seen on a CPU (jaxlib 0.10.2, 16 points, batches of 2 to 128),
for inversions, Cholesky, eigenvalues, FFT and the lens of `demo`: 1.1e-13 in float64, 1.7e-5 in
float32, both for the lens. A likelihood that is float32 inside and float64 outside needs
float32's. Faults of the compiler are gross.
"""

HUGE = 1e30
"""Beyond it (either sign) a log likelihood is a stand-in for "impossible", not a measurement."""

_RECORD = ConfigDict(frozen=True, ser_json_inf_nan="strings")


class Disagreement(BaseModel):
    """A particle whose value depends on the batch that it is evaluated in."""

    model_config = _RECORD

    index: int
    position: tuple[float, ...]
    single: float
    batch: float


class BatchCheck(BaseModel):
    """Outcome of `check_batch`.

    Attributes
    ----------
    n_checked
        Particles evaluated alone.
    tolerance
        Largest relative difference that counts as rounding.
    largest
        Largest relative difference seen; infinite where one value is finite and the other is not.
    disagreements
        The particles beyond the tolerance.
    """

    model_config = _RECORD

    n_checked: int
    tolerance: float
    largest: float
    disagreements: tuple[Disagreement, ...]

    @property
    def agrees(self) -> bool:
        return not self.disagreements

    def __str__(self) -> str:
        if self.agrees:
            return (
                f"{self.n_checked} particles have the same log likelihood alone and in the batch "
                f"(largest relative difference {self.largest:.1e}, tolerance {self.tolerance:g})"
            )
        first = self.disagreements[0]
        return (
            f"{len(self.disagreements)} of {self.n_checked} particles have another log likelihood "
            f"in the batch than alone: particle {first.index} has {first.batch!r} in the batch and "
            f"{first.single!r} alone (tolerance {self.tolerance:g}, relative)"
        )


def check_batch(
    log_likelihood: Callable[[Any], jax.Array | float],
    positions: jax.Array | np.ndarray,
    batch_values: ArrayLike,
    *,
    chunk_size: int | None = None,
    count: int = 8,
    tolerance: float | None = None,
) -> BatchCheck:
    """Compare what a batch gave for some particles with what each gives alone.

    Parameters
    ----------
    log_likelihood
        Of one position, shape ``(n_dim,)``: the compiled program of one call. It is called
        `count` times at most.
    positions, batch_values
        Of all particles, shapes ``(n, n_dim)`` and ``(n,)``.
    chunk_size
        How many really were evaluated at once; all when not given. Half of those looked at are
        spread over the first chunk, its first and last lane among them, the others over all.
    count
        Particles to look at.
    tolerance
        See `TOLERANCES`, whose value for the type of `batch_values` is used when not given.

    Notes
    -----
    NaN equals NaN, and an infinity the same infinity.
    """
    batch_values = np.asarray(batch_values)
    n = len(batch_values)
    if tolerance is None:
        tolerance = TOLERANCES.get(batch_values.dtype.name, TOLERANCES["float32"])
    rows = _spread(min(chunk_size or n, n), count // 2) | _spread(n, count - count // 2)
    largest, disagreements = 0.0, []
    for row in sorted(rows):
        single = float(np.asarray(log_likelihood(positions[row])))
        batch = float(batch_values[row])
        difference = _difference(single, batch)
        largest = max(largest, difference)
        if difference > tolerance:
            position = tuple(np.asarray(positions[row], np.float64).tolist())
            disagreements.append(
                Disagreement(index=row, position=position, single=single, batch=batch)
            )
    return BatchCheck(
        n_checked=len(rows),
        tolerance=tolerance,
        largest=largest,
        disagreements=tuple(disagreements),
    )


def _spread(n: int, count: int) -> set[int]:
    """`count` rows of `n`, evenly, the first and the last among them."""
    return set(np.linspace(0, n - 1, count).round().astype(int).tolist())


def _difference(single: float, batch: float) -> float:
    if single == batch or (np.isnan(single) and np.isnan(batch)):
        return 0.0
    if not (np.isfinite(single) and np.isfinite(batch)):
        return np.inf
    return abs(single - batch) / max(1.0, abs(single))


class LikelihoodCounts(BaseModel):
    """What kinds of values a likelihood gave.

    Attributes
    ----------
    n
        Points.
    nan, minus_inf, plus_inf
        Of them, those without a finite value. In a fit NaN has become minus infinity before.
    huge
        Finite, but beyond `HUGE`.
    largest_tie
        Most points that share one finite value: those of a plateau. 1 is no tie.
    """

    model_config = _RECORD

    n: int
    nan: int
    minus_inf: int
    plus_inf: int
    huge: int
    largest_tie: int

    def remarks(self) -> list[str]:
        """What a user should know of them, a sentence each; nothing when all is well."""
        without = self.nan + self.minus_inf
        said = []
        if without:
            said.append(
                f"{without} of {self.n} points drawn from the prior have no likelihood (NaN, "
                "-inf, or an assertion that fails); they count as zero likelihood"
            )
        if self.huge:
            said.append(
                f"{self.huge} of {self.n} points drawn from the prior have a log likelihood "
                f"beyond +-{HUGE:g}; it is used as it is. Return -inf where the model is impossible"
            )
        if self.largest_tie >= max(3, 0.1 * self.n):
            said.append(
                f"{self.largest_tie} of {self.n} points drawn from the prior share one log "
                "likelihood: a plateau, on which no point is better than another. Return -inf "
                "there if the model is impossible"
            )
        return said


def count_values(values: ArrayLike) -> LikelihoodCounts:
    """Count the kinds of log likelihoods, shape ``(n,)``."""
    values = np.asarray(values)
    finite = values[np.isfinite(values)]
    return LikelihoodCounts(
        n=len(values),
        nan=int(np.isnan(values).sum()),
        minus_inf=int(np.isneginf(values).sum()),
        plus_inf=int(np.isposinf(values).sum()),
        huge=int((np.abs(finite) > HUGE).sum()),
        largest_tie=int(np.unique(finite, return_counts=True)[1].max(initial=0)),
    )


def require_start(
    values: ArrayLike,
    positions: jax.Array | np.ndarray,
    raw_log_likelihood: Callable[[Any], jax.Array | float],
) -> LikelihoodCounts:
    """Refuse live points from which no evidence can be computed, or none that ever converges.

    Parameters
    ----------
    values
        Log likelihoods of the points drawn from the prior, shape ``(n,)``.
    positions
        The points in the unit cube, shape ``(n, n_dim)``.
    raw_log_likelihood
        The user's function of one point, where NaN is still NaN. It is called only to say more
        when no point has a likelihood.

    Returns
    -------
    What was counted; its `remarks` are for the log.

    Raises
    ------
    EvidenceError
        When no point has a likelihood, one has +inf, all have the same, or all are too large for
        floating-point numbers to tell a change of 1 from none.
    """
    values, counts = np.asarray(values), count_values(values)
    n, finite = counts.n, values[np.isfinite(values)]
    if counts.nan + counts.minus_inf == n:
        raise EvidenceError(
            f"none of the {n} points drawn from the prior has a likelihood: the log-likelihood "
            f"function gave NaN or -inf, or an assertion failed, at every one. "
            f"{_look_again(positions, raw_log_likelihood)} "
            "Evaluate it at model.instance_from_prior_medians()."
        )
    if counts.plus_inf:
        where = np.asarray(positions)[np.isposinf(values)][0].tolist()
        raise EvidenceError(
            f"{counts.plus_inf} of {n} points drawn from the prior has log likelihood inf, so the "
            f"evidence is not a number. The first lies at {where} of the unit cube. Return a "
            "finite number there, or -inf where the model is not defined."
        )
    if len(finite) > 1 and counts.largest_tie == len(finite):
        raise EvidenceError(
            f"all {len(finite)} points drawn from the prior that have a likelihood have the same, "
            f"{finite[0]}: a plateau. Nested sampling climbs from worse points to better ones, "
            "and here none is better. Check that the parameters reach the likelihood: a constant, "
            "a clipped value or a rounded one does not depend on them."
        )
    best = float(finite.max())
    if best < -HUGE or best * float(jnp.finfo(values.dtype).eps) > 1.0:
        raise EvidenceError(
            f"the best of {n} points drawn from the prior has log likelihood {best:g}. Neighbours "
            f"of that size in {values.dtype} are more than 1 apart, so the evidence would never "
            "converge. Check the units of the noise, subtract a constant, or return -inf where the "
            "model is impossible."
        )
    return counts


def _look_again(
    positions: jax.Array | np.ndarray, raw_log_likelihood: Callable[[Any], jax.Array | float]
) -> str:
    """What the user's own function gives at some of the points, in a sentence."""
    function, some = jax.jit(raw_log_likelihood), positions[:8]
    counts = count_values([float(np.asarray(function(position))) for position in some])
    return (
        f"Of the first {counts.n} it gave NaN at {counts.nan}, -inf at {counts.minus_inf} and a "
        f"number, so that an assertion failed, at {counts.n - counts.nan - counts.minus_inf}."
    )
