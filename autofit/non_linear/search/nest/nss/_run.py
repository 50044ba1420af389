"""Where a run is: its chain, its dead points and its counts, on the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from autofit.non_linear.search.nest.nss._block import Block
from autofit.non_linear.search.nest.nss._segments import Segments


@dataclass
class Run:
    """State of a sampling run on the host.

    Attributes
    ----------
    rng_key, state
        Where the chain is: the key, and blackjax's state with the live points.
    dead
        Dead points in memory, one entry a device call, leaves of shape ``(n, ...)``.
    segments
        Dead points before them, on the disk; None for a run that is not saved.
    iterations, useful_evaluations, total_evaluations
        Counts so far; see `Evaluations`.
    seconds
        Sampling time so far.
    ended
        ``"converged"``, ``"plateau"``, ``"max_iterations"``, ``"max_seconds"`` or
        ``"interrupted"``; empty while running.
    """

    rng_key: Any
    state: Any
    dead: tuple[Any, ...] = ()
    segments: Segments | None = None
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
        """Dead points so far, in memory and on the disk."""
        on_disk = 0 if self.segments is None else self.segments.n_dead
        return on_disk + sum(len(block.loglikelihood) for block in self.dead)

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to sample."""
        return self.ended in ("converged", "plateau")

    @property
    def useful_share(self) -> float:
        """Share of the evaluations so far that a chain needed."""
        return self.useful_evaluations / max(self.total_evaluations, 1)

    def absorb(self, block: Block, seconds: float) -> None:
        """Take over what a device call returned; its dead points leave the device."""
        done = int(block.iterations)
        # Copies: on a CPU, a view would hold the rows that were not filled as well.
        dead = jax.tree.map(
            lambda x: np.asarray(x)[:done].reshape(-1, *x.shape[2:]).copy(), block.dead
        )
        self._set(
            rng_key=block.rng_key,
            state=block.state,
            dead=(*self.dead, dead),
            iterations=self.iterations + done,
            useful_evaluations=self.useful_evaluations + int(block.evaluations.useful),
            total_evaluations=self.total_evaluations + int(block.evaluations.total),
            seconds=self.seconds + seconds,
        )

    def store(self, segments: Segments, rest: Any) -> None:
        """Let go of the dead points that are in `segments` now; `rest` are those that are not."""
        self._set(segments=segments, dead=(rest,))

    def _set(self, **attributes: Any) -> None:
        """Set all of them or none: Ctrl-C is heard between two statements, not in this one."""
        vars(self).update(attributes)
