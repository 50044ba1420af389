"""`python -m benchmarks.occupancy --output docs/lanes.png`: what lanes do, tick by tick.

One step of a real run, a 10-D correlated Gaussian after a burn-in, is made by waves (`map`) and by
lanes. From what each move evaluated it is worked out which particle every lane served in every
tick, checked against the counts of the programs themselves, and drawn.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from blackjax.mcmc.slice import SliceInfo
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from autofit.non_linear.search.nest.nss import build_chunked_nss_algorithm
from autofit.non_linear.search.nest.nss._evaluations import Evaluations, count_evaluations
from autofit.non_linear.search.nest.nss._lane_state import IDLE, LEFT, RIGHT, SHRINK
from autofit.non_linear.search.nest.nss._moves import (
    DRAWN_AHEAD,
    draw_moves,
    split_move,
    split_per_move,
)
from benchmarks.schedulers import gaussian, log_prior

N_DIM, N_LIVE, MOVES, MAX_STEPS = 10, 200, 20, 10
NUM_DELETE, LANES = 48, 16
BURN_IN = 20
CLOSE_UP = 60
"""Ticks in the close-ups."""

PHASES = {LEFT: "#56B4E9", RIGHT: "#D55E00", SHRINK: "#332288", IDLE: "#E4E4E4"}
QUEUE = ("#0072B2", "#E69F00", "#009E73")
"""First, second and third `LANES` particles, in three of Okabe and Ito's colours."""


class Tick(NamedTuple):
    """What one lane does in one tick: `phase` is ``IDLE`` where the evaluation serves nobody."""

    particle: int
    move: int
    phase: int


class Step(NamedTuple):
    """One step as one scheduler made it.

    Attributes
    ----------
    info
        Leaves of shape ``(NUM_DELETE, MOVES)``.
    counted
        Evaluations as the program, or `count_evaluations`, counts them.
    """

    info: SliceInfo
    counted: Evaluations


def one_step() -> tuple[Step, Step, np.ndarray]:
    """The same step by waves and by lanes, and the step-outs to the left its moves were allowed.

    Raises
    ------
    ValueError
        When the two did not make the same chains.
    """
    names = ("map", "lanes")
    algorithms = {
        name: build_chunked_nss_algorithm(
            logprior_fn=log_prior,
            loglikelihood_fn=gaussian(N_DIM, 0.9),
            num_inner_steps=MOVES,
            num_delete=NUM_DELETE,
            chunk_size=LANES,
            scheduler=name,
        )
        for name in names
    }
    positions = jax.random.uniform(jax.random.key(1), (N_LIVE, N_DIM))
    state = jax.jit(algorithms["lanes"].init)(positions, jax.random.key(2))
    programs = {name: jax.jit(algorithms[name].step) for name in names}
    key = jax.random.key(3)
    for _ in range(BURN_IN):
        key, step_key = jax.random.split(key)
        state, _ = programs["lanes"](step_key, state)
    key, step_key = jax.random.split(key)
    waves, lanes = (programs[name](step_key, state)[1].update_info for name in names)
    counted = [jax.tree.map(int, count_evaluations(x, LANES)) for x in (waves, lanes)]
    infos = [jax.tree.map(np.asarray, x) for x in (waves, lanes.slice_info)]
    if not all(map(np.array_equal, *infos)):
        raise ValueError("waves and lanes made different chains; their ticks cannot be compared")
    return Step(infos[0], counted[0]), Step(infos[1], counted[1]), _budgets_left(step_key)


def _budgets_left(step_key: jax.Array) -> np.ndarray:
    """Step-outs allowed to the left, drawn again from the step's key as the kernels split it."""
    inner_key = jax.random.split(step_key)[1]
    sample_key = jax.random.split(inner_key)[1]
    _, slice_keys = split_move(split_per_move(sample_key, NUM_DELETE, MOVES))
    drawn = draw_moves(slice_keys, None, MAX_STEPS, jax.numpy.result_type(float))
    return np.asarray(drawn.budget_left)


def loops(info: SliceInfo) -> np.ndarray:
    """Step-outs to the left, to the right, and shrinks; shape ``(3, NUM_DELETE, MOVES)``."""
    left = np.floor(-info.bracket_left).astype(int)
    return np.stack([left, info.num_expansions - left, info.num_shrink])


def in_waves(step: Step) -> list[list[Tick]]:
    """Lockstep: in each loop of each move all lanes wait for the slowest; one list per lane."""
    left, right, shrinks = loops(step.info)
    per_loop = ((LEFT, 1 + left), (RIGHT, 1 + right), (SHRINK, shrinks))
    lanes: list[list[Tick]] = [[] for _ in range(LANES)]
    for first in range(0, NUM_DELETE, LANES):
        for move in range(MOVES):
            for phase, needed in per_loop:
                needed = needed[first : first + LANES, move]
                for lane, n in enumerate(needed):
                    particle = first + lane
                    lanes[lane] += [Tick(particle, move, phase)] * n
                    lanes[lane] += [Tick(particle, move, IDLE)] * (needed.max() - n)
    return lanes


class Chain:
    """One particle's moves, evaluation by evaluation, as its lane goes through them."""

    def __init__(self, particle: int, step: Step, budget_left: np.ndarray):
        left, right, self.shrinks = (x[particle].tolist() for x in loops(step.info))
        allowed = budget_left[particle], MAX_STEPS - 1 - budget_left[particle]
        # an end inside the slice is stepped over until one is outside or the budget is spent
        self.ends = [
            np.minimum(np.add(n, 1), a) for n, a in zip((left, right), allowed, strict=True)
        ]
        self.outside = [np.less(n, a) for n, a in zip((left, right), allowed, strict=True)]
        self.particle, self.move, self.done = particle, 0, [0, 0, 0]

    def tick(self, depth: int) -> list[Tick]:
        """What the next `depth` candidates are; ``IDLE`` where the evaluation serves nobody."""
        move, ticks, as_presumed = self.move, [], True
        open_ends = [i for i in (LEFT, RIGHT) if self.done[i] < self.ends[i][move]]
        presumed = [*open_ends, *[SHRINK] * depth][:depth]
        known = self.done[SHRINK]  # proposals, of which so many are drawn ahead
        for ahead, phase in enumerate(presumed):
            is_drawn = ahead == 0 or phase != SHRINK or known < DRAWN_AHEAD
            known += phase == SHRINK
            if not is_drawn or (phase == SHRINK and not as_presumed):
                ticks.append(Tick(self.particle, move, IDLE))
                continue
            ticks.append(Tick(self.particle, move, phase))
            self.done[phase] += 1
            if phase == SHRINK:
                as_presumed = self.done[SHRINK] < self.shrinks[move]
            else:
                is_last = self.done[phase] == self.ends[phase][move]
                as_presumed &= bool(is_last and self.outside[phase][move])
        if self.done[SHRINK] == self.shrinks[move]:
            self.move, self.done = move + 1, [0, 0, 0]
        return ticks


def in_lanes(step: Step, budget_left: np.ndarray, depth: int = 2) -> list[list[Tick]]:
    """Lanes: whoever is done takes the next particle; one list per place in the batch."""
    queue = [Chain(particle, step, budget_left) for particle in range(NUM_DELETE)]
    lanes, queue = queue[:LANES], queue[LANES:]
    slots: list[list[Tick]] = [[] for _ in range(LANES)]
    while lanes:
        # first candidates first, then second ones, as far as there are places
        depths = [min(depth, 1 + (LANES - 1 - turn) // len(lanes)) for turn in range(len(lanes))]
        served = [chain.tick(n) for chain, n in zip(lanes, depths, strict=True)]
        batch = [ticks[i] for i in range(depth) for ticks in served if i < len(ticks)]
        batch += [Tick(-1, -1, IDLE)] * (LANES - len(batch))
        for slot, tick in zip(slots, batch, strict=True):
            slot.append(tick)
        lanes = [c if c.move < MOVES else queue.pop(0) if queue else None for c in lanes]
        lanes = [chain for chain in lanes if chain is not None]
    return slots


def check(name: str, lanes: list[list[Tick]], counted: Evaluations) -> None:
    """Hold the reconstruction against the counts.

    Raises
    ------
    ValueError
        When they differ.
    """
    needed = sum(tick.phase != IDLE for lane in lanes for tick in lane)
    ours = Evaluations(needed, sum(map(len, lanes)))
    if ours != counted:
        raise ValueError(f"{name}: reconstructed {ours}, the program counted {counted}")


def title(name: str, lanes: list[list[Tick]], counted: Evaluations) -> str:
    """The scheduler's name, its ticks, and the share of its evaluations that were needed."""
    share = counted.useful / counted.total
    return f"{name}: {len(lanes[0]):,} ticks, {share:.0%} of {counted.total:,} evaluations needed"


def draw_step(ax: Axes, lanes: list[list[Tick]]) -> None:
    """The whole step, coloured by the particle's place in the queue."""
    place = [[-1 if t.phase == IDLE else t.particle // LANES for t in lane] for lane in lanes]
    colours = ListedColormap([PHASES[IDLE], *QUEUE])
    ax.pcolormesh(np.array(place), cmap=colours, vmin=-1.5, vmax=2.5, rasterized=True)


def draw_close_up(ax: Axes, lanes: list[list[Tick]]) -> None:
    """The first ticks, coloured by phase; a black line where a lane goes on to its next move."""
    phase = np.array([[t.phase for t in lane[:CLOSE_UP]] for lane in lanes])
    colours = ListedColormap([PHASES[i] for i in range(4)])
    ax.pcolormesh(phase, cmap=colours, vmin=-0.5, vmax=3.5, edgecolors="white", linewidth=0.4)
    for row, lane in enumerate(lanes):
        ends = [i for i in range(1, CLOSE_UP) if lane[i].move != lane[i - 1].move]
        ax.vlines(ends, row, row + 1, colors="black", linewidth=1.6)


def legend(ax: Axes, colours: dict[str, str]) -> None:
    handles = [Patch(facecolor=colour, label=label) for label, colour in colours.items()]
    ax.legend(handles=handles, ncols=4, loc="upper left", bbox_to_anchor=(0, -0.28), frameon=False)


def draw(waves: list[list[Tick]], lanes: list[list[Tick]], titles: tuple[str, str]) -> Figure:
    """Both schedulers: the whole step above, its first ticks below."""
    figure = Figure(figsize=(9, 8.8), layout="constrained")
    whole, close = figure.subfigures(2, 1, hspace=0.02)
    for part, heading, paint, ticks in (
        (whole, "A whole step", draw_step, len(waves[0])),
        (close, f"Its first {CLOSE_UP} ticks", draw_close_up, CLOSE_UP),
    ):
        part.suptitle(heading, x=0.01, ha="left", fontweight="bold")
        axes = part.subplots(2, 1, sharex=True)
        for ax, rows, name in zip(axes, (waves, lanes), titles, strict=True):
            paint(ax, rows)
            ax.set(xlim=(0, ticks), ylim=(LANES, 0), yticks=[0.5, 7.5, 15.5], ylabel="lane")
            ax.set_yticklabels(["1", "8", "16"])
            ax.set_title(name if part is whole else name.split(":")[0], loc="left", fontsize=10)
            ax.spines[:].set_visible(False)
        axes[1].set_xlabel("ticks: batches of 16 evaluations, one after the other")
        if part is whole:
            numbers = ("particles 1-16", "17-32", "33-48")
            legend(axes[1], {**dict(zip(numbers, QUEUE, strict=True)), "thrown away": PHASES[IDLE]})
        else:
            names = ("left end", "right end", "shrink", "thrown away")
            legend(axes[1], dict(zip(names, PHASES.values(), strict=True)))
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.occupancy", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/lanes.png"))
    options = parser.parse_args()
    with jax.enable_x64(True):
        wave_step, lane_step, budget_left = one_step()
    waves, lanes = in_waves(wave_step), in_lanes(lane_step, budget_left)
    check("waves", waves, wave_step.counted)
    check("lanes", lanes, lane_step.counted)
    titles = (
        title('Waves (scheduler="map")', waves, wave_step.counted),
        title("Lanes", lanes, lane_step.counted),
    )
    print("\n".join(titles))
    draw(waves, lanes, titles).savefig(options.output, dpi=200)


if __name__ == "__main__":
    main()
