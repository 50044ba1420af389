"""Flat priors, so that a likelihood of the unit cube is all that a nested sampler needs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jax import Array
from jax.typing import ArrayLike


class FlatPriors(NamedTuple):
    """Independent flat priors.

    Attributes
    ----------
    names
        Of the parameters.
    lower, upper
        Limits, shape (n_dim,).
    """

    names: tuple[str, ...]
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def of(cls, limits: dict[str, tuple[float, float]]) -> FlatPriors:
        """From lower and upper limits by name."""
        lower, upper = np.array(list(limits.values())).T
        return cls(tuple(limits), lower, upper)

    def physical(self, u: ArrayLike) -> Array:
        """Parameters of a point of the unit cube, shape (..., n_dim) to the same."""
        return self.lower + (self.upper - self.lower) * u

    def unit(self, parameters: ArrayLike) -> Array:
        """Point of the unit cube of parameters, shape (..., n_dim) to the same."""
        return (parameters - self.lower) / (self.upper - self.lower)
