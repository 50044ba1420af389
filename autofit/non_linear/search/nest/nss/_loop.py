"""The outer loop: compiled blocks of iterations, dead points to the host, progress, a way out."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import numpy as np

from autofit.non_linear.errors import EvidenceError
from autofit.non_linear.search.nest.nss._block import CAPACITY, Block
from autofit.non_linear.search.nest.nss._first_values import too_large
from autofit.non_linear.search.nest.nss._run import Run

_SECONDS_PER_CALL = 0.5  # long enough to hide a host round trip, short enough to feel alive

_SHORTEST_SLEEP, _LONGEST_SLEEP = 1e-4, 0.02
_OVERSLEPT = 0.02
"""Share of a call by which the host may see its end too late: chunk sizes are compared by time."""


def sample(
    run: Run,
    step: Callable[..., Block],
    after_call: Callable[[Run], None],
    watch: Callable[[float, str], AbstractContextManager],
    max_iterations: int | None = None,
    max_seconds: float | None = None,
) -> None:
    """Run compiled blocks until the evidence has converged; `run` is updated in place.

    A run also ends on a plateau, where the next contour would be the highest likelihood there is:
    no point can be better, and the evidence that remains is that of the live points.

    Parameters
    ----------
    run
        Where to start; it is complete and consistent after every device call.
    step
        ``(rng_key, state, limit) -> Block``, whole when it returns.
    after_call
        Called after every device call: progress, checkpoints, pictures.
    watch
        ``(expected seconds, what)``: looks after a call while it lasts.
    max_iterations, max_seconds
        Stop there, with what there is. Seconds are of sampling, those before a resume included.

    Raises
    ------
    EvidenceError
        When the evidence is not a number any more, or a likelihood beyond floating-point numbers
        has come up.

    Notes
    -----
    A `KeyboardInterrupt` ends the run in an orderly way: the device call under way is let go, and
    `run` stays what it was after the call before.
    """
    limit, each = 1, 0.0
    try:
        while True:
            allowed = CAPACITY if max_iterations is None else max_iterations - run.iterations
            if allowed <= 0:
                run.ended = "max_iterations"
                return
            if max_seconds is not None and run.seconds >= max_seconds:
                run.ended = "max_seconds"
                return
            some = min(limit, allowed)
            what = f"iterations {run.iterations + 1} to {run.iterations + some}"
            start = time.perf_counter()
            with watch(some * each, what):
                block = step(run.rng_key, run.state, np.int32(some))
            seconds = time.perf_counter() - start
            run.absorb(block, seconds)
            if not block.is_healthy:
                raise EvidenceError(_diagnosis(run))
            after_call(run)
            if block.is_converged:
                run.ended = "converged"
                return
            if block.is_plateau:
                run.ended = "plateau"
                return
            each = seconds / max(int(block.iterations), 1)
            limit = _next_limit(limit, seconds)
    except KeyboardInterrupt:
        run.ended = "interrupted"


def wait(result: Any, on_pause: Callable[[], None]) -> Any:
    """Wait for the device in small sleeps, so that signals are heard while it works.

    Parameters
    ----------
    result
        What a compiled program returned.
    on_pause
        Called between two sleeps; may raise `KeyboardInterrupt`.
    """
    first = next(leaf for leaf in jax.tree.leaves(result) if hasattr(leaf, "is_ready"))  # no key
    start = time.perf_counter()
    on_pause()
    while not first.is_ready():
        waited = time.perf_counter() - start
        time.sleep(min(max(_SHORTEST_SLEEP, _OVERSLEPT * waited), _LONGEST_SLEEP))
        on_pause()
    return jax.block_until_ready(result)


def _next_limit(limit: int, seconds: float) -> int:
    """As many iterations as fit the wanted time of a call, at most doubling."""
    wanted = int(limit * _SECONDS_PER_CALL / max(seconds, 1e-6))
    return max(1, min(wanted, 2 * limit, CAPACITY))


def _diagnosis(run: Run) -> str:
    live = np.asarray(run.state.particles.loglikelihood)
    bad = np.flatnonzero(~(live < np.inf) | too_large(live, live.dtype))
    if len(bad):
        position = np.asarray(run.state.particles.position)[bad[0]]
        return (
            f"after {run.iterations} iterations a live point has log likelihood {live[bad[0]]}, so "
            f"the evidence is not a number, or never converges. It lies at {position.tolist()} of "
            "the unit cube. Return a finite number there, or -inf where the model is not defined."
        )
    return (
        f"after {run.iterations} iterations the covariance of the {len(live)} live points is not "
        "a number: they lie in fewer dimensions than the model has. Use more live points "
        "(n_live), and check that every parameter changes the likelihood."
    )
