"""Can an evidence be made of the points that are drawn first?

Their values tell of likelihoods from which a run would compute nothing, or never end.
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
from autofit.non_linear.search.nest.nss._memory import compiler_options

HUGE = 1e30
"""Beyond it (either sign) a log likelihood is a stand-in for "impossible", not a measurement."""


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

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

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


def too_large(log_likelihood: Any, dtype: Any) -> Any:
    """Whether floating-point numbers of that size cannot tell a change of 1 from none."""
    return log_likelihood * float(jnp.finfo(dtype).eps) > 1.0


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
    if best < -HUGE or too_large(best, values.dtype):
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
    options = compiler_options(jax.default_backend())  # without which it could hang
    function, some = jax.jit(raw_log_likelihood, compiler_options=options), positions[:8]
    counts = count_values([function(position).item() for position in some])
    return (
        f"Of the first {counts.n} it gave NaN at {counts.nan}, -inf at {counts.minus_inf} and a "
        f"number, so that an assertion failed, at {counts.n - counts.nan - counts.minus_inf}."
    )
