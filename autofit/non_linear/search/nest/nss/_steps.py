"""The step of a run, at the chunk size that turns out to be the fastest."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, NamedTuple

import jax

from autofit.non_linear.search.nest.nss._adaptive import AdaptiveProgram
from autofit.non_linear.search.nest.nss._block import Block
from autofit.non_linear.search.nest.nss._memory import Alternative, Fastest, Plan
from autofit.non_linear.search.nest.nss._seconds_left import SecondsLeft
from autofit.non_linear.search.nest.nss._tuning import LONG_TURN, Trial, Tuner

logger = logging.getLogger("autofit")

_SETTINGS = {
    "jax_enable_x64": jax.enable_x64,
    "jax_default_device": jax.default_device,
    "jax_default_matmul_precision": jax.default_matmul_precision,
    "jax_default_prng_impl": jax.default_prng_impl,
    "jax_threefry_partitionable": jax.threefry_partitionable,
    "jax_numpy_dtype_promotion": jax.numpy_dtype_promotion,
}
"""What a ``with`` block of JAX may have set that decides which program is traced."""


class _Compiled(NamedTuple):
    alternative: Alternative
    seconds: float


class TunedStep:
    """Runs blocks and times them; other chunk sizes are compiled while sampling goes on.

    Parameters
    ----------
    program
        The step's.
    plan
        Compiles it at other chunk sizes, and keeps the fastest.
    tuner
        Chooses among them; ``None`` stays at the program's.
    seconds_left
        Tells how long the run will go on.
    on_pause
        Called before each device call; may raise `KeyboardInterrupt`.
    """

    def __init__(
        self,
        program: AdaptiveProgram,
        plan: Plan,
        tuner: Tuner | None,
        seconds_left: SecondsLeft,
        on_pause: Callable[[], None],
    ) -> None:
        self._program, self._plan, self._tuner = program, plan, tuner
        self._left, self._on_pause = seconds_left, on_pause
        self._compiler = ThreadPoolExecutor(1, "autofit-compiler")
        self._compiling: Future[_Compiled] | None = None
        self._have_run: set[int] = set()
        self._n_lowered = len(program.lowered)  # of them the tuner knows
        self._known = known = plan.remembered("step")  # what the plan cache has, but for other runs
        self._deadly = known.ceiling if known is not None and known.is_deadly else None
        program.hold_off = self._await_compiler

    def close(self) -> None:
        """Start no further compilation, and keep what was learned so far."""
        self._compiler.shutdown(wait=False, cancel_futures=True)
        if self._compiling is not None and not self._compiling.done():
            logger.info("A chunk size is still being compiled; Python ends when that is done.")
        tuner, program = self._tuner, self._program
        if tuner is None:
            if program.lowered:  # what an earlier run had found
                self._keep(Fastest(chunk_size=self.taken, is_settled=False))
            return
        if len(program.lowered) > self._n_lowered:  # in a call that was broken off then
            tuner.lower(program.chunk_size)
        if not tuner.is_settled and (tuner.best != tuner.start or program.lowered):
            self._remember(tuner)

    def __call__(self, rng_key: jax.Array, state: Any, limit: Any) -> Block:
        """One device call, whole, at the chunk size of the moment."""
        self._on_pause()  # what came since the last call, before another one begins
        if self._tuner is None:
            return self._program(rng_key, state, limit)
        self._take_over(self._tuner)
        program = self._program
        is_new = program.chunk_size not in self._have_run
        is_trial = program.chunk_size != self._tuner.best
        program.proven = self._tuner.best if is_trial else None
        n_refused = len(program.refused)
        start = time.perf_counter()
        is_risk = is_new and program.chunk_size > self._tuner.best
        with self._at_risk(self._tuner) if is_risk else nullcontext():
            block = program(rng_key, state, limit)
        seconds = time.perf_counter() - start - program.check_seconds
        self._have_run.add(program.chunk_size)
        integrator = block.state.integrator
        remaining = float(integrator.logZ_live) - float(integrator.logZ)
        self._left.observe(seconds, int(block.iterations), remaining)
        useful = int(block.evaluations.useful)
        if self._tuner.challenger is not None:
            self._tuner.cost.observe(useful, seconds + program.check_seconds)
        # A first call makes buffers and threads, which is little beside a long one.
        is_typical = not is_new or seconds >= LONG_TURN
        if len(program.lowered) > self._n_lowered:
            self._n_lowered = len(program.lowered)
            self._tuner.lower(program.chunk_size)
        elif len(program.refused) > n_refused:
            self._tuner.refuse()
        elif is_typical and self._compiling is None:  # nothing else took part of the time
            self._tuner.observe(program.chunk_size, useful, seconds)
        program.chunk_size = self._tuner.current
        self._look_further(self._tuner)
        return block

    @property
    def note(self) -> str:
        """For the progress line."""
        if self._tuner is None or self._tuner.challenger is None:
            return f"chunk {self._program.chunk_size}"
        if self._compiling is not None:
            return f"chunk {self._program.chunk_size}, compiling {self._tuner.challenger}"
        return f"chunk {self._tuner.best} or {self._tuner.challenger}?"

    @property
    def trials(self) -> list[Trial]:
        """Chunk sizes that were timed, ascending."""
        return [] if self._tuner is None else self._tuner.trials

    @property
    def search_seconds(self) -> float:
        """What the trials have cost."""
        return 0.0 if self._tuner is None else self._tuner.cost.seconds

    @property
    def taken(self) -> int:
        """The chunk size that it has come to."""
        return self._program.chunk_size if self._tuner is None else self._tuner.best

    @property
    def is_settled(self) -> bool:
        """Whether no other is left to try."""
        return self._tuner is None or self._tuner.is_settled

    @contextmanager
    def _at_risk(self, tuner: Tuner) -> Iterator[None]:
        """While this lasts, the plan cache tells the next run not to go so high.

        The system may kill a process for its memory. If every run tried the same, none would end.
        """
        before, best = self._known, tuner.best
        was_settled = before is not None and before.is_settled and before.chunk_size == best
        self._keep(
            Fastest(
                chunk_size=best, is_settled=was_settled, ceiling=tuner.challenger, is_deadly=True
            )
        )
        try:
            yield
        finally:
            if before is not None and was_settled:
                self._keep(before)
            else:
                self._remember(tuner)

    def _look_further(self, tuner: Tuner) -> None:
        """Have the next chunk size compiled; when there is none left, keep the best."""
        if self._compiling is not None:
            return
        was_settled = tuner.is_settled
        wanted = tuner.wanted(self._left.seconds, self._left.elapsed)
        if wanted is not None:
            settings = {name: getattr(jax.config, name) for name in _SETTINGS}
            self._compiling = self._compiler.submit(_compile, self._plan, wanted, settings)
        elif tuner.is_settled and not was_settled:
            self._remember(tuner)
            self._program.keep_only_current()

    def _remember(self, tuner: Tuner) -> None:
        is_deadly = self._deadly is not None
        self._keep(
            Fastest(
                chunk_size=tuner.best,
                is_settled=tuner.is_settled,
                ceiling=self._deadly if is_deadly else tuner.ceiling,
                is_deadly=is_deadly,
            )
        )

    def _keep(self, fastest: Fastest) -> None:
        """For the next run, unless another has settled the matter since this one last looked."""
        now = self._plan.remembered("step")
        if now is not None and now != self._known and now.is_settled:
            is_refuted = now.is_deadly and now.ceiling in self._have_run
            if not is_refuted:
                return
        self._known = fastest
        self._plan.remember("step", fastest)

    def _await_compiler(self) -> bool:
        """Let it finish, for it takes memory; whether there was anything to wait for."""
        if self._compiling is None or self._compiling.done():
            return False
        while not self._compiling.done():
            self._on_pause()
            wait([self._compiling], timeout=0.1)
        return True

    def _take_over(self, tuner: Tuner) -> None:
        """Use what the compiler has finished."""
        if self._compiling is None or not self._compiling.done():
            return
        future, self._compiling = self._compiling, None
        if tuner.challenger is None:  # the memory ran out in the meantime
            return
        try:
            alternative, seconds = future.result()
        except Exception as error:
            # A run that works must not end because something that it does not need does not.
            self._program.refuse(f"{tuner.challenger} calls at once could not be compiled: {error}")
            tuner.refuse()
            return
        is_larger = alternative.chunk_size > tuner.best
        if not alternative.fits or (is_larger and not self._program.has_room(alternative)):
            tuner.refuse()
            return
        self._program.use(alternative)
        tuner.compiled(seconds)


def _compile(plan: Plan, chunk_size: int, settings: dict[str, Any]) -> _Compiled:
    """In the compiler's thread, which does not see what ``with jax.…`` blocks have set."""
    start = time.perf_counter()
    with ExitStack() as stack:
        for name, value in settings.items():
            stack.enter_context(_SETTINGS[name](value))
        alternative = plan.at_chunk("step", chunk_size)
        if alternative.fits:
            alternative.compile()
    return _Compiled(alternative, time.perf_counter() - start)
