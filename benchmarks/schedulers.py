"""`python -m benchmarks.schedulers`: upstream's vmap, waves (`map`) and lanes, side by side.

For each case the same chain is run by each scheduler in turn, several times; a table of ratios is
printed and everything is written to `--output` as JSON. Wall times are medians per iteration.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from autofit.non_linear.search.nest.nss import build_chunked_nss_algorithm
from autofit.non_linear.search.nest.nss._block import CAPACITY, block_program
from autofit.non_linear.search.nest.nss._evaluations import count_evaluations
from autofit_memplan.footprint import compile_program
from benchmarks.likelihoods import dense_algebra
from benchmarks.machine import machine

LONG_SECONDS = 60
"""Runs that all take longer need neither warming up nor repeating."""


class Case(NamedTuple):
    """One problem on the unit cube and the sizes it is run with."""

    name: str
    log_likelihood: Callable
    n_dim: int
    n_live: int
    num_delete: int
    lanes: int
    max_iterations: int
    dtype: str = "float64"


def gaussian(n_dim: int, correlation: float) -> Callable:
    """A Gaussian of width 0.1 in the middle of the cube; every pair equally correlated."""
    covariance = 0.01 * (correlation * np.ones((n_dim, n_dim)) + (1 - correlation) * np.eye(n_dim))
    precision = np.linalg.inv(covariance)

    def log_likelihood(x):
        y = x - 0.5
        if correlation == 0.0:
            return -50.0 * jnp.sum(y**2)
        return -0.5 * jnp.sum(y[:, None] * precision.astype(x.dtype) * y[None, :])

    return log_likelihood


def dense(size: int, n_dim: int) -> Callable:
    """The same Gaussian with a `size` x `size` Cholesky in every call."""
    cheap = gaussian(n_dim, 0.0)
    heavy = dense_algebra(size, jnp.linalg.cholesky)
    return lambda x: cheap(x) + 1e-3 * heavy(x)


def image(pixels: int, n_dim: int) -> Callable:
    """The same Gaussian with a model image of `pixels` times `n_dim` exponentials in every call."""
    cheap, grid = gaussian(n_dim, 0.0), np.linspace(0.0, 1.0, pixels)

    def log_likelihood(x):
        model = jnp.sum(jnp.exp(-100.0 * (grid[:, None].astype(x.dtype) - x) ** 2), axis=1)
        return cheap(x) + 1e-3 * jnp.mean(jnp.sin(model))

    return log_likelihood


def lens() -> tuple[Callable, int]:
    """The demo's likelihood on its own simulation, and the number of its parameters."""
    from autofit.non_linear.fitness import Fitness
    from demo.analysis import LensAnalysis, lens_model
    from demo.cutout import Cutout
    from demo.likelihood import LensLikelihood
    from demo.simulator import simulate

    analysis = LensAnalysis(LensLikelihood(Cutout(simulate(seed=1), 0.8, 2.2, 2)))
    fitness = Fitness(lens_model(1.6), analysis)
    return fitness.log_likelihood, fitness.n_dim


def cases(which: str) -> list[Case]:
    """The cases named by `which`: ``"quick"`` or ``"full"``."""
    rows = []
    dims = (5, 10, 20)
    for n_dim in dims if which == "full" else dims[:2]:
        for correlation in (0.0, 0.5, 0.9) if which == "full" else (0.9,):
            for num_delete, lanes in ((16, 3), (50, 16), (50, 50), (100, 100)):
                name = f"gaussian-{n_dim}d-{correlation}"
                likelihood = gaussian(n_dim, correlation)
                n_live = max(4 * num_delete, 10 * n_dim)
                rows.append(Case(name, likelihood, n_dim, n_live, num_delete, lanes, 10_000))
    for dtype in ("float32",):
        rows.append(Case("gaussian-10d-0.5", gaussian(10, 0.5), 10, 200, 50, 16, 10_000, dtype))
    for size in (64, 128) if which == "quick" else (64, 128, 256):
        for num_delete, lanes in ((48, 16), (50, 50)):
            rows.append(Case(f"dense-{size}", dense(size, 10), 10, 200, num_delete, lanes, 6))
    for pixels in (
        30,
        300,
        3_000,
        30_000,
        300_000,
        6_000_000,
        12_000_000,
    ):  # about 1 us to 0.1 s a call
        iterations = max(1, min(20, 1_000_000 // pixels))
        rows.append(Case(f"image-{pixels}", image(pixels, 5), 5, 50, 16, 8, iterations))
    likelihood, n_dim = lens()
    for num_delete, lanes in ((50, 16), (50, 50)):
        rows.append(Case("lens", likelihood, n_dim, 150, num_delete, lanes, 6))
    return rows


def log_prior(x: jax.Array) -> jax.Array:
    """Flat on the unit cube."""
    return jnp.where(jnp.all((x >= 0) & (x <= 1)), 0.0, -jnp.inf).astype(x.dtype)


def measure(case: Case, repeats: int) -> dict:
    """Run one case with the three schedulers, interleaved."""
    moves = max(5, 2 * case.n_dim)
    positions = jax.random.uniform(jax.random.key(1), (case.n_live, case.n_dim))
    programs = {}
    for scheduler in ("upstream", "map", "lanes"):
        chunk = case.num_delete if scheduler == "upstream" else case.lanes
        algorithm = build_chunked_nss_algorithm(
            logprior_fn=log_prior,
            loglikelihood_fn=case.log_likelihood,
            num_inner_steps=moves,
            num_delete=case.num_delete,
            chunk_size=None if scheduler == "upstream" else chunk,
            scheduler=None if scheduler == "upstream" else scheduler,
        )
        start = jax.jit(algorithm.init)(positions, jax.random.key(2))
        count = partial(count_evaluations, chunk_size=chunk)
        block = block_program(algorithm, count, -3.0, case.num_delete)
        program = compile_program(
            block, jax.random.key(3), start, np.int32(CAPACITY), platform=jax.default_backend()
        )
        programs[scheduler] = program, start
    runs = {name: [] for name in programs}
    for _ in range(repeats + 1):  # the first round warms up
        for name, (program, start) in programs.items():
            runs[name].append(run(program.executable, start, case.max_iterations))
        if min(done[0]["seconds"] for done in runs.values()) > LONG_SECONDS:
            break
    rows = {
        name: {
            "compile_seconds": programs[name][0].footprint.compile_seconds,
            "temp_bytes": programs[name][0].footprint.temp_bytes,
            "seconds_per_iteration": float(np.median([r["seconds"] for r in done[1:] or done]))
            / done[0]["iterations"],
            **{k: done[0][k] for k in ("iterations", "useful", "total", "log_evidence")},
        }
        for name, done in runs.items()
    }
    sizes = {k: v for k, v in case._asdict().items() if k != "log_likelihood"}
    return {**sizes, "num_inner_steps": moves, "schedulers": rows}


def run(executable, state, max_iterations: int) -> dict:
    """One run from `state`; seconds of device calls alone.

    Raises
    ------
    RuntimeError
        If the step makes no iteration: too few live points for their covariance, or a plateau.
    """
    key, iterations, useful, total, converged = jax.random.key(3), 0, 0, 0, False
    start = time.perf_counter()
    while not converged and iterations < max_iterations:
        block = executable(key, state, np.int32(min(CAPACITY, max_iterations - iterations)))
        key, state, converged = block.rng_key, block.state, bool(block.is_converged)
        if not (converged or int(block.iterations)):
            raise RuntimeError(f"the step can make no iteration after {iterations}")
        iterations += int(block.iterations)
        useful += int(block.evaluations.useful)
        total += int(block.evaluations.total)
    return {
        "seconds": time.perf_counter() - start,
        "iterations": iterations,
        "useful": useful,
        "total": total,
        "log_evidence": float(state.integrator.logZ),
    }


def line(row: dict) -> str:
    """One case: useful shares, and costs of upstream and map in units of lanes'."""
    names = ("upstream", "map", "lanes")
    rows = [row["schedulers"][name] for name in names]
    lanes = rows[-1]
    share = " ".join(f"{r['useful'] / r['total']:.2f}" for r in rows)
    skipped = 1 - lanes["useful"] / rows[0]["useful"]
    wall = [r["seconds_per_iteration"] / lanes["seconds_per_iteration"] for r in rows]
    compiled = " ".join(f"{r['compile_seconds']:.1f}" for r in rows)
    per_particle = rows[0]["temp_bytes"] / row["num_delete"] / 1e3
    return (
        f"{row['name']:17} {row['dtype']} delete {row['num_delete']:3} lanes {row['lanes']:3}  "
        f"useful {share}  skipped {skipped:.3f}  wall/lanes' upstream {wall[0]:.2f} map "
        f"{wall[1]:.2f}  compile {compiled} s  temp upstream {per_particle:.0f} lanes "
        f"{lanes['temp_bytes'] / row['lanes'] / 1e3:.0f} kB  "
        f"same log Z {len({r['log_evidence'] for r in rows}) == 1}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schedulers", description=__doc__)
    parser.add_argument("--cases", choices=("quick", "full"), default="quick")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    rows = []
    for case in cases(options.cases):
        if options.only not in case.name:
            continue
        with jax.enable_x64(case.dtype == "float64"):
            rows.append(measure(case, options.repeats))
        print(line(rows[-1]), flush=True)
    if options.output:
        options.output.write_text(json.dumps({"machine": machine(), "cases": rows}, indent=1))


if __name__ == "__main__":
    main()
