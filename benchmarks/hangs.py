"""`python -m benchmarks.hangs`: which schedulers end on a likelihood with dense linear algebra?

With jaxlib 0.10 on a CPU of two threads, two batched Cholesky factorisations at once can wait for
each other for ever (``docs/hangs.md``). Each run is a process of its own, compiled without any of
our options and watched from outside: one that is not done after `--timeout` seconds has hung.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import jax

import benchmarks.schedulers as problems
from autofit.non_linear.search.nest.nss import build_chunked_nss_algorithm
from benchmarks.machine import machine

SIZE, N_DIM, N_LIVE, NUM_DELETE, MOVES, LANES, STEPS = 128, 10, 200, 64, 4, 16, 2
SCHEDULERS = ("lanes", "map", "upstream")


def sample(scheduler: str) -> None:
    """A few steps, compiled by plain `jax.jit`."""
    with jax.enable_x64(True):
        algorithm = build_chunked_nss_algorithm(
            logprior_fn=problems.log_prior,
            loglikelihood_fn=problems.dense(SIZE, N_DIM),
            num_inner_steps=MOVES,
            num_delete=NUM_DELETE,
            chunk_size=None if scheduler == "upstream" else LANES,
            scheduler=None if scheduler == "upstream" else scheduler,
        )
        positions = jax.random.uniform(jax.random.key(1), (N_LIVE, N_DIM))
        state = jax.jit(algorithm.init)(positions, jax.random.key(2))
        step = jax.jit(algorithm.step)
        for key in jax.random.split(jax.random.key(3), STEPS):
            state, _ = step(key, state)
        jax.block_until_ready(state)


def watch(scheduler: str, timeout: float) -> float | None:
    """Seconds that a run took, ``None`` if it had to be ended.

    Raises
    ------
    subprocess.CalledProcessError
        If it failed.
    """
    start = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.hangs", "--child", scheduler]
    try:
        subprocess.run(command, timeout=timeout, check=True, stderr=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return None
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hangs", description=__doc__)
    parser.add_argument("--runs", type=int, nargs=3, default=(20, 3, 3), metavar=SCHEDULERS)
    parser.add_argument("--timeout", type=float, default=90.0)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--child", choices=SCHEDULERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        sample(options.child)
        return
    rows = {}
    for scheduler, runs in zip(SCHEDULERS, options.runs, strict=True):
        seconds = [watch(scheduler, options.timeout) for _ in range(runs)]
        rows[scheduler] = seconds
        ended = [s for s in seconds if s is not None]
        longest = f", the longest in {max(ended):.0f} s" if ended else ""
        print(f"{scheduler:9} ended {len(ended)} of {runs}{longest}", flush=True)
    if options.output:
        result = {"machine": machine(), "timeout_seconds": options.timeout, "wall_seconds": rows}
        options.output.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
