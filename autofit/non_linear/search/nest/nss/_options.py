"""The options of `af.NSS`, checked before anything expensive starts."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import jax.numpy as jnp

from autofit.non_linear.errors import OptionError
from autofit.non_linear.paths import to_json


@dataclass(frozen=True)
class Options:
    """What determines the chain, and how it is cut into chunks; see `NSS` for the meanings."""

    n_live: int
    num_mcmc_steps: int
    num_delete: int
    termination: float
    seed: int
    max_iterations: int | None
    max_seconds: float | None
    chunk_size: int | str | None
    scheduler: str | None

    def __post_init__(self) -> None:
        require_int("n_live", self.n_live, least=2)
        require_int("num_mcmc_steps", self.num_mcmc_steps, least=1)
        require_int("num_delete", self.num_delete, least=1)
        require_int("seed", self.seed, least=0)
        largest = int(jnp.iinfo(jnp.result_type(int)).max)
        if self.seed > largest:
            raise OptionError(f"seed must be an int of at most {largest}, not {self.seed}")
        if self.max_iterations is not None:
            require_int("max_iterations", self.max_iterations, least=1)
        if self.max_seconds is not None and not (
            isinstance(self.max_seconds, int | float)
            and not isinstance(self.max_seconds, bool)
            and 0.0 < self.max_seconds < math.inf
        ):
            raise OptionError(f"max_seconds must be positive, or None, not {self.max_seconds!r}")
        if self.chunk_size is not None and self.chunk_size not in ("auto", "memory"):
            what = 'None (no chunks), "auto", "memory", or a positive int'
            require_int("chunk_size", self.chunk_size, least=1, what=what)
        if self.scheduler not in (None, "lanes", "map"):
            raise OptionError(f'scheduler must be "lanes" or "map", not {self.scheduler!r}')
        if isinstance(self.termination, bool) or not isinstance(self.termination, int | float):
            raise OptionError(f"termination must be a number, not {self.termination!r}")
        object.__setattr__(self, "termination", float(self.termination))  # -3 is -3.0
        if not math.isfinite(self.termination):
            raise OptionError(
                f"termination={self.termination!r} would never end the run; it is the log of the "
                "remaining share of the evidence at which to stop, for instance -3.0"
            )
        if self.num_delete >= self.n_live:
            raise OptionError(
                f"num_delete={self.num_delete} of n_live={self.n_live} live points would be "
                "replaced at once, and none would be left to start from. Use num_delete of at "
                f"most n_live / 2 = {max(1, self.n_live // 2)}, or more live points"
            )

    def check_for(self, n_dim: int) -> None:
        """Check what depends on the number of free parameters.

        Raises
        ------
        OptionError
            When there is nothing to fit, or too few live points span its space.

        Warns
        -----
        UserWarning
            When the slice moves are too few for an unbiased evidence.
        """
        if n_dim == 0:
            raise OptionError("the model has no free parameter: give at least one a prior")
        if self.n_live < 2 * n_dim:
            raise OptionError(
                f"n_live={self.n_live} is too small for {n_dim} free parameters: moves follow the "
                f"covariance of the live points, which needs at least 2 x {n_dim} = {2 * n_dim} of "
                f"them; {25 * n_dim} is a good start"
            )
        enough = max(5, 2 * n_dim)
        if self.num_mcmc_steps < enough:
            warnings.warn(
                f"num_mcmc_steps={self.num_mcmc_steps} is below max(5, 2 x n_dim) = {enough} for "
                f"{n_dim} free parameters: new points stay near the old ones and log Z comes out "
                "too high (published for 15 parameters: +8.4 with 5 steps, +0.7 with 30, -0.5 "
                f"with 45). Use num_mcmc_steps={enough} or more.",
                stacklevel=4,
            )


def require_json(name: str, value: object) -> None:
    if not isinstance(value, Mapping | None):
        raise OptionError(f"{name} must be a dict, or None, not {value!r} ({type(value).__name__})")
    try:
        to_json(value)
    except (TypeError, ValueError) as error:
        raise OptionError(f"{name} cannot be kept with the samples: {error}") from error


def require_int(name: str, value: object, least: int, what: str | None = None) -> None:
    wanted = what or f"an int of at least {least}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise OptionError(f"{name} must be {wanted}, not {value!r} ({type(value).__name__})")
    if value < least:
        raise OptionError(f"{name} must be {wanted}, not {value!r}")
