"""Does a batch give the values that its particles have alone?

XLA has had faults where a large batch gives wrong values, and nothing crashes then. So a few
particles are evaluated alone and compared with what the batch gave.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict

from autofit.non_linear.search.nest.nss._memory import lowest_precision

TOLERANCES = {"float64": 1e-6, "float32": 1e-3}
"""Largest ``|single - batch| / max(1, |single|)``; lower precisions share that of float32.

Honest rounding is far below. Largest seen on a CPU (jaxlib 0.10.2, 16 points, batches of 2 to 128),
for inversions, Cholesky, eigenvalues, FFT and the lens of `demo`: 1.1e-13 in float64, 1.7e-5 in
float32, both for the lens. A likelihood that is float32 inside and float64 outside needs
float32's, see `tolerance_for`. Faults of the compiler are gross.
"""

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


def tolerance_for(jaxpr: ClosedJaxpr) -> float:
    """That of the shortest floating-point type in which a log likelihood computes."""
    return _tolerance(lowest_precision(jaxpr))


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
        See `TOLERANCES`, whose value for the type of `batch_values` is used when not given, and
        `tolerance_for`.

    Notes
    -----
    NaN equals NaN, and an infinity the same infinity.
    """
    batch_values = np.asarray(batch_values)
    n = len(batch_values)
    if tolerance is None:
        tolerance = _tolerance(batch_values.dtype.name)
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


def _tolerance(dtype: str) -> float:
    return TOLERANCES.get(dtype, TOLERANCES["float32"])


def _spread(n: int, count: int) -> set[int]:
    """`count` rows of `n`, evenly, the first and the last among them."""
    return set(np.linspace(0, n - 1, count).round().astype(int).tolist())


def _difference(single: float, batch: float) -> float:
    if single == batch or (np.isnan(single) and np.isnan(batch)):
        return 0.0
    if not (np.isfinite(single) and np.isfinite(batch)):
        return np.inf
    return abs(single - batch) / max(1.0, abs(single))
