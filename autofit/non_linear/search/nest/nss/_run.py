"""Where a run is: its chain, its dead points and its counts, on the host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from autofit.non_linear.search.nest.nss._block import Block


@dataclass
class Run:
    """State of a sampling run on the host.

    Attributes
    ----------
    rng_key, state
        Where the chain is: the key, and blackjax's state with the live points.
    dead
        Dead points so far, one entry a device call, leaves of shape ``(n_dead, ...)``.
    iterations, useful_evaluations, total_evaluations
        Counts so far; see `Evaluations`.
    seconds
        Sampling time so far.
    ended
        ``"converged"``, ``"max_iterations"``, ``"interrupted"``; empty while running.
    """

    rng_key: Any
    state: Any
    dead: list[Any] = field(default_factory=list)
    iterations: int = 0
    useful_evaluations: int = 0
    total_evaluations: int = 0
    seconds: float = 0.0
    ended: str = ""

    @property
    def log_evidence(self) -> float:
        """Evidence of the dead points so far."""
        return float(self.state.integrator.logZ)

    @property
    def remaining(self) -> float:
        """``log Z_live - log Z``: what the live points still hold, against what is counted."""
        return float(self.state.integrator.logZ_live) - self.log_evidence

    @property
    def n_dead(self) -> int:
        return sum(len(block.loglikelihood) for block in self.dead)

    @property
    def useful_share(self) -> float:
        """Share of the evaluations so far that a chain needed."""
        return self.useful_evaluations / max(self.total_evaluations, 1)

    def absorb(self, block: Block, seconds: float) -> None:
        """Take over what a device call returned; its dead points leave the device."""
        done = int(block.iterations)
        self.rng_key, self.state = block.rng_key, block.state
        if done:
            self.dead.append(
                jax.tree.map(lambda x: np.asarray(x)[:done].reshape(-1, *x.shape[2:]), block.dead)
            )
        self.iterations += done
        self.useful_evaluations += int(block.evaluations.useful)
        self.total_evaluations += int(block.evaluations.total)
        self.seconds += seconds
