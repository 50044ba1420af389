"""How lanes advance: one tick of the loop, each lane by its own phase.

See `make_lane_update_strategy` for what it is for, and ``docs/lanes.md`` for the algorithm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from blackjax.ns.base import StateWithLogLikelihood

from autofit.non_linear.search.nest.nss._moves import DRAWN_AHEAD, Moves, next_shrink

LEFT, RIGHT, SHRINK, IDLE = range(4)
_RECORD = 5


class Lanes(NamedTuple):
    """One chain per lane; leaves of shape ``(lanes, ...)``.

    Attributes
    ----------
    particle, move
        What the lane is working on.
    phase
        What its candidate is: a left end, a right end, a shrink proposal, or nothing (idle).
    state
        Where the chain is.
    direction, level
        Of the move.
    left, right
        Bracket, which shrinks in the end.
    outer_left, outer_right
        Bracket as stepping out left it.
    budget_left, budget_right
        Step-outs still allowed.
    shrinks
        Shrink proposals evaluated.
    late_key
        Goes on from `Moves.shrink_key` where the proposals drawn ahead do not suffice.
    t
        Coordinate of the candidate along the slice.
    records
        Finished moves of the particle: accepted, step-outs, shrinks, outer bracket; shape
        ``(lanes, num_moves, 5)``.
    """

    particle: jax.Array
    move: jax.Array
    phase: jax.Array
    state: StateWithLogLikelihood
    direction: Any
    level: jax.Array
    left: jax.Array
    right: jax.Array
    outer_left: jax.Array
    outer_right: jax.Array
    budget_left: jax.Array
    budget_right: jax.Array
    shrinks: jax.Array
    late_key: jax.Array
    t: jax.Array
    records: jax.Array


class Step(NamedTuple):
    """State of the loop: lanes, next particle in the queue, what is finished, and the counts."""

    lanes: Lanes
    queue: jax.Array
    finished: jax.Array
    outcome: tuple[StateWithLogLikelihood, jax.Array] | None
    useful: jax.Array
    ticks: jax.Array


class Rules(NamedTuple):
    """How lanes advance; nothing in here changes while the loop runs."""

    moves: Moves
    start: StateWithLogLikelihood
    loglikelihood_0: jax.Array
    max_steps: int
    max_shrinkage: int
    evaluate: Callable

    @property
    def num_delete(self) -> int:
        return self.moves.offset.shape[0]

    @property
    def num_moves(self) -> int:
        return self.moves.offset.shape[1]

    def begin(self, width: int) -> Step:
        """The first `width` particles, one to a lane, at their first move."""
        particle = jnp.arange(width, dtype=jnp.int32)
        zero, real = jnp.zeros_like(particle), jnp.zeros(width, self.moves.offset.dtype)
        records = jnp.zeros((self.num_delete, self.num_moves, _RECORD), real.dtype)
        lanes = Lanes(
            particle=particle,
            move=zero,
            phase=zero,
            state=jax.tree.map(lambda x: x[:width], self.start),
            direction=jax.tree.map(lambda x: x[:width, 0], self.moves.direction),
            level=real,
            left=real,
            right=real,
            outer_left=real,
            outer_right=real,
            budget_left=zero,
            budget_right=zero,
            shrinks=zero,
            late_key=self.moves.shrink_key[:width, 0],
            t=real,
            records=records[:width],
        )
        lanes = self._aim(self._begin_move(lanes, jnp.ones(width, bool)))
        none = jnp.int32(0)
        in_one_go = width == self.num_delete
        outcome = None if in_one_go else (self.start, records)
        return Step(lanes, jnp.int32(width), none, outcome, none, none)

    def is_unfinished(self, step: Step) -> jax.Array:
        return step.finished < self.num_delete

    def outcome(self, step: Step) -> tuple[StateWithLogLikelihood, jax.Array]:
        """Final particles and records, leaves of shape ``(num_delete, ...)``."""
        return step.outcome or (step.lanes.state, step.lanes.records)

    def tick(self, step: Step) -> Step:
        """Evaluate every lane's candidate in one batch; then every lane advances on its own."""
        lanes = step.lanes
        candidate = self.evaluate(
            jax.tree.map(
                lambda p, d: p + _beside(lanes.t, d) * d, lanes.state.position, lanes.direction
            )
        )
        inside = candidate.logdensity >= lanes.level
        inside &= candidate.loglikelihood > self.loglikelihood_0
        stepped = self._step_out(lanes, inside)
        lanes, move_is_done = self._shrink(stepped, candidate, inside, lanes.phase == SHRINK)
        step = step._replace(
            lanes=lanes,
            useful=step.useful + jnp.sum(step.lanes.phase != IDLE, dtype=jnp.int32),
            ticks=step.ticks + 1,
        )
        step = self._hand_over(step, move_is_done & (lanes.move == self.num_moves))
        lanes = self._begin_move(step.lanes, move_is_done & (step.lanes.phase != IDLE))
        return step._replace(lanes=self._aim(lanes))

    def _step_out(self, lanes: Lanes, inside: jax.Array) -> Lanes:
        """Widen the brackets whose end is inside the slice; go on to the next end, or to shrink.

        An end to which no step-out is left is not evaluated: nothing could follow from it.
        """
        at_left, at_right = lanes.phase == LEFT, lanes.phase == RIGHT
        left = jnp.where(at_left & inside, lanes.left - 1.0, lanes.left)
        right = jnp.where(at_right & inside, lanes.right + 1.0, lanes.right)
        budget_left = lanes.budget_left - (at_left & inside)
        budget_right = lanes.budget_right - (at_right & inside)
        is_left_over = at_left & (~inside | (budget_left == 0))
        is_right_over = at_right & (~inside | (budget_right == 0))
        phase = jnp.where(is_left_over, jnp.where(budget_right > 0, RIGHT, SHRINK), lanes.phase)
        return lanes._replace(
            phase=jnp.where(is_right_over, SHRINK, phase),
            left=left,
            right=right,
            outer_left=jnp.where(at_left, left, lanes.outer_left),
            outer_right=jnp.where(at_right, right, lanes.outer_right),
            budget_left=budget_left,
            budget_right=budget_right,
        )

    def _shrink(
        self, lanes: Lanes, candidate: StateWithLogLikelihood, inside: jax.Array, at_shrink
    ) -> tuple[Lanes, jax.Array]:
        """Accept the proposals inside the slice, shrink the brackets of the others."""
        accepted, rejected = at_shrink & inside, at_shrink & ~inside
        shrinks = lanes.shrinks + at_shrink
        is_done = accepted | (at_shrink & (shrinks == self.max_shrinkage))
        step_outs = self.max_steps - 1 - lanes.budget_left - lanes.budget_right
        record = (accepted, step_outs, shrinks, lanes.outer_left, lanes.outer_right)
        record = jnp.stack([x.astype(lanes.t.dtype) for x in record], axis=-1)
        here = is_done[:, None] & (jnp.arange(self.num_moves) == lanes.move[:, None])
        lanes = lanes._replace(
            left=jnp.where(rejected & (lanes.t < 0.0), lanes.t, lanes.left),
            right=jnp.where(rejected & (lanes.t >= 0.0), lanes.t, lanes.right),
            shrinks=shrinks,
            state=_choose(accepted, candidate, lanes.state),
            records=jnp.where(here[:, :, None], record[:, None, :], lanes.records),
            move=lanes.move + is_done,
        )
        return lanes, is_done

    def _hand_over(self, step: Step, is_done: jax.Array) -> Step:
        """Put finished particles away and give their lanes the next ones of the queue."""
        n_done = jnp.sum(is_done, dtype=jnp.int32)
        step = step._replace(finished=step.finished + n_done)
        if step.outcome is None:
            phase = jnp.where(is_done, IDLE, step.lanes.phase)
            return step._replace(lanes=step.lanes._replace(phase=phase))

        def exchange(step: Step) -> Step:
            lanes = step.lanes
            rows = jnp.where(is_done, lanes.particle, self.num_delete)  # beyond the end: dropped
            put_away = jax.tree.map(
                lambda whole, lane: whole.at[rows].set(lane, mode="drop"),
                step.outcome,
                (lanes.state, lanes.records),
            )
            particle = jnp.where(
                is_done, step.queue + jnp.cumsum(is_done, dtype=jnp.int32) - 1, lanes.particle
            )
            is_idle = is_done & (particle >= self.num_delete)
            particle = jnp.minimum(particle, self.num_delete - 1)
            fresh = jax.tree.map(lambda x: x[particle], self.start)
            lanes = lanes._replace(
                particle=particle,
                move=jnp.where(is_done, 0, lanes.move),
                phase=jnp.where(is_idle, IDLE, lanes.phase),
                state=_choose(is_done, fresh, lanes.state),
            )
            return step._replace(lanes=lanes, queue=step.queue + n_done, outcome=put_away)

        return jax.lax.cond(n_done > 0, exchange, lambda step: step, step)

    def _begin_move(self, lanes: Lanes, begins: jax.Array) -> Lanes:
        """Level, direction and first bracket of the next move, in the lanes that begin one."""
        move = jnp.minimum(lanes.move, self.num_moves - 1)

        def drawn(x):
            return x[lanes.particle, move]

        left = -drawn(self.moves.offset)
        budget_left = drawn(self.moves.budget_left)
        budget_right = self.max_steps - 1 - budget_left
        phase = jnp.where(budget_left > 0, LEFT, jnp.where(budget_right > 0, RIGHT, SHRINK))
        fresh = {
            "phase": phase.astype(jnp.int32),
            "direction": jax.tree.map(drawn, self.moves.direction),
            "level": lanes.state.logdensity + drawn(self.moves.log_height),
            "left": left,
            "right": left + 1.0,
            "outer_left": left,
            "outer_right": left + 1.0,
            "budget_left": budget_left,
            "budget_right": budget_right,
            "shrinks": jnp.zeros_like(lanes.shrinks),
        }
        old = {name: getattr(lanes, name) for name in fresh}
        return lanes._replace(**_choose(begins, fresh, old))

    def _aim(self, lanes: Lanes) -> Lanes:
        """Where along its slice each lane's next candidate lies; idle lanes stay where they are."""
        move = jnp.minimum(lanes.move, self.num_moves - 1)
        ahead = jnp.minimum(lanes.shrinks, DRAWN_AHEAD - 1)
        uniform = self.moves.shrink[lanes.particle, move, ahead]
        is_late = (lanes.phase == SHRINK) & (lanes.shrinks >= DRAWN_AHEAD)

        def draw_late(uniform, late_key):
            first = lanes.shrinks == DRAWN_AHEAD
            key = jnp.where(first, self.moves.shrink_key[lanes.particle, move], late_key)
            key, drawn = jax.vmap(lambda key: next_shrink(key, uniform.dtype))(key)
            return jnp.where(is_late, drawn, uniform), jnp.where(is_late, key, late_key)

        uniform, late_key = jax.lax.cond(
            is_late.any(), draw_late, lambda *same: same, uniform, lanes.late_key
        )
        t = jnp.where(lanes.phase == LEFT, lanes.left, 0.0)
        t = jnp.where(lanes.phase == RIGHT, lanes.right, t)
        inner = lanes.left + uniform * (lanes.right - lanes.left)
        return lanes._replace(t=jnp.where(lanes.phase == SHRINK, inner, t), late_key=late_key)


def _beside(mask: jax.Array, x: jax.Array) -> jax.Array:
    """`mask`, one entry a lane, with as many axes as `x`."""
    return mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))


def _choose(mask: jax.Array, new: Any, old: Any) -> Any:
    """Leaf by leaf, the lanes of `new` where `mask` holds, else those of `old`."""
    return jax.tree.map(lambda a, b: jnp.where(_beside(mask, a), a, b), new, old)
