"""`python -m benchmarks.look_ahead`: what idle lanes gain by looking ahead, in ticks and in time.

The same steps of a 10-D Gaussian with a Cholesky in every call are made with different numbers of
lanes, and with 1 (idle lanes stay idle) to 4 candidates of one chain in a batch. Ticks and useful
shares are exact counts; times are medians, measured in turn.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path

import jax
import numpy as np
from blackjax.ns.adaptive import init as ns_init
from blackjax.ns.base import init_state_strategy
from blackjax.ns.nss import build_kernel, live_covariance_factor

from autofit.non_linear.search.nest.nss._lanes import make_lane_update_strategy
from autofit_memplan.footprint import compile_program
from benchmarks.machine import machine
from benchmarks.schedulers import dense, log_prior

N_DIM, NUM_DELETE, N_LIVE = 10, 50, 200
LANES, DEPTHS = (16, 50, 100, 200), (1, 2, 4)


def measure(size: int, steps: int, repeats: int) -> list[dict]:
    """One row per number of lanes and depth.

    Parameters
    ----------
    size
        Of the matrix in each call.
    steps
        Steps of one run, all from the same keys.
    repeats
        Runs, after one to warm up.
    """
    init_state = partial(
        init_state_strategy, logprior_fn=log_prior, loglikelihood_fn=dense(size, N_DIM)
    )
    state = ns_init(
        jax.random.uniform(jax.random.key(1), (N_LIVE, N_DIM)),
        init_state_fn=jax.jit(jax.vmap(init_state)),
        update_inner_kernel_params_fn=live_covariance_factor,
    )
    keys = jax.random.split(jax.random.key(2), steps)
    programs = {}
    for lanes in LANES:
        for depth in DEPTHS:
            strategy = make_lane_update_strategy(init_state, lanes, depth=depth)
            kernel = build_kernel(init_state, 2 * N_DIM, NUM_DELETE, update_strategy=strategy)
            program = compile_program(kernel, keys[0], state, platform=jax.default_backend())
            programs[lanes, depth] = program.executable
    seconds = {name: [] for name in programs}
    counted = {}
    for _ in range(repeats + 1):
        for name, step in programs.items():
            start, now, infos = time.perf_counter(), state, []
            for key in keys:
                now, info = step(key, now)
                infos.append(info.update_info.evaluations)
            jax.block_until_ready(now)
            seconds[name].append(time.perf_counter() - start)
            useful, total = np.sum(infos, axis=0)[:, 0]
            counted[name] = int(useful), int(total), float(now.integrator.logZ)
    return [
        {
            "lanes": lanes,
            "depth": depth,
            "ticks_per_step": total / lanes / steps,
            "useful_share": useful / total,
            "seconds_per_step": float(np.median(seconds[lanes, depth][1:])) / steps,
            "log_evidence": log_evidence,
        }
        for (lanes, depth), (useful, total, log_evidence) in counted.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.look_ahead", description=__doc__)
    parser.add_argument("--size", type=int, default=64, help="of the matrix in each call")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with jax.enable_x64(True):
        rows = measure(options.size, options.steps, options.repeats)
    idle = {row["lanes"]: row["seconds_per_step"] for row in rows if row["depth"] == 1}
    for row in rows:
        print(
            f"lanes {row['lanes']:3}  candidates {row['depth']}  "
            f"ticks {row['ticks_per_step']:6.0f}  useful {row['useful_share']:.3f}  "
            f"time/idle lanes' {row['seconds_per_step'] / idle[row['lanes']]:.2f}"
        )
    if options.output:
        options.output.write_text(json.dumps({"machine": machine(), "cases": rows}, indent=1))


if __name__ == "__main__":
    main()
