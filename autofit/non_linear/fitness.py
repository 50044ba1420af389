"""A model and an analysis as two pure functions on the unit cube, which is what samplers need."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr

from autofit.mapper import AbstractPriorModel
from autofit.non_linear.analysis import Analysis
from autofit.non_linear.tracing import require_traceable


class Fitness:
    """Log prior and log likelihood of a point of the unit cube, traceable by JAX.

    Sampling in the unit cube makes every prior flat, so parameters with priors over many decades
    mix as well as any other, and no evaluation is spent on slices of the prior's density.

    Parameters
    ----------
    model
        The model to fit; it needs at least one free parameter.
    analysis
        Its log-likelihood function is traced here once, abstractly: nothing is computed.

    Raises
    ------
    NotTraceableError
        If the log-likelihood function cannot be traced or does not return one real number.
    """

    def __init__(self, model: AbstractPriorModel, analysis: Analysis) -> None:
        self.model = model
        self.analysis = analysis
        self.n_dim = model.prior_count
        self._point = jax.ShapeDtypeStruct((self.n_dim,), jnp.zeros(()).dtype)
        require_traceable(self.raw_log_likelihood, self._point, analysis)

    @cached_property
    def jaxpr(self) -> ClosedJaxpr:
        """What one call of `log_likelihood` computes."""
        return jax.jit(self.log_likelihood).trace(self._point).jaxpr

    def log_prior(self, unit_vector: jax.Array) -> jax.Array:
        """0 inside the unit cube, minus infinity outside; shape ``()``."""
        inside = jnp.all((unit_vector >= 0.0) & (unit_vector <= 1.0))
        return jnp.where(inside, 0.0, -jnp.inf).astype(unit_vector.dtype)

    def log_likelihood(self, unit_vector: jax.Array) -> jax.Array:
        """Log likelihood of one point, shape ``()``.

        NaN, and a point that breaks an assertion of the model, count as minus infinity: such a
        point has no likelihood and is never accepted. Nor has a point outside the cube, which is
        moved onto its faces first, so that the likelihood only ever sees parameters that its
        priors allow.
        """
        vector = self.physical(unit_vector)
        value = self.analysis.log_likelihood_function(
            self.model.instance_from_vector(vector, xp=jnp)
        )
        value = jnp.asarray(value).reshape(())
        allowed = self.model.assertions_hold(vector, xp=jnp) & ~jnp.isnan(value)
        # The prior alone does not keep a chain inside: the height of its slice may be 0.
        allowed &= self.log_prior(unit_vector) == 0.0
        return jnp.where(allowed, value, -jnp.inf)

    def physical(self, unit_vector: jax.Array) -> jax.Array:
        """The physical parameters of one point, shape ``(n_dim,)``.

        A point on a face of the cube counts as the number next to it, for which priors without
        limits have a finite value, unless it is too large for the type: then it is the largest.
        """
        numbers = jnp.finfo(unit_vector.dtype)
        inside = jnp.clip(unit_vector, numbers.tiny, 1.0 - 0.5 * numbers.eps)
        vector = self.model.vector_from_unit_vector(inside, xp=jnp)
        return jnp.clip(vector, -numbers.max, numbers.max)

    def describe(self, unit_vectors: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Physical parameters ``(n, n_dim)`` and log prior densities ``(n,)`` of many points."""

        def one(unit_vector):
            vector = self.physical(unit_vector)
            return vector, sum(self.model.log_prior_list_from_vector(vector, xp=jnp))

        return jax.vmap(one)(unit_vectors)

    def raw_log_likelihood(self, unit_vector: jax.Array) -> Any:
        """What the analysis gives at a point inside the cube, NaN and all."""
        instance = self.model.instance_from_vector(self.physical(unit_vector), xp=jnp)
        return self.analysis.log_likelihood_function(instance)
