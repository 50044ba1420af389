"""From a plan to the end of a run: draw the live points, check them, sample, look after it all."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np

from autofit.non_linear.fitness import Fitness
from autofit.non_linear.search.nest.nss._adaptive import AdaptiveProgram
from autofit.non_linear.search.nest.nss._batch_check import check_batch, tolerance_for
from autofit.non_linear.search.nest.nss._chunked_nss import is_light
from autofit.non_linear.search.nest.nss._first_values import require_start
from autofit.non_linear.search.nest.nss._loop import sample, wait
from autofit.non_linear.search.nest.nss._memory import DeviceBudget, Plan, balanced, waves
from autofit.non_linear.search.nest.nss._moves import KIND
from autofit.non_linear.search.nest.nss._options import Options
from autofit.non_linear.search.nest.nss._run import Run
from autofit.non_linear.search.nest.nss._scheduler import scheduler_for
from autofit.non_linear.search.nest.nss._seconds_left import SecondsLeft
from autofit.non_linear.search.nest.nss._signals import Signals
from autofit.non_linear.search.nest.nss._steps import TunedStep
from autofit.non_linear.search.nest.nss._tuning import Trial, Tuner, ladder
from autofit.non_linear.search.nest.nss._watchdog import Watchdog

logger = logging.getLogger("autofit")

_CHECKED = 4
"""Particles evaluated alone as well, at each chunk size that is used."""


class Sampling:
    """The programs of a plan, and what becomes of them while they run.

    Parameters
    ----------
    fitness, options, plan
        What to sample and how.
    read_budget
        Reads the memory that is free now.

    Attributes
    ----------
    lowered, refused
        Why the chunk of init or step was lowered, and one that was tried was not taken; a sentence
        each time.
    trials, search_seconds
        Chunk sizes that were timed, and what that cost.
    taken, is_settled
        The step's chunk size in the end, and whether none was left to try.
    """

    def __init__(
        self,
        fitness: Fitness,
        options: Options,
        plan: Plan,
        read_budget: Callable[[], DeviceBudget],
    ) -> None:
        self._fitness, self._options, self._plan = fitness, options, plan
        self._read_budget = read_budget
        self.lowered: list[str] = []
        self.refused: list[str] = []
        self.trials: list[Trial] = []
        self.search_seconds = 0.0
        self.taken: int | None = None
        self.is_settled = False

    def start(self) -> Run:
        """Draw the live points from the prior and evaluate them.

        Raises
        ------
        EvidenceError
            When no evidence can be computed from them, see `require_start`.
        OutOfMemoryError
            When there is no memory for a single likelihood call.
        """
        program = self._program("init", lambda: None, lambda state: state)
        positions, init_key, run_key = self._draw(self._options.seed)
        state = program(positions, init_key)
        self.lowered += program.lowered
        values = np.asarray(state.particles.loglikelihood)
        raw = self._fitness.raw_log_likelihood
        for remark in require_start(values, positions, raw).remarks():
            logger.warning("%s", remark)
        n = len(values)
        return Run(
            rng_key=run_key,
            state=state,
            useful_evaluations=n,
            total_evaluations=waves(n, program.chunk_size) * balanced(n, program.chunk_size),
        )

    def go_on(
        self,
        run: Run,
        after_call: Callable[[Run, str], None],
        save: Callable[[Run], None],
        signals: Signals,
    ) -> None:
        """Sample until the run has converged or something else ends it.

        Parameters
        ----------
        run
            Updated in place.
        after_call
            Called with the run and a note for the progress line, after every device call.
        save
            Saves the run when a signal asks for it.
        """

        def on_pause():
            if signals.stop:
                raise KeyboardInterrupt
            if signals.take_save_request():
                save(run)

        options, plan = self._options, self._plan
        begin = time.perf_counter()
        program = self._program("step", on_pause, lambda block: block.state)
        waited = time.perf_counter() - begin  # to compile what the plan cache had the figures of
        with ExitStack() as stack:
            dog = stack.enter_context(Watchdog(logger, plan.budget.platform))
            tuner = self._tuner(program.chunk_size, waited)
            step = TunedStep(program, plan, tuner, self._seconds_left(run), on_pause)
            stack.callback(step.close)
            try:
                sample(
                    run,
                    step,
                    lambda run: after_call(run, step.note),
                    lambda seconds, what: dog.watch(seconds, f"{what}, {step.note}"),
                    options.max_iterations,
                    options.max_seconds,
                )
            finally:
                self.lowered += program.lowered
                self.refused = program.refused
                self.trials, self.search_seconds = step.trials, step.search_seconds
                self.taken, self.is_settled = step.taken, step.is_settled

    def chunk_sizes(self) -> dict[str, Any]:
        """Which were tried, and why some were lowered or not taken; JSON-able."""
        trials = [trial._asdict() for trial in self.trials]
        return {
            "trials": trials,
            "search_seconds": self.search_seconds,
            "taken": self.taken,
            "is_settled": self.is_settled,
            "lowered": self.lowered,
            "refused": self.refused,
        }

    def report(self, run: Run) -> str:
        """How the run ended, what it took, and which chunk sizes were tried."""
        said = [
            f"{_ENDINGS[run.ended]} {run.iterations:,} iterations, {run.total_evaluations:,} "
            f"likelihood evaluations ({run.useful_share:.0%} useful), {run.seconds:.1f} s of "
            "sampling."
        ]
        if len(self.trials) > 1:
            speeds = (f"{t.chunk_size}: {t.evaluations_per_second:,.1f}/s" for t in self.trials)
            tried = "Useful evaluations by chunk size, " + ", ".join(speeds)
            ending = "was taken" if self.is_settled else "is the best so far"
            cost = f"Trying took {self.search_seconds:.1f} s."
            said.append(f"{tried}; {self.taken} {ending}. {cost}")
        return "\n".join(said + self.lowered + self.refused)

    def _program(
        self, name: str, on_pause: Callable[[], None], state_of: Callable[[Any], Any]
    ) -> AdaptiveProgram:
        def fault(result, chunk_size):
            return self._fault(state_of(result).particles, chunk_size)

        waiting = partial(wait, on_pause=on_pause)
        return AdaptiveProgram(self._plan, name, self._read_budget, waiting, fault)

    def _fault(self, particles: Any, chunk_size: int) -> str:
        """What is wrong with the values of a batch, as evaluating a few of its points alone tells.

        The particles born last are those that the program at hand has evaluated.
        """
        born = np.nan_to_num(np.asarray(particles.loglikelihood_birth), nan=-np.inf)
        newest = np.flatnonzero(born == born.max())
        check = check_batch(
            self._plan.executable("call"),
            np.asarray(particles.position)[newest],
            np.asarray(particles.loglikelihood)[newest],
            chunk_size=chunk_size,
            count=_CHECKED,
            tolerance=self._tolerance,
        )
        return "" if check.agrees else str(check)

    @cached_property
    def _tolerance(self) -> float:
        return tolerance_for(self._fitness.jaxpr)

    def _seconds_left(self, run: Run) -> SecondsLeft:
        most_iterations, most_seconds = self._options.max_iterations, self._options.max_seconds
        return SecondsLeft(
            self._options.termination,
            most_iterations and most_iterations - run.iterations,
            most_seconds and most_seconds - run.seconds,
        )

    def _tuner(self, start: int, waited: float) -> Tuner | None:
        """For ``"auto"``, with the sizes that memory and earlier runs leave to be tried.

        ``None`` where they leave none. So many seconds were waited for the step after planning.
        """
        program, jaxpr = self._plan.step, self._fitness.jaxpr
        if self._options.chunk_size != "auto" or program.chosen_by == "earlier run":
            return None
        n, ceiling = program.n, None
        has_lanes = scheduler_for(jaxpr, self._options)[0] != "map"
        lowest = 2 if has_lanes and is_light(jaxpr) else 1  # where 1 is made as 2
        is_lowered = start < program.chunk_size
        if is_lowered or (program.chosen_by == "memory" and start < n):
            highest, ceiling = start, start + 1  # more does not fit
        else:
            fills_up = self._plan.budget.platform == "gpu"  # where more calls may take no longer
            highest = 2 * n if fills_up and has_lanes else n
        sizes = ladder(n, start, highest, lowest)
        known = self._plan.remembered("step")
        if known is not None:
            sizes = known.still_open(sizes, start)
        planned = (self._plan.call, *self._plan.programs)
        return Tuner(
            sizes,
            start,
            compile_seconds=waited + program.compile_seconds / max(program.compiles, 1),
            ceiling=ceiling,
            planning_seconds=waited + sum(each.compile_seconds for each in planned),
        )

    def _draw(self, seed: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        @jax.jit
        def draw(seed):
            draw_key, init_key, run_key = jax.random.split(jax.random.key(seed, impl=KIND), 3)
            shape = (self._options.n_live, self._fitness.n_dim)
            return jax.random.uniform(draw_key, shape), init_key, run_key

        return draw(seed)


_ENDINGS = {
    "converged": "Converged:",
    "plateau": "Ended on a plateau, the highest likelihood of too many points to go on:",
    "max_iterations": "Stopped at max_iterations, before convergence:",
    "max_seconds": "Stopped at max_seconds, before convergence:",
    "interrupted": "Interrupted, before convergence:",
}
