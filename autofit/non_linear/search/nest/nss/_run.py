"""The outer loop: compiled blocks of iterations, dead points to the host, progress, a way out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from autofit.non_linear.errors import EvidenceError
from autofit.non_linear.search.nest.nss._block import CAPACITY, Block

_SECONDS_PER_CALL = 0.5  # long enough to hide a host round trip, short enough to feel alive


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


def sample(
    run: Run,
    step: Callable[..., Block],
    max_iterations: int | None,
    after_call: Callable[[Run], None],
) -> None:
    """Run compiled blocks until the evidence has converged; `run` is updated in place.

    Parameters
    ----------
    run
        Where to start; it is complete and consistent after every device call.
    step
        The compiled program of `block_program`.
    max_iterations
        Stop there, with what there is.
    after_call
        Called after every device call: progress, checkpoints, pictures.

    Raises
    ------
    EvidenceError
        When the evidence is not a number any more.

    Notes
    -----
    Ctrl-C ends the run in an orderly way: the device call under way is let go, and `run` stays
    what it was after the call before.
    """
    limit = 1
    try:
        while True:
            allowed = CAPACITY if max_iterations is None else max_iterations - run.iterations
            if allowed <= 0:
                run.ended = "max_iterations"
                return
            start = time.perf_counter()
            block = _wait(step(run.rng_key, run.state, np.int32(min(limit, allowed))))
            seconds = time.perf_counter() - start
            run.absorb(block, seconds)
            if not block.is_healthy:
                raise EvidenceError(_diagnosis(run))
            after_call(run)
            if block.is_converged:
                run.ended = "converged"
                return
            limit = _next_limit(limit, seconds)
    except KeyboardInterrupt:
        run.ended = "interrupted"


def _next_limit(limit: int, seconds: float) -> int:
    """As many iterations as fit the wanted time of a call, at most doubling."""
    wanted = int(limit * _SECONDS_PER_CALL / max(seconds, 1e-6))
    return max(1, min(wanted, 2 * limit, CAPACITY))


def _wait(block: Block) -> Block:
    """Wait for the device in small sleeps, so that Ctrl-C is heard while it works."""
    pause = 1e-4
    while not block.iterations.is_ready():
        time.sleep(pause)
        pause = min(2 * pause, 0.02)
    return jax.block_until_ready(block)


def _diagnosis(run: Run) -> str:
    live = np.asarray(run.state.particles.loglikelihood)
    if np.isposinf(live).any() or np.isnan(live).any():
        bad = int(np.flatnonzero(~(live < np.inf))[0])
        position = np.asarray(run.state.particles.position)[bad]
        return (
            f"after {run.iterations} iterations a live point has log likelihood {live[bad]}, so "
            f"the evidence is not a number. It lies at {position.tolist()} of the unit cube. "
            "Return a finite number there, or -inf where the model is not defined."
        )
    return (
        f"after {run.iterations} iterations the covariance of the {len(live)} live points is not "
        "a number: they lie in fewer dimensions than the model has. Use more live points "
        "(n_live), and check that every parameter changes the likelihood."
    )
