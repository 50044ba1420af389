"""How lanes advance: one tick of the loop, each lane by what its candidates turned out to be.

See `make_lane_update_strategy` for what it is for, and ``docs/lanes.md`` for the algorithm.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from blackjax.ns.base import StateWithLogLikelihood

from autofit.non_linear.search.nest.nss._lane_slots import assign_slots
from autofit.non_linear.search.nest.nss._lane_state import (
    IDLE,
    LEFT,
    RECORD,
    RIGHT,
    SHRINK,
    Lanes,
    Step,
    choose,
)
from autofit.non_linear.search.nest.nss._moves import DRAWN_AHEAD, Moves, next_shrink


class Rules(NamedTuple):
    """How lanes advance; nothing in here changes while the loop runs.

    Attributes
    ----------
    depth
        Most candidates of one lane in a tick; above 1, idle lanes serve the others.
    """

    moves: Moves
    start: StateWithLogLikelihood
    loglikelihood_0: jax.Array
    max_steps: int
    max_shrinkage: int
    depth: int
    evaluate: Callable

    @property
    def num_delete(self) -> int:
        return self.moves.offset.shape[0]

    @property
    def num_moves(self) -> int:
        return self.moves.offset.shape[1]

    def begin(self, width: int) -> Step:
        """The first particles of the queue, one to a lane, at their first move."""
        lane = jnp.arange(width, dtype=jnp.int32)
        particle = jnp.minimum(lane, self.num_delete - 1)
        zero, real = jnp.zeros_like(lane), jnp.zeros(width, self.moves.offset.dtype)
        is_active = lane < self.num_delete
        records = jnp.zeros((max(width, self.num_delete), self.num_moves, RECORD), real.dtype)
        lanes = Lanes(
            particle=particle,
            move=zero,
            is_active=is_active,
            state=jax.tree.map(lambda x: x[particle], self.start),
            direction=jax.tree.map(lambda x: x[particle, 0], self.moves.direction),
            level=real,
            left=real,
            right=real,
            outer_left=real,
            outer_right=real,
            budget_left=zero,
            budget_right=zero,
            steps_left=is_active,
            steps_right=is_active,
            shrinks=zero,
            late_key=self.moves.shrink_key[particle, 0],
            late=real,
            records=records[:width],
        )
        lanes = self._begin_move(lanes, is_active)
        none = jnp.int32(0)
        in_one_go = width >= self.num_delete
        outcome = None if in_one_go else (self.start, records)
        slots = assign_slots(is_active, self.depth)
        return Step(lanes, slots, jnp.int32(width), none, outcome, none, none)

    def is_unfinished(self, step: Step) -> jax.Array:
        return step.finished < self.num_delete

    def outcome(self, step: Step) -> tuple[StateWithLogLikelihood, jax.Array]:
        """Final particles and records, leaves of shape ``(num_delete, ...)``."""
        outcome = step.outcome or (step.lanes.state, step.lanes.records)
        return jax.tree.map(lambda x: x[: self.num_delete], outcome)

    def tick(self, step: Step) -> Step:
        """Evaluate one batch of candidates; then every lane advances on its own."""
        lanes, slots = step.lanes, step.slots
        wanted = self._look_ahead(lanes)
        t = jnp.stack([t for _, t in wanted], axis=1)[slots.lane, slots.ahead]
        served = jax.tree.map(lambda x: x[slots.lane], (lanes.state.position, lanes.direction))
        candidate = self.evaluate(*served, t)
        inside = candidate.logdensity >= lanes.level[slots.lane]
        inside &= candidate.loglikelihood > self.loglikelihood_0

        as_presumed = jnp.ones_like(lanes.is_active)
        accepted, useful, chosen = ~as_presumed, step.useful, jnp.zeros_like(lanes.move)
        for (phase, t), slot in zip(wanted, slots.of_lane.T, strict=True):
            is_inside = inside.at[slot].get(mode="fill", fill_value=False)
            is_void = (slot == len(slots.lane)) | ((phase == SHRINK) & ~as_presumed)
            phase = jnp.where(is_void, IDLE, phase)
            lanes = self._advance(lanes, phase, t, is_inside)
            accepts = (phase == SHRINK) & is_inside
            accepted, chosen = accepted | accepts, jnp.where(accepts, slot, chosen)
            as_presumed &= (phase != IDLE) & ~is_inside
            useful += jnp.sum(phase != IDLE, dtype=jnp.int32)

        state = choose(accepted, jax.tree.map(lambda x: x[chosen], candidate), lanes.state)
        is_done = accepted | (lanes.is_active & (lanes.shrinks == self.max_shrinkage))
        lanes = self._record(lanes._replace(state=state), accepted, is_done)
        step = step._replace(lanes=lanes, useful=useful, ticks=step.ticks + 1)
        step = self._hand_over(step, is_done & (lanes.move == self.num_moves))
        lanes = self._begin_move(step.lanes, is_done & step.lanes.is_active)
        return step._replace(lanes=self._draw_late(lanes))

    def _look_ahead(self, lanes: Lanes) -> list[tuple[jax.Array, jax.Array]]:
        """Phase and coordinate of each lane's next candidates, the first one first.

        The others presume that all before them lie outside: the ends of the bracket, then one
        shrink proposal after the other. That the ends are wanted both, is no presumption.
        """
        drawn, wanted = self._of_move(lanes, self.moves.shrink), []
        for ahead in range(self.depth):
            phase = jnp.where(lanes.steps_right, RIGHT, SHRINK)
            phase = jnp.where(lanes.steps_left, LEFT, phase)
            phase = jnp.where(lanes.is_active, phase, IDLE)
            known = jnp.minimum(lanes.shrinks, DRAWN_AHEAD - 1)
            uniform = jnp.take_along_axis(drawn, known[:, None], axis=1)[:, 0]
            is_late = lanes.shrinks >= DRAWN_AHEAD
            if ahead == 0:
                uniform = jnp.where(is_late, lanes.late, uniform)
            else:
                is_void = is_late | (lanes.shrinks >= self.max_shrinkage)
                phase = jnp.where((phase == SHRINK) & is_void, IDLE, phase)
            t = lanes.left + uniform * (lanes.right - lanes.left)
            t = jnp.where(phase == LEFT, lanes.left, jnp.where(phase == RIGHT, lanes.right, t))
            wanted.append((phase, jnp.where(phase == IDLE, 0.0, t)))
            lanes = self._advance(lanes, phase, t, jnp.zeros_like(lanes.is_active))
        return wanted

    def _advance(self, lanes: Lanes, phase, t: jax.Array, inside: jax.Array) -> Lanes:
        """Widen or close the end that was evaluated, or shrink the bracket to the proposal.

        An end to which no step-out is left is not evaluated: nothing could follow from it.
        """
        at_left, at_right, at_shrink = phase == LEFT, phase == RIGHT, phase == SHRINK
        left = jnp.where(at_left & inside, lanes.left - 1.0, lanes.left)
        right = jnp.where(at_right & inside, lanes.right + 1.0, lanes.right)
        budget_left = lanes.budget_left - (at_left & inside)
        budget_right = lanes.budget_right - (at_right & inside)
        rejected = at_shrink & ~inside
        return lanes._replace(
            left=jnp.where(rejected & (t < 0.0), t, left),
            right=jnp.where(rejected & (t >= 0.0), t, right),
            outer_left=jnp.where(at_left, left, lanes.outer_left),
            outer_right=jnp.where(at_right, right, lanes.outer_right),
            budget_left=budget_left,
            budget_right=budget_right,
            steps_left=lanes.steps_left & ~(at_left & (~inside | (budget_left == 0))),
            steps_right=lanes.steps_right & ~(at_right & (~inside | (budget_right == 0))),
            shrinks=lanes.shrinks + at_shrink,
        )

    def _record(self, lanes: Lanes, accepted: jax.Array, is_done: jax.Array) -> Lanes:
        """Note the moves that are done, and count on."""
        step_outs = self.max_steps - 1 - lanes.budget_left - lanes.budget_right
        record = (accepted, step_outs, lanes.shrinks, lanes.outer_left, lanes.outer_right)
        record = jnp.stack([x.astype(lanes.left.dtype) for x in record], axis=-1)
        here = is_done[:, None] & (jnp.arange(self.num_moves) == lanes.move[:, None])
        records = jnp.where(here[:, :, None], record[:, None, :], lanes.records)
        return lanes._replace(records=records, move=lanes.move + is_done)

    def _hand_over(self, step: Step, is_done: jax.Array) -> Step:
        """Put finished particles away and give their lanes the next ones of the queue."""
        n_done = jnp.sum(is_done, dtype=jnp.int32)
        step = step._replace(finished=step.finished + n_done)

        def retire(step: Step) -> Step:
            is_active = step.lanes.is_active & ~is_done
            lanes = step.lanes._replace(is_active=is_active)
            return step._replace(lanes=lanes, slots=assign_slots(is_active, self.depth))

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
            is_active = lanes.is_active & (particle < self.num_delete)
            particle = jnp.minimum(particle, self.num_delete - 1)
            fresh = jax.tree.map(lambda x: x[particle], self.start)
            lanes = lanes._replace(
                particle=particle,
                move=jnp.where(is_done, 0, lanes.move),
                is_active=is_active,
                state=choose(is_done, fresh, lanes.state),
            )
            slots = assign_slots(is_active, self.depth)
            return Step(
                lanes, slots, step.queue + n_done, step.finished, put_away, step.useful, step.ticks
            )

        act = retire if step.outcome is None else exchange
        return jax.lax.cond(n_done > 0, act, lambda step: step, step)

    def _begin_move(self, lanes: Lanes, begins: jax.Array) -> Lanes:
        """Level, direction and first bracket of the next move, in the lanes that begin one."""
        drawn = partial(self._of_move, lanes)
        left = -drawn(self.moves.offset)
        budget_left = drawn(self.moves.budget_left)
        budget_right = self.max_steps - 1 - budget_left
        fresh = {
            "direction": jax.tree.map(drawn, self.moves.direction),
            "level": lanes.state.logdensity + drawn(self.moves.log_height),
            "left": left,
            "right": left + 1.0,
            "outer_left": left,
            "outer_right": left + 1.0,
            "budget_left": budget_left,
            "budget_right": budget_right,
            "steps_left": budget_left > 0,
            "steps_right": budget_right > 0,
            "shrinks": jnp.zeros_like(lanes.shrinks),
        }
        old = {name: getattr(lanes, name) for name in fresh}
        return lanes._replace(**choose(begins, fresh, old))

    def _draw_late(self, lanes: Lanes) -> Lanes:
        """Draw the next shrink proposal of the few moves that need more than was drawn ahead."""
        is_late = lanes.is_active & (lanes.shrinks >= DRAWN_AHEAD)

        def draw(lanes: Lanes) -> Lanes:
            first = lanes.shrinks == DRAWN_AHEAD
            key = jnp.where(first, self._of_move(lanes, self.moves.shrink_key), lanes.late_key)
            key, late = next_shrink(key, lanes.late.dtype)
            return lanes._replace(
                late_key=jnp.where(is_late, key, lanes.late_key),
                late=jnp.where(is_late, late, lanes.late),
            )

        return jax.lax.cond(is_late.any(), draw, lambda lanes: lanes, lanes)

    def _of_move(self, lanes: Lanes, drawn: jax.Array) -> jax.Array:
        """What was drawn for the move that each lane is at; the last one's for lanes without."""
        return drawn[lanes.particle, jnp.minimum(lanes.move, self.num_moves - 1)]
